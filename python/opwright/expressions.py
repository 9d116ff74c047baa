"""Expressions over sizes and attributes: a tree, and the infix text of it in a build request (docs/abi.md, Requests).

The request has Python's operators and calls such as cdiv, min, max, abs and select(condition, a, b). `//` and `%` are floored; `/` is written
between floats alone, for a request takes it for `//` between integers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Num:
    """An integer."""

    value: int


@dataclass(frozen=True)
class Real:
    """A float."""

    value: float


@dataclass(frozen=True)
class Name:
    """A var or attribute of the operator, or a name that is not resolved yet. `column` counts from 1 in the text that has it."""

    name: str
    column: int = 0


@dataclass(frozen=True)
class Dim:
    """The size of one axis of an input."""

    tensor: str
    axis: int


@dataclass(frozen=True)
class Item:
    """An element of a list attribute."""

    name: str
    index: int


@dataclass(frozen=True)
class Op:
    """An operator or call with its operands. `c/` and `c%` are C's truncating ones and must be lowered."""

    op: str
    args: tuple[Expr, ...]


Expr = Num | Real | Name | Dim | Item | Op


_LEVEL = {
    "or": 1,
    "and": 2,
    "not": 3,
    "==": 4,
    "!=": 4,
    "<": 4,
    "<=": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "//": 6,
    "%": 6,
    "neg": 7,
}


def show(expr: Expr, parent: int = 0) -> str:
    """Infix text as in a build request, with the parentheses that it needs."""
    if isinstance(expr, Num):
        return f"({expr.value})" if expr.value < 0 and parent > 5 else str(expr.value)
    if isinstance(expr, Real):
        return f"({expr.value!r})" if expr.value < 0 and parent > 5 else repr(expr.value)
    if isinstance(expr, Item):
        return f"{expr.name}[{expr.index}]"
    if isinstance(expr, Name):
        return expr.name
    if isinstance(expr, Dim):
        return f"{expr.tensor}.{expr.axis}"
    if expr.op in ("c/", "c%"):  # only in messages
        return f"({show(expr.args[0], 6)} {expr.op[1]} {show(expr.args[1], 7)})"
    level = _LEVEL.get(expr.op)
    if level is None:
        return f"{expr.op}({', '.join(show(a) for a in expr.args)})"
    if expr.op == "not":
        text = f"not {show(expr.args[0], level)}"
    elif expr.op == "neg":
        text = f"-{show(expr.args[0], level)}"
    else:
        # comparisons do not chain: both sides bind tighter
        left = level + 1 if level == 4 else level
        text = f"{show(expr.args[0], left)} {expr.op} {show(expr.args[1], level + 1)}"
    return f"({text})" if level < parent else text


Interval = tuple[float, float]
_INF = float("inf")


def interval(expr: Expr, bounds: Callable[[str], Interval]) -> Interval:
    """Bounds of the value; sizes are >= 0, `bounds` knows the names."""
    if isinstance(expr, Num):
        return expr.value, expr.value
    if isinstance(expr, (Real, Item)):
        return -_INF, _INF
    if isinstance(expr, Dim):
        return 0, _INF
    if isinstance(expr, Name):
        return bounds(expr.name)
    parts = [interval(a, bounds) for a in expr.args]
    (alo, ahi), (blo, bhi) = parts[0], parts[-1]
    match expr.op:
        case "+":
            return alo + blo, ahi + bhi
        case "-":
            return alo - bhi, ahi - blo
        case "neg":
            return -ahi, -alo
        case "min":
            return min(alo, blo), min(ahi, bhi)
        case "max":
            return max(alo, blo), max(ahi, bhi)
        case "select":
            return min(parts[1][0], blo), max(parts[1][1], bhi)
        case "==" | "!=" | "<" | "<=" | "and" | "or" | "not":
            return 0, 1
        case "*" if alo >= 0 and blo >= 0:
            return alo * blo, _INF if _INF in (ahi, bhi) else ahi * bhi
        case "//" | "c/" | "cdiv" if alo >= 0 and blo >= 0:
            return 0, ahi
        case "%" | "c%" if blo >= 0 and (alo >= 0 or expr.op == "%"):
            return 0, bhi
        case "abs":
            return 0, _INF
        case "value":
            return alo, ahi
    return -_INF, _INF
