"""What all families share: element types with exact encoders, data in memory, launches, comparisons, samples of cases.

A reference is computed on exact values (Python integers, float64, fractions) and encoded into the element type once; nothing here
uses the code under test. `sample` keeps the broad products short: OPW_FULL=1 runs all of them. OPW_TEST_LEVEL=x86-64-v3 compiles for
that CPU level instead of the highest of this machine.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

import opwright

FULL = os.environ.get("OPW_FULL", "") not in ("", "0")
LEVEL = {"arch": os.environ["OPW_TEST_LEVEL"]} if os.environ.get("OPW_TEST_LEVEL") else {}


def sample(cases, count: int, seed: int = 0) -> list:
    """`count` of the cases, always the same ones; all of them with OPW_FULL=1."""
    cases = list(cases)
    if FULL or len(cases) <= count:
        return cases
    chosen = set(random.Random(seed).sample(range(len(cases)), count))
    return [case for index, case in enumerate(cases) if index in chosen]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# -- element types


@dataclass(frozen=True)
class Type:
    """An element type. Floats have a format: significand bits that are stored, the bias, and what the top codes mean: "ieee"
    (infinities), "fn" (all ones is NaN) or "fnuz" (minus zero is NaN, no other special value)."""

    name: str  # as triton.language spells it
    torch: str  # as a tensor argument's dtype spells it
    kind: str  # bool, int, uint, float
    bits: int
    mantissa: int = 0
    bias: int = 0
    top: str = "ieee"

    @property
    def storage(self) -> np.dtype:
        """The NumPy type of the memory; floats that NumPy lacks are kept as unsigned integers."""
        if self.kind == "bool":
            return np.dtype(bool)
        native = self.kind != "float" or self.torch in ("float16", "float32", "float64")
        return np.dtype(self.torch if native else f"uint{self.bits}")

    @property
    def native(self) -> bool:
        return self.kind != "float" or self.storage.kind == "f"

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def min(self) -> int:
        return -(1 << (self.bits - 1)) if self.kind == "int" else 0

    @property
    def max(self) -> int:
        return 1 if self.kind == "bool" else (1 << (self.bits - (self.kind == "int"))) - 1

    @property
    def tl(self):
        import triton.language as tl

        return tl.int1 if self.kind == "bool" else getattr(tl, {"bf16": "bfloat16"}.get(self.name, self._spelled))

    @property
    def _spelled(self) -> str:
        return self.name.replace("fp", "float") if self.is_float else self.torch

    def __str__(self) -> str:
        return self.name


_FLOATS = (
    Type("fp8e4nv", "float8_e4m3fn", "float", 8, 3, 7, "fn"),
    Type("fp8e5", "float8_e5m2", "float", 8, 2, 15),
    Type("fp8e4b8", "float8_e4m3fnuz", "float", 8, 3, 8, "fnuz"),
    Type("fp8e5b16", "float8_e5m2fnuz", "float", 8, 2, 16, "fnuz"),
    Type("fp16", "float16", "float", 16, 10, 15),
    Type("bf16", "bfloat16", "float", 16, 7, 127),
    Type("fp32", "float32", "float", 32, 23, 127),
    Type("fp64", "float64", "float", 64, 52, 1023),
)
_BITS = (8, 16, 32, 64)
T = {
    type_.name: type_
    for type_ in (
        Type("i1", "bool", "bool", 1),
        *(Type(f"i{bits}", f"int{bits}", "int", bits) for bits in _BITS),
        *(Type(f"u{bits}", f"uint{bits}", "uint", bits) for bits in _BITS),
        *_FLOATS,
    )
}
SIGNED = [T[f"i{bits}"] for bits in _BITS]
UNSIGNED = [T[f"u{bits}"] for bits in _BITS]
INTEGERS = SIGNED + UNSIGNED
FP8 = list(_FLOATS[:4])
FLOATS = list(_FLOATS[4:])
NUMBERS = INTEGERS + FLOATS


@cache
def decode_table(name: str) -> np.ndarray:
    """The value of every code of a float type of at most 16 bits, from the definition of the format."""
    type_ = T[name]
    codes = np.arange(1 << type_.bits)
    fraction = codes & ((1 << type_.mantissa) - 1)
    exponent = (codes >> type_.mantissa) & ((1 << (type_.bits - 1 - type_.mantissa)) - 1)
    unit = 2.0 ** (1 - type_.bias - type_.mantissa)  # of subnormals
    size = np.where(exponent == 0, fraction, fraction + (1 << type_.mantissa)) * unit
    size = size * 2.0 ** np.maximum(exponent - 1, 0)
    last = (1 << (type_.bits - 1 - type_.mantissa)) - 1
    if type_.top == "ieee":
        size = np.where(exponent == last, np.where(fraction == 0, np.inf, np.nan), size)
    elif type_.top == "fn":
        size = np.where((exponent == last) & (fraction == (1 << type_.mantissa) - 1), np.nan, size)
    values = np.where(codes >> (type_.bits - 1) == 1, -size, size)
    if type_.top == "fnuz":
        values[1 << (type_.bits - 1)] = np.nan
    return values


@cache
def _finite(name: str) -> np.ndarray:
    half = decode_table(name)[: 1 << (T[name].bits - 1)]
    return half[np.isfinite(half)]


def encode(type_: Type, values, rounding: str = "rtne") -> np.ndarray:
    """float64 values as codes (or NumPy floats) of a float type. To nearest even, or toward zero. What is too large becomes
    infinity, and where the type has none, its largest value."""
    x = np.asarray(values, np.float64)
    with np.errstate(all="ignore"):
        if type_.native:
            nearest = x.astype(type_.storage)
            if rounding == "rtz":
                beyond = np.abs(nearest.astype(np.float64)) > np.abs(x)
                nearest = np.where(beyond, np.nextafter(nearest, type_.storage.type(0)), nearest)
            return nearest.astype(type_.storage)
    table, size = _finite(type_.name), np.abs(np.where(np.isnan(x), 0, x))
    low = np.minimum(np.searchsorted(table, size, side="right") - 1, table.size - 1)
    step = table[-1] - table[-2]
    high_value = np.append(table[1:], table[-1] + step)[low]  # one more value, were the format larger
    middle = (table[low] + high_value) / 2
    up = (size > middle) | ((size == middle) & (low % 2 == 1))
    code = low + (up if rounding == "rtne" else 0)
    infinite = np.isinf(size)
    if type_.top == "ieee":
        code = np.where(infinite, table.size, code)  # the code after the largest is infinity
    else:
        code = np.minimum(np.where(infinite, table.size, code), table.size - 1)
    nan = {"ieee": table.size | 1 << (type_.mantissa - 1), "fn": table.size, "fnuz": 1 << (type_.bits - 1)}[type_.top]
    sign = np.signbit(x) * (1 << (type_.bits - 1))
    if type_.top == "fnuz":
        sign = np.where(code == 0, 0, sign)
    return np.where(np.isnan(x), nan, code | sign).astype(type_.storage)


def to_odd(q: Fraction) -> float:
    """A fraction as float64, rounded to odd: rounding the result to a shorter type is then as rounding the fraction."""
    nearest = float(q)
    if np.isinf(nearest) or Fraction(nearest) == q:
        return nearest
    if abs(Fraction(nearest)) > abs(q):
        nearest = float(np.nextafter(nearest, 0.0))
    return float((np.float64(nearest).view(np.uint64) | np.uint64(1)).view(np.float64))


# -- data in memory


class Data:
    """An array of one element type, as a kernel's argument (`data_ptr`, `dtype`) and as exact values."""

    def __init__(self, type_: Type, array: np.ndarray) -> None:
        assert array.dtype == type_.storage, (array.dtype, type_)
        self.type = type_
        self.array = array

    @classmethod
    def of(cls, type_: Type, values) -> Data:
        """The values, rounded to the type; integers wrap around."""
        if type_.is_float:
            return cls(type_, np.ascontiguousarray(encode(type_, values)))
        return cls(type_, wrap_integers(type_, values))

    @classmethod
    def zeros(cls, type_: Type, shape) -> Data:
        return cls(type_, np.zeros(shape, type_.storage))

    @property
    def values(self) -> np.ndarray:
        """float64 for floats, else the integers as they are."""
        if not self.type.is_float:
            return self.array
        return self.array.astype(np.float64) if self.type.native else decode_table(self.type.name)[self.array]

    @property
    def shape(self):
        return self.array.shape

    def argument(self):
        return opwright.tensor(self.array) if self.type.native else _Raw(self.array, self.type.torch)


