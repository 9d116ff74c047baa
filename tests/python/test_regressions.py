"""One test per defect that was found by reading the planner against Triton's semantics."""

import numpy as np
import pytest
from kernels import regressions

from opwright import tensor
from opwright.explain import explain

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


def test_index_is_whole_where_its_load_is(  # the load may be done before the store, for the whole tile
):
    n, x = 5, np.arange(64, dtype=np.int32)
    regressions.index_of_loaded[(1,)](  # leaves numbers in the scratch memory that are no indices
        tensor(permutation(64)),
        tensor(np.arange(99, dtype=np.int32) + 2**30),
        tensor(np.zeros(128, np.int32)),
        BLOCK=64,
    )
    p, out = (np.arange(64) * 7).astype(np.int32), np.zeros(64, np.int32)
    regressions.index_under_a_mask[(1,)](tensor(x), tensor(p), tensor(out), n, 3, 11, BLOCK=64)
    index = np.where(np.arange(64) < n, p // 3 % 11, 0)
    np.testing.assert_array_equal(out[:n], x[index][:n] + index.sum())
    np.testing.assert_array_equal(out[n:], 0)


@pytest.mark.parametrize("size", [16, 64, 256])
@pytest.mark.parametrize("low", [0, 3, 5, 9])
def test_flip_from_the_middle_of_a_vector(size, low):
    x, out = permutation(size), np.full(size, -1, np.int32)
    regressions.flip_from_the_middle[(1,)](tensor(x), tensor(out), low, size - 1, BLOCK=size)
    expected = np.where((np.arange(size) >= low) & (np.arange(size) < size - 1), x[::-1], -1)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("steps", [0, 1, 20000])
def test_carried_narrow_integers_add_up(steps):
    out = np.zeros(64, np.int16)
    regressions.carried_narrow[(1,)](tensor(out), steps, BLOCK=64)
    np.testing.assert_array_equal(out, np.full(64, 3 * steps).astype(np.int16))


def test_a_load_stays_in_the_loop_that_is_its_mask():
    class Nowhere:
        dtype = np.dtype(np.float32)

        def data_ptr(self):
            return 16

    out = np.ones(64, np.float32)
    regressions.one_place_under_a_mask[(1,)](Nowhere(), tensor(out), 0, BLOCK=64)
    np.testing.assert_array_equal(out, 1)


def test_swapped_pointers_in_a_plugin():
    from opwright import _core

    x, y, out = np.arange(32, dtype=np.float32), np.zeros(32, np.float32), np.zeros((4, 32), np.float32)
    text = regressions.ping_pong[(1,)](tensor(x.copy()), tensor(y.copy()), tensor(out.copy()), 4, BLOCK=32).asm["ttir"]
    kernel = _core.compile(text, args_disjoint=True)
    types = [("x", "*fp32"), ("y", "*fp32"), ("out", "*fp32"), ("steps", "i32")]
    launch = _core.launcher(kernel.name, types, slots=4, scratch_bytes=kernel.scratch_bytes)
    launch(1, 1, 1, 0, _core.load(kernel.object), None, None, None, None, *(tensor(a) for a in (x, y, out)), 4)
    expected = np.arange(32) + np.array([0, 0, 1, 3])[:, None]
    np.testing.assert_array_equal(out, 100 * expected)


@pytest.mark.parametrize("low", [2**62, -(2**62), 2**63 - 40, -(2**63), 0])
def test_bounds_far_from_zero(low):
    out = np.zeros(32, np.int32)
    regressions.far_bounds[(1,)](tensor(out), low, min(low + 5, 2**63 - 1), BLOCK=32)
    np.testing.assert_array_equal(out, np.arange(32) < 5)


def test_planning_a_dot_is_linear_in_what_comes_before():
    x, out = np.ones((16, 16), np.float32), np.zeros((16, 16), np.float32)
    regressions.squares_before_a_dot[(1,)](tensor(x), tensor(out), TIMES=60, SIZE=16)  # 2^60 steps would not end
    np.testing.assert_array_equal(out, 16)


def test_a_tile_of_addresses_keeps_its_rows_and_not_itself():
    """A row's part is costly (a load, divisions), and kept; the tile of all addresses, from which lanes would gather, is not."""
    x, y, table = RANDOM.random((64, 32), np.float32), RANDOM.random((64, 32), np.float32), permutation(16)[:8]
    out = np.zeros(32, np.float32)
    regressions.pages[(1,)](tensor(x), tensor(y), tensor(table), tensor(out), 4, ROWS=32, COLUMNS=32)
    rows = (table[:, None] * 4 + np.arange(4)).reshape(-1)
    np.testing.assert_allclose(out, x[rows].sum(1) @ y[rows], rtol=1e-5)
    found = explain(f"{regressions.__file__}:pages", "*fp32,*fp32,*i32,*fp32,i32", ["ROWS=32", "COLUMNS=32"])
    texts = [text for line in found.lines for _, text in line.remarks]
    assert sum("contiguous load of" in text and ("x_ptr" in text or "y_ptr" in text) for text in texts) == 2
