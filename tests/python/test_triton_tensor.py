"""opwright.tensor: zero-copy views, and what they refuse."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest

import opwright


@pytest.mark.parametrize(
    "dtype",
    ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"],
)
def test_numpy(dtype):
    x = np.zeros((3, 4), dtype)
    view = opwright.tensor(x)
    assert (view.data_ptr(), str(view.dtype), view.shape, view.stride()) == (x.ctypes.data, dtype, (3, 4), (4, 1))
    assert view.base is x and view.numpy() is x and view.element_size() == x.itemsize and view.is_contiguous()


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_ml_dtypes(dtype):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.zeros(5, getattr(ml_dtypes, dtype))
    view = opwright.tensor(x)
    assert str(view.dtype) == dtype and view.data_ptr() == x.ctypes.data and view.dtype.is_floating_point


@pytest.mark.parametrize(
    "take", [lambda x: x.T, lambda x: x[::2, 1:], lambda x: x[::-1], lambda x: x[2], lambda x: x[1, 1], lambda x: x[:0]]
)
def test_strided_views(take):
    x = take(np.arange(48, dtype=np.float32).reshape(6, 8))
    x = x if isinstance(x, np.ndarray) else np.array(x)
    view = opwright.tensor(x)
    assert view.shape == x.shape and view.data_ptr() == x.ctypes.data
    assert view.stride() == tuple(s // 4 for s in x.strides) and view.numel() == x.size
    assert view.is_contiguous() == x.flags.c_contiguous


def test_it_is_a_view_and_keeps_its_base():
    class Owner(np.ndarray):
        pass

    x = np.zeros(4, np.float32).view(Owner)
    view, alive = opwright.tensor(x), weakref.ref(x)
    del x
    gc.collect()
    assert alive() is not None
    view.numpy()[1] = 5
    assert alive()[1] == 5
    del view
    gc.collect()
    assert alive() is None


def test_a_view_of_a_view_is_itself():
    view = opwright.tensor(np.zeros(3))
    assert opwright.tensor(view) is view


class DLPackOnly:
    """An array type with nothing but the DLPack protocol; `versions`: whether it knows DLPack 1.0."""

    def __init__(self, array, versions=True, device=1):
        self.array, self.versions, self.device = array, versions, device

    def __dlpack__(self, *, stream=None, **kwargs):
        if not self.versions and kwargs:
            raise TypeError("unexpected keyword")
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.device, 0


@pytest.mark.parametrize("versions", [True, False])
def test_dlpack(versions):
    x = np.arange(24, dtype=np.int16).reshape(2, 3, 4).transpose(2, 0, 1)
    view = opwright.tensor(DLPackOnly(x, versions))
    assert (view.data_ptr(), str(view.dtype), view.shape) == (x.ctypes.data, "int16", (4, 2, 3))
    assert view.stride() == (1, 12, 4)
    assert np.shares_memory(view.numpy(), x)


def test_dlpack_keeps_the_memory():
    released = []

    class Owner(np.ndarray):
        def __del__(self):
            if self.base is not None:
                released.append(True)

    view = opwright.tensor(DLPackOnly(np.zeros(4).view(Owner)))
    view.base.array = None
    gc.collect()
    assert not released
    del view
    gc.collect()
    assert released


def test_dlpack_of_torch():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.zeros(2, 3, dtype=torch.bfloat16)

    class Wrapped:
        __dlpack__, __dlpack_device__ = x.__dlpack__, x.__dlpack_device__

    view = opwright.tensor(Wrapped())
    assert (view.data_ptr(), str(view.dtype), view.stride()) == (x.data_ptr(), "bfloat16", (3, 1))


def test_torch():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.zeros(2, 3, requires_grad=True)[:, 1:]
    view = opwright.tensor(x)
    assert (view.data_ptr(), str(view.dtype), view.shape, view.stride()) == (x.data_ptr(), "float32", (2, 2), (3, 1))
    with pytest.raises(ValueError, match="on device 'meta', expected CPU memory"):
        opwright.tensor(x.to("meta"))


def test_array_interface():
    x = np.arange(6, dtype="<f4").reshape(2, 3)

    class Other:
        __array_interface__ = x.__array_interface__

    view = opwright.tensor(Other())
    assert (view.data_ptr(), str(view.dtype), view.stride()) == (x.ctypes.data, "float32", (3, 1))


def test_read_only_memory_is_refused():
    x = np.zeros(3)
    x.flags.writeable = False
    with pytest.raises(ValueError, match=r"found read-only memory \(numpy.ndarray\), expected writable memory"):
        opwright.tensor(x)
    with pytest.raises(ValueError, match="read-only"):
        opwright.tensor(DLPackOnly(x))


@pytest.mark.parametrize(("device", "name"), [(2, "CUDA"), (10, "ROCm"), (99, "DLPack device 99")])
def test_other_devices_are_refused(device, name):
    with pytest.raises(ValueError, match=f"in {name}, expected CPU memory; copy it to the host first"):
        opwright.tensor(DLPackOnly(np.zeros(3), device=device))


def test_cuda_array_interface_is_refused():
    class Foreign:
        __cuda_array_interface__ = {}

    with pytest.raises(ValueError, match="CUDA memory"):
        opwright.tensor(Foreign())


@pytest.mark.parametrize("dtype", ["complex64", ">f4", "datetime64[s]", "O", "S3"])
def test_other_element_types_are_refused(dtype):
    with pytest.raises(TypeError, match="found numpy.ndarray of element type"):
        opwright.tensor(np.zeros(3, dtype))


def test_strides_between_elements_are_refused():
    x = np.zeros(3, [("a", "i1"), ("b", "<f4")])["b"]
    with pytest.raises(ValueError, match=r"strides of \(5,\) bytes over elements of 4"):
        opwright.tensor(x)


@pytest.mark.parametrize("x", [3, [1.0, 2.0], None, b"abc"])
def test_other_objects_are_refused(x):
    with pytest.raises(TypeError, match="expected a NumPy array, a torch CPU tensor, or an object with"):
        opwright.tensor(x)


def test_what_the_autotuner_calls():
    x = np.arange(4.0)
    view = opwright.tensor(x)
    saved = view.clone()
    view.zero_()
    assert not x.any() and saved.data_ptr() != view.data_ptr()
    view.copy_(saved)
    assert x.tolist() == [0, 1, 2, 3]


def test_copies_convert_nothing():
    with pytest.raises(TypeError, match="found a tensor of int32, expected float32: a copy converts nothing"):
        opwright.tensor(np.ones(4, np.float32)).copy_(opwright.tensor(np.ones(4, np.int32)))


def test_torch_memory_that_shows_other_values_is_refused():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    negated = torch.ones(4, dtype=torch.complex64).conj().imag
    with pytest.raises(ValueError, match="whose memory has other values than it shows"):
        opwright.tensor(negated)


def test_import_is_light():
    """No array library, no Triton, no native code before they are needed; the time has a bound of its own in benchmarks."""
    code = "import sys, opwright, opwright.cpu_tensor; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "torch", "triton", "opwright._core", "onnx"} & set(loaded)
