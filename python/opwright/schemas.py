"""`opwright.onnx_schemas(path)`: the operators of a plugin library as schemas of ONNX.

    opwright.onnx_schemas("libsample.so")              registered: onnx.checker and exporters know the operators
    onnx.checker.check_model(model, full_check=True)

Types and sizes are inferred by the library itself, from what a model says of the inputs.
"""

from __future__ import annotations

import os
from typing import Any

from onnx import TensorProto, TypeProto, defs, helper, numpy_helper

from opwright.loader import Attribute, Library, Op, Tensor, dtype_number, load

# the library's name of an element type -> ONNX's; f8e4m3b11fnuz has none
_ELEMENTS = {
    "bool": TensorProto.BOOL, "i8": TensorProto.INT8, "i16": TensorProto.INT16, "i32": TensorProto.INT32, "i64": TensorProto.INT64,
    "u8": TensorProto.UINT8, "u16": TensorProto.UINT16, "u32": TensorProto.UINT32, "u64": TensorProto.UINT64, "f16": TensorProto.FLOAT16,
    "bf16": TensorProto.BFLOAT16, "f32": TensorProto.FLOAT, "f64": TensorProto.DOUBLE, "f8e4m3fn": TensorProto.FLOAT8E4M3FN,
    "f8e5m2": TensorProto.FLOAT8E5M2, "f8e4m3fnuz": TensorProto.FLOAT8E4M3FNUZ, "f8e5m2fnuz": TensorProto.FLOAT8E5M2FNUZ,
    "f8e8m0": getattr(TensorProto, "FLOAT8E8M0", None),
}  # fmt: skip
_NUMBERS = {element: dtype_number(name) for name, element in _ELEMENTS.items() if element is not None}
_BY_NUMBER = {number: element for element, number in _NUMBERS.items()}
_ATTRIBUTES = {
    "int": "INT", "bool": "INT", "float": "FLOAT", "string": "STRING", "bytes": "STRING", "enum": "STRING", "dtype": "STRING",
    "ints": "INTS", "bools": "INTS", "floats": "FLOATS", "strings": "STRINGS", "tensor": "TENSOR",
}  # fmt: skip
# what TensorRT's exporters write on a node of a plugin; every host here ignores it
_IGNORED = {"plugin_namespace": "STRING", "plugin_version": "STRING", "aot": "INT"}


def onnx_schemas(path: str | os.PathLike[str], *, register: bool = True, sealed: bool = True) -> list[Any]:
    """A schema for each operator and version of the library, registered unless `register=False` says otherwise.

    Registering a library again replaces its schemas. An operator whose element types ONNX lacks has none.
    `sealed` is that of `opwright.load`.
    """
    library = load(path, sealed)
    made = [_schema(library, name) for name, table in library.items() if not table["error"]]
    schemas = [schema for schema in made if schema is not None]
    for schema in schemas if register else ():
        if defs.has(schema.name, schema.since_version, schema.domain):
            known = defs.get_schema(schema.name, schema.since_version, schema.domain)
            if known.since_version == schema.since_version:
                defs.deregister_schema(schema.name, schema.since_version, schema.domain)
        defs.register_schema(schema)
    return schemas


def _schema(library: Library, name: str) -> Any:
    op = library[name]
    rows = [row for row in op.dtypes if all(_ELEMENTS.get(dtype) is not None for dtype in row)]
    if op.dtypes and not rows:
        return None
    typevars: dict[tuple[str, ...], str] = {}  # tensors whose types go together share one
    columns = list(zip(*rows, strict=True))
    for column in columns:
        typevars.setdefault(column, f"T{len(typevars)}")
    given = len(op.inputs)
    schema = defs.OpSchema(
        op.name, op.namespace, op.version, op.__doc__ or "",
        inputs=[_parameter(t, typevars[columns[i]]) for i, t in enumerate(op.inputs)],
        outputs=[_parameter(t, typevars[columns[given + i]]) for i, t in enumerate(op.outputs)],
        type_constraints=[(variable, [_type(d) for d in dict.fromkeys(column)], "") for column, variable in typevars.items()],
        attributes=[*map(_attribute, op.attributes), *_ignored(op)],
    )  # fmt: skip
    schema.set_type_and_shape_inference_function(lambda context: _infer(op, rows, context))
    return schema


def _type(dtype: str) -> str:
    kinds = {TensorProto.FLOAT: "float", TensorProto.DOUBLE: "double"}
    element = _ELEMENTS[dtype]
    return f"tensor({kinds.get(element) or TensorProto.DataType.Name(element).lower()})"


