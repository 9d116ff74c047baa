"""For tests of Triton's runtime: ways to launch a kernel, stand-ins for benchmarks, fresh processes and caches.

A test file takes the fixtures by name: `cache, compiled = runtime_kit.cache, runtime_kit.compiled`.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import triton
from triton import knobs

import opwright

VERSION = tuple(int(part) for part in triton.__version__.split(".")[:2])
N = 64
t = opwright.tensor


def fresh(kernel: Any, **options: Any) -> Any:
    """The same kernel with nothing compiled in memory, as a new process has it."""
    return triton.jit(kernel.fn, **options)


def ones(count: int = N) -> np.ndarray:
    return np.ones(count, np.float32)


def place(kernel: Any, text: str) -> str:
    """`file:line` of the first line of the kernel that has the text."""
    lines, first = inspect.getsourcelines(kernel.fn)
    file = Path(inspect.getsourcefile(kernel.fn))
    return f"{file.name}:{next(number for number, line in enumerate(lines, first) if text in line)}"


def in_process(code: str, **environment: str) -> str:
    """Runs code in a fresh process that finds the kernels of the tests; what it prints."""
    head = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def compiled(monkeypatch):
    """An entry for each kernel that Triton's compiler was asked for: whether the cache had it."""
    hits: list[bool] = []
    monkeypatch.setattr(knobs.compilation, "listener", lambda *, cache_hit, **_: hits.append(cache_hit))
    return hits


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """A cache directory of the test's own."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Bench:
    """Stands for do_bench: each configuration runs `runs` times, and is said to have taken the next of `times`; without these, each
    takes longer than the one before."""

    def __init__(self, *times: float, runs: int = 1) -> None:
        self.times, self.runs, self.count = times, runs, 0

    def __call__(self, call, quantiles):
        for _ in range(self.runs):
            call()
        self.count += 1
        return [self.times[self.count - 1] if self.times else float(self.count)] * len(quantiles)


def blocks(*sizes: int) -> list[triton.Config]:
    return [triton.Config({"BLOCK": size}) for size in sizes]


def whole(meta):
    return (triton.cdiv(meta["n"], meta["BLOCK"]),)


def launch_tuned(kernel, grid, *args, BLOCK, **options):
    tuned = triton.autotune(blocks(BLOCK, 2 * BLOCK), key=["n"], do_bench=Bench())(kernel)
    return tuned[grid](*args, **options)


ENTRIES: dict[str, Callable] = {
    "launch": lambda kernel, grid, *args, **options: kernel[grid](*args, **options),
    "run": lambda kernel, grid, *args, **options: kernel.run(*args, grid=grid, warmup=False, **options),
    "bind": lambda kernel, grid, *args, **options: opwright.bind(kernel, grid, *args, **options),
    "warmup": lambda kernel, grid, *args, **options: kernel.warmup(*args, grid=grid, **options),
    "autotuned": launch_tuned,
}
LAUNCHES = ["launch", "run", "bind"]
