"""Definitions whose tactics and element types do not take the same calls, and one with many paths."""

import triton
import triton.language as tl

import opwright.plugin as trtp

# -- calls that only some element types and tactics take


@triton.jit
def tagged_sum(x_ptr, y_ptr, columns, BLOCK: tl.constexpr, TAG: tl.constexpr):
    """A sum of each row, plus TAG."""
    row = tl.program_id(0)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, columns, BLOCK):
        at = start + tl.arange(0, BLOCK)
        total += tl.load(x_ptr + row * columns + at, mask=at < columns, other=0).to(tl.float32)
    tl.store(y_ptr + row, tl.sum(total, 0) + TAG)


@trtp.register("tactics::tagged_sum", ranks={"x": 2})
def tagged_sum_desc(x: trtp.TensorDesc) -> trtp.TensorDesc:
    trtp.require(x.shape_expr[1] > 0, "x has no columns")
    return trtp.from_shape_expr(x.shape_expr[:1])


@trtp.autotune("tactics::tagged_sum")
def tagged_sum_autotune(x, outputs):
    return [
        trtp.AutoTuneCombination("FP32, FP32", "LINEAR", [1, 2, 3]),
        trtp.AutoTuneCombination("FP16|FP64, FP16|FP64", "LINEAR", [1]),
    ]


@trtp.aot_impl("tactics::tagged_sum")
def tagged_sum_aot(x, outputs, tactic):
    rows, columns = x.shape_expr
    if x.dtype is trtp.DataType.HALF:
        block = trtp.one_of(trtp.next_power_of_2(columns), [64, 128])
    elif x.dtype is trtp.DataType.DOUBLE:
        block = 32
    elif tactic < 3:
        block = 64 if tactic == 1 else 16
        trtp.require(columns % block == 0, f"columns is no multiple of {block}")
    else:
        block = trtp.one_of(trtp.next_power_of_2(columns), [8, 16])
    return trtp.launch(tagged_sum, (rows,), (x, outputs[0], columns), BLOCK=block, TAG=tactic)


# -- requirements that rely on those before them


@trtp.register("tactics::stepped")
def stepped_desc(x: trtp.TensorDesc, step: int) -> trtp.TensorDesc:
    return x.like()


@trtp.autotune("tactics::stepped")
def stepped_autotune():
    return [trtp.AutoTuneCombination("FP32, FP32", "LINEAR", [1, 2])]


@trtp.aot_impl("tactics::stepped")
def stepped_aot(x, step, outputs, tactic):
    trtp.require(step > 0, f"tactic {tactic}: step is not positive")
    trtp.require(x.numel() % step == 0, "x is no whole number of steps")
    for least in range(20):  # many of them cost a call little, and `inspect` nothing
        trtp.require(x.numel() != 1000 + least, f"x has {1000 + least} elements")
    return trtp.zero(outputs[0])


# -- paths with buffers of their own


@triton.jit
def twice(x_ptr, y_ptr, buffer_ptr, extra_ptr, n, extra):
    at = tl.arange(0, 128)
    tl.store(buffer_ptr + at, 2 * tl.load(x_ptr + at, mask=at < n), mask=at < n)
    if extra_ptr is not None:
        tl.store(extra_ptr, tl.load(extra_ptr) + extra)
        tl.store(y_ptr + at, tl.load(buffer_ptr + at, mask=at < n) + tl.load(extra_ptr), mask=at < n)
    else:
        tl.store(y_ptr + at, tl.load(buffer_ptr + at, mask=at < n), mask=at < n)


@trtp.register("tactics::twice", ranks={"x": 1})
def twice_desc(x: trtp.TensorDesc) -> trtp.TensorDesc:
    return x.like()


@trtp.autotune("tactics::twice")
def twice_autotune():
    return [trtp.AutoTuneCombination("FP32, FP32")]


@trtp.aot_impl("tactics::twice")
def twice_aot(x, outputs):
    n = x.shape_expr[0]
    for size in range(1, 40):  # with two buffers each: more than a plan can have
        if n == size:
            extra = trtp.workspace((1,), "INT32", zero=True)
            return trtp.launch(twice, (1,), (x, outputs[0], trtp.workspace((size,), "FP32"), extra, n, size))
    return trtp.launch(twice, (1,), (x, outputs[0], trtp.workspace((n,), "FP32"), None, n, 0))
