"""Shape rules: the shapes of the outputs and the DimSizeArgs, from the shapes of the inputs.

    a[m, k], b[k, n] -> c[m, n]          a shape; a name that occurs twice must be the same size
    Q[*] -> Out[*]                       the shape of Q
    Q[b, h, s, *] -> L[b, h, s, *]       '*' stands for the sizes that are left, of the first tensor of the rule
    Q[b, h, s, *] : s /// 128 -> blocks  a DimSizeArg
    count[] -> out[count]                count is a scalar InputArg: its value

On the left stand names, whole numbers (the size must be that) or `_`. On the right stand expressions over those names, the
parameters, the scalar inputs and the DimSizeArgs. Names of sizes belong to their rule; `tensor[a, b]` means rank 2, a
trailing `*` any more.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from opwright.errors import InputError
from opwright.expressions import Dim, Expr, Name, Num, Op, show
from opwright.plugin_gen.core import ArgType, Argument
from opwright.plugin_gen.expressions import Parser, resolve

MAX_RANK = 16
_SCALARS = (ArgType.PARAM, ArgType.DIM_SIZE)


def scalar_value(argument: Argument, name: Name) -> Expr:
    """What a name of a scalar stands for in expressions: a scalar input is the one element of a tensor."""
    return Op("value", (name, Num(0))) if argument.is_scalar_input else name


def is_integer_scalar(argument: Argument) -> bool:
    """Whether expressions may use the argument."""
    return (argument.arg_type in _SCALARS or argument.is_scalar_input) and argument.dtype.dtype.kind != "float"


@dataclass
class Pattern:
    """A tensor of a rule with its sizes; `rest` is a trailing '*'."""

    tensor: str
    dims: list[Expr]
    rest: bool
    column: int
    columns: list[int]  # of the sizes


@dataclass
class Rule:
    """One rule as written. `expr` and `target` belong to a rule of a DimSizeArg."""

    text: str
    what: str
    left: list[Pattern]
    right: list[Pattern] = field(default_factory=list)
    expr: Expr | None = None
    target: str = ""
    target_column: int = 0

    def fail(self, column: int, message: str, hint: str = "") -> InputError:
        """An error that points into the rule."""
        return InputError(
            f"{self.what}, column {column}: {message}", detail=f"{self.text}\n{' ' * (column - 1)}^", hint=hint
        )


@dataclass
class Shapes:
    """What the rules of a kernel say, in the terms of a build request."""

    ranks: dict[str, tuple[int, int]] = field(default_factory=dict)
    outputs: dict[str, list[str]] = field(default_factory=dict)
    variables: dict[str, Expr] = field(default_factory=dict)  # in the order of their evaluation
    conditions: list[str] = field(default_factory=list)  # expressions that must be true
    patterns: list[str] = field(default_factory=list)  # the left sides that say so, as written


class _RuleParser(Parser):
    """The brackets and arrows around the expressions."""

    def __init__(self, text: str, what: str) -> None:
        super().__init__(text, "rule", what)

    def literal(self, word: str) -> bool:
        rest = self.text[self.pos :]
        if not rest.lstrip().startswith(word):
            return False
        self.pos = len(self.text) - len(rest.lstrip()) + len(word)
        return True

    def need(self, word: str, expected: str) -> None:
        rest = self.text[self.pos :].lstrip()
        if not self.literal(word):
            column = len(self.text) - len(rest) + 1
            raise self.fail(repr(rest[0]) if rest else "the end", expected, column, _RULE_HINT)

    def name(self, expected: str) -> tuple[str, int]:
        rest = self.text[self.pos :].lstrip()
        column = len(self.text) - len(rest) + 1
        if not rest or not (rest[0].isalpha() or rest[0] == "_"):
            raise self.fail(repr(rest[0]) if rest else "the end", expected, column, _RULE_HINT)
        _, text, column = self.take()
        return text, column

    def tensors(self) -> list[Pattern]:
        patterns = [self.pattern()]
        while self.literal(","):
            patterns.append(self.pattern())
        return patterns

    def pattern(self) -> Pattern:
        tensor, column = self.name("the name of a tensor")
        self.need("[", f"'[' after {tensor!r}")
        dims: list[Expr] = []
        columns: list[int] = []
        while True:
            if self.literal("*"):
                self.need("]", "']': '*' comes last")
                return Pattern(tensor, dims, True, column, columns)
            if not dims and self.literal("]"):  # a scalar tensor
                return Pattern(tensor, dims, False, column, columns)
            columns.append(self.peek()[2])
            dims.append(self.expression())
            if self.literal("]"):
                return Pattern(tensor, dims, False, column, columns)
            self.need(",", "',' or ']'")

    def rule(self) -> Rule:
        rule = Rule(self.text, self.what, self.tensors())
        if self.literal(":"):
            rule.expr = self.expression()
            self.need("->", "'->' and the name of a DimSizeArg")
            rule.target, rule.target_column = self.name("the name of a DimSizeArg")
        else:
            self.need("->", "'->' or ':'")
            rule.right = self.tensors()
        rest = self.text[self.pos :].lstrip()
        if rest:
            raise self.fail(repr(rest[0]), "the end", len(self.text) - len(rest) + 1, _RULE_HINT)
        for pattern in rule.left:
            for dim, column in zip(pattern.dims, pattern.columns, strict=True):
                if not isinstance(dim, Name | Num):
                    raise self.fail(
                        f"{show(dim)!r} in {pattern.tensor}[...]", "a name or a number", column,
                        "name the size on the left and compute with it on the right",
                    )  # fmt: skip
        return rule


_RULE_HINT = "a rule is 'x[m, n] -> y[n, m * 2]', 'x[*] -> y[*]' or 'x[m, *] : m + 1 -> size'"


def parse_rule(text: str, what: str) -> Rule:
    """Parses one rule; `what` opens every message."""
    if not isinstance(text, str):
        raise InputError(f"{what}: found {text!r}, expected a string", hint=_RULE_HINT)
    return _RuleParser(text, what).rule()


def parse_rules(texts: Iterable[str]) -> list[Rule]:
    """All rules of a kernel."""
    return [parse_rule(text, f"shape rule {i + 1}") for i, text in enumerate(texts)]


def similar(name: str, known: Iterable[str]) -> str:
    """'did you mean ...' or ''."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {close[0]!r}?" if close else ""


