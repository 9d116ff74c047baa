"""`opwright.load`: operators of every form that plugin.h can say, called with NumPy arrays and torch tensors."""

from __future__ import annotations

import inspect
import pickle
import re
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ml_dtypes
import numpy as np
import op_kit
import pytest
import torch
from plugin_gen_kit import compile_fake_plugin

import opwright
from opwright.loader import PluginError, PluginTypeError, PluginValueError
from opwright.native import numpy_dtype

NUMPY = {
    "f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64", "f8e8m0": "float8_e8m0fnu", "bool": "bool",
    **{f"{k}{n}": f"{name}{n}" for k, name in (("i", "int"), ("u", "uint")) for n in (8, 16, 32, 64)},
    **{f"f8{n}": f"float8_{n}" for n in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz", "e4m3b11fnuz")},
}  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return op_kit.build(tmp_path_factory.mktemp("load"))


@pytest.fixture(scope="module")
def lib(path):
    return opwright.load(path)


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def same(found, expected) -> None:
    assert (
        type(found) is type(expected) and found.dtype == expected.dtype and tuple(found.shape) == tuple(expected.shape)
    )
    assert np.asarray(found).tobytes() == np.asarray(expected).tobytes()


# ---- arrays


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (3, 5), (2, 0, 3), (1, 2, 1, 2, 1, 2)])
@pytest.mark.parametrize("name", op_kit.DTYPES)
def test_every_element_type_in_numpy(lib, name, shape):
    count = int(np.prod(shape))
    dtype = numpy_dtype(NUMPY[name])
    x = (np.arange(count * dtype.itemsize) % 2).astype(np.uint8).view(dtype).reshape(shape)
    out = lib.copy(x)
    same(out, x)
    assert not np.shares_memory(out, x)


@pytest.mark.parametrize("name", [n for n in op_kit.DTYPES if hasattr(torch, NUMPY[n])])
def test_every_element_type_in_torch(lib, name):
    dtype = getattr(torch, NUMPY[name])
    for shape in ((), (0,), (7,), (3, 5)):
        count = int(np.prod(shape)) * dtype.itemsize
        x = (torch.arange(count) % 2).to(torch.uint8).view(dtype).reshape(shape)
        out = lib.copy(x)
        assert type(out) is torch.Tensor and out.dtype is dtype and out.shape == x.shape
        assert torch.equal(out.reshape(-1).view(torch.uint8), x.reshape(-1).view(torch.uint8))


def test_other_arrays(lib):
    jax = pytest.importorskip("jax.numpy")
    same(lib.add(jax.arange(3, dtype="float32"), f32(1, 1, 1)), f32(1, 2, 3))

    class Sub(np.ndarray):
        pass

    class OldTorch(torch.Tensor):  # a torch from before the table of C functions
        __dlpack_c_exchange_api__ = None

    same(lib.add(f32(1).view(Sub), f32(2)), f32(3))
    old = torch.ones(3).as_subclass(OldTorch)
    out = lib.add(old, old)
    assert type(out) is torch.Tensor and out.tolist() == [2, 2, 2]
    same(lib.add(torch.nn.Parameter(torch.ones(2), requires_grad=False), torch.ones(2)), torch.full((2,), 2.0))


def test_a_dtype_object_of_its_own(lib):
    """Unpickled arrays have dtype objects that are not NumPy's own."""
    x = np.arange(3, dtype=np.dtype("f4", metadata={"unit": "m"}))
    assert x.dtype is not np.dtype("f4")
    same(lib.add(x, x), f32(0, 2, 4))
    same(lib.add(*pickle.loads(pickle.dumps((f32(1), f32(2))))), f32(3))


def test_outputs_are_aligned(lib):
    for x in (f32(*range(10)), torch.arange(10.0)):
        kept = [lib.every_other(x[::2]) for _ in range(20)]
        addresses = [k.ctypes.data if isinstance(k, np.ndarray) else k.data_ptr() for k in kept]
        assert all(a % 256 == 0 for a in addresses) and all(k.tolist() == [0, 2, 4, 6, 8] for k in kept)


def test_strides(lib):
    same(lib.every_other(f32(0, 1, 2, 3, 4)[::-2]), f32(4, 2, 0))
    packed = np.zeros(4, np.dtype([("a", "u1"), ("b", "f4")]))
    with pytest.raises(ValueError, match="input 'x' has a stride of 5 bytes over elements of 4"):
        lib.every_other(packed["b"])


# ---- arguments


def test_optional_inputs(lib):
    x, y, b = f32(1, 2), f32(10, 20), f32(3)
    same(lib.maybe(x, y, b), f32(14, 25))
    same(lib.maybe(x), f32(1101, 1102))
    same(lib.maybe(x, None, b), f32(104, 105))
    same(lib.maybe(x, y, None), f32(1011, 1022))
    same(lib.maybe(bias=b, x=x), f32(104, 105))
    assert lib.maybe(torch.ones(1), bias=torch.ones(1)).tolist() == [102]


