"""Attention forward in one kernel: softmax(Q K^T * scale) V, row block by row block, never writing the scores to memory."""

import triton
import triton.language as tl


@triton.jit
def _attend(
    acc, total, top, q, k_ptr, v_ptr, rows, begin, end, seq_len, scale,
    BLOCK_N: tl.constexpr, HEAD: tl.constexpr, MASKED: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    """Adds the keys in [begin, end) to the running softmax. MASKED: some of the keys may not be seen by every row."""
    d = tl.arange(0, HEAD)
    for start in range(begin, end, BLOCK_N):
        keys = start + tl.arange(0, BLOCK_N)
        inside = keys < seq_len
        k_at = k_ptr + keys[None, :] * HEAD + d[:, None]
        v_at = v_ptr + keys[:, None] * HEAD + d[None, :]
        if MASKED:
            k = tl.load(k_at, mask=inside[None, :], other=0.0)
            v = tl.load(v_at, mask=inside[:, None], other=0.0)
        else:
            k = tl.load(k_at)
            v = tl.load(v_at)
        scores = tl.dot(q, k) * scale
        if MASKED:
            seen = inside[None, :]
            if CAUSAL:
                seen = seen & (rows[:, None] >= keys[None, :])
            scores = tl.where(seen, scores, -float("inf"))
        new_top = tl.maximum(top, tl.max(scores, 1))
        p = tl.exp2(scores - new_top[:, None])
        shrink = tl.exp2(top - new_top)
        total = total * shrink + tl.sum(p, 1)
        acc = tl.dot(p.to(v.dtype), v, acc * shrink[:, None])
        top = new_top
    return acc, total, top


@triton.jit
def fused_attention_kernel(
    out_ptr, lse_ptr, q_ptr, k_ptr, v_ptr, sm_scale, planes, seq_len,
    BLOCK_M: tl.constexpr, HEAD: tl.constexpr, BLOCK_N: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    """Causal attention of Q, K and V, each [batch, heads, sequence, 64].

    Out has the shape of Q; Lse is the log of the softmax's denominator, which a backward pass needs.
    """
    block = tl.program_id(0)
    rows = block * BLOCK_M + tl.arange(0, BLOCK_M)
    d = tl.arange(0, HEAD)
    first = tl.program_id(1).to(tl.int64) * seq_len  # row of this batch and head
    at = rows[:, None] * HEAD + d[None, :]
    q = tl.load(q_ptr + first * HEAD + at, mask=rows[:, None] < seq_len, other=0.0)
    k_ptr += first * HEAD
    v_ptr += first * HEAD
    scale = sm_scale * 1.4426950408889634  # exp2 instead of exp
    top = tl.full([BLOCK_M], -float("inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, HEAD], tl.float32)
    # whole blocks that every row sees, then the rest under a mask (BLOCK_M is a multiple of BLOCK_N)
    if CAUSAL:
        whole = block * BLOCK_M
        end = tl.minimum(whole + BLOCK_M, seq_len)
    else:
        whole = seq_len // BLOCK_N * BLOCK_N
        end = seq_len
    acc, total, top = _attend(
        acc, total, top, q, k_ptr, v_ptr, rows, 0, whole, seq_len, scale, BLOCK_N, HEAD, False, CAUSAL
    )
    acc, total, top = _attend(
        acc, total, top, q, k_ptr, v_ptr, rows, whole, end, seq_len, scale, BLOCK_N, HEAD, True, CAUSAL
    )
    lse = (top + tl.log2(total)) * 0.6931471805599453
    tl.store(lse_ptr + first + rows, lse, mask=rows < seq_len)
    out = (acc / total[:, None]).to(out_ptr.dtype.element_ty)
    tl.store(out_ptr + first * HEAD + at, out, mask=rows[:, None] < seq_len)
