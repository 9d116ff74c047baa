"""From a definition to an operator of a build request: its functions run on symbols, once per combination and tactic."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opwright import ttir
from opwright.errors import InputError
from opwright.expressions import Name, show
from opwright.plugin.combinations import AutoTuneCombination, Combination, merge
from opwright.plugin.definition import Definition, call, conditions
from opwright.plugin.launch import Fill, FloatAttribute, Launch, Variant, guards, integer_type, variants
from opwright.plugin.quick import as_launch, compiling
from opwright.plugin.symbolic import SymInt
from opwright.plugin.tensors import TensorDesc, Workspace, input_desc, workspaces


@dataclass
class Plan:
    """What one combination and tactic runs, in order."""

    steps: list[Launch | Fill]
    workspaces: list[Workspace]


@dataclass
class Traced:
    """An operator without its kernels' texts."""

    definition: Definition
    outputs: list[TensorDesc]
    conditions: list[tuple[str, str]]
    combinations: list[Combination]
    plans: dict[tuple[int, int], Plan]  # by combination and tactic


@dataclass
class Kernels:
    """The kernels of a library: a text for each, shared by launches that are alike."""

    roots: list[Path]
    entries: list[dict[str, Any]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)  # by path in the workspace
    _ids: dict[Any, str] = field(default_factory=dict)

    def add(self, op: str, launch: Launch, variant: Variant) -> str:
        """The id of a kernel for this launch."""
        signature, divisible, params = {}, [], []
        position = 0
        for index, name in enumerate(launch.kernel.arg_names):
            if name in launch.constants:
                signature[name] = "constexpr"
                continue
            argument = launch.arguments[position]
            if argument.pointer:
                signature[name] = f"*{argument.dtype.triton}"  # type: ignore[union-attr]
                params.append({"kind": "pointer"})
            else:
                kind = argument.dtype.triton if argument.dtype else integer_type(argument, variant)
                signature[name] = kind
                params.append({"kind": "scalar", "dtype": argument.dtype.name if argument.dtype else kind})
            if position in variant.divisible:
                divisible.append(index)
            position += 1
        key = (id(launch.kernel), tuple(signature.items()), repr(sorted(launch.constants.items())), tuple(divisible),
               tuple(launch.options.items()))  # fmt: skip
        if key in self._ids:
            return self._ids[key]
        text = ttir.make_ttir(
            launch.kernel, signature, launch.constants, divisible, roots=[launch.file.parent], **launch.options
        )
        if launch.file.parent not in self.roots:
            self.roots.append(launch.file.parent)
        number = sum(entry["name"] == launch.name for entry in self.entries)
        path = f"{op}/{launch.name}.{number}.ttir"
        self.texts[path] = text
        self._ids[key] = f"{op}.{launch.name}.{number}"
        self.entries.append({
            "id": self._ids[key], "name": launch.name, "file": launch.file.name, "line": launch.line, "ttir": path,
            "sha256": hashlib.sha256(text.encode()).hexdigest(), "params": params,
        })  # fmt: skip
        return self._ids[key]


def trace(definition: Definition) -> Traced:
    """Runs all functions of a definition but compiles nothing."""
    if definition.aot_impl is None:
        raise InputError(
            f"{definition.id} has no aot_impl, expected one: it returns the launch of a @triton.jit kernel",
            where=definition.where, hint=f'@opwright.plugin.aot_impl("{definition.id}")',
        )  # fmt: skip
    with conditions() as required:
        outputs = _outputs(definition)
    combinations = _combinations(definition, outputs)
    plans = {}
    for row, combination in enumerate(combinations):
        for tactic in combination.tactics:
            plans[row, tactic] = _plan(definition, outputs, combination, tactic)
    return Traced(definition, outputs, required, combinations, plans)


def operator(traced: Traced, kernels: Kernels) -> dict[str, Any]:
    """The operator in a build request; its kernels are compiled to TTIR here."""
    definition = traced.definition
    tensors = [*definition.inputs, *(output.name for output in traced.outputs)]
    variables = [f"T{i}" for i in range(len(tensors))]
    op: dict[str, Any] = {
        "name": definition.name, "namespace": definition.namespace, "version": definition.version, "doc": definition.doc,
        "typevars": [
            {"name": variable, "types": list(dict.fromkeys(row.types[i].name for row in traced.combinations))}
            for i, variable in enumerate(variables)
        ],
        "combos": [[dtype.name for dtype in row.types] for row in traced.combinations],
        "inputs": [
            {"name": name, "type": variable} | ({"rank": definition.ranks[name]} if name in definition.ranks else {})
            for name, variable in zip(definition.inputs, variables, strict=False)
        ],
        "outputs": [
            {"name": output.name, "type": variable, "shape": output.shape_expr.slices}
            | ({"alias": output.alias_of, "inplace": True} if output.alias_of else {})
            for output, variable in zip(traced.outputs, variables[len(definition.inputs) :], strict=True)
        ],
        "attrs": [
            {"name": a.name, "kind": a.kind} | ({} if a.default is None else {"default": a.default})
            for a in definition.attributes
        ],
    }  # fmt: skip
    tactics = sorted({tactic for row in traced.combinations for tactic in row.tactics})
    op["tactics"] = [{"id": tactic, "text": ""} for tactic in tactics]
    if traced.conditions:
        op["valid"] = " and ".join(f"({text})" for text, _ in traced.conditions)
        op["valid_text"] = "; ".join(message for _, message in traced.conditions)
    op["plans"] = []
    for (row, tactic), plan in traced.plans.items():
        launches = [{"fill": space.name} for space in plan.workspaces if space.zero]
        launches += [_step(definition, step, kernels) for step in plan.steps]
        op["plans"].append({"combo": row, "device": "cpu", "tactic": tactic, "launches": launches})
        if plan.workspaces:
            op["plans"][-1]["workspace"] = [
                {"name": space.name, "dtype": space.element.name, "elements": show(space.shape_expr.numel().expr)}
                for space in plan.workspaces
                if space.element
            ]
    return op


