"""Milliseconds from TTIR to object, per kernel and block size: it must not depend on the block size.

TTIR is made by Triton before, and does not count; one thread compiles for this machine's level.
"""

from __future__ import annotations

import statistics
import time

import common
from common import Row

BLOCKS = (128, 1024, 65536)
ROUNDS = 15
LIMIT_MS = {"vector_add": 10, "softmax": 10, "layer_norm": 15, "attention": 60}
SPREAD = 1.15


def ttir_texts() -> dict[tuple[str, int], str]:
    import kernels
    import numpy as np

    import opwright

    floats, halves = opwright.tensor(np.zeros(1, np.float32)), opwright.tensor(np.zeros(1, np.float16))
    texts = {}
    for block in BLOCKS:
        cases = {
            "vector_add": (kernels.vector_add, (floats, floats, floats, 1000)),
            "softmax": (kernels.softmax, (floats, floats, 1000)),
            "layer_norm": (kernels.layer_norm, (floats, floats, floats, floats, 1000, 1e-5)),
        }
        for name, (kernel, args) in cases.items():
            texts[name, block] = kernel.warmup(*args, BLOCK=block, grid=(1,)).asm["ttir"]
    compiled = kernels.attention.warmup(
        halves, halves, halves, halves, 0.125, 1000, BLOCK_M=64, BLOCK_N=64, HEAD=64, grid=(1,)
    )
    texts["attention", 64] = compiled.asm["ttir"]
    return {key: text.decode() if isinstance(text, bytes) else str(text) for key, text in texts.items()}


def measure() -> list[Row]:
    common.one_core()
    common.use_cpu_backend()
    texts = ttir_texts()
    from opwright import _core

    times: dict[tuple[str, int], list[float]] = {key: [] for key in texts}
    for _ in range(ROUNDS):
        for key, text in texts.items():
            start = time.perf_counter()
            _core.compile(text)
            times[key].append((time.perf_counter() - start) * 1e3)
    medians = {key: statistics.median(values[2:]) for key, values in times.items()}
    rows = [
        Row(f"compile {name}, block {block}", ms, "ms", at_most=LIMIT_MS[name]) for (name, block), ms in medians.items()
    ]
    for name in ("vector_add", "softmax", "layer_norm"):
        over_blocks = [medians[name, block] for block in BLOCKS]
        rows.append(
            Row(f"compile {name}, slowest / fastest block", max(over_blocks) / min(over_blocks), "x", at_most=SPREAD)
        )
    return rows


if __name__ == "__main__":
    common.main(measure)
