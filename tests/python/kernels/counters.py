"""Kernels that are judged exactly: dropout with Philox numbers, and program ids of a grid with three dimensions."""

from __future__ import annotations

import numpy as np
import triton
import triton.language as tl

from . import U32, Case, guarded, output


@triton.jit
def dropout(x_ptr, out_ptr, n, p, seed, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < n
    x = tl.load(x_ptr + at, mask=mask)
    keep = tl.rand(seed, at) > p
    tl.store(out_ptr + at, tl.where(keep, x / (1 - p), 0.0), mask=mask)


@triton.jit
def grid_ids(out_ptr, width, height, WIDTH: tl.constexpr):
    x, y, z = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    item = x + tl.num_programs(0) * (y + tl.num_programs(1) * z)
    at = tl.arange(0, WIDTH)
    ids = tl.where(at == 0, x, tl.where(at == 1, y, z))
    sizes = tl.where(at == 3, tl.num_programs(0), tl.where(at == 4, tl.num_programs(1), tl.num_programs(2)))
    value = tl.where(at < 3, ids, sizes) * height
    tl.store(out_ptr + item * width + at, value, mask=at < width)


def philox(seed: int, counter: np.ndarray, rounds: int = 10) -> np.ndarray:
    """First word of Philox-4x32 with the counter (counter, 0, 0, 0)."""
    low = np.uint64(0xFFFFFFFF)
    key = [np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32)]
    word = [counter.astype(np.uint64) & low] + [np.zeros(counter.shape, np.uint64)] * 3
    for _ in range(rounds):
        a, b = word[0] * np.uint64(0xD2511F53), word[2] * np.uint64(0xCD9E8D57)
        word = [(b >> np.uint64(32)) ^ word[1] ^ key[0], b & low, (a >> np.uint64(32)) ^ word[3] ^ key[1], a & low]
        key = [(key[0] + np.uint64(0x9E3779B9)) & low, (key[1] + np.uint64(0xBB67AE85)) & low]
    return word[0].astype(np.uint32)


def dropout_case(n: int, block: int, p: float = 0.4, seed: int = 123) -> Case:
    x = guarded(np.random.default_rng(n).standard_normal(n, dtype=np.float32))
    word = philox(seed, np.arange(n)).view(np.int32)
    # Triton's uniform numbers: the 31 bits of |word| (of -word - 1 below zero) times a factor just below 2^-31, in float32
    uniform = np.where(word < 0, -word - 1, word).astype(np.float32) * np.float32(4.6566127342e-10)
    kept = uniform > np.float32(p)
    expected = np.where(kept, x.astype(np.float64) / np.float64(np.float32(1) - np.float32(p)), 0)
    # what is dropped is exactly 0; the division errs by 2 units at most
    bound = np.where(kept, 4 * U32 * np.abs(expected), 0)
    args = {"x_ptr": x, "out_ptr": output(n, "float32"), "n": n, "p": p, "seed": seed}
    return Case(
        dropout,
        args,
        {"BLOCK": block},
        lambda meta: (triton.cdiv(n, block),),
        {"out_ptr": expected},
        {"out_ptr": bound},
    )


def grid_ids_case(grid: tuple[int, int, int], width: int = 6, factor: int = 3) -> Case:
    z, y, x = (index.ravel() for index in np.meshgrid(*(np.arange(size) for size in reversed(grid)), indexing="ij"))
    sizes = [np.full(x.shape, size) for size in grid]
    expected = (factor * np.stack([x, y, z, *sizes], axis=1)).astype(np.int32)[:, :width]
    args = {"out_ptr": output(expected.shape, "int32"), "width": width, "height": factor}
    return Case(grid_ids, args, {"WIDTH": 8}, grid, {"out_ptr": expected})
