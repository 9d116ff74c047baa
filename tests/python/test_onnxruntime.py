"""Plugins as custom-op libraries of the real ONNX Runtime: kernels come from C, everything else is the product's."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import op_kit
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper  # noqa: E402
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument  # noqa: E402
from package_kit import kernel_object, package  # noqa: E402

TYPES = {
    "f32": (TensorProto.FLOAT, np.float32),
    "f64": (TensorProto.DOUBLE, np.float64),
    "i64": (TensorProto.INT64, np.int64),
    "i8": (TensorProto.INT8, np.int8),
    "i16": (TensorProto.INT16, np.int16),
    "i32": (TensorProto.INT32, np.int32),
    "u8": (TensorProto.UINT8, np.uint8),
    "u16": (TensorProto.UINT16, np.uint16),
    "u32": (TensorProto.UINT32, np.uint32),
    "u64": (TensorProto.UINT64, np.uint64),
    "f16": (TensorProto.FLOAT16, np.float16),
    "bool": (TensorProto.BOOL, np.bool_),
}

ADD = """{
  const %(c)s *x = (const %(c)s *)args->slots[0], *y = (const %(c)s *)args->slots[1];
  %(c)s *out = (%(c)s *)args->slots[2];
  int64_t n = (int64_t)args->slots[3], end = hi * 64 < n ? hi * 64 : n;
  float alpha;
  memcpy(&alpha, &args->slots[4], 4);
  for (int64_t i = lo * 64; i < end; i++) out[i] = x[i] + (%(c)s)alpha * y[i] + (%(c)s)%(bias)d;
  return 0;
}"""
# out[i] = x[i / repeat] for repeated[i / ...]: every element of x `repeat` times, as f32, and the sum of pads
EXPAND = """{
  const float *x = (const float *)args->slots[0];
  float *out = (float *)args->slots[1];
  int64_t repeat = (int64_t)args->slots[3];
  for (int64_t p = lo; p < hi; p++)
    for (int64_t r = 0; r < repeat; r++) out[p * repeat + r] = x[p] + (float)(int64_t)args->slots[2];
  return 0;
}"""
FAIL = """{
  static const opw_cpu_site_t site = {sizeof site, 7, "fails.py", "fails", "x is odd", 0, 0, 0, OPW_NONE, 0, 0, 0};
  for (int64_t p = lo; p < hi; p++)
    if (p == 5) { args->launch->fail(args->launch->ctx, &site, p); return 1; }
  return 0;
}"""


def add_op(name: str = "add", ns: str | None = None) -> dict:
    """x + alpha * y over f32 and f64."""
    launch = {"grid": ["cdiv(numel(x), 64)"], "args": ["ptr x", "ptr y", "ptr out", "numel(x)", "attr alpha"]}
    op = {
        "name": name,
        "typevars": [{"name": "T", "types": ["f32", "f64"]}],
        "combos": [["f32"], ["f64"]],
        "inputs": [{"name": "x", "type": "T"}, {"name": "y", "type": "T"}],
        "outputs": [{"name": "out", "type": "T", "shape": "x[0:]"}],
        "attrs": [{"name": "alpha", "kind": "float", "default": 1.0}],
        "valid": "numel(x) == numel(y)",
        "valid_text": "x and y must have the same number of elements",
        "plans": [
            {"combo": 0, "launches": [launch | {"variants": [{"kernel": "add.f32"}]}]},
            {"combo": 1, "launches": [launch | {"variants": [{"kernel": "add.f64"}]}]},
        ],
    }
    return op | ({"namespace": ns} if ns else {})


def add_objects(folder: Path, bias: int = 0) -> list[dict]:
    folder.mkdir(parents=True, exist_ok=True)
    params = [(True, "f32")] * 3 + [(False, "i32"), (False, "f32")]
    return [
        kernel_object(f"add.{t}", ADD % {"c": c, "bias": bias}, [(p, t if p else d) for p, d in params], folder)
        for t, c in (("f32", "float"), ("f64", "double"))
    ]


EXPAND_OP = {
    "name": "expand",
    "inputs": [{"name": "x", "type": "f32", "rank": 1}, {"name": "bias", "type": "f32", "rank": 1, "optional": True}],
    "outputs": [
        {"name": "out", "type": "f32", "shape": ["x.0", "repeat + len(pads)"]},
        {"name": "wide", "type": "f64", "shape": ["x.0 * 2 + len(names)"]},
    ],
    "attrs": [
        {"name": "repeat", "kind": "int"},
        {"name": "pads", "kind": "ints", "default": []},
        {"name": "weights", "kind": "floats", "default": [0.5]},
        {"name": "mode", "kind": "enum", "choices": ["near", "far"], "default": "near"},
        {"name": "names", "kind": "strings", "default": []},
        {"name": "flag", "kind": "bool", "default": False},
    ],
    "vars": [
        [
            "total",
            "select(len(pads) > 0, pads[0] + pads[-1], 0) + floor(weights[0] * 10) + mode * 100 + flag * 1000 + len(names)",
        ]
    ],
    "plans": [
        {
            "launches": [
                {"fill": "wide", "fill_byte": 0},
                {
                    "grid": ["x.0"],
                    "args": ["ptr x", "ptr out", "var total", "repeat + len(pads)"],
                    "variants": [{"kernel": "expand"}],
                },
            ]
        }
    ],
}
FAIL_OP = {
    "name": "fails",
    "inputs": [{"name": "x", "type": "f32"}],
    "outputs": [{"name": "out", "type": "f32", "shape": "x[0:]"}],
    "plans": [{"launches": [{"grid": ["numel(x)"], "args": ["ptr x", "ptr out"], "variants": [{"kernel": "fails"}]}]}],
}
# of two types, and the host guesses that of the last input for the output
MIXED_OP = {
    "name": "mixed",
    "typevars": [{"name": "T", "types": ["f32", "f64"]}, {"name": "U", "types": ["i32", "i64"]}],
    "combos": [["f32", "i32"], ["f64", "i64"]],
    "inputs": [{"name": "x", "type": "T"}, {"name": "y", "type": "U", "rank": 1}],
    "outputs": [
        {"name": "out", "type": "T", "shape": "x[0:]"},
        {"name": "flat", "type": "T", "shape": ["numel(x) * y.0"]},
    ],
    "plans": [
        {"combo": c, "launches": [{"fill": "out", "fill_byte": 0}, {"fill": "flat", "fill_byte": 0}]} for c in (0, 1)
    ],
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ort")
    objects = add_objects(folder)
    objects.append(
        kernel_object("expand", EXPAND, [(True, "f32"), (True, "f32"), (False, "i64"), (False, "i64")], folder)
    )
    objects.append(kernel_object("fails", FAIL, [(True, "f32"), (True, "f32")], folder))
    return package(folder, [add_op(), EXPAND_OP, FAIL_OP, MIXED_OP], objects)


def model(
    nodes: list, inputs: dict[str, tuple[str, list | None]], outputs: list[str], domains: tuple[str, ...] = ("sample",)
) -> bytes:
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info(n, TYPES[t][0], shape) for n, (t, shape) in inputs.items()],
        [onnx.ValueInfoProto(name=n) for n in outputs],
    )  # fmt: skip
    imports = [helper.make_opsetid("", 21)] + [helper.make_opsetid(d, 1) for d in domains]
    return helper.make_model(graph, opset_imports=imports, ir_version=10).SerializeToString()


def session(data: bytes, *libraries: Path, threads: int = 2) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    for path in libraries:
        options.register_custom_ops_library(str(path))
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def add_node(domain: str = "sample", op: str = "add", out: str = "out", **attrs):
    return helper.make_node(op, ["x", "y"], [out], domain=domain, **attrs)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("shape", [(3, 5), (100_000,), (0, 4), ()])
def test_runs_every_combination(library: Path, dtype: str, shape: tuple[int, ...]) -> None:
    sizes = [f"d{i}" for i in range(len(shape))]
    s = session(model([add_node(alpha=0.5)], {"x": (dtype, sizes), "y": (dtype, sizes)}, ["out"]), library)
    assert s.get_outputs()[0].type == {"f32": "tensor(float)", "f64": "tensor(double)"}[dtype]
    x = np.arange(int(np.prod(shape)), dtype=TYPES[dtype][1]).reshape(shape)
    y = np.full_like(x, 2)
    (out,) = s.run(None, {"x": x, "y": y})
    assert out.dtype == x.dtype and out.shape == x.shape
    np.testing.assert_array_equal(out, np.asarray(x + 1))


def test_attribute_default_and_int_for_float(library: Path) -> None:
    x = np.ones((4,), np.float32)
    for attrs, expected in (({}, 2), ({"alpha": 3}, 4), ({"alpha": 2.5}, 3.5)):
        s = session(model([add_node(**attrs)], {"x": ("f32", [4]), "y": ("f32", [4])}, ["out"]), library)
        np.testing.assert_array_equal(s.run(None, {"x": x, "y": x})[0], np.full((4,), expected, np.float32))


def test_unknown_rank(library: Path) -> None:
    s = session(model([add_node()], {"x": ("f32", None), "y": ("f32", None)}, ["out"]), library)
    x = np.ones((2, 3), np.float32)
    assert s.run(None, {"x": x, "y": x})[0].shape == (2, 3)


def test_lists_enums_and_shapes_of_attributes(library: Path) -> None:
    attrs = {"repeat": 3, "pads": [4, 5], "weights": [1.25], "mode": "far", "names": ["p", "q", "r"], "flag": 1}
    node = helper.make_node("expand", ["x"], ["out", "wide"], domain="sample", **attrs)
    s = session(model([node], {"x": ("f32", [3])}, ["out", "wide"]), library)
    assert [o.type for o in s.get_outputs()] == ["tensor(float)", "tensor(double)"]
    assert [o.shape for o in s.get_outputs()] == [[3, 5], [9]]
    x = np.arange(3, dtype=np.float32)
    out, wide = s.run(None, {"x": x})
    total = 4 + 5 + 12 + 100 + 1000 + 3
    np.testing.assert_array_equal(out, np.repeat(x + total, 5).reshape(3, 5))
    np.testing.assert_array_equal(wide, np.zeros(9))


def test_session_errors_are_ours(library: Path) -> None:
    f32 = {"x": ("f32", [4]), "y": ("f32", [4])}
    cases = [
        (model([add_node(alpha="one")], f32, ["out"]), "sample::add: attribute alpha: found a string, expected a float"),
        (model([add_node()], {"x": ("f32", [4]), "y": ("f32", [5])}, ["out"]), "x and y must have the same number of elements"),
        (
            model([add_node()], {"x": ("f32", [4]), "y": ("f64", [4])}, ["out"]),
            "sample::add: no combination of element types takes (x: f32, y: f64); expected (x: f32, y: f32) or (x: f64, y: f64)",
        ),
        (model([helper.make_node("expand", ["x"], ["out", "wide"], domain="sample")], {"x": ("f32", [4])}, ["out"]),
         "sample::expand: attribute repeat is missing and has no default"),
        (model([helper.make_node("expand", ["x"], ["out", "wide"], domain="sample", repeat=1)], {"x": ("f32", [4, 4])}, ["out"]),
         "sample::expand: x has rank 2, expected 1"),
        (model([helper.make_node("expand", ["x"], ["out", "wide"], domain="sample", repeat=1, mode="round")], {"x": ("f32", [4])}, ["out"]),
         "sample::expand: attribute mode: found 'round', expected one of 'near', 'far'"),
    ]  # fmt: skip
    for data, text in cases:
        with pytest.raises(Exception) as caught:
            session(data, library)
        assert text in str(caught.value)


def test_run_errors_are_ours(library: Path) -> None:
    s = session(model([add_node()], {"x": ("f32", ["n"]), "y": ("f32", ["m"])}, ["out"]), library)
    with pytest.raises(Exception, match="x and y must have the same number of elements"):
        s.run(None, {"x": np.ones(3, np.float32), "y": np.ones(4, np.float32)})
    node = helper.make_node("fails", ["x"], ["out"], domain="sample")
    s = session(model([node], {"x": ("f32", ["n"])}, ["out"]), library)
    with pytest.raises(
        Exception,
        match="sample::fails: kernel fails: fails.py:7: device assertion failed: x is odd, in program .5, 0, 0. of kernel 'fails'",
    ):
        s.run(None, {"x": np.ones(1000, np.float32)})
    s.run(None, {"x": np.ones(3, np.float32)})  # the session goes on


def test_many_runs_at_once(library: Path) -> None:
    s = session(model([add_node()], {"x": ("f32", ["n"]), "y": ("f32", ["n"])}, ["out"]), library, threads=2)
    bad: list[int] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(30):
            x, y = rng.standard_normal((2, int(rng.integers(0, 20_000))), np.float32)
            if not np.array_equal(s.run(None, {"x": x, "y": y})[0], x + y):
                bad.append(seed)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not bad


def at(address: int, values: np.ndarray) -> np.ndarray:
    """The same elements, at an address that is this many bytes behind a multiple of 64."""
    memory = np.empty(values.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + address
    array = memory[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    array[...] = values
    return array


def test_calls_after_the_first_take_what_is_right_for_them(tmp_path: Path) -> None:
    """A node keeps what its first calls were resolved to: other sizes and addresses must not get it."""
    fast = kernel_object(
        "add.fast", ADD % {"c": "float", "bias": 100}, [(True, "f32")] * 3 + [(False, "i32"), (False, "f32")], tmp_path
    )
    op = add_op()
    op["valid"] = "numel(x) == numel(y) and numel(x) != 5"
    op["plans"][0]["launches"][0]["variants"].insert(
        0, {"kernel": "add.fast", "guards": ["arg 0..2 % 64 == 0", "arg 3 % 16 == 0"]}
    )
    library = package(tmp_path, [op], [*add_objects(tmp_path), fast])
    opened = session(model([add_node()], {"x": ("f32", ["n"]), "y": ("f32", ["m"])}, ["out"]), library)
    random = np.random.default_rng(1)

    def check(n: int, address: int) -> None:
        values = np.random.default_rng(n + address).random((2, n), np.float32)
        x, y = at(address, values[0]), at(0, values[1])
        fast = address % 64 == 0 and n % 16 == 0
        np.testing.assert_allclose(opened.run(None, {"x": x, "y": y})[0], x + y + (100 if fast else 0), rtol=1e-6)

    for n, address in [
        (16, 0),
        (16, 0),
        (16, 4),
        (16, 64),
        (16, 4),
        (17, 0),
        (17, 4),
        (17, 0),
        (0, 0),
        (0, 0),
        (1, 4),
        (1, 0),
    ]:
        check(n, address)
    for _ in range(300):
        check(int(random.choice([0, 1, 4, 16, 17, 32, 48, 64, 100])), int(random.choice([0, 4, 32])))
    for _ in range(3):
        with pytest.raises(Exception, match="x and y must have the same number of elements"):
            opened.run(None, {"x": np.zeros(5, np.float32), "y": np.zeros(5, np.float32)})
        with pytest.raises(Exception, match="x and y must have the same number of elements"):
            opened.run(None, {"x": np.zeros(16, np.float32), "y": np.zeros(17, np.float32)})
        check(16, 0)
    opened = session(model([add_node()], {"x": ("f32", ["n"]), "y": ("f32", ["m"])}, ["out"]), library)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(check, [16, 17, 64, 3, 16, 32, 4, 16] * 20, [0, 4, 0, 32] * 40))


def test_memory_that_the_caller_binds_is_checked_in_every_call(library: Path) -> None:
    opened = session(model([add_node()], {"x": ("f32", ["n"]), "y": ("f32", ["n"])}, ["out"]), library)
    memory = np.arange(64, dtype=np.float32)

    def run(x: int, out: int) -> np.ndarray:
        binding = opened.io_binding()
        for name, first in (("x", x), ("y", memory.ctypes.data)):
            binding.bind_input(name, "cpu", 0, np.float32, (16,), first)
        binding.bind_output("out", "cpu", 0, np.float32, (16,), out)
        opened.run_with_iobinding(binding)
        return memory[32:48].copy()

    start = memory.ctypes.data
    for _ in range(3):
        np.testing.assert_array_equal(run(start, start + 128), 2 * np.arange(16))
        with pytest.raises(Exception, match="output out overlaps input x"):
            run(start + 64, start + 72)
        with pytest.raises(Exception, match="x has no data"):
            run(0, start + 128)


def test_libraries_share_a_domain(library: Path, tmp_path: Path) -> None:
    """Two libraries with one namespace in one session, in both orders, and the same library twice."""
    other = package(tmp_path / "other", [add_op("plus")], add_objects(tmp_path / "other"), library="libother.so")
    nodes = [add_node(out="a"), helper.make_node("plus", ["a", "y"], ["out"], domain="sample")]
    data = model(nodes, {"x": ("f32", [4]), "y": ("f32", [4])}, ["out"])
    x = np.ones((4,), np.float32)
    for order in ((library, other), (other, library), (library, other, library)):
        np.testing.assert_array_equal(session(data, *order).run(None, {"x": x, "y": x})[0], np.full(4, 3, np.float32))


def test_one_op_in_two_libraries_is_refused(library: Path, tmp_path: Path) -> None:
    other = package(tmp_path / "o", [add_op()], add_objects(tmp_path / "o", bias=5), library="libother.so")
    options = ort.SessionOptions()
    options.register_custom_ops_library(str(library))
    with pytest.raises(
        Exception, match="sample::add is in two libraries of this session: .*libtest.so and .*libother.so"
    ):
        options.register_custom_ops_library(str(other))


def test_two_namespaces_in_one_library(tmp_path: Path) -> None:
    library = package(tmp_path, [add_op(), add_op(ns="second")], add_objects(tmp_path))
    nodes = [add_node(out="a"), helper.make_node("add", ["a", "y"], ["out"], domain="second")]
    data = model(nodes, {"x": ("f32", [4]), "y": ("f32", [4])}, ["out"], ("sample", "second"))
    x = np.ones((4,), np.float32)
    np.testing.assert_array_equal(session(data, library).run(None, {"x": x, "y": x})[0], np.full(4, 3, np.float32))


def test_several_sessions_in_one_process(library: Path) -> None:
    data = model([add_node()], {"x": ("f32", [4]), "y": ("f32", [4])}, ["out"])
    sessions = [session(data, library) for _ in range(5)]
    x = np.ones((4,), np.float32)
    for s in sessions:
        np.testing.assert_array_equal(s.run(None, {"x": x, "y": x})[0], x * 2)
    del sessions
    session(data, library).run(None, {"x": x, "y": x})


def test_plugin_needs_nothing_of_python(library: Path) -> None:
    """In a fresh process without opwright on its path."""
    data = model([add_node()], {"x": ("f32", [4]), "y": ("f32", [4])}, ["out"])
    (library.parent / "m.onnx").write_bytes(data)
    code = (
        "import sys, numpy as np, onnxruntime as ort\n"
        "o = ort.SessionOptions(); o.register_custom_ops_library(sys.argv[1])\n"
        "s = ort.InferenceSession(sys.argv[2], o); x = np.ones(4, np.float32)\n"
        "assert (s.run(None, {'x': x, 'y': x})[0] == 2).all() and 'opwright' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-I", "-c", code, str(library), str(library.parent / "m.onnx")], check=True, timeout=60
    )


# ---- operators of every form (op_kit.py)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return op_kit.build(tmp_path_factory.mktemp("kit"))


def kit_session(
    kit: Path,
    op: str,
    inputs: dict[str, tuple[str, list | None]],
    outputs: list[str],
    names: list[str] | None = None,
    **attrs,
) -> ort.InferenceSession:
    """A model of one node whose inputs are the model's; `names` are the node's, where they differ."""
    node = helper.make_node(op, list(inputs) if names is None else names, outputs, domain="sample", **attrs)
    return session(model([node], inputs, [o for o in outputs if o]), kit)


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


@pytest.mark.parametrize("dtype", sorted(TYPES))
def test_every_element_type(kit: Path, dtype: str) -> None:
    s = kit_session(kit, "copy", {"x": (dtype, None)}, ["out"])
    for shape in ((), (0,), (7,), (2, 0, 3), (3, 5)):
        x = (np.arange(int(np.prod(shape))) % 2).astype(TYPES[dtype][1]).reshape(shape)
        (out,) = s.run(None, {"x": x})
        assert out.dtype == x.dtype and out.shape == x.shape and out.tobytes() == x.tobytes()


@pytest.mark.parametrize("element", ["BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E5M2", "FLOAT8E4M3FNUZ", "FLOAT8E5M2FNUZ"])
def test_element_types_that_numpy_lacks(kit: Path, element: str) -> None:
    """By way of ONNX's own casts."""
    nodes = [
        helper.make_node("Cast", ["x"], ["small"], to=getattr(TensorProto, element)),
        helper.make_node("copy", ["small"], ["copied"], domain="sample"),
        helper.make_node("Cast", ["copied"], ["out"], to=TensorProto.FLOAT),
    ]
    x = f32(-2, -0.5, 0, 1, 1.5, 96)  # in all of them
    s = session(model(nodes, {"x": ("f32", ["n"])}, ["out"]), kit)
    np.testing.assert_array_equal(s.run(None, {"x": x})[0], x)


