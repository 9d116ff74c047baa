"""Definitions of operators: what they may say, what is refused, and the libraries that are built of them, in real hosts."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("triton", reason="triton is not installed")

import opwright
import opwright.plugin as trtp
from opwright import trt
from opwright.errors import InputError
from opwright.expressions import Dim, Name, Num, show
from opwright.plugin import definition
from opwright.plugin.build import build, load
from opwright.plugin.combinations import AutoTuneCombination
from opwright.plugin.symbolic import SymFloat, SymInt
from opwright.plugin.trace import trace

FOLDER = Path(__file__).parent / "definitions"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("basic") / "libbasic.so"
    build(FOLDER / "basic.py", path)
    return opwright.load(path)


# -- symbols


class Evaluated:
    """The same arithmetic on numbers, as Python does it."""

    sizes = {"x.0": 12, "x.1": 5, "k": -7}


@st.composite
def expressions(draw, depth=4):
    """A symbolic integer and its value."""
    kind = draw(st.sampled_from(["size", "number", *"+-*/%cmMw<="]))
    if depth == 0 or kind in ("size", "number"):
        if kind == "number":
            value = draw(st.integers(-50, 50))
            return value, value
        name = draw(st.sampled_from(sorted(Evaluated.sizes)))
        expr = Name("k") if name == "k" else Dim("x", int(name[-1]))
        return SymInt(expr), Evaluated.sizes[name]
    (a, x), (b, y) = draw(expressions(depth=depth - 1)), draw(expressions(depth=depth - 1))
    if kind in "/%c" and y == 0:
        b, y = 3, 3
    made = {
        "+": lambda: (a + b, x + y), "-": lambda: (a - b, x - y), "*": lambda: (a * b, x * y),
        "/": lambda: (a // b, x // y), "%": lambda: (a % b, x % y), "c": lambda: (trtp.cdiv(a, b), -(-x // y)),
        "m": lambda: (trtp.min(a, b), min(x, y)), "M": lambda: (trtp.max(a, b), max(x, y)),
        "w": lambda: (trtp.where(a, b, 7), y if x else 7), "<": lambda: (a < b, int(x < y)), "=": lambda: (a == b, int(x == y)),
    }  # fmt: skip
    return made[kind]()


def value_of(text: str) -> int:
    """A text of a build request in Python."""
    names = {"cdiv": lambda a, b: -(-a // b), "select": lambda c, a, b: a if c else b, "x0": 12, "x1": 5, "k": -7}
    return int(
        eval(text.replace("x.0", "x0").replace("x.1", "x1"), {"__builtins__": {}}, names | {"min": min, "max": max})
    )


@given(expressions())
@settings(max_examples=300, deadline=None)
def test_arithmetic_on_symbols_is_pythons(made):
    symbol, value = made
    text = show(symbol.expr) if isinstance(symbol, SymInt) else str(int(symbol))
    assert value_of(text) == value, text


def test_reflected_forms_and_folding():
    n = SymInt(Dim("x", 0))
    assert [show((2 * n).expr), show((7 - n).expr), show((8 // n).expr), show((9 % n).expr)] == [
        "2 * x.0", "7 - x.0", "8 // x.0", "9 % x.0",
    ]  # fmt: skip
    assert (SymInt(Num(6)) // 4).is_constant and int(SymInt(Num(6)) // 4) == 1
    assert show((n * 1).expr) == show((n + 0).expr) == "x.0"
    assert show((n >= 4).expr) == "4 <= x.0"


@pytest.mark.parametrize(
    ("use", "text"),
    [
        (lambda n: int(n), "'x.0' is used as a Python integer"),
        (lambda n: [1, 2][n], "'x.0' is used as a Python integer"),
        (lambda n: 1 if n > 3 else 2, "'3 < x.0' is used as a Python condition"),
        (lambda n: n // 0.5, r"found 0.5 \(float\), expected an integer"),
        (lambda n: n + "1", r"found '1' \(str\), expected an integer"),
        (lambda n: SymInt(Num(4)) % 0, "found 4 % 0, expected a divisor"),
    ],
)
def test_what_a_symbol_is_not(use, text):
    with pytest.raises(InputError, match=text):
        use(SymInt(Dim("x", 0)))


# -- combinations

NAMES = ["x", "y", "out"]


def rows(*args, **options) -> list[str]:
    return [" ".join(t.triton for t in row.types) for row in AutoTuneCombination(*args, **options).rows(NAMES)]


def test_grammar_of_combinations():
    assert rows("FP32, FP16, INT8") == ["fp32 fp16 i8"]
    assert rows("FP32|FP16, FP32|FP16, INT32") == ["fp32 fp32 i32", "fp16 fp16 i32"]
    assert rows("FP32*FP16, FP32|BF16, INT64|INT32") == [
        "fp32 fp32 i64",
        "fp16 fp32 i64",
        "fp32 bf16 i32",
        "fp16 bf16 i32",
    ]
    assert rows("fp64,float32 , i16") == ["fp64 fp32 i16"]
    assert rows("FLOAT, HALF, FP8", "LINEAR, LINEAR*HWC, LINEAR") == ["fp32 fp16 fp8e4nv"]
    by_position = AutoTuneCombination()
    by_position.pos([0, 1], "FP32|FP16")
    by_position.pos(2, "BOOL")
    by_position.tactics([3, 1])
    assert [(r.types[2].name, r.tactics) for r in by_position.rows(NAMES)] == [("bool", (3, 1)), ("bool", (3, 1))]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: rows("FP32, FP3, FP32"), r"io_types, column 7: found 'FP3', expected an element type"),
        (lambda: rows("FP32, FP32|, FP32"), "io_types, column 12: found 'nothing', expected an element type"),
        (lambda: rows("FP32|FP16*BF16, FP32, FP32"), r"column 1: found 'FP32\|FP16\*BF16', expected either"),
        (lambda: rows("FP32, FP32"), "io_types has 2 places, the operator has 3 inputs and outputs: x, y, out"),
        (lambda: rows("FP32|FP16, FP32|FP16|BF16, FP32"), r"lists of 2 and 3 types with '\|', expected one length"),
        (lambda: rows("FP32, FP32, FP32", "CHW4"), "layouts, column 1: found 'CHW4', expected 'LINEAR'"),
        (lambda: rows("FP32, FP32, FP32", "LINEAR, LINEAR"), "layouts has 2 places, expected 1 or 3"),
        (lambda: rows("FP32, FP32, FP32", tactics=[0]), r"tactics are \[0\], expected different integers above 0"),
        (lambda: rows("FP32, FP32, FP32", tactics=[1, 1]), "expected different integers"),
        (lambda: rows(5), "io_types is 5, expected a text"),
        (lambda: AutoTuneCombination(layouts="LINEAR"), "found layouts without io_types"),
    ],
)
def test_combinations_that_are_refused(make, text):
    with pytest.raises(InputError, match=text):
        make()


def test_positions_that_are_refused():
    c = AutoTuneCombination()
    c.pos(0, "FP32")
    with pytest.raises(InputError, match="position 0 is set twice"):
        c.pos([0], "FP16")
    with pytest.raises(InputError, match="found no types for 'y', expected positions 0 to 2"):
        c.rows(NAMES)
    c.pos([1, 2, 3], "FP32")
    with pytest.raises(InputError, match="types for position 3"):
        c.rows(NAMES)


# -- declarations


def refused(tmp_path, code: str, text: str, **options) -> None:
    """The definitions in code, after the usual imports, are refused with the text."""
    file = tmp_path / "ops.py"
    head = "import triton\nimport triton.language as tl\nimport opwright.plugin as trtp\nfrom opwright.plugin import TensorDesc\n"
    kernel = (
        "@triton.jit\ndef copy(x_ptr, y_ptr, n, BLOCK: tl.constexpr):\n    at = tl.arange(0, BLOCK)\n"
        "    tl.store(y_ptr + at, tl.load(x_ptr + at, mask=at < n), mask=at < n)\n"
    )
    file.write_text(head + kernel + code)
    with pytest.raises(InputError, match=f"(?s){text}") as caught:
        for definition in load(file, **options):
            trace(definition)
    assert str(file) in str(caught.value)


OP = """
@trtp.register("a::op")
def desc(x: TensorDesc, k: int = 2) -> TensorDesc:
    return {desc}
