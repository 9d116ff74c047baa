"""Tensor descriptors: blocks within, across and beyond the boundaries, padding with zero and NaN, every rank, reductions, gathers and
scatters of rows, from the kernel and from the host."""

from __future__ import annotations

import numpy as np
import pytest
from triton.tools.tensor_descriptor import TensorDescriptor

from .kernels import descriptors as k
from .kit import Data, T, check, launch, rng, tensor_of

FP32 = T["fp32"]
PLACES = [(0, 0), (3, 5), (-2, -3), (30, 0), (0, 40), (33, 44), (100, 100), (-16, 0), (5, -40), (-100, -100)]


def names(value):
    return str(value)


def aligned(array: np.ndarray) -> np.ndarray:
    """A copy at an address that descriptors accept."""
    memory = np.empty(array.nbytes + 64, np.uint8)
    first = -memory.ctypes.data % 64
    copy = memory[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def data(type_, values) -> Data:
    return Data(type_, aligned(Data.of(type_, values).array))


def around(x, row, column, shape, fill):
    """A block of a matrix from any place, filled where there is no matrix."""
    i, j = row + np.arange(shape[0])[:, None], column + np.arange(shape[1])[None, :]
    inside = (i >= 0) & (i < x.shape[0]) & (j >= 0) & (j < x.shape[1])
    return np.where(inside, x[np.clip(i, 0, x.shape[0] - 1), np.clip(j, 0, x.shape[1] - 1)], fill)


@pytest.mark.parametrize("padding", ["zero", "nan"])
@pytest.mark.parametrize(
    "type_", [T[n] for n in ("i8", "i32", "u64", "fp16", "bf16", "fp32", "fp64", "fp8e5")], ids=names
)
@pytest.mark.parametrize("cols", [32, 48])
def test_load(type_, padding, cols):
    if padding == "nan" and not type_.is_float:
        padding = "zero"  # the front end has NaN for floats alone
    fill = np.nan if padding == "nan" else 0
    x = data(type_, rng().integers(0, 5, (34, 48)))
    for row, column in PLACES:
        out = Data.zeros(type_, (16, 32))
        launch(k.copy, 1, x, out, 34, cols, row, column, 48, PADDING=padding, R=16, C=32)
        check(out, around(x.values[:, :cols], row, column, (16, 32), fill if type_.is_float else 0))


@pytest.mark.parametrize("type_", [T[n] for n in ("u8", "i32", "fp16", "fp64")], ids=names)
@pytest.mark.parametrize("cols", [32, 48])
def test_store(type_, cols):
    x = data(type_, rng().integers(1, 5, (16, 32)))
    for row, column in PLACES:
        out = data(type_, np.zeros((34, 48)))
        launch(k.place, 1, x, out, 34, cols, row, column, 48, R=16, C=32)
        exact = np.zeros((34, 48))
        exact[:, :cols] = around(x.values, -row, -column, (34, cols), 0)
        check(out, exact)


@pytest.mark.parametrize(
    ("shape", "block"),
    [
        ((64,), (64,)),
        ((100,), (128,)),
        ((4, 8, 16), (2, 4, 16)),
        ((3, 5, 20), (2, 4, 8)),
        ((2, 2, 4, 2, 16), (2, 2, 2, 2, 16)),
    ],
    ids=names,
)
def test_ranks(shape, block):
    x, out = (aligned(rng(s).integers(-9, 9, shape).astype(np.int32)) for s in range(2))
    launch(k.ranks, 1, x, out, SHAPE=shape, BLOCK=block, RANK=len(shape))
    np.testing.assert_array_equal(out, x * 2)


REDUCTIONS = {
    "add": (lambda a, b: a + b, ("i32", "u32", "u64", "fp32", "fp16", "bf16")),
    "min": (np.minimum, ("i32", "u32", "i64", "u64")),
    "max": (np.maximum, ("i32", "u32", "i64", "u64")),
    "and": (lambda a, b: a & b, ("i32", "u32", "i64", "u64")),
    "or": (lambda a, b: a | b, ("i32", "u32", "i64", "u64")),
    "xor": (lambda a, b: a ^ b, ("i32", "u32", "i64", "u64")),
}


@pytest.mark.parametrize(("kind", "name"), [(kind, n) for kind, (_, types) in REDUCTIONS.items() for n in types])
def test_reductions(kind, name):
    """Outside of the tensor nothing is changed."""
    type_, f = T[name], REDUCTIONS[kind][0]
    for row, column in PLACES[:6]:
        x, out = data(type_, rng(1).integers(0, 50, (16, 32))), data(type_, rng(2).integers(0, 50, (34, 48)))
        before = out.values.copy()
        launch(k.reduce, 1, out, x, 34, 40, row, column, 48, KIND=kind, R=16, C=32)
        there = around(np.ones((16, 32)), -row, -column, (34, 48), 0) * (np.arange(48) < 40)
        moved = around(x.values, -row, -column, (34, 48), 0).astype(x.values.dtype)
        check(out, np.where(there != 0, f(before, moved), before))


@pytest.mark.parametrize("index", [np.int32, np.int16])
@pytest.mark.parametrize("column", [0, 8, 40, -4])
@pytest.mark.parametrize("count", [8, 32])
def test_gather(count, column, index):
    x = data(FP32, rng().standard_normal((20, 48)))
    rows = rng(1).integers(-3, 24, count).astype(index)  # rows that are not there are zero
    out = Data.zeros(FP32, (count, 16))
    launch(k.gather, 1, x, rows, out, 20, 48, column, N=count, C=16)
    exact = np.concatenate([around(x.values, int(row), column, (1, 16), 0) for row in rows])
    check(out, exact)


@pytest.mark.parametrize("column", [0, 16, 40, -4])
def test_scatter(column):
    x, out = data(FP32, rng().standard_normal((16, 16))), data(FP32, np.zeros((20, 48)))
    rows = rng(1).permutation(np.arange(-3, 24))[:16].astype(np.int32)
    launch(k.scatter, 1, x, rows, out, 20, 48, column, N=16, C=16)
    exact = np.zeros((20, 48))
    for row, values in zip(rows, x.values, strict=True):
        if 0 <= row < 20:
            exact[row] = around(values[None], 0, -column, (1, 48), 0)
    check(out, exact)


@pytest.mark.parametrize("type_", [T["fp16"], FP32], ids=names)
@pytest.mark.parametrize("shape", [(32, 32, 32), (50, 40, 72), (5, 8, 16)], ids=names)
def test_matmul(shape, type_):
    m, n, kk = shape
    a, b = data(type_, rng().integers(-3, 4, (m, kk))), data(type_, rng(1).integers(-3, 4, (kk, n)))
    c = data(type_, np.zeros((m, n)))
    launch(k.matmul, (-(-m // 16), -(-n // 32)), a, b, c, m, n, kk, M=16, N=32, K=16)
    check(c, a.values @ b.values)  # small whole numbers: exact


def host(d, block, padding="zero"):
    return TensorDescriptor.from_tensor(tensor_of(d.array), list(block), padding)


@pytest.mark.parametrize("shape", [(16, 32), (20, 36), (7, 4)], ids=names)
@pytest.mark.parametrize("block", [(8, 16), (16, 4)], ids=names)
def test_from_the_host(shape, block):
    x, out = data(FP32, rng().integers(-9, 9, shape)), data(FP32, np.zeros(shape))
    launch(k.from_host, 1, host(x, block), host(out, block), R=block[0], C=block[1])
    check(out, x.values + shape[1])


@pytest.mark.parametrize("flag", [0, 1])
@pytest.mark.parametrize("padding", ["zero", "nan"])
def test_passed_on(padding, flag):
    x, out = data(FP32, rng().integers(-9, 9, (12, 16))), data(FP32, np.zeros((8, 16)))
    launch(k.through_function, 1, host(x, (8, 16), padding), host(out, (8, 16)), flag)
    check(out, around(x.values, 8 * flag, 0, (8, 16), np.nan if padding == "nan" else 0) * 0.5)