ATTRIBUTES = [
    ({}, [-7, 1, 0, 12, 2, 3, 20, 2, 50, 6], (2, 3)),
    ({"i": 2**40, "flag": 0, "mode": "far", "type": "float16", "ints": [1, 2, 3], "bools": [1, 0, 2], "texts": ["x"], "text": "",
      "floats": [1.25, 2.0], "f": 2.0, "pair": [4, 5]}, [2**40, 0, 1, 10, 3, 3, 31, 1, 125, 8], (1, 2, 3)),
    ({"f": 2, "floats": [1, 2]}, [-7, 1, 0, 12, 2, 3, 20, 2, 100, 8], (2, 3)),
    ({"type": TensorProto.BFLOAT16}, [-7, 1, 0, 11, 2, 3, 20, 2, 50, 6], (2, 3)),
    ({"type": "f8e4m3b11fnuz"}, [-7, 1, 0, 18, 2, 3, 20, 2, 50, 6], (2, 3)),
    ({"plugin_namespace": "sample", "plugin_version": "1", "aot": 1}, [-7, 1, 0, 12, 2, 3, 20, 2, 50, 6], (2, 3)),
    ({"ints": np.array([4, 5], np.int64), "floats": np.array([0.25]), "bools": np.array([True, True])}, [-7, 1, 0, 12, 2, 5, 21, 2, 25, 6], (4, 5)),
    ({"ints": np.array([4, 5], np.int32), "floats": np.array([2], np.int64)}, [-7, 1, 0, 12, 2, 5, 20, 2, 200, 6], (4, 5)),
    ({"texts": ["s"] * 1000, "ints": [1] * 16}, [-7, 1, 0, 12, 16, 1, 20, 1000, 50, 6], (1,) * 16),
]  # fmt: skip


