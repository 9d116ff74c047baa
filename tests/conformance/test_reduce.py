"""Reductions over any axis of tiles of rank 1 to 4, of every number type: Triton's own and combine functions of one or several operands,
ties, NaN, elements that are masked off."""

from __future__ import annotations

import numpy as np
import pytest

from .kernels import reduce as k
from .kit import FLOATS, FULL, INTEGERS, UNSIGNED, Data, T, check, launch, rng, sample, values

SHAPES = [
    (1,),
    (2,),
    (8,),
    (64,),
    (1024,),
    (1, 16),
    (16, 1),
    (4, 32),
    (64, 8),
    (2, 4, 16),
    (8, 2, 8),
    (2, 4, 2, 8),
    (4, 1, 8, 2),
]
PLACES = [(shape, axis) for shape in SHAPES for axis in range(len(shape))] + [(shape, None) for shape in SHAPES[::3]]


def names(value):
    return getattr(value, "__name__", None) or str(value)


def small(type_) -> bool:
    return type_.bits < 32


def widened(f, type_):
    """The type of a result: Triton adds small integers, and compares all small numbers, in 32 bits."""
    if f is k.sum_ and small(type_) and not type_.is_float:
        return T["u32"] if type_ in UNSIGNED else T["i32"]
    if f in (k.max_, k.min_) and small(type_):
        return T["fp32"] if type_.is_float else T["i32"]
    if f in ARGUMENTS_ALL:
        return T["i32"]
    return type_


def run(f, x: Data, axis, keep=False, count=None, other=0):
    shape = x.shape
    out_type = widened(f, x.type)
    reduced = np.zeros(shape).sum(axis=axis, keepdims=keep)
    out = Data.zeros(out_type, reduced.shape)
    sizes = dict(zip("ABCD", (*shape, 1, 1, 1), strict=False))
    launch(
        k.apply,
        1,
        x,
        out,
        count or 0,
        other,
        F=f,
        AXIS=axis,
        KEEP=keep,
        RANK=len(shape),
        MASKED=count is not None,
        **sizes,
    )
    return out


EXACT = {
    k.sum_: lambda x, **where: np.sum(x.astype(object), **where),
    k.max_: np.max,
    k.min_: np.min,
    k.xor_sum: lambda x, **where: np.bitwise_xor.reduce(x, **where),
    k.reduce_or: lambda x, **where: np.bitwise_or.reduce(x, **where),
    k.all_bits: lambda x, **where: np.bitwise_and.reduce(x, **where),
    k.prod: lambda x, **where: np.prod(x.astype(object), **where),
}
ARGUMENTS = {k.argmax: np.argmax, k.argmin: np.argmin}
ANY_ARGUMENT = {k.argmax_any: np.max, k.argmin_any: np.min}
ARGUMENTS_ALL = {**ARGUMENTS, **ANY_ARGUMENT}


def flat(f, x, axis, keep):
    """A reduction of all elements is Triton's axis None, with the dimensions kept as ones."""
    return f(x, axis=axis, keepdims=keep)


@pytest.mark.parametrize(
    ("place", "keep", "f", "type_"),
    sample([(p, keep, f, t) for f in EXACT for t in INTEGERS for p in PLACES for keep in (False, True)], 150),
    ids=names,
)
def test_integers(place, keep, f, type_):
    shape, axis = place
    if axis is None and f in (k.prod, k.all_bits):
        keep = False
    x = Data.of(type_, rng(3).permutation(values(type_, int(np.prod(shape)))).reshape(shape))
    check(run(f, x, axis, keep), flat(EXACT[f], x.array, axis, keep))


