"""Everything that PluginGen's vocabulary can say, built and run: element types, scalars, constants, sizes, variants."""

import inspect
import itertools
import json
import shutil
import subprocess
import sys
import typing

import ml_dtypes
import numpy as np
import pytest
import torch
from package_kit import kernel_object

import opwright
from opwright import _core
from opwright.dtypes import DTYPES
from opwright.plugin.build import build as build_definitions
from opwright.plugin_gen.build import plugin_gen
from opwright.plugin_gen.config import load_config
from opwright.plugin_gen.request import build_request, kernel_path, plan_kernels
from opwright.user_files import run_file

HEAD = "import triton\nimport triton.language as tl\nfrom helper import twice\n\n"

# One kernel per element type: a tensor, and scalars of every origin where the type has scalars.
PASS = '''
@triton.jit
def pass_{name}(same_ptr, x_ptr, value, parameter, n):
    """Copies x, then an input and a parameter."""
    for i in range(n):
        tl.store(same_ptr + i, tl.load(x_ptr + i))
    tl.store(same_ptr + n, value)
    tl.store(same_ptr + n + 1, parameter)


@triton.jit
def copy_{name}(same_ptr, x_ptr, n):
    for i in range(n):
        tl.store(same_ptr + i, tl.load(x_ptr + i))
'''

OTHERS = '''
@triton.jit
def ramp(start, out_ptr, step, count, BLOCK: tl.constexpr):
    """start + step * i, from numbers alone."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + at, start + step * at, at < count)


@triton.jit
def constants(out_ptr, WHOLE: tl.constexpr, x_ptr, REAL: tl.constexpr, FLAG: tl.constexpr, n, MODE: tl.constexpr, NONE: tl.constexpr):
    for i in range(n):
        x = tl.load(x_ptr + i) * WHOLE + REAL
        if FLAG:
            x = twice(x)
        if MODE == "negate":
            x = -x
        if NONE is None:
            x += 1
        tl.store(out_ptr + i, x)


@triton.jit
def tiled(out_ptr, x_ptr, n, headsize, scale, rows, cols):
    row = tl.program_id(0) + tl.program_id(1) * tl.num_programs(0)
    for i in range(headsize):
        tl.store(out_ptr + row * headsize + i, tl.load(x_ptr + (row * headsize + i) % n) * scale)
'''

CONFIG = """
from opwright.plugin_gen.core import *

def passing(name, scalar):
    tensors = [OutputArg("same", Type(f"tensor[{name}]")), InputArg("x", Type(f"tensor[{name}]"))]
    scalars = [InputArg("value", Type(name)), ParamArg("parameter", Type(name))] if scalar else []
    return KernelMetaData(
        kernel_name=f"{'pass' if scalar else 'copy'}_{name}", kernel_file="deeper/kernels/all.py",
        ios=[*tensors, *scalars, DimSizeArg("n")], shape_infer_rules=["x[n] -> same[n + 2]" if scalar else "x[n] -> same[n]",
        "x[n] : n -> n"])

KERNELS = [passing(name, scalar) for name, scalar in NAMES] + [
    KernelMetaData("ramp", [InputArg("start", Type("fp32")), OutputArg("out", Type("tensor[fp32]")), InputArg("step", Type("fp16")),
                            InputArg("count", Type("i64")), Constexpr(64)],
                   ["count[] -> out[max(count, 0)]"], 7, "deeper/kernels/all.py", 4, 2, ("(max(count, 0) + BLOCK - 1) / BLOCK",)),
    KernelMetaData(kernel_name="constants", kernel_file="deeper/kernels/all.py", version=0,
                   ios=[OutputArg("out", Type("tensor[fp32]")), Constexpr(3), InputArg("x", Type("tensor[fp32]")), Constexpr(0.25),
                        Constexpr(True), DimSizeArg("n", dtype="i64"), Constexpr("negate"), Constexpr(None)],
                   shape_infer_rules=["x[n] -> out[n]", "x[n] : n -> n"]),
    KernelMetaData(kernel_name="tiled", kernel_file="deeper/kernels/all.py",
                   ios=[OutputArg("out", Type("tensor[fp32]")), InputArg("x", Type("tensor[fp32]")), DimSizeArg("n"),
                        ParamArg("headsize", Type("i32"), hints=["16", "1"]), ParamArg("scale", Type("fp64"), default=0.5),
                        ParamArg("rows", Type("u8"), default=2), DimSizeArg("cols")],
                   shape_infer_rules=["x[b, l, *] -> out[rows, l /// 2, headsize]", "x[b, l] : b * l -> n", "x[_, l] : l -> cols"],
                   grid_dims=("rows", "cdiv(cols, 2)", "1")),
]
"""


