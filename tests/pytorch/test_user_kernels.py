"""Functions that launch Triton kernels on CPU tensors, eagerly and under torch.compile(fullgraph=True); torch.library.triton_op."""

from __future__ import annotations

import pytest
import torch
import triton
from torch.library import triton_op, wrap_triton
from torch.utils._triton import has_triton
from torch.utils.flop_counter import FlopCounterMode, register_flop_formula

import opwright

from . import kernels as k

CONFIGS = [triton.Config({"BLOCK": block}, num_warps=warps) for block in (64, 256) for warps in (1, 4)]
ADDS = {
    "plain": (k.add, {"BLOCK": 128}),
    "autotuned": (triton.autotune(configs=CONFIGS, key=["n"])(k.add), {}),
    "heuristic": (triton.heuristics({"BLOCK": lambda args: 128})(k.add), {}),
    "heuristic, then autotuned": (
        triton.autotune(configs=[triton.Config({}, num_warps=w) for w in (1, 2)], key=["n"])(
            triton.heuristics({"BLOCK": lambda args: 128})(k.add)
        ),
        {},
    ),
    "autotuned, then heuristic": (
        triton.heuristics({"BLOCK": lambda args: 128})(
            triton.autotune(configs=[triton.Config({}, num_warps=w) for w in (1, 2)], key=["n"])(k.add)
        ),
        {},
    ),
}


def adder(kernel, options):
    def f(x, y):
        out = torch.empty_like(x)
        n = x.numel()
        kernel[lambda meta: (triton.cdiv(n, meta["BLOCK"]),)](x, y, out, n, **options)
        return out.sin()

    return f


def test_has_triton():
    assert has_triton()


@pytest.mark.parametrize("name", ADDS)
def test_compiled_function(name):
    f = adder(*ADDS[name])
    x, y = torch.randn(1000), torch.randn(1000)
    torch.testing.assert_close(f(x, y), (x + y).sin())
    with opwright.profile() as p:
        torch.testing.assert_close(torch.compile(f, fullgraph=True)(x, y), (x + y).sin())
    assert any(launch.kernel == "add" for launch in p.launches)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int32], ids=str)
def test_dtypes(dtype):
    def f(x, y):
        out = torch.empty_like(x)
        k.add[(8,)](x, y, out, x.numel(), BLOCK=128)
        return out

    x, y = ((torch.randn(1000) * 100).to(dtype) for _ in range(2))
    torch.testing.assert_close(torch.compile(f, fullgraph=True)(x, y), x + y)


def test_dynamic_shapes():
    compiled = torch.compile(adder(*ADDS["plain"]), fullgraph=True, dynamic=True)
    for n in (1000, 77, 1024, 3):
        x, y = torch.randn(n), torch.randn(n)
        torch.testing.assert_close(compiled(x, y), (x + y).sin())


def test_in_place():
    def f(x):
        y = x + 1
        k.scale_in_place[(8,)](y, 3.0, y.numel(), BLOCK=128)
        return y * 2

    x = torch.randn(1000)
    torch.testing.assert_close(torch.compile(f, fullgraph=True)(x), (x + 1) * 6)


def test_views_and_empty_tensors():
    f = torch.compile(adder(*ADDS["plain"]), fullgraph=True, dynamic=True)
    base = torch.randn(50, 40)
    torch.testing.assert_close(f(base[3], base[7]), (base[3] + base[7]).sin())
    assert f(torch.empty(0), torch.empty(0)).shape == (0,)


# -- torch.library.triton_op: what PyTorch's recipe shows for CUDA


@triton_op("opwright_tests::sine", mutates_args={})
def sine(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    n = x.numel()
    wrap_triton(k.sine)[lambda meta: (triton.cdiv(n, meta["BLOCK"]),)](x, out, n, BLOCK=128)
    return out


@triton_op("opwright_tests::sine_backward", mutates_args={})
def sine_backward(grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    n = x.numel()
    wrap_triton(k.sine_backward)[lambda meta: (triton.cdiv(n, meta["BLOCK"]),)](grad, x, out, n, BLOCK=128)
    return out


sine.register_autograd(
    lambda ctx, grad: sine_backward(grad.contiguous(), *ctx.saved_tensors),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
)


@register_flop_formula(torch.ops.opwright_tests.sine)
def sine_flops(x_shape, *args, out_shape=None, **kwargs) -> int:
    return 10 * torch.Size(x_shape).numel()


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_operator_with_backward(compiled):
    def f(x):
        return sine(x) * 3

    x = torch.randn(1000, requires_grad=True)
    y = (torch.compile(f, fullgraph=True) if compiled else f)(x)
    torch.testing.assert_close(y, x.sin() * 3)
    y.sum().backward()
    torch.testing.assert_close(x.grad, x.detach().cos() * 3)


def test_operator_is_sound():
    torch.library.opcheck(sine, (torch.randn(100, requires_grad=True),))


def test_flops():
    with FlopCounterMode(display=False) as counter:
        sine(torch.randn(1000))
    assert counter.get_total_flops() == 10_000


def test_cpu_kernel_of_an_operator():
    @triton_op("opwright_tests::negated", mutates_args={})
    def negated(x: torch.Tensor) -> torch.Tensor:
        out = x.clone()
        wrap_triton(k.scale_in_place)[(8,)](out, -1.0, out.numel(), BLOCK=128)
        return out

    x = torch.randn(1000)
    torch.testing.assert_close(torch.compile(negated)(x), -x)
    negated.register_kernel("cpu")(lambda x: -x)  # as the recipe does for machines without a GPU
    with opwright.profile() as p:
        torch.testing.assert_close(negated(x), -x)
    assert not p.launches


def test_gradients_in_autograd_threads():
    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            out = torch.empty_like(x)
            k.sine[(8,)](x, out, x.numel(), BLOCK=128)
            return out

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            out = torch.empty_like(x)
            k.sine_backward[(8,)](grad.contiguous(), x, out, x.numel(), BLOCK=128)
            return out

    x = torch.randn(1000, requires_grad=True)
    Function.apply(x).sum().backward()
    torch.testing.assert_close(x.grad, x.detach().cos())
