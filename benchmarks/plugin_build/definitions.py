"""Eight operators over four element types, for plugin_build.py: what a model's own operators are like."""

import triton
import triton.language as tl

import opwright.plugin as trtp

TYPES = "FP32|FP16|BF16|FP64"


@triton.jit
def axpy(x_ptr, y_ptr, out_ptr, alpha, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x, y = tl.load(x_ptr + at, mask=at < n), tl.load(y_ptr + at, mask=at < n)
    tl.store(out_ptr + at, alpha * x + y, mask=at < n)


@triton.jit
def silu_mul(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x, y = tl.load(x_ptr + at, mask=at < n).to(tl.float32), tl.load(y_ptr + at, mask=at < n).to(tl.float32)
    tl.store(out_ptr + at, x / (1 + tl.exp(-x)) * y, mask=at < n)


@triton.jit
def gelu(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n).to(tl.float32)
    tl.store(out_ptr + at, 0.5 * x * (1 + tl.erf(x * 0.7071067811865476)), mask=at < n)


@triton.jit
def scale(x_ptr, n, by, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(x_ptr + at, tl.load(x_ptr + at, mask=at < n) * by, mask=at < n)


@triton.jit
def softmax(x_ptr, out_ptr, columns, BLOCK: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * columns + at, mask=at < columns, other=-float("inf")).to(tl.float32)
    e = tl.exp(x - tl.max(x, 0))
    tl.store(out_ptr + row * columns + at, e / tl.sum(e, 0), mask=at < columns)


@triton.jit
def rms_norm(x_ptr, weight_ptr, out_ptr, columns, epsilon, BLOCK: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * columns + at, mask=at < columns, other=0).to(tl.float32)
    weight = tl.load(weight_ptr + at, mask=at < columns).to(tl.float32)
    tl.store(
        out_ptr + row * columns + at, x * tl.rsqrt(tl.sum(x * x, 0) / columns + epsilon) * weight, mask=at < columns
    )


@triton.jit
def layer_norm(x_ptr, weight_ptr, bias_ptr, out_ptr, columns, epsilon, BLOCK: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * columns + at, mask=at < columns, other=0).to(tl.float32)
    centred = tl.where(at < columns, x - tl.sum(x, 0) / columns, 0)
    y = centred * tl.rsqrt(tl.sum(centred * centred, 0) / columns + epsilon)
    weight, bias = tl.load(weight_ptr + at, mask=at < columns), tl.load(bias_ptr + at, mask=at < columns)
    tl.store(out_ptr + row * columns + at, y * weight + bias, mask=at < columns)


@triton.jit
def row_sum(x_ptr, out_ptr, columns, BLOCK: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * columns + at, mask=at < columns, other=0).to(tl.float32)
    tl.store(out_ptr + row, tl.sum(x, 0))


def like(x: trtp.TensorDesc) -> trtp.TensorDesc:
    return x.like()


def same_size(x: trtp.TensorDesc, y: trtp.TensorDesc) -> trtp.TensorDesc:
    trtp.require(x.numel() == y.numel(), "x and y have different numbers of elements")
    return x.like()


def same_size_scaled(x: trtp.TensorDesc, y: trtp.TensorDesc, alpha: float = 1.0) -> trtp.TensorDesc:
    return same_size(x, y)


def scaled(x: trtp.TensorDesc, by: float) -> trtp.TensorDesc:
    return x.aliased()


def normalized(x: trtp.TensorDesc, weight: trtp.TensorDesc, epsilon: float = 1e-6) -> trtp.TensorDesc:
    trtp.require(weight.shape_expr[0] == x.shape_expr[-1], "weight is not as long as the last axis of x")
    return x.like()


def normalized_biased(
    x: trtp.TensorDesc, weight: trtp.TensorDesc, bias: trtp.TensorDesc, epsilon: float = 1e-6
) -> trtp.TensorDesc:
    trtp.require(bias.shape_expr[0] == x.shape_expr[-1], "bias is not as long as the last axis of x")
    return normalized(x, weight)


def of_rows(x: trtp.TensorDesc) -> trtp.TensorDesc:
    return trtp.from_shape_expr(x.shape_expr[:-1])


def define(name, tensors, description, implementation, **options):
    """One operator whose tensors, inputs and outputs, have one element type."""
    trtp.register(f"bench::{name}", **options)(description)
    trtp.autotune(f"bench::{name}")(lambda outputs: [trtp.AutoTuneCombination(", ".join([TYPES] * tensors))])
    trtp.aot_impl(f"bench::{name}")(implementation)


def flat(kernel, x, *arguments):
    """A launch over all elements."""
    return trtp.launch(kernel, (trtp.cdiv(x.numel(), 1024),), arguments, BLOCK=1024)


def rows(kernel, x, *arguments):
    """A launch of one program for each row."""
    return trtp.launch(kernel, (x.shape_expr[0],), arguments, BLOCK=1024)


define("axpy", 3, same_size_scaled, lambda x, y, alpha, outputs: flat(axpy, x, x, y, *outputs, alpha, x.numel()))
define("silu_mul", 3, same_size, lambda x, y, outputs: flat(silu_mul, x, x, y, *outputs, x.numel()))
define("gelu", 2, like, lambda x, outputs: flat(gelu, x, x, *outputs, x.numel()))
define("scale_", 2, scaled, lambda x, by, outputs: flat(scale, x, *outputs, x.numel(), by), outputs=["y"])
define("softmax", 2, like, lambda x, outputs: rows(softmax, x, x, *outputs, x.shape_expr[1]), ranks={"x": 2})
define("row_sum", 2, of_rows, lambda x, outputs: rows(row_sum, x, x, *outputs, x.shape_expr[1]), ranks={"x": 2})
define(
    "rms_norm", 3, normalized,
    lambda x, weight, epsilon, outputs: rows(rms_norm, x, x, weight, *outputs, x.shape_expr[1], epsilon),
    ranks={"x": 2, "weight": 1},
)  # fmt: skip
define(
    "layer_norm", 4, normalized_biased,
    lambda x, weight, bias, epsilon, outputs: rows(layer_norm, x, x, weight, bias, *outputs, x.shape_expr[1], epsilon),
    ranks={"x": 2, "weight": 1, "bias": 1},
)  # fmt: skip
