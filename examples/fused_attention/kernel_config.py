"""The operator around the kernel: what each parameter is, the shapes of the outputs, the grid."""

from tensorrt_llm.tools.plugin_gen.core import *  # noqa: F403  (Opwright's own, where TensorRT-LLM is not installed)

BLOCK_M, HEAD, BLOCK_N, CAUSAL = 64, 64, 64, 1

KERNELS = [
    KernelMetaData(  # noqa: F405
        kernel_name="fused_attention_kernel",
        kernel_file="kernel.py",
        ios=[  # in the order of the kernel's parameters
            OutputArg("Out", Type("tensor[fp16]")),  # noqa: F405
            OutputArg("Lse", Type("tensor[fp32]")),  # noqa: F405
            InputArg("Q", Type("tensor[fp16]")),  # noqa: F405
            InputArg("K", Type("tensor[fp16]")),  # noqa: F405
            InputArg("V", Type("tensor[fp16]")),  # noqa: F405
            ParamArg("sm_scale", Type("fp32")),  # noqa: F405
            DimSizeArg("planes"),  # noqa: F405
            DimSizeArg("seq_len", hints=["", "16"]),  # noqa: F405
            Constexpr(BLOCK_M),  # noqa: F405
            Constexpr(HEAD),  # noqa: F405
            Constexpr(BLOCK_N),  # noqa: F405
            Constexpr(CAUSAL),  # noqa: F405
        ],
        shape_infer_rules=[
            "Q[b, h, s, 64], K[b, h, s, 64], V[b, h, s, 64] -> Out[b, h, s, 64]",
            "Q[b, h, s, 64] -> Lse[b, h, s]",
            "Q[b, h, s, 64] : b * h -> planes",
            "Q[b, h, s, 64] : s -> seq_len",
        ],
        grid_dims=("(seq_len + BLOCK_M - 1) / BLOCK_M", "planes", "1"),
    )
]
