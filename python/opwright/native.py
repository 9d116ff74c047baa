"""Calls an Opwright plugin library from Python. Needs NumPy; torch only when given torch tensors.

This text also opens every generated functional.py, which must run without Opwright: it imports nothing of the package
but seal.py, whose text stands there too.
It follows opwright/plugin.h; the structures below are the part of that header that calls need.
"""

from __future__ import annotations

import ctypes
import functools
import operator
import os
import sys
from typing import Any

import numpy as np

from opwright.seal import check_file

ABI_MAJOR = 0
_MAX_RANK = 16
_CPU = 1
# NumPy's and torch's name of an element type -> DLPack code and bits
_ELEMENTS = {
    "bool": (6, 8), "int8": (0, 8), "int16": (0, 16), "int32": (0, 32), "int64": (0, 64), "uint8": (1, 8),
    "uint16": (1, 16), "uint32": (1, 32), "uint64": (1, 64), "float16": (2, 16), "bfloat16": (4, 16),
    "float32": (2, 32), "float64": (2, 64), "float8_e4m3fn": (10, 8), "float8_e5m2": (12, 8),
    "float8_e4m3fnuz": (11, 8), "float8_e5m2fnuz": (13, 8), "float8_e4m3b11fnuz": (9, 8), "float8_e8m0fnu": (14, 8),
}  # fmt: skip
_NAMES = {element: name for name, element in _ELEMENTS.items()}