def as_attributes(given: dict) -> dict:
    """Arrays as tensors, as some exporters write lists."""
    return {k: onnx.numpy_helper.from_array(v) if isinstance(v, np.ndarray) else v for k, v in given.items()}


@pytest.mark.parametrize(("given", "values", "shape"), ATTRIBUTES)
def test_attributes_of_every_kind(kit: Path, given: dict, values: list[int], shape: tuple[int, ...]) -> None:
    s = kit_session(kit, "attributes", {}, ["out", "shaped"], **as_attributes(given))
    assert s.get_outputs()[1].shape == list(shape)  # the same attributes when shapes are inferred
    out, shaped = s.run(None, {})
    assert out.tolist() == values and shaped.shape == shape


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"i": 1.5}, "attribute i: found a float, expected an int"),
        ({"mode": "round"}, "attribute mode: found 'round', expected one of 'near', 'far'"),
        ({"mode": 1}, "attribute mode: found an int, expected a string"),
        ({"type": "float99"}, "attribute type: found 'float99', expected an element type: bool, i8, i16, i32, i64,"),
        ({"type": 99}, "attribute type: found 99, expected an element type: its name, or its number in ONNX"),
        ({"type": 2**32 + 1}, "attribute type: found 4294967297, expected an element type"),
        ({"type": [1.0]}, "attribute type: found floats, expected the name of an element type"),
        ({"ints": "ab"}, "attribute ints: found a string, expected ints"),
        ({"ints": [1.5]}, "attribute ints: found floats, expected ints"),
        ({"ints": np.array([1.5])}, "attribute ints: found a tensor, expected ints"),
        ({"i": np.array([1])}, "attribute i: found a tensor, expected an int"),
        ({"texts": [1]}, "attribute texts: found ints, expected strings"),
        ({"pair": [1]}, "attribute pair: found 1 elements, expected 2"),
    ],
)
def test_bad_attributes(kit: Path, given: dict, text: str) -> None:
    with pytest.raises(Exception) as caught:
        kit_session(kit, "attributes", {}, ["out", "shaped"], **as_attributes(given))
    assert f"sample::attributes: {text}" in str(caught.value)


