"""Opwright: Triton kernels, compiled ahead of time, as one plugin library for every host.

Everything is loaded on first use: `import opwright` itself imports neither NumPy nor torch nor Triton.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opwright.cpu_tensor import tensor as tensor
    from opwright.launch import bind as bind
    from opwright.launch import cpu as cpu
    from opwright.launch import set_threads as set_threads
    from opwright.loader import Library as Library
    from opwright.loader import load as load
    from opwright.paths import cmake_dir as cmake_dir
    from opwright.paths import include_dir as include_dir
    from opwright.profiling import profile as profile
    from opwright.schemas import onnx_schemas as onnx_schemas

    __version__: str

_LAZY = {
    "Library": "opwright.loader",
    "bind": "opwright.launch",
    "cmake_dir": "opwright.paths",
    "cpu": "opwright.launch",
    "include_dir": "opwright.paths",
    "load": "opwright.loader",
    "onnx_schemas": "opwright.schemas",
    "profile": "opwright.profiling",
    "set_threads": "opwright.launch",
    "tensor": "opwright.cpu_tensor",
}
__all__ = [
    "Library", "bind", "cmake_dir", "cpu", "include_dir", "load", "onnx_schemas", "profile", "set_threads", "tensor",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            value: Any = version("opwright")
        except PackageNotFoundError:  # a source tree on PYTHONPATH
            value = "0+source"
    elif name in _LAZY:
        from importlib import import_module

        value = getattr(import_module(_LAZY[name]), name)
    else:
        raise AttributeError(f"module 'opwright' has no attribute {name!r}")
    globals()[name] = value
    return value