@pytest.mark.parametrize(
    ("place", "keep", "f", "type_"),
    sample(
        [
            (p, keep, f, t)
            for f in (k.max_, k.min_, k.max_nan)
            for t in FLOATS
            for p in PLACES
            for keep in (False, True)
        ],
        50,
    ),
    ids=names,
)
def test_extremes_of_floats(place, keep, f, type_):
    """A number wins over NaN, unless the combine function says that NaN wins; a row of NaN alone is NaN."""
    shape, axis = place
    if axis is None and f is k.max_nan:
        keep = False
    x = rng(3).permutation(values(type_, int(np.prod(shape)))).reshape(shape)
    if len(shape) > 1:
        x[..., 0] = np.nan
    pick = {k.max_: np.fmax, k.min_: np.fmin, k.max_nan: np.maximum}[f]
    out = run(f, Data.of(type_, x), axis, keep)
    if axis is None:
        exact = pick.reduce(x.reshape(-1)).reshape(out.shape)
    else:
        exact = pick.reduce(x, axis=axis, keepdims=keep)
    check(out, exact)


@pytest.mark.parametrize(
    ("place", "f", "type_"),
    sample([(p, f, t) for f in (k.sum_, k.prod) for t in FLOATS for p in PLACES], 60),
    ids=names,
)
def test_sums_of_floats(place, f, type_):
    shape, axis = place
    size = int(np.prod(shape)) if axis is None else shape[axis]
    x = Data.of(type_, rng(5).standard_normal(shape) if f is k.sum_ else 2.0 ** rng(5).integers(-1, 2, shape))
    out = run(f, x, axis)
    exact = (np.sum if f is k.sum_ else np.prod)(x.values, axis=axis)
    if f is k.prod:  # powers of two: exact, whatever the order
        if np.abs(np.log2(exact)).max() < {16: 14, 32: 120, 64: 1000}[type_.bits]:
            check(out, exact)
        return
    # Any tree of size - 1 additions, each of which rounds to the type: at most that many half ulps of the sum of magnitudes.
    bound = (size - 1) * 2.0 ** (-type_.mantissa - 1) * np.abs(x.values).sum(axis=axis)
    check(out, exact, bound=bound * 1.01, ulps=0.5)


@pytest.mark.parametrize("special", [[np.inf], [-np.inf], [np.inf, -np.inf], [np.nan], [np.nan, np.inf]], ids=names)
@pytest.mark.parametrize("type_", FLOATS, ids=names)
def test_sums_with_specials(type_, special):
    x = np.ones((4, 64))
    x[1, 5 : 5 + len(special)] = special
    with np.errstate(invalid="ignore"):
        check(run(k.sum_, Data.of(type_, x), 1), x.sum(axis=1))
        check(run(k.sum_, Data.of(type_, x), 0), x.sum(axis=0))


@pytest.mark.parametrize(
    ("place", "f", "type_"),
    sample([(p, f, t) for f in ARGUMENTS_ALL for t in INTEGERS + FLOATS for p in PLACES if p[1] is not None], 80),
    ids=names,
)
def test_arguments(place, f, type_):
    """The first of equal extremes, or any of them."""
    shape, axis = place
    x = Data.of(type_, rng(7).integers(0, 5, shape) - (2 if type_ not in UNSIGNED else 0))
    out = Data.zeros(T["i32"], np.zeros(shape).sum(axis=axis).shape)
    sizes = dict(zip("ABCD", (*shape, 1, 1, 1), strict=False))
    launch(k.apply, 1, x, out, 0, 0, F=f, AXIS=axis, KEEP=False, RANK=len(shape), MASKED=False, **sizes)
    if f in ARGUMENTS:
        check(out, ARGUMENTS[f](x.values, axis=axis))
    else:
        found = np.take_along_axis(x.values, np.expand_dims(out.array, axis), axis).squeeze(axis)
        np.testing.assert_array_equal(found, ANY_ARGUMENT[f](x.values, axis=axis))


def first_in_order(x, better):
    """What combining one element after the other gives: a NaN loses to what comes after it, and wins over what came before."""
    value, index = x[0], 0
    for i in range(1, len(x)):
        if not (better(value, x[i]) or value == x[i]):
            value, index = x[i], i
    return index


