"""From checked kernels to the build request: operators, variants and the TTIR of each (the schema is in docs/abi.md).

A plan is everything but the TTIR: made without Triton's compiler, so every mistake of a configuration is found before the
first kernel is compiled.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opwright import ttir
from opwright.dtypes import DType
from opwright.errors import InputError
from opwright.expressions import Expr, Interval, Name, Num, interval, show
from opwright.plugin_gen.config import where
from opwright.plugin_gen.core import ArgType, Argument, Constexpr, KernelMetaData, ParamArg
from opwright.plugin_gen.expressions import lower, parse, resolve
from opwright.plugin_gen.rules import Shapes, is_integer_scalar, parse_rules, scalar_value, similar, solve
from opwright.plugin_gen.variants import Variant, variants
from opwright.user_files import run_file

LIBRARY = "libtriton_plugins.so"
SCHEMA = 1


@dataclass
class Plan:
    """One operator: its kernel, its shapes and its variants."""

    meta: KernelMetaData
    function: Any
    file: Path
    line: int
    shapes: Shapes
    grid: list[str]
    variants: list[Variant]
    unchecked: list[str]  # inputs that no shape rule names: a call may pass any size
    arguments: list[Argument] = field(init=False)

    def __post_init__(self) -> None:
        self.arguments = [io for io in self.meta.ios if isinstance(io, Argument)]

    @property
    def name(self) -> str:
        return self.meta.kernel_name

    @property
    def version(self) -> int:
        """Operators start at version 1; PluginGen's examples say 0."""
        return max(self.meta.version, 1)

    def of(self, kind: ArgType) -> list[Argument]:
        """Arguments of one kind in the kernel's order."""
        return [a for a in self.arguments if a.arg_type is kind]

    def doc(self) -> str:
        """The kernel's docstring."""
        return inspect.cleandoc(ttir.jit_function(self.function).fn.__doc__ or "")


def plan_kernels(kernels: Sequence[KernelMetaData], config: Path) -> list[Plan]:
    """Checks every kernel against its Triton function and its rules."""
    ttir.import_triton()
    files: dict[Path, Any] = {}
    plans = []
    for meta in kernels:
        file = (config.parent / meta.kernel_file).resolve()
        try:
            if file not in files:
                files[file] = run_file(file, f"_opwright_kernels_{len(files)}", "kernel_file")
            plans.append(_plan(meta, files[file], file))
        except InputError as e:
            raise e.at(where(meta, config, e)) from None
    return plans


def _plan(meta: KernelMetaData, module: Any, file: Path) -> Plan:
    function = getattr(module, meta.kernel_name, None)
    jit = ttir.jit_function(function)
    if jit is None:
        known = [n for n, v in vars(module).items() if ttir.jit_function(v) is not None]
        what = (
            f"{meta.kernel_name!r} is {type(function).__name__}" if function is not None else f"no {meta.kernel_name!r}"
        )
        raise InputError(
            f"found {what} in {file.name}, expected a @triton.jit function of that name",
            hint=similar(meta.kernel_name, known) or f"the file has {', '.join(known) or 'no @triton.jit function'}",
        )
    names = list(jit.arg_names)
    if len(names) != len(meta.ios):
        raise InputError(
            f"ios has {len(meta.ios)} entries, the kernel has {len(names)} parameters: {', '.join(names)}",
            hint="list one entry per parameter, in the kernel's order, a Constexpr for every tl.constexpr",
        )
    for name, parameter, io in zip(names, jit.params, meta.ios, strict=True):
        if parameter.is_constexpr and not isinstance(io, Constexpr):
            raise InputError(
                f"parameter {name!r} of the kernel is a tl.constexpr, found {type(io).__name__} {io.name!r}",
                hint="put Constexpr(value) at its place: the order of ios is the order of the kernel's parameters",
            )
    arguments = [io for io in meta.ios if isinstance(io, Argument)]
    rules = parse_rules(meta.shape_infer_rules)
    shapes = solve(arguments, rules)
    checked = {pattern.tensor for rule in rules for pattern in rule.left}
    unchecked = [
        a.name for a in arguments if a.arg_type is ArgType.INPUT and not a.is_scalar_input and a.name not in checked
    ]
    constants = {n: io.value for n, io in zip(names, meta.ios, strict=True) if isinstance(io, Constexpr)}
    bounds = _Bounds(arguments, shapes)
    grid = [_grid(text, axis, arguments, constants, bounds) for axis, text in enumerate(meta.grid_dims)]
    line = ttir.def_line(jit)
    return Plan(meta, function, file, line, shapes, grid, variants(arguments), unchecked)


