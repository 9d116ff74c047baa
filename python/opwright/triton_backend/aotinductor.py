"""Kernels in packages of AOTInductor: what PyTorch's code generator asks a Triton backend for the CPU for.

It takes `compiled.asm["so"]`, a library with a symbol of the kernel's name, and `compiled.asm["launcher.so"]`, one that exports
`run_from_nativert`; both lie in the package and are loaded by its C++ code, without Python. The launcher is
lib/libopwright_aotinductor.so; the symbol is a description of the kernel, for which runtime/adapters/aotinductor/launcher.h
has the layout.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_MAGIC = b"OPWAOTI\x01"
_KINDS = {"constexpr": 0, "i1": 2, "u1": 2, "fp32": 11, "f32": 11}
_KINDS |= {f"i{8 << n}": 3 + n for n in range(4)} | {f"u{8 << n}": 7 + n for n in range(4)}
_POINTER = 1


def offer(metadata: Any) -> None:
    """Called by launcher_cls while a compiled kernel sets itself up: gives its `asm` the two libraries, made when asked for.

    Triton fills `asm` from files that the stages wrote, as text but for one binary, so the kernel itself is the only place where
    they can be had; it is the `self` of the caller's frame. Where it is not, nothing is offered, and PyTorch says what it misses.
    """
    kernel = sys._getframe(2).f_locals.get("self")
    asm = getattr(kernel, "asm", None)
    if asm is not None and getattr(kernel, "metadata", None) is metadata and not isinstance(asm, _Files):
        kernel.asm = _Files(asm, dict(kernel.src.signature), metadata, kernel.kernel)


class _Files(dict):
    """The files of a compiled kernel, with the libraries behind two more keys."""

    def __init__(self, files: dict, signature: dict, metadata: Any, sealed: bytes) -> None:
        super().__init__(files)
        self._kernel = (signature, metadata, sealed)

    def __missing__(self, key: str) -> bytes:
        if key == "so":
            self[key] = kernel_library(*self._kernel)
        elif key == "launcher.so":
            self[key] = (Path(__file__).parents[1] / "lib" / "libopwright_aotinductor.so").read_bytes()
        else:
            raise KeyError(key)
        return self[key]

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default


def kernel_library(signature: dict, metadata: Any, sealed: bytes) -> bytes:
    """A shared library that exports the kernel's description under its name. RuntimeError where PyTorch's code has no way to pass an
    argument, or where no C compiler links it."""
    from opwright.triton_backend.compiler import unseal

    kinds = bytes(_kind(metadata.name, name, type_) for name, type_ in signature.items())
    with tempfile.TemporaryDirectory(prefix="opwright-aoti-") as folder:
        Path(folder, "kernel.o").write_bytes(unseal(sealed, metadata.name))
        Path(folder, "description.s").write_text(_description(metadata, kinds))
        Path(folder, "exports.map").write_text(f"{{ global: {metadata.name}; local: *; }};\n")
        command = [*_compiler(), "-shared", "-nostdlib", "-Wl,-Bsymbolic", "-Wl,-z,noexecstack", "-Wl,--build-id=none"]
        command += ["-Wl,--version-script=exports.map", "-o", "kernel.so", "kernel.o", "description.s"]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(f"kernel '{metadata.name}': {command[0]} could not link a library:\n{done.stdout}")
        return Path(folder, "kernel.so").read_bytes()


def _kind(kernel: str, name: str, type_: Any) -> int:
    if isinstance(type_, str):
        if type_.startswith("*"):
            return _POINTER
        if type_ in _KINDS:
            return _KINDS[type_]
        if type_ == "fp64" and (kind := _kind_of_double()):
            return kind
    raise RuntimeError(
        f"kernel '{kernel}': found the argument '{name}' of type {type_}, expected a tensor, an integer, a bool or a float: "
        "AOTInductor passes no others to a kernel on a CPU"
    )


def _kind_of_double() -> int | None:
    """PyTorch's code keeps every Python float in a C++ variable of one type, which torch 2.13 makes a `float`, also for a parameter
    that its Triton signature calls fp64. So PyTorch itself is asked."""
    from torch._inductor.codegen.cpp_wrapper_cpu import DeferredCpuTritonCallWrapper

    return {"float x": 12, "double x": 13}.get(DeferredCpuTritonCallWrapper._get_cpp_param_type(None, "x", float))


def _description(metadata: Any, kinds: bytes) -> str:
    """AotiKernel of runtime/adapters/aotinductor/launcher.h, for the assembler."""
    magic = struct.unpack("<Q", _MAGIC)[0]
    numbers = ", ".join(map(str, kinds))
    return f"""
    .section .data.rel.ro, "aw"
    .balign 8
    .globl {metadata.name}
    .type {metadata.name}, @object
{metadata.name}:
    .quad {magic}
    .quad {metadata.entry}
    .quad {metadata.scratch_bytes}
    .quad {metadata.grain}
    .long {int(metadata.ordered)}
    .long {len(kinds)}
    {f".byte {numbers}" if kinds else ""}
    .size {metadata.name}, . - {metadata.name}
    .section .note.GNU-stack, "", @progbits
"""


def _compiler() -> list[str]:
    chosen = os.environ.get("CC", "").split()
    for command in (chosen, ["cc"], ["gcc"], ["clang"]):
        if command and shutil.which(command[0]):
            return command
    raise RuntimeError("found no C compiler, tried $CC, cc, gcc and clang: AOTInductor needs one, too; install gcc")