class _Solver:
    """Binds names, orders the DimSizeArgs and collects ranks and conditions."""

    def __init__(self, arguments: Sequence[Argument], rules: Sequence[Rule]) -> None:
        self.by_name = {a.name: a for a in arguments}
        self.rules = rules
        self.shapes = Shapes()
        self.read_as: dict[str, Rule] = {}
        self.definitions: dict[str, tuple[Rule, Expr]] = {}

    def solve(self) -> Shapes:
        inputs = [a for a in self.by_name.values() if a.arg_type is ArgType.INPUT]
        for a in inputs:
            self.shapes.ranks[a.name] = (0, 1) if a.is_scalar_input else (0, MAX_RANK)
            if a.is_scalar_input:
                self.shapes.conditions.append(f"numel({a.name}) == 1")
        for rule in self.rules:
            local, rest = self.bind_left(rule)
            if rule.expr is not None:
                self.dim_size(rule, local)
            for pattern in rule.right:
                self.output(rule, pattern, local, rest)
        for argument in self.by_name.values():
            if argument.arg_type is ArgType.OUTPUT and argument.name not in self.shapes.outputs:
                raise InputError(
                    f"output {argument.name!r} has no shape rule",
                    hint=f"add a rule such as '{inputs[0].name}[*] -> {argument.name}[*]' to shape_infer_rules",
                )
            if argument.arg_type is ArgType.DIM_SIZE and argument.name not in self.definitions:
                first = inputs[0].name
                raise InputError(
                    f"DimSizeArg {argument.name!r} has no rule",
                    hint=f"add a rule such as '{first}[m, *] : m -> {argument.name}' to shape_infer_rules",
                )
        self.order()
        return self.shapes

    def kind(self, rule: Rule, name: str, wanted: ArgType, column: int, role: str) -> Argument:
        known = [a.name for a in self.by_name.values() if a.arg_type is wanted]
        argument = self.by_name.get(name)
        if argument is None or argument.arg_type is not wanted:
            found = f"{name!r}" if argument is None else f"{name!r} ({type(argument).__name__})"
            raise rule.fail(
                column, f"found {found}, expected {role} (one of {', '.join(known) or 'none'})", similar(name, known)
            )
        return argument

    def bind_left(self, rule: Rule) -> tuple[dict[str, Dim], Pattern | None]:
        """Names of the left side, and the pattern that '*' on the right continues."""
        local: dict[str, Dim] = {}
        for pattern in rule.left:
            argument = self.kind(rule, pattern.tensor, ArgType.INPUT, pattern.column, "an input before '->' or ':'")
            if argument.is_scalar_input:
                if pattern.dims or pattern.rest:
                    raise rule.fail(
                        pattern.column, f"found sizes of {pattern.tensor!r}, which is {argument.dtype}, expected none",
                        f"write {pattern.tensor}[], and {pattern.tensor} on the right for its value",
                    )  # fmt: skip
                continue
            self.rank(rule, pattern)
            for axis, dim in enumerate(pattern.dims):
                here = Dim(pattern.tensor, axis)
                if isinstance(dim, Num):
                    self.condition(rule, here, dim)
                elif isinstance(dim, Name) and dim.name != "_":
                    self.condition(rule, local.setdefault(dim.name, here), here)
        return local, next((p for p in rule.left if p.rest), None)

    def condition(self, rule: Rule, left: Dim, right: Dim | Num) -> None:
        text = f"{show(left)} == {show(right)}"
        if left != right and text not in self.shapes.conditions:
            self.shapes.conditions.append(text)
            pattern = ", ".join(f"{p.tensor}[{', '.join([*map(show, p.dims), *['*'] * p.rest])}]" for p in rule.left)
            if pattern not in self.shapes.patterns:
                self.shapes.patterns.append(pattern)

    def rank(self, rule: Rule, pattern: Pattern) -> None:
        count = len(pattern.dims)
        low, high = (count, MAX_RANK) if pattern.rest else (count, count)
        self.few(rule, pattern, count)
        old_low, old_high = self.shapes.ranks[pattern.tensor]
        new = max(low, old_low), min(high, old_high)
        if new[0] > new[1]:
            other = self.read_as[pattern.tensor]
            raise rule.fail(
                pattern.column,
                f"found {pattern.tensor} with {count} sizes, but {other.what} ({other.text!r}) has it with "
                f"{'at least ' if old_high == MAX_RANK else ''}{old_low}",
                "name the same number of sizes in every rule, or end the shorter one with '*'",
            )
        if new != (old_low, old_high) or pattern.tensor not in self.read_as:
            self.shapes.ranks[pattern.tensor] = new
            self.read_as[pattern.tensor] = rule

    @staticmethod
    def few(rule: Rule, pattern: Pattern, count: int) -> None:
        if count > MAX_RANK:
            raise rule.fail(
                pattern.column, f"found {pattern.tensor} with {count} sizes, expected at most {MAX_RANK}",
                "a tensor has at most that many axes",
            )  # fmt: skip

    def bind(self, rule: Rule, expr: Expr, local: dict[str, Dim]) -> Expr:
        def one(name: Name) -> Expr:
            if name.name in local:
                return local[name.name]
            argument = self.by_name.get(name.name)
            if argument is not None and is_integer_scalar(argument):
                return scalar_value(argument, name)
            known = [*local, *(a.name for a in self.by_name.values() if is_integer_scalar(a))]
            if argument is not None and not argument.dtype.is_tensor:
                raise rule.fail(
                    name.column, f"{type(argument).__name__} {name.name!r} is {argument.dtype}, expected an integer",
                    f"use one of {', '.join(known)}" if known else "",
                )  # fmt: skip
            raise rule.fail(
                name.column, f"size {name.name!r} is not defined, expected one of {', '.join(known) or 'none'}",
                similar(name.name, known) or f"name it on the left of the rule, as in 'x[{name.name}, *]'",
            )  # fmt: skip

        return resolve(expr, one)

    def dim_size(self, rule: Rule, local: dict[str, Dim]) -> None:
        target = rule.target
        self.kind(rule, target, ArgType.DIM_SIZE, rule.target_column, "a DimSizeArg after '->'")
        if target in self.definitions:
            other = self.definitions[target][0]
            raise rule.fail(
                rule.target_column,
                f"DimSizeArg {target!r} has two rules, the first is {other.text!r}",
                "keep one of them",
            )
        assert rule.expr is not None
        self.definitions[target] = rule, self.bind(rule, rule.expr, local)

    def output(self, rule: Rule, pattern: Pattern, local: dict[str, Dim], rest: Pattern | None) -> None:
        self.kind(rule, pattern.tensor, ArgType.OUTPUT, pattern.column, "an output after '->'")
        if pattern.tensor in self.shapes.outputs:
            raise rule.fail(pattern.column, f"output {pattern.tensor!r} has two shape rules", "keep one of them")
        if pattern.rest and rest is None:
            raise rule.fail(
                pattern.column, f"found '*' in {pattern.tensor}[...], expected '*' on the left too",
                f"write '{rule.left[0].tensor}[..., *]', or name every size",
            )  # fmt: skip
        shape = [show(self.bind(rule, dim, local)) for dim in pattern.dims]
        if pattern.rest:
            assert rest is not None
            shape.append(f"{rest.tensor}[{len(rest.dims)}:]")
        self.few(rule, pattern, len(shape))
        self.shapes.outputs[pattern.tensor] = shape

    def order(self) -> None:
        """DimSizeArgs so that each comes after those it reads."""
        done: dict[str, Expr] = {}
        path: list[str] = []

        def visit(name: str) -> None:
            if name in done:
                return
            if name in path:
                cycle = [*path[path.index(name) :], name]
                rule = self.definitions[name][0]
                error = rule.fail(
                    rule.target_column, f"DimSizeArg {name!r} depends on itself: {' -> '.join(cycle)}",
                    "compute one of them from the sizes of an input",
                )  # fmt: skip
                error.detail += "".join(f"\n{self.definitions[n][0].text}" for n in cycle[1:-1])
                raise error
            path.append(name)
            for used in names(self.definitions[name][1]):
                if used in self.definitions:
                    visit(used)
            path.pop()
            done[name] = self.definitions[name][1]

        for argument in self.by_name.values():
            if argument.arg_type is ArgType.DIM_SIZE:
                visit(argument.name)
        self.shapes.variables = done


def names(expr: Expr) -> list[str]:
    """Names that an expression reads."""
    if isinstance(expr, Name):
        return [expr.name]
    return [n for a in expr.args for n in names(a)] if isinstance(expr, Op) else []


def solve(arguments: Sequence[Argument], rules: Sequence[Rule]) -> Shapes:
    """Checks the rules against the arguments and gives shapes, variables, ranks and conditions."""
    return _Solver(arguments, rules).solve()
