"""Which element types an operator takes, and its tactics: AutoTuneCombination and its grammar.

`io_types` has one place per input and output, separated by commas. `A|B` in a place are alternatives that go together: the k-th of
every such place. `A*B` are alternatives on their own. Formats are written alike, or once for all.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from opwright.dtypes import BY_NAME as _DTYPES
from opwright.dtypes import DType
from opwright.errors import InputError

_MOST_ROWS = 4096  # OPW_MAX_COMBOS of plugin.h


class DataType(Enum):
    """Element types by TensorRT's names, and those of Triton that TensorRT has not."""

    FLOAT = _DTYPES["f32"]
    HALF = _DTYPES["f16"]
    BF16 = _DTYPES["bf16"]
    DOUBLE = _DTYPES["f64"]
    INT8 = _DTYPES["i8"]
    INT16 = _DTYPES["i16"]
    INT32 = _DTYPES["i32"]
    INT64 = _DTYPES["i64"]
    UINT8 = _DTYPES["u8"]
    UINT16 = _DTYPES["u16"]
    UINT32 = _DTYPES["u32"]
    UINT64 = _DTYPES["u64"]
    BOOL = _DTYPES["bool"]
    FP8 = _DTYPES["f8e4m3fn"]
    FP8_E5M2 = _DTYPES["f8e5m2"]
    FP8_E4M3FNUZ = _DTYPES["f8e4m3fnuz"]
    FP8_E5M2FNUZ = _DTYPES["f8e5m2fnuz"]
    FP8_E4M3B11FNUZ = _DTYPES["f8e4m3b11fnuz"]


# The grammar's names; those of build requests, of Triton and of NumPy are taken too.
_NAMES = {member.name: member.value for member in DataType} | {
    "FP32": _DTYPES["f32"], "FP16": _DTYPES["f16"], "FP64": _DTYPES["f64"],
}  # fmt: skip


@dataclass(frozen=True)
class Combination:
    """One row: the element type of every input and output, and the tactics that there are for it."""

    types: tuple[DType, ...]
    tactics: tuple[int, ...]


class AutoTuneCombination:
    """Types, formats and tactics that go together.

    AutoTuneCombination("FP32|FP16, FP32|FP16", "LINEAR", [1, 2]), or position by position:
    c = AutoTuneCombination(); c.pos([0, 1], "FP32|FP16"); c.tactics([1, 2])
    """

    def __init__(self, io_types: str | None = None, layouts: str | None = None, tactics: Sequence[int] | None = None):
        self._types: dict[int, _Place] = {}
        self._tactics = _check_tactics(tactics)
        self._count: int | None = None
        if io_types is None:
            if layouts is not None:
                raise InputError("found layouts without io_types", hint='AutoTuneCombination("FP32, FP32", "LINEAR")')
            return
        places = _places(io_types, "io_types")
        self._count = len(places)
        self._types = dict(enumerate(_Place(text, column, io_types, "io_types") for text, column in places))
        for place in self._types.values():
            place.resolve(_dtype)
        _check_layouts(layouts if layouts is not None else "LINEAR", self._count)

    def pos(self, positions: int | Sequence[int], io_types: str, layouts: str | None = None) -> None:
        """Types of these inputs and outputs, counted together from 0."""
        several = list(positions) if isinstance(positions, (list, tuple, range)) else [positions]
        if not isinstance(io_types, str):
            raise InputError(f"io_types is {io_types!r}, expected a text such as 'FP32|FP16'")
        for position in several:
            if not isinstance(position, int) or isinstance(position, bool):
                raise InputError(f"found the position {position!r}, expected the number of an input or output, from 0")
            if position in self._types:
                raise InputError(f"position {position} is set twice", hint="call pos once for each position")
            place = _Place(io_types.strip(), 1, io_types, f"io_types of position {position}")
            place.resolve(_dtype)
            self._types[position] = place
        if layouts is not None:
            _check_layouts(layouts, 1)

    def tactics(self, tactics: Sequence[int]) -> None:
        """Numbers of the tactics, all above 0."""
        self._tactics = _check_tactics(tactics)

    def rows(self, names: Sequence[str]) -> list[Combination]:
        """All combinations for an operator with these inputs and outputs."""
        if self._count is not None and self._count != len(names):
            raise InputError(
                f"io_types has {self._count} places, the operator has {len(names)} inputs and outputs: {', '.join(names)}",
                hint="write one place for each, separated by commas",
            )
        missing = [name for position, name in enumerate(names) if position not in self._types]
        beyond = [position for position in self._types if not 0 <= position < len(names)]
        if missing or beyond:
            found = f"no types for {missing[0]!r}" if missing else f"types for position {beyond[0]}"
            raise InputError(f"found {found}, expected positions 0 to {len(names) - 1} ({', '.join(names)})")
        places = [self._types[position] for position in range(len(names))]
        lengths = {len(place.together) for place in places if len(place.together) > 1}
        if len(lengths) > 1:
            raise InputError(
                f"found lists of {' and '.join(map(str, sorted(lengths)))} types with '|', expected one length: they go together",
                hint="write '*' between types that are chosen on their own",
            )
        alternatives = math.prod(len(place.alone) or 1 for place in places)
        if alternatives > _MOST_ROWS:
            raise InputError(
                f"found {alternatives} combinations of types by '*', expected at most {_MOST_ROWS}",
                hint="write '|' between types that go together",
            )
        rows = []
        for k in range(max(lengths, default=1)):
            own = [place.alone or [place.together[min(k, len(place.together) - 1)]] for place in places]
            rows += [Combination(types, self._tactics) for types in itertools.product(*own)]
        return rows


