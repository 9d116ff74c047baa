"""Reductions: Triton's own ones and combine functions of ours, over any axis of tiles of rank 1 to 4."""

import triton
import triton.language as tl


@triton.jit
def sum_(x, axis: tl.constexpr, keep: tl.constexpr):
    return tl.sum(x, axis, keep_dims=keep)


@triton.jit
def max_(x, axis: tl.constexpr, keep: tl.constexpr):
    return tl.max(x, axis, keep_dims=keep)


@triton.jit
def min_(x, axis: tl.constexpr, keep: tl.constexpr):
    return tl.min(x, axis, keep_dims=keep)


@triton.jit
def xor_sum(x, axis: tl.constexpr, keep: tl.constexpr):
    return tl.xor_sum(x, axis, keep_dims=keep)


@triton.jit
def reduce_or(x, axis: tl.constexpr, keep: tl.constexpr):
    return tl.reduce_or(x, axis, keep_dims=keep)


@triton.jit
def argmax(x, axis: tl.constexpr, keep: tl.constexpr):
    return tl.argmax(x, axis, keep_dims=keep)


@triton.jit
def argmin(x, axis: tl.constexpr, keep: tl.constexpr):
    return tl.argmin(x, axis, keep_dims=keep)


@triton.jit
def argmax_any(x, axis: tl.constexpr, keep: tl.constexpr):
    return tl.argmax(x, axis, tie_break_left=False, keep_dims=keep)


@triton.jit
def argmin_any(x, axis: tl.constexpr, keep: tl.constexpr):
    return tl.argmin(x, axis, tie_break_left=False, keep_dims=keep)


@triton.jit
def _multiply(a, b):
    return a * b


@triton.jit
def prod(x, axis: tl.constexpr, keep: tl.constexpr):
    return tl.reduce(x, axis, _multiply, keep_dims=keep)


@triton.jit
def _and(a, b):
    return a & b


@triton.jit
def all_bits(x, axis: tl.constexpr, keep: tl.constexpr):
    return tl.reduce(x, axis, _and, keep_dims=keep)


@triton.jit
def _maximum_nan(a, b):
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def max_nan(x, axis: tl.constexpr, keep: tl.constexpr):
    return tl.reduce(x, axis, _maximum_nan, keep_dims=keep)


@triton.jit
def _indices(A: tl.constexpr, B: tl.constexpr, C: tl.constexpr, D: tl.constexpr, RANK: tl.constexpr):
    i = tl.arange(0, A)
    if RANK >= 2:
        i = i[:, None] * B + tl.arange(0, B)[None, :]
    if RANK >= 3:
        i = i[:, :, None] * C + tl.arange(0, C)[None, None, :]
    if RANK >= 4:
        i = i[:, :, :, None] * D + tl.arange(0, D)[None, None, None, :]
    return i


@triton.jit
def apply(x_ptr, out_ptr, count, other, F: tl.constexpr, AXIS: tl.constexpr, KEEP: tl.constexpr, A: tl.constexpr, B: tl.constexpr,
          C: tl.constexpr, D: tl.constexpr, RANK: tl.constexpr, MASKED: tl.constexpr):  # fmt: skip
    """F of a tile in row-major order; the result is stored in row-major order too. Elements from `count` on have `other`."""
    at = _indices(A, B, C, D, RANK)
    if MASKED:
        x = tl.load(x_ptr + at, mask=at < count, other=other)
    else:
        x = tl.load(x_ptr + at)
    r = F(x, AXIS, KEEP)
    if r.type.is_block():
        r = tl.ravel(r)
        tl.store(out_ptr + tl.arange(0, r.shape[0]), r)
    else:
        tl.store(out_ptr, r)


@triton.jit
def both(
    x_ptr,
    value_ptr,
    index_ptr,
    AXIS: tl.constexpr,
    A: tl.constexpr,
    B: tl.constexpr,
    LEFT: tl.constexpr,
    LARGEST: tl.constexpr,
):
    """Extremes with their indices."""
    x = tl.load(x_ptr + tl.arange(0, A)[:, None] * B + tl.arange(0, B)[None, :])
    if LARGEST:
        v, i = tl.max(x, AXIS, return_indices=True, return_indices_tie_break_left=LEFT)
    else:
        v, i = tl.min(x, AXIS, return_indices=True, return_indices_tie_break_left=LEFT)
    at = tl.arange(0, v.shape[0])
    tl.store(value_ptr + at, v)
    tl.store(index_ptr + at, i)