@trtp.autotune("a::op")
def tune(x, outputs):
    return {tune}
@trtp.aot_impl("a::op")
def aot(x, k, outputs, tactic):
    return {aot}
"""
GOOD = {
    "desc": "x.like()",
    "tune": '[trtp.AutoTuneCombination("FP32, FP32")]',
    "aot": "trtp.launch(copy, (1,), (x, outputs[0], 4), BLOCK=16)",
}


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ('@trtp.register("op")\ndef f(x: TensorDesc): ...', "found the operator id 'op', expected namespace::name"),
        ('@trtp.register("a::op")\ndef f(x): ...', "parameter 'x' has no annotation, expected TensorDesc, int, float, bool, str"),
        ('@trtp.register("a::op")\ndef f(k: int): ...', "found no input, expected at least one TensorDesc"),
        ('@trtp.register("a::op")\ndef f(k: int, x: TensorDesc): ...', "the tensor 'x' behind attributes"),
        ('@trtp.register("a::op")\ndef f(x: TensorDesc, s: complex): ...', "the annotation complex, expected TensorDesc, int"),
        ('@trtp.register("a::op")\ndef f(x: TensorDesc, s: list): ...', "the annotation list, expected TensorDesc, int"),
        ('@trtp.register("a::op")\ndef f(x: TensorDesc = None): ...', "found a default of the tensor 'x'"),
        ('@trtp.register("a::op")\ndef f(x: TensorDesc, k: int = 1.5): ...', "the default of 'k' is 1.5, expected int"),
        ('@trtp.register("a::op")\ndef f(x: TensorDesc, tactic: int): ...', "a parameter named 'tactic'"),
        ('@trtp.register("a::op", ranks={"y": 2})\ndef f(x: TensorDesc): ...', "ranks names 'y', expected one of the inputs x"),
        ('@trtp.register("a::op", ranks={"x": 17})\ndef f(x: TensorDesc): ...', "the rank of 'x' is 17, expected 0 to 16"),
        ('@trtp.autotune("a::op")\ndef f(x): ...', "no such operator is registered"),
        ('for _ in range(2):\n  @trtp.register("a::op")\n  def f(x: TensorDesc): ...', "a::op is registered twice"),
        ('@trtp.register("a::op")\ndef f(x: TensorDesc): ...\n@trtp.aot_impl("a::op")\ndef g(y): ...',
         "found the parameter 'y', expected some of x, outputs, tactic"),
        ('@trtp.register("a::op")\ndef f(x: TensorDesc): return x.like()', "a::op has no aot_impl, expected one"),
        ("", "found no definition, expected @opwright.plugin.register"),
    ],
)  # fmt: skip
def test_declarations_that_are_refused(code, text, tmp_path):
    refused(tmp_path, code, text)


@pytest.mark.parametrize(
    ("part", "value", "text"),
    [
        ("desc", "x", "register returned TensorDesc.*, expected a TensorDesc of its own"),
        ("desc", "3", "register returned 3"),
        ("desc", "trtp.from_shape_expr((x.shape_expr[0] / 2,))", r"found 'float\(x.0\) / 2.0', which is a float, expected an int"),
        ("desc", "x.like() if x.dtype else x", "the element type of 'x' is used, but register serves all combinations"),
        ("desc", 'trtp.from_shape_expr((4,), "FP16")', "autotune gives output 'out' the type fp32, register says fp16"),
        ("tune", "[]", r"autotune returned \[\], expected a list of AutoTuneCombination"),
        ("tune", '[trtp.AutoTuneCombination("FP32")]', "io_types has 1 places, the operator has 2"),
        ("tune", '[trtp.AutoTuneCombination("FP32, FP16")]', "the type fp16, register says fp32 .that of 'x'"),
        ("aot", "None", "aot_impl returned None, expected opwright.plugin.launch"),
        ("aot", "trtp.launch(len, (1,))", "launch of builtin_function_or_method, expected a @triton.jit function"),
        ("aot", "trtp.launch(copy, (1,), (x,))", "launch of 'copy': found no argument for 'y_ptr'"),
        ("aot", "trtp.launch(copy, (1, 1, 1, 1), (x, outputs[0], 4), BLOCK=16)", "a grid of 4 sizes, expected 1 to 3"),
        ("aot", "trtp.launch(copy, (1,), (x, outputs[0], 4), BLOK=16)", "the argument 'BLOK', expected each of x_ptr, y_ptr"),
        ("aot", "trtp.launch(copy, (1,), (x, outputs[0], 4), BLOCK=x.shape_expr[0])",
         r"the constant 'BLOCK' is 'x.0', expected a value that.*one_of\(x.0, \[64, 128\]\)"),
        ("aot", "trtp.launch(copy, (1,), (x, outputs[0], 4), BLOCK=16, num_warps='x')", "num_warps is 'x', expected an integer"),
        ("aot", "trtp.launch(copy, (1,), (x, None, 4), BLOCK=[1])", "Triton"),
        ("aot", "[1, 2, 3][x.shape_expr[1]]", "'x.1' is used as a Python integer, but is known only when .*opwright.plugin.where"),
        ("aot", '("copy", "ptx", trtp.KernelLaunchParams(), trtp.SymIntExprs(0))', "found str as its code, expected asm"),
    ],
)  # fmt: skip
def test_functions_that_return_something_else(part, value, text, tmp_path):
    if text == "Triton":
        with pytest.raises(InputError, match=text):
            (tmp_path / "ops.py").write_text(
                "import triton, triton.language as tl, opwright.plugin as trtp\nfrom opwright.plugin import TensorDesc\n"
                + "@triton.jit\ndef copy(x_ptr, y_ptr, n, BLOCK: tl.constexpr):\n    tl.store(y_ptr + tl.arange(0, BLOCK), n)\n"
                + OP.format(**GOOD | {part: value})
            )
            build(tmp_path / "ops.py", tmp_path / "lib.so")
        assert not (tmp_path / "lib.so").exists()
        return
    refused(tmp_path, OP.format(**GOOD | {part: value}), text)


def test_require_and_workspace_have_their_places():
    with pytest.raises(InputError, match="found require outside of register and aot_impl"):
        trtp.require(True)
    with pytest.raises(InputError, match="found a workspace outside of aot_impl"):
        trtp.workspace((4,), "FP32")


@pytest.mark.parametrize(
    ("body", "least"),
    [
        ("return x.like()", 0),
        ("trtp.require(x.shape_expr[-1] > 0)\n    return x.like()", 1),
        ("out = x.like()\n    out.shape_expr[-2] = 4\n    return out", 2),
        ("out = x.like()\n    out.shape_expr[0] += 1\n    out.shape_expr[-1] += 1\n    return out", 2),
        ("return trtp.from_shape_expr((trtp.where(x.ndim > 2, x.shape_expr[2], 1),))", 0),
        ("return trtp.from_shape_expr((x.shape_expr[2] if x.shape_expr[0] > 1 else x.shape_expr[1],))", 2),
    ],
)
def test_inputs_of_any_rank_have_the_axes_that_register_reads(body, least, tmp_path):
    code = f'@trtp.register("a::op")\ndef desc(x: TensorDesc) -> TensorDesc:\n    {body}\n'
    code += '@trtp.autotune("a::op")\ndef tune():\n    return [trtp.AutoTuneCombination("FP32, FP32")]\n'
    code += '@trtp.aot_impl("a::op")\ndef aot(x, outputs):\n    return trtp.zero(outputs[0])\n'
    (tmp_path / "ops.py").write_text(f"import opwright.plugin as trtp\nfrom opwright.plugin import TensorDesc\n{code}")
    (definition,) = load(tmp_path / "ops.py")
    assert trace(definition).least_ranks == {"x": least}


def test_comparisons_of_floats_are_those_that_requests_have():
    a = SymFloat(Name("alpha"))
    for made, text in (
        (a < 1, "alpha < 1.0"), (a > 1, "1.0 < alpha"), (a == 1, "alpha == 1.0"), (a != 1, "alpha != 1.0"),
        (a <= 1, "alpha < 1.0 or alpha == 1.0"), (a >= 1, "1.0 < alpha or 1.0 == alpha"),
        (SymInt(Dim("x", 0)) <= a, "float(x.0) < alpha or float(x.0) == alpha"),
    ):  # fmt: skip
        assert isinstance(made, SymInt) and show(made.expr) == text


# -- libraries


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (5,), (16, 64), (3, 7, 11), (1, 2, 3, 4, 5)])
def test_axpy(library, shape, dtype):
    random = np.random.default_rng(len(shape))
    x, y = (random.integers(-8, 8, shape).astype(dtype) for _ in range(2))
    for alpha in (1.0, -2.5):
        given = {} if alpha == 1 else {"alpha": alpha}
        np.testing.assert_array_equal(library.axpy(x, y, **given), dtype(alpha) * x + y)  # small numbers: exact


@pytest.mark.parametrize("tactic", [1, 2])
def test_tactics_by_environment(library, tactic):
    code = f"""