@pytest.mark.parametrize("count", [None, 0, 1, 31, 32, 500, 1000])
@pytest.mark.parametrize(
    "nans", [[], [0], [511], [3, 40, 700], [900, 999, 1023], range(1024)], ids=lambda n: str(len(n))
)
@pytest.mark.parametrize("f", [k.argmax, k.argmin], ids=names)
def test_arguments_of_long_rows(f, nans, count):
    x = rng(8).integers(-9, 9, 1024).astype(np.float32)
    x[5::7] *= -0.0
    x[list(nans)] = np.nan
    out = run(f, Data.of(T["fp32"], x), 0, count=count, other=-3.0)
    seen = np.where(np.arange(1024) < (1024 if count is None else count), x, np.float32(-3))
    assert out.array == first_in_order(seen, np.greater if f is k.argmax else np.less)


@pytest.mark.parametrize("f", ARGUMENTS_ALL, ids=names)
@pytest.mark.parametrize("type_", [T[n] for n in ("i8", "u8", "u32", "i64", "u64", "fp16", "fp64")], ids=names)
@pytest.mark.parametrize("shape", [(256,), (4, 512), (2, 1024), (512, 4)], ids=str)
def test_arguments_along_lanes(shape, type_, f):
    x = Data.of(type_, rng(7).permutation(values(type_, int(np.prod(shape)))).reshape(shape))
    if type_.is_float:
        x = Data.of(type_, np.nan_to_num(x.values, nan=0.0, posinf=np.inf, neginf=-np.inf))
    axis = len(shape) - 1
    out = run(f, x, axis)
    found = np.take_along_axis(x.values, np.expand_dims(out.array, axis), axis).squeeze(axis)
    np.testing.assert_array_equal(found, {**ARGUMENTS_ALL, k.argmax: np.max, k.argmin: np.min}[f](x.values, axis=axis))
    if f in ARGUMENTS:
        check(out, ARGUMENTS[f](x.values, axis=axis))


@pytest.mark.parametrize("largest", [False, True])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("type_", [T[n] for n in ("i8", "u32", "i64", "fp16", "fp32")], ids=names)
def test_extremes_with_indices(type_, axis, left, largest):
    x = Data.of(type_, rng(9).integers(0, 9, (16, 32)))
    size = x.shape[1 - axis]
    value, index = Data.zeros(type_, size), np.zeros(size, np.int32)
    launch(k.both, 1, x, value, index, AXIS=axis, A=16, B=32, LEFT=left, LARGEST=largest)
    check(value, (np.max if largest else np.min)(x.values, axis=axis))
    if left:
        np.testing.assert_array_equal(index, (np.argmax if largest else np.argmin)(x.values, axis=axis))
    np.testing.assert_array_equal(
        np.take_along_axis(x.values, np.expand_dims(index, axis), axis).squeeze(axis), value.values
    )


@pytest.mark.parametrize("other", [0, 1, -3, 100], ids=names)
@pytest.mark.parametrize("f", [*EXACT, *ARGUMENTS], ids=names)
@pytest.mark.parametrize("shape", [(64,), (8, 16)], ids=names)
def test_elements_that_are_off(shape, f, other):
    """They count with their `other`, also where all of a row is off."""
    for axis in range(len(shape)):
        x = Data.of(T["i32"], rng(4).integers(-50, 50, shape))
        total = x.array.size
        for count in [0, 1, total // 2, total - 1, total, total + 3]:
            seen = np.where(np.arange(total).reshape(shape) < count, x.array, other)
            exact = ARGUMENTS[f](seen, axis=axis) if f in ARGUMENTS else EXACT[f](seen, axis=axis)
            check(run(f, x, axis, count=count, other=other), exact)


@pytest.mark.parametrize(("rows", "cols"), [(0, 0), (1, 1), (8, 32), (5, 17), (8, 0), (3, 32)])
def test_rows_that_are_off(rows, cols):
    x = rng().standard_normal((8, 32)).astype(np.float32)
    out = np.zeros((3, 8), np.float32)
    launch(k.masked_rows, 1, x, out, rows, cols, R=8, C=32)
    full = np.full((8, 32), -np.inf)
    full[:rows, :cols] = x[:rows, :cols]
    with np.errstate(invalid="ignore"):
        m = full.max(axis=1)
        np.testing.assert_array_equal(out[0], m.astype(np.float32))
        np.testing.assert_array_equal(out[1], (full == m[:, None]).sum(axis=1))
        # 32 subtractions and 32 additions, each within half an ulp of a sum of magnitudes
        exact, bound = (full - m[:, None]).sum(axis=1), 64 * 2.0**-24 * np.abs(full - m[:, None]).sum(axis=1)
        check(Data(T["fp32"], out[2]), exact, bound=np.where(np.isfinite(bound), bound, 0))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("rows", "cols"), [(8, 64), (5, 33), (1, 1)])
