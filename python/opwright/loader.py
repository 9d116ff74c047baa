"""`opwright.load(path)`: the operators of a plugin library as Python functions.

    lib = opwright.load("libsample.so")
    out = lib.add(x, y, alpha=2.0)             or lib["sample::add"](x, y, alpha=2.0)
    help(lib.add)

Inputs go by position or name, attributes by name. Arrays are NumPy's, torch's CPU tensors, or anything with `__dlpack__`;
outputs are torch tensors where the inputs are, else NumPy arrays. Nothing is copied or converted.

The operators come from the library's tables; a call goes through `opwright._plugins`, which holds no compiler. Unlike a
generated functional.py, this needs Opwright to be installed.
"""

from __future__ import annotations

import inspect
import keyword
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from opwright import _plugins
from opwright.dtypes import DTYPES, DType
from opwright.native import PluginError, library_address, numpy_dtype, open_library
from opwright.programs import shape

# by number, as in plugin.h
_DTYPES = (*DTYPES, DType("f8e8m0", "", "float8_e8m0fnu", "float", 8))
_OPTIONAL, _VARIADIC, _HOST, _STRIDED, _SIZE, _INPLACE = 1, 2, 4, 8, 16, 64
KINDS = (
    "none", "int", "float", "bool", "string", "bytes", "ints", "floats", "bools", "strings", "tensor", "enum", "dtype",
)  # fmt: skip
_ANNOTATIONS = {
    "int": "int", "float": "float", "bool": "bool", "string": "str", "bytes": "bytes", "ints": "list[int]",
    "floats": "list[float]", "bools": "list[bool]", "strings": "list[str]", "tensor": "Array", "dtype": "dtype",
}  # fmt: skip


class PluginTypeError(PluginError, TypeError):
    """A call that the library refused for its element types."""


class PluginValueError(PluginError, ValueError):
    """A call that the library refused for sizes, layouts or values."""


class PluginMemoryError(PluginError, MemoryError):
    """A call for which there is no memory."""


# status of plugin.h -> class; every other one is a PluginError
_ERRORS = {
    1: PluginValueError,
    2: PluginTypeError,
    **dict.fromkeys((3, 4, 5, 6), PluginValueError),
    7: PluginMemoryError,
}


@dataclass(frozen=True)
class Tensor:
    """An input or output as it is declared. `shape`, of an output, are sizes as texts; `dtypes` has one for each combination."""

    name: str
    doc: str
    dtypes: tuple[str, ...]
    rank: tuple[int, int]
    optional: bool
    variadic: bool
    variadic_min: int
    host: bool
    strided: bool
    align: int
    size: bool = False
    inplace: bool = False
    alias: str | None = None
    shape: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attribute:
    """An attribute as it is declared. `kind` is one of `KINDS`; `default` counts unless `required`."""

    name: str
    doc: str
    kind: str
    required: bool
    default: Any
    choices: tuple[str, ...]
    list_length: int


class Op(_plugins.Operator):
    """One operator. Call it with its inputs in order and its attributes by keyword.

    `out=` takes memory for the outputs: an array, or a tuple with an array, None (a new one) or, for an optional output,
    False (leave it out). `tactic=` takes the number of a tactic. Where the operator has an input or attribute of that name,
    the options are `out_` and `tactic_`. `inplace(...)` is a call that changes the inputs which outputs may share memory with.
    Any number of threads may call it at once; the interpreter's lock is not held while it runs.
    """

    namespace: str
    name: str
    version: int
    inputs: list[Tensor]
    outputs: list[Tensor]
    attributes: list[Attribute]
    dtypes: list[tuple[str, ...]]
    tactics: dict[int, str]

    def __new__(cls, address: int, table: dict[str, Any]) -> Op:
        return super().__new__(cls, address, table["ns"], table["name"], table["version"])

    def __init__(self, address: int, table: dict[str, Any]) -> None:
        self.namespace, self.name, self.version = table["ns"], table["name"], table["version"]
        self.inputs = [_tensor(io, table, False) for io in table["inputs"]]
        self.outputs = [_tensor(io, table, True) for io in table["outputs"]]
        self.attributes = [
            Attribute(a["name"], a["doc"] or "", KINDS[a["kind"]], a["required"], a["default"], tuple(a["choices"]), a["list_length"])
            for a in table["attrs"]
        ]  # fmt: skip
        self.dtypes = list(zip(*(io.dtypes for io in (*self.inputs, *self.outputs)), strict=True))
        self.tactics = dict(table["tactics"])
        self.__name__ = self.__qualname__ = self.name
        self.__doc__ = _document(self, table["doc"])
        signature = _python_signature(self)
        if signature:
            self.__signature__ = signature

    def __str__(self) -> str:
        return f"{self.namespace}::{self.name}"

    def __repr__(self) -> str:
        return f"<operator {self.signature()}>"

    def __reduce__(self) -> Any:
        raise TypeError(
            f"{self} cannot be pickled: it belongs to a loaded library; load the library where it is needed"
        )

    def signature(self) -> str:
        """Inputs, attributes and outputs in one line."""
        given = [
            f"*{i.name}" if i.variadic else f"{i.name}=None" if i.optional else i.name for i in self.inputs
        ]  # fmt: skip
        if self.attributes and not any(i.variadic for i in self.inputs):
            given.append("*")
        given += [f"{a.name}: {_annotation(a)}" + ("" if a.required else f" = {a.default!r}") for a in self.attributes]
        return f"{self}({', '.join(given)}) -> {', '.join('*' * o.variadic + o.name for o in self.outputs) or 'None'}"

    def help(self) -> None:
        """Prints what the operator takes and gives."""
        print(self.__doc__)


