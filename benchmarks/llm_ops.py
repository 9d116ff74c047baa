"""The operators of examples/llm_ops, called through opwright.load, against PyTorch's own operators; one core.

A ratio is PyTorch's time over ours. Where PyTorch has no such operator it is the fewest calls of it that do the same; notes say which.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common
from common import Row

SOURCE = common.FOLDER.parent / "examples/llm_ops/llm_ops.py"
ROUNDS = 15


@dataclass
class Case:
    """`ours` and `torch` give what should be equal, within `tolerance`."""

    name: str
    ours: Callable[[], Any]
    torch: Callable[[], Any]
    tolerance: float
    note: str = ""


def build(folder: str) -> Any:
    """The library, for this machine's level."""
    import opwright
    from opwright.plugin.build import build as build_library
    from opwright.triton_backend.level import host_level

    library = Path(folder, "libllm_ops.so")
    build_library(SOURCE, library, cpu_levels=[host_level()])
    return opwright.load(library)


def rms_norm(ops: Any, dtype: Any, rows: int) -> Case:
    import torch

    x, weight, residual = (
        torch.randn(rows, 4096).to(dtype) / 64,
        torch.randn(4096).to(dtype),
        torch.randn(rows, 4096).to(dtype),
    )
    other = residual.clone()

    def theirs() -> Any:
        return torch.nn.functional.rms_norm(other.add_(x), (4096,), weight, 1e-6)

    name = f"add, RMS norm {_name(dtype)} {rows} x 4096"
    return Case(
        name, lambda: ops.add_rms_norm.inplace(x, residual, weight, epsilon=1e-6)[0], theirs, 0.02, "add_, rms_norm"
    )


def rotary(ops: Any, dtype: Any, tokens: int, interleaved: bool) -> Case:
    import torch

    q, k = torch.randn(tokens, 32, 128).to(dtype), torch.randn(tokens, 8, 128).to(dtype)
    other = q.clone(), k.clone()
    angles = torch.arange(4096)[:, None] / 10000 ** (torch.arange(64) / 64)
    table, positions = torch.cat([angles.cos(), angles.sin()], 1), torch.arange(tokens) + 100

    def turn(x: Any, c: Any, s: Any) -> Any:
        if interleaved:
            a, b = x[..., 0::2], x[..., 1::2]
            return x.copy_(torch.stack([a * c - b * s, b * c + a * s], -1).flatten(-2))
        a, b = x.chunk(2, -1)
        return x.copy_(torch.cat([a * c - b * s, b * c + a * s], -1))

    def theirs() -> Any:
        c, s = table[positions][:, None].to(dtype).chunk(2, -1)
        return [turn(x, c, s) for x in other]

    def ours() -> Any:
        return ops.rotary_embedding.inplace(q, k, positions, table, interleaved=interleaved)

    kind = "interleaved" if interleaved else "halves"
    return Case(
        f"rotary {_name(dtype)} {tokens} tokens, {kind}", ours, theirs, 0.05, "index, products, cat or stack, copy_"
    )


def attention(ops: Any, dtype: Any, sequences: int, kv_heads: int, head: int, length: int, gathered: bool) -> Case:
    """Blocks of 16 tokens. PyTorch has dense caches, or, `gathered`, takes the blocks together first."""
    import torch

    attend = torch.nn.functional.scaled_dot_product_attention
    blocks = length // 16
    q = torch.randn(sequences, 32, head).to(dtype)
    k_cache, v_cache = (torch.randn(sequences * blocks, kv_heads, 16, head).to(dtype) for _ in range(2))
    table = torch.randperm(sequences * blocks).reshape(sequences, blocks).int()
    lengths = torch.full((sequences,), length, dtype=torch.int32)

    def dense(cache: Any) -> Any:
        return cache[table.long()].transpose(1, 2).reshape(sequences, kv_heads, length, head)

    k, v = dense(k_cache), dense(v_cache)

    def theirs() -> Any:
        keys, values = (dense(k_cache), dense(v_cache)) if gathered else (k, v)
        return attend(q[:, :, None], keys, values, enable_gqa=True)[:, :, 0]

    name = f"paged attention {_name(dtype)} {sequences} x {length}, 32/{kv_heads} heads of {head}"
    how = "blocks gathered, then sdpa" if gathered else "sdpa on a cache without blocks"
    return Case(name, lambda: ops.paged_attention(q, k_cache, v_cache, table, lengths), theirs, 0.02, how)


