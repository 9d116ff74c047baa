"""Kernels to TTIR with the stock Triton wheel."""

import subprocess
import sys

import pytest
import triton
import triton.language as tl
from plugin_gen_kit import KERNELS

from opwright.errors import InputError
from opwright.ttir import jit_function, make_ttir, relative_paths

SIGNATURE = {"x_ptr": "*fp32", "y_ptr": "*fp32", "out_ptr": "*fp32", "n": "i32", "BLOCK": "constexpr"}


@triton.jit
def add(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.load(x_ptr + at, at < n) + tl.load(y_ptr + at, at < n), at < n)


@triton.jit
def inner(x):
    return x + not_defined  # noqa: F821


@triton.jit
def outer(x_ptr, n):
    tl.store(x_ptr, inner(n))


@triton.jit
def product(x_ptr, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)[:, None] * SIZE + tl.arange(0, SIZE)[None, :]
    x = tl.load(x_ptr + at)
    tl.store(x_ptr + at, tl.dot(x, x))


@triton.jit
def asks_for_the_target(x_ptr):
    if tl.target_info.is_cuda():
        tl.store(x_ptr, 1)
    else:
        tl.store(x_ptr, 2)


def test_text():
    text = make_ttir(add, SIGNATURE, {"BLOCK": 256}, [0, 3])
    assert "tt.func public @add(%x_ptr: !tt.ptr<f32> {tt.divisibility = 16 : i32}" in text
    assert "%y_ptr: !tt.ptr<f32> loc" in text and "%n: i32 {tt.divisibility = 16 : i32}" in text
    assert "end = 256 : i32" in text and 'loc("test_ttir.py":' in text and "/test_ttir.py" not in text


def test_every_scalar_and_pointer_type():
    for dtype in ("i1", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "fp16", "bf16", "fp32", "fp64"):
        text = make_ttir(outer_store, {"x_ptr": f"*{dtype}", "value": dtype}, {})
        assert "tt.store %" in text and "@outer_store(%x_ptr: !tt.ptr<" in text
    for dtype in ("fp8e4nv", "fp8e5", "fp8e4b8", "fp8e5b16"):
        assert "!tt.ptr<f8E" in make_ttir(copy_one, {"x_ptr": f"*{dtype}", "y_ptr": f"*{dtype}"}, {})


@triton.jit
def outer_store(x_ptr, value):
    tl.store(x_ptr, value)


@triton.jit
def copy_one(x_ptr, y_ptr):
    tl.store(x_ptr, tl.load(y_ptr))


def test_products_are_ieee_by_default():
    assert "inputPrecision" not in make_ttir(product, {"x_ptr": "*fp32", "SIZE": "constexpr"}, {"SIZE": 16})


def test_the_active_driver_is_restored():
    from triton.runtime import driver

    before = driver._active
    assert "dense<2>" in make_ttir(asks_for_the_target, {"x_ptr": "*i32"}, {}) or driver._active is before
    assert driver._active is before
    with pytest.raises(InputError):
        make_ttir(outer, {"x_ptr": "*i32", "n": "i32"}, {})
    assert driver._active is before


def test_an_error_in_a_called_function_has_its_line():
    with pytest.raises(InputError) as e:
        make_ttir(outer, {"x_ptr": "*i32", "n": "i32"}, {})
    lines = open(__file__).read().split("\n")
    line = 1 + next(i for i, text in enumerate(lines) if "return x + not_defined" in text)
    assert f"test_ttir.py:{line}: Triton refuses the kernel: NameError('not_defined is not defined')" in str(e.value)


def test_not_a_kernel():
    with pytest.raises(InputError, match="found function, expected a @triton.jit function"):
        make_ttir(test_text, {}, {})
    assert jit_function(triton.autotune([], key=[])(add)) is add and jit_function(None) is None


def test_relative_paths():
    text = 'loc("/a/b/k.py":3:1) loc("/usr/lib/x.py":1:2) loc("name"(#loc1)) "/a/b/no location" loc("k.py":1:1)'
    from pathlib import Path

    assert relative_paths(text, [Path("/a")]) == (
        'loc("b/k.py":3:1) loc("x.py":1:2) loc("name"(#loc1)) "/a/b/no location" loc("k.py":1:1)'
    )


def test_no_torch_and_no_cache(tmp_path):
    (tmp_path / "k.py").write_text(KERNELS)
    code = (
        "import sys; sys.dont_write_bytecode = True; from opwright.ttir import make_ttir; import k\n"
        f"make_ttir(k.add_kernel, {SIGNATURE!r}, {{'BLOCK': 64}}); assert 'torch' not in sys.modules"
    )
    import os

    env = {**os.environ, "HOME": str(tmp_path / "home"), "TRITON_HOME": str(tmp_path / "home")}
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, check=True)
    assert os.listdir(tmp_path) == ["k.py"]


def test_a_launched_kernel_that_is_collected_meanwhile():
    """The driver that launched it unloads it."""
    import numpy as np

    import opwright
    from opwright import ttir

    launched = triton.jit(add.fn)
    compiled = launched[(1,)](*(opwright.tensor(np.ones(4, np.float32)) for _ in range(3)), 4, BLOCK=4)
    assert compiled.module is not None
    with ttir._aot_target(triton, None):
        compiled.__del__()
    assert compiled.module is None
