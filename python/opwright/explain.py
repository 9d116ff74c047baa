"""`opwright explain`: what each line of a kernel becomes on a CPU, and why something is slow."""

from __future__ import annotations

import ast
import inspect
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opwright import ttir
from opwright.diagnostics import render, source_line
from opwright.dtypes import BY_NAME, DTYPES
from opwright.errors import InputError
from opwright.user_files import run_file
from opwright.workspace import import_core

_TYPE = re.compile(r"(\*?)(\w+)(?::(\d+))?")


@dataclass
class Line:
    """A line of the source, and remarks on it: (kind, text), those of kind 'slow' last."""

    file: str
    number: int
    source: str
    remarks: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Explanation:
    """The lines of a kernel in order, then those of the functions that it calls."""

    kernel: str
    level: str
    lines: list[Line]

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        lines = [
            {"file": line.file, "line": line.number, "source": line.source,
             "remarks": [{"kind": kind, "text": text} for kind, text in line.remarks]}
            for line in self.lines
        ]  # fmt: skip
        return {"kernel": self.kernel, "level": self.level, "lines": lines}


def explain(
    target: str, signature: str, constants: Sequence[str] = (), *, num_warps: int = 4, level: str = "host",
    args_disjoint: bool = False,
) -> Explanation:  # fmt: skip
    """Compiles the kernel FILE.py:KERNEL for these argument types and constants, and tells what became of its lines."""
    ttir.import_triton()
    core = import_core()
    path, jit = find_kernel(target)
    types, values, divisible = arguments(jit, signature, constants)
    text = ttir.make_ttir(jit, types, values, divisible, roots=[path.parent], num_warps=num_warps)
    try:
        remarks = core.explain(text, level, args_disjoint, os.environ.get("OPW_DUMP_DIR", ""))
    except core.CompileError as e:
        raise InputError(render(e.diagnostics, [path.parent]).removeprefix("error: ")) from e
    return Explanation(jit.fn.__name__, core.host_level() if level == "host" else level, lines_of(path, jit, remarks))


def find_kernel(target: str) -> tuple[Path, Any]:
    """The file and the kernel of 'FILE.py:KERNEL'."""
    file, _, name = target.rpartition(":")
    if not file or not name.isidentifier():
        raise InputError(f"found {target!r}, expected FILE.py:KERNEL", hint="for example kernels.py:softmax")
    path = Path(file).resolve()
    module = run_file(path, "_opwright_explain", "the file")
    jit = ttir.jit_function(getattr(module, name, None))
    if jit is None:
        known = [name for name, value in vars(module).items() if ttir.jit_function(value) is not None]
        raise InputError(
            f"found no kernel {name!r}, expected a @triton.jit function of that name",
            where=file,
            hint=f"the file has {', '.join(known)}" if known else "the file has no @triton.jit function",
        )
    return path, jit


def arguments(jit: Any, signature: str, constants: Sequence[str]) -> tuple[dict[str, str], dict[str, Any], list[int]]:
    """Triton's type of every parameter, the values of the constants, and the positions of multiples of 16."""
    values = _values(jit, constants)
    given = [text.strip() for text in signature.split(",")] if signature.strip() else []
    wanted = [parameter.name for parameter in jit.params if parameter.name not in values]
    if len(given) != len(wanted):
        raise InputError(
            f"the signature has {len(given)} types, kernel {jit.fn.__name__!r} has {len(wanted)} arguments that are no "
            f"constants: {', '.join(wanted)}",
            hint="give one type for each, in this order, for example --signature '*fp32,i32'",
        )
    types = {parameter.name: "constexpr" for parameter in jit.params}
    divisible: list[int] = []
    for name, text in zip(wanted, given, strict=True):
        types[name], known = _type(name, text)
        if known == 16:
            divisible.append([parameter.name for parameter in jit.params].index(name))
        elif known == 1:
            types[name], values[name] = "constexpr", 1
    return types, values, divisible


def _values(jit: Any, constants: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for text in constants:
        name, equals, value = text.partition("=")
        if not equals or name not in jit.arg_names:
            raise InputError(
                f"found --const {text!r}, expected NAME=VALUE with a parameter of kernel {jit.fn.__name__!r}",
                hint=f"its parameters are {', '.join(jit.arg_names)}",
            )
        values[name] = _value(text, value)
    for parameter in jit.params:
        if parameter.is_constexpr and parameter.name not in values:
            if parameter.default is inspect.Parameter.empty:
                raise InputError(
                    f"parameter {parameter.name!r} of kernel {jit.fn.__name__!r} is a tl.constexpr, found no value for it",
                    hint=f"give one, for example --const {parameter.name}=64",
                )
            values[parameter.name] = parameter.default
    return values


def _value(text: str, value: str) -> Any:
    """A Python literal, or an element type such as tl.float32."""
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        pass
    import triton.language as tl

    dtype = getattr(tl, value.removeprefix("tl."), None) if value.startswith("tl.") else None
    if not isinstance(dtype, tl.dtype):
        raise InputError(
            f"found --const {text!r}, expected a number, True, False, None, a string in quotes or a type like tl.float32",
            hint="for example --const BLOCK=1024",
        )
    return dtype


def _type(name: str, text: str) -> tuple[str, int]:
    """Triton's type of an argument, and what is known of its value: a multiple of 16, or 1; else 0."""
    match = _TYPE.fullmatch(text)
    dtype = BY_NAME.get(match[2]) if match else None
    if match is None or dtype is None:
        raise InputError(
            f"argument {name!r} has the unknown type {text!r}",
            hint=f"types are {', '.join(each.triton for each in DTYPES)}, and pointers to them, such as *fp32",
        )
    known = int(match[3] or 0)
    pointer = bool(match[1])
    if (
        known not in (0, 1, 16)
        or (known == 1 and pointer)
        or (known and not pointer and dtype.kind not in ("int", "uint"))
    ):
        raise InputError(
            f"argument {name!r} has the type {text!r}, expected :16 behind a pointer or an integer that is a multiple of "
            "16, or :1 behind an integer that is 1",
            hint=f"leave out :{known}",
        )
    return match[1] + dtype.triton, known


def lines_of(path: Path, jit: Any, remarks: Sequence[Mapping[str, Any]]) -> list[Line]:
    """All lines of the kernel from its `def` on, with their remarks, and other lines that have some."""
    texts, first = inspect.getsourcelines(jit.fn)
    start = ttir.def_line(jit)
    lines = {
        (path.name, number): Line(path.name, number, text.rstrip())
        for number, text in enumerate(texts, first)
        if number >= start and text.strip()
    }
    for remark in sorted(remarks, key=lambda remark: remark["kind"] == "slow"):
        place = remark["file"], remark["line"]
        if place not in lines:
            lines[place] = Line(*place, (source_line(*place, [path.parent]) or "").rstrip())
        lines[place].remarks.append((remark["kind"], remark["text"]))
    own = {key: line for key, line in lines.items() if key[0] == path.name}
    return [own[key] for key in sorted(own)] + [lines[key] for key in sorted(lines.keys() - own.keys())]
