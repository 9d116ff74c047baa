"""Runs the functions of a definition on symbols: once per combination of element types, tactic and path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from opwright.dtypes import DType
from opwright.errors import InputError
from opwright.expressions import Expr, Item, Name, Op, show
from opwright.plugin.attributes import value_of
from opwright.plugin.combinations import AutoTuneCombination, Combination, merge
from opwright.plugin.definition import Definition, call, conditions
from opwright.plugin.launch import Fill, Launch, SizesKnown
from opwright.plugin.paths import Explored, Leaf, Requirement, explore
from opwright.plugin.quick import as_launch, compiling
from opwright.plugin.registered import Registered, least_ranks, merge_outputs, run_register, stand_ins
from opwright.plugin.shapes import rank_of
from opwright.plugin.symbolic import COUNTED, as_int
from opwright.plugin.tensors import Size, SizeTensor, TensorDesc, TensorList, Workspace, number_of, workspaces


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
        registered = explore(lambda: run_register(definition), known, same=Registered.facts)
        ranks = least_ranks(definition, registered.leaves)
        outputs = merge_outputs(definition, registered.leaves)
        for output in outputs:  # shapes of several paths in one read the axes of all
            if output.shape_expr.any_rank:
                tensor, shape = output.shape_expr.tensor.partition("[")[0], output.shape_expr
                ranks[tensor] = max(ranks.get(tensor, 0), shape.first + shape.last)
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
                  _cost(definition, outputs, known), ranks)  # fmt: skip


def _required(explored: Explored[Any]) -> list[Requirement]:
    """What the function requires on its paths, and what its questions need."""
    own = [Requirement(leaf.conditions, test, text) for leaf in explored.leaves for test, text in leaf.result.required]
    return own + explored.requirements


def _common(tactics: Sequence[Tactic]) -> list[Requirement]:
    """What all of them require first, which they lose: it is the operator's then. Only what is first: one may rely on those before it."""
    required = [list(dict.fromkeys(tactic.requirements)) for tactic in tactics]
    count = 0
    while all(len(each) > count and each[count] == required[0][count] for each in required):
        count += 1
    for tactic, each in zip(tactics, required, strict=True):
        tactic.requirements = each[count:]
    return required[0][:count]


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
    found = call(definition, autotune, stand_ins(definition, outputs=tuple(outputs)))
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
    registered = run_register(definition)
    names = [*(tensor.name for tensor in definition.inputs), *(output.name for output in registered.outputs)]
    types = dict(zip(names, row.types, strict=True))
    outputs = tuple(registered.outputs)
    for output in outputs:
        output.element = types[output.name]
    values = stand_ins(definition, types, outputs=outputs, tactic=tactic)
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


def _check_counting(definition: Definition, registered: Registered, steps: Sequence[Any]) -> None:
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
        lambda: call(definition, function, stand_ins(definition, outputs=tuple(outputs))), known, same=repr
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