def test_variadic_inputs(lib):
    x = f32(5)
    same(lib.total(x), f32(5, 0, 0))
    same(lib.total(x, f32(1)), f32(6, 1, 1))
    same(lib.total(x, f32(1), f32(2, 2), f32(3, 3, 3)), f32(6, 3, 6))
    same(lib.total(x, rest=[f32(1), f32(2, 2)]), f32(6, 2, 3))
    same(lib.total(x, *[f32(1)] * 200), f32(6, 200, 200))
    for call, text in (
        (lambda: lib.total(x, *[x] * 300), "found 301 inputs"),
        (lambda: lib.total(x, x, rest=[x]), "input 'rest' is given twice"),
        (lambda: lib.total(x, rest=x), "input 'rest' is numpy.ndarray, expected a list of arrays"),
        (lambda: lib.total(x, None), "input 'rest' is NoneType"),
        (lambda: lib.total(), "input 'x' is missing, expected (x, *rest)"),
    ):
        with pytest.raises(TypeError, match=re.escape(text)):
            call()


def attributes(lib, **given):
    values, shaped = lib.attributes(**given)
    return values.tolist(), shaped.shape


def test_attributes_of_every_kind(lib):
    # i, flag, mode, type, len(ints), ints[-1], 10 * len(bools) + bools[0], len(texts), floor(100 * floats[0]), 4 * f
    assert attributes(lib) == ([-7, 1, 0, 12, 2, 3, 20, 2, 50, 6], (2, 3))
    everything = {
        "i": 2**40, "flag": False, "mode": "far", "type": np.float16, "ints": (1, 2, 3), "bools": [True, False, True],
        "texts": ["x"], "text": "", "floats": [1.25, 2], "f": 2, "pair": [4, 5],
    }  # fmt: skip
    assert attributes(lib, **everything) == ([2**40, 0, 1, 10, 3, 3, 31, 1, 125, 8], (1, 2, 3))
    assert attributes(lib, ints=[], bools=(), texts=[], floats=[])[0][4:9] == [0, -1, 0, 0, -1]
    assert attributes(lib, i=np.int8(-3), flag=np.True_, f=np.float32(0.5))[0][:2] == [-3, 1]
    for ints in (np.array([4, 5]), np.array([4, 5], np.uint8), torch.tensor([4, 5]), [np.int16(4), 5], range(4, 6)):
        assert attributes(lib, ints=ints)[1] == (4, 5)
    for floats in (np.array([0.25]), torch.tensor([0.25]), [np.float32(0.25)]):
        assert attributes(lib, floats=floats)[0][8] == 25
    assert attributes(lib, bools=np.array([True, True]))[0][6] == 21
    assert attributes(lib, ints=[1] * 16, floats=[0.5] * 5000)[0][4] == 16


@pytest.mark.parametrize(
    "dtype", ["bf16", "bfloat16", torch.bfloat16, ml_dtypes.bfloat16, np.dtype(ml_dtypes.bfloat16)]
)
def test_dtype_attributes(lib, dtype):
    assert attributes(lib, type=dtype)[0][3] == 11


BAD_ATTRIBUTES = [
    ({"i": 1.5}, TypeError, "attribute 'i' is float, expected an integer"),
    ({"i": True}, TypeError, "attribute 'i' is bool, expected an integer"),
    ({"i": None}, TypeError, "attribute 'i' is NoneType"),
    ({"i": 2**64}, ValueError, "attribute 'i' is 18446744073709551616, expected -2^63 to 2^63 - 1"),
    ({"i": 2**63}, ValueError, "attribute 'i' is 9223372036854775808, expected -2^63 to 2^63 - 1"),
    ({"i": -(2**63) - 1}, ValueError, "expected -2^63 to 2^63 - 1"),
    ({"ints": [1, np.uint64(2**64 - 1)]}, ValueError, "attribute 'ints' is 18446744073709551615, expected -2^63 to 2^63 - 1"),
    ({"flag": 1}, TypeError, "attribute 'flag' is int, expected True or False"),
    ({"f": "1"}, TypeError, "attribute 'f' is str, expected a number"),
    ({"f": [1.0]}, TypeError, "attribute 'f' is list, expected a number"),
    ({"mode": "round"}, ValueError, "attribute mode: found 'round', expected one of 'near', 'far'"),
    ({"mode": 1}, TypeError, "attribute 'mode' is int, expected a string"),
    ({"type": "complex64"}, ValueError, "attribute type: found 'complex64', expected an element type"),
    ({"type": ">f4"}, ValueError, "attribute type: found '>f4', expected an element type"),
    ({"type": []}, ValueError, "expected an element type: a dtype of NumPy or torch, or a name such as 'float32'"),
    ({"ints": [1, 2.5]}, TypeError, "attribute 'ints'[1] is float, expected an integer"),
    ({"ints": 3}, TypeError, "attribute 'ints' is int, expected a list of integers"),
    ({"ints": np.array(3)}, TypeError, "attribute 'ints' is numpy.ndarray, expected a list of integers"),
    ({"ints": np.array([[1, 2]])}, TypeError, "attribute 'ints'[0] is numpy.ndarray, expected an integer"),
    ({"ints": [-1]}, ValueError, "output shaped would have the size -1 in axis 0"),
    ({"ints": [1] * 17}, ValueError, "shaped has more than 16 axes"),
    ({"bools": [0]}, TypeError, "attribute 'bools'[0] is int, expected True or False"),
    ({"texts": "ab"}, TypeError, "attribute 'texts' is str, expected a list of strings"),
    ({"texts": [b"a"]}, TypeError, "attribute 'texts'[0] is bytes, expected a string"),
    ({"text": "a\0b"}, ValueError, "attribute 'text' is str, expected a string without NUL"),
    ({"floats": ["x"]}, TypeError, "attribute 'floats'[0] is str, expected a number"),
    ({"pair": [1]}, ValueError, "attribute 'pair' has 1 elements, expected 2"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "kind", "text"), BAD_ATTRIBUTES)