def names():
    """Triton's name of each element type, and whether a scalar can have it."""
    return [("i1" if d.name == "bool" else d.triton, not (d.kind == "float" and d.bits == 8)) for d in DTYPES]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    kernels = folder / "src/deeper/kernels"
    kernels.mkdir(parents=True)
    (kernels / "helper.py").write_text("import triton\n\n@triton.jit\ndef twice(x):\n    return x * 2\n")
    (kernels / "all.py").write_text(HEAD + "".join(PASS.format(name=n) for n, _ in names()) + OTHERS)
    config = folder / "src/config.py"
    text = CONFIG.replace("NAMES", repr(names()))
    config.write_text(text)
    return plugin_gen(folder / "w", config, cpu_levels=["x86-64-v3"])


@pytest.fixture(scope="module")
def functional(built):
    return run_file(built.functional, "vocabulary_functional", "functional.py")


def numpy_dtype(dtype):
    return np.dtype(getattr(ml_dtypes, dtype.numpy, None) or dtype.numpy)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.triton)
def test_every_element_type(functional, dtype):
    kind = numpy_dtype(dtype)
    values = [0, 1, 1, 0] if dtype.kind == "bool" else [0, 1, 100, 3] if dtype.kind == "uint" else [0, 1, -2, 3]
    x = np.array(values).astype(kind)
    name = "i1" if dtype.name == "bool" else dtype.triton
    if dtype.kind == "float" and dtype.bits == 8:
        out = getattr(functional, f"copy_{name}")(x)
        assert out.dtype == kind and out.tobytes() == x.tobytes()
        return
    if dtype.kind == "bool":
        given = [(True, False), (False, True)]
    elif dtype.kind == "float":
        given = [(1.5, -0.25), (float("inf"), 2)]
    else:
        low = 0 if dtype.kind == "uint" else -(1 << dtype.bits - 1)
        given = [(low, low + (1 << dtype.bits) - 1), (7, 5)]
    operator = getattr(functional, f"pass_{name}")
    for value, parameter in given:
        for form in (value, np.array(value).astype(kind), np.array([value]).astype(kind), kind.type(value)):
            out = operator(parameter, x, form)
            assert out.dtype == kind
            np.testing.assert_array_equal(
                out, np.concatenate([x, *(np.array([v]).astype(kind) for v in (value, parameter))])
            )


def test_numbers_alone(functional):
    expected = np.float32(2) + np.float32(0.5) * np.arange(100, dtype=np.float32)
    np.testing.assert_array_equal(functional.ramp(2.0, 0.5, 100), expected)
    np.testing.assert_array_equal(functional.ramp(start=2, step=np.float16(0.5), count=np.array([100])), expected)
    tensor = functional.ramp(torch.tensor(2.0), 0.5, torch.tensor([100]))
    assert isinstance(tensor, torch.Tensor) and tensor.tolist() == expected.tolist()
    assert functional.ramp(2.0, 0.5, 0).shape == functional.ramp(2.0, 0.5, -3).shape == (0,)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda f: f.ramp("1", 0.5, 3), TypeError, "triton::ramp: input 'start' is str, expected a number"),
        (lambda f: f.ramp(1.0, 0.5, 2.5), TypeError, "triton::ramp: input 'count' is float, expected an integer"),
        (lambda f: f.ramp(1.0, 0.5, 1 << 63), ValueError, "input 'count' is 9223372036854775808, expected int64"),
        (lambda f: f.ramp(np.float64(1), np.zeros(1), 3), TypeError, "input 'step' has the element type float64, expected float16"),
        (lambda f: f.ramp(np.zeros((1, 1), np.float32), 0.5, 3), ValueError, "input 'start' has rank 2 (shape (1, 1)), expected rank 0 to 1"),
        (lambda f: f.ramp(1.0, 0.5, np.zeros(2, np.int64)), RuntimeError, "the sizes do not fit start[1] and step[1] and count[1]"),
        (lambda f: f.ramp(np.zeros(0, np.float32), 0.5, 3), RuntimeError, "the sizes do not fit start[1]"),
        (lambda f: f.ramp(torch.tensor(1.0), np.zeros(1, np.float16), 3), TypeError, "NumPy arrays and torch tensors in one call"),
        (lambda f: f.pass_i8(1, np.zeros(1, np.int8), 128), ValueError, "input 'value' is 128, expected int8 (-128 to 127)"),
        (lambda f: f.pass_i1(True, np.zeros(1, bool), 1), TypeError, "input 'value' is int, expected True or False"),
    ],
)  # fmt: skip
def test_scalar_inputs_refused(functional, call, kind, message):
    with pytest.raises(kind) as e:
        call(functional)
    assert message in str(e.value)


