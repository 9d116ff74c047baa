"""Loads and stores: masks, `other`, strides, computed addresses, pointers in memory, hints, and what is read after it was written."""

import triton
import triton.language as tl


@triton.jit
def masked_copy(x_ptr, m_ptr, out_ptr, lo, hi, other, KIND: tl.constexpr, OTHER: tl.constexpr, BLOCK: tl.constexpr):
    """A tile through a mask of one KIND; lanes that are off have `other`, or 0 where there is none."""
    at = tl.arange(0, BLOCK)
    if KIND == "prefix":
        mask = at < hi
    elif KIND == "suffix":
        mask = at >= lo
    elif KIND == "interval":
        mask = (at >= lo) & (at < hi)
    elif KIND == "outside":
        mask = (at < lo) | (at >= hi)
    elif KIND == "not":
        mask = ~((at >= lo) & (at < hi))
    elif KIND == "one":
        mask = at == lo
    elif KIND == "all but one":
        mask = at != lo
    elif KIND == "pattern":
        mask = (at % 3 == 1) & (at < hi)
    elif KIND == "uniform":
        mask = tl.full((BLOCK,), True, tl.int1) & (lo < hi)
    elif KIND == "scaled":
        mask = at * 3 + lo < hi * 2
    elif KIND == "downward":
        mask = hi - at > lo
    elif KIND == "divided":
        mask = at // 4 < hi // 4
    elif KIND == "unsigned":
        mask = (at - lo).to(tl.uint32) < (hi - lo).to(tl.uint32)
    elif KIND == "xor":
        mask = (at < lo) ^ (at < hi)
    elif KIND == "loaded":
        mask = tl.load(m_ptr + at) != 0
    elif KIND == "loaded or":
        mask = (tl.load(m_ptr + at) != 0) | (at < lo)
    elif KIND == "loaded and":
        mask = (tl.load(m_ptr + at) != 0) & (at < hi)
    if OTHER:
        x = tl.load(x_ptr + at, mask=mask, other=other)
    else:
        x = tl.load(x_ptr + at, mask=mask)
    tl.store(out_ptr + at, x)
    tl.store(out_ptr + BLOCK + at, x, mask=mask)


@triton.jit
def masked_tile(x_ptr, out_ptr, rows, cols, stride, KIND: tl.constexpr, R: tl.constexpr, C: tl.constexpr):
    """Masks of two dimensions: products, unions, triangles, rows alone."""
    i = tl.arange(0, R)[:, None]
    j = tl.arange(0, C)[None, :]
    if KIND == "product":
        mask = (i < rows) & (j < cols)
    elif KIND == "union":
        mask = (i < rows) | (j < cols)
    elif KIND == "triangle":
        mask = i >= j
    elif KIND == "band":
        mask = (i >= j) & (i - j < cols) & (i < rows)
    elif KIND == "row":
        mask = (i < rows) & (j >= 0)
    elif KIND == "column":
        mask = (j < cols) & (i >= 0)
    elif KIND == "broadcast":
        mask = tl.broadcast_to(j < cols, (R, C))
    elif KIND == "flat":
        mask = i * C + j < rows * cols
    elif KIND == "diagonal":
        mask = (i == j) & (i < rows)
    x = tl.load(x_ptr + i * stride + j, mask=mask, other=-1)
    tl.store(out_ptr + i * C + j, x)


@triton.jit
def strided(x_ptr, out_ptr, n, x_stride, out_stride, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at * x_stride, mask=at < n)
    tl.store(out_ptr + at * out_stride, x, mask=at < n)


@triton.jit
def strided_constant(x_ptr, out_ptr, n, X: tl.constexpr, OUT: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at * X, mask=at < n)
    tl.store(out_ptr + at * OUT, x, mask=at < n)


