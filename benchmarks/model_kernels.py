"""Kernels as models have them, with a match in PyTorch; see model_peers.py. Matrices are row-major and dense."""

import triton
import triton.language as tl


@triton.jit
def swiglu(out_ptr, gate_ptr, up_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    gate = tl.load(gate_ptr + at, mask=at < n).to(tl.float32)
    up = tl.load(up_ptr + at, mask=at < n).to(tl.float32)
    tl.store(out_ptr + at, gate * tl.sigmoid(gate) * up, mask=at < n)


@triton.jit
def gelu_tanh(out_ptr, x_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    # tanh(z) = 2 sigmoid(2 z) - 1
    y = x * tl.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x))
    tl.store(out_ptr + at, y, mask=at < n)


@triton.jit
def rope(out_ptr, x_ptr, cos_ptr, sin_ptr, HEADS: tl.constexpr, HALF: tl.constexpr):
    """Rotates the halves of each head: x is [tokens, HEADS, 2 * HALF], the angles are [tokens, HALF]; a
    program per token."""
    token = tl.program_id(0)
    head, d = tl.arange(0, HEADS)[:, None], tl.arange(0, HALF)[None, :]
    c, s = tl.load(cos_ptr + token * HALF + d), tl.load(sin_ptr + token * HALF + d)
    first = (token * HEADS + head) * 2 * HALF + d
    a, b = tl.load(x_ptr + first), tl.load(x_ptr + first + HALF)
    tl.store(out_ptr + first, a * c - b * s)
    tl.store(out_ptr + first + HALF, b * c + a * s)


@triton.jit
def rms_norm(out_ptr, x_ptr, weight_ptr, columns, epsilon, BLOCK: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * columns + at, mask=at < columns, other=0.0).to(tl.float32)
    scale = tl.math.rsqrt(tl.sum(x * x, axis=0) / columns + epsilon)
    y = x * scale * tl.load(weight_ptr + at, mask=at < columns).to(tl.float32)
    tl.store(out_ptr + row * columns + at, y, mask=at < columns)


