"""Opwright inside the stock Triton package: discovery, choice of the driver, options, cache, launches, errors."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("triton", reason="triton is not installed")

import triton  # noqa: E402
import triton.language as tl  # noqa: E402
from kernels import elementwise, normalize, regressions  # noqa: E402
from triton.runtime.errors import OutOfResources  # noqa: E402

import opwright  # noqa: E402
from opwright import _core  # noqa: E402
from opwright.triton_backend.compiler import CPUBackend, CPUOptions, seal, unseal  # noqa: E402
from opwright.triton_backend.driver import CPUDriver  # noqa: E402
from opwright.triton_backend.errors import KernelError  # noqa: E402


def python(code: str, **env: str) -> str:
    """Runs code in a fresh interpreter; its standard output."""
    unset = ("OPW_TRITON", "TRITON_DEFAULT_BACKEND", "TRITON_INTERPRET")
    clean = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, env={**clean, **env}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@triton.jit
def scale(x_ptr, n, factor, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    tl.store(x_ptr + at, x * factor, mask=at < n)


@triton.jit
def tuples(x_ptr, values, n: tl.int64, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(x_ptr + at, (at * values[0] + values[1][1]).to(tl.float32), mask=at < n)


@triton.jit
def optional(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    if y_ptr is not None:
        x += tl.load(y_ptr + at, mask=at < n)
    tl.store(x_ptr + at, x, mask=at < n)


@triton.jit
def refused(x_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at)
    x = tl.inline_asm_elementwise("mov.b32 $0, $1;", "=r,r", [x], dtype=tl.int32, is_pure=True, pack=1)
    tl.store(x_ptr + at, x)


@triton.jit
def wrong(x_ptr, BLOCK: tl.constexpr):
    tl.store(x_ptr + tl.arange(0, BLOCK), undefined_name)  # noqa: F821


# -- discovery and choice


def test_triton_finds_the_backend():
    from triton.backends import backends

    assert backends["cpu"].compiler is CPUBackend and backends["cpu"].driver is CPUDriver


def test_import_triton_stays_light():
    out = python("import triton, sys; print([m for m in ('torch', 'opwright._core', 'numpy') if m in sys.modules])")
    assert out == "[]"


def test_a_launch_needs_no_torch(tmp_path):
    """It works where torch cannot be imported; if Triton itself asks for torch (3.6 and 3.7 do), we do not."""
    kernel = tmp_path / "kernel.py"
    kernel.write_text(
        textwrap.dedent("""
        import sys, traceback

        class NoTorch:
            asked = []

            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == "torch":
                    asking = [f.filename for f in traceback.extract_stack()[:-1] if "importlib" not in f.filename]
                    self.asked.append(asking[-1])
                    raise ImportError("no torch here")

        sys.meta_path.insert(0, NoTorch())
        import numpy as np, triton, triton.language as tl, opwright
        @triton.jit
        def fill(x, n, B: tl.constexpr):
            at = tl.arange(0, B)
            tl.store(x + at, at * 2, mask=at < n)
        x = np.zeros(5, np.int32)
        fill[(1,)](opwright.tensor(x), 5, B=8)
        print(x.tolist(), [place for place in NoTorch.asked if place.startswith(opwright.__path__[0])])
        """)
    )
    code = f"exec(compile(open({str(kernel)!r}).read(), {str(kernel)!r}, 'exec'))"
    assert python(code, TRITON_DEFAULT_BACKEND="cpu", TRITON_CACHE_DIR=str(tmp_path)) == "[0, 2, 4, 6, 8] []"


ACTIVE = "from opwright.triton_backend.driver import CPUDriver; import triton; print(CPUDriver.is_active()"


@pytest.mark.parametrize(
    ("env", "active"),
    [
        ({"OPW_TRITON": "1"}, True),
        ({"OPW_TRITON": "0"}, False),
        ({"TRITON_DEFAULT_BACKEND": "cpu"}, True),
        ({"TRITON_DEFAULT_BACKEND": "nvidia"}, False),
    ],
)
def test_asked_for_by_the_environment(env, active):
    out = python(ACTIVE + ", 'torch' in __import__('sys').modules)", **env)
    assert out == f"{active} False"


@pytest.mark.parametrize("gpu", [True, False])
def test_active_only_without_a_gpu_driver(gpu, monkeypatch):
    from triton.backends import Backend, backends

    class Other:
        @staticmethod
        def is_active():
            return gpu

    for name in ("OPW_TRITON", "TRITON_DEFAULT_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    for name in list(backends):
        if name != "cpu":
            monkeypatch.setitem(backends, name, Backend(None, Other))
    assert CPUDriver.is_active() is not gpu


@pytest.mark.parametrize(("device_file", "active"), [(True, False), (False, True)])
def test_a_driver_that_would_import_torch_is_not_asked(device_file, active, monkeypatch):
    from triton.backends import Backend, backends

    from opwright.triton_backend import driver

    class AsksTorch:
        @staticmethod
        def is_active():
            import torch

            return torch.cuda.is_available()

    for name in ("OPW_TRITON", "TRITON_DEFAULT_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(driver, "_torch_installed", lambda: True)
    monkeypatch.setattr(driver, "_device_file", lambda backend: device_file)
    for name in list(backends):
        if name != "cpu":
            monkeypatch.setitem(backends, name, Backend(None, AsksTorch))
    assert CPUDriver.is_active() is active
    assert "torch" not in sys.modules


def test_activate():
    from triton.runtime import driver

    import opwright.triton_backend

    before = driver.active
    try:
        opwright.triton_backend.activate()
        assert isinstance(driver.active, CPUDriver) and driver.active is not before
    finally:
        driver.set_active(before)


def test_a_cpu_below_the_lowest_level_is_refused(monkeypatch):
    from opwright.triton_backend import level

    monkeypatch.setattr(_core, "host_level", lambda: "")
    level.host_level.cache_clear()
    try:
        with pytest.raises(RuntimeError, match="this CPU is below x86-64-v3: .*AVX2"):
            CPUDriver().get_current_target()
    finally:
        level.host_level.cache_clear()


def test_the_extension_exports_its_entry_and_what_debuggers_look_for():
    """LLVM inside must not meet the LLVMs of Triton and torch in one process."""
    out = subprocess.run(
        ["nm", "-D", "--defined-only", _core.__file__], capture_output=True, text=True, check=True
    ).stdout
    exported = {line.split()[-1] for line in out.splitlines()}
    assert exported == {"PyInit__core", "__jit_debug_descriptor", "__jit_debug_register_code"}


def test_a_triton_that_is_too_different_is_refused_by_name(monkeypatch):
    from triton._C.libtriton import passes

    from opwright.triton_backend import features

    features.require_features.cache_clear()
    monkeypatch.delattr(passes.ttir, "add_triton_licm")
    monkeypatch.setattr(CPUDriver, "__abstractmethods__", frozenset({"get_new_thing"}))
    monkeypatch.setattr(triton, "__version__", "4.2.0")
    expected = (
        r"found Triton 4\.2\.0, which differs .* in passes\.ttir\.add_triton_licm, DriverBase\.get_new_thing; expected"
    )
    with pytest.raises(RuntimeError, match=expected):
        scale.warmup(opwright.tensor(np.ones(4, np.float32)), 4, 1.0, BLOCK=4, grid=(1,), debug_info=True)
    monkeypatch.undo()
    scale[(1,)](opwright.tensor(np.ones(4, np.float32)), 4, 1.0, BLOCK=4)


# -- options


def backend() -> CPUBackend:
    return CPUBackend(CPUDriver().get_current_target())


def test_options_of_other_backends_are_accepted():
    case = elementwise.add_case(100, 64)
    case.meta |= {"num_warps": 8, "num_stages": 2, "num_ctas": 1, "maxnreg": 64, "waves_per_eu": 2, "kpack": 2}
    case.meta |= {"matrix_instr_nonkdim": 16, "enable_fp_fusion": False, "launch_pdl": True}
    case.run(opwright.tensor)


def test_unknown_options_are_errors():
    x = opwright.tensor(np.zeros(4, np.float32))
    with pytest.raises(KeyError, match="no_such_option"):
        scale[(1,)](x, 4, 2.0, BLOCK=4, no_such_option=1)


def test_num_warps_must_be_a_power_of_two():
    with pytest.raises(AssertionError, match="num_warps must be a power of 2"):
        backend().parse_options({"num_warps": 3})


def test_options_are_hashable_and_serialisable():
    options = backend().parse_options({"extern_libs": {"a": "b"}, "num_warps": 2})
    assert isinstance(options, CPUOptions) and options.extern_libs == (("a", "b"),)
    assert options.default_dot_input_precision == "ieee"
    json.dumps(options.__dict__)
    assert options.hash() != backend().parse_options({}).hash()


def test_the_hash_names_version_and_level():
    assert _core.__version__ in backend().hash() and _core.host_level() in backend().hash()


def test_map_python_to_cpp_type():
    names = {
        t: CPUDriver().map_python_to_cpp_type(t) for t in ("*fp32", "i1", "u16", "i64", "fp16", "bf16", "fp32", "fp64")
    }
    assert list(names.values()) == "void* int8_t uint16_t int64_t _Float16 __bf16 float double".split()
    with pytest.raises(TypeError, match="found the type 'fp8e5'"):
        CPUDriver().map_python_to_cpp_type("fp8e5")


# -- launches


@pytest.mark.parametrize("grid", [(4,), [4], (4, 1), (2, 1, 1), lambda meta: (triton.cdiv(1000, meta["BLOCK"]),)])
def test_forms_of_the_grid(grid):
    x = np.ones(1000, np.float32)
    scale[grid](opwright.tensor(x), 1000, 3.0, BLOCK=256)
    count = {(2, 1, 1): 512}.get(grid if isinstance(grid, tuple) else None, 1000)
    assert (x[:count] == 3).all() and (x[count:] == 1).all()


@pytest.mark.parametrize("grid", [(-1,), (2**31,)])
def test_refused_grids(grid):
    with pytest.raises(ValueError, match=r"grid\[0\] of kernel 'scale' is"):
        scale[grid](opwright.tensor(np.ones(4, np.float32)), 4, 3.0, BLOCK=4)


def test_tuples_and_annotated_types():
    x = np.zeros(10, np.float32)
    tuples[(1,)](opwright.tensor(x), (3, (1.0, 0.5)), 10, BLOCK=16)
    assert x.tolist() == [i * 3 + 0.5 for i in range(10)]


def test_none_and_one_are_constants():
    x, y = np.ones(4, np.float32), np.full(4, 2, np.float32)
    optional[(1,)](opwright.tensor(x), None, 4, BLOCK=4)
    assert x.tolist() == [1, 1, 1, 1]
    optional[(1,)](opwright.tensor(x), opwright.tensor(y), 1, BLOCK=4)
    assert x.tolist() == [3, 1, 1, 1]


def test_unaligned_and_aligned_pointers_are_two_kernels():
    buffer = np.ones(65, np.float32)
    start = (-buffer.ctypes.data // 4) % 4  # first element on a 16-byte boundary
    scale[(1,)](opwright.tensor(buffer[start : start + 16]), 16, 2.0, BLOCK=16)
    scale[(1,)](opwright.tensor(buffer[start + 1 : start + 17]), 16, 2.0, BLOCK=16)
    assert buffer[start : start + 17].tolist() == [2] + [4] * 15 + [2]


def test_numpy_arrays_are_refused_by_triton_itself():
    with pytest.raises(TypeError, match="ndarray"):
        scale[(1,)](np.zeros(4, np.float32), 4, 2.0, BLOCK=4)


def test_a_compiled_kernel_can_be_launched_itself():
    x = np.ones(8, np.float32)
    compiled = scale.warmup(opwright.tensor(x), 8, 2.0, BLOCK=8, grid=(1,))
    assert (x == 1).all()
    compiled[(1, 1, 1)](opwright.tensor(x), 8, 5.0, 8)
    assert (x == 5).all()
    with pytest.raises(
        TypeError, match=r"argument 'x_ptr' of kernel 'scale': found numpy.ndarray.*opwright.tensor\(x\)"
    ):
        compiled[(1, 1, 1)](x, 8, 5.0, 8)


def test_warmup_with_torch_types():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    compiled = scale.warmup(torch.float32, 8, 2.0, BLOCK=8, grid=(1,))
    assert compiled.metadata.name == "scale" and compiled.asm["opwo"][:4] == b"\x7fELF"
    assert "tt.func" in compiled.asm["ttir"]


def test_torch_tensors_elsewhere_are_refused():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.ones(8)
    compiled = scale.warmup(x, 8, 2.0, BLOCK=8, grid=(1,))
    with pytest.raises(ValueError, match="found a tensor on device 'meta', expected CPU memory"):
        compiled[(1, 1, 1)](x.to("meta"), 8, 2.0, 8)


def test_the_current_device_is_not_a_number():
    """Triton's caches are keyed by it alone: a CPU kernel must not meet those of CUDA device 0."""
    device = triton.runtime.driver.active.get_current_device()
    scale[(1,)](opwright.tensor(np.ones(4, np.float32)), 4, 2.0, BLOCK=4)
    assert device == "cpu" and device in scale.device_caches