import numpy as np, opwright
out = opwright.load({library.path!r}).axpy(np.ones(300, np.float32), np.ones(300, np.float32))
assert (out == 2).all()
"""
    environment = os.environ | {"OPW_TACTIC": f"sample::axpy={tactic}"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_memory_that_is_not_aligned_takes_another_variant(library):
    x = np.arange(41, dtype=np.float32)
    for start, count in ((0, 32), (1, 32), (3, 17), (0, 16)):
        part = x[start : start + count]
        np.testing.assert_array_equal(library.axpy(part, part, alpha=3), 4 * part)


def test_calls_that_register_forbids(library):
    x = np.ones(4, np.float32)
    with pytest.raises(opwright.native.PluginError, match="x and y have different numbers of elements"):
        library.axpy(x, np.ones(5, np.float32))
    with pytest.raises(opwright.native.PluginError, match="bins is not positive"):
        library.counts(np.ones(4, np.int32), bins=0)
    with pytest.raises(opwright.native.PluginError, match="sample::axpy"):
        library.axpy(x.astype(np.int32), x.astype(np.int32))
    with pytest.raises(opwright.native.PluginError, match="sample::axpy"):
        library.axpy(x, x.astype(np.float16))
    with pytest.raises(TypeError, match="found no attribute 'times'"):
        library.scale_(x)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_in_place_on_a_copy(library, dtype):
    """NumPy's face gives outputs memory of their own: the input stays."""
    x = np.arange(300, dtype=dtype)
    np.testing.assert_array_equal(library.scale_(x, times=3), 3 * np.arange(300))
    np.testing.assert_array_equal(x, np.arange(300))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (40, 129), (64, 64)])
