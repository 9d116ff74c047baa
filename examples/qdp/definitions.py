"""Four operators as files for TensorRT's quickly deployable plugins define them. Such a file differs in its imports alone:

    import tensorrt as trt                 import opwright.trt as trt
    import tensorrt.plugin as trtp         import opwright.plugin as trtp

`register` says what an operator takes and gives, `impl` runs it from Python, `aot_impl` is what a library is built of. The first and the
last operator return their kernels in TensorRT's form, the others use `trtp.launch`, which TensorRT has not: of several kernels, and of
arguments in any order. Without an `autotune` an operator takes the element types of the model that it is built for.
"""

from enum import IntEnum

import numpy as np
import numpy.typing as npt
import torch
import triton
import triton.language as tl

import opwright.plugin as trtp
import opwright.trt as trt

# -- add: one kernel, whose block is an attribute


@triton.jit
def add_kernel(x_ptr, n, y_ptr, BLOCK_SIZE: tl.constexpr):
    at = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    tl.store(y_ptr + at, tl.load(x_ptr + at, mask=at < n) + 1, mask=at < n)


@trtp.register("sample::elemwise_add_plugin")
def add_desc(inp0: trtp.TensorDesc, block_size: int) -> trtp.TensorDesc:
    """inp0 + 1."""
    return inp0.like()


@trtp.impl("sample::elemwise_add_plugin")
def add_impl(inp0: trtp.Tensor, block_size: int, outputs: tuple[trtp.Tensor], stream: int) -> None:
    x, y = torch.as_tensor(inp0), torch.as_tensor(outputs[0])
    add_kernel[(triton.cdiv(x.numel(), block_size),)](x, x.numel(), y, BLOCK_SIZE=block_size)


@trtp.aot_impl("sample::elemwise_add_plugin")
def add_aot_impl(
    inp0: trtp.TensorDesc, block_size: int, outputs: tuple[trtp.TensorDesc], tactic: int
) -> tuple[str, str | bytes, trtp.KernelLaunchParams, trtp.SymExprs]:
    pointer = "*fp32" if inp0.dtype == trt.float32 else "*fp16"
    compiled = triton.compile(
        triton.compiler.ASTSource(
            fn=add_kernel,
            signature={"x_ptr": pointer, "n": "i32", "y_ptr": pointer, "BLOCK_SIZE": "constexpr"},
            constexprs={"BLOCK_SIZE": block_size},
        )
    )
    n = inp0.shape_expr.numel()
    params = trtp.KernelLaunchParams()
    params.grid_x = trtp.cdiv(n, block_size)
    params.block_x = compiled.metadata.num_warps * 32
    params.shared_mem = compiled.metadata.shared
    extra = trtp.SymIntExprs(1)
    extra[0] = trtp.SymInt32(n)
    return compiled.metadata.name, compiled.asm["ptx"], params, extra


def autotune_add() -> None:
    @trtp.autotune("sample::elemwise_add_plugin")
    def add_autotune(
        inp0: trtp.TensorDesc, block_size: int, outputs: tuple[trtp.TensorDesc]
    ) -> list[trtp.AutoTuneCombination]:
        return [trtp.AutoTuneCombination("FP32|FP16, FP32|FP16")]


# -- inplace_add: the output is the input


@triton.jit
def add_delta_kernel(x_ptr, y_ptr, delta, n, BLOCK_SIZE: tl.constexpr):
    at = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    tl.store(y_ptr + at, tl.load(x_ptr + at, mask=at < n) + delta, mask=at < n)


@trtp.register("sample::elemwise_add_plugin_")
def inplace_add_desc(inp0: trtp.TensorDesc, delta: int) -> trtp.TensorDesc:
    """inp0 += delta."""
    return inp0.aliased()


@trtp.impl("sample::elemwise_add_plugin_")
def inplace_add_impl(inp0: trtp.Tensor, delta: int, outputs: tuple[trtp.Tensor], stream: int) -> None:
    torch.as_tensor(inp0).add_(delta)


@trtp.aot_impl("sample::elemwise_add_plugin_")
def inplace_add_aot_impl(inp0: trtp.TensorDesc, delta: int, outputs: tuple[trtp.TensorDesc], tactic: int) -> object:
    n = inp0.shape_expr.numel()
    return trtp.launch(add_delta_kernel, (trtp.cdiv(n, 256),), (inp0, outputs[0], delta, n), BLOCK_SIZE=256)


