"""functional.py, opwright.load and the ctypes structures, over a plugin written in C against plugin.h."""

import ctypes
import os
import shutil
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
import torch
from plugin_gen_kit import FakeCore, compile_fake_plugin, write_config

import opwright
from opwright import native
from opwright.native import Input, Parameter, PluginError
from opwright.plugin_gen import build
from opwright.user_files import run_file


@pytest.fixture(scope="module")
def output(root, tmp_path_factory):
    """Output folder of a plugin-gen run whose library is the stand-in."""
    folder = tmp_path_factory.mktemp("functional")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "import_core", lambda: FakeCore(root))
        build.plugin_gen(folder / "w", write_config(folder / "src"))
    return folder / "w/output"


@pytest.fixture(scope="module")
def functional(output):
    return run_file(output / "functional.py", "generated_functional", "functional.py")


def vector(n, dtype=np.float32):
    return np.arange(n).astype(dtype)


def test_one_output_and_several(functional):
    x, y = vector(1000), vector(1000)[::-1].copy()
    out = functional.add_kernel(x, y)
    assert type(out) is np.ndarray and out.dtype == np.float32
    np.testing.assert_array_equal(out, x + y)
    result = functional.scale_kernel(0.5, vector(300, np.float16))
    assert type(result) is tuple
    np.testing.assert_array_equal(result[0], vector(300, np.float16))
    np.testing.assert_array_equal(result[1], np.full(3, 0.5, np.float32))


def test_keywords_empty_arrays_and_read_only_ones(functional):
    x = vector(4)
    x.flags.writeable = False
    np.testing.assert_array_equal(functional.add_kernel(y=x, x=x), x + x)
    assert functional.add_kernel(vector(0), vector(0)).shape == (0,)
    assert [r.shape for r in functional.scale_kernel(factor=2, x=vector(0, np.float16))] == [(0,), (0,)]


def test_it_needs_nothing_but_numpy_and_the_library(output, tmp_path):
    for name in ("functional.py", "libtriton_plugins.so"):
        shutil.copy(output / name, tmp_path)
    code = (
        "import sys, numpy as np; import functional as f; x = np.ones(5, np.float32); print(f.add_kernel(x, x).sum())\n"
        "print(sorted(set(sys.modules) & {'opwright', 'torch', 'triton', 'ml_dtypes', 'rich'}), f.__all__)"
    )
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["10.0", "[] ['add_kernel', 'scale_kernel']"]


def test_it_is_documented_and_typed(functional, output):
    text = functional.scale_kernel.__doc__
    assert "factor: float32 value" in text and "x: float16 tensor, rank 1" in text and "sums: float32 tensor" in text
    assert functional.add_kernel.__doc__.startswith("Adds two vectors.")
    assert functional.scale_kernel.__annotations__ == {
        "factor": "float", "x": "Array", "return": "tuple[Array, Array]",
    }  # fmt: skip
    lint = ["ruff", "check", "--isolated", "--select", "F,W", output / "functional.py"]
    assert subprocess.run([sys.executable, "-m", *lint], check=False).returncode == 0


REFUSED = [
    (lambda x: (x.astype(np.float64), x), TypeError, "input 'x' has the element type float64, expected float32; convert it with x.astype('float32')"),
    (lambda x: (x.astype(">f4"), x), TypeError, "input 'x' has the element type >f4, expected float32"),
    (lambda x: (x, x.reshape(2, 5)), ValueError, "input 'y' has rank 2 (shape (2, 5)), expected rank 1"),
    (lambda x: (x[::2], x[::2]), ValueError, "input 'x' is not contiguous (shape (5,)), expected a row-major array; pass numpy.ascontiguousarray(x)"),
    (lambda x: (x, [1.0, 2.0]), TypeError, "input 'y' is list, expected a numpy.ndarray or a torch.Tensor"),
    (lambda x: (x, None), TypeError, "input 'y' is NoneType"),
    (lambda x: (x, np.array(["a"] * 10)), TypeError, "input 'y' has the element type <U1"),
    (lambda x: (np.frombuffer(b"0" * 41, np.uint8)[1:].view(np.float32), x), ValueError, "not contiguous"),
    (lambda x: (x, x[:3]), RuntimeError, "triton::add_kernel: sizes differ ä"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "message"), REFUSED)
