"""Integers that are known when an operator is called: sizes of its inputs, its attributes, and what is computed of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from opwright.errors import InputError
from opwright.expressions import Dim, Expr, Name, Num, Op, show

_LARGEST = 2**63 - 1


class SymInt:
    """A symbolic integer. `+ - * // %` (floored), comparisons and their reflected forms give others; a comparison is 0 or 1."""

    __slots__ = ("expr",)

    def __init__(self, expr: Expr) -> None:
        self.expr = expr

    # arithmetic

    def __add__(self, other: Any) -> SymInt:
        return _binary("+", self, other)

    def __radd__(self, other: Any) -> SymInt:
        return _binary("+", other, self)

    def __sub__(self, other: Any) -> SymInt:
        return _binary("-", self, other)

    def __rsub__(self, other: Any) -> SymInt:
        return _binary("-", other, self)

    def __mul__(self, other: Any) -> SymInt:
        return _binary("*", self, other)

    def __rmul__(self, other: Any) -> SymInt:
        return _binary("*", other, self)

    def __floordiv__(self, other: Any) -> SymInt:
        return _binary("//", self, other)

    def __rfloordiv__(self, other: Any) -> SymInt:
        return _binary("//", other, self)

    def __mod__(self, other: Any) -> SymInt:
        return _binary("%", self, other)

    def __rmod__(self, other: Any) -> SymInt:
        return _binary("%", other, self)

    def __neg__(self) -> SymInt:
        return SymInt(Op("neg", (self.expr,)))

    def __abs__(self) -> SymInt:
        return SymInt(Op("abs", (self.expr,)))

    # comparisons: symbolic too

    def __eq__(self, other: Any) -> SymInt:  # type: ignore[override]
        return _binary("==", self, other)

    def __ne__(self, other: Any) -> SymInt:  # type: ignore[override]
        return _binary("!=", self, other)

    def __lt__(self, other: Any) -> SymInt:
        return _binary("<", self, other)

    def __le__(self, other: Any) -> SymInt:
        return _binary("<=", self, other)

    def __gt__(self, other: Any) -> SymInt:
        return _binary("<", other, self)

    def __ge__(self, other: Any) -> SymInt:
        return _binary("<=", other, self)

    __hash__ = None  # type: ignore[assignment]

    # a Python value is not there

    @property
    def is_constant(self) -> bool:
        """Whether the value is known now."""
        return isinstance(self.expr, Num)

    def __int__(self) -> int:
        if isinstance(self.expr, Num):
            return self.expr.value
        self._unknown("as a Python integer")

    __index__ = __int__

    def __float__(self) -> float:
        return float(int(self))

    def __bool__(self) -> bool:
        if isinstance(self.expr, Num):
            return self.expr.value != 0
        self._unknown("as a Python condition")

    def _unknown(self, use: str) -> NoReturn:
        raise InputError(
            f"{show(self.expr)!r} is used {use}, but is known only when the operator is called",
            hint="write it as an expression: opwright.plugin.where(condition, a, b), cdiv, minimum, maximum",
        )

    def __repr__(self) -> str:
        return f"SymInt({show(self.expr)})"


ShapeExpr = SymInt  # QDP's name for one size


class ShapeExprs:
    """The sizes of a tensor. `shape[i]` is one of them, `shape.numel()` their product; assigning sets a size of an output."""

    def __init__(self, sizes: list[SymInt] | None, tensor: str = "") -> None:
        """Of known rank, or of an input whose rank is not declared."""
        self._sizes = sizes
        self._tensor = tensor

    @property
    def slices(self) -> list[str]:
        """The sizes as a build request has them."""
        if self._sizes is None:
            return [f"{self._tensor}[0:]"]
        return [show(size.expr) for size in self._sizes]

    def numel(self) -> SymInt:
        """How many elements a tensor of this shape has."""
        if self._sizes is None:
            return SymInt(Op("numel", (Name(self._tensor),)))
        product = SymInt(Num(1))
        for size in self._sizes:
            product = product * size
        return product

    def __len__(self) -> int:
        if self._sizes is None:
            raise InputError(
                f"the rank of {self._tensor!r} is used as a number, but any rank is taken",
                hint=f"declare it: @register(..., ranks={{{self._tensor!r}: 4}})",
            )
        return len(self._sizes)

    def __iter__(self) -> Iterator[SymInt]:
        return iter([self[i] for i in range(len(self))])

    def __getitem__(self, index: int) -> SymInt:
        if isinstance(index, slice):
            return ShapeExprs([self[i] for i in range(*index.indices(len(self)))])  # type: ignore[return-value]
        if self._sizes is None:
            return SymInt(Dim(self._tensor, index))
        if not -len(self._sizes) <= index < len(self._sizes):
            raise InputError(
                f"size {index} of a tensor of rank {len(self._sizes)}, expected 0 to {len(self._sizes) - 1}"
            )
        return self._sizes[index]

    def __setitem__(self, index: int, size: Any) -> None:
        sizes = list(self)
        sizes[index] = as_int(size)
        self._sizes = sizes

    def __repr__(self) -> str:
        return f"ShapeExprs({', '.join(self.slices)})"


Shape = ShapeExprs


def as_int(value: Any) -> SymInt:
    """A symbolic integer of a Python one, or itself."""
    if isinstance(value, SymInt):
        return value
    try:
        number = value.__index__()
    except AttributeError:
        raise InputError(
            f"found {value!r} ({type(value).__name__}), expected an integer, a size or an integer attribute",
            hint="sizes are divided with // or opwright.plugin.cdiv",
        ) from None
    if not -_LARGEST - 1 <= number <= _LARGEST:
        raise InputError(f"found {number}, expected an integer of 64 bits")
    return SymInt(Num(int(number)))


_FOLD = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "<": lambda a, b: int(a < b),
    "<=": lambda a, b: int(a <= b),
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "cdiv": lambda a, b: -(-a // b),
    "min": min,
    "max": max,
}


def _binary(op: str, left: Any, right: Any) -> SymInt:
    a, b = as_int(left).expr, as_int(right).expr
    if isinstance(a, Num) and isinstance(b, Num):
        if op in ("//", "%", "cdiv") and b.value == 0:
            raise InputError(f"found {a.value} {op} 0, expected a divisor that is not 0")
        return as_int(_FOLD[op](a.value, b.value))
    if op == "*" and Num(1) in (a, b):
        return SymInt(b if a == Num(1) else a)
    if op in ("+", "-") and b == Num(0):
        return SymInt(a)
    return SymInt(Op(op, (a, b)))


def cdiv(a: Any, b: Any) -> SymInt:
    """a / b, rounded up."""
    return _binary("cdiv", a, b)


def minimum(a: Any, b: Any) -> SymInt:
    return _binary("min", a, b)


def maximum(a: Any, b: Any) -> SymInt:
    return _binary("max", a, b)


def where(condition: Any, a: Any, b: Any) -> SymInt:
    """a where the condition is not 0, else b; the other one is not evaluated."""
    test = as_int(condition)
    if test.is_constant:
        return as_int(a) if test else as_int(b)
    return SymInt(Op("select", (test.expr, as_int(a).expr, as_int(b).expr)))
