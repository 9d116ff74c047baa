"""AOTInductor: a package with Triton kernels for the CPU, made by stock PyTorch, that runs where neither Triton nor Opwright can be
imported."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading

import pytest
import torch
import torch._inductor.config as config
import triton
from torch.library import triton_op, wrap_triton

from . import kernels as k


@triton_op("opwright_aoti::affine", mutates_args={})
def affine(x: torch.Tensor, factor: float, shift: int, negate: bool) -> torch.Tensor:
    out = torch.empty_like(x)
    n = x.numel()
    wrap_triton(k.affine)[lambda meta: (triton.cdiv(n, meta["BLOCK"]),)](x, out, factor, shift, negate, n, BLOCK=128)
    return out


@triton_op("opwright_aoti::checked", mutates_args={})
def checked(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    n = x.numel()
    wrap_triton(k.checked)[(triton.cdiv(n, 128),)](x, out, n, BLOCK=128)
    return out


@triton_op("opwright_aoti::row_sums", mutates_args={})
def row_sums(x: torch.Tensor) -> torch.Tensor:
    out = x.new_empty(x.shape[0])
    wrap_triton(k.row_sums)[(x.shape[0],)](x, out, x.shape[1], BLOCK=256)
    return out


class Affine(torch.nn.Module):
    def forward(self, x):
        return affine(x, 2.5, -3, True).sin() + affine(x, 0.5, 7, False)


class Checked(torch.nn.Module):
    def forward(self, x):
        return checked(x) + 1


class Sums(torch.nn.Module):
    def forward(self, x):
        return row_sums(x) * 2


def package(module, x, folder, dynamic=False) -> str:
    shapes = ({0: torch.export.Dim("n", min=2, max=4096)},) if dynamic else None
    exported = torch.export.export(module, (x,), dynamic_shapes=shapes)
    return torch._inductor.aoti_compile_and_package(exported, package_path=str(folder / "model.pt2"))


@pytest.fixture(scope="module")
def affine_package(tmp_path_factory):
    return package(Affine(), torch.randn(1000), tmp_path_factory.mktemp("affine"), dynamic=True)


def exact(x):
    return (-(x * 2.5 - 3)).sin() + x * 0.5 + 7


def test_package_with_dynamic_shapes(affine_package):
    model = torch._inductor.aoti_load_package(affine_package)
    for n in (1000, 2, 129, 4096):
        x = torch.randn(n)
        torch.testing.assert_close(model(x), exact(x))


def test_package_runs_without_triton_and_opwright(affine_package, tmp_path):
    """The kernels are in the package: nothing is compiled, no Python of ours or Triton's runs."""
    x = torch.randn(300)
    torch.save((x, exact(x)), tmp_path / "data.pt")
    code = f"""
import sys
sys.modules["triton"] = sys.modules["opwright"] = None
import torch
x, exact = torch.load({str(tmp_path / "data.pt")!r})
model = torch._inductor.aoti_load_package({affine_package!r})
torch.testing.assert_close(model(x), exact)
print("ok")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "ok\n", done.stderr


def test_package_in_threads(affine_package):
    model = torch._inductor.aoti_load_package(affine_package)
    wrong = []

    def work():
        for n in (64, 1000, 333):
            x = torch.randn(n)
            if not torch.allclose(model(x), exact(x), atol=1e-5):
                wrong.append(n)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_kernel_with_scratch_memory(tmp_path):
    x = torch.randn(7, 200)
    model = torch._inductor.aoti_load_package(package(Sums(), x, tmp_path))
    torch.testing.assert_close(model(x), x.sum(1) * 2, rtol=1e-4, atol=1e-4)


def test_failing_assertion_is_an_error_of_the_model(tmp_path):
    model = torch._inductor.aoti_load_package(package(Checked(), torch.rand(500), tmp_path))
    with pytest.raises(RuntimeError):  # PyTorch prints what the kernel said, and raises a text of its own
        model(torch.full((500,), 2e6))
    x = torch.rand(500)
    torch.testing.assert_close(model(x), x.sqrt() + 1)


def test_other_argument_types_are_refused():
    from opwright.triton_backend.aotinductor import kernel_library

    compiled = k.affine.warmup(torch.float32, torch.float32, 1.0, 2, True, 10, BLOCK=64, grid=(1,))
    for type_ in ("fp16", "bf16", ("i32", "i32"), "nvTmaDesc"):
        with pytest.raises(
            RuntimeError, match="kernel 'affine': found the argument 'shift' of type .*AOTInductor passes no"
        ):
            kernel_library({"x_ptr": "*fp32", "shift": type_}, compiled.metadata, compiled.kernel)


def launcher_of(compiled, folder, signature=None):
    """run_from_nativert as PyTorch's code would call it, with the kernel's description."""
    from opwright.triton_backend.aotinductor import kernel_library

    kernel, launcher = folder / "kernel.so", folder / "launcher.so"
    kernel.write_bytes(
        kernel_library(signature, compiled.metadata, compiled.kernel) if signature else compiled.asm["so"]
    )
    launcher.write_bytes(compiled.asm["launcher.so"])
    description = ctypes.addressof(ctypes.c_char.in_dll(ctypes.CDLL(str(kernel)), compiled.metadata.name))
    run = ctypes.CDLL(str(launcher)).run_from_nativert
    run.argtypes = [ctypes.c_uint32] * 3 + [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    run.restype = None
    return lambda grid, values: run(grid, 1, 1, 1, ctypes.addressof(values), description)


INTEGERS = [
    (f"{kind}{8 << n}", getattr(ctypes, f"c_{'u' * (kind == 'u')}int{8 << n}")) for kind in "iu" for n in range(4)
]


@pytest.mark.parametrize(("name", "ctype"), [*INTEGERS, ("fp32", ctypes.c_float)], ids=lambda v: str(v))
def test_scalars_of_every_size(name, ctype, tmp_path):
    """The least and the largest value arrive: what the kernel stores is the sum with a tensor's element."""
    compiled = k.add_scalar.warmup(torch.float64, torch.float64, ctype(1).value, grid=(1,))
    compiled = triton.compile(
        triton.compiler.ASTSource(k.add_scalar, {"x_ptr": "*fp64", "out_ptr": "*fp64", "value": name}),
        target=compiled.metadata.target,
    )
    compiled._init_handles()
    run = launcher_of(compiled, tmp_path)
    bits = 8 * ctypes.sizeof(ctype)
    values = [0.5, -2.25] if name == "fp32" else [0, -(1 << (bits - 1)) if name[0] == "i" else (1 << bits) - 1, 5]
    for value in values:
        x, out = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        scalar = ctype(value)
        run(1, (ctypes.c_void_p * 3)(x.data_ptr(), out.data_ptr(), ctypes.addressof(scalar)))
        assert out.item() == float(value)


