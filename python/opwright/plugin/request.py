"""From traced definitions to a build request (docs/abi.md, Requests); kernels are compiled to TTIR here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from opwright import ttir
from opwright.dtypes import BY_NAME
from opwright.errors import InputError
from opwright.expressions import Expr, Name, Num, Op, show
from opwright.forked import run_all
from opwright.plugin.definition import INTERNAL, MAX_RANK
from opwright.plugin.launch import Argument, Fill, Launch, SizesKnown, Variant, guards, integer_type, variants
from opwright.plugin.paths import Leaf, Requirement, all_of
from opwright.plugin.tensors import SizeTensor
from opwright.plugin.trace import Plan, Tactic, Traced
from opwright.workspace import write_file

MAX_VARS = 256  # OPW_MAX_VARS


class TtirCache:
    """The texts of a workspace's last build, by what they were made of."""

    _INDEX = "ttir.json"

    def __init__(self, workspace: Path | None) -> None:
        self.workspace = workspace
        self._old: dict[str, str] = {}  # path by key
        self._new: dict[str, str] = {}
        if workspace is not None:
            try:
                found = json.loads((workspace / self._INDEX).read_text())
            except (OSError, ValueError):
                found = None
            if isinstance(found, dict):
                self._old = {key: path for key, path in found.items() if self._is_ours(path)}

    def note(self, key: str, path: str, text: str) -> None:
        """A text of this build, and where it will be. One with an empty key is not found again."""
        self._new[f"{key or path}.{hashlib.sha256(text.encode()).hexdigest()}"] = path

    def _is_ours(self, path: Any) -> bool:
        """Whether it is the name of a text in the workspace, and not of another file."""
        parts = Path(path).parts if isinstance(path, str) else ()
        return len(parts) == 2 and ".." not in parts and not Path(path).is_absolute() and path.endswith(".ttir")

    def find(self, key: str) -> str | None:
        """The text for a key, where the workspace has it."""
        for full, path in self._old.items():
            made_of, _, digest = full.partition(".")
            if made_of != key or self.workspace is None:
                continue
            try:
                text = (self.workspace / path).read_text()
            except OSError:
                return None
            return text if hashlib.sha256(text.encode()).hexdigest() == digest else None
        return None

    def write_index(self) -> None:
        """Notes what is there now, and removes the texts of kernels that are gone."""
        assert self.workspace is not None
        for path in set(self._old.values()) - set(self._new.values()):
            (self.workspace / path).unlink(missing_ok=True)
        write_file(self.workspace / self._INDEX, json.dumps(self._new, indent=1, sort_keys=True) + "\n")


@dataclass
class _Text:
    """The TTIR of a kernel."""

    path: str  # in the workspace
    key: str  # of all that it depends on; empty where that is not known
    make: Callable[[], str]


