"""`opwright.tensor(x)`: a view of CPU memory that Triton accepts as a tensor argument.

Triton takes objects with `data_ptr()` and `dtype`; NumPy arrays and most other array types have neither. The view has both,
copies nothing and keeps what it looks at alive.
"""

from __future__ import annotations

import ctypes
from typing import Any

from opwright.dtypes import BY_NAME

_CPU = 1  # kDLCPU
_DEVICES = {
    2: "CUDA", 3: "pinned CUDA memory", 4: "OpenCL", 7: "Vulkan", 8: "Metal", 10: "ROCm", 11: "pinned ROCm memory",
    13: "managed CUDA memory", 14: "oneAPI", 15: "WebGPU",
}  # fmt: skip


class ElementType(str):
    """Name of an element type ("float32"), with what Triton's descriptors ask of a dtype."""

    __slots__ = ()

    @property
    def itemsize(self) -> int:
        return BY_NAME[self].bits // 8

    @property
    def is_floating_point(self) -> bool:
        return BY_NAME[self].kind == "float"


class _Memory:
    """What NumPy makes an array of. It keeps its owner alive."""

    __slots__ = ("__array_interface__", "owner")

    def __init__(self, owner: Any, interface: dict[str, Any]) -> None:
        self.owner, self.__array_interface__ = owner, interface


class _Storage:
    """What Triton's interpreter copies to the CPU and back: it is there, so both are nothing."""

    __slots__ = ("_address",)

    def __init__(self, address: int) -> None:
        self._address = address

    def data_ptr(self) -> int:
        return self._address

    def cpu(self) -> _Storage:
        return self

    def copy_(self, other: _Storage) -> _Storage:
        return self


class Tensor:
    """A view of CPU memory, for `kernel[grid](...)`. Strides count elements, as in torch."""

    __slots__ = ("_address", "_strides", "base", "dtype", "shape", "_owner")
    is_cpu = True
    device = "cpu"

    def __init__(
        self, address: int, dtype: ElementType, shape: tuple[int, ...], strides: tuple[int, ...], base: Any, owner: Any
    ) -> None:
        self._address = address
        self._strides = strides
        self._owner = owner
        self.base = base
        self.dtype = dtype
        self.shape = shape

    def data_ptr(self) -> int:
        """Address of the first element."""
        return self._address

    def stride(self, dim: int | None = None) -> Any:
        """Elements between neighbours along a dimension, or along each."""
        return self._strides if dim is None else self._strides[dim]

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        return len(self.shape)

    def numel(self) -> int:
        count = 1
        for extent in self.shape:
            count *= extent
        return count

    def element_size(self) -> int:
        return self.dtype.itemsize

    def is_contiguous(self) -> bool:
        return self.numel() == 0 or all(
            extent == 1 or stride == dense
            for extent, stride, dense in zip(self.shape, self._strides, row_major(self.shape), strict=True)
        )

    def numpy(self) -> Any:
        """The memory as a NumPy array, without a copy. Types that NumPy lacks are those of ml_dtypes."""
        import numpy

        if isinstance(self.base, numpy.ndarray):
            return self.base
        try:
            dtype = numpy.dtype(str(self.dtype))
        except TypeError:
            import ml_dtypes

            dtype = numpy.dtype(getattr(ml_dtypes, self.dtype))
        return self._bits().view(dtype)

    def _bits(self) -> Any:
        """The memory as a NumPy array of unsigned integers: every element type can be copied and cleared so."""
        import numpy

        size = self.dtype.itemsize
        strides = tuple(stride * size for stride in self._strides)
        interface = {"version": 3, "typestr": f"<u{size}", "shape": self.shape, "strides": strides}
        return numpy.asarray(_Memory(self, interface | {"data": (self._address, False)}))

    # what triton.autotune's reset_to_zero and restore_value call

    def zero_(self) -> Tensor:
        self._bits()[...] = 0
        return self

    def clone(self) -> Tensor:
        copy = self._bits().copy()
        return Tensor(copy.ctypes.data, self.dtype, self.shape, row_major(self.shape), None, copy)

    def copy_(self, other: Tensor) -> Tensor:
        if other.dtype != self.dtype:
            raise TypeError(f"found a tensor of {other.dtype}, expected {self.dtype}: a copy converts nothing")
        self._bits()[...] = other._bits()
        return self

    # what triton.reinterpret reads

    @property
    def data(self) -> Tensor:
        return self

    # what Triton's interpreter calls to have a tensor on the CPU: an empty one, put on the storage of this one

    def untyped_storage(self) -> _Storage:
        return _Storage(self._address)

    def storage_offset(self) -> int:
        return 0

    def new_empty(self, *size: Any, device: Any = None) -> Tensor:
        """Of this memory: the interpreter puts what it gets on the storage of this tensor, whose copy is that memory."""
        return Tensor(self._address, self.dtype, self.shape, self._strides, self.base, self._owner)

    def set_(self, storage: _Storage, offset: int, size: Any, stride: Any) -> Tensor:
        return self

    def __repr__(self) -> str:
        return f"opwright.Tensor({self.dtype}, shape={self.shape}, stride={self._strides}, data_ptr={self._address:#x})"


