"""Triton's autotuner, heuristics and benchmarks on this backend."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("triton", reason="triton is not installed")

import runtime_kit
import triton
import triton.language as tl
from kernels import regressions
from kernels.runtime import even_only, limited, perhaps_refused, scale
from runtime_kit import ENTRIES, Bench, N, blocks, fresh, ones, place, t, whole
from triton.compiler.errors import CompileTimeAssertionFailure
from triton.runtime.errors import AutotunerError, OutOfResources

import opwright
from opwright.triton_backend.errors import KernelError

cache, compiled = runtime_kit.cache, runtime_kit.compiled


@triton.jit
def accumulate(sum_ptr, x_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    total = tl.load(sum_ptr + at, mask=at < n) + tl.load(x_ptr + at, mask=at < n)
    tl.store(sum_ptr + at, total, mask=at < n)


@triton.jit
def tell(out_ptr, n, EVEN: tl.constexpr, BLOCK: tl.constexpr):
    tl.store(out_ptr, n)
    tl.store(out_ptr + 1, 1 if EVEN else 0)
    tl.store(out_ptr + 2, BLOCK)


# -- autotuning


def test_the_fastest_configuration_is_kept_for_each_key_and_element_type():
    bench = Bench(3, 1, 2, 1, 2, 3, 2, 3, 1)
    tuned = triton.autotune(blocks(16, 32, 64), key=["n"], do_bench=bench)(scale)
    x, y = ones(), np.ones(N, np.float64)
    for array, n, best, count in ((x, N, 32, 3), (x, N, 32, 3), (x, 40, 16, 6), (y, N, 64, 9), (x, 40, 16, 9)):
        tuned[whole](t(array), n, 1.0)
        assert tuned.best_config.kwargs == {"BLOCK": best} and bench.count == count


def test_a_kept_choice_is_read_from_disk(cache):
    for bench, count in ((Bench(2, 1), 2), (Bench(1, 2), 0)):
        tuned = triton.autotune(blocks(16, 32), key=["n"], do_bench=bench, cache_results=True)(fresh(scale))
        tuned[whole](t(ones()), N, 1.0)
        assert tuned.best_config.kwargs == {"BLOCK": 32} and bench.count == count


def test_heuristics_inside_see_the_configuration():
    even = triton.heuristics({"EVEN": lambda args: args["n"] % args["BLOCK"] == 0})(tell)
    tuned = triton.autotune(blocks(16, 32), key=["n"], do_bench=Bench(2, 1, 1, 2))(even)
    for n, told in ((48, [48, 0, 32]), (64, [64, 1, 16])):
        out = np.zeros(3, np.int32)
        tuned[(1,)](t(out), n)
        assert out.tolist() == told


def test_heuristics_outside_are_arguments_of_every_configuration():
    tuned = triton.autotune(blocks(16, 32), key=["n"], do_bench=Bench(2, 1))(tell)
    even = triton.heuristics({"EVEN": lambda args: args["n"] % 16 == 0})(tuned)
    for n, told in ((48, [48, 1, 32]), (48, [48, 1, 32])):
        out = np.zeros(3, np.int32)
        even[(1,)](t(out), n)
        assert out.tolist() == told


def test_early_config_prune_leaves_what_may_be_tried(compiled):
    seen, bench = {}, Bench(2, 1)

    def prune(configs, arguments, **options):
        seen.update(arguments | options)
        return [config for config in configs if config.kwargs["BLOCK"] >= arguments["n"]]

    tuned = triton.autotune(
        blocks(16, 32, 64, 128), key=["n"], do_bench=bench, prune_configs_by={"early_config_prune": prune}
    )(fresh(tell))
    out = np.zeros(3, np.int32)
    tuned[(1,)](t(out), 64, EVEN=True)
    assert seen["n"] == 64 and seen["EVEN"] is True
    assert out.tolist() == [64, 1, 128] and bench.count == len(compiled) == 2
    with pytest.raises(AutotunerError, match="No valid autotuner configs after pruning"):
        tuned[(1,)](t(out), 1000, EVEN=True)
    tuned[(1,)](t(out), 64, EVEN=True)
    assert bench.count == 2


@pytest.mark.parametrize(("top_k", "times", "best"), [(2, (2, 1), 16), (0.5, (1, 2), 32), (1, (), 32)])
def test_perf_model_leaves_the_most_promising(top_k, times, best, compiled):
    bench = Bench(*times)
    model = {"perf_model": lambda BLOCK, n, **_: abs(BLOCK - n // 2), "top_k": top_k}
    tuned = triton.autotune(blocks(128, 16, 32, 256), key=["n"], do_bench=bench, prune_configs_by=model)(fresh(tell))
    out = np.zeros(3, np.int32)
    tuned[(1,)](t(out), 64, EVEN=False)
    assert out.tolist() == [64, 0, best] and len(compiled) == max(len(times), 1)
    assert bench.count == len(times) or not times  # before Triton 3.9 one configuration alone is timed, too


class OldDLPack:
    """An array type with nothing but DLPack from before 1.0, which cannot say that memory is read-only."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, *, stream=None):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return 1, 0


