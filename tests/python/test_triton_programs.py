"""The order in which the programs of a grid run, and on whose threads."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

pytest.importorskip("triton", reason="triton is not installed")

import triton
import triton.language as tl
from runtime_kit import Bench

import opwright
from opwright.triton_backend.errors import KernelError

AXES = ["".join(axes) for axes in itertools.permutations("xyz")]


@pytest.fixture
def one_thread():
    opwright.set_threads(1)
    yield
    opwright.set_threads(None)


@triton.jit
def note_order(place_ptr, counter_ptr, NX: tl.constexpr, NY: tl.constexpr):
    """At each program's index: how many ran before it."""
    index = tl.program_id(0) + NX * (tl.program_id(1) + NY * tl.program_id(2))
    tl.store(place_ptr + index, tl.atomic_add(counter_ptr, 1))


@triton.jit
def take_turns(turn_ptr, out_ptr):
    me = tl.program_id(0) + tl.num_programs(0) * tl.program_id(1)
    while tl.atomic_add(turn_ptr, 0) != me:
        pass
    tl.store(out_ptr + me, me)
    tl.atomic_xchg(turn_ptr, me + 1)


@triton.jit
def only_first_column(out_ptr):
    tl.device_assert(tl.program_id(1) == 0, "another column")
    tl.store(out_ptr + tl.program_id(0), 1)


@triton.jit
def batched_product(a_ptr, b_ptr, c_ptr, n, BLOCK: tl.constexpr):
    """c[batch] = a[batch] @ b[batch] of n x n; the grid is (batch, rows / BLOCK, columns / BLOCK)."""
    start = tl.program_id(0) * n * n
    rows = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    columns = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    steps = tl.arange(0, BLOCK)
    a_at = a_ptr + start + rows[:, None] * n + steps[None, :]
    b_at = b_ptr + start + steps[:, None] * n + columns[None, :]
    sums = tl.zeros((BLOCK, BLOCK), tl.float32)
    for _ in range(0, n, BLOCK):
        sums += tl.dot(tl.load(a_at), tl.load(b_at))
        a_at += BLOCK
        b_at += BLOCK * n
    tl.store(c_ptr + start + rows[:, None] * n + columns[None, :], sums)


@triton.jit
def sums_of_rows(x_ptr, out_ptr, n, FIRST: tl.constexpr, BLOCK: tl.constexpr):
    """The sum over all of row program_id(FIRST), made by every program of the other axis, too."""
    row, part = tl.program_id(FIRST), tl.program_id(1 - FIRST)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, n, BLOCK):
        total += tl.load(x_ptr + row * n + start + tl.arange(0, BLOCK))
    tl.store(out_ptr + row * tl.num_programs(1 - FIRST) + part, tl.sum(total, 0))


@triton.jit
def copy_tiles(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(1) * n + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.load(x_ptr + at))


def places(order: str, grid: tuple[int, int, int]) -> np.ndarray:
    counter, place = np.zeros(1, np.int32), np.full(np.prod(grid), -1, np.int32)
    note_order[grid](opwright.tensor(place), opwright.tensor(counter), grid[0], grid[1], program_order=order)
    return place


def expected(order: str, grid: tuple[int, int, int]) -> np.ndarray:
    """The definition, program by program."""
    axes, _, band = order.partition("/")
    first, second, third = ("xyz".index(axis) for axis in axes)
    band = int(band) if band else 0
    ids = []
    for outer in range(grid[third]):
        if not band:
            ids += [{first: a, second: b, third: outer} for b in range(grid[second]) for a in range(grid[first])]
            continue
        for start in range(0, grid[second], band):
            rows = range(start, min(start + band, grid[second]))
            ids += [{first: a, second: b, third: outer} for a in range(grid[first]) for b in rows]
    place = np.full(np.prod(grid), -1, np.int32)
    for position, at in enumerate(ids):
        place[at[0] + grid[0] * (at[1] + grid[1] * at[2])] = position
    return place


# -- order


@pytest.mark.parametrize("grid", [(5, 7, 3), (1, 4, 2), (6, 1, 1), (2, 9, 1)])
@pytest.mark.parametrize("order", [*AXES, "xyz/2", "xyz/3", "yxz/4", "zyx/2", "xzy/100"])
def test_programs_run_in_the_order_that_was_asked_for(order, grid, one_thread):
    np.testing.assert_array_equal(places(order, grid), expected(order, grid))


