"""Definitions that ask for Python values: their paths, what they are built for, impl, verify, and the commands."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("triton", reason="triton is not installed")

import opwright
import opwright.plugin as trtp
from opwright.errors import InputError
from opwright.expressions import Dim, Name, Num, Op, show
from opwright.inspect import inspect, lines
from opwright.native import PluginError
from opwright.plugin import paths
from opwright.plugin.build import build, load
from opwright.plugin.definition import collected
from opwright.plugin.paths import explore
from opwright.plugin.shapes import ShapeExprs
from opwright.plugin.symbolic import SymInt
from opwright.plugin.trace import trace
from opwright.plugin.verify import verify

SOURCE = Path(__file__).parent / "definitions/values.py"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("values") / "libvalues.so"
    build(SOURCE, path)
    return opwright.load(path)


@pytest.fixture(scope="module")
def definitions():
    return load(SOURCE)


# -- paths

N = SymInt(Dim("x", 0))


def explored(function, known=None):
    found = explore(function, known, same=repr)
    leaves = [([show(condition) for condition in leaf.conditions], leaf.result) for leaf in found.leaves]
    needs = [([show(given) for given in need.given], show(need.test), need.text) for need in found.requirements]
    return leaves, needs


def test_a_condition_has_two_paths_and_is_asked_once():
    leaves, needs = explored(lambda: ("many" if N > 4 else "few", bool(N > 4), bool(N)))
    assert leaves == [
        (["4 < x.0", "x.0 != 0"], ("many", True, True)),
        (["4 < x.0", "not x.0 != 0"], ("many", True, False)),
        (["not 4 < x.0", "x.0 != 0"], ("few", False, True)),
        (["not 4 < x.0", "not x.0 != 0"], ("few", False, False)),
    ]
    assert needs == []


def test_questions_whose_answers_lead_to_the_same_make_no_path():
    def function():
        a = bool(N > 4)
        return 1 if N > 9 and a else 1

    assert explored(function) == ([([], 1)], [])
    leaves, _ = explored(lambda: 1 if N > 9 else (2, bool(N > 5))[0])
    assert leaves == [(["9 < x.0"], 1), (["not 9 < x.0"], 2)]


def test_one_of_is_a_number_that_others_are_refused_for():
    leaves, needs = explored(lambda: trtp.one_of(N * 2, [8, 16]) + (1 if N > 100 else 0))
    assert [result for _, result in leaves] == [9, 8, 17, 16]
    assert needs == [([], "x.0 * 2 == 8 or x.0 * 2 == 16", "x.0 * 2 is none of 8, 16")]
    assert trtp.one_of(8, [8, 16]) == 8
    with pytest.raises(InputError, match="one_of outside of a definition"):
        trtp.one_of(N, [1])
    with pytest.raises(InputError, match=r"one_of\(9, \[8\]\): it is none of them"):
        trtp.one_of(9, [8])


def test_a_loop_over_a_symbol_is_refused():
    def function():
        i = 0
        while N > i:
            i += 1
        return i

    with pytest.raises(InputError, match="more than 64 values of symbols in one run, the last being 'if 64 < x.0'"):
        explored(function)
    with pytest.raises(InputError, match="more than 256 paths, expected fewer conditions on symbols"):
        explored(lambda: [bool(N > i) for i in range(9)])


def test_guesses_that_lead_nowhere_are_left_out_and_errors_are_not():
    x = ShapeExprs(None, "x")

    def rank_of_two(check):
        rows, columns = ShapeExprs(None, "x")
        return "wide" if check(rows, columns) else "narrow"

    leaves, needs = explored(lambda: rank_of_two(lambda rows, columns: columns > 64))
    assert [result for _, result in leaves] == ["wide", "narrow"]
    assert needs == [([], "rank(x) == 2", "the rank of x is none of 2, for which this library was built")]

    def fails(rows, columns):
        if rows > 4:
            raise ValueError("too large")
        return columns > 64

    with pytest.raises(ValueError, match="too large"):
        explored(lambda: rank_of_two(fails))
    with pytest.raises((ValueError, InputError), match="not enough|too many|expected"):
        explored(lambda: [a for a, b, c in [x[:2]]])


def test_several_lists_of_one_expression_are_several_questions():
    _, needs = explored(lambda: (trtp.one_of(N, [1, 2]), trtp.one_of(N, [2, 4])))
    assert (["x.0 == 1"], "x.0 == 2 or x.0 == 4", "x.0 is none of 2, 4") in needs


def test_conditions_rely_on_those_before():
    test = paths.all_of([Op("<", (Num(0), Name("a"))), Op("<", (Num(1), Name("b")))])
    assert show(test) == "select(0 < a, 1 < b, 0)"


# -- libraries


def test_every_combination_and_tactic_agrees_with_its_impl(library, definitions):
    rows = verify(definitions, library, seed=1, calls=8)
    assert not [row for row in rows if row.problem]
    assert {(row.op, row.tactic) for row in rows} >= {
        ("values::circ_pad", 2),
        ("values::double", 2),
        ("values::transpose", 1),
    }
    assert all(row.calls == 8 for row in rows)


def test_an_array_attribute_and_a_rank_of_which_python_takes_the_values(library):
    x = np.arange(2 * 3 * 5 * 7, dtype=np.float32).reshape(2, 3, 5, 7)
    for pads, width in (([1, 1, 1, 1], [(1, 1), (1, 1)]), ([2, 0, 1, 3], [(1, 3), (2, 0)])):
        want = np.pad(x, [(0, 0), (0, 0), *width], mode="wrap")
        for tactic in (1, 2):
            np.testing.assert_array_equal(library.circ_pad(x, pads=np.array(pads), tactic=tactic), want)
    with pytest.raises(
        PluginError, match=r"pads is none of \[1, 1, 1, 1\], \[2, 0, 1, 3\], for which this library was built"
    ):
        library.circ_pad(x, pads=[1, 1])
    with pytest.raises(PluginError, match="the rank of x is none of 4, for which this library was built"):
        library.circ_pad(x[0], pads=[1, 1, 1, 1])


def test_attributes_of_every_kind_and_an_optional_input(library):
    x = np.linspace(-1, 1, 77, dtype=np.float32)
    np.testing.assert_array_equal(library.combine(x), x + np.float32(0.5))
    np.testing.assert_array_equal(library.combine(x, x, negate=True, note="a text"), -(x + np.float32(0.5) + x))
    np.testing.assert_array_equal(library.combine(x, mode="sum", scales=(2.0, 0.25)), x + np.float32(0.5))
    wide = x.astype(np.float64)
    # 0.1 as a double, not as fp32
    found = library.combine(wide, kind="MULTIPLY", scales=[3.0, 0.1])
    np.testing.assert_allclose(found, wide * (3.0 * 0.1) + 0.05, rtol=0, atol=2.0**-53)  # one rounding, or two
    with pytest.raises(ValueError, match="attribute mode: found 'product', expected one of 'fma', 'sum'"):
        library.combine(x, mode="product")
    with pytest.raises(PluginError, match="scales are not two numbers"):
        library.combine(x, scales=[1.0])
    with pytest.raises(PluginError, match="bias has another number of elements than x"):
        library.combine(x, x[:5])


def test_a_size_that_is_a_constant_in_a_few_kernels(library):
    random = np.random.default_rng(4)
    for columns in (0, 1, 16, 17, 63, 64, 65, 127, 128, 129, 1000):
        x = random.integers(0, 9, (3, columns)).astype(np.float32)
        np.testing.assert_array_equal(library.row_sum(x), x.sum(1))


def test_configurations_of_a_kernel_are_tactics(library):
    assert library.double.tactics == {
        1: "BLOCK=32, num_warps=4, num_stages=3",
        2: "BLOCK=128, num_warps=2, num_stages=3",
    }
    for n in (0, 1, 32, 100, 128, 129, 256):
        x = np.arange(n, dtype=np.int32)
        for tactic in (0, 1, 2):
            np.testing.assert_array_equal(library.double(x, tactic=tactic), 2 * x)


def test_bytes(library, definitions):
    x = np.arange(100, dtype=np.float32)
    np.testing.assert_array_equal(library.keyed(x), 2 * x + (2 + 255))
    np.testing.assert_array_equal(library.keyed(x, data=b"\x00"), 0 * x + 1)
    np.testing.assert_array_equal(library.keyed(x, data=b"\x80\x00\x01", mode=b"\xfe\x00"), -(128 * x + 4))
    with pytest.raises(PluginError, match="data is empty"):
        library.keyed(x, data=b"")
    with pytest.raises(PluginError, match="mode is none of .*, for which this library was built"):
        library.keyed(x, mode=b"\xfe")
    with pytest.raises(TypeError, match="attribute 'data' is str, expected bytes"):
        library.keyed(x, data="text")
    (data,) = (each.attributes["data"] for each in definitions if each.name == "keyed")
    for same in (b"\x80\x00\xff", bytearray(b"\x80\x00\xff"), [128, 0, 255], np.array([128, 0, 255], np.uint8)):
        assert data.check(same) == data.parse("0x80, 0,255") == b"\x80\x00\xff"
    for wrong in ([256], [-1], [True], "text", 3, np.zeros((1, 1), np.uint8)):
        with pytest.raises(InputError, match="attribute 'data': found .*, expected"):
            data.check(wrong)


@pytest.mark.parametrize("name", ["non_zero", "non_zero_at_once"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 13), (64, 64), (0, 3), (40, 130)])
def test_sizes_that_depend_on_data(library, name, shape):
    x = np.random.default_rng(shape[0]).integers(-1, 2, shape)
    for dtype in (np.float32, np.int32):
        indices, count = getattr(library, name)(x.astype(dtype))
        np.testing.assert_array_equal(indices, np.argwhere(x))
        assert int(count) == np.count_nonzero(x)
    indices, count = getattr(library, name)(np.zeros(shape, np.float32))
    assert indices.shape == (0, 2) and int(count) == 0


def test_an_array_in_the_library(library, tmp_path):
    x = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
    found = library.look_up(x)
    np.testing.assert_array_equal(found, np.array([[0, 0.5, 2], [4.5, 8, -1]], np.float32))
    # the bytes are of the request
    build(SOURCE, tmp_path / "lib.so", ["x86-64-v3"], ["values::look_up"], tmp_path / "work")
    request = tmp_path / "work/request.json"
    (constant, half) = json.loads(request.read_text())["constants"]
    assert constant["shape"] == [5] and {constant["dtype"], half["dtype"]} == {"f32", "f16"}
    file = tmp_path / "work" / constant["file"]
    file.write_bytes(bytes(len(file.read_bytes())))
    assert (
        "is not the file that the request was made with"
        in command("build", request, "-o", tmp_path / "again.so", code=1).stderr
    )
    with pytest.raises(InputError, match="a constant has elements of type <U1|str"):
        trtp.constant(["a"])


def test_shapes_of_any_rank_lose_axes(library):
    for shape in ((5,), (3, 4), (2, 3, 40), (1, 2, 1, 7), (0, 4), (4, 0)):
        x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        np.testing.assert_array_equal(library.last_sum(x), x.sum(-1))
    with pytest.raises(PluginError, match="x has rank 0, expected 1 to 16"):
        library.last_sum(np.array(3, np.float32))


def test_the_first_requirement_that_does_not_hold_is_told(library):
    x = np.arange(10, dtype=np.float32)
    assert library.stretch(x, scale=1.5).shape == (15,) and library.stretch(x, scale=0.25).shape == (2,)
    with pytest.raises(PluginError, match="scale is not positive"):
        library.stretch(x, scale=-1)
    with pytest.raises(PluginError, match="scale is not positive"):
        library.stretch(x, scale=0)


def test_what_is_wrong_on_one_guess_alone_is_told():
    def function():
        guesses = [paths.Option(n, Op("==", (N.expr, Num(n)))) for n in range(4)]
        if paths.ask("rank of x", lambda: guesses, otherwise="none of {values}", tried=True) == 2:
            raise InputError("the mistake")
        raise InputError("too many values to unpack") from ValueError("too many values to unpack")

    with pytest.raises(InputError, match=r"the mistake \(tried with rank of x 2\)"):
        explored(function)


def test_parts_of_shapes():
    x = ShapeExprs(None, "x")
    assert [x[:-1].slices, x[1:].slices, x[1:-2].slices, x[-2:].slices, x[:2].slices] == [
        ["x[0:-1]"], ["x[1:]"], ["x[1:-2]"], ["x.-2", "x.-1"], ["x.0", "x.1"],
    ]  # fmt: skip
    part = x[1:-1]
    part[0], part[-1] = 7, part[-1] * 2
    assert (
        part.slices == ["7", "x[2:-2]", "x.-2 * 2"]
        and show(part[1].expr) == "x.2"
        and show(part.rank.expr) == "rank(x) + (-2)"
    )
    assert part[1:].slices == ["x[2:-2]", "x.-2 * 2"] and part[:-1].slices == ["7", "x[2:-2]"]


def test_numbers_of_the_host_and_strides(library):
    x = np.arange(60, dtype=np.float32).reshape(4, 15)
    for array in (x, x[:, ::2], x.T, x[1:3, 3:9]):
        for times in (0, 1, 3):
            np.testing.assert_array_equal(library.repeat(array, np.array(times)), np.repeat(array[:, None], times, 1))
    with pytest.raises(PluginError, match="times is negative"):
        library.repeat(x, np.array(-1))


def test_a_variable_number_of_inputs(library, tmp_path):
    import onnxruntime
    from onnx import TensorProto, helper

    a = np.arange(12, dtype=np.float32).reshape(4, 3)
    for parts in ([a], [a, a[:0]], [a[:1], a, a + 10]):
        np.testing.assert_array_equal(library.concat(*parts), np.concatenate(parts))
    with pytest.raises(PluginError, match="the number of parts is none of 1, 2, 3, for which this library was built"):
        library.concat(a, a, a, a)
    with pytest.raises(PluginError, match="the parts have different numbers of columns"):
        library.concat(a, a[:, :2])
    with pytest.raises(PluginError, match="no combination of element types"):
        library.concat(a, a.astype(np.int64))
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [name, 3]) for name in "xyz"]
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    node = helper.make_node("concat", ["x", "y", "z"], ["out"], domain="values")
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("values", 1)]
    model = helper.make_model(helper.make_graph([node], "g", infos, [out]), opset_imports=imports, ir_version=9)
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(library.path)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": a, "y": a[:2], "z": a[:1]})
    np.testing.assert_array_equal(found, np.concatenate([a, a[:2], a[:1]]))
    assert "ptr parts[2]" in "\n".join(lines(inspect(library.path)))


# -- impl


def test_impl_runs_on_arrays():
    spec = importlib.util.spec_from_file_location("values_of_test", SOURCE)
    with collected():
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
        x = np.arange(24, dtype=np.float32).reshape(1, 1, 4, 6)
        assert trtp.call("values::circ_pad", x, pads=[1, 2, 1, 1]).shape == (1, 1, 6, 9)  # any pads
        np.testing.assert_array_equal(trtp.call("values::combine", x, None, mode="sum"), x + np.float32(0.5))
        indices, count = trtp.call("values::non_zero", x[0, 0])
        assert indices.tolist() == np.argwhere(x[0, 0]).tolist() and count == 23
        torch = pytest.importorskip("torch", reason="torch is not installed")
        assert torch.equal(trtp.call("values::double", torch.arange(4.0)), 2 * torch.arange(4.0))
        for wrong, text in (
            (lambda: trtp.call("values::none", x), "no operator 'values::none' is registered, expected one of values::circ_pad"),
            (lambda: trtp.call("values::double", x.astype(np.int8)), "no combination of element types takes x i8"),
            (lambda: trtp.call("values::double", x, x), "found 2 inputs, expected at most 1: x"),
            (lambda: trtp.call("values::double"), "found no input 'x', expected an array"),
            (lambda: trtp.call("values::double", x, y=1), "found the attribute 'y', expected some of none"),
            (lambda: trtp.call("values::circ_pad", x), "found no attribute 'pads', which has no default"),
            (lambda: trtp.call("values::combine", x, mode="q"), "attribute 'mode': found 'q', expected one of fma, sum"),
            (lambda: trtp.call("values::combine", x, scales=[1]), "scales are not two numbers"),
            (lambda: trtp.call("values::repeat", x, 1), "input 'x' has rank 4, expected 2"),
            (lambda: trtp.call("values::repeat", x[0, 0], -1), "times is negative"),
            (lambda: trtp.call("values::double", np.array(["a"])), "found elements of type str"),
        ):  # fmt: skip
            with pytest.raises(InputError, match=text):
                wrong()


def test_tensors_of_an_impl_are_views():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    import ml_dtypes

    for memory in (
        np.zeros(4, np.float32),
        torch.zeros(4),
        torch.zeros(4, dtype=torch.bfloat16),
        np.zeros(4, ml_dtypes.bfloat16),
    ):
        tensor = trtp.Tensor(memory)
        torch.as_tensor(tensor)[1] = 3
        assert float(memory[1]) == 3 and tensor.shape == (4,) and tensor.strides == (1,) and tensor.numel() == 4
        assert torch.as_tensor(tensor.aliased((1, 2))).shape == (1, 2)
    with pytest.raises(InputError, match="a shape of 6 elements for an output of at most 4"):
        trtp.Tensor(np.zeros(4)).aliased((2, 3))


# -- what is refused

HEAD = """
import enum
from typing import Literal
import triton, triton.language as tl
import opwright.plugin as trtp
from opwright.plugin import TensorDesc

