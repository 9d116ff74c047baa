"""Conversions: the destination is the element type of the output, or given; with a rounding, or of the bits."""

import triton
import triton.language as tl


@triton.jit
def cast(x_ptr, out_ptr, n, TO: tl.constexpr, ROUNDING: tl.constexpr, BITS: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    tl.store(out_ptr + at, x.to(TO, fp_downcast_rounding=ROUNDING, bitcast=BITS), mask=at < n)


@triton.jit
def cast_scalar(x_ptr, out_ptr, TO: tl.constexpr, ROUNDING: tl.constexpr):
    i = tl.program_id(0)
    tl.store(out_ptr + i, tl.load(x_ptr + i).to(TO, fp_downcast_rounding=ROUNDING))


@triton.jit
def there_and_back(x_ptr, out_ptr, VIA: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at)
    tl.store(out_ptr + at, x.to(VIA).to(x.dtype))


@triton.jit
def constants(out_ptr, C: tl.constexpr, TO: tl.constexpr, BLOCK: tl.constexpr):
    """The compiler converts, and must get what the machine gets."""
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.full((BLOCK,), C, tl.float32).to(TO))


@triton.jit
def implicit(x_ptr, y_ptr, out_ptr, BLOCK: tl.constexpr):
    """Operands of two types: Triton's own conversion of one, or of both."""
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.load(x_ptr + at) + tl.load(y_ptr + at))


@triton.jit
def from_bytes(x_ptr, out_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at).to(tl.float8e4b15, bitcast=True)
    tl.store(out_ptr + at, x.to(out_ptr.dtype.element_ty))


@triton.jit
def to_bytes(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    tl.store(out_ptr + at, x.to(tl.float8e4b15).to(tl.uint8, bitcast=True), mask=at < n)
