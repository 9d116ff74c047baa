"""plugin-gen with the real compiler: results through functional.py and opwright.load, and what can go wrong underneath."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from plugin_gen_kit import ADD, SCALE, write_config

import opwright
from opwright.native import open_library
from opwright.plugin_gen.build import plugin_gen
from opwright.sealing import seal_library
from opwright.user_files import run_file

MATRIX_KERNEL = """

@triton.jit
def shift_rows(out_ptr, count_ptr, x_ptr, step, by, rows, cols, flag, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * cols + at, at < cols, other=0)
    tl.store(out_ptr + row * cols + at, x * step + by + flag.to(tl.int32), at < cols)
    tl.store(count_ptr + row, cols)
"""

# sizes of every origin, two kinds of parameters, hints of 1 and 16 that exclude each other
MATRIX = """
KernelMetaData(
    kernel_name="shift_rows", kernel_file="kernels.py",
    ios=[OutputArg("out", Type("tensor[i32]")), OutputArg("counts", Type("tensor[i64]")), InputArg("x", Type("tensor[i32]")),
         DimSizeArg("step", hints=["", "1"]), ParamArg("by", Type("i32")), DimSizeArg("rows"), DimSizeArg("cols", hints=["16", ""]),
         ParamArg("flag", Type("bool")), Constexpr(64)],
    shape_infer_rules=["x[r, c, *] -> out[r, c]", "x[r, c, *] -> counts[r, by - by + 1]",
                       "x[r, c, g] : g / 4 -> step", "x[r, *] : r -> rows", "x[_, c, *] : c -> cols"],
    grid_dims=("rows", "1", "1"))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("native")
    config = write_config(folder / "src", ADD, SCALE, MATRIX)
    with open(folder / "src/kernels.py", "a") as f:
        f.write(MATRIX_KERNEL)
    return plugin_gen(folder / "w", config, sources=folder / "sources"), folder


@pytest.fixture(scope="module")
def functional(built):
    return run_file(built[0].functional, "native_functional", "functional.py")


@pytest.mark.parametrize("n", [0, 1, 15, 16, 1000, 1024, 1025, 100_000])
def test_vectors(functional, n):
    rng = np.random.default_rng(n)
    x, y = rng.standard_normal((2, n)).astype(np.float32)
    np.testing.assert_array_equal(functional.add_kernel(x, y), x + y)
    half = rng.standard_normal(n).astype(np.float16)
    out, sums = functional.scale_kernel(0.5, half)
    np.testing.assert_array_equal(out, half * np.float16(0.5))
    parts = np.append(half, np.zeros(-n % 128)).astype(np.float32).reshape(-1, 128).sum(1)
    np.testing.assert_allclose(sums, parts, atol=1e-4)
    tensor = torch.from_numpy(half)
    assert torch.equal(functional.scale_kernel(0.5, tensor)[0], tensor * 0.5)


@pytest.mark.parametrize(("shape", "step"), [((3, 16, 4), 1), ((5, 17, 8), 2), ((1, 1, 3), 0), ((0, 16, 4), 1)])
def test_sizes_parameters_and_every_variant(functional, shape, step):
    x = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    first = x.reshape(-1)[: shape[0] * shape[1]].reshape(shape[:2])  # what a kernel that knows two sizes reads
    for by, flag in ((7, False), (-(2**31), True)):
        out, counts = functional.shift_rows(by, flag, x)
        np.testing.assert_array_equal(out, first * step + np.int32(by) + np.int32(flag))
        np.testing.assert_array_equal(counts, np.full((shape[0], 1), shape[1]))
    with pytest.raises(ValueError, match="parameter 'by' is 2147483648, expected int32"):
        functional.shift_rows(2**31, True, x)


def test_unaligned_inputs_take_the_general_variant(functional):
    room = np.zeros(1032, np.float32)
    x = room[1:1025]
    assert x.ctypes.data % 16
    x[:] = np.arange(1024)
    np.testing.assert_array_equal(functional.add_kernel(x, x), 2 * x)


def test_conditions_of_the_rules(functional, built):
    x = np.ones(8, np.float32)
    with pytest.raises(functional.PluginError, match=r"triton::add_kernel: the sizes do not fit x\[m\], y\[m\]"):
        functional.add_kernel(x, x[:4])
    library = opwright.load(built[0].library)
    assert list(library) == ["triton::add_kernel", "triton::scale_kernel", "triton::shift_rows"]
    np.testing.assert_array_equal(library.add_kernel(x, x), 2 * x)
    with pytest.raises(opwright.loader.PluginError, match="triton::add_kernel"):
        library.add_kernel(x.astype(np.float64), x)


def test_the_same_library_from_two_places(built, tmp_path):
    report, folder = built
    again = plugin_gen(tmp_path / "elsewhere/w", folder / "src/kernel_config.py")
    assert again.library.read_bytes() == report.library.read_bytes()
    assert again.functional.read_bytes() == report.functional.read_bytes()