class _Raw:
    """What Triton asks of a tensor argument, over memory whose type NumPy has no name for."""

    def __init__(self, array: np.ndarray, dtype: str) -> None:
        self._array = array
        self.dtype = dtype

    def data_ptr(self) -> int:
        return self._array.ctypes.data


def wrap_integers(type_: Type, values) -> np.ndarray:
    """Integers of any size, modulo 2**bits."""
    flat = [int(value) & ((1 << type_.bits) - 1) for value in np.asarray(values).reshape(-1)]
    if type_.kind == "int":
        flat = [value - (1 << type_.bits) if value > type_.max else value for value in flat]
    return np.array(flat, dtype=type_.storage).reshape(np.shape(values))


def launch(kernel, grid, *args, **constants):
    """Runs the kernel; Data and arrays become tensor arguments."""

    grid = grid if isinstance(grid, tuple) else (grid,)
    return kernel[grid](*[tensor_of(x) for x in args], **LEVEL, **constants)


def tensor_of(x):
    return x.argument() if isinstance(x, Data) else opwright.tensor(x) if isinstance(x, np.ndarray) else x


# -- values that are worth trying


def integers(type_: Type, count: int, seed: int = 0) -> np.ndarray:
    """Edges of the type first, then random ones of every size."""
    edges = [
        type_.min,
        type_.min + 1,
        type_.max,
        type_.max - 1,
        0,
        1,
        2,
        3,
        5,
        7,
        type_.bits - 1,
        type_.bits,
        type_.max // 2,
    ]
    if type_.kind == "int":
        edges += [-1, -2, -3, -7, -type_.bits]
    if type_.kind == "bool":
        edges = [0, 1]
    generator = random.Random(seed)
    edges += [generator.getrandbits(generator.randint(1, type_.bits)) for _ in range(max(count - len(edges), 0))]
    return wrap_integers(type_, np.array(edges[:count], dtype=object))


