"""Launches of Triton kernels on the CPU beyond `kernel[grid](...)`: bound to their arguments, and on the CPU beside a GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opwright._core import BoundLaunch


def bind(kernel: Any, grid: tuple | list | Callable, *args: Any, **options: Any) -> BoundLaunch:
    """The launch `kernel[grid](*args, **options)` with its arguments bound: calling the result runs it, in a tenth of a
    microsecond of overhead (benchmarks/triton_launch.py).

        step = opwright.bind(add, (cdiv(n, 1024),), x, y, out, n, BLOCK=1024)
        for _ in range(1000):
            step()

    Everything is decided here, once: the compiled kernel, the grid, the addresses of the tensors. The launch keeps references to the
    tensors; it does not notice when one gets other memory (`Tensor.set_`, `resize_`), and calls no hooks of launches. The kernel runs
    here only if it is autotuned: then it is tuned first, as its first launch would. Threads may share the result.

    TypeError for what is no kernel or no grid; ValueError for a grid of more than three sizes, and for a configuration with a
    `pre_hook`, which a plain launch would call each time; RuntimeError where the CPU is not the active driver of Triton (see
    `opwright.cpu`), and for a kernel of Triton's interpreter; whatever the launch would raise.
    """
    from triton.runtime import driver
    from triton.runtime.autotuner import Autotuner
    from triton.runtime.jit import JITFunction, KernelInterface

    from opwright import _core
    from opwright.triton_backend.driver import CPUDriver

    if not isinstance(kernel, KernelInterface):
        raise TypeError(
            f"found {type(kernel).__name__}, expected a @triton.jit kernel: bind(kernel, grid, ...), without kernel[grid]"
        )
    if not isinstance(grid, (tuple, list)) and not callable(grid):
        raise TypeError(f"found the grid {grid!r}, expected a tuple, a list or a function that gives one")
    wrapped = list(_chain(kernel))
    if not isinstance(wrapped[-1], JITFunction):
        raise RuntimeError(
            f"found {type(wrapped[-1]).__name__}, expected a kernel that is compiled: unset TRITON_INTERPRET to bind launches"
        )
    active = driver.active
    if isinstance(active, _PerThread):
        active = active.current
    if not isinstance(active, CPUDriver):
        raise RuntimeError(
            f"found {type(active).__name__} as Triton's active driver, expected the CPU's: "
            "call bind inside `with opwright.cpu():`, or set TRITON_DEFAULT_BACKEND=cpu"
        )
    configs = [config for tuner in wrapped if isinstance(tuner, Autotuner) for config in tuner.configs]
    if any(config.pre_hook for config in configs):
        raise ValueError(
            "found a configuration with a pre_hook, expected none: a bound launch would leave it out; launch with kernel[grid]"
        )
    grid = _at_most_three(grid)
    if configs:
        kernel[grid](*args, **options)
    launches = _core.capture(lambda: kernel[grid](*args, **options))
    if len(launches) != 1:
        why = "a hook launches kernels, too" if launches else "a hook (knobs.runtime.jit_cache_hook) took it over"
        raise RuntimeError(f"found {len(launches)} launches in one of {kernel!r}, expected 1: {why}")
    return launches[0]


def _chain(kernel: Any) -> Iterator[Any]:
    """The kernel, and what it wraps: heuristics and the autotuner wrap each other in any order."""
    from triton.runtime.jit import KernelInterface

    while isinstance(kernel, KernelInterface):
        yield kernel
        kernel = getattr(kernel, "fn", None)


def _at_most_three(grid: Any) -> Any:
    """The same grid; ValueError for none or more axes, of which Triton would take the first three."""
    if callable(grid):
        return lambda meta: _at_most_three(grid(meta))
    if not isinstance(grid, (tuple, list)):
        raise TypeError(f"found the grid {grid!r}, expected a tuple or list of sizes")
    if not 1 <= len(grid) <= 3:
        raise ValueError(f"found the grid {grid!r}, expected one to three sizes")
    return grid


class _PerThread:
    """Triton has one active driver per process. This one stands for the driver that was active before, and for the CPU's in threads
    that are inside `cpu()`."""

    def __init__(self, usual: Any) -> None:
        self._usual = usual
        self._local = threading.local()

    @property
    def current(self) -> Any:
        stack = getattr(self._local, "stack", None)
        return stack[-1] if stack else self._usual()

    def __getattr__(self, name: str) -> Any:
        if name in ("current", "_usual", "_local"):  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self.current, name)

    def stack(self) -> list:
        """The drivers of the `cpu()` blocks that this thread is in."""
        if not hasattr(self._local, "stack"):
            self._local.stack = []
        return self._local.stack


def set_threads(count: int | None) -> None:
    """How many threads a launch may use, the caller included, from now on; None: as many as the process may use CPUs, or
    OPW_THREADS. It is about launches on Opwright's own threads: those on torch tensors take torch's (torch.set_num_threads).

    TypeError for what is no integer, ValueError for less than 1.
    """
    from opwright import _core

    if count is not None and (isinstance(count, bool) or not isinstance(count, int)):
        raise TypeError(f"found {count!r} threads, expected an integer, or None for the default")
    if count is not None and count < 1:
        raise ValueError(f"found {count} threads, expected at least 1, or None for the default")
    _core.set_threads(0 if count is None else min(count, 2**31 - 1))


_install = threading.Lock()


@contextmanager
def cpu() -> Iterator[None]:
    """Inside, Triton kernels that this thread launches run on the CPU, also on a machine with a GPU. Other threads are not
    concerned. May be nested. What a kernel was compiled to for another device stays."""
    from triton.runtime import driver

    from opwright.triton_backend.driver import CPUDriver

    with _install:
        switch = driver._active
        if not isinstance(switch, _PerThread):
            before = switch
            # without an active driver yet: Triton's choice, made when somebody needs it
            switch = _PerThread(lambda: driver.default if before is None else before)
            driver.set_active(switch)
    stack, mine = switch.stack(), CPUDriver()
    stack.append(mine)
    try:
        yield
    finally:  # perhaps in another thread, as a generator's end may be
        stack.remove(mine)
