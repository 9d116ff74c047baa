"""Loads and stores: masks of every kind, `other`, strides, computed addresses, pointers to pointers, hints, booleans, and the order of
loads and stores where arguments share memory. What may crash a process is in test_guard_pages.py."""

from __future__ import annotations

import numpy as np
import pytest

from .kernels import memory as k
from .kit import FLOATS, INTEGERS, Data, T, check, launch, rng, sample, values


def ints(*shape, seed=0, dtype=np.int32):
    return rng(seed).integers(-1000, 1000, shape).astype(dtype)


def names(value):
    return str(value)


# -- masks


def kinds(at, lo, hi, loaded):
    return {
        "prefix": at < hi,
        "suffix": at >= lo,
        "interval": (at >= lo) & (at < hi),
        "outside": (at < lo) | (at >= hi),
        "not": ~((at >= lo) & (at < hi)),
        "one": at == lo,
        "all but one": at != lo,
        "pattern": (at % 3 == 1) & (at < hi),
        "uniform": np.full(at.shape, lo < hi),
        "scaled": at * 3 + lo < hi * 2,
        "downward": hi - at > lo,
        "divided": at // 4 < int(hi / 4),
        "unsigned": (at - lo).astype(np.uint32) < np.int32(hi - lo).astype(np.uint32),
        "xor": (at < lo) ^ (at < hi),
        "loaded": loaded != 0,
        "loaded or": (loaded != 0) | (at < lo),
        "loaded and": (loaded != 0) & (at < hi),
    }


LIMITS = [(0, 0), (2, 100), (0, 128), (5, 5), (100, 7), (-3, 127), (2, 200), (127, 128), (64, 64), (17, 80)]
KINDS = list(kinds(np.arange(1), 0, 0, np.arange(1)))


@pytest.mark.parametrize("other", [None, -7, 7.5], ids=names)
@pytest.mark.parametrize("kind", KINDS)
def test_masks(kind, other):
    """Every kind of mask, at limits within and beyond the tile, on both sides of a copy."""
    x, loaded = Data.of(T["fp32"], ints(128)), (rng(1).random(128) < 0.5).astype(np.int8)
    for lo, hi in LIMITS:
        mask = kinds(np.arange(128), lo, hi, loaded)[kind]
        out = Data.zeros(T["fp32"], (2, 128))
        out.array[...] = 3
        launch(
            k.masked_copy,
            1,
            x,
            loaded,
            out,
            lo,
            hi,
            float(other or 0) + 0.25,
            KIND=kind,
            OTHER=other is not None,
            BLOCK=128,
        )
        instead = 0 if other is None else other + 0.25
        np.testing.assert_array_equal(out.array[0], np.where(mask, x.array, instead), err_msg=f"{lo} {hi}")
        np.testing.assert_array_equal(out.array[1], np.where(mask, x.array, 3), err_msg=f"{lo} {hi}")


@pytest.mark.parametrize("type_", INTEGERS + FLOATS, ids=names)
@pytest.mark.parametrize("kind", ["interval", "loaded", "pattern"])
def test_masks_of_types(type_, kind):
    x, loaded = Data.of(type_, values(type_, 128)), (rng(1).random(128) < 0.5).astype(np.int8)
    mask = kinds(np.arange(128), 9, 77, loaded)[kind]
    out = Data.zeros(type_, (2, 128))
    launch(k.masked_copy, 1, x, loaded, out, 9, 77, 5, KIND=kind, OTHER=True, BLOCK=128)
    check(Data(type_, out.array[0]), np.where(mask, x.values, type_.storage.type(5) if type_.native else 5))
    check(Data(type_, out.array[1]), np.where(mask, x.values, x.values.dtype.type(0)))


