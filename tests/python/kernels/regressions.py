"""Kernels that were once compiled wrongly; see test_regressions.py."""

import triton
import triton.language as tl


@triton.jit
def mask_of_loaded(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    mask = (tl.load(x_ptr + at) // 3 > 1) & (at < n)
    tl.store(x_ptr + at, 0, mask=mask)
    tl.store(out_ptr + at, 7, mask=mask)


@triton.jit
def index_of_loaded(x_ptr, table_ptr, out_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    index = tl.load(x_ptr + at) // 3 + 1
    tl.store(x_ptr + at, 0)
    a = tl.load(table_ptr + index)
    b = tl.load(table_ptr + index + 5)
    tl.store(out_ptr + at, a)
    tl.store(out_ptr + BLOCK + at, b)


@triton.jit
def carried_gather(x_ptr, table_ptr, out_ptr, steps, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    pointers = table_ptr + tl.load(x_ptr + at)
    for _ in range(steps):
        pointers += 1
    tl.store(x_ptr + at, 0)
    tl.store(out_ptr + at, tl.load(pointers))


@triton.jit
def scatter_in_place(x_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    index = tl.load(x_ptr + at)
    tl.store(x_ptr + index, at)


@triton.jit
def shuffle_in_place(x_ptr, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE * SIZE)
    x = tl.reshape(tl.load(x_ptr + at), (SIZE, SIZE))
    tl.store(x_ptr + at, tl.reshape(tl.trans(x), (SIZE * SIZE,)))


@triton.jit
def transposed_exponentials(x_ptr, out_ptr, sum_ptr, n, SIZE: tl.constexpr):
    r = tl.arange(0, SIZE)
    mask = (r < n)[None, :]
    e = tl.exp2(tl.load(x_ptr + r[:, None] * SIZE + r[None, :], mask=mask, other=0.0))
    tl.store(sum_ptr + r, tl.sum(e, axis=1))
    tl.store(out_ptr + r[:, None] * SIZE + r[None, :], tl.trans(e), mask=mask)


@triton.jit
def dot_after_branch(a_ptr, b_ptr, c_ptr, out_ptr, flag, SIZE: tl.constexpr):
    r = tl.arange(0, SIZE)
    at = r[:, None] * SIZE + r[None, :]
    a, b, c = tl.load(a_ptr + at), tl.load(b_ptr + at), tl.load(c_ptr + at)
    if flag > 0:
        tl.store(out_ptr + at, tl.dot(a, b, input_precision="ieee"))
    tl.store(out_ptr + at, tl.dot(c, b, input_precision="ieee"))


@triton.jit
def dot_after_loop(a_ptr, b_ptr, c_ptr, out_ptr, steps, SIZE: tl.constexpr):
    r = tl.arange(0, SIZE)
    at = r[:, None] * SIZE + r[None, :]
    a, b, c = tl.load(a_ptr + at), tl.load(b_ptr + at), tl.load(c_ptr + at)
    rows = tl.sum(b, axis=1)
    total = tl.zeros((SIZE, SIZE), tl.float32)
    for step in range(steps):
        if step >= 0:
            total += tl.dot(a + step, b, input_precision="ieee")
    tl.store(out_ptr + at, total + tl.dot(c + rows[:, None], b, input_precision="ieee"))


@triton.jit
def dot_over_its_operand(a_ptr, b_ptr, out_ptr, steps, SIZE: tl.constexpr):
    r = tl.arange(0, SIZE)
    at = r[:, None] * SIZE + r[None, :]
    a, b = tl.load(a_ptr + at), tl.load(b_ptr + at)
    total = tl.zeros((SIZE, SIZE), tl.float32)
    for _ in range(steps):
        total = tl.dot(a, b, total, input_precision="ieee")
        tl.store(a_ptr + at, total)
    tl.store(out_ptr + at, total)


@triton.jit
def both_sides(a_ptr, b_ptr, out_ptr, SIZE: tl.constexpr):
    r = tl.arange(0, SIZE)
    at = r[:, None] * SIZE + r[None, :]
    a, b = tl.load(a_ptr + at), tl.load(b_ptr + at)
    tl.store(out_ptr + r, tl.sum(tl.dot(a, b, input_precision="ieee"), axis=1))
    tl.store(out_ptr + SIZE + at, tl.dot(b, a, input_precision="ieee"))


@triton.jit
def argmax_and_dot(a_ptr, b_ptr, out_ptr, at_ptr, SIZE: tl.constexpr):
    r = tl.arange(0, SIZE)
    at = r[:, None] * SIZE + r[None, :]
    p, b = tl.exp2(tl.load(a_ptr + at)), tl.load(b_ptr + at)
    tl.store(at_ptr + r, tl.argmax(p, axis=1))
    tl.store(out_ptr + at, tl.dot(p, b, input_precision="ieee"))


@triton.jit
def narrow_index(x_ptr, table_ptr, out_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.load(table_ptr + (tl.load(x_ptr + at) + 100)))


@triton.jit
def copy_tile(x_ptr, out_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.load(x_ptr + at))


@triton.jit
def indices_after_loop(out_ptr, steps, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    for _ in range(steps):
        at += 2
    tl.store(out_ptr + tl.arange(0, BLOCK), at)


@triton.jit
def above(out_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + at, 1, mask=at > n)


@triton.jit
def index_under_a_mask(x_ptr, p_ptr, out_ptr, n, k, m, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    index = (tl.load(p_ptr + at, mask=at < n, other=0) // k) % m
    total = tl.sum(index, 0)
    tl.store(out_ptr + at, tl.load(x_ptr + index) + total, mask=at < n)


@triton.jit
def flip_from_the_middle(x_ptr, out_ptr, low, high, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.flip(tl.load(x_ptr + at), 0), mask=(at >= low) & (at < high))


@triton.jit
def carried_narrow(out_ptr, steps, BLOCK: tl.constexpr):
    total = tl.zeros((BLOCK,), tl.int16)
    for _ in range(steps):
        total += 3
    tl.store(out_ptr + tl.arange(0, BLOCK), total)


@triton.jit
def one_place_under_a_mask(p_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.load(p_ptr + tl.zeros((BLOCK,), tl.int32), mask=at < n), mask=at < n)


@triton.jit
def ping_pong(x_ptr, y_ptr, out_ptr, steps, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    source, target = x_ptr, y_ptr
    for step in range(steps):
        x = tl.load(source + at)
        tl.store(target + at, x + step)
        tl.store(out_ptr + step * BLOCK + at, x * 100)
        source, target = target, source


@triton.jit
def far_bounds(out_ptr, low, high, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + at, 1, mask=at + low < high)


@triton.jit
def squares_before_a_dot(x_ptr, out_ptr, TIMES: tl.constexpr, SIZE: tl.constexpr):
    r = tl.arange(0, SIZE)
    at = r[:, None] * SIZE + r[None, :]
    x = tl.load(x_ptr + at)
    for _ in tl.static_range(TIMES):
        x = x * x
    tl.store(out_ptr + at, tl.dot(x, x, input_precision="ieee"))


@triton.jit
def many_scans(x_ptr, out_ptr, n, COUNT: tl.constexpr, BLOCK: tl.constexpr):
    """Each scan takes a tile of its own."""
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n, other=0.0)
    total = x
    for i in tl.static_range(COUNT):
        total += tl.cumsum(x * (i + 1), axis=0)
    tl.store(out_ptr + at, total, mask=at < n)


@triton.jit
def pages(x_ptr, y_ptr, table_ptr, out_ptr, page, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Two tensors at the same addresses, in rows that a table names: the tile of addresses has two uses."""
    row, column = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    block = tl.load(table_ptr + row // page)
    at = (block * page + row % page)[:, None] * COLUMNS + column[None, :]
    weights = tl.sum(tl.load(x_ptr + at), 1)
    tl.store(out_ptr + column, tl.sum(weights[:, None] * tl.load(y_ptr + at), 0))
