"""What an operator runs: a Triton kernel over a grid, with tensors, sizes and attributes as its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from opwright import ttir
from opwright.dtypes import BY_NAME, DType, numpy_type
from opwright.errors import InputError
from opwright.expressions import Name, Num, Real, show
from opwright.plugin.attributes import LazyAttribute
from opwright.plugin.combinations import dtype_of
from opwright.plugin.configurations import configured
from opwright.plugin.symbolic import SymFloat, SymInt, as_float, as_int
from opwright.plugin.tensors import TensorDesc

_OPTIONS = {"num_warps": 4, "num_stages": 3}
_INT32 = 2**31 - 1
_WORDS = ("ptr", "const", "attr", "var", "stride", "null")  # which begin arguments of a request


@dataclass(frozen=True)
class Argument:
    """One argument of a kernel that is no constant: `text` is a tensor's name, or a number as a build request has it."""

    name: str
    text: str
    dtype: DType | None = None  # of a tensor's elements, or of a float
    pointer: bool = False
    value: int | None = None  # of an integer that is known now
    constant: Any = None  # an array that is in the library, of a pointer
    # Triton's type of the parameter whose first argument this is: sizes, strides and padding follow
    descriptor: str = ""


@dataclass
class Launch:
    """A kernel, its grid and its arguments in the order of its parameters."""

    kernel: Any
    grid: list[str]
    arguments: list[Argument]
    constants: dict[str, Any]
    options: dict[str, int]
    file: Path
    name: str

    def constant_keys(self) -> dict[str, Any]:
        """What makes constants of kernels the same: a text, or the object where a text cannot say it."""
        return {name: ttir.constant_key(value) or id(value) for name, value in sorted(self.constants.items())}

    def facts(self) -> Any:
        """All that makes one launch another."""
        arguments = [
            (
                a.name,
                a.text,
                a.dtype,
                a.pointer,
                a.value,
                a.descriptor,
                None if a.constant is None else a.constant.tobytes(),
            )
            for a in self.arguments
        ]
        return id(self.kernel), self.grid, arguments, self.constant_keys(), self.options


def launch(kernel: Any, grid: Sequence[Any] | Any, args: Sequence[Any] = (), **named: Any) -> Launch:
    """One launch of a `@triton.jit` kernel.

    `args` are its first arguments: tensors of the definition, sizes and what is computed of them, attributes, numbers. The others
    follow by name, as do `tl.constexpr`s, which must be Python values. The grid is its sizes, or as in Triton a function of all arguments.
    `num_warps` and `num_stages` are taken too. A kernel with `@triton.autotune` or `@triton.heuristics` is taken as it is: its
    configurations are tactics. One with `@triton.jit(debug=True)` keeps its `tl.device_assert`s: a call that breaks one ends with its text.
    """
    jit = ttir.jit_function(kernel)
    if jit is None:
        raise InputError(f"launch of {type(kernel).__name__}, expected a @triton.jit function")
    what = f"launch of {jit.__name__!r}"
    parameters = {parameter.name: parameter for parameter in jit.params}
    if len(args) > len(parameters):
        raise InputError(
            f"{what}: found {len(args)} arguments, expected at most {len(parameters)}: {', '.join(parameters)}"
        )
    given = dict(zip(parameters, args, strict=False))
    for name, value in named.items():
        if name in given or (name not in parameters and name not in _OPTIONS):
            found = f"{name!r} twice" if name in given else f"the argument {name!r}"
            raise InputError(f"{what}: found {found}, expected each of {', '.join(parameters)} once")
        given[name] = value
    if jit is not kernel:
        given = configured(kernel, given, what)
    options = {name: _option(name, given.pop(name, default), what) for name, default in _OPTIONS.items()}
    if jit.debug:
        options["debug"] = True
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
            arguments += _arguments(value, name, what)
    sizes = grid({**given, **constants}) if callable(grid) else grid
    sizes = list(sizes) if isinstance(sizes, (tuple, list)) else [sizes]
    if not 1 <= len(sizes) <= 3:
        raise InputError(f"{what}: found a grid of {len(sizes)} sizes, expected 1 to 3")
    return Launch(
        jit, [show(as_int(size).expr) for size in sizes], arguments, constants, options,
        Path(jit.fn.__code__.co_filename), jit.__name__,
    )  # fmt: skip


def _option(name: str, value: Any, what: str) -> int:
    if isinstance(value, SymInt):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{what}: {name} is {value!r}, expected an integer above 0")
    return value


def _constant(value: Any, name: str, what: str) -> Any:
    if isinstance(value, (SymInt, SymFloat)):
        try:
            if isinstance(value, SymInt) and value.is_condition:
                return bool(value)
            return value.python()
        except InputError as e:
            raise InputError(
                f"{what}: the constant {name!r} is {show(value.expr)!r}, expected a value that is known when it is built",
                hint=f"choose it by the tactic, say what it may be (opwright.plugin.one_of({show(value.expr)}, [64, 128])), or give the "
                "parameter no tl.constexpr"
                if "one_of" in e.hint
                else e.hint,
            ) from None
    if isinstance(value, LazyAttribute):
        return value.value
    if isinstance(value, TensorDesc):
        raise InputError(f"{what}: the constant {name!r} is {value!r}, expected a Python value")
    return value