class _Bounds:
    """What is known about the names of a grid: types of parameters, values of DimSizeArgs."""

    def __init__(self, arguments: Sequence[Argument], shapes: Shapes) -> None:
        self.types = {a.name: a.dtype.dtype for a in arguments}
        self.shapes = shapes

    def __call__(self, name: str) -> Interval:
        if name in self.shapes.variables:
            return interval(self.shapes.variables[name], self)
        dtype = self.types[name]
        if dtype.kind == "bool":
            return 0, 1
        half = 2.0 ** (dtype.bits - 1)
        return (0, 2 * half) if dtype.kind == "uint" else (-half, half)


def _grid(text: str, axis: int, arguments: Sequence[Argument], constants: dict[str, Any], bounds: _Bounds) -> str:
    what = f"grid_dims[{axis}]"
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str):
        raise InputError(f"{what} is {text!r}, expected a C expression in a string", hint="'(n + 127) / 128'")
    by_name = {a.name: a for a in arguments}

    def bind(name: Name) -> Expr:
        argument = by_name.get(name.name)
        if argument is not None and is_integer_scalar(argument):
            return scalar_value(argument, name)
        value = constants.get(name.name)
        if argument is None and isinstance(value, int):
            return Num(int(value))
        found = f"{name.name!r}, which is {argument.dtype}" if argument is not None else f"{name.name!r}"
        known = [a.name for a in arguments if is_integer_scalar(a)]
        known += [n for n, v in constants.items() if isinstance(v, int)]
        hint = similar(name.name, known)
        if argument is not None and argument.dtype.is_tensor:
            hint = (
                f"a size of {name.name!r} comes through a DimSizeArg and a rule such as '{name.name}[m, *] : m -> size'"
            )
        raise InputError(
            f"{what}, column {name.column}: found {found}, expected an integer argument (one of {', '.join(known) or 'none'})",
            detail=f"{text}\n{' ' * (name.column - 1)}^",
            hint=hint or "use a ParamArg or a DimSizeArg",
        )

    return show(lower(resolve(parse(text, "grid", what), bind), bounds))


def compile_variant(plan: Plan, variant: Variant) -> str:
    """TTIR of one variant."""
    names = ttir.jit_function(plan.function).arg_names
    signature: dict[str, str] = {}
    constexprs: dict[str, Any] = {}
    divisible: list[int] = []
    position = 0
    for i, (name, io) in enumerate(zip(names, plan.meta.ios, strict=True)):
        if isinstance(io, Constexpr):
            signature[name] = "constexpr"
            constexprs[name] = io.value
            continue
        if position in variant.ones:
            signature[name] = "constexpr"
            constexprs[name] = 1
        else:
            signature[name] = ("*" if io.dtype.is_tensor else "") + io.dtype.dtype.triton
            if position in variant.divisible:
                divisible.append(i)
        position += 1
    return ttir.make_ttir(
        plan.function, signature, constexprs, divisible, roots=[plan.file.parent],
        num_warps=plan.meta.num_warps, num_stages=plan.meta.num_stages,
    )  # fmt: skip


def kernel_id(plan: Plan, index: int) -> str:
    """Name of a variant in the request."""
    return f"{plan.name}.v{index}"


