"""Kernels whose lines test_explain.py explains: each shows one kind of access, mask, loop or cost."""

import triton
import triton.language as tl


@triton.jit
def add(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    x = tl.load(x_ptr + at, mask=inside)
    y = tl.load(y_ptr + at, mask=inside)
    tl.store(out_ptr + at, x + y, mask=inside)


@triton.jit
def column(out_ptr, x_ptr, stride, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at * stride)  # run time
    tl.store(out_ptr + at * 2, x)  # two apart


@triton.jit
def backwards(out_ptr, x_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + BLOCK - 1 - at)
    tl.store(out_ptr + at, x)


@triton.jit
def look_up(out_ptr, table_ptr, index_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    index = tl.load(index_ptr + at)
    tl.store(out_ptr + at, tl.load(table_ptr + index))


@triton.jit
def every_third(out_ptr, x_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at % 3 == 0, other=0)
    tl.store(out_ptr + at, x)


@triton.jit
def running_sum(out_ptr, x_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at)
    total = tl.cumsum(x, 0)
    tl.store(out_ptr + at, total)


@triton.jit
def normalized(value):
    return tl.exp(value - tl.max(value, axis=0))  # in the helper


@triton.jit
def softmax(out_ptr, x_ptr, columns, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + tl.program_id(0) * columns + at, mask=at < columns, other=-float("inf"))
    weight = normalized(x)
    tl.store(out_ptr + at, weight / tl.sum(weight, axis=0), mask=at < columns)


@triton.jit
def product(out_ptr, a_ptr, b_ptr, SIZE: tl.constexpr):
    i = tl.arange(0, SIZE)
    at = i[:, None] * SIZE + i[None, :]
    a = tl.load(a_ptr + at)
    b = tl.load(b_ptr + at)
    c = tl.dot(a, b)
    tl.store(out_ptr + at, c)


@triton.jit
def count(counts_ptr, x_ptr, steps, STEP: tl.constexpr):
    for step in range(steps):
        x = tl.load(x_ptr + step * STEP)
        tl.atomic_add(counts_ptr + x, 1)


@triton.jit
def bad(x_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.inline_asm_elementwise("add.s32 $0, $1, 1;", "=r,r", [at], tl.int32, True, 1)
    tl.store(x_ptr + at, x)
