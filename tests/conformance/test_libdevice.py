"""A sample of libdevice: what CUDA's functions promise in ulps, for fp32 and fp64, against 64-bit significands; the exact ones exactly."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from .kernels import elementwise as apply
from .kernels import libdevice as k
from .kit import Data, T, check, launch, rng, to_odd, values
from .test_math import WIDE, compare

FP32, FP64 = T["fp32"], T["fp64"]


def names(value):
    return getattr(value, "__name__", None) or str(value)


def of_doubles(f):
    """A function of Python floats: within an ulp of float64, which the fp64 bounds below have room for."""
    return lambda x: np.array([f(v) for v in x.astype(np.float64)])


def log_gamma(x):
    """Stirling's series beyond 30, and the logarithms of what leads there; Python's own has errors of many ulps."""
    below = sum(np.log(x + i) for i in range(30))
    x = x + 30
    series = sum(
        c / x**n for c, n in ((1 / WIDE(12), 1), (-1 / WIDE(360), 3), (1 / WIDE(1260), 5), (-1 / WIDE(1680), 7))
    )
    return (x - 0.5) * np.log(x) - x + np.log(8 * np.arctan(WIDE(1))) / 2 + series - below


# function: exact, arguments, ulps for fp32 and fp64 as CUDA's manual gives them (fp64 one more where the reference is of doubles)
ONE = {
    k.tan: (np.tan, (-10, 10), 4, 2),
    k.sin: (np.sin, (-10, 10), 2, 2),
    k.sinpi: (lambda x: np.sin(x * np.arctan(WIDE(1)) * 4), (-1, 1), 2, 2),
    k.asin: (np.arcsin, (-1, 1), 2, 2),
    k.acos: (np.arccos, (-1, 1), 2, 2),
    k.atan: (np.arctan, (-20, 20), 2, 2),
    k.sinh: (np.sinh, (-20, 20), 3, 2),
    k.cosh: (np.cosh, (-20, 20), 2, 1.5),
    k.tanh: (np.tanh, (-5, 5), 2, 2),
    k.asinh: (np.arcsinh, (-100, 100), 3, 3),
    k.acosh: (np.arccosh, (1, 100), 4, 3),
    k.atanh: (np.arctanh, (-1, 1), 3, 2),
    k.exp2: (np.exp2, (-20, 20), 2, 1.5),
    k.exp10: (lambda x: WIDE(10) ** x, (-30, 30), 2, 1.5),
    k.log2: (np.log2, (0, 100), 2, 1.5),
    k.log10: (np.log10, (0, 100), 2, 1.5),
    k.log1p: (np.log1p, (-1, 10), 2, 1.5),
    k.expm1: (np.expm1, (-5, 5), 2, 1.5),
    k.cbrt: (np.cbrt, (-100, 100), 1.5, 1.5),
    k.rsqrt: (lambda x: 1 / np.sqrt(x), (0, 100), 2, 1.5),
    k.erf: (of_doubles(math.erf), (-4, 4), 2, 3),
    k.erfc: (of_doubles(math.erfc), (-4, 8), 4, 6),
    k.tgamma: (of_doubles(math.gamma), (0.1, 30), 5, 11),
    k.lgamma: (log_gamma, (3, 100), 6, 4),
}
TWO = {
    k.pow: (np.power, (0, 10), (-10, 10), 4, 2),
    k.atan2: (np.arctan2, (-10, 10), (-10, 10), 3, 2),
    k.hypot: (np.hypot, (-100, 100), (-100, 100), 3, 2),
}
ONE_EXACT = {k.trunc: np.trunc, k.rint: np.rint, k.ceil: np.ceil, k.sqrt_rn: np.sqrt}
TWO_EXACT = {
    k.fmod: np.fmod,
    k.copysign: np.copysign,
    k.fdim: lambda x, y: np.where(x > y, x - y, np.where(np.isnan(x) | np.isnan(y), np.nan, 0)),
    k.remainder: lambda x, y: np.array([_remainder(a, b) for a, b in zip(x, y, strict=True)]),
}
SPECIAL = {
    k.tan: [(0.0, 0.0), (math.inf, math.nan)],
    k.asin: [(2.0, math.nan), (1.0, math.pi / 2)],
    k.acos: [(1.0, 0.0), (-2.0, math.nan)],
    k.atan: [(math.inf, math.pi / 2)],
    k.tanh: [(math.inf, 1), (-math.inf, -1), (-0.0, -0.0), (math.nan, math.nan)],
    k.atanh: [(1.0, math.inf), (-2.0, math.nan)],
    k.exp10: [(2.0, 100), (-math.inf, 0)],
    k.log10: [(1000.0, 3), (0.0, -math.inf), (-1.0, math.nan)],
    k.log1p: [(-1.0, -math.inf), (-0.0, -0.0)],
    k.expm1: [(-math.inf, -1), (-0.0, -0.0)],
    k.cbrt: [(27.0, 3), (-8.0, -2), (-0.0, -0.0)],
    k.erfc: [(math.inf, 0), (-math.inf, 2), (0.0, 1)],
    k.tgamma: [(5.0, 24), (1.0, 1)],
    k.lgamma: [(1.0, 0), (2.0, 0)],
}
TYPES = pytest.mark.parametrize("type_", [FP32, FP64], ids=names)


def _remainder(x, y):
    return math.remainder(x, y) if np.isfinite(x) and not np.isnan(y) and y != 0 else math.nan


def uniform(type_, low, high, seed):
    return Data.of(type_, rng(seed).uniform(low, high, 10000))


def run(f, *operands, out_type=None):
    kernel = [apply.unary, apply.binary, apply.ternary][len(operands) - 1]
    n = operands[0].array.size
    out = Data.zeros(out_type or operands[0].type, n)
    launch(kernel, -(-n // 1024), *operands, out, n, F=f, SCALAR=False, BLOCK=1024)
    return out


@TYPES
@pytest.mark.parametrize("f", ONE, ids=names)
def test_one_operand(f, type_):
    exact, limits, *ulps = ONE[f]
    x = uniform(type_, *limits, 1)
    compare(run(f, x), exact(x.values.astype(WIDE)), ulps[type_ is FP64])


@TYPES
@pytest.mark.parametrize("f", TWO, ids=names)
def test_two_operands(f, type_):
    exact, first, second, *ulps = TWO[f]
    x, y = uniform(type_, *first, 1), uniform(type_, *second, 2)
    compare(run(f, x, y), exact(x.values.astype(WIDE), y.values.astype(WIDE)), ulps[type_ is FP64])


@TYPES
@pytest.mark.parametrize("f", SPECIAL, ids=names)
def test_special_values(f, type_):
    """Rounded, or an ulp beside where it is no whole number."""
    rows = SPECIAL[f]
    out = run(f, Data.of(type_, [x for x, _ in rows]))
    check(out, [y for _, y in rows], ulps=1, signed_zero=True)


@TYPES
@pytest.mark.parametrize("f", ONE_EXACT, ids=names)
def test_exact_of_one(f, type_):
    x = Data.of(type_, np.concatenate([values(type_, 2000), np.arange(-40, 40) / 4]))
    with np.errstate(invalid="ignore"):
        check(run(f, x), ONE_EXACT[f](x.values), signed_zero=True)


@TYPES
def test_round(type_):
    """Halves go away from zero, unlike rint's."""
    x = Data.of(type_, np.concatenate([values(type_, 2000), np.arange(-40, 40) / 4]))
    exact = np.trunc(x.values) + np.where(np.abs(x.values - np.trunc(x.values)) >= 0.5, np.sign(x.values), 0)
    exact = np.where(np.isfinite(x.values), exact, x.values)
    check(run(k.round, x), exact)