def tile_masks(i, j, rows, cols, shape):
    return {
        "product": (i < rows) & (j < cols),
        "union": (i < rows) | (j < cols),
        "triangle": i >= j,
        "band": (i >= j) & (i - j < cols) & (i < rows),
        "row": i < rows,
        "column": j < cols,
        "broadcast": j < cols,
        "flat": i * shape[1] + j < rows * cols,
        "diagonal": (i == j) & (i < rows),
    }


@pytest.mark.parametrize("shape", [(16, 16), (4, 64), (32, 2), (1, 32)], ids=names)
@pytest.mark.parametrize("kind", list(tile_masks(0, 0, 0, 0, (1, 1))))
def test_tile_masks(kind, shape):
    x = ints(shape[0], shape[1] + 3)
    i, j = np.arange(shape[0])[:, None], np.arange(shape[1])[None, :]
    for rows, cols in [(0, 0), (1, 1), (3, 2), (shape[0], shape[1] - 1), (shape[0] + 5, shape[1] + 1), (-1, 4)]:
        out = np.zeros(shape, np.int32)
        launch(k.masked_tile, 1, x, out, rows, cols, x.shape[1], KIND=kind, R=shape[0], C=shape[1])
        mask = np.broadcast_to(tile_masks(i, j, rows, cols, shape)[kind], shape)
        np.testing.assert_array_equal(out, np.where(mask, x[:, : shape[1]], -1), err_msg=f"{rows} {cols}")


def test_scalar_masks():
    x, out = ints(8), np.full(8, 5, np.int32)
    launch(k.scalar_masks, 8, x, out, 5, -1)
    np.testing.assert_array_equal(out, [5 if i == 2 else x[i] if i < 5 else -1 for i in range(8)])


def test_booleans():
    x, y = rng().random(64) < 0.5, rng(1).random(64) < 0.5
    out = np.zeros(64, bool)
    launch(k.booleans, 1, x, y, out, 40, BLOCK=64)
    inside = np.arange(64) < 40
    np.testing.assert_array_equal(out, np.where(inside, x, True) & ~np.where(inside, y, False))


# -- strides


@pytest.mark.parametrize("type_", [T[n] for n in ("i8", "fp16", "fp32", "fp64")], ids=names)
@pytest.mark.parametrize(
    ("x_stride", "out_stride"), [(1, 1), (2, 1), (1, 2), (-1, 1), (1, -1), (-3, 2), (0, 1), (5, 7)]
)
@pytest.mark.parametrize("constant", [False, True], ids=["runtime", "constant"])
def test_strides(constant, x_stride, out_stride, type_):
    n = 100
    x, out = Data.of(type_, rng().integers(-50, 50, 1000)), Data.zeros(type_, 1601)
    x_first, out_first = (900 if s < 0 else 0 for s in (x_stride, out_stride))
    expected = out.array.copy()
    index = np.arange(n)
    expected[out_first + index * out_stride] = x.array[x_first + index * x_stride]
    views = Data(type_, x.array[x_first:]), Data(type_, out.array[out_first:])
    if constant:
        launch(k.strided_constant, 2, *views, n, X=x_stride, OUT=out_stride, BLOCK=64)
    else:
        launch(k.strided, 2, *views, n, x_stride, out_stride, BLOCK=64)
    np.testing.assert_array_equal(out.array, expected)


LAYOUTS = {
    "rows": lambda a: a,
    "columns": lambda a: np.asfortranarray(a),
    "every second": lambda a: np.repeat(np.repeat(a, 2, 0), 2, 1)[::2, ::2],
    "upside down": lambda a: a[::-1].copy()[::-1],
    "mirrored": lambda a: a[:, ::-1].copy()[:, ::-1],
    "one row": lambda a: np.broadcast_to(a[:1], a.shape),
    "one column": lambda a: np.broadcast_to(a[:, :1], a.shape),
    "overlapping": lambda a: np.lib.stride_tricks.as_strided(a, a.shape, (a.itemsize, a.itemsize)),
}


