"""Order of effects and carried values on the Triton backend: exact where integers are used, bounded where floats are."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("triton", reason="triton is not installed")

from kernels import order

from opwright import tensor

RANDOM = np.random.default_rng(20)


def integers(*shape):
    return RANDOM.integers(-1000, 1000, shape, dtype=np.int32)


@pytest.mark.parametrize("n", [0, 1, 17, 500])
@pytest.mark.parametrize("distance", [-16, -3, -1, 0, 1, 2, 16, 64])
def test_overlapping_arguments(n, distance):
    memory = integers(1024)
    start = 128
    expected = memory.copy()
    expected[start + distance : start + distance + n] = memory[start : start + n] + 1
    order.shift[(1,)](tensor(memory[start + distance :]), tensor(memory[start:]), n, BLOCK=512)
    np.testing.assert_array_equal(memory, expected)


def test_in_place_through_other_indices():
    x = integers(100)
    expected = x[::-1].copy()
    order.flip_in_place[(1,)](tensor(x), 100, BLOCK=128)
    np.testing.assert_array_equal(x, expected)
    square = integers(32, 32)
    expected = square.T.copy()
    order.transpose_in_place[(1,)](tensor(square), SIZE=32)
    np.testing.assert_array_equal(square, expected)


@pytest.mark.parametrize("n", [1, 100, 128])
def test_store_then_load(n):
    x, out = integers(128), np.zeros(128, np.int32)
    old = x.copy()
    order.store_then_load[(1,)](tensor(x), tensor(out), n, BLOCK=128)
    np.testing.assert_array_equal(x[:n], old[:n] * 3)
    np.testing.assert_array_equal(out[:n], old[:n] * 2)
    assert not out[n:].any()


def test_load_of_what_an_earlier_iteration_stored():
    x = integers(9, 64)
    expected = np.cumsum(x, axis=0, dtype=np.int32)
    order.running_rows[(1,)](tensor(x), 9, BLOCK=64)
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("times", [0, 1, 2, 7])
def test_carried_values_are_assigned_in_parallel(times):
    x, y, z = integers(64), integers(64), integers(64)
    a, b, c = x.copy(), y.copy(), z.copy()
    order.swap[(1,)](tensor(x), tensor(y), times, BLOCK=64)
    np.testing.assert_array_equal((x, y), (b, a) if times % 2 else (a, b))
    x, y = a.copy(), b.copy()
    order.rotate[(1,)](tensor(x), tensor(y), tensor(z), times, BLOCK=64)
    for _ in range(times):
        a, b, c = b + 1, c, a
    np.testing.assert_array_equal((x, y, z), (a, b, c))


@pytest.mark.parametrize("times", [0, 1, 4])
def test_old_value_is_read_after_the_new_one_is_made(times):
    x, y = RANDOM.integers(-5, 5, 64, dtype=np.int32), np.zeros(64, np.int32)
    a, b = x.copy(), y.copy()
    for _ in range(times):
        n = a + 1
        b = b + n.sum(dtype=np.int32) * a
        a = n
    order.old_and_new[(1,)](tensor(x), tensor(y), times, BLOCK=64)
    np.testing.assert_array_equal(x, a)
    np.testing.assert_array_equal(y, b)


@pytest.mark.parametrize("times", [0, 1, 2, 5])
def test_carried_tile_through_another_index(times):
    x = integers(16, 16)
    expected = x.copy()
    for step in range(times):
        expected = expected.T + np.int32(step)
    order.carried_transpose[(1,)](tensor(x), times, SIZE=16)
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("flag", [0, 1])
def test_branches_load_what_they_use(flag):
    x, y, out = integers(100), integers(100), np.zeros(100, np.int32)
    order.choose[(1,)](tensor(x), tensor(y), tensor(out), flag, 100, BLOCK=128)
    np.testing.assert_array_equal(out, x * 2 if flag else y + 5)


@pytest.mark.parametrize(("outer", "inner"), [(0, 3), (2, 0), (3, 4)])
def test_nested_loops(outer, inner):
    x, out = RANDOM.integers(0, 50, (4, 32), dtype=np.int32), np.zeros(32, np.int32)
    total = np.zeros(32, np.int32)
    for i in range(outer):
        part = np.zeros(32, np.int32)
        for j in range(inner):
            part = part + x[i] * np.int32(j) + part % np.int32(7)
        total = total * np.int32(3) + part
    order.nested[(1,)](tensor(x), tensor(out), outer, inner, BLOCK=32)
    np.testing.assert_array_equal(out, total)


@pytest.mark.parametrize("stride", [32, 1, 0, -32])
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_moving_pointers(stride, steps):
    memory = integers(512)
    start = 256
    out = np.zeros(32, np.int32)
    expected = np.zeros(32, np.int32)
    for i in range(steps):
        expected += memory[start + i * stride :][:32] * (np.arange(32, dtype=np.int32) + np.int32(i))
    order.walk[(1,)](tensor(memory[start:]), tensor(out), steps, stride, BLOCK=32)
    np.testing.assert_array_equal(out, expected)


def test_hashed_addresses_wrap():
    x, out = integers(1000), np.zeros(512, np.int32)
    order.hashed[(4,)](tensor(x), tensor(out), 1000, BLOCK=128)
    slot = (np.arange(512, dtype=np.uint64) * 2654435761 % 2**32) % 1000
    np.testing.assert_array_equal(out, x[slot])


@pytest.mark.parametrize("n", [0, 5, 64])
def test_division_in_masked_lanes(n):
    x, out = RANDOM.integers(1, 50, 64, dtype=np.int32), np.full(64, -7, np.int32)
    order.divide[(1,)](tensor(x), tensor(out), n, BLOCK=64)
    np.testing.assert_array_equal(out[:n], 100 // x[:n])
    assert (out[n:] == -7).all()


@pytest.mark.parametrize("seed", [1, -1, 2**30, 2**31 - 1, 123456789])
def test_compare_of_wrapped_products(seed):
    out = np.zeros(128, np.int32)
    order.wrapping_compare[(1,)](tensor(out), seed, BLOCK=128)
    wrapped = (np.arange(128, dtype=np.int64) * seed).astype(np.int32)
    np.testing.assert_array_equal(out, wrapped >= 0)


@pytest.mark.parametrize("other", [0.0, 3.5, float("inf"), -float("inf"), float("nan")])
@pytest.mark.parametrize("n", [0, 1, 63, 100, 127, 128])
def test_reductions_count_what_is_masked_off(n, other):
    block = 128
    x = RANDOM.standard_normal(block).astype(np.float32)
    out = np.zeros(4, np.float32)
    order.statistics[(1,)](tensor(x), tensor(out), n, other, BLOCK=block)
    full = np.where(np.arange(block) < n, x, np.float32(other)).astype(np.float64)
    replaced = np.where(np.arange(block) < n, x, 2.0)
    with np.errstate(all="ignore"):
        number = full[~np.isnan(full)]  # maxnum and minnum prefer numbers
        expected = [
            full.sum(),
            number.max() if number.size else np.nan,
            (number * 2 - 1).min() if number.size else np.nan,
            replaced.sum(),
        ]
    # Any order of n additions: n roundoffs of the sum of magnitudes; x * 2 - 1 rounds once.
    bound = block * 2.0**-24 * (np.abs(np.nan_to_num(full, posinf=0, neginf=0)).sum() + 2.0 * block)
    for got, want in zip(out, expected, strict=True):
        assert (np.isnan(got) and np.isnan(want)) or got == want or abs(got - want) <= bound


def test_rows_of_nan_stay_nan():
    x = np.full(64, np.nan, np.float32)
    out = np.zeros(4, np.float32)
    order.statistics[(1,)](tensor(x), tensor(out), 64, 0.0, BLOCK=64)
    assert np.isnan(out).all()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 64), (8, 33), (8, 64), (3, 2)])
def test_row_statistics_under_masks(rows, columns, axis):
    x = RANDOM.standard_normal((rows, columns)).astype(np.float32)
    full = np.full((8, 64), -1.0)
    full[:rows, :columns] = x
    size = 64 if axis == 0 else 8
    out = np.zeros((2, size), np.float32)
    order.row_statistics[(1,)](tensor(x), tensor(out), rows, columns, ROWS=8, COLUMNS=64, AXIS=axis)
    np.testing.assert_array_equal(out[1], full.max(axis=axis))
    bound = 64 * 2.0**-24 * np.abs(full).sum(axis=axis)  # 64 additions in any order
    assert (np.abs(out[0] - full.sum(axis=axis)) <= bound).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_first_of_equal_extremes_wins(axis):
    x = RANDOM.integers(-3, 3, (16, 32)).astype(np.float32)
    size = 32 if axis == 0 else 16
    out = np.zeros((2, size), np.int32)
    order.extremes[(1,)](tensor(x), tensor(out), ROWS=16, COLUMNS=32, AXIS=axis)
    np.testing.assert_array_equal(out[0], x.argmax(axis=axis))
    np.testing.assert_array_equal(out[1], x.argmin(axis=axis))


@pytest.mark.parametrize("name", ["float16", "float32"])
@pytest.mark.parametrize(
    ("m", "n", "k"), [(64, 64, 32), (16, 32, 16), (32, 16, 64), (2, 64, 16), (64, 4, 8), (1, 1, 2), (128, 32, 16)]
)
def test_products_with_other_users(m, n, k, name):
    steps = 3
    a = RANDOM.standard_normal((steps, m, k)).astype(name)
    b = RANDOM.standard_normal((steps, k, n)).astype(name)
    out = np.zeros((m, n), np.float32)
    order.products[(1,)](tensor(a), tensor(b), tensor(out), M=m, N=n, K=k, STEPS=steps)
    total = np.zeros((m, n))
    kept = np.zeros((m, n))
    size = np.zeros((m, n))
    for step in range(steps):
        x, y = a[step].astype(np.float64), b[step].astype(np.float64)
        product = x @ y
        kept += total * 0.5
        total = total * 0.25 + product - product.max(axis=1, keepdims=True)
        size += np.abs(x) @ np.abs(y)
    # k products and additions per dot, and a few more per step, each within one roundoff of the magnitudes met so far.
    bound = (k + 8) * steps * 2.0**-24 * (size + size.max(axis=1, keepdims=True)) * 2
    assert (np.abs(out - (total + kept)) <= bound).all()
