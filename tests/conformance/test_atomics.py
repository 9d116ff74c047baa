"""Atomic operations of every kind and type: what they leave, what they return, masks, lanes and programs that meet at one address,
locks and chains of programs that wait for each other."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .kernels import atomics as k
from .kit import FLOATS, Data, T, check, launch, rng, sample, values

WHOLE = [T[n] for n in ("i32", "u32", "i64", "u64")]
REAL = [T["fp32"], T["fp64"]]
KINDS = {
    k.add: (lambda a, b: a + b, WHOLE + FLOATS),
    k.maximum: (np.maximum, WHOLE + REAL),
    k.minimum: (np.minimum, WHOLE + REAL),
    k.and_: (lambda a, b: a & b, WHOLE),
    k.or_: (lambda a, b: a | b, WHOLE),
    k.xor: (lambda a, b: a ^ b, WHOLE),
    k.exchange: (lambda a, b: b, WHOLE + REAL),
}
CASES = [(f, t) for f, (_, types) in KINDS.items() for t in types]
SEMS = ["relaxed", "acquire", "release", "acq_rel", None]
SCOPES = ["cta", "gpu", "sys", None]


def names(value):
    return getattr(value, "__name__", None) or str(value)


def numbers(type_, n, seed):
    x = values(type_, n, seed, specials=False)
    return Data.of(type_, rng(seed).permutation(x))


@pytest.mark.parametrize("scalar", [False, True], ids=["tile", "scalar"])
@pytest.mark.parametrize(("f", "type_"), CASES, ids=names)
def test_kinds(f, type_, scalar):
    memory, x = numbers(type_, 100, 1), numbers(type_, 100, 2)
    before, old = Data(type_, memory.array.copy()), Data.zeros(type_, 100)
    launch(k.apply, 100 if scalar else 2, memory, x, old, 100, F=f, SEM=None, SCOPE=None, SCALAR=scalar, BLOCK=64)
    with np.errstate(all="ignore"):
        check(memory, KINDS[f][0](before.values, x.values))
    np.testing.assert_array_equal(old.array, before.array)


@pytest.mark.parametrize(("f", "sem", "scope"), sample(itertools.product(KINDS, SEMS, SCOPES), 30), ids=names)
def test_orders_and_scopes(f, sem, scope):
    memory, x = numbers(T["i32"], 64, 1), numbers(T["i32"], 64, 2)
    before, old = memory.array.copy(), Data.zeros(T["i32"], 64)
    launch(k.apply, 1, memory, x, old, 60, F=f, SEM=sem, SCOPE=scope, SCALAR=False, BLOCK=64)
    with np.errstate(over="ignore"):
        exact = KINDS[f][0](before, x.array)
    np.testing.assert_array_equal(memory.array[:60], exact[:60])
    np.testing.assert_array_equal(memory.array[60:], before[60:])


@pytest.mark.parametrize("slots", [1, 3, 64])
@pytest.mark.parametrize(("f", "type_"), [c for c in CASES if c[0] is not k.exchange], ids=names)
def test_contention(f, type_, slots):
    """Nothing is lost: small whole numbers, whose sums are exact in any order in every type."""
    n = 1500 if type_.bits >= 32 else 100  # bf16 holds whole numbers to 256
    first = {k.and_: -1, k.minimum: 100}.get(f, 0)
    memory, x = Data.of(type_, np.full(64, first)), Data.of(type_, rng(3).integers(0, 4, n))
    launch(k.contended, -(-n // 128), memory, x, n, slots, F=f, BLOCK=128)
    exact = memory.values.astype(object) * 0 + Data.of(type_, [first]).values.astype(object)[0]
    for i, v in enumerate(x.values.astype(object)):
        exact[i % slots] = {k.maximum: max, k.minimum: min}.get(f, KINDS[f][0])(exact[i % slots], v)
    check(memory, exact)


@pytest.mark.parametrize("n", [0, 1, 100, 5000])
def test_every_old_value_once(n):
    memory, old = np.zeros(1, np.int32), np.zeros(max(n, 1), np.int32)
    launch(k.one_address, -(-n // 64) or 1, memory, memory, old, n, BLOCK=64)
    assert memory[0] == n
    np.testing.assert_array_equal(np.sort(old[:n]), np.arange(n))


@pytest.mark.parametrize("f", KINDS, ids=names)
def test_masked(f):
    mask = (rng().random(64) < 0.5).astype(np.int8)
    memory = rng(1).integers(0, 200, 64).astype(np.int32)
    exact = np.where(mask != 0, KINDS[f][0](memory, np.arange(64) * 3 + 1), memory)
    launch(k.masked, 1, memory, mask, F=f, BLOCK=64)
    np.testing.assert_array_equal(memory, exact)


def test_two_kinds_keep_their_order():
    memory = np.array([0, 1, 2, 3, -9, 7, -100, 4], np.int32)
    exact = np.maximum(memory + 8, 5)
    launch(k.two_kinds, 1, memory, BLOCK=64)
    np.testing.assert_array_equal(memory, exact)


def test_order_among_plain_accesses():
    at, memory, out = np.arange(64), np.zeros(64, np.int32), np.zeros((4, 64), np.int32)
    launch(k.around, 1, memory, out, BLOCK=64)
    np.testing.assert_array_equal(out, [at, 63 - at, at + 100, (at + 100) * 2])
    np.testing.assert_array_equal(memory, -at)


@pytest.mark.parametrize("kind", ["gather", "neighbour", "shifted", "reverse"])
@pytest.mark.parametrize("f", [k.add, k.exchange, k.maximum], ids=names)
@pytest.mark.parametrize("n", [4, 64, 256])
def test_loads_before(n, f, kind):
    """The same memory is loaded through other indices, or through an argument that begins one element earlier."""
    memory, index, at = (
        rng(1).integers(-99, 99, n + 1).astype(np.int32),
        rng(2).integers(0, n, n).astype(np.int32),
        np.arange(n),
    )
    before, old = memory[1:].copy(), np.zeros(n, np.int32)
    x = {"gather": before[index], "neighbour": before[at ^ 1], "shifted": memory[:n].copy(), "reverse": before[::-1]}[
        kind
    ]
    launch(k.loads_before, 1, memory[1:], memory, index, old, F=f, KIND=kind, BLOCK=n)
    np.testing.assert_array_equal(memory[1:], KINDS[f][0](before, x))
    np.testing.assert_array_equal(old, before)


@pytest.mark.parametrize("sem", [None, "relaxed", "acquire"])
@pytest.mark.parametrize("type_", [*WHOLE, T["i16"], T["u16"], *FLOATS], ids=names)
def test_compare_and_swap(type_, sem):
    memory, x = numbers(type_, 64, 1), numbers(type_, 64, 2)
    expected = Data(type_, np.where(rng(3).random(64) < 0.5, memory.array, numbers(type_, 64, 4).array))
    before, old = memory.array.copy(), Data.zeros(type_, 64)
    launch(k.compare_and_swap, 1, memory, expected, x, old, BLOCK=64, SEM=sem)
    bits = f"uint{type_.bits}"
    same = before.view(bits) == expected.array.view(bits)
    np.testing.assert_array_equal(memory.array.view(bits), np.where(same, x.array, before).view(bits))
    np.testing.assert_array_equal(old.array.view(bits), before.view(bits))


@pytest.mark.parametrize("case", ["spin_lock", "wait_for_the_one_before", "wait_for_the_one_after"])
def test_waiting(case):
    """In a process of its own, which may be ended where a kernel does not end."""
    tests = Path(__file__).resolve().parents[1]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "conformance.wait_cases", case]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)
    except subprocess.TimeoutExpired as error:
        pytest.fail(f"the kernel does not end; done were: {(error.stdout or b'').decode()}")
    assert done.returncode == 0 and done.stdout.endswith("done\n"), done.stdout + done.stderr[-3000:]


@pytest.mark.parametrize("programs", [1, 2, 100])
def test_the_last_program(programs):
    x = rng().integers(-99, 99, (programs, 64)).astype(np.int32)
    parts, count, out = np.zeros(programs, np.int32), np.zeros(1, np.int32), np.zeros(1, np.int32)
    launch(k.last_one, programs, x, parts, count, out, programs, BLOCK=64)
    assert (count[0], out[0]) == (programs, x.sum())


@pytest.mark.parametrize("type_", [T["i8"], T["i32"], T["i64"], T["fp16"], T["fp32"]], ids=names)
@pytest.mark.parametrize("n", [1, 50, 64])
def test_atomic_loads_and_stores(n, type_):
    memory, out = Data.of(type_, rng().integers(-50, 50, 64)), Data.zeros(type_, 64)
    before = memory.values.copy()
    launch(k.load_store, 1, memory, out, n, BLOCK=64)
    inside = np.arange(64) < n
    check(memory, np.where(inside, before + 1, before))
    check(out, np.where(inside, before * 2 + 1, 0))


def test_poll():
    for programs in (1, 4):
        flag, memory, out = np.zeros(1, np.int32), np.zeros(1, np.int32), np.zeros(programs, np.int32)
        launch(k.poll, programs, flag, memory, out)
        assert (out == 43).all()
    flag, out = np.zeros(1, np.int32), np.full(1, 5, np.int32)
    launch(k.poll_in_vain, 1, flag, out)
    assert out[0] == 0


@pytest.mark.parametrize("n", [1, 1000, 100_000])
def test_histogram(n):
    x, memory = rng().integers(0, 2**20, n).astype(np.int32), np.zeros(16, np.int32)
    launch(k.histogram, -(-n // 256), x, memory, n, BINS=16, BLOCK=256)
    np.testing.assert_array_equal(memory, np.bincount(x & 15, minlength=16))


@pytest.mark.parametrize("type_", [T["i32"], T["fp32"], T["fp16"]], ids=names)
def test_rows(type_):
    x, memory = Data.of(type_, rng().integers(-3, 4, (37, 45))), Data.zeros(type_, 37)
    launch(k.row_sums, (5, 3), x, memory, 37, 45, R=8, C=16)
    check(memory, x.values.sum(1))
