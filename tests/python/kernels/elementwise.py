"""Vector add, also over strided memory."""

from __future__ import annotations

import numpy as np
import triton
import triton.language as tl
from triton.language.extra import libdevice
from triton.language.extra.cpu import libdevice as cpu_libdevice

from . import Case, dtype, guarded, output, rounding


@triton.jit
def add(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(axis=0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    x = tl.load(x_ptr + offsets, mask=mask)
    y = tl.load(y_ptr + offsets, mask=mask)
    tl.store(out_ptr + offsets, x + y, mask=mask)


@triton.jit
def add_strided(x_ptr, y_ptr, out_ptr, rows, cols, x0, x1, y0, y1, out0, out1, ROWS: tl.constexpr, COLS: tl.constexpr):
    i = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    j = tl.program_id(1) * COLS + tl.arange(0, COLS)
    inside = (i < rows)[:, None] & (j < cols)[None, :]
    x = tl.load(x_ptr + i[:, None] * x0 + j[None, :] * x1, mask=inside)
    y = tl.load(y_ptr + i[:, None] * y0 + j[None, :] * y1, mask=inside)
    tl.store(out_ptr + i[:, None] * out0 + j[None, :] * out1, x + y, mask=inside)


def values(rng: np.random.Generator, shape, name: str) -> np.ndarray:
    if name.startswith("int"):
        info = np.iinfo(name)  # sums wrap around
        return rng.integers(info.min, info.max, shape, dtype=name, endpoint=True)
    return rng.standard_normal(shape).astype(dtype(name))


def add_exact(x: np.ndarray, y: np.ndarray, name: str) -> tuple[np.ndarray, dict]:
    """An integer sum is exact; a float sum is rounded once."""
    if name.startswith("int"):
        return x + y, {}
    exact = x.astype(np.float64) + y.astype(np.float64)
    return exact, {"out_ptr": 1.001 * rounding(exact, name)}


def add_case(n: int, block: int, name: str = "float32", seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    x, y = guarded(values(rng, n, name)), guarded(values(rng, n, name))
    expected, bound = add_exact(x, y, name)
    return Case(
        add,
        {"x_ptr": x, "y_ptr": y, "out_ptr": output(n, name), "n": n},
        {"BLOCK": block},
        lambda meta: (triton.cdiv(n, block),),
        {"out_ptr": expected},
        bound,
    )


def add_strided_case(
    rows: int, cols: int, layout: str, tile: tuple[int, int] = (16, 64), name: str = "float32"
) -> Case:
    """`layout`: how the inputs lie in memory."""
    rng = np.random.default_rng(rows + cols)
    whole = {
        "transposed": lambda: values(rng, (cols, rows), name).T,
        "every second": lambda: values(rng, (2 * rows, 3 * cols), name)[::2, 1::3],
        "reversed": lambda: values(rng, (rows, cols), name)[::-1, ::-1],
        "one row for all": lambda: np.broadcast_to(values(rng, (1, cols), name), (rows, cols)),
        "dense": lambda: values(rng, (rows, cols), name),
    }
    x, y = whole[layout](), values(rng, (rows, cols), name)
    if not x.flags.writeable:
        x = np.lib.stride_tricks.as_strided(x[0].copy(), x.shape, x.strides, writeable=True)
    out = output((rows, cols), name)
    expected, bound = add_exact(x, y, name)
    args = {"x_ptr": x, "y_ptr": y, "out_ptr": out, "rows": rows, "cols": cols}
    for prefix, array in (("x", x), ("y", y), ("out", out)):
        for axis in (0, 1):
            args[f"{prefix}{axis}"] = array.strides[axis] // array.itemsize
    grid = (triton.cdiv(rows, tile[0]), triton.cdiv(cols, tile[1]))
    return Case(add_strided, args, {"ROWS": tile[0], "COLS": tile[1]}, grid, {"out_ptr": expected}, bound)


@triton.jit
def hypotenuse(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    """Once by the portable name, once by the CPU's own."""
    offsets = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offsets, mask=offsets < n)
    y = tl.load(y_ptr + offsets, mask=offsets < n)
    tl.store(out_ptr + offsets, libdevice.hypot(x, y) + cpu_libdevice.cbrt(x), mask=offsets < n)
