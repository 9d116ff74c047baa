"""Kernels of models against PyTorch's own operators on one thread, and against Triton's interpreter.

A ratio is the peer's time over ours, the launch included. The interpreter runs one program of the grid, which costs it the same as any
other; its ratio is for one program too. `--interpreter` is how this script calls itself for that: the decorator of the language looks at
the environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import common
from common import Row

ROUNDS = 11


@dataclass
class Case:
    """`launch(grid)` runs the kernel; `torch` gives what it should have written to `out`, within `atol` + `rtol` * magnitude. Without
    `out` there is nothing to compare: both draw random numbers."""

    grid: tuple[int, ...]
    launch: Callable[[tuple[int, ...]], object]
    torch: Callable[[], object]
    out: object
    atol: float = 1e-4
    rtol: float = 1e-4


def make_cases() -> dict[str, Case]:
    import kernels as basic
    import model_kernels as k
    import torch
    import torch.nn.functional as F
    import triton
    import triton.language as tl

    torch.manual_seed(0)
    torch.set_num_threads(1)
    cdiv, rand, empty = triton.cdiv, torch.randn, torch.empty
    x, y, rows, columns = rand(512, 4096), rand(512, 4096), 512, 4096
    out, flat = empty(512, 4096), 512 * 4096
    weight, bias = rand(4096), rand(4096)
    half, half_up, half_out = x.bfloat16(), y.bfloat16(), empty(512, 4096, dtype=torch.bfloat16)
    tokens = torch.randint(0, 512, (2048,))
    embedded = empty(2048, 4096)
    heads, angle = rand(2048, 16, 128), rand(2048, 64)
    turned, c, s = empty(2048, 16, 128), angle.cos(), angle.sin()
    mean, scale = x.mean(1), 1 / torch.sqrt(x.var(1, correction=0) + 1e-5)
    logits, target, loss = rand(256, 32000), torch.randint(0, 32000, (256,)), empty(256)
    eighths, scales = empty(512, 4096, dtype=torch.int8), empty(512)
    a, b, product = rand(512, 512), rand(512, 512), empty(512, 512)
    a16, b16, product16 = a.bfloat16(), b.bfloat16(), empty(512, 512, dtype=torch.bfloat16)
    a8, b8 = (torch.randint(-128, 128, (512, 512), dtype=torch.int8) for _ in range(2))
    product32 = empty(512, 512, dtype=torch.int32)
    image, filters, maps = rand(34, 34, 64), rand(3, 3, 64, 128), empty(32, 32, 128)
    nchw, oihw = image.permute(2, 0, 1)[None].contiguous(), filters.permute(3, 2, 0, 1).contiguous()
    q, keys, values = (rand(8, 1024, 64) for _ in range(3))
    attended, one, ones = empty(8, 1024, 64), rand(32, 1, 128), empty(32, 1, 128)
    cache_k, cache_v = rand(32, 2048, 128), rand(32, 2048, 128)
    best, summed = empty(512, 64), empty(4096)

    def rotated():
        first, second = heads[..., :64], heads[..., 64:]
        cos, sin = c[:, None], s[:, None]
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)

    def quantized():
        largest = x.abs().amax(1, keepdim=True) / 127
        return torch.round(x / largest).to(torch.int8)

    def backward():
        return torch.ops.aten.native_layer_norm_backward(
            y, x, [4096], mean[:, None], scale[:, None], weight, bias, [True, False, False]
        )[0]

    def multiply(m, left, right, into, acc, blocks):
        return lambda grid: k.matmul[grid](into, left, right, m, m, m, ACC=acc, **blocks)

    square = dict(M=64, N=64, K=64)
    return {
        "swiglu bf16": Case((cdiv(flat, 1024),), lambda g: k.swiglu[g](half_out, half, half_up, flat, BLOCK=1024), lambda: F.silu(half) * half_up, half_out, 0.15, 1e-2),
        "gelu (tanh)": Case((cdiv(flat, 1024),), lambda g: k.gelu_tanh[g](out, x, flat, BLOCK=1024), lambda: F.gelu(x, approximate="tanh"), out),
        "rope": Case((2048,), lambda g: k.rope[g](turned, heads, c, s, HEADS=16, HALF=64), rotated, turned),
        "softmax": Case((rows,), lambda g: basic.softmax[g](out, x, columns, BLOCK=4096), lambda: torch.softmax(x, 1), out),
        "layer norm": Case((rows,), lambda g: basic.layer_norm[g](out, x, weight, bias, columns, 1e-5, BLOCK=4096), lambda: F.layer_norm(x, (4096,), weight, bias), out),
        "layer norm, backward": Case((rows,), lambda g: k.layer_norm_backward[g](out, y, x, weight, mean, scale, columns, BLOCK=4096), backward, out, 1e-3),
        "rms norm bf16, fp32 weights": Case((rows,), lambda g: k.rms_norm[g](half_out, half, weight, columns, 1e-6, BLOCK=4096), lambda: F.rms_norm(half.float(), (4096,), weight, 1e-6).bfloat16(), half_out, 0.1, 1e-2),
        "cross entropy of 32000": Case((256,), lambda g: k.cross_entropy[g](loss, logits, target, 32000, BLOCK=4096), lambda: F.cross_entropy(logits, target, reduction="none"), loss, 1e-3),
        "dropout": Case((cdiv(flat, 1024),), lambda g: k.dropout[g](out, x, flat, 0.5, 7, BLOCK=1024), lambda: F.dropout(x, 0.5), None),
        "embedding": Case((2048,), lambda g: k.embedding[g](embedded, x, tokens, columns, BLOCK=4096), lambda: F.embedding(tokens, x), embedded),
        "quantize rows to int8": Case((rows,), lambda g: k.quantize_rows[g](eighths, scales, x, columns, BLOCK=4096), quantized, eighths, 1),
        "sum of columns": Case((cdiv(4096, 256),), lambda g: k.column_sums[g](summed, x, rows, columns, ROWS=32, COLUMNS=256), lambda: x.sum(0), summed, 1e-3),
        "top 64 of 4096": Case((rows,), lambda g: k.top_k[g](best, x, BLOCK=4096, K=64), lambda: torch.topk(x, 64)[0], best),
        "matmul 512 fp32": Case((8, 8), multiply(512, a, b, product, tl.float32, square), lambda: a @ b, product, 1e-3),
        "matmul 512 bf16": Case((8, 8), multiply(512, a16, b16, product16, tl.float32, square), lambda: a16 @ b16, product16, 0.6, 1e-2),
        "matmul 512 int8": Case((8, 8), multiply(512, a8, b8, product32, tl.int32, square), lambda: torch._int_mm(a8, b8), product32, 0),
        "convolution 3x3": Case((16, 2), lambda g: k.convolution[g](maps, image, filters, 34, 34, 64, 128, KERNEL=3, PIXELS=64, FILTERS=64, CHANNELS=64), lambda: F.conv2d(nchw, oihw)[0].permute(1, 2, 0), maps, 1e-2),
        "attention 1024x64": Case((16, 8), lambda g: basic.attention[g](attended, q, keys, values, 0.125, 1024, BLOCK_M=64, BLOCK_N=64, HEAD=64), lambda: F.scaled_dot_product_attention(q, keys, values), attended),
        "decoding, 2048 keys": Case((32,), lambda g: k.decode[g](ones, one, cache_k, cache_v, 128**-0.5, 2048, KEYS=64, HEAD=128), lambda: F.scaled_dot_product_attention(one, cache_k, cache_v), ones),
    }  # fmt: skip


def first_program(case: Case) -> float:
    """Seconds of one program, the launch included; the median of a few."""
    grid = (1,) * len(case.grid)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        case.launch(grid)
        times.append(time.perf_counter() - start)
    return sorted(times)[1]


def interpreted() -> dict[str, float]:
    command = [sys.executable, __file__, "--interpreter"]
    done = subprocess.run(command, env=os.environ | {"TRITON_INTERPRET": "1"}, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def measure() -> list[Row]:
    common.one_core()
    common.use_cpu_backend()
    import torch

    slow = interpreted()
    rows = []
    for name, case in make_cases().items():
        case.launch(case.grid)
        if case.out is not None:
            torch.testing.assert_close(case.out, case.torch(), rtol=case.rtol, atol=case.atol)
        seconds = common.interleaved({"ours": lambda case=case: case.launch(case.grid), "torch": case.torch}, ROUNDS)
        note = f"{seconds['ours'] * 1e3:.2f} and {seconds['torch'] * 1e3:.2f} ms"
        note += f"; interpreter {slow[name] / first_program(case):.0f} x"
        rows.append(Row(f"{name}, PyTorch / ours", seconds["torch"] / seconds["ours"], "x", note=note))
    return rows


if __name__ == "__main__":
    if "--interpreter" in sys.argv[1:]:
        common.one_core()
        print(json.dumps({name: first_program(case) for name, case in make_cases().items()}))
    else:
        common.main(measure)
