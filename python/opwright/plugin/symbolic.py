"""Numbers that are known when an operator is called: sizes of its inputs, its attributes, and what is computed of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from opwright.errors import InputError
from opwright.expressions import Expr, Item, Name, Num, Op, Real, show
from opwright.plugin import paths
from opwright.plugin.paths import Option

_LARGEST = 2**63 - 1
COUNTED = "opw_size"  # how the names of sizes begin that depend on data
_REPEATED = (list, tuple, str, bytes)  # [0] * x.ndim is Python's own: it asks for __index__
_BOOLEAN = ("==", "!=", "<", "<=", "and", "or", "not", "present")


class SymInt:
    """A symbolic integer. `+ - * // %` (floored), comparisons and their reflected forms give others; a comparison is 0 or 1.

    As a Python condition it makes two paths of the definition; as a Python integer it takes the known values of the attributes that it
    is made of, and is refused where it is made of sizes.
    """

    __slots__ = ("expr",)

    def __init__(self, value: Any) -> None:
        """What an expression says; or, as in TensorRT's ShapeExpr, an integer or another symbol."""
        self.expr: Expr = value if isinstance(value, Expr) else as_int(value).expr

    # arithmetic

    def __add__(self, other: Any) -> Any:
        return _binary("+", self, other)

    def __radd__(self, other: Any) -> Any:
        return _binary("+", other, self)

    def __sub__(self, other: Any) -> Any:
        return _binary("-", self, other)

    def __rsub__(self, other: Any) -> Any:
        return _binary("-", other, self)

    def __mul__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, _REPEATED) else _binary("*", self, other)

    def __rmul__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, _REPEATED) else _binary("*", other, self)

    def __truediv__(self, other: Any) -> SymFloat:
        return _divide(self, other)

    def __rtruediv__(self, other: Any) -> SymFloat:
        return _divide(other, self)

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

    # Python values: paths

    @property
    def is_constant(self) -> bool:
        """Whether the value is known now."""
        return isinstance(self.expr, Num)

    def constant_value(self) -> int:
        """The value, where it is known now."""
        if not isinstance(self.expr, Num):
            self._unknown("as a constant")
        return self.expr.value

    @property
    def is_condition(self) -> bool:
        """Whether it is 0 or 1."""
        return isinstance(self.expr, Op) and self.expr.op in _BOOLEAN

    def __int__(self) -> int:
        if isinstance(self.expr, Num):
            return self.expr.value
        if not paths.exploring():
            self._unknown("as a Python integer")
        return int(evaluate(self.expr, self._decide))

    __index__ = __int__

    def python(self) -> Any:
        """The Python value as a definition's author wrote it: an attribute's bool is a bool."""
        return self._decide(self.expr) if isinstance(self.expr, (Name, Item)) and paths.exploring() else int(self)

    def __float__(self) -> float:
        return float(int(self))

    def __bool__(self) -> bool:
        if isinstance(self.expr, Num):
            return self.expr.value != 0
        if not paths.exploring():
            self._unknown("as a Python condition")
        no_counted_size(self.expr)
        test = self.expr if self.is_condition else Op("!=", (self.expr, Num(0)))
        return paths.ask(f"if {show(test)}", lambda: [Option(True, test), Option(False, Op("not", (test,)))])

    def _decide(self, leaf: Expr) -> Any:
        no_counted_size(leaf)
        value = paths.known().value(leaf) if paths.known() else None
        if value is None:
            self._unknown("as a Python integer")
        return value

    def _unknown(self, use: str) -> NoReturn:
        raise InputError(
            f"{show(self.expr)!r} is used {use}, but is known only when the operator is called",
            hint="write it as an expression (opwright.plugin.where(condition, a, b), cdiv, minimum, maximum), or say which values it may "
            "have: opwright.plugin.one_of(expression, [64, 128])",
        )

    def __repr__(self) -> str:
        return f"SymInt({show(self.expr)})"


ShapeExpr = SymInt  # QDP's name for one size


