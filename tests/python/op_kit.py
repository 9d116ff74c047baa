"""Operators of every form that plugin.h can say, with kernels from C, for tests of what calls a library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from package_kit import kernel_object, package

DTYPES = (
    "bool", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f16", "bf16", "f32", "f64", "f8e4m3fn", "f8e5m2",
    "f8e4m3fnuz", "f8e5m2fnuz", "f8e4m3b11fnuz", "f8e8m0",
)  # fmt: skip

# A kernel: its parameters (a letter each: p pointer, i int64, u uint64, f float64), and its body, where P(n, type), I(n) and F(n) are
# the arguments. One program does everything unless the body has a loop over p.
_HEAD = """{
#define P(n, type) ((type *)args->slots[n])
#define I(n) ((int64_t)args->slots[n])
  double fs[16];
  memcpy(fs, args->slots, args->slot_count * 8 < sizeof fs ? args->slot_count * 8 : sizeof fs);
#define F(n) fs[n]
"""
FAIL = """
  static const opw_cpu_site_t site = {sizeof site, 7, "kit.py", "kit", "%s", 0, 0, 0, OPW_NONE, 0, 0, 0};
  if (%s) { args->launch->fail(args->launch->ctx, &site, lo); return 1; }
"""
KERNELS = {
    # every element type: bytes
    "copy": ("ppi", "memcpy(P(1, char), P(0, char), I(2));"),
    "add": ("pppif", "for (int64_t i = 0; i < I(3); i++) P(2, float)[i] = P(0, float)[i] + F(4) * P(1, float)[i];"),
    "add_again": ("pppif", "for (int64_t i = 0; i < I(3); i++) P(2, float)[i] = P(0, float)[i] + F(4) * P(1, float)[i] + 1;"),
    "scale": ("pif", "for (int64_t i = 0; i < I(1); i++) P(0, float)[i] *= F(2);"),
    "attributes": ("p" + "i" * 9 + "f", "for (int i = 0; i < 9; i++) P(0, int64_t)[i] = I(i + 1); P(0, int64_t)[9] = F(10) * 4;"),
    "maybe": ("ppppi", """for (int64_t i = 0; i < I(4); i++)
      P(3, float)[i] = P(0, float)[i] + (args->slots[1] ? P(1, float)[i] : 100) + (args->slots[2] ? P(2, float)[0] : 1000);"""),
    "total": ("pppii", "P(2, float)[0] = P(0, float)[0] + (I(3) ? P(1, float)[0] : 0); P(2, float)[1] = I(3); P(2, float)[2] = I(4);"),
    "count": ("pppi", """int64_t n = 0;
      for (int64_t i = 0; i < I(3); i++) n += P(0, float)[i] != 0;
      P(1, int64_t)[0] = n; P(2, int64_t)[0] = n;"""),
    "where": ("ppppi", FAIL % ("another workspace", "P(2, int64_t)[0] != P(3, int64_t)[0]")
              + "for (int64_t i = 0, n = 0; i < I(4); i++) if (P(0, float)[i] != 0) P(1, int64_t)[n++] = i;"),
    "where_once": ("pppi", """int64_t n = 0;
      for (int64_t i = 0; i < I(3); i++) if (P(0, float)[i] != 0) P(1, int64_t)[n++] = i;
      P(2, int64_t)[0] = n;"""),
    # [2, bound] of indices and values: a row ends where the next one starts, by the bound (stride I(4)) or by the count (0)
    "pairs": ("pppii", """int64_t n = 0;
      for (int64_t i = 0; i < I(3); i++) n += P(0, float)[i] != 0;
      int64_t stride = I(4) ? I(4) : n, k = 0;
      for (int64_t i = 0; i < I(3); i++)
        if (P(0, float)[i] != 0) { P(1, int64_t)[k] = i; P(1, int64_t)[stride + k++] = (int64_t)P(0, float)[i]; }
      P(2, int64_t)[0] = n;"""),
    "three": ("piii", "for (int i = 0; i < 3; i++) P(0, int64_t)[i] = I(i + 1);"),
    "lie": ("pi", "P(0, int64_t)[0] = I(1);"),
    "repeat": ("ppii", "for (int64_t i = 0; i < I(2) * I(3); i++) P(1, float)[i] = P(0, float)[i % I(2)];"),
    "full": ("pif", "for (int64_t i = 0; i < I(1); i++) P(0, double)[i] = F(2);"),
    "first": ("ppi", "P(1, float)[0] = P(0, float)[0] + I(2);"),
    "stats": ("pppi", """float sum = 0, peak = 0;
      for (int64_t i = 0; i < I(3); i++) { sum += P(0, float)[i]; peak = P(0, float)[i] > peak ? P(0, float)[i] : peak; }
      P(1, float)[0] = sum; if (args->slots[2]) P(2, float)[0] = peak;"""),
    "stride": ("ppii", "for (int64_t i = 0; i < I(2); i++) P(1, float)[i] = P(0, float)[i * I(3)];"),
    "address": ("pp", "P(1, float)[0] = args->slots[0] == args->slots[1];"),
    "copy_aligned": ("ppi", FAIL % ("not aligned", "args->slots[0] % 4096 && args->slots[1] % 4096")
                     + "memcpy(P(1, char), P(0, char), I(2));"),
    "bits": ("pui", "P(0, uint64_t)[0] = args->slots[1]; P(0, uint64_t)[1] = args->slots[2];"),
    "fail": ("pi", FAIL % ("x is odd", "I(1) % 2")),
}  # fmt: skip


def kernel(name: str, folder: Path) -> dict[str, Any]:
    letters, body = KERNELS[name]
    params = [
        {"p": (True, "f32"), "i": (False, "i64"), "u": (False, "u64"), "f": (False, "f64")}[letter]
        for letter in letters
    ]
    return kernel_object(name, _HEAD + body + "return 0; }", params, folder)


def one(kernel: str, *args: str, **more: Any) -> dict[str, Any]:
    """A launch of one program."""
    return {"grid": [], "args": list(args), "variants": [{"kernel": kernel}], **more}


def f32(name: str, rank: Any = 1, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "f32", "rank": rank, **more}


def plans(*launches: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [{"launches": list(launches), **more}]


_ADD = {
    "name": "add", "doc": "x + alpha * y", "inputs": [f32("x", [0, 16], doc="what is added to"), f32("y", [0, 16])],
    "attrs": [{"name": "alpha", "kind": "float", "default": 1.0, "doc": "factor of y"}],
    "outputs": [f32("out", [0, 16], shape="x[0:]")],
    "valid": "numel(x) == numel(y)", "valid_text": "x and y must have the same number of elements",
}  # fmt: skip
_ADD_ARGS = ("ptr x", "ptr y", "ptr out", "numel(x)", "attr alpha")
_ATTRS = [
    {"name": "i", "kind": "int", "default": -7},
    {"name": "flag", "kind": "bool", "default": True},
    {"name": "mode", "kind": "enum", "choices": ["near", "far"], "default": "near"},
    {"name": "type", "kind": "dtype", "default": "f32"},
    {"name": "ints", "kind": "ints", "default": [2, 3]},
    {"name": "bools", "kind": "bools", "default": [False, True]},
    {"name": "texts", "kind": "strings", "default": ["a", "b"]},
    {"name": "text", "kind": "string", "default": "grüße"},
    {"name": "floats", "kind": "floats", "default": [0.5]},
    {"name": "f", "kind": "float", "default": 1.5},
    {"name": "pair", "kind": "ints", "default": [0, 0], "list_length": 2},
]
_COUNTED = {
    "sizes": [{"name": "n", "output": "count", "upper": "x.0"}],
    "outputs": [{"name": "where", "type": "i64", "rank": 1, "shape": ["n"]}, {"name": "count", "type": "i64", "rank": 0, "size": True}],
}  # fmt: skip
OPS: list[dict[str, Any]] = [
    _ADD | {"plans": plans(one("add_again", *_ADD_ARGS)), "doc": "x + alpha * y + 1, as it was"},
    _ADD | {
        "version": 2, "tactics": [{"id": 1, "text": "plain"}, {"id": 2, "text": "one more"}],
        "plans": [{"tactic": 1, "launches": [one("add", *_ADD_ARGS)]}, {"tactic": 2, "launches": [one("add_again", *_ADD_ARGS)]}],
    },
    {
        "name": "copy", "typevars": [{"name": "T", "types": list(DTYPES)}], "combos": [[t] for t in DTYPES],
        "inputs": [{"name": "x", "type": "T"}], "outputs": [{"name": "out", "type": "T", "shape": "x[0:]"}],
        "plans": [{"combo": c, "launches": [one("copy", "ptr x", "ptr out", "numel(x) * itemsize(x)")]} for c in range(len(DTYPES))],
    },
    {
        "name": "scale_", "inputs": [f32("x", [0, 16])], "attrs": [{"name": "by", "kind": "float"}],
        "outputs": [f32("y", [0, 16], shape="x[0:]", alias="x", inplace=True)],
        "plans": plans(one("scale", "ptr y", "numel(y)", "attr by")),
    },
    {
        "name": "attributes", "attrs": _ATTRS,
        "outputs": [{"name": "out", "type": "i64", "rank": 1, "shape": ["10"]}, {"name": "shaped", "type": "i8", "shape": ["ints"]}],
        "plans": plans(
            one("attributes", "ptr out", "attr i", "attr flag", "attr mode", "attr type", "len(ints)",
                "len(ints) > 0 ? ints[-1] : -1", "len(bools) * 10 + (len(bools) > 0 ? bools[0] : 0)", "len(texts)",
                "len(floats) > 0 ? floor(floats[0] * 100) : -1", "attr f"),
            {"fill": "shaped", "fill_byte": 1},
        ),
    },
    {
        "name": "maybe", "inputs": [f32("x"), f32("y", optional=True), f32("bias", optional=True)],
        "outputs": [f32("out", shape="x[0:]")],
        "plans": plans(one("maybe", "ptr x", "ptr y", "ptr bias", "ptr out", "x.0")),
    },
    {
        "name": "total", "inputs": [f32("x"), f32("rest", variadic=True, variadic_min=0)], "outputs": [f32("out", shape=["3"])],
        "plans": plans(one("total", "ptr x", "ptr rest", "ptr out", "count(rest)", "count(rest) > 0 ? sumdim(rest, 0) : 0")),
    },
    _COUNTED | {
        "name": "nonzero", "inputs": [f32("x")],
        "plans": plans(
            one("count", "ptr x", "ptr count", "ptr seen", "x.0"),
            one("where", "ptr x", "ptr where", "ptr count", "ptr seen", "x.0", phase=1),
            workspace=[{"name": "seen", "dtype": "i64", "elements": "1"}],
        ),
    },
    _COUNTED | {"name": "nonzero_once", "inputs": [f32("x")], "plans": plans(one("where_once", "ptr x", "ptr where", "ptr count", "x.0"))},
    *(
        _COUNTED | {
            "name": name, "inputs": [f32("x")],
            "outputs": [{"name": "pairs", "type": "i64", "rank": 2, "shape": ["2", "n"], "compact": compact}, _COUNTED["outputs"][1]],
            "plans": plans(one("pairs", "ptr x", "ptr pairs", "ptr count", "x.0", "0" if compact else "x.0")),
        }
        for name, compact in (("pairs", False), ("compact_pairs", True))
    ),
    {
        "name": "checksum", "attrs": [{"name": "data", "kind": "bytes", "default": [104, 0, 255]}],
        "outputs": [{"name": "out", "type": "i64", "rank": 1, "shape": ["3"]}],
        "plans": plans(one("three", "ptr out", "len(data)", "len(data) > 0 ? data[0] : -1", "len(data) > 1 ? data[-1] : -1")),
    },
    _COUNTED | {"name": "lies", "inputs": [f32("x")], "attrs": [{"name": "says", "kind": "int"}], "plans": plans(one("lie", "ptr count", "attr says"))},
    _COUNTED | {
        "name": "unbounded", "inputs": [f32("x")], "sizes": [{"name": "n", "output": "count"}],
        "plans": plans(one("where_once", "ptr x", "ptr where", "ptr count", "x.0")),
    },
    {
        "name": "repeat", "inputs": [f32("x"), {"name": "times", "type": "i64", "rank": [0, 1], "host": True}],
        "outputs": [f32("out", shape=["value(times, 0) * x.0"])],
        "plans": plans(one("repeat", "ptr x", "ptr out", "x.0", "value(times, 0)")),
    },
    {
        "name": "full", "attrs": [{"name": "n", "kind": "int"}, {"name": "value", "kind": "float", "default": 2.5}],
        "outputs": [{"name": "out", "type": "f64", "rank": 1, "shape": ["n"]}],
        "plans": plans(one("full", "ptr out", "attr n", "attr value")),
    },
    {
        "name": "several", "inputs": [f32("x")], "outputs": [f32("ys", shape=["1"], variadic=True, variadic_min=1)],
        "plans": plans(one("first", "ptr x", "ptr ys", "count(ys)")),
    },
    {
        "name": "stats", "inputs": [f32("x")], "outputs": [f32("sum", 0, shape=[]), f32("peak", 0, shape=[], optional=True)],
        "plans": plans(one("stats", "ptr x", "ptr sum", "ptr peak", "x.0")),
    },
    {
        "name": "every_other", "inputs": [f32("x", strided=True)], "outputs": [f32("out", shape="x[0:]", align=256)],
        "plans": plans(one("stride", "ptr x", "ptr out", "x.0", "stride x.0")),
    },
    {
        "name": "odd_names", "inputs": [f32("out"), f32("lambda")], "attrs": [{"name": "tactic", "kind": "float", "default": 1.0}],
        "outputs": [f32("result", shape="out[0:]")],
        "plans": plans(one("add", "ptr out", "ptr lambda", "ptr result", "out.0", "attr tactic")),
    },
    {
        "name": "greedy", "inputs": [f32("x")], "outputs": [f32("out", shape="x[0:]")],
        "plans": plans(one("copy", "ptr x", "ptr big", "4 * x.0"), workspace=[{"name": "big", "dtype": "f32", "elements": "x.0 * 1000000000000"}]),
    },
    {
        "name": "in_place", "doc": "1 where it writes to its input's memory", "inputs": [f32("x")],
        "outputs": [f32("out", shape="x[0:]", alias="x")], "plans": plans(one("address", "ptr x", "ptr out")),
    },
    {
        "name": "buffered", "inputs": [f32("x")], "outputs": [f32("out", shape="x[0:]")],
        "plans": plans(
            one("copy_aligned", "ptr x", "ptr big", "4 * x.0"), one("copy_aligned", "ptr big", "ptr out", "4 * x.0"),
            workspace=[{"dtype": "i8", "elements": "3"}, {"name": "big", "dtype": "f32", "elements": "x.0", "align": 4096}],
        ),
    },
    {
        "name": "wide", "inputs": [{"name": "times", "type": "u64", "rank": [0, 1], "host": True}],
        "attrs": [{"name": a, "kind": "int", "default": 0} for a in ("n", "both", "sized", "also")],
        "outputs": [{"name": "out", "type": "u64", "rank": 1, "shape": ["2 + min(sized, 0)"]}],
        "plans": plans(
            one("bits", "ptr out", "attr sized", "value(times, 0)"), one("bits", "ptr out", "both", "attr both"),
            one("bits", "ptr out", "also + 1", "value(times, 0)"), one("bits", "ptr out", "attr n", "value(times, 0)"),
        ),
    },
    {"name": "fails", "inputs": [f32("x")], "outputs": [f32("out", shape="x[0:]")], "plans": plans(one("fail", "ptr x", "x.0"))},
]  # fmt: skip


def build(folder: Path, ops: list[dict[str, Any]] | None = None, **more: Any) -> Path:
    """The library of these operators."""
    ops = OPS if ops is None else ops
    folder.mkdir(parents=True, exist_ok=True)
    used = {
        v["kernel"]
        for op in ops
        for plan in op["plans"]
        for launch in plan["launches"]
        for v in launch.get("variants", ())
    }
    return package(folder, ops, [kernel(name, folder) for name in KERNELS if name in used], **more)
