"""Definitions that use the Python values of what only a call knows: attributes of every kind, ranks, presence, conditions on sizes."""

import enum
from typing import Literal

import numpy as np
import numpy.typing as npt
import triton
import triton.language as tl

import opwright.plugin as trtp

# -- circular padding, as TensorRT's sample has it: an array attribute, of which NumPy asks the values


@triton.jit
def circ_pad(x_ptr, p0, p2, p4, p6, i0, i1, i2, i3, o1, o2, o3, total, y_ptr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < total
    d3 = at % o3
    d2 = at // o3 % o2
    d1 = at // o3 // o2 % o1
    d0 = at // o3 // o2 // o1
    s0 = (d0 - p0 + i0) % i0
    s1 = (d1 - p2 + i1) % i1
    s2 = (d2 - p4 + i2) % i2
    s3 = (d3 - p6 + i3) % i3
    tl.store(y_ptr + at, tl.load(x_ptr + ((s0 * i1 + s1) * i2 + s2) * i3 + s3, mask=mask), mask=mask)


@trtp.register("values::circ_pad", choices={"pads": [[1, 1, 1, 1], [2, 0, 1, 3]]})
def circ_pad_desc(x: trtp.TensorDesc, pads: npt.NDArray[np.int32]) -> trtp.TensorDesc:
    out = x.like()
    for i in range(np.size(pads) // 2):
        out.shape_expr[x.ndim - i - 1] += int(pads[i * 2] + pads[i * 2 + 1])
    return out


@trtp.autotune("values::circ_pad")
def circ_pad_autotune(x, outputs):
    return [trtp.AutoTuneCombination("FP32|FP16, FP32|FP16", "LINEAR", [1, 2])]


@trtp.aot_impl("values::circ_pad")
def circ_pad_aot(x, pads, outputs, tactic):
    before = np.zeros(x.ndim, np.int32)
    for i in range(np.size(pads) // 2):
        before[x.ndim - i - 1] = pads[i * 2]
    sizes, padded, total = x.shape_expr, outputs[0].shape_expr, outputs[0].shape_expr.numel()
    block = {1: 64, 2: 256}[tactic]
    extra = [*(int(b) for b in before), *(sizes[i] for i in range(4)), *(padded[i] for i in range(1, 4)), total]
    return trtp.launch(circ_pad, (trtp.cdiv(total, block),), (x, *extra, outputs[0]), BLOCK=block)


# -- one kernel for many attributes


class Mode(enum.Enum):
    ADD = 0
    MULTIPLY = 1


@triton.jit
def combine(x_ptr, b_ptr, y_ptr, scale, shift, n, MODE: tl.constexpr, NEGATE: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < n
    x = tl.load(x_ptr + at, mask=mask)
    y = x * scale + shift if MODE == "fma" else x + scale * shift
    if b_ptr is not None:
        y += tl.load(b_ptr + at, mask=mask)
    if NEGATE:
        y = -y
    tl.store(y_ptr + at, y, mask=mask)


@trtp.register("values::combine")
def combine_desc(
    x: trtp.TensorDesc,
    bias: trtp.TensorDesc | None = None,
    mode: Literal["fma", "sum"] = "fma",
    kind: Mode = Mode.ADD,
    negate: bool = False,
    scales: list[float] = (1.0, 0.5),
    note: str = "",
) -> trtp.TensorDesc:
    """A bit of everything."""
    trtp.require(trtp.length(scales) == 2, "scales are not two numbers")
    if bias is not None:
        trtp.require(bias.numel() == x.numel(), "bias has another number of elements than x")
    return x.like()


@trtp.autotune("values::combine")
def combine_autotune(x, outputs):
    return [trtp.AutoTuneCombination("FP32|FP64, FP32|FP64, FP32|FP64")]


@trtp.aot_impl("values::combine")
def combine_aot(x, bias, mode, kind, negate, scales, outputs, tactic):
    scale, shift = scales[0], scales[1]
    if kind is Mode.MULTIPLY:
        scale, shift = scale * shift, shift / 2
    n = x.numel()
    if x.dtype is trtp.DataType.DOUBLE:
        scale, shift = trtp.scalar(scale, "FP64"), trtp.scalar(shift, "FP64")
    return trtp.launch(
        combine, lambda meta: (trtp.cdiv(n, meta["BLOCK"]),), (x, bias, outputs[0], scale, shift, n),
        MODE=mode, NEGATE=negate, BLOCK=64,
    )  # fmt: skip


# -- bytes: their numbers and their length are symbols, their value is one of those that the library is built for


@trtp.register("values::keyed", choices={"mode": [b"\xfe\x00", b"add"]})
def keyed_desc(x: trtp.TensorDesc, data: bytes = b"\x02\xff", mode: bytes = b"add") -> trtp.TensorDesc:
    trtp.require(trtp.length(data) > 0, "data is empty")
    return x.like()


@trtp.autotune("values::keyed")
def keyed_autotune(x, outputs):
    return [trtp.AutoTuneCombination("FP32, FP32")]


@trtp.impl("values::keyed")
def keyed_impl(x, data, mode, outputs):
    y = np.asarray(x) * data[0] + (len(data) + data[-1])
    np.asarray(outputs[0])[...] = -y if mode.startswith(b"\xfe") else y


@trtp.aot_impl("values::keyed")
def keyed_aot(x, data, mode, outputs):
    n, negate = x.numel(), b"\xfe\x00" in mode and mode.count(b"d") == 0
    arguments = (
        x,
        None,
        outputs[0],
        trtp.scalar(data[0], "FP32"),
        trtp.scalar(trtp.length(data) + data[-1], "FP32"),
        n,
    )
    return trtp.launch(combine, (trtp.cdiv(n, 64),), arguments, MODE="fma", NEGATE=negate, BLOCK=64)


# -- conditions on sizes, and a constant that is one of a few


@triton.jit
def row_sum(x_ptr, y_ptr, columns, BLOCK: tl.constexpr, WIDE: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    if WIDE:
        total = tl.zeros((BLOCK,), tl.float32)
        for start in range(0, columns, BLOCK):
            total += tl.load(x_ptr + row * columns + start + at, mask=start + at < columns, other=0)
        tl.store(y_ptr + row, tl.sum(total, 0))
    else:
        tl.store(y_ptr + row, tl.sum(tl.load(x_ptr + row * columns + at, mask=at < columns, other=0), 0))


@trtp.register("values::row_sum", ranks={"x": 2})
def row_sum_desc(x: trtp.TensorDesc) -> trtp.TensorDesc:
    return trtp.from_shape_expr(x.shape_expr[:1])


@trtp.autotune("values::row_sum")
def row_sum_autotune(x, outputs):
    return [trtp.AutoTuneCombination("FP32, FP32")]


@trtp.aot_impl("values::row_sum")
def row_sum_aot(x, outputs):
    rows, columns = x.shape_expr
    wide = columns > 128
    block = 64 if wide else trtp.one_of(trtp.max(trtp.next_power_of_2(columns), 16), [16, 32, 64, 128])
    return trtp.launch(row_sum, (rows,), (x, outputs[0], columns), BLOCK=block, WIDE=wide)


# -- a kernel with its own configurations and heuristics


@triton.autotune([triton.Config({"BLOCK": 32}), triton.Config({"BLOCK": 128}, num_warps=2)], key=["n"])
@triton.heuristics({"EVEN": lambda args: args["n"] % args["BLOCK"] == 0})
@triton.jit
def double(x_ptr, y_ptr, n, BLOCK: tl.constexpr, EVEN: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    if EVEN:
        tl.store(y_ptr + at, 2 * tl.load(x_ptr + at))
    else:
        tl.store(y_ptr + at, 2 * tl.load(x_ptr + at, mask=at < n), mask=at < n)


@trtp.register("values::double")
def double_desc(x: trtp.TensorDesc) -> trtp.TensorDesc:
    return x.like()


@trtp.autotune("values::double")
def double_autotune(x, outputs):
    return [trtp.AutoTuneCombination("FP32|INT32, FP32|INT32")]


@trtp.aot_impl("values::double")
def double_aot(x, outputs, tactic):
    n = x.shape_expr.numel()
    return trtp.launch(double, lambda meta: (trtp.cdiv(n, meta["BLOCK"]),), (x, outputs[0], n))


@trtp.cost("values::double")
def double_cost(x, outputs):
    return x.numel(), 8 * x.numel()


# -- sizes that depend on the data: in two phases, and all at once


@triton.jit
def count_kernel(x_ptr, count_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n, other=0)
    tl.atomic_add(count_ptr, tl.sum((x != 0).to(tl.int64), 0))


@triton.jit
def write_kernel(x_ptr, index_ptr, rows, columns, BLOCK: tl.constexpr):
    """One program: the order of the indices is that of the elements."""
    at = tl.arange(0, BLOCK)
    done = 0
    n = rows * columns
    for start in range(0, n, BLOCK):
        i = start + at
        there = tl.load(x_ptr + i, mask=i < n, other=0) != 0
        place = done + tl.cumsum(there.to(tl.int32), 0) - 1
        tl.store(index_ptr + 2 * place, i // columns, mask=there)
        tl.store(index_ptr + 2 * place + 1, i % columns, mask=there)
        done += tl.sum(there.to(tl.int32), 0)


@triton.jit
def both_kernel(x_ptr, index_ptr, count_ptr, rows, columns, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    done = 0
    n = rows * columns
    for start in range(0, n, BLOCK):
        i = start + at
        there = tl.load(x_ptr + i, mask=i < n, other=0) != 0
        place = done + tl.cumsum(there.to(tl.int32), 0) - 1
        tl.store(index_ptr + 2 * place, i // columns, mask=there)
        tl.store(index_ptr + 2 * place + 1, i % columns, mask=there)
        done += tl.sum(there.to(tl.int32), 0)
    tl.store(count_ptr, done.to(tl.int64))


def nonzero_desc(x: trtp.TensorDesc) -> tuple[trtp.TensorDesc, trtp.TensorDesc]:
    upper = x.shape_expr[0] * x.shape_expr[1]
    count = trtp.size_tensor(upper // 2, upper)
    return trtp.from_shape_expr((count.expr(), 2), dtype="INT32"), count


def nonzero_autotune(x, outputs):
    return [trtp.AutoTuneCombination("FP32|INT32, INT32, INT64")]


for name in ("non_zero", "non_zero_at_once"):
    trtp.register(f"values::{name}", ranks={"x": 2}, outputs=["indices", "count"])(nonzero_desc)
    trtp.autotune(f"values::{name}")(nonzero_autotune)


@trtp.aot_impl("values::non_zero")
def non_zero_aot(x, outputs):
    indices, count = outputs
    rows, columns = x.shape_expr
    return [
        trtp.zero(count),
        trtp.launch(count_kernel, (trtp.cdiv(rows * columns, 64),), (x, count, rows * columns), BLOCK=64),
        trtp.sizes_known(),
        trtp.launch(write_kernel, (1,), (x, indices, rows, columns), BLOCK=64),
    ]


@trtp.aot_impl("values::non_zero_at_once")
def non_zero_at_once_aot(x, outputs):
    rows, columns = x.shape_expr
    return trtp.launch(both_kernel, (1,), (x, outputs[0], outputs[1], rows, columns), BLOCK=64)


# -- a number that is read on the host, and strides


@triton.jit
def repeat(x_ptr, y_ptr, times, columns, row_stride, column_stride, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    for start in range(0, columns, BLOCK):
        mask = start + at < columns
        x = tl.load(x_ptr + row * row_stride + (start + at) * column_stride, mask=mask)
        for i in range(times):
            tl.store(y_ptr + (row * times + i) * columns + start + at, x, mask=mask)


@trtp.register("values::repeat", ranks={"x": 2, "times": 0}, host=["times"], strided=["x"])
def repeat_desc(x: trtp.TensorDesc, times: trtp.TensorDesc) -> trtp.TensorDesc:
    trtp.require(times.item() >= 0, "times is negative")
    return trtp.from_shape_expr((x.shape_expr[0], times.item(), x.shape_expr[1]))


@trtp.autotune("values::repeat")
def repeat_autotune(x, outputs):
    return [trtp.AutoTuneCombination("FP32|FP16, INT64|INT32, FP32|FP16")]


@trtp.aot_impl("values::repeat")
def repeat_aot(x, times, outputs):
    rows, columns = x.shape_expr
    arguments = x, outputs[0], times.item(), columns, x.stride(0), x.stride(1)
    return trtp.launch(repeat, (rows,), arguments, BLOCK=32)


# -- impl: the same on arrays


@trtp.impl("values::circ_pad")
def circ_pad_impl(x, pads, outputs, stream):
    width = [(0, 0)] * x.ndim
    for i in range(len(pads) // 2):
        width[x.ndim - i - 1] = int(pads[2 * i]), int(pads[2 * i + 1])
    np.asarray(outputs[0])[...] = np.pad(np.asarray(x), width, mode="wrap")


@trtp.impl("values::combine")
def combine_impl(x, bias, mode, kind, negate, scales, outputs):
    scale, shift = scales
    if kind is Mode.MULTIPLY:
        scale, shift = scale * shift, shift / 2
    array = np.asarray(x)
    y = array * scale + shift if mode == "fma" else array + scale * shift
    if bias is not None:
        y = y + np.asarray(bias).reshape(array.shape)
    np.asarray(outputs[0])[...] = -y if negate else y


@trtp.impl("values::row_sum")
def row_sum_impl(x, outputs):
    np.asarray(x).sum(1, out=np.asarray(outputs[0]))


@trtp.impl("values::double")
def double_impl(x, outputs):
    np.multiply(np.asarray(x), 2, out=np.asarray(outputs[0]))


for name in ("non_zero", "non_zero_at_once"):

    @trtp.impl(f"values::{name}")
    def non_zero_impl(x, outputs):
        found = np.argwhere(np.asarray(x))
        np.asarray(outputs[0].aliased(found.shape))[...] = found
        np.asarray(outputs[1])[...] = len(found)


@trtp.impl("values::repeat")
def repeat_impl(x, times, outputs):
    np.asarray(outputs[0])[...] = np.repeat(np.asarray(x)[:, None], int(np.asarray(times)), 1)


# -- tensor descriptors made by the host


@triton.jit
def transpose_blocks(x, y, BLOCK: tl.constexpr):
    row, column = tl.program_id(0) * BLOCK, tl.program_id(1) * BLOCK
    y.store([column, row], tl.trans(x.load([row, column])))


@trtp.register("values::transpose", ranks={"x": 2})
def transpose_desc(x: trtp.TensorDesc) -> trtp.TensorDesc:
    rows, columns = x.shape_expr
    return trtp.from_shape_expr((columns, rows))


@trtp.autotune("values::transpose")
def transpose_autotune(x, outputs):
    return [trtp.AutoTuneCombination("FP32|FP16, FP32|FP16")]


@trtp.aot_impl("values::transpose")
def transpose_aot(x, outputs):
    rows, columns = x.shape_expr
    blocks = trtp.descriptor(x, (16, 16)), trtp.descriptor(outputs[0], (16, 16))
    return trtp.launch(transpose_blocks, (trtp.cdiv(rows, 16), trtp.cdiv(columns, 16)), blocks, BLOCK=16)


@trtp.impl("values::transpose")
def transpose_impl(x, outputs):
    np.asarray(outputs[0])[...] = np.asarray(x).T


# -- a variable number of inputs


@triton.jit
def copy_rows(x_ptr, y_ptr, start, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + start + at, tl.load(x_ptr + at, mask=at < n), mask=at < n)


@trtp.register("values::concat", choices={"parts": [1, 2, 3]}, ranks={"parts": 2})
def concat_desc(parts: list[trtp.TensorDesc]) -> trtp.TensorDesc:
    columns = parts[0].shape_expr[1]
    for part in parts:
        trtp.require(part.shape_expr[1] == columns, "the parts have different numbers of columns")
    return trtp.from_shape_expr((sum(part.shape_expr[0] for part in parts), columns))


@trtp.autotune("values::concat")
def concat_autotune(parts, outputs):
    return [trtp.AutoTuneCombination("FP32|INT64, FP32|INT64")]


@trtp.aot_impl("values::concat")
def concat_aot(parts, outputs):
    steps, start = [], 0
    for part in parts:
        n = part.numel()
        steps.append(trtp.launch(copy_rows, (trtp.cdiv(n, 64),), (part, outputs[0], start, n), BLOCK=64))
        start = start + n
    return steps


@trtp.impl("values::concat")
def concat_impl(parts, outputs):
    np.asarray(outputs[0])[...] = np.concatenate([np.asarray(part) for part in parts])


# -- an array in the library

CURVE = np.array([0.0, 0.5, 2.0, 4.5, 8.0])


@triton.jit
def look_up(x_ptr, table_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n, other=0)
    inside = (at < n) & (x >= 0) & (x < 5)
    tl.store(y_ptr + at, tl.load(table_ptr + x, mask=inside, other=-1), mask=at < n)


@trtp.register("values::look_up")
def look_up_desc(x: trtp.TensorDesc) -> trtp.TensorDesc:
    return trtp.from_shape_expr(x.shape_expr)


@trtp.autotune("values::look_up")
def look_up_autotune(x, outputs):
    return [trtp.AutoTuneCombination("INT32, FP32|FP16")]


@trtp.aot_impl("values::look_up")
def look_up_aot(x, outputs):
    table = trtp.constant(CURVE, outputs[0].dtype)
    return trtp.launch(look_up, (trtp.cdiv(x.numel(), 32),), (x, table, outputs[0], x.numel()), BLOCK=32)


@trtp.impl("values::look_up")
def look_up_impl(x, outputs):
    x = np.asarray(x)
    np.asarray(outputs[0])[...] = np.where((x >= 0) & (x < 5), CURVE[np.clip(x, 0, 4)], -1)


# -- shapes of any rank that lose axes, and sizes by floats


@triton.jit
def last_sum(x_ptr, y_ptr, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, columns, BLOCK):
        at = start + tl.arange(0, BLOCK)
        total += tl.load(x_ptr + row * columns + at, mask=at < columns, other=0)
    tl.store(y_ptr + row, tl.sum(total, 0))


@trtp.register("values::last_sum")
def last_sum_desc(x: trtp.TensorDesc) -> trtp.TensorDesc:
    """The sums along the last axis of a tensor of any rank."""
    return trtp.from_shape_expr(x.shape_expr[:-1])


@trtp.autotune("values::last_sum")
def last_sum_autotune(x, outputs):
    return [trtp.AutoTuneCombination("FP32, FP32")]


@trtp.aot_impl("values::last_sum")
def last_sum_aot(x, outputs):
    return trtp.launch(last_sum, (outputs[0].numel(),), (x, outputs[0], x.shape_expr[-1]), BLOCK=32)


@trtp.impl("values::last_sum")
def last_sum_impl(x, outputs):
    np.asarray(outputs[0])[...] = np.asarray(x).sum(-1)


@triton.jit
def stretch(x_ptr, y_ptr, n, m, scale, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    source = tl.minimum((at.to(tl.float32) / scale).to(tl.int32), n - 1)
    tl.store(y_ptr + at, tl.load(x_ptr + source, mask=at < m), mask=at < m)


@trtp.register("values::stretch", ranks={"x": 1})
def stretch_desc(x: trtp.TensorDesc, scale: float = 2.0) -> trtp.TensorDesc:
    trtp.require(scale > 0, "scale is not positive")
    trtp.require(x.shape_expr[0] % trtp.floor(trtp.max(scale, 1.0)) >= 0, "never")
    return trtp.from_shape_expr((trtp.floor(x.shape_expr[0] * scale),))


@trtp.autotune("values::stretch")
def stretch_autotune(x, outputs):
    return [trtp.AutoTuneCombination("FP32, FP32")]


@trtp.aot_impl("values::stretch")
def stretch_aot(x, scale, outputs):
    m = outputs[0].numel()
    return trtp.launch(stretch, (trtp.cdiv(m, 64),), (x, outputs[0], x.numel(), m, scale), BLOCK=64)


@trtp.impl("values::stretch")
def stretch_impl(x, scale, outputs):
    x, out = np.asarray(x), np.asarray(outputs[0])
    out[...] = x[np.minimum((np.arange(out.size, dtype=np.float32) / np.float32(scale)).astype(int), x.size - 1)]