def test_a_size_that_overflows_is_an_invalid_argument(kit: Path) -> None:
    s = kit_session(kit, "repeat", {"x": ("f32", ["n"]), "times": ("i64", [])}, ["out"])
    with pytest.raises(InvalidArgument, match="sample::repeat: out: instruction 2 .MUL. overflows"):
        s.run(None, {"x": f32(1, 2), "times": np.array(2**62)})


def test_optional_inputs_and_outputs(kit: Path) -> None:
    vector = ("f32", ["n"])
    for names, expected in (
        (["x", "y", "b"], [14, 25]),
        (["x"], [1101, 1102]),
        (["x", "", "b"], [104, 105]),
        (["x", "y"], [1011, 1022]),
    ):
        inputs = {n: vector for n in names if n}
        s = kit_session(kit, "maybe", inputs, ["out"], names)
        feed = {"x": f32(1, 2), "y": f32(10, 20), "b": f32(3)}
        assert s.run(None, {n: feed[n] for n in inputs})[0].tolist() == expected
    assert kit_session(kit, "stats", {"x": vector}, ["sum", "peak"]).run(None, {"x": f32(1, 5, 2)}) == [8, 5]
    assert kit_session(kit, "stats", {"x": vector}, ["sum"]).run(None, {"x": f32(1, 5, 2)}) == [8]
    assert kit_session(kit, "stats", {"x": vector}, ["sum", ""]).run(None, {"x": f32(1, 5, 2)}) == [8]