def test_two_launches_with_a_workspace(library, shape):
    x = np.random.default_rng(1).integers(1, 9, shape).astype(np.float32)
    normal, zeroes = library.normalize_rows(x)
    np.testing.assert_allclose(normal, x / x.sum(1, keepdims=True), rtol=3 * 2**-24)  # one division of exact sums
    rows, columns = shape
    assert zeroes.shape == (abs(rows - columns), 2 * rows % 3) and not zeroes.any()


def test_a_zero_filled_output(library):
    x = np.array([0, 1, 1, 3, -5, 9, 2, 2, 2], np.int32)
    for _ in range(3):
        assert library.counts(x).tolist() == [1, 2, 3, 1]
        assert library.counts(x, bins=10).tolist() == [1, 2, 3, 1, 0, 0, 0, 0, 0, 1]


def test_assertions_and_bounds_of_float_attributes(tmp_path):
    (tmp_path / "ops.py").write_text(
        "import triton, triton.language as tl, opwright.plugin as trtp\nfrom opwright.plugin import TensorDesc\n"
        "@triton.jit(debug=True)\ndef pick(x_ptr, i_ptr, y_ptr, alpha, n):\n    i = tl.load(i_ptr + tl.program_id(0))\n"
        "    tl.device_assert((i >= 0) & (i < n), 'an index is outside of x')\n"
        "    tl.store(y_ptr + tl.program_id(0), alpha * tl.load(x_ptr + i))\n"
        '@trtp.register("a::pick", ranks={"x": 1, "i": 1})\ndef desc(x: TensorDesc, i: TensorDesc, alpha: float = 1.0) -> TensorDesc:\n'
        '    trtp.require(alpha <= 1, "alpha is above 1")\n    return trtp.from_shape_expr(i.shape_expr)\n'
        '@trtp.autotune("a::pick")\ndef tune():\n    return [trtp.AutoTuneCombination("FP32, INT32, FP32")]\n'
        '@trtp.aot_impl("a::pick")\ndef aot(x, i, alpha, outputs):\n'
        "    return trtp.launch(pick, (i.shape_expr[0],), (x, i, outputs[0], alpha, x.shape_expr[0]))\n"
    )
    build(tmp_path / "ops.py", tmp_path / "libpick.so")
    library = opwright.load(tmp_path / "libpick.so")
    x = np.arange(5, dtype=np.float32)
    assert library.pick(x, np.array([4, 0, 2], np.int32)).tolist() == [4, 0, 2]
    for wrong in (5, -1):
        with pytest.raises(
            opwright.native.PluginError, match=r"ops.py:\d+: device assertion failed: an index is outside of x"
        ):
            library.pick(x, np.array([4, wrong], np.int32))
    with pytest.raises(opwright.native.PluginError, match="alpha is above 1"):
        library.pick(x, np.array([0], np.int32), alpha=1.5)


