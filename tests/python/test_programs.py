"""Random expressions in every evaluator: Python's integers, the runtime, ONNX Runtime's shape inference; and the printer between them.

They are written with the operators of symbolic sizes, as a definition writes them. test_package_expressions.py has the texts of
requests, fuzz_program the bounds.
"""

from __future__ import annotations

import operator
import random
from pathlib import Path

import pytest
from package_kit import Evaluator, package

from opwright.expressions import Dim, Expr, Name, Num, Op, show
from opwright.plugin import symbolic
from opwright.plugin.symbolic import SymInt
from opwright.plugin_gen.expressions import parse

INT64 = range(-(1 << 63), 1 << 63)
EXPRESSIONS = 180
CALLS = (  # sizes of x, and the attributes a and b
    ([4, 5, 6], 3, -2),
    ([0, 1, 1], 0, 0),
    ([1 << 31, 7, 1], -1, 1),
    ([1 << 40, 3, 0], -(1 << 63), -1),
    ([97, 64, 1000], (1 << 63) - 1, 1 << 33),
)
NUMBERS = (0, 1, 2, 3, 7, 16, -1, -5, 4096, (1 << 31) - 1, 1 << 31, -(1 << 31) - 1, 1 << 40, (1 << 63) - 1, -(1 << 63))


class Poison(Exception):
    """A value that does not exist."""


def value(expr: Expr, shape: list[int], names: dict[str, int]) -> int:
    """In unbounded integers, each step checked for 64 bits; of a select, the side that is taken."""
    match expr:
        case Num(number):
            return number
        case Name(name):
            return names[name]
        case Dim(_, axis):
            return shape[axis]
        case Op("select", (condition, a, b)):
            return value(a if value(condition, shape, names) else b, shape, names)
    operands = [value(a, shape, names) for a in expr.args]
    if expr.op in ("//", "%", "cdiv") and operands[1] == 0:
        raise Poison
    result = int(OPERATIONS[expr.op](*operands))
    if result not in INT64:
        raise Poison
    return result


OPERATIONS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod,
    "cdiv": lambda a, b: -(-a // b), "min": min, "max": max, "neg": operator.neg, "abs": abs, "not": operator.not_,
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    "and": lambda a, b: bool(a) and bool(b), "or": lambda a, b: bool(a) or bool(b),
}  # fmt: skip
WRITTEN = [
    operator.add, operator.sub, operator.mul, operator.mul, operator.floordiv, operator.mod, operator.eq, operator.ne, operator.lt,
    operator.le, operator.gt, operator.ge, symbolic.cdiv, symbolic.minimum, symbolic.maximum,
]  # fmt: skip


def write(rng: random.Random, depth: int) -> SymInt:
    """What a definition may write: operators with symbols and numbers on either side."""
    kind = rng.random()
    if depth == 0 or kind < 0.12:
        return SymInt(rng.choice([Dim("x", 0), Dim("x", 1), Dim("x", -1), Name("a"), Name("b")]))
    if kind < 0.2:
        inner = write(rng, depth - 1)
        return rng.choice([-inner, abs(inner), SymInt(Op("not", (inner.expr,)))])
    if kind < 0.3:
        return symbolic.where(*(write(rng, depth - 1) for _ in range(3)))
    if kind < 0.36:
        return SymInt(Op(rng.choice(["and", "or"]), (write(rng, depth - 1).expr, write(rng, depth - 1).expr)))
    left, right = write(rng, depth - 1), write(rng, depth - 1)
    if kind < 0.6:
        number = rng.choice(NUMBERS)
        left, right = rng.choice([(left, number), (number, right)])
    return rng.choice(WRITTEN)(left, right)


@pytest.fixture(scope="module")
def expressions() -> list[Expr]:
    rng = random.Random(20261127)
    return [write(rng, rng.randrange(1, 6)).expr for _ in range(EXPRESSIONS)]


def expected(expr: Expr, shape: list[int], a: int, b: int) -> int | None:
    try:
        return value(expr, shape, {"a": a, "b": b})
    except Poison:
        return None