def test_wrong_inputs(functional, make, kind, message):
    with pytest.raises(kind) as e:
        functional.add_kernel(*make(vector(10)))
    assert message in str(e.value) and "triton::add_kernel" in str(e.value)


def test_wrong_parameters_and_failed_runs(functional):
    x = vector(3, np.float16)
    for value, found in (("1", "str"), (None, "NoneType"), (b"1", "bytes"), ([1.0], "list")):
        with pytest.raises(TypeError, match=f"parameter 'factor' is {found}, expected a number"):
            functional.scale_kernel(value, x)
    with pytest.raises(TypeError):
        functional.scale_kernel(x)
    with pytest.raises(functional.PluginError, match="triton::scale_kernel: negative factor") as e:
        functional.scale_kernel(-1.0, x)
    assert e.value.code == 9
    assert functional.scale_kernel(np.float32(0.25), x)[1][0] == 0.25


def test_parameter_ranges():
    assert Parameter("n", "int32").value("op", np.int64(-(2**31))).u.i == -(2**31)
    assert Parameter("n", "uint64").value("op", 2**64 - 1).u.i == -1
    assert Parameter("n", "bool").value("op", np.True_).u.i == 1
    for dtype, value in (("int32", 2**31), ("int8", -129), ("uint8", -1), ("uint64", 2**64), ("int64", 2**63)):
        with pytest.raises(ValueError, match=f"parameter 'n' is {value}, expected {dtype}"):
            Parameter("n", dtype).value("op", value)
    for dtype, value in (
        ("int32", 1.0),
        ("int32", True),
        ("bool", 1),
        ("bool", "yes"),
        ("float32", None),
        ("int32", "1"),
    ):
        with pytest.raises(TypeError, match="parameter 'n' is"):
            Parameter("n", dtype).value("op", value)


def test_bfloat16_arrays():
    view, _ = native._view("op", Input("x", "bfloat16", 1, 2), np.zeros((2, 3), ml_dtypes.bfloat16))
    assert (view.dl_code, view.dl_bits, view.ndim, list(view.shape[:2])) == (4, 16, 2, [2, 3])
    assert native.numpy_dtype("float8_e4m3fn") == ml_dtypes.float8_e4m3fn


def test_torch_tensors(functional):
    x = torch.arange(8, dtype=torch.float32)
    out = functional.add_kernel(x, x)
    assert isinstance(out, torch.Tensor) and torch.equal(out, 2 * x)
    half = torch.arange(200).to(torch.float16)
    copied, sums = functional.scale_kernel(1.5, half)
    assert torch.equal(copied, half) and sums.dtype is torch.float32 and sums.tolist() == [1.5, 1.5]
    with torch.no_grad():
        assert torch.equal(functional.add_kernel(x.clone().requires_grad_(), x), 2 * x)
    for bad, message in (
        (x.to("meta"), "input 'x' is on device 'meta', expected 'cpu'; pass x.cpu()"),
        (x.to_sparse(), "input 'x' has the layout torch.sparse_coo, expected a dense tensor; pass x.to_dense()"),
        (x.clone().requires_grad_(), "requires a gradient, and this operator has none; pass x.detach()"),
        (x.to(torch.int32), "element type int32, expected float32; convert it with x.to(torch.float32)"),
        (x.to(torch.complex64), "element type complex64, expected float32"),
        (x.numpy(), "found NumPy arrays and torch tensors in one call"),
    ):
        with pytest.raises(TypeError, match="triton::add_kernel") as e:
            functional.add_kernel(bad, x)
        assert message in str(e.value)
    with pytest.raises(ValueError, match=r"not contiguous.*pass x.contiguous\(\)"):
        functional.add_kernel(torch.arange(16.0)[::2], x)
    view, _ = native._view("op", Input("x", "bfloat16"), torch.zeros(3, dtype=torch.bfloat16))
    assert (view.dl_code, view.dl_bits) == (4, 16)


