"""Control flow: loops of every direction and depth around tiles, scalars and pointers; while; branches with tile results; returns;
calls; grids of three dimensions; arguments of every kind."""

from __future__ import annotations

import numpy as np
import pytest
import triton

from .kernels import control as k
from .kit import Data, T, launch, rng, tensor_of


def ints(*shape, seed=0, low=-1000, high=1000):
    return rng(seed).integers(low, high, shape).astype(np.int32)


def i32(x):
    return np.asarray(x).astype(np.int32)


# -- for


@pytest.mark.parametrize(
    ("low", "high", "by"), [(0, 0, 1), (0, 1, 1), (0, 7, 1), (2, 9, 3), (-4, 5, 2), (5, 2, 1), (3, 4, 10)]
)
def test_carried_values(low, high, by):
    n, block = 40, 32
    x, out = ints(20 * n), np.zeros(block + 2, np.int32)
    launch(k.carried_kinds, 1, x, out, n, low, high, BY=by, BLOCK=block)
    tile, count, total = np.zeros(block, np.int64), 0, 0.5
    for turn, i in enumerate(range(low, high, by)):
        tile = i32(tile * 3 + x[turn * n :][:block] + i)
        count += int(x[turn * (n + 1)])
        total = total * 0.5 + i  # few bits: exact in fp32
    np.testing.assert_array_equal(out, [*tile, count, int(total * 1024)])


@pytest.mark.parametrize(("high", "low"), [(10, 0), (9, -1), (0, 0), (1, 5), (3, 2)])
def test_downward(high, low):
    out = np.zeros(20, np.int32)
    launch(k.downward, 1, out, high, low)
    expected = list(range(high, low, -3)) + [1000]
    assert out[: len(expected)].tolist() == expected


@pytest.mark.parametrize(("low", "high"), [(0, 2**33), (-(2**34), 5), (2**40, 2**40 + 1), (2**35, 0)])
def test_loops_of_64_bits(low, high):
    out = np.zeros(2, np.int64)
    launch(k.wide_loop, 1, out, low, high)
    steps = range(low, high, 2**30)
    assert out.tolist() == [len(steps), steps[-1] if len(steps) else low]


@pytest.mark.parametrize("counts", [(0, 3, 3), (3, 0, 3), (3, 3, 0), (1, 1, 1), (4, 6, 3), (6, 4, 2)])
@pytest.mark.parametrize("block", [1, 16, 128])
def test_nested_loops(block, counts):
    a, b, c = counts
    x, out = ints(block), np.zeros(block, np.int32)
    launch(k.nested, 1, x, out, a, b, c, BLOCK=block)
    acc = np.zeros(block, np.int32)
    with np.errstate(over="ignore"):
        for i in range(a):
            row = x + np.int32(i)
            for j in range(i, b):
                best = row
                for n in range(j % 2, c):
                    best = np.maximum(best * np.int32(3), row ^ np.int32(n))
                    row = row + np.int32(1)
                acc = acc + best
            acc = acc ^ row
    np.testing.assert_array_equal(out, acc)


STEPS = {
    "swap": lambda a, b: (b, a),
    "fibonacci": lambda a, b: (b, a + b),
    "reverse": lambda a, b: (b[::-1].copy(), a),
    "reduce": lambda a, b: (b - a.sum(dtype=np.int32), a),
}


@pytest.mark.parametrize("times", [0, 1, 2, 5])
@pytest.mark.parametrize("kind", STEPS)
def test_parallel_assignment(kind, times):
    x, y = ints(64), ints(64, seed=1)
    a, b = x.copy(), y.copy()
    with np.errstate(over="ignore"):
        for _ in range(times):
            a, b = STEPS[kind](a, b)
    launch(k.swapped, 1, x, y, times, KIND=kind, BLOCK=64)
    np.testing.assert_array_equal((x, y), (a, b))