def kernel_path(plan: Plan, index: int) -> str:
    """Where a variant's TTIR lies in the workspace."""
    return f"{plan.name}/v{index}.ttir"


def build_request(
    plans: Sequence[Plan], texts: dict[str, str], namespace: str, cpu_levels: Sequence[str]
) -> dict[str, Any]:
    """The request for `texts`, a TTIR text per kernel path."""
    kernels = []
    for plan in plans:
        for i, variant in enumerate(plan.variants):
            text = texts[kernel_path(plan, i)]
            kernels.append({
                "id": kernel_id(plan, i), "name": plan.name, "file": plan.file.name, "line": plan.line,
                "ttir": kernel_path(plan, i), "sha256": hashlib.sha256(text.encode()).hexdigest(),
                "params": [_param(a.dtype.is_tensor, j in variant.ones, a.dtype.dtype) for j, a in enumerate(plan.arguments)],
            })  # fmt: skip
    return {
        "opwright": SCHEMA,
        "library": LIBRARY,
        "namespace": namespace,
        "faces": ["c", "onnxruntime", "tvmffi"],
        "targets": {"cpu": list(cpu_levels)},
        "kernels": kernels,
        "ops": [_op(plan) for plan in plans],
    }


def _param(pointer: bool, one: bool, dtype: DType) -> dict[str, str]:
    if pointer:
        return {"kind": "pointer"}
    return {"kind": "dropped"} if one else {"kind": "scalar", "dtype": dtype.name}


_PASS = {ArgType.INPUT: "ptr", ArgType.OUTPUT: "ptr", ArgType.PARAM: "attr", ArgType.DIM_SIZE: "var"}


def _pass(argument: Argument) -> str:
    """How a launch gives the argument to the kernel."""
    if argument.is_scalar_input:
        return show(scalar_value(argument, Name(argument.name)))
    return f"{_PASS[argument.arg_type]} {argument.name}"


def _input(argument: Argument, ranks: tuple[int, int]) -> dict[str, Any]:
    entry = {"name": argument.name, "type": argument.dtype.dtype.name, "rank": _rank(*ranks)}
    return entry | {"host": True} if argument.is_scalar_input else entry


def _attr(argument: Argument) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": argument.name, "kind": argument.dtype.dtype.attr_kind}
    default = argument.default if isinstance(argument, ParamArg) else None
    return entry if default is None else entry | {"default": default}


def _op(plan: Plan) -> dict[str, Any]:
    ranks = plan.shapes.ranks
    op: dict[str, Any] = {
        "name": plan.name,
        "version": plan.version,
        "doc": plan.doc(),
        "inputs": [_input(a, ranks[a.name]) for a in plan.of(ArgType.INPUT)],
        "outputs": [
            {"name": a.name, "type": a.dtype.dtype.name, "shape": plan.shapes.outputs[a.name]}
            for a in plan.of(ArgType.OUTPUT)
        ],
        "attrs": [_attr(a) for a in plan.of(ArgType.PARAM)],
        "vars": [[name, show(expr)] for name, expr in plan.shapes.variables.items()],
    }
    if plan.shapes.conditions:
        op["valid"] = " and ".join(plan.shapes.conditions)
        scalars = [f"{a.name}[1]" for a in plan.arguments if a.is_scalar_input]
        op["valid_text"] = "the sizes do not fit " + " and ".join([*scalars, *plan.shapes.patterns])
    choices: list[dict[str, Any]] = []
    for i, variant in enumerate(plan.variants):
        guards = variant.guards()
        choices.append(({"guards": guards} if guards else {}) | {"kernel": kernel_id(plan, i)})
    launch = {"grid": plan.grid, "args": [_pass(a) for a in plan.arguments], "variants": choices}
    op["plans"] = [{"combo": 0, "device": "cpu", "tactic": 1, "launches": [launch]}]
    return op


def _rank(low: int, high: int) -> int | list[int]:
    return low if low == high else [low, high]
