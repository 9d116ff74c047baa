"""Fused attention, forward, with a running softmax; causal or not, any sequence length."""

from __future__ import annotations

import numpy as np
import triton
import triton.language as tl

from . import ROUNDOFF, U32, Case, dtype, guarded, output, rounding

LOG2E: tl.constexpr = tl.constexpr(1.4426950408889634)


@triton.jit
def accumulate(
    acc,
    total,
    top,
    q,
    k_ptr,
    v_ptr,
    stride,
    first,
    last,
    rows,
    n,
    scale,
    BN: tl.constexpr,
    D: tl.constexpr,
    CAUSAL: tl.constexpr,
):
    cols = tl.arange(0, BN)
    d = tl.arange(0, D)
    for start in range(first, last, BN):
        at = start + cols
        k = tl.load(k_ptr + at[None, :] * stride + d[:, None], mask=at[None, :] < n, other=0.0)
        s = tl.dot(q, k) * scale
        allowed = at[None, :] < n
        if CAUSAL:
            allowed = allowed & (rows[:, None] >= at[None, :])
        s = tl.where(allowed, s, -float("inf"))
        higher = tl.maximum(top, tl.max(s, 1))
        p = tl.math.exp2(s - higher[:, None])
        shrink = tl.math.exp2(top - higher)
        total = total * shrink + tl.sum(p, 1)
        v = tl.load(v_ptr + at[:, None] * stride + d[None, :], mask=at[:, None] < n, other=0.0)
        acc = tl.dot(p.to(v.dtype), v, acc * shrink[:, None])
        top = higher
    return acc, total, top


@triton.jit
def attention(
    q_ptr,
    k_ptr,
    v_ptr,
    o_ptr,
    lse_ptr,
    scale,
    batch_stride,
    head_stride,
    row_stride,
    heads,
    n,
    BM: tl.constexpr,
    BN: tl.constexpr,
    D: tl.constexpr,
    CAUSAL: tl.constexpr,
):
    block = tl.program_id(0)
    which = tl.program_id(1)
    base = (which // heads).to(tl.int64) * batch_stride + (which % heads).to(tl.int64) * head_stride
    rows = block * BM + tl.arange(0, BM)
    d = tl.arange(0, D)
    scale = scale * LOG2E
    q = tl.load(q_ptr + base + rows[:, None] * row_stride + d[None, :], mask=rows[:, None] < n, other=0.0)
    acc = tl.zeros([BM, D], dtype=tl.float32)
    total = tl.zeros([BM], dtype=tl.float32)
    top = tl.full([BM], -float("inf"), dtype=tl.float32)
    if CAUSAL:
        last = tl.minimum((block + 1) * BM, n)
    else:
        last = n
    acc, total, top = accumulate(
        acc, total, top, q, k_ptr + base, v_ptr + base, row_stride, 0, last, rows, n, scale, BN, D, CAUSAL
    )
    out = (acc / total[:, None]).to(o_ptr.dtype.element_ty)
    tl.store(o_ptr + base + rows[:, None] * row_stride + d[None, :], out, mask=rows[:, None] < n)
    tl.store(lse_ptr + which * n + rows, top + tl.math.log2(total), mask=rows < n)


def attention_case(
    batch: int,
    heads: int,
    n: int,
    head_size: int = 64,
    causal: bool = False,
    name: str = "float32",
    tile: tuple[int, int] = (32, 32),
    seed: int = 0,
) -> Case:
    rng = np.random.default_rng(seed)
    shape = (batch, heads, n, head_size)
    q, k, v = (guarded(rng.standard_normal(shape).astype(dtype(name))) for _ in range(3))
    scale = 1 / np.sqrt(head_size)
    q64, k64, v64 = (t.astype(np.float64) for t in (q, k, v))
    s = scale * (q64 @ k64.swapaxes(-1, -2))
    if causal:
        s = np.where(np.tril(np.ones((n, n), bool)), s, -np.inf)
    top = s.max(axis=-1, keepdims=True, initial=-np.inf)
    p = np.exp(s - top)
    total = p.sum(axis=-1, keepdims=True)
    p /= total
    expected = p @ v64
    lse = ((top + np.log(total)) * np.log2(np.e))[..., 0]
    # A score errs by an inner product of head_size terms, one multiplication by the scale, and one subtraction; exp2 turns
    # the absolute error into a relative one of every weight, its own error is 2 units. A weight is rounded to the input's
    # type before the second product, whose sum has n terms and a multiplication per tile; the sum of weights likewise.
    magnitude = scale * (np.abs(q64) @ np.abs(k64).swapaxes(-1, -2)).max(axis=-1, keepdims=True, initial=0)
    score = (head_size + 6) * U32 * magnitude * 2
    weight = 2 * score + 8 * U32 + (ROUNDOFF[name] if name != "float32" else 0)
    relative = weight + 2 * (n + 16) * U32
    bound = 1.01 * relative * (p @ np.abs(v64)) + 1.01 * rounding(expected, name)
    lse_bound = np.log2(np.e) * (score[..., 0] + sum_of_weights(n)) + 4 * U32 * np.abs(lse)
    args = {
        "q_ptr": q,
        "k_ptr": k,
        "v_ptr": v,
        "o_ptr": output(shape, name),
        "lse_ptr": output((batch, heads, n), "float32"),
        "scale": float(scale),
        "batch_stride": heads * n * head_size,
        "head_stride": n * head_size,
        "row_stride": head_size,
        "heads": heads,
        "n": n,
    }
    return Case(
        attention,
        args,
        {"BM": tile[0], "BN": tile[1], "D": head_size, "CAUSAL": causal},
        (triton.cdiv(n, tile[0]), batch * heads),
        {"o_ptr": expected, "lse_ptr": lse},
        {"o_ptr": bound, "lse_ptr": lse_bound},
    )


def sum_of_weights(n: int) -> float:
    """Relative error of the sum of n weights and of the logarithm that follows, in units of the natural logarithm."""
    return (n + 20) * U32
