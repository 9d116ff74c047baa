"""The launcher: from Python objects to argument slots, grids, hooks, failures. The kernel is a Python function behind the C
entry, so no compiler takes part."""

from __future__ import annotations

import ctypes
import math
import struct
import threading

import numpy as np
import pytest

import opwright
from opwright import _core


class Args(ctypes.Structure):
    """opw_cpu_args_t"""

    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("grid", ctypes.c_uint32 * 3),
        ("slot_count", ctypes.c_uint32),
        ("launch", ctypes.c_void_p),
        ("slots", ctypes.POINTER(ctypes.c_uint64)),
    ]


ENTRY = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(Args), ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)


class Kernel:
    """Records what each call of the entry sees; `status` is what it returns."""

    def __init__(self, signature, status: int = 0, **plan) -> None:
        self.slots: list[int] = []
        self.programs: list[int] = []
        self.grid: tuple[int, ...] | None = None
        self.status = status
        lock = threading.Lock()

        def entry(args, lo, hi, scratch):
            with lock:
                self.grid = tuple(args.contents.grid)
                self.slots = [args.contents.slots[i] for i in range(args.contents.slot_count)]
                self.programs.extend(range(lo, hi))
            return self.status

        self._entry = ENTRY(entry)
        self.function = _core.function_at(ctypes.cast(self._entry, ctypes.c_void_p).value)
        names = [(f"a{i}", type_) for i, type_ in enumerate(signature)]
        self.launcher = _core.launcher("k", names, count_slots(signature), **plan)

    def __call__(self, *args, grid=(1, 1, 1), enter=None, leave=None, metadata=None):
        self.launcher(*grid, 0, self.function, None, metadata, enter, leave, *args)
        return self.slots


def count_slots(signature) -> int:
    total = 0
    for type_ in signature:
        if isinstance(type_, tuple):
            total += count_slots(type_)
        elif type_.startswith("tensordesc"):
            total += 2 + 2 * (type_.count(",") + 1)
        else:
            total += type_ != "constexpr"
    return total


def bits(value: int) -> int:
    return value & (2**64 - 1)


@pytest.mark.parametrize(
    ("type_", "value", "slot"),
    [
        ("i1", True, 1),
        ("u1", False, 0),
        ("i8", -128, bits(-128)),
        ("u8", 255, bits(-1)),  # a slot is the sign extension of the value's bits
        ("i16", 32767, 32767),
        ("u16", 65535, bits(-1)),
        ("i32", -(2**31), bits(-(2**31))),
        ("u32", 2**32 - 1, bits(-1)),
        ("i64", -(2**63), 2**63),
        ("u64", 2**64 - 1, 2**64 - 1),
        ("i32", np.int64(7), 7),
        ("fp64", 0.1, struct.unpack("<Q", struct.pack("<d", 0.1))[0]),
        ("fp32", 0.1, int(np.float32(0.1).view(np.uint32))),
        ("fp32", 3, int(np.float32(3).view(np.uint32))),
        ("fp32", 1e300, 0x7F800000),
        ("fp16", 0.1, int(np.float16(0.1).view(np.uint16))),
        ("bf16", 1.0, 0x3F80),
        ("f32", 2.0, 0x40000000),
    ],
)
def test_scalars(type_, value, slot):
    assert Kernel([type_])(value) == [slot]


def test_fp16_rounds_to_nearest_even_like_numpy():
    rng = np.random.default_rng(0)
    values = np.concatenate(
        [
            np.ldexp(rng.uniform(1, 2, 400), rng.integers(-30, 20, 400)) * rng.choice([-1, 1], 400),
            # halfway between neighbours, subnormals, the largest number and just above it
            [1 + 2**-11, 1 + 3 * 2**-11, 2**-24, 2**-25, 3 * 2**-26, 65504, 65519.99, 65520, 1e9, 0.0, -0.0],
            [math.inf, -math.inf],
        ]
    )
    kernel = Kernel(["fp16"])
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16).view(np.uint16)
    assert [kernel(float(v))[0] for v in values] == expected.tolist()
    assert np.isnan(np.uint16(kernel(math.nan)[0]).view(np.float16))