def autotune_inplace_add() -> None:
    @trtp.autotune("sample::elemwise_add_plugin_")
    def inplace_add_autotune(inp0: trtp.TensorDesc, outputs: tuple[trtp.TensorDesc]) -> list[trtp.AutoTuneCombination]:
        return [
            trtp.AutoTuneCombination("FP32, FP32", "LINEAR*HWC"),  # of layouts, a host here takes LINEAR
            trtp.AutoTuneCombination("FP32|FP16, FP32|FP16", "LINEAR"),
        ]


# -- non_zero: the size of the output depends on the data


@triton.jit
def count_kernel(x_ptr, before_ptr, count_ptr, n, BLOCK_SIZE: tl.constexpr):
    """How many elements are not zero before each block, and in all."""
    at = tl.arange(0, BLOCK_SIZE)
    count = tl.zeros((), tl.int32)
    for block in range(tl.cdiv(n, BLOCK_SIZE)):
        tl.store(before_ptr + block, count)
        x = tl.load(x_ptr + block * BLOCK_SIZE + at, mask=block * BLOCK_SIZE + at < n, other=0)
        count += tl.sum((x != 0).to(tl.int32), 0)
    tl.store(count_ptr, count.to(tl.int64))


@triton.jit
def indices_kernel(x_ptr, before_ptr, indices_ptr, columns, n, BLOCK_SIZE: tl.constexpr):
    block = tl.program_id(0)
    at = block * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    found = tl.load(x_ptr + at, mask=at < n, other=0) != 0
    place = tl.load(before_ptr + block) + tl.cumsum(found.to(tl.int32), 0) - 1
    tl.store(indices_ptr + 2 * place, at // columns, mask=found)
    tl.store(indices_ptr + 2 * place + 1, at % columns, mask=found)


@trtp.register("sample::non_zero_plugin")
def non_zero_desc(inp0: trtp.TensorDesc) -> tuple[trtp.TensorDesc, trtp.TensorDesc]:
    """Row and column of each element that is not zero, and how many there are."""
    most = inp0.shape_expr[0] * inp0.shape_expr[1]
    count = trtp.size_tensor(most // 2, most)
    return trtp.from_shape_expr((count.expr(), 2), dtype=trt.int32), count


@trtp.impl("sample::non_zero_plugin")
def non_zero_impl(inp0: trtp.Tensor, outputs: tuple[trtp.Tensor, trtp.Tensor], stream: int) -> None:
    found = torch.nonzero(torch.as_tensor(inp0))
    torch.as_tensor(outputs[0].aliased(found.shape)).copy_(found)
    torch.as_tensor(outputs[1]).fill_(len(found))


@trtp.aot_impl("sample::non_zero_plugin")
def non_zero_aot_impl(inp0: trtp.TensorDesc, outputs: tuple[trtp.TensorDesc, trtp.TensorDesc], tactic: int) -> object:
    indices, count = outputs
    n, columns, block = inp0.shape_expr.numel(), inp0.shape_expr[1], 512
    blocks = trtp.cdiv(n, block)
    before = trtp.workspace((blocks,), trt.int32)
    return [
        trtp.launch(count_kernel, (1,), (inp0, before, count, n), BLOCK_SIZE=block),
        trtp.sizes_known(),  # hosts make the indices' memory here
        trtp.launch(indices_kernel, (blocks,), (inp0, before, indices, columns, n), BLOCK_SIZE=block),
    ]


def autotune_non_zero() -> None:
    @trtp.autotune("sample::non_zero_plugin")
    def non_zero_autotune(
        inp0: trtp.TensorDesc, outputs: tuple[trtp.TensorDesc, trtp.TensorDesc]
    ) -> list[trtp.AutoTuneCombination]:
        return [trtp.AutoTuneCombination("FP32*FP16, INT32, INT64")]


# -- circ_pad: an attribute that is an array, and tactics


class Tactic(IntEnum):
    """Of impl: the one that torch has, and the kernel."""

    TORCH = 1
    TRITON = 2


class BlockTactic(IntEnum):
    """Of aot_impl: how much one program does."""

    BLOCK_256 = 1
    BLOCK_1024 = 2


@triton.jit
def wrapped(at, size):
    """The place in [0, size) that is a whole number of sizes away. The kernel's own % has the sign of its left side."""
    rest = at % size
    return tl.where(rest < 0, rest + size, rest)


@triton.jit
def circ_pad_kernel(
    x_ptr, before_0, before_1, before_2, before_3, x_0, x_1, x_2, x_3, y_1, y_2, y_3, y_len, y_ptr, BLOCK_SIZE: tl.constexpr
):  # fmt: skip
    at = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    i3 = wrapped(at % y_3 - before_3, x_3)
    i2 = wrapped(at // y_3 % y_2 - before_2, x_2)
    i1 = wrapped(at // (y_3 * y_2) % y_1 - before_1, x_1)
    i0 = wrapped(at // (y_3 * y_2 * y_1) - before_0, x_0)
    source = ((i0 * x_1 + i1) * x_2 + i2) * x_3 + i3
    tl.store(y_ptr + at, tl.load(x_ptr + source, mask=at < y_len), mask=at < y_len)


def widths(pads: npt.NDArray[np.int32], rank: int) -> list[list[int]]:
    """[before, after] of each axis. As in torch, pads begins with the last axis, and axes that are left out have none."""
    pairs = np.reshape(pads, (-1, 2))[::-1].tolist()
    return [[0, 0]] * (rank - len(pairs)) + pairs


@trtp.register("sample::circ_pad_plugin")
def circ_pad_desc(inp0: trtp.TensorDesc, pads: npt.NDArray[np.int32]) -> trtp.TensorDesc:
    """inp0 with elements of its other end around it."""
    out = inp0.like()
    for axis, (before, after) in enumerate(widths(pads, inp0.ndim)):
        out.shape_expr[axis] += before + after
    return out


@trtp.impl("sample::circ_pad_plugin")
def circ_pad_impl(
    inp0: trtp.Tensor, pads: npt.NDArray[np.int32], outputs: tuple[trtp.Tensor], stream: int, tactic: int
) -> None:
    x, y = torch.as_tensor(inp0), torch.as_tensor(outputs[0])
    if tactic == Tactic.TORCH:
        y.copy_(torch.nn.functional.pad(x, pads.tolist(), mode="circular"))
        return
    before = [first for first, _ in widths(pads, x.ndim)]
    scalars = [*before, *x.shape, *y.shape[1:], y.numel()]
    circ_pad_kernel[(triton.cdiv(y.numel(), 256),)](x, *scalars, y, BLOCK_SIZE=256)


@trtp.aot_impl("sample::circ_pad_plugin")
def circ_pad_aot_impl(
    inp0: trtp.TensorDesc, pads: npt.NDArray[np.int32], outputs: tuple[trtp.TensorDesc], tactic: int
) -> tuple[str, str | bytes, trtp.KernelLaunchParams, trtp.SymExprs]:
    block = 1024 if tactic == BlockTactic.BLOCK_1024 else 256
    pointer = "*fp32" if inp0.dtype == trt.float32 else "*fp16"
    signature = dict.fromkeys(circ_pad_kernel.arg_names, "i32")
    signature |= {"x_ptr": pointer, "y_ptr": pointer, "BLOCK_SIZE": "constexpr"}
    source = triton.compiler.ASTSource(fn=circ_pad_kernel, signature=signature, constexprs={"BLOCK_SIZE": block})
    compiled = triton.compile(source)
    x, y = inp0.shape_expr, outputs[0].shape_expr
    before = [first for first, _ in widths(pads, inp0.ndim)]
    scalars = [*before, *(x[i] for i in range(4)), *(y[i] for i in range(1, 4)), y.numel()]
    params = trtp.KernelLaunchParams()
    params.grid_x = trtp.cdiv(y.numel(), block)
    params.block_x = compiled.metadata.num_warps * 32
    params.shared_mem = compiled.metadata.shared
    extra = trtp.SymIntExprs(len(scalars))
    for i, scalar in enumerate(scalars):
        extra[i] = trtp.SymInt32(scalar)
    return compiled.metadata.name, compiled.asm["ptx"], params, extra


def autotune_circ_pad(types: str, tactics: list[IntEnum]) -> None:
    @trtp.autotune("sample::circ_pad_plugin")
    def circ_pad_autotune(
        inp0: trtp.TensorDesc, pads: npt.NDArray[np.int32], outputs: tuple[trtp.TensorDesc]
    ) -> list[trtp.AutoTuneCombination]:
        c = trtp.AutoTuneCombination()
        c.pos([0, 1], types, "LINEAR")
        c.tactics([int(tactic) for tactic in tactics])
        return [c]
