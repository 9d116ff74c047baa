"""Launches and what happens to the process around them: signals, exits, forks, many launches, event loops, changed sources."""

from __future__ import annotations

import asyncio
import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("triton", reason="triton is not installed")

from kernels import elementwise

import opwright

HEAD = f"""
    import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
    import numpy as np, opwright, threading, time
    from kernels import elementwise
    t = opwright.tensor
    x, out = np.ones(1 << 20, np.float32), np.zeros(1 << 20, np.float32)
    step = opwright.bind(elementwise.add, (1 << 10,), t(x), t(x), t(out), x.size, BLOCK=1024)
    step()
"""


def start(code: str) -> subprocess.Popen:
    environment = os.environ | {"TRITON_DEFAULT_BACKEND": "cpu"}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HEAD) + textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_an_interrupt_arrives_when_the_launch_ends():
    process = start(
        """
        long = opwright.bind(elementwise.add, (1 << 20,), t(x), t(x), t(out), 1024, BLOCK=1 << 10)
        print("ready", flush=True)
        try:
            while True:
                long()
        except KeyboardInterrupt:
            print("interrupted", out[:1024].sum(), flush=True)
        """
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=120)
    assert printed == "interrupted 2048.0\n", errors
    assert process.returncode == 0


@pytest.mark.parametrize("times", range(3))
def test_exit_while_threads_are_in_kernels(times):
    process = start(
        """
        def forever():
            while True:
                step()
        for _ in range(3):
            threading.Thread(target=forever, daemon=True).start()
        time.sleep(0.2)
        print("leaving", flush=True)
        """
    )
    printed, errors = process.communicate(timeout=60)
    assert (process.returncode, printed, errors) == (0, "leaving\n", "")


def resident() -> int:
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_many_launches_take_no_memory():
    x, out = np.ones(64, np.float32), np.zeros(64, np.float32)
    arguments = [opwright.tensor(a) for a in (x, x, out)]
    step = opwright.bind(elementwise.add, (2,), *arguments, 64, BLOCK=32)

    def both(count: int) -> None:
        for _ in range(count):
            step()
            elementwise.add[(2,)](*arguments, 64, BLOCK=32)

    both(2_000)
    before = resident()
    both(50_000)
    assert resident() - before < 1 << 20


def work(seed: int) -> bool:
    x, out = np.full(100, seed, np.float32), np.zeros(100, np.float32)
    t = opwright.tensor
    elementwise.add[(4,)](t(x), t(x), t(out), 100, BLOCK=32)
    return bool((out == 2 * seed).all())


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes(method):
    assert work(1)
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(work, range(1, 6)) == [True] * 5
    assert work(2)


def test_a_fork_after_launches_on_torchs_threads():
    """torch's own threads do not survive a fork; a launch in the child does not wait for them."""
    pytest.importorskip("torch", reason="torch is not installed")
    code = """
        import os, torch
        torch.set_num_threads(4)
        x = torch.zeros(1 << 16)
        def launch():
            elementwise.add[(256,)](x, x, x, x.numel(), BLOCK=256)
        bound = opwright.bind(elementwise.add, (256,), x, x, x, x.numel(), BLOCK=256)
        x += 1
        launch()
        child = os.fork()
        if child == 0:
            launch()
            bound()
            os._exit(0 if (x.numpy() == 8).all() else 1)  # not by torch, which hangs here by itself
        assert os.waitpid(child, 0)[1] == 0
        launch()
        print(x[0].item())
    """
    process = start(code)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and out.split()[-1] == "4.0", errors


def test_event_loop():
    async def gather() -> list[bool]:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(4) as pool:
            return await asyncio.gather(*(loop.run_in_executor(pool, work, seed) for seed in range(1, 20)))

    assert all(asyncio.run(gather()))


def test_twenty_kernels_in_eight_threads():
    wrong = []

    def launches(seed: int) -> None:
        x, out = np.full(64, seed, np.float32), np.zeros(64, np.float32)
        t = opwright.tensor
        for round_ in range(1000):
            block, warps = 16 << round_ % 10, 1 << round_ // 10 % 2
            out[:] = 0
            elementwise.add[(64 // min(block, 64) + 1,)](t(x), t(x), t(out), 64, BLOCK=block, num_warps=warps)
            if not (out == 2 * seed).all():
                wrong.append((seed, block))

    threads = [threading.Thread(target=launches, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_exceptions_in_hooks_and_grids():
    import triton

    def fail(*_):
        raise KeyError("mine")

    x, out = np.ones(64, np.float32), np.zeros(64, np.float32)
    t = opwright.tensor
    hooks = triton.knobs.runtime.launch_enter_hook
    hooks.add(fail)
    try:
        with pytest.raises(KeyError, match="mine"):
            elementwise.add[(2,)](t(x), t(x), t(out), 64, BLOCK=32)
    finally:
        hooks.remove(fail)
    assert not out.any()
    with pytest.raises(KeyError, match="mine"):
        elementwise.add[fail](t(x), t(x), t(out), 64, BLOCK=32)
    assert work(3)


def test_tensors_without_memory_here():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x, out = torch.ones(64), torch.zeros(64)
    with pytest.raises((TypeError, ValueError, RuntimeError), match="x_ptr|meta|memory"):
        elementwise.add[(2,)](torch.ones(64, device="meta"), x, out, 64, BLOCK=32)
    elementwise.add[(2,)](x, x, out, 64, BLOCK=32)
    assert (out == 2).all()


def test_a_changed_source_is_compiled_again(tmp_path):
    path = tmp_path / "changing.py"

    def result(operation: str) -> float:
        path.write_text(
            "import triton\nimport triton.language as tl\n\n\n@triton.jit\ndef k(x_ptr, out_ptr):\n"
            f"    tl.store(out_ptr, tl.load(x_ptr) {operation})\n"
        )
        spec = importlib.util.spec_from_file_location("changing", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        x, out = np.full(1, 3, np.float32), np.zeros(1, np.float32)
        module.k[(1,)](opwright.tensor(x), opwright.tensor(out))
        return float(out[0])

    sys.dont_write_bytecode = True
    try:
        assert (result("+ 1"), result("* 5"), result("+ 1")) == (4, 15, 4)
    finally:
        sys.dont_write_bytecode = False