def test_bf16_rounds_to_nearest_even():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    rng = np.random.default_rng(1)
    # float32 values: ml_dtypes rounds a double twice, through float32
    values = np.ldexp(rng.uniform(1, 2, 400), rng.integers(-130, 127, 400)).astype(np.float32)
    kernel = Kernel(["bf16"])
    assert [kernel(float(v))[0] for v in values] == values.astype(ml_dtypes.bfloat16).view(np.uint16).tolist()


def test_pointers_and_constants():
    x = np.arange(6, dtype=np.float32)
    view = opwright.tensor(x)
    kernel = Kernel(["*fp32", "constexpr", "*kfp32", "i32", "constexpr"])
    assert kernel(view, None, view, 6, 128) == [x.ctypes.data, x.ctypes.data, 6]
    assert Kernel(["*fp32"])(x.ctypes.data) == [x.ctypes.data]


def test_torch_tensor():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.arange(12.0).reshape(3, 4)
    assert Kernel(["*fp32"])(x.t()[1:]) == [x.t()[1:].data_ptr()]
    with pytest.raises(ValueError, match="argument 'a0' of kernel 'k': found a tensor on device 'meta', expected CPU"):
        Kernel(["*fp32"])(x.to("meta"))


def test_tuples_are_flattened():
    kernel = Kernel([("i32", "constexpr", ("fp32", "*i8")), "i32"])
    assert kernel((1, "anything", (2.0, 64)), 3) == [1, 0x40000000, 64, 3]
    with pytest.raises(ValueError, match="'a0' of kernel 'k': found a tuple of 2, expected 3"):
        kernel((1, 2), 3)
    with pytest.raises(TypeError, match=r"'a0\[2\]\[0\]' of kernel 'k': found str, expected a number"):
        kernel((1, 2, ("x", 64)), 3)


def test_descriptor():
    class Descriptor:
        base, shape, strides, padding = opwright.tensor(np.zeros((4, 8), np.float16)), [4, 8], (8, 1), "zero"

    kernel = Kernel(["tensordesc<fp16[2, 4]>"])
    assert kernel(Descriptor) == [Descriptor.base.data_ptr(), 4, 8, 8, 1, 0]
    Descriptor.padding = "nan"
    assert kernel(Descriptor) == [Descriptor.base.data_ptr(), 4, 8, 8, 1, 1]
    Descriptor.padding = "mirror"
    with pytest.raises(ValueError, match="padding 'mirror', expected 'zero' or 'nan'"):
        kernel(Descriptor)


def test_many_arguments():
    kernel = Kernel(["i64"] * 300)
    assert kernel(*range(300)) == list(range(300))


@pytest.mark.parametrize(
    ("type_", "value", "error", "text"),
    [
        ("i32", 2**31, OverflowError, r"found 2147483648, expected a value of type i32: -2\^31 to 2\^31 - 1"),
        ("i32", -(2**31) - 1, OverflowError, "type i32"),
        ("u8", -1, OverflowError, r"found -1, expected a value of type u8: 0 to 2\^8 - 1"),
        ("i1", 2, OverflowError, "type i1"),
        ("i64", 2**63, OverflowError, r"type i64: -2\^63 to 2\^63 - 1"),
        ("u64", 2**64, OverflowError, "type u64"),
        ("u64", -1, OverflowError, "type u64"),
        ("i32", 1.5, TypeError, r"found float, expected an integer \(i32\)"),
        ("fp32", "1", TypeError, r"found str, expected a number \(fp32\)"),
        ("*fp32", None, TypeError, r"found None, expected a tensor \(\*fp32\)"),
        ("*fp32", np.zeros(3, np.float32), TypeError, r"found numpy.ndarray, .* opwright.tensor\(x\)"),
        ("*fp32", -1, ValueError, "found the address -1"),
    ],
)
def test_refused_arguments(type_, value, error, text):
    with pytest.raises(error, match=f"argument 'a0' of kernel 'k': .*{text}"):
        Kernel([type_])(value)


def test_errors_of_the_tensor_itself_come_through():
    class Odd:
        is_cpu = True

        def data_ptr(self):
            return self.missing

    with pytest.raises(AttributeError, match="missing"):
        Kernel(["*fp32"])(Odd())


