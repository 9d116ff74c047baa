"""llm::add_rms_norm: the residual of a transformer block is added to in place, and its RMS norm is what the next layer takes."""

import numpy as np
import triton
import triton.language as tl

import opwright.plugin as trtp


@triton.jit
def add_rms_norm_kernel(x_ptr, residual_ptr, weight_ptr, normed_ptr, epsilon, columns, BLOCK: tl.constexpr):
    """One row per program. The sum is rounded to the tensors' type before its square counts, as if it had been added beforehand."""
    first = tl.program_id(0).to(tl.int64) * columns
    x_ptr += first
    residual_ptr += first
    normed_ptr += first
    squares = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, columns, BLOCK):
        at = start + tl.arange(0, BLOCK)
        inside = at < columns
        x = tl.load(x_ptr + at, mask=inside, other=0).to(tl.float32)
        residual = tl.load(residual_ptr + at, mask=inside, other=0).to(tl.float32)
        total = (x + residual).to(residual_ptr.dtype.element_ty)
        tl.store(residual_ptr + at, total, mask=inside)
        squares += total.to(tl.float32) * total.to(tl.float32)
    scale = tl.rsqrt(tl.sum(squares, 0) / columns + epsilon)
    for start in range(0, columns, BLOCK):
        at = start + tl.arange(0, BLOCK)
        inside = at < columns
        total = tl.load(residual_ptr + at, mask=inside).to(tl.float32)
        weight = tl.load(weight_ptr + at, mask=inside).to(tl.float32)
        tl.store(normed_ptr + at, total * scale * weight, mask=inside)


@trtp.register("llm::add_rms_norm", ranks={"weight": 1}, outputs=["normed", "residual_out"])
def add_rms_norm_desc(
    x: trtp.TensorDesc, residual: trtp.TensorDesc, weight: trtp.TensorDesc, epsilon: float = 1e-6
) -> tuple[trtp.TensorDesc, trtp.TensorDesc]:
    """residual += x; normed = residual / sqrt(mean(residual^2) + epsilon) * weight, over the last axis."""
    columns = x.shape_expr[-1]
    trtp.require(residual.numel() == x.numel(), "residual has another number of elements than x")
    trtp.require(residual.shape_expr[-1] == columns, "the last axes of residual and x differ")
    trtp.require(weight.shape_expr[0] == columns, "weight is not as long as the last axis of x")
    return x.like(), residual.aliased()


@trtp.autotune("llm::add_rms_norm")
def add_rms_norm_autotune():
    return [trtp.AutoTuneCombination(", ".join(["FP32|FP16|BF16"] * 5))]


@trtp.aot_impl("llm::add_rms_norm")
def add_rms_norm_aot(x, weight, epsilon, outputs):
    normed, residual = outputs
    columns = x.shape_expr[-1]
    rows = x.numel() // trtp.max(columns, 1)
    return trtp.launch(add_rms_norm_kernel, (rows,), (x, residual, weight, normed, epsilon, columns), BLOCK=1024)


@trtp.impl("llm::add_rms_norm")
def add_rms_norm_impl(x, weight, epsilon, outputs):
    normed, residual = map(np.asarray, outputs)
    residual[...] = residual.astype(np.float64) + np.asarray(x).astype(np.float64)
    total = residual.astype(np.float64)
    mean = (total * total).sum(-1, keepdims=True) / max(total.shape[-1], 1)
    normed[...] = total / np.sqrt(mean + epsilon) * np.asarray(weight).astype(np.float64)


@trtp.cost("llm::add_rms_norm")
def add_rms_norm_cost(x):
    return 6 * x.numel(), 4 * 4 * x.numel()
