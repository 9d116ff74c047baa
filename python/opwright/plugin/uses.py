"""Values that a library is built for: given on the command line, and those of the nodes of ONNX models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from opwright.dtypes import BY_NAME, DType
from opwright.errors import InputError, MissingError
from opwright.plugin.definition import Definition


def add_given(definitions: Sequence[Definition], given: Sequence[str]) -> None:
    """Notes values written as ns::op.attribute=VALUE; of a list as in 1,1,0,0."""
    by_id = {definition.id: definition for definition in definitions}
    for text in given:
        place, equals, value = text.partition("=")
        op, _, name = place.rpartition(".")
        if not equals or not op:
            raise InputError(
                f"--attr {text!r}, expected ns::op.attribute=VALUE", hint="--attr sample::pad.pads=1,1,0,0"
            )
        if op not in by_id:
            raise InputError(f"--attr {text!r}: no operator {op!r}, expected one of {', '.join(by_id)}")
        attributes = by_id[op].attributes
        if name not in attributes:
            raise InputError(
                f"--attr {text!r}: {op} has no attribute {name!r}, expected one of {', '.join(attributes) or 'none'}"
            )
        try:
            _note(attributes[name].values, attributes[name].check(attributes[name].parse(value)))
        except InputError as e:
            raise e.at(f"--attr {text}") from None


def add_model(definitions: Sequence[Definition], model: Path) -> int:
    """Notes the attributes, ranks and element types of every node of a model that is one of these operators; returns their number."""
    try:
        import onnx
    except ImportError as e:
        raise MissingError(
            f"the Python package 'onnx' cannot be imported ({e})", hint="install it: pip install onnx"
        ) from e
    try:
        loaded = onnx.load(str(model), load_external_data=False)
    except Exception as e:  # files that are none, or no model
        raise InputError(f"the model {str(model)!r} cannot be read: {e}", hint="--for takes an ONNX model") from e
    by_id = {definition.id: definition for definition in definitions}
    ranks, types = _tensors(onnx, loaded)
    count = 0
    for node in _nodes(loaded.graph, *(function for function in loaded.functions)):
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        domain = node.domain or _text(attributes.get("plugin_namespace", b""))
        definition = by_id.get(f"{domain}::{node.op_type}")
        if definition is None:
            continue
        count += 1
        for name, value in attributes.items():
            if name in definition.attributes:
                try:
                    _note(
                        definition.attributes[name].values,
                        definition.attributes[name].check(_python(definition, name, value, onnx)),
                    )
                except InputError as e:
                    raise e.at(f"{model}: node {node.name or node.op_type!r}") from None
        for tensor, used in zip(definition.inputs, node.input, strict=False):
            if tensor.rank is None and used in ranks:
                _note(definition.ranks.setdefault(tensor.name, []), ranks[used])
        last = definition.inputs[-1]
        if last.variadic and len(node.input) >= len(definition.inputs):
            _note(last.counts, len(node.input) - len(definition.inputs) + 1)
        own = tuple(types.get(used) for used in node.input[: len(definition.inputs)])
        if len(own) == len(definition.inputs) and None not in own:
            _note(definition.types, own)
    if count == 0:
        raise InputError(
            f"the model {str(model)!r} has no node of {', '.join(by_id)}",
            hint="nodes have the operator's namespace as their domain, or as the attribute plugin_namespace",
        )
    return count


def _note(values: list[Any], value: Any) -> None:
    if value not in values:
        values.append(value)


def _nodes(*graphs: Any) -> Iterator[Any]:
    """All nodes, those of inner graphs too."""
    for graph in graphs:
        for node in graph.node:
            yield node
            for attribute in node.attribute:
                yield from _nodes(*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs)


def _tensors(onnx: Any, model: Any) -> tuple[dict[str, int], dict[str, DType]]:
    """Ranks and element types of the tensors of the main graph, as far as they are known."""
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except Exception:  # what it cannot infer is not known
        graph = model.graph
    ranks = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for info in [*graph.input, *graph.value_info, *graph.output]:
        tensor = info.type.tensor_type
        if tensor.HasField("shape"):
            ranks[info.name] = len(tensor.shape.dim)
        if tensor.elem_type:
            types[info.name] = tensor.elem_type
    named = {name: onnx.helper.tensor_dtype_to_np_dtype(number).name for name, number in types.items()}
    return ranks, {name: BY_NAME[dtype] for name, dtype in named.items() if dtype in BY_NAME}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _python(definition: Definition, name: str, value: Any, onnx: Any) -> Any:
    """A node's attribute as a definition's: ONNX has no bool, and texts are bytes."""
    kind = definition.attributes[name].kind
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    if isinstance(value, bytes):
        return value if kind == "bytes" else value.decode()
    if kind == "bool" and value in (0, 1):
        return bool(value)
    if isinstance(value, (list, tuple)) or hasattr(value, "__len__"):
        if kind == "bools":
            return [bool(each) for each in value]
        return [each.decode() if isinstance(each, bytes) else each for each in value]
    return value
