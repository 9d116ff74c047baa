"""Operations that move elements: permute, reshape, broadcast, join, split, cat, flip; sort, topk, gather, histogram. All exact."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from .kernels import shape as k
from .kit import FLOATS, FP8, INTEGERS, Data, T, check, launch, rng, sample, values

SHAPES = [
    (16,),
    (4, 16),
    (16, 8),
    (1, 32),
    (2, 4, 8),
    (8, 1, 4),
    (2, 4, 2, 8),
    (4, 2, 1, 4),
    (2, 4, 2, 2, 4),
    (1, 2, 8, 1, 2),
]
TYPES = [T[n] for n in ("i8", "u16", "i32", "i64", "fp16", "fp32", "fp64")]


def names(value):
    return getattr(value, "__name__", None) or str(value)


def sizes(shape):
    return dict(zip("ABCDE", (*shape, 1, 1, 1, 1), strict=False)) | {"RANK": len(shape)}


def small(type_, *shape, seed=0) -> Data:
    """Values whose small sums every type holds."""
    return Data.of(type_, rng(seed).integers(0, 7, shape))


PERMUTATIONS = [(s, order) for s in SHAPES for order in itertools.permutations(range(len(s)))]


@pytest.mark.parametrize(("shape", "order"), sample(PERMUTATIONS, 50), ids=names)
def test_permute(shape, order):
    for type_ in sample(TYPES, 2, seed=sum(order) + len(shape) + order[0]):
        x = Data.of(type_, values(type_, int(np.prod(shape))).reshape(shape))
        out = Data.zeros(type_, np.transpose(x.array, order).shape)
        launch(k.permute, 1, x, out, **sizes(shape), ORDER=order)
        np.testing.assert_array_equal(out.array, np.transpose(x.array, order))


@pytest.mark.parametrize(("shape", "order"), sample([p for p in PERMUTATIONS if len(p[0]) > 1], 25, seed=1), ids=names)
def test_permute_of_what_is_computed(shape, order):
    x = small(T["i32"], *shape)
    y = np.transpose(x.array * 3, order)
    out = Data.zeros(T["i32"], y.shape)
    launch(k.permute_used, 1, x, out, **sizes(shape), ORDER=order)
    np.testing.assert_array_equal(out.array, y + y.sum(0))


RESHAPES = [
    (a, b)
    for a in [*SHAPES, (2, 2, 2, 2, 4), (64,), (8, 8)]
    for b in [*SHAPES, (64,), (8, 8)]
    if np.prod(a) == np.prod(b)
]


@pytest.mark.parametrize(("shape", "to"), sample(RESHAPES, 35), ids=names)
def test_reshape(shape, to):
    x = small(T["i32"], *shape)
    out = Data.zeros(T["i32"], to)
    launch(k.reshape, 1, x, out, **sizes(shape), TO=to)
    y = x.array.reshape(to)
    np.testing.assert_array_equal(out.array, y * 2 - y.sum(0, keepdims=True))


EXPANDED = {
    "front": lambda x: np.broadcast_to(x, (4, x.size)),
    "back": lambda x: np.broadcast_to(x[:, None], (x.size, 4)),
    "both": lambda x: np.broadcast_to(x[None, :, None], (2, x.size, 4)),
    "index": lambda x: x[None, :, None] + x[:, None, None] * 100,
    "scalar": lambda x: np.full((x.size, 2), x[0]),
    "pair": lambda x: x[:, None] * 10 - x[None, :],
}


@pytest.mark.parametrize("n", [1, 8, 64])
@pytest.mark.parametrize("kind", EXPANDED)
def test_expand_and_broadcast(kind, n):
    x = small(T["i32"], n, seed=3)
    exact = EXPANDED[kind](x.array)
    out = Data.zeros(T["i32"], exact.shape)
    launch(k.expand, 1, x, out, N=n, KIND=kind)
    np.testing.assert_array_equal(out.array, exact)


def joined(x, y):
    return np.stack([x, y], -1)


JOINS = {
    "join": joined,
    "interleave": lambda x, y: joined(x, y).reshape(x.shape[0], -1),
    "split": lambda x, y: x * 3 - y,
    "split halves": lambda x, y: joined(x[:, 1::2], x[:, ::2]),
    "concatenate": lambda x, y: np.concatenate([x, y], 1),
    "four": lambda x, y: joined(joined(x, y), joined(y, x)),
    "reduce": lambda x, y: (x + y) * joined(x, y).max(0).sum(),
}


@pytest.mark.parametrize("type_", [T[n] for n in ("i32", "fp16", "i64")], ids=names)
@pytest.mark.parametrize("shape", [(1, 2), (4, 16), (16, 4), (1, 64), (32, 2)], ids=names)
@pytest.mark.parametrize("kind", JOINS)
def test_join_and_split(kind, shape, type_):
    x, y = small(type_, *shape), small(type_, *shape, seed=1)
    if kind == "reduce" and type_.bits < 32:
        type_ = T["fp32"]
        x, y = small(type_, *shape), small(type_, *shape, seed=1)
    exact = JOINS[kind](x.values, y.values)
    out = Data.zeros(type_, exact.shape)
    launch(k.join, 1, x, y, out, A=shape[0], B=shape[1], KIND=kind)
    check(out, exact)


def test_join_of_scalars():
    x, out = Data.of(T["i32"], [5, 7]), Data.zeros(T["i32"], 2)
    launch(k.join_scalars, 1, x, out)
    assert out.array.tolist() == [5, 14]


@pytest.mark.parametrize("type_", sample(TYPES, 3), ids=names)
@pytest.mark.parametrize("n", [1, 256])
def test_cat(n, type_):
    """Its elements may be in any order."""
    x, y, out = small(type_, n), small(type_, n, seed=1), Data.zeros(type_, 2 * n)
    launch(k.cat, 1, x, y, out, N=n)
    np.testing.assert_array_equal(np.sort(out.array), np.sort(np.concatenate([x.array, y.array])))


@pytest.mark.parametrize("axis", [0, 1, 2, -1, None])
@pytest.mark.parametrize("shape", [(2, 8, 4), (16, 1, 2), (1, 1, 64)], ids=names)
def test_flip(shape, axis):
    for type_ in (T["i32"], T["fp16"]):
        x = Data.of(type_, values(type_, int(np.prod(shape)), specials=False).reshape(shape))
        out = Data.zeros(type_, shape)
        launch(k.flip, 1, x, out, A=shape[0], B=shape[1], C=shape[2], AXIS=axis)
        np.testing.assert_array_equal(out.array, np.flip(x.array, -1 if axis is None else axis))


def test_methods():
    x, out = small(T["i32"], 8, 16), Data.zeros(T["i32"], (8, 16))
    launch(k.squeezed, 1, x, out, A=8, B=16)
    np.testing.assert_array_equal(out.array, x.array * 2)


def test_full():
    out = Data.zeros(T["fp32"], 64)
    launch(k.full, 1, out, N=32)
    np.testing.assert_array_equal(out.array, np.concatenate([np.full(32, 5), np.arange(32, 64)]))


# -- order


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
@pytest.mark.parametrize(
    ("rows", "n", "type_"),
    sample([(r, n, t) for r, n in ((1, 1), (1, 2), (4, 8), (8, 64), (1, 512)) for t in INTEGERS + FLOATS], 10)
    + [(1, 4096, T["i32"]), (64, 16, T["fp16"])],
    ids=names,
)
def test_sort(rows, n, type_, down):
    x = values(type_, rows * n, seed=n)
    x = np.where(np.isnan(x), 3, x) if type_.is_float else x
    x = Data.of(type_, rng(2).permutation(x).reshape(rows, n))
    out = Data.zeros(type_, x.shape)
    launch(k.sort, 1, x, out, ROWS=rows, N=n, DOWN=down)
    exact = np.sort(x.values, axis=1)
    check(out, exact[:, ::-1] if down else exact)


@pytest.mark.parametrize("n", [0, 1, 100, 128])
@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
def test_sort_of_a_part(n, down):
    x, out = rng().standard_normal(128).astype(np.float32), np.zeros(128, np.float32)
    launch(k.sort_masked, 1, x, out, n, N=128, DOWN=down)
    exact = np.sort(x[:n])
    np.testing.assert_array_equal(out[:n], exact[::-1] if down else exact)
    assert not out[n:].any()


@pytest.mark.parametrize("down", [False, True], ids=["smallest", "largest"])
@pytest.mark.parametrize(
    ("rows", "n", "count"), [(1, 8, 1), (4, 8, 2), (8, 64, 8), (2, 128, 128), (1, 4096, 16), (1, 1, 1)]
)
def test_topk(rows, n, count, down):
    for type_ in (T["i32"], T["fp32"], T["i16"]) if n <= 8 else (T["fp32"],):
        x = Data.of(type_, rng(n).permutation(np.arange(rows * n) - n // 2).reshape(rows, n))
        out = Data.zeros(type_, (rows, count))
        launch(k.topk, 1, x, out, ROWS=rows, N=n, K=count, DOWN=down)
        exact = np.sort(x.values, axis=1)
        check(out, exact[:, ::-1][:, :count] if down else exact[:, :count])


@pytest.mark.parametrize("down", [False, True], ids=["smallest", "largest"])
@pytest.mark.parametrize(("n", "count"), [(8, 2), (64, 8), (128, 64), (512, 4), (4096, 64), (4096, 2048), (32, 32)])
def test_topk_of_one_dimension(n, count, down):
    x = Data.of(T["fp32"], rng(n).permutation(np.arange(n) - n // 2))
    out = Data.zeros(T["fp32"], (count,))
    launch(k.topk_flat, 1, x, out, N=n, K=count, DOWN=down)
    exact = np.sort(x.values)
    check(out, exact[::-1][:count] if down else exact[:count])


@pytest.mark.parametrize("index_type", [T["i32"], T["i64"], T["i8"]], ids=names)
@pytest.mark.parametrize(
    ("shape", "axis", "count"),
    [((16, 8), 0, 16), ((16, 8), 1, 8), ((4, 32), 1, 64), ((32, 4), 0, 2), ((1, 64), 1, 16), ((64, 1), 0, 64)],
)
def test_gather(shape, axis, count, index_type):
    for type_ in (T["i32"], T["fp16"], T["fp64"]):
        x = Data.of(type_, values(type_, int(np.prod(shape)), specials=False).reshape(shape))
        index_shape = tuple(count if d == axis else e for d, e in enumerate(shape))
        index = Data.of(index_type, rng(1).integers(0, shape[axis], index_shape))
        out = Data.zeros(type_, index_shape)
        launch(k.gather, 1, x, index, out, A=shape[0], B=shape[1], C=index_shape[0], D=index_shape[1], AXIS=axis)
        np.testing.assert_array_equal(out.array, np.take_along_axis(x.array, index.array.astype(int), axis))


@pytest.mark.parametrize("n", [2, 64, 1024])
def test_gather_of_what_is_computed(n):
    x, out, at = small(T["i32"], n), Data.zeros(T["i32"], n), np.arange(n)
    launch(k.gather_computed, 1, x, out, N=n)
    y = (x.array * 2 + at)[(at * 5 + 3) % n]
    np.testing.assert_array_equal(out.array, y + y[::-1])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("n", "bins"), [(16, 2), (64, 64), (1024, 16), (2048, 256), (8, 32), (1, 1)])
def test_histogram(n, bins, masked):
    x = rng().integers(0, bins, n).astype(np.int32)
    for count in (0, 1, n // 2, n) if masked else (n,):
        out = np.zeros(bins, np.int32)
        launch(k.histogram, 1, x, out, count, BINS=bins, N=n, MASKED=masked)
        np.testing.assert_array_equal(out, np.bincount(x[:count], minlength=bins))


@pytest.mark.parametrize("n", [0, 5, 300])
def test_histogram_in_a_loop(n):
    x, out = rng().integers(-50, 50, max(n, 1)).astype(np.int32), np.zeros(16, np.int32)
    launch(k.histogram_loop, 1, x, out, n, BINS=16, N=64)
    used = x[:n][x[:n] >= 0]
    np.testing.assert_array_equal(out, np.bincount(used & 15, minlength=16))


@pytest.mark.parametrize("type_", [T["i1"], T["bf16"], *FP8], ids=names)
def test_types_that_are_only_moved(type_):
    codes = rng().integers(0, 2 if type_.kind == "bool" else 1 << type_.bits, (8, 16)).astype(type_.storage)
    x, out = Data(type_, codes), Data.zeros(type_, (16, 8))
    launch(k.permute, 1, x, out, **sizes((8, 16)), ORDER=(1, 0))
    np.testing.assert_array_equal(out.array, codes.T)
