"""The order of programs: what the compiler chooses against x, y, z, and what each order costs."""

from __future__ import annotations

import common
from common import Row

ROUNDS = 3
SIZE = 4096  # of a square matrix: 64 MB each, more than the caches have
HEADS, LENGTH, DIM = 16, 1024, 64


def products():
    """A matrix product whose grid has two axes, by order."""
    import kernels
    import numpy as np

    import opwright

    random = np.random.default_rng(5)
    a, b, c = (opwright.tensor(random.standard_normal((SIZE, SIZE), dtype=np.float32)) for _ in range(3))
    block = 64
    grid = (SIZE // block, SIZE // block)

    def bound(order: str):
        return opwright.bind(
            kernels.matmul_2d, grid, a, b, c, SIZE, SIZE, SIZE, BM=block, BN=block, BK=32, program_order=order
        )

    return {order: bound(order) for order in ("xyz", "yxz", "auto")}


def heads():
    """Scores of attention whose first axis is the head: each head's keys are read by all of its rows."""
    import kernels
    import numpy as np

    import opwright

    random = np.random.default_rng(6)
    q, k = (opwright.tensor(random.standard_normal((HEADS, LENGTH, DIM), dtype=np.float32)) for _ in range(2))
    out = opwright.tensor(np.zeros((HEADS, LENGTH), np.float32))
    grid = (HEADS, LENGTH // 64)

    def bound(order: str):
        return opwright.bind(kernels.largest_score, grid, q, k, out, LENGTH, DIM=DIM, BM=64, BN=64, program_order=order)

    return {order: bound(order) for order in ("xyz", "yxz", "auto")}


def measure() -> list[Row]:
    common.use_cpu_backend()
    rows = []
    for name, make in ((f"matmul {SIZE}", products), ("scores, heads first", heads)):
        seconds = common.interleaved(make(), ROUNDS, warm_up=1)
        others = ", ".join(
            f"{order} {seconds['xyz'] / value:.2f}" for order, value in seconds.items() if order not in ("auto", "xyz")
        )
        rows.append(Row(f"{name}: chosen order over xyz", seconds["xyz"] / seconds["auto"], "x", note=others))
    return rows


if __name__ == "__main__":
    common.main(measure)
