"""What goes into a launch, by each entry of Triton's runtime: grids, arguments of all kinds, and what is refused."""

from __future__ import annotations

import importlib.util
import re
from collections import namedtuple

import numpy as np
import pytest

pytest.importorskip("triton", reason="triton is not installed")

import runtime_kit
import triton
import triton.language as tl
from kernels import counters
from kernels.runtime import scale, strided
from runtime_kit import ENTRIES, LAUNCHES, N, fresh, ones, t
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.tools.tensor_descriptor import TensorDescriptor

import opwright
from opwright.triton_backend.errors import KernelError

compiled = runtime_kit.compiled

Pair = namedtuple("Pair", ["first", "second"])


@triton.jit
def members(out_ptr, pair, extra, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.load(pair[0] + at)
    if pair[1] is not None:
        x += tl.load(pair[1] + at)
    if extra is not None:
        x += extra
    tl.store(out_ptr + at, x)


@triton.jit
def named_members(out_ptr, pair, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.load(pair.first + at) - tl.load(pair.second + at))


@triton.jit
def double_tile(source, target):
    target.store([0, 0], source.load([0, 0]) * 2)


# -- entries and grids


@pytest.mark.parametrize(
    "grid",
    [
        lambda meta: (2, 3, 4),
        lambda meta: [2, 3, 4],
        lambda meta: (meta["width"] // 3, meta["height"], meta["WIDTH"] // 2),
        lambda meta: (np.int64(2), np.int32(3), np.uint8(4)),
        [2, 3, 4],
    ],
    ids=["gives a tuple", "gives a list", "reads arguments", "gives numpy integers", "is a list"],
)
@pytest.mark.parametrize("entry", LAUNCHES)
def test_a_grid_of_three_dimensions(entry, grid):
    case = counters.grid_ids_case((2, 3, 4))
    arguments = {name: t(value) if isinstance(value, np.ndarray) else value for name, value in case.args.items()}
    result = ENTRIES[entry](case.kernel, grid, **arguments, **case.meta)
    if entry == "bind":
        assert result.grid == (2, 3, 4)
        result()
    case.check()


def test_a_launch_takes_the_kernel_of_a_warmup(compiled):
    kernel, x = fresh(scale), ones()
    ahead = kernel.warmup(t(x), N, 3.0, BLOCK=32, grid=(2,))
    assert (x == 1).all() and len(compiled) == 1
    assert kernel[(2,)](t(x), N, 3.0, BLOCK=32) is ahead
    assert (x == 3).all() and len(compiled) == 1


@pytest.mark.parametrize(("warmup", "value"), [(True, 1), (False, 3)])
def test_run_launches_unless_it_warms_up(warmup, value):
    x = ones()
    scale.run(t(x), N, factor=3.0, BLOCK=16, grid=lambda meta: (N // meta["BLOCK"],), warmup=warmup)
    assert (x == value).all()


def test_a_source_is_compiled_for_a_target():
    types = {"x_ptr": "*fp32", "n": "i32", "factor": "fp32", "BLOCK": "constexpr"}
    source = ASTSource(fn=scale, signature=types, constexprs={"BLOCK": 64})
    kernel, x = triton.compile(source, target=GPUTarget("cpu", "x86-64-v3", 1)), ones()
    assert kernel.metadata.arch == "x86-64-v3"
    kernel[(1, 1, 1)](t(x), N, 3.0, 64)
    assert (x == 3).all()
    with pytest.raises(KernelError, match="unknown CPU level 'x86-64-v9', expected x86-64-v3"):
        triton.compile(source, target=GPUTarget("cpu", "x86-64-v9", 1))


GRIDS = {
    "negative": ((-1,), ValueError, r"grid\[0\] of kernel 'scale' is -1, expected 0 to 2\^31 - 1"),
    "too large": ((1, 1, 2**31), ValueError, r"grid\[2\] of kernel 'scale' is 2147483648, expected 0 to"),
    "float": ((1, 1.0), TypeError, r"grid\[1\] of kernel 'scale' is 1.0, expected an integer; divide with triton.cdiv"),
    "text": (("1",), TypeError, r"grid\[0\] of kernel 'scale' is '1', expected an integer"),
    "None inside": ((1, None), TypeError, r"grid\[1\] of kernel 'scale' is None, expected an integer"),
    "None": (
        None,
        (TypeError, AssertionError),
        "type 'NoneType' has no len|found the grid None, expected|^$",
    ),  # an assertion without a text before Triton 3.9
    "number": (5, TypeError, "type 'int' has no len|found the grid 5, expected a tuple"),
    "function to a float": (lambda meta: (N / meta["BLOCK"],), TypeError, r"grid\[0\] of kernel 'scale' is 1.0"),
    "function to a negative": (lambda meta: (1, -meta["n"]), ValueError, r"grid\[1\] of kernel 'scale' is -64"),
    "function to None": (lambda meta: None, TypeError, "type 'NoneType' has no len|found the grid None, expected"),
}


@pytest.mark.parametrize("what", GRIDS)
@pytest.mark.parametrize("entry", LAUNCHES)
def test_grids_that_are_refused(entry, what):
    grid, error, text = GRIDS[what]
    x = ones()
    with pytest.raises(error, match=text):
        ENTRIES[entry](scale, grid, t(x), N, 2.0, BLOCK=64)
    assert (x == 1).all()
    scale[(1,)](t(x), N, 2.0, BLOCK=64)
    assert (x == 2).all()


def test_bind_refuses_a_grid_of_four_dimensions():
    """Triton takes three and says nothing of the rest; what a bound launch leaves out would be left out each time."""
    for grid in ((1, 1, 1, 2), lambda meta: (1, 1, 1, 2)):
        with pytest.raises(ValueError, match=re.escape("found the grid (1, 1, 1, 2), expected one to three sizes")):
            opwright.bind(scale, grid, t(ones()), N, 2.0, BLOCK=64)


# -- bad arguments

VIEW = t(ones())
ARGUMENTS = {
    "missing": ((VIEW, N), {}, TypeError, "missing 2 required positional arguments: 'factor' and 'BLOCK'"),
    "surplus": ((VIEW, N, 2.0, 64, 5), {}, TypeError, "takes 4 positional arguments but 5 were given"),
    "given twice": ((VIEW, N, 2.0), {"BLOCK": 64, "n": 3}, TypeError, "multiple values for argument 'n'"),
    "unknown keyword": ((VIEW, N, 2.0), {"BLOCK": 64, "BLOK": 64}, KeyError, "BLOK"),
    "array": ((ones(), N, 2.0), {"BLOCK": 64}, TypeError, "argument of type: ndarray"),
    "list": (([1.0], N, 2.0), {"BLOCK": 64}, TypeError, "argument of type: list"),
    "text": ((VIEW, "64", 2.0), {"BLOCK": 64}, TypeError, "argument of type: str"),
    "complex number": ((VIEW, N, 2j), {"BLOCK": 64}, TypeError, "argument of type: complex"),
    "any object": ((object(), N, 2.0), {"BLOCK": 64}, TypeError, "argument of type: object"),
    "more than 64 bits": ((VIEW, 2**64, 2.0), {"BLOCK": 64}, OverflowError, "too large"),
    "block of 48": ((VIEW, N, 2.0), {"BLOCK": 48}, triton.CompilationError, "def scale.*must be a power of 2"),
    "three warps": ((VIEW, N, 2.0), {"BLOCK": 64, "num_warps": 3}, AssertionError, "num_warps must be a power of 2"),
}


@pytest.mark.parametrize("what", ARGUMENTS)
@pytest.mark.parametrize("entry", [*LAUNCHES, "warmup"])
def test_arguments_that_are_refused(entry, what):
    args, options, error, text = ARGUMENTS[what]
    with pytest.raises(error, match=f"(?s){text}"):
        ENTRIES[entry](scale, (1,), *args, **options)
    x = ones()
    scale[(1,)](t(x), N, 2.0, BLOCK=64)
    assert (x == 2).all()


@pytest.mark.parametrize("entry", ENTRIES)
def test_element_types_that_are_refused(entry):
    class Complex:
        device, dtype = "cpu", "complex64"

        def data_ptr(self):
            return 64

    with pytest.raises(KeyError, match="complex64"):
        ENTRIES[entry](scale, (1,), Complex(), N, 2.0, BLOCK=64)


def test_arguments_that_a_compiled_kernel_refuses():
    x = ones()
    launch = scale.warmup(t(x), N, 2.0, BLOCK=64, grid=(1,))[(1, 1, 1)]
    for args, error, text in (
        ((t(x), N), TypeError, "kernel 'scale' takes 4 arguments, constants included: found 2"),
        ((t(x), N, 2.0, 64, 5), TypeError, "kernel 'scale' takes 4 arguments, constants included: found 5"),
        ((t(x), "64", 2.0, 64), TypeError, "argument 'n' of kernel 'scale': found str, expected an integer"),
        (
            (t(x), 2**31, 2.0, 64),
            OverflowError,
            "argument 'n' of kernel 'scale': found 2147483648, expected a value of",
        ),
        ((t(x), N, [2.0], 64), TypeError, "argument 'factor' of kernel 'scale': found list, expected a number"),
        ((None, N, 2.0, 64), TypeError, "argument 'x_ptr' of kernel 'scale': found None, expected a tensor"),
    ):
        with pytest.raises(error, match=text):
            launch(*args)
    assert (x == 1).all()
    launch(t(x), N, 2.0, 64)
    assert (x == 2).all()


class Elsewhere:
    """A tensor whose memory is a GPU's."""

    class Type(str):
        itemsize, is_floating_point = 4, True

    device, dtype, shape = "cuda:0", Type("float32"), (8, 8)

    def data_ptr(self):
        return 4096

    def stride(self):
        return 8, 1


@pytest.mark.parametrize("entry", [*LAUNCHES, "autotuned"])
def test_tensors_of_a_gpu_are_refused(entry):
    with pytest.raises(ValueError, match="'x_ptr' of kernel 'scale': found a tensor on device 'cuda:0', expected CPU"):
        ENTRIES[entry](scale, (1,), Elsewhere(), N, 2.0, BLOCK=64)


@pytest.mark.parametrize("entry", LAUNCHES)
def test_tensors_of_a_gpu_are_refused_inside_arguments(entry):
    tile = TensorDescriptor.from_tensor(t(np.zeros((8, 8), np.float32)), [8, 8])
    foreign = TensorDescriptor(Elsewhere(), [8, 8], [8, 1], [8, 8])
    for source, target, name in ((foreign, tile, "source"), (tile, foreign, "target")):
        with pytest.raises(ValueError, match=f"'{name}' of kernel 'double_tile': found a tensor on device 'cuda:0'"):
            ENTRIES[entry](double_tile, (1,), source, target)
    for pair, index in (((Elsewhere(), t(ones())), 0), ((t(ones()), Elsewhere()), 1)):
        with pytest.raises(
            ValueError, match=rf"'pair\[{index}\]' of kernel 'members': found a tensor on device 'cuda:0'"
        ):
            ENTRIES[entry](members, (1,), t(ones()), pair, None, BLOCK=64)


def test_tensors_of_a_gpu_are_refused_by_a_compiled_kernel():
    kernel = scale.warmup(Elsewhere(), N, 2.0, BLOCK=64, grid=(1,))
    with pytest.raises(ValueError, match="'x_ptr' of kernel 'scale': found a tensor on device 'cuda:0', expected CPU"):
        kernel[(1, 1, 1)](Elsewhere(), N, 2.0, 64)


# -- arguments


def launches(kernel, grid, *args, **options):
    """Once by each way to launch."""
    for entry in LAUNCHES:
        result = ENTRIES[entry](kernel, grid, *args, **options)
        yield result() if entry == "bind" else None


def test_torch_views_of_all_shapes():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    base = torch.arange(64.0).reshape(8, 8)
    for view, n in (
        (base[:, 3], 8),
        (base[1:, 1], 7),
        (base.t()[2], 8),
        (base[::2, 5], 4),
        (base.sum(), 1),
        (torch.nn.Parameter(base[:, 1].clone()), 8),
        (torch.ones(1).expand(8), 8),
        (torch.empty(0), 0),
    ):
        out = torch.full((8,), -1.0)
        for _ in launches(strided, (1,), view, out, n, view.stride(0) if view.dim() else 1, BLOCK=8):
            assert out.tolist() == [*view.reshape(-1).tolist(), *[-1.0] * (8 - n)]
            out.fill_(-1)


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"])
def test_arrays_of_ml_dtypes(name):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.arange(8).astype(getattr(ml_dtypes, name))
    out = np.zeros(8, x.dtype)
    for _ in launches(strided, (1,), t(x), t(out), 8, 1, BLOCK=8):
        assert out.tolist() == list(range(8))
        out[:] = 0


def test_arrays_of_jax():
    """They are for reading: JAX takes its arrays for constant, which DLPack as it gives it does not say."""
    if (
        importlib.util.find_spec("jax") is None
    ):  # looked for, not imported: its threads would make every later fork unsafe
        pytest.skip("jax is not installed")
    code = """
        import jax, numpy as np, opwright
        from kernels.runtime import strided
        t = opwright.tensor
        x, out = jax.numpy.arange(8, dtype="float32"), np.zeros(8, np.float32)
        for source in (x, x.astype("bfloat16")):
            strided[(1,)](t(source), t(out), 8, 1, BLOCK=8)
            print(*out)
            out[:] = 0
            opwright.bind(strided, (1,), t(source), t(out), 8, 1, BLOCK=8)()
            print(*out)
    """
    assert set(runtime_kit.in_process(code).splitlines()) == {"0.0 1.0 2.0 3.0 4.0 5.0 6.0 7.0"}


def test_read_only_memory_is_refused_before_a_launch(tmp_path):
    np.save(tmp_path / "x.npy", ones())
    for array in (
        np.load(tmp_path / "x.npy", mmap_mode="r"),
        np.frombuffer(ones().tobytes(), np.float32),
        np.broadcast_to(ones(1), N),
    ):
        with pytest.raises(ValueError, match="found read-only memory .*expected writable memory"):
            scale[(1,)](t(array), N, 3.0, BLOCK=64)
        assert (array == 1).all()


def test_tuples_namedtuples_and_none():
    x, y, out = ones(), np.full(N, 4, np.float32), ones()
    for pair, extra, value in (
        ((t(x), t(y)), None, 5),
        ((t(x), None), 0.5, 1.5),
        ((t(y), t(y)), 1, 9),
        ((t(y), None), None, 4),
        (Pair(t(y), t(x)), None, 5),
    ):
        for _ in launches(members, (1,), t(out), pair, extra, BLOCK=64):
            assert (out == value).all()
            out[:] = 0
    for _ in launches(named_members, (1,), t(out), Pair(first=t(y), second=t(x)), BLOCK=64):
        assert (out == 3).all()
        out[:] = 0


def test_a_compiled_kernel_refuses_other_tuples():
    out = ones()
    launch = members.warmup(t(out), (t(ones()), t(ones())), 1.0, BLOCK=64, grid=(1,))[(1, 1, 1)]
    for pair, error, text in (
        ((t(ones()),), ValueError, "'pair' of kernel 'members': found a tuple of 1, expected 2"),
        ((t(ones()), None), TypeError, r"'pair\[1\]' of kernel 'members': found None, expected a tensor"),
        ((t(ones()), ones()), TypeError, r"'pair\[1\]' of kernel 'members': found numpy.ndarray.*opwright.tensor\(x\)"),
        (3, TypeError, "'pair' of kernel 'members': found int, expected a tuple"),
    ):
        with pytest.raises(error, match=text):
            launch(t(out), pair, 1.0, 64)
    launch(t(out), (t(ones()), t(ones())), 1.0, 64)
    assert (out == 3).all()


@pytest.mark.parametrize("of", ["numpy", "torch"])
def test_descriptors_of_the_host(of):
    source = np.arange(64, dtype=np.float32).reshape(8, 8)
    target = np.zeros_like(source)
    wrap = t if of == "numpy" else pytest.importorskip("torch", reason="torch is not installed").from_numpy
    described = [TensorDescriptor.from_tensor(wrap(array), [8, 8]) for array in (source, target)]
    for _ in launches(double_tile, (1,), *described):
        np.testing.assert_array_equal(target, 2 * source)
        target[:] = 0


@pytest.mark.parametrize("of", ["numpy", "torch"])
def test_reinterpreted_tensors(of):
    x = ones()
    bits = x.view(np.int32)
    tensor = t(bits) if of == "numpy" else pytest.importorskip("torch").from_numpy(bits)
    floats = triton.reinterpret(tensor, tl.float32)
    for value in (3, 9):
        scale[(1,)](floats, N, 3.0, BLOCK=64)
        assert (x == value).all()
    assert triton.reinterpret(floats, tensor.dtype) is tensor
