"""Prefix operations: Triton's own ones and combine functions of ours, along any axis, in both directions."""

import triton
import triton.language as tl


@triton.jit
def _add(a, b):
    return a + b


@triton.jit
def _maximum(a, b):
    return tl.maximum(a, b)


@triton.jit
def _xor(a, b):
    return a ^ b


@triton.jit
def _second(a, b):
    """Associative, and the order counts: the last one."""
    return b


@triton.jit
def cumsum(x, axis: tl.constexpr, reverse: tl.constexpr):
    return tl.cumsum(x, axis, reverse)


@triton.jit
def cumprod(x, axis: tl.constexpr, reverse: tl.constexpr):
    return tl.cumprod(x, axis, reverse)


@triton.jit
def plain_sum(x, axis: tl.constexpr, reverse: tl.constexpr):
    """In the type of the elements, however short."""
    return tl.associative_scan(x, axis, _add, reverse)


@triton.jit
def maximum(x, axis: tl.constexpr, reverse: tl.constexpr):
    return tl.associative_scan(x, axis, _maximum, reverse)


@triton.jit
def xor(x, axis: tl.constexpr, reverse: tl.constexpr):
    return tl.associative_scan(x, axis, _xor, reverse)


@triton.jit
def second(x, axis: tl.constexpr, reverse: tl.constexpr):
    return tl.associative_scan(x, axis, _second, reverse)


@triton.jit
def apply(x_ptr, out_ptr, count, F: tl.constexpr, AXIS: tl.constexpr, REVERSE: tl.constexpr, A: tl.constexpr, B: tl.constexpr,
          C: tl.constexpr, RANK: tl.constexpr, MASKED: tl.constexpr):  # fmt: skip
    at = tl.arange(0, A)
    if RANK >= 2:
        at = at[:, None] * B + tl.arange(0, B)[None, :]
    if RANK >= 3:
        at = at[:, :, None] * C + tl.arange(0, C)[None, None, :]
    if MASKED:
        tl.store(out_ptr + at, F(tl.load(x_ptr + at, mask=at < count, other=1), AXIS, REVERSE), mask=at < count)
    else:
        tl.store(out_ptr + at, F(tl.load(x_ptr + at), AXIS, REVERSE))


@triton.jit
def _line(a1, b1, a2, b2):
    """x -> a x + b, one after the other: does not commute."""
    return a1 * a2, b1 * a2 + b2


@triton.jit
def recurrence(x_ptr, y_ptr, out_ptr, A: tl.constexpr, B: tl.constexpr, AXIS: tl.constexpr, REVERSE: tl.constexpr):
    at = tl.arange(0, A)[:, None] * B + tl.arange(0, B)[None, :]
    a, b = tl.associative_scan((tl.load(x_ptr + at), tl.load(y_ptr + at)), AXIS, _line, REVERSE)
    tl.store(out_ptr + at, a)
    tl.store(out_ptr + A * B + at, b)


@triton.jit
def _first_largest(v1, i1, v2, i2):
    take = (v1 > v2) | ((v1 == v2) & (i1 <= i2))
    return tl.where(take, v1, v2), tl.where(take, i1, i2)


@triton.jit
def running_argmax(x_ptr, value_ptr, index_ptr, N: tl.constexpr, REVERSE: tl.constexpr):
    at = tl.arange(0, N)
    v, i = tl.associative_scan((tl.load(x_ptr + at), at), 0, _first_largest, REVERSE)
    tl.store(value_ptr + at, v)
    tl.store(index_ptr + at, i)


@triton.jit
def compact(x_ptr, out_ptr, count_ptr, n, N: tl.constexpr):
    """Positive elements to the front: the prefix sums are addresses."""
    at = tl.arange(0, N)
    x = tl.load(x_ptr + at, mask=at < n, other=0)
    keep = (x > 0).to(tl.int32)
    place = tl.cumsum(keep, 0) - keep
    tl.store(out_ptr + place, x, mask=keep != 0)
    tl.store(count_ptr, tl.sum(keep))


@triton.jit
def carried(x_ptr, out_ptr, n, N: tl.constexpr):
    """Blocks one after the other, with what the last one came to."""
    total = tl.zeros((), tl.int32)
    for start in range(0, n, N):
        at = start + tl.arange(0, N)
        x = tl.load(x_ptr + at, mask=at < n, other=0)
        tl.store(out_ptr + at, tl.cumsum(x, 0) + total, mask=at < n)
        total += tl.sum(x)


@triton.jit
def both_ways(x_ptr, out_ptr, A: tl.constexpr, B: tl.constexpr):
    """Scans of scans, used with what they came from."""
    at = tl.arange(0, A)[:, None] * B + tl.arange(0, B)[None, :]
    x = tl.load(x_ptr + at)
    rows = tl.cumsum(x, 1)
    area = tl.cumsum(rows, 0)
    back = tl.cumsum(x, 1, reverse=True)
    tl.store(out_ptr + at, area * 2 - rows + back - tl.sum(x, 1)[:, None] + tl.trans(tl.trans(area)))