@triton.jit
def _welford(mean_a, m2_a, n_a, mean_b, m2_b, n_b):
    n = n_a + n_b
    delta = mean_b - mean_a
    share = tl.where(n > 0, n_b / tl.maximum(n, 1.0), 0.0)
    return mean_a + delta * share, m2_a + m2_b + delta * delta * n_a * share, n


@triton.jit
def welford(x_ptr, out_ptr, rows, cols, R: tl.constexpr, C: tl.constexpr, AXIS: tl.constexpr):
    i = tl.arange(0, R)[:, None]
    j = tl.arange(0, C)[None, :]
    mask = (i < rows) & (j < cols)
    x = tl.load(x_ptr + i * C + j, mask=mask, other=0.0)
    mean, m2, n = tl.reduce((x, tl.zeros_like(x), mask.to(tl.float32)), AXIS, _welford)
    at = tl.arange(0, mean.shape[0])
    tl.store(out_ptr + at, mean)
    tl.store(out_ptr + mean.shape[0] + at, m2)
    tl.store(out_ptr + 2 * mean.shape[0] + at, n)


@triton.jit
def _first_and_last(first_a, last_a, first_b, last_b):
    """Associative, not commutative: the order of the elements counts."""
    return first_a, last_b


@triton.jit
def ends(x_ptr, out_ptr, A: tl.constexpr, B: tl.constexpr, AXIS: tl.constexpr):
    x = tl.load(x_ptr + tl.arange(0, A)[:, None] * B + tl.arange(0, B)[None, :])
    first, last = tl.reduce((x, x), AXIS, _first_and_last)
    at = tl.arange(0, first.shape[0])
    tl.store(out_ptr + at, first)
    tl.store(out_ptr + first.shape[0] + at, last)


@triton.jit
def _compose(a1, b1, a2, b2):
    """x -> a x + b, one after the other, modulo 2**32."""
    return a1 * a2, b1 * a2 + b2


@triton.jit
def composition(x_ptr, y_ptr, out_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    a, b = tl.reduce((tl.load(x_ptr + at), tl.load(y_ptr + at)), 0, _compose)
    tl.store(out_ptr, a)
    tl.store(out_ptr + 1, b)


@triton.jit
def _mixed(s_a, m_a, c_a, s_b, m_b, c_b):
    return s_a + s_b, tl.maximum(m_a, m_b), c_a | c_b


@triton.jit
def mixed_types(x_ptr, y_ptr, z_ptr, s_ptr, m_ptr, c_ptr, A: tl.constexpr, B: tl.constexpr, AXIS: tl.constexpr):
    """Three operands of three types."""
    at = tl.arange(0, A)[:, None] * B + tl.arange(0, B)[None, :]
    s, m, c = tl.reduce((tl.load(x_ptr + at), tl.load(y_ptr + at), tl.load(z_ptr + at)), AXIS, _mixed)
    to = tl.arange(0, s.shape[0])
    tl.store(s_ptr + to, s)
    tl.store(m_ptr + to, m)
    tl.store(c_ptr + to, c)


@triton.jit
def chained(x_ptr, out_ptr, A: tl.constexpr, B: tl.constexpr):
    """Results of reductions in other reductions, and back in the tile."""
    at = tl.arange(0, A)[:, None] * B + tl.arange(0, B)[None, :]
    x = tl.load(x_ptr + at)
    centred = x * B - tl.sum(x, 1)[:, None]
    spread = tl.max(tl.abs(centred), 1) + tl.min(centred, 0).to(tl.int32).sum()
    total = tl.sum(spread) + tl.sum(x)
    tl.store(out_ptr + at, centred + total - spread[:, None])


@triton.jit
def masked_rows(x_ptr, out_ptr, rows, cols, R: tl.constexpr, C: tl.constexpr):
    """Softmax-like statistics of rows, all of whose elements may be off."""
    i = tl.arange(0, R)[:, None]
    j = tl.arange(0, C)[None, :]
    x = tl.load(x_ptr + i * C + j, mask=(i < rows) & (j < cols), other=-float("inf"))
    m = tl.max(x, 1)
    s = tl.sum(tl.where(x == m[:, None], 1.0, 0.0), 1)
    e = tl.sum(x - m[:, None], 1)  # -inf - -inf is NaN, and infinities add up
    to = tl.arange(0, R)
    tl.store(out_ptr + to, m)
    tl.store(out_ptr + R + to, s)
    tl.store(out_ptr + 2 * R + to, e)
