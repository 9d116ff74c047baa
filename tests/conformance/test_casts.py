"""Conversions between all element types: exact where the value is there, rounded to nearest even or toward zero where not, wrapped
around between integers, saturated from floats to integers; and of bits. The 8-bit floats against tables made from their definition."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from .kernels import casts as k
from .kit import FLOATS, FP8, INTEGERS, Data, T, check, decode_table, encode, launch, rng, sample, to_odd, values

ALL = [T["i1"], *INTEGERS, *FP8, *FLOATS]
SMALL_FLOATS = [*FP8, T["fp16"], T["bf16"]]


def names(value):
    return str(value)


def numbers(type_, seed=0) -> Data:
    """All codes of the short types, edges and random values of the others; and what is near the edges of every type."""
    if type_.kind == "bool":
        return Data(type_, rng().random(100) < 0.5)
    if type_.bits == 8 or type_ in SMALL_FLOATS:
        codes = np.arange(1 << type_.bits).astype(f"uint{type_.bits}")
        if type_.bits == 16:
            codes = rng(seed).permutation(codes)[:4000]
        return Data(type_, codes.view(type_.storage))
    if not type_.is_float:
        return Data.of(type_, values(type_, 2000, seed))
    near = [values(type_, 500, seed)]
    for t in ALL[1:9]:
        for edge in (t.min, t.max, t.max + 1):
            near.append([edge + d for d in (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0)])
    for t in SMALL_FLOATS:  # every value of every short type, the middles between two, and beside those
        table = decode_table(t.name)
        table = np.unique(table[np.isfinite(table)])[:: 1 if t.bits == 8 else 97]
        middle = (table[1:] + table[:-1]) / 2
        near += [
            table,
            middle,
            np.nextafter(middle, np.inf),
            np.nextafter(middle, -np.inf),
            table[[0, -1]] * 1.03,
            table[[0, -1]] * 1.1,
        ]
        near += [middle.astype(np.float32) * (1 + 2.0**-23), middle.astype(np.float32) * (1 - 2.0**-23)]
    with np.errstate(over="ignore"):
        return Data.of(type_, np.concatenate(near))


def converted(x: Data, to, rounding="rtne") -> np.ndarray:
    """The exact values of the result, or their codes."""
    source = x.type
    if to.kind == "bool":
        return x.values != 0
    if not to.is_float and not source.is_float:
        return x.array.astype(object)
    if to.is_float and source.is_float:
        return Data(to, np.asarray(encode(to, x.values, rounding))).values
    if to.is_float:
        return np.array([to_odd(Fraction(int(v))) for v in x.array]) if to.bits < 64 else x.array.astype(np.float64)
    finite = np.nan_to_num(x.values, nan=0.0, posinf=2.0**70, neginf=-(2.0**70))
    return np.array([min(max(int(v), to.min), to.max) for v in finite], object)


def run(x: Data, to, rounding=None, bits=False) -> Data:
    out = Data.zeros(to, x.shape)
    launch(k.cast, -(-x.array.size // 256), x, out, x.array.size, TO=to.tl, ROUNDING=rounding, BITS=bits, BLOCK=256)
    return out


def allowed(source, to):
    """What the front end takes: 8-bit floats become integers through another float only."""
    return source is not to and not (source in FP8 and not to.is_float) and not (to in FP8 and not source.is_float)


PAIRS = [(s, t) for s in ALL for t in ALL if allowed(s, t)]


@pytest.mark.parametrize(("source", "to"), PAIRS, ids=names)
def test_every_pair(source, to):
    x = numbers(source)
    check(run(x, to), converted(x, to), signed_zero=to.is_float and source.is_float)


@pytest.mark.parametrize(("source", "to"), sample(PAIRS, 40), ids=names)
def test_scalars(source, to):
    x = numbers(source)
    x = Data(source, np.ascontiguousarray(x.array[:: max(x.array.size // 300, 1)]))
    out = Data.zeros(to, x.shape)
    launch(k.cast_scalar, x.array.size, x, out, TO=to.tl, ROUNDING=None)
    check(out, converted(x, to))


DOWN = [(s, t) for s in FLOATS for t in [*FP8, *FLOATS] if t.bits < s.bits]


@pytest.mark.parametrize("rounding", ["rtne", "rtz"])
@pytest.mark.parametrize(("source", "to"), DOWN, ids=names)
def test_rounding(source, to, rounding):
    x = numbers(source, seed=1)
    check(run(x, to, rounding), converted(x, to, rounding), rounding=rounding, signed_zero=True)


SAME_SIZE = [(s, t) for s in ALL for t in ALL if s is not t and s.bits == t.bits and s.kind != "bool"]


@pytest.mark.parametrize(("source", "to"), SAME_SIZE, ids=names)
def test_bits(source, to):
    x = numbers(source)
    out = run(x, to, bits=True)
    bits = f"uint{source.bits}"
    np.testing.assert_array_equal(out.array.view(bits), x.array.view(bits))


@pytest.mark.parametrize("type_", SMALL_FLOATS, ids=names)
def test_every_code_there_and_back(type_):
    """Longer types hold the short ones exactly."""
    codes = np.arange(1 << type_.bits).astype(f"uint{type_.bits}")[: 1 << 12].view(type_.storage)
    x = Data(type_, codes)
    for via in [T["fp64"], T["fp32"]] + ([T["fp16"]] if type_ in (T["fp8e4nv"], T["fp8e5"], T["fp8e4b8"]) else []):
        out = Data.zeros(type_, x.shape)
        launch(k.there_and_back, 1, x, out, VIA=via.tl, BLOCK=codes.size)
        check(out, x.values, signed_zero=True)


@pytest.mark.parametrize("to", [*FP8, T["fp16"], T["bf16"], T["i8"], T["u16"], T["i32"]], ids=names)
@pytest.mark.parametrize(
    "constant", [0.0, 1.0, -1.75, 0.1, 300.0, 448.0, 480.0, 1e6, -1e6, 2.0**-9, 2.0**-10 * 1.01, 65519.0, 65520.0]
)
def test_constants(to, constant):
    """As the machine converts it: saturated where there is no infinity."""
    if not to.is_float and not to.min <= constant <= to.max:
        constant = 100.0
    out = Data.zeros(to, 8)
    launch(k.constants, 1, out, C=constant, TO=to.tl, BLOCK=8)
    x = Data.of(T["fp32"], np.full(8, constant))
    check(out, converted(x, to), signed_zero=True)


@pytest.mark.parametrize(
    ("x", "y", "result"),
    [
        ("i8", "i32", "i32"),
        ("u8", "i16", "i16"),
        ("u32", "i32", "u32"),
        ("i8", "u64", "u64"),
        ("i1", "i16", "i16"),
        ("i32", "fp16", "fp16"),
        ("i64", "bf16", "bf16"),
        ("fp16", "bf16", "fp16"),
        ("fp16", "fp32", "fp32"),
        ("bf16", "fp32", "fp32"),
        ("fp32", "fp64", "fp64"),
        ("u16", "fp64", "fp64"),
    ],
)
def test_operands_of_two_types(x, y, result):
    a, b = (Data.of(T[t], rng(s).integers(0, 2 if t == "i1" else 100, 64)) for s, t in enumerate((x, y)))
    out = Data.zeros(T[result], 64)
    launch(k.implicit, 1, a, b, out, BLOCK=64)
    check(out, a.values.astype(np.float64) + b.values)


@pytest.mark.parametrize("type_", [T["fp16"], T["fp32"]], ids=names)
def test_the_float_that_triton_keeps_in_bytes(type_):
    """fp8e4b15: the upper bits of an fp16 whose magnitude is below 2, so a code is seven bits of it. Triton's conversions go through
    fp16, cut to it from fp32, limited to 1.75, and round halves away from zero."""
    codes = np.arange(256).astype(np.uint8)
    out = Data.zeros(type_, 256)
    launch(k.from_bytes, 1, codes, out, BLOCK=256)
    halves = ((codes & 0x7F).astype(np.uint16) << 7 | (codes & 0x80).astype(np.uint16) << 8).view(np.float16)
    check(out, halves.astype(np.float64), signed_zero=True)
    x = numbers(type_)
    x = Data(type_, x.array[~np.isnan(x.array)][:2048])
    half = encode(T["fp16"], x.values, "rtz").view(np.uint16)
    code = (np.minimum(half & 0x7FFF, 0x3F00) * 2 + 0x80) >> 8 & 0x7F | half >> 8 & 0x80
    result = np.zeros(x.array.size, np.uint8)
    launch(k.to_bytes, 1, x, result, x.array.size, BLOCK=2048)
    np.testing.assert_array_equal(result, code)
