"""Plugins as custom-op libraries of the real ONNX Runtime: kernels come from C, everything else is the product's."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper  # noqa: E402
from package_kit import kernel_object, package  # noqa: E402

TYPES = {
    "f32": (TensorProto.FLOAT, np.float32),
    "f64": (TensorProto.DOUBLE, np.float64),
    "i64": (TensorProto.INT64, np.int64),
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


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ort")
    objects = add_objects(folder)
    objects.append(
        kernel_object("expand", EXPAND, [(True, "f32"), (True, "f32"), (False, "i64"), (False, "i64")], folder)
    )
    objects.append(kernel_object("fails", FAIL, [(True, "f32"), (True, "f32")], folder))
    return package(folder, [add_op(), EXPAND_OP, FAIL_OP], objects)


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
