"""Operators described once: what they take and give, which element types and tactics there are, and which kernels they launch.

The names are those of TensorRT's quickly deployable plugins (`import opwright.plugin as trtp`):

    @trtp.register("sample::add")
    def add_desc(x: trtp.TensorDesc, y: trtp.TensorDesc, alpha: float = 1.0) -> trtp.TensorDesc:
        trtp.require(y.shape_expr.numel() == x.shape_expr.numel(), "x and y have different sizes")
        return x.like()

    @trtp.autotune("sample::add")
    def add_autotune(x, y, alpha, outputs):
        return [trtp.AutoTuneCombination("FP32|FP16, FP32|FP16, FP32|FP16", "LINEAR", [1, 2])]

    @trtp.aot_impl("sample::add")
    def add_aot_impl(x, y, alpha, outputs, tactic):
        n, block = x.shape_expr.numel(), {1: 256, 2: 1024}[tactic]
        return trtp.launch(add_kernel, (trtp.cdiv(n, block),), (x, y, outputs[0], alpha, n), BLOCK=block)

`opwright build FILE.py -o LIB.so` makes a plugin library of them.
"""

from opwright.plugin.attributes import length
from opwright.plugin.combinations import AutoTuneCombination, DataType
from opwright.plugin.definition import aot_impl, autotune, cost, impl, register, require
from opwright.plugin.eager import Tensor, call
from opwright.plugin.launch import constant, descriptor, launch, scalar, sizes_known, zero
from opwright.plugin.quick import KernelLaunchParams, SymExprs, SymInt32, SymIntExprs
from opwright.plugin.shapes import Shape, ShapeExprs
from opwright.plugin.symbolic import (
    ShapeExpr,
    SymFloat,
    SymInt,
    cdiv,
    ceil,
    floor,
    maximum,
    minimum,
    nearest,
    next_power_of_2,
    one_of,
    sqrt,
    where,
)  # fmt: skip
from opwright.plugin.tensors import SizeTensor, TensorDesc, from_shape_expr, size_tensor, workspace

max, min, SizeTensorDesc = maximum, minimum, SizeTensor  # QDP's names
round = nearest

__all__ = [
    "AutoTuneCombination", "DataType", "KernelLaunchParams", "Shape", "ShapeExpr", "ShapeExprs", "SizeTensor", "SizeTensorDesc", "SymExprs",
    "SymFloat", "SymInt", "SymInt32", "SymIntExprs", "Tensor", "TensorDesc", "aot_impl", "autotune", "call", "cdiv", "ceil", "constant",
    "cost", "descriptor", "floor", "from_shape_expr", "impl", "launch", "length", "max", "maximum", "min", "minimum", "nearest",
    "next_power_of_2", "one_of", "register", "require", "round", "scalar", "size_tensor", "sizes_known", "sqrt", "where", "workspace", "zero",
]  # fmt: skip