def test_welford(rows, cols, axis):
    x = (rng().standard_normal((8, 64)) + 3).astype(np.float32)
    size = (64, 8)[axis]
    out = np.zeros((3, size), np.float32)
    launch(k.welford, 1, x, out, rows, cols, R=8, C=64, AXIS=axis)
    used = x.astype(np.float64)[:rows, :cols]
    inside = slice(0, (cols, rows)[axis])
    n = used.shape[axis]
    np.testing.assert_array_equal(out[2][inside], n)
    mean, m2 = used.mean(axis=axis), used.var(axis=axis) * n
    # Each of the at most 64 combinations makes a few roundings, of values up to max|x|, and of sums up to m2 + n max|x|**2 / n.
    largest = np.abs(used).max()
    assert (np.abs(out[0][inside] - mean) <= 64 * 4 * 2.0**-24 * largest).all()
    assert (np.abs(out[1][inside] - m2) <= 64 * 8 * 2.0**-24 * (m2 + largest**2)).all()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shape", [(16, 8), (1, 64), (64, 2), (4, 32)], ids=names)
def test_order_is_kept(shape, axis):
    x = rng().integers(-99, 99, shape).astype(np.int32)
    out = np.zeros((2, x.shape[1 - axis]), np.int32)
    launch(k.ends, 1, x, out, A=shape[0], B=shape[1], AXIS=axis)
    np.testing.assert_array_equal(out, [np.take(x, 0, axis), np.take(x, -1, axis)])


@pytest.mark.parametrize("n", [1, 2, 16, 256])
def test_composition_of_functions(n):
    x, y = (rng(s).integers(-(2**31), 2**31, n).astype(np.int32) for s in range(2))
    out = Data.zeros(T["i32"], 2)
    launch(k.composition, 1, x, y, out, N=n)
    a, b = 1, 0
    for p, q in zip(x.tolist(), y.tolist(), strict=True):
        a, b = a * p, b * p + q
    check(out, np.array([a, b], object))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shape", [(16, 8), (2, 64)], ids=names)
def test_operands_of_several_types(shape, axis):
    x, y, z = (Data.of(T[n], rng(s).integers(-50, 50, shape)) for s, n in enumerate(("i64", "fp16", "i8")))
    size = shape[1 - axis]
    outs = [Data.zeros(d.type, size) for d in (x, y, z)]
    launch(k.mixed_types, 1, x, y, z, *outs, A=shape[0], B=shape[1], AXIS=axis)
    for out, exact in zip(
        outs, (x.values.sum(axis), y.values.max(axis), np.bitwise_or.reduce(z.values, axis)), strict=True
    ):
        check(out, exact)


@pytest.mark.parametrize("shape", [(16, 8), (2, 64), (1, 32)], ids=names)
def test_chained(shape):
    x = rng().integers(-100, 100, shape).astype(np.int32)
    out = np.zeros(shape, np.int32)
    launch(k.chained, 1, x, out, A=shape[0], B=shape[1])
    centred = x * shape[1] - x.sum(1, keepdims=True)
    spread = np.abs(centred).max(1) + centred.min(0).sum()
    np.testing.assert_array_equal(out, centred + spread.sum() + x.sum() - spread[:, None])


@pytest.mark.parametrize("f", [k.sum_, k.max_, k.argmin], ids=names)
@pytest.mark.parametrize("shape", [(65536,), (4, 16384), (2048, 32)] if FULL else [(65536,), (2048, 32)], ids=names)
def test_large_tiles(shape, f):
    x = Data.of(T["i32"], rng().integers(-(2**30), 2**30, shape))
    table = {**EXACT, **ARGUMENTS}
    for axis in range(len(shape)):
        check(run(f, x, axis), table[f](x.array, axis=axis))
