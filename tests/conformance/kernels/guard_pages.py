"""Kernels whose masks keep them inside of arrays beside which there is nothing."""

import triton
import triton.language as tl


@triton.jit
def copy(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.load(x_ptr + at, mask=at < n), mask=at < n)


@triton.jit
def interval(x_ptr, out_ptr, low, high, KIND: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    if KIND == "interval":
        mask = (at >= low) & (at < high)
    elif KIND == "outside not":
        mask = ~((at < low) | (at >= high))
    elif KIND == "unsigned":
        mask = ((at - low).to(tl.uint32) < (high - low).to(tl.uint32)) & (high > low)
    else:
        at = BLOCK - 1 - at
        mask = (at >= low) & (at < high)
    x = tl.load(x_ptr + at, mask=mask, other=0)
    tl.store(out_ptr + at, x, mask=mask)


@triton.jit
def by_mask(x_ptr, mask_ptr, out_ptr, VOLATILE: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    mask = tl.load(mask_ptr + at) != 0
    tl.store(out_ptr + at, tl.load(x_ptr + at, mask=mask, volatile=VOLATILE), mask=mask)


@triton.jit
def tile(x_ptr, out_ptr, rows, cols, KIND: tl.constexpr, R: tl.constexpr, C: tl.constexpr):
    i = tl.arange(0, R)
    j = tl.arange(0, C)
    mask = (i < rows)[:, None] & (j < cols)[None, :]
    x = tl.load(x_ptr + i[:, None] * cols + j[None, :], mask=mask, other=0)
    if KIND == "copy":
        tl.store(out_ptr + i[:, None] * cols + j[None, :], x, mask=mask)
    elif KIND == "transpose":
        inside = (j < cols)[:, None] & (i < rows)[None, :]
        tl.store(out_ptr + j[:, None] * rows + i[None, :], tl.trans(x), mask=inside)
    elif KIND == "sum rows":
        tl.store(out_ptr + i, tl.sum(x, 1), mask=i < rows)
    elif KIND == "sum columns":
        tl.store(out_ptr + j, tl.sum(x, 0), mask=j < cols)
    else:
        first = tl.load(x_ptr + i * cols, mask=i < rows)
        top = tl.load(x_ptr + j, mask=(j < cols) & (rows > 0))
        tl.store(out_ptr + i[:, None] * cols + j[None, :], first[:, None] + top[None, :], mask=mask)


@triton.jit
def strided(x_ptr, out_ptr, stride, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.load(x_ptr + at * stride, mask=at < n), mask=at < n)


@triton.jit
def gather(x_ptr, index_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    index = tl.load(index_ptr + at)
    tl.store(out_ptr + at, tl.load(x_ptr + index, mask=at < n), mask=at < n)


@triton.jit
def loop_sum(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    acc = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, n, BLOCK):
        at = start + tl.arange(0, BLOCK)
        acc += tl.load(x_ptr + at, mask=at < n, other=0)
    tl.store(out_ptr, tl.sum(acc))


@triton.jit
def loop_moving(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    """The pointers move, the mask with them."""
    at = tl.arange(0, BLOCK)
    p = x_ptr + at
    q = out_ptr + at
    left = n
    while_there = (n + BLOCK - 1) // BLOCK
    for _ in range(while_there):
        tl.store(q, tl.load(p, mask=at < left) * 2, mask=at < left)
        p += BLOCK
        q += BLOCK
        left -= BLOCK


@triton.jit
def product(a_ptr, b_ptr, c_ptr, m, n, k, a_row, b_row, b_column, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK, BLOCK), tl.float32)
    for start in range(0, k, BLOCK):
        d = start + tl.arange(0, BLOCK)
        a = tl.load(a_ptr + i[:, None] * a_row + d[None, :], mask=(i < m)[:, None] & (d < k)[None, :], other=0)
        b = tl.load(
            b_ptr + d[:, None] * b_row + j[None, :] * b_column, mask=(d < k)[:, None] & (j < n)[None, :], other=0
        )
        acc = tl.dot(a, b, acc)
    tl.store(c_ptr + i[:, None] * n + j[None, :], acc, mask=(i < m)[:, None] & (j < n)[None, :])


@triton.jit
def optional(x_ptr, bias_ptr, out_ptr, flag, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    if flag:
        x += tl.load(bias_ptr + at, mask=at < n)
    tl.store(out_ptr + at, x, mask=at < n)


@triton.jit
def zero_trip(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    """What does not change in a loop is still not to be loaded where the loop has no iteration."""
    acc = 0.0
    for _ in range(n):
        acc += tl.load(x_ptr)
    tl.store(out_ptr, acc)


@triton.jit
def other_operations(x_ptr, y_ptr, out_ptr, n, KIND: tl.constexpr, BLOCK: tl.constexpr):
    """out = x + y in ways that are no plain nest of loads and stores."""
    at = tl.arange(0, BLOCK)
    mask = at < n
    if KIND == "atomic":
        tl.store(out_ptr + at, tl.load(x_ptr + at, mask=mask), mask=mask)
        tl.atomic_add(out_ptr + at, tl.load(y_ptr + at, mask=mask), mask=mask)
    elif KIND == "scan":
        s = tl.cumsum(tl.load(x_ptr + at, mask=mask, other=0), 0)
        x = tl.gather(s, tl.maximum(at - 1, 0), 0)
        tl.store(out_ptr + at, tl.where(at == 0, s, s - x) + tl.load(y_ptr + at, mask=mask), mask=mask)
    elif KIND == "pointers":
        p = tl.where(at % 2 == 0, x_ptr + at, y_ptr + at)
        q = tl.where(at % 2 == 0, y_ptr + at, x_ptr + at)
        tl.store(out_ptr + at, tl.load(p, mask=mask) + tl.load(q, mask=mask), mask=mask)
    elif KIND == "while":
        i = 0
        while i < n:
            tl.store(out_ptr + i, tl.load(x_ptr + i) + tl.load(y_ptr + i))
            i += 1
    elif KIND == "return":
        if n == 0:
            return
        tl.store(out_ptr + at, tl.load(x_ptr + at, mask=mask) + tl.load(y_ptr + at, mask=mask), mask=mask)
    elif KIND == "sort":
        x = tl.load(x_ptr + at, mask=mask, other=1000)
        tl.store(out_ptr + at, tl.flip(tl.flip(x, 0), 0) + tl.load(y_ptr + at, mask=mask), mask=mask)


@triton.jit
def descriptor(x_ptr, out_ptr, rows, cols, R: tl.constexpr, C: tl.constexpr):
    x = tl.make_tensor_descriptor(x_ptr, [rows, cols], [cols, 1], [R, C])
    out = tl.make_tensor_descriptor(out_ptr, [rows, cols], [cols, 1], [R, C])
    for i in range(-R, rows + R, R):
        for j in range(-C, cols + C, C):
            out.store([i, j], x.load([i, j]))


@triton.jit
def divided(x_ptr, by_rest_ptr, by_quotient_ptr, out_ptr, n, DIVISOR: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    rest = tl.load(by_rest_ptr + i % DIVISOR, mask=mask)
    quotient = tl.load(by_quotient_ptr + i // DIVISOR, mask=mask)
    tl.store(out_ptr + i, tl.load(x_ptr + i, mask=mask) + rest + quotient, mask=mask)