def tensor(x: Any) -> Tensor:
    """A zero-copy view of a NumPy array, a torch CPU tensor, or an object with `__array_interface__` or `__dlpack__`.

    Refused: memory that is not the CPU's, read-only memory (a kernel may write through any pointer), element types that
    Triton does not have. The view keeps `x` alive. What cannot say that it is read-only is taken: a kernel must not write
    into an array of JAX: its DLPack has no such mark.
    """
    if isinstance(x, Tensor):
        return x
    if callable(getattr(x, "data_ptr", None)) and callable(getattr(x, "stride", None)):
        return _from_torch(x)
    if hasattr(x, "__array_interface__"):
        return _from_array_interface(x)
    if hasattr(x, "__dlpack__"):
        return _from_dlpack(x)
    if hasattr(x, "__cuda_array_interface__"):
        raise ValueError(f"found {_type_name(x)} in CUDA memory, expected CPU memory; copy it to the host first")
    raise TypeError(
        f"found {_type_name(x)}, expected a NumPy array, a torch CPU tensor, or an object with __array_interface__ or "
        "__dlpack__; make an array of it: opwright.tensor(numpy.asarray(x))"
    )


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in elements, of a dense tensor whose last dimension runs fastest."""
    strides, step = [], 1
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))


def _type_name(x: Any) -> str:
    kind = type(x)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _element_type(name: str, x: Any) -> ElementType:
    if name not in BY_NAME:
        raise TypeError(
            f"found {_type_name(x)} of element type {name}, expected bool, an integer or a floating-point type that Triton "
            "has (float16, bfloat16, float32, float64, float8_e4m3fn, float8_e5m2)"
        )
    return ElementType(name)


def _refuse_read_only(x: Any) -> None:
    raise ValueError(
        f"found read-only memory ({_type_name(x)}), expected writable memory: a kernel may write through every pointer; "
        "pass a copy: opwright.tensor(numpy.array(x))"
    )


def _from_torch(x: Any) -> Tensor:
    device = getattr(x, "device", "cpu")
    if getattr(device, "type", str(device)) != "cpu":
        raise ValueError(f"found {_type_name(x)} on device '{device}', expected CPU memory; copy it with .cpu()")
    if any(getattr(x, name, bool)() for name in ("is_neg", "is_conj")):
        raise ValueError(
            f"found {_type_name(x)} whose memory has other values than it shows, expected plain memory; pass x.resolve_neg()"
        )
    dtype = _element_type(str(x.dtype).rpartition(".")[2], x)
    return Tensor(x.data_ptr(), dtype, tuple(x.shape), tuple(x.stride()), x, x)


def _from_array_interface(x: Any) -> Tensor:
    interface = x.__array_interface__
    data, shape = interface.get("data"), tuple(interface["shape"])
    if not isinstance(data, tuple):
        raise TypeError(f"the __array_interface__ of {_type_name(x)} has no address; pass numpy.asarray(x)")
    address, read_only = data
    if read_only:
        _refuse_read_only(x)
    # NumPy names types that the interface cannot: bfloat16 and the 8-bit floats of ml_dtypes are raw bytes in it
    named = getattr(x, "dtype", None)
    dtype = _element_type(str(named) if named is not None else _decode_typestr(interface["typestr"]), x)
    strides = interface.get("strides")
    if strides is None:
        return Tensor(address, dtype, shape, row_major(shape), x, interface)
    if any(stride % dtype.itemsize for stride in strides):
        raise ValueError(
            f"found strides of {tuple(strides)} bytes over elements of {dtype.itemsize}, expected multiples of the element "
            "size; pass a copy: opwright.tensor(numpy.ascontiguousarray(x))"
        )
    return Tensor(address, dtype, shape, tuple(stride // dtype.itemsize for stride in strides), x, interface)


def _decode_typestr(typestr: str) -> str:
    """ "<f4" -> "float32"; what it does not know comes back as it is."""
    kind = {"b": "bool", "i": "int", "u": "uint", "f": "float"}.get(typestr[1:2])
    if kind is None or typestr[0] == ">":
        return typestr
    return kind if kind == "bool" else f"{kind}{8 * int(typestr[2:])}"


# DLPack, read through its C layout: the capsule stays the owner, and the view keeps the capsule.


class _DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _DLManagedTensorVersioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("manager_ctx", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _DLTensor),
    ]


_READ_ONLY = 1
_DLPACK_TYPES = {
    (6, 8): "bool", (4, 16): "bfloat16", (10, 8): "float8_e4m3fn", (11, 8): "float8_e4m3fnuz", (12, 8): "float8_e5m2",
    (13, 8): "float8_e5m2fnuz",
    **{(0, bits): f"int{bits}" for bits in (8, 16, 32, 64)},
    **{(1, bits): f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{(2, bits): f"float{bits}" for bits in (16, 32, 64)},
}  # fmt: skip


def _from_dlpack(x: Any) -> Tensor:
    device = x.__dlpack_device__()[0] if hasattr(x, "__dlpack_device__") else _CPU
    if int(device) != _CPU:
        place = _DEVICES.get(int(device), f"DLPack device {int(device)}")
        raise ValueError(f"found {_type_name(x)} in {place}, expected CPU memory; copy it to the host first")
    try:
        capsule = x.__dlpack__(max_version=(1, 0))
    except TypeError:  # a producer from before DLPack 1.0
        capsule = x.__dlpack__()
    raw = _read_capsule(capsule, x)
    shape = tuple(raw.shape[i] for i in range(raw.ndim))
    strides = tuple(raw.strides[i] for i in range(raw.ndim)) if raw.strides else row_major(shape)
    name = _DLPACK_TYPES.get((raw.code, raw.bits)) if raw.lanes == 1 else None
    dtype = _element_type(name or f"DLPack({raw.code}, {raw.bits}, {raw.lanes})", x)
    return Tensor((raw.data or 0) + raw.byte_offset, dtype, shape, strides, x, (capsule, x))


def _read_capsule(capsule: Any, x: Any) -> _DLTensor:
    api = ctypes.pythonapi
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", api))
    is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_IsValid", api))
    if is_valid(capsule, b"dltensor_versioned"):
        managed = _DLManagedTensorVersioned.from_address(pointer(capsule, b"dltensor_versioned"))
        if managed.major != 1:
            raise TypeError(f"found DLPack {managed.major}.{managed.minor} from {_type_name(x)}, expected version 1")
        if managed.flags & _READ_ONLY:
            _refuse_read_only(x)
        return managed.tensor
    if is_valid(capsule, b"dltensor"):
        return _DLTensor.from_address(pointer(capsule, b"dltensor"))
    raise TypeError(f"__dlpack__ of {_type_name(x)} gave {_type_name(capsule)}, expected a DLPack capsule")
