"""Kernels of the tests: written for them, each with a float64 reference and an error bound that is derived where it stands.

A module has jit functions and case functions; a Case is one launch with everything needed to judge it. Arguments go by name,
so that a variant with other names in another order (variants.py) can take them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

# Unit roundoff: the largest relative error of one rounding to nearest.
ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}
# Half the distance of subnormal numbers: the largest absolute error of one rounding near zero.
TINY = {"float16": 2.0**-25, "bfloat16": 2.0**-134, "float32": 2.0**-150, "float64": 2.0**-1075}
U32 = ROUNDOFF["float32"]


def dtype(name: str) -> np.dtype:
    """A NumPy dtype by name, bfloat16 included."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def rounding(expected: np.ndarray, name: str) -> np.ndarray:
    """Largest error of rounding the exact values once to that type."""
    return ROUNDOFF[name] * np.abs(expected) + TINY[name]


@dataclass
class Case:
    """One launch: `args` by parameter name (arrays in NumPy), `expected` and `bound` (largest absolute error, one number or
    one per element) by the name of the output that they are for."""

    kernel: Any
    args: dict[str, Any]
    meta: dict[str, Any]
    grid: tuple[int, ...] | Callable[[dict], tuple[int, ...]]
    expected: dict[str, np.ndarray]
    bound: dict[str, np.ndarray | float] = field(default_factory=dict)

    def run(self, wrap: Callable[[np.ndarray], Any], kernel: Any = None, names: dict[str, str] | None = None) -> Any:
        """Launches and checks. `kernel` and `names` replace the kernel by a variant whose parameters have other names."""
        before = {name: guard_of(array) for name, array in self.args.items() if isinstance(array, np.ndarray)}
        args = {name: wrap(value) if isinstance(value, np.ndarray) else value for name, value in self.args.items()}
        renamed = {(names or {}).get(name, name): value for name, value in {**args, **self.meta}.items()}
        compiled = (kernel or self.kernel)[self.grid](**renamed)
        self.check()
        for name, guard in before.items():
            assert np.array_equal(guard, guard_of(self.args[name])), f"memory beside '{name}' was written"
        return compiled

    def check(self) -> None:
        for name, expected in self.expected.items():
            got = self.args[name]
            assert got.shape == expected.shape
            if name not in self.bound:
                np.testing.assert_array_equal(got, expected, err_msg=name)
                continue
            got, expected = got.astype(np.float64), expected.astype(np.float64)
            same = (got == expected) | (np.isnan(got) & np.isnan(expected))
            with np.errstate(invalid="ignore"):
                good = same | (np.abs(got - expected) <= self.bound[name])
            if not good.all():
                at = tuple(int(i) for i in np.argwhere(~good)[0])
                bound = np.broadcast_to(self.bound[name], expected.shape)[at]
                raise AssertionError(
                    f"{name}{list(at)} is {got[at]!r}, expected {expected[at]!r} +- {bound:.3g}; "
                    f"{(~good).sum()} of {good.size} are wrong"
                )


_GUARD = 64  # elements before and after


def guarded(values: np.ndarray) -> np.ndarray:
    """A copy with memory around it that no kernel may write."""
    buffer = np.full(values.size + 2 * _GUARD, 99, values.dtype)
    view = buffer[_GUARD : _GUARD + values.size].reshape(values.shape)
    view[...] = values
    return view


def output(shape: tuple[int, ...] | int, name: str) -> np.ndarray:
    """Guarded memory for a result, filled with a value that no test expects."""
    return guarded(np.full(shape, 77, dtype(name)))


def guard_of(array: np.ndarray) -> np.ndarray:
    """A copy of the memory around a guarded array; empty for other arrays."""
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    inside = array.size
    if base.ndim != 1 or not array.flags.c_contiguous or base.size != inside + 2 * _GUARD:
        return np.empty(0)
    return np.concatenate([base[:_GUARD], base[-_GUARD:]]).copy()