class PluginError(RuntimeError):
    """A library that cannot be used, or a call that the library refused; `code` is the opw_status_t of a refusal."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class _Error(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_uint32), ("code", ctypes.c_int32), ("text", ctypes.c_char_p),
        ("text_size", ctypes.c_size_t),
    ]  # fmt: skip


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32),
        ("dl_code", ctypes.c_uint8), ("dl_bits", ctypes.c_uint8), ("dl_lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]  # fmt: skip


class _AttrUnion(ctypes.Union):
    _fields_ = [("i", ctypes.c_int64), ("f", ctypes.c_double), ("p", ctypes.c_void_p)]


class _Attr(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_uint32), ("count", ctypes.c_uint32), ("u", _AttrUnion)]


class _Call(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("inputs", ctypes.c_void_p),
        ("outputs", ctypes.c_void_p), ("attrs", ctypes.c_void_p), ("input_count", ctypes.c_uint32),
        ("output_count", ctypes.c_uint32), ("attr_count", ctypes.c_uint32), ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32), ("tactic", ctypes.c_int32), ("stream", ctypes.c_void_p),
        ("workspace", ctypes.c_void_p), ("workspace_bytes", ctypes.c_size_t), ("host", ctypes.c_void_p),
        ("phases", ctypes.c_uint32), ("reserved", ctypes.c_uint32),
    ]  # fmt: skip


_Find = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int32)
_Run = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.POINTER(_Call), ctypes.POINTER(_Error))


class _Api(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_uint32), ("reserved", ctypes.c_uint32), ("find", _Find), ("check", ctypes.c_void_p),
        ("infer", _Run), ("workspace", ctypes.c_void_p), ("run", _Run),
    ]  # fmt: skip


class _Library(ctypes.Structure):
    _fields_ = [
        ("abi_major", ctypes.c_uint32), ("abi_minor", ctypes.c_uint32), ("struct_size", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32), ("tables", ctypes.c_void_p), ("api", ctypes.POINTER(_Api)),
    ]  # fmt: skip


def open_library(path: str | os.PathLike[str], sealed: bool = True) -> Any:
    """The opw_library_t of a plugin. The library stays loaded for the life of the process.

    A damaged file is refused before it is mapped, and one without a seal unless `sealed` is False.
    """
    path = os.path.abspath(os.fspath(path))
    try:
        checked = check_file(path, sealed)
    except ValueError as e:
        raise PluginError(str(e)) from None
    try:
        handle = ctypes.CDLL(path)
        query = handle.opw_library
    except AttributeError:
        raise PluginError(f"{path} is not an Opwright plugin: it has no function opw_library; check the path") from None
    except OSError as e:
        raise PluginError(f"{path} cannot be loaded: {e}") from None
    query.argtypes, query.restype = [ctypes.c_uint32], ctypes.POINTER(_Library)
    found = query(ABI_MAJOR)
    if not found:
        raise PluginError(
            f"{path} was built for another plugin ABI, expected major {ABI_MAJOR}; build it again with this version of Opwright"
        )
    library = found.contents
    if library.abi_major != ABI_MAJOR or library.struct_size < ctypes.sizeof(_Library):
        raise PluginError(
            f"{path} has plugin ABI {library.abi_major}.{library.abi_minor}, expected major {ABI_MAJOR}; "
            "build it again with this version of Opwright"
        )
    if library.api.contents.struct_size < ctypes.sizeof(_Api):
        raise PluginError(f"{path} has an incomplete opw_api_t; build it again with this version of Opwright")
    if checked is not None and ctypes.string_at(library.tables + 24, 32) != checked:  # opw_tables_t.hash
        raise PluginError(
            f"{path} is loaded already, from an earlier file of that name; start a new process, or load a copy that has another name"
        )
    library.handle = handle
    return library


def library_address(library: Any) -> int:
    """Where the opw_library_t of open_library lies."""
    return ctypes.addressof(library)


DEFAULT: Any = object()  # as the value of a parameter: the one that the operator declares


class Parameter:
    """A scalar of an operator: its name and element type; `what` it is in messages."""

    def __init__(self, name: str, dtype: str, what: str = "parameter") -> None:
        self.name, self.dtype, self.what = name, dtype, what
        self.kind = 3 if dtype == "bool" else 2 if dtype.startswith(("float", "bfloat")) else 1
        bits = _ELEMENTS[dtype][1]
        signed = not dtype.startswith("u")
        self.low, self.high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def value(self, op: str, value: Any) -> _Attr:
        """The attribute with this value, or a TypeError or ValueError that names it."""
        if value is DEFAULT:
            return _Attr(0, 0)
        attr = _Attr(self.kind, 0)
        try:
            if self.kind == 2:
                if isinstance(value, str | bytes):
                    raise TypeError
                attr.u.f = float(value)
            elif self.kind == 1 and not isinstance(value, bool | np.bool_):
                number = operator.index(value)
                if not self.low <= number <= self.high:
                    text = f"{op}: {self.what} {self.name!r} is {number}, expected {self.dtype} ({self.low} to {self.high})"
                    raise ValueError(text)
                # one 64-bit slot; uint64 above the signed range keeps its bits
                attr.u.i = number - (1 << 64) if number >= 1 << 63 else number
            elif self.kind == 3 and isinstance(value, bool | np.bool_):
                attr.u.i = int(value)
            else:
                raise TypeError
        except TypeError:
            expected = {1: "an integer", 2: "a number", 3: "True or False"}[self.kind]
            text = f"{op}: {self.what} {self.name!r} is {type(value).__name__}, expected {expected}"
            raise TypeError(text) from None
        return attr


class Input:
    """A tensor that a caller gives: name, element type (None: the library decides) and ranks."""

    def __init__(self, name: str, dtype: str | None, low: int = 0, high: int = _MAX_RANK) -> None:
        self.name, self.dtype, self.low, self.high = name, dtype, low, high

    def array(self, op: str, x: Any) -> Any:
        """What the caller gave."""
        return x


class Scalar(Input):
    """A value that a caller gives as a number, or as a tensor of one element of this type."""

    def __init__(self, name: str, dtype: str) -> None:
        super().__init__(name, dtype, 0, 1)
        self.number = Parameter(name, dtype, "input")

    def array(self, op: str, x: Any) -> Any:
        """A number as an array; arrays and tensors as they are."""
        if isinstance(x, np.ndarray) or _is_torch(x):
            return x
        attr = self.number.value(op, x)
        value = attr.u.f if attr.kind == 2 else attr.u.i
        return np.array(value, np.int64 if attr.kind == 1 else None).astype(numpy_dtype(str(self.dtype)))


class Output:
    """A tensor that an operator returns."""

    def __init__(self, name: str, dtype: str | None) -> None:
        self.name, self.dtype = name, dtype


def _is_torch(x: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


@functools.cache
def _dtype_name(dtype: Any) -> str:
    return str(dtype.name)  # NumPy computes it anew each time


def _view(op: str, spec: Input, x: Any) -> tuple[_Tensor, Any]:
    """A view of an array or tensor, and what must live as long as the view."""
    what = f"{op}: input {spec.name!r}"
    if isinstance(x, np.ndarray):
        dtype, shape = _dtype_name(x.dtype), x.shape
        if not x.dtype.isnative or dtype not in _ELEMENTS:
            raise TypeError(
                f"{what} has the element type {x.dtype.str}, expected {spec.dtype or 'a native number type'}"
            )
        contiguous = x.flags.c_contiguous and x.flags.aligned
        pointer, cure = x.ctypes.data, "pass numpy.ascontiguousarray(x)"
        convert = f"convert it with x.astype({spec.dtype!r})"
    elif _is_torch(x):
        if x.device.type != "cpu":
            raise TypeError(f"{what} is on device {str(x.device)!r}, expected 'cpu'; pass x.cpu()")
        if str(x.layout) != "torch.strided":
            raise TypeError(f"{what} has the layout {x.layout}, expected a dense tensor; pass x.to_dense()")
        dtype, shape = str(x.dtype).removeprefix("torch."), tuple(x.shape)
        if dtype not in _ELEMENTS:
            raise TypeError(f"{what} has the element type {dtype}, expected {spec.dtype or 'a number type'}")
        if x.requires_grad and sys.modules["torch"].is_grad_enabled():
            raise TypeError(f"{what} requires a gradient, and this operator has none; pass x.detach()")
        contiguous = x.is_contiguous() and not x.is_conj() and not x.is_neg()
        pointer, cure = x.data_ptr(), "pass x.contiguous()"
        convert = f"convert it with x.to(torch.{spec.dtype})"
    else:
        raise TypeError(f"{what} is {type(x).__name__}, expected a numpy.ndarray or a torch.Tensor")
    if spec.dtype is not None and dtype != spec.dtype:
        raise TypeError(f"{what} has the element type {dtype}, expected {spec.dtype}; {convert}")
    if not spec.low <= len(shape) <= spec.high:
        ranks = f"{spec.low}" if spec.low == spec.high else f"{spec.low} to {spec.high}"
        raise ValueError(f"{what} has rank {len(shape)} (shape {shape}), expected rank {ranks}")
    if not contiguous:
        raise ValueError(f"{what} is not contiguous (shape {shape}), expected a row-major array; {cure}")
    sizes = (ctypes.c_int64 * max(len(shape), 1))(*shape)
    view = _Tensor(pointer or None, _CPU, 0, len(shape), *_ELEMENTS[dtype], 1, sizes, None, 0)
    return view, (sizes, x)


def numpy_dtype(name: str) -> Any:
    """NumPy's dtype of that name; those that NumPy lacks are those of ml_dtypes."""
    try:
        return np.dtype(name)
    except TypeError:
        try:
            import ml_dtypes
        except ImportError:
            raise PluginError(f"NumPy has no {name} by itself; install it: pip install ml_dtypes") from None
        return np.dtype(getattr(ml_dtypes, name))


