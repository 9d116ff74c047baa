"""Matrix products of every pair of element types that the front end takes, of every shape from 1 to 128, batched, transposed, in loops,
and scaled ones of the microscaling formats. The bound of a sum of products is that of any order of its additions."""

from __future__ import annotations

import numpy as np
import pytest

from .kernels import dot as k
from .kit import FP8, Data, T, check, launch, rng, sample

FP32 = T["fp32"]


def names(value):
    return str(value)


def operands(a_type, b_type, m, n, kk, seed=0):
    """Small integers where the types are exact on them, else normal numbers."""
    r = rng(seed)
    if a_type.kind == "int":
        return [Data.of(t, r.integers(-128, 128, s)) for t, s in ((a_type, (m, kk)), (b_type, (kk, n)))]
    return [Data.of(t, r.standard_normal(s)) for t, s in ((a_type, (m, kk)), (b_type, (kk, n)))]


def bound(a, b, mantissa, terms, start=0.0):
    """Any order of `terms` fused or separate multiplications and additions: at most terms + 1 roundings of the sum of magnitudes."""
    return (terms + 1) * 2.0 ** (-mantissa - 1) * (np.abs(a) @ np.abs(b) + np.abs(start)) * 1.01


def compare(out, a, b, start=0.0, compute=FP32):
    """Computed in `compute`, then rounded to the type of the output: half an ulp more."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    exact = start + a @ b
    short = out.type.mantissa < compute.mantissa
    check(out, exact, bound=bound(a, b, compute.mantissa, a.shape[-1], start), ulps=0.51 if short else 0)


def run(a, b, out_type, c=None, precision="ieee", a_t=False, b_t=False):
    (m, kk), n = a.shape, b.shape[1]
    out = Data.zeros(out_type, (m, n))
    a_mem, b_mem = (Data(d.type, np.ascontiguousarray(d.array.T)) if t else d for d, t in ((a, a_t), (b, b_t)))
    launch(k.product, 1, a_mem, b_mem, c or out, out, M=m, N=n, K=kk, PRECISION=precision, OUT=out_type.tl, ACC=c is not None,
           A_T=a_t, B_T=b_t)  # fmt: skip
    return out


PAIRS = [
    *((T[t], T[t], T["fp32"]) for t in ("fp16", "bf16", "fp32")),
    (T["fp16"], T["fp16"], T["fp16"]),
    (T["fp64"], T["fp64"], T["fp64"]),
    (T["i8"], T["i8"], T["i32"]),
    *((a, b, T["fp32"]) for a in FP8 for b in FP8),
    (FP8[1], FP8[1], T["fp16"]),
]
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
SHAPES = [(m, n, kk) for m in SIZES for n in SIZES for kk in SIZES]
COMMON = [(16, 16, 16), (1, 1, 1), (32, 64, 16), (128, 128, 64), (1, 64, 32), (64, 1, 32), (32, 32, 1), (2, 4, 128)]


@pytest.mark.parametrize("with_c", [False, True], ids=["", "acc"])
@pytest.mark.parametrize("types", PAIRS, ids=lambda t: "-".join(map(str, t)))
def test_types(types, with_c):
    a_type, b_type, out_type = types
    for m, n, kk in COMMON if types in (PAIRS[0], PAIRS[2], PAIRS[5]) else COMMON[:3]:
        a, b = operands(a_type, b_type, m, n, kk)
        c = Data.of(out_type, rng(9).integers(-3, 4, (m, n))) if with_c else None
        start = c.values if with_c else 0
        out = run(a, b, out_type, c)
        if out_type.kind == "int":
            check(out, a.array.astype(int) @ b.array.astype(int) + start)
        else:  # products of fp64 are added in it, all others in fp32 at least; an fp16 result may be added in fp16
            compare(out, a.values, b.values, start, out_type)


@pytest.mark.parametrize(("m", "n", "kk"), sample(SHAPES, 24), ids=names)
@pytest.mark.parametrize("type_", [T["fp16"], FP32], ids=names)
def test_shapes(type_, m, n, kk):
    a, b = operands(type_, type_, m, n, kk, seed=m + n)
    compare(run(a, b, FP32), a.values, b.values)


@pytest.mark.parametrize("precision", ["ieee", "tf32", "tf32x3", "bf16x3", "bf16x6"])
def test_precisions(precision):
    """The fast ones may use fewer bits: 11 of each operand (tf32), about 20 (bf16x3, tf32x3); here they are computed as ieee."""
    a, b = operands(FP32, FP32, 32, 64, 64)
    compare(run(a, b, FP32, precision=precision), a.values, b.values)


@pytest.mark.parametrize(("a_t", "b_t"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("shape", [(16, 16, 16), (32, 8, 64), (1, 64, 16), (64, 2, 8)], ids=names)
@pytest.mark.parametrize("type_", [T["fp16"], FP32, T["i8"]], ids=names)
def test_transposed(type_, shape, a_t, b_t):
    a, b = operands(type_, type_, *shape)
    if type_.kind == "int":
        check(run(a, b, T["i32"], a_t=a_t, b_t=b_t), a.array.astype(int) @ b.array.astype(int))
    else:
        compare(run(a, b, FP32, a_t=a_t, b_t=b_t), a.values, b.values)


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan], ids=names)
def test_specials(special):
    """Zero times infinity is NaN: no product is left out."""
    a, b = operands(FP32, FP32, 16, 16, 32)
    a.array[3, 7] = special
    b.array[7, 2] = 0
    b.array[9, 5] = special
    with np.errstate(invalid="ignore"):
        exact = a.values @ b.values
    compare_at = run(a, b, FP32)
    np.testing.assert_array_equal(np.isnan(compare_at.array), np.isnan(exact))
    np.testing.assert_array_equal(np.isposinf(compare_at.array), np.isposinf(exact))


@pytest.mark.parametrize("type_", [T["fp16"], FP32], ids=names)
@pytest.mark.parametrize(("batch", "m", "n", "kk"), [(1, 16, 16, 16), (4, 8, 32, 16), (2, 1, 16, 64), (8, 16, 1, 4)])
def test_batched(batch, m, n, kk, type_):
    a, b = (Data.of(type_, rng(s).standard_normal(shape)) for s, shape in enumerate(((batch, m, kk), (batch, kk, n))))
    out = Data.zeros(FP32, (batch, m, n))
    launch(k.batched, 1, a, b, out, B=batch, M=m, N=n, K=kk)
    compare(out, a.values, b.values)


def blocks(x, axis, size):
    return np.split(x, range(size, x.shape[axis], size), axis)


def expected(kind, a, b, size):
    """The value, and the sum of magnitudes of all that is added."""
    if kind == "prologue":
        a, b = a * 2, np.where(b > 0, b, 0)
    value, weight = np.zeros((a.shape[0], b.shape[1])), np.zeros((a.shape[0], b.shape[1]))
    scale = np.ones((a.shape[0], 1))
    for x, y in zip(blocks(a, 1, size), blocks(b, 0, size), strict=True):
        p, q = x @ y, np.abs(x) @ np.abs(y)
        if kind == "squared":
            value, weight = value + p * p, weight + 3 * q * q  # a square has twice the relative error, and a rounding
        elif kind == "two":
            value, weight = value + 2 * p, weight + 2 * q
        elif kind == "rescale":
            value, weight = value * scale + p, weight + q
            scale = np.where(np.abs(x).sum(1, keepdims=True) * 0.0625 > 1, 0.5, 1.0)
        else:
            value, weight = value + p, weight + q
    return value * scale if kind == "rescale" else value, weight


@pytest.mark.parametrize("layout", ["rows", "columns"])
@pytest.mark.parametrize("type_", [T["fp16"], T["bf16"], FP32], ids=names)
@pytest.mark.parametrize("kind", ["plain", "plus", "prologue", "rescale", "two", "squared"])
def test_in_loops(kind, type_, layout):
    for (m, n, kk), tile in [
        ((50, 70, 90), (32, 32, 32)),
        ((16, 16, 16), (16, 16, 16)),
        ((5, 3, 100), (16, 16, 64)),
        ((33, 40, 0), (16, 8, 4)),
    ]:
        # multiples of 1/8: the row sums that choose the scales are exact, so that both sides choose alike
        a, b = (Data.of(type_, rng(s).integers(-8, 9, shape) / 8) for s, shape in enumerate(((m, kk), (kk, n))))
        a_mem, b_mem = (Data(d.type, np.asfortranarray(d.array) if layout == "columns" else d.array) for d in (a, b))
        strides = [s // d.array.itemsize if d.array.size else 1 for d in (a_mem, b_mem) for s in d.array.strides]
        out = Data.zeros(FP32, (m, n))
        launch(k.matmul, (-(-m // tile[0]), -(-n // tile[1])), a_mem, b_mem, out, m, n, kk, *strides, M=tile[0], N=tile[1],
               K=tile[2], KIND=kind)  # fmt: skip
        exact, weight = expected(kind, a.values, b.values, tile[2])
        check(out, exact, bound=(kk + 2 * -(-kk // tile[2]) + 1) * 2.0**-24 * weight * 1.01)


@pytest.mark.parametrize("type_", [T["fp16"], FP32], ids=names)
@pytest.mark.parametrize("shape", [(16, 16, 16, 16), (32, 8, 64, 16), (1, 32, 16, 64)], ids=names)
def test_chained(shape, type_):
    m, kk, n, el = shape
    a, b, c = (Data.of(type_, rng(s).integers(-4, 5, x)) for s, x in enumerate(((m, kk), (kk, n), (n, el))))
    out = Data.zeros(FP32, (m, el))
    launch(k.chained, 1, a, b, c, out, M=m, K=kk, N=n, L=el)
    s = a.values @ b.values  # small integers: exact in fp16 too
    check(out, s @ c.values + s.sum(1, keepdims=True))


@pytest.mark.parametrize("type_", [T["i32"], FP32], ids=names)
@pytest.mark.parametrize("shape", [(16, 16, 16), (4, 32, 8), (8, 1, 16)], ids=names)
def test_product_as_a_sum(shape, type_):
    m, n, kk = shape
    a, b = (Data.of(type_, rng(s).integers(-9, 10, x)) for s, x in enumerate(((m, kk), (kk, n))))
    out = Data.zeros(type_, (m, n))
    launch(k.by_broadcast, 1, a, b, out, M=m, N=n, K=kk)
    check(out, a.values @ b.values)


# -- scaled products

E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
FORMATS = {"e2m1": None, "e4m3": T["fp8e4nv"], "e5m2": T["fp8e5"], "bf16": T["bf16"], "fp16": T["fp16"]}


def encoded(fmt, rows, columns, axis, seed):
    """Memory and values of a matrix; 4-bit elements are packed along an axis, the first one in the lower half."""
    r = rng(seed)
    if fmt == "e2m1":
        codes = r.integers(0, 16, (rows, columns)).astype(np.uint8)
        values = np.where(codes & 8, -1, 1) * E2M1[codes & 7]
        low, high = (codes[:, i::2] if axis == 1 else codes[i::2] for i in (0, 1))
        return np.ascontiguousarray(low | high << 4), values
    data = Data.of(FORMATS[fmt], r.standard_normal((rows, columns)))
    return data, data.values


PAIRS_SCALED = [(a, b) for a in FORMATS for b in FORMATS]
# a product of two unscaled 16-bit matrices is tl.dot's; the front end takes scales with 8-bit and 4-bit elements
SCALED = [
    (a, b, sa, sb)
    for a, b in PAIRS_SCALED
    for sa in (False, True)
    for sb in (False, True)
    if (sa or sb) and not (sa and a in ("bf16", "fp16")) and not (sb and b in ("bf16", "fp16"))
]


@pytest.mark.parametrize(("a_format", "b_format", "a_scaled", "b_scaled"), sample(SCALED, 24), ids=names)
@pytest.mark.parametrize("shape", [(16, 16, 64), (32, 64, 128)], ids=names)
def test_scaled(a_format, b_format, a_scaled, b_scaled, shape):
    scaled_case(a_format, b_format, a_scaled, b_scaled, shape)


@pytest.mark.parametrize(("a_k", "b_k"), [(False, True), (True, False), (False, False)])
def test_scaled_packed_along_the_other_dimension(a_k, b_k):
    scaled_case("e2m1", "e2m1", True, True, (32, 64, 64), a_k, b_k)


def test_scaled_with_accumulator():
    scaled_case("e4m3", "e2m1", True, True, (16, 32, 64), acc=True)
    scaled_case("e5m2", "e5m2", True, True, (16, 32, 64), acc=True)


def test_scale_that_is_nan():
    """The scale 255 is NaN, and all that it scales."""
    scaled_case("e4m3", "e4m3", True, True, (16, 16, 64), special=True)


def scaled_case(a_format, b_format, a_scaled, b_scaled, shape, a_k=True, b_k=True, acc=False, special=False):
    m, n, kk = shape
    group = 32
    a, a_values = encoded(a_format, m, kk, 1 if a_k else 0, 1)
    b, b_values = encoded(b_format, kk, n, 0 if b_k else 1, 2)
    scales = [rng(s).integers(120, 134, (x, kk // group)).astype(np.uint8) for s, x in ((3, m), (4, n))]
    if special:
        scales[0][3, 1] = 255
    factors = [np.where(s == 255, np.nan, 2.0 ** (s.astype(int) - 127)).repeat(group, 1) for s in scales]
    if a_scaled:
        a_values = a_values * factors[0]
    if b_scaled:
        b_values = b_values * factors[1].T
    c, out = Data.of(FP32, rng(5).integers(-4, 5, (m, n))), Data.zeros(FP32, (m, n))
    launch(k.scaled, 1, a, scales[0], b, scales[1], c, out, M=m, N=n, K=kk, A_FORMAT=a_format, B_FORMAT=b_format,
           A_SCALED=a_scaled, B_SCALED=b_scaled, GROUP=group, ACC=acc, A_K=a_k, B_K=b_k)  # fmt: skip
    compare(out, a_values, b_values, c.values if acc else 0.0)