def test_torch_tensors(library):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.arange(1000.0)
    assert torch.equal(library.axpy(x, x, alpha=2), 3 * x)


def test_onnx_runtime(library):
    import onnxruntime
    from onnx import TensorProto, helper

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "m"])
    out = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("axpy", ["x", "x"], ["y"], domain="sample", alpha=2.0),
        helper.make_node("scale_", ["y"], ["w"], domain="sample", times=5),
        helper.make_node("normalize_rows", ["w"], ["z", "rest"], domain="sample"),
    ]
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("sample", 1)]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [out]), opset_imports=imports, ir_version=9)
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(library.path)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    array = np.random.default_rng(2).integers(1, 9, (7, 33)).astype(np.float32)
    (found,) = session.run(["z"], {"x": array})
    np.testing.assert_allclose(found, array / array.sum(1, keepdims=True), rtol=3 * 2**-24)


def test_tvm_ffi(library):
    tvm_ffi = pytest.importorskip("tvm_ffi", reason="apache-tvm-ffi is not installed")
    module = tvm_ffi.load_module(str(library.path))
    x = np.random.default_rng(3).integers(1, 9, (7, 33)).astype(np.float32)
    y, normal, zeroes = np.empty_like(x), np.empty_like(x), np.ones((26, 2), np.float32)
    module.axpy(x, x, 2.0, y)
    module.scale_(y, 5, y)
    np.testing.assert_array_equal(y, 15 * x)
    module.sample__normalize_rows(y, normal, zeroes)
    np.testing.assert_allclose(normal, x / x.sum(1, keepdims=True), rtol=3 * 2**-24)
    assert not zeroes.any()


