"""The CPU level of this machine, for both halves of the Triton backend."""

from __future__ import annotations

import functools


@functools.cache
def host_level() -> str:
    """The highest level that this CPU has; RuntimeError where it has none."""
    from opwright import _core

    level = _core.host_level()
    if not level:
        raise RuntimeError(
            "this CPU is below x86-64-v3: Opwright's kernels need AVX2, FMA, BMI2 and F16C; "
            "use a newer machine, or Triton's interpreter (TRITON_INTERPRET=1)"
        )
    return level
