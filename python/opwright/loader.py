"""`opwright.load(path)`: the operators of a plugin library as Python functions.

    lib = opwright.load("libtriton_plugins.so")
    out = lib.add_kernel(x, y)                 or lib["triton::add_kernel"](x, y); attributes by keyword

Unlike a generated functional.py, this reads the operators from the library's tables.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from typing import Any

from opwright.native import DEFAULT, Input, Operator, Output, Parameter, PluginError, open_library

_OPTIONAL, _VARIADIC = 1, 2
_ATTR_KINDS = {1: "int64", 2: "float64", 3: "bool"}
_P = ctypes.c_void_p
_U32 = ctypes.c_uint32


class _Tables(ctypes.Structure):
    _fields_ = [
        ("struct_size", _U32), ("abi_minor", _U32), ("name", ctypes.c_char_p), ("producer", ctypes.c_char_p),
        ("hash", ctypes.c_uint8 * 32), ("ops", ctypes.POINTER(_P)), ("kernels", _P), ("constants", _P), ("devices", _P),
        ("op_count", _U32),
    ]  # fmt: skip


class _Op(ctypes.Structure):
    _fields_ = [
        ("struct_size", _U32), ("flags", _U32), ("min_minor", _U32), ("version", ctypes.c_int32), ("ns", ctypes.c_char_p),
        ("name", ctypes.c_char_p), ("doc", ctypes.c_char_p), ("typevars", _P), ("inputs", ctypes.POINTER(_P)),
        ("outputs", ctypes.POINTER(_P)), ("attrs", ctypes.POINTER(_P)), ("sizes", _P), ("vars", _P),
        ("combos", ctypes.POINTER(ctypes.c_uint8)), ("tactics", _P), ("plans", _P), ("plan_index", _P), ("tuned", _P),
        ("pool_i", _P), ("pool_f", _P), ("typevar_count", _U32), ("input_count", _U32), ("output_count", _U32),
        ("attr_count", _U32), ("size_count", _U32), ("var_count", _U32), ("combo_count", _U32),
    ]  # fmt: skip


class _Io(ctypes.Structure):
    _fields_ = [
        ("struct_size", _U32), ("flags", _U32), ("name", ctypes.c_char_p), ("doc", ctypes.c_char_p),
        ("typevar", ctypes.c_uint16), ("alias", ctypes.c_int16), ("rank_min", ctypes.c_uint8), ("rank_max", ctypes.c_uint8),
    ]  # fmt: skip


class _AttrDecl(ctypes.Structure):
    _fields_ = [
        ("struct_size", _U32), ("kind", _U32), ("name", ctypes.c_char_p), ("doc", ctypes.c_char_p),
        ("fallback_kind", _U32), ("fallback_count", _U32),
    ]  # fmt: skip


def _rows(pointers: Any, count: int, struct: Any) -> list[Any]:
    return [struct.from_address(pointers[i]) for i in range(count)]


class Op:
    """One operator: call it with its inputs in order and its attributes by keyword."""

    def __init__(self, library: Any, table: _Op) -> None:
        self.namespace, self.name, self.version = table.ns.decode(), table.name.decode(), int(table.version)
        ios = _rows(table.inputs, table.input_count, _Io) + _rows(table.outputs, table.output_count, _Io)
        if any(io.flags & (_OPTIONAL | _VARIADIC) for io in ios):
            raise PluginError(f"{self}: optional and variadic tensors are not supported by opwright.load yet")
        self.inputs = [Input(io.name.decode(), None, io.rank_min, io.rank_max) for io in ios[: table.input_count]]
        self.outputs = [Output(io.name.decode(), None) for io in ios[table.input_count :]]
        self.attributes: list[Parameter] = []
        self._required: set[str] = set()
        for attr in _rows(table.attrs, table.attr_count, _AttrDecl):
            name = attr.name.decode()
            if attr.kind not in _ATTR_KINDS:
                raise PluginError(f"{self}: attribute {name!r} is of a kind that opwright.load does not support yet")
            self.attributes.append(Parameter(name, _ATTR_KINDS[attr.kind]))
            if not attr.fallback_kind:
                self._required.add(name)
        combos = [
            table.combos[i * table.typevar_count : (i + 1) * table.typevar_count] for i in range(table.combo_count)
        ]
        self.dtypes = [tuple(_DTYPES[row[io.typevar]] for io in ios) for row in combos]
        self.__doc__ = (table.doc or b"").decode() or None
        self._call = Operator(
            library, self.namespace, self.name, self.version, self.attributes, self.inputs, self.outputs
        )

    def __str__(self) -> str:
        return f"{self.namespace}::{self.name}"

    def __repr__(self) -> str:
        return f"<operator {self.signature()}>"

    def signature(self) -> str:
        """Inputs, attributes and outputs in one line."""
        inputs = ", ".join(i.name for i in self.inputs)
        attributes = "".join(f", {p.name}: {p.dtype}" for p in self.attributes)
        return f"{self}({inputs}{', *' if attributes else ''}{attributes}) -> {', '.join(o.name for o in self.outputs)}"

    def __call__(self, *inputs: Any, **attributes: Any) -> Any:
        if len(inputs) != len(self.inputs):
            names = ", ".join(i.name for i in self.inputs)
            raise TypeError(
                f"{self}: found {len(inputs)} inputs, expected {len(self.inputs)} ({names}); attributes go by keyword"
            )
        unknown = set(attributes) - {p.name for p in self.attributes}
        missing = self._required - set(attributes)
        if unknown or missing:
            known = ", ".join(p.name for p in self.attributes) or "none"
            found = f"unknown attribute {min(unknown)!r}" if unknown else f"no attribute {min(missing)!r}"
            raise TypeError(f"{self}: found {found}, expected {known}")
        return self._call(tuple(attributes.get(p.name, DEFAULT) for p in self.attributes), inputs)


_DTYPES = (
    "none", "bool", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f16", "bf16", "f32", "f64", "f8e4m3fn",
    "f8e5m2", "f8e4m3fnuz", "f8e5m2fnuz", "f8e4m3b11fnuz", "f8e8m0",
)  # fmt: skip


class Library:
    """The operators of one plugin library, by name (`lib.add`) or full name (`lib["ns::add"]`)."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(os.fspath(path))
        self._library = open_library(self.path)
        tables = _Tables.from_address(self._library.tables)
        self.name, self.producer = (tables.name or b"").decode(), (tables.producer or b"").decode()
        self.abi = int(self._library.abi_major), int(self._library.abi_minor)
        self._tables = {}
        for table in _rows(tables.ops, tables.op_count, _Op):
            self._tables[f"{table.ns.decode()}::{table.name.decode()}"] = table
        self._ops: dict[str, Op] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name.partition("::")[2] for name in self._tables)]

    def __repr__(self) -> str:
        return f"<plugin library {self.path} with {', '.join(self._tables) or 'no operators'}>"

    def __getitem__(self, name: str) -> Op:
        if name not in self._tables:
            raise KeyError(f"{self.path} has no operator {name!r}; it has {', '.join(self._tables) or 'none'}")
        if name not in self._ops:
            self._ops[name] = Op(self._library, self._tables[name])
        return self._ops[name]

    def __getattr__(self, name: str) -> Op:
        if name.startswith("__"):
            raise AttributeError(name)
        full = [n for n in self.__dict__.get("_tables", {}) if n.partition("::")[2] == name]
        if len(full) != 1:
            known = ", ".join(self.__dict__.get("_tables", {})) or "none"
            found = f"operators {' and '.join(full)}" if full else f"no operator {name!r}"
            cure = f"; use lib[{full[0]!r}]" if full else ""
            raise AttributeError(f"{self.path} has {found}, expected one of that name (it has {known}){cure}")
        return self[full[0]]


def load(path: str | os.PathLike[str]) -> Library:
    """Opens a plugin library. It stays loaded for the life of the process."""
    return Library(path)