def test_a_file_of_tensorrt_needs_other_imports_alone(tmp_path):
    path = tmp_path / "libquick.so"
    build(FOLDER / "quick.py", path)
    library = opwright.load(path)
    for dtype in (np.float32, np.float16):
        x = np.arange(600, dtype=dtype).reshape(2, 300)
        np.testing.assert_array_equal(library.add_one(x, block_size=0), x + 1)


def test_types_of_tensorrt():
    assert trt.plugin is trtp and trt.DataType.HALF is trt.float16 and trt.TensorFormat.LINEAR == 0
    for kind in (trt.bfloat16, "BF16", ml_dtypes.bfloat16, np.dtype(ml_dtypes.bfloat16)):
        assert trtp.from_shape_expr((4,), kind).dtype is trt.bfloat16


# -- the page and the command


def test_the_page_builds_and_runs(tmp_path):
    text = (Path(__file__).parents[2] / "docs/definitions.md").read_text()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert [language for language, _ in blocks] == ["python", "sh", "python", "python", "sh", "python"]
    for language, block in blocks:
        if language == "python":
            (tmp_path / re.match(r"# (\w+\.py)\n", block)[1]).write_text(block)
        for line in block.splitlines() if language == "sh" else []:
            words = shlex.split(line)
            assert words[0] == "opwright"
            subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, check=True, capture_output=True)
    printed = re.findall(r"^print\(.*\)  # (.*)$", text, re.MULTILINE)
    for name, line in zip(("use.py", "in_onnxruntime.py"), printed, strict=True):
        done = subprocess.run([sys.executable, name], cwd=tmp_path, check=True, capture_output=True, text=True)
        assert done.stdout.strip() == line
    random = np.random.default_rng(3)
    library = opwright.load(tmp_path / "libnorm.so")
    for shape in ((300,), (2, 5, 77), (3, 2000), (0, 7)):
        x, weight = (
            random.standard_normal(shape).astype(np.float32),
            random.standard_normal(shape[-1]).astype(np.float32),
        )
        wide = x.astype(np.float64)
        want = wide / np.sqrt((wide * wide).mean(-1, keepdims=True) + 1e-6) * weight
        # a sum of n squares in float32, half of its error in the root, and four roundings
        np.testing.assert_allclose(library.rms_norm(x, weight), want, rtol=(shape[-1] / 2 + 8) * 2**-24)
    with pytest.raises(opwright.native.PluginError, match="weight is not as long as the last axis of x"):
        library.rms_norm(np.ones((2, 3), np.float32), np.ones(2, np.float32))
    with pytest.raises(opwright.native.PluginError, match="x has rank 0, expected 1 to 16"):
        library.rms_norm(np.ones((), np.float32), np.ones(1, np.float32))