@triton.jit
def tile_of_strides(x_ptr, out_ptr, rows, cols, x0, x1, out0, out1, R: tl.constexpr, C: tl.constexpr):
    i = tl.program_id(0) * R + tl.arange(0, R)[:, None]
    j = tl.program_id(1) * C + tl.arange(0, C)[None, :]
    mask = (i < rows) & (j < cols)
    x = tl.load(x_ptr + i * x0 + j * x1, mask=mask, other=0)
    tl.store(out_ptr + i * out0 + j * out1, x, mask=mask)


@triton.jit
def cube_of_strides(x_ptr, out_ptr, s0, s1, s2, n0, n1, n2, A: tl.constexpr, B: tl.constexpr, C: tl.constexpr):
    i = tl.arange(0, A)[:, None, None]
    j = tl.arange(0, B)[None, :, None]
    k = tl.arange(0, C)[None, None, :]
    mask = (i < n0) & (j < n1) & (k < n2)
    x = tl.load(x_ptr + i * s0 + j * s1 + k * s2, mask=mask, other=0)
    tl.store(out_ptr + (i * B + j) * C + k, x)


@triton.jit
def computed(x_ptr, out_ptr, n, K: tl.constexpr, KIND: tl.constexpr, BLOCK: tl.constexpr):
    """Addresses that are no plain multiple of the lane."""
    at = tl.arange(0, BLOCK)
    if KIND == "div":
        index = at // K
    elif KIND == "mod":
        index = at % K
    elif KIND == "div mod":
        index = (at % K) * (BLOCK // K) + at // K
    elif KIND == "xor":
        index = at ^ K
    elif KIND == "and":
        index = at & K
    elif KIND == "or":
        index = at | K
    elif KIND == "shift":
        index = (at >> 1) + ((at & 1) << 2)
    elif KIND == "negative div":
        index = (at - K) // 3 + K
    elif KIND == "negative mod":
        index = (at - K) % 4 + 8
    elif KIND == "wrap":
        index = (at + n) % BLOCK
    elif KIND == "square":
        index = (at * at) % BLOCK
    elif KIND == "minimum":
        index = tl.minimum(at + K, BLOCK - 1)
    elif KIND == "where":
        index = tl.where(at < K, at + 1, at - 1) & (BLOCK - 1)
    elif KIND == "compare":
        index = (at > K).to(tl.int32) * 5 + (at == n).to(tl.int32)
    elif KIND == "reverse":
        index = BLOCK - 1 - at
    tl.store(out_ptr + at, tl.load(x_ptr + index))


@triton.jit
def gather_scatter(x_ptr, from_ptr, to_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    source = tl.load(from_ptr + at, mask=inside, other=0)
    target = tl.load(to_ptr + at, mask=inside, other=0)
    tl.store(out_ptr + target, tl.load(x_ptr + source, mask=inside), mask=inside)


@triton.jit
def through_pointers(rows_ptr, out_ptr, n, BLOCK: tl.constexpr):
    """rows_ptr has addresses of rows, as 64-bit integers."""
    row = tl.load(rows_ptr + tl.program_id(0)).to(tl.pointer_type(tl.float32))
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + tl.program_id(0) * n + at, tl.load(row + at, mask=at < n), mask=at < n)


@triton.jit
def lane_pointers(rows_ptr, out_ptr, column, R: tl.constexpr, C: tl.constexpr):
    """A tile of pointers, one per lane and one per row."""
    i = tl.arange(0, R)
    rows = tl.load(rows_ptr + i).to(tl.pointer_type(tl.float32))
    tl.store(out_ptr + i, tl.load(rows + column))
    j = tl.arange(0, C)
    tl.store(out_ptr + R + i[:, None] * C + j[None, :], tl.load(rows[:, None] + j[None, :]))


@triton.jit
def select_pointer(x_ptr, y_ptr, out_ptr, which, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    p = tl.where(at % 2 == 0, x_ptr + at, y_ptr + at)
    tl.store(out_ptr + at, tl.load(p))
    if which > 0:
        q = x_ptr
    else:
        q = y_ptr
    tl.store(out_ptr + BLOCK + at, tl.load(q + at))


@triton.jit
def pointer_difference(x_ptr, y_ptr, out_ptr):
    tl.store(out_ptr, (y_ptr.to(tl.int64) - x_ptr.to(tl.int64)) // 4)
    tl.store(out_ptr + 1, tl.load((x_ptr.to(tl.int64) + 8).to(tl.pointer_type(tl.int32), bitcast=True)).to(tl.int64))


@triton.jit
def as_other_type(x_ptr, out_ptr, BLOCK: tl.constexpr):
    """The same memory as floats and as integers."""
    at = tl.arange(0, BLOCK)
    bits = tl.load(x_ptr.to(tl.pointer_type(tl.int32), bitcast=True) + at)
    tl.store(out_ptr.to(tl.pointer_type(tl.int32), bitcast=True) + at, bits ^ -2147483648)


@triton.jit
def far(x_ptr, out_ptr, offset, BLOCK: tl.constexpr):
    """Offsets past 2**31 elements, there and back again."""
    at = tl.arange(0, BLOCK).to(tl.int64)
    p = x_ptr + (at + offset)
    tl.store(out_ptr + at, tl.load(p - offset))
    tl.store(out_ptr + BLOCK + at, tl.load(x_ptr - offset + (offset + at)))


@triton.jit
def small_offsets(x_ptr, out_ptr, OFFSET: tl.constexpr, BLOCK: tl.constexpr):
    """Offsets of a narrow type: unsigned ones are never negative, signed ones may be."""
    at = tl.arange(0, BLOCK)
    index = (at + OFFSET).to(tl.uint8) if OFFSET >= 0 else (at + OFFSET).to(tl.int8)
    tl.store(out_ptr + at, tl.load(x_ptr + index))


@triton.jit
def broadcasting(x_ptr, y_ptr, out_ptr, R: tl.constexpr, C: tl.constexpr):
    """Rows, columns and scalars that are loaded once and used everywhere."""
    i = tl.arange(0, R)[:, None]
    j = tl.arange(0, C)[None, :]
    s = tl.load(x_ptr + 3)
    tl.store(out_ptr + i * C + j, tl.load(x_ptr + i) * s + tl.load(y_ptr + j))
    tl.store(out_ptr + R * C + i * C + j, tl.load(y_ptr + j + i * 0))


@triton.jit
def transposed(x_ptr, out_ptr, R: tl.constexpr, C: tl.constexpr):
    i = tl.arange(0, R)[:, None]
    j = tl.arange(0, C)[None, :]
    x = tl.load(x_ptr + i * C + j)
    tl.store(out_ptr + j * R + i, x + 1)
    y = tl.trans(tl.load(x_ptr + i * C + j))
    tl.store(out_ptr + R * C + tl.arange(0, C)[:, None] * R + tl.arange(0, R)[None, :], y + 1)


@triton.jit
def hinted(x_ptr, out_ptr, n, LOAD: tl.constexpr, STORE: tl.constexpr, EVICT: tl.constexpr, VOLATILE: tl.constexpr,
           BLOCK: tl.constexpr):  # fmt: skip
    at = tl.max_contiguous(tl.multiple_of(tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), BLOCK), BLOCK)
    x = tl.load(x_ptr + at, mask=at < n, cache_modifier=LOAD, eviction_policy=EVICT, volatile=VOLATILE)
    tl.store(out_ptr + at, x, mask=at < n, cache_modifier=STORE, eviction_policy=EVICT)


@triton.jit
def booleans(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n, other=True)
    y = tl.load(y_ptr + at, mask=at < n)
    tl.store(out_ptr + at, x & ~y)


@triton.jit
def scalar_masks(x_ptr, out_ptr, n, other):
    i = tl.program_id(0)
    tl.store(out_ptr + i, tl.load(x_ptr + i, mask=i < n, other=other), mask=i != 2)


@triton.jit
def zero_stride(x_ptr, out_ptr, stride, BLOCK: tl.constexpr):
    """With stride 0 all lanes load one element; the store after it is to many."""
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at * stride)
    tl.store(x_ptr + at, at * 10)
    y = tl.load(x_ptr + at * stride)
    tl.store(out_ptr + at, x)
    tl.store(out_ptr + BLOCK + at, y)


@triton.jit
def mirrored(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    """x[i] is read and y[n - 1 - i] is written, in one memory or two."""
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    tl.store(y_ptr + n - 1 - at, x * 2, mask=at < n)


@triton.jit
def two_widths(x_ptr, wide_ptr, n, BLOCK: tl.constexpr):
    """16-bit elements are read, 32-bit ones written, from one address on."""
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    tl.store(wide_ptr + at, x.to(tl.int32) + 100000, mask=at < n)


@triton.jit
def read_write_read(a_ptr, b_ptr, c_ptr, out_ptr, n, BLOCK: tl.constexpr):
    """Three pointers, in any way the same; every load sees the stores before it."""
    at = tl.arange(0, BLOCK)
    mask = at < n
    a = tl.load(a_ptr + at, mask=mask, other=0)
    tl.store(b_ptr + at, a + 1, mask=mask)
    c = tl.load(c_ptr + at, mask=mask, other=0)
    tl.store(a_ptr + at, c * 2, mask=mask)
    b = tl.load(b_ptr + at, mask=mask, other=0)
    s = tl.sum(b)
    tl.store(c_ptr + at, b + s, mask=mask)
    tl.store(out_ptr + at, tl.load(a_ptr + at, mask=mask, other=0) + b, mask=mask)


@triton.jit
def many_steps(x_ptr, y_ptr, steps, n, BLOCK: tl.constexpr):
    """A stencil in place: every step reads what the one before wrote, through a pointer that may be the same."""
    at = tl.arange(0, BLOCK)
    for step in range(steps):
        left = tl.load(x_ptr + at, mask=at < n, other=0)
        right = tl.load(x_ptr + at + 1, mask=at < n, other=0)
        tl.store(y_ptr + at, left + right * 3 + step, mask=at < n)


@triton.jit
def shifted_mask(x_ptr, out_ptr, low, high, BLOCK: tl.constexpr):
    """The mask counts from `low`, in int32, the addresses do not."""
    i = tl.arange(0, BLOCK)
    mask = (i + low) < high
    tl.store(out_ptr + i, tl.load(x_ptr + i, mask=mask, other=-1), mask=mask)


@triton.jit
def split_mask(x_ptr, out_ptr, a, b, high, BLOCK: tl.constexpr):
    """Uniform sums wrap, the tile does not."""
    i = tl.arange(0, BLOCK)
    start = tl.full([BLOCK], 0, tl.int32) + a
    tl.store(out_ptr + i, tl.load(x_ptr + i), mask=(start + b + i) < (tl.full([BLOCK], 1, tl.int32) + high))


@triton.jit
def shifted_select(out_ptr, low, high, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(out_ptr + i, tl.where(i + low < high, i, -1))


@triton.jit
def block_mask(x_ptr, out_ptr, block, high, BLOCK: tl.constexpr):
    """As the blocks of programs: `block * BLOCK` may wrap, the block does not."""
    i = tl.arange(0, BLOCK)
    tl.store(out_ptr + i, tl.load(x_ptr + i), mask=block * BLOCK + i < high)


@triton.jit
def around(x_ptr, out_ptr, BLOCK: tl.constexpr):
    """Every fourth address is 0 again, in int32."""
    i = tl.arange(0, BLOCK)
    at = i << 30
    tl.store(out_ptr + i, tl.load(x_ptr + at, mask=at == 0, other=7))


@triton.jit
def widened_mask(out_ptr, x, y, n, INSIDE: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    if INSIDE:
        at = ((x + i) + y).to(tl.int64)
    else:
        at = (x + i).to(tl.int64) + y
    tl.store(out_ptr + i, 1, mask=at < n)