@pytest.mark.parametrize("out_layout", ["rows", "columns", "every second", "mirrored"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("tile", [(8, 32), (32, 8)], ids=names)
def test_tiles_of_strides(layout, out_layout, tile):
    rows, cols = 37, 45
    x, out = LAYOUTS[layout](ints(rows, cols)), LAYOUTS[out_layout](np.zeros((rows, cols), np.int32))
    address = x.__array_interface__["data"][0]
    steps = [s // 4 for s in (*x.strides, *out.strides)]
    base = x if x.flags.writeable else x.base if x.base is not None else x.copy()
    while not base.flags.writeable:
        base = base.base
    assert base.__array_interface__["data"][0] == address or layout in ("upside down", "mirrored")
    launch(k.tile_of_strides, (-(-rows // tile[0]), -(-cols // tile[1])), x if x.flags.writeable else base, out,
           rows, cols, *steps, R=tile[0], C=tile[1])  # fmt: skip
    np.testing.assert_array_equal(out, x)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)], ids=names)
@pytest.mark.parametrize("used", [(4, 8, 16), (3, 5, 7), (1, 8, 1)], ids=names)
def test_cube_of_strides(order, used):
    base = ints(*(np.array([4, 8, 16])[list(order)]))
    x = base.transpose(np.argsort(order))
    assert x.shape == (4, 8, 16)
    out = np.zeros(x.shape, np.int32)
    launch(k.cube_of_strides, 1, base, out, *(s // 4 for s in x.strides), *used, A=4, B=8, C=16)
    inside = np.zeros(x.shape, bool)
    inside[: used[0], : used[1], : used[2]] = True
    np.testing.assert_array_equal(out, np.where(inside, x, 0))


# -- addresses


def trunc_div(a, b):
    return np.trunc(a / b).astype(int)


COMPUTED = {
    "div": lambda at, n, c, b: at // c,
    "mod": lambda at, n, c, b: at % c,
    "div mod": lambda at, n, c, b: (at % c) * (b // c) + at // c,
    "xor": lambda at, n, c, b: at ^ c,
    "and": lambda at, n, c, b: at & c,
    "or": lambda at, n, c, b: at | c,
    "shift": lambda at, n, c, b: (at >> 1) + ((at & 1) << 2),
    "negative div": lambda at, n, c, b: trunc_div(at - c, 3) + c,
    "negative mod": lambda at, n, c, b: (at - c) - trunc_div(at - c, 4) * 4 + 8,
    "wrap": lambda at, n, c, b: (at + n) % b,
    "square": lambda at, n, c, b: (at * at) % b,
    "minimum": lambda at, n, c, b: np.minimum(at + c, b - 1),
    "where": lambda at, n, c, b: np.where(at < c, at + 1, at - 1) & (b - 1),
    "compare": lambda at, n, c, b: (at > c) * 5 + (at == n),
    "reverse": lambda at, n, c, b: b - 1 - at,
}


@pytest.mark.parametrize("constant", [1, 4, 16, 21], ids=names)
@pytest.mark.parametrize("kind", COMPUTED)
def test_computed_addresses(kind, constant):
    for block in (16, 64) if constant <= 16 else (128,):
        x, out = ints(block + 160), np.zeros(block, np.int32)
        for n in (0, 5):
            launch(k.computed, 1, x, out, n, K=constant, KIND=kind, BLOCK=block)
            np.testing.assert_array_equal(out, x[COMPUTED[kind](np.arange(block), n, constant, block)])


@pytest.mark.parametrize("type_", sample(INTEGERS + FLOATS, 6), ids=names)
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("n", [1, 100, 1000])
def test_gather_scatter(n, index, type_):
    x, out = Data.of(type_, values(type_, 500)), Data.zeros(type_, n)
    source, target = rng().integers(0, 500, n).astype(index), rng(1).permutation(n).astype(index)
    launch(k.gather_scatter, -(-n // 128), x, source, target, out, n, BLOCK=128)
    expected = np.zeros_like(out.array)
    expected[target] = x.array[source]
    np.testing.assert_array_equal(out.array, expected)


def test_pointers_in_memory():
    rows = [rng(i).standard_normal(40).astype(np.float32) for i in range(8)]
    addresses = np.array([row.ctypes.data for row in rows], np.int64)
    out = np.zeros((8, 30), np.float32)
    launch(k.through_pointers, 8, addresses, out, 30, BLOCK=32)
    np.testing.assert_array_equal(out, np.stack(rows)[:, :30])
    out = np.zeros(8 + 8 * 32, np.float32)
    launch(k.lane_pointers, 1, addresses, out, 11, R=8, C=32)
    np.testing.assert_array_equal(out[:8], np.stack(rows)[:, 11])
    np.testing.assert_array_equal(out[8:].reshape(8, 32), np.stack(rows)[:, :32])


@pytest.mark.parametrize("which", [0, 5])
def test_selected_pointers(which):
    x, y, out = ints(32), ints(32, seed=1), np.zeros((2, 32), np.int32)
    launch(k.select_pointer, 1, x, y, out, which, BLOCK=32)
    np.testing.assert_array_equal(out, [np.where(np.arange(32) % 2 == 0, x, y), x if which else y])


def test_pointers_as_integers():
    x, out = ints(100), np.zeros(2, np.int64)
    launch(k.pointer_difference, 1, x, x[60:], out)
    assert out.tolist() == [60, x[2]]
    f = rng().standard_normal(64).astype(np.float32)
    g = np.zeros_like(f)
    launch(k.as_other_type, 1, f, g, BLOCK=64)
    np.testing.assert_array_equal(g, -f)


@pytest.mark.parametrize("offset", [0, 1, 2**31 - 1, 2**31, 2**33 + 3, -(2**34)])
def test_far_offsets(offset):
    x, out = ints(64), np.zeros((2, 64), np.int32)
    launch(k.far, 1, x, out, offset, BLOCK=64)
    np.testing.assert_array_equal(out, [x, x])


@pytest.mark.parametrize("offset", [0, 128, 192, -64, -128])
def test_narrow_offsets(offset):
    x, out = ints(512), np.zeros(64, np.int32)
    launch(k.small_offsets, 1, x[256:] if offset < 0 else x, out, OFFSET=offset, BLOCK=64)
    first = 256 + offset if offset < 0 else offset
    np.testing.assert_array_equal(out, x[first : first + 64])


def test_broadcasting():
    x, y, out = ints(16), ints(32, seed=1), np.zeros((2, 16, 32), np.int32)
    launch(k.broadcasting, 1, x, y, out, R=16, C=32)
    np.testing.assert_array_equal(out, [x[:, None] * x[3] + y, np.broadcast_to(y, (16, 32))])


@pytest.mark.parametrize("type_", [T[n] for n in ("i8", "bf16", "fp32", "i64")], ids=names)
@pytest.mark.parametrize("shape", [(16, 16), (1, 64), (64, 1), (8, 128), (128, 4), (64, 64)], ids=names)
def test_transposed(shape, type_):
    x, out = Data.of(type_, rng().integers(-100, 100, shape)), Data.zeros(type_, (2, *shape[::-1]))
    launch(k.transposed, 1, x, out, R=shape[0], C=shape[1])
    check(out, np.stack([x.values.T + 1] * 2))


@pytest.mark.parametrize("volatile", [False, True])
@pytest.mark.parametrize("evict", ["", "evict_first", "evict_last"])
@pytest.mark.parametrize(("load", "store"), [("", ""), (".ca", ".wb"), (".cg", ".cg"), (".cs", ".cs"), (".cv", ".wt")])
def test_hints_change_nothing(load, store, evict, volatile):
    x, out = ints(200), np.zeros(200, np.int32)
    launch(k.hinted, 4, x, out, 200, LOAD=load, STORE=store, EVICT=evict, VOLATILE=volatile, BLOCK=64)
    np.testing.assert_array_equal(out, x)


# -- order


def test_loads_of_one_element_for_all_lanes():
    for stride in (0, 1, 2):
        x, out = ints(128), np.zeros((2, 64), np.int32)
        old, at = x.copy(), np.arange(64)
        launch(k.zero_stride, 1, x, out, stride, BLOCK=64)
        new = old.copy()
        new[:64] = at * 10
        np.testing.assert_array_equal(out, [old[at * stride], new[at * stride]])


@pytest.mark.parametrize("distance", [0, 1, 5, 64, -3, 200])
@pytest.mark.parametrize("n", [1, 64, 100])
def test_mirrored(n, distance):
    memory = ints(600)
    expected, first = memory.copy(), 200
    expected[first + distance : first + distance + n] = memory[first : first + n][::-1] * 2
    launch(k.mirrored, 1, memory[first:], memory[first + distance :], n, BLOCK=128)
    np.testing.assert_array_equal(memory, expected)


@pytest.mark.parametrize("distance", [0, 2, 64, 128, -64])
def test_two_widths_at_one_place(distance):
    memory = ints(600, dtype=np.int16)
    first, n = 200, 100
    x = memory[first : first + n].copy()
    launch(k.two_widths, 1, memory[first:], memory[first + distance :].view(np.int32), n, BLOCK=128)
    np.testing.assert_array_equal(memory[first + distance :].view(np.int32)[:n], x.astype(np.int32) + 100000)


@pytest.mark.parametrize(
    "distances", [(0, 0), (0, 1), (1, 0), (1, 1), (3, -2), (-1, 1), (64, 0), (100, 200), (-64, 63)], ids=names
)
@pytest.mark.parametrize("n", [1, 50, 64])
def test_three_pointers(n, distances):
    memory, out = ints(600), np.zeros(64, np.int32)
    expected, inside = memory.copy(), np.arange(64) < n
    a, b, c = (expected[200 + d :][:64] for d in (0, *distances))
    x = a[inside].copy()
    b[inside] = x + 1
    y = c[inside].copy()
    a[inside] = y * 2
    z = b[inside].copy()
    c[inside] = z + z.sum(dtype=np.int32)
    result = a[inside] + z
    launch(k.read_write_read, 1, *(memory[200 + d :] for d in (0, *distances)), out, n, BLOCK=64)
    np.testing.assert_array_equal(memory, expected)
    np.testing.assert_array_equal(out[:n], result)


@pytest.mark.parametrize("distance", [0, 1, -1, 2, 64, 100])
@pytest.mark.parametrize("n", [0, 1, 30, 64])
def test_steps_in_place(n, distance):
    memory = ints(400)
    expected = memory.copy()
    x, y = expected[100:], expected[100 + distance :]
    for step in range(5):
        y[:n] = x[:n] + x[1 : n + 1] * 3 + np.int32(step)
    launch(k.many_steps, 1, memory[100:], memory[100 + distance :], 5, n, BLOCK=64)
    np.testing.assert_array_equal(memory, expected)


INT_MAX = 2**31 - 1


@pytest.mark.parametrize("high", [-(2**31), -(2**31) + 10, 0, 5, INT_MAX - 20, INT_MAX])
@pytest.mark.parametrize("low", [-(2**31), -5, 0, INT_MAX - 200, INT_MAX - 63])
def test_masks_that_count_up_to_the_largest_integer(low, high):
    x, out = ints(64), np.zeros(64, np.int32)
    launch(k.shifted_mask, 1, x, out, low, high, BLOCK=64)
    inside = low + np.arange(64) < high
    np.testing.assert_array_equal(out, np.where(inside, x, 0))


@pytest.mark.parametrize("low", [INT_MAX - 62, INT_MAX - 3, INT_MAX])
def test_a_mask_that_wraps_inside_the_tile_is_an_error(low):
    x, out = ints(64), np.zeros(64, np.int32)
    with pytest.raises(RuntimeError, match=r"(?s)memory.py:\d+: .*wraps inside the tile.*kernel 'shifted_mask'"):
        launch(k.shifted_mask, 1, x, out, low, 10, BLOCK=64)
    assert not out.any()


def test_an_int64_mask_that_wraps_is_an_error_too():
    x, out = ints(64), np.zeros(64, np.int32)
    with pytest.raises(RuntimeError, match="the int64 sum in this mask wraps inside the tile"):
        launch(k.shifted_mask, 1, x, out, 2**63 - 10, 10, BLOCK=64)


@pytest.mark.parametrize("x", [-(2**31), -5, 0, INT_MAX - 63, INT_MAX - 5, INT_MAX])
@pytest.mark.parametrize(("y", "n"), [(0, 2**31), (10, 100), (-20, 0), (0, -(2**31)), (2**31 - 1, 2**31)])
@pytest.mark.parametrize("where", ["inside", "outside"])
def test_widened_masks(x, y, n, where):
    """Sums in int32, then compared in int64: right, or refused where they wrap inside the tile."""
    out = np.zeros(64, np.int32)
    i = np.arange(64, dtype=np.int64)
    wrap = lambda v: (v + 2**31) % 2**32 - 2**31  # noqa: E731
    exact = wrap(wrap(x + i) + y) if where == "inside" else wrap(x + i) + y
    start = wrap(x + y) if where == "inside" else x
    try:
        launch(k.widened_mask, 1, out, x, y, n, INSIDE=where == "inside", BLOCK=64)
    except RuntimeError as error:
        assert "wraps inside the tile" in str(error) and start + 63 > INT_MAX
    else:
        np.testing.assert_array_equal(out, exact < n)


def test_addresses_that_come_around():
    x, out = ints(64), np.zeros(64, np.int32)
    launch(k.around, 1, x, out, BLOCK=64)
    np.testing.assert_array_equal(out, np.where(np.arange(64) % 4 == 0, x[0], 7))


@pytest.mark.parametrize("high", [-(2**31) + 20, 0, INT_MAX])
@pytest.mark.parametrize(("a", "b"), [(0, 0), (INT_MAX, INT_MAX), (INT_MAX, 5), (-(2**31), -(2**31) + 1), (1000, -990)])
def test_masks_of_sums_that_wrap_alike_in_all_elements(a, b, high):
    x, out = ints(64), np.zeros(64, np.int32)
    launch(k.split_mask, 1, x, out, a, b, high, BLOCK=64)
    with np.errstate(over="ignore"):
        inside = np.int32(a) + np.int32(b) + np.arange(64, dtype=np.int32) < np.int32(high) + np.int32(1)
    np.testing.assert_array_equal(out, np.where(inside, x, 0))


@pytest.mark.parametrize("high", [-(2**31) + 20, 0, 70, INT_MAX - 10, INT_MAX])
@pytest.mark.parametrize("block", [0, 1, -1, 2**25 - 1, 2**25, 2**25 + 1, 2**26])
def test_masks_of_blocks(block, high):
    x, out = ints(64), np.zeros(64, np.int32)
    launch(k.block_mask, 1, x, out, block, high, BLOCK=64)
    at = (block * 64 + np.arange(64)).astype(np.int32)
    np.testing.assert_array_equal(out, np.where(at < high, x, 0))


@pytest.mark.parametrize("low", [0, INT_MAX - 63, INT_MAX - 30, INT_MAX])
def test_selected_data_wraps(low):
    out = np.zeros(64, np.int32)
    launch(k.shifted_select, 1, out, low, 10, BLOCK=64)
    i = np.arange(64, dtype=np.int32)
    np.testing.assert_array_equal(out, np.where(i + np.int32(low) < 10, i, -1))
