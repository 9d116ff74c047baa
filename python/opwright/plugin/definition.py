"""Declaring operators: the decorators, and what is checked when they are used."""

from __future__ import annotations

import inspect
import re
import traceback
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opwright.dtypes import DType
from opwright.errors import InputError, OpwrightError
from opwright.expressions import Expr, show
from opwright.plugin import attributes as attribute_kinds
from opwright.plugin.attributes import Attribute
from opwright.plugin.symbolic import as_int, no_counted_size
from opwright.plugin.tensors import TensorDesc

_ID = re.compile(r"[A-Za-z_]\w*::[A-Za-z_]\w*")
_TAKEN = {"outputs", "stream", "tactic", "true", "false"}
MAX_RANK = 16
INTERNAL = "opw_"  # how names begin that a build request has beside the author's


@dataclass
class Input:
    """A tensor that an operator takes."""

    name: str
    rank: int | None = None  # None: any
    optional: bool = False
    host: bool = False  # in host memory, read before the launches
    strided: bool = False  # of any strides, not only row-major
    variadic: bool = False  # the last one: any number of tensors from 1, called name[0], name[1], ...
    counts: list[int] = field(default_factory=list)  # known numbers of them


@dataclass
class Definition:
    """One operator: the functions that its author has given so far."""

    id: str
    register: Callable
    inputs: list[Input]
    attributes: dict[str, Attribute]
    output_names: tuple[str, ...] | None
    version: int
    file: Path
    line: int
    autotune: Callable | None = None
    aot_impl: Callable | None = None
    impl: Callable | None = None
    cost: Callable | None = None
    ranks: dict[str, list[int]] = field(default_factory=dict)  # known ones of inputs of any rank
    # The types of the inputs, where a model is known: without an autotune.
    types: list[tuple[DType, ...]] = field(default_factory=list)
    doc: str = field(default="")

    @property
    def namespace(self) -> str:
        return self.id.partition("::")[0]

    @property
    def name(self) -> str:
        return self.id.partition("::")[2]

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass
class _Conditions:
    """What a function of a definition requires: of calls to come, or with `concrete` of the arrays that are there."""

    concrete: bool
    found: list[tuple[Expr, str]] = field(default_factory=list)


_definitions: dict[str, Definition] = {}
_conditions: ContextVar[_Conditions] = ContextVar("_conditions")


@contextmanager
def collected() -> Iterator[dict[str, Definition]]:
    """The definitions that are made inside, and those alone."""
    global _definitions
    outer, _definitions = _definitions, {}
    try:
        yield _definitions
    finally:
        _definitions = outer


def register(
    op_id: str, *, ranks: Mapping[str, int] | None = None, outputs: Sequence[str] | None = None, version: int = 1,
    choices: Mapping[str, Sequence[Any]] | None = None, host: Sequence[str] = (), strided: Sequence[str] = (),
    lazy_register: bool = False,
) -> Callable[[Callable], Callable]:  # fmt: skip
    """Declares an operator: the function takes its inputs and attributes and returns what the outputs are.

    `ranks` are those of inputs of one fixed rank; `outputs` are the outputs' names (out, or out0, out1, ...); `choices` are the values
    of attributes that the library is built for, where the definition uses their Python values; `host` names inputs that are read as
    numbers, `strided` those that need not be row-major. `lazy_register` is TensorRT's and changes nothing.
    """
    if not isinstance(op_id, str) or not _ID.fullmatch(op_id):
        raise InputError(f"found the operator id {op_id!r}, expected namespace::name", hint='@register("sample::add")')
    if not isinstance(version, int) or version < 1:
        raise InputError(f"{op_id}: found version {version!r}, expected an integer from 1")

    def declare(function: Callable) -> Callable:
        if op_id in _definitions:
            raise InputError(
                f"{op_id} is registered twice, expected one definition (the other is at {_definitions[op_id].where})",
                where=_place(function),
            )
        try:
            inputs, attributes = _signature(function)
            _set_up(inputs, ranks or {}, host, strided)
            _add_choices(inputs, attributes, choices or {})
        except InputError as e:
            raise e.at(f"{_place(function)}: {op_id}") from None
        code = function.__code__
        _definitions[op_id] = Definition(
            op_id, function, list(inputs.values()), attributes, tuple(outputs) if outputs is not None else None,
            version, Path(code.co_filename), code.co_firstlineno, doc=inspect.cleandoc(function.__doc__ or ""),
        )  # fmt: skip
        return function

    return declare


