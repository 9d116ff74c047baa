"""Integer expressions of shape rules and launch grids: text -> tree.

Two source languages share one parser. A *rule* is PluginGen's: `/` is floor division and `///` ceiling division. A *grid* is
a C expression: `/` and `%` truncate, comparisons, `?:`, `&&`, shifts. Operators bind as in C and Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from opwright.errors import InputError
from opwright.expressions import Expr, Interval, Name, Num, Op, interval, show

Dialect = Literal["rule", "grid"]

_TOKEN = re.compile(
    r"\s*(?:(?P<num>0[xX][0-9a-fA-F]+|[0-9]+)(?P<suffix>[uUlL]*)(?![\w.])|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<op>->|///|//|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%()<>!?:,\[\]]))"
)
_RULE_LEVELS: tuple[dict[str, str], ...] = (
    {"+": "+", "-": "-"},
    {"*": "*", "/": "//", "//": "//", "///": "cdiv", "%": "%"},
)
_GRID_LEVELS: tuple[dict[str, str], ...] = (
    {"||": "or"},
    {"&&": "and"},
    {"==": "==", "!=": "!="},
    {"<": "<", "<=": "<=", ">": ">", ">=": ">="},
    {"<<": "<<", ">>": ">>"},
    {"+": "+", "-": "-"},
    {"*": "*", "/": "c/", "//": "//", "%": "c%"},
)
CALLS = {"min": 2, "max": 2, "cdiv": 2, "abs": 1}
# Words of the request's expressions that no argument may be named like; Python's keywords are refused anyway.
RESERVED = frozenset({"true", "false"})
_MAX_DEPTH = 64
_MAX_OPERATORS = 200


class Parser:
    """Recursive descent over one text. Positions in messages are columns of that text, from 1."""

    def __init__(self, text: str, dialect: Dialect, what: str) -> None:
        self.text, self.dialect, self.what = text, dialect, what
        self.pos = 0
        self.depth = 0
        self.operators = 0

    def fail(self, found: str, expected: str, column: int, hint: str = "") -> InputError:
        """An error that points into the text."""
        return InputError(
            f"{self.what}, column {column}: found {found}, expected {expected}",
            detail=f"{self.text}\n{' ' * (column - 1)}^",
            hint=hint,
        )

    def peek(self) -> tuple[str, str, int]:
        """Kind, text and column of the next token; kind '' at the end."""
        rest = self.text[self.pos :]
        if not rest.strip():
            return "", "", len(self.text) + 1
        match = _TOKEN.match(self.text, self.pos)
        if not match:
            start = self.pos + len(rest) - len(rest.lstrip())
            run = re.match(r"[\w.]+|.", self.text[start:], re.DOTALL)
            assert run
            raise self.fail(repr(run.group()), "a name, a whole number or an operator", start + 1)
        kind = match.lastgroup if match.lastgroup != "suffix" else "num"
        return str(kind), match.group(str(kind)), match.start(str(kind)) + 1

    def take(self) -> tuple[str, str, int]:
        """The next token, consumed."""
        token = self.peek()
        match = _TOKEN.match(self.text, self.pos)
        self.pos = match.end() if match else len(self.text)
        return token

    def accept(self, op: str) -> bool:
        """Consumes `op` if it is next."""
        if self.peek()[:2] == ("op", op):
            self.take()
            return True
        return False

    def expect(self, op: str) -> None:
        """Consumes `op` or fails."""
        _, text, column = self.peek()
        if not self.accept(op):
            raise self.fail(repr(text) if text else "the end", repr(op), column)

    def whole(self) -> Expr:
        """The expression that is the whole text."""
        expr = self.expression()
        _, text, column = self.peek()
        if text:
            raise self.fail(repr(text), "an operator or the end", column)
        return expr

    def expression(self) -> Expr:
        """One expression; in a grid also `c ? a : b`."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.fail("an expression nested deeper", f"at most {_MAX_DEPTH} levels", self.peek()[2])
        expr = self.binary(0)
        if self.dialect == "grid" and self.accept("?"):
            then = self.expression()
            self.expect(":")
            expr = Op("select", (expr, then, self.expression()))
        self.depth -= 1
        return expr

    def binary(self, level: int) -> Expr:
        """Left-associative operators of this level and the tighter ones."""
        levels = _RULE_LEVELS if self.dialect == "rule" else _GRID_LEVELS
        if level == len(levels):
            return self.unary()
        left = self.binary(level + 1)
        while True:
            kind, text, _ = self.peek()
            op = levels[level].get(text) if kind == "op" else None
            if op is None:
                return left
            self.take()
            left = self.join(op, left, self.binary(level + 1))

    def join(self, op: str, left: Expr, right: Expr) -> Expr:
        """Two operands, with shifts and > >= written by the request's operators."""
        self.operators += 1
        if self.operators > _MAX_OPERATORS:
            raise self.fail("more operators", f"at most {_MAX_OPERATORS}", self.peek()[2])
        if op in ("<<", ">>"):
            if not isinstance(right, Num) or right.value > 62:
                raise self.fail(f"a shift by {show(right)}", "a whole number of at most 62", self.peek()[2])
            return Op("*" if op == "<<" else "//", (left, Num(1 << right.value)))
        if op in (">", ">="):
            return Op("<" if op == ">" else "<=", (right, left))
        return Op(op, (left, right))

    def unary(self) -> Expr:
        """Signs, `!`, and atoms."""
        self.depth += 1
        kind, text, column = self.peek()
        if self.depth > _MAX_DEPTH:
            raise self.fail("an expression nested deeper", f"at most {_MAX_DEPTH} levels", column)
        if kind == "op" and text in ("-", "+", "!") and (text != "!" or self.dialect == "grid"):
            self.take()
            inner = self.unary()
            expr: Expr = inner if text == "+" else Op("neg" if text == "-" else "not", (inner,))
        else:
            expr = self.atom()
        self.depth -= 1
        return expr

    def atom(self) -> Expr:
        """A number, a name, a call, or parentheses."""
        kind, text, column = self.take()
        if kind == "num":
            hexadecimal = text[:2] in ("0x", "0X")
            long = not hexadecimal and len(text.lstrip("0")) > 19  # int() itself refuses 4300 digits
            value = 1 << 63 if long else int(text, 16 if hexadecimal else 10)
            if value >= 1 << 63:
                raise self.fail(text, "a number below 2^63", column)
            return Num(value)
        if kind == "name":
            if not self.accept("("):
                return Name(text, column)
            if text not in CALLS:
                raise self.fail(f"a call of {text!r}", "min, max, cdiv or abs", column)
            args = [self.expression()]
            while self.accept(","):
                args.append(self.expression())
            self.expect(")")
            if len(args) != CALLS[text]:
                raise self.fail(f"{text}() with {len(args)} operands", f"{CALLS[text]}", column)
            return Op(text, tuple(args))
        if kind == "op" and text == "(":
            expr = self.expression()
            self.expect(")")
            return expr
        raise self.fail(repr(text) if text else "the end", "a number, a name or '('", column)