def test_variadic_inputs_and_outputs(kit: Path) -> None:
    names = [f"x{i}" for i in range(40)]
    s = kit_session(kit, "total", dict.fromkeys(names, ("f32", ["n"])), ["out"])
    assert s.run(None, {n: f32(*[i] * i) if i else f32(5) for i, n in enumerate(names)})[0].tolist() == [
        6,
        39,
        sum(range(40)),
    ]
    assert kit_session(kit, "total", {"x": ("f32", ["n"])}, ["out"]).run(None, {"x": f32(5)})[0].tolist() == [5, 0, 0]
    s = kit_session(kit, "several", {"x": ("f32", [1])}, ["a", "b", "c"])
    assert [o.shape for o in s.get_outputs()] == [[1]] * 3
    a, b, c = s.run(None, {"x": f32(5)})
    assert a.tolist() == [8] and b.shape == c.shape == (1,)
    with pytest.raises(Exception, match="found 70 inputs and 1 outputs, expected at most 64 of each"):
        kit_session(kit, "total", dict.fromkeys([f"x{i}" for i in range(70)], ("f32", ["n"])), ["out"])


@pytest.mark.parametrize("op", ["nonzero", "nonzero_once"])
def test_outputs_whose_sizes_depend_on_data(kit: Path, op: str) -> None:
    s = kit_session(kit, op, {"x": ("f32", ["m"])}, ["where", "count"])
    (size,) = s.get_outputs()[0].shape
    assert size.startswith("opw_") and size.endswith("_n") and s.get_outputs()[1].shape == []
    rng = np.random.default_rng(0)
    for x in (
        f32(),
        f32(0, 0),
        f32(0, 1, 0, 2, 3),
        np.ones(1000, np.float32),
        rng.integers(0, 2, 5000).astype(np.float32),
    ):
        where, count = s.run(None, {"x": x})
        np.testing.assert_array_equal(where, np.flatnonzero(x))
        assert count == len(where) and where.dtype == np.int64
    # what follows takes the size as it is
    nodes = [
        helper.make_node(op, ["x"], ["where", "count"], domain="sample"),
        helper.make_node("Add", ["where", "where"], ["out"]),
    ]
    s = session(model(nodes, {"x": ("f32", ["m"])}, ["out"]), kit)
    assert s.run(None, {"x": f32(0, 1, 1)})[0].tolist() == [2, 4]