def _tensor(io: dict[str, Any], op: dict[str, Any], output: bool) -> Tensor:
    flags = io["flags"]
    return Tensor(
        name=io["name"], doc=io["doc"] or "", dtypes=tuple(row[io["typevar"]] for row in op["combos"]),
        rank=(io["rank_min"], io["rank_max"]), optional=bool(flags & _OPTIONAL), variadic=bool(flags & _VARIADIC),
        variadic_min=io["variadic_min"],
        host=bool(flags & _HOST), strided=bool(flags & _STRIDED), align=io["align"], size=bool(flags & _SIZE),
        inplace=bool(flags & _INPLACE), alias=op["inputs"][io["alias"]]["name"] if io["alias"] >= 0 else None,
        shape=tuple(shape(io, op)) if output else (),
    )  # fmt: skip


def _annotation(attribute: Attribute) -> str:
    if attribute.kind == "enum":
        return f"Literal[{', '.join(map(repr, attribute.choices))}]"
    return _ANNOTATIONS.get(attribute.kind, attribute.kind)


def _python_signature(op: Op) -> inspect.Signature | None:
    """None where a name is no identifier of Python."""
    P = inspect.Parameter
    names = [*(i.name for i in op.inputs), *(a.name for a in op.attributes)]
    if not all(name.isidentifier() and not keyword.iskeyword(name) for name in names) or len(set(names)) < len(names):
        return None
    parameters, rest = [], True  # an input before one that must be given has no default
    for i in reversed(op.inputs):
        rest = rest and (i.optional or i.variadic)
        kind = P.VAR_POSITIONAL if i.variadic else P.POSITIONAL_OR_KEYWORD
        default = None if i.optional and rest and not i.variadic else P.empty
        parameters.insert(0, P(i.name, kind, default=default, annotation="Array | None" if i.optional else "Array"))
    for a in op.attributes:
        parameters.append(
            P(a.name, P.KEYWORD_ONLY, default=P.empty if a.required else a.default, annotation=_annotation(a))
        )
    for option, default in (("out", None), ("tactic", 0)):
        parameters.append(P(f"{option}_" if option in names else option, P.KEYWORD_ONLY, default=default))
    several = len(op.outputs) != 1 or op.outputs[0].variadic
    return inspect.Signature(parameters, return_annotation="tuple[Array, ...]" if several else "Array")


def _types(names: tuple[str, ...]) -> str:
    return " or ".join(dict.fromkeys(names))


def _rank(low: int, high: int) -> str:
    if (low, high) == (0, 16):
        return "any rank"
    return f"rank {low}" if low == high else f"rank {low} or more" if high == 16 else f"rank {low} to {high}"


def _document(op: Op, doc: str | None) -> str:
    """What `help` shows: every input, attribute and output with what it may be."""
    lines = [op.signature(), ""]
    if doc:
        lines += [*doc.strip().splitlines(), ""]
    for title, rows in (
        ("Inputs", [(i.name, [_types(i.dtypes), _rank(*i.rank), *_traits(i)], i.doc) for i in op.inputs]),
        ("Attributes", [(a.name, [_annotation(a), *_limits(a)], a.doc) for a in op.attributes]),
        ("Outputs", [(o.name, [_types(o.dtypes), f"[{', '.join(o.shape)}]", *_traits(o)], o.doc) for o in op.outputs]),
    ):
        if rows:
            lines.append(f"{title}:")
            lines += [f"    {name}: {', '.join(parts)}" + (f". {text}" if text else "") for name, parts, text in rows]
            lines.append("")
    if len(op.dtypes) > 1:
        names = [t.name for t in (*op.inputs, *op.outputs)]
        lines.append("Element types that go together:")
        for row in op.dtypes:
            lines.append("    " + ", ".join(f"{name} {dtype}" for name, dtype in zip(names, row, strict=True)))
        lines.append("")
    options = [f"    {name}: {text}".rstrip(": ") for name, text in op.tactics.items()]
    if len(options) > 1:
        lines += ["Tactics (tactic=number, 0 lets the library choose):", *options, ""]
    shared = [f"{o.name} in that of {o.alias}" for o in op.outputs if o.alias]
    lines.append("out= takes memory for the outputs: an array, or a tuple of arrays and None.")
    if shared:
        lines.append(f"inplace(...) puts outputs in the memory of inputs: {', '.join(shared)}.")
    return "\n".join(lines)