@dataclass
class Kernels:
    """The kernels of a library, shared by launches that are alike. Their texts are there after `make_texts`."""

    roots: list[Path]
    cache: TtirCache
    sources: str = ""  # what all texts depend on: ttir.sources_key
    entries: list[dict[str, Any]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)  # by path in the workspace
    made: int = 0  # texts that the workspace did not have
    constants: dict[str, np.ndarray] = field(default_factory=dict)  # by id
    _wanted: list[_Text] = field(default_factory=list)  # of the entries, in their order
    _ids: dict[Any, str] = field(default_factory=dict)

    def add_constant(self, array: np.ndarray) -> str:
        """The id of an array in the library; equal ones are one."""
        made_of = repr((array.dtype.name, array.shape)).encode() + array.tobytes()
        name = f"c{hashlib.sha256(made_of).hexdigest()[:16]}"
        self.constants[name] = array
        return name

    def add(self, op: str, launch: Launch, variant: Variant) -> str:
        """The id of a kernel for this launch."""
        signature, divisible, params = {}, [], []
        position = 0
        for index, name in enumerate(launch.kernel.arg_names):
            if name in launch.constants:
                signature[name] = "constexpr"
                continue
            first = launch.arguments[position]
            signature[name] = first.descriptor or _triton_type(first, variant)
            if position in variant.divisible:
                divisible.append(index)
            while position < len(launch.arguments) and launch.arguments[position].name == name:
                params.append(_param(launch.arguments[position], variant))
                position += 1
        constants = launch.constant_keys()
        key = (id(launch.kernel), tuple(signature.items()), tuple(constants.items()), tuple(divisible),
               tuple(launch.options.items()))  # fmt: skip
        if key in self._ids:
            return self._ids[key]
        if launch.file.parent not in self.roots:
            self.roots.append(launch.file.parent)
        number = sum(entry["name"] == launch.name for entry in self.entries)
        path = f"{op}/{launch.name}.{number}.ttir"
        made_of = repr((self.sources, ttir.source_key(launch.kernel), launch.file.name, *key[1:]))
        # of an object that has no text, the next build cannot know whether it is the same
        lasting = all(isinstance(each, str) for each in constants.values())
        self._wanted.append(_Text(
            path, hashlib.sha256(made_of.encode()).hexdigest() if lasting else "",
            lambda: ttir.make_ttir(
                launch.kernel, signature, launch.constants, divisible, roots=[launch.file.parent], **launch.options
            ),
        ))  # fmt: skip
        self._ids[key] = f"{op}.{launch.name}.{number}"
        self.entries.append({
            "id": self._ids[key], "name": launch.name, "file": launch.file.name, "line": ttir.def_line(launch.kernel), "ttir": path,
            "params": params,
        })  # fmt: skip
        return self._ids[key]

    def make_texts(self) -> None:
        """Makes the texts that the workspace does not have, side by side."""
        known = [self.cache.find(text.key) if text.key else None for text in self._wanted]
        missing = [text.make for text, old in zip(self._wanted, known, strict=True) if old is None]
        made = iter(run_all(missing))
        self.made = len(missing)
        for entry, wanted, old in zip(self.entries, self._wanted, known, strict=True):
            text = next(made) if old is None else old
            self.texts[wanted.path] = text
            self.cache.note(wanted.key, wanted.path, text)
            entry["sha256"] = hashlib.sha256(text.encode()).hexdigest()


def _triton_type(argument: Argument, variant: Variant) -> str:
    if argument.dtype is None:
        return integer_type(argument, variant)
    return f"*{argument.dtype.triton}" if argument.pointer else argument.dtype.triton


def _param(argument: Argument, variant: Variant) -> dict[str, str]:
    """How the compiled kernel takes an argument."""
    if argument.pointer:
        return {"kind": "pointer"}
    dtype = argument.dtype.name if argument.dtype else integer_type(argument, variant)
    return {"kind": "scalar", "dtype": dtype}


def constant_entry(name: str, array: np.ndarray) -> dict[str, Any]:
    """A constant in a build request."""
    return {
        "id": name, "dtype": BY_NAME[array.dtype.name].name, "shape": list(array.shape), "file": f"constants/{name}.bin",
        "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
    }  # fmt: skip


class _Vars:
    """Conditions that several places of an operator use, each under a name."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name(self, condition: Expr) -> str:
        """The var that has the condition's value."""
        return self._names.setdefault(show(condition), f"{INTERNAL}case{len(self._names)}")

    def shortened(self, expr: Expr, depth: int = 0) -> Expr:
        """The same expression, with the rest of a long selection as a var: a program keeps few values at a time."""
        if not isinstance(expr, Op) or expr.op != "select":
            return expr
        test, first, rest = expr.args
        rest = self.shortened(rest, depth + 1)
        made = Op("select", (test, first, rest))
        return Name(self.name(made)) if depth > 0 and depth % 8 == 0 else made

    def entries(self) -> list[list[str]]:
        return [[name, text] for text, name in self._names.items()]


