"""Plugins in TVM-FFI, through its stock package: kernels come from C, everything else is the product's."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from package_kit import INCLUDE, kernel_object, package

tvm_ffi = pytest.importorskip("tvm_ffi")
torch = pytest.importorskip("torch")

HERE = Path(__file__).parent
ADD = """{
  const %(c)s *x = (const %(c)s *)args->slots[0], *y = (const %(c)s *)args->slots[1];
  %(c)s *out = (%(c)s *)args->slots[2];
  int64_t n = (int64_t)args->slots[3], end = hi * 64 < n ? hi * 64 : n;
  float alpha;
  memcpy(&alpha, &args->slots[4], 4);
  for (int64_t i = lo * 64; i < end; i++) out[i] = x[i] + (%(c)s)alpha * y[i] + (%(c)s)%(bias)d;
  return 0;
}"""
COPY = """{
  memcpy((void *)args->slots[1], (const void *)args->slots[0], args->slots[2]);
  return 0;
}"""
# out[i] = slot i + 1 for as many slots as out has elements
SHOW = """{
  double *out = (double *)args->slots[0];
  for (int i = 0; i < 14; i++) out[i] = (double)(int64_t)args->slots[i + 1];
  memcpy(&out[14], &args->slots[15], 8);
  return 0;
}"""
# the sum of two rows, the second one by its stride
ROWS = """{
  const float *x = (const float *)args->slots[0];
  for (int64_t p = lo; p < hi; p++) ((float *)args->slots[1])[p] = x[(int64_t)args->slots[2] * p];
  return 0;
}"""
NONZERO = """{
  const float *x = (const float *)args->slots[0];
  int64_t *out = (int64_t *)args->slots[1], *count = (int64_t *)args->slots[2];
  for (int64_t i = 0; i < (int64_t)args->slots[3]; i++) if (x[i] != 0) out[(*count)++] = i;
  return 0;
}"""
FAIL = """{
  static const opw_cpu_site_t site = {sizeof site, 7, "fails.py", "fails", "x is odd", 0, 0, 0, OPW_NONE, 0, 0, 0};
  args->launch->fail(args->launch->ctx, &site, 0);
  return 1;
}"""

# element type: that of torch
TYPES = {
    "bool": torch.bool, "i8": torch.int8, "i16": torch.int16, "i32": torch.int32, "i64": torch.int64, "u8": torch.uint8,
    "u16": torch.uint16, "u32": torch.uint32, "u64": torch.uint64, "f16": torch.float16, "bf16": torch.bfloat16,
    "f32": torch.float32, "f64": torch.float64, "f8e4m3fn": torch.float8_e4m3fn, "f8e5m2": torch.float8_e5m2,
    "f8e4m3fnuz": torch.float8_e4m3fnuz, "f8e5m2fnuz": torch.float8_e5m2fnuz,
}  # fmt: skip
CODES = {"bool": 1, "f16": 10, "f32": 12}  # OPW_* of a dtype attribute


def launch(kernel: str, args: list[str], grid: str = "1") -> dict:
    return {"grid": [grid], "args": args, "variants": [{"kernel": kernel}]}


def add_op(name: str = "add", namespace: str = "sample") -> dict:
    args = ["ptr x", "ptr y", "ptr out", "numel(x)", "attr alpha"]
    return {
        "name": name, "namespace": namespace, "typevars": [{"name": "T", "types": ["f32", "f64"]}], "combos": [["f32"], ["f64"]],
        "inputs": [{"name": "x", "type": "T"}, {"name": "y", "type": "T"}],
        "outputs": [{"name": "out", "type": "T", "shape": "x[0:]"}],
        "attrs": [{"name": "alpha", "kind": "float", "default": 1.0}],
        "valid": "numel(x) == numel(y)", "valid_text": "x and y must have the same number of elements",
        "plans": [{"combo": i, "launches": [launch(f"add.{t}", args, "cdiv(numel(x), 64)")]} for i, t in enumerate(("f32", "f64"))],
    }  # fmt: skip


COPY_OP = {
    "name": "copy", "typevars": [{"name": "T", "types": list(TYPES)}], "combos": [[t] for t in TYPES],
    "inputs": [{"name": "x", "type": "T"}], "outputs": [{"name": "out", "type": "T", "shape": "x[0:]"}],
    "plans": [{"combo": i, "launches": [launch("copy", ["ptr x", "ptr out", "numel(x) * itemsize(x)"], "min(numel(x), 1)")]}
              for i in range(len(TYPES))],
}  # fmt: skip
# every kind of attribute, an optional and a variadic input
SHOW_OP = {
    "name": "show",
    "inputs": [{"name": "bias", "type": "f32", "optional": True}, {"name": "parts", "type": "f32", "rank": [0, 1], "variadic": True}],
    "outputs": [{"name": "out", "type": "f64", "shape": ["15"]}],
    "attrs": [
        {"name": "count", "kind": "int"}, {"name": "flag", "kind": "bool", "default": True},
        {"name": "label", "kind": "string", "default": "none"},
        {"name": "mode", "kind": "enum", "choices": ["near", "far away"], "default": "near"},
        {"name": "kind", "kind": "dtype", "default": "f32"}, {"name": "pads", "kind": "ints", "default": [7]},
        {"name": "flags", "kind": "bools", "default": []}, {"name": "names", "kind": "strings", "default": []},
        {"name": "weights", "kind": "floats", "default": [0.5]}, {"name": "pair", "kind": "ints", "list_length": 2, "default": [1, 2]},
        {"name": "scale", "kind": "float", "default": 0.25},
    ],
    "plans": [{"launches": [launch("show", [
        "ptr out", "present(bias)", "count(parts)", "attr count", "attr flag", "attr mode", "attr kind", "len(pads)",
        "select(len(pads) > 0, pads[-1], 0)", "len(flags)", "select(len(flags) > 1, flags[0] + 2 * flags[1], 0)", "len(names)",
        "len(weights)", "select(len(weights) > 0, floor(weights[-1] * 8), 0)", "pair[1]", "attr scale"])]}],
}  # fmt: skip
ROWS_OP = {
    "name": "first_column", "inputs": [{"name": "x", "type": "f32", "rank": 2, "strided": True}],
    "outputs": [{"name": "out", "type": "f32", "shape": ["x.0"]}],
    "plans": [{"launches": [launch("rows", ["ptr x", "ptr out", "stride x.0"], "x.0")]}],
}  # fmt: skip
NONZERO_OP = {
    "name": "nonzero", "inputs": [{"name": "x", "type": "f32", "rank": 1}],
    "outputs": [{"name": "indices", "type": "i64", "shape": ["n"]}, {"name": "count", "type": "i64", "shape": [], "size": True}],
    "sizes": [{"name": "n", "output": "count", "upper": "numel(x)"}],
    "plans": [{"launches": [{"fill": "count"}, launch("nonzero", ["ptr x", "ptr indices", "ptr count", "numel(x)"])]}],
}  # fmt: skip
DOUBLE_OP = {
    "name": "double_", "inputs": [{"name": "x", "type": "f32"}],
    "outputs": [{"name": "out", "type": "f32", "shape": "x[0:]", "alias": "x", "inplace": True}],
    "plans": [{"launches": [launch("add.f32", ["ptr out", "ptr out", "ptr out", "numel(out)", "1.0"], "cdiv(numel(out), 64)")]}],
}  # fmt: skip
GREEDY_OP = {
    "name": "greedy", "inputs": [{"name": "x", "type": "f32"}], "outputs": [{"name": "out", "type": "f32", "shape": "x[0:]"}],
    "plans": [{"workspace": [{"name": "room", "dtype": "i8", "elements": "numel(x) * 1125899906842624"}],
               "launches": [launch("copy", ["ptr x", "ptr out", "0"])]}],
}  # fmt: skip
FAIL_OP = {
    "name": "fails", "inputs": [{"name": "x", "type": "f32"}], "outputs": [{"name": "out", "type": "f32", "shape": "x[0:]"}],
    "plans": [{"launches": [launch("fails", ["ptr x", "ptr out"])]}],
}  # fmt: skip


def add_objects(folder: Path, bias: int = 0) -> list[dict]:
    folder.mkdir(parents=True, exist_ok=True)
    params = [(True, "f32")] * 3 + [(False, "i64"), (False, "f32")]
    return [kernel_object(f"add.{t}", ADD % {"c": c, "bias": bias}, params, folder) for t, c in (("f32", "float"), ("f64", "double"))]  # fmt: skip


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tvmffi")
    pointer, integer = (True, "f32"), (False, "i64")
    objects = add_objects(folder) + [
        kernel_object("copy", COPY, [pointer, pointer, integer], folder),
        kernel_object("show", SHOW, [(True, "f64"), *[integer] * 14, (False, "f64")], folder),
        kernel_object("rows", ROWS, [pointer, pointer, integer], folder),
        kernel_object("nonzero", NONZERO, [pointer, (True, "i64"), (True, "i64"), integer], folder),
        kernel_object("fails", FAIL, [pointer, pointer], folder),
    ]
    ops = [
        add_op(),
        add_op("sub"),
        add_op("sub", "other"),
        COPY_OP,
        SHOW_OP,
        ROWS_OP,
        NONZERO_OP,
        DOUBLE_OP,
        GREEDY_OP,
        FAIL_OP,
    ]
    return package(folder, ops, objects)


@pytest.fixture(scope="module")
def module(library: Path):
    return tvm_ffi.load_module(str(library))


def f32(*shape: int) -> np.ndarray:
    return np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)


def refused(call, *args) -> tuple[type, str]:
    with pytest.raises(Exception) as caught:
        call(*args)
    return type(caught.value), str(caught.value)


# ---- tensors of hosts


@pytest.mark.parametrize("shape", [(3, 5), (100_000,), (0, 4), ()])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_arrays(module, dtype, shape) -> None:
    x, y = f32(*shape).astype(dtype), np.full(shape, 2, dtype)
    out = np.full(shape, -1, dtype)
    assert module.add(x, y, 0.5, out) is None
    np.testing.assert_array_equal(out, x + 1)
    out[...] = -1
    module["sample__add"](*(tvm_ffi.from_dlpack(a) for a in (x, y)), 0.5, tvm_ffi.from_dlpack(out))
    np.testing.assert_array_equal(out, x + 1)


def test_torch_tensors_of_every_type(module) -> None:
    for name, dtype in TYPES.items():
        x = (
            torch.arange(24, dtype=torch.uint8).view(dtype).reshape(-1, 1)
            if dtype != torch.bool
            else torch.ones(5, 1, dtype=dtype)
        )
        out = torch.zeros_like(x)
        module.copy(x, out)
        assert torch.equal(out.view(torch.uint8), x.view(torch.uint8)), name


def test_torch_views_start_where_they_say(module) -> None:
    x, out = torch.arange(12.0).reshape(3, 4), torch.zeros(3, 4)
    module.add(x[1:], x[1:], 1.0, out[:2])
    assert out.tolist() == [*(2 * x[1:]).tolist(), [0] * 4]


def test_any_producer_of_dlpack(module) -> None:
    class Wrapped:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    x, out = f32(4), f32(4)
    module.add(Wrapped(x), Wrapped(np.ones(4, np.float32)), 3, Wrapped(out))
    np.testing.assert_array_equal(out, x + 3)


def test_strides_only_where_the_op_takes_them(module) -> None:
    x, out = f32(4, 6), np.zeros(4, np.float32)
    module.first_column(x[:, ::2], out)
    np.testing.assert_array_equal(out, x[:, 0])
    module.first_column(torch.from_numpy(x).t()[:4, 1:], out)
    np.testing.assert_array_equal(out, x[1, :4])
    kind, text = refused(module.add, x.T, f32(6, 4), 1.0, np.zeros((6, 4), np.float32))
    assert kind is ValueError
    assert text == "sample::add: x is not contiguous: the stride of axis 1 is 6, expected 1; pass a row-major copy"


# ---- arguments

DEFAULTS = (None,) * 10  # of show's attributes after count


def show(module, *args) -> list[float]:
    out = np.zeros(15)
    module.show(*args, out)
    return out.tolist()


def test_defaults_and_absent_inputs(module) -> None:
    assert show(module, None, [], 3, *DEFAULTS) == [0, 0, 3, 1, 0, CODES["f32"], 1, 7, 0, 0, 0, 1, 4, 2, 0.25]


def test_every_kind_of_attribute(module) -> None:
    one = np.ones(1, np.float32)
    attributes = (-5, False, "a label that is not short", "far away", "f16", [3, -4, 5], [True, False, True],
                  ("a", "a text that is not short"), [1, 2.5], (8, 9), 2)  # fmt: skip
    expected = [1, 3, -5, 0, 1, CODES["f16"], 3, 5, 3, 1, 2, 2, 20, 9, 2]
    assert show(module, one, [one, one, np.ones((), np.float32)], *attributes) == expected
    # the same from the containers and types of TVM-FFI and of torch
    attributes = (np.int64(-5), False, tvm_ffi.convert("short"), tvm_ffi.convert("far away"), torch.float16, tvm_ffi.Shape([3, -4, 5]),
                  tvm_ffi.Array([True, False, True]), tvm_ffi.List(["a", "b"]), tvm_ffi.Array([1, 2.5]), tvm_ffi.Array([8, 9]), np.float64(2))  # fmt: skip
    assert show(module, torch.ones(1), (torch.ones(1),) * 3, *attributes) == expected
    assert show(module, None, [], 1, None, None, None, tvm_ffi.dtype("bool"), *DEFAULTS[4:])[5] == CODES["bool"]
    assert show(module, None, [], 1, None, None, None, np.dtype("float16"), *DEFAULTS[4:])[5] == CODES["f16"]


def test_long_lists(module) -> None:
    pads = list(range(1000))
    assert show(module, None, [], 1, None, None, None, None, pads, *DEFAULTS[5:])[6:8] == [1000, 999]
    assert show(module, None, [], 1, None, None, None, None, tvm_ffi.Shape(pads * 5), *DEFAULTS[5:])[6:8] == [5000, 999]
    kind, text = refused(show, module, None, [], 1, None, None, None, None, pads, [True] * 25, *DEFAULTS[6:])
    assert kind is ValueError and text == (
        "sample::show: attribute flags: found 25 elements after 1000 of other lists, expected at most 1024 in all lists of a call; pass ints as a shape"
    )


VALUES = {
    "an int": 1, "a float": 1.5, "a bool": True, "a str": "a long enough text", "bytes": b"abc", "a tensor": f32(1), "a dtype": torch.int8,
    "a device": tvm_ffi.device("cpu"), "a shape": tvm_ffi.Shape([1]), "an int of more than 64 bits": 1 << 70, "a map": {"a": 1},
}  # fmt: skip
# of show: position, what is expected, which of VALUES it takes, an element that its list takes
ATTRIBUTES = {
    "count": (2, "an int", ["an int"], None), "flag": (3, "a bool", ["a bool"], None), "label": (4, "a str", ["a str"], None),
    "mode": (5, "a str", ["a str"], None), "kind": (6, "a dtype or its name", ["a dtype", "a str"], None),
    "pads": (7, "a list of ints or a shape", ["a shape"], 1), "flags": (8, "a list of bools", [], True),
    "names": (9, "a list of strs", [], "a"), "weights": (10, "a list of floats or ints", [], 1),
    "scale": (12, "a float or an int", ["a float", "an int"], None),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_wrong_kinds_of_attributes(module, name) -> None:
    at, expected, takes, element = ATTRIBUTES[name]
    arguments = [None, [], 1, *DEFAULTS]
    values = {what: value for what, value in VALUES.items() if what not in takes}
    if element is None:
        values["a list"] = []
    for found, value in values.items():
        arguments[at] = value
        assert refused(show, module, *arguments) == (
            TypeError,
            f"sample::show: attribute {name}: found {found}, expected {expected}",
        )
    if element is not None:
        arguments[at] = [element, b"xyz"]
        assert refused(show, module, *arguments) == (
            TypeError,
            f"sample::show: attribute {name}: found bytes at element 1, expected {expected}",
        )


def test_values_that_an_attribute_does_not_have(module) -> None:
    cases = [
        (5, "nea", "attribute mode: found 'nea', expected one of 'near', 'far away'"),
        (6, "float99", "attribute kind: found 'float99', expected an element type: bool, i8, i16, i32, i64, u8, u16, u32, u64, f16, bf16, f32, f64, "
            "f8e4m3fn, f8e5m2, f8e4m3fnuz, f8e5m2fnuz, f8e4m3b11fnuz, f8e8m0"),
        (11, [1, 2, 3], "attribute pair: found 3 elements, expected 2"),
        (2, None, "attribute count is missing and has no default"),
    ]  # fmt: skip
    for at, value, expected in cases:
        arguments = [None, [], 1, *DEFAULTS]
        arguments[at] = value
        assert refused(show, module, *arguments) == (ValueError, f"sample::show: {expected}")
    arguments = [None, [], 1, *DEFAULTS]
    arguments[6] = tvm_ffi.dtype("float32x4")
    kind, text = refused(show, module, *arguments)
    assert kind is TypeError and text.endswith("found a dtype of code 2, 32 bits and 4 lanes, which no kernel has")


def test_wrong_arity_names_the_signature(module) -> None:
    signature = "(x: Tensor, y: Tensor, alpha: float | None, out: Tensor)"
    x = f32(2)
    for arguments in ((), (x, x, 1.0), (x, x, 1.0, x, x)):
        assert refused(module.add, *arguments) == (
            TypeError,
            f"sample::add: found {len(arguments)} arguments, expected 4: {signature}",
        )
    assert refused(module.show, 1)[1] == (
        "sample::show: found 1 arguments, expected 14: (bias: Tensor | None, parts: list[Tensor], count: int, flag: bool | None, "
        "label: str | None, mode: str | None, kind: dtype | None, pads: list[int] | None, flags: list[bool] | None, "
        "names: list[str] | None, weights: list[float] | None, pair: list[int] | None, scale: float | None, out: Tensor)"
    )


def test_what_is_no_tensor(module) -> None:
    x, one = f32(2), np.ones(1, np.float32)
    cases = [
        (module.add, (None, x, 1, x), "sample::add: input x: found None, expected a tensor"),
        (module.add, (x, 3, 1, x), "sample::add: input y: found an int, expected a tensor"),
        (module.add, (x, x, 1, [x]), "sample::add: output out: found a list, expected a tensor"),
        (module.show, (1.5, [], 1, *DEFAULTS, x), "sample::show: input bias: found a float, expected a tensor or None"),
        (module.show, (None, one, 1, *DEFAULTS, x), "sample::show: input parts: found a tensor, expected a list of tensors"),
        (module.show, (None, None, 1, *DEFAULTS, x), "sample::show: input parts: found None, expected a list of tensors"),
        (module.show, (None, [one, "a"], 1, *DEFAULTS, x), "sample::show: input parts: found a str in the list, expected a tensor"),
    ]  # fmt: skip
    for call, arguments, expected in cases:
        assert refused(call, *arguments) == (TypeError, expected)
    assert refused(module.show, None, [one] * 256, 1, *DEFAULTS, x) == (
        ValueError,
        "sample::show: input parts: found 256 tensors, expected at most 255",
    )


def test_refusals_of_the_runtime_have_their_exception(module) -> None:
    x = f32(4)
    cases = [
        (module.add, (x, x[:3], 1, f32(4)), ValueError, "sample::add: x and y must have the same number of elements"),
        (module.add, (x, x, 1, f32(5)), ValueError, "sample::add: output out is [5], expected [4]"),
        (module.add, (x, x, 1, x), ValueError, "sample::add: output out overlaps input x; give it memory of its own"),
        (module.add, (x, x.astype(np.int32), 1, f32(4)), TypeError,
         "sample::add: no combination of element types takes (x: f32, y: i32, out: f32); expected (x: f32, y: f32, out: f32) or "
         "(x: f64, y: f64, out: f64)"),
        (module.greedy, (x, f32(4)), MemoryError, "sample::greedy: no memory for 4503599627370496 bytes of workspace"),
        (module.fails, (x, f32(4)), RuntimeError, "sample::fails: kernel fails: fails.py:7: device assertion failed: x is odd, in program (0, 0, 0) of kernel 'fails'"),
    ]  # fmt: skip
    for call, arguments, kind, expected in cases:
        found, text = refused(call, *arguments)
        assert (found, text) == (kind, expected)
    np.testing.assert_array_equal(x, f32(4))


def test_sizes_that_depend_on_data(module) -> None:
    x = np.array([0, 1, 0, 2, 3], np.float32)
    indices, count = np.full(5, -1), np.full((), -1)
    module.nonzero(x, indices, count)
    assert count == 3 and indices.tolist() == [1, 3, 4, -1, -1]
    assert refused(module.nonzero, x, indices[:4], count) == (
        ValueError,
        "sample::nonzero: output indices is [4], expected room for [5]",
    )
    module.nonzero(x[:0], indices[:0], count)
    assert count == 0


def test_in_place(module) -> None:
    x = torch.arange(70.0)
    other = torch.zeros(70)
    module.double_(x, other)
    assert torch.equal(x, torch.arange(70.0)) and torch.equal(other, 2 * x)
    module.double_(x, x)
    assert torch.equal(x, other)


# ---- libraries and processes


def test_names(module, library) -> None:
    out = subprocess.run(["nm", "-D", "--defined-only", library], check=True, text=True, capture_output=True).stdout
    names = {line.split()[-1].removeprefix("__tvm_ffi_") for line in out.splitlines() if "__tvm_ffi_" in line}
    short = {"add", "copy", "show", "first_column", "nonzero", "double_", "greedy", "fails"}
    assert names == short | {f"sample__{n}" for n in short} | {"sample__sub", "other__sub"}
    with pytest.raises(AttributeError):
        _ = module.sub
    x, out = f32(3), np.zeros(3, np.float32)
    module.other__sub(x, x, 1, out)
    np.testing.assert_array_equal(out, 2 * x)


def test_two_libraries_with_one_op(module, tmp_path) -> None:
    biased = tvm_ffi.load_module(str(package(tmp_path, [add_op()], add_objects(tmp_path, bias=100))))
    x = f32(5)
    for _ in range(2):
        for each, bias in ((module, 0), (biased, 100)):
            out = np.zeros(5, np.float32)
            each.add(x, x, 1, out)
            np.testing.assert_array_equal(out, 2 * x + bias)


def test_the_page(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(package(tmp_path, [add_op()], add_objects(tmp_path), library="libadd.so").parent)
    page = (HERE.parents[1] / "docs/abi.md").read_text()
    (block,) = (b for b in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) if "tvm_ffi" in b)
    names: dict = {}
    exec(block, names)
    assert (names["out"] == 3).all()


def test_a_function_outlives_its_module(library) -> None:
    add = tvm_ffi.load_module(str(library)).add
    gc.collect()
    out = np.zeros(2, np.float32)
    add(f32(2), f32(2), 1, out)
    assert out.tolist() == [0, 2]


def test_sixteen_threads(module) -> None:
    wrong: list[object] = []

    def work(seed: int) -> None:
        x, y, out = torch.full((5000,), float(seed)), torch.ones(5000), torch.zeros(5000)
        for i in range(50):
            module.add(x, y, float(i), out)
            if not torch.equal(out, x + i):
                wrong.append((seed, i))
            try:
                module.add(x, y, str(seed), out)
            except TypeError as e:
                if "found a str" not in str(e):
                    wrong.append(e)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_variables_of_the_environment_count(library) -> None:
    code = (
        "import sys, numpy as np, tvm_ffi\n"
        "x = np.ones(2, np.float32)\n"
        "try: tvm_ffi.load_module(sys.argv[1]).add(x, x, 1, np.ones(2, np.float32))\n"
        "except RuntimeError as e: print(e)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, library], text=True, capture_output=True, env={"OPW_CPU_LEVEL": "x86-64-v2"}
    )
    assert done.stdout.startswith("sample::add: this CPU has the level x86-64-v2"), done.stderr


def test_no_allocation_on_the_way_and_no_need_of_tvm_ffi(library, tmp_path) -> None:
    program = tmp_path / "count"
    source = HERE / "count_allocations.c"
    subprocess.run(["cc", "-O1", "-rdynamic", f"-I{INCLUDE}", source, "-o", program, "-ldl"], check=True)
    done = subprocess.run([program, library], text=True, capture_output=True)
    assert (done.returncode, done.stdout) == (0, "0 -1\n")


def test_declarations_are_those_of_the_installed_package() -> None:
    from tvm_ffi.libinfo import find_dlpack_include_path, find_include_path

    folders = [HERE.parents[1] / "runtime", INCLUDE, find_include_path(), find_dlpack_include_path()]
    subprocess.run(
        ["c++", "-std=c++20", "-fsyntax-only", "-Wno-enum-compare", *(f"-I{f}" for f in folders), HERE / "tvm_ffi_abi.cpp"],
        check=True,
    )  # fmt: skip
