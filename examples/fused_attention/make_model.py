"""Writes an ONNX model whose one node is the plugin's operator: `python make_model.py attention.onnx`."""

import sys

import onnx
from onnx import TensorProto, helper

SHAPE = ["batch", "heads", "sequence", 64]


def make_model(sm_scale: float = 0.125) -> onnx.ModelProto:
    """Q, K, V -> Out, Lse with sizes that are known at run time only. A parameter of the plugin is an attribute here."""
    node = helper.make_node(
        "fused_attention_kernel", ["Q", "K", "V"], ["Out", "Lse"], domain="triton", sm_scale=sm_scale
    )
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT16, SHAPE) for name in "QKV"]
    outputs = [
        helper.make_tensor_value_info("Out", TensorProto.FLOAT16, SHAPE),
        helper.make_tensor_value_info("Lse", TensorProto.FLOAT, SHAPE[:3]),
    ]
    graph = helper.make_graph([node], "attention", inputs, outputs)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("triton", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


if __name__ == "__main__":
    onnx.save(make_model(), sys.argv[1])
