"""Loading and checking configurations."""

import sys

import pytest
from plugin_gen_kit import ADD, SCALE, write_config

from opwright.errors import InputError, MissingError
from opwright.plugin_gen import core
from opwright.plugin_gen.config import load_config
from opwright.plugin_gen.request import plan_kernels


def refusal(config, kind=InputError):
    with pytest.raises(kind) as e:
        plan_kernels(load_config(config), config)
    return str(e.value)


def test_original_vocabulary_needs_no_tensorrt_llm(tmp_path):
    config = write_config(tmp_path)
    before = set(sys.modules)
    kernels = load_config(config)
    assert [k.kernel_name for k in kernels] == ["add_kernel", "scale_kernel"]
    assert all(isinstance(k, core.KernelMetaData) for k in kernels)
    assert not [m for m in set(sys.modules) - before if m.startswith("tensorrt_llm") or m.startswith("_opwright")]


def test_other_spellings_of_the_import(tmp_path):
    (tmp_path / "c.py").write_text(
        "import os\nimport tensorrt_llm.tools.plugin_gen.core as pg\nfrom tensorrt_llm.tools.plugin_gen import core\n"
        "from opwright.plugin_gen.core import KernelMetaData as Ours\nassert pg is core and pg.KernelMetaData is Ours\n"
        "K = pg.KernelMetaData(kernel_name='k', kernel_file=f'{os.path.dirname(__file__)}/k.py',\n"
        "  ios=[pg.InputArg('x', pg.Type('tensor[bf16]')), pg.OutputArg('y', pg.Type('tensor[bool]'))])\nKERNELS = (K,)\n"
    )
    (kernel,) = load_config(tmp_path / "c.py")
    assert kernel.grid_dims == ("1", "1", "1") and kernel.version == 1 and kernel.num_warps == 1


def test_an_installed_package_is_left_alone(tmp_path, monkeypatch):
    package = tmp_path / "site" / "tensorrt_llm"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert len(load_config(write_config(tmp_path))) == 2
    assert "tensorrt_llm" not in sys.modules


def test_neighbours_can_be_imported_and_no_bytecode_is_written(tmp_path):
    config = write_config(tmp_path, ADD, head="import sizes\nassert sizes.N == 3\n")
    (tmp_path / "sizes.py").write_text("N = 3\n")
    plan_kernels(load_config(config), config)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["kernel_config.py", "kernels.py", "sizes.py"]
    assert "sizes" not in sys.modules and str(tmp_path) not in sys.path


