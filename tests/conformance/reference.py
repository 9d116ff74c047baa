"""What the operations of generated kernels mean: NumPy's types and functions, and bf16 as float32 that is rounded every time."""

from __future__ import annotations

import numpy as np

from .kit import Data, T, encode

INT = ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64")
FLOAT = ("fp16", "bf16", "fp32", "fp64")


def host(type_: str) -> np.dtype:
    return np.dtype(np.float32) if type_ == "bf16" else T[type_].storage


def rounded(type_: str, x: np.ndarray) -> np.ndarray:
    if type_ != "bf16":
        return x.astype(host(type_))
    return Data(T["bf16"], np.asarray(encode(T["bf16"], x))).values.astype(np.float32)


def convert(x: np.ndarray, source: str, to: str) -> np.ndarray:
    if source == to:
        return x
    if to == "i1":
        return x != 0
    if to in FLOAT:
        return rounded(to, x.astype(np.float64))
    if source in FLOAT:  # truncated, saturated, NaN is 0
        wide = np.trunc(x.astype(np.float64))
        low, high = float(T[to].min), float(T[to].max + 1)
        inside = np.where((wide >= low) & (wide < high), wide, 0).astype(host(to))
        return np.where(wide >= high, T[to].max, np.where(wide < low, T[to].min, inside)).astype(host(to))
    return x.astype(host(to))


def divide(x, y):
    safe = np.where((y == 0) | (y == -1 if y.dtype.kind == "i" else False), 1, y).astype(y.dtype)
    quotient = x // safe
    quotient = quotient + ((x - quotient * safe != 0) & ((x < 0) != (safe < 0))).astype(x.dtype)
    return np.where(y == -1, -x, quotient).astype(x.dtype) if y.dtype.kind == "i" else quotient


def remainder(x, y):
    return np.where(y == 0, 0, x - divide(x, y) * y).astype(x.dtype)


ARITHMETIC = {"({} + {})": np.add, "({} - {})": np.subtract, "({} * {})": np.multiply}
INT_BINARY = {
    **ARITHMETIC,
    "({} // ({} | 1))": lambda x, y: divide(x, y | y.dtype.type(1)),
    "({} % ({} | 1))": lambda x, y: remainder(x, y | y.dtype.type(1)),
    "({} & {})": np.bitwise_and,
    "({} | {})": np.bitwise_or,
    "({} ^ {})": np.bitwise_xor,
    "({} << ({} & 7))": lambda x, y: x << (y & y.dtype.type(7)),
    "({} >> ({} & 7))": lambda x, y: x >> (y & y.dtype.type(7)),
    "tl.minimum({}, {})": np.minimum,
    "tl.maximum({}, {})": np.maximum,
}
BOOL_BINARY = {"({} & {})": np.logical_and, "({} | {})": np.logical_or, "({} ^ {})": np.logical_xor}
COMPARES = {
    "({} < {})": np.less,
    "({} <= {})": np.less_equal,
    "({} > {})": np.greater,
    "({} >= {})": np.greater_equal,
    "({} == {})": np.equal,
    "({} != {})": np.not_equal,
}
REDUCTIONS = {"tl.sum": np.sum, "tl.max": np.max, "tl.min": np.min, "tl.xor_sum": np.bitwise_xor.reduce}


def decoded(type_: str, cells: np.ndarray) -> np.ndarray:
    return Data(T[type_], cells).values.astype(host(type_)) if type_ == "bf16" else cells


def encoded(type_: str, x: np.ndarray) -> np.ndarray:
    return encode(T["bf16"], x) if type_ == "bf16" else np.asarray(x)


def spelled(type_: str) -> str:
    return f"tl.{'int1' if type_ == 'i1' else 'bfloat16' if type_ == 'bf16' else T[type_]._spelled}"