def operator(traced: Traced, kernels: Kernels) -> dict[str, Any]:
    """The operator in a build request."""
    definition = traced.definition
    tensors = [*(tensor.name for tensor in definition.inputs), *(output.name for output in traced.outputs)]
    variables = [f"T{i}" for i in range(len(tensors))]
    cases = _Vars()
    op: dict[str, Any] = {
        "name": definition.name, "namespace": definition.namespace, "version": definition.version, "doc": definition.doc,
        "typevars": [
            {"name": variable, "types": list(dict.fromkeys(row.types[i].name for row in traced.combinations))}
            for i, variable in enumerate(variables)
        ],
        "combos": [[dtype.name for dtype in row.types] for row in traced.combinations],
        "inputs": [
            _input(tensor, variable, traced.least_ranks.get(tensor.name, 0))
            for tensor, variable in zip(definition.inputs, variables, strict=False)
        ],
        "outputs": [
            _output(output, variable, cases)
            for output, variable in zip(traced.outputs, variables[len(definition.inputs) :], strict=True)
        ],
        "attrs": [_attribute(attribute) for attribute in definition.attributes.values()],
    }  # fmt: skip
    known = {tactic.id: tactic.text for row in traced.tactics.values() for tactic in row}
    op["tactics"] = [{"id": number, "text": known[number]} for number in sorted(known)]
    if traced.sizes:
        written = {output.size.name: output.name for output in traced.outputs if isinstance(output, SizeTensor)}
        op["sizes"] = [
            {"name": size.name, "output": written[size.name], "upper": show(size.upper), "typical": show(size.typical)}
            for size in traced.sizes
        ]
    if traced.requirements:
        op["valid"], op["valid_text"] = _valid(traced.requirements, cases)
    if traced.cost:
        op["flops"], op["bytes"] = map(show, traced.cost)
    aliases = {output.alias_of: output.name for output in traced.outputs if output.alias_of}
    op["plans"] = [
        _plan(definition.name, row, tactic, aliases, kernels, cases)
        for row, tactics in traced.tactics.items()
        for tactic in tactics
    ]
    if cases.entries():
        op["vars"] = cases.entries()
    if len(cases.entries()) > MAX_VARS:
        raise InputError(
            f"{definition.id}: the conditions of its paths are {len(cases.entries())} values of a call, expected at most {MAX_VARS}",
            where=definition.where,
            hint="fewer conditions on symbols in one aot_impl: write sizes as expressions, opwright.plugin.where(condition, a, b)",
        )
    return op


def _input(tensor: Any, variable: str, least_rank: int) -> dict[str, Any]:
    entry = {"name": tensor.name, "type": variable}
    if tensor.rank is not None:
        entry["rank"] = tensor.rank
    elif least_rank:
        entry["rank"] = [least_rank, MAX_RANK]
    if tensor.variadic:
        entry["variadic_min"] = 1
    return entry | {flag: True for flag in ("optional", "host", "strided", "variadic") if getattr(tensor, flag)}


def _output(output: Any, variable: str, cases: _Vars) -> dict[str, Any]:
    entry = {
        "name": output.name,
        "type": variable,
        "shape": output.shape_expr.map(lambda size: cases.shortened(size)).slices,
    }
    if isinstance(output, SizeTensor):
        entry["size"] = True
    if output.alias_of:
        entry |= {"alias": output.alias_of, "inplace": True}
    return entry


def _attribute(attribute: Any) -> dict[str, Any]:
    entry = {"name": attribute.name, "kind": attribute.kind}
    if attribute.default is not None:
        entry["default"] = list(attribute.default) if attribute.kind == "bytes" else attribute.default
    if attribute.kind == "enum":
        entry["choices"] = list(attribute.choices)
    elif attribute.kind == "string" and attribute.used:
        entry |= {"kind": "enum", "choices": attribute.known()}
    return entry


def _valid(requirements: Sequence[Requirement], cases: _Vars) -> tuple[str, str]:
    """The condition on calls of an operator or a plan, and its texts: a value of -2 - k says that what line k says does not hold. The first
    requirement that does not hold decides: one may rely on those before it."""
    lines = [requirement.text.replace("\n", " ") for requirement in requirements]
    texts = list(dict.fromkeys(lines))
    value: Expr = Num(1)
    for requirement, line in zip(reversed(requirements), reversed(lines), strict=True):
        failed = all_of([*requirement.given, Op("not", (requirement.test,))])
        value = Op("select", (failed, Num(-2 - texts.index(line)), value))
    return show(cases.shortened(value)), "\n".join(texts)


