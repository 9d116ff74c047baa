"""One function per mathematical operation; kernels/elementwise.py has the kernels that apply them."""

import triton
import triton.language as tl


@triton.jit
def exp(x):
    return tl.exp(x)


@triton.jit
def exp2(x):
    return tl.exp2(x)


@triton.jit
def log(x):
    return tl.log(x)


@triton.jit
def log2(x):
    return tl.log2(x)


@triton.jit
def sin(x):
    return tl.sin(x)


@triton.jit
def cos(x):
    return tl.cos(x)


@triton.jit
def sqrt(x):
    return tl.sqrt(x)


@triton.jit
def sqrt_rn(x):
    return tl.sqrt_rn(x)


@triton.jit
def rsqrt(x):
    return tl.rsqrt(x)


@triton.jit
def erf(x):
    return tl.erf(x)


@triton.jit
def floor(x):
    return tl.floor(x)


@triton.jit
def ceil(x):
    return tl.ceil(x)


@triton.jit
def sigmoid(x):
    return tl.sigmoid(x)


@triton.jit
def div_rn(x, y):
    return tl.div_rn(x, y)


@triton.jit
def fdiv(x, y):
    return tl.fdiv(x, y)


@triton.jit
def fdiv_ieee(x, y):
    return tl.fdiv(x, y, ieee_rounding=True)


@triton.jit
def fdiv_approx(x, y):
    return tl.fdiv(x, y, approx=True)


@triton.jit
def cdiv(x, y):
    return tl.cdiv(x, y)


@triton.jit
def softmax_rows(x_ptr, out_ptr, R: tl.constexpr, C: tl.constexpr):
    at = tl.arange(0, R)[:, None] * C + tl.arange(0, C)[None, :]
    tl.store(out_ptr + at, tl.softmax(tl.load(x_ptr + at), 1))


@triton.jit
def fused(x_ptr, out_ptr, BLOCK: tl.constexpr):
    """Functions of functions, in one loop."""
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at)
    y = tl.exp(x) * tl.sigmoid(x) + tl.log(x * x + 1.0)
    tl.store(out_ptr + at, tl.sqrt(y * y) - tl.erf(x) + tl.sin(x) * tl.cos(x))
