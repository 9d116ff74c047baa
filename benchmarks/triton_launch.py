"""Cost of a launch through Triton: an empty kernel by `kernel[grid](...)`, by the compiled kernel, by the launcher alone.

python benchmarks/triton_launch.py
"""

from __future__ import annotations

import time

import numpy as np
import triton
import triton.language as tl

import opwright


@triton.jit
def empty():
    pass


@triton.jit
def empty_3(x, y, z, n, BLOCK: tl.constexpr):
    pass


@triton.jit
def empty_10(a, b, c, d, e, f, g, h, i, j, n, BLOCK: tl.constexpr):
    pass


def microseconds(call, count: int = 5000, rounds: int = 7) -> float:
    call()
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(count):
            call()
        best = min(best, (time.perf_counter() - start) / count)
    return 1e6 * best


def main() -> None:
    try:
        import torch
    except ImportError:
        torch = None
    makers = {"opwright.tensor": lambda: opwright.tensor(np.zeros(16, np.float32))}
    if torch is not None:
        makers["torch"] = lambda: torch.zeros(16)
    print(f"{'kernel':10} {'tensors':>16} {'kernel[grid]':>14} {'compiled[grid]':>15} {'launcher':>10}   us")
    for kernel, count in ((empty, 0), (empty_3, 3), (empty_10, 10)):
        for kind, make in makers.items():
            tensors = [make() for _ in range(count)]
            scalars = [5] if count else []
            meta = {"BLOCK": 64} if count else {}
            args = [*tensors, *scalars]
            compiled = kernel[(1,)](*args, **meta)
            by_position = [*args, *meta.values()]
            jit = microseconds(lambda k=kernel, a=args, m=meta: k[(1,)](*a, **m))
            again = microseconds(lambda c=compiled, a=by_position: c[(1, 1, 1)](*a))
            run, function = compiled.run, compiled.function
            alone = microseconds(lambda r=run, f=function, a=by_position: r(1, 1, 1, 0, f, None, None, None, None, *a))
            print(f"{count:>2} args    {kind:>16} {jit:14.2f} {again:15.2f} {alone:10.2f}")


if __name__ == "__main__":
    main()
