"""Runs the functions of a definition on symbols: once per combination of element types, tactic and path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opwright.dtypes import DType
from opwright.errors import InputError
from opwright.expressions import Dim, Expr, Item, Name, Op, show
from opwright.plugin import paths
from opwright.plugin.attributes import symbol, value_of
from opwright.plugin.combinations import AutoTuneCombination, Combination, merge
from opwright.plugin.definition import Definition, Input, call, conditions, default_names
from opwright.plugin.launch import Fill, Launch, SizesKnown
from opwright.plugin.paths import Explored, Leaf, Option, Requirement, explore
from opwright.plugin.quick import as_launch, compiling
from opwright.plugin.shapes import merge as merge_shapes
from opwright.plugin.shapes import rank_of
from opwright.plugin.symbolic import COUNTED, as_int
from opwright.plugin.tensors import (
    Size,
    SizeTensor,
    TensorDesc,
    TensorList,
    Workspace,
    input_desc,
    number_of,
    sizes,
    workspaces,
)


@dataclass
class Plan:
    """What one path of a combination and tactic runs, in order."""

    steps: list[Launch | Fill | SizesKnown]
    workspaces: list[Workspace]
    required: list[tuple[Expr, str]]  # of calls that take it

    def facts(self) -> list[Any]:
        """All that makes one plan another."""
        return [
            [step.facts() if isinstance(step, Launch) else repr(step) for step in self.steps],
            [(repr(space), space.zero) for space in self.workspaces],
            [(show(test), text) for test, text in self.required],
        ]


@dataclass
class Tactic:
    """One tactic of one combination: its paths, of which a call takes the one whose conditions hold."""

    id: int
    text: str
    paths: list[Leaf[Plan]]
    requirements: list[Requirement]  # of the calls that it takes


@dataclass
class Traced:
    """An operator without its kernels' texts."""

    definition: Definition
    outputs: list[TensorDesc]
    sizes: list[Size]
    requirements: list[Requirement]  # of all calls, whichever combination and tactic they take
    combinations: list[Combination]
    tactics: dict[int, list[Tactic]]  # by combination
    cost: tuple[Expr, Expr] | None = None
    least_ranks: dict[str, int] = field(default_factory=dict)  # of inputs of any rank

    def kernels(self) -> list[Any]:
        """The @triton.jit functions that are launched."""
        plans = [path.result for tactics in self.tactics.values() for tactic in tactics for path in tactic.paths]
        return [step.kernel for plan in plans for step in plan.steps if isinstance(step, Launch)]


@dataclass
class _Registered:
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


class Known:
    """Values that are known when an operator is built, for questions of a path."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.ranks = definition.ranks

    def value(self, leaf: Expr) -> Any:
        """The value of an attribute, a rank or a number of tensors on this path; None of what only a call knows."""
        attributes = self.definition.attributes
        if isinstance(leaf, Name) and leaf.name in attributes:
            return value_of(attributes[leaf.name])
        if isinstance(leaf, Item):
            return value_of(attributes[leaf.name])[leaf.index]
        if isinstance(leaf, Op) and isinstance(leaf.args[0], Name):
            name = leaf.args[0].name
            if leaf.op == "len":
                return len(value_of(attributes[name]))
            if leaf.op == "rank":
                return rank_of(name)
            if leaf.op == "count":
                return number_of(name, next(tensor.counts for tensor in self.definition.inputs if tensor.name == name))
        return None


def trace(definition: Definition) -> Traced:
    """Runs all functions of a definition but compiles nothing."""
    if definition.aot_impl is None:
        raise InputError(
            f"{definition.id} has no aot_impl, expected one: it returns the launch of a @triton.jit kernel",
            where=definition.where, hint=f'@opwright.plugin.aot_impl("{definition.id}")',
        )  # fmt: skip
    known = Known(definition)
    try:
        registered = explore(lambda: _register(definition), known, same=_Registered.facts)
        least_ranks = _least_ranks(definition, registered.leaves)
        outputs = _merge_outputs(definition, registered.leaves)
        for output in outputs:  # shapes of several paths in one read the axes of all
            if output.shape_expr.any_rank:
                tensor, shape = output.shape_expr.tensor.partition("[")[0], output.shape_expr
                least_ranks[tensor] = max(least_ranks.get(tensor, 0), shape.first + shape.last)
        combinations = _combinations(definition, outputs, known)
        requirements = _required(registered)
        tactics: dict[int, list[Tactic]] = {}
        for row, combination in enumerate(combinations):
            tactics[row] = [
                made for number in combination.tactics for made in _tactics(definition, combination, number, known)
            ]
    except InputError as e:
        raise e.at(f"{definition.where}: {definition.id}") from None
    requirements += _common([tactic for row in tactics.values() for tactic in row])
    return Traced(definition, outputs, registered.leaves[0].result.sizes, list(dict.fromkeys(requirements)), combinations, tactics,
                  _cost(definition, outputs, known), least_ranks)  # fmt: skip


def _required(explored: Explored[Any]) -> list[Requirement]:
    """What the function requires on its paths, and what its questions need."""
    own = [Requirement(leaf.conditions, test, text) for leaf in explored.leaves for test, text in leaf.result.required]
    return own + explored.requirements


def _common(tactics: Sequence[Tactic]) -> list[Requirement]:
    """What all of them require, which they lose: it is the operator's then."""
    first, *others = tactics
    common = [each for each in first.requirements if all(each in other.requirements for other in others)]
    for tactic in tactics:
        tactic.requirements = [each for each in dict.fromkeys(tactic.requirements) if each not in common]
    return common