def test_every_type():
    for name in ("fp16", "fp32", "fp64", "i8", "i32", "i64", "bf16", "bool", "i1", "u8", "i16", "u16", "u32", "u64",
                 "fp8e4nv", "fp8e5", "fp8e4b8", "fp8e5b16", "fp8e4b15"):  # fmt: skip
        assert not core.Type(name).is_tensor
        assert core.Type(f"tensor[{name}]").is_tensor
    assert str(core.Type("tensor[fp16]")) == "tensor[fp16]" and core.Type("fp16") == core.Type("float16")
    for bad, column in (("half", 1), (" half", 2), ("tensor[fp16", 12), ("tensor(fp16)", 1), ("", 1), ("tensor[]", 8)):
        with pytest.raises(InputError, match=f", column {column}: found .*, expected (an element type|'\\]')") as e:
            core.Type(bad)
        assert e.value.detail == f"{bad}\n{' ' * (column - 1)}^"
    with pytest.raises(InputError, match="found int, expected a string"):
        core.Type(16)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"add_kernel", kernel_file', '"add-kernel", kernel_file', "kernel_name is 'add-kernel', expected a Python identifier"),
        ('"add_kernel", kernel_file', '"max", kernel_file', "kernel_name 'max' is a name that functional.py"),
        ('"add_kernel", kernel_file', '"output", kernel_file', "kernel_name 'output' is a name that functional.py"),
        ('"add_kernel", kernel_file', '"ad_kernel", kernel_file', "found no 'ad_kernel' in kernels.py, expected a @triton.jit"),
        ('"add_kernel", kernel_file', '"ad_kernel", kernel_file', "did you mean 'add_kernel'?"),
        ('"kernels.py"', '""', "kernel_file is ''"),
        ('"kernels.py"', '"missing.py"', "missing.py' is not a file"),
        ("Constexpr(1024)]", "]", "ios has 4 entries, the kernel has 5 parameters: x_ptr, y_ptr, out_ptr, n, BLOCK"),
        ("Constexpr(1024)]", "ParamArg('b', Type('i32'))]", "parameter 'BLOCK' of the kernel is a tl.constexpr, found ParamArg 'b'"),
        ("Constexpr(1024)]", "1024]", "ios[4] is int, expected InputArg"),
        ('InputArg("y"', 'InputArg("x"', "two arguments are named 'x'"),
        ('InputArg("y"', 'InputArg("class"', "the name is 'class', expected a Python identifier"),
        ('InputArg("y"', 'InputArg("true"', "'true' is a word of shape expressions"),
        ('InputArg("y"', 'InputArg("_op_y"', "'_op_y' is a word of shape expressions or functional.py"),
        ('InputArg("y", Type("tensor[fp32]"))', 'Argument("y", Type("tensor[fp32]"), arg_type="INPUT")', "argument 'y' has the arg_type 'INPUT', expected an ArgType"),
        ('OutputArg("out", Type("tensor[fp32]"))', 'OutputArg("out", Type("fp32"))', "OutputArg 'out' is fp32, expected a tensor"),
        ('InputArg("y", Type("tensor[fp32]"))', 'InputArg("y", Type("fp8e5"))', "InputArg 'y' is the scalar fp8e5, expected a type of 16 bits or more"),
        ('InputArg("y", Type("tensor[fp32]"))', 'ParamArg("y", Type("fp8e4nv"))', "ParamArg 'y' is the scalar fp8e4nv, expected a type of 16 bits or more"),
        ('InputArg("y", Type("tensor[fp32]"))', 'ParamArg("y", Type("i8"), default=128)', "ParamArg 'y' has the default 128, expected i8"),
        ('InputArg("y", Type("tensor[fp32]"))', 'ParamArg("y", Type("u64"), default=2**63)', "has the default 9223372036854775808, expected u64"),
        ('InputArg("y", Type("tensor[fp32]"))', 'ParamArg("y", Type("bool"), default=1)', "has the default 1, expected i1"),
        ('InputArg("y", Type("tensor[fp32]"))', 'ParamArg("y", Type("fp32"), default="1")', "has the default '1', expected fp32"),
        ('DimSizeArg("n"', 'DimSizeArg("n", dtype="fp32"', "DimSizeArg 'n' is fp32, expected an integer"),
        ('DimSizeArg("n"', 'DimSizeArg("n", dtype="tensor[i32]"', "DimSizeArg 'n' is tensor[i32], expected a scalar"),
        ('hints=["", "16"]', 'hints="16"', "hints of 'n' are '16', expected a list"),
        ('InputArg("y", Type("tensor[fp32]"))', 'ParamArg("y", Type("tensor[fp32]"))', "ParamArg 'y' is tensor[fp32], expected a scalar"),
        ('InputArg("y", Type("tensor[fp32]"))', 'InputArg("y", Type("tensor[fp31]"))', "Type('tensor[fp31]'), column 8: found 'fp31', expected an element type"),
        ('InputArg("y", Type("tensor[fp32]"))', 'InputArg("y", 3)', "argument 'y' has the type 3, expected a Type"),
        ('hints=["", "16"]', 'hints=["8"]', "hint '8' of 'n', expected '', '1' or '16'"),
        ('Type("tensor[fp32]")), InputArg("y"', 'Type("tensor[fp32]"), hints=["16"]), InputArg("y"', "'x' has 1 hints, 'n' has 2"),
        ('Type("tensor[fp32]")), InputArg("y"', 'Type("tensor[fp32]"), hints=["1", ""]), InputArg("y"', "hint '1' of 'x', which is tensor[fp32]"),
        ('"x[m] : m -> n"', '"x[m] : m -> k"', "found 'k', expected a DimSizeArg after '->' (one of n)"),
        ('"x[m] : m -> n"', '"x[m] : n + 1 -> n"', "DimSizeArg 'n' depends on itself"),
        (', "x[m] : m -> n"', "", "DimSizeArg 'n' has no rule"),
        ("x[m], y[m] -> out[m]", "x[m], y[m] -> out[q]", "size 'q' is not defined, expected one of m, n"),
        ("(n + 1023) / 1024", "(N + 1023) / 1024", "grid_dims[0], column 2: found 'N', expected an integer argument (one of n, BLOCK)"),
        ("(n + 1023) / 1024", "x / 1024", "comes through a DimSizeArg"),
        ("(n + 1023) / 1024", "(n + 1023 / 1024", "grid_dims[0], column 17: found the end, expected ')'"),
        ('"1", "1")', '"1", "1", "1")', "expected one to three C expressions"),
        ('grid_dims=("(n', 'num_warps=3, grid_dims=("(n', "num_warps is 3, expected a power of 2"),
        ('grid_dims=("(n', 'num_stages=0, grid_dims=("(n', "num_stages is 0, expected a whole number from 1"),
        ('grid_dims=("(n', 'version="1", grid_dims=("(n', "version is '1', expected a whole number from 0"),
        ('shape_infer_rules=["x[m], y[m] -> out[m]", "x[m] : m -> n"]', 'shape_infer_rules="x[*]"', "expected a list of strings"),
    ],
)  # fmt: skip
def test_refused(tmp_path, old, new, message):
    assert old in ADD
    config = write_config(tmp_path, ADD.replace(old, new, 1))
    text = refusal(config)
    assert message in text
    assert str(config) in text  # it says where