@triton.jit
def layer_norm_backward(dx_ptr, dy_ptr, x_ptr, weight_ptr, mean_ptr, scale_ptr, columns, BLOCK: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    inside = at < columns
    x = tl.load(x_ptr + row * columns + at, mask=inside, other=0.0)
    dy = tl.load(dy_ptr + row * columns + at, mask=inside, other=0.0)
    weight = tl.load(weight_ptr + at, mask=inside, other=0.0)
    scale = tl.load(scale_ptr + row)
    hat = tl.where(inside, (x - tl.load(mean_ptr + row)) * scale, 0.0)
    g = weight * dy
    a, b = tl.sum(hat * g, axis=0) / columns, tl.sum(g, axis=0) / columns
    tl.store(dx_ptr + row * columns + at, (g - hat * a - b) * scale, mask=inside)


@triton.jit
def cross_entropy(loss_ptr, logits_ptr, target_ptr, columns, BLOCK: tl.constexpr):
    """Classes beyond one block: the maximum and the sum are kept while the row is read once."""
    row = tl.program_id(0)
    logits_ptr += row * columns
    top, total = -float("inf"), 0.0
    for start in range(0, columns, BLOCK):
        at = start + tl.arange(0, BLOCK)
        x = tl.load(logits_ptr + at, mask=at < columns, other=-float("inf"))
        new = tl.maximum(top, tl.max(x, axis=0))
        total = total * tl.exp(top - new) + tl.sum(tl.exp(x - new), axis=0)
        top = new
    tl.store(loss_ptr + row, tl.log(total) + top - tl.load(logits_ptr + tl.load(target_ptr + row)))


@triton.jit
def dropout(out_ptr, x_ptr, n, p, seed, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    tl.store(out_ptr + at, tl.where(tl.rand(seed, at) > p, x / (1 - p), 0.0), mask=at < n)


@triton.jit
def embedding(out_ptr, table_ptr, token_ptr, columns, BLOCK: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    token = tl.load(token_ptr + row)
    x = tl.load(table_ptr + token * columns + at, mask=at < columns)
    tl.store(out_ptr + row * columns + at, x, mask=at < columns)


@triton.jit
def quantize_rows(out_ptr, scale_ptr, x_ptr, columns, BLOCK: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * columns + at, mask=at < columns, other=0.0)
    scale = tl.max(tl.abs(x), axis=0) / 127
    q = tl.floor(x / scale + 0.5).to(tl.int8)
    tl.store(out_ptr + row * columns + at, q, mask=at < columns)
    tl.store(scale_ptr + row, scale)


@triton.jit
def column_sums(out_ptr, x_ptr, rows, columns, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    at = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.zeros((COLUMNS,), tl.float32)
    for start in range(0, rows, ROWS):
        r = start + tl.arange(0, ROWS)
        inside = (r < rows)[:, None] & (at < columns)[None, :]
        total += tl.sum(tl.load(x_ptr + r[:, None] * columns + at[None, :], mask=inside, other=0.0), axis=0)
    tl.store(out_ptr + at, total, mask=at < columns)


@triton.jit
def top_k(out_ptr, x_ptr, BLOCK: tl.constexpr, K: tl.constexpr):
    row = tl.program_id(0)
    tl.store(out_ptr + row * K + tl.arange(0, K), tl.topk(tl.load(x_ptr + row * BLOCK + tl.arange(0, BLOCK)), K))


@triton.jit
def matmul(out_ptr, a_ptr, b_ptr, m, n, k, ACC: tl.constexpr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    """One block of out per program; blocks of a row of blocks one after the other."""
    r = tl.program_id(1) * M + tl.arange(0, M)
    c = tl.program_id(0) * N + tl.arange(0, N)
    d = tl.arange(0, K)
    total = tl.zeros((M, N), ACC)
    for start in range(0, k, K):
        inner = start + d
        a = tl.load(a_ptr + r[:, None] * k + inner[None, :], mask=(r < m)[:, None] & (inner < k)[None, :], other=0)
        b = tl.load(b_ptr + inner[:, None] * n + c[None, :], mask=(inner < k)[:, None] & (c < n)[None, :], other=0)
        total = tl.dot(a, b, total, input_precision="ieee", out_dtype=ACC)
    tl.store(out_ptr + r[:, None] * n + c[None, :], total, mask=(r < m)[:, None] & (c < n)[None, :])


@triton.jit
def convolution(
    out_ptr, x_ptr, weight_ptr, height, width, channels, filters,
    KERNEL: tl.constexpr, PIXELS: tl.constexpr, FILTERS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """3x3 and the like without padding, as a matrix product: x is [height, width, channels], the weight
    [KERNEL, KERNEL, channels, filters], out [height - KERNEL + 1, width - KERNEL + 1, filters]."""
    out_width = width - KERNEL + 1
    pixels = (height - KERNEL + 1) * out_width
    p = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    f = tl.program_id(1) * FILTERS + tl.arange(0, FILTERS)
    corner = (p // out_width) * width + p % out_width
    total = tl.zeros((PIXELS, FILTERS), tl.float32)
    for dy in range(KERNEL):
        for dx in range(KERNEL):
            for start in range(0, channels, CHANNELS):
                c = start + tl.arange(0, CHANNELS)
                x = tl.load(x_ptr + (corner + dy * width + dx)[:, None] * channels + c[None, :],
                            mask=(p < pixels)[:, None] & (c < channels)[None, :], other=0.0)  # fmt: skip
                w = tl.load(weight_ptr + ((dy * KERNEL + dx) * channels + c)[:, None] * filters + f[None, :],
                            mask=(c < channels)[:, None] & (f < filters)[None, :], other=0.0)  # fmt: skip
                total = tl.dot(x, w, total, input_precision="ieee")
    tl.store(out_ptr + p[:, None] * filters + f[None, :], total, mask=(p < pixels)[:, None] & (f < filters)[None, :])


@triton.jit
def decode(out_ptr, q_ptr, k_ptr, v_ptr, scale, length, KEYS: tl.constexpr, HEAD: tl.constexpr):
    """Attention of one query per head to all that came before it."""
    head, d = tl.program_id(0), tl.arange(0, HEAD)
    q = tl.load(q_ptr + head * HEAD + d)
    top, total = -float("inf"), 0.0
    result = tl.zeros((HEAD,), tl.float32)
    for start in range(0, length, KEYS):
        keys = start + tl.arange(0, KEYS)
        at = (head * length + keys)[:, None] * HEAD + d[None, :]
        scores = tl.sum(tl.load(k_ptr + at, mask=(keys < length)[:, None], other=0.0) * q[None, :], axis=1) * scale
        scores = tl.where(keys < length, scores, -float("inf"))
        new = tl.maximum(top, tl.max(scores, axis=0))
        weights, shrink = tl.exp(scores - new), tl.exp(top - new)
        v = tl.load(v_ptr + at, mask=(keys < length)[:, None], other=0.0)
        result = result * shrink + tl.sum(weights[:, None] * v, axis=0)
        total = total * shrink + tl.sum(weights, axis=0)
        top = new
    tl.store(out_ptr + head * HEAD + d, result / total)