def memory(kind: str) -> tuple[Any, Callable[[], list]]:
    """A tensor of N ones, and what reads it."""
    if kind == "bfloat16 array":
        ml_dtypes = pytest.importorskip("ml_dtypes")
        x = np.ones(N, ml_dtypes.bfloat16)
        return t(x), lambda: x.astype(np.float32).tolist()
    if "torch" in kind:
        torch = pytest.importorskip("torch", reason="torch is not installed")
        dtype = torch.bfloat16 if "bfloat16" in kind else torch.float32
        y = torch.ones(N, dtype=dtype, requires_grad="parameter" in kind)
        return t(y) if "view" in kind else y, lambda: y.detach().float().tolist()
    z = ones()
    return t(OldDLPack(z) if kind == "old DLPack" else z), z.tolist


MEMORY = ["array", "bfloat16 array", "torch tensor", "view of torch tensor", "view of torch bfloat16 tensor",
          "view of torch parameter", "old DLPack"]  # fmt: skip


def test_without_restore_value_every_run_of_a_benchmark_counts():
    x = ones()
    triton.autotune(blocks(16, 32, 64), key=["n"], do_bench=Bench(runs=3))(scale)[whole](t(x), N, 3.0)
    assert (x == 3.0**10).all()


@pytest.mark.parametrize("kind", MEMORY)
def test_restore_value_undoes_what_a_benchmark_wrote(kind):
    tensor, values = memory(kind)
    bench = Bench(runs=3)
    tuned = triton.autotune(blocks(16, 32, 64), key=["n"], restore_value=["x_ptr"], do_bench=bench)(scale)
    tuned[whole](tensor, N, 3.0)
    assert bench.count == 3 and values() == [3.0] * N
    tuned[whole](tensor, N, 3.0)
    assert bench.count == 3 and values() == [9.0] * N


@pytest.mark.parametrize("kind", MEMORY)
def test_reset_to_zero_clears_before_each_run_and_the_launch(kind):
    total, values = memory(kind)
    tuned = triton.autotune(blocks(16, 32, 64), key=["n"], reset_to_zero=["sum_ptr"], do_bench=Bench(runs=3))(
        accumulate
    )
    x = np.full(N, 5, np.float32)
    tuned[whole](total, t(x), N)
    assert values() == [5.0] * N
    tuned[whole](total, t(x), N)
    assert values() == [10.0] * N


def test_hooks_of_the_autotuner_and_of_a_configuration():
    events = []
    configs = [
        triton.Config({"BLOCK": b}, pre_hook=lambda args: events.append(("config", args["BLOCK"]))) for b in (32, 64)
    ]
    tuned = triton.autotune(
        configs,
        key=["n"],
        pre_hook=lambda args, reset_only=False: events.append(("pre", args["BLOCK"], reset_only)),
        post_hook=lambda args, exception: events.append(("post", args["x_ptr"].base[0].item(), exception)),
        do_bench=Bench(2, 1),
    )(scale)
    x = ones()
    tuned[whole](t(x), N, 3.0)
    assert events == [
        ("config", 32), ("pre", 32, False), ("post", 3.0, None),
        ("config", 64), ("pre", 64, False), ("post", 9.0, None),
        ("pre", 64, True), ("config", 64),
    ]  # fmt: skip
    events.clear()
    tuned[whole](t(x), N, 3.0)
    assert events == [("config", 64)] and (x == 81).all()