def sampling(ops: Any, dtype: Any, rows: int, vocabulary: int) -> Case:
    import torch

    logits, uniform = (3 * torch.randn(rows, vocabulary)).to(dtype), torch.rand(rows)
    k, temperature, min_p = 50, 0.8, 0.05

    def theirs() -> Any:
        values, tokens = torch.topk(logits.float(), k)
        kept = values >= values[:, :1] + temperature * math.log(min_p)
        p = torch.softmax(values / temperature, -1) * kept
        p /= p.sum(-1, keepdim=True)
        picked = (p.cumsum(-1) <= uniform[:, None]).sum(-1).clamp(max=k - 1)
        tokens[kept], p[kept], tokens.gather(1, picked[:, None])
        return kept.sum()

    def ours() -> Any:
        return ops.top_k_sampling(logits, uniform, k=k, temperature=temperature, min_p=min_p)[-1]

    # PyTorch leaves out ties of the k-th, of which bf16 has some
    return Case(
        f"top-50 sampling {_name(dtype)} {rows} x {vocabulary}", ours, theirs, 0.5, "topk, softmax, cumsum, masks"
    )


def matmul(ops: Any, dtype: Any, rows: int, packed: bool) -> Case:
    """4096 x 4096 in groups of 128. PyTorch has a dense matrix of the type, or, `packed`, its own format of four bits."""
    import torch

    x, weight = torch.randn(rows, 4096).to(dtype), torch.randint(0, 256, (4096, 2048), dtype=torch.uint8)
    scales, zeros = (torch.rand(32, 4096) / 256).to(dtype), torch.randint(0, 16, (32, 4096), dtype=torch.uint8)
    numbers = torch.stack([weight & 15, weight >> 4], -1).reshape(4096, 32, 128).float()
    dense = ((numbers - zeros.T[..., None]) * scales.float().T[..., None]).reshape(4096, 4096).to(dtype).T
    if packed:
        own = torch.ops.aten._convert_weight_to_int4pack_for_cpu(numbers.reshape(4096, 4096).int(), 1)
        pairs = torch.stack([scales, (8 - zeros.to(dtype)) * scales], -1).contiguous()

    def theirs() -> Any:
        return torch.ops.aten._weight_int4pack_mm_for_cpu(x, own, 128, pairs) if packed else x @ dense

    how = "_weight_int4pack_mm_for_cpu" if packed else "a dense matrix of the type"
    return Case(
        f"w4a16 {_name(dtype)} {rows} x 4096 x 4096",
        lambda: ops.w4a16_matmul(x, weight, scales, zeros),
        theirs,
        0.3,
        how,
    )


def _name(dtype: Any) -> str:
    return {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}[str(dtype).removeprefix("torch.")]


def cases(ops: Any) -> Iterator[Case]:
    import torch

    single, half, brain = torch.float32, torch.float16, torch.bfloat16
    for dtype in (single, brain):
        yield rms_norm(ops, dtype, 1)
        yield rms_norm(ops, dtype, 512)
    for dtype in (single, brain):
        for interleaved in (False, True):
            yield rotary(ops, dtype, 8, interleaved)
    yield rotary(ops, brain, 512, False)
    for dtype in (single, half, brain):
        yield attention(ops, dtype, 1, 8, 128, 2048, False)
        yield attention(ops, dtype, 8, 8, 64, 1024, False)
    yield attention(ops, single, 8, 32, 128, 512, False)
    yield attention(ops, brain, 8, 32, 128, 512, False)
    yield attention(ops, brain, 8, 8, 64, 1024, True)
    for dtype in (single, brain):
        yield sampling(ops, dtype, 1, 32000)
        yield sampling(ops, dtype, 8, 128256)
    for dtype in (single, brain):
        yield matmul(ops, dtype, 1, False)
        yield matmul(ops, dtype, 64, False)
    for rows in (1, 4):
        yield matmul(ops, brain, rows, True)


def measure() -> list[Row]:
    common.one_core()
    common.use_cpu_backend()
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory(prefix="opwright-llm-ops-") as folder:
        ops = build(folder)
    for case in cases(ops):
        torch.testing.assert_close(case.ours(), case.torch(), rtol=0.02, atol=case.tolerance, check_dtype=False)
        seconds = common.interleaved({"ours": case.ours, "torch": case.torch}, ROUNDS)
        note = f"{seconds['ours'] * 1e6:.1f} and {seconds['torch'] * 1e6:.1f} us; {case.note}"
        rows.append(Row(f"{case.name}, PyTorch / ours", seconds["torch"] / seconds["ours"], "x", note=note))
    return rows


if __name__ == "__main__":
    common.main(measure)
