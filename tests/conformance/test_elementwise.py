"""Elementwise arithmetic on every number type: wrap-around, division by zero and -1, shifts past the width, NaN and signed zero,
denormals, one rounding per operation. In tiles and in scalars, with operands that vary, are uniform, are constants."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from .kernels import elementwise as k
from .kit import FLOATS, INTEGERS, NUMBERS, SIGNED, Data, T, check, launch, sample, to_odd, values

COUNT = 33  # distinct values of an operand, and all pairs of them


def pairs(type_, seed=0):
    x = values(type_, COUNT, seed)
    y = values(type_, COUNT, seed + 1)
    return [Data.of(type_, v) for v in (np.repeat(x, y.size), np.tile(y, x.size))]


def run(kernel, f, operands, out_type, scalar=False, block=128, **options) -> Data:
    scalar = scalar in (True, "scalar")
    n = operands[0].array.size
    out = Data.zeros(out_type, n)
    grid = n if scalar else -(-n // block)
    launch(kernel, grid, *operands, out, n, F=f, SCALAR=scalar, BLOCK=block, **options)
    return out


def on_integers(f):
    """f over Python integers, element by element."""
    return lambda *xs: np.frompyfunc(f, len(xs), 1)(*[x.astype(object) for x in xs])


# -- integers


def truncated(x, y):
    """x // y as C has it; the two divisions that would trap are by 1 and wrap around."""
    return x if y == 0 else abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


def left(bits):
    return lambda x, y: x << y if 0 <= y < bits else 0


def right(bits):
    return lambda x, y: x >> (y if 0 <= y < bits else bits - 1 if x < 0 else bits)


def high(bits):
    unsigned = (1 << bits) - 1
    return lambda x, y: ((x & unsigned) * (y & unsigned)) >> bits


INTEGER_BINARY = {
    k.add: lambda t: lambda x, y: x + y,
    k.sub: lambda t: lambda x, y: x - y,
    k.mul: lambda t: lambda x, y: x * y,
    k.floordiv: lambda t: truncated,
    k.mod: lambda t: lambda x, y: 0 if y == 0 else x - truncated(x, y) * y,
    k.and_: lambda t: lambda x, y: x & y,
    k.or_: lambda t: lambda x, y: x | y,
    k.xor: lambda t: lambda x, y: x ^ y,
    k.shl: lambda t: left(t.bits),
    k.shr: lambda t: right(t.bits),
    k.minimum: lambda t: min,
    k.maximum: lambda t: max,
    k.umulhi: lambda t: high(t.bits),
}
COMPARES = {
    k.lt: lambda x, y: x < y,
    k.le: lambda x, y: x <= y,
    k.gt: lambda x, y: x > y,
    k.ge: lambda x, y: x >= y,
    k.eq: lambda x, y: x == y,
    k.ne: lambda x, y: x != y,
}
WIDE_ONLY = (k.umulhi,)


def names(value):
    return getattr(value, "__name__", None) or str(value)


def both(cases):
    """In tiles, and in scalars."""
    return [(scalar, *case) for scalar in ("tile", "scalar") for case in cases]


def integer_cases(table):
    return [(f, t) for f in table for t in INTEGERS if f not in WIDE_ONLY or t.bits >= 32]


@pytest.mark.parametrize(("scalar", "f", "type_"), sample(both(integer_cases(INTEGER_BINARY)), 120), ids=names)
def test_integer(scalar, f, type_):
    x, y = pairs(type_)
    out = run(k.binary, f, (x, y), type_, scalar)
    check(out, on_integers(INTEGER_BINARY[f](type_))(x.array, y.array))


CONSTANTS = (1, 2, 3, 7, 10, 16, 100, -1, -3, -8)


@pytest.mark.parametrize(
    ("f", "type_", "constant"),
    sample(
        [
            (f, t, c)
            for f in (k.floordiv, k.mod, k.mul, k.shl, k.shr, k.add, k.and_, k.minimum)
            for t in INTEGERS
            for c in (*CONSTANTS, t.min, t.max)
            if t.min <= c <= t.max
        ],
        150,
    ),
    ids=names,
)
def test_integer_with_constant(f, type_, constant):
    x = Data.of(type_, values(type_, 200))
    out = Data.zeros(type_, x.shape)
    launch(k.with_constant, 2, x, out, 200, C=constant, F=f, BLOCK=128)
    check(out, on_integers(INTEGER_BINARY[f](type_))(x.array, np.full(200, constant, object)))


@pytest.mark.parametrize(("f", "type_"), integer_cases([k.floordiv, k.mod, k.shl, k.shr, k.mul, k.umulhi]), ids=names)
def test_integer_with_uniform(f, type_):
    x, y = Data.of(type_, values(type_, 100)), Data.of(type_, values(type_, 25, 3))
    out = Data.zeros(type_, (25, 100))
    launch(k.with_uniform, (1, 25), x, y, out, 100, F=f, BLOCK=128)
    check(out, on_integers(INTEGER_BINARY[f](type_))(x.array[None, :], y.array[:, None]))