class Operator:
    """One operator of a library, called with the values of its parameters and its inputs in declared order."""

    def __init__(self, library: Any, ns: str, name: str, version: int, parameters: list[Parameter], inputs: list[Input],
                 outputs: list[Output]) -> None:  # fmt: skip
        self.library, self.name = library, f"{ns}::{name}"
        self.parameters, self.inputs, self.outputs = parameters, inputs, outputs
        api = library.api.contents
        self.infer, self.run = api.infer, api.run
        self.op = api.find(ns.encode(), name.encode(), version)
        if not self.op:
            raise PluginError(f"the library has no operator {self.name} version {version}; build the plugin again")

    def __call__(self, parameters: tuple[Any, ...], inputs: tuple[Any, ...]) -> Any:
        """One output, or a tuple of them, of the same kind as the inputs."""
        attrs = (_Attr * max(len(parameters), 1))()
        for i, (spec, value) in enumerate(zip(self.parameters, parameters, strict=True)):
            attrs[i] = spec.value(self.name, value)
        views, keep, torch_given = [], [], set()
        for spec_in, given in zip(self.inputs, inputs, strict=True):
            x = spec_in.array(self.name, given)
            view, alive = _view(self.name, spec_in, x)
            views.append(view)
            keep.append(alive)
            if x is given:
                torch_given.add(_is_torch(x))
        if len(torch_given) > 1:
            raise TypeError(f"{self.name}: found NumPy arrays and torch tensors in one call, expected one kind")
        torch = sys.modules["torch"] if True in torch_given else None
        results = [self._empty_view() for _ in self.outputs]
        call = _Call(ctypes.sizeof(_Call))
        call.inputs = ctypes.cast(_pointers(views), ctypes.c_void_p)
        call.outputs = ctypes.cast(_pointers(results), ctypes.c_void_p)
        call.attrs = ctypes.cast(attrs, ctypes.c_void_p)
        call.input_count, call.output_count, call.attr_count = len(views), len(results), len(parameters)
        call.device_type = _CPU
        self._do(self.infer, call)
        arrays = [self._allocate(view, spec, torch) for view, spec in zip(results, self.outputs, strict=True)]
        self._do(self.run, call)
        return arrays[0] if len(arrays) == 1 else tuple(arrays)

    @staticmethod
    def _empty_view() -> _Tensor:
        view = _Tensor(None, _CPU, 0, 0, 0, 0, 1, (ctypes.c_int64 * _MAX_RANK)(), None, 0)
        return view

    def _allocate(self, view: _Tensor, spec: Output, torch: Any) -> Any:
        shape = tuple(view.shape[i] for i in range(view.ndim))
        name = spec.dtype or _NAMES[view.dl_code, view.dl_bits]
        if any(n < 0 for n in shape):
            raise PluginError(
                f"{self.name}: the shape of output {spec.name!r} depends on the data, which calls do not support yet"
            )
        view.dl_code, view.dl_bits = _ELEMENTS[name]
        array: Any = (
            np.empty(shape, numpy_dtype(name)) if torch is None else torch.empty(shape, dtype=getattr(torch, name))
        )
        view.data = array.ctypes.data if torch is None else array.data_ptr()
        return array

    def _do(self, function: Any, call: _Call) -> None:
        error = _Error(ctypes.sizeof(_Error), 0, None, 0)
        buffer = ctypes.create_string_buffer(1024)
        error.text, error.text_size = ctypes.cast(buffer, ctypes.c_char_p), len(buffer)
        status = function(self.op, call, error)
        if status:
            text = buffer.value.decode(errors="replace") or f"status {status}"
            raise PluginError(text if self.name in text else f"{self.name}: {text}", status)


def _pointers(views: list[_Tensor]) -> Any:
    """An array of pointers to the views; it keeps them alive."""
    return (ctypes.POINTER(_Tensor) * max(len(views), 1))(*map(ctypes.pointer, views))
