"""Attributes of an operator: what an annotation declares, the values that are known when it is built, and what stands for one while a
definition is traced."""

from __future__ import annotations

import enum
import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from opwright.dtypes import NUMBERS
from opwright.errors import InputError
from opwright.expressions import Expr, Item, Name, Num, Op, Real
from opwright.plugin import paths
from opwright.plugin.combinations import DataType, dtype_of
from opwright.plugin.paths import Option, all_of
from opwright.plugin.symbolic import SymFloat, SymInt

_KINDS = {int: "int", float: "float", bool: "bool", str: "string", bytes: "bytes", DataType: "dtype"}
_LISTS = {"int": "ints", "float": "floats", "bool": "bools", "string": "strings"}
_ELEMENTS = {"ints": "int", "floats": "float", "bools": "bool", "strings": "string", "bytes": "byte"}

_MOST_COMPARED = 512  # elements of a list: a few instructions for each, of the 4096 that a program has

EXPECTED = "TensorDesc, int, float, bool, str, bytes, DataType, an Enum, Literal['a', 'b'], list of int, float, bool or str, or a NumPy array type"


@dataclass
class Attribute:
    """A value that a call gives beside its tensors. `default` is None where it must; `values` are those that are known already."""

    name: str
    kind: str  # as in a build request
    default: Any = None
    choices: tuple[str, ...] = ()  # of an enum, by the texts that hosts pass
    enum: type[enum.Enum] | None = None
    array: np.dtype | None = None  # of the array that a definition gets for a list
    values: list[Any] = field(default_factory=list)
    used: bool = False  # its Python value is: a text becomes one of the known ones then, an enum in the build request

    def python(self, value: Any) -> Any:
        """A checked value as a definition gets it."""
        if self.enum is not None:
            return self.enum[value]
        if self.kind == "dtype":
            return DataType(dtype_of(value))
        if self.kind in _LISTS.values():
            return np.array(value, self.array) if self.array is not None else list(value)
        return value

    def check(self, value: Any) -> Any:
        """The value as texts and numbers, lists or bytes of them, or InputError."""
        if self.enum is not None and isinstance(value, self.enum):
            value = value.name
        if self.kind == "enum":
            if value not in self.choices:
                raise self._wrong(value, f"one of {', '.join(self.choices)}")
            return value
        if self.kind == "dtype":
            return dtype_of(value).name
        if self.kind in _ELEMENTS:
            is_bytes = self.kind == "bytes"
            texts = str if is_bytes else (str, bytes)
            if isinstance(value, texts) or not isinstance(value, (Sequence, bytearray, np.ndarray)):
                raise self._wrong(value, "bytes" if is_bytes else f"a list of {_ELEMENTS[self.kind]}")
            if isinstance(value, np.ndarray) and value.ndim != 1:
                raise self._wrong(value, "an array with one axis")
            found = [self._scalar(_ELEMENTS[self.kind], each) for each in value]
            return bytes(found) if is_bytes else found
        return self._scalar(self.kind, value)

    def _scalar(self, kind: str, value: Any) -> Any:
        value = value.item() if isinstance(value, np.generic) else value
        fits = {
            "int": isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63,
            "byte": isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 256,
            "float": isinstance(value, (int, float)) and not isinstance(value, bool),
            "bool": isinstance(value, bool),
            "string": isinstance(value, str),
        }[kind]
        if not fits:
            raise self._wrong(value, kind)
        return float(value) if kind == "float" else value

    def _wrong(self, value: Any, expected: str) -> InputError:
        return InputError(f"attribute {self.name!r}: found {value!r}, expected {expected}")

    def parse(self, text: str) -> Any:
        """A value that is written as on a command line: 3, 0.5, true, zeros, or 1,1,0,0 for a list."""
        if self.kind in _ELEMENTS:
            words = text.split(",") if text.strip() else []
            return self.check([self._word(_ELEMENTS[self.kind], word) for word in words])
        return self.check(self._word(self.kind, text))

    def _word(self, kind: str, text: str) -> Any:
        word = text.strip()
        try:
            if kind in ("int", "byte"):
                return int(word, 0)
            if kind == "float":
                return float(word)
        except ValueError:
            raise self._wrong(text, f"a number ({kind})") from None
        if kind == "bool":
            if word.lower() not in ("true", "false", "1", "0"):
                raise self._wrong(text, "true or false")
            return word.lower() in ("true", "1")
        return word

    def known(self) -> list[Any]:
        """Every value that is known, once, in the form of a build request."""
        found: list[Any] = list(self.choices) if self.kind == "enum" else [False, True] if self.kind == "bool" else []
        for value in [*([] if self.default is None else [self.default]), *self.values]:
            if value not in found:
                found.append(value)
        return found

    def equals(self, value: Any) -> Expr:
        """Whether a call's attribute has this value."""
        name = Name(self.name)
        if self.kind in ("enum", "string"):
            return Op("==", (name, Num(self.known().index(value))))
        if self.kind == "dtype":
            return Op("==", (name, Num(NUMBERS[dtype_of(value)])))
        if self.kind in _ELEMENTS:
            if len(value) > _MOST_COMPARED:
                raise InputError(
                    f"attribute {self.name!r}: a value of {len(value)} elements is looked at, expected at most {_MOST_COMPARED}: a call's is compared "
                    "with it one by one"
                )
            length = Op("==", (Op("len", (name,)), Num(len(value))))
            return all_of([length, _both([_equal(Item(self.name, i), each) for i, each in enumerate(value)])])
        return _equal(name, value)


