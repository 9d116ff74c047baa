"""Cost of a launch through Triton: what Opwright adds to `kernel[grid](...)`, a bound launch, a small grid on two threads."""

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
        small = torch.zeros(2 * 4096)
        one = opwright.bind(kernels.vector_add, (1,), small, small, small, 4096, BLOCK=4096)
        two = opwright.bind(kernels.vector_add, (2,), small, small, small, 8192, BLOCK=4096)
        wide = microseconds({"one": one, "two": two})
        rows.append(Row("two programs on two threads, over one program", wide["two"] - wide["one"], "us", at_most=2))
    return rows


if __name__ == "__main__":
    common.main(measure)
