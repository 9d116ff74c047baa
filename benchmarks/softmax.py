"""Softmax of 4096 rows of 1024 floats against memcpy of the same array, one core; 8 bytes an element."""

from __future__ import annotations

import common
from common import Row, address

ROWS, COLUMNS = 4096, 1024
ROUNDS = 61


def measure() -> list[Row]:
    common.one_core()
    common.use_cpu_backend()
    import ctypes

    import kernels
    import numpy as np

    import opwright

    x = np.random.default_rng(0).standard_normal((ROWS, COLUMNS), dtype=np.float32)
    ours, copied = np.zeros_like(x), np.zeros_like(x)
    peer = common.load_c("copy.c")
    arguments = [opwright.tensor(array) for array in (ours, x)]
    sides = {
        "ours": lambda: kernels.softmax[(ROWS,)](*arguments, COLUMNS, BLOCK=COLUMNS),
        "memcpy": lambda: peer.copy(address(copied), address(x), ctypes.c_size_t(x.nbytes)),
    }
    seconds = common.interleaved(sides, ROUNDS)
    powers = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    assert np.allclose(ours, powers / powers.sum(axis=1, keepdims=True), rtol=1e-5, atol=1e-9)
    rate = {name: 2 * x.nbytes / time / 1e9 for name, time in seconds.items()}
    note = f"{rate['ours']:.2f} and {rate['memcpy']:.2f} GB/s"
    return [Row("softmax 4096 x 1024 fp32 / memcpy", rate["ours"] / rate["memcpy"], "x", at_least=0.8, note=note)]


if __name__ == "__main__":
    common.main(measure)
