"""The ONNX models of the samples, and a host that runs their nodes in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from engine import Network, Outputs, Sample, as_tuple
from onnx import helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun


def make_model(sample: Sample, dtype: str) -> onnx.ModelProto:
    """x -> the nodes, one after the other -> y, and what else the last one gives."""
    nodes, tensor = [], "x"
    for number, attributes in enumerate(sample.nodes):
        last = number == len(sample.nodes) - 1
        outputs = ["y" if last else f"t{number}", *(f"y{i}" for i in range(1, sample.outputs))]
        nodes.append(helper.make_node(sample.name, [tensor], outputs, domain=sample.namespace, **attributes))
        tensor = outputs[0]
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    x = helper.make_tensor_value_info("x", element, [f"x{i}" for i in range(sample.data().ndim)])
    results = [helper.make_empty_tensor_value_info(name) for name in outputs]
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(sample.namespace, 1)]
    return helper.make_model(helper.make_graph(nodes, sample.name, [x], results), opset_imports=imports, ir_version=9)


def in_reference_evaluator(sample: Sample, dtype: str, call: Callable[..., Any]) -> Network:
    """The model in onnx's reference evaluator, which runs `call` for each node."""

    def run(self: OpRun, *inputs: np.ndarray, **_: object) -> Outputs:
        attributes = {each.name: helper.get_attribute_value(each) for each in self.onnx_node.attribute}
        return as_tuple(call(*inputs, **attributes))

    node = type(sample.name, (OpRun,), {"op_domain": sample.namespace, "_run": run})
    evaluator = ReferenceEvaluator(make_model(sample, dtype), new_ops=[node])
    return lambda x: tuple(evaluator.run(None, {"x": x}))
