"""The vocabulary of a kernel configuration, with PluginGen's names: KernelMetaData, arguments, Type.

A configuration describes each kernel once: its arguments in the order of the Triton kernel's parameters, rules for the
shapes of the outputs, and the launch grid. `ios` keeps that order; callers see parameters first, then inputs. What a class
takes beyond PluginGen's own comes after it and by keyword.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from opwright import dtypes
from opwright.errors import InputError

__all__ = [
    "Argument", "ArgType", "Constexpr", "DType", "DimSizeArg", "InputArg", "KernelMetaData", "OutputArg", "ParamArg", "Type",
]  # fmt: skip


class ArgType(Enum):
    """What an argument is for."""

    INPUT = 0
    OUTPUT = 1
    PARAM = 2
    DIM_SIZE = 3


class DType:
    """PluginGen's names of its element types, for code that compares `Type(...).dtype`."""

    FP16, FP32, FP64 = (dtypes.BY_NAME[name] for name in ("fp16", "fp32", "fp64"))
    INT8, INT32, INT64 = (dtypes.BY_NAME[name] for name in ("i8", "i32", "i64"))


@dataclass(frozen=True, init=False)
class Type:
    """`Type("fp16")` is a scalar, `Type("tensor[fp16]")` a tensor."""

    dtype: dtypes.DType
    is_tensor: bool

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise InputError(f"Type({text!r}): found {type(text).__name__}, expected a string", hint=_TYPE_HINT)
        inner = text.strip()
        tensor = inner.startswith("tensor[")
        if tensor and not inner.endswith("]"):
            raise _type_error(text, "the end", "']'", len(text.rstrip()) + 1)
        if tensor:
            inner = inner[len("tensor[") : -1].strip()
        if inner not in dtypes.BY_NAME:
            column = text.index("[") + 2 if tensor else len(text) - len(text.lstrip()) + 1
            raise _type_error(text, repr(inner), "an element type", column)
        object.__setattr__(self, "dtype", dtypes.BY_NAME[inner])
        object.__setattr__(self, "is_tensor", tensor)

    def __str__(self) -> str:
        return f"tensor[{self.dtype.triton}]" if self.is_tensor else self.dtype.triton

    @property
    def is_scalar(self) -> bool:
        return not self.is_tensor

    @staticmethod
    def from_str(text: str) -> Type:
        """The same as Type(text)."""
        return Type(text)

    def to_triton_sig(self) -> str:
        """As in Triton's signatures: '*fp16', 'i32'."""
        return f"{'*' if self.is_tensor else ''}{self.dtype.triton}"


for _name in ("float16", "float32", "float64", "int8", "int32", "int64"):  # Type.float16() is Type("fp16")
    setattr(Type, _name, staticmethod(partial(Type, _name)))

_TYPE_HINT = "write 'X' for a scalar or 'tensor[X]' for a tensor, X one of " + ", ".join(
    "bool" if d.name == "bool" else d.triton for d in dtypes.DTYPES
)


def _type_error(text: str, found: str, expected: str, column: int) -> InputError:
    return InputError(
        f"Type({text!r}), column {column}: found {found}, expected {expected}",
        detail=f"{text}\n{' ' * (column - 1)}^",
        hint=_TYPE_HINT,
    )


def _listed(hints: Any) -> Any:
    """Lists for tuples, so that equal hints are equal; what is neither is refused when the kernel is checked."""
    return list(hints) if isinstance(hints, tuple | list) else hints


@dataclass
class Argument:
    """One argument of a kernel. `hints` are '', '1' or '16' (a multiple of 16), one per specialisation; `offset` is
    PluginGen's and means nothing here."""

    ArgType: ClassVar[type] = ArgType

    name: str
    dtype: Type
    offset: int = field(default=0, compare=False)
    hints: Sequence[str] = field(default_factory=list)
    arg_type: ArgType = ArgType.INPUT

    @property
    def is_scalar_input(self) -> bool:
        """A value that the caller gives as a tensor of one element in host memory."""
        return self.arg_type is ArgType.INPUT and not self.dtype.is_tensor