def merge(rows: Sequence[Combination]) -> list[Combination]:
    """Each combination of types once, with the tactics of all its rows."""
    merged: dict[tuple[DType, ...], list[int]] = {}
    for row in rows:
        known = merged.setdefault(row.types, [])
        known += [tactic for tactic in row.tactics if tactic not in known]
    return [Combination(types, tuple(tactics)) for types, tactics in merged.items()]


class _Place:
    """One place of the grammar."""

    def __init__(self, text: str, column: int, whole: str, what: str) -> None:
        self.whole, self.what, self.column = whole, what, column
        if "|" in text and "*" in text:
            raise self.fail(text, "either '|' or '*' in one place", 0)
        self.words: list[tuple[str, int]] = []
        start = 0
        for word in re.split(r"[|*]", text):
            offset = start + len(word) - len(word.lstrip())
            if not word.strip():
                raise self.fail("nothing", "an element type", offset)
            self.words.append((word.strip(), offset))
            start += len(word) + 1
        self.independent = "*" in text
        self.together: list[DType] = []
        self.alone: list[DType] = []

    def fail(self, found: str, expected: str, offset: int) -> InputError:
        column = self.column + offset
        return InputError(
            f"{self.what}, column {column}: found {found!r}, expected {expected}",
            detail=f"{self.whole}\n{' ' * (column - 1)}^",
        )

    def resolve(self, one: Any) -> None:
        types = []
        for word, offset in self.words:
            dtype = one(word)
            if dtype is None:
                raise self.fail(word, f"an element type: {', '.join(_NAMES)}, or a name of Triton or NumPy", offset)
            types.append(dtype)
        if self.independent:
            self.alone = types
        else:
            self.together = types


def _dtype(word: str) -> DType | None:
    return _NAMES.get(word.upper()) or _DTYPES.get(word)


def dtype_of(value: Any) -> DType:
    """The element type of a DataType, a name, or a type of NumPy or torch."""
    if isinstance(value, DataType):
        return value.value
    if isinstance(value, DType):
        return value
    name = (
        value
        if isinstance(value, str)
        else getattr(value, "name", None) or getattr(value, "__name__", None) or str(value)
    )
    found = _dtype(name.removeprefix("torch."))
    if found is None:
        raise InputError(f"found the element type {value!r}, expected one of {', '.join(_NAMES)}, or a name of NumPy")
    return found


def _places(text: str, what: str) -> list[tuple[str, int]]:
    if not isinstance(text, str):
        raise InputError(f"{what} is {text!r}, expected a text such as 'FP32|FP16, FP32|FP16'")
    places, column = [], 1
    for part in text.split(","):
        lead = len(part) - len(part.lstrip())
        places.append((part.strip(), column + lead))
        column += len(part) + 1
    return places


def _check_layouts(text: str, count: int) -> None:
    places = _places(text, "layouts")
    if len(places) not in (1, count):
        raise InputError(f"layouts has {len(places)} places, expected 1 or {count}")
    for part, column in places:
        words = {word.strip() for word in re.split(r"[|*]", part)}
        if "LINEAR" not in words:
            raise InputError(
                f"layouts, column {column}: found {part!r}, expected 'LINEAR': tensors are row-major in every host",
                detail=f"{text}\n{' ' * (column - 1)}^",
            )


def _check_tactics(tactics: Sequence[int] | None) -> tuple[int, ...]:
    if tactics is None:
        return (1,)
    found = tuple(tactics) if isinstance(tactics, (list, tuple, range, set)) else (tactics,)
    wrong = [tactic for tactic in found if not isinstance(tactic, int) or isinstance(tactic, bool) or tactic < 1]
    if wrong or not found or len(set(found)) != len(found):
        raise InputError(f"tactics are {list(found)}, expected different integers above 0", hint="[1, 2]")
    return found