def test_bad_attributes(lib, given, kind, text):
    with pytest.raises(kind) as caught:
        lib.attributes(**given)
    assert text in str(caught.value) and str(caught.value).startswith("sample::attributes: ")


@pytest.mark.parametrize(("n", "found"), [(1, r"\[1000000000000000\]"), (2000, r"\[2000000000000000000\]")])
def test_no_memory_for_an_output_as_large_as_its_bound(tmp_path, n, found):
    """Of more than there is, and of more than can be counted."""
    op = next(op for op in op_kit.OPS if op["name"] == "nonzero_once")
    sizes = [{"name": "n", "output": "count", "upper": "x.0 * 1000000000000000"}]
    huge = opwright.load(op_kit.build(tmp_path, [op | {"sizes": sizes}])).nonzero_once
    with pytest.raises(
        MemoryError, match=f"sample::nonzero_once: output 'where' is {found} at its bound, for which there is no memory"
    ):
        huge(np.ones(n, np.float32))


def test_bytes_and_tensors_as_attributes(root, tmp_path):
    """No request has them, but plugin.h does."""
    compile_fake_plugin(root, tmp_path / "libmore.so", "-DFAKE_MORE")
    peek = opwright.load(tmp_path / "libmore.so").peek
    assert peek(table=f32(7, 8)).tolist() == [3, 7] and peek(table=torch.tensor([5.0]), raw=b"").tolist() == [0, 5]
    assert "raw: bytes, default b'a\\x00b'" in peek.__doc__ and "table: Array, required" in peek.__doc__
    for given, text in (
        ({"table": 1.0}, "attribute 'table' is float, expected a NumPy array or a torch CPU tensor"),
        ({"table": f32(1), "raw": "a"}, "attribute 'raw' is str, expected bytes"),
        ({"table": np.array([1j])}, "attribute 'table' has the element type complex128"),
    ):
        with pytest.raises(TypeError, match=re.escape(text)):
            peek(**given)


@pytest.mark.parametrize("times", [3, np.int32(3), np.int64(3), np.array(3), np.array([3]), [3], (3,)])
def test_host_inputs(lib, times):
    expected = f32(1, 2, 1, 2, 1, 2)
    same(lib.repeat(f32(1, 2), times), expected)
    assert lib.repeat(torch.ones(2), times).shape == expected.shape


def test_bad_host_inputs(lib):
    x = f32(1)
    for times, kind, text in (
        (2.5, ValueError, "input 'times' is 2.5, expected i64"),
        (True, ValueError, "input 'times' is True, expected i64"),
        ("3", TypeError, "input 'times' is str, expected an array, a number or a list of numbers"),
        ([], ValueError, "outside"),
        (-1, ValueError, "output out would have the size -1 in axis 0"),
        (np.array(3, np.int32), TypeError, "no combination of element types takes (x: f32, times: i32)"),
        (2**62, ValueError, "output 'out' cannot be made: array is too big"),
        (2**50, MemoryError, "output 'out' cannot be made: Unable to allocate 4.00 PiB"),
    ):
        with pytest.raises(kind, match=re.escape(text)):
            lib.repeat(x, times)
    same(lib.repeat(torch.ones(1), np.array(2, np.int64)), torch.ones(2))


def test_no_inputs(lib):
    same(lib.full(n=3), np.full(3, 2.5))
    same(lib.full(n=0), np.zeros(0))
    out = torch.empty(2, dtype=torch.float64)
    assert lib.full(n=2, value=1.0, out=out) is out and out.tolist() == [1, 1]