def test_constants_of_every_kind(functional):
    x = np.arange(5, dtype=np.float32)
    np.testing.assert_array_equal(functional.constants(x), -(2 * (x * 3 + 0.25)) + 1)


def test_parameters_in_sizes_and_grids(functional):
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    for headsize, rows in itertools.product((0, 1, 3, 16, 32), (0, 1, 2, 5)):
        out = functional.tiled(headsize, x, scale=2.0, rows=rows)
        expected = (
            np.resize(x.reshape(-1), rows * 3 * headsize).reshape(rows, 3, headsize) * 2 if headsize * rows else 0
        )
        assert out.shape == (rows, 3, headsize)
        np.testing.assert_array_equal(out, expected)
    assert functional.tiled(3, x).tolist() == functional.tiled(headsize=3, x=x, scale=0.5, rows=2).tolist()
    with pytest.raises(functional.PluginError, match="output out would have the size -1 in axis 2"):
        functional.tiled(-1, x)


def test_versions_and_attributes(built, functional):
    library = opwright.load(built.library)
    assert [library[f"triton::{name}"].version for name in ("ramp", "constants", "tiled")] == [7, 1, 1]
    x = np.ones((2, 6), np.float32)
    assert library.tiled(x, headsize=1).tolist() == functional.tiled(1, x).tolist()
    assert library.ramp(np.array(1, np.float32), np.zeros(1, np.float16), np.array([3])).tolist() == [1, 1, 1]


def test_in_onnx_runtime(built, functional):
    """Scalar inputs are tensors of one element, parameters attributes; one with a default may be left out."""
    onnx, ort = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    value, node, float32 = onnx.helper.make_tensor_value_info, onnx.helper.make_node, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node("ramp", ["start", "step", "count"], ["line"], domain="triton"),
         node("tiled", ["x"], ["tiles"], domain="triton", headsize=3)],
        "g",
        [value("start", float32, []), value("step", onnx.TensorProto.FLOAT16, [1]), value("count", onnx.TensorProto.INT64, []),
         value("x", float32, ["b", "l"])],
        [value("line", float32, ["n"]), value("tiles", float32, [2, "h", 3])],
    )  # fmt: skip
    opsets = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("triton", 7)]  # ramp is version 7
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)
    options = ort.SessionOptions()
    options.register_custom_ops_library(str(built.library))
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    for count in (0, 70):
        feeds = {"start": np.array(1, np.float32), "step": np.array([2], np.float16), "count": np.array(count), "x": x}
        line, tiles = session.run(None, feeds)
        np.testing.assert_array_equal(line, functional.ramp(1, 2, count))
        np.testing.assert_array_equal(tiles, functional.tiled(3, x))


DEFINITION = """
import opwright.plugin as trtp
from all import tiled
from opwright import trt

@trtp.register("triton::tiled", ranks={"x": 2})
def desc(x: trtp.TensorDesc, headsize: int, scale: float = 0.5, rows: int = 2) -> trtp.TensorDesc:
    return trtp.from_shape_expr((rows, trtp.cdiv(x.shape_expr[1], 2), headsize), trt.float32)

@trtp.autotune("triton::tiled")
def tune(x, outputs):
    return [trtp.AutoTuneCombination("FP32, FP32", "LINEAR")]

@trtp.aot_impl("triton::tiled")
def aot(x, headsize, scale, rows, outputs, tactic):
    b, l = x.shape_expr[0], x.shape_expr[1]
    return trtp.launch(tiled, (rows, trtp.cdiv(l, 2), 1), (outputs[0], x, b * l, headsize, scale, rows, l))
"""


def test_a_definition_of_the_same_operator_says_the_same(built, functional):
    """Both vocabularies meet in the build request: sizes, grid and attributes are the same texts, results the same bits."""
    folder = built.library.parents[2]
    file = folder / "src/deeper/kernels/define.py"
    file.write_text(DEFINITION)
    library = build_definitions(file, folder / "libtiled.so", ["x86-64-v3"], workspace=folder / "w2").library
    ours, theirs = (json.loads((folder / w / "request.json").read_text())["ops"] for w in ("w", "w2"))
    ours, (theirs,) = next(op for op in ours if op["name"] == "tiled"), theirs
    assert ours["outputs"][0]["shape"] == theirs["outputs"][0]["shape"] == ["rows", "cdiv(x.1, 2)", "headsize"]
    assert ours["attrs"] == theirs["attrs"]
    grids = [op["plans"][0]["launches"][0]["grid"] for op in (ours, theirs)]
    assert grids == [["rows", "cdiv(cols, 2)", "1"], ["rows", "cdiv(x.1, 2)", "1"]]
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    assert functional.tiled(5, x, rows=3).tobytes() == opwright.load(library).tiled(x, headsize=5, rows=3).tobytes()


