"""Kernels in which the order of loads, stores and carried values shows: what fusing loop nests could get wrong."""

import triton
import triton.language as tl


@triton.jit
def shift(to_ptr, from_ptr, n, BLOCK: tl.constexpr):
    """The whole tile is loaded before any of it is stored, whatever the pointers are."""
    at = tl.arange(0, BLOCK)
    x = tl.load(from_ptr + at, mask=at < n)
    tl.store(to_ptr + at, x + 1, mask=at < n)


@triton.jit
def flip_in_place(x_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + n - 1 - at, mask=at < n)
    tl.store(x_ptr + at, x, mask=at < n)


@triton.jit
def transpose_in_place(x_ptr, SIZE: tl.constexpr):
    rows = tl.arange(0, SIZE)[:, None]
    columns = tl.arange(0, SIZE)[None, :]
    x = tl.load(x_ptr + rows * SIZE + columns)
    tl.store(x_ptr + columns * SIZE + rows, x)


@triton.jit
def store_then_load(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    """Old values are loaded, new ones stored and loaded again; both are used at the end."""
    at = tl.arange(0, BLOCK)
    inside = at < n
    old = tl.load(x_ptr + at, mask=inside)
    tl.store(x_ptr + at, old * 3, mask=inside)
    new = tl.load(x_ptr + at, mask=inside)
    tl.store(out_ptr + at, new - old, mask=inside)


@triton.jit
def running_rows(x_ptr, rows, BLOCK: tl.constexpr):
    """Each row adds the one before it, which this program has stored."""
    at = tl.arange(0, BLOCK)
    for row in range(1, rows):
        above = tl.load(x_ptr + (row - 1) * BLOCK + at)
        here = tl.load(x_ptr + row * BLOCK + at)
        tl.store(x_ptr + row * BLOCK + at, above + here)


@triton.jit
def swap(x_ptr, y_ptr, times, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    a = tl.load(x_ptr + at)
    b = tl.load(y_ptr + at)
    for _ in range(times):
        a, b = b, a
    tl.store(x_ptr + at, a)
    tl.store(y_ptr + at, b)


@triton.jit
def rotate(x_ptr, y_ptr, z_ptr, times, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    a = tl.load(x_ptr + at)
    b = tl.load(y_ptr + at)
    c = tl.load(z_ptr + at)
    for _ in range(times):
        a, b, c = b + 1, c, a
    tl.store(x_ptr + at, a)
    tl.store(y_ptr + at, b)
    tl.store(z_ptr + at, c)


@triton.jit
def old_and_new(x_ptr, y_ptr, times, BLOCK: tl.constexpr):
    """The old value is still read where the new one is summed."""
    at = tl.arange(0, BLOCK)
    a = tl.load(x_ptr + at)
    b = tl.zeros((BLOCK,), tl.int32)
    for _ in range(times):
        n = a + 1
        b += tl.sum(n, axis=0) * a
        a = n
    tl.store(x_ptr + at, a)
    tl.store(y_ptr + at, b)


@triton.jit
def carried_transpose(x_ptr, times, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)[:, None] * SIZE + tl.arange(0, SIZE)[None, :]
    x = tl.load(x_ptr + place)
    for step in range(times):
        x = tl.trans(x) + step
    tl.store(x_ptr + place, x)


@triton.jit
def choose(x_ptr, y_ptr, out_ptr, flag, n, BLOCK: tl.constexpr):
    """Loads stay inside their branch: the other pointer may be anything."""
    at = tl.arange(0, BLOCK)
    inside = at < n
    if flag > 0:
        value = tl.load(x_ptr + at, mask=inside) * 2
    else:
        value = tl.load(y_ptr + at, mask=inside) + 5
    tl.store(out_ptr + at, value, mask=inside)


@triton.jit
def nested(x_ptr, out_ptr, outer, inner, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), tl.int32)
    for i in range(outer):
        row = tl.load(x_ptr + i * BLOCK + at)
        part = tl.zeros((BLOCK,), tl.int32)
        for j in range(inner):
            part += row * j + part % 7
        total = total * 3 + part
    tl.store(out_ptr + at, total)


@triton.jit
def walk(x_ptr, out_ptr, steps, stride, BLOCK: tl.constexpr):
    """A tile of pointers that moves, downwards too, and offsets that move with it."""
    at = tl.arange(0, BLOCK)
    pointers = x_ptr + at
    offsets = at
    total = tl.zeros((BLOCK,), tl.int32)
    for _ in range(steps):
        total += tl.load(pointers) * offsets
        pointers += stride
        offsets += 1
    tl.store(out_ptr + at, total)


@triton.jit
def hashed(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    """An address that goes through a product that wraps at 32 bits."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    slot = (at.to(tl.uint32) * 2654435761) % n.to(tl.uint32)
    tl.store(out_ptr + at, tl.load(x_ptr + slot))


@triton.jit
def divide(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    """Lanes beyond n hold a zero divisor; nothing may trap."""
    at = tl.arange(0, BLOCK)
    d = tl.load(x_ptr + at, mask=at < n, other=0)
    tl.store(out_ptr + at, 100 // d, mask=at < n)


@triton.jit
def wrapping_compare(out_ptr, seed, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.where(at * seed >= 0, 1, 0))


@triton.jit
def statistics(x_ptr, out_ptr, n, other, BLOCK: tl.constexpr):
    """Reductions of a tile of which only n elements are loaded: the others count with what stands for them."""
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n, other=other)
    tl.store(out_ptr, tl.sum(x, axis=0))
    tl.store(out_ptr + 1, tl.max(x, axis=0))
    tl.store(out_ptr + 2, tl.min(x * 2 - 1, axis=0))
    tl.store(out_ptr + 3, tl.sum(tl.where(at < n, x, 2.0), axis=0))


@triton.jit
def row_statistics(x_ptr, out_ptr, rows, columns, ROWS: tl.constexpr, COLUMNS: tl.constexpr, AXIS: tl.constexpr):
    r = tl.arange(0, ROWS)
    c = tl.arange(0, COLUMNS)
    inside = (r < rows)[:, None] & (c < columns)[None, :]
    x = tl.load(x_ptr + r[:, None] * columns + c[None, :], mask=inside, other=-1.0)
    size: tl.constexpr = COLUMNS if AXIS == 0 else ROWS
    at = tl.arange(0, size)
    tl.store(out_ptr + at, tl.sum(x, axis=AXIS))
    tl.store(out_ptr + size + at, tl.max(x, axis=AXIS))


@triton.jit
def extremes(x_ptr, out_ptr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, AXIS: tl.constexpr):
    """Reductions with an index: the first of equals wins."""
    place = tl.arange(0, ROWS)[:, None] * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    x = tl.load(x_ptr + place)
    size: tl.constexpr = COLUMNS if AXIS == 0 else ROWS
    at = tl.arange(0, size)
    tl.store(out_ptr + at, tl.argmax(x, axis=AXIS))
    tl.store(out_ptr + size + at, tl.argmin(x, axis=AXIS))


@triton.jit
def products(a_ptr, b_ptr, out_ptr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr, STEPS: tl.constexpr):
    """The accumulator is scaled, read and carried at once, and every product has a second user."""
    m = tl.arange(0, M)
    n = tl.arange(0, N)
    k = tl.arange(0, K)
    total = tl.zeros((M, N), tl.float32)
    kept = tl.zeros((M, N), tl.float32)
    for step in range(STEPS):
        a = tl.load(a_ptr + step * M * K + m[:, None] * K + k[None, :])
        b = tl.load(b_ptr + step * K * N + k[:, None] * N + n[None, :])
        product = tl.dot(a, b, input_precision="ieee")
        row = tl.max(product, axis=1)
        kept += total * 0.5
        total = total * 0.25 + product - row[:, None]
    tl.store(out_ptr + m[:, None] * N + n[None, :], total + kept)