def _parameter(t: Tensor, typevar: str) -> Any:
    options = defs.OpSchema.FormalParameterOption
    option = options.Variadic if t.variadic else options.Optional if t.optional else options.Single
    more = {"min_arity": t.variadic_min} if t.variadic else {}
    return defs.OpSchema.FormalParameter(t.name, typevar, t.doc, param_option=option, is_homogeneous=True, **more)


def _attribute(a: Attribute) -> Any:
    kind = getattr(defs.OpSchema.AttrType, _ATTRIBUTES[a.kind])
    # an empty list has no type that make_attribute would find
    if a.required or a.default in ([], None):
        return defs.OpSchema.Attribute(a.name, kind, a.doc, required=a.required)
    default = [int(v) for v in a.default] if a.kind == "bools" else int(a.default) if a.kind == "bool" else a.default
    return defs.OpSchema.Attribute(a.name, helper.make_attribute(a.name, default), a.doc)


def _ignored(op: Op) -> list[Any]:
    own = {a.name for a in op.attributes}
    return [
        defs.OpSchema.Attribute(name, getattr(defs.OpSchema.AttrType, kind), "ignored", required=False)
        for name, kind in _IGNORED.items()
        if name not in own
    ]


def _infer(op: Op, rows: list[tuple[str, ...]], context: Any) -> None:
    """Sets the types of the outputs, and their sizes where the ranks of the inputs are known."""
    inputs: list[Any] = []
    types: list[str | None] = []
    ranks = True
    for i in range(context.get_num_inputs()):
        spec = op.inputs[min(i, len(op.inputs) - 1)]
        proto = context.get_input_type(i) if context.has_input(i) else None
        element = proto.tensor_type.elem_type if proto is not None else 0
        if not element:
            inputs.append(None)
            types.append(None)
            ranks = ranks and proto is None
            continue
        if element not in _NUMBERS:
            raise ValueError(
                f"{op}: input {spec.name!r} is of ONNX's type {element}, which no operator of a library takes"
            )
        types.append(next(name for name, number in _ELEMENTS.items() if number == element))
        data = context.get_input_data(i) if spec.host else None
        if data is not None:
            inputs.append(numpy_helper.to_array(data))
        elif proto.tensor_type.HasField("shape"):
            sizes = (d.dim_value if d.HasField("dim_value") else -1 for d in proto.tensor_type.shape.dim)
            inputs.append((_NUMBERS[element], tuple(sizes)))
        else:
            ranks = False
    outputs = range(context.get_num_outputs())
    if ranks:
        found = op.infer(inputs, _given(op, context), len(outputs))
        for i, (number, sizes) in zip(outputs, found, strict=True):
            _set(context, i, _BY_NUMBER[number], sizes)
        return
    row = next((row for row in rows if _fits(op, row, types)), None)
    for i in outputs if row else ():
        _set(context, i, _ELEMENTS[row[len(op.inputs) + min(i, len(op.outputs) - 1)]], None)


def _fits(op: Op, row: tuple[str, ...], types: list[str | None]) -> bool:
    return all(t in (None, row[min(i, len(op.inputs) - 1)]) for i, t in enumerate(types))


def _given(op: Op, context: Any) -> dict[str, Any]:
    """The attributes of the node as a call takes them."""
    values = {}
    for a in op.attributes:
        proto = context.get_attribute(a.name)
        if proto is None:
            continue
        value = helper.get_attribute_value(proto)
        if isinstance(value, TensorProto):
            value = numpy_helper.to_array(value).reshape(-1).tolist()
        if isinstance(value, bytes) and a.kind != "bytes":
            value = value.decode()
        if a.kind == "dtype" and isinstance(value, int):
            value = next((name for name, element in _ELEMENTS.items() if element == value), value)
        elif a.kind == "bool":
            value = bool(value)
        elif a.kind == "bools":
            value = [bool(v) for v in value]
        elif a.kind == "strings":
            value = [v.decode() for v in value]
        values[a.name] = value
    return values


def _set(context: Any, index: int, element: int, sizes: tuple[int, ...] | None) -> None:
    tensor = TypeProto.Tensor(elem_type=element)
    if sizes is not None:
        tensor.shape.SetInParent()
        for size in sizes:
            tensor.shape.dim.add(**({"dim_value": size} if size >= 0 else {}))
    context.set_output_type(index, TypeProto(tensor_type=tensor))