def test_names_that_are_also_options_or_keywords(lib):
    same(lib.odd_names(f32(1), f32(2), tactic=3.0), f32(7))
    memory = f32(0)
    assert lib.odd_names(out=f32(1), out_=memory, tactic_=1, **{"lambda": f32(2)}) is memory
    same(memory, f32(3))
    with pytest.raises(ValueError):
        inspect.signature(lib.odd_names)
    assert "lambda" in lib.odd_names.__doc__


# ---- outputs


def test_memory_of_the_caller(lib):
    x = f32(1, 2, 3)
    out = np.empty(3, np.float32)
    assert lib.add(x, x, out=out) is out and out.tolist() == [2, 4, 6]
    assert lib.add(x, x, out=(out,)) is out
    same(lib.add(x, x, out=None), f32(2, 4, 6))
    tensor, other = torch.ones(3), torch.empty(3)
    version = other._version
    assert lib.add(tensor, tensor, out=other) is other and other.tolist() == [2, 2, 2] and other._version == version + 1
    assert lib.add(tensor, tensor, out=out) is out and out.tolist() == [2, 2, 2]  # memory is memory
    total, peak = np.empty((), np.float32), np.empty((), np.float32)
    result = lib.stats(x, out=(total, None))
    assert result[0] is total and total == 6 and result[1] == 3
    result = lib.stats(x, out=[None, peak])
    assert result[1] is peak and peak == 3
    assert lib.stats(x, out=(None, False)) == (6, None)


def test_bad_memory_of_the_caller(lib):
    x = f32(1, 2, 3)
    read_only = f32(0, 0, 0)
    read_only.flags.writeable = False
    jax = pytest.importorskip("jax.numpy")
    for out, kind, text in (
        (np.empty(4, np.float32), ValueError, "output out is [4], expected [3]"),
        (np.empty(3, np.float64), TypeError, "no combination of element types takes (x: f32, y: f32, out: f64)"),
        (np.empty(6, np.float32)[::2], ValueError, "out is not contiguous"),
        (read_only, ValueError, "output 'out' is read-only memory"),
        (jax.zeros(3), ValueError, "output 'out' is read-only memory"),
        (x, ValueError, "output out overlaps input x; give it memory of its own"),
        ([1.0, 2.0, 3.0], ValueError, "out has 3 arrays, expected 1"),
        (3, TypeError, "output 'out' is int, expected a NumPy array or a torch CPU tensor"),
        (False, ValueError, "output 'out' is not optional"),
        (torch.empty(3, device="meta"), TypeError, "output 'out' is on device 'meta', expected 'cpu'; pass x.cpu()"),
    ):
        with pytest.raises(kind, match=re.escape(text)):
            lib.add(x, x, out=out)
    with pytest.raises(TypeError, match="out is numpy.ndarray, expected a tuple of 2"):
        lib.stats(x, out=np.empty((), np.float32))
    with pytest.raises(ValueError, match="output 'sum' is not optional"):
        lib.stats(x, out=(False, None))


def test_in_place(lib):
    x = f32(1, 2)
    same(lib.scale_(x, by=2.0), f32(2, 4))
    assert x.tolist() == [1, 2]  # a call never changes its inputs by itself
    assert lib.scale_.inplace(x, by=2.0) is x and x.tolist() == [2, 4]
    assert lib.scale_(x, by=2.0, out=x) is x and x.tolist() == [4, 8]
    other = f32(0, 0)
    assert lib.scale_(x, by=2.0, out=other) is other and (x.tolist(), other.tolist()) == ([4, 8], [8, 16])
    assert lib.scale_.inplace(by=0.5, x=x) is x and x.tolist() == [2, 4]
    t = torch.ones(3)
    version = t._version
    assert lib.scale_.inplace(t, by=3.0) is t and t.tolist() == [3, 3, 3] and t._version == version + 1
    with torch.inference_mode():
        t = torch.ones(1)
        assert lib.scale_.inplace(t, by=2.0).tolist() == [2]
    x.flags.writeable = False
    with pytest.raises(ValueError, match="output 'y' is read-only memory, expected memory that may be written"):
        lib.scale_.inplace(x, by=1.0)
    with pytest.raises(TypeError, match="sample::add: no output may lie in the memory of an input"):
        lib.add.inplace(x, x)


@pytest.mark.parametrize("out", [torch.zeros(1, dtype=torch.complex64).conj().imag, torch._neg_view(torch.zeros(1))])
def test_memory_of_a_negated_view_is_not_written(lib, out):
    x = torch.ones(1)
    with pytest.raises(ValueError, match="output 'out' is a negated view of memory with other values"):
        lib.add(x, x, out=out)
    assert out.tolist() == [0]