@pytest.mark.parametrize("order", ["auto", "yxz", "zxy/3"])
def test_every_program_runs_once_on_several_threads(order):
    opwright.set_threads(4)
    try:
        place = places(order, (13, 11, 5))
    finally:
        opwright.set_threads(None)
    np.testing.assert_array_equal(np.sort(place), np.arange(13 * 11 * 5))


@pytest.mark.parametrize("order", ["auto", "yxz", "yzx/3"])
def test_reports_name_the_program_whatever_the_order(order, one_thread):
    out = opwright.tensor(np.zeros(4, np.int32))
    with pytest.raises(RuntimeError, match=r"another column, in program \(0, 1, 0\)"):
        only_first_column[(4, 2)](out, program_order=order, debug=True)


@pytest.mark.parametrize(
    "order", ["", "xy", "xyzx", "xxz", "xyw", "xyz/", "xyz/1", "xyz/0", "xyz/-2", "xyz/12345", "XYZ"]
)
def test_other_orders_are_refused(order):
    with pytest.raises(KernelError, match="found the program order '.*', expected the axes x, y and z") as caught:
        places(order, (2, 2, 2))
    assert "for example 'yxz'" in str(caught.value)


def test_programs_that_wait_keep_their_order():
    turn, out = np.zeros(1, np.int32), np.zeros(12, np.int32)
    take_turns[(4, 3)](opwright.tensor(turn), opwright.tensor(out))
    np.testing.assert_array_equal(out, np.arange(12))
    with pytest.raises(KernelError, match="'yxz' for a kernel whose programs wait for each other, expected 'xyz'"):
        take_turns[(4, 3)](opwright.tensor(turn), opwright.tensor(out), program_order="yxz")


def chosen(kernel, *args, grid=(2, 2), **constants) -> str:
    return kernel.warmup(*args, grid=grid, **constants).metadata.program_order


def test_the_compiler_chooses():
    x = opwright.tensor(np.zeros(4096, np.float32))
    assert chosen(batched_product, x, x, x, 256, BLOCK=32, grid=(2, 2, 2)) == "yzx/8"
    assert chosen(sums_of_rows, x, x, 1024, FIRST=0, BLOCK=64) == "yxz"
    assert chosen(sums_of_rows, x, x, 1024, FIRST=1, BLOCK=64) == "xyz"
    assert chosen(copy_tiles, x, x, 1024, BLOCK=64) == "xyz"
    assert chosen(take_turns, x, x) == "xyz"


