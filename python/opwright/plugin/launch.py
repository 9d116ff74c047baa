"""What an operator runs: a Triton kernel over a grid, with tensors, sizes and attributes as its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opwright import ttir
from opwright.dtypes import BY_NAME, DType
from opwright.errors import InputError
from opwright.expressions import Num, show
from opwright.plugin.symbolic import SymInt, as_int
from opwright.plugin.tensors import TensorDesc

_OPTIONS = {"num_warps": 4, "num_stages": 3}
_INT32 = 2**31 - 1


@dataclass(frozen=True)
class FloatAttribute:
    """A float attribute, as an argument."""

    name: str


@dataclass(frozen=True)
class Argument:
    """One argument of a kernel that is no constant: `text` is what a build request has for it."""

    name: str
    text: str
    dtype: DType | None = None  # of a tensor's elements, or of a float
    pointer: bool = False
    value: int | None = None  # of an integer that is known now


@dataclass
class Launch:
    """A kernel, its grid and its arguments in the order of its parameters."""

    kernel: Any
    grid: list[str]
    arguments: list[Argument]
    constants: dict[str, Any]
    options: dict[str, int]
    file: Path
    line: int
    name: str


def launch(kernel: Any, grid: Sequence[Any] | Any, args: Sequence[Any] = (), **named: Any) -> Launch:
    """One launch of a `@triton.jit` kernel.

    `args` are its first arguments: tensors of the definition, sizes and what is computed of them, attributes, numbers. The others
    follow by name, as do `tl.constexpr`s, which must be Python values. `num_warps` and `num_stages` are taken too.
    """
    jit = ttir.jit_function(kernel)
    if jit is None:
        raise InputError(f"launch of {type(kernel).__name__}, expected a @triton.jit function")
    if jit is not kernel:
        raise InputError(
            f"launch of {jit.__name__!r} with @triton.autotune or @triton.heuristics, expected a plain @triton.jit function",
            hint="make the configurations tactics: AutoTuneCombination(..., tactics=[1, 2])",
        )
    what = f"launch of {jit.__name__!r}"
    sizes = list(grid) if isinstance(grid, (tuple, list)) else [grid]
    if not 1 <= len(sizes) <= 3:
        raise InputError(f"{what}: found a grid of {len(sizes)} sizes, expected 1 to 3")
    options = {name: int(named.pop(name, default)) for name, default in _OPTIONS.items()}
    parameters = {parameter.name: parameter for parameter in jit.params}
    if len(args) > len(parameters):
        raise InputError(
            f"{what}: found {len(args)} arguments, expected at most {len(parameters)}: {', '.join(parameters)}"
        )
    given = dict(zip(parameters, args, strict=False))
    for name, value in named.items():
        if name not in parameters or name in given:
            found = f"{name!r} twice" if name in given else f"the argument {name!r}"
            raise InputError(f"{what}: found {found}, expected each of {', '.join(parameters)} once")
        given[name] = value
    arguments, constants = [], {}
    for name, parameter in parameters.items():
        if name not in given and parameter.has_default:
            given[name] = parameter.default
        if name not in given:
            raise InputError(f"{what}: found no argument for {name!r}", hint=f"it takes {', '.join(parameters)}")
        value = given[name]
        if parameter.is_constexpr or value is None:
            constants[name] = _constant(value, name, what)
        else:
            arguments.append(_argument(value, name, what))
    return Launch(
        jit, [show(as_int(size).expr) for size in sizes], arguments, constants, options,
        Path(jit.fn.__code__.co_filename), ttir.def_line(jit), jit.__name__,
    )  # fmt: skip


def _constant(value: Any, name: str, what: str) -> Any:
    if isinstance(value, SymInt):
        if not value.is_constant:
            raise InputError(
                f"{what}: the constant {name!r} is {show(value.expr)!r}, expected a value that is known when it is built",
                hint="choose it by the tactic, or give the parameter no tl.constexpr",
            )
        return int(value)
    if isinstance(value, (TensorDesc, FloatAttribute)):
        raise InputError(f"{what}: the constant {name!r} is {value!r}, expected a Python value")
    return value


def _argument(value: Any, name: str, what: str) -> Argument:
    if isinstance(value, TensorDesc):
        if value.element is None or not value.name:
            raise InputError(f"{what}: argument {name!r} is {value!r}, expected an input, or one of outputs")
        return Argument(name, f"ptr {value.name}", value.element, pointer=True)
    if isinstance(value, FloatAttribute):
        return Argument(name, f"attr {value.name}", BY_NAME["f32"])
    if isinstance(value, bool):
        raise InputError(f"{what}: argument {name!r} is {value}, expected a tl.constexpr for it, or an integer")
    if isinstance(value, float):
        raise InputError(
            f"{what}: argument {name!r} is {value}, expected a tl.constexpr for a number that never changes"
        )
    number = as_int(value)
    known = number.expr.value if isinstance(number.expr, Num) else None
    return Argument(name, show(number.expr), value=known)


@dataclass
class Fill:
    """A tensor that is set to zeroes."""

    tensor: str


def zero(tensor: TensorDesc) -> Fill:
    """A step that sets an output to zeroes, before the launches that add to it."""
    if not isinstance(tensor, TensorDesc) or not tensor.name:
        raise InputError(f"zero of {tensor!r}, expected one of outputs")
    return Fill(tensor.name)


@dataclass(frozen=True)
class Variant:
    """What a compiled kernel assumes of its arguments, by position; `wide` ones are 64-bit integers."""

    divisible: frozenset[int]
    wide: bool


def variants(launch: Launch) -> list[Variant]:
    """From the one that assumes most to one that assumes nothing: all multiples of 16; memory aligned to 16; anything."""
    arguments = launch.arguments
    pointers = {i for i, a in enumerate(arguments) if a.pointer}
    integers = {i for i, a in enumerate(arguments) if not a.pointer and a.dtype is None and a.value is None}
    fixed = {i for i, a in enumerate(arguments) if a.value is not None and a.value % 16 == 0}
    found = [Variant(frozenset(pointers | integers | fixed), False), Variant(frozenset(pointers | fixed), False)]
    found.append(Variant(frozenset(fixed), True))
    return list(dict.fromkeys(found))


def guards(launch: Launch, variant: Variant) -> list[str]:
    """What must hold of a call's arguments for it."""
    texts = []
    for i, argument in enumerate(launch.arguments):
        if argument.value is not None:
            continue
        if i in variant.divisible:
            texts.append(f"arg {i} % 16 == 0")
        if not variant.wide and not argument.pointer and argument.dtype is None:
            texts += [f"arg {i} <= {_INT32}", f"arg {i} >= {-_INT32 - 1}"]
    return texts


def integer_type(argument: Argument, variant: Variant) -> str:
    """Triton's type of an integer argument."""
    wide = variant.wide if argument.value is None else not -_INT32 - 1 <= argument.value <= _INT32
    return "i64" if wide else "i32"
