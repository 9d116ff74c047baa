"""Runs the `impl` of a definition on arrays: without a build, in Python."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from opwright.dtypes import BY_NAME, DType, numpy_type
from opwright.errors import InputError
from opwright.expressions import Expr, Name, show
from opwright.plugin import definition as definitions
from opwright.plugin.attributes import Attribute
from opwright.plugin.combinations import Combination, DataType, merge
from opwright.plugin.definition import Definition, conditions
from opwright.plugin.symbolic import evaluate
from opwright.plugin.tensors import Size, SizeTensor, TensorDesc, sizes


class Tensor:
    """An input or output of an `impl`: memory of the caller, a NumPy array or a torch tensor. `torch.as_tensor(t)` and `numpy.asarray(t)`
    are views of it."""

    def __init__(self, array: Any, alias_of: str = "") -> None:
        self.array = array
        self.alias_of = alias_of
        self.format = "LINEAR"

    @property
    def dtype(self) -> DataType:
        return DataType(dtype_of_array(self.array))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def strides(self) -> tuple[int, ...]:
        """In elements."""
        if _is_torch(self.array):
            return tuple(self.array.stride())
        return tuple(stride // self.array.itemsize for stride in self.array.strides)

    @property
    def data_ptr(self) -> int:
        return int(self.array.data_ptr() if _is_torch(self.array) else self.array.ctypes.data)

    @property
    def is_aliased(self) -> bool:
        return bool(self.alias_of)

    def numel(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def aliased(self, shape: Sequence[int] | None = None) -> Tensor:
        """The same memory, with the shape that a size tensor gives it."""
        if shape is None:
            return Tensor(self.array, self.alias_of)
        count = int(np.prod(tuple(shape), dtype=np.int64))
        if count > self.numel():
            raise InputError(f"a shape of {count} elements for an output of at most {self.numel()}")
        return Tensor(self.array.reshape(-1)[:count].reshape(tuple(shape)), self.alias_of)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.array.numpy() if _is_torch(self.array) else self.array
        return array if dtype in (None, array.dtype) else array.astype(dtype)

    def __dlpack__(self, **options: Any) -> Any:
        array = self.array
        if not _is_torch(array) and array.dtype.kind == "V":  # NumPy has no DLPack of ml_dtypes
            import torch

            bits = torch.from_numpy(array.view(f"u{array.itemsize}"))
            array = bits.view(getattr(torch, array.dtype.name))
        return array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    def __repr__(self) -> str:
        return f"Tensor({self.shape}, {self.dtype.name})"


def _is_torch(array: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def dtype_of_array(array: Any) -> DType:
    """The element type of a NumPy array or torch tensor."""
    name = (
        str(array.dtype).removeprefix("torch.") if _is_torch(array) else getattr(array, "dtype", np.dtype(object)).name
    )
    if name not in BY_NAME:
        raise InputError(
            f"found elements of type {name}, expected one of {', '.join(sorted({d.numpy for d in BY_NAME.values()}))}"
        )
    return BY_NAME[name]


def call(op_id: str, *inputs: Any, tactic: int = 0, **attributes: Any) -> Any:
    """Runs the `impl` of a definition of this process on NumPy arrays or torch tensors; returns its output, or a tuple of them.

    An output in place is a changed copy of its input. `tactic` is one of autotune's; 0 is the first.
    """
    found = definitions.find(op_id)
    return run(found, inputs, attributes, tactic=tactic)


def run(
    definition: Definition, inputs: Sequence[Any], attributes: Mapping[str, Any], *, tactic: int = 0, wide: bool = False
) -> Any:  # fmt: skip
    """The same for a definition. With `wide`, all floats are float64, whatever the combinations of element types are."""
    if definition.impl is None:
        raise InputError(
            f"{definition.id} has no impl, expected one: a function on arrays", where=definition.where,
            hint=f'@opwright.plugin.impl("{definition.id}"), or build it and use opwright.load',
        )  # fmt: skip
    arrays, values = bind(definition, inputs, attributes)
    outputs, sizes_found = describe(definition, arrays, values)
    row = combination(definition, arrays, outputs, values)
    if tactic not in (0, *row.tactics):
        raise InputError(
            f"{definition.id}: found tactic {tactic!r}, expected one of {', '.join(map(str, row.tactics))}"
        )
    names = [*(tensor.name for tensor in definition.inputs), *(output.name for output in outputs)]
    types = dict(zip(names, row.types, strict=True))
    if wide:
        types = {name: BY_NAME["f64"] if dtype.kind == "float" else dtype for name, dtype in types.items()}
        arrays = {name: _widened(array) for name, array in arrays.items()}
    uppers = {size.name: evaluate(size.upper, _no_leaf) for size in sizes_found}
    results = []
    for output in outputs:
        if output.alias_of:
            arrays[output.alias_of] = _copy(arrays[output.alias_of])
            results.append(Tensor(arrays[output.alias_of], output.alias_of))
        else:
            results.append(Tensor(_empty(_shape(output, uppers), types[output.name], arrays)))
    given = _by_input(definition, {name: None if array is None else Tensor(array) for name, array in arrays.items()})
    more = {"outputs": tuple(results), "stream": 0, "tactic": tactic or row.tactics[0]}
    lazily = {name: (lambda value=value: value) for name, value in {**given, **values, **more}.items()}
    definitions.call(definition, definition.impl, lazily)
    real = {size.name: _written(size, outputs, results) for size in sizes_found}
    final = [
        result.array if not real or isinstance(output, SizeTensor) else result.aliased(_shape(output, real)).array
        for output, result in zip(outputs, results, strict=True)
    ]
    return final[0] if len(final) == 1 else tuple(final)


def bind(
    definition: Definition, inputs: Sequence[Any], attributes: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays and Python values by name, checked. A variable number of tensors are xs[0], xs[1], ..."""
    names = [tensor.name for tensor in definition.inputs]
    if definition.inputs[-1].variadic:
        names[-1:] = [f"{names[-1]}[{i}]" for i in range(max(1, len(inputs) - len(names) + 1))]
    if len(inputs) > len(names):
        raise InputError(
            f"{definition.id}: found {len(inputs)} inputs, expected at most {len(names)}: {', '.join(names)}"
        )
    arrays = dict(zip(names, inputs, strict=False)) | {name: None for name in names[len(inputs) :]}
    for name, array in arrays.items():
        tensor = definition.inputs[min(names.index(name), len(definition.inputs) - 1)]
        if array is None and not tensor.optional:
            raise InputError(f"{definition.id}: found no input {name!r}, expected an array")
        if array is not None and not _is_torch(array):
            arrays[name] = array = np.asarray(array)
        if array is not None and tensor.rank is not None and len(array.shape) != tensor.rank:
            raise InputError(f"{definition.id}: input {name!r} has rank {len(array.shape)}, expected {tensor.rank}")
    unknown = set(attributes) - set(definition.attributes)
    if unknown:
        known = ", ".join(definition.attributes) or "none"
        raise InputError(f"{definition.id}: found the attribute {min(unknown)!r}, expected some of {known}")
    return arrays, {
        name: _attribute(definition, attribute, attributes) for name, attribute in definition.attributes.items()
    }


