"""Tensor descriptors, made in the kernel or by the host."""

import triton
import triton.language as tl


@triton.jit
def copy(x_ptr, out_ptr, rows, cols, row, column, x_stride, PADDING: tl.constexpr, R: tl.constexpr, C: tl.constexpr):
    """A block from any place, also beside the tensor, stored densely."""
    x = tl.make_tensor_descriptor(x_ptr, [rows, cols], [x_stride, 1], [R, C], padding_option=PADDING)
    at = tl.arange(0, R)[:, None] * C + tl.arange(0, C)[None, :]
    tl.store(out_ptr + at, x.load([row, column]))


@triton.jit
def place(x_ptr, out_ptr, rows, cols, row, column, out_stride, R: tl.constexpr, C: tl.constexpr):
    out = tl.make_tensor_descriptor(out_ptr, [rows, cols], [out_stride, 1], [R, C])
    at = tl.arange(0, R)[:, None] * C + tl.arange(0, C)[None, :]
    out.store([row, column], tl.load(x_ptr + at))


@triton.jit
def ranks(x_ptr, out_ptr, SHAPE: tl.constexpr, BLOCK: tl.constexpr, RANK: tl.constexpr):
    """Descriptors of rank 1, 3, 4 and 5; the whole of a tensor, one block, twice."""
    if RANK == 1:
        x = tl.make_tensor_descriptor(x_ptr, [SHAPE[0]], [1], BLOCK)
        out = tl.make_tensor_descriptor(out_ptr, [SHAPE[0]], [1], BLOCK)
        out.store([0], x.load([0]) * 2)
    elif RANK == 3:
        s: tl.constexpr = [SHAPE[1] * SHAPE[2], SHAPE[2], 1]
        x = tl.make_tensor_descriptor(x_ptr, SHAPE, s, BLOCK)
        out = tl.make_tensor_descriptor(out_ptr, SHAPE, s, BLOCK)
        for i in range(0, SHAPE[0], BLOCK[0]):
            for j in range(0, SHAPE[1], BLOCK[1]):
                for k in range(0, SHAPE[2], BLOCK[2]):
                    out.store([i, j, k], x.load([i, j, k]) * 2)
    elif RANK == 5:
        s: tl.constexpr = [
            SHAPE[1] * SHAPE[2] * SHAPE[3] * SHAPE[4],
            SHAPE[2] * SHAPE[3] * SHAPE[4],
            SHAPE[3] * SHAPE[4],
            SHAPE[4],
            1,
        ]
        x = tl.make_tensor_descriptor(x_ptr, SHAPE, s, BLOCK)
        out = tl.make_tensor_descriptor(out_ptr, SHAPE, s, BLOCK)
        for k in range(0, SHAPE[2], BLOCK[2]):
            out.store([0, 0, k, 0, 0], x.load([0, 0, k, 0, 0]) * 2)


@triton.jit
def reduce(out_ptr, x_ptr, rows, cols, row, column, stride, KIND: tl.constexpr, R: tl.constexpr, C: tl.constexpr):
    out = tl.make_tensor_descriptor(out_ptr, [rows, cols], [stride, 1], [R, C])
    x = tl.load(x_ptr + tl.arange(0, R)[:, None] * C + tl.arange(0, C)[None, :])
    if KIND == "add":
        out.atomic_add([row, column], x)
    elif KIND == "min":
        out.atomic_min([row, column], x)
    elif KIND == "max":
        out.atomic_max([row, column], x)
    elif KIND == "and":
        out.atomic_and([row, column], x)
    elif KIND == "or":
        out.atomic_or([row, column], x)
    elif KIND == "xor":
        out.atomic_xor([row, column], x)


@triton.jit
def gather(x_ptr, rows_ptr, out_ptr, rows, cols, column, N: tl.constexpr, C: tl.constexpr):
    x = tl.make_tensor_descriptor(x_ptr, [rows, cols], [cols, 1], [1, C])
    block = x.gather(tl.load(rows_ptr + tl.arange(0, N)), column)
    tl.store(out_ptr + tl.arange(0, N)[:, None] * C + tl.arange(0, C)[None, :], block)


@triton.jit
def scatter(x_ptr, rows_ptr, out_ptr, rows, cols, column, N: tl.constexpr, C: tl.constexpr):
    out = tl.make_tensor_descriptor(out_ptr, [rows, cols], [cols, 1], [1, C])
    x = tl.load(x_ptr + tl.arange(0, N)[:, None] * C + tl.arange(0, C)[None, :])
    out.scatter(x, tl.load(rows_ptr + tl.arange(0, N)), column)


@triton.jit
def matmul(a_ptr, b_ptr, c_ptr, m, n, k, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    """Blocks that stick out are filled with zeros, and cut off when they are stored."""
    a = tl.make_tensor_descriptor(a_ptr, [m, k], [k, 1], [M, K])
    b = tl.make_tensor_descriptor(b_ptr, [k, n], [n, 1], [K, N])
    c = tl.make_tensor_descriptor(c_ptr, [m, n], [n, 1], [M, N])
    row, column = tl.program_id(0) * M, tl.program_id(1) * N
    acc = tl.zeros((M, N), tl.float32)
    for start in range(0, k, K):
        acc = tl.dot(a.load([row, start]), b.load([start, column]), acc)
    c.store([row, column], acc.to(c.dtype))


@triton.jit
def from_host(x, out, R: tl.constexpr, C: tl.constexpr):
    """Descriptors as arguments; their shapes and strides are there too."""
    for i in range(0, x.shape[0], R):
        for j in range(0, x.shape[1], C):
            out.store([i, j], tl.trans(tl.trans(x.load([i, j]))) + x.shape[1] * 1.0)


@triton.jit
def _half(desc, row):
    return desc.load([row, 0]) * 0.5


@triton.jit
def through_function(x, out, flag):
    """A descriptor passed on to a function, and chosen by a branch."""
    if flag > 0:
        y = _half(x, 8)
    else:
        y = _half(x, 0)
    out.store([0, 0], y)