USE = """
import functional
import numpy as np
import torch

x = np.ones((2, 6), np.float32)
reveal_type(functional.tiled(3, x, scale=2.0))
reveal_type(functional.tiled(headsize=3, x=torch.ones(2, 6)))
reveal_type(functional.ramp(1.0, 0.5, 3))
functional.ramp(1.0, 0.5, "x")
functional.pass_i32(1.5, x, 3)
"""


def test_types_of_the_functions(built, functional, tmp_path):
    """A strict check of the file itself and of calls; torch is a stub here, because mypy reads the real one for long."""
    shutil.copy(built.functional, tmp_path / "functional.py")
    (tmp_path / "torch.pyi").write_text("class Tensor: ...\ndef ones(*sizes: int) -> Tensor: ...\n")
    (tmp_path / "use.py").write_text(USE)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path, "functional.py", "use.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    notes = [line.split(": ", 1)[1] for line in done.stdout.splitlines()[:-1]]
    assert notes == [
        'note: Revealed type is "numpy.ndarray[Any, Any]"',
        'note: Revealed type is "torch.Tensor"',
        'note: Revealed type is "numpy.ndarray[Any, Any]"',
        'error: Value of type variable "Array" of "ramp" cannot be "str"  [type-var]',
        'error: Argument 1 to "pass_i32" has incompatible type "float"; expected "int"  [arg-type]',
    ]
    hints = typing.get_type_hints(functional.ramp)
    assert hints["start"] == functional.Array | float and hints["count"] == functional.Array | int
    assert str(inspect.signature(functional.tiled)) == (
        "(headsize: 'int', x: 'Array', *, scale: 'float' = 0.5, rows: 'int' = 2) -> 'Array'"
    )
    text = functional.tiled.__doc__
    assert "headsize: int32 value\n" in text and "scale: float64 value, 0.5 unless given\n" in text
    assert "x: float32 tensor, rank 2" in text and "out: float32 tensor [rows, cdiv(x.1, 2), headsize]" in text
    assert "count: int64 number, or a tensor of one element" in functional.ramp.__doc__


HINTED = """
from opwright.plugin_gen.core import *
KERNELS = [KernelMetaData(
    kernel_name="hinted", kernel_file="hinted.py",
    ios=[OutputArg("out", Type("tensor[i64]")), InputArg("x", Type("tensor[i8]"), hints=["", "16", ""]),
         DimSizeArg("n", hints=["16", "16", ""]), ParamArg("step", Type("i32"), hints=["", "1", "1"]), InputArg("k", Type("i64"), hints=["16", "", ""])],
    shape_infer_rules=["x[n] -> out[1]", "x[n] : n -> n"])]
"""


def test_the_specialisation_that_fits_is_run(tmp_path):
    """Kernels in C stand in for the variants: each writes its number. A call must get the first that its arguments allow."""
    (tmp_path / "hinted.py").write_text(
        "import triton\n\n@triton.jit\ndef hinted(out_ptr, x_ptr, n, step, k):\n    pass\n"
    )
    config = tmp_path / "config.py"
    config.write_text(HINTED)
    plans = plan_kernels(load_config(config), config)
    variants = plans[0].variants
    assert len(variants) == 4
    request = build_request(plans, {kernel_path(plans[0], i): "" for i in range(4)}, "triton", ["x86-64-v3"])
    objects = []
    for i, kernel in enumerate(request["kernels"]):
        params = [(p["kind"] == "pointer", p.get("dtype", "i8")) for p in kernel["params"] if p["kind"] != "dropped"]
        body = f"{{ *(int64_t *)args->slots[0] = {i} + 100 * args->slots[args->slot_count - 1]; return 0; }}"
        objects.append(kernel_object(kernel["id"], body, params, tmp_path))
    library = opwright.load(_core.package(request, objects, str(tmp_path))["library"])
    room = np.zeros(256, np.int8)
    start = -room.ctypes.data % 16
    seen = set()
    for offset, n, step, k in itertools.product((0, 1), (32, 33), (1, 2, 16), (16, 5)):
        x = room[start + offset :][:n]
        values = [None, x.ctypes.data, n, step, k]  # the output is always aligned
        fits = [
            v
            for v in variants
            if all(i == 0 or values[i] % 16 == 0 for i in v.divisible) and all(values[i] == 1 for i in v.ones)
        ]
        expected = variants.index(fits[0])
        found = int(library.hinted(x, np.array(k), step=step)[0])
        assert divmod(found, 100) == (k, expected), (offset, n, step, k)
        seen.add(expected)
    assert seen == {0, 1, 2, 3}
