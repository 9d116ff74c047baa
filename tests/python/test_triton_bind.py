"""opwright.bind, opwright.cpu and opwright.profile: launches beyond kernel[grid](...)."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import textwrap
import threading
import weakref

import numpy as np
import pytest

pytest.importorskip("triton", reason="triton is not installed")

import triton
from kernels import elementwise

import opwright

N, BLOCK = 1000, 128
GRID = (triton.cdiv(N, BLOCK),)


def arrays():
    random = np.random.default_rng(3)
    x, y = (random.standard_normal(N, dtype=np.float32) for _ in range(2))
    return x, y, np.zeros(N, np.float32)


def bound(x, y, out, kernel=elementwise.add, **options):
    return opwright.bind(kernel, GRID, *map(opwright.tensor, (x, y, out)), N, **{"BLOCK": BLOCK, **options})


def in_process(code: str, **environment: str) -> subprocess.CompletedProcess:
    """Runs code in a fresh process where `add` and a launch of it are at hand."""
    head = f"""
        import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
        import numpy as np, triton, opwright
        from kernels import elementwise
        x, y, out = (np.full(256, v, np.float32) for v in (1, 2, 0))
        def launch(BLOCK=64):
            t = opwright.tensor
            elementwise.add[(4,)](t(x), t(y), t(out), 256, BLOCK=BLOCK)
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


# -- bind


def test_a_bound_launch_runs_when_called_and_not_before():
    x, y, out = arrays()
    step = bound(x, y, out)
    assert not out.any()
    step()
    np.testing.assert_array_equal(out, x + y)
    x *= 2
    step()
    np.testing.assert_array_equal(out, x + y)
    assert step.grid == (8, 1, 1) and step.kernel == "add"
    assert repr(step) == "<bound launch of kernel 'add', grid (8, 1, 1)>"


def test_grids_of_all_forms():
    x, y, out = arrays()
    t = opwright.tensor
    for grid in (GRID, list(GRID), lambda meta: (triton.cdiv(N, meta["BLOCK"]),), lambda meta: [8, 1]):
        out[:] = 0
        opwright.bind(elementwise.add, grid, t(x), t(y), t(out), N, BLOCK=BLOCK)()
        np.testing.assert_array_equal(out, x + y)
    out[:] = 0
    opwright.bind(elementwise.add, (0,), t(x), t(y), t(out), N, BLOCK=BLOCK)()
    assert not out.any()


def test_the_launch_holds_its_tensors():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x, y, out = torch.ones(N), torch.ones(N), torch.zeros(N)
    kept = weakref.ref(x)
    step = opwright.bind(elementwise.add, GRID, x, y, out, N, BLOCK=BLOCK)
    del x
    gc.collect()
    assert kept() is not None
    step()
    assert (out == 2).all()
    del step
    gc.collect()
    assert kept() is None


def test_autotuned_and_heuristic_kernels():
    x, y, out = arrays()
    configs = [triton.Config({"BLOCK": 64}), triton.Config({"BLOCK": 256})]
    autotuned = triton.autotune(configs=configs, key=["n"])(elementwise.add)
    heuristic = triton.heuristics({"BLOCK": lambda args: 128})(elementwise.add)
    both = triton.heuristics({"BLOCK": lambda args: 128})(
        triton.autotune(configs=[triton.Config({}, num_warps=w) for w in (1, 2)], key=["n"])(elementwise.add)
    )
    for kernel in (autotuned, heuristic, both):
        step = opwright.bind(
            kernel, lambda meta: (triton.cdiv(N, meta["BLOCK"]),), *map(opwright.tensor, (x, y, out)), N
        )
        out[:] = 0
        step()
        np.testing.assert_array_equal(out, x + y)


