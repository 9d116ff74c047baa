"""The vocabulary of a kernel_config.py, with PluginGen's names: KernelMetaData, arguments, Type.

A configuration describes each kernel once: its arguments in the order of the Triton kernel's parameters, rules for the
shapes of the outputs, and the launch grid. `ios` keeps that order; callers see parameters first, then inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

from opwright.dtypes import BY_NAME, DTYPES, DType
from opwright.errors import InputError

__all__ = [
    "Argument", "ArgType", "Constexpr", "DimSizeArg", "InputArg", "KernelMetaData", "OutputArg", "ParamArg", "Type",
]  # fmt: skip


class ArgType(Enum):
    """What an argument is for."""

    INPUT = 0
    OUTPUT = 1
    PARAM = 2
    DIM_SIZE = 3


@dataclass(frozen=True, init=False)
class Type:
    """`Type("fp16")` is a scalar, `Type("tensor[fp16]")` a tensor."""

    dtype: DType
    is_tensor: bool

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise InputError(f"Type({text!r}): found {type(text).__name__}, expected a string", hint=_TYPE_HINT)
        inner = text.strip()
        tensor = inner.startswith("tensor[") and inner.endswith("]")
        if tensor:
            inner = inner[len("tensor[") : -1].strip()
        if inner not in BY_NAME:
            raise InputError(f"Type({text!r}): {inner!r} is not an element type", hint=_TYPE_HINT)
        object.__setattr__(self, "dtype", BY_NAME[inner])
        object.__setattr__(self, "is_tensor", tensor)

    def __str__(self) -> str:
        return f"tensor[{self.dtype.triton}]" if self.is_tensor else self.dtype.triton


_TYPE_HINT = "write 'X' for a scalar or 'tensor[X]' for a tensor, X one of " + ", ".join(
    "bool" if d.name == "bool" else d.triton for d in DTYPES
)


@dataclass
class Argument:
    """One argument of a kernel. `hints` are '', '1' or '16' (a multiple of 16), one per specialisation."""

    name: str
    dtype: Type
    offset: int = 0
    hints: Sequence[str] = field(default_factory=list)
    arg_type: ArgType = ArgType.INPUT


class InputArg(Argument):
    """A tensor that the caller gives."""

    def __init__(self, name: str, dtype: Type, hints: Sequence[str] = ()) -> None:
        super().__init__(name, dtype, 0, list(hints), ArgType.INPUT)


class OutputArg(Argument):
    """A tensor that the kernel writes; a shape rule gives its shape."""

    def __init__(self, name: str, dtype: Type, hints: Sequence[str] = ()) -> None:
        super().__init__(name, dtype, 0, list(hints), ArgType.OUTPUT)


class ParamArg(Argument):
    """A scalar that the caller gives; an attribute of the operator in every host."""

    def __init__(self, name: str, dtype: Type, hints: Sequence[str] = ()) -> None:
        super().__init__(name, dtype, 0, list(hints), ArgType.PARAM)


class DimSizeArg(Argument):
    """A 32-bit size computed from the inputs' shapes by a rule; callers do not see it."""

    dtype_: ClassVar[str] = "i32"

    def __init__(self, name: str, hints: Sequence[str] = ()) -> None:
        super().__init__(name, Type(self.dtype_), 0, list(hints), ArgType.DIM_SIZE)


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