class SymFloat:
    """A symbolic float: a float attribute, and what is computed of it. A comparison is a SymInt of 0 or 1."""

    __slots__ = ("expr",)

    def __init__(self, expr: Expr) -> None:
        self.expr = expr

    def __add__(self, other: Any) -> SymFloat:
        return _float("+", self, other)

    def __radd__(self, other: Any) -> SymFloat:
        return _float("+", other, self)

    def __sub__(self, other: Any) -> SymFloat:
        return _float("-", self, other)

    def __rsub__(self, other: Any) -> SymFloat:
        return _float("-", other, self)

    def __mul__(self, other: Any) -> SymFloat:
        return _float("*", self, other)

    def __rmul__(self, other: Any) -> SymFloat:
        return _float("*", other, self)

    def __truediv__(self, other: Any) -> SymFloat:
        return _divide(self, other)

    def __rtruediv__(self, other: Any) -> SymFloat:
        return _divide(other, self)

    def __neg__(self) -> SymFloat:
        return SymFloat(Op("neg", (self.expr,)))

    def __eq__(self, other: Any) -> SymInt:  # type: ignore[override]
        return _compare_floats("==", self, other)

    def __ne__(self, other: Any) -> SymInt:  # type: ignore[override]
        return _compare_floats("!=", self, other)

    def __lt__(self, other: Any) -> SymInt:
        return _compare_floats("<", self, other)

    def __le__(self, other: Any) -> SymInt:
        return _compare_floats("<=", self, other)

    def __gt__(self, other: Any) -> SymInt:
        return _compare_floats("<", other, self)

    def __ge__(self, other: Any) -> SymInt:
        return _compare_floats("<=", other, self)

    __hash__ = None  # type: ignore[assignment]

    def __float__(self) -> float:
        if isinstance(self.expr, Real):
            return self.expr.value
        value = paths.known().value(self.expr) if paths.known() else None
        if value is None:
            raise InputError(
                f"{show(self.expr)!r} is used as a Python float, but is known only when the operator is called",
                hint="opwright.plugin.sqrt, floor, ceil, minimum and maximum take symbols",
            )
        return float(value)

    python = __float__

    def __bool__(self) -> bool:
        return bool(self != 0.0)

    def __repr__(self) -> str:
        return f"SymFloat({show(self.expr)})"


def as_int(value: Any) -> SymInt:
    """A symbolic integer of a Python one, or itself."""
    if isinstance(value, SymInt):
        return value
    if isinstance(value, SymFloat):
        raise InputError(
            f"found {show(value.expr)!r}, which is a float, expected an integer",
            hint="opwright.plugin.floor, ceil or round",
        )
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


def as_float(value: Any) -> SymFloat:
    """A symbolic float of a Python number or a symbol."""
    if isinstance(value, SymFloat):
        return value
    if isinstance(value, SymInt):
        return SymFloat(Real(float(value.expr.value)) if isinstance(value.expr, Num) else Op("float", (value.expr,)))
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"found {value!r} ({type(value).__name__}), expected a number") from None
    if not math.isfinite(number):
        raise InputError(f"found {number}, expected a finite number", hint="give the kernel a tl.constexpr for it")
    return SymFloat(Real(number))


_FOLD: dict[str, Callable[..., int]] = {
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
    "neg": lambda a: -a,
    "abs": abs,
    "not": lambda a: int(not a),
    "and": lambda a, b: int(bool(a) and bool(b)),
    "or": lambda a, b: int(bool(a) or bool(b)),
    "npow2": lambda a: 1 << max(a - 1, 0).bit_length(),
    "/": lambda a, b: a / b,
    "float": float,
    "sqrt": math.sqrt,
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
}


def evaluate(expr: Expr, leaf: Callable[[Expr], Any]) -> Any:
    """The value of an expression whose leaves are known. InputError where it has none."""
    if isinstance(expr, (Num, Real)):
        return expr.value
    if not isinstance(expr, Op) or expr.op in ("rank", "len", "present", "count"):
        return leaf(expr)
    if expr.op == "select":
        test, first, second = expr.args
        return evaluate(first if evaluate(test, leaf) else second, leaf)
    if expr.op not in _FOLD:
        return leaf(expr)
    operands = [evaluate(argument, leaf) for argument in expr.args]
    try:
        return _FOLD[expr.op](*operands)
    except (ArithmeticError, ValueError) as e:
        raise InputError(f"{show(expr)!r} has no value: {e}") from None


def no_counted_size(expr: Expr, use: str = "as a Python value") -> None:
    """Launches are chosen before a kernel has counted."""
    if isinstance(expr, Name) and expr.name.startswith(COUNTED):
        raise InputError(
            f"a size that the kernel counts is used {use}, but the launches of a call are chosen before it is known",
            hint="use it in grids and arguments, behind sizes_known()",
        )
    for operand in expr.args if isinstance(expr, Op) else ():
        no_counted_size(operand, use)


def is_float(value: Any) -> bool:
    return isinstance(value, (float, SymFloat))


def _binary(op: str, left: Any, right: Any) -> Any:
    if is_float(left) or is_float(right):
        if op in ("//", "%", "cdiv"):
            found = left if is_float(left) else right
            raise InputError(f"found {found!r} ({type(found).__name__}), expected an integer",
                             hint="opwright.plugin.floor(a / b) divides floats")  # fmt: skip
        return _compare_floats(op, left, right) if op in _BOOLEAN else _float(op, left, right)
    a, b = as_int(left).expr, as_int(right).expr
    if isinstance(a, Num) and isinstance(b, Num):
        if op in ("//", "%", "cdiv") and b.value == 0:
            raise InputError(f"found {a.value} {op} 0, expected a divisor that is not 0")
        return as_int(_FOLD[op](a.value, b.value))
    if op == "*" and Num(1) in (a, b):
        return SymInt(b if a == Num(1) else a)
    if op == "+" and a == Num(0):
        return SymInt(b)
    if op in ("+", "-") and b == Num(0):
        return SymInt(a)
    return SymInt(Op(op, (a, b)))


