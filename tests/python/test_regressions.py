"""One test per defect that was found by reading the planner against Triton's semantics."""

import numpy as np
import pytest
from kernels import regressions

from opwright import tensor

RANDOM = np.random.default_rng(7)


def permutation(size):
    return RANDOM.permutation(size).astype(np.int32)


def small(*shape):
    return RANDOM.integers(-3, 4, shape).astype(np.float32)


def test_compound_mask_keeps_what_it_loaded():
    x, out = np.arange(64, dtype=np.int32), np.zeros(64, np.int32)
    expected = np.where((x // 3 > 1) & (np.arange(64) < 50), 7, 0)
    regressions.mask_of_loaded[(1,)](tensor(x), tensor(out), 50, BLOCK=64)
    np.testing.assert_array_equal(out, expected)


def test_buffered_index_keeps_what_it_loaded():
    x, table, out = permutation(64), np.arange(99, dtype=np.int32) * 10, np.zeros(128, np.int32)
    at = x // 3 + 1
    regressions.index_of_loaded[(1,)](tensor(x), tensor(table), tensor(out), BLOCK=64)
    np.testing.assert_array_equal(out, np.concatenate([table[at], table[at + 5]]))


@pytest.mark.parametrize("steps", [0, 2])
def test_carried_pointers_keep_what_they_loaded(steps):
    x, table, out = permutation(64), np.arange(99, dtype=np.int32) * 10, np.zeros(64, np.int32)
    expected = table[x + steps]
    regressions.carried_gather[(1,)](tensor(x), tensor(table), tensor(out), steps, BLOCK=64)
    np.testing.assert_array_equal(out, expected)


def test_scatter_over_its_own_indices():
    x = permutation(64)
    expected = np.empty_like(x)
    expected[x] = np.arange(64)
    regressions.scatter_in_place[(1,)](tensor(x), BLOCK=64)
    np.testing.assert_array_equal(x, expected)


def test_reshaped_transpose_in_place():
    x = np.arange(64, dtype=np.int32)
    regressions.shuffle_in_place[(1,)](tensor(x), SIZE=8)
    np.testing.assert_array_equal(x, np.arange(64).reshape(8, 8).T.ravel())


def test_reduced_tile_stored_transposed_under_a_mask():
    x, out, n = small(16, 16), np.zeros((16, 16), np.float32), 5
    regressions.transposed_exponentials[(1,)](tensor(x), tensor(out), tensor(np.zeros(16, np.float32)), n, SIZE=16)
    expected = np.exp2(np.where(np.arange(16) < n, x, 0)).T
    expected[:, n:] = 0
    np.testing.assert_array_equal(out, expected)


def test_dot_operand_packed_in_a_branch_not_taken():
    a, b, c, out = small(16, 16), small(16, 16), small(16, 16), np.zeros((16, 16), np.float32)
    regressions.dot_after_branch[(1,)](tensor(a), tensor(b), tensor(c), tensor(out), 0, SIZE=16)
    np.testing.assert_array_equal(out, c @ b)


@pytest.mark.parametrize("size", [8, 32])
def test_dot_operand_copied_in_a_loop_that_does_not_run(size):
    a, b, c = small(size, size), small(size, size), small(size, size)
    out = np.zeros((size, size), np.float32)
    regressions.dot_after_loop[(1,)](tensor(a), tensor(b), tensor(c), tensor(out), 0, SIZE=size)
    np.testing.assert_array_equal(out, (c + b.sum(1)[:, None]) @ b)


@pytest.mark.parametrize("size", [8, 32])
def test_dot_operand_that_the_loop_overwrites(size):
    a, b, out = small(size, size), small(size, size), np.zeros((size, size), np.float32)
    expected = 3 * (a @ b)
    regressions.dot_over_its_operand[(1,)](tensor(a), tensor(b), tensor(out), 3, SIZE=size)
    np.testing.assert_array_equal(out, expected)


def test_tile_that_is_an_operand_on_both_sides():
    a, b, out = small(32, 32), small(32, 32), np.zeros((33, 32), np.float32)
    regressions.both_sides[(1,)](tensor(a), tensor(b), tensor(out), SIZE=32)
    np.testing.assert_array_equal(out, np.vstack([(a @ b).sum(1), b @ a]))


def test_argmax_of_a_dot_operand():
    a, b, out = small(32, 32), small(32, 32), np.zeros((32, 32), np.float32)
    at = np.zeros(32, np.int32)
    regressions.argmax_and_dot[(1,)](tensor(a), tensor(b), tensor(out), tensor(at), SIZE=32)
    np.testing.assert_array_equal(at, a.argmax(1))
    np.testing.assert_array_equal(out, np.exp2(a) @ b)


def test_narrow_index_wraps():
    x, table, out = np.arange(64, dtype=np.int8), np.arange(400, dtype=np.int32), np.zeros(64, np.int32)
    regressions.narrow_index[(1,)](tensor(x), tensor(table[150:]), tensor(out), BLOCK=64)
    np.testing.assert_array_equal(out, table[150 + (x + np.int8(100)).astype(np.int64)])


def test_tiles_of_booleans_in_memory():
    x, out = np.array([0, 1, 2, 255] * 16, np.uint8), np.zeros(64, bool)
    regressions.copy_tile[(1,)](tensor(x.view(bool)), tensor(out), BLOCK=64)
    np.testing.assert_array_equal(out.view(np.uint8), x != 0)


def test_carried_indices_are_data_after_the_loop():
    out = np.zeros(64, np.int32)
    regressions.indices_after_loop[(1,)](tensor(out), 3, BLOCK=64)
    np.testing.assert_array_equal(out, np.arange(64) + 6)


def test_bound_at_the_end_of_int64():
    out = np.zeros(64, np.int32)
    regressions.above[(1,)](tensor(out), 2**63 - 1, BLOCK=64)
    np.testing.assert_array_equal(out, 0)
