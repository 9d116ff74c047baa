"""Runs the register function of a definition on symbols: what its outputs are, and what it requires of calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opwright.dtypes import DType
from opwright.errors import InputError
from opwright.expressions import Dim, Expr, Name, Op, show
from opwright.plugin import paths
from opwright.plugin.attributes import symbol
from opwright.plugin.definition import Definition, Input, call, conditions, default_names
from opwright.plugin.paths import Leaf, Option
from opwright.plugin.shapes import merge as merge_shapes
from opwright.plugin.tensors import Size, SizeTensor, TensorDesc, TensorList, input_desc, sizes


@dataclass
class Registered:
    """What register said on one path."""

    outputs: list[TensorDesc]
    sizes: list[Size]
    required: list[tuple[Expr, str]]

    def kinds(self) -> list[Any]:
        """What must be the same for all calls."""
        return [(o.name, o.element, o.same_as, o.alias_of, isinstance(o, SizeTensor)) for o in self.outputs] + [
            self.sizes
        ]

    def facts(self) -> list[Any]:
        """All that is said."""
        return [
            *self.kinds(),
            [o.shape_expr.slices for o in self.outputs],
            [(show(e), text) for e, text in self.required],
        ]


def stand_ins(
    definition: Definition, types: Mapping[str, DType] | None = None, **more: Any
) -> Mapping[str, Callable[[], Any]]:
    """What stands for the inputs and attributes; `types` are those of a combination."""
    values: dict[str, Callable[[], Any]] = {}
    for tensor in definition.inputs:
        make = _tensors if tensor.variadic else _input
        values[tensor.name] = lambda make=make, tensor=tensor: make(tensor, types and types[tensor.name])  # type: ignore[misc]
    for name, attribute in definition.attributes.items():
        values[name] = lambda attribute=attribute: symbol(attribute)  # type: ignore[misc]
    for name, value in more.items():
        values[name] = lambda value=value: value  # type: ignore[misc]
    return values


def _tensors(tensor: Input, dtype: DType | None) -> TensorList:
    return TensorList(tensor.name, tensor.counts, lambda i: _desc(tensor, f"{tensor.name}[{i}]", dtype))


def _desc(tensor: Input, name: str, dtype: DType | None) -> TensorDesc:
    desc = input_desc(name, tensor.rank, dtype)
    desc.host, desc.strided = tensor.host, tensor.strided
    return desc


def _input(tensor: Input, dtype: DType | None) -> TensorDesc | None:
    if tensor.optional:
        there = Op("present", (Name(tensor.name),))
        options = [Option(True, there), Option(False, Op("not", (there,)))]
        if not paths.ask(f"presence of {tensor.name}", lambda: options):
            return None
    return _desc(tensor, tensor.name, dtype)


def run_register(definition: Definition) -> Registered:
    """What it returns on this path, checked and with names."""
    with conditions() as required, sizes() as found_sizes:
        found = call(definition, definition.register, stand_ins(definition))
    outputs = list(found) if isinstance(found, (tuple, list)) else [found]
    for output in outputs:
        if not isinstance(output, TensorDesc) or output.name:
            raise InputError(
                f"register returned {output!r}, expected a TensorDesc of its own for each output",
                where=definition.where, hint="x.like(), or opwright.plugin.from_shape_expr((n, m), dtype)",
            )  # fmt: skip
    twice = [output for i, output in enumerate(outputs) if any(output is other for other in outputs[:i])]
    if twice:
        raise InputError("register returned one TensorDesc twice, expected one of its own for each output",
                         where=definition.where, hint="x.like() for each")  # fmt: skip
    for output in outputs:
        if any(tensor.name == output.alias_of and tensor.strided for tensor in definition.inputs):
            raise InputError(
                f"the input {output.alias_of!r} is strided and changed in place, expected one or the other: outputs are row-major",
                where=definition.where,
            )
    names = definition.output_names or default_names(len(outputs))
    if len(names) != len(outputs) or len(set(names)) != len(names) or set(names) & {i.name for i in definition.inputs}:
        raise InputError(
            f"the outputs are named {', '.join(names)}, expected {len(outputs)} names of their own",
            where=definition.where,
        )
    for name, output in zip(names, outputs, strict=True):
        output.name = name
        output.shape_expr.name = name
        if not output.shape_expr.any_rank:
            list(output.shape_expr)  # each is set
    unwritten = [size.name for size in found_sizes if not any(_is_of(output, size) for output in outputs)]
    if unwritten:
        raise InputError("a size_tensor is no output, expected register to return it: a kernel writes the size there",
                         where=definition.where)  # fmt: skip
    return Registered(outputs, found_sizes, required)


def _is_of(output: TensorDesc, size: Size) -> bool:
    return isinstance(output, SizeTensor) and output.size == size


def merge_outputs(definition: Definition, leaves: Sequence[Leaf[Registered]]) -> list[TensorDesc]:
    """The outputs of all paths in one: their sizes depend on the paths' conditions."""
    first = leaves[0].result
    if any(leaf.result.kinds() != first.kinds() for leaf in leaves):
        raise InputError(
            "register returns outputs of different numbers, types or aliases for different calls, expected the same but for sizes",
            where=definition.where,
        )
    for i, output in enumerate(first.outputs):
        shapes = [(leaf.condition, leaf.result.outputs[i].shape_expr) for leaf in leaves]
        output.shape_expr = merge_shapes(shapes, f"the output {output.name!r}")
        output.shape_expr.name = output.name
    return first.outputs


def least_ranks(definition: Definition, leaves: Sequence[Leaf[Registered]]) -> dict[str, int]:
    """What inputs of any rank must have: register reads these axes whatever the call is."""
    least = {}
    for tensor in definition.inputs:
        if tensor.rank is None:
            least[tensor.name] = min(_rank_read(leaf.result, tensor.name) for leaf in leaves)
    return least


def _rank_read(registered: Registered, tensor: str) -> int:
    shapes = [output.shape_expr for output in registered.outputs]
    kept = [shape.first + shape.last for shape in shapes if shape.tensor == tensor]
    sizes = [size.expr for shape in shapes for size in (*shape.head, *shape.tail)]
    tests = [test for test, _ in registered.required]
    return max([0, *kept, *(_rank_needed(expr, tensor) for expr in (*sizes, *tests))])


def _rank_needed(expr: Expr, tensor: str) -> int:
    """The rank without which an expression has no value."""
    if isinstance(expr, Dim):
        needed = -expr.axis if expr.axis < 0 else expr.axis + 1
        return needed if expr.tensor == tensor else 0
    if not isinstance(expr, Op):
        return 0
    evaluated = expr.args[:1] if expr.op == "select" else expr.args
    return max((_rank_needed(argument, tensor) for argument in evaluated), default=0)