def _both(tests: Sequence[Expr]) -> Expr:
    """Whether all hold, where none of them fails."""
    if len(tests) < 2:
        return tests[0] if tests else Num(1)
    middle = len(tests) // 2  # halves: deep expressions are more than Python's stack takes
    return Op("and", (_both(tests[:middle]), _both(tests[middle:])))


def _equal(expr: Expr, value: Any) -> Expr:
    if not isinstance(value, float):
        return Op("==", (expr, Num(int(value))))
    if math.isnan(value):
        return Op("!=", (expr, expr))
    if math.isinf(value):
        largest = Real(math.copysign(float(np.finfo(np.float64).max), value))
        return Op("<", (largest, expr) if value > 0 else (expr, largest))
    same = Op("==", (expr, Real(value)))
    narrow = float(np.float32(value)) if math.isfinite(value) else value
    # a host may have the value as fp32 (ONNX does)
    return same if narrow == value else Op("or", (same, Op("==", (expr, Real(narrow)))))


def declare(name: str, annotation: Any, default: Any) -> Attribute | None:
    """The attribute that an annotation declares, or None where it declares none. `default` is None where there is none."""
    attribute = _declared(name, annotation)
    if attribute is not None and default is not None:
        try:
            attribute.default = attribute.check(default)
        except InputError as e:
            raise InputError(
                f"the default of {name!r} is {default!r}, expected {e.message.partition('expected ')[2]}"
            ) from None
    return attribute


def _declared(name: str, annotation: Any) -> Attribute | None:
    if annotation in _KINDS:
        return Attribute(name, _KINDS[annotation])
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return Attribute(name, "enum", choices=tuple(annotation.__members__), enum=annotation)
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal and all(isinstance(arg, str) for arg in args):
        return Attribute(name, "enum", choices=args)
    if origin in (list, tuple, Sequence) and args and all(arg in (args[0], ...) for arg in args):
        kind = _LISTS.get(_KINDS.get(args[0], ""))
        return Attribute(name, kind) if kind else None
    if origin is np.ndarray and len(args) == 2:  # NDArray[np.int32]
        element = np.dtype(typing.get_args(args[1])[0])
        kind = {"i": "ints", "u": "ints", "f": "floats", "b": "bools"}.get(element.kind)
        return Attribute(name, kind, array=element) if kind else None
    return None


def is_optional(annotation: Any, of: Any) -> bool:
    """Whether it is `of | None`."""
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return union and set(typing.get_args(annotation)) == {of, type(None)}


# -- what stands for an attribute


def symbol(attribute: Attribute) -> Any:
    """What a definition gets: a symbol, or the value of this path."""
    if attribute.kind in ("int", "bool"):
        return SymInt(Name(attribute.name))
    if attribute.kind == "float":
        return SymFloat(Name(attribute.name))
    if attribute.kind in ("ints", "floats", "bools", "bytes"):
        return ListAttribute(attribute)
    return value_of(attribute) if attribute.kind == "enum" else LazyAttribute(attribute)


