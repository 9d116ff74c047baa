"""Operators of the forms that a definition can have, each as small as it can be: face_cases.py calls them in every host."""

import enum
from typing import Literal

import triton
import triton.language as tl

import opwright.plugin as trtp

# -- element types: added as integers or as fp32

WIDE = {"BOOL": "i32", "INT8": "i32", "INT16": "i32", "INT32": "i32", "INT64": "i64", "UINT8": "i32", "DOUBLE": "f64"}
TYPES = ("FLOAT", "HALF", "BF16", "FP8", "FP8_E5M2", *WIDE)


@triton.jit
def add_kernel(x_ptr, y_ptr, out_ptr, n, WIDE: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x, y = tl.load(x_ptr + at, mask=at < n), tl.load(y_ptr + at, mask=at < n)
    if WIDE == "i32":
        total = x.to(tl.int32) + y.to(tl.int32)
    elif WIDE == "f32":
        total = x.to(tl.float32) + y.to(tl.float32)
    else:
        total = x + y
    tl.store(out_ptr + at, total.to(out_ptr.dtype.element_ty), mask=at < n)


@trtp.register("faces::add")
def add_desc(x: trtp.TensorDesc, y: trtp.TensorDesc) -> trtp.TensorDesc:
    trtp.require(x.numel() == y.numel(), "x and y have different numbers of elements")
    return x.like()


@trtp.autotune("faces::add")
def add_autotune(outputs):
    types = "|".join(TYPES)
    return [trtp.AutoTuneCombination(f"{types}, {types}, {types}")]


@trtp.aot_impl("faces::add")
def add_aot(x, y, outputs):
    wide = next((wide for name, wide in WIDE.items() if x.dtype == trtp.DataType[name]), "f32")
    n = x.numel()
    return trtp.launch(add_kernel, (trtp.cdiv(n, 64),), (x, y, outputs[0], n), WIDE=wide, BLOCK=64)


# -- attributes of every kind, an optional input


class Kind(enum.Enum):
    PLAIN = 0
    NEGATED = 1


@triton.jit
def combine_kernel(
    x_ptr, bias_ptr, out_ptr, scale, shift, n, SUM: tl.constexpr, NEGATE: tl.constexpr, BLOCK: tl.constexpr
):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    y = x + shift if SUM else x * scale + shift
    if bias_ptr is not None:
        y += tl.load(bias_ptr + at, mask=at < n)
    tl.store(out_ptr + at, -y if NEGATE else y, mask=at < n)


@trtp.register("faces::combine")
def combine_desc(
    x: trtp.TensorDesc,
    bias: trtp.TensorDesc | None = None,
    times: int = 1,
    scale: float = 0.5,
    flip: bool = False,
    mode: Literal["fma", "sum"] = "fma",
    kind: Kind = Kind.PLAIN,
    shifts: list[float] = (1.0, 2.0),
    which: list[int] = (0,),
    note: str = "",
) -> trtp.TensorDesc:
    trtp.require(trtp.length(shifts) == 2, "shifts are not two numbers")
    return x.like()


@trtp.autotune("faces::combine")
def combine_autotune(x, outputs):
    return [trtp.AutoTuneCombination("FP32, FP32, FP32")]


@trtp.aot_impl("faces::combine")
def combine_aot(x, bias, times, scale, flip, mode, kind, shifts, which, outputs):
    shift = trtp.where(which[0] == 0, shifts[0], shifts[1])
    n = x.numel()
    arguments = x, bias, outputs[0], scale * times, shift, n
    negate = (kind is Kind.NEGATED) != bool(flip)
    return trtp.launch(
        combine_kernel, (trtp.cdiv(n, 64),), arguments, SUM=mode == "sum", NEGATE=negate, BLOCK=64
    )  # fmt: skip


# -- in place, and two outputs with a workspace between two launches


@triton.jit
def double_kernel(x_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(x_ptr + at, tl.load(x_ptr + at, mask=at < n) * 2, mask=at < n)


@trtp.register("faces::double_", outputs=["y"])
def double_desc(x: trtp.TensorDesc) -> trtp.TensorDesc:
    return x.aliased()


@trtp.autotune("faces::double_")
def double_autotune(x, outputs):
    return [trtp.AutoTuneCombination("FP32|INT32, FP32|INT32")]


@trtp.aot_impl("faces::double_")
def double_aot(x, outputs):
    n = x.numel()
    return trtp.launch(double_kernel, (trtp.cdiv(n, 64),), (outputs[0], n), BLOCK=64)


@triton.jit
def row_sums_kernel(x_ptr, sums_ptr, columns, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + tl.program_id(0) * columns + at, mask=at < columns, other=0)
    tl.store(sums_ptr + tl.program_id(0), tl.sum(x, 0))


@triton.jit
def centre_kernel(x_ptr, sums_ptr, out_ptr, most_ptr, columns, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    place = tl.program_id(0) * columns + at
    y = tl.load(x_ptr + place, mask=at < columns) - tl.load(sums_ptr + tl.program_id(0))
    tl.store(out_ptr + place, y, mask=at < columns)
    tl.store(most_ptr + tl.program_id(0), tl.max(tl.where(at < columns, y, float("-inf")), 0))


@trtp.register("faces::centre", ranks={"x": 2}, outputs=["out", "most"])
def centre_desc(x: trtp.TensorDesc) -> tuple[trtp.TensorDesc, trtp.TensorDesc]:
    trtp.require(x.shape_expr[1] <= 64, "x has more than 64 columns")
    return x.like(), trtp.from_shape_expr(x.shape_expr[:1])


@trtp.autotune("faces::centre")
def centre_autotune(x, outputs):
    return [trtp.AutoTuneCombination("FP32, FP32, FP32")]


@trtp.aot_impl("faces::centre")
def centre_aot(x, outputs):
    rows, columns = x.shape_expr
    sums = trtp.workspace((rows,), "FP32")
    return [
        trtp.launch(row_sums_kernel, (rows,), (x, sums, columns), BLOCK=64),
        trtp.launch(centre_kernel, (rows,), (x, sums, *outputs, columns), BLOCK=64),
    ]


# -- sizes that depend on the data, in two phases and at once


@triton.jit
def count_kernel(x_ptr, count_ptr, n, BLOCK: tl.constexpr):
    found = tl.zeros((BLOCK,), tl.int64)
    for start in range(0, n, BLOCK):
        at = start + tl.arange(0, BLOCK)
        found += (tl.load(x_ptr + at, mask=at < n, other=0) > 0).to(tl.int64)
    tl.store(count_ptr, tl.sum(found, 0))


@triton.jit
def keep_kernel(x_ptr, kept_ptr, n, BLOCK: tl.constexpr):
    found = 0
    for start in range(0, n, BLOCK):
        at = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + at, mask=at < n, other=0)
        tl.store(kept_ptr + found + tl.cumsum((x > 0).to(tl.int32), 0) - 1, x, mask=x > 0)
        found += tl.sum((x > 0).to(tl.int32), 0)


def positive_desc(x: trtp.TensorDesc) -> tuple[trtp.TensorDesc, trtp.TensorDesc]:
    count = trtp.size_tensor(x.numel() // 2, x.numel())
    return trtp.from_shape_expr((count.expr(),)), count


def positive_autotune(x, outputs):
    return [trtp.AutoTuneCombination("FP32, FP32, INT64")]


for name in ("positive", "positive_at_once"):
    trtp.register(f"faces::{name}", outputs=["kept", "count"])(positive_desc)
    trtp.autotune(f"faces::{name}")(positive_autotune)


@trtp.aot_impl("faces::positive")
def positive_aot(x, outputs):
    kept, count = outputs
    return [
        trtp.launch(count_kernel, (1,), (x, count, x.numel()), BLOCK=64),
        trtp.sizes_known(),
        trtp.launch(keep_kernel, (1,), (x, kept, x.numel()), BLOCK=64),
    ]


@trtp.aot_impl("faces::positive_at_once")
def positive_at_once_aot(x, outputs):
    kept, count = outputs
    return [
        trtp.launch(count_kernel, (1,), (x, count, x.numel()), BLOCK=64),
        trtp.launch(keep_kernel, (1,), (x, kept, x.numel()), BLOCK=64),
    ]


# -- a number that is read on the host, and strides


@triton.jit
def repeat_kernel(x_ptr, out_ptr, n, stride, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at * stride, mask=at < n)
    tl.store(out_ptr + tl.program_id(0) * n + at, x, mask=at < n)


@trtp.register("faces::repeat", ranks={"x": 1, "times": 0}, host=["times"], strided=["x"])
def repeat_desc(x: trtp.TensorDesc, times: trtp.TensorDesc) -> trtp.TensorDesc:
    trtp.require(times.item() >= 0, "times is negative")
    trtp.require(x.shape_expr[0] <= 64, "x has more than 64 elements")
    return trtp.from_shape_expr((times.item(), x.shape_expr[0]))


@trtp.autotune("faces::repeat")
def repeat_autotune(x, outputs):
    return [trtp.AutoTuneCombination("FP32, INT64, FP32")]


@trtp.aot_impl("faces::repeat")
def repeat_aot(x, times, outputs):
    return trtp.launch(repeat_kernel, (times.item(),), (x, outputs[0], x.shape_expr[0], x.stride(0)), BLOCK=64)
