"""Cost of a launch through Triton: what Opwright adds to `kernel[grid](...)`, a bound launch, a small grid on two threads, and a
kernel after an operator of torch on either one's threads."""

from __future__ import annotations

import os
from collections.abc import Callable

import common
from common import Row

COUNT, ROUNDS = 2000, 15


def microseconds(sides: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Per call; the sides take turns."""

    def many(call: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(COUNT):
                call()

        return run

    seconds = common.interleaved({name: many(call) for name, call in sides.items()}, ROUNDS)
    return {name: value / COUNT * 1e6 for name, value in seconds.items()}


def measure() -> list[Row]:
    cores = sorted(os.sched_getaffinity(0))
    common.use_cpu_backend()
    import kernels
    import torch

    import opwright

    x, y, out = (torch.zeros(16) for _ in range(3))

    def launch() -> None:
        kernels.vector_add[(1,)](out, x, y, 16, BLOCK=16)

    # One core: the launch itself, no thread of the pool.
    os.sched_setaffinity(0, cores[-1:])
    compiled = kernels.vector_add[(1,)](out, x, y, 16, BLOCK=16)
    ours = compiled.run

    def with_launcher(launcher: Callable) -> Callable[[], None]:
        def call() -> None:
            compiled._run = launcher
            launch()

        return call

    bound = opwright.bind(kernels.vector_add, (1,), out, x, y, 16, BLOCK=16)
    us = microseconds(
        {
            "ours": with_launcher(ours),
            "no-op": with_launcher(lambda *args: None),
            "bound": bound,
            "python": lambda: None,
        }
    )
    share = us["ours"] - us["no-op"]
    rows = [
        Row("launch of 5 arguments, over a no-op launcher", share, "us", at_most=1, note=f"{us['ours']:.2f} us in all"),
        Row("bound launch", us["bound"], "us", at_most=1, note=f"of it {us['python']:.2f} us are Python's call"),
    ]
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[:2])
        opwright.set_threads(2)
        torch.set_num_threads(2)
        small = torch.zeros(2 * 4096)
        array = opwright.tensor(small.numpy())
        one = opwright.bind(kernels.vector_add, (1,), small, small, small, 4096, BLOCK=4096)
        ours, torchs = (
            opwright.bind(kernels.vector_add, (2,), tensor, tensor, tensor, 8192, BLOCK=4096)
            for tensor in (array, small)
        )
        wide = microseconds({"one": one, "ours": ours})
        rows.append(Row("two programs on two threads, over one program", wide["ours"] - wide["one"], "us", at_most=2))
        wide = microseconds({"one": one, "torch": torchs})
        over = wide["torch"] - wide["one"]
        rows.append(Row("the same on torch's threads", over, "us", at_most=2))

        large = torch.zeros(1 << 16)
        array = opwright.tensor(large.numpy())
        ours, torchs = (
            opwright.bind(kernels.vector_add, (16,), tensor, tensor, tensor, 1 << 16, BLOCK=4096)
            for tensor in (array, large)
        )

        def after_torch(launch: Callable) -> Callable[[], None]:
            def call() -> None:
                torch.add(large, large, out=large)
                launch()

            return call

        mixed = microseconds({"ours": after_torch(ours), "torch": after_torch(torchs)})
        ratio = mixed["ours"] / mixed["torch"]
        note = f"{mixed['ours']:.1f} and {mixed['torch']:.1f} us"
        rows.append(Row("kernel after torch.add: on two pools / on torch's", ratio, "x", note=note))
    return rows


if __name__ == "__main__":
    common.main(measure)