@dataclass(frozen=True)
class Constant:
    """An array that is in the library."""

    array: np.ndarray


def constant(values: Any, dtype: Any = None) -> Constant:
    """An array for a kernel to read, which is put into the library: a table, weights. A kernel must not write to it."""
    array = np.asarray(values) if dtype is None else np.asarray(values).astype(numpy_type(dtype_of(dtype)))
    if array.dtype.name not in BY_NAME or not array.dtype.isnative:
        raise InputError(
            f"a constant has elements of type {array.dtype}, expected a number type", hint="give it a dtype"
        )
    return Constant(np.ascontiguousarray(array))


@dataclass(frozen=True)
class Scalar:
    """A number that a kernel takes as a certain type."""

    value: SymInt | SymFloat
    dtype: DType


def scalar(value: Any, dtype: Any) -> Scalar:
    """A number of this type as an argument of a kernel: a size as INT64, an attribute as FP64, ... The value must fit in it."""
    element = dtype_of(dtype)
    return Scalar(as_float(value) if element.kind == "float" else as_int(value), element)


@dataclass(frozen=True)
class Descriptor:
    """A tensor that a kernel reads and writes by blocks."""

    tensor: TensorDesc
    block: tuple[int, ...]
    nan_outside: bool


def descriptor(tensor: TensorDesc, block_shape: Sequence[Any], padding: str = "zero") -> Descriptor:
    """A tensor descriptor as an argument of a kernel, as triton.tools.tensor_descriptor has it: blocks of this shape, and "zero" or "nan"
    for what a block reads outside of the tensor."""
    block = tuple(int(as_int(size)) for size in block_shape)
    if not isinstance(tensor, TensorDesc) or not tensor.name:
        raise InputError(f"descriptor of {tensor!r}, expected an input, or one of outputs")
    if padding not in ("zero", "nan"):
        raise InputError(f"descriptor of {tensor.name!r} with padding {padding!r}, expected 'zero' or 'nan'")
    if len(block) != len(tensor.shape_expr):
        raise InputError(
            f"descriptor of {tensor.name!r} with blocks of {len(block)} sizes, expected {len(tensor.shape_expr)}: its rank"
        )
    return Descriptor(tensor, block, padding == "nan")


def _arguments(value: Any, name: str, what: str) -> list[Argument]:
    """What a value is to the compiled kernel: one argument, or those of a descriptor."""
    if not isinstance(value, Descriptor):
        return [_argument(value, name, what)]
    base = _argument(value.tensor, name, what)
    assert base.dtype
    sizes = list(value.tensor.shape_expr)
    strides = [SymInt(Num(1))]
    for size in reversed(sizes[1:]):
        strides.insert(0, strides[0] * size)
    if value.tensor.strided:
        strides = [value.tensor.stride(axis) for axis in range(len(sizes))]
    return [
        replace(base, descriptor=f"tensordesc<{base.dtype.triton}{list(value.block)}>"),
        *(Argument(name, show(size.expr), BY_NAME["i32"]) for size in sizes),
        *(Argument(name, show(stride.expr), BY_NAME["i64"]) for stride in strides),
        Argument(name, str(int(value.nan_outside)), BY_NAME["bool"]),
    ]


def _argument(value: Any, name: str, what: str) -> Argument:
    if isinstance(value, TensorDesc):
        if value.element is None or not value.name:
            raise InputError(f"{what}: argument {name!r} is {value!r}, expected an input, or one of outputs")
        return Argument(name, value.name, value.element, pointer=True)
    if isinstance(value, Constant):
        return Argument(name, "", BY_NAME[value.array.dtype.name], pointer=True, constant=value.array)
    if isinstance(value, Scalar):
        return Argument(name, _number(value.value), value.dtype)
    if isinstance(value, LazyAttribute):
        raise InputError(f"{what}: argument {name!r} is {value!r}, which is no number")
    if isinstance(value, bool):
        raise InputError(f"{what}: argument {name!r} is {value}, expected a tl.constexpr for it, or an integer")
    if isinstance(value, (float, SymFloat)):
        return Argument(name, _number(as_float(value)), BY_NAME["f32"])
    number = as_int(value)
    known = number.expr.value if isinstance(number.expr, Num) else None
    text = show(number.expr)
    return Argument(name, f"({text})" if text in _WORDS else text, value=known)


def _number(value: SymInt | SymFloat) -> str:
    expr = value.expr
    if isinstance(value, SymFloat) and isinstance(expr, Name):
        return f"attr {expr.name}"
    return repr(expr.value) if isinstance(expr, Real) else show(expr)


@dataclass
class Fill:
    """A tensor that is set to zeroes."""

    tensor: str


def zero(tensor: TensorDesc) -> Fill:
    """A step that sets an output to zeroes, before the launches that add to it."""
    if not isinstance(tensor, TensorDesc) or not tensor.name:
        raise InputError(f"zero of {tensor!r}, expected one of outputs")
    return Fill(tensor.name)


@dataclass
class SizesKnown:
    """From here on the sizes that depend on data are known."""


def sizes_known() -> SizesKnown:
    """A step between launches: those before it have written the size tensors, those behind it may write outputs of these sizes. Without
    it, all of an operator's launches write into outputs of the largest size, which hosts cut."""
    return SizesKnown()


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
