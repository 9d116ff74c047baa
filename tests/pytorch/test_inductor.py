"""Inductor's own `cpu_backend = "triton"`: whole models become Triton kernels, which run here with the numbers of eager mode.

Each run of a model counts the launches that Opwright made, and looks at the code that Inductor wrote: none of it is C++.
"""

from __future__ import annotations

import os

import pytest
import torch
import torch._inductor.config as config
import torch.nn as nn
import torch.nn.functional as F
from torch._inductor.utils import fresh_cache, run_fw_bw_and_get_code

import opwright

from .models import MODELS, mlp

FULL = os.environ.get("OPW_FULL", "") not in ("", "0")


CASES = [
    (name, dtype, dynamic)
    for name in MODELS
    for dtype in (torch.float32, torch.bfloat16)
    for dynamic in (False, True)
    if FULL or dynamic == (dtype is torch.bfloat16)
]


def relative_error(found, exact) -> float:
    return float((found.float() - exact).abs().max() / exact.abs().max().clamp(min=1e-6))


@pytest.mark.parametrize(("name", "dtype", "dynamic"), CASES, ids=lambda v: str(v).removeprefix("torch."))
def test_model(name, dtype, dynamic):
    make, inputs = MODELS[name]
    model = make().to(dtype)
    x = inputs(24, dtype)
    exact = make()
    exact.load_state_dict({key: value.float() for key, value in model.state_dict().items()})
    x32 = x.float() if x.is_floating_point() else x
    expected = exact(x32)
    expected.square().mean().backward()
    eager = model(x)

    with config.patch(cpu_backend="triton"), opwright.profile() as p:
        compiled = torch.compile(model, dynamic=dynamic)
        _, codes = run_fw_bw_and_get_code(lambda: compiled(x))
        model.zero_grad()
        result = compiled(x)
        result.float().square().mean().backward()
        if dynamic:
            more = inputs(31, dtype)
            torch.testing.assert_close(compiled(more), model(more), rtol=2e-2, atol=2e-2)
    assert len(codes) == 2 and p.launches
    for code in codes:
        assert "async_compile.triton(" in code and "cpp_fused" not in code and "cpp_pybinding" not in code

    # Eager mode rounds each operator to the dtype, a fused kernel less often: it must be as near to the exact result, with room for
    # another order of sums.
    scale = 4 * torch.finfo(dtype).eps
    assert (
        relative_error(result.detach(), expected.detach())
        <= 2 * relative_error(eager.detach(), expected.detach()) + scale
    )
    # A gradient is a sum of products of rounded activations: a few roundings of the largest one, as above, and not of its own size,
    # which cancellation may have made small.
    largest = max(float(parameter.grad.abs().max()) for parameter in exact.parameters())
    for parameter, reference in zip(model.parameters(), exact.parameters(), strict=True):
        error = float((parameter.grad.float() - reference.grad).abs().max())
        assert error <= 16 * torch.finfo(dtype).eps * largest


def test_reductions_scans_and_random_numbers():
    def f(x):
        return (x.sin().cumsum(-1), x.argmax(-1), x.var(0), torch.softmax(x, -1).amax(-1), x.sort(-1).values[:, :3])

    x = torch.randn(33, 65)
    with config.patch(cpu_backend="triton"), opwright.profile() as p:
        for found, exact in zip(torch.compile(f)(x), f(x), strict=True):
            torch.testing.assert_close(found, exact)
        kept = torch.compile(lambda x: F.dropout(x, 0.25))(torch.ones(10_000))
    assert {launch.kernel[:11] for launch in p.launches} >= {"triton_per_", "triton_poi_"}
    assert set(kept.unique().tolist()) == {0.0, float(torch.tensor(1 / 0.75))}
    # binomial with p = 0.75: five standard deviations
    assert abs(int((kept > 0).sum()) - 7500) < 5 * (10_000 * 0.75 * 0.25) ** 0.5


def test_max_autotune():
    """Matrix products as Triton templates. `benchmark_epilogue_fusion` is off: with it torch 2.13 writes code that is not Python."""
    model, x = mlp(), torch.randn(32, 64)
    with (
        config.patch(cpu_backend="triton", benchmark_epilogue_fusion=False, max_autotune_gemm_backends="TRITON"),
        torch.no_grad(),
        opwright.profile() as p,
    ):
        torch.testing.assert_close(torch.compile(model, mode="max-autotune")(x), model(x), rtol=1e-4, atol=1e-5)
    assert any(launch.kernel.startswith("triton_tem_") for launch in p.launches), p.table()


def test_max_autotune_with_epilogue_benchmarks_fails_in_torch():
    """The limit that docs/pytorch.md tells of."""
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
    with config.patch(cpu_backend="triton"), torch.no_grad(), fresh_cache():
        with pytest.raises(Exception, match="IndentationError: unexpected indent"):
            torch.compile(model, mode="max-autotune")(torch.randn(32, 64))
