"""Operators of a library on files: `opwright run` and `opwright bench`."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opwright.errors import InputError
from opwright.native import PluginError
from opwright.plugin.attributes import Attribute
from opwright.workspace import write_file


@dataclass
class Call:
    """An operator with its inputs and attributes, ready to be called."""

    op: Any
    inputs: list[Any]
    attributes: dict[str, Any]

    def __call__(self, tactic: int = 0) -> tuple[Any, ...]:
        """The outputs."""
        try:
            found = self.op(*self.inputs, **self.attributes, tactic=tactic)
        except (PluginError, TypeError, ValueError) as e:  # a call that the library, or its Python face, refuses
            raise InputError(str(e)) from e
        return found if isinstance(found, tuple) else (found,)


def prepare(library: Path, op: str, files: Sequence[str], attributes: Sequence[str]) -> Call:
    """The call that a command line describes: files of NumPy in the order of the inputs, attributes as name=VALUE."""
    from opwright.loader import load

    loaded = load(library)
    name = op if "::" in op else next((full for full in loaded if full.partition("::")[2] == op), op)
    if name not in loaded:
        raise InputError(f"{library}: found no operator {op!r}, expected one of {', '.join(loaded) or 'none'}")
    found = loaded[name]
    return Call(found, [_read(file) for file in files], dict(_attribute(found, text) for text in attributes))


def run(call: Call, folder: Path) -> list[Path]:
    """Calls the operator and writes FOLDER/<output>.npy."""
    outputs = call()
    names = [output.name for output in call.op.outputs]
    names += [f"{names[-1]}{i}" for i in range(1, len(outputs) - len(names) + 1)]  # a variable number
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_write(folder / f"{name}.npy", np.asarray(array)) for name, array in zip(names, outputs, strict=True)]
    except OSError as e:
        raise InputError(f"the outputs cannot be written to {str(folder)!r}: {e.strerror or e}") from e


@dataclass
class Timing:
    """What one tactic takes, in microseconds."""

    tactic: int
    text: str
    best: float
    median: float
    calls: int


def bench(call: Call, seconds: float, progress: Callable[[str], None] = lambda stage: None) -> list[Timing]:
    """Times every tactic, all in turn, so that what the machine does meanwhile is the same for each."""
    tactics = _tactics(call)
    times: dict[int, list[float]] = {tactic: [] for tactic in tactics}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for tactic in tactics:
            progress(f"tactic {tactic}")
            start = time.perf_counter()
            call(tactic)
            once = time.perf_counter() - start
            repeat = max(1, min(1000, int(0.01 / max(once, 1e-7))))
            start = time.perf_counter()
            for _ in range(repeat):
                call(tactic)
            times[tactic].append((time.perf_counter() - start) / repeat * 1e6)
    return [
        Timing(tactic, call.op.tactics[tactic], min(found), statistics.median(found), len(found))
        for tactic, found in times.items()
    ]


_UNSUPPORTED = 13  # OPW_E_UNSUPPORTED of plugin.h


def _tactics(call: Call) -> list[int]:
    """Those that run this call: not every one takes all element types and values. The first calls, which also warm up."""
    found: list[int] = []
    refusal: InputError | None = None
    for tactic in call.op.tactics:
        try:
            call(tactic)
        except InputError as e:
            if not isinstance(e.__cause__, PluginError) or e.__cause__.code != _UNSUPPORTED:
                raise
            refusal = e
        else:
            found.append(tactic)
    if refusal and not found:
        raise refusal
    return found


def _read(text: str) -> np.ndarray | None:
    """FILE.npy, FILE.npy:bfloat16 for a type that NumPy has not, or none for an optional input."""
    if text == "none":
        return None
    file, _, dtype = text.partition(":")
    try:
        array = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as e:
        raise InputError(f"{file!r} cannot be read as an array: {e}", hint="a file that numpy.save has written") from e
    if not isinstance(array, np.ndarray):
        raise InputError(f"{file!r} has several arrays, expected one", hint="a file that numpy.save has written")
    if not dtype:
        return array
    from opwright.dtypes import numpy_type
    from opwright.plugin.combinations import dtype_of

    return array.view(numpy_type(dtype_of(dtype)))


def _attribute(op: Any, text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    known = {attribute.name: attribute for attribute in op.attributes}
    if not equals or name not in known:
        raise InputError(f"--attr {text!r}, expected NAME=VALUE with one of {', '.join(known) or 'no attributes'}")
    declared = known[name]
    try:
        return name, Attribute(name, declared.kind, choices=tuple(declared.choices)).parse(value)
    except InputError as e:
        raise e.at(f"--attr {text}") from None


def _write(path: Path, array: np.ndarray) -> Path:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    write_file(path, content.getvalue())
    return path