def test_many_arguments_are_refused():
    from opwright.triton_backend.aotinductor import kernel_library

    compiled = k.affine.warmup(torch.float32, torch.float32, 1.0, 2, True, 10, BLOCK=64, grid=(1,))
    with pytest.raises(RuntimeError, match="kernel 'affine': found 257 arguments, expected at most 256"):
        kernel_library({f"a{i}": "i32" for i in range(257)}, compiled.metadata, compiled.kernel)


def test_inductors_own_kernels_are_beyond_torch(tmp_path):
    """The limit that docs/pytorch.md tells of: torch 2.13 miscounts the arguments of kernels that it generated itself."""
    with config.patch(cpu_backend="triton"):
        with pytest.raises(Exception, match="XBLOCK"):
            package(torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU()), torch.randn(4, 8), tmp_path)


def test_exported_functions_need_operators(tmp_path):
    """The limit that docs/pytorch.md tells of: torch.export runs the function on tensors without memory."""

    class Direct(torch.nn.Module):
        def forward(self, x):
            out = torch.empty_like(x)
            k.sine[(8,)](x, out, x.numel(), BLOCK=128)
            return out

    with pytest.raises(RuntimeError, match="Cannot access data pointer of Tensor"):
        torch.export.export(Direct(), (torch.randn(1000),))
