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

from opwright.plugin.combinations import AutoTuneCombination
from opwright.plugin.definition import aot_impl, autotune, impl, register, require
from opwright.plugin.launch import launch, zero
from opwright.plugin.quick import KernelLaunchParams, SymExprs, SymInt32, SymIntExprs
from opwright.plugin.symbolic import Shape, ShapeExpr, ShapeExprs, SymInt, cdiv, maximum, minimum, where
from opwright.plugin.tensors import TensorDesc, from_shape_expr, workspace

max, min = maximum, minimum  # QDP's names

__all__ = [
    "AutoTuneCombination", "KernelLaunchParams", "Shape", "ShapeExpr", "ShapeExprs", "SymExprs", "SymInt", "SymInt32",
    "SymIntExprs", "TensorDesc", "aot_impl", "autotune", "cdiv", "from_shape_expr", "impl", "launch", "max", "maximum", "min",
    "minimum", "register", "require", "where", "workspace", "zero",
]  # fmt: skip
