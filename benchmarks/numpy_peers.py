"""Kernels against NumPy doing the same work, one core: time of NumPy / time of the kernel, launch included."""

from __future__ import annotations

import os

import common
from common import Row

ROUNDS = 21


def measure() -> list[Row]:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    common.one_core()
    common.use_cpu_backend()
    import math

    import numpy as np
    import peer_kernels as k
    import triton

    import opwright

    random = np.random.default_rng(0)
    t, cdiv = opwright.tensor, triton.cdiv
    x = random.standard_normal((1024, 1000), dtype=np.float32)
    out, sums, places = np.empty_like(x), np.empty(1024, np.float32), np.empty(1024, np.int32)
    lines = random.standard_normal((64, 4096), dtype=np.float32)
    ordered, turned = np.empty_like(lines), np.empty((1000, 1024), np.float32)
    digits, found = random.integers(0, 256, 1 << 20, dtype=np.int32), np.zeros(256, np.int32)
    table, index = (
        random.standard_normal(1 << 16, dtype=np.float32),
        random.integers(0, 1 << 16, 1 << 20, dtype=np.int32),
    )
    taken = np.empty(index.shape, np.float32)
    a, b = (random.standard_normal((512, 512), dtype=np.float32) for _ in range(2))
    product = np.empty_like(a)
    erf = np.vectorize(math.erf, otypes=[np.float64])

    def count() -> None:
        found[:] = 0
        k.counts[(cdiv(digits.size, 4096),)](t(found), t(digits), digits.size, BINS=256, BLOCK=4096)

    flat = x.ravel()
    cases = {
        "sum of rows": (lambda: k.row_sums[(1024,)](t(sums), t(x), 1000, BLOCK=1024), lambda: x.sum(axis=1), sums),
        "argmax of rows": (
            lambda: k.row_argmax[(1024,)](t(places), t(x), 1000, BLOCK=1024),
            lambda: x.argmax(axis=1),
            places,
        ),
        "cumulative sum": (
            lambda: k.running_sums[(1024,)](t(out), t(x), 1000, BLOCK=1024),
            lambda: x.cumsum(axis=1),
            out,
        ),
        "sort of 4096": (
            lambda: k.sort_rows[(64,)](t(ordered), t(lines), BLOCK=4096),
            lambda: np.sort(lines, axis=1),
            ordered,
        ),
        "transpose": (
            lambda: k.transpose[(cdiv(1024, 32), cdiv(1000, 32))](t(turned), t(x), 1024, 1000, SIDE=32),
            lambda: np.ascontiguousarray(x.T),
            turned,
        ),
        "gelu": (
            lambda: k.gelu[(cdiv(flat.size, 1024),)](t(out), t(x), flat.size, BLOCK=1024),
            lambda: 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3))),  # the usual stand-in for erf
            None,
        ),
        "histogram of 256 bins": (count, lambda: np.bincount(digits, minlength=256), found),
        "gather from 64 k": (
            lambda: k.take[(cdiv(index.size, 1024),)](t(taken), t(table), t(index), index.size, BLOCK=1024),
            lambda: table.take(index),
            taken,
        ),
        "matmul 512 fp32": (
            lambda: k.matmul[(4, 4)](t(product), t(a), t(b), 512, 512, 512, BLOCK_M=128, BLOCK_N=128, BLOCK_K=64),
            lambda: a @ b,
            product,
        ),
    }
    rows = []
    for name, (ours, numpy, result) in cases.items():
        ours()
        if result is not None:
            np.testing.assert_allclose(result, numpy(), rtol=1e-4, atol=1e-3)
        else:
            np.testing.assert_allclose(out[:8], 0.5 * x[:8] * (1 + erf(x[:8] / math.sqrt(2))), rtol=1e-4, atol=1e-6)
        seconds = common.interleaved({"ours": ours, "numpy": numpy}, ROUNDS)
        note = f"{seconds['ours'] * 1e3:.2f} and {seconds['numpy'] * 1e3:.2f} ms"
        rows.append(Row(f"{name}, NumPy / ours", seconds["numpy"] / seconds["ours"], "x", at_least=1, note=note))
    return rows


if __name__ == "__main__":
    common.main(measure)