def _by_input(definition: Definition, values: Mapping[str, Any]) -> dict[str, Any]:
    """One value for each input: a list where there is a variable number."""
    found: dict[str, Any] = {}
    for tensor in definition.inputs:
        several = [value for name, value in values.items() if name.startswith(f"{tensor.name}[")]
        found[tensor.name] = several if tensor.variadic else values[tensor.name]
    return found


def _attribute(definition: Definition, attribute: Attribute, given: Mapping[str, Any]) -> Any:
    value = attribute.check(given[attribute.name]) if attribute.name in given else attribute.default
    if value is None:
        raise InputError(f"{definition.id}: found no attribute {attribute.name!r}, which has no default")
    return attribute.python(value)


def describe(
    definition: Definition, arrays: Mapping[str, Any], values: Mapping[str, Any]
) -> tuple[list[TensorDesc], list[Size]]:
    """What register says of these arrays; InputError where a requirement does not hold."""
    descs: dict[str, Any] = {}
    for name, array in arrays.items():
        descs[name] = None
        if array is not None:
            desc = TensorDesc(tuple(array.shape), dtype_of_array(array), name=name)
            desc.values = array
            descs[name] = desc
    with conditions(concrete=True), sizes() as found_sizes:
        given = _by_input(definition, descs)
        lazily = {name: (lambda value=value: value) for name, value in {**given, **values}.items()}
        found = definitions.call(definition, definition.register, lazily)
    outputs = list(found) if isinstance(found, (tuple, list)) else [found]
    names = definition.output_names or definitions.default_names(len(outputs))
    for name, output in zip(names, outputs, strict=True):
        output.name = name
    return outputs, found_sizes