@TYPES
@pytest.mark.parametrize("f", TWO_EXACT, ids=names)
def test_exact_of_two(f, type_):
    x, y = (Data.of(type_, rng(s).permutation(values(type_, 500, s))) for s in range(2))
    with np.errstate(all="ignore"):
        check(run(f, x, y), TWO_EXACT[f](x.values, y.values))


@TYPES
def test_next_after(type_):
    x, y = (Data.of(type_, rng(s).permutation(values(type_, 500, s))) for s in range(2))
    check(run(k.nextafter, x, y), np.nextafter(x.array, y.array).astype(np.float64))


@TYPES
def test_fused_multiply_add(type_):
    x, y, z = (uniform(type_, -2, 2, s) for s in range(3))
    exact = [Fraction(a) * Fraction(b) + Fraction(c) for a, b, c in zip(x.values, y.values, z.values, strict=True)]
    check(run(k.fma, x, y, z), [to_odd(q) if type_ is FP32 else float(q) for q in exact])


@TYPES
def test_ldexp(type_):
    x, e = uniform(type_, -2, 2, 1), Data.of(T["i32"], rng(2).integers(-60, 60, 10000))
    check(run(k.ldexp, x, e), np.ldexp(x.values, e.array))


@TYPES
@pytest.mark.parametrize(("f", "exact"), [(k.isnan, np.isnan), (k.isinf, np.isinf), (k.signbit, np.signbit)], ids=names)
def test_predicates(f, exact, type_):
    x = Data.of(type_, values(type_, 100))
    x = Data(type_, x.array[~np.isnan(x.array)]) if f is k.signbit else x
    check(run(f, x, out_type=T["i1"]), exact(x.values))


BITS = {
    k.clz: lambda v, n: n - int(v).bit_length(),
    k.popc: lambda v, n: int(v).bit_count(),
    k.brev: lambda v, n: int(f"{int(v):0{n}b}"[::-1], 2),
    k.ffs: lambda v, n: (int(v) & -int(v)).bit_length(),
}


@pytest.mark.parametrize("type_", [T["i32"], T["i64"]], ids=names)
@pytest.mark.parametrize("f", BITS, ids=names)
def test_bits(f, type_):
    x = Data.of(type_, values(type_, 500))
    exact = [BITS[f](int(v) % 2**type_.bits, type_.bits) for v in x.array]
    check(run(f, x, out_type=type_ if f is k.brev else T["i32"]), np.array(exact, object))
