"""Matrix multiplication with tiles of pointers: plain order and grouped order of the programs."""

from __future__ import annotations

import numpy as np
import triton
import triton.language as tl

from . import U32, Case, dtype, guarded, output, rounding


@triton.jit
def matmul(a, b, c, m, n, k, am, ak, bk, bn, cm, cn, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    cols = tl.program_id(1) * BN + tl.arange(0, BN)
    inner = tl.arange(0, BK)
    a_tile = a + rows[:, None] * am + inner[None, :] * ak
    b_tile = b + inner[:, None] * bk + cols[None, :] * bn
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for start in range(0, k, BK):
        x = tl.load(a_tile, mask=(rows[:, None] < m) & (inner[None, :] < k - start), other=0.0)
        y = tl.load(b_tile, mask=(inner[:, None] < k - start) & (cols[None, :] < n), other=0.0)
        acc = tl.dot(x, y, acc)
        a_tile += BK * ak
        b_tile += BK * bk
    inside = (rows[:, None] < m) & (cols[None, :] < n)
    tl.store(c + rows[:, None] * cm + cols[None, :] * cn, acc.to(c.dtype.element_ty), mask=inside)


@triton.jit
def matmul_grouped(
    a, b, c, m, n, k, am, ak, bk, bn, cm, cn, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr
):
    pid = tl.program_id(0)
    tiles_m = tl.cdiv(m, BM)
    tiles_n = tl.cdiv(n, BN)
    group = pid // (GROUP * tiles_n)
    height = min(tiles_m - group * GROUP, GROUP)
    within = pid % (GROUP * tiles_n)
    row = group * GROUP + within % height
    col = within // height
    rows = (row * BM + tl.arange(0, BM)) % m
    cols = (col * BN + tl.arange(0, BN)) % n
    inner = tl.arange(0, BK)
    a_tile = a + rows[:, None] * am + inner[None, :] * ak
    b_tile = b + inner[:, None] * bk + cols[None, :] * bn
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for step in range(tl.cdiv(k, BK)):
        x = tl.load(a_tile, mask=inner[None, :] < k - step * BK, other=0.0)
        y = tl.load(b_tile, mask=inner[:, None] < k - step * BK, other=0.0)
        acc += tl.dot(x, y)
        a_tile += BK * ak
        b_tile += BK * bk
    rows = row * BM + tl.arange(0, BM)
    cols = col * BN + tl.arange(0, BN)
    inside = (rows[:, None] < m) & (cols[None, :] < n)
    tl.store(c + rows[:, None] * cm + cols[None, :] * cn, acc.to(c.dtype.element_ty), mask=inside)


def matmul_case(
    m: int,
    n: int,
    k: int,
    tile: tuple[int, int, int] = (32, 32, 32),
    name: str = "float32",
    transpose: str = "",
    group: int = 0,
    seed: int = 0,
) -> Case:
    """`transpose`: which of "a" and "b" lie column by column in memory; `group`: height of a group of tiles, 0 = plain."""
    rng = np.random.default_rng(seed)
    a = guarded(rng.standard_normal((k, m) if "a" in transpose else (m, k)).astype(dtype(name)))
    b = guarded(rng.standard_normal((n, k) if "b" in transpose else (k, n)).astype(dtype(name)))
    c = output((m, n), name)
    args = {"a": a, "b": b, "c": c, "m": m, "n": n, "k": k}
    args |= {"am": 1, "ak": m} if "a" in transpose else {"am": k, "ak": 1}
    args |= {"bk": 1, "bn": k} if "b" in transpose else {"bk": n, "bn": 1}
    args |= {"cm": n, "cn": 1}
    left = (a.T if "a" in transpose else a).astype(np.float64)
    right = (b.T if "b" in transpose else b).astype(np.float64)
    expected = left @ right
    # The classical bound of an inner product in any order: (k + 1) roundings on sum |a||b|, one for each product and each
    # addition; then one rounding to the output's type.
    bound = 1.01 * (k + 1) * U32 * (np.abs(left) @ np.abs(right)) + 1.01 * rounding(expected, name)
    meta = dict(zip(("BM", "BN", "BK"), tile, strict=True))
    grid = (triton.cdiv(m, tile[0]), triton.cdiv(n, tile[1]))
    if group:
        meta["GROUP"] = group
        grid = (grid[0] * grid[1],)
    return Case(matmul_grouped if group else matmul, args, meta, grid, {"c": expected}, {"c": bound})