@pytest.mark.parametrize("times", [0, 1, 3])
@pytest.mark.parametrize("shape", [(8, 16), (16, 16), (1, 32)], ids=str)
def test_carried_tile_through_other_indices(shape, times):
    x, out = ints(*shape), np.zeros(shape, np.int32)
    launch(k.buffered, 1, x, out, times, R=shape[0], C=shape[1])
    with np.errstate(over="ignore"):
        rows = x.sum(1, dtype=np.int32)
        for step in range(times):
            x = x - rows[:, None] + x.max(0) * np.int32(step)
            rows = x.sum(1, dtype=np.int32) + rows
    np.testing.assert_array_equal(out, x + rows[:, None])


@pytest.mark.parametrize("n", [1, 2, 5])
def test_static_range(n):
    x, out = ints(n, 32), np.zeros(32, np.int32)
    launch(k.unrolled, 1, x, out, N=n, BLOCK=32)
    acc = np.zeros(32, np.int32)
    for i in range(n):
        acc = acc + x[i] * np.int32(i) if i % 2 == 0 else acc ^ x[i]
    np.testing.assert_array_equal(out, acc + sum(range(n)))


# -- branches


@pytest.mark.parametrize("a", [-1, 0, 2, 5])
@pytest.mark.parametrize("b", [-3, 0, 4, 9])
def test_branches(a, b):
    x, out = ints(64), np.zeros(64, np.int32)
    launch(k.conditions, 1, x, out, a, b, BLOCK=64)
    y, s = x, 7
    if a > 0:
        y, s = (x * 2, a) if b > a else (-x, s)
    elif a == 0 and b != 0:
        y, s = x + x.sum(), b
    y = y + 100 if a < 0 or b < 0 else y
    s += not a > 3
    np.testing.assert_array_equal(out, y + (x if b > 5 else -x) + s)


@pytest.mark.parametrize("n", [0, 1, 5, 32])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_branches_in_loops(n, seed):
    x, out = ints(32, seed=seed, low=0), np.zeros(32, np.int32)
    memory, acc = x.copy(), np.zeros(32, np.int32)
    for i in range(n):
        flag = int(memory[i])
        rest = flag - int(flag / 3) * 3
        if rest == 0:
            acc = acc + memory
        elif rest == 1:
            memory = acc + np.int32(i)
        else:
            for j in range(flag - int(flag / 5) * 5):
                acc = acc * np.int32(2) + np.int32(j)
    launch(k.branch_in_loop, 1, x, out, n, BLOCK=32)
    np.testing.assert_array_equal(out, acc)
    np.testing.assert_array_equal(x, memory)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_branches_with_pointers(which):
    x, y, out = ints(64), ints(64, seed=1), np.zeros(32, np.int32)
    launch(k.pointer_choice, 1, x, y, out, which, BLOCK=32)
    np.testing.assert_array_equal(out, x[1:33] if which == 0 else y[31::-1] if which == 2 else y[32:0:-1])


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_early_return(n):
    x, out = ints(32), np.zeros((4, 32), np.int32)
    launch(k.early_return, 4, x, out, n, BLOCK=32)
    np.testing.assert_array_equal(out, [x * 0 if i >= n else x * 10 if i == 1 else x + 1 for i in range(4)])


@pytest.mark.parametrize("flag", [0, 1])
def test_return_in_function(flag):
    x, out = ints(32), np.zeros(32, np.int32)
    launch(k.return_in_function, 1, x, out, flag, BLOCK=32)
    np.testing.assert_array_equal(out, x * 2 if flag else x - 1)


# -- while