def parse(text: str, dialect: Dialect, what: str) -> Expr:
    """Parses the whole text; `what` opens every message."""
    return Parser(text, dialect, what).whole()


def resolve(expr: Expr, bind: Callable[[Name], Expr]) -> Expr:
    """The tree with every name replaced by `bind(name)`."""
    if isinstance(expr, Name):
        return bind(expr)
    if isinstance(expr, Op):
        return Op(expr.op, tuple(resolve(a, bind) for a in expr.args))
    return expr


def lower(expr: Expr, bounds: Callable[[str], Interval]) -> Expr:
    """C's `/` and `%` by floored ones: the same where both sides cannot be negative, else by sign and magnitude."""
    if not isinstance(expr, Op):
        return expr
    args = tuple(lower(a, bounds) for a in expr.args)
    if expr.op not in ("c/", "c%"):
        return Op(expr.op, args)
    a, b = args
    floored = "//" if expr.op == "c/" else "%"
    if interval(a, bounds)[0] >= 0 and interval(b, bounds)[0] >= 0:
        return Op(floored, args)
    zero, one = Num(0), Num(1)
    negative = Op("<", (a, zero))
    magnitude = Op(floored, (Op("abs", (a,)), Op("abs", (b,))))
    if expr.op == "c/":  # the quotient is negative when exactly one side is; the remainder has the sign of a
        negative = Op("!=", (negative, Op("<", (b, zero))))
    return Op("*", (Op("-", (one, Op("*", (Num(2), negative)))), magnitude))