def test_launches_from_many_threads():
    errors = []

    def work(seed):
        try:
            for n in range(1, 20):
                elementwise.add_case(100 * n, 64, seed=seed).run(opwright.tensor)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_launch_hooks():
    from triton import knobs

    seen = []
    x = opwright.tensor(np.ones(4, np.float32))
    enter, leave = (
        (lambda m: seen.append(("enter", m.get()["name"]))),
        (lambda m: seen.append(("exit", m.get()["name"]))),
    )
    before = knobs.runtime.launch_enter_hook, knobs.runtime.launch_exit_hook
    try:
        knobs.runtime.launch_enter_hook, knobs.runtime.launch_exit_hook = enter, leave
        scale[(1,)](x, 4, 2.0, BLOCK=4)
    finally:
        knobs.runtime.launch_enter_hook, knobs.runtime.launch_exit_hook = before
    assert seen == [("enter", "scale"), ("exit", "scale")]


# -- autotune, benchmarks


def test_autotune():
    configs = [triton.Config({"BLOCK": block}, num_warps=warps) for block, warps in ((64, 1), (256, 4))]
    tuned = triton.autotune(configs, key=["n"], reset_to_zero=["out_ptr"])(elementwise.add)
    case = elementwise.add_case(1000, 64)
    case.meta = {}
    case.grid = lambda meta: (triton.cdiv(1000, meta["BLOCK"]),)
    case.run(opwright.tensor, tuned)
    assert tuned.best_config in configs