def _step(definition: Definition, launch: Launch | Fill, kernels: Kernels) -> dict[str, Any]:
    if isinstance(launch, Fill):
        return {"fill": launch.tensor}
    choices = []
    for variant in variants(launch):
        needs = guards(launch, variant)
        choices.append(({"guards": needs} if needs else {}) | {"kernel": kernels.add(definition.name, launch, variant)})
    return {"grid": launch.grid, "args": [a.text for a in launch.arguments], "variants": choices}


def _symbols(definition: Definition) -> dict[str, Any]:
    return {
        a.name: FloatAttribute(a.name) if a.kind == "float" else SymInt(Name(a.name)) for a in definition.attributes
    }


def _outputs(definition: Definition) -> list[TensorDesc]:
    inputs = {name: input_desc(name, definition.ranks.get(name)) for name in definition.inputs}
    found = call(definition, definition.register, inputs | _symbols(definition))
    outputs = list(found) if isinstance(found, (tuple, list)) else [found]
    for output in outputs:
        if not isinstance(output, TensorDesc) or output.name:
            raise InputError(
                f"register returned {output!r}, expected a TensorDesc of its own for each output",
                where=definition.where, hint="x.like(), or opwright.plugin.from_shape_expr((n, m), dtype)",
            )  # fmt: skip
    names = definition.output_names or (
        ("out",) if len(outputs) == 1 else tuple(f"out{i}" for i in range(len(outputs)))
    )
    if len(names) != len(outputs) or len(set(names)) != len(names) or set(names) & set(definition.inputs):
        raise InputError(
            f"the outputs are named {', '.join(names)}, expected {len(outputs)} names of their own",
            where=definition.where,
        )
    for name, output in zip(names, outputs, strict=True):
        output.name = name
    return outputs


def _combinations(definition: Definition, outputs: Sequence[TensorDesc]) -> list[Combination]:
    names = [*definition.inputs, *(output.name for output in outputs)]
    if definition.autotune is None:
        raise InputError(
            f"{definition.id} has no autotune, expected one: it says which element types there are",
            where=definition.where,
            hint=f'AutoTuneCombination("{", ".join(["FP32|FP16"] * len(names))}")',
        )
    inputs = {name: input_desc(name, definition.ranks.get(name)) for name in definition.inputs}
    found = call(definition, definition.autotune, inputs | _symbols(definition) | {"outputs": tuple(outputs)})
    wrong = [each for each in found or [] if not isinstance(each, AutoTuneCombination)]
    if not found or wrong:
        raise InputError(f"autotune returned {wrong[0] if wrong else found!r}, expected a list of AutoTuneCombination",
                         where=definition.where)  # fmt: skip
    try:
        rows = merge([row for each in found for row in each.rows(names)])
    except InputError as e:
        raise e.at(f"{definition.where}: {definition.id}: autotune") from None
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


def _plan(definition: Definition, outputs: Sequence[TensorDesc], row: Combination, tactic: int) -> Plan:
    assert definition.aot_impl
    count = len(definition.inputs)
    inputs = {
        name: input_desc(name, definition.ranks.get(name), dtype)
        for name, dtype in zip(definition.inputs, row.types[:count], strict=True)
    }
    typed = tuple(
        TensorDesc(output.name, output.shape_expr, dtype)
        for output, dtype in zip(outputs, row.types[count:], strict=True)
    )
    more = {"outputs": typed, "tactic": tactic}
    with workspaces() as spaces, compiling():
        found = call(definition, definition.aot_impl, inputs | _symbols(definition) | more)
        if isinstance(found, tuple) and len(found) == 4 and isinstance(found[0], str):
            try:
                found = as_launch(found, list(inputs.values()), typed)
            except InputError as e:
                raise e.at(f"{definition.where}: {definition.id}: aot_impl") from None
    steps = list(found) if isinstance(found, (tuple, list)) else [found]
    if not steps or not all(isinstance(step, (Launch, Fill)) for step in steps):
        raise InputError(
            f"{definition.id}: aot_impl returned {found!r}, expected opwright.plugin.launch(...), a list of them, or "
            "(name, code, KernelLaunchParams, SymIntExprs)",
            where=definition.where,
        )
    return Plan(steps, spaces)