def test_threads_share_a_bound_launch():
    x, y, out = arrays()
    step = bound(x, y, out)
    threads = [threading.Thread(target=lambda: [step() for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(out, x + y)


def test_launches_of_other_threads_are_not_captured():
    x, y, out = arrays()
    other = np.zeros_like(out)

    def grid(meta):
        worker = threading.Thread(
            target=lambda: elementwise.add[GRID](*map(opwright.tensor, (x, y, other)), N, BLOCK=BLOCK)
        )
        worker.start()
        worker.join()
        return GRID

    opwright.bind(elementwise.add, grid, *map(opwright.tensor, (x, y, out)), N, BLOCK=BLOCK)
    np.testing.assert_array_equal(other, x + y)
    assert not out.any()


def test_bad_uses():
    x, y, out = arrays()
    step = bound(x, y, out)
    with pytest.raises(TypeError, match="a bound launch takes no arguments"):
        step(1)
    with pytest.raises(TypeError, match="a bound launch takes no arguments"):
        step(n=1)
    with pytest.raises(TypeError, match="grid\\[0\\] of kernel 'add' is 1.5"):
        opwright.bind(elementwise.add, (1.5,), *map(opwright.tensor, (x, y, out)), N, BLOCK=BLOCK)
    with pytest.raises(TypeError, match=r"found function, expected a @triton.jit kernel: bind\(kernel, grid, ...\)"):
        opwright.bind(elementwise.add[GRID], GRID, *map(opwright.tensor, (x, y, out)), N, BLOCK=BLOCK)
    with pytest.raises(TypeError, match="found the grid 8, expected a tuple, a list or a function"):
        opwright.bind(elementwise.add, 8, *map(opwright.tensor, (x, y, out)), N, BLOCK=BLOCK)
    # a failed bind leaves the thread as it was
    elementwise.add[GRID](*map(opwright.tensor, (x, y, out)), N, BLOCK=BLOCK)
    np.testing.assert_array_equal(out, x + y)


def test_hooks_that_a_bound_launch_would_leave_out():
    x, y, out = arrays()
    arguments = [*map(opwright.tensor, (x, y, out)), N]
    configs = [triton.Config({"BLOCK": BLOCK}, pre_hook=lambda args: None)]
    with pytest.raises(ValueError, match="found a configuration with a pre_hook, expected none"):
        opwright.bind(triton.autotune(configs=configs, key=["n"])(elementwise.add), GRID, *arguments)

    def hook(*args, **options):
        elementwise.hypotenuse[GRID](*arguments, BLOCK=BLOCK)

    elementwise.add.add_pre_run_hook(hook)
    try:
        with pytest.raises(
            RuntimeError, match="found 2 launches in one of .*, expected 1: a hook launches kernels, too"
        ):
            bound(x, y, out)
    finally:
        elementwise.add.pre_run_hooks.remove(hook)


def test_bind_needs_the_cpu_driver():
    done = in_process(
        """
        from triton.runtime import driver
        class Other: pass
        driver.set_active(Other())
        try:
            opwright.bind(elementwise.add, (1,))
        except RuntimeError as error:
            print(error)
        """
    )
    assert "found Other as Triton's active driver, expected the CPU's: call bind inside `with opwright.cpu():`" in (
        done.stdout
    ), done.stderr


# -- cpu


def test_cpu_switches_one_thread():
    done = in_process(
        """
        import threading
        from triton.runtime import driver
        class Other:
            def get_current_device(self): return "other"
        driver.set_active(Other())
        seen = []
        def look(): seen.append(driver.active.get_current_device())
        with opwright.cpu():
            launch()
            step = opwright.bind(elementwise.add, (4,), *map(opwright.tensor, (x, y, out)), 256, BLOCK=64)
            with opwright.cpu():
                look()
            look()
            thread = threading.Thread(target=look); thread.start(); thread.join()
        look()
        out[:] = 0
        step()
        print(seen, out.sum())
        try:
            with opwright.cpu():
                raise KeyError
        except KeyError:
            look()
        print(seen[-1])
        """
    )
    assert done.stdout.split("\n")[:2] == ["['cpu', 'cpu', 'other', 'other'] 768.0", "other"], done.stderr


def test_cpu_left_in_another_thread_and_copied():
    done = in_process(
        """
        import copy, threading
        from triton.runtime import driver
        class Other:
            def get_current_device(self): return "other"
        driver.set_active(Other())
        block = opwright.cpu()
        block.__enter__()
        copy.copy(driver.active)
        thread = threading.Thread(target=block.__exit__, args=(None, None, None)); thread.start(); thread.join()
        print(driver.active.get_current_device())
        """
    )
    assert done.stdout == "other\n", done.stderr


def test_cpu_before_triton_has_chosen():
    done = in_process("with opwright.cpu():\n    launch()\nlaunch(128)\nprint(out.sum())")
    assert done.stdout == "768.0\n", done.stderr


# -- profile


def test_profile_of_launches(tmp_path):
    x, y, out = arrays()
    step = bound(x, y, out)
    step()
    with opwright.profile() as outer:
        step()
        with opwright.profile() as inner:
            worker = threading.Thread(target=step)
            worker.start()
            worker.join()
            elementwise.add[(2,)](*map(opwright.tensor, (x, y, out)), N, BLOCK=BLOCK)
        step()
    step()
    assert [launch.grid for launch in inner.launches] == [(8, 1, 1), (2, 1, 1)]
    assert [launch.grid for launch in outer.launches] == [(8, 1, 1), (8, 1, 1), (2, 1, 1), (8, 1, 1)]
    assert all(launch.seconds > 0 and launch.kernel == "add" for launch in outer.launches)
    starts = [launch.start for launch in outer.launches]
    assert starts == sorted(starts)
    assert len({launch.thread for launch in outer.launches}) == 2
    (total,) = outer.totals()
    assert total.launches == 4 and total.seconds == pytest.approx(sum(launch.seconds for launch in outer.launches))
    head, line = outer.table().splitlines()
    assert head.split() == ["kernel", "launches", "total", "ms", "share", "mean", "us"]
    assert line.split()[:2] == ["add", "4"] and line.split()[3] == "100.0%"

    trace = tmp_path / "trace.json"
    outer.write_trace(trace)
    events = json.loads(trace.read_text())["traceEvents"]
    assert [event["args"]["grid"][0] for event in events] == [8, 8, 2, 8]
    assert all(event["ph"] == "X" and event["dur"] > 0 for event in events)
    assert [path.name for path in tmp_path.iterdir()] == ["trace.json"]


def test_an_empty_profile():
    with opwright.profile() as p:
        pass
    assert p.launches == [] and p.totals() == []
    assert p.table().split() == ["kernel", "launches", "total", "ms", "share", "mean", "us"]


def test_profile_by_environment(tmp_path):
    done = in_process("launch(); launch()", OPW_PROFILE="1")
    lines = done.stderr.splitlines()
    assert lines[0].split()[0] == "kernel" and lines[1].split()[:2] == ["add", "2"], done.stderr
    trace = tmp_path / "t.json"
    done = in_process("launch()\nimport os\nif os.fork() == 0: raise SystemExit\nos.wait()", OPW_PROFILE=str(trace))
    assert done.returncode == 0, done.stderr
    assert len(json.loads(trace.read_text())["traceEvents"]) == 1
    assert in_process("launch()", OPW_PROFILE="0").stderr == ""


def test_forks_while_threads_record():
    done = in_process(
        """
        import os, threading, time
        step = opwright.bind(elementwise.add, (4,), *map(opwright.tensor, (x, y, out)), 256, BLOCK=64)
        going = True
        def forever():
            while going:
                step()
        threads = [threading.Thread(target=forever) for _ in range(3)]
        with opwright.profile():
            for thread in threads:
                thread.start()
            for _ in range(40):
                child = os.fork()
                if child == 0:
                    step()
                    os._exit(0)
                for _ in range(500):
                    if os.waitpid(child, os.WNOHANG)[0]:
                        break
                    time.sleep(0.01)
                else:
                    os.kill(child, 9)
                    print("hung")
            going = False
            for thread in threads:
                thread.join()
        print("done")
        """
    )
    assert done.stdout == "done\n", done.stderr


def test_perf_map():
    done = in_process(
        """
        import os
        launch()
        path = f"/tmp/perf-{os.getpid()}.map"
        print(open(path).read())
        os.remove(path)
        """,
        OPW_PERF_MAP="1",
    )
    address, size, name = done.stdout.split()
    assert int(address, 16) > 0 and int(size, 16) > 16 and name == "add", done.stderr
