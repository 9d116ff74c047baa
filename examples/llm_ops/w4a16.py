"""llm::w4a16_matmul: a product with weights of four bits, whose partial sums over shares of the inner axis meet in a workspace."""

import numpy as np
import triton
import triton.language as tl

import opwright.plugin as trtp

MIDDLE = 8  # the number that means 0 where there are no zero points
FEW_ROWS = 4  # up to so many the weights are taken apart for each; for more, once for 16 rows
SHARES = {1: 1, 2: 4}  # of the inner axis, by tactic: more for the programs of many cores


@triton.jit
def unpair_kernel(x_ptr, pairs_ptr, sums_ptr, rows, inner, group, row_stride, stride, BLOCK: tl.constexpr):
    """Puts a row of x in the order of the weights' bytes: the elements at even places of all groups, then those at odd ones; and adds up
    the groups. One program per group and row."""
    i, row = tl.program_id(0), tl.program_id(1).to(tl.int64)
    half = group // 2
    x_ptr += row * inner + i * group
    even_ptr = pairs_ptr + row * row_stride + (i * half).to(tl.int64) * stride
    odd_ptr = even_ptr + (inner // 2).to(tl.int64) * stride
    total = 0.0
    for start in range(0, half, BLOCK):
        both = 2 * start + tl.arange(0, 2 * BLOCK)
        x = tl.load(x_ptr + both, mask=both < group, other=0).to(tl.float32)
        even, odd = tl.split(tl.reshape(x, (BLOCK, 2)))
        at = start + tl.arange(0, BLOCK)
        tl.store(even_ptr + at * stride, even, mask=at < half)
        tl.store(odd_ptr + at * stride, odd, mask=at < half)
        total += tl.sum(x, 0)
    tl.store(sums_ptr + i * rows + row, total)


@triton.jit
def rows_kernel(
    pairs_ptr, sums_ptr, weight_ptr, scales_ptr, zeros_ptr, partial_ptr, rows, columns, inner, group, groups, share,
    COLUMNS: tl.constexpr, BYTES: tl.constexpr, MIDDLE: tl.constexpr,
):  # fmt: skip
    """COLUMNS outputs of all rows, one after the other, over a share of the groups."""
    n = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    inside = n < columns
    half = group // 2
    begin = tl.program_id(1) * share
    for row in range(rows):
        x_ptr = pairs_ptr + row * inner
        acc = tl.zeros((COLUMNS,), tl.float32)
        for i in range(begin, tl.minimum(begin + share, groups)):
            dots = tl.zeros((COLUMNS,), tl.float32)
            for start in range(0, half, BYTES):
                at = start + tl.arange(0, BYTES)
                real = at < half
                at += i * half
                even = tl.load(x_ptr + at, mask=real, other=0)
                odd = tl.load(x_ptr + inner // 2 + at, mask=real, other=0)
                weight_at = weight_ptr + n[:, None] * (inner // 2) + at[None, :]
                packed = tl.load(weight_at, mask=inside[:, None] & real[None, :], other=0)
                low, high = (packed & 15).to(tl.float32), (packed >> 4).to(tl.float32)
                dots += tl.sum(low * even[None, :] + high * odd[None, :], 1)
            scale = tl.load(scales_ptr + i * columns + n, mask=inside, other=0).to(tl.float32)
            zero = MIDDLE
            if zeros_ptr is not None:
                zero = tl.load(zeros_ptr + i * columns + n, mask=inside, other=0).to(tl.float32)
            # (number - zero) * scale for all of a group
            acc += scale * (dots - zero * tl.load(sums_ptr + i * rows + row))
        tl.store(partial_ptr + (tl.program_id(1) * rows + row) * columns + n, acc, mask=inside)


@triton.jit
def matrix_kernel(
    pairs_ptr, sums_ptr, weight_ptr, scales_ptr, zeros_ptr, partial_ptr, rows, columns, inner, group, groups, share,
    COLUMNS: tl.constexpr, BYTES: tl.constexpr, MIDDLE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """A block of outputs, over a share of the groups. It is computed transposed: the rows are vectors, which a weight multiplies."""
    n = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    m = tl.program_id(2) * ROWS + tl.arange(0, ROWS)
    inside, there = n < columns, m < rows
    half = group // 2
    odd_ptr = pairs_ptr + (inner // 2).to(tl.int64) * rows
    begin = tl.program_id(1) * share
    acc = tl.zeros((COLUMNS, ROWS), tl.float32)
    for i in range(begin, tl.minimum(begin + share, groups)):
        dots = tl.zeros((COLUMNS, ROWS), tl.float32)
        for start in range(0, half, BYTES):
            at = start + tl.arange(0, BYTES)
            real = at < half
            at += i * half
            even = tl.load(pairs_ptr + at[:, None] * rows + m[None, :], mask=real[:, None] & there[None, :], other=0)
            odd = tl.load(odd_ptr + at[:, None] * rows + m[None, :], mask=real[:, None] & there[None, :], other=0)
            weight_at = weight_ptr + n[:, None] * (inner // 2) + at[None, :]
            packed = tl.load(weight_at, mask=inside[:, None] & real[None, :], other=0)
            dots = tl.dot((packed & 15).to(tl.float32), even, dots)
            dots = tl.dot((packed >> 4).to(tl.float32), odd, dots)
        scale = tl.load(scales_ptr + i * columns + n, mask=inside, other=0).to(tl.float32)
        zero = tl.full((COLUMNS,), MIDDLE, tl.float32)
        if zeros_ptr is not None:
            zero = tl.load(zeros_ptr + i * columns + n, mask=inside, other=0).to(tl.float32)
        sums = tl.load(sums_ptr + i * rows + m, mask=there, other=0)
        acc += scale[:, None] * (dots - zero[:, None] * sums[None, :])
    partial_ptr += tl.program_id(1).to(tl.int64) * rows * columns
    tl.store(partial_ptr + m[:, None] * columns + n[None, :], tl.trans(acc), mask=there[:, None] & inside[None, :])


@triton.jit
def reduce_kernel(partial_ptr, bias_ptr, out_ptr, shares, rows, columns, BLOCK: tl.constexpr):
    """Adds up the shares of a row's outputs, and the bias."""
    row = tl.program_id(1)
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = n < columns
    total = tl.zeros((BLOCK,), tl.float32)
    if bias_ptr is not None:
        total = tl.load(bias_ptr + n, mask=inside).to(tl.float32)
    for share in range(shares):
        total += tl.load(partial_ptr + (share * rows + row).to(tl.int64) * columns + n, mask=inside)
    tl.store(out_ptr + row.to(tl.int64) * columns + n, total, mask=inside)


@trtp.register("llm::w4a16_matmul", ranks={"weight": 2, "scales": 2, "zeros": 2, "bias": 1})
def matmul_desc(
    x: trtp.TensorDesc, weight: trtp.TensorDesc, scales: trtp.TensorDesc, zeros: trtp.TensorDesc | None = None,
    bias: trtp.TensorDesc | None = None,
) -> trtp.TensorDesc:  # fmt: skip
    """x [..., inner] times the transpose of a matrix of 4-bit numbers, plus bias [columns].

    weight [columns, inner / 2] has two numbers in a byte, the low bits first; (number - zero) * scale is what one means. scales and zeros
    are [groups, columns], each for inner / groups numbers in a row; zeros are whole bytes, and 8 where they are left out.
    """
    columns, half = weight.shape_expr
    groups = scales.shape_expr[0]
    trtp.require(
        x.shape_expr[-1] == 2 * half, "a row of weight has not half as many bytes as the last axis of x has elements"
    )
    trtp.require(half > 0, "weight has no columns")
    trtp.require(scales.shape_expr[1] == columns, "scales has not one column for each row of weight")
    trtp.require(groups > 0, "scales has no rows")
    trtp.require(half % trtp.max(groups, 1) == 0, "a row of weight is not divided into bytes of its groups")
    if zeros is not None:
        trtp.require(zeros.shape_expr[0] == groups, "zeros and scales have different numbers of rows")
        trtp.require(zeros.shape_expr[1] == columns, "zeros has not one column for each row of weight")
    if bias is not None:
        trtp.require(bias.shape_expr[0] == columns, "bias has not one number for each row of weight")
    out = x.like()
    out.shape_expr[-1] = columns
    return out


@trtp.autotune("llm::w4a16_matmul")
def matmul_autotune():
    types = "FP32|FP16|BF16"
    return [trtp.AutoTuneCombination(f"{types}, UINT8, {types}, UINT8, {types}, {types}", "LINEAR", list(SHARES))]


@trtp.aot_impl("llm::w4a16_matmul")
def matmul_aot(x, weight, scales, zeros, bias, outputs, tactic):
    columns, half = weight.shape_expr
    inner, groups = 2 * half, scales.shape_expr[0]
    rows = x.numel() // trtp.max(inner, 1)
    group = inner // trtp.max(groups, 1)
    share = trtp.cdiv(groups, SHARES[tactic])
    shares = trtp.cdiv(groups, trtp.max(share, 1))
    pairs, sums = trtp.workspace((inner, rows), "FP32"), trtp.workspace((groups, rows), "FP32")
    partial = trtp.workspace((shares, rows, columns), "FP32")
    arguments = pairs, sums, weight, scales, zeros, partial, rows, columns, inner, group, groups, share
    if rows <= FEW_ROWS:
        row_stride, stride = inner, 1
        grid = trtp.cdiv(columns, 32), shares
        product = trtp.launch(rows_kernel, grid, arguments, COLUMNS=32, BYTES=64, MIDDLE=MIDDLE)
    else:
        row_stride, stride = 1, rows
        grid = trtp.cdiv(columns, 64), shares, trtp.cdiv(rows, 16)
        product = trtp.launch(matrix_kernel, grid, arguments, COLUMNS=64, BYTES=64, MIDDLE=MIDDLE, ROWS=16)
    return [
        trtp.launch(
            unpair_kernel, (groups, rows), (x, pairs, sums, rows, inner, group),
            row_stride=trtp.scalar(row_stride, "INT64"), stride=trtp.scalar(stride, "INT64"), BLOCK=64,
        ),
        product,
        trtp.launch(
            reduce_kernel, (trtp.cdiv(columns, 1024), rows), (partial, bias, outputs[0], shares, rows, columns), BLOCK=1024
        ),
    ]  # fmt: skip


@trtp.impl("llm::w4a16_matmul")
def matmul_impl(x, weight, scales, zeros, bias, outputs):
    packed = np.asarray(weight)
    columns, half = packed.shape
    numbers = np.stack([packed & 15, packed >> 4], -1).reshape(columns, 2 * half).astype(np.float64)
    scale, zero = (
        MIDDLE if a is None else np.repeat(np.asarray(a).astype(np.float64).T, 2 * half // scales.shape[0], 1)
        for a in (scales, zeros)
    )
    out = np.asarray(x).astype(np.float64) @ ((numbers - zero) * scale).T
    np.asarray(outputs[0])[...] = out if bias is None else out + np.asarray(bias).astype(np.float64)


@trtp.cost("llm::w4a16_matmul")
def matmul_cost(x, weight):
    return 2 * x.numel() * weight.shape_expr[0], weight.numel() + 4 * x.numel()