def _traits(t: Tensor) -> list[str]:
    traits = {
        "optional": t.optional, "any number of arrays": t.variadic, "read on the host, a number or list will do": t.host,
        "any strides": t.strided, f"aligned to {t.align} bytes": t.align, "a size that the call counts": t.size,
        f"may share the memory of {t.alias}": t.alias and not t.inplace,
        f"in place of {t.alias} where asked": t.inplace,
    }  # fmt: skip
    return [text for text, holds in traits.items() if holds]


def _limits(a: Attribute) -> list[str]:
    length = [f"of length {a.list_length}"] if a.list_length else []
    return [*length, "required" if a.required else f"default {a.default!r}"]


class Library:
    """The operators of one plugin library, by name (`lib.add`), full name (`lib["ns::add"]`) or version (`lib["ns::add@1"]`).

    A name without a version is the newest one. Iteration gives full names: of older versions with their number.
    """

    def __init__(self, path: str | os.PathLike[str], sealed: bool = True) -> None:
        self.path = os.path.abspath(os.fspath(path))
        self._address = library_address(open_library(self.path, sealed))
        self.tables = _plugins.tables(self._address)
        self.name, self.producer = self.tables["name"], self.tables["producer"]
        self.abi = self.tables["abi_major"], self.tables["abi_minor"]
        self._ops: dict[str, Op] = {}
        self._tables: dict[str, dict[str, Any]] = {}
        newest = {}
        for op in self.tables["ops"]:
            full = f"{op['ns']}::{op['name']}"
            if full not in newest or newest[full]["version"] < op["version"]:
                newest[full] = op
        for op in self.tables["ops"]:
            full = f"{op['ns']}::{op['name']}"
            self._tables[full if newest[full] is op else f"{full}@{op['version']}"] = op

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def items(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Names as iteration gives them, each with the operator's table: what `_plugins.tables` says."""
        return iter(self._tables.items())

    def __contains__(self, name: object) -> bool:
        return name in self._tables

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name.partition("::")[2] for name in self._tables if "@" not in name)]

    def __repr__(self) -> str:
        return f"<plugin library {self.path} with {', '.join(self._tables) or 'no operators'}>"

    def __getitem__(self, name: str) -> Op:
        if name in self._ops:
            return self._ops[name]
        table = self._tables.get(name)
        if table is None:
            full, _, version = name.partition("@")
            newest = self._tables.get(full)
            if newest is None or str(newest["version"]) != version:
                known = ", ".join(self._tables) or "none"
                raise KeyError(f"{self.path} has no operator {name!r}; it has {known}")
            return self[full]
        if table["error"]:
            raise PluginError(f"{self.path} is damaged: {table['error']}; build it again", 12)
        return self._ops.setdefault(name, Op(self._address, table))

    def __getattr__(self, name: str) -> Op:
        tables = self.__dict__.get("_tables", {})
        if name.startswith("__"):
            raise AttributeError(name)
        full = [n for n in tables if n.partition("::")[2] == name]
        if len(full) != 1:
            known = ", ".join(tables) or "none"
            found = f"operators {' and '.join(full)}" if full else f"no operator {name!r}"
            cure = f"; use lib[{full[0]!r}]" if full else ""
            raise AttributeError(f"{self.path} has {found}, expected one of that name (it has {known}){cure}")
        op = self.__dict__[name] = self[full[0]]  # the next look-up finds it without this function
        return op


def load(path: str | os.PathLike[str], sealed: bool = True) -> Library:
    """Opens a plugin library. It stays loaded for the life of the process.

    A file that is damaged is refused before it is mapped (PluginError). One without a seal is taken with `sealed=False`:
    a plugin made by hand has none, and only the frame of its file can be checked.
    """
    return Library(path, sealed)


def dtype_number(name: str) -> int:
    """The number that plugin.h gives to an element type."""
    return _NUMBERS[name]


# ---- what opwright._plugins asks for when something is rare


def _make_error(status: int, text: str, op: str) -> PluginError:
    text = text or f"status {status}"
    return _ERRORS.get(status, PluginError)(text if op in text else f"{op}: {text}", status)


