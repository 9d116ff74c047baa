"""Driver half of the Triton backend: who is active, loading, launching, timing.

Imported while `import triton` runs: only `triton.backends` may be imported up here, and torch nowhere unless asked for.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from typing import Any

from triton.backends.compiler import GPUTarget
from triton.backends.driver import DriverBase

from opwright.triton_backend.environment import switch
from opwright.triton_backend.level import host_level


class CPUDriver(DriverBase):
    """Runs kernels on this machine's CPU, on memory that the CPU can read."""

    def __init__(self) -> None:
        super().__init__()
        self.utils = CPUUtils()

    @staticmethod
    def is_active() -> bool:
        """Asked for (OPW_TRITON=1, TRITON_DEFAULT_BACKEND=cpu), or no GPU driver is there. More than one active driver is an
        error in Triton, so this must not answer yes beside a GPU."""
        asked = switch("OPW_TRITON")
        if asked is not None:
            return asked
        default = os.environ.get("TRITON_DEFAULT_BACKEND", "")
        if default:
            return default == "cpu"
        return not _gpu_driver_active()

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cpu", host_level(), 1)

    def get_active_torch_device(self) -> Any:
        import torch

        return torch.device("cpu")

    def map_python_to_cpp_type(self, ty: str) -> str:
        if ty.startswith("*"):
            return "void*"
        name = {"fp16": "_Float16", "bf16": "__bf16", "fp32": "float", "f32": "float", "fp64": "double"}.get(ty)
        if name is None and ty[:1] in "iu" and ty[1:].isdigit():
            name = f"{'u' if ty[0] == 'u' else ''}int{max(int(ty[1:]), 8)}_t"
        if name is None:
            raise TypeError(f"found the type '{ty}', expected a pointer, an integer or fp16, bf16, fp32, fp64")
        return name

    # needed by Triton, though DriverBase does not declare them

    def get_current_device(self) -> str:
        # A name, not a number: Triton's kernel caches are keyed by it alone, and CUDA's devices are numbers.
        return "cpu"

    def set_current_device(self, device: Any) -> None:
        pass

    def get_current_stream(self, device: Any = None) -> int:
        return 0

    @staticmethod
    def launcher_cls(src: Any, metadata: Any) -> Any:
        """The callable that Triton launches with, made once per compiled kernel."""
        from opwright import _core
        from opwright.triton_backend import aotinductor

        aotinductor.offer(metadata)
        # a source is a jit function with names, or a .ttir file with positions
        signature = [(key if isinstance(key, str) else f"arg{key}", type_) for key, type_ in src.signature.items()]
        return _core.launcher(
            metadata.name,
            signature,
            slots=len(metadata.params),
            scratch_bytes=metadata.scratch_bytes,
            grain=metadata.grain,
            ordered=metadata.ordered,
        )

    # for triton.testing.do_bench and the autotuner

    def get_benchmarker(self) -> Any:
        from triton.testing import do_bench

        return do_bench

    def get_device_interface(self) -> type[CPUDevice]:
        return CPUDevice

    def get_empty_cache_for_benchmark(self) -> bytearray:
        # twice the last-level cache, so that writing it leaves nothing else there; at most what may be written before each run
        return bytearray(2 * min(max(_last_level_cache(), 16 << 20), 256 << 20))

    def clear_cache(self, cache: bytearray) -> None:
        import ctypes

        ctypes.memset((ctypes.c_char * len(cache)).from_buffer(cache), 0, len(cache))


class CPUUtils:
    """What Triton asks of a driver's `utils`."""

    def get_device_properties(self, device: Any) -> dict[str, Any]:
        from opwright import _core

        return {
            "max_shared_mem": 2**31 - 1,
            "multiprocessor_count": _core.threads(),
            "max_num_regs": 2**31 - 1,
            "warpSize": 1,
            "sm_clock_rate": 0,
            "mem_clock_rate": 0,
            "mem_bus_width": 64,
            "arch": host_level(),
        }

    def load_binary(self, name: str, kernel: bytes, shared: int, device: Any) -> tuple[Any, Any, int, int, int]:
        """(module, function, registers, spills, threads at most): the function keeps the code, Triton keeps the function."""
        from opwright import _core
        from opwright.triton_backend.compiler import unseal

        _once_per_process()
        loaded = _core.load(unseal(kernel, name))
        if switch("OPW_PERF_MAP"):
            _name_for_perf(name, loaded)
        return loaded, loaded, 0, 0, 2**31 - 1

    def unload_module(self, module: Any) -> None:
        pass  # the code goes with the last reference

    def set_printf_fifo_size(self, size: int) -> None:
        pass


class CPUEvent:
    """A point in time; launches are synchronous, so a recorded event has happened."""

    def __init__(self, enable_timing: bool = False, **_: Any) -> None:
        self.at = 0.0

    def record(self, *_: Any) -> None:
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        pass

    def query(self) -> bool:
        return True

    def elapsed_time(self, end: CPUEvent) -> float:
        """Milliseconds; never 0, callers divide by it."""
        return max((end.at - self.at) * 1e3, 1e-6)


class CPUDevice:
    """Device interface of `do_bench`, modelled on torch.cuda."""

    Event = CPUEvent

    @staticmethod
    def synchronize(*_: Any) -> None:
        pass

    @staticmethod
    def current_device() -> int:
        return 0


@functools.cache
def _once_per_process() -> None:
    from opwright.profiling import start_from_environment
    from opwright.triton_backend import environment

    environment.check()

    start_from_environment()


def _name_for_perf(name: str, loaded: Any) -> None:
    """A line of the map in which Linux's perf looks up code that is in no file. Lines for code that was freed stay: perf takes the
    last one for an address."""
    with open(f"/tmp/perf-{os.getpid()}.map", "a") as lines:
        lines.write(f"{loaded.address:x} {loaded.code_bytes:x} {name}\n")


def _last_level_cache() -> int:
    """In bytes."""
    for name in ("SC_LEVEL3_CACHE_SIZE", "SC_LEVEL2_CACHE_SIZE"):
        try:
            size = os.sysconf(name)
        except (ValueError, OSError):
            continue
        if size > 0:
            return size
    return 32 << 20


def _gpu_driver_active() -> bool:
    """Whether one of Triton's GPU drivers will say that it is active. They may import torch to find out; we do not, so where
    torch is installed but not loaded, a GPU's device file counts as a yes."""
    from triton.backends import backends

    for name, backend in backends.items():
        if name == "cpu":
            continue
        asks_torch = "torch" in _imported_names(backend.driver.is_active)
        if not asks_torch or "torch" in sys.modules:
            if backend.driver.is_active():
                return True
        elif _torch_installed() and _device_file(name):
            return True
    return False


def _imported_names(function: Any) -> tuple[str, ...]:
    """Names that a function's code uses, `import` statements included."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code.co_names if code else ()


def _torch_installed() -> bool:
    from importlib.util import find_spec

    return find_spec("torch") is not None


def _device_file(backend: str) -> bool:
    return os.path.exists({"nvidia": "/dev/nvidiactl", "amd": "/dev/kfd"}.get(backend, "/nonexistent"))