@pytest.mark.parametrize("op", ["pairs", "compact_pairs"])
def test_a_counted_size_that_is_not_the_outermost(kit: Path, op: str) -> None:
    s = kit_session(kit, op, {"x": ("f32", ["m"])}, ["pairs", "count"])
    for values in ([0, 3, 0, 0, 5, 7], [1], [0], [], [2, 2]):
        x = f32(*values)
        np.testing.assert_array_equal(s.run(None, {"x": x})[0], np.array([np.flatnonzero(x), x[x != 0]], np.int64))


def test_bad_sizes_that_depend_on_data(kit: Path) -> None:
    for says in (4, -1):
        s = kit_session(kit, "lies", {"x": ("f32", ["m"])}, ["where", "count"], says=says)
        with pytest.raises(Exception, match=f"sample::lies: the kernel counted {says} for the size n, expected 0 to 3"):
            s.run(None, {"x": f32(1, 0, 1)})
    s = kit_session(kit, "unbounded", {"x": ("f32", ["m"])}, ["where", "count"])
    with pytest.raises(Exception, match="sample::unbounded: the size n has no upper bound"):
        s.run(None, {"x": f32(1)})


@pytest.mark.parametrize("op", ["add", "fails"])  # two types, and one
@pytest.mark.parametrize("shape", [(2, 2), (), (4,)])
def test_an_unknown_rank_is_not_taken_for_rank_0(library: Path, op: str, shape: tuple[int, ...]) -> None:
    """The host would fold Shape to what is inferred."""
    inputs = ["x", "x"] if op == "add" else ["x"]
    nodes = [helper.make_node(op, inputs, ["out"], domain="sample"), helper.make_node("Shape", ["out"], ["sizes"])]
    x = np.zeros(shape, np.float32)
    for declared in (None, [f"d{i}" for i in range(len(shape))]):
        s = session(model(nodes, {"x": ("f32", declared)}, ["out", "sizes"]), library)
        assert [a.shape for a in s.run(None, {"x": x})] == [shape, (len(shape),)]
    nodes = [helper.make_node("Reshape", ["flat", "as"], ["x"]), *nodes]
    s = session(model(nodes, {"flat": ("f32", ["n"]), "as": ("i64", ["k"])}, ["out", "sizes"]), library)
    out, sizes = s.run(None, {"flat": x.reshape(-1), "as": np.array(shape, np.int64)})
    assert out.shape == shape and sizes.tolist() == list(shape)