def autotune(op_id: str) -> Callable[[Callable], Callable]:
    """Gives an operator its element types and tactics: the function returns a list of AutoTuneCombination."""
    return _part(op_id, "autotune", {"outputs"})


def aot_impl(op_id: str) -> Callable[[Callable], Callable]:
    """Gives an operator its kernels: the function returns one launch, or a list of launches, for a combination and tactic."""
    return _part(op_id, "aot_impl", {"outputs", "tactic"})


def impl(op_id: str) -> Callable[[Callable], Callable]:
    """Gives an operator a function on arrays that does the same: what `opwright verify` compares with, and what
    `opwright.plugin.call` runs. Its outputs are arrays to write."""
    return _part(op_id, "impl", {"outputs", "stream", "tactic"})


def cost(op_id: str) -> Callable[[Callable], Callable]:
    """Gives an operator formulas for reports: the function returns (floating-point operations, bytes read and written)."""
    return _part(op_id, "cost", {"outputs"})


def require(condition: Any, text: str = "") -> None:
    """A call whose sizes and attributes do not hold this is refused, with the text. In `aot_impl` it is about the element types and the
    tactic at hand: another tactic is taken where there is one that takes the call."""
    found = _conditions.get(None)
    if found is None:
        raise InputError("found require outside of register and aot_impl, expected it in one of them")
    test = as_int(condition)
    no_counted_size(test.expr, "in require")
    if test.is_constant and not test:
        raise InputError(text if found.concrete and text else f"the condition {text!r} never holds")
    if not test.is_constant:
        found.found.append((test.expr, text or show(test.expr)))


@contextmanager
def conditions(concrete: bool = False) -> Iterator[list[tuple[Expr, str]]]:
    """What is required inside: expressions, and what to say where one does not hold."""
    conditions = _Conditions(concrete)
    token = _conditions.set(conditions)
    try:
        yield conditions.found
    finally:
        _conditions.reset(token)


def find(op_id: str) -> Definition:
    """A definition that this process has made."""
    if op_id not in _definitions:
        raise InputError(f"no operator {op_id!r} is registered, expected one of {', '.join(_definitions) or 'none'}")
    return _definitions[op_id]


def all_registered() -> Mapping[str, Definition]:
    """Every definition that this process has made, by id."""
    return _definitions


def default_names(count: int) -> tuple[str, ...]:
    """Of outputs whose names register does not give."""
    return ("out",) if count == 1 else tuple(f"out{i}" for i in range(count))


def call(definition: Definition, function: Callable, values: Mapping[str, Callable[[], Any]]) -> Any:
    """Calls one of its functions with those of the values that it asks for; the others are not made. What the function raises is the
    author's to mend, with the line."""
    try:
        return function(**{name: values[name]() for name in inspect.signature(function).parameters})
    except InputError as e:
        raise e.at(f"{_place(function)}: {definition.id}") from None
    except OpwrightError:
        raise
    except Exception as e:
        file = function.__code__.co_filename
        lines = [frame.lineno for frame in traceback.extract_tb(e.__traceback__) if frame.filename == file]
        raise InputError(
            f"{definition.id}: {function.__name__} raises {type(e).__name__}: {e}",
            where=f"{file}:{lines[-1] if lines else function.__code__.co_firstlineno}",
            hint="what a call must meet is said with opwright.plugin.require" if isinstance(e, AssertionError) else "",
        ) from e


def _part(op_id: str, what: str, more: set[str]) -> Callable[[Callable], Callable]:
    """A decorator that puts a function into a definition; its parameters are inputs, attributes, and some of `more`."""

    def declare(function: Callable) -> Callable:
        definition = _find(op_id, function, what)
        _check_names(definition, function, more)
        setattr(definition, what, function)
        return function

    return declare


def _find(op_id: str, function: Callable, what: str) -> Definition:
    definition = _definitions.get(op_id)
    if definition is None:
        known = ", ".join(_definitions) or "none"
        raise InputError(
            f"@{what}({op_id!r}): no such operator is registered, expected one of those before it ({known})",
            where=_place(function),
        )
    if getattr(definition, what) is not None:
        raise InputError(f"{op_id} has two functions for {what}, expected one", where=_place(function))
    return definition


def _place(function: Callable) -> str:
    return f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"