def combination(
    definition: Definition, arrays: Mapping[str, Any], outputs: Sequence[TensorDesc], values: Mapping[str, Any]
) -> Combination:
    """The row of autotune that takes these arrays."""
    arrays = {
        name: array[0] if isinstance(array, list) else array for name, array in _by_input(definition, arrays).items()
    }
    names = [*arrays, *(output.name for output in outputs)]
    given = [None if array is None else dtype_of_array(array) for array in arrays.values()]
    if definition.autotune is None:
        types = dict(zip(arrays, given, strict=True))
        own = [types[output.same_as] if output.same_as else output.element for output in outputs]
        if any(dtype is None for dtype in own):
            raise InputError(f"{definition.id} has no autotune, and register says no element type of an output",
                             where=definition.where, hint="from_shape_expr(shape, dtype)")  # fmt: skip
        return Combination((*given, *own), (1,))  # type: ignore[arg-type]
    descs = {name: None if array is None else TensorDesc(tuple(array.shape), name=name)
             for name, array in arrays.items()}  # fmt: skip
    if definition.inputs[-1].variadic:
        descs[names[len(arrays) - 1]] = [descs[names[len(arrays) - 1]]]  # type: ignore[assignment]
    lazily = {
        name: (lambda value=value: value) for name, value in {**descs, **values, "outputs": tuple(outputs)}.items()
    }
    found = definitions.call(definition, definition.autotune, lazily)
    rows = merge([row for each in found for row in each.rows(names)])
    for row in rows:
        if all(dtype is None or dtype == own for dtype, own in zip(given, row.types, strict=False)):
            return row
    types = ", ".join(
        f"{name} {dtype.triton if dtype else 'absent'}" for name, dtype in zip(arrays, given, strict=True)
    )
    raise InputError(f"{definition.id}: no combination of element types takes {types}")


def _no_leaf(leaf: Expr) -> int:
    raise InputError(f"found {show(leaf)!r} in a size of an output, expected what these arrays and attributes say")


def _shape(output: TensorDesc, sizes_known: Mapping[str, int]) -> tuple[int, ...]:
    def leaf(expr: Expr) -> int:
        return sizes_known[expr.name] if isinstance(expr, Name) else _no_leaf(expr)

    shape = tuple(evaluate(size.expr, leaf) for size in output.shape_expr)
    if any(size < 0 for size in shape):
        raise InputError(f"output {output.name!r} would have the shape {shape}")
    return shape


def _written(size: Size, outputs: Sequence[TensorDesc], results: Sequence[Tensor]) -> int:
    """What the impl wrote into a size tensor."""
    (result,) = (r for o, r in zip(outputs, results, strict=True) if isinstance(o, SizeTensor) and o.size == size)
    value, upper = int(result.array), evaluate(size.upper, _no_leaf)
    if not 0 <= value <= upper:
        raise InputError(f"the impl wrote the size {value}, expected 0 to {upper}")
    return value


def _empty(shape: tuple[int, ...], dtype: DType, arrays: Mapping[str, Any]) -> Any:
    if any(_is_torch(array) for array in arrays.values()):
        import torch

        return torch.empty(shape, dtype=getattr(torch, dtype.numpy))
    return np.empty(shape, numpy_type(dtype))


def _widened(array: Any) -> Any:
    if array is None or dtype_of_array(array).kind != "float":
        return array
    return array.double() if _is_torch(array) else array.astype(np.float64)


def _copy(array: Any) -> Any:
    return array.clone() if _is_torch(array) else array.copy()