def _find_dtype(named: Any) -> int:
    """The number of an element type by a dtype of NumPy or torch, a scalar type or a name; 0 when it is none."""
    if type(named).__module__ == "torch" and type(named).__name__ == "dtype":
        return _NUMBERS.get(str(named).removeprefix("torch."), 0)
    try:
        dtype = np.dtype(named)
    except TypeError:
        return 0
    return _NUMBERS.get(dtype.name, 0) if dtype.isnative else 0


def _numpy_dtype(number: int) -> np.dtype:
    return numpy_dtype(_DTYPES[number - 1].numpy)


_KINDS_OF = {"b": "bool", "i": "int", "u": "uint", "f": "float"}


def _host_value(op: Op, index: int, value: Any) -> np.ndarray:
    """An array of a number, or of a list of numbers, for an input that the library reads on the host."""
    spec = op.inputs[index]
    what = f"{op}: input {spec.name!r}"
    if not isinstance(value, bool | int | float | np.generic | list | tuple):
        raise TypeError(f"{what} is {type(value).__name__}, expected an array, a number or a list of numbers")
    array = np.asarray(value)
    kind = _KINDS_OF.get(array.dtype.kind, "") if array.size else "int"
    wanted = [next(d for d in _DTYPES if d.name == name) for name in dict.fromkeys(spec.dtypes)]
    for kinds in (
        (kind,),
        ("int", "uint") if kind in ("int", "uint") else (),
        ("float",) if kind in ("int", "uint") else (),
    ):
        for dtype in sorted((d for d in wanted if d.kind in kinds), key=lambda d: -d.bits):
            made = array.astype(numpy_dtype(dtype.numpy))
            if dtype.kind == "float" or array.size == 0 or np.array_equal(made, array):
                return made
    raise ValueError(f"{what} is {value!r}, expected {_types(spec.dtypes)}")


def _unreadable(x: Any) -> str | None:
    """Why a tensor is none that can be read."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(x, torch.Tensor):
        return None
    if x.device.type != "cpu":
        return f"is on device {str(x.device)!r}, expected 'cpu'; pass x.cpu()"
    if x.layout != torch.strided:
        return f"has the layout {x.layout}, expected a dense tensor; pass x.to_dense()"
    name = str(x.dtype).removeprefix("torch.")
    if name not in _NUMBERS:
        return (
            f"has the element type {name}, expected bool, an integer or a floating-point type; convert it with x.to()"
        )
    if x.requires_grad and torch.is_grad_enabled():
        return "requires a gradient, and this operator has none; pass x.detach(), or call it under torch.no_grad()"
    return None


def _empty(is_torch: bool, dims: tuple[int, ...], number: int, align: int) -> Any:
    """An array whose data is aligned, also beyond what its library does."""
    align = max(align, 1)
    dtype = _DTYPES[number - 1]
    count = int(np.prod(dims, dtype=np.int64)) * (dtype.bits // 8)
    if is_torch:
        torch = sys.modules["torch"]
        room = torch.empty(count + align, dtype=torch.uint8)
        start = -room.data_ptr() % align
        return room[start : start + count].view(getattr(torch, dtype.numpy)).view(dims)
    room = np.empty(count + align, np.uint8)
    start = -room.ctypes.data % align
    return room[start : start + count].view(_numpy_dtype(number)).reshape(dims)


def _changed(tensor: Any) -> None:
    """torch's autograd must know that the caller's tensor has new values."""
    if not tensor.is_inference():
        sys.modules["torch"].autograd.graph.increment_version(tensor)


_NUMBERS: dict[Any, int] = {}
for _number, _d in enumerate(_DTYPES, 1):
    _NUMBERS.update(dict.fromkeys(filter(None, (_d.name, _d.triton, _d.numpy, *_d.aliases)), _number))


def _numpy_functions() -> Any:
    """The capsule with NumPy's C functions."""
    try:
        from numpy._core._multiarray_umath import _ARRAY_API
    except ImportError:  # NumPy 1
        from numpy.core._multiarray_umath import _ARRAY_API
    return _ARRAY_API


def _plain_dtypes() -> dict[int, np.dtype]:
    """Those that NumPy has by itself; those of ml_dtypes are looked up when one is needed."""
    found: dict[int, np.dtype] = {}
    for number, dtype in enumerate(_DTYPES, 1):
        if not dtype.numpy.startswith(("bfloat", "float8")):
            found[number] = np.dtype(dtype.numpy)
    return found


_plugins.set_up(
    np.ndarray, np.bool_, _numpy_functions(), _plain_dtypes(), _NUMBERS, _make_error, _find_dtype, _numpy_dtype, _host_value,
    _unreadable, _empty, _changed,
)  # fmt: skip