def _values(
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


# -- register


def _register(definition: Definition) -> _Registered:
    with conditions() as required, sizes() as found_sizes:
        found = call(definition, definition.register, _values(definition))
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
    return _Registered(outputs, found_sizes, required)


def _is_of(output: TensorDesc, size: Size) -> bool:
    return isinstance(output, SizeTensor) and output.size == size


def _merge_outputs(definition: Definition, leaves: Sequence[Leaf[_Registered]]) -> list[TensorDesc]:
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


def _least_ranks(definition: Definition, leaves: Sequence[Leaf[_Registered]]) -> dict[str, int]:
    """What inputs of any rank must have: register reads these axes whatever the call is."""
    least = {}
    for tensor in definition.inputs:
        if tensor.rank is None:
            least[tensor.name] = min(_rank_read(leaf.result, tensor.name) for leaf in leaves)
    return least


def _rank_read(registered: _Registered, tensor: str) -> int:
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


# -- autotune


def _combinations(definition: Definition, outputs: Sequence[TensorDesc], known: Known) -> list[Combination]:
    names = [*(tensor.name for tensor in definition.inputs), *(output.name for output in outputs)]
    if definition.autotune is None:
        return [_of_model(definition, types, outputs) for types in _types_of_models(definition, len(names))]
    autotune = definition.autotune
    leaves = explore(lambda: _rows(definition, autotune, outputs, names), known, same=lambda rows: rows).leaves
    if len(leaves) > 1:
        raise InputError("autotune returns different combinations for different calls, expected the same for all",
                         where=definition.where, hint="decide in aot_impl")  # fmt: skip
    rows = leaves[0].result
    for row in rows:
        types = dict(zip(names, row.types, strict=True))
        for output in outputs:
            wanted = types[output.same_as] if output.same_as else output.element
            if wanted is not None and types[output.name] != wanted:
                raise InputError(
                    f"{definition.id}: autotune gives output {output.name!r} the type {types[output.name].triton}, register says "
                    f"{wanted.triton}" + (f" (that of {output.same_as!r})" if output.same_as else ""),
                    where=definition.where,
                )
    return rows


def _types_of_models(definition: Definition, count: int) -> Sequence[tuple[DType, ...]]:
    if not definition.types:
        raise InputError(
            f"{definition.id} has no autotune, expected one: it says which element types there are",
            where=definition.where,
            hint=f'AutoTuneCombination("{", ".join(["FP32|FP16"] * count)}"), or build it for a model whose nodes have them: '
            "--for MODEL.onnx",
        )
    return definition.types


def _of_model(definition: Definition, types: Sequence[DType], outputs: Sequence[TensorDesc]) -> Combination:
    """The row for a node's inputs: types of the outputs are what register says."""
    known = dict(zip((tensor.name for tensor in definition.inputs), types, strict=True))
    own = [known[output.same_as] if output.same_as else output.element for output in outputs]
    for output, dtype in zip(outputs, own, strict=True):
        if dtype is None:
            raise InputError(
                f"{definition.id} has no autotune, and register says no element type of the output {output.name!r}",
                where=definition.where, hint="from_shape_expr(shape, dtype)",
            )  # fmt: skip
    return Combination((*types, *own), (1,))  # type: ignore[arg-type]


def _rows(
    definition: Definition, autotune: Callable, outputs: Sequence[TensorDesc], names: Sequence[str]
) -> list[Combination]:
    found = call(definition, autotune, _values(definition, outputs=tuple(outputs)))
    wrong = [each for each in found or [] if not isinstance(each, AutoTuneCombination)]
    if not found or wrong:
        raise InputError(f"autotune returned {wrong[0] if wrong else found!r}, expected a list of AutoTuneCombination",
                         where=definition.where)  # fmt: skip
    try:
        return merge([row for each in found for row in each.rows(names)])
    except InputError as e:
        raise e.at(f"{definition.where}: {definition.id}: autotune") from None


# -- aot_impl


def _tactics(definition: Definition, row: Combination, tactic: int, known: Known) -> list[Tactic]:
    """The author's tactic: one, or one for each configuration of kernels with @triton.autotune."""

    def plan() -> Plan:
        return _plan(definition, row, tactic)

    first = explore(plan, known, same=Plan.facts)
    explored = [first, *(explore(plan, known, same=Plan.facts, config=config) for config in range(1, first.configs))]
    if first.configs == 1:
        return [Tactic(tactic, "", first.leaves, _required(first))]
    base = 0 if row.tactics == (1,) else 1000 * tactic
    return [
        Tactic(base + number, "; ".join(each.leaves[0].configs), each.leaves, _required(each))
        for number, each in enumerate(explored, 1)
    ]


def _plan(definition: Definition, row: Combination, tactic: int) -> Plan:
    assert definition.aot_impl
    registered = _register(definition)
    names = [*(tensor.name for tensor in definition.inputs), *(output.name for output in registered.outputs)]
    types = dict(zip(names, row.types, strict=True))
    outputs = tuple(registered.outputs)
    for output in outputs:
        output.element = types[output.name]
    values = _values(definition, types, outputs=outputs, tactic=tactic)
    with workspaces() as spaces, conditions() as required, compiling(definition.aot_impl):
        found = call(definition, definition.aot_impl, values)
        if isinstance(found, tuple) and len(found) == 4 and isinstance(found[0], str):
            try:
                given = [values[tensor.name]() for tensor in definition.inputs]
                flat = [one for each in given for one in (each if isinstance(each, TensorList) else [each])]
                found = as_launch(found, [tensor for tensor in flat if tensor is not None], outputs)
            except InputError as e:
                raise e.at(f"{definition.where}: {definition.id}: aot_impl") from None
    steps = list(found) if isinstance(found, (tuple, list)) else [found]
    if not steps or not all(isinstance(step, (Launch, Fill, SizesKnown)) for step in steps):
        raise InputError(
            f"{definition.id}: aot_impl returned {found!r}, expected opwright.plugin.launch(...), a list of them, or "
            "(name, code, KernelLaunchParams, SymIntExprs)",
            where=definition.where,
        )
    if sum(isinstance(step, SizesKnown) for step in steps) > bool(registered.sizes):
        raise InputError(
            f"{definition.id}: aot_impl has sizes_known, expected it once, in an operator with a size_tensor",
            where=definition.where,
        )
    _check_counting(definition, registered, steps)
    return Plan(steps, spaces, required)


def _check_counting(definition: Definition, registered: _Registered, steps: Sequence[Any]) -> None:
    """That counted sizes are written before they are used, and that what is filled is no input."""
    inputs = {tensor.name for tensor in definition.inputs}
    written: set[str] = set()
    known = False
    counts = {output.name for output in registered.outputs if isinstance(output, SizeTensor)}
    for step in steps:
        if isinstance(step, SizesKnown):
            known = True
            missing = counts - written
            if missing:
                raise InputError(f"{definition.id}: nothing before sizes_known() writes {min(missing)!r}, expected a launch that does",
                                 where=definition.where)  # fmt: skip
        elif isinstance(step, Fill):
            if step.tensor in inputs:
                raise InputError(f"{definition.id}: zero of the input {step.tensor!r}, expected one of outputs, or a workspace",
                                 where=definition.where)  # fmt: skip
        else:
            written |= {argument.text for argument in step.arguments if argument.pointer}
            texts = [*step.grid, *(argument.text for argument in step.arguments if not argument.pointer)]
            if not known and any(COUNTED in text for text in texts):
                raise InputError(
                    f"{definition.id}: a launch of {step.name!r} uses a size that is counted, expected sizes_known() before it",
                    where=definition.where,
                )
    if counts - written:
        raise InputError(f"{definition.id}: no launch writes {min(counts - written)!r}, expected one that counts",
                         where=definition.where)  # fmt: skip


def _cost(definition: Definition, outputs: Sequence[TensorDesc], known: Known) -> tuple[Expr, Expr] | None:
    if definition.cost is None:
        return None
    function = definition.cost
    leaves = explore(
        lambda: call(definition, function, _values(definition, outputs=tuple(outputs))), known, same=repr
    ).leaves
    for leaf in leaves:
        if not isinstance(leaf.result, tuple) or len(leaf.result) != 2:
            raise InputError(f"cost returned {leaf.result!r}, expected (floating-point operations, bytes)",
                             where=definition.where)  # fmt: skip
    made: list[Expr] = []
    for which in (0, 1):
        expr = as_int(leaves[-1].result[which]).expr
        for leaf in reversed(leaves[:-1]):
            assert leaf.condition is not None
            expr = Op("select", (leaf.condition, as_int(leaf.result[which]).expr, expr))
        made.append(expr)
    return made[0], made[1]