def test_results_do_not_depend_on_the_order():
    random = np.random.default_rng(7)
    n = 96
    a, b = (random.integers(-8, 8, (3, n, n)).astype(np.float32) for _ in range(2))
    for order in ("auto", "xyz", "zyx", "xyz/2"):
        c = np.zeros_like(a)
        batched_product[(3, n // 32, n // 32)](*map(opwright.tensor, (a, b, c)), n, BLOCK=32, program_order=order)
        np.testing.assert_array_equal(c, a @ b)  # small integers: exact


def test_a_configuration_may_name_the_order(one_thread):
    configs = [triton.Config({"program_order": order}) for order in ("xyz", "yxz")]
    tuned = triton.autotune(configs=configs, key=[], do_bench=Bench(2, 1), reset_to_zero=["counter_ptr"])(note_order)
    counter, place = np.zeros(1, np.int32), np.zeros(20, np.int32)
    tuned[(4, 5)](opwright.tensor(place), opwright.tensor(counter), NX=4, NY=5)
    assert tuned.best_config is configs[1]
    np.testing.assert_array_equal(place, expected("yxz", (4, 5, 1)))


# -- threads


def run(code: str, **environment: str) -> list[str]:
    """Lines that code prints in a fresh process, with `launch` and the number of Opwright's `workers`."""
    head = f"""
        import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
        import os, time, numpy as np, opwright
        from kernels import elementwise
        def workers():
            seen = []
            for _ in range(200):  # a thread names itself when it starts: until nothing changes
                seen.append(sorted(open(f"/proc/self/task/{{task}}/comm").read().strip() for task in os.listdir("/proc/self/task")))
                if seen[-4:] == seen[-1:] * 4:
                    break
                time.sleep(0.02)
            return seen[-1].count("opw-worker")
        def launch(x, y, out):
            elementwise.add[(64,)](x, y, out, 4096, BLOCK=64)
        arrays = [np.full(4096, value, np.float32) for value in (1, 2, 0)]
        def views():
            return [opwright.tensor(array) for array in arrays]
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(code)],
        capture_output=True, text=True, env=os.environ | {"TRITON_DEFAULT_BACKEND": "cpu"} | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_threads_by_environment():
    code = "launch(*views()); print(workers(), arrays[2].min(), arrays[2].max())"
    assert run(code, OPW_THREADS="1") == ["0", "3.0", "3.0"]
    assert run(code, OPW_THREADS="4") == ["3", "3.0", "3.0"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("OPW_THREADS", "nonsense", "a number of threads"), ("OPW_THREADS", "0", "a number of threads"),
     ("OPW_THREADS", "-2", "a number of threads"), ("OPW_POOL", "Torch", "own or torch"), ("OPW_DEBUG_INFO", "2", "1, on, true"),
     ("OPW_PERF_MAP", "maybe", "1, on, true")],
)  # fmt: skip
def test_words_in_the_environment_that_mean_nothing(name, value, expected):
    code = "try: launch(*views())\nexcept ValueError as error: print(str(error).replace(' ', '_'))"
    (text,) = run(code, **{name: value})
    assert text.startswith(f"found_{name}={value!r},_expected") and expected.replace(" ", "_") in text


def test_threads_by_call():
    code = """
        opwright.set_threads(1); launch(*views()); print(workers())
        opwright.set_threads(3); launch(*views()); print(workers())
        opwright.set_threads(None); launch(*views()); print(workers())
    """
    assert run(code, OPW_THREADS="5") == ["0", "2", "4"]
    for count, error in ((0, ValueError), (-1, ValueError), (2.5, TypeError), ("4", TypeError), (True, TypeError)):
        with pytest.raises(error, match=f"found {count!r} threads, expected"):
            opwright.set_threads(count)


def test_affinity_is_respected():
    code = "os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:{}]); launch(*views()); print(workers())"
    assert run(code.format(1)) == ["0"]
    if len(os.sched_getaffinity(0)) > 1:
        assert run(code.format(2)) == ["1"]


def test_tensors_of_torch_take_its_threads():
    pytest.importorskip("torch", reason="torch is not installed")
    code = """
        import torch
        torch.set_num_threads(4)
        tensors = [torch.from_numpy(array) for array in arrays]
        threads = lambda: len(os.listdir("/proc/self/task"))
        before = threads(); launch(*tensors); print(workers(), threads() - before, arrays[2].min())
        step = opwright.bind(elementwise.add, (64,), *tensors, 4096, BLOCK=64)
        arrays[2][:] = 0; step(); print(workers(), arrays[2].min())
        launch(torch.nn.Parameter(tensors[0]), *tensors[1:]); print(workers())
        launch(*views()); print(workers())
    """
    own = run(code, OPW_POOL="own", OPW_THREADS="3")
    assert [own[0], own[1]] == ["2", "2"]
    counted = run(code, OPW_THREADS="3")
    # torch keeps a pool of one thread less than asked for; of ours there is none until NumPy's arrays come
    assert counted == ["0", "3", "3.0", "0", "3.0", "0", "2"]
    assert run(code, OPW_POOL="torch", OPW_THREADS="3")[-1] == "0"


def test_failures_and_products_on_torchs_threads():
    pytest.importorskip("torch", reason="torch is not installed")
    code = """
        import torch, test_triton_programs as kernels
        torch.set_num_threads(4)
        torch.manual_seed(0)
        try:
            kernels.only_first_column[(64, 2)](torch.zeros(64, dtype=torch.int32), debug=True)
        except RuntimeError as error:
            print("another column" in str(error))
        turn, places = torch.zeros(1, dtype=torch.int32), torch.zeros(12, dtype=torch.int32)
        kernels.take_turns[(4, 3)](turn, places)
        print(places.tolist() == list(range(12)))
        a, b = (torch.randint(-8, 8, (2, 96, 96)).float() for _ in range(2))
        c = torch.zeros_like(a)
        kernels.batched_product[(2, 3, 3)](a, b, c, 96, BLOCK=32)
        print(torch.equal(c, a @ b), workers())  # small integers: exact
    """
    assert run(code) == ["True", "True", "True", "0"]