def test_load(output):
    library = opwright.load(output / "libtriton_plugins.so")
    assert list(library) == ["triton::add_kernel", "triton::scale_kernel"] and len(library) == 2
    x = vector(200, np.float16)
    assert library.scale_kernel(x, factor=3)[1].tolist() == [3.0, 3.0]
    assert library["triton::add_kernel"](vector(2), vector(2)).tolist() == [0.0, 2.0]
    assert library.scale_kernel.signature() == "triton::scale_kernel(x, *, factor: float) -> out, sums"
    assert library.add_kernel.dtypes == [("f32", "f32", "f32")] and "Adds two vectors." in library.add_kernel.__doc__
    assert "add_kernel" in dir(library) and "scale_kernel" in repr(library)
    for call, message in (
        (lambda: library.scale_kernel(x), "found no attribute 'factor', which has no default; pass factor=..."),
        (
            lambda: library.scale_kernel(x, factor=1, alpha=2),
            "unknown keyword 'alpha', expected one of x, factor, out, tactic",
        ),
        (lambda: library.add_kernel(x), "input 'y' is missing, expected (x, y)"),
    ):
        with pytest.raises(TypeError) as e:
            call()
        assert message in str(e.value)
    with pytest.raises(AttributeError, match="no operator 'mul'.*triton::add_kernel"):
        _ = library.mul
    with pytest.raises(KeyError, match="no operator 'mul'"):
        _ = library["mul"]


def test_libraries_that_cannot_be_loaded(root, tmp_path, output):
    for defines, message in (
        (["-DFAKE_MAJOR=77"], "another plugin ABI, expected major 0; build it again"),
        (["-DFAKE_NO_QUERY", "-Wno-unused"], "is not an Opwright plugin: it has no function opw_library"),
    ):
        path = tmp_path / f"lib{len(message)}.so"
        compile_fake_plugin(root, path, *defines)
        with pytest.raises(PluginError, match=message):
            opwright.load(path)
    (tmp_path / "text.so").write_text("hello")
    for path, message in (
        (tmp_path / "nowhere.so", "cannot be read .No such file"),
        (tmp_path, "cannot be read .Is a directory"),
        (tmp_path / "text.so", "is not a shared library"),
        (sys.executable, "is not a shared library|has no seal"),
    ):
        with pytest.raises(PluginError, match=message) as caught:
            opwright.load(path)
        assert caught.value.__suppress_context__ and caught.value.__cause__ is None  # one traceback
    shutil.copy(output / "functional.py", tmp_path)
    with pytest.raises(Exception, match=r"libtriton_plugins.so cannot be read .No such file"):
        run_file(tmp_path / "functional.py", "functional_without_library", "functional.py")
    damaged = bytearray((output / "libtriton_plugins.so").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "libtriton_plugins.so").write_bytes(damaged)
    with pytest.raises(Exception, match=r"libtriton_plugins.so is damaged"):
        run_file(tmp_path / "functional.py", "functional_of_a_damaged_library", "functional.py")


STRUCTS = {
    "opw_error_t": native._Error, "opw_tensor_t": native._Tensor, "opw_attr_value_t": native._Attr, "opw_call_t": native._Call,
    "opw_library_t": native._Library,
}  # fmt: skip


def test_structures_are_those_of_the_header(root, tmp_path):
    """Size and every offset, as the C compiler sees plugin.h."""
    prefixes = {"opw_api_t": native._Api}
    lines = ['printf("%u\\n", OPW_ABI_MAJOR);', 'printf("%u\\n", OPW_MAX_RANK);']
    expected = [native.ABI_MAJOR, native._MAX_RANK]
    for name, struct in STRUCTS.items():
        lines.append(f'printf("%zu\\n", sizeof({name}));')
        expected.append(ctypes.sizeof(struct))
    for name, struct in (STRUCTS | prefixes).items():
        for field, *_ in struct._fields_:
            lines.append(f'printf("%zu\\n", offsetof({name}, {field}));')
            expected.append(getattr(struct, field).offset)
    source = tmp_path / "layout.c"
    source.write_text("#include <opwright/plugin.h>\n#include <stdio.h>\nint main(void) {" + "\n".join(lines) + "}\n")
    subprocess.run(["cc", f"-I{root / 'include'}", "-o", tmp_path / "layout", source], check=True)
    found = subprocess.run([tmp_path / "layout"], check=True, capture_output=True, text=True).stdout.split()
    assert [int(v) for v in found] == expected


def test_threads_share_an_operator(functional):
    from concurrent.futures import ThreadPoolExecutor

    def one(seed):
        x = np.full(1000, seed, np.float32)
        return bool((functional.add_kernel(x, x) == 2 * seed).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(200)))
