"""The stock ONNX Runtime: a model of one node, in a session that has registered the library."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import numpy as np

from opwright.host import Call, Host, Opened, Refused, attribute, lacks, package_version

_LIMIT = 64  # inputs and outputs of an operator, each


class _Sessions(Opened):
    def cannot(self, call: Call) -> str | None:
        if "@" in call.op:
            return "it has the newest version of each operator"
        if call.tactic:
            return "nodes have no tactic; the variable `OPW_TACTIC` has"
        if call.in_place:
            return "it never changes the values of an input"
        if any(isinstance(o, np.ndarray) for o in call.outputs):
            return "it makes the memory of outputs"
        if any(isinstance(a, np.ndarray) and not a.flags.c_contiguous for a in call.inputs):
            return "its tensors have no strides"
        op = self.op(call)
        if any(attribute(op, name) is None for name in call.attributes):
            return "it ignores attributes that an operator does not declare"
        if len(call.inputs) > _LIMIT or len(call.outputs) > _LIMIT:
            return f"the face takes at most {_LIMIT} inputs"
        for name, value in call.attributes.items():
            kind = attribute(op, name).kind
            if kind in ("float", "floats") and np.any(np.float32(value) != np.float64(value)):
                return "float attributes of ONNX are fp32"
            if kind == "int" and isinstance(value, bool) or kind == "bool" and type(value) is int:
                return "ints and bools are one kind of attribute in ONNX"
        lacking = [a.dtype.name for a in call.inputs if isinstance(a, np.ndarray) and _element(a.dtype) is None]
        if any(isinstance(a, np.ndarray) and a.dtype.name == "float8_e8m0fnu" for a in call.inputs):
            return "its custom operators do not take float8_e8m0fnu"
        return f"ONNX has no element type {lacking[0]}" if lacking else None

    def call(self, call: Call) -> list[np.ndarray | None]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 2
        wanted = self.wanted(call)
        names = [f"out{i}" if w else "" for i, w in enumerate(wanted)]
        try:
            options.register_custom_ops_library(self.path)
            session = onnxruntime.InferenceSession(
                self._model(call, names), options, providers=["CPUExecutionProvider"]
            )
            feed = {f"in{i}": _value(a) for i, a in enumerate(call.inputs) if a is not None}
            for _ in range(2):  # the second run takes what the first one was resolved to
                found = iter(session.run_with_ort_values([n for n in names if n], feed))
        except Exception as e:  # its classes of errors derive from nothing else
            if type(e).__module__.startswith("onnxruntime"):
                raise Refused(str(e)) from e
            raise
        return [_array(next(found)) if name else None for name in names]

    def _model(self, call: Call, outputs: list[str]) -> bytes:
        """One node; of its inputs only the element types are known."""
        import onnx
        from onnx import helper

        namespace, _, name = call.op.partition("::")
        inputs = ["" if a is None else f"in{i}" for i, a in enumerate(call.inputs)]
        node = helper.make_node(name, inputs, outputs, domain=namespace)
        op = self.op(call)
        for key, value in call.attributes.items():
            node.attribute.append(_attribute(key, attribute(op, key).kind, value))
        declared = [
            helper.make_tensor_value_info(f"in{i}", _element(a.dtype), None)
            for i, a in enumerate(call.inputs)
            if a is not None
        ]
        graph = helper.make_graph([node], "g", declared, [onnx.ValueInfoProto(name=n) for n in outputs if n])
        imports = [helper.make_opsetid("", 21), helper.make_opsetid(namespace, 1)]
        return helper.make_model(graph, opset_imports=imports, ir_version=10).SerializeToString()


def _attribute(name: str, kind: str, value: Any) -> Any:
    from onnx import AttributeProto, helper

    lists = {"ints": AttributeProto.INTS, "bools": AttributeProto.INTS, "floats": AttributeProto.FLOATS}
    if isinstance(value, (list, tuple)):
        value = [int(v) if isinstance(v, bool) else v for v in value]
        return helper.make_attribute(name, value, attr_type=None if value else lists.get(kind, AttributeProto.STRINGS))
    return helper.make_attribute(name, int(value) if isinstance(value, bool) else value)


def _element(dtype: np.dtype) -> int | None:
    """ONNX's number of an element type."""
    from onnx import helper

    try:
        return helper.np_dtype_to_tensor_dtype(dtype)
    except ValueError:
        return None


def _value(array: np.ndarray) -> Any:
    from onnxruntime import OrtValue

    if array.dtype.isbuiltin == 1:
        return OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array).reshape(array.shape))
    carrier = np.uint16 if array.itemsize == 2 else np.uint8
    return OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(carrier), _element(array.dtype))


def _array(value: Any) -> np.ndarray:
    """A copy: NumPy has not all element types."""
    from onnx import helper

    dtype = helper.tensor_dtype_to_np_dtype(value.element_type())
    shape = tuple(value.shape())
    data = ctypes.string_at(value.data_ptr(), int(np.prod(shape)) * dtype.itemsize)
    return np.frombuffer(bytearray(data), dtype).reshape(shape)


class OnnxRuntime(Host):
    """A session for every call, with the CPU provider."""

    name, what = "ONNX Runtime", "the stock `onnxruntime` wheel, a session of one node"

    def missing(self) -> str | None:
        return lacks("onnxruntime") or lacks("onnx") or lacks("ml_dtypes")

    def version(self) -> str:
        return f"onnxruntime {package_version('onnxruntime')}"

    def open(self, path: str | os.PathLike[str]) -> Opened:
        return _Sessions(path)
