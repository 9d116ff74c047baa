"""What the backend needs of Triton, asked for by name: version numbers do not tell, release branches and main share them."""

from __future__ import annotations

import functools
from collections.abc import Iterator

_PASSES = {
    "common": ("add_inliner", "add_canonicalizer", "add_cse", "add_symbol_dce"),
    "ttir": ("add_combine", "add_reorder_broadcast", "add_triton_licm", "add_loop_unroll"),
}


def missing_features() -> Iterator[str]:
    """Names of what this Triton lacks, or asks of a backend that ours does not know."""
    from triton._C.libtriton import ir, passes

    from opwright.triton_backend.compiler import CPUBackend
    from opwright.triton_backend.driver import CPUDriver

    if not hasattr(ir, "pass_manager"):
        yield "ir.pass_manager"
    for group, names in _PASSES.items():
        yield from (f"passes.{group}.{name}" for name in names if not hasattr(getattr(passes, group, None), name))
    for ours in (CPUBackend, CPUDriver):
        yield from (f"{ours.__bases__[0].__name__}.{name}" for name in sorted(ours.__abstractmethods__))


@functools.cache
def require_features() -> None:
    """RuntimeError where this Triton is not one that the backend can work with."""
    missing = list(missing_features())
    if missing:
        import triton

        from opwright import __version__

        raise RuntimeError(
            f"found Triton {triton.__version__}, which differs from those that Opwright {__version__} knows in "
            f"{', '.join(missing)}; expected one like 3.6 to 3.9: install such a one, or a newer Opwright"
        )
