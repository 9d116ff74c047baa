"""Mathematical functions: special values exactly, all others within ulps of values computed with 64-bit significands. sqrt_rn, div_rn,
floor and ceil are exact. Arguments of every size, in tiles and scalars."""

from __future__ import annotations

import math

import numpy as np
import pytest

from .kernels import elementwise as apply
from .kernels import math as k
from .kit import FULL, Data, T, check, launch, rng, values

FP32, FP64 = T["fp32"], T["fp64"]
WIDE = np.longdouble
LOG2E = 1 / np.log(WIDE(2))


def names(value):
    return getattr(value, "__name__", None) or str(value)


def ERF(x):
    """Within an ulp of float64, which counts for float64 alone."""
    return np.array([math.erf(v) for v in x.astype(np.float64)])


# function: exact, arguments where it changes
FUNCTIONS = {
    k.exp: (np.exp, {32: (-104, 89), 64: (-746, 710)}),
    k.exp2: (np.exp2, {32: (-150, 129), 64: (-1076, 1025)}),
    k.log: (np.log, {32: (0, 3), 64: (0, 3)}),
    k.log2: (np.log2, {32: (0, 3), 64: (0, 3)}),
    k.sin: (np.sin, {32: (-100, 100), 64: (-100, 100)}),
    k.cos: (np.cos, {32: (-100, 100), 64: (-100, 100)}),
    k.sqrt: (np.sqrt, {32: (0, 5), 64: (0, 5)}),
    k.rsqrt: (lambda x: 1 / np.sqrt(x), {32: (0, 5), 64: (0, 5)}),
    k.erf: (ERF, {32: (-5, 5), 64: (-7, 7)}),
}
ULPS = 2  # what is promised: below the 2 ulp of most GPU functions, and one more for the reference of erf in float64
EXACT = {k.sqrt_rn: np.sqrt, k.floor: np.floor, k.ceil: np.ceil}