def test_autograd_sees_that_a_tensor_was_changed(lib):
    w = torch.ones(2, requires_grad=True)
    x = torch.ones(2)
    y = (w * x).sum()
    lib.scale_.inplace(x, by=2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


@pytest.mark.parametrize("name", ["nonzero", "nonzero_once"])
@pytest.mark.parametrize("values", [[], [0, 0], [0, 1, 0, 2, 3], [1] * 1000, [0] * 9999 + [1]])
def test_outputs_whose_sizes_depend_on_data(lib, name, values):
    op = lib[f"sample::{name}"]
    x = f32(*values)
    expected = np.flatnonzero(x)
    where, count = op(x)
    same(where, expected)
    same(count, np.array(len(expected), np.int64))
    assert where.base is None  # no memory as large as the bound lives on
    where, count = op(torch.from_numpy(x))
    assert torch.equal(where, torch.from_numpy(expected)) and count.item() == len(expected)
    memory, counted = np.empty_like(expected), np.empty((), np.int64)
    found = op(x, out=(memory, counted))
    assert found[0] is memory and found[1] is counted and counted == len(expected)
    np.testing.assert_array_equal(memory, expected)


@pytest.mark.parametrize("name", ["pairs", "compact_pairs"])
def test_a_counted_size_that_is_not_the_outermost(lib, name):
    """The kernel lays rows out by the bound, or (compact) by what it counted."""
    for values in ([0, 3, 0, 0, 5, 7], [1], [0], [], [2, 2]):
        x = f32(*values)
        expected = np.array([np.flatnonzero(x), x[x != 0]], np.int64)
        pairs, count = lib[f"sample::{name}"](x)
        same(pairs, expected)
        memory = np.empty_like(expected)
        assert lib[f"sample::{name}"](x, out=(memory, None))[0] is memory and count == expected.shape[1]
        np.testing.assert_array_equal(memory, expected)


def test_bad_sizes_that_depend_on_data(lib):
    x = f32(1, 0, 1)
    for op, text in (
        (lib.nonzero, "output where is [3], expected [2]"),
        (lib.nonzero_once, "output 'where' is [3], expected a row-major array"),
    ):
        with pytest.raises(ValueError, match=re.escape(text)):
            op(x, out=(np.empty(3, np.int64), None))
        with pytest.raises(ValueError, match="output 'count' holds a size, expected an int64 array without axes"):
            op(x, out=(None, np.empty((0,), np.int64)))
    assert lib.lies(x, says=2)[0].shape == (2,)
    for says in (4, -1, 2**62):
        with pytest.raises(
            ValueError, match=f"sample::lies: the kernel counted {says} for the size n, expected 0 to 3"
        ):
            lib.lies(x, says=says)
    with pytest.raises(NotImplementedError, match="the size n has no upper bound"):
        lib.unbounded(x)


def test_variadic_outputs(lib):
    same(lib.several(f32(5))[0], f32(6))
    outs = lib.several(f32(5), out=[None, None, None])
    assert len(outs) == 3 and outs[0].tolist() == [8]
    memory = f32(0)
    assert lib.several(f32(5), out=(memory, None))[0] is memory
    with pytest.raises(ValueError, match="out has 0 arrays, expected at least 1"):
        lib.several(f32(5), out=())


# ---- which operator, and what it says of itself


def test_versions_and_tactics(lib):
    x = f32(1)
    assert lib.add(x, x)[0] == 2 and lib["sample::add@1"](x, x)[0] == 3 and lib["sample::add@2"] is lib.add
    assert lib.add is lib["sample::add"] and "sample::add@1" in lib and len(lib) == len(op_kit.OPS)
    assert lib.add(x, x, tactic=2)[0] == 3 and lib.add(x, x, tactic=0)[0] == 2 and lib.add.tactics[2] == "one more"
    with pytest.raises(PluginError, match="sample::add: the call asks for tactic 3"):
        lib.add(x, x, tactic=3)
    for tactic, text in ((-1, "tactic is -1, expected the number of a tactic"), ("1", "tactic is '1'")):
        with pytest.raises(ValueError, match=text):
            lib.add(x, x, tactic=tactic)
    for name in ("sample::add@3", "sample::mul", "add"):
        with pytest.raises(KeyError, match="has no operator"):
            lib[name]
    assert "add" in dir(lib) and "add@1" not in dir(lib)


def test_help(lib, capsys):
    text = lib.add.__doc__
    for part in (
        "sample::add(x, y, *, alpha: float = 1.0) -> out", "x + alpha * y", "x: f32, any rank. what is added to",
        "alpha: float, default 1.0. factor of y", "out: f32, [x[0:]]", "2: one more",
    ):  # fmt: skip
        assert part in text
    attrs = lib.attributes.__doc__
    for part in (
        "mode: Literal['near', 'far'], default 'near'",
        "pair: list[int], of length 2, default [0, 0]",
        "type: dtype, default 'f32'",
    ):
        assert part in attrs
    assert "inplace(...) puts outputs in the memory of inputs: y in that of x" in lib.scale_.__doc__
    assert "Element types that go together:\n    x bool, out bool\n" in lib.copy.__doc__
    assert "where: i64, [n]" in lib.nonzero.__doc__ and "out: f32, [value(times, 0) * x.0]" in lib.repeat.__doc__
    lib.add.help()
    help(lib.add)
    assert capsys.readouterr().out.count("factor of y") == 2
    assert (
        str(inspect.signature(lib.maybe))
        == "(x: 'Array', y: 'Array | None' = None, bias: 'Array | None' = None, *, out=None, tactic=0) -> 'Array'"
    )
    assert str(inspect.signature(lib.total)).startswith("(x: 'Array', *rest: 'Array', out=None")
    assert lib.total.signature() == "sample::total(x, *rest) -> out" and repr(lib.add).startswith(
        "<operator sample::add("
    )
    assert lib.maybe.inputs[1].optional and lib.scale_.outputs[0].alias == "x" and lib.repeat.inputs[1].host
    with pytest.raises(TypeError, match="sample::add cannot be pickled"):
        pickle.dumps(lib.add)


# ---- what is refused


WRONG = [
    (lambda x: ([1.0], x), TypeError, "input 'x' is list, expected a NumPy array, a torch CPU tensor or an array with __dlpack__"),
    (lambda x: (x, None), TypeError, "input 'y' is NoneType"),
    (lambda x: (x,), TypeError, "input 'y' is missing, expected (x, y); attributes go by keyword"),
    (lambda x: (x, x, x), TypeError, "found 3 inputs, expected (x, y)"),
    (lambda x: (x.astype(">f4"), x), TypeError, "input 'x' has the element type >f4"),
    (lambda x: (x.astype(np.complex64), x), TypeError, "input 'x' has the element type complex64"),
    (lambda x: (np.array(["a"]), x), TypeError, "input 'x' has the element type <U1"),
    (lambda x: (x, x.astype(np.float64)), PluginTypeError, "no combination of element types takes (x: f32, y: f64); expected (x: f32, y: f32)"),
    (lambda x: (x, x[:1]), PluginValueError, "x and y must have the same number of elements"),
    (lambda x: (x[::-1], x), PluginValueError, "x is not contiguous: the stride of axis 0 is -1, expected 1; pass a row-major copy"),
    (lambda x: (np.zeros((1,) * 20, np.float32), x), ValueError, "input 'x' has rank 20, expected at most 16"),
    (lambda x: (np.frombuffer(b"0" * 13, np.uint8)[1:].view(np.float32), x), PluginValueError, "expected a multiple of 4"),
    (lambda x: (x, torch.ones(3)), TypeError, "found NumPy arrays and torch tensors in one call, expected one kind"),
    (lambda x: (torch.ones(3, device="meta"),) * 2, TypeError, "input 'x' is on device 'meta', expected 'cpu'; pass x.cpu()"),
    (lambda x: (torch.ones(3).to_sparse(),) * 2, TypeError, "input 'x' has the layout torch.sparse_coo, expected a dense tensor"),
    (lambda x: (torch.ones(3, dtype=torch.complex64),) * 2, TypeError, "input 'x' has the element type complex64"),
    (lambda x: (torch.ones(3, requires_grad=True),) * 2, TypeError, "input 'x' requires a gradient, and this operator has none"),
    (lambda x: (torch.tensor([1 + 2j]).conj().imag[0],) * 2, ValueError, "input 'x' is a negated view of memory"),
    (lambda x: (torch.tensor([1 + 2j, 3j]).conj().imag,) * 2, ValueError, "input 'x' is a negated view of memory"),
    (lambda x: (torch.tensor([1 + 2j]).conj().imag,) * 2, ValueError, "input 'x' is a negated view of memory"),
    (lambda x: (torch._neg_view(torch.ones(3)),) * 2, ValueError, "input 'x' is a negated view of memory"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "text"), WRONG)
def test_wrong_inputs(lib, make, kind, text):
    with pytest.raises(kind) as caught:
        lib.add(*make(f32(1, 2, 3)))
    assert text in str(caught.value) and str(caught.value).startswith("sample::add: ")
    same(lib.add(f32(1), f32(1)), f32(2))  # nothing is left behind


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["__dlpack_device__", "__dlpack__", "__hash__"])
def test_exceptions_that_are_no_errors_pass(lib, error, where):
    def fail(*args, **more):
        raise error("stop")

    methods = {"__dlpack_device__": lambda x: (1, 0), "__dlpack__": fail, where: fail}
    x = type("Stops", (), methods)()
    with pytest.raises(error, match="^stop$"):
        if where == "__hash__":
            lib.attributes(type=x)
        else:
            lib.add(x, x)


