"""What Triton's knobs, hooks and options change: what is compiled and how, debug mode, the interpreter."""

from __future__ import annotations

import gc
import json
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("triton", reason="triton is not installed")

import runtime_kit
import triton
import triton.language as tl
from kernels.runtime import even_only, limited, scale
from runtime_kit import ENTRIES, LAUNCHES, VERSION, N, fresh, in_process, ones, place, t
from triton import knobs

import opwright

cache, compiled = runtime_kit.cache, runtime_kit.compiled


@triton.jit
def arithmetic(x_ptr, y_ptr, out_ptr, OPERATION: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at)
    y = tl.load(y_ptr + at)
    if OPERATION == "add":
        z = x + y
    elif OPERATION == "sub":
        z = x - y
    else:
        z = x * y
    tl.store(out_ptr + at, z)


@triton.jit
def square_plus(x_ptr, y_ptr, out_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at)
    tl.store(out_ptr + at, x * x + tl.load(y_ptr + at))


@triton.constexpr_function
def twice(n):
    return 2 * n


@triton.jit
def where_am_i(out_ptr, SIZE: tl.constexpr):
    at = tl.arange(0, twice(SIZE))
    found = at * 0
    if tl.target_info.current_target().backend == "cpu":
        found += 1
    if tl.target_info.is_cuda() or tl.target_info.is_hip():
        found += 10
    tl.store(out_ptr + at, found)


def describe(grid, metadata, args):
    return {"grid": grid, "kernel": metadata.name, "bytes": 4 * args["n"]}


