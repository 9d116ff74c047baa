"""`opwright inspect`, and programs of a library as text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import op_kit
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import opwright
from opwright.inspect import inspect, lines
from opwright.loader import KINDS
from opwright.programs import infix


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return inspect(op_kit.build(tmp_path_factory.mktemp("inspect")))


def op(found, name, version=1):
    return next(o for o in found["ops"] if o["name"] == f"sample::{name}" and o["version"] == version)


def test_as_a_dict(found):
    assert json.loads(json.dumps(found)) == found
    assert len(found["ops"]) == len(op_kit.OPS) and found["bytes"] > 10_000 and len(found["hash"]) == 64
    add = op(found, "add", 2)
    assert (
        add["signature"] == "sample::add(x, y, *, alpha: float = 1.0) -> out" and add["valid"] == "numel(x) == numel(y)"
    )
    assert add["attributes"] == [
        {"name": "alpha", "doc": "factor of y", "kind": "float", "required": False, "default": 1.0}
    ]
    assert add["tactics"] == [{"id": 1, "text": "plain"}, {"id": 2, "text": "one more"}]
    assert [(p["combination"], p["tactic"], p["launches"][0]["variants"][0]["name"]) for p in add["plans"]] == [
        (0, 1, "add"), (0, 2, "add_again"),
    ]  # fmt: skip
    nonzero = op(found, "nonzero")
    assert nonzero["sizes"] == [{"name": "n", "output": "count", "upper": "x.0", "typical": ""}]
    assert nonzero["plans"][0]["workspace"] == [
        {"name": "ws0", "dtype": "i64", "elements": "1", "upper": "", "align": 0}
    ]
    first, second = nonzero["plans"][0]["launches"]
    assert (first["phase"], second["phase"]) == (0, 1) and second["args"] == [
        "ptr x",
        "ptr where",
        "ptr count",
        "ptr ws0",
        "x.0",
    ]
    attributes = {a["name"]: a for a in op(found, "attributes")["attributes"]}
    assert attributes["mode"]["choices"] == ["near", "far"] and attributes["pair"]["list_length"] == 2
    assert attributes["text"]["default"] == "grüße" and attributes["type"]["default"] == "f32"
    assert op(found, "scale_")["outputs"][0] == {
        "name": "y", "doc": "", "dtypes": ["f32"], "rank": [0, 16], "inplace": True, "alias": "x", "shape": ["x[0:]"],
    }  # fmt: skip
    image = next(k for k in found["kernels"] if k["name"] == "add")["cpu"][0]
    assert (
        image["level"] == "x86-64-v3"
        and 20 < image["code_bytes"] < 2000
        and image["params"] == ["pointer"] * 3 + ["i64", "f64"]
    )


def test_as_text(found):
    text = "\n".join(lines(found))
    for line in (
        "sample::attributes(*, i: int = -7, flag: bool = True, mode: Literal['near', 'far'] = 'near', type: dtype = 'f32'",
        "  input     y: f32, rank 1, optional", "  output    y: f32, [x[0:]], in place of x",
        "  counts    n in count, at most x.0", "    phase 1: launch [1] (ptr x, ptr where, ptr count, ptr ws0, x.0)",
        "    fill shaped with 1", "  output    out: f32, [x[0:]], aligned to 256", "  types 5   x u8, out u8", "    ws0: i64[1]",
        "  refuses   x and y must have the same number of elements",
    ):  # fmt: skip
        assert line in text, line


# an op with something of everything that programs name
ANY = {
    "name": "any",
    "inputs": [op_kit.f32("x", 2), op_kit.f32("y", optional=True), {"name": "h", "type": "i64", "host": True}, op_kit.f32("zs", variadic=True)],
    "attrs": [{"name": "a", "kind": "int"}, {"name": "f", "kind": "float"}, {"name": "list", "kind": "ints"}, {"name": "fs", "kind": "floats"}],
    "plans": op_kit.plans({"fill": "out", "fill_byte": 0}),
}  # fmt: skip
# every name that a program may have, and every operator, in the grammar of docs/abi.md
_LEAVES = ["3", "-5", "9000000000", "x.0", "x.-1", "rank(x)", "numel(x)", "stride(x, 1)", "itemsize(x)", "present(y)",
           "count(zs)", "sumdim(zs, 0)", "a", "len(list)", "list[-1]", "value(h, 0)", "floor(f)", "dim(x, a)", "ceil(fs[a] / 2.5)"]  # fmt: skip
_BINARY = ["+", "-", "*", "//", "%", "==", "!=", "<", "<=", "and", "or"]


# an expression for each instruction that these lack; v0 is the first of them all
_MORE = ["v0", "cdiv(a, x.0)", "min(a, x.0)", "max(a, x.0)", "-a", "not a", "abs(a)", "npow2(a)", "select(a, x.0, 1)", "float(a)", "f + 0.5",
         "f - 0.5", "f * 0.5", "f / 0.5", "min(f, fs[0])", "max(f, fs[0])", "-f", "sqrt(f)", "f < 0.5", "f == 0.5", "round(f)"]  # fmt: skip


def in_header(prefix: str) -> list[str]:
    """Names of enumerators of plugin.h, in order."""
    header = (Path(opwright.include_dir()) / "opwright/plugin.h").read_text()
    return re.findall(rf"^  {prefix}(\w+) = \d+", header, re.M)


def test_every_instruction_is_written_as_a_text_that_compiles_to_it(tmp_path):
    def built(folder: str, texts: list[str]) -> dict:
        counted = [
            {"name": "out", "type": "i64", "rank": 1, "shape": ["n"]},
            {"name": "count", "type": "i64", "rank": 0, "size": True},
        ]
        kit = ANY | {
            "vars": [[f"v{i}", text] for i, text in enumerate(texts)], "outputs": counted,
            "sizes": [{"name": "n", "output": "count", "upper": "x.0"}],
        }  # fmt: skip
        return opwright.load(op_kit.build(tmp_path / folder, [kit])).tables["ops"][0]

    texts = [*_LEAVES, *(f"a {sign} x.0" for sign in _BINARY), *_MORE]
    first = built("first", texts)
    second = built("second", [infix(program, first, inline=False) for program in first["vars"]])
    assert second["vars"] == first["vars"] and second["pool_f"] == first["pool_f"]
    (size,) = first["outputs"][0]["segs"]
    assert infix(size["dim"], first) == "n"
    used = {name for program in (*first["vars"], size["dim"]) for name, *_ in program}
    assert used == set(in_header("OPW_X_"))
    with pytest.raises(ValueError, match="found the instruction NEW, which this version of Opwright cannot write"):
        infix([("NEW", 0, 0, 0)], first)


def test_kinds_of_attributes_are_those_of_the_header():
    assert [*KINDS, "kinds"] == [name.lower() for name in in_header("OPW_ATTR_")]


@st.composite
def expressions(draw, depth=4):
    kind = draw(st.sampled_from(["leaf", "binary", "call", "unary", "select", "float"])) if depth else "leaf"

    def part():
        return draw(expressions(depth - 1))

    if kind == "leaf":
        return draw(st.sampled_from(_LEAVES))
    if kind == "binary":
        return f"(({part()}) {draw(st.sampled_from(_BINARY))} ({part()}))"
    if kind == "call":
        return f"{draw(st.sampled_from(['cdiv', 'min', 'max']))}({part()}, {part()})"
    if kind == "unary":
        return draw(st.sampled_from(["-({})", "not ({})", "abs({})", "npow2({})"])).format(part())
    if kind == "float":
        return f"round(sqrt(max(f, float({part()})) * 0.5 - ({part()})) / min(f, -(f + 1.5)))"
    return f"select({part()}, {part()}, {part()})"


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(expressions(), min_size=12, max_size=12))
def test_the_text_of_a_program_compiles_to_the_program(tmp_path_factory, texts):
    """Twice: what a build makes of the text that was printed is printed the same."""

    def built(sizes: list[str]) -> list[str]:
        kit = ANY | {
            "vars": [[f"v{i}", text] for i, text in enumerate(sizes)],
            "outputs": [{"name": "out", "type": "i64", "shape": ["v0"]}],
        }
        path = op_kit.build(tmp_path_factory.mktemp("programs"), [kit])
        table = opwright.load(path).tables["ops"][0]
        return [infix(program, table, inline=False) for program in table["vars"]]

    printed = built(texts)
    assert built(printed) == printed