@pytest.mark.parametrize("scalar", [False, True], ids=["tile", "scalar"])
@pytest.mark.parametrize("type_", INTEGERS, ids=names)
def test_integer_unary(type_, scalar):
    x = Data.of(type_, values(type_, 200))
    for f, exact in ((k.invert, lambda v: ~v), (k.neg, lambda v: -v), (k.absolute, abs)):
        check(run(k.unary, f, (x,), type_, scalar), on_integers(exact)(x.array))  # the least value is its own negative


@pytest.mark.parametrize("type_", INTEGERS, ids=names)
def test_integer_ternary(type_):
    x, y, z = (Data.of(type_, values(type_, 300, seed)) for seed in range(3))
    check(run(k.ternary, k.select, (x, y, z), type_), np.where(x.array < y.array, z.array, x.array))
    low, high_ = (Data(type_, f(y.array, z.array)) for f in (np.minimum, np.maximum))
    check(run(k.ternary, k.clamp, (x, low, high_), type_), np.clip(x.array, low.array, high_.array))


@pytest.mark.parametrize("f", [k.and_, k.or_, k.xor, k.eq, k.ne, k.add, k.mul], ids=names)
@pytest.mark.parametrize("scalar", [False, True], ids=["tile", "scalar"])
def test_booleans(f, scalar):
    x, y = pairs(T["i1"])
    exact = (INTEGER_BINARY[f](T["i1"]) if f in INTEGER_BINARY else COMPARES[f])(
        x.array.astype(int), y.array.astype(int)
    )
    check(run(k.binary, f, (x, y), T["i1"], scalar), exact)


@pytest.mark.parametrize("f", [k.invert, k.logical_not], ids=names)
def test_boolean_not(f):
    x = Data(T["i1"], np.arange(100) % 3 == 0)
    check(run(k.unary, f, (x,), T["i1"], scalar=f is k.logical_not), ~x.array)


# -- compares


@pytest.mark.parametrize(
    ("scalar", "f", "type_"), sample(both([(f, t) for f in COMPARES for t in NUMBERS]), 70), ids=names
)
def test_compare(scalar, f, type_):
    x, y = pairs(type_)
    with np.errstate(invalid="ignore"):
        check(run(k.binary, f, (x, y), T["i1"], scalar), COMPARES[f](x.values, y.values))


# -- floats: float64 holds sums and products of the short types so closely that rounding twice is rounding once (53 >= 2p + 2)


def signed(pick):
    """NaN wins; minus zero is below zero."""

    def exact(x, y):
        result = pick(x, y)
        zeros = (x == 0) & (y == 0)
        sign = np.signbit(x) & np.signbit(y) if pick is np.maximum else np.signbit(x) | np.signbit(y)
        return np.where(zeros, np.where(sign, -0.0, 0.0), result)

    return exact


FLOAT_BINARY = {
    k.add: np.add,
    k.sub: np.subtract,
    k.mul: np.multiply,
    k.truediv: np.divide,
    k.mod: np.fmod,
    k.minimum: np.fmin,
    k.maximum: np.fmax,
    k.minimum_nan: signed(np.minimum),
    k.maximum_nan: signed(np.maximum),
}


@pytest.mark.parametrize("scalar", [False, True], ids=["tile", "scalar"])
@pytest.mark.parametrize("type_", FLOATS, ids=names)
@pytest.mark.parametrize("f", FLOAT_BINARY, ids=names)
def test_float(f, type_, scalar):
    x, y = pairs(type_)
    out_type = type_ if f not in (k.truediv, k.mod) or type_.bits == 64 else T["fp32"]  # what Triton divides in
    out = run(k.binary, f, (x, y), out_type, scalar)
    with np.errstate(all="ignore"):
        exact = FLOAT_BINARY[f](x.values, y.values)
    check(out, exact, signed_zero=f not in (k.minimum, k.maximum))


@pytest.mark.parametrize("constant", [-0.0, 1.0, -1.0, 2.0, 3.0, 0.1, 1e-3, float("inf"), float("nan")])
@pytest.mark.parametrize("type_", FLOATS, ids=names)
def test_float_with_constant(type_, constant):
    x = Data.of(type_, values(type_, 200))
    c = Data.of(type_, [constant]).values
    for f in (k.add, k.mul, k.sub, k.truediv, k.maximum):
        out_type = type_ if f is not k.truediv or type_.bits == 64 else T["fp32"]
        out = Data.zeros(out_type, x.shape)
        launch(k.with_constant, 2, x, out, 200, C=constant, F=f, BLOCK=128)
        with np.errstate(all="ignore"):
            check(out, FLOAT_BINARY[f](x.values, c), signed_zero=f is not k.maximum)