@triton.jit
def copy(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(y_ptr + at, tl.load(x_ptr + at, mask=at < n), mask=at < n)

def tune(x, outputs):
    return [trtp.AutoTuneCombination(", ".join(["FP32"] * (1 + len(outputs))))]

def aot(x, outputs):
    return trtp.launch(copy, (1,), (x, outputs[0], 4), BLOCK=16)
"""


def refused(tmp_path, code: str, text: str, **options) -> None:
    file = tmp_path / "ops.py"
    file.write_text(HEAD + code)
    with pytest.raises(InputError, match=f"(?s){text}") as caught:
        for definition in load(file):
            trace(definition)
    assert str(file) in str(caught.value)


def op(register: str, aot: str = "", signature: str = "x: TensorDesc", options: str = "", tune: str = "tune") -> str:
    declared = (
        f'@trtp.register("a::op"{options})\ndef desc({signature}):\n    {register}\ntrtp.autotune("a::op")({tune})\n'
    )
    if not aot:
        return declared + 'trtp.aot_impl("a::op")(aot)\n'
    names = ", ".join(part.partition(":")[0].strip() for part in signature.split(", "))
    return f'{declared}@trtp.aot_impl("a::op")\ndef f({names}, outputs, tactic):\n    {aot}\n'


LAUNCH = "return trtp.launch(copy, (1,), (x, outputs[0], 4), BLOCK={})"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (op("return x.like()", options=', choices={"k": [1]}'), "choices names 'k', expected one of no attributes"),
        (op("return x.like()", signature="x: TensorDesc, k: int", options=', choices={"k": 1}'), "choices of 'k' are 1, expected a list"),
        (op("return x.like()", signature="x: TensorDesc, k: int", options=', choices={"k": ["a"]}'), "attribute 'k': found 'a', expected int"),
        (op("return x.like()", signature="x: TensorDesc, k: list[int] = 3"), "the default of 'k' is 3, expected a list of int"),
        (op("return x.like()", signature="x: TensorDesc, k: Literal['a'] = 'b'"), "the default of 'k' is 'b', expected one of a"),
        (op("return x.like()", options=', host=["y"]'), "host names 'y', expected one of the inputs x"),
        (op("return x.like()", options=', strided="x"'), "strided names 'x', expected one of the inputs x"),
        (op("return x.like() if x.numel() > 4 else (x.like(), x.like())"), "register returns outputs of different numbers"),
        (op("return x.like() if x.numel() > 4 else trtp.from_shape_expr((1, 2))"), "expected the same|has .*expected the same rank for all calls"),
        (op("return trtp.from_shape_expr((trtp.size_tensor(1, 2).expr(),))"), "a size_tensor is no output, expected register to return it"),
        (op("return x.like()", "return [aot(x, outputs), trtp.sizes_known()]"), "aot_impl has sizes_known, expected it once, in an operator with"),
        (op("return x.like()", LAUNCH.format("k"), "x: TensorDesc, k: int"),
         "the constant 'BLOCK' is 'k', expected a value.*@register.*choices={'k': .*--attr ns::op.k=VALUE.*--for MODEL.onnx"),
        (op("return x.like()", LAUNCH.format("16 if k == 'a' else 32"), "x: TensorDesc, k: str"), "the Python value of the attribute 'k' is used"),
        (op("return x.like()", LAUNCH.format("len(k)"), "x: TensorDesc, k: list[str]"), "a call's list of texts cannot be compared with it"),
        (op("return x.like()", "return trtp.launch(copy, (1,), (x, outputs[0], x.item()), BLOCK=16)"), "an element of 'x' is used, expected an input that is read"),
        (op("return x.like()", "return trtp.launch(copy, (1,), (x, trtp.descriptor(x, (16,), 'one'), 4), BLOCK=16)"), "with padding 'one', expected 'zero' or 'nan'"),
        (op("return x.like()", "return trtp.launch(copy, (1,), (x, outputs[0], float('nan')), BLOCK=16)"), "found nan, expected a finite number"),
        (op("return x.like()", tune="lambda x, outputs: tune(x, outputs) if x.shape_expr[0] > 3 else []"), "autotune returned"),
        (op("return x.like()", tune="lambda x, outputs: [trtp.AutoTuneCombination('FP32|FP16, FP32|FP16')] if x.numel() > 3 else tune(x, outputs)"),
         "autotune returns different combinations for different calls"),
        ('class M(enum.Enum):\n    A = 1\n' + op("return x.like()", signature="x: TensorDesc, m: M = M.A", options=', choices={"m": ["B"]}'),
         "attribute 'm': found 'B', expected one of A"),
        (op("return x[0].like()", signature="x: list[TensorDesc]", aot="return [aot(each, outputs) for each in x]"),
         "the number of 'x' is used, but none is known.*choices={'x': .2, 3.}.*--for MODEL.onnx"),
        (op("return x[0].like()", signature="x: list[TensorDesc]", options=', choices={"x": [0]}'), "choices of 'x' are .0., expected numbers of"),
        (op("return x[1].like()", signature="x: list[TensorDesc]", options=', choices={"x": [2]}'), "use that of x.0., or declare ranks"),
        (op("return x[0].aliased()", signature="x: list[TensorDesc]"), "changed in place, expected an input of its own"),
        (op("return y.like()", signature="x: list[TensorDesc], y: TensorDesc"), "the tensor 'y' behind 'x', expected a variable number"),
        ('@trtp.register("a::op")\ndef f(*x: TensorDesc): ...', r"found \*x, expected one parameter for all of them"),
        (op("return x.like()", "return trtp.launch(tuned, (1,), (x, outputs[0], 4))")
         + "tuned = triton.autotune([triton.Config({'BLOCK': 16}, pre_hook=print)], key=[])(copy)", "has a pre_hook, which is a Python function"),
        (op("return x.like()", "return trtp.launch(tuned, (1,), (x, outputs[0], 4), BLOCK=16)")
         + "tuned = triton.autotune([triton.Config({'BLOCK': 16})], key=[])(copy)", "found 'BLOCK' twice, expected it from the configurations"),
        (op("return x.like()", "return trtp.launch(tuned, (1,), (x, outputs[0], 4))")
         + "tuned = triton.heuristics({'BLOCK': lambda a: a['x_ptr'] << 2})(copy)", "the heuristic of 'BLOCK' fails on symbols: TypeError"),
    ],
)  # fmt: skip
def test_definitions_that_are_refused(code, text, tmp_path):
    refused(tmp_path, code, text)


def test_names_of_ours_and_sizes_that_are_counted(tmp_path):
    refused(
        tmp_path,
        op("return x.like()", signature="x: TensorDesc, opw_case0: int = 1"),
        "a parameter named 'opw_case0', expected a name that",
    )
    code = op("n = trtp.size_tensor(1, 2)\n    return trtp.from_shape_expr((n.expr(),), 'FP32'), n", "if outputs[0].shape_expr[0] > 3: pass\n    return aot(x, outputs)",
              tune="lambda x, outputs: [trtp.AutoTuneCombination('FP32, FP32, INT64')]")  # fmt: skip
    refused(tmp_path, code, "a size that the kernel counts is used as a Python value")
    refused(
        tmp_path,
        op("assert x is None; return x.like()"),
        "desc raises AssertionError: .*hint: what a call must meet is said with .*require",
    )


# -- values that are given


def model(path: Path, pads, shape) -> Path:
    import onnx
    from onnx import TensorProto, helper

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node("circ_pad", ["x"], ["y"], domain="values", pads=pads)
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("values", 1)]
    onnx.save(helper.make_model(helper.make_graph([node], "g", [x], [y]), opset_imports=imports, ir_version=9), path)
    return path


def command(*words, cwd=None, code=0):
    done = subprocess.run([sys.executable, "-m", "opwright", *map(str, words)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


def test_values_of_the_command_line_and_of_a_model(tmp_path):
    import onnxruntime

    given = model(tmp_path / "pad.onnx", [3, 1, 0, 2], ["a", "b", "c", "d"])
    command("build", SOURCE, "-o", tmp_path / "libpad.so", "--ops", "values::circ_pad", "--targets", "cpu:x86-64-v3",
            "--attr", "values::circ_pad.pads=0,1,1,0", "--for", given)  # fmt: skip
    x = np.arange(2 * 4 * 6, dtype=np.float32).reshape(1, 2, 4, 6)
    library = opwright.load(tmp_path / "libpad.so")
    np.testing.assert_array_equal(
        library.circ_pad(x, pads=[0, 1, 1, 0]), np.pad(x, [(0, 0), (0, 0), (1, 0), (0, 1)], mode="wrap")
    )
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(library.path)
    session = onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": x})
    np.testing.assert_array_equal(found, np.pad(x, [(0, 0), (0, 0), (0, 2), (3, 1)], mode="wrap"))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--attr", "pads=1"], "--attr 'pads=1', expected ns::op.attribute=VALUE"),
        (["--attr", "a::b.pads=1"], "no operator 'a::b', expected one of values::circ_pad"),
        (["--attr", "values::circ_pad.pad=1"], "values::circ_pad has no attribute 'pad', expected one of pads"),
        (["--attr", "values::circ_pad.pads=1,x"], "attribute 'pads': found 'x', expected a number"),
        (["--for", "missing.onnx"], "the model 'missing.onnx' cannot be read"),
        (["--for", "values.py"], "the model 'values.py' cannot be read"),
        (["--for", "other.onnx"], "has no node of values::circ_pad"),
    ],
)  # fmt: skip
def test_values_that_are_refused(words, text, tmp_path):
    shutil.copy(SOURCE, tmp_path / "values.py")
    given = model(tmp_path / "other.onnx", [1], ["a"])
    given.write_bytes(given.read_bytes().replace(b"circ_pad", b"circ_bad"))
    done = command("build", "values.py", "-o", "lib.so", "--ops", "values::circ_pad", *words, cwd=tmp_path, code=1)
    assert text in done.stderr and not (tmp_path / "lib.so").exists()


# -- builds


def test_what_has_not_changed_is_not_made_again(tmp_path):
    source, workspace = tmp_path / "values.py", tmp_path / "work"
    shutil.copy(SOURCE, source)
    ops = ["values::row_sum", "values::double"]
    targets = ["x86-64-v3"]
    first = build(source, tmp_path / "lib.so", targets, ops, workspace)
    assert first.traced == first.kernels == first.compiled
    again = build(source, tmp_path / "same" / "lib.so", targets, ops, workspace)
    assert (again.traced, again.compiled, again.reused) == (0, 0, first.compiled)
    assert (tmp_path / "same/lib.so").read_bytes() == (tmp_path / "lib.so").read_bytes()
    # one kernel is another
    source.write_text(
        source.read_text().replace(
            "tl.store(y_ptr + at, 2 * tl.load(x_ptr + at))", "tl.store(y_ptr + at, 3 * tl.load(x_ptr + at))"
        )
    )
    changed = build(source, tmp_path / "lib.so", targets, ops, workspace)
    # any value of the file might be another; but most texts are as they were, and their kernels are not compiled again
    assert changed.traced == changed.kernels and 0 < changed.compiled < changed.kernels / 2
    # what is gone leaves nothing
    build(source, tmp_path / "lib.so", targets, ops[:1], workspace)
    assert {path.name.partition(".")[0] for path in workspace.glob("*/*.ttir")} == {"row_sum"}
    # a damaged text is made again
    damaged = next(workspace.glob("*/*.ttir"))
    damaged.write_text("module {}")
    assert build(source, tmp_path / "lib.so", targets, ops[:1], workspace).traced == 1


KERNELS = """
import conf
import triton, triton.language as tl
import opwright.plugin as trtp

def made(c):
    c = tl.constexpr(c)
    @triton.jit
    def act(x):
        return x * c
    return act

TWO, THREE = made(2), made(3)

@triton.jit
def apply(x_ptr, y_ptr, n, ACT: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    tl.store(y_ptr + at, ACT(x) + conf.K, mask=at < n)

@trtp.register("a::op")
def desc(x: trtp.TensorDesc) -> trtp.TensorDesc:
    return x.like()

@trtp.autotune("a::op")
def tune(x, outputs):
    return [trtp.AutoTuneCombination("FP32, FP32", "LINEAR", [1, 2])]

@trtp.aot_impl("a::op")
def aot(x, outputs, tactic):
    return trtp.launch(apply, (1,), (x, outputs[0], x.numel()), ACT={1: TWO, 2: THREE}[tactic], BLOCK=16)
"""


def test_kernels_differ_by_functions_and_by_values_of_modules(tmp_path):
    source, workspace = tmp_path / "ops.py", tmp_path / "work"
    source.write_text(KERNELS)
    x = np.arange(4, dtype=np.float32)
    for constant in (5, 7):
        (tmp_path / "conf.py").write_text(f"import triton.language as tl\nK = tl.constexpr({constant})\n")
        build(source, tmp_path / f"lib{constant}.so", ["x86-64-v3"], workspace=workspace)
        op = opwright.load(tmp_path / f"lib{constant}.so")["a::op"]
        for tactic, factor in ((1, 2), (2, 3)):
            np.testing.assert_array_equal(op(x, tactic=tactic), factor * x + constant)


def test_a_request_is_built_where_there_is_no_triton(tmp_path):
    build(SOURCE, tmp_path / "lib.so", ["x86-64-v3"], ["values::double"], tmp_path / "work")
    code = "import sys; sys.modules['triton'] = None; from opwright.cli import main; main()"
    words = ["build", tmp_path / "work/request.json", "-o", tmp_path / "again.so", "--json"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ops"] == ["values::double"]
    x = np.arange(5, dtype=np.float32)
    np.testing.assert_array_equal(opwright.load(tmp_path / "again.so").double(x), 2 * x)
    for text, message in (("[]", "found list, expected an object"), ("{", "cannot be read")):
        (tmp_path / "work/request.json").write_text(text)
        assert message in command(*words[:4], code=1).stderr
    assert "--ops, --attr and --for with request.json" in command(*words[:4], "--ops", "a::b", code=1).stderr


def test_the_sources_of_definitions_build_to_the_same_plugin(tmp_path):
    """Paths, lists, texts and a variable number of inputs in C."""
    ops = ["values::concat", "values::combine", "values::non_zero"]
    build(SOURCE, tmp_path / "lib.so", ["x86-64-v3"], ops, sources=tmp_path / "sources")
    folder = Path(opwright.__file__).parent
    for words in (
        ["-S", "sources", "-B", "made", f"-DOPWRIGHT_DIR={folder}", "-DCMAKE_C_FLAGS=-Werror"],
        ["--build", "made"],
    ):
        subprocess.run(["cmake", *words], cwd=tmp_path, check=True, capture_output=True)
    command("seal", tmp_path / "made/lib.so")
    given, made = opwright.load(tmp_path / "lib.so"), opwright.load(tmp_path / "made/lib.so")
    assert given.tables["hash"] == made.tables["hash"]
    x = np.arange(20, dtype=np.float32).reshape(4, 5)
    for library in (given, made):
        np.testing.assert_array_equal(library.concat(x, x[:1]), np.concatenate([x, x[:1]]))
        np.testing.assert_array_equal(library.combine(x, None, mode="sum"), x + np.float32(0.5))
        np.testing.assert_array_equal(library.non_zero(x)[0], np.argwhere(x))


# -- commands


def test_verify_finds_what_differs(tmp_path, library):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(SOURCE.read_text().replace("np.multiply(np.asarray(x), 2,", "np.multiply(np.asarray(x), 3,"))
    words = ["verify", wrong, "--lib", library.path, "--ops", "values::double", "--calls", "2"]
    done = command(*words, code=4)
    assert "FAILED: output 'out' differs for inputs" in done.stdout and "--seed 0" in done.stderr
    rows = json.loads(command(*words, "--json", code=4).stdout)["rows"]
    assert [row["ok"] for row in rows if "fp32" in row["types"]] == [False, False]
    assert "values::double (fp32, fp32) tactic 2, 2 calls: ok" in command("verify", SOURCE, *words[2:]).stdout
    assert "has no impl" in command("verify", Path(__file__).parent / "definitions/basic.py", "--lib", library.path,
                                    "--ops", "sample::axpy", code=1).stderr  # fmt: skip


def test_verify_tells_failures_from_refusals(tmp_path):
    source = tmp_path / "even.py"
    source.write_text(HEAD.replace("at = tl.arange(0, BLOCK)", "at = tl.arange(0, BLOCK)\n    tl.device_assert(n % 2 == 0, 'odd')").replace("@triton.jit", "@triton.jit(debug=True)")
        + op("return x.like()", "return trtp.launch(copy, (1,), (x, outputs[0], x.numel()), BLOCK=131072)")
        + "@trtp.impl('a::op')\ndef g(x, outputs):\n    outputs[0].array[...] = x.array\n")  # fmt: skip
    build(source, tmp_path / "even.so", ["x86-64-v3"])
    done = command("verify", source, "--lib", tmp_path / "even.so", code=4)
    assert "FAILED" in done.stdout and "device assertion failed: odd" in done.stdout
    source.write_text(
        source.read_text().replace(
            "outputs[0].array[...] = x.array", "outputs[0].array[...] = x.array[:, :, :, :, None]"
        )
    )
    done = command("verify", source, "--lib", tmp_path / "even.so", code=1)
    assert "g raises IndexError" in done.stderr and "even.py:" in done.stderr and "bug in Opwright" not in done.stderr


def test_run_and_bench(tmp_path, library):
    import ml_dtypes

    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "b.npy", np.ones((3, 4), ml_dtypes.bfloat16))
    done = command("run", library.path, "combine", "--in", "x.npy", "x.npy", "--attr", "scales=2,0.5", "--attr", "negate=true", "--out", "out",
                   cwd=tmp_path)  # fmt: skip
    assert done.stdout == "out/out.npy\n"
    np.testing.assert_array_equal(np.load(tmp_path / "out/out.npy"), -(2 * x + np.float32(0.5) + x))
    assert json.loads(command("run", library.path, "values::non_zero", "--in", "x.npy", "--out", "out", "--json", cwd=tmp_path).stdout) == {
        "outputs": ["out/indices.npy", "out/count.npy"]}  # fmt: skip
    assert np.load(tmp_path / "out/indices.npy").shape == (11, 2)
    for words, text in (
        (["a", "--in", "x.npy"], "found no operator 'a', expected one of values::circ_pad"),
        (["double", "--in", "y.npy"], "'y.npy' cannot be read as an array"),
        (["double", "--in", "b.npy:bfloat16"], "bf16"),
        (["double", "--in", "x.npy", "--attr", "k=1"], "--attr 'k=1', expected NAME=VALUE with one of no attributes"),
        (["combine", "--in", "none"], "x"),
        (
            ["combine", "--in", "x.npy", "none", "--attr", "scales=a"],
            "attribute 'scales': found 'a', expected a number",
        ),
    ):
        done = command("run", library.path, *words, "--out", "none", cwd=tmp_path, code=1)
        assert text in done.stderr and not (tmp_path / "none").exists(), done.stderr
    found = json.loads(
        command("bench", library.path, "double", "--in", "x.npy", "--seconds", "0.05", "--json", cwd=tmp_path).stdout
    )
    assert [row["tactic"] for row in found["tactics"]] == [1, 2] and all(
        0 < row["best"] <= row["median"] for row in found["tactics"]
    )
    assert (
        "BLOCK=128"
        in command("bench", library.path, "double", "--in", "x.npy", "--seconds", "0.05", cwd=tmp_path).stdout
    )
