"""Row-wise kernels: fused softmax and layer norm."""

from __future__ import annotations

import numpy as np
import triton
import triton.language as tl

from . import U32, Case, dtype, guarded, output, rounding


@triton.jit
def softmax(out_ptr, in_ptr, in_stride, out_stride, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    x = tl.load(in_ptr + row * in_stride + at, mask=at < cols, other=-float("inf")).to(tl.float32)
    e = tl.exp(x - tl.max(x, axis=0))
    y = e / tl.sum(e, axis=0)
    tl.store(out_ptr + row * out_stride + at, y.to(out_ptr.dtype.element_ty), mask=at < cols)


@triton.jit
def softmax_persistent(out_ptr, in_ptr, in_stride, out_stride, rows, cols, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    for row in tl.range(tl.program_id(0), rows, tl.num_programs(0)):
        x = tl.load(in_ptr + row * in_stride + at, mask=at < cols, other=-float("inf"))
        e = tl.exp(x - tl.max(x, axis=0))
        tl.store(out_ptr + row * out_stride + at, e / tl.sum(e, axis=0), mask=at < cols)


@triton.jit
def layer_norm(x_ptr, y_ptr, w_ptr, b_ptr, mean_ptr, rstd_ptr, stride, cols, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    x_ptr += row * stride
    y_ptr += row * stride
    total = tl.zeros([BLOCK], dtype=tl.float32)
    for start in range(0, cols, BLOCK):
        at = start + tl.arange(0, BLOCK)
        total += tl.load(x_ptr + at, mask=at < cols, other=0.0).to(tl.float32)
    mean = tl.sum(total, axis=0) / cols
    squares = tl.zeros([BLOCK], dtype=tl.float32)
    for start in range(0, cols, BLOCK):
        at = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + at, mask=at < cols, other=0.0).to(tl.float32)
        x = tl.where(at < cols, x - mean, 0.0)
        squares += x * x
    rstd = 1 / tl.sqrt(tl.sum(squares, axis=0) / cols + eps)
    tl.store(mean_ptr + row, mean)
    tl.store(rstd_ptr + row, rstd)
    for start in range(0, cols, BLOCK):
        at = start + tl.arange(0, BLOCK)
        mask = at < cols
        w = tl.load(w_ptr + at, mask=mask)
        b = tl.load(b_ptr + at, mask=mask)
        x = tl.load(x_ptr + at, mask=mask, other=0.0).to(tl.float32)
        tl.store(y_ptr + at, (x - mean) * rstd * w + b, mask=mask)


def sum_error(terms: int) -> float:
    """Relative error of a float32 sum of non-negative terms: one rounding per addition on the longest way. A sum over lanes
    has at least 8 partial sums (AVX2), so that way has terms / 8 additions, and some to join them."""
    return (terms / 8 + 20) * U32


def softmax_case(
    rows: int, cols: int, block: int, name: str = "float32", persistent: int = 0, padding: int = 0, seed: int = 0
) -> Case:
    """`padding`: unused elements at the end of each row; `persistent`: programs that share all rows."""
    rng = np.random.default_rng(seed)
    x = (4 * rng.standard_normal((rows, cols + padding))).astype(dtype(name))
    inside = x[:, :cols].astype(np.float64)
    top = inside.max(axis=1, keepdims=True, initial=-np.inf)
    e = np.exp(inside - top)
    expected = x.copy().astype(np.float64)
    expected[:, :cols] = e / e.sum(axis=1, keepdims=True)
    expected[:, cols:] = 77
    # x - max is rounded once, which exp turns into a relative error of |x - max| * u; exp itself and the division err by 2
    # units at most (Triton's / is not the IEEE one); the sum by sum_error. The same errors stand in numerator and sum.
    spread = np.abs(inside - top)
    relative = (spread + spread.max(axis=1, keepdims=True, initial=0) + 8) * U32 + sum_error(cols)
    bound = np.zeros(expected.shape)
    bound[:, :cols] = relative * expected[:, :cols] + 1.001 * rounding(expected[:, :cols], name)
    args = {
        "out_ptr": output(x.shape, name),
        "in_ptr": guarded(x),
        "in_stride": cols + padding,
        "out_stride": cols + padding,
        "cols": cols,
    }
    if persistent:
        args["rows"] = rows
    return Case(
        softmax_persistent if persistent else softmax,
        args,
        {"BLOCK": block},
        (persistent or rows,),
        {"out_ptr": expected},
        {"out_ptr": bound},
    )


def layer_norm_case(rows: int, cols: int, block: int, name: str = "float32", seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((rows, cols)) * 2 + 0.5).astype(dtype(name))
    w, b = (1 + 0.3 * rng.standard_normal((2, cols))).astype(dtype(name))
    eps = 1e-5
    exact = x.astype(np.float64)
    mean = exact.mean(axis=1, keepdims=True)
    variance = exact.var(axis=1, keepdims=True)
    rstd = 1 / np.sqrt(variance + eps)
    normal = (exact - mean) * rstd
    w64, b64 = w.astype(np.float64), b.astype(np.float64)
    expected = normal * w64 + b64
    # The mean errs by the error of a sum of terms of both signs; that moves every x - mean, and the variance by its square.
    # Squares are non-negative; their sum, the division, sqrt and reciprocal give the relative error of rstd (half of the
    # variance's). Then three operations of one rounding each.
    mean_error = (sum_error(cols) + 3 * U32) * np.abs(exact).mean(axis=1, keepdims=True)
    centred = mean_error + U32 * (np.abs(exact) + np.abs(mean))
    variance_error = 2 * centred * np.sqrt(variance) + centred**2 + (sum_error(cols) + 4 * U32) * variance
    rstd_error = (0.5 * variance_error / (variance + eps) + 6 * U32) * rstd
    error = (centred * rstd + np.abs(exact - mean) * rstd_error) * np.abs(w64) + 4 * U32 * (
        np.abs(normal * w64) + np.abs(b64)
    )
    args = {
        "x_ptr": guarded(x),
        "y_ptr": output(x.shape, name),
        "w_ptr": guarded(w),
        "b_ptr": guarded(b),
        "mean_ptr": output(rows, "float32"),
        "rstd_ptr": output(rows, "float32"),
        "stride": cols,
        "cols": cols,
        "eps": eps,
    }
    return Case(
        layer_norm,
        args,
        {"BLOCK": block},
        (rows,),
        {"y_ptr": expected, "mean_ptr": mean[:, 0], "rstd_ptr": rstd[:, 0]},
        {
            "y_ptr": 1.05 * error + 1.001 * rounding(expected, name),
            "mean_ptr": 1.05 * mean_error[:, 0],
            "rstd_ptr": 1.05 * rstd_error[:, 0],
        },
    )
