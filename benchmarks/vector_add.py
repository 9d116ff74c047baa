"""Vector add of 16 M floats against a C loop, one core, both without page faults; 12 bytes an element."""

from __future__ import annotations

import common
from common import Row, address

COUNT = 1 << 24
BLOCK = 1024
ROUNDS = 31


def measure() -> list[Row]:
    common.one_core()
    common.use_cpu_backend()
    import ctypes

    import kernels
    import numpy as np

    import opwright

    random = np.random.default_rng(0)
    x, y = (random.random(COUNT, dtype=np.float32) for _ in range(2))
    ours, theirs = np.zeros_like(x), np.zeros_like(x)
    peer = common.load_c("add.c")
    arguments = [opwright.tensor(array) for array in (ours, x, y)]
    sides = {
        "ours": lambda: kernels.vector_add[(COUNT // BLOCK,)](*arguments, COUNT, BLOCK=BLOCK),
        "c": lambda: peer.add(address(theirs), address(x), address(y), ctypes.c_int64(COUNT)),
    }
    seconds = common.interleaved(sides, ROUNDS)
    assert np.array_equal(ours, x + y) and np.array_equal(theirs, ours)
    rate = {name: 12 * COUNT / time / 1e9 for name, time in seconds.items()}
    note = f"{rate['ours']:.2f} and {rate['c']:.2f} GB/s"
    return [Row("vector add 16 M fp32 / C loop", rate["ours"] / rate["c"], "x", at_least=0.95, note=note)]


if __name__ == "__main__":
    common.main(measure)