def floats(type_: Type, count: int, seed: int = 0, specials: bool = True) -> np.ndarray:
    """float64 values that the type holds exactly: special ones first, then random ones near 1 and random codes."""
    smallest = 2.0 ** (1 - type_.bias - type_.mantissa)
    normal = 2.0 ** (1 - type_.bias)
    largest = (2 - 2.0**-type_.mantissa) * 2.0 ** (type_.bias + (type_.top != "ieee"))
    edges = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, smallest, -smallest, normal, -normal, normal - smallest]
    edges += [largest, -largest, 1 + 2.0**-type_.mantissa, 0.5, 1.5, -2.5, 3.0, 1 / 3, 1e-3, 100.0]
    generator = rng(seed)
    near = generator.standard_normal(count)
    if type_.bits == 64:
        wide = generator.integers(0, 2**64, count, dtype=np.uint64).view(np.float64)
    else:
        wide = generator.standard_normal(count) * 2.0 ** generator.integers(2 - type_.bias, type_.bias, count)
    mixed = np.where(generator.random(count) < 0.5, near, np.where(np.isnan(wide), 2.0, wide))
    values = np.concatenate([edges if specials else [], mixed])[:count]
    return Data.of(type_, values).values


def values(type_: Type, count: int, seed: int = 0, specials: bool = True) -> np.ndarray:
    return floats(type_, count, seed, specials) if type_.is_float else integers(type_, count, seed)


# -- comparisons


def ulp(type_: Type, exact: np.ndarray) -> np.ndarray:
    """The distance of neighbours of the type at the exact values."""
    with np.errstate(all="ignore"):
        exponent = np.floor(np.log2(np.abs(np.where(np.isfinite(exact) & (exact != 0), exact, 1.0))))
    exponent = np.where(exact == 0, 1 - type_.bias, np.maximum(exponent, 1 - type_.bias))
    return 2.0 ** (exponent - type_.mantissa)


def check(got: Data, exact, ulps: float = 0, bound=None, signed_zero: bool = False, rounding: str = "rtne") -> None:
    """Compares with exact values. Floats: equal to the rounded value, or within `ulps` of the exact one, or within an absolute
    bound per element; NaN where NaN is expected. Integers: equal after wrapping around."""
    if not got.type.is_float:
        np.testing.assert_array_equal(got.array, wrap_integers(got.type, exact))
        return
    exact = np.broadcast_to(np.asarray(exact, np.float64), got.shape)
    rounded = Data(got.type, np.asarray(encode(got.type, exact, rounding))).values
    have = got.values
    with np.errstate(all="ignore"):
        good = (have == rounded) | (np.isnan(have) & np.isnan(rounded))
        if ulps or bound is not None:
            allowed = ulps * ulp(got.type, exact) + (0 if bound is None else bound)
            good |= np.abs(have - exact) <= allowed
        if signed_zero:
            good &= np.isnan(rounded) | (rounded != 0) | (np.signbit(have) == np.signbit(rounded))
    if not good.all():
        bad = np.argwhere(~good)
        lines = [f"at {tuple(map(int, i))}: got {have[tuple(i)]!r}, expected {exact[tuple(i)]!r}" for i in bad[:8]]
        raise AssertionError(f"{len(bad)} of {have.size} {got.type} values are wrong\n" + "\n".join(lines))