def test_do_bench():
    x = opwright.tensor(np.ones(1000, np.float32))
    assert 0 < triton.testing.do_bench(lambda: scale[(1,)](x, 1000, 1.0, BLOCK=1024), warmup=2, rep=5) < 1000


# -- cache


CACHED = """
    import sys; sys.path.insert(0, {here!r})
    import triton, opwright
    from kernels import elementwise
    times = []
    triton.knobs.compilation.listener = lambda cache_hit, **_: times.append(cache_hit)
    elementwise.add_case(100, 64).run(opwright.tensor)
    print(times)
"""


def cached(cache: Path) -> str:
    code = CACHED.format(here=str(Path(__file__).parent))
    return python(code, TRITON_CACHE_DIR=str(cache), TRITON_DEFAULT_BACKEND="cpu")


def test_objects_are_cached(tmp_path):
    assert cached(tmp_path) == "[False]"
    assert cached(tmp_path) == "[True]"


@pytest.mark.parametrize("damage", [lambda b: b[:100] + b"\xff" + b[101:], lambda b: b[: len(b) // 2], lambda b: b""])
def test_a_damaged_cached_object_is_an_error(damage, tmp_path):
    cached(tmp_path)
    (file,) = tmp_path.rglob("*.opwo")
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(AssertionError, match="kernel 'add': the cached object is damaged.*TRITON_ALWAYS_COMPILE=1"):
        cached(tmp_path)


def test_seal():
    assert unseal(seal(b"code"), "k") == b"code"
    for sealed in (seal(b"code")[:-1], b"x" + seal(b"code"), b"code", b""):
        with pytest.raises(RuntimeError, match="kernel 'k': the cached object is damaged"):
            unseal(sealed, "k")


def test_binary_only_caches_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("TRITON_STORE_BINARY_ONLY", "1")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    with pytest.raises(RuntimeError, match="TRITON_STORE_BINARY_ONLY keeps GPU binaries only"):
        scale.warmup(opwright.tensor(np.ones(4, np.float64)), 4, 2.0, BLOCK=4, grid=(1,))


# -- errors


def line_of(text: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_a_refused_operation_names_kernel_line_and_operation():
    x = opwright.tensor(np.ones(32, np.int32))
    with pytest.raises(KernelError) as caught:
        refused[(1,)](x, BLOCK=32)
    text, first = str(caught.value), caught.value.diagnostics[0]
    assert "tt.elementwise_inline_asm" in text and "refused" in text
    assert f"{Path(__file__).name}:{line_of('x = tl.inline_asm_elementwise')}" in text
    assert first["op"] == "tt.elementwise_inline_asm" and first["kernel"] == "refused" and first["severity"] == "error"
    from triton.errors import TritonError

    assert isinstance(caught.value, TritonError) and isinstance(caught.value, RuntimeError)


def test_the_error_can_be_copied():
    error = KernelError("text", [{"op": "tt.x"}])
    for twin in (copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert str(twin) == "text" and twin.diagnostics == error.diagnostics


def test_errors_of_triton_are_its_own():
    with pytest.raises(triton.compiler.CompilationError, match="undefined_name is not defined"):
        wrong[(1,)](opwright.tensor(np.ones(4, np.float32)), BLOCK=4)


def test_malformed_text_is_a_diagnostic():
    with pytest.raises(_core.CompileError) as caught:
        _core.compile("module {\n  tt.func public @k(\n")
    first = caught.value.diagnostics[0]
    assert first["line"] >= 2 and first["message"] and str(caught.value).startswith(f"{first['file']}:{first['line']}")


def test_an_unknown_level_is_a_diagnostic():
    with pytest.raises(_core.CompileError, match="x86-64-v9"):
        _core.compile("module {\n  tt.func public @k() {\n    tt.return\n  }\n}\n", level="x86-64-v9")


def test_a_kernel_from_a_file(tmp_path):
    compiled = scale.warmup(opwright.tensor(np.ones(16, np.float32)), 16, 2.0, BLOCK=16, grid=(1,))
    file = tmp_path / "kernel.ttir"
    file.write_text(compiled.asm["ttir"])
    again = triton.compile(str(file))
    x = np.ones(16, np.float32)
    again[(1, 1, 1)](opwright.tensor(x), 16, 3.0)
    assert (x == 3).all()


def test_dumps(tmp_path, monkeypatch):
    monkeypatch.setenv("OPW_DUMP_DIR", str(tmp_path / "dump"))
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    normalize.softmax.warmup(
        *(opwright.tensor(np.zeros(64, np.float64)) for _ in range(2)), 64, 64, 64, BLOCK=64, grid=(1,)
    )
    stages = [
        "01_input.ttir",
        "02_parse.ir",
        "03_normalize.ir",
        "04_plan.ir",
        "05_emit.ll",
        "06_optimize.ll",
        "07_object.s",
    ]
    assert sorted(path.name for path in (tmp_path / "dump").iterdir()) == stages
    assert all(path.read_text().strip() for path in (tmp_path / "dump").iterdir())


# -- functions of libdevice


def test_libdevice_by_both_names():
    import triton.language.extra.cpu.libdevice as of_cpu

    x, y = (np.random.default_rng(s).random(100, np.float32) for s in range(2))
    out = np.empty_like(x)
    elementwise.hypotenuse[(1,)](*(opwright.tensor(a) for a in (x, y, out)), 100, BLOCK=128)
    exact = np.hypot(x.astype(np.float64), y) + np.cbrt(x.astype(np.float64))
    # each function within 2 ulp of at most 1.5, then one rounding of the sum
    np.testing.assert_allclose(out, exact, rtol=0, atol=5 * 2.0**-23)
    assert of_cpu.hypot.__name__ == "hypot"


# -- autotuning


def test_a_configuration_that_is_too_large_is_skipped():
    x, out = np.ones(8, np.float32), np.zeros(8, np.float32)
    with pytest.raises(OutOfResources, match="the tiles that this kernel keeps take") as caught:
        regressions.many_scans[(1,)](opwright.tensor(x), opwright.tensor(out), 8, COUNT=280, BLOCK=1 << 20)
    assert isinstance(caught.value, KernelError)
    assert caught.value.required > caught.value.limit == 1 << 30
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value) and copy.required == caught.value.required

    configs = [triton.Config({"COUNT": 280, "BLOCK": 1 << 20}), triton.Config({"COUNT": 2, "BLOCK": 8})]
    tuned = triton.autotune(configs=configs, key=["n"])(regressions.many_scans)
    tuned[(1,)](opwright.tensor(x), opwright.tensor(out), 8)
    assert tuned.best_config is configs[1]
    np.testing.assert_array_equal(out, x + 3 * np.cumsum(x))
