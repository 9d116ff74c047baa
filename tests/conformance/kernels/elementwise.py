"""One function per operation, and kernels that apply one of them: to tiles, or (SCALAR) to one element per program."""

import triton
import triton.language as tl


@triton.jit
def _where_to_look(n, SCALAR: tl.constexpr, BLOCK: tl.constexpr):
    if SCALAR:
        at = tl.program_id(0)
    else:
        at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    return at, at < n


@triton.jit
def unary(x_ptr, out_ptr, n, F: tl.constexpr, SCALAR: tl.constexpr, BLOCK: tl.constexpr):
    at, inside = _where_to_look(n, SCALAR, BLOCK)
    tl.store(out_ptr + at, F(tl.load(x_ptr + at, mask=inside)), mask=inside)


@triton.jit
def binary(x_ptr, y_ptr, out_ptr, n, F: tl.constexpr, SCALAR: tl.constexpr, BLOCK: tl.constexpr):
    at, inside = _where_to_look(n, SCALAR, BLOCK)
    x = tl.load(x_ptr + at, mask=inside)
    y = tl.load(y_ptr + at, mask=inside)
    tl.store(out_ptr + at, F(x, y), mask=inside)


@triton.jit
def ternary(x_ptr, y_ptr, z_ptr, out_ptr, n, F: tl.constexpr, SCALAR: tl.constexpr, BLOCK: tl.constexpr):
    at, inside = _where_to_look(n, SCALAR, BLOCK)
    x = tl.load(x_ptr + at, mask=inside)
    y = tl.load(y_ptr + at, mask=inside)
    z = tl.load(z_ptr + at, mask=inside)
    tl.store(out_ptr + at, F(x, y, z), mask=inside)


@triton.jit
def with_constant(x_ptr, out_ptr, n, C: tl.constexpr, F: tl.constexpr, BLOCK: tl.constexpr):
    """One operand is known to the compiler, which may then compute in another way."""
    at, inside = _where_to_look(n, False, BLOCK)
    x = tl.load(x_ptr + at, mask=inside)
    tl.store(out_ptr + at, F(x, tl.full((BLOCK,), C, x.dtype)), mask=inside)


@triton.jit
def with_uniform(x_ptr, y_ptr, out_ptr, n, F: tl.constexpr, BLOCK: tl.constexpr):
    """One operand is the same for all lanes: row y of the output has F(x, y[row])."""
    at, inside = _where_to_look(n, False, BLOCK)
    row = tl.program_id(1)
    x = tl.load(x_ptr + at, mask=inside)
    tl.store(out_ptr + row * n + at, F(x, tl.load(y_ptr + row)), mask=inside)


@triton.jit
def chain(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    """Every operation rounds to the type; nothing is kept in a longer one."""
    at, inside = _where_to_look(n, False, BLOCK)
    x = tl.load(x_ptr + at, mask=inside)
    y = tl.load(y_ptr + at, mask=inside)
    tl.store(out_ptr + at, ((x + y) - x) * y + x, mask=inside)


@triton.jit
def add(x, y):
    return x + y


@triton.jit
def sub(x, y):
    return x - y


@triton.jit
def mul(x, y):
    return x * y


@triton.jit
def truediv(x, y):
    return x / y


@triton.jit
def floordiv(x, y):
    return x // y


@triton.jit
def mod(x, y):
    return x % y


@triton.jit
def and_(x, y):
    return x & y


@triton.jit
def or_(x, y):
    return x | y


@triton.jit
def xor(x, y):
    return x ^ y


@triton.jit
def shl(x, y):
    return x << y


@triton.jit
def shr(x, y):
    return x >> y


@triton.jit
def umulhi(x, y):
    return tl.umulhi(x, y)


@triton.jit
def minimum(x, y):
    return tl.minimum(x, y)


@triton.jit
def maximum(x, y):
    return tl.maximum(x, y)


@triton.jit
def minimum_nan(x, y):
    return tl.minimum(x, y, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def maximum_nan(x, y):
    return tl.maximum(x, y, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def lt(x, y):
    return x < y


@triton.jit
def le(x, y):
    return x <= y


@triton.jit
def gt(x, y):
    return x > y


@triton.jit
def ge(x, y):
    return x >= y


@triton.jit
def eq(x, y):
    return x == y


@triton.jit
def ne(x, y):
    return x != y


@triton.jit
def neg(x):
    return -x


@triton.jit
def invert(x):
    return ~x


@triton.jit
def absolute(x):
    return tl.abs(x)


@triton.jit
def logical_not(x):
    return not x


@triton.jit
def clamp(x, y, z):
    return tl.clamp(x, y, z)


@triton.jit
def clamp_nan(x, y, z):
    return tl.clamp(x, y, z, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def fma(x, y, z):
    return tl.fma(x, y, z)


@triton.jit
def select(x, y, z):
    return tl.where(x < y, z, x)


@triton.jit
def select_all(x, y, z):
    """A condition that is one scalar for the whole tile."""
    return tl.where(tl.program_id(0) % 2 == 0, y, z) + tl.where(x == x, x, x) * 0