def test_tensors_without_memory():
    """As fake ones are; one without elements needs none."""

    class Tensor:
        is_cpu = True

        def __init__(self, count):
            self.count = count

        def data_ptr(self):
            return 0

        def numel(self):
            return self.count

    kernel = Kernel(["*fp32"])
    assert kernel(Tensor(0)) == [0]
    with pytest.raises(ValueError, match="found a tensor of 4 elements without memory"):
        kernel(Tensor(4))


@pytest.mark.parametrize("device", ["cuda:0", "xpu"])
def test_wrappers_on_other_devices_are_refused(device):
    class Wrapper:  # like triton.reinterpret's
        def __init__(self):
            self.device = device

        def data_ptr(self):
            return 64

    with pytest.raises(ValueError, match=f"found a tensor on device '{device}', expected CPU memory"):
        Kernel(["*fp32"])(Wrapper())


@pytest.mark.parametrize("grid", [(1, 1, 1), (5, 1, 1), (3, 4, 5), (1000, 1, 3)])
def test_every_program_runs_once(grid):
    kernel = Kernel([])
    kernel(grid=grid)
    assert kernel.grid == grid
    assert sorted(kernel.programs) == list(range(math.prod(grid)))


def test_ordered_programs_run_in_order():
    kernel = Kernel([], ordered=True)
    kernel(grid=(97, 1, 1))
    assert sorted(kernel.programs) == list(range(97))


@pytest.mark.parametrize("grid", [(0, 1, 1), (7, 0, 1), (1, 1, 0)])
def test_an_empty_grid_runs_nothing(grid):
    kernel = Kernel(["i32"])
    assert kernel(1, grid=grid) == [] and kernel.programs == []


@pytest.mark.parametrize(
    ("grid", "error", "text"),
    [
        ((-1, 1, 1), ValueError, r"grid\[0\] of kernel 'k' is -1, expected 0 to 2\^31 - 1"),
        ((1, 2**31, 1), ValueError, r"grid\[1\] of kernel 'k' is 2147483648"),
        ((1, 1, 2**70), ValueError, r"grid\[2\]"),
        ((1, 1.5, 1), TypeError, r"grid\[1\] of kernel 'k' is 1.5, expected an integer; divide with triton.cdiv"),
    ],
)
def test_refused_grids(grid, error, text):
    with pytest.raises(error, match=text):
        Kernel([])(grid=grid)


def test_hooks_are_called_around_the_kernel():
    kernel, seen = Kernel([]), []
    kernel(
        metadata="m",
        enter=lambda m: seen.append(("enter", m, len(kernel.programs))),
        leave=lambda m: seen.append(("leave", m, len(kernel.programs))),
    )
    assert seen == [("enter", "m", 0), ("leave", "m", 1)]


def test_a_failing_program_is_an_error():
    with pytest.raises(RuntimeError, match=r"kernel 'k' failed: .*program.*failed"):
        Kernel([], status=1)()


def test_wrong_number_of_arguments():
    with pytest.raises(TypeError, match="kernel 'k' takes 2 arguments, constants included: found 1"):
        Kernel(["i32", "constexpr"])(1)


def test_a_foreign_function_is_refused():
    launcher = _core.launcher("k", [], 0)
    with pytest.raises(TypeError, match="found a function of type int"):
        launcher(1, 1, 1, 0, 1234, None, None, None, None)


def test_signature_and_kernel_must_agree():
    with pytest.raises(ValueError, match="compiled for 3 arguments, its signature has 1"):
        _core.launcher("k", [("x", "i32")], 3)
    with pytest.raises(TypeError, match="parameter 'x' has type 'fp8e5'"):
        _core.launcher("k", [("x", "fp8e5")], 1)


def test_the_gil_is_released():
    """The entry blocks until another Python thread has run."""
    ran = threading.Event()
    entry = ENTRY(lambda args, lo, hi, scratch: 0 if ran.wait(10) else 1)
    launcher = _core.launcher("k", [], 0)
    function = _core.function_at(ctypes.cast(entry, ctypes.c_void_p).value)
    other = threading.Thread(target=ran.set)
    threading.Timer(0.05, other.start).start()
    launcher(1, 1, 1, 0, function, None, None, None, None)
    other.join()
