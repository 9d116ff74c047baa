"""Texts and values that users write, at random: each gives a result or an InputError, whose column lies in the text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opwright.errors import InputError
from opwright.expressions import Num, Op, show
from opwright.plugin import AutoTuneCombination
from opwright.plugin_gen import core
from opwright.plugin_gen.config import check_kernel
from opwright.plugin_gen.expressions import parse
from opwright.plugin_gen.rules import parse_rule, parse_rules, solve

FEW = settings(derandomize=True, max_examples=150, deadline=None, database=None)


def pieces(*words: str, most: int = 12) -> st.SearchStrategy[str]:
    """Words of a grammar in any order, some other characters among them."""
    other = st.characters(codec="utf-8", exclude_categories=("Cs",))
    return st.lists(st.one_of(*[st.sampled_from(words)] * 6, other), max_size=most).map("".join)


def refused(error: InputError, text: object) -> None:
    """The message is about the text, and points into it."""
    assert error.message
    found = re.search(r"column (\d+)", error.message)
    if found is None or not isinstance(text, str):
        return
    column = int(found[1])
    assert 1 <= column <= len(text) + 1, error
    if error.detail and "\n" not in text:
        shown, caret = error.detail.split("\n")
        assert (shown, caret) == (text, " " * (column - 1) + "^")


# --- the grammar of AutoTuneCombination -----------------------------------------------------------------------------

TYPES = (
    "FP32",
    "FP16",
    "bf16",
    "int8",
    "fp8e5",
    "float32",
    "|",
    "*",
    ",",
    " ",
    "FP3",
    "|FP16",
    ", FP32",
    "FP32|FP16",
    "\t",
)
LAYOUTS = ("LINEAR", "CHW4", "|", "*", ",", " ")
values = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 4), st.floats(), st.text(max_size=4), st.just([]), st.lists(st.integers(0, 3), max_size=3)
)  # fmt: skip


@FEW
@given(
    pieces(*TYPES),
    st.none() | pieces(*LAYOUTS, most=4),
    st.none() | st.lists(st.integers(-1, 4), max_size=4),
    st.integers(0, 4),
)
def test_combinations(types, layouts, tactics, count):
    try:
        combination = AutoTuneCombination(types, layouts, tactics)
        rows = combination.rows([f"t{i}" for i in range(count)])
    except InputError as error:
        return refused(error, layouts if error.message.startswith("layouts") else types)
    assert rows and all(len(row.types) == count and row.tactics for row in rows)


@FEW
@given(
    st.lists(
        st.tuples(st.integers(-1, 3) | st.lists(st.integers(-1, 3), max_size=3), pieces(*TYPES, most=4)), max_size=4
    )
)
def test_combinations_by_position(calls):
    combination = AutoTuneCombination()
    for positions, types in calls:
        try:
            combination.pos(positions, types)
        except InputError as error:
            refused(error, types)
    try:
        assert all(len(row.types) == 2 for row in combination.rows(["x", "y"]))
    except InputError as error:
        refused(error, None)


@FEW
@given(values, values, values | st.lists(values, max_size=3), values | st.lists(values, max_size=3))
def test_combinations_of_any_values(types, layouts, tactics, position):
    try:
        AutoTuneCombination(types, layouts, tactics)
        AutoTuneCombination().pos(position, types)
    except InputError as error:
        refused(error, layouts if error.message.startswith("layouts") else types)


# --- the rules of PluginGen --------------------------------------------------------------------------------------------

RULES = ("x", "y", "out", "n", "m", "k", "[", "]", ",", " -> ", ":", "*", "_", "///", "//", "/", "+", "-", "%", "(", ")",
         "min(", "cdiv(", "abs(", "3", "0x1F", "9223372036854775808", " ", "x[m, k]", "out[m]", "x[*] -> out[*]")  # fmt: skip
GRIDS = (
    "n",
    "m",
    "(",
    ")",
    "?",
    ":",
    "&&",
    "||",
    "!",
    "<<",
    ">>",
    "==",
    "<=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "1u",
    "07",
    "0x",
    " ",
    "max(",
)


def arguments():
    tensor, whole = core.Type("tensor[fp32]"), core.Type("i32")
    return [
        core.InputArg("x", tensor), core.InputArg("y", tensor), core.OutputArg("out", tensor), core.ParamArg("k", whole),
        core.DimSizeArg("n"),
    ]  # fmt: skip


@FEW
@given(pieces(*RULES, most=20))
def test_rules(text):
    try:
        rule = parse_rule(text, "shape rule 1")
    except InputError as error:
        return refused(error, text)
    assert rule.left and (rule.right or rule.target)


@FEW
@given(st.lists(st.sampled_from([
    "x[m, k] -> out[m]", "x[*] -> out[*]", "x[m] : m -> n", "x[m, *] : m / n -> n", "y[3, _] -> out[k]", "x[m, m] : m -> n",
    "x[a, b, *], y[b] -> out[a, *]", "x[m] -> out[q]", "out[m] -> x[m]", "x[] : 1 -> n", "x[*] : k -> k", "x[1, 2, *] -> out[n, *]",
]), max_size=4))  # fmt: skip
def test_rules_together(texts):
    try:
        shapes = solve(arguments(), parse_rules(texts))
    except InputError as error:
        assert error.message
        return
    assert set(shapes.outputs) == {"out"} and set(shapes.variables) == {"n"}


@FEW
@given(st.sampled_from(["rule", "grid"]), pieces(*GRIDS, *RULES[:12], most=16))
def test_expressions(dialect, text):
    try:
        expr = parse(text, dialect, "grid_dims[0]")
    except InputError as error:
        return refused(error, text)
    again = show(expr)  # a text for messages, at least
    assert again


def test_nesting_and_lengths_are_limited_in_every_grammar():
    for text in (
        "(" * 5000 + "n",
        "-" * 5000 + "n",
        "x[" * 5000,
        "n" + "+n" * 5000,
        "min(" * 5000,
        "9" * 5000,
        "0x" + "f" * 5000,
    ):
        for what in (lambda t: parse(t, "rule", "w"), lambda t: parse(t, "grid", "w"), lambda t: parse_rule(t, "w")):
            with pytest.raises(InputError) as error:
                what(text)
            refused(error.value, text)


# --- the values of a kernel_config.py -------------------------------------------------------------------------------------

scalars = st.one_of(
    values, st.binary(max_size=2), st.dictionaries(st.integers(0, 1), st.none(), max_size=1), st.just(object())
)
types = (
    st.sampled_from(["fp32", "tensor[fp32]", "tensor[i32]", "i64", "bool", "tensor[fp8e5]"]).map(core.Type) | scalars
)
hints = st.lists(st.sampled_from(["", "1", "16", "2", 16, 1, None]), max_size=3) | scalars


def argument(kind: type) -> st.SearchStrategy[core.Argument]:
    def make(name, dtype, hint):
        made = core.InputArg("x", core.Type("tensor[fp32]"))
        made = kind("d") if kind is core.DimSizeArg else kind("x", core.Type("fp32"))
        made.name, made.hints = name, hint
        if kind is not core.DimSizeArg:
            made.dtype = dtype
        return made

    return st.builds(make, st.sampled_from(["x", "y", "out", "n", "true", "class", "ä", "a b"]) | scalars, types, hints)


entries = st.one_of(argument(core.InputArg), argument(core.OutputArg), argument(core.ParamArg), argument(core.DimSizeArg),
                    st.builds(core.Constexpr, scalars), scalars)  # fmt: skip


@FEW
@given(
    st.fixed_dictionaries({}, optional={
        "kernel_name": st.sampled_from(["add_kernel", "output", "print", "cache", "1x"]) | scalars,
        "kernel_file": st.just("k.py") | scalars,
        "version": st.integers(-1, 3) | scalars,
        "num_warps": st.integers(-1, 9) | scalars,
        "num_stages": st.integers(-1, 9) | scalars,
        "grid_dims": st.lists(st.just("n") | scalars, max_size=4) | scalars,
        "shape_infer_rules": st.lists(st.just("x[*] -> out[*]") | scalars, max_size=3) | scalars,
        "ios": st.lists(entries, max_size=4) | scalars,
    }))  # fmt: skip
def test_values_of_a_configuration(fields):
    kernel = core.KernelMetaData(**({"kernel_name": "add_kernel", "kernel_file": "k.py"} | fields))
    try:
        check_kernel(kernel)
        solve([io for io in kernel.ios if isinstance(io, core.Argument)], parse_rules(kernel.shape_infer_rules))
    except InputError as error:
        assert error.message


@FEW
@given(scalars)
def test_types_of_any_values(value):
    try:
        core.Type(value)
    except InputError as error:
        assert error.message and error.hint


# --- the printer ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["neg", "-", "*"])
def test_a_negative_number_keeps_its_sign_in_print(level):
    minus = Num(-3)
    expr = Op("neg", (minus,)) if level == "neg" else Op(level, (Num(2), minus))
    assert eval(show(expr)) == {"neg": 3, "-": 5, "*": -6}[level]