@pytest.mark.parametrize("type_", FLOATS, ids=names)
@pytest.mark.parametrize("f", [k.truediv, k.mod, k.mul], ids=names)
def test_float_with_uniform(f, type_):
    x, y = Data.of(type_, values(type_, 100)), Data.of(type_, values(type_, 25, 3))
    out_type = type_ if f is k.mul or type_.bits == 64 else T["fp32"]
    out = Data.zeros(out_type, (25, 100))
    launch(k.with_uniform, (1, 25), x, y, out, 100, F=f, BLOCK=128)
    with np.errstate(all="ignore"):
        check(out, FLOAT_BINARY[f](x.values[None, :], y.values[:, None]), signed_zero=True)


@pytest.mark.parametrize("scalar", [False, True], ids=["tile", "scalar"])
@pytest.mark.parametrize("type_", FLOATS, ids=names)
def test_float_unary(type_, scalar):
    x = Data.of(type_, values(type_, 200))
    for f, exact in ((k.neg, np.negative), (k.absolute, np.abs)):
        check(run(k.unary, f, (x,), type_, scalar), exact(x.values), signed_zero=True)


def fused(x: float, y: float, z: float) -> float:
    """x * y + z, exact but for a rounding to odd, which the last rounding does not notice."""
    if not np.isfinite([x, y, z]).all():
        return x * y + z
    exact = Fraction(x) * Fraction(y) + Fraction(z)
    if exact == 0:
        return x * y + z  # with the sign of zero that IEEE gives; a product that underflows is not 0 here
    try:
        return to_odd(exact)
    except OverflowError:
        return np.inf if exact > 0 else -np.inf


@pytest.mark.parametrize("scalar", [False, True], ids=["tile", "scalar"])
@pytest.mark.parametrize("type_", FLOATS, ids=names)
def test_fma(type_, scalar):
    x, y = pairs(type_)
    z = Data.of(type_, np.random.default_rng(4).permutation(np.tile(values(type_, 121), 9)))
    out = run(k.ternary, k.fma, (x, y, z), type_, scalar)
    with np.errstate(all="ignore"):
        exact = [fused(*map(float, xyz)) for xyz in zip(x.values, y.values, z.values, strict=True)]
        if type_.bits == 64:  # here the last rounding is ours
            exact = [
                float(Fraction(a) * Fraction(b) + Fraction(c)) if np.isfinite([a, b, c, e]).all() else e
                for a, b, c, e in zip(x.values, y.values, z.values, exact, strict=True)
            ]
    check(out, exact)


@pytest.mark.parametrize("type_", FLOATS, ids=names)
def test_float_ternary(type_):
    x, y, z = (Data.of(type_, np.random.default_rng(s).permutation(values(type_, 300, s))) for s in range(3))
    with np.errstate(invalid="ignore"):
        check(run(k.ternary, k.select, (x, y, z), type_), np.where(x.values < y.values, z.values, x.values))
    low, high_ = np.fmin(y.values, z.values), np.fmax(y.values, z.values)
    low, high_ = np.where(np.isnan(low), 0.0, low), np.where(np.isnan(high_), 0.0, high_)
    bounds = Data.of(type_, low), Data.of(type_, high_)
    inside = np.minimum(np.maximum(x.values, low), high_)
    check(run(k.ternary, k.clamp_nan, (x, *bounds), type_), inside)
    check(run(k.ternary, k.clamp, (x, *bounds), type_), np.where(np.isnan(x.values), low, inside))


@pytest.mark.parametrize("type_", [T["fp16"], T["bf16"], T["fp32"]], ids=names)
def test_every_operation_rounds(type_):
    x, y = (Data.of(type_, values(type_, 500, s, specials=False)) for s in range(2))
    out = Data.zeros(type_, x.shape)
    launch(k.chain, 4, x, y, out, 500, BLOCK=128, enable_fp_fusion=False)

    def rounded(exact):
        return Data.of(type_, exact).values

    with np.errstate(all="ignore"):
        product = rounded(rounded(rounded(x.values + y.values) - x.values) * y.values)
        check(out, product + x.values)


@pytest.mark.parametrize("type_", [*SIGNED[2:], *FLOATS], ids=names)
@pytest.mark.parametrize(("n", "block"), [(1, 1), (1, 128), (7, 2), (100, 64), (1000, 1024), (4099, 4096)])
def test_sizes(type_, n, block):
    """One operation over every kind of whole and broken block; what is beyond n stays."""
    x, y = (Data.of(type_, values(type_, n, s, specials=False)) for s in range(2))
    out = Data.zeros(type_, n + 64)
    launch(k.binary, -(-n // block), x, y, out, n, F=k.add, SCALAR=False, BLOCK=block)
    with np.errstate(all="ignore"):
        exact = x.values + y.values
    check(Data(type_, out.array[:n]), exact)
    assert not out.array[n:].any()
