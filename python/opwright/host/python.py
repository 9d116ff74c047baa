"""opwright.load on NumPy arrays and on torch tensors."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from opwright.host import Call, Host, Opened, Refused, lacks, package_version


class _Loaded(Opened):
    def given(self, array: np.ndarray | None) -> Any:
        """An argument for this array."""
        return array

    def array(self, found: Any) -> np.ndarray:
        """What a call gave, as an array."""
        return found

    def call(self, call: Call) -> list[np.ndarray | None]:
        op = self.op(call)
        inputs = [self.given(a) for a in call.inputs]
        options: dict[str, Any] = {"tactic": call.tactic} if call.tactic else {}
        memory: list[Any] = []
        if call.outputs:
            memory = [self.given(o) if isinstance(o, np.ndarray) else None if o else False for o in call.outputs]
            options["out"] = tuple(memory)
        try:
            found = (op.inplace if call.in_place else op)(*inputs, **call.attributes, **options)
        except (TypeError, ValueError, RuntimeError, MemoryError) as e:
            raise Refused(str(e)) from e
        found = found if isinstance(found, tuple) else (found,)
        for given, output in zip(memory, found, strict=bool(memory)):
            if given is not None and given is not False and output is not given:
                raise AssertionError(f"{op} did not return the memory that it was given")
        return [None if output is None else self.array(output) for output in found]


class NumPy(Host):
    """Arrays of NumPy and ml_dtypes."""

    name, what = "NumPy", "`opwright.load` on NumPy arrays"

    def missing(self) -> str | None:
        return lacks("ml_dtypes")

    def version(self) -> str:
        return f"numpy {np.__version__}, ml_dtypes {package_version('ml_dtypes')}"

    def open(self, path: str | os.PathLike[str]) -> Opened:
        return _Loaded(path)


class _LoadedForTorch(_Loaded):
    def given(self, array: np.ndarray | None) -> Any:
        return None if array is None else to_torch(array)

    def array(self, found: Any) -> np.ndarray:
        return found if isinstance(found, np.ndarray) else from_torch(found)  # without tensors, NumPy's

    def cannot(self, call: Call) -> str | None:
        return torch_lacks(call)


class Torch(Host):
    """CPU tensors of torch."""

    name, what = "torch", "`opwright.load` on torch CPU tensors"

    def missing(self) -> str | None:
        return lacks("torch") or lacks("ml_dtypes")

    def version(self) -> str:
        return f"torch {package_version('torch')}"

    def open(self, path: str | os.PathLike[str]) -> Opened:
        return _LoadedForTorch(path)


# ---- arrays and tensors of one memory


def torch_lacks(call: Call) -> str | None:
    """Why torch tensors cannot carry the call."""
    import torch

    for array in (*call.inputs, *call.outputs):
        if isinstance(array, np.ndarray) and not hasattr(torch, array.dtype.name):
            return f"torch has no element type {array.dtype.name}"
        if isinstance(array, np.ndarray) and any(stride < 0 for stride in array.strides):
            return "torch has no negative strides"
    return None


def to_torch(array: np.ndarray) -> Any:
    """A tensor in the array's memory. torch knows a few of NumPy's element types; the others go as bytes."""
    import torch

    dtype = getattr(torch, array.dtype.name)
    carrier = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[array.itemsize]
    if not array.size:
        return torch.empty(array.shape, dtype=dtype)
    plain = array.view(np.dtype(str(carrier).removeprefix("torch.")))
    return torch.from_numpy(plain).view(dtype)


def from_torch(tensor: Any) -> np.ndarray:
    """An array in the tensor's memory."""
    import torch

    from opwright.native import numpy_dtype

    dtype = numpy_dtype(str(tensor.dtype).removeprefix("torch."))
    return tensor.detach().reshape(-1).view(torch.uint8).numpy().view(dtype).reshape(tuple(tensor.shape))