def value_of(attribute: Attribute) -> Any:
    """The Python value on this path. InputError where none is known."""

    def options() -> list[Option]:
        attribute.used = True
        if attribute.kind == "strings":
            raise InputError(
                f"the Python value of the attribute {attribute.name!r} is used, but a call's list of texts cannot be compared with it",
                hint="make it several attributes, or Literal['a', 'b']",
            )
        values = attribute.known()
        if not values:
            raise InputError(
                f"the Python value of the attribute {attribute.name!r} is used, but none is known when the operator is built",
                hint=f"give values: @register(..., choices={{{attribute.name!r}: [...]}}), "
                f"`opwright build --attr ns::op.{attribute.name}=VALUE`, or --for MODEL.onnx",
            )
        return [Option(attribute.python(value), attribute.equals(value), str(value)) for value in values]

    every = attribute.kind in ("enum", "bool")
    text = "" if every else f"{attribute.name} is none of {{values}}, for which this library was built"
    return paths.ask(f"attribute {attribute.name}", options, otherwise=text)


class ListAttribute(Sequence):
    """A list of numbers, or bytes. Its elements and its length are symbols as long as nothing asks for Python values: `len`, iteration, NumPy."""

    def __init__(self, attribute: Attribute) -> None:
        self._attribute = attribute

    def _value(self) -> Any:
        return value_of(self._attribute)

    def _decided(self) -> Any:
        return paths.answered(f"attribute {self._attribute.name}")

    def __getitem__(self, index: Any) -> Any:
        decided = self._decided()
        if decided is not None or not isinstance(index, int):
            return self._value()[index]
        item = Item(self._attribute.name, index)
        return SymFloat(item) if self._attribute.kind == "floats" else SymInt(item)

    def __len__(self) -> int:
        return len(self._value())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._value())

    def __eq__(self, other: Any) -> Any:
        return self._value() == other

    __hash__ = None  # type: ignore[assignment]

    def __contains__(self, item: Any) -> bool:
        return item in self._value()

    def count(self, *item: Any) -> int:
        return self._value().count(*item)

    def index(self, *item: Any) -> int:
        return self._value().index(*item)

    def __bytes__(self) -> bytes:
        return bytes(self._value())

    def __str__(self) -> str:
        return str(self._value())

    def __format__(self, spec: str) -> str:
        return format(self._value(), spec)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        value = self._value()
        return np.array(np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value, dtype)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = self._value()
        return getattr(value if isinstance(value, bytes) else np.asarray(value), name)  # size, shape, tolist, ...

    def __repr__(self) -> str:
        return f"attribute {self._attribute.name}"


def length(values: Sequence) -> Any:
    """The number of elements of a list attribute, or of a variable number of tensors, as a symbol: `len` is its Python value."""
    if isinstance(values, ListAttribute):
        return SymInt(Op("len", (Name(values._attribute.name),)))
    return values.symbol if hasattr(values, "symbol") else len(values)


class LazyAttribute:
    """A text, an element type or a list of texts: passed on it is the attribute, looked at it is the value of this path."""

    def __init__(self, attribute: Attribute) -> None:
        self._attribute = attribute

    @property
    def value(self) -> Any:
        """The value of this path."""
        return value_of(self._attribute)

    def __eq__(self, other: Any) -> bool:
        return self.value == other

    def __hash__(self) -> int:
        return hash(self.value)

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.value)

    def __getitem__(self, index: Any) -> Any:
        return self.value[index]

    def __contains__(self, item: Any) -> bool:
        return item in self.value

    def __bool__(self) -> bool:
        return bool(self.value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.value, name)

    def __repr__(self) -> str:
        return f"attribute {self._attribute.name}"


def add_values(attributes: Mapping[str, Attribute], given: Mapping[str, Sequence[Any]], what: str) -> None:
    """Notes values that are known: {"pads": [[1, 1], [0, 0]]}."""
    for name, values in given.items():
        if name not in attributes:
            raise InputError(f"{what} names {name!r}, expected one of {', '.join(attributes) or 'no attributes'}")
        if isinstance(values, (str, bytes)) or not isinstance(values, Sequence):
            raise InputError(f"{what} of {name!r} are {values!r}, expected a list of values")
        attribute = attributes[name]
        for value in values:
            checked = attribute.check(value)
            if checked not in attribute.values:
                attribute.values.append(checked)
