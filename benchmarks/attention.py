"""Attention forward, fp16, head 64, sequence 1024, against fp32 multiply-adds on registers; one core."""

from __future__ import annotations

import common
from common import Row, address

HEADS, LENGTH, HEAD = 4, 1024, 64
BLOCK_M = BLOCK_N = 64
ROUNDS = 21
FMA_ROUNDS = 2_000_000


def reference(q, k, v, scale: float):
    import numpy as np

    q, k, v = (array.astype(np.float64) for array in (q, k, v))
    scores = q @ k.transpose(0, 2, 1) * scale
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    return weights / weights.sum(axis=2, keepdims=True) @ v


def measure() -> list[Row]:
    common.one_core()
    common.use_cpu_backend()
    import ctypes

    import kernels
    import numpy as np

    import opwright

    random = np.random.default_rng(0)
    q, k, v = (random.standard_normal((HEADS, LENGTH, HEAD)).astype(np.float16) for _ in range(3))
    out = np.zeros_like(q)
    scale = HEAD**-0.5
    arguments = [opwright.tensor(array) for array in (out, q, k, v)]
    grid = ((LENGTH + BLOCK_M - 1) // BLOCK_M, HEADS)
    peer = common.load_c("fma.c")
    peer.multiplyAdd.restype = ctypes.c_int64
    room = np.zeros(32, np.float32)
    sides = {
        "ours": lambda: kernels.attention[grid](*arguments, scale, LENGTH, BLOCK_M=BLOCK_M, BLOCK_N=BLOCK_N, HEAD=HEAD),
        "fma": lambda: peer.multiplyAdd(ctypes.c_int64(FMA_ROUNDS), address(room)),
    }
    seconds = common.interleaved(sides, ROUNDS)
    assert np.abs(out - reference(q, k, v, scale)).max() < 2e-3
    done = {
        "ours": 4 * HEADS * LENGTH * LENGTH * HEAD,
        "fma": peer.multiplyAdd(ctypes.c_int64(FMA_ROUNDS), address(room)),
    }
    rate = {name: done[name] / seconds[name] / 1e9 for name in sides}
    note = f"{rate['ours']:.1f} and {rate['fma']:.1f} GFLOP/s"
    return [Row("attention fp16 head 64 seq 1024 / fp32 FMA", rate["ours"] / rate["fma"], "x", at_least=0.5, note=note)]


if __name__ == "__main__":
    common.main(measure)