def test_two_kernels_of_one_name(tmp_path):
    text = refusal(write_config(tmp_path, ADD, SCALE, ADD))
    assert "KERNELS[0] and KERNELS[2] are both named 'add_kernel'" in text and "hint" in text


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\n", "found no variable KERNELS"),
        ("KERNELS = []\n", "KERNELS is an empty list"),
        ("KERNELS = 4\n", "KERNELS is int"),
        ("KERNELS = ['add']\n", "KERNELS[0] is str, expected KernelMetaData"),
        ("KERNELS = [\n", "SyntaxError"),
        ("\n1 / 0\n", "c.py:2: the kernel configuration cannot be run\n  | ZeroDivisionError"),
        ("raise SystemExit(0)\n", "cannot be run"),
        (
            "from opwright.plugin_gen.core import *\n\nType('fp31')\n",
            "c.py:3: Type('fp31'), column 1: found 'fp31', expected an element type\n  | fp31\n  | ^",
        ),
    ],
)
def test_file_refused(tmp_path, source, message):
    (tmp_path / "c.py").write_text(source)
    assert message in refusal(tmp_path / "c.py")


def test_missing_files_and_packages(tmp_path):
    assert "nowhere.py' is not a file" in refusal(tmp_path / "nowhere.py")
    (tmp_path / "c.py").write_text("import no_such_package_xyz\n")
    text = refusal(tmp_path / "c.py", MissingError)
    assert "needs the Python package 'no_such_package_xyz'" in text and "c.py:1" in text and "pip install" in text


def test_a_kernel_is_not_a_plain_function(tmp_path):
    config = write_config(tmp_path, ADD)
    (tmp_path / "kernels.py").write_text("def add_kernel(x): pass\n")
    text = refusal(config)
    assert "found 'add_kernel' is function in kernels.py, expected a @triton.jit function" in text


def test_autotuned_kernels_are_taken(tmp_path):
    config = write_config(tmp_path, ADD)
    path = tmp_path / "kernels.py"
    path.write_text(
        path.read_text().replace("@triton.jit\ndef add", "@triton.autotune([], key=[])\n@triton.jit\ndef add")
    )
    (plan,) = plan_kernels(load_config(config), config)
    assert plan.grid == ["(n + 1023) // 1024", "1", "1"]
