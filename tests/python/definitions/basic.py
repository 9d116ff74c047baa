"""Operators that test_plugin_definitions.py builds."""

import triton
import triton.language as tl

import opwright.plugin as trtp


@triton.jit
def axpy_kernel(x_ptr, y_ptr, out_ptr, alpha, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < n
    tl.store(out_ptr + at, tl.load(x_ptr + at, mask=mask) * alpha + tl.load(y_ptr + at, mask=mask), mask=mask)


@triton.jit
def scale_kernel(x_ptr, times, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < n
    tl.store(x_ptr + at, tl.load(x_ptr + at, mask=mask) * times, mask=mask)


@triton.jit
def row_sums_kernel(x_ptr, sums_ptr, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, columns, BLOCK):
        at = start + tl.arange(0, BLOCK)
        total += tl.load(x_ptr + row * columns + at, mask=at < columns, other=0)
    tl.store(sums_ptr + row, tl.sum(total, 0))


@triton.jit
def divide_rows_kernel(x_ptr, sums_ptr, out_ptr, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    by = tl.load(sums_ptr + row)
    for start in range(0, columns, BLOCK):
        at = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * columns + at, mask=at < columns)
        tl.store(out_ptr + row * columns + at, x / by, mask=at < columns)


@triton.jit
def count_kernel(x_ptr, counts_ptr, n, bins, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n, other=-1)
    tl.atomic_add(counts_ptr + x, 1, mask=(at < n) & (x >= 0) & (x < bins))


@trtp.register("sample::axpy")
def axpy_desc(x: trtp.TensorDesc, y: trtp.TensorDesc, alpha: float = 1.0) -> trtp.TensorDesc:
    """alpha * x + y"""
    trtp.require(x.shape_expr.numel() == y.shape_expr.numel(), "x and y have different numbers of elements")
    return x.like()


@trtp.autotune("sample::axpy")
def axpy_autotune(outputs):
    return [
        trtp.AutoTuneCombination("FP32|FP16, FP32|FP16, FP32|FP16", "LINEAR", [1, 2]),
        trtp.AutoTuneCombination("FP64, FP64, FP64", tactics=[1]),
    ]


@trtp.aot_impl("sample::axpy")
def axpy_aot_impl(x, y, alpha, outputs, tactic):
    n, block = x.shape_expr.numel(), {1: 128, 2: 1024}[tactic]
    return trtp.launch(axpy_kernel, (trtp.cdiv(n, block),), (x, y, outputs[0], alpha, n), BLOCK=block)


@trtp.register("sample::scale_", outputs=["y"])
def scale_desc(x: trtp.TensorDesc, times: int) -> trtp.TensorDesc:
    """x *= times"""
    return x.aliased()


@trtp.autotune("sample::scale_")
def scale_autotune(x, outputs):
    combination = trtp.AutoTuneCombination()
    combination.pos([0, 1], "FP32|INT32")
    combination.tactics([1])
    return [combination]


@trtp.aot_impl("sample::scale_")
def scale_aot_impl(x, times, outputs, tactic):
    n = x.shape_expr.numel()
    return trtp.launch(scale_kernel, (trtp.cdiv(n, 256),), (outputs[0], times, n), BLOCK=256)


@trtp.register("sample::normalize_rows", ranks={"x": 2})
def normalize_desc(x: trtp.TensorDesc) -> tuple[trtp.TensorDesc, trtp.TensorDesc]:
    """Each row by its sum, and the larger of the two sizes in a shape."""
    rows, columns = x.shape_expr
    longest = trtp.where(rows < columns, columns, rows)
    return x.like(), trtp.from_shape_expr((longest - trtp.min(rows, columns), 2 * rows % 3), "FP32")


@trtp.autotune("sample::normalize_rows")
def normalize_autotune(x, outputs):
    return [trtp.AutoTuneCombination("FP32, FP32, FP32")]


@trtp.aot_impl("sample::normalize_rows")
def normalize_aot_impl(x, outputs):
    rows, columns = x.shape_expr
    sums = trtp.workspace((rows,), "FP32")
    return [
        trtp.launch(row_sums_kernel, (rows,), (x, sums, columns), BLOCK=64),
        trtp.launch(divide_rows_kernel, (rows,), (x, sums, outputs[0], columns), BLOCK=64),
        trtp.zero(outputs[1]),
    ]


@trtp.register("sample::counts")
def counts_desc(x: trtp.TensorDesc, bins: int = 4) -> trtp.TensorDesc:
    """How often each of 0 .. bins - 1 is in x."""
    trtp.require(bins > 0, "bins is not positive")
    return trtp.from_shape_expr((bins,), "INT32")


@trtp.autotune("sample::counts")
def counts_autotune():
    return [trtp.AutoTuneCombination("INT32, INT32")]


@trtp.aot_impl("sample::counts")
def counts_aot_impl(x, bins, outputs):
    n = x.shape_expr.numel()
    return trtp.zero(outputs[0]), trtp.launch(count_kernel, trtp.cdiv(n, 64), (x, outputs[0], n, bins), BLOCK=64)