@triton.jit(launch_metadata=describe, repr=lambda specialization: f"ramp_{max(specialization.constants.values())}")
def ramp(x_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(x_ptr + at, at, mask=at < n)


# -- knobs and hooks


def test_a_kernel_asks_for_its_target_and_calls_functions_of_constants():
    out = np.zeros(32, np.int32)
    where_am_i[(1,)](t(out), SIZE=16)
    assert (out == 1).all()


def test_always_compile(cache, compiled, monkeypatch):
    for value, hit in (("1", False), ("1", False), ("0", True)):
        monkeypatch.setenv("TRITON_ALWAYS_COMPILE", value)
        fresh(scale)[(1,)](t(ones()), N, 3.0, BLOCK=64)
        assert compiled.pop() is hit


def test_the_listener_is_told_stages_and_files(cache, monkeypatch):
    told = []
    monkeypatch.setattr(knobs.compilation, "listener", lambda **event: told.append(event))
    for hit in (False, True):
        fresh(scale)[(1,)](t(ones()), N, 3.0, BLOCK=64)
        event = told.pop()
        assert event["cache_hit"] is hit and event["src"].name == "scale" and event["metadata"]["name"] == "scale"
        assert [stage for stage, _ in event["times"].lowering_stages] == ([] if hit else ["ttir", "opwo"])
        files = {Path(file).suffix: Path(file) for file in event["metadata_group"].values()}
        assert set(files) >= {".ttir", ".opwo", ".json"}
        assert all(file.is_file() and file.is_relative_to(cache) for file in files.values())


def test_hooks_around_a_compilation():
    events, kernel, x = [], fresh(scale), ones()

    def hook(name):
        return lambda *, fn, compile, is_manual_warmup, **_: events.append(
            (name, fn.name, compile["constants"], compile["num_warps"], is_manual_warmup)
        )

    with knobs.runtime.scope():
        knobs.runtime.jit_cache_hook, knobs.runtime.jit_post_compile_hook = hook("before"), hook("after")
        kernel[(1,)](t(x), N, 3.0, BLOCK=64, num_warps=2)
        kernel[(1,)](t(x), N, 3.0, BLOCK=64, num_warps=2)
        kernel.warmup(t(x), N, 3.0, BLOCK=128, grid=(1,))
    kernel.warmup(t(x), N, 3.0, BLOCK=256, grid=(1,))
    assert events == [
        (name, "scale", {(3,): size}, warps, warmup)
        for size, warps, warmup in ((64, 2, False), (128, 4, True))
        for name in ("before", "after")
    ]


def test_a_hook_that_takes_a_compilation_over_leaves_nothing_to_launch(monkeypatch):
    kernel, x = fresh(scale), ones()
    monkeypatch.setattr(knobs.runtime, "jit_cache_hook", lambda **_: True)
    assert kernel[(1,)](t(x), N, 3.0, BLOCK=64) is None and (x == 1).all()
    with pytest.raises(RuntimeError, match="found 0 launches") as caught:
        opwright.bind(kernel, (1,), t(x), N, 3.0, BLOCK=64)
    assert "launches kernels, too" not in str(caught.value)
    monkeypatch.setattr(knobs.runtime, "jit_cache_hook", None)
    kernel[(1,)](t(x), N, 3.0, BLOCK=64)
    assert (x == 3).all()


def test_hooks_see_a_kernel_loaded_launched_and_unloaded():
    events, kernel, x = [], fresh(ramp, launch_metadata=describe, repr=ramp._repr), np.zeros(N, np.float32)

    def note(event, name):
        if name == "ramp_64":  # kernels of other tests go at any time
            events.append(event)

    hooks = {
        "kernel_load_start_hook": lambda module, function, name, *_: note(("load", function), name),
        "kernel_load_end_hook": lambda module, function, name, *_: note(("loaded", function), name),
        "launch_enter_hook": lambda metadata: note(metadata.get(), metadata.get()["name"]),
    }
    if VERSION >= (3, 8):
        hooks["kernel_unload_hook"] = lambda module, function, name, *_: note(("unload", function), name)
    for name, hook in hooks.items():
        getattr(knobs.runtime, name).add(hook)
    try:
        function = kernel[(1,)](t(x), 10, BLOCK=64).function
        kernel.device_caches.clear()
        gc.collect()
    finally:
        for name, hook in hooks.items():
            getattr(knobs.runtime, name).remove(hook)
    assert x.tolist() == [*range(10), *[0] * (N - 10)]
    launched = {"name": "ramp_64", "kernel": "ramp_64", "function": function, "stream": 0, "grid": (1,), "bytes": 40}
    unloaded = [("unload", function)] if "kernel_unload_hook" in hooks else []
    assert events == [("load", None), ("loaded", function), launched, *unloaded]


def test_the_hook_of_stages_sees_those_of_a_cpu(cache, monkeypatch):
    stages_seen = []

    def hook(backend=None, stages=None, options=None, language=None, capability=None):
        if stages is None:
            return "key", "1"
        stages_seen.append((list(stages), options.backend_name))

    monkeypatch.setattr(knobs.runtime, "add_stages_inspection_hook", hook)
    fresh(scale)[(1,)](t(ones()), N, 3.0, BLOCK=64)
    assert stages_seen == [(["ttir", "opwo"], "cpu")]


@pytest.mark.parametrize(
    ("variable", "options", "fused"),
    [
        ("1", {}, True),
        ("0", {}, False),
        ("0", {"enable_fp_fusion": True}, True),
        ("1", {"enable_fp_fusion": False}, False),
    ],
)
def test_triton_says_whether_products_are_fused_by_default(variable, options, fused, monkeypatch):
    """The square of 1 + 2^-12 has a last term of 2^-24, which only survives where the product is not rounded."""
    monkeypatch.setenv("TRITON_DEFAULT_FP_FUSION", variable)
    x, y, out = np.full(16, 1 + 2.0**-12, np.float32), np.full(16, -1, np.float32), np.zeros(16, np.float32)
    fresh(square_plus)[(1,)](t(x), t(y), t(out), BLOCK=16, **options)
    assert (out == 2.0**-11 + (2.0**-24 if fused else 0)).all()


def test_ttir_of_the_user_takes_the_place_of_the_kernel_s(tmp_path):
    out, file = np.zeros(N, np.int32), tmp_path / "mine.ttir"
    text = even_only.warmup(t(out), N, VALUE=2, BLOCK=64, grid=(1,)).asm["ttir"]
    assert text.count("dense<2>") == 1
    file.write_text(text.replace("dense<2>", "dense<5>"))
    even_only[(1,)](t(out), N, VALUE=2, BLOCK=64, ir_override=str(file))
    assert (out == 5).all()
    even_only[(1,)](t(out), N, VALUE=2, BLOCK=64)
    assert (out == 2).all()


# -- debugging

OVERFLOWS = {"add": ("z = x + y", 2**31 - 1, 1), "sub": ("z = x - y", -(2**31), 1), "mul": ("z = x * y", 2**30, 2)}


@pytest.mark.parametrize("operation", OVERFLOWS)
@pytest.mark.parametrize("how", ["option", "decorator", "knob", "bound"])
def test_integers_that_overflow_are_an_error_with_the_line_in_debug_mode(how, operation):
    text, x, y = OVERFLOWS[operation]
    arrays = [np.full(16, value, np.int32) for value in (x, y, 0)]
    arguments = [*map(t, arrays), operation]
    kernel = fresh(arithmetic, debug=True) if how == "decorator" else fresh(arithmetic)
    options = {"debug": True} if how in ("option", "bound") else {}
    where = re.escape(place(arithmetic, text))
    message = rf"kernel 'arithmetic' failed: .*{where}: .*int32 overflow detected for operation {operation}"
    with knobs.runtime.scope():
        if how == "knob":
            knobs.runtime.debug = True
        launch = lambda: kernel[(1,)](*arguments, BLOCK=16, **options)  # noqa: E731
        if how == "bound":
            launch = opwright.bind(kernel, (1,), *arguments, BLOCK=16, **options)
        for _ in range(2):
            with pytest.raises(RuntimeError, match=message):
                launch()
            assert not arrays[2].any()
        arrays[0][:] = 5
        launch()
        assert (arrays[2] == {"add": 5 + y, "sub": 5 - y, "mul": 5 * y}[operation]).all()


@pytest.mark.parametrize("options", [{}, {"debug": False}, {"debug": True, "sanitize_overflow": False}], ids=str)
@pytest.mark.parametrize("operation", OVERFLOWS)
def test_integers_wrap_where_nobody_asks(operation, options):
    _, x, y = OVERFLOWS[operation]
    arrays = [np.full(16, value, np.int32) for value in (x, y, 0)]
    arithmetic[(1,)](*map(t, arrays), operation, BLOCK=16, **options)
    exact = {"add": x + y, "sub": x - y, "mul": x * y}[operation]
    assert (arrays[2] == (exact + 2**31) % 2**32 - 2**31).all()


@pytest.mark.parametrize("entry", LAUNCHES)
def test_an_assertion_of_a_kernel_names_its_line_and_program(entry):
    x = ones()
    where = re.escape(place(limited, "tl.device_assert(n <= limit"))
    message = rf"kernel 'limited' failed: .*{where}: .*n is above the limit, in program \(0, 0, 0\) of kernel 'limited'"
    for _ in range(2):
        with pytest.raises(RuntimeError, match=message):
            result = ENTRIES[entry](limited, (1,), t(x), N, 10, BLOCK=64, debug=True)
            assert entry == "bind", "the launch did not fail"
            result()
    assert (x == 1).all()
    limited[(1,)](t(x), N, 10, BLOCK=64)
    assert x.tolist() == list(range(N))


# -- Triton's interpreter


@pytest.fixture(scope="module")
def interpreted():
    pytest.importorskip("torch", reason="torch is not installed")
    code = """
        import json, numpy as np, torch, opwright
        from kernels import counters, elementwise, normalize

        def outcome(run):
            try:
                run()
            except Exception as error:
                return f"{type(error).__name__}: {error}"

        cases = {
            "add": lambda: elementwise.add_case(100, 64),
            "integers": lambda: elementwise.add_case(100, 64, "int16"),
            "strides": lambda: elementwise.add_strided_case(5, 9, "every second", (4, 16)),
            "softmax": lambda: normalize.softmax_case(3, 50, 64),
            "three dimensions": lambda: counters.grid_ids_case((2, 3, 4)),
        }
        found = {"torch": {}, "numpy": {}}
        for name, make in cases.items():
            found["torch"][name] = outcome(lambda: make().run(torch.from_numpy))
            found["numpy"][name] = outcome(lambda: make().run(opwright.tensor))
        x, out = torch.ones(64), torch.zeros(64)
        found["bind"] = outcome(lambda: opwright.bind(elementwise.add, (1,), x, x, out, 64, BLOCK=64))
        found["ran"] = bool(out.any())
        print(json.dumps(found))
    """
    return json.loads(in_process(code, TRITON_INTERPRET="1"))


@pytest.mark.parametrize("name", ["add", "integers", "strides", "softmax", "three dimensions"])
@pytest.mark.parametrize("wrap", ["torch", "numpy"])
def test_the_interpreter_computes_the_same(interpreted, wrap, name):
    assert interpreted[wrap][name] is None


def test_bind_refuses_what_is_interpreted(interpreted):
    """It has no compiled kernel to bind, and must not run where a launch is only bound."""
    assert "TRITON_INTERPRET" in interpreted["bind"] and not interpreted["ran"]
