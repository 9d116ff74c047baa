"""C and C++: a program around plugin.h, and one around plugin.hpp, built by the system's compiler against the installed headers.

Each opened library is a process of its own. A command is one line of words, and so is its answer:

    call NAMESPACE NAME VERSION TACTIC IN_PLACE  N input...  N output...  N (NAME attribute)...
        input       -, or t and a tensor: TYPE RANK SIZE... 0|1 [STRIDE...] OFFSET BYTES
        output      + (made by the program), - (not wanted), t and a tensor, or = and the number of an input, whose memory it is
        attribute   a letter and COUNT VALUE...: i int, f float, b bool, s text, y bytes, d element type; I, F, B, S lists
    ok N (- | t TYPE RANK SIZE... BYTES)...
    refused STATUS BYTES

TYPE is plugin.h's number, BYTES are hexadecimal digits, "." stands for none.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from opwright.host import Call, Host, Opened, Refused, attribute, dtype_of, number
from opwright.loader import dtype_number
from opwright.paths import include_dir

_HERE = Path(__file__).parent
_built: dict[str, tempfile.TemporaryDirectory[str]] = {}  # programs live as long as this process


class _Process(Opened):
    def __init__(self, path: str | os.PathLike[str], program: Path) -> None:
        super().__init__(path)
        self.process = subprocess.Popen([program, self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, call: Call) -> list[np.ndarray | None]:
        op = self.op(call)
        words = ["call", op.namespace, op.name, op.version, call.tactic, int(call.in_place), len(call.inputs)]
        for array in call.inputs:
            words += ["-"] if array is None else ["t", *_tensor(array)]
        wanted = self.wanted(call)
        words.append(len(wanted))
        for output in wanted:
            words += _output(output, call.inputs)
        words.append(len(call.attributes))
        for name, value in call.attributes.items():
            declared = attribute(op, name)
            words += [name, *_attribute(value, declared.kind if declared else "")]
        print(*words, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline().split()
        if not answer:
            raise RuntimeError(f"the program ended with status {self.process.wait()} in a call of {call.op}")
        if answer[0] == "refused":
            raise Refused(_bytes(answer[2]).decode())
        return _outputs(answer[2:])

    def __del__(self) -> None:
        if hasattr(self, "process"):
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()


class _InC(_Process):
    def cannot(self, call: Call) -> str | None:
        if any(attribute(self.op(call), name) is None for name in call.attributes):
            return "attributes have no names: they go by position"
        return None


class _InCpp(_Process):
    def cannot(self, call: Call) -> str | None:
        variadic = any(o.variadic for o in self.op(call).outputs)
        if variadic and not all(isinstance(o, np.ndarray) for o in call.outputs):
            return "a variadic output wants memory of the caller's"
        return None


class _Program(Host):
    compiler: str  # the variable that names it
    default: str
    flags: tuple[str, ...]
    source: str
    opened: type[_Process]

    def command(self) -> list[str]:
        return shlex.split(os.environ.get(self.compiler, self.default))

    def missing(self) -> str | None:
        program = self.command()[0]
        return None if shutil.which(program) else f"there is no {program}; install it, or set {self.compiler}"

    def version(self) -> str:
        done = subprocess.run([*self.command(), "--version"], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[0]

    def open(self, path: str | os.PathLike[str]) -> Opened:
        return self.opened(path, self._program())

    def _program(self) -> Path:
        if self.source not in _built:
            folder = tempfile.TemporaryDirectory(prefix="opwright-host-")
            warnings = ("-Wall", "-Wextra", "-Werror")
            command = [*self.command(), *self.flags, *warnings, f"-I{include_dir()}", str(_HERE / self.source)]
            subprocess.run([*command, "-o", f"{folder.name}/driver", "-ldl"], check=True)
            _built[self.source] = folder
        return Path(_built[self.source].name, "driver")


class C(_Program):
    """plugin.h alone."""

    name, what = "C", "a program in C11 around `plugin.h`, with `dlopen`"
    compiler, default, flags, source, opened = "CC", "cc", ("-std=gnu11", "-O1"), "driver.c", _InC


class Cpp(_Program):
    """plugin.hpp, which loads and checks the library itself."""

    name, what = "C++", "a program in C++17 around `plugin.hpp`"
    compiler, default, flags, source, opened = "CXX", "c++", ("-std=c++17",), "driver.cpp", _InCpp


# ---- words


def _hex(data: bytes) -> str:
    return data.hex() or "."


def _bytes(word: str) -> bytes:
    return b"" if word == "." else bytes.fromhex(word)


def _tensor(array: np.ndarray) -> list[Any]:
    """A tensor with the memory between its first and its last element."""
    words = [number(array.dtype), array.ndim, *array.shape]
    if array.flags.c_contiguous:
        return [*words, 0, 0, _hex(array.tobytes())]
    reach = [stride * (size - 1) for size, stride in zip(array.shape, array.strides, strict=True)]
    low, high = sum(r for r in reach if r < 0), sum(r for r in reach if r > 0) + array.itemsize
    whole = ctypes.string_at(array.ctypes.data + low, high - low)
    return [*words, 1, *(stride // array.itemsize for stride in array.strides), -low, _hex(whole)]


def _output(output: bool | np.ndarray, inputs: Sequence[np.ndarray | None]) -> list[Any]:
    if not isinstance(output, np.ndarray):
        return ["+" if output else "-"]
    same = [i for i, array in enumerate(inputs) if array is output]
    return ["=", same[0]] if same else ["t", *_tensor(output)]


def _attribute(value: Any, declared: str) -> list[Any]:
    if declared == "dtype":
        return ["d", 1, dtype_number(value)]
    letters = {bool: "b", int: "i", float: "f", str: "s", bytes: "y"}
    if not isinstance(value, (list, tuple)):
        return [letters[type(value)], 1, _word(value)]
    # an empty list has no kind but the declared one; one of ints and floats is one of floats
    kinds = {type(v) for v in value} or {next(t for t in letters if declared.startswith(t.__name__))}
    letter = letters[float if kinds == {int, float} else kinds.pop()]
    return [letter.upper(), len(value), *map(_word, value)]


def _word(value: Any) -> Any:
    if isinstance(value, (str, bytes)):
        return _hex(value.encode() if isinstance(value, str) else value)
    return int(value) if isinstance(value, bool) else value


def _outputs(words: list[str]) -> list[np.ndarray | None]:
    found: list[np.ndarray | None] = []
    rest = iter(words)
    for word in rest:
        if word == "-":
            found.append(None)
            continue
        dtype = dtype_of(int(next(rest)))
        shape = tuple(int(next(rest)) for _ in range(int(next(rest))))
        found.append(np.frombuffer(bytearray(_bytes(next(rest))), dtype).reshape(shape))
    return found
