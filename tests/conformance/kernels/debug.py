"""Prints, assertions, assumptions."""

import triton
import triton.language as tl


@triton.jit
def show(x_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at)
    tl.device_print("x", x)
    tl.device_print("two: ", tl.program_id(0), x.to(tl.float32) * 0.5)
    tl.device_print("hex", x, hex=True)
    tl.device_print("only text")
    print("square", at[:, None] * BLOCK + at[None, :])
    tl.device_print("bool", x > 0)
    tl.device_print("wide", x.to(tl.int64) * 10000000000, x.to(tl.uint8))
    tl.device_print("short", x.to(tl.float16) * 0.25, x.to(tl.bfloat16) * 1.5)


@triton.jit
def show_some(n):
    pid = tl.program_id(0)
    if pid % 2 == 1:
        for i in range(n):
            tl.device_print("turn", i, pid * 10)


@triton.jit
def show_special(x_ptr):
    tl.device_print("f", tl.load(x_ptr + tl.arange(0, 4)))


@triton.jit
def show_ids():
    tl.device_print("at", tl.program_id(1))


@triton.jit
def check_scalar(out_ptr, n):
    pid = tl.program_id(0)
    tl.device_assert(pid < n, "too many programs")
    tl.store(out_ptr + pid, pid + 1)


@triton.jit
def check_tile(x_ptr, limit, n, MASKED: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at)
    if MASKED:
        tl.device_assert(x < limit, "too large", mask=at < n)
    else:
        assert tl.max(x) < limit, "too large"
    tl.store(x_ptr + at, x + 1)


@triton.jit
def check_later(x_ptr, n, BLOCK: tl.constexpr):
    """What is before the assertion is done, what is after it is not."""
    at = tl.arange(0, BLOCK)
    tl.store(x_ptr + at, at)
    for i in range(n):
        tl.device_assert(i < 3, "three at most")
        tl.store(x_ptr + i, 100)


@triton.jit
def check_in_function(x_ptr):
    _nonzero(tl.load(x_ptr))


@triton.jit
def _nonzero(x):
    tl.device_assert(x != 0, "zero in a function")


@triton.jit
def overflow(x_ptr, y_ptr, out_ptr):
    """With debug=True, Triton itself asserts that 32-bit sums do not wrap around."""
    tl.store(out_ptr, tl.load(x_ptr) + tl.load(y_ptr))


@triton.jit
def static(out_ptr, N: tl.constexpr):
    tl.static_assert(N % 2 == 0, "N must be even")
    tl.static_print("N is", N)
    tl.store(out_ptr, N)


@triton.jit
def assumptions(x_ptr, out_ptr, n, stride, BLOCK: tl.constexpr):
    """True assumptions and barriers change nothing."""
    tl.assume(n > 0)
    tl.assume(stride >= 1)
    at = tl.multiple_of(tl.program_id(0) * BLOCK, BLOCK) + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at * stride, mask=at < n)
    tl.debug_barrier()
    tl.store(out_ptr + at, x * 2, mask=at < n)
    tl.debug_barrier()
    tl.store(out_ptr + at, tl.load(out_ptr + at, mask=at < n) + 1, mask=at < n)
