"""Kernels that are compiled before they are launched: in other threads, or from what another process told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import numpy as np
import pytest

pytest.importorskip("triton", reason="triton is not installed")

import runtime_kit
import triton
import triton.language as tl
from kernels import elementwise
from kernels.runtime import perhaps_refused, scale, strided
from runtime_kit import VERSION, Bench, N, blocks, fresh, in_process, ones, t, whole
from triton import knobs

import opwright
from opwright.triton_backend.errors import KernelError

cache, compiled = runtime_kit.cache, runtime_kit.compiled


def test_kernels_compile_in_other_threads(cache, monkeypatch):
    threads = []
    monkeypatch.setattr(knobs.compilation, "listener", lambda **_: threads.append(threading.current_thread().name))
    kernel, x = fresh(scale), ones()
    with ThreadPoolExecutor(2, thread_name_prefix="beside") as pool, triton.AsyncCompileMode(pool):
        ahead = [kernel.warmup(t(x), N, 3.0, BLOCK=size, grid=(1,)) for size in (16, 32, 64, 64)]
        assert ahead[2] is ahead[3] and (x == 1).all()
        kernel[(2,)](t(x), N, 3.0, BLOCK=32)
        assert (x == 3).all()
        step = opwright.bind(kernel, (4,), t(x), N, 3.0, BLOCK=16)
        step()
        assert (x == 9).all()
    assert len(threads) == 3 and all(name.startswith("beside") for name in threads)
    ahead[2].result()[(1, 1, 1)](t(x), N, 3.0, 64)
    assert (x == 27).all() and ahead[2].result().name == "scale"


def test_configurations_compile_beside_each_other_before_they_are_tuned(cache, compiled):
    x = ones()
    tuned = triton.autotune(blocks(16, 32, 64), key=["n"], do_bench=Bench(), restore_value=["x_ptr"])(fresh(scale))
    with ThreadPoolExecutor(2) as pool, triton.AsyncCompileMode(pool):
        tuned.warmup(t(x), N, 3.0, grid=(1,))
    assert compiled == [False] * 3 and (x == 1).all()
    tuned[whole](t(x), N, 3.0)
    assert len(compiled) == 3 and (x == 3).all()


def test_errors_of_kernels_that_compile_beside():
    x, text = ones(), "inline assembly of a GPU cannot run on a CPU .* in kernel 'perhaps_refused'"

    def beside(kernel, **how):
        with ThreadPoolExecutor(2) as pool, triton.AsyncCompileMode(pool, **how):
            kernel.warmup(t(x), N, GPU=True, grid=(1,))
            kernel.warmup(t(x), N, GPU=False, grid=(1,))

    # each in a context of its own: where a kernel fails, Triton before 3.8 does not leave the mode
    with pytest.raises(KernelError, match=text):
        copy_context().run(beside, fresh(perhaps_refused))
    kernel = fresh(perhaps_refused)
    copy_context().run(beside, kernel, ignore_errors=True)
    with pytest.raises(KernelError, match=text):
        kernel[(1,)](t(x), N, GPU=True)
    kernel[(1,)](t(x), N, GPU=False)
    assert (x == 2).all()


def specialization(launch: Callable[[], Any]) -> str:
    """What Triton's hooks tell of the one kernel that `launch` has to compile."""
    told = []
    with knobs.runtime.scope():
        knobs.runtime.jit_cache_hook = lambda *, compile, **_: told.append(compile["specialization_data"])
        launch()
    (data,) = told
    return data


@pytest.mark.parametrize(
    "options",
    [{}, {"num_warps": 8, "debug": True}, {"arch": "x86-64-v3"}, {"extern_libs": {"name": "path"}}],
    ids=["none", "several", "level", "libraries"],
)
def test_a_preloaded_kernel_comes_from_the_cache_and_is_launched(options, cache, compiled):
    def launch(kernel):
        x = ones()
        kernel[(1,)](t(x), N, 3.0, BLOCK=64, **options)
        assert (x == 3).all()

    data = specialization(lambda: launch(fresh(scale)))
    kernel = fresh(scale)
    metadata = kernel.preload(data).metadata
    assert metadata.name == "scale" and compiled == [False, True]
    assert all(getattr(metadata, name) == value for name, value in options.items() if name != "extern_libs")
    launch(kernel)
    assert compiled == [False, True]


@triton.jit
def add_half(x):
    return x + 0.5


@triton.jit
def convert(out_ptr, TYPE: tl.constexpr, FUNCTION: tl.constexpr, BLOCK: tl.constexpr):
    x = (tl.arange(0, BLOCK) * 0 + 1).to(TYPE)
    if FUNCTION is not None:
        x = FUNCTION(x)
    tl.store(out_ptr + tl.arange(0, BLOCK), x)


@pytest.mark.parametrize(
    ("function", "value"),
    [(None, 1), (add_half, 1.5)][: 2 if VERSION >= (3, 7) else 1],
    ids=["type", "function"][: 2 if VERSION >= (3, 7) else 1],
)
def test_preloaded_constants_may_be_types_and_functions(function, value, compiled):
    def launch(kernel):
        out = np.zeros(N, np.float32)
        kernel[(1,)](t(out), tl.float32, function, BLOCK=64)
        assert (out == value).all()

    data = specialization(lambda: launch(fresh(convert)))
    kernel = fresh(convert)
    kernel.preload(data)
    count = len(compiled)
    launch(kernel)
    assert len(compiled) == count


def test_another_process_preloads(tmp_path):
    """With the cache nothing is compiled again, without it once; the launch finds the kernel in both."""
    case = elementwise.add_case(100, 64)
    data = specialization(lambda: case.run(opwright.tensor, fresh(elementwise.add)))
    code = f"""
        import triton, opwright
        from kernels import elementwise
        events = []
        triton.knobs.compilation.listener = lambda *, cache_hit, **_: events.append(cache_hit)
        elementwise.add.preload({data!r})
        triton.knobs.runtime.jit_cache_hook = lambda **_: events.append("asked")
        elementwise.add_case(100, 64).run(opwright.tensor)
        print(events)
    """
    assert in_process(code) == "[True]"
    assert in_process(code, TRITON_CACHE_DIR=str(tmp_path)) == "[False]"


def test_data_of_another_kernel_or_target_is_not_preloaded():
    data = specialization(lambda: fresh(scale).warmup(t(ones()), N, 3.0, BLOCK=64, grid=(1,)))
    with pytest.raises(RuntimeError, match="for .*scale but trying to preload for .*strided"):
        strided.preload(data)
    if VERSION >= (3, 7):  # before, the data names no target
        other = json.loads(data)
        other["target"]["arch"] = "x86-64-v9"
        with pytest.raises(RuntimeError, match="x86-64-v9.*but trying to preload for"):
            scale.preload(json.dumps(other))
