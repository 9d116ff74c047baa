"""A plugin of one small op with three tensors, for plugin_calls.py."""

from opwright.plugin_gen.core import Constexpr, DimSizeArg, InputArg, KernelMetaData, OutputArg, Type

KERNELS = [
    KernelMetaData(
        kernel_name="vector_add",
        kernel_file="../kernels.py",
        ios=[
            OutputArg("out", Type("tensor[fp32]")),
            InputArg("x", Type("tensor[fp32]")),
            InputArg("y", Type("tensor[fp32]")),
            DimSizeArg("n"),
            Constexpr(16),
        ],
        shape_infer_rules=["x[m], y[m] -> out[m]", "x[m] : m -> n"],
        grid_dims=("1", "1", "1"),
    )
]