def _plan(op: str, row: int, tactic: Tactic, aliases: dict[str, str], kernels: Kernels, cases: _Vars) -> dict[str, Any]:
    plan: dict[str, Any] = {"combo": row, "device": "cpu", "tactic": tactic.id, "launches": []}
    if tactic.requirements:
        plan["valid"], plan["valid_text"] = _valid(tactic.requirements, cases)
    # of a single path the conditions on calls are enough
    several = len(tactic.paths) > 1
    whens = [cases.name(path.condition) if path.condition and several else "" for path in tactic.paths]
    buffers, names = _buffers(tactic.paths, whens, cases)
    if buffers:
        plan["workspace"] = buffers
    for path, when, own in zip(tactic.paths, whens, names, strict=True):
        # an input that is changed in place is the memory of its output
        plan["launches"] += _launches(op, path, when, aliases | own, kernels)
    return plan


def _buffers(
    paths: Sequence[Leaf[Plan]], whens: Sequence[str], cases: _Vars
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """The buffers of a tactic, and how each path names its own: a call takes one path, so they share what has one element type."""
    sizes: dict[str, list[tuple[str, Expr]]] = {}  # by buffer: in which case it has how many elements
    types: dict[str, list[str]] = {}  # by element type, its buffers
    element: dict[str, str] = {}
    names: list[dict[str, str]] = []
    for path, when in zip(paths, whens, strict=True):
        own: dict[str, str] = {}
        used: dict[str, int] = {}
        for space in path.result.workspaces:
            assert space.element
            dtype = space.element.name
            nth = used.get(dtype, 0)
            used[dtype] = nth + 1
            if nth == len(types.setdefault(dtype, [])):
                name = f"{INTERNAL}buffer{len(sizes)}"
                types[dtype].append(name)
                sizes[name], element[name] = [], dtype
            own[space.name] = types[dtype][nth]
            sizes[own[space.name]].append((when, space.shape_expr.numel().expr))
        names.append(own)
    buffers = []
    for name, known in sizes.items():
        elements: Expr = Num(0)
        for when, count in reversed(known):
            elements = Op("select", (Name(when), count, elements)) if when else count
        buffers.append({"name": name, "dtype": element[name], "elements": show(cases.shortened(elements))})
    return buffers, names


def _launches(op: str, path: Leaf[Plan], when: str, names: dict[str, str], kernels: Kernels) -> list[dict[str, Any]]:
    """The steps of one path, which run where its conditions hold."""
    phase = 0
    made: list[dict[str, Any]] = [{"fill": names[space.name]} for space in path.result.workspaces if space.zero]
    for step in path.result.steps:
        if isinstance(step, SizesKnown):
            phase = 1
        elif isinstance(step, Fill):
            made.append({"fill": names.get(step.tensor, step.tensor)} | ({"phase": 1} if phase else {}))
        else:
            made.append(_launch(op, step, names, kernels) | ({"phase": 1} if phase else {}))
    return [entry | ({"when": when} if when else {}) for entry in made]


def _launch(op: str, launch: Launch, names: dict[str, str], kernels: Kernels) -> dict[str, Any]:
    choices = []
    for variant in variants(launch):
        needs = guards(launch, variant)
        choices.append(({"guards": needs} if needs else {}) | {"kernel": kernels.add(op, launch, variant)})
    arguments = [_text(argument, names, kernels) for argument in launch.arguments]
    return {"grid": launch.grid, "args": arguments, "variants": choices}


def _text(argument: Argument, names: dict[str, str], kernels: Kernels) -> str:
    """An argument as the request has it."""
    if argument.constant is not None:
        return f"const {kernels.add_constant(argument.constant)}"
    return f"ptr {names.get(argument.text, argument.text)}" if argument.pointer else argument.text