def arguments(type_, low, high, count):
    """Special values, the range where the function changes, values near 0, 1 and multiples of pi / 2, every exponent."""
    r = rng(1)
    kinds = [
        values(type_, 200),
        r.uniform(low, high, count),
        np.linspace(low, high, 500),
        1 + r.standard_normal(count // 8) * 2.0 ** r.integers(-type_.mantissa, 0, count // 8),
        r.integers(-2000, 2000, count // 8) * (math.pi / 2),
        r.standard_normal(count // 8) * 2.0 ** r.integers(-type_.bias, 4, count // 8),
        r.standard_normal(count // 8) * 2.0 ** r.integers(-type_.bias, type_.bias, count // 8),
        np.arange(-300, 300) / 4,
    ]
    return Data.of(type_, np.concatenate(kinds))


def run(f, x, *more, kernel=apply.unary, scalar=False):
    out = Data.zeros(x.type, x.shape)
    grid = x.array.size if scalar else -(-x.array.size // 1024)
    launch(kernel, grid, x, *more, out, x.array.size, F=f, SCALAR=scalar, BLOCK=1024)
    return out


def compare(out, exact, ulps):
    """Within ulps of a value that has more bits than float64 does."""
    exact = np.asarray(exact, WIDE)
    have = out.values
    with np.errstate(all="ignore"):
        rounded = exact.astype(out.type.storage).astype(np.float64)
        size = np.maximum(np.abs(rounded), 2.0 ** (1 - out.type.bias))
        unit = 2.0 ** (np.floor(np.log2(np.where(np.isfinite(size), size, 1))) - out.type.mantissa)
        error = np.abs(have.astype(WIDE) - exact) / unit
        largest = (2 - 2.0**-out.type.mantissa) * 2.0**out.type.bias
        edge = (
            np.isinf(rounded)
            & (np.abs(have) == largest)
            & (np.abs(exact) < largest * (1 + ulps * 2.0**-out.type.mantissa))
        )
        good = (have == rounded) | (np.isnan(have) & np.isnan(rounded)) | (error <= ulps) | edge
    assert good.all(), "\n".join(
        f"{(~good).sum()} wrong: got {have[i]!r}, expected {float(exact[i])!r}, {float(error[i]):.3g} ulp, argument {i}"
        for i in np.flatnonzero(~good)[:8]
    )


@pytest.mark.parametrize("type_", [FP32, FP64], ids=names)
@pytest.mark.parametrize("f", FUNCTIONS, ids=names)
@pytest.mark.parametrize("scalar", [False, True], ids=["tile", "scalar"])
def test_function(f, type_, scalar):
    exact, ranges = FUNCTIONS[f]
    x = arguments(type_, *ranges[type_.bits], 64 if scalar else 1 << (22 if FULL else 16))
    with np.errstate(all="ignore"):
        wanted = exact(x.values.astype(WIDE))
    compare(run(f, x, scalar=scalar), wanted, ULPS + (f is k.erf and type_ is FP64))


@pytest.mark.parametrize("type_", [FP32, FP64], ids=names)
@pytest.mark.parametrize("f", EXACT, ids=names)
def test_exact(f, type_):
    if f is k.sqrt_rn and type_ is FP64:
        return  # the front end has it for fp32 alone
    x = arguments(type_, -10, 10, 4096)
    with np.errstate(invalid="ignore"):
        check(run(f, x), EXACT[f](x.values), signed_zero=True)


def table(f, *rows):
    return [(f, x, y) for x, y in rows]


INF, NAN = math.inf, math.nan
SPECIALS = [
    *table(k.exp, (0.0, 1), (-0.0, 1), (INF, INF), (-INF, 0), (NAN, NAN)),
    *table(k.exp2, (0.0, 1), (INF, INF), (-INF, 0), (NAN, NAN), (10.0, 1024), (-3.0, 0.125)),
    *table(k.log, (1.0, 0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, NAN), (-INF, NAN), (NAN, NAN)),
    *table(k.log2, (1.0, 0), (0.0, -INF), (8.0, 3), (INF, INF), (-1.0, NAN), (NAN, NAN), (0.25, -2)),
    *table(k.sin, (0.0, 0.0), (-0.0, -0.0), (INF, NAN), (-INF, NAN), (NAN, NAN)),
    *table(k.cos, (0.0, 1), (-0.0, 1), (INF, NAN), (NAN, NAN)),
    *table(k.sqrt, (0.0, 0.0), (-0.0, -0.0), (INF, INF), (-1.0, NAN), (NAN, NAN), (4.0, 2)),
    *table(k.rsqrt, (0.0, INF), (-0.0, -INF), (INF, 0), (-1.0, NAN), (NAN, NAN), (4.0, 0.5)),
    *table(k.erf, (0.0, 0.0), (-0.0, -0.0), (INF, 1), (-INF, -1), (NAN, NAN), (10.0, 1)),
    *table(k.floor, (-0.0, -0.0), (0.5, 0.0), (-0.5, -1), (INF, INF), (NAN, NAN), (-2.0, -2)),
    *table(k.ceil, (-0.0, -0.0), (0.5, 1), (-0.5, -0.0), (-INF, -INF), (NAN, NAN)),
]


@pytest.mark.parametrize("type_", [FP32, FP64], ids=names)
@pytest.mark.parametrize("f", [*FUNCTIONS, k.floor, k.ceil], ids=names)
def test_special_values(f, type_):
    rows = [(x, y) for g, x, y in SPECIALS if g is f]
    out = run(f, Data.of(type_, [x for x, _ in rows]))
    check(out, [y for _, y in rows], signed_zero=True)


@pytest.mark.parametrize("f", [k.div_rn, k.fdiv_ieee, k.fdiv, k.fdiv_approx], ids=names)
def test_divisions(f):
    """Correctly rounded; the approximate one within 2 ulp where the divisor is neither tiny nor huge."""
    x, y = (Data.of(FP32, np.concatenate([values(FP32, 500, s), rng(s).standard_normal(5000)])) for s in range(2))
    order = rng(5).permutation(5500)
    x = Data(FP32, x.array[order])
    with np.errstate(all="ignore"):
        exact = x.values / y.values
        if f is k.fdiv_approx:
            usual = (np.abs(y.values) >= 2.0**-126) & (np.abs(y.values) <= 2.0**126)
            usual &= np.abs(exact) >= 2.0**-126
            x, y, exact = Data(FP32, x.array[usual]), Data(FP32, y.array[usual]), exact[usual]
    check(run(f, x, y, kernel=apply.binary), exact, ulps=2 if f is k.fdiv_approx else 0)


@pytest.mark.parametrize("type_", [T["i32"], T["u32"], T["i64"]], ids=names)
def test_cdiv(type_):
    x, y = Data.of(type_, rng().integers(0, 10000, 500)), Data.of(type_, rng(1).integers(1, 100, 500))
    check(run(k.cdiv, x, y, kernel=apply.binary), -(-x.values.astype(object) // y.values.astype(object)))


@pytest.mark.parametrize("type_", [FP32, FP64], ids=names)
def test_sigmoid(type_):
    """An exponential within ULPS, whose error counts fully where it is large, an addition and a division: half an ulp each, and the
    ulps of the sum may be twice those of the quotient."""
    x = Data.of(type_, np.concatenate([np.linspace(-80, 80, 4001), rng().standard_normal(4000)]))
    compare(run(k.sigmoid, x), 1 / (1 + np.exp(-x.values.astype(WIDE))), 2 * (ULPS + 0.5) + 0.5)


def test_softmax():
    x = (rng().standard_normal((16, 64)) * 4).astype(np.float32)
    out = Data.zeros(FP32, x.shape)
    launch(k.softmax_rows, 1, x, out, R=16, C=64)
    wide = np.exp(x.astype(WIDE) - x.max(1, keepdims=True))
    # x - max rounds by half an ulp of at most 32, which is 2**-20 relative after exp; 64 additions; exp twice and one division
    exact = (wide / wide.sum(1, keepdims=True)).astype(np.float64)
    check(out, exact, bound=exact * (2 * 2.0**-20 + (64 + 2 * ULPS + 1) * 2.0**-24))


def test_functions_of_functions():
    x = rng().uniform(-3, 3, 1024).astype(np.float32)
    out = Data.zeros(FP32, x.shape)
    launch(k.fused, 1, x, out, BLOCK=1024)
    v = x.astype(np.float64)
    y = np.exp(v) / (1 + np.exp(-v)) + np.log(v * v + 1)
    # The terms are below 24; twenty operations of at most 2 ulp each, of values up to that.
    check(out, np.abs(y) - ERF(v) + np.sin(v) * np.cos(v), bound=np.full(1024, 40 * 24 * 2.0**-24))
