"""Quotients and remainders of a block's index, as Inductor makes them of channels: addresses, data, masks; of any sign, with any
divisor, and where arguments overlap."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("triton", reason="triton is not installed")

import triton
import triton.language as tl

import opwright
from opwright.explain import explain

t = opwright.tensor
DIVISORS = (1, 2, 3, 8, 12, 16, 24, 32, 48, 64, 80, 100, 256, 4096)


@triton.jit
def channels(x_ptr, by_rest_ptr, by_quotient_ptr, out_ptr, n, start, DIVISOR: tl.constexpr, BLOCK: tl.constexpr):
    """out = x * by_rest[i % DIVISOR] + by_quotient[i // DIVISOR], of i = start + position."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    i = start + at
    mask = at < n
    rest = tl.load(by_rest_ptr + i % DIVISOR, mask=mask)
    quotient = tl.load(by_quotient_ptr + i // DIVISOR, mask=mask)
    tl.store(out_ptr + at, tl.load(x_ptr + at, mask=mask) * rest + quotient, mask=mask)


@triton.jit
def affine(x_ptr, scale_ptr, shift_ptr, out_ptr, n, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """A scale for each column, a shift for each row."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    x = tl.load(x_ptr + i, mask=mask)
    scale = tl.load(scale_ptr + i % WIDTH, mask=mask)
    shift = tl.load(shift_ptr + i // WIDTH, mask=mask)
    tl.store(out_ptr + i, x * scale + shift, mask=mask)


@triton.jit
def turned(x_ptr, out_ptr, n, ROWS: tl.constexpr, COLUMNS: tl.constexpr, BLOCK: tl.constexpr):
    """out[c, r] = x[r, c], each element by its index in out."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + i, tl.load(x_ptr + (i % ROWS) * COLUMNS + i // ROWS, mask=i < n), mask=i < n)


@triton.jit
def three_axes(x_ptr, out_ptr, n, A: tl.constexpr, B: tl.constexpr, C: tl.constexpr, BLOCK: tl.constexpr):
    """out[a, b, c] = x[b, a, c]: an index of quotients and remainders of quotients."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    c, b, a = i % C, (i // C) % B, i // (C * B)
    tl.store(out_ptr + i, tl.load(x_ptr + (b * A + a) * C + c, mask=i < n), mask=i < n)


@triton.jit
def numbers(out_ptr, rest_ptr, n, start, DIVISOR: tl.constexpr, BLOCK: tl.constexpr):
    """The quotients and remainders themselves, beside a load that they are the addresses of."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    i = start + at
    loaded = tl.load(rest_ptr + i % DIVISOR, mask=at < n)
    tl.store(out_ptr + at, (i // DIVISOR) * 100000 + (i % DIVISOR) * 10 + loaded, mask=at < n)


@triton.jit
def by_bits(x_ptr, out_ptr, n, SHIFT: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    low, high = i & ((1 << SHIFT) - 1), i >> SHIFT
    tl.store(out_ptr + i, tl.load(x_ptr + low, mask=i < n) - tl.load(x_ptr + high, mask=i < n), mask=i < n)


@triton.jit
def halves(x_ptr, y_ptr, out_ptr, n, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """Rows of x, then of y, side by side: which one, is a condition on the remainder."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    column, row = i % (2 * WIDTH), i // (2 * WIDTH)
    left = column < WIDTH
    x = tl.load(x_ptr + row * WIDTH + column, mask=left & (i < n))
    y = tl.load(y_ptr + row * WIDTH + column - WIDTH, mask=(column >= WIDTH) & (i < n))
    tl.store(out_ptr + i, tl.where(left, x, y), mask=i < n)


@triton.jit
def spread(x_ptr, out_ptr, n, DIVISOR: tl.constexpr, BLOCK: tl.constexpr):
    """Stores through a quotient and a remainder."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + (i % DIVISOR) * tl.cdiv(n, DIVISOR) + i // DIVISOR, tl.load(x_ptr + i, mask=i < n), mask=i < n)


@triton.jit
def row_sums(x_ptr, scale_ptr, out_ptr, columns, DIVISOR: tl.constexpr, BLOCK: tl.constexpr):
    """A reduction whose addresses have remainders."""
    i = tl.arange(0, BLOCK)
    mask = i < columns
    x = tl.load(x_ptr + tl.program_id(0) * columns + i, mask=mask, other=0)
    tl.store(out_ptr + tl.program_id(0), tl.sum(x * tl.load(scale_ptr + i % DIVISOR, mask=mask, other=0), 0))


def divide(i: np.ndarray, by: int) -> tuple[np.ndarray, np.ndarray]:
    """Triton's integers divide as C's: to zero."""
    quotient = np.where(i < 0, -(-i // by), i // by)
    return quotient, i - quotient * by


@pytest.mark.parametrize("level", ["host", "x86-64-v3"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.int32])
@pytest.mark.parametrize("divisor", DIVISORS)
def test_tables_by_channel(divisor, dtype, level):
    n, block = 1000, 256
    random = np.random.default_rng(divisor)
    options = {} if level == "host" else {"arch": level}
    for start in (0, 16, 5, 48, -16, -64, -256, -7):
        i = start + np.arange(n)
        quotient, rest = divide(i, divisor)
        x = random.integers(-3, 3, n).astype(dtype)
        rests = random.integers(-3, 3, 2 * divisor - 1).astype(dtype)
        below = max(0, -quotient.min())
        quotients = random.integers(-3, 3, below + max(0, quotient.max()) + 1).astype(dtype)
        out = np.zeros(n, dtype)
        first_rest, first_quotient = rests[divisor - 1 :], quotients[below:]
        channels[(triton.cdiv(n, block),)](
            t(x), t(first_rest), t(first_quotient), t(out), n, start, DIVISOR=divisor, BLOCK=block, **options
        )
        want = x * rests[divisor - 1 + rest] + quotients[below + quotient]
        np.testing.assert_array_equal(out, want, err_msg=str(start))  # small integers: exact


@given(
    n=st.integers(0, 3000), block=st.sampled_from([16, 64, 512, 2048]), divisor=st.sampled_from(DIVISORS),
    start=st.integers(-5000, 5000), seed=st.integers(0, 99),
)  # fmt: skip
@example(n=2000, block=512, divisor=64, start=-1024, seed=0)  # whole vectors of negative indices
@example(n=2000, block=512, divisor=64, start=2**31 - 1024, seed=0)  # the index wraps
@example(n=100, block=2048, divisor=64, start=2**31 - 2048, seed=0)
@settings(max_examples=150, deadline=None)
def test_numbers_of_any_start(n, block, divisor, start, seed):
    i = (start + np.arange(n, dtype=np.int64) + 2**31) % 2**32 - 2**31
    quotient, rest = divide(i, divisor)
    table = np.random.default_rng(seed).integers(0, 9, 2 * divisor - 1).astype(np.int32)
    out = np.zeros(n, np.int32)
    first = table[divisor - 1 :]
    numbers[(triton.cdiv(n, block),)](t(out), t(first), n, start, DIVISOR=divisor, BLOCK=block)
    want = quotient * 100000 + rest * 10 + table[divisor - 1 + rest]
    np.testing.assert_array_equal(out, want.astype(np.int32))  # wraps as int32 does


@pytest.mark.parametrize(("rows", "columns"), [(16, 64), (64, 16), (48, 5), (5, 48), (128, 3), (1, 256), (96, 80)])
@pytest.mark.parametrize("block", [16, 128, 1024])
def test_a_transposed_copy(rows, columns, block):
    x = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    out = np.zeros((columns, rows), np.float32)
    turned[(triton.cdiv(x.size, block),)](t(x), t(out), x.size, ROWS=rows, COLUMNS=columns, BLOCK=block)
    np.testing.assert_array_equal(out, x.T)


@pytest.mark.parametrize("shape", [(3, 4, 16), (2, 16, 32), (5, 3, 64), (4, 7, 48), (16, 16, 1), (2, 3, 20)])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
def test_axes_that_change_places(shape, dtype):
    a, b, c = shape
    x = (np.arange(a * b * c) % 251).astype(dtype).reshape(b, a, c)
    out = np.zeros(shape, dtype)
    three_axes[(triton.cdiv(x.size, 512),)](t(x), t(out), x.size, A=a, B=b, C=c, BLOCK=512)
    np.testing.assert_array_equal(out, x.transpose(1, 0, 2))


@pytest.mark.parametrize("shift", [0, 1, 3, 4, 5, 6, 9])
def test_shifts_and_masks_of_bits(shift):
    n = 3000
    x, out = np.random.default_rng(shift).standard_normal(n + 1).astype(np.float32), np.zeros(n, np.float32)
    by_bits[(triton.cdiv(n, 256),)](t(x), t(out), n, SHIFT=shift, BLOCK=256)
    i = np.arange(n)
    np.testing.assert_array_equal(out, x[i & ((1 << shift) - 1)] - x[i >> shift])


@pytest.mark.parametrize("width", [1, 8, 16, 24, 64, 100])
def test_two_tensors_side_by_side(width):
    rows = 37
    x = np.arange(rows * width, dtype=np.float32).reshape(rows, width)
    y = -1 - x
    out = np.zeros((rows, 2 * width), np.float32)
    halves[(triton.cdiv(out.size, 512),)](t(x), t(y), t(out), out.size, WIDTH=width, BLOCK=512)
    np.testing.assert_array_equal(out, np.concatenate([x, y], 1))


@pytest.mark.parametrize("divisor", [2, 3, 16, 20, 64])
def test_stores_through_quotients(divisor):
    n = 960
    x = np.arange(n, dtype=np.float32)
    out = np.zeros(divisor * -(-n // divisor), np.float32)
    spread[(triton.cdiv(n, 128),)](t(x), t(out), n, DIVISOR=divisor, BLOCK=128)
    i = np.arange(n)
    want = np.zeros_like(out)
    want[(i % divisor) * -(-n // divisor) + i // divisor] = x
    np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize("divisor", [3, 16, 32, 100])
def test_reductions(divisor):
    rows, columns = 5, 300
    random = np.random.default_rng(divisor)
    x = random.integers(-4, 4, (rows, columns)).astype(np.float32)
    scale, out = random.integers(-4, 4, divisor).astype(np.float32), np.zeros(rows, np.float32)
    row_sums[(rows,)](t(x), t(scale), t(out), columns, DIVISOR=divisor, BLOCK=512)
    np.testing.assert_array_equal(out, (x * scale[np.arange(columns) % divisor]).sum(1))  # small integers: exact


@pytest.mark.parametrize(("overlap", "divisor"), list(itertools.product(["table", "x"], [3, 16, 64])))
def test_a_program_reads_all_before_it_writes(overlap, divisor):
    """The output lies over what the same program reads: one program is one tile."""
    n = 256
    memory = np.arange(4 * n, dtype=np.float32) % 7
    out = memory[n : 2 * n]
    first = {"table": memory[n + 8 : n + 8 + divisor], "x": memory[3 * n :][:divisor]}[overlap]
    x = {"table": memory[2 * n : 3 * n], "x": memory[n + 5 : 2 * n + 5]}[overlap]
    quotients = np.ones(n, np.float32)
    want = x.copy() * first.copy()[np.arange(n) % divisor] + 1
    channels[(1,)](t(x), t(first), t(quotients), t(out), n, 0, DIVISOR=divisor, BLOCK=n)
    np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.float16])
@pytest.mark.parametrize("width", [7, 8, 16, 48, 64, 1024])
@pytest.mark.parametrize("n", [0, 1, 1000, 4096])
def test_rows_and_columns(n, width, dtype):
    random = np.random.default_rng(width)
    x, scale, shift = (random.integers(-4, 4, size).astype(dtype) for size in (n, width, n // width + 1))
    i = np.arange(n)
    for block in (16, 512):
        out = np.zeros_like(x)
        affine[(triton.cdiv(n, block),)](t(x), t(scale), t(shift), t(out), n, WIDTH=width, BLOCK=block)
        np.testing.assert_array_equal(out, x * scale[i % width] + shift[i // width])  # small integers: exact


def test_an_index_that_wraps_ends_the_launch():
    """2^15 blocks of 2^16 elements are as many as an int32 counts; all but the first have nothing to do."""
    x = [np.ones(64, np.float32) for _ in range(4)]
    grid = (1 << 15,)
    affine[grid](*map(t, x), 64, WIDTH=64, BLOCK=1 << 16)
    assert (x[3] == 2).all()
    with pytest.raises(
        RuntimeError, match=r"test_triton_division.py:\d+: .*the int32 index that is divided here has wrapped"
    ):
        affine[(grid[0] + 1,)](*map(t, x), 64, WIDTH=64, BLOCK=1 << 16)


@triton.jit
def sorting_network(x_ptr, out_ptr, n, STEPS: tl.constexpr, PICK: tl.constexpr, BLOCK: tl.constexpr):
    """Each step uses both results of the one before: 2^STEPS ways to the first."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    a, b = i % 64, i % 48
    for _ in tl.static_range(STEPS):
        if PICK:
            a, b = tl.where(a < 9, a, b), tl.where(b < 5, a, b)
        else:
            a, b = tl.minimum(a, b), tl.maximum(a, b)
    tl.store(out_ptr + i, tl.load(x_ptr + a, mask=i < n) - tl.load(x_ptr + b, mask=i < n), mask=i < n)


@triton.jit
def fibonacci(out_ptr, STEPS: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    a, b = i, i
    for _ in tl.static_range(STEPS):
        a, b = a + b, a
    tl.store(out_ptr + i, a & 63)


@triton.jit
def first_in_a_branch(table_ptr, out_ptr, flag, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    if flag > 0:
        tl.store(out_ptr + tl.arange(0, BLOCK), tl.load(table_ptr + i % 64))
    quotient = i // 64
    found = tl.load(table_ptr + quotient % 64)
    tl.store(out_ptr + tl.arange(0, BLOCK), quotient + found, mask=tl.program_id(0) == 1 << 15)


@triton.jit
def through_narrow(table_ptr, out_ptr, start, KIND: tl.constexpr, BLOCK: tl.constexpr):
    """The index wraps in the tile, and is clamped, widened or chosen after that."""
    at = tl.arange(0, BLOCK)
    i = start + at
    if KIND == "clamp":
        i = tl.maximum(tl.minimum(i, 100), 0)
    elif KIND == "widen":
        i = i.to(tl.int64) % 64
    else:
        i = tl.where(i < 0, 3, tl.minimum(i, 100))
    tl.store(out_ptr + at, tl.load(table_ptr + i) + 1000)


@pytest.mark.parametrize("pick", [False, True])
@pytest.mark.parametrize("steps", [0, 3, 40])
def test_an_address_that_uses_its_parts_many_times(steps, pick):
    n = 300
    x, out, i = np.arange(64, dtype=np.float32) ** 2, np.zeros(n, np.float32), np.arange(n)
    sorting_network[(3,)](t(x), t(out), n, STEPS=steps, PICK=pick, BLOCK=128)
    a, b = i % 64, i % 48
    for _ in range(steps):
        a, b = (np.where(a < 9, a, b), np.where(b < 5, a, b)) if pick else (np.minimum(a, b), np.maximum(a, b))
    np.testing.assert_array_equal(out, x[a] - x[b])


def test_sums_of_sums():
    out = np.zeros(64, np.int32)
    fibonacci[(1,)](t(out), STEPS=60, BLOCK=64)
    i = np.arange(64, dtype=np.uint64)
    a, b = i, i
    for _ in range(60):
        a, b = a + b, a
    np.testing.assert_array_equal(out, a & 63)


@pytest.mark.parametrize("flag", [0, 1])
def test_a_wrapped_index_is_noticed_wherever_it_was_divided_first(flag):
    table, out = np.zeros(128, np.int32), np.zeros(1 << 16, np.int32)
    with pytest.raises(RuntimeError, match="the int32 index that is divided here has wrapped"):
        first_in_a_branch[((1 << 15) + 1,)](t(table[64:]), t(out), flag, BLOCK=1 << 16)


@pytest.mark.parametrize("distance", [-70, -64, -10, 0, 5, 64, 101])
@pytest.mark.parametrize("kind", ["clamp", "widen", "choose"])
def test_narrow_indices_that_wrap_below_other_operations(kind, distance):
    memory = np.arange(600, dtype=np.int32)
    table, out = 200, 200 + distance
    i = (2**31 - 16 + np.arange(64) + 2**31) % 2**32 - 2**31
    index = {"clamp": np.clip(i, 0, 100), "widen": divide(i, 64)[1], "choose": np.where(i < 0, 3, np.minimum(i, 100))}[
        kind
    ]
    want = memory.copy()
    want[out : out + 64] = memory[table + index] + 1000
    through_narrow[(1,)](t(memory[table:]), t(memory[out:]), 2**31 - 16, KIND=kind, BLOCK=64)
    np.testing.assert_array_equal(memory, want)


def test_explain_tells_whole_vectors():
    remarks = explain(f"{__file__}:affine", "*fp32,*fp32,*fp32,*fp32,i32", ("WIDTH=64", "BLOCK=256"), level="x86-64-v4")
    texts = [text for line in remarks.lines for kind, text in line.remarks if kind == "load"]
    assert any("contiguous load of 16 x f32 from scale_ptr" in text for text in texts), texts
    assert any("broadcast load of f32 from shift_ptr" in text for text in texts), texts