def test_an_unknown_rank_where_the_host_must_be_told_a_type(library: Path) -> None:
    nodes = [
        helper.make_node("mixed", ["x", "y"], ["out", "flat"], domain="sample"),
        helper.make_node("Shape", ["out"], ["sizes"]),
    ]
    outputs = ["out", "flat", "sizes"]
    for shape in ((), (2, 3)):
        declared = [f"d{i}" for i in range(len(shape))]
        for y in (None, ["n"]):  # of rank 1 in any case
            s = session(model(nodes, {"x": ("f64", declared), "y": ("i64", y)}, outputs), library)
            out, flat, sizes = s.run(None, {"x": np.ones(shape), "y": np.ones(5, np.int64)})
            assert out.dtype == flat.dtype == np.float64
            assert out.shape == shape and flat.shape == (5 * out.size,) and sizes.tolist() == list(shape)
    with pytest.raises(Exception, match="does not say which rank the input x has.* of the output out .*give the input"):
        session(model(nodes, {"x": ("f64", None), "y": ("i64", ["n"])}, outputs), library)


def test_host_inputs(kit: Path) -> None:
    s = kit_session(kit, "repeat", {"x": ("f32", ["n"]), "times": ("i64", [])}, ["out"])
    assert s.get_outputs()[0].shape[0].startswith("opw_")
    assert s.run(None, {"x": f32(1, 2), "times": np.array(2)})[0].tolist() == [1, 2, 1, 2]
    with pytest.raises(Exception, match="output out would have the size -2 in axis 0"):
        s.run(None, {"x": f32(1, 2), "times": np.array(-1)})


def test_in_place(kit: Path) -> None:
    """The host lets an output lie in an input that nobody else needs; an input of the model is never changed."""
    add, op = helper.make_node("add", ["x", "x"], ["a"], domain="sample"), "in_place"
    for nodes, input_of_model in (
        ([add, helper.make_node(op, ["a"], ["b"], domain="sample")], False),
        ([helper.make_node(op, ["x"], ["b"], domain="sample")], True),
    ):
        s = session(model([*nodes, helper.make_node("Neg", ["b"], ["out"])], {"x": ("f32", [4])}, ["out"]), kit)
        x = f32(9, 9, 9, 9)
        (out,) = s.run(None, {"x": x})
        assert out[0] == (0 if input_of_model else -1) and x[0] == 9
    twice = [helper.make_node("scale_", ["x"], ["a"], domain="sample", by=2.0), helper.make_node("scale_", ["a"], ["b"], domain="sample", by=3.0),
             helper.make_node("Add", ["a", "b"], ["out"])]  # fmt: skip
    s = session(model(twice, {"x": ("f32", ["n"])}, ["out", "b"]), kit)
    x = f32(1, 2)
    out, b = s.run(None, {"x": x})
    assert (out.tolist(), b.tolist(), x.tolist()) == ([8, 16], [6, 12], [1, 2])


def test_workspace_comes_from_the_host(kit: Path) -> None:
    s = kit_session(kit, "buffered", {"x": ("f32", ["n"])}, ["out"])
    for n in (0, 1, 1000, 100_000):
        x = np.arange(n, dtype=np.float32)
        np.testing.assert_array_equal(s.run(None, {"x": x})[0], x)


def test_no_memory_for_the_workspace(kit: Path) -> None:
    s = kit_session(kit, "greedy", {"x": ("f32", ["n"])}, ["out"])
    with pytest.raises(Exception, match="sample::greedy: no memory for 4000000000000000 bytes of workspace"):
        s.run(None, {"x": np.ones(1000, np.float32)})


def test_the_newest_version_is_that_of_every_opset(kit: Path) -> None:
    for opset in (1, 2, 7):
        graph = onnx.load_from_string(model([add_node()], {"x": ("f32", [1]), "y": ("f32", [1])}, ["out"]))
        graph.opset_import[1].version = opset
        s = session(graph.SerializeToString(), kit)
        assert s.run(None, {"x": f32(1), "y": f32(1)})[0].tolist() == [2]