@pytest.mark.parametrize("entry", ["launch", "bind"])
def test_a_configuration_whose_static_assertion_fails_is_skipped(entry):
    failures, out = [], np.zeros(N, np.int32)
    tuned = triton.autotune(
        [triton.Config({"VALUE": v}) for v in (3, 4, 5, 6)],
        key=["n"],
        do_bench=Bench(2, 1),
        post_hook=lambda args, exception: failures.append((args["VALUE"], type(exception).__name__)),
    )(even_only)
    ENTRIES[entry](tuned, (1,), t(out), N, BLOCK=64)
    assert tuned.best_config.kwargs == {"VALUE": 6} and (out == 6).all()
    assert failures == [(v, "CompileTimeAssertionFailure" if v % 2 else "NoneType") for v in (3, 4, 5, 6)]


@pytest.mark.parametrize("entry", ["launch", "bind"])
def test_where_every_configuration_fails_the_launch_says_why(entry):
    out = np.zeros(N, np.int32)
    odd = triton.autotune([triton.Config({"VALUE": v}) for v in (3, 5)], key=["n"], do_bench=Bench())(even_only)
    large = [triton.Config({"COUNT": count, "BLOCK": 1 << 20}) for count in (280, 290)]
    scans = triton.autotune(large, key=["n"], do_bench=Bench())(regressions.many_scans)
    for _ in range(2):
        with pytest.raises(CompileTimeAssertionFailure, match=r"(?s)def even_only\(.*VALUE must be even"):
            ENTRIES[entry](odd, (1,), t(out), N, BLOCK=64)
        with pytest.raises(OutOfResources, match="the tiles that this kernel keeps take .* in kernel 'many_scans'"):
            ENTRIES[entry](scans, (1,), t(ones()), t(ones()), 8)
    assert not out.any()
    even_only[(1,)](t(out), N, VALUE=2, BLOCK=64)
    assert (out == 2).all()


def test_what_no_configuration_may_do_ends_the_tuning():
    """Triton skips what does not fit and what asserts while it compiles; other errors are the kernel's."""
    x = ones()
    tuned = triton.autotune([triton.Config({"GPU": gpu}) for gpu in (True, False)], key=["n"], do_bench=Bench())
    where = re.escape(place(perhaps_refused, "x = tl.inline_asm"))
    with pytest.raises(KernelError, match=f"{where}:.*tt.elementwise_inline_asm. in kernel 'perhaps_refused'"):
        tuned(perhaps_refused)[(1,)](t(x), N)
    tuned = triton.autotune([triton.Config({"limit": limit}) for limit in (N, 8)], key=["n"], do_bench=Bench())(limited)
    where = re.escape(place(limited, "tl.device_assert(n <= limit"))
    with pytest.raises(RuntimeError, match=f"kernel 'limited' failed: .*{where}.*n is above the limit"):
        tuned[(1,)](t(x), N, BLOCK=64, debug=True)
    tuned[(1,)](t(x), 8, BLOCK=64, debug=True)
    assert x.tolist() == list(range(N))


def test_a_tuned_parameter_that_is_also_passed_is_refused():
    tuned = triton.autotune(blocks(16, 32), key=["n"], do_bench=Bench())(scale)
    with pytest.raises(ValueError, match="Conflicting meta-parameters: BLOCK"):
        tuned[(1,)](t(ones()), N, 2.0, BLOCK=64)


