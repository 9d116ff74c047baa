"""Kernels as users write them for torch.compile."""

import triton
import triton.language as tl


@triton.jit
def add(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    tl.store(out_ptr + at, tl.load(x_ptr + at, mask=inside) + tl.load(y_ptr + at, mask=inside), mask=inside)


@triton.jit
def scale_in_place(x_ptr, factor, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(x_ptr + at, tl.load(x_ptr + at, mask=at < n) * factor, mask=at < n)


@triton.jit
def sine(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.sin(tl.load(x_ptr + at, mask=at < n)), mask=at < n)


@triton.jit
def sine_backward(grad_ptr, x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    grad = tl.load(grad_ptr + at, mask=at < n)
    tl.store(out_ptr + at, grad * tl.cos(tl.load(x_ptr + at, mask=at < n)), mask=at < n)


@triton.jit
def affine(x_ptr, out_ptr, factor, shift, negate, n, BLOCK: tl.constexpr):
    """Scalars of every kind that AOTInductor passes: a float, integers, a bool."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    y = tl.load(x_ptr + at, mask=at < n) * factor + shift
    tl.store(out_ptr + at, tl.where(negate, -y, y), mask=at < n)


@triton.jit(debug=True)
def checked(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n, other=0.0)
    tl.device_assert(x < 1e6, "found a large number")
    tl.store(out_ptr + at, tl.sqrt(x), mask=at < n)


@triton.jit
def row_sums(x_ptr, out_ptr, columns, BLOCK: tl.constexpr):
    """Uses scratch memory."""
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * columns + at, mask=at < columns, other=0.0)
    tl.store(out_ptr + row, tl.sum(tl.sort(x), axis=0))


@triton.jit
def add_scalar(x_ptr, out_ptr, value):
    tl.store(out_ptr, tl.load(x_ptr) + value)