def _check_names(definition: Definition, function: Callable, more: set[str]) -> None:
    known = [*(tensor.name for tensor in definition.inputs), *definition.attributes, *sorted(more)]
    unknown = [name for name in inspect.signature(function).parameters if name not in known]
    if unknown:
        raise InputError(
            f"found the parameter {unknown[0]!r}, expected some of {', '.join(known)}",
            where=f"{_place(function)}: {definition.id}",
        )


def _set_up(inputs: Mapping[str, Input], ranks: Mapping[str, int], host: Sequence[str], strided: Sequence[str]) -> None:
    """What register's arguments say of inputs."""
    for what, names in (("ranks", ranks), ("host", host), ("strided", strided)):
        wrong = set(names) - set(inputs)
        if wrong or isinstance(names, str):
            found = repr(names) if isinstance(names, str) else repr(min(wrong))
            raise InputError(f"{what} names {found}, expected one of the inputs {', '.join(inputs)}")
    for name, rank in ranks.items():
        if not isinstance(rank, int) or not 0 <= rank <= MAX_RANK:
            raise InputError(f"the rank of {name!r} is {rank!r}, expected 0 to {MAX_RANK}")
        inputs[name].rank = rank
    for name in host:
        inputs[name].host = True
    for name in strided:
        inputs[name].strided = True


def _add_choices(
    inputs: Mapping[str, Input], attributes: Mapping[str, Attribute], choices: Mapping[str, Sequence[Any]]
) -> None:
    """Notes known values of attributes, and known numbers of tensors."""
    for name, values in choices.items():
        if name not in inputs or not inputs[name].variadic:
            attribute_kinds.add_values(attributes, {name: values}, "choices")
            continue
        wrong = [count for count in values if not isinstance(count, int) or not 1 <= count <= 255]
        if wrong:
            raise InputError(f"choices of {name!r} are {list(values)}, expected numbers of tensors from 1 to 255")
        inputs[name].counts += [count for count in values if count not in inputs[name].counts]


def _signature(function: Callable) -> tuple[dict[str, Input], dict[str, Attribute]]:
    """Inputs first, then attributes: what each is, its annotation says."""
    hints = typing.get_type_hints(function)
    inputs: dict[str, Input] = {}
    attributes: dict[str, Attribute] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        annotation = hints.get(name)
        default = None if parameter.default is inspect.Parameter.empty else parameter.default
        if name.startswith(INTERNAL):
            raise InputError(f"found a parameter named {name!r}, expected a name that does not begin with {INTERNAL}")
        if name in _TAKEN:
            raise InputError(f"found a parameter named {name!r}, which has a meaning of its own; expected another name")
        optional = attribute_kinds.is_optional(annotation, TensorDesc)
        variadic = typing.get_args(annotation) == (TensorDesc,)
        if annotation is TensorDesc or optional or variadic:
            _check_input(name, parameter, optional, inputs, attributes)
            inputs[name] = Input(name, optional=optional, variadic=variadic)
            continue
        attribute = None if annotation is None else attribute_kinds.declare(name, annotation, default)
        if attribute is None:
            found = (
                "no annotation"
                if annotation is None
                else f"the annotation {getattr(annotation, '__name__', annotation)}"
            )
            raise InputError(
                f"parameter {name!r} has {found}, expected {attribute_kinds.EXPECTED}",
                hint="x: TensorDesc, alpha: float",
            )
        attributes[name] = attribute
    if not inputs:
        raise InputError("found no input, expected at least one TensorDesc")
    return inputs, attributes


def _check_input(
    name: str, parameter: inspect.Parameter, optional: bool, before: Mapping[str, Input], attributes: Mapping[str, Attribute]
) -> None:  # fmt: skip
    if attributes:
        raise InputError(f"found the tensor {name!r} behind attributes, expected tensors first")
    variadic = [each.name for each in before.values() if each.variadic]
    if variadic:
        raise InputError(
            f"found the tensor {name!r} behind {variadic[0]!r}, expected a variable number of tensors last"
        )
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        raise InputError(f"found *{name}, expected one parameter for all of them", hint=f"{name}: list[TensorDesc]")
    if not optional and parameter.default is not inspect.Parameter.empty:
        raise InputError(
            f"found a default of the tensor {name!r}, expected none", hint=f"optional: {name}: TensorDesc | None = None"
        )