class InputArg(Argument):
    """What the caller gives: a tensor, or with a scalar Type a tensor of one element in host memory, whose value the kernel
    gets."""

    def __init__(self, name: str, dtype: Type, offset: int = 0, hints: Sequence[str] = ()) -> None:
        super().__init__(name, dtype, offset, _listed(hints), ArgType.INPUT)


class OutputArg(Argument):
    """A tensor that the kernel writes; a shape rule gives its shape."""

    def __init__(self, name: str, dtype: Type, offset: int = 0, hints: Sequence[str] = ()) -> None:
        super().__init__(name, dtype, offset, _listed(hints), ArgType.OUTPUT)


@dataclass(init=False)
class ParamArg(Argument):
    """A scalar that the caller gives; an attribute of the operator in every host. With a default it may be left out."""

    default: int | float | bool | None = None

    def __init__(
        self, name: str, dtype: Type, offset: int = 0, hints: Sequence[str] = (), *,
        default: int | float | bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(name, dtype, offset, _listed(hints), ArgType.PARAM)
        self.default = default


class DimSizeArg(Argument):
    """A size computed from the inputs' shapes by a rule; callers do not see it. It is an i32 unless `dtype` says more."""

    def __init__(self, name: str, offset: int = 0, hints: Sequence[str] = (), *, dtype: Type | str = "i32") -> None:
        super().__init__(
            name, Type(dtype) if isinstance(dtype, str) else dtype, offset, _listed(hints), ArgType.DIM_SIZE
        )


@dataclass
class Constexpr:
    """The value of a tl.constexpr parameter, by position."""

    value: Any


@dataclass
class KernelMetaData:
    """Everything about one kernel. Paths are relative to the configuration file."""

    kernel_name: str = ""
    ios: Sequence[Argument | Constexpr] = field(default_factory=list)
    shape_infer_rules: Sequence[str] = field(default_factory=list)
    version: int = 1
    kernel_file: str = ""
    num_warps: int = 1
    num_stages: int = 1
    grid_dims: Sequence[str] = ("1", "1", "1")
    places: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Of a kernel in YAML: how messages about a part open -> file:line:column; '' is the kernel."""

    def place(self, message: str) -> str:
        """Where the part of the kernel stands that a message is about; '' where that is not known."""
        opens = [part for part in self.places if part and message.startswith(part)]
        quoted = [part for part in self.places if part.startswith("'") and part in message]
        return self.places.get(max(opens, key=len, default=min(quoted, key=message.index, default="")), "")

    @property
    def arguments(self) -> list[Argument]:
        """`ios` without the Constexprs."""
        return [io for io in self.ios if isinstance(io, Argument)]

    def to_triton_signatures(self) -> list[str]:
        """What Triton's ahead-of-time tool takes, a text per specialisation of the hints: '*fp32:16, i32, 128'."""
        count = max((len(io.hints) for io in self.arguments), default=0)

        def one(io: Argument | Constexpr, k: int) -> str:
            if isinstance(io, Constexpr):
                return str(io.value)
            hint = io.hints[k] if k < len(io.hints) else ""
            return f"{io.dtype.to_triton_sig()}:{hint}" if hint else io.dtype.to_triton_sig()

        return [", ".join(one(io, k) for io in self.ios) for k in range(max(count, 1))]

    @staticmethod
    def load_from_yaml(yaml_path: str | Path = "", yaml_str: str = "") -> KernelMetaData:
        """The kernel of a YAML file or text with one kernel (docs/plugin_gen.md, YAML)."""
        from opwright.plugin_gen.yaml_form import load_kernels

        text = yaml_str or Path(yaml_path).read_text(encoding="utf-8")
        kernels = load_kernels(text, str(yaml_path) or "<yaml>")
        if len(kernels) != 1:
            raise InputError(f"found {len(kernels)} kernels, expected one", where=yaml_path)
        return kernels[0]

    def to_yaml(self) -> str:
        """The text that load_from_yaml reads back to an equal kernel."""
        from opwright.plugin_gen.yaml_form import dump_kernel

        return dump_kernel(self)
