"""Kernels in packages of AOTInductor: what PyTorch's code generator asks a Triton backend for the CPU for.

It takes `compiled.asm["so"]`, a library with a symbol of the kernel's name, and `compiled.asm["launcher.so"]`, one that exports
`run_from_nativert`; both lie in the package and are loaded by its C++ code, without Python. The launcher is
lib/libopwright_aotinductor.so; the symbol is a description of the kernel, for which runtime/adapters/aotinductor/launcher.h
has the layout.
"""

from __future__ import annotations

import enum
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_MAX_SLOTS = 256  # OPW_MAX_ARGS
_LEVELS = {"x86-64-v3": 3, "x86-64-v4": 4}  # OPW_LEVEL_*


class Kind(enum.IntEnum):
    """AotiKind of the header: how PyTorch's code passes an argument."""

    CONSTANT = 0
    POINTER = 1
    BOOL = 2
    SIGNED = 3  # + n for 2**n bytes
    UNSIGNED = 7
    FLOAT = 11
    FLOAT_TO_DOUBLE = 12
    DOUBLE = 13


_KINDS = {"constexpr": Kind.CONSTANT, "i1": Kind.BOOL, "u1": Kind.BOOL, "fp32": Kind.FLOAT, "f32": Kind.FLOAT}
_KINDS |= {f"i{8 << n}": Kind.SIGNED + n for n in range(4)} | {f"u{8 << n}": Kind.UNSIGNED + n for n in range(4)}


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
    slots = len(kinds) - kinds.count(Kind.CONSTANT)
    if slots > _MAX_SLOTS:
        raise RuntimeError(f"kernel '{metadata.name}': found {slots} arguments, expected at most {_MAX_SLOTS}")
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
            return Kind.POINTER
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

    kinds = {"float x": Kind.FLOAT_TO_DOUBLE, "double x": Kind.DOUBLE}
    return kinds.get(DeferredCpuTritonCallWrapper._get_cpp_param_type(None, "x", float))


def _description(metadata: Any, kinds: bytes) -> str:
    """AotiKernel of runtime/adapters/aotinductor/launcher.h, for the assembler."""
    numbers = ", ".join(map(str, kinds))
    return f"""
    .section .data.rel.ro, "aw"
    .balign 8
    .globl {metadata.name}
    .type {metadata.name}, @object
{metadata.name}:
    .ascii "OPWAOTI\\001"
    .quad {metadata.entry}
    .quad {metadata.scratch_bytes}
    .quad {metadata.grain}
    .long {int(metadata.ordered)}
    .long {_LEVELS[metadata.arch]}
    .long {len(kinds)}
    .long 0
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