def test_the_sources_build_to_the_same_plugin(built, functional, tmp_path):
    """With CMake and a C compiler: equal tables, equal bits."""
    report, folder = built
    package = Path(opwright.__file__).parent
    configure = [
        "cmake",
        "-S",
        report.sources,
        "-B",
        tmp_path / "build",
        f"-DOPWRIGHT_DIR={package}",
        "-DCMAKE_C_FLAGS=-Werror",
    ]
    for command in (configure, ["cmake", "--build", tmp_path / "build", "-j2"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    library = tmp_path / "build" / report.library.name
    seal_library(library)
    shutil.copy(report.functional, library.parent)
    again = run_file(library.parent / "functional.py", "functional_of_sources", "functional.py")
    ours, theirs = opwright.load(report.library), opwright.load(library)
    hashes = [ctypes.string_at(open_library(path).tables + 24, 32) for path in (report.library, library)]
    assert hashes[0] == hashes[1]
    assert [ours[n].signature() for n in ours] == [theirs[n].signature() for n in theirs]
    assert [ours[n].dtypes for n in ours] == [theirs[n].dtypes for n in theirs]
    exported = [subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True).stdout.split()
                for path in (report.library, library)]  # fmt: skip
    assert exported[0][2::3] == exported[1][2::3] and "__tvm_ffi_add_kernel" in exported[1]
    rng = np.random.default_rng(1)
    room = rng.standard_normal(4001).astype(np.float32)
    matrix = rng.integers(-9, 9, (5, 17, 8), np.int32)
    for start in (0, 1):  # aligned or not: another variant
        x = room[start : start + 4000]
        for call in (
            lambda f, x=x: [f.add_kernel(x, x)],
            lambda f, x=x: f.scale_kernel(0.3, x.astype(np.float16)),
            lambda f: f.shift_rows(3, True, matrix),
        ):
            assert [out.tobytes() for out in call(functional)] == [out.tobytes() for out in call(again)]
    text = (report.sources / "plugin_tables.c").read_text()
    assert "/* n = x.0 */" in text and "/* (n + 1023) // 1024 */" in text and str(folder) not in text
    start = (report.sources / "kernels/shift_rows.v0.x86-64-v3.s").read_text().splitlines()[0]
    assert start.startswith("# shift_rows of kernels.py, line ") and start.endswith(
        ", compiled for x86-64-v3: an opw_cpu_entry_t."
    )
    done = subprocess.run(["cmake", "-S", report.sources, "-B", tmp_path / "other", "-DOPWRIGHT_DIR=nowhere"],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode != 0 and "found no opwright in 'nowhere'" in done.stderr


def run(config, workspace, *more, **env):
    command = [
        sys.executable,
        "-m",
        "opwright",
        "plugin-gen",
        "--workspace",
        workspace,
        "--kernel_config",
        config,
        *more,
    ]
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env={**os.environ, **env}, check=False
    )


def test_no_linker(built, tmp_path):
    config = write_config(tmp_path / "src", ADD)
    (tmp_path / "empty").mkdir()
    done = run(config, tmp_path / "w", PATH=str(tmp_path / "empty"), CC="")
    assert done.returncode == 3 and "linker" in done.stderr and "Traceback" not in done.stderr
    assert not list((tmp_path / "w").rglob("*.so"))


def test_a_linker_that_fails_leaves_the_previous_library(tmp_path):
    config = write_config(tmp_path / "src", ADD)
    assert run(config, tmp_path / "w").returncode == 0
    before = {p.name: p.read_bytes() for p in (tmp_path / "w/output").iterdir()}
    done = run(write_config(tmp_path / "src", SCALE), tmp_path / "w", CC="false")
    assert done.returncode == 1 and "error: " in done.stderr and "Traceback" not in done.stderr
    assert {p.name: p.read_bytes() for p in (tmp_path / "w/output").iterdir()} == before


def test_a_full_disk(tmp_path):
    """A file size limit stands in: writes beyond it fail as on a full disk."""
    config = write_config(tmp_path / "src", ADD)
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); from opwright.cli import main\n"
        f"sys.argv = ['opwright', 'plugin-gen', '--workspace', {str(tmp_path / 'w')!r}, '--kernel_config', {str(config)!r}]; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "File too large" in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not list((tmp_path / "w").rglob("*.so"))


def test_an_operation_that_the_compiler_lacks(tmp_path):
    config = write_config(tmp_path / "src", ADD)
    path = tmp_path / "src/kernels.py"
    asm = 'tl.inline_asm_elementwise("add.s32 $0, $1, 1;", "=r,r", [at], tl.int32, True, 1)'
    path.write_text(path.read_text().replace("mask = at < n", f"mask = {asm} < n", 1))
    done = run(config, tmp_path / "w")
    line = 1 + path.read_text()[: path.read_text().index("inline_asm")].count("\n")
    assert done.returncode == 1 and "inline_asm" in done.stderr and f"kernels.py:{line}" in done.stderr, done.stderr
    assert not list((tmp_path / "w").rglob("*.so"))


def test_json_has_every_stage(tmp_path):
    config = write_config(tmp_path / "src", ADD)
    done = run(config, tmp_path / "w", "--json", "--targets", "cpu:x86-64-v3", "--emit-sources", tmp_path / "sources")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and {"compile", "link", "sources"} <= {stage["name"] for stage in report["stages"]}
    assert report["sources"] == str(tmp_path / "sources")
    kernels = sorted(path.name for path in (tmp_path / "sources/kernels").iterdir())
    assert kernels == [f"add_kernel.v{i}.x86-64-v3.s" for i in range(3)]