def _float(op: str, left: Any, right: Any) -> SymFloat:
    return _folded(op, as_float(left).expr, as_float(right).expr)


def _folded(op: str, *operands: Expr) -> Any:
    """A float expression, or for floor, ceil and round an integer one; its value where that is known and finite."""
    made = SymInt if op in ("floor", "ceil", "round") else SymFloat
    if all(isinstance(operand, Real) for operand in operands):
        try:
            value = _FOLD[op](*(operand.value for operand in operands))
        except (ArithmeticError, ValueError):
            return made(Op(op, operands))  # as it is where the operator runs
        if made is SymInt:
            return as_int(value)
        if math.isfinite(value):
            return SymFloat(Real(value))
    return made(Op(op, operands))


def _compare_floats(op: str, left: Any, right: Any) -> SymInt:
    a, b = as_float(left).expr, as_float(right).expr
    if isinstance(a, Real) and isinstance(b, Real):
        return as_int(_FOLD[op](a.value, b.value))
    if op == "<=":  # which requests have of integers alone
        return SymInt(Op("or", (Op("<", (a, b)), Op("==", (a, b)))))
    return SymInt(Op(op, (a, b)))


def _divide(left: Any, right: Any) -> SymFloat:
    return _float("/", left, right)


def cdiv(a: Any, b: Any) -> SymInt:
    """a / b, rounded up."""
    return _binary("cdiv", a, b)


def minimum(a: Any, b: Any) -> Any:
    """The smaller one."""
    return _binary("min", a, b)


def maximum(a: Any, b: Any) -> Any:
    """The larger one."""
    return _binary("max", a, b)


def where(condition: Any, a: Any, b: Any) -> Any:
    """a where the condition is not 0, else b; the other one is not evaluated."""
    test = as_int(condition)
    if test.is_constant:
        return a if test else b
    if is_float(a) or is_float(b):
        return SymFloat(Op("select", (test.expr, as_float(a).expr, as_float(b).expr)))
    return SymInt(Op("select", (test.expr, as_int(a).expr, as_int(b).expr)))


def next_power_of_2(a: Any) -> SymInt:
    """The smallest power of two that is not below a."""
    number = as_int(a)
    if isinstance(number.expr, Num):
        return as_int(_FOLD["npow2"](number.expr.value))
    return SymInt(Op("npow2", (number.expr,)))


def sqrt(a: Any) -> SymFloat:
    """The square root."""
    return _folded("sqrt", as_float(a).expr)


def floor(a: Any) -> SymInt:
    """The largest integer that is not above a."""
    return _folded("floor", as_float(a).expr)


def ceil(a: Any) -> SymInt:
    """The smallest integer that is not below a."""
    return _folded("ceil", as_float(a).expr)


def nearest(a: Any) -> SymInt:
    """The nearest integer; of two the even one."""
    return _folded("round", as_float(a).expr)


def one_of(expression: Any, values: Sequence[int], text: str = "") -> int:
    """A Python integer: the one of the values that the expression has. Each is a path of the definition, with kernels of its own; a call
    for which it is none of them is refused, with the text."""
    number = as_int(expression)
    choices = [as_int(value) for value in values]
    if not choices or not all(choice.is_constant for choice in choices):
        raise InputError(f"one_of({show(number.expr)}, {list(values)!r}), expected a list of integers")
    if isinstance(number.expr, Num):
        if number.expr.value not in values:
            raise InputError(f"one_of({number.expr.value}, {list(values)!r}): it is none of them")
        return number.expr.value
    if not paths.exploring():
        raise InputError("found one_of outside of a definition, expected it in register or aot_impl")
    no_counted_size(number.expr)
    options = [Option(int(choice), Op("==", (number.expr, choice.expr))) for choice in choices]
    refusal = text or f"{show(number.expr)} is none of {', '.join(str(int(choice)) for choice in choices)}"
    return paths.ask(f"one_of {show(number.expr)} {list(map(int, choices))}", lambda: options, otherwise=refusal)


def negative_axis(index: SymInt, tensor: str) -> int:
    """The axis from the end that an index such as `x.ndim - 2` means, for a tensor of any rank."""

    def at(rank: int) -> int:
        def leaf(expr: Expr) -> Any:
            if expr == Op("rank", (Name(tensor),)):
                return rank
            return int(SymInt(expr))

        return evaluate(index.expr, leaf)

    low, high = at(16) - 16, at(32) - 32
    if low != high or low >= 0:
        raise InputError(
            f"size {show(index.expr)} of {tensor!r}, expected a number, or {tensor}.ndim less a number",
            hint=f"declare the rank: @register(..., ranks={{{tensor!r}: 4}})",
        )
    return low
