"""Prefix operations along any axis and in both directions, of every number type: sums, products, combine functions that keep an order,
several operands; in tiles that are masked, in loops, as addresses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from .kernels import scan as k
from .kit import FLOATS, INTEGERS, UNSIGNED, Data, T, check, launch, rng, sample, values

PLACES = [
    (s, axis)
    for s in [(1,), (2,), (64,), (1024,), (4, 32), (32, 4), (1, 64), (2, 4, 16), (16, 2, 4)]
    for axis in range(len(s))
]


def names(value):
    return getattr(value, "__name__", None) or str(value)


def accumulate(f, x, axis, reverse):
    """f over Python numbers, element by element."""
    x = np.flip(x, axis) if reverse else x
    out = np.frompyfunc(f, 2, 1).accumulate(x.astype(object), axis=axis, dtype=object)
    return np.flip(out, axis) if reverse else out


OPERATIONS = {
    k.cumsum: lambda a, b: a + b,
    k.cumprod: lambda a, b: a * b,
    k.plain_sum: lambda a, b: a + b,
    k.maximum: max,
    k.xor: lambda a, b: a ^ b,
    k.second: lambda a, b: b,
}


def result_type(f, type_):
    """Triton's own sums and products of short integers are of 32 bits."""
    if f in (k.cumsum, k.cumprod) and not type_.is_float and type_.bits < 32:
        return T["u32"] if type_ in UNSIGNED else T["i32"]
    return type_


def run(f, x: Data, axis, reverse, count=None) -> Data:
    out = Data.zeros(result_type(f, x.type), x.shape)
    sizes = dict(zip("ABC", (*x.shape, 1, 1), strict=False))
    launch(
        k.apply,
        1,
        x,
        out,
        count or 0,
        F=f,
        AXIS=axis,
        REVERSE=reverse,
        RANK=len(x.shape),
        MASKED=count is not None,
        **sizes,
    )
    return out


@pytest.mark.parametrize(
    ("place", "reverse", "f", "type_"),
    sample(itertools.product(PLACES, (False, True), OPERATIONS, INTEGERS), 110),
    ids=names,
)
def test_integers(place, reverse, f, type_):
    shape, axis = place
    x = Data.of(type_, rng(3).permutation(values(type_, int(np.prod(shape)))).reshape(shape))
    check(run(f, x, axis, reverse), accumulate(OPERATIONS[f], x.array, axis, reverse))


@pytest.mark.parametrize(
    ("place", "reverse", "type_"), sample(itertools.product(PLACES, (False, True), FLOATS), 40), ids=names
)
def test_sums_of_floats(place, reverse, type_):
    """Any tree of additions: as many roundings as terms, each of at most half an ulp of the sum of magnitudes."""
    shape, axis = place
    x = Data.of(type_, rng(5).standard_normal(shape))
    flipped = np.flip(x.values, axis) if reverse else x.values
    exact, size = np.cumsum(flipped, axis), np.cumsum(np.abs(flipped), axis)
    exact, size = (np.flip(v, axis) if reverse else v for v in (exact, size))
    check(run(k.cumsum, x, axis, reverse), exact, bound=shape[axis] * 2.0 ** (-type_.mantissa - 1) * size * 1.01)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("type_", FLOATS, ids=names)
def test_exact_floats(type_, reverse):
    """Small whole numbers and powers of two: exact in any order. Infinity and NaN stay from where they are."""
    x = Data.of(type_, rng().integers(-3, 4, (4, 32)))
    flip = (lambda v: np.flip(v, 1)) if reverse else (lambda v: v)
    check(run(k.cumsum, x, 1, reverse), flip(np.cumsum(flip(x.values), 1)))
    y = Data.of(type_, 2.0 ** rng(1).integers(-1, 2, (4, 8)))
    check(run(k.cumprod, y, 1, reverse), flip(np.cumprod(flip(y.values), 1)))
    x.array[1, 20], x.array[2, 9] = Data.of(type_, [np.inf]).array[0], Data.of(type_, [np.nan]).array[0]
    check(run(k.cumsum, x, 1, reverse), flip(np.cumsum(flip(x.values), 1)))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("f", OPERATIONS, ids=names)
def test_masked(f, reverse):
    for shape, axis in [((64,), 0), ((8, 16), 0), ((8, 16), 1)]:
        x = Data.of(T["i32"], rng(1).integers(-9, 9, shape))
        for count in (0, 1, 37, x.array.size):
            inside = np.arange(x.array.size).reshape(shape) < count
            exact = accumulate(OPERATIONS[f], np.where(inside, x.array, 1), axis, reverse)
            check(run(f, x, axis, reverse, count), np.where(inside, exact, 0))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shape", [(1, 16), (16, 1), (8, 32), (64, 4)], ids=names)
@pytest.mark.parametrize("type_", [T["i32"], T["u64"]], ids=names)
def test_linear_recurrence(type_, shape, axis, reverse):
    x, y = (Data.of(type_, values(type_, int(np.prod(shape)), s).reshape(shape)) for s in range(2))
    out = Data.zeros(type_, (2, *shape))
    launch(k.recurrence, 1, x, y, out, A=shape[0], B=shape[1], AXIS=axis, REVERSE=reverse)
    a, b = (np.moveaxis(d.array.astype(object), axis, 0) for d in (x, y))
    order = range(shape[axis])[:: -1 if reverse else 1]
    first, exact = order[0], np.zeros((2, *a.shape), object)
    exact[0][first], exact[1][first] = a[first], b[first]
    for before, i in itertools.pairwise(order):
        exact[0][i] = exact[0][before] * a[i]
        exact[1][i] = exact[1][before] * a[i] + b[i]
    check(out, np.moveaxis(exact, 1, axis + 1))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("n", [1, 2, 64, 512])
def test_running_argmax(n, reverse):
    x, value, index = rng().integers(0, 9, n).astype(np.float32), np.zeros(n, np.float32), np.zeros(n, np.int32)
    launch(k.running_argmax, 1, x, value, index, N=n, REVERSE=reverse)
    for i in range(n):
        part = x[i:] if reverse else x[: i + 1]
        assert (value[i], index[i]) == (part.max(), part.argmax() + (i if reverse else 0))


@pytest.mark.parametrize("n", [0, 1, 63, 100, 128])
def test_compaction(n):
    x = rng().integers(-5, 5, 128).astype(np.int32)
    out, count = np.zeros(128, np.int32), np.zeros(1, np.int32)
    launch(k.compact, 1, x, out, count, n, N=128)
    kept = x[:n][x[:n] > 0]
    assert count[0] == kept.size
    np.testing.assert_array_equal(out[: kept.size], kept)
    assert not out[kept.size :].any()


@pytest.mark.parametrize("n", [0, 1, 64, 300])
def test_blocks_of_one_scan(n):
    x, out = rng().integers(-99, 99, 320).astype(np.int32), np.zeros(320, np.int32)
    launch(k.carried, 1, x, out, n, N=64)
    np.testing.assert_array_equal(out[:n], np.cumsum(x[:n]))


@pytest.mark.parametrize("shape", [(8, 16), (1, 64), (32, 2)], ids=names)
def test_scans_of_scans(shape):
    x, out = rng().integers(-9, 9, shape).astype(np.int32), np.zeros(shape, np.int32)
    launch(k.both_ways, 1, x, out, A=shape[0], B=shape[1])
    rows = x.cumsum(1)
    area, back = rows.cumsum(0), np.flip(np.flip(x, 1).cumsum(1), 1)
    np.testing.assert_array_equal(out, area * 3 - rows + back - x.sum(1, keepdims=True))