def test_tensors_without_memory(lib):
    """Of torch's transforms and tracers: nothing is read that is not there."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(), pytest.raises(ValueError, match="sample::add: x has no data"):
        lib.add(torch.ones(3), torch.ones(3))
    with pytest.raises(TypeError, match=r"input 'x' cannot be read: Cannot access data pointer of Tensor[^\n]*$"):
        torch.vmap(lambda a: lib.add(a, a))(torch.ones(2, 3))
    with pytest.raises(TypeError, match="input 'x' requires a gradient"):
        torch.func.grad(lambda a: lib.add(a, a).sum())(torch.ones(3))


def test_errors_have_codes_and_classes(lib):
    with pytest.raises(
        PluginError, match="sample::fails: kernel fail: kit.py:7: device assertion failed: x is odd"
    ) as caught:
        lib.fails(f32(1))
    assert caught.value.code == 9 and not isinstance(caught.value, ValueError)
    with pytest.raises(PluginError) as caught:
        lib.add(f32(1), f32(1, 2))
    assert caught.value.code == 1 and isinstance(caught.value, ValueError) and isinstance(caught.value, RuntimeError)
    with pytest.raises(TypeError, match="found the unknown keyword 'beta', expected one of x, y, alpha, out, tactic"):
        lib.add(f32(1), f32(1), beta=2)
    with pytest.raises(TypeError, match="input 'x' is given twice"):
        lib.add(f32(1), f32(1), x=f32(1))
    with torch.no_grad():
        t = torch.ones(2, requires_grad=True)
        assert lib.add(t, t).tolist() == [2, 2]


def test_no_memory_for_the_workspace(lib):
    with pytest.raises(
        MemoryError, match="sample::greedy: no memory for 4000000000000000 bytes of workspace"
    ) as caught:
        lib.greedy(np.ones(1000, np.float32))
    assert isinstance(caught.value, PluginError) and caught.value.code == 7


def test_references_are_balanced(lib):
    x, out = f32(1), np.empty(1, np.float32)
    bad, ints = f32(1, 2), [1, 2]
    names = [x, out, bad, ints, lib.add, np.dtype("f4"), np.ndarray]

    def work():
        for _ in range(50):
            lib.add(x, x)
            lib.add(x, y=x, out=out, alpha=2.0)
            lib.scale_.inplace(out, by=2.0)
            lib.nonzero(x)
            lib.attributes(ints=ints, texts=["p"])
            for wrong in (
                lambda: lib.add(x, bad),
                lambda: lib.add(x, x, out=bad),
                lambda: lib.attributes(ints=[1, "x"]),
            ):
                with pytest.raises((ValueError, TypeError)):
                    wrong()

    work()
    before = [sys.getrefcount(n) for n in names]
    work()
    after = [sys.getrefcount(n) for n in names]
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) < 10


class Clears:
    """An array, and an integer, that empties a list when it is read; `alive`: whether what was in it still lives."""

    def __init__(self, items):
        self.items, self.refs, self.alive = items, [weakref.ref(item) for item in items], True
        self.x = f32(3)

    def clear(self):
        self.items.clear()
        self.alive = all(ref() is not None for ref in self.refs)

    def __dlpack_device__(self):
        self.clear()
        return 1, 0

    def __dlpack__(self, **more):
        return self.x.__dlpack__(**more)

    def __index__(self):
        self.clear()
        return 4


def test_integers_of_2_63_and_more(lib):
    """As bits where kernels get them as u64 and nothing else reads them; no number is negative instead."""
    for n in (2**63 - 1, 2**63, 2**64 - 1):
        assert lib.wide(7, n=n).tolist() == [n, 7]
    with pytest.raises(ValueError, match=r"attribute 'n' is 18446744073709551616, expected -2\^63 to 2\^64 - 1"):
        lib.wide(7, n=2**64)
    for name in ("both", "sized", "also"):  # as i64 too, in a shape, computed with
        with pytest.raises(
            ValueError, match=rf"attribute '{name}' is 9223372036854775808, expected -2\^63 to 2\^63 - 1"
        ):
            lib.wide(7, **{name: 2**63})
    assert lib.wide(2**63 - 1).tolist() == [0, 2**63 - 1]
    with pytest.raises(ValueError, match="overflow"):
        lib.wide(np.uint64(2**63))


def test_lists_that_change_during_a_call(lib):
    arrays = [f32(1, 2), f32(5)]
    clears = Clears(arrays)
    arrays.insert(1, clears)
    same(lib.total(f32(1), rest=arrays), f32(2, 3, 4))
    assert clears.alive and not arrays
    texts = [type("Text", (str,), {})(t) for t in "ab"]
    clears = Clears(texts)
    assert attributes(lib, texts=texts, i=clears)[0][0] == 4
    assert clears.alive and not texts
    arrays = [np.empty(1, np.float32), np.empty(1, np.float32)]
    clears = Clears(arrays)
    arrays.insert(1, clears)
    results = lib.several(f32(5), out=arrays)
    assert clears.alive and results[1] is clears and not arrays
    described = [f32(2), f32(1)]
    clears = Clears(described)
    described.insert(0, clears)
    assert lib.total.infer(described, {}, 1) == [(12, (3,))]
    assert clears.alive and not described


def test_sixteen_threads(lib):
    start = threading.Barrier(16)

    def work(seed):
        start.wait()
        rng = np.random.default_rng(seed)
        for i in range(60):
            x = rng.integers(0, 3, int(rng.integers(0, 500))).astype(np.float32)
            if i % 3 == 0:
                assert lib.nonzero(x)[0].tolist() == np.flatnonzero(x).tolist()
            elif i % 3 == 1:
                np.testing.assert_array_equal(lib.add(x, x, alpha=float(seed)), x + seed * x)
            else:
                with pytest.raises(PluginError, match="same number"):
                    lib.add(x, np.zeros(501, np.float32))
        return True

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(16)))


def test_it_needs_neither_compiler_nor_triton_nor_torch(path):
    code = (
        "import sys, numpy as np, opwright; lib = opwright.load(sys.argv[1]); x = np.ones(3, np.float32)\n"
        "assert lib.add(x, x).tolist() == [2, 2, 2]; assert lib.nonzero(x)[1] == 3\n"
        "print(sorted({'opwright._core', 'triton', 'torch', 'ml_dtypes', 'rich', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_page(root, path, tmp_path):
    """The example of docs/python.md."""
    code = (root / "docs/python.md").read_text().split("```python\n")[1].split("```")[0]
    (tmp_path / "libsample.so").write_bytes(path.read_bytes())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.startswith("[[ 0.  3.  6.]\n [ 9. 12. 15.]]\nHelp on Op") and "factor of y" in done.stdout


def test_the_extension_links_no_compiler():
    from opwright import _plugins

    file = Path(_plugins.__file__)
    assert file.stat().st_size < 2_000_000
    needed = subprocess.run(["readelf", "-d", file], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"NEEDED.*(LLVM|python|torch|triton)", needed)


def test_numpys_layout_is_that_of_its_headers(root, tmp_path):
    """What python/bindings/plugins/numpy_abi.h says, against the headers of this NumPy."""
    source = tmp_path / "layout.cpp"
    source.write_text(
        '#include <Python.h>\n#include <numpy/arrayobject.h>\n#include "numpy_abi.h"\n'
        "using A = opw::plugins::numpy::Array; using B = PyArrayObject_fields;\n"
        "#define SAME(a, b) static_assert(offsetof(A, a) == offsetof(B, b))\n"
        "SAME(data, data); SAME(nd, nd); SAME(dimensions, dimensions); SAME(strides, strides); SAME(base, base);\n"
        "SAME(descr, descr); SAME(flags, flags);\n"
        "static_assert(opw::plugins::numpy::kCContiguous == NPY_ARRAY_C_CONTIGUOUS);\n"
        "static_assert(opw::plugins::numpy::kWriteable == NPY_ARRAY_WRITEABLE);\n"
        "auto slot() { return &PyArray_NewFromDescr; }\n"
    )
    import sysconfig

    includes = [f"-I{root / 'python/bindings/plugins'}", f"-I{np.get_include()}", f"-I{sysconfig.get_path('include')}"]
    subprocess.run(["c++", "-std=c++20", "-fsyntax-only", "-w", *includes, source], check=True)
    api = (Path(np.get_include()) / "numpy/__multiarray_api.h").read_text()
    assert re.search(r"#define PyArray_NewFromDescr \\\s+.*?PyArray_API\[94\]\)", api, re.DOTALL)


def test_dlpacks_layout_is_that_of_torchs_header(root, tmp_path):
    header = Path(torch.__file__).parent / "include/ATen/dlpack.h"
    source = tmp_path / "layout.cpp"
    source.write_text(
        f'#include "{header}"\n#include <cstddef>\n#include "dlpack_abi.h"\nusing namespace opw::plugins::dlpack;\n'
        "#define SAME(a, b, c, d) static_assert(offsetof(a, b) == offsetof(c, d))\n"
        "SAME(Managed, flags, DLManagedTensorVersioned, flags); SAME(Managed, tensor, DLManagedTensorVersioned, dl_tensor);\n"
        "SAME(Managed, deleter, DLManagedTensorVersioned, deleter);\n"
        "SAME(Exchange, previous, DLPackExchangeAPI, header.prev_api);\n"
        "SAME(Exchange, allocate, DLPackExchangeAPI, managed_tensor_allocator);\n"
        "SAME(Exchange, toObject, DLPackExchangeAPI, managed_tensor_to_py_object_no_sync);\n"
        "SAME(Exchange, viewOf, DLPackExchangeAPI, dltensor_from_py_object_no_sync);\n"
        "static_assert(sizeof(Exchange) == sizeof(DLPackExchangeAPI) && kReadOnly == DLPACK_FLAG_BITMASK_READ_ONLY);\n"
    )
    includes = [f"-I{root / 'python/bindings/plugins'}", f"-I{root / 'include'}", "-DTORCH_HEADER"]
    subprocess.run(["c++", "-std=c++20", "-fsyntax-only", "-w", *includes, source], check=True)