PLACES = ["grid", "heuristic", "early_config_prune", "perf_model", "pre_hook", "post_hook", "pre_hook of a configuration",
          "do_bench", "pre_run_hook"]  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "where"),
    [("launch", where) for where in PLACES]
    + [("bind", where) for where in PLACES if where != "pre_hook of a configuration"],
)
def test_exceptions_of_callbacks_come_through_and_the_next_launch_works(entry, where):
    class Mine(Exception):
        pass

    error, armed = Mine(), True

    def at(name, function=lambda *_, **__: None):
        def callback(*args, **options):
            if name == where and armed:
                raise error
            return function(*args, **options)

        return callback

    kernel = fresh(tell)
    kernel.add_pre_run_hook(at("pre_run_hook"))
    own = at("pre_hook of a configuration") if where == "pre_hook of a configuration" else None
    tuned = triton.autotune(
        [triton.Config({"BLOCK": size}, pre_hook=own) for size in (16, 32, 64)],
        key=["n"],
        prune_configs_by={
            "early_config_prune": at("early_config_prune", lambda configs, *_, **__: configs),
            "perf_model": at("perf_model", lambda BLOCK, **_: -BLOCK),
            "top_k": 2,
        },
        pre_hook=at("pre_hook"),
        post_hook=at("post_hook"),
        do_bench=at("do_bench", Bench()),
    )(triton.heuristics({"EVEN": at("heuristic", lambda args: args["n"] % args["BLOCK"] == 0)})(kernel))
    out = np.zeros(3, np.int32)
    with pytest.raises(Mine) as caught:
        ENTRIES[entry](tuned, at("grid", lambda meta: (1,)), t(out), N)
    assert caught.value is error
    armed = False
    out[:] = 0
    ENTRIES[entry](tuned, at("grid", lambda meta: (1,)), t(out), N)
    assert out.tolist() == [N, 1, 64]


# -- benchmarks


def test_do_bench_summarizes_the_times_of_single_runs():
    import time

    def bench(**options):
        return triton.testing.do_bench(lambda: time.sleep(1e-3), warmup=1, rep=5, **options)

    for mode in ("min", "max", "mean", "median"):
        assert 1 <= bench(return_mode=mode) < 1000
    times = bench(return_mode="all")
    assert len(times) >= 1 and min(times) >= 1
    low, middle, high = bench(quantiles=[0.0, 0.5, 1.0])
    assert 1 <= low <= middle <= high
    assert bench(quantiles=[0.5], return_mode="all") >= 1
    with pytest.raises(AssertionError):
        bench(return_mode="mode")


def test_do_bench_launches_the_kernel_and_drops_gradients():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x, weight = ones(), torch.ones(3, requires_grad=True)
    weight.grad = torch.ones(3)
    with opwright.profile() as profile:
        times = triton.testing.do_bench(
            lambda: scale[(1,)](t(x), N, 1.0, BLOCK=64), warmup=1, rep=1, grad_to_none=[weight], return_mode="all"
        )
    # one to compile, five to estimate the time, one at least to warm up, and those that are timed
    assert profile.totals()[0].launches >= 7 + len(times)
    assert weight.grad is None


def test_perf_report(tmp_path, capsys):
    pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed").use("Agg")
    benchmark = triton.testing.Benchmark(
        x_names=["n"],
        x_vals=[16, 64],
        line_arg="block",
        line_vals=[16, 32],
        line_names=["small", "large"],
        plot_name="programs",
        ylabel="count",
        args={"factor": 3.0},
    )

    @triton.testing.perf_report(benchmark)
    def programs(n, block, factor):
        x = ones()
        with opwright.profile() as profile:
            scale[(triton.cdiv(n, block),)](t(x), n, factor, BLOCK=block)
        assert x.sum() == N + 2 * n
        count = profile.launches[0].grid[0]
        return count, count - 1, count + 1

    table = programs.run(print_data=True, return_df=True, save_path=str(tmp_path))
    assert table.values.tolist() == [[16, 1, 1], [64, 4, 2]]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "programs:" and printed[1].split() == ["n", "small", "(count)", "large", "(count)"]
    rows = [line.split(",") for line in (tmp_path / "programs.csv").read_text().splitlines()]
    assert rows[0] == ["n", "small (count)", "large (count)"]
    assert [[float(cell) for cell in row] for row in rows[1:]] == [[16, 1, 1], [64, 4, 2]]
    assert (tmp_path / "programs.png").read_bytes()[1:4] == b"PNG" and "programs.png" in (
        tmp_path / "results.html"
    ).read_text()


def test_assert_close():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x, y = torch.ones(N), ones()
    scale[(1,)](x, N, 1.5, BLOCK=64)
    scale[(1,)](t(y), N, 1.5, BLOCK=64)
    triton.testing.assert_close(x, y, atol=0)
    triton.testing.assert_close(x.bfloat16(), y, atol=0)
    with pytest.raises(AssertionError, match="64 / 64"):
        triton.testing.assert_close(x, y + 0.25, atol=0.125)