def test_sixteen_threads(kit: Path) -> None:
    s = kit_session(kit, "nonzero", {"x": ("f32", ["m"])}, ["where", "count"])
    once = kit_session(kit, "nonzero_once", {"x": ("f32", ["m"])}, ["where", "count"])
    start, bad = threading.Barrier(16), []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        start.wait()
        for i in range(30):
            x = rng.integers(0, 3, int(rng.integers(0, 2000))).astype(np.float32)
            where, count = (s, once)[i % 2].run(None, {"x": x})
            if where.tolist() != np.flatnonzero(x).tolist() or count != len(where):
                bad.append(seed)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not bad


# ---- schemas


@pytest.fixture(scope="module")
def schemas(kit: Path) -> dict:
    import opwright

    made = opwright.onnx_schemas(kit)
    assert len(made) == len(op_kit.OPS)
    opwright.onnx_schemas(kit)  # again is fine
    return {(s.name, s.since_version): s for s in made}


def check(nodes: list, inputs: dict, outputs: list[str], opset: int = 1) -> dict[str, tuple]:
    """Element type and sizes of every value after a full check; "" for a size without value."""
    proto = onnx.load_from_string(model(nodes, inputs, outputs))
    proto.opset_import[1].version = opset
    inferred = onnx.shape_inference.infer_shapes(proto, strict_mode=True, check_type=True)
    del proto.graph.output[:]  # those of the inference have types, which the checker wants
    proto.graph.output.extend(inferred.graph.output)
    onnx.checker.check_model(proto, full_check=True, check_custom_domain=True)
    values = [*inferred.graph.value_info, *inferred.graph.output]
    return {
        v.name: (v.type.tensor_type.elem_type, [d.dim_value or d.dim_param for d in v.type.tensor_type.shape.dim])
        for v in values
    }


def test_schemas_know_types_and_sizes(schemas: dict) -> None:
    add = schemas["add", 2]
    assert add.domain == "sample" and "x + alpha * y" in add.doc and add.attributes["alpha"].default_value.f == 1.0
    assert [i.name for i in add.inputs] == ["x", "y"] and schemas["maybe", 1].inputs[
        1
    ].option == onnx.defs.OpSchema.FormalParameterOption.Optional
    assert "tensor(bfloat16)" in schemas["copy", 1].type_constraints[0].allowed_type_strs
    vector = {"x": ("f32", [3]), "y": ("f32", [3])}
    assert check([add_node(alpha=2.0)], vector, ["out"], 2)["out"] == (TensorProto.FLOAT, [3])
    node = helper.make_node(
        "attributes",
        [],
        ["out", "shaped"],
        domain="sample",
        ints=[5, 6],
        bools=[1],
        type="float16",
        aot=1,
        plugin_version="1",
    )
    assert check([node], {}, ["out", "shaped"])["shaped"] == (TensorProto.INT8, [5, 6])
    node = helper.make_node("nonzero", ["x"], ["where", "count"], domain="sample")
    found = check([node], {"x": ("f32", ["n"])}, ["where", "count"])
    assert (
        found["where"][0] == TensorProto.INT64
        and len(found["where"][1]) == 1
        and found["count"] == (TensorProto.INT64, [])
    )
    constant = helper.make_node("Constant", [], ["times"], value=helper.make_tensor("t", TensorProto.INT64, [], [4]))
    repeat = helper.make_node("repeat", ["x", "times"], ["out"], domain="sample")
    assert check([constant, repeat], {"x": ("f32", [3])}, ["out"])["out"] == (TensorProto.FLOAT, [12])
    several = helper.make_node("several", ["x"], ["a", "b"], domain="sample")
    assert check([several], {"x": ("f32", [3])}, ["a", "b"])["b"] == (TensorProto.FLOAT, [1])
    total = helper.make_node("total", ["x"] * 5, ["out"], domain="sample")
    assert check([total], {"x": ("f32", ["n"])}, ["out"])["out"] == (TensorProto.FLOAT, [3])
    maybe = helper.make_node("maybe", ["x", "", "x"], ["out"], domain="sample")
    assert check([maybe], {"x": ("f32", [3])}, ["out"])["out"] == (TensorProto.FLOAT, [3])
    copy = helper.make_node("copy", ["x"], ["out"], domain="sample")
    proto = onnx.load_from_string(model([copy], {"x": ("u16", None)}, ["out"]))
    (out,) = onnx.shape_inference.infer_shapes(proto, strict_mode=True, check_type=True).graph.output
    assert out.type.tensor_type.elem_type == TensorProto.UINT16 and not out.type.tensor_type.HasField("shape")


def test_schemas_refuse(schemas: dict) -> None:
    for nodes, inputs, text in (
        ([add_node()], {"x": ("f32", [3]), "y": ("f32", [4])}, "x and y must have the same number of elements"),
        (
            [add_node()],
            {"x": ("f64", [3]), "y": ("f64", [3])},
            "tensor(double)|no combination of element types|unsupported type",
        ),
        ([helper.make_node("add", ["x"], ["out"], domain="sample")], {"x": ("f32", [3])}, "input"),
        ([add_node(beta=1)], {"x": ("f32", [3]), "y": ("f32", [3])}, "beta"),
        ([helper.make_node("scale_", ["x"], ["out"], domain="sample")], {"x": ("f32", [3])}, "by"),
    ):
        with pytest.raises(Exception, match=text):
            check(nodes, inputs, ["out"])
