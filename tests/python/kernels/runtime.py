"""Kernels that the tests of Triton's runtime launch, tune, refuse and let fail; see runtime_kit.py."""

import triton
import triton.language as tl


@triton.jit
def scale(x_ptr, n, factor, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    tl.store(x_ptr + at, x * factor, mask=at < n)


@triton.jit
def strided(x_ptr, out_ptr, n, stride, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.load(x_ptr + at * stride, mask=at < n), mask=at < n)


@triton.jit
def even_only(out_ptr, n, VALUE: tl.constexpr, BLOCK: tl.constexpr):
    tl.static_assert(VALUE % 2 == 0, "VALUE must be even")
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + at, VALUE, mask=at < n)


@triton.jit
def perhaps_refused(x_ptr, n, GPU: tl.constexpr):
    at = tl.arange(0, 64)
    x = tl.load(x_ptr + at, mask=at < n)
    if GPU:
        x = tl.inline_asm_elementwise("mov.b32 $0, $1;", "=r,r", [x], dtype=tl.float32, is_pure=True, pack=1)
    tl.store(x_ptr + at, x + 1, mask=at < n)


@triton.jit
def limited(x_ptr, n, limit, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.device_assert(n <= limit, "n is above the limit")
    tl.store(x_ptr + at, at, mask=at < n)