def op(name: str, outputs: list[dict], variables: list[list[str]]) -> dict:
    return {
        "name": name,
        "inputs": [{"name": "x", "type": "f32", "rank": 3}],
        "outputs": outputs,
        "attrs": [{"name": "a", "kind": "int"}, {"name": "b", "kind": "int"}],
        "vars": variables,
        "plans": [{"launches": [{"fill": outputs[0]["name"], "fill_byte": 0}]}],
    }


def test_the_runtime_has_the_values_of_python(expressions: list[Expr], tmp_path: Path) -> None:
    variables = [[f"v{i}", show(expr)] for i, expr in enumerate(expressions)]
    outputs = [{"name": "out", "type": "f32", "shape": "x[0:]"}]
    evaluator = Evaluator(package(tmp_path, [op("values", outputs, variables)], []), "sample", "values")
    counts = {True: 0, False: 0}
    for shape, a, b in CALLS:
        for expr, (status, found, text) in zip(expressions, evaluator.vars(shape, [a, b]), strict=True):
            wanted = expected(expr, shape, a, b)
            counts[wanted is None] += 1
            if wanted is None:
                assert status == 6 and "instruction" in text, (show(expr), shape, a, b, found)
            else:
                assert (status, found) == (0, wanted), (show(expr), shape, a, b, text)
    assert counts[True] > 40 and counts[False] > 500


def test_onnx_runtime_infers_the_sizes_of_python(expressions: list[Expr], tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    sizes: list[list[tuple[Expr, int]]] = []  # by call, what a size may be
    for call in CALLS:
        known = [(expr, expected(expr, *call)) for expr in expressions]
        sizes.append([(e, n) for e, n in known if n is not None and 0 <= n < 1 << 62][:48])
    ops = [
        op(f"sizes{i}", [{"name": f"o{k}", "type": "f32", "shape": [show(e), "x.1"]} for k, (e, _) in enumerate(chosen)], [])
        for i, chosen in enumerate(sizes)
    ]  # fmt: skip
    library = package(tmp_path, ops, [], library="libsizes.so")
    make = onnx.helper
    for i, ((shape, a, b), chosen) in enumerate(zip(CALLS, sizes, strict=True)):
        assert len(chosen) > 30
        names = [f"o{k}" for k in range(len(chosen))]
        node = make.make_node(f"sizes{i}", ["x"], names, domain="sample", a=a, b=b)
        x = make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)
        graph = make.make_graph([node], "g", [x], [onnx.ValueInfoProto(name=n) for n in names])
        imports = [make.make_opsetid("", 21), make.make_opsetid("sample", 1)]
        options = ort.SessionOptions()
        options.register_custom_ops_library(str(library))
        session = ort.InferenceSession(
            make.make_model(graph, opset_imports=imports, ir_version=10).SerializeToString(), options,
            providers=["CPUExecutionProvider"],
        )  # fmt: skip
        for (expr, wanted), output in zip(chosen, session.get_outputs(), strict=True):
            assert output.shape == [wanted, shape[1]], (show(expr), shape, a, b)


def test_texts_are_read_back_as_they_were(expressions: list[Expr]) -> None:
    """The printer against PluginGen's parser, for the operators that both have."""

    def plain(expr: Expr) -> Expr:
        match expr:
            case Dim(_, axis):
                return Name(f"x{axis % 3}")
            case Num(number) if not 0 <= number < 1 << 63:
                return Name("big")
            case Op("select" | "and" | "or" | "not" | "==" | "!=" | "<" | "<=", args):
                return Op("max", (plain(args[-2]) if len(args) > 1 else Num(1), plain(args[-1])))
            case Op(name, args):
                return Op(name, tuple(plain(a) for a in args))
        return expr

    def unplaced(expr: Expr) -> Expr:
        if isinstance(expr, Name):
            return Name(expr.name)
        return Op(expr.op, tuple(unplaced(a) for a in expr.args)) if isinstance(expr, Op) else expr

    for expr in map(plain, expressions):
        text = show(expr)
        assert unplaced(parse(text, "rule", "text")) == expr, text
