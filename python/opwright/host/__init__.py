"""One way to call an operator of a plugin library in every host: for tests of the faces, and of new ones.

    for host in opwright.host.hosts():
        why = host.missing()                          a text where this machine lacks the host
        opened = host.open("libsample.so")
        opened.call(Call("sample::add", [x, y], {"alpha": 2.0}))    arrays, or Refused

A `Host` hands the call to the stock host, in the way of its users; nothing of ours but the plugin lies between. What a host has no
words for, it says: `opened.cannot(call)` is the reason. A new face is done when its Host passes the list of tests/python/face_cases.py.
docs/faces.md shows what passes where.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from opwright.dtypes import DTYPES
from opwright.loader import Attribute, Library, Op, Tensor, dtype_number, load
from opwright.native import numpy_dtype

__all__ = ["Call", "Host", "Opened", "Refused", "hosts"]


class Refused(Exception):
    """The library, or its face, refused the call: str() is what the host shows to its user."""


@dataclass
class Call:
    """One call of an operator, "ns::name" or "ns::name@version". Arrays are NumPy's, with the element types of ml_dtypes.

    `inputs` are in declared order, None is an absent one; the tensors of a variadic input follow one by one.
    `outputs` has an entry for each: True (the host, or the library's face, makes the memory), False (not wanted), or an array, which
    is the caller's memory. Empty means that all are wanted.
    `bounds` are the largest shapes that outputs can have, for those whose size depends on the data (None for the others): where a host
    makes no memory, its user needs them.
    `in_place`: outputs lie in the memory of the inputs that they may share.
    """

    op: str
    inputs: Sequence[np.ndarray | None] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: Sequence[bool | np.ndarray] = ()
    bounds: Sequence[tuple[int, ...] | None] = ()
    in_place: bool = False
    tactic: int = 0


class Opened(ABC):
    """A library that a host has loaded."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.declared: Library = load(self.path)  # what a user of the host reads in the library's documentation

    @abstractmethod
    def call(self, call: Call) -> list[np.ndarray | None]:
        """The outputs, None for those that are not wanted. Raises Refused."""

    def cannot(self, call: Call) -> str | None:
        """Why this host has no words for the call; None where it has."""
        return None

    def op(self, call: Call) -> Op:
        """The operator as it is declared."""
        return self.declared[call.op]

    def wanted(self, call: Call) -> list[bool | np.ndarray]:
        """`outputs` with an entry for each."""
        return list(call.outputs) or [True] * len(self.op(call).outputs)

    def infer(self, call: Call) -> list[tuple[np.dtype, tuple[int, ...]]]:
        """Element type and shape of each output; sizes that depend on the data are -1. Raises Refused."""
        op = self.op(call)
        inputs = [a if a is None or of(op.inputs, i).host else (number(a.dtype), a.shape) for i, a in enumerate(call.inputs)]  # fmt: skip
        try:
            found = op.infer(inputs, call.attributes, len(self.wanted(call)))
        except (TypeError, ValueError, RuntimeError) as e:
            raise Refused(str(e)) from e
        return [(dtype_of(n), tuple(sizes)) for n, sizes in found]


class Host(ABC):
    """A host of plugin libraries. `real` is false for one that only stands for the program that it is named after."""

    name: str
    what: str  # the stock software that runs, in a few words
    real = True

    @abstractmethod
    def missing(self) -> str | None:
        """What this machine lacks, with what to do; None where the host runs."""

    @abstractmethod
    def version(self) -> str:
        """Of the stock software that is here."""

    @abstractmethod
    def open(self, path: str | os.PathLike[str]) -> Opened:
        """Loads a library as the host's users do."""


def hosts() -> list[Host]:
    """Every host that has a face, whether this machine has it or not."""
    from opwright.host import onnxruntime, programs, python, tvmffi

    return [programs.C(), programs.Cpp(), python.NumPy(), python.Torch(), tvmffi.TvmFfi(), onnxruntime.OnnxRuntime()]


# ---- for hosts


def of(declared: Sequence[Tensor], index: int) -> Tensor:
    """The declaration of a tensor by its position in a call: a variadic one takes all that follow."""
    return declared[min(index, len(declared) - 1)]


def groups(declared: Sequence[Tensor], given: Sequence[Any]) -> list[Any]:
    """One entry for each declared tensor, None where it is absent; a list for a variadic one."""
    plain = len(declared) - bool(declared and declared[-1].variadic)
    found = [*given[:plain], *[None] * (plain - len(given))]
    return found if plain == len(declared) else [*found, list(given[plain:])]


def number(dtype: np.dtype) -> int:
    """Of an element type in plugin.h."""
    return dtype_number(dtype.name)


def dtype_of(number: int) -> np.dtype:
    """The element type of a number in plugin.h."""
    return numpy_dtype(DTYPES[number - 1].numpy if number <= len(DTYPES) else "float8_e8m0fnu")


def empty(shape: Sequence[int], dtype: np.dtype, align: int) -> np.ndarray:
    """Memory for an output whose address is a multiple of `align`."""
    count, align = int(np.prod(shape)) * dtype.itemsize, max(align, 1)
    room = np.empty(count + align, np.uint8)
    start = -room.ctypes.data % align
    return room[start : start + count].view(dtype).reshape(tuple(shape))


def attribute(op: Op, name: str) -> Attribute | None:
    """The declaration of an attribute."""
    return next((a for a in op.attributes if a.name == name), None)


def package_version(name: str) -> str:
    """Of an installed Python package."""
    from importlib.metadata import version

    return version(name)


def lacks(package: str) -> str | None:
    """For Host.missing: what to do where a Python package is not there."""
    from importlib.util import find_spec

    return None if find_spec(package) else f"the package {package} is not installed; pip install it"
