"""The conformance list of faces: calls of operators, with the outputs that every host must give bit for bit, or the words of the refusal.

The operators are those of definitions/faces.py (namespace faces, kernels of Triton) and of op_kit.py (namespace sample, kernels from C).
A row of docs/faces.md is the cases of one name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from opwright.dtypes import DTYPES
from opwright.host import Call
from opwright.native import numpy_dtype

TYPES = {d.name: d.numpy for d in DTYPES} | {"f8e8m0": "float8_e8m0fnu"}
ADDED = ("f32", "f16", "bf16", "f8e4m3fn", "f8e5m2", "bool", "i8", "i16", "i32", "i64", "u8", "f64")  # by faces::add


@dataclass(frozen=True)
class Case:
    """A call in a row of the page. `refusal` is a pattern that the text of the refusal has; else `expected` are the outputs."""

    row: str
    call: Call
    expected: Sequence[np.ndarray | None] = ()
    refusal: str = ""


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def i64(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def scalar(value: Any, dtype: Any = np.int64) -> np.ndarray:
    return np.array(value, dtype)


def numbers(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """Small whole numbers, which every element type but bool has."""
    return (np.arange(int(np.prod(shape))) % 5).astype(dtype).reshape(shape)


def element_types() -> Iterator[Case]:
    for name, numpy_name in TYPES.items():
        dtype = numpy_dtype(numpy_name)
        every_byte = (np.arange(48 * dtype.itemsize) * 37 % (2 if name == "bool" else 256)).astype(np.uint8)
        x = every_byte.view(dtype).reshape(3, 16)
        yield Case(f"element type {name}", Call("sample::copy", [x]), [x])
        if name in ADDED:
            x, y = numbers((13, 10), dtype), numbers((10, 13), dtype)
            total = (x.astype(np.float64) + y.reshape(13, 10).astype(np.float64)).astype(dtype)
            yield Case(f"element type {name}", Call("faces::add", [x, y]), [total])


def shapes() -> Iterator[Case]:
    for row, several in {
        "rank 0": [()], "sizes of 0": [(0,), (2, 0, 3)], "odd sizes": [(7,), (3, 43), (1, 1009)], "rank 8": [(2,) * 8], "rank 16": [(1, 2) * 8],
    }.items():  # fmt: skip
        for shape in several:
            x = numbers(shape)
            yield Case(row, Call("sample::copy", [x]), [x])
            yield Case(row, Call("faces::add", [x, x]), [np.asarray(x + x)])
    x = numbers((20_011,))
    yield Case("many programs, on several threads", Call("faces::add", [x, x]), [x + x])


# what sample::attributes writes for an attribute: its places in the output, and the values there
_DEFAULTS = [-7, 1, 0, 12, 2, 3, 20, 2, 50, 6]
_WRITTEN: dict[str, list[tuple[Any, dict[int, int], tuple[int, ...]]]] = {
    "int": [({"i": 2**40}, {0: 2**40}, (2, 3)), ({"i": -(2**63)}, {0: -(2**63)}, (2, 3))],
    "bool": [({"flag": False}, {1: 0}, (2, 3))],
    "enum": [({"mode": "far"}, {2: 1}, (2, 3))],
    "dtype": [({"type": "float16"}, {3: 10}, (2, 3)), ({"type": "bf16"}, {3: 11}, (2, 3))],
    "ints": [({"ints": [4, 5, 6]}, {4: 3, 5: 6}, (4, 5, 6)), ({"ints": []}, {4: 0, 5: -1}, ()), ({"pair": [4, 5]}, {}, (2, 3))],
    "bools": [({"bools": [True, False, True]}, {6: 31}, (2, 3)), ({"bools": []}, {6: 0}, (2, 3))],
    "strings": [({"texts": ["x", "", "größer als fünfzehn"]}, {7: 3}, (2, 3)), ({"texts": []}, {7: 0}, (2, 3))],
    "string": [({"text": "größer als fünfzehn"}, {}, (2, 3)), ({"text": ""}, {}, (2, 3))],
    "floats": [({"floats": [1.25, 2.0]}, {8: 125}, (2, 3)), ({"floats": []}, {8: -1}, (2, 3))],
    "float": [({"f": 2.25}, {9: 9}, (2, 3)), ({"f": 2}, {9: 8}, (2, 3))],
}  # fmt: skip


def attributes() -> Iterator[Case]:
    for kind, cases in {"defaults": [({}, {}, (2, 3))], **_WRITTEN}.items():
        for given, places, shape in cases:
            row = "defaults of attributes" if kind == "defaults" else f"attribute of {kind}"
            expected = i64(*[places.get(i, value) for i, value in enumerate(_DEFAULTS)])
            yield Case(row, Call("sample::attributes", attributes=given), [expected, np.full(shape, 0x01, np.int8)])
    for given, expected in (
        ({}, [3, 104, 255]), ({"data": b"\x80\x00\x01\x00"}, [4, 128, 0]), ({"data": b"\xff"}, [1, 255, -1]), ({"data": b""}, [0, -1, -1]),
    ):  # fmt: skip
        yield Case("attribute of bytes", Call("sample::checksum", attributes=given), [i64(*expected)])
    x = numbers((70,))
    for given, expected in (
        ({}, x * 0.5 + 1), ({"times": 4, "scale": 0.25, "which": [1]}, x + 2), ({"mode": "sum", "shifts": [3.0, 4.0]}, x + 3),
        ({"flip": True}, -(x * 0.5 + 1)), ({"kind": "NEGATED", "note": "a text"}, -(x * 0.5 + 1)), ({"kind": "NEGATED", "flip": True}, x * 0.5 + 1),
    ):  # fmt: skip
        yield Case("attributes in a definition", Call("faces::combine", [x], given), [expected.astype(np.float32)])
    # a value that fp32 has not
    yield Case("float attribute of 64 bits", Call("sample::full", attributes={"n": 2, "value": 0.1}), [np.full(2, 0.1)])


def tensors() -> Iterator[Case]:
    x, y, bias = f32(1, 2), f32(10, 20), f32(3)
    for inputs, expected in (
        ([x, y, bias], f32(14, 25)),
        ([x], f32(1101, 1102)),
        ([x, y], f32(1011, 1022)),
        ([x, None, bias], f32(104, 105)),
    ):
        yield Case("optional inputs", Call("sample::maybe", inputs), [expected])
    x = numbers((70,))
    yield Case("optional inputs", Call("faces::combine", [x, x]), [(x * 1.5 + 1).astype(np.float32)])
    x = f32(1, 5, 2)
    yield Case("two outputs", Call("sample::stats", [x]), [scalar(8, np.float32), scalar(5, np.float32)])
    table = numbers((5, 21))
    centred = table - table.sum(1, keepdims=True, dtype=np.float32)
    yield Case("two outputs", Call("faces::centre", [table]), [centred, centred.max(1)])
    yield Case("optional output", Call("sample::stats", [x], outputs=[True, False]), [scalar(8, np.float32), None])
    for rest in ([], [f32(1)], [f32(1), f32(2, 2), f32(3, 3, 3)]):
        expected = f32(5 + bool(rest), len(rest), sum(r.size for r in rest))
        yield Case("variadic input", Call("sample::total", [f32(5), *rest]), [expected])
    yield Case("variadic input of 200", Call("sample::total", [f32(5), *[f32(1)] * 200]), [f32(6, 200, 200)])
    three = [np.zeros(1, np.float32) for _ in range(3)]
    yield Case("memory of the caller's", Call("sample::add", [f32(1, 2), f32(3, 4)], outputs=[f32(0, 0)]), [f32(4, 6)])
    yield Case("variadic output", Call("sample::several", [f32(5)], outputs=[True] * 3), [f32(8)])
    yield Case("variadic output in memory of the caller's", Call("sample::several", [f32(5)], outputs=three), [f32(8)])
    x = numbers((70,))
    yield Case("in place: the input changes", Call("sample::scale_", [x.copy()], {"by": 3.0}, in_place=True), [x * 3])
    yield Case("in place: the input changes", Call("faces::double_", [x.copy()], in_place=True), [x * 2])
    yield Case("in place: the input stays", Call("sample::scale_", [x], {"by": 3.0}), [x * 3])
    yield Case("in place: the input stays", Call("faces::double_", [x]), [x * 2])
    yield Case("several launches with a workspace", Call("sample::buffered", [x]), [x])
    yield Case("several launches with a workspace", Call("faces::centre", [table]), [centred, centred.max(1)])
    yield Case("input read on the host", Call("sample::repeat", [f32(1, 2), scalar(3)]), [f32(1, 2, 1, 2, 1, 2)])
    yield Case("input read on the host", Call("faces::repeat", [f32(1, 2), scalar(2)]), [f32(1, 2, 1, 2).reshape(2, 2)])
    yield Case("strides", Call("faces::repeat", [numbers((9,))[::2], scalar(1)]), [numbers((9,))[None, ::2]])
    yield Case("strides", Call("sample::every_other", [numbers((9,))[::4]]), [numbers((9,))[::4]])
    yield Case("negative strides", Call("sample::every_other", [numbers((9,))[::-2]]), [numbers((9,))[::-2]])
    yield Case("older version of an operator", Call("sample::add@1", [f32(1), f32(2)]), [f32(4)])
    yield Case("tactic of the call's choice", Call("sample::add", [f32(1), f32(2)], tactic=2), [f32(4)])


def counted() -> Iterator[Case]:
    for row, ours, kits in (
        ("sizes of the data, in two phases", "positive", "nonzero"),
        ("sizes of the data, at once", "positive_at_once", "nonzero_once"),
    ):
        for x in (f32(), f32(0, 0), f32(0, 1, 0, 2, 3), numbers((1001,))):
            bounds = [(x.size,), None]
            yield Case(
                row, Call(f"sample::{kits}", [x], bounds=bounds), [np.flatnonzero(x), scalar(np.count_nonzero(x))]
            )
            if x.size:
                yield Case(row, Call(f"faces::{ours}", [x], bounds=bounds), [x[x > 0], scalar((x > 0).sum())])


def refusals() -> Iterator[Case]:
    x, memory = f32(1, 2, 3), [f32(0, 0, 0)]

    def case(
        row: str, pattern: str, op: str, inputs: list[Any], given: dict[str, Any] | None = None, **more: Any
    ) -> Case:
        return Case(f"refused: {row}", Call(op, inputs, given or {}, **more), refusal=pattern)

    text = re.escape
    yield case(
        "element type",
        text("no combination of element types takes (x: f32, y: i32"),
        "faces::add",
        [x, x.astype(np.int32)],
    )
    yield case("rank", "x has rank 2, expected 1", "sample::stats", [x[None]])
    yield case("sizes that do not fit", "x and y must have the same number of elements", "sample::add", [x, x[:2]])
    yield case("sizes that do not fit", "x and y have different numbers of elements", "faces::add", [x, x[:2]])
    yield case(
        "shape of an output", text("output out is [3], expected [2]"), "sample::add", [x[:2], x[:2]], outputs=memory
    )
    yield case("output over an input", "output out overlaps input x", "sample::add", [x, x], outputs=[x])
    yield case("layout", "not contiguous", "faces::add", [x[::2], x[::2]])
    yield case(
        "no attribute",
        "no attribute 'by', which has no default|attribute by is missing and has no default",
        "sample::scale_",
        [x],
    )
    yield case(
        "unknown choice",
        "attribute mode: found ('round', expected one of 'near', 'far'|choice 2 of 2)",
        "sample::attributes",
        [],
        {"mode": "round"},
    )
    yield case("kind of an attribute", "attribute '?i'?.*expected (an )?int", "sample::attributes", [], {"i": "a text"})
    yield case(
        "length of a list", "attribute '?pair'?.* 1 elements?, expected 2", "sample::attributes", [], {"pair": [1]}
    )
    yield case("unknown attribute", "gamma", "sample::add", [x, x], {"gamma": 1.0})
    yield case("negative size", "output out would have the size -1 in axis 0", "sample::full", [], {"n": -1})
    yield case("overflow of a size", "overflow", "sample::repeat", [x, scalar(2**62)])
    yield case("requirement on a value", "times is negative", "faces::repeat", [x, scalar(-1)])
    yield case(
        "count beyond its bound",
        "the kernel counted 4 for the size n, expected 0 to 3",
        "sample::lies",
        [x],
        {"says": 4},
        bounds=[(3,), None],
    )
    yield case(
        "negative count",
        "the kernel counted -1 for the size n, expected 0 to 3",
        "sample::lies",
        [x],
        {"says": -1},
        bounds=[(3,), None],
    )
    yield case("no memory for the workspace", "no memory for", "sample::greedy", [x])
    yield case(
        "assertion in a kernel",
        text("kit.py:7: device assertion failed: x is odd, in program (0, 0, 0) of kernel 'kit'"),
        "sample::fails",
        [x],
    )


def cases() -> Iterator[Case]:
    """All, with arrays of their own each time: calls change some."""
    for part in (element_types, shapes, attributes, tensors, counted, refusals):
        yield from part()