def test_while():
    x, out = np.arange(1, 60, dtype=np.int32), np.zeros(59, np.int32)
    launch(k.collatz, 59, x, out)

    def steps(n):
        return 0 if n == 1 else 1 + steps(n // 2 if n % 2 == 0 else 3 * n + 1)

    assert out.tolist() == [steps(int(n)) for n in x]


@pytest.mark.parametrize("limit", [-5, 10, 30, 10**6])
def test_while_with_a_tile(limit):
    x, out = ints(64, low=0, high=20), np.zeros(64, np.int32)
    launch(k.while_tile, 1, x, out, limit, BLOCK=64)
    rounds = 0
    while x.max() < limit and rounds < 50:
        x, rounds = x + np.where(x % 2 == 0, 3, 1), rounds + 1
    np.testing.assert_array_equal(out, x + rounds)


@pytest.mark.parametrize("start", [-1, 0, 7])
def test_while_over_memory(start):
    order = rng().permutation(30).astype(np.int32)
    following = np.full(30, -1, np.int32)
    following[order[:-1]] = order[1:]
    out = np.full(30, -1, np.int32)
    launch(k.while_memory, 1, following, out, start)
    expected, at, count = np.full(30, -1), start, 0
    while at >= 0:
        expected[at], at, count = count, following[at], count + 1
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("n", [0, 1, 2, 20])
def test_nested_while(n):
    out = np.zeros(1, np.int32)
    launch(k.while_nested, 1, out, n)
    total = 0
    for i in range(n):
        total += sum(range(i, 0, -2))
        for j in range(i):
            total ^= j
    assert out[0] == total


# -- calls


def test_calls():
    x, y, out = ints(32, low=-9, high=9), ints(32, seed=1, low=-9, high=9), np.zeros((2, 32), np.int32)
    launch(k.calls, 1, x, y, out, BLOCK=32)
    with np.errstate(over="ignore"):
        for _ in range(4):
            x, y = x + y, x * y
    np.testing.assert_array_equal(out, [x, y])


@pytest.mark.parametrize("n", [0, 1, 4])
def test_functions_that_are_not_inlined(n):
    x, out = ints(8), np.zeros((8, 8), np.int32)
    launch(k.outlined, 8, x, out, n)
    with np.errstate(over="ignore"):
        far = x.copy()
        for _ in range(n):
            far = far * np.int32(3) + np.int32(1)
        np.testing.assert_array_equal(out[:, 0], (x * 5 + 1) + (x * x + 1))
        np.testing.assert_array_equal(out[:, 1], far)
        np.testing.assert_array_equal(out[:, 2:5], x[:, None] + np.arange(3))


def test_recursion_is_refused():
    with pytest.raises(Exception, match=r"(?i)recurs|_endless|depth"):
        launch(k.recursive, 1, np.zeros(1, np.int32))


# -- grids and arguments


@pytest.mark.parametrize("grid", [(1,), (5, 3), (3, 2, 4), (1, 1, 7), (0, 2, 2), (257, 1, 1), (1, 65, 2)], ids=str)
def test_program_ids(grid):
    nx, ny, nz = (*grid, 1, 1)[:3]
    out = np.zeros((nz, ny, nx, 6), np.int32)
    launch(k.program_ids, grid, out)
    z, y, x = np.indices((nz, ny, nx))
    np.testing.assert_array_equal(out[..., :3], np.stack([x, y, z], -1))
    assert (out[..., 3:] == (nx, ny, nz)).all()


@pytest.mark.parametrize("flag", [False, True])
@pytest.mark.parametrize(("i", "big", "unsigned"), [(1, 10**18, 2**63 + 5), (0, -(10**18), 2**64 - 1), (-16, 16, 3)])
def test_arguments(i, big, unsigned, flag):
    out = np.zeros(4, np.float64)
    launch(k.types_of_arguments, 1, out, flag, i, big, unsigned, 0.25, None, TEXT="yes", PAIR=(3, 4.5), FLAG=True)
    exact = [flag + 2 + i + 0.25, int(big / 1000000007), unsigned // 3, 34.5]
    np.testing.assert_array_equal(out, np.array([float(e) for e in exact]))


def test_tuples():
    x, y, out = Data.of(T["i32"], ints(32)), Data.of(T["i32"], ints(32, seed=1)), np.zeros(32, np.int32)
    launch(k.tuples, 1, ((tensor_of(x), tensor_of(y)), (3, -2)), out, BLOCK=32)
    np.testing.assert_array_equal(out, x.array * 3 - y.array * 2)


def test_a_grid_that_depends_on_the_constants():
    x, out = ints(100), np.zeros((4, 32), np.int32)
    k.early_return[lambda meta: (triton.cdiv(128, meta["BLOCK"]),)](tensor_of(x), tensor_of(out), 4, BLOCK=32)
    np.testing.assert_array_equal(out[3], x[:32] + 1)