def test_build_command(tmp_path):
    command = [sys.executable, "-m", "opwright", "build", str(FOLDER / "basic.py"), "-o", str(tmp_path / "l/lib.so")]
    command += ["--workspace", str(tmp_path / "w"), "--json"]
    reports = []
    for more in ([], [], ["--ops", "sample::counts"]):
        done = subprocess.run([*command, *more], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        reports.append(json.loads(done.stdout))
    assert reports[0]["compiled"] == 2 * reports[0]["kernels"] and reports[0]["reused"] == 0
    assert reports[1]["compiled"] == 0 and reports[1]["reused"] == reports[0]["compiled"]
    assert reports[2]["ops"] == ["sample::counts"]
    assert list(opwright.load(tmp_path / "l/lib.so")) == ["sample::counts"]
    request = json.loads((tmp_path / "w/request.json").read_text())
    assert request["opwright"] == 1 and "/" not in request["kernels"][0]["file"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["missing.py", "-o", "lib.so"], "found no file"),
        ([str(FOLDER / "basic.py"), "-o", "lib.dll"], "expected a file name that ends in .so"),
        ([str(FOLDER / "basic.py"), "-o", "lib.so", "--ops", "sample::nothing"], "found no operator 'sample::nothing'"),
        ([str(FOLDER / "basic.py"), "-o", "lib.so", "--targets", "cpu:z80"], "target 'cpu:z80'"),
        ([str(FOLDER / "basic.py"), "-o", "/proc/lib.so"], "cannot be written"),
    ],
)
def test_commands_that_are_refused(arguments, text, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "opwright", "build", *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1 and text in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


# -- what files for TensorRT do


PROCESS_OPS = """
import numpy as np
import triton
import triton.language as tl
import opwright.plugin as trtp

@triton.jit
def repeat_kernel(x_ptr, n, y_ptr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + at, tl.load(x_ptr + at, mask=at < n) * 2, mask=at < n)

@trtp.register("process::double")
def desc(inp0: trtp.TensorDesc, block: int) -> trtp.TensorDesc:
    return inp0.like()

@trtp.aot_impl("process::double")
def aot(inp0, block, outputs, tactic):
    n = 1
    for axis, one in enumerate([1] * inp0.ndim):
        n *= one * inp0.shape_expr[axis]
    return trtp.launch(repeat_kernel, (trtp.cdiv(n, block),), (inp0, n, outputs[0]), BLOCK=block)

@trtp.impl("process::double")
def impl(inp0, outputs, tactic):
    np.multiply(np.asarray(inp0), 2 * tactic, out=np.asarray(outputs[0]))

@trtp.register("process::other")
def other_desc(inp0: trtp.TensorDesc) -> trtp.TensorDesc:
    return trtp.from_shape_expr(inp0.shape_expr)

@trtp.impl("process::other")
def other(inp0, outputs): ...

def tune():
    @trtp.autotune("process::double")
    def autotune(inp0, outputs):
        return [trtp.AutoTuneCombination("FP32|FP16, FP32|FP16", "LINEAR", [1, 3])]
"""


@pytest.fixture
def process_ops(tmp_path, monkeypatch):
    """A module of definitions, imported as a program does it; and a model with one node, of fp16."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    (tmp_path / "process_ops.py").write_text(PROCESS_OPS)
    monkeypatch.syspath_prepend(tmp_path)
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT16, [None] * 3) for name in "xy")
    node = onnx.helper.make_node("double", ["x"], ["y"], domain="process", block=64)
    untyped = onnx.helper.make_node("double", ["y"], ["z"], domain="process", block=64)
    model = onnx.helper.make_model(onnx.helper.make_graph([node, untyped], "g", [x], [y]))
    onnx.save(model, tmp_path / "model.onnx")
    with definition.collected():
        import process_ops as module

        sys.modules.pop("process_ops")
        yield module


def test_definitions_of_the_process_take_the_types_of_a_model(process_ops, tmp_path):
    path = tmp_path / "libprocess.so"
    for _ in range(2):  # what the first build knows from the model, the second one must be told again
        with pytest.raises(InputError, match="(?s)process::double has no autotune, expected one.*--for MODEL.onnx"):
            build(None, path, ops=["process::double"])
        build(None, path, ops=["process::double"], models=[tmp_path / "model.onnx"])
    double = opwright.load(path)["process::double"]
    assert double.dtypes == [("f16", "f16")]
    x = np.arange(2 * 3 * 40, dtype=np.float16).reshape(2, 3, 40)
    np.testing.assert_array_equal(double(x, block=64), 2 * x)
    with pytest.raises(opwright.native.PluginError, match="block is none of 64, for which this library was built"):
        double(x, block=32)
    with pytest.raises(
        InputError, match="this process: found no operator 'a::b', expected one of process::double, proc"
    ):
        build(None, path, ops=["a::b"])
    with pytest.raises(InputError, match="process::other has no aot_impl"):
        build(None, path, models=[tmp_path / "model.onnx"])


def test_impl_takes_a_tactic(process_ops):
    x = np.ones(3, np.float32)
    assert trtp.call("process::double", x, block=8).tolist() == [2, 2, 2]
    with pytest.raises(InputError, match="process::double: found tactic 3, expected one of 1"):
        trtp.call("process::double", x, block=8, tactic=3)
    process_ops.tune()
    assert trtp.call("process::double", x, block=8, tactic=3).tolist() == [6, 6, 6]


def test_a_model_gives_types_only_where_register_says_those_of_outputs(tmp_path):
    code = OP.format(**GOOD | {"desc": "trtp.from_shape_expr(x.shape_expr)"})
    code = code[: code.index("@trtp.autotune")] + code[code.index("@trtp.aot_impl") :]
    (tmp_path / "ops.py").write_text(
        f"import opwright.plugin as trtp\nfrom opwright.plugin import TensorDesc\ncopy = None\n{code}"
    )
    (found,) = load(tmp_path / "ops.py")
    found.types.append((trt.float32.value,))
    with pytest.raises(InputError, match="no autotune, and register says no element type of the output 'out'"):
        trace(found)


def test_shapes_as_tensorrt_makes_them(tmp_path):
    n = trtp.ShapeExpr(SymInt(Dim("x", 0)))
    assert show(n.expr) == "x.0" and trtp.ShapeExpr(4).constant_value() == 4 and isinstance(n, trtp.ShapeExpr)
    with pytest.raises(InputError, match="'x.0' is used as a constant, but is known only when"):
        n.constant_value()
    shape = trtp.ShapeExprs(2)
    shape[1] = 3
    with pytest.raises(InputError, match=r"size 0 of a shape of 2 sizes is not set, expected shape\[0\] = \.\.\."):
        shape.numel()
    shape[0] = n
    for desc in (
        trtp.from_shape_expr(shape, dtype=trt.int8),
        trtp.TensorDesc(trtp.ShapeExprs.from_tuple((n, 3)), trt.int8),
        trtp.TensorDesc((n, 3), dtype=trt.int8),
    ):
        assert repr(desc) == "TensorDesc(output, ShapeExprs(x.0, 3), i8)"
    assert trtp.SizeTensorDesc is trtp.SizeTensor
    refused(
        tmp_path, OP.format(**GOOD | {"desc": "TensorDesc(trtp.ShapeExprs(1))"}), "size 0 of a shape of 1 sizes is not"
    )


QUICK = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.compiler import compile as compile_kernel

@trtp.register("a::op")
def desc(x: TensorDesc) -> TensorDesc:
    return x.like()
@trtp.autotune("a::op")
def tune(x, outputs):
    return [trtp.AutoTuneCombination("FP32, FP32")]
@trtp.aot_impl("a::op")
def aot(x, outputs, tactic):
    source = ASTSource(copy, {{"x_ptr": "*fp32", "y_ptr": "*fp32", "n": "i32", "BLOCK": "constexpr"}}, {{(3,): 16}})
    compiled = {compile}
    extra = trtp.SymIntExprs.from_tuple([])
    return compiled.metadata.name, compiled.asm["ptx"].encode(), trtp.KernelLaunchParams(), extra
"""


@pytest.mark.parametrize(
    "compile",
    [
        "compile_kernel(source)",
        "triton.compiler.compile(source, target=GPUTarget('cuda', 90, 32))",
        "triton.compiler.compiler.compile(source, options={'num_warps': 8})",
        "triton.compile(src=source)",
    ],
)
def test_names_of_tritons_compiler(compile, tmp_path):
    # the kernel's own order is inputs, outputs, integers: n is missing, so the tuple is understood and refused
    refused(
        tmp_path,
        QUICK.format(compile=compile),
        "kernel 'copy' has 3 parameters without the constants .x_ptr, y_ptr, n.",
    )
    import triton.compiler.compiler

    assert triton.compile is triton.compiler.compile is triton.compiler.compiler.compile
    assert triton.compile.__module__ == "triton.compiler.compiler"


@pytest.mark.parametrize(
    ("part", "value", "text"),
    [
        ("desc", "x.same()", r":12: a::op: desc raises AttributeError: 'TensorDesc' object has no attribute 'same'"),
        ("tune", "[trtp.AutoTuneCombination(types=1)]", ":15: a::op: tune raises TypeError: .*unexpected keyword argument 'types'"),
        ("aot", "{1: 2}[tactic + 1]", ":18: a::op: aot raises KeyError: 2"),
    ],
)  # fmt: skip
def test_what_functions_raise(part, value, text, tmp_path):
    refused(tmp_path, OP.format(**GOOD | {part: value}), text)
