"""llm::paged_attention: attention of each sequence's newest token to all before it, whose keys and values lie in blocks of a cache."""

import numpy as np
import triton
import triton.language as tl

import opwright.plugin as trtp

WHOLE, SPLIT = 1, 2  # tactics: a program for each sequence and key head, or several that share its keys
SHARE, MOST_SPLITS = 256, 16  # keys of a share, unless there would be more shares than that


@triton.jit(debug=True)
def attention_kernel(
    q_ptr, k_ptr, v_ptr, table_ptr, lengths_ptr, out_ptr, partial_ptr, facts_ptr, scale, kv_heads, group, blocks, block_size,
    table_width, share, splits, GROUP: tl.constexpr, HEAD: tl.constexpr, KEYS: tl.constexpr,
):  # fmt: skip
    """One program for GROUP heads of a sequence that have a key head in common, and for a share of the sequence's keys."""
    tiles = tl.cdiv(group, GROUP)
    kv_head, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    sequence, split = tl.program_id(1), tl.program_id(2)
    member = tile * GROUP + tl.arange(0, GROUP)
    real = member < group
    heads = (sequence * kv_heads + kv_head).to(tl.int64) * group + member  # of all sequences
    d = tl.arange(0, HEAD)
    q = tl.load((q_ptr + heads * HEAD)[:, None] + d[None, :], mask=real[:, None], other=0).to(tl.float32)
    q *= scale * 1.4426950408889634  # exp2 instead of exp
    length = tl.load(lengths_ptr + sequence)
    tl.device_assert((length >= 0) & (length <= table_width * block_size), "a length is beyond its row of block_table")
    top = tl.full((GROUP,), -float("inf"), tl.float32)
    total = tl.zeros((GROUP,), tl.float32)
    acc = tl.zeros((GROUP, HEAD), tl.float32)
    end = tl.minimum(length, (split + 1) * share)
    for start in range(split * share, end, KEYS):
        key = start + tl.arange(0, KEYS)
        inside = key < end
        block = tl.load(table_ptr + sequence * table_width + key // block_size, mask=inside, other=0)
        known = (tl.min(block, 0) >= 0) & (tl.max(block, 0) < blocks)
        tl.device_assert(known, "an entry of block_table is no block of the caches")
        # two steps: an address of rows, and contiguous elements of each
        row = ((block.to(tl.int64) * kv_heads + kv_head) * block_size + key % block_size) * HEAD
        k = tl.load((k_ptr + row)[:, None] + d[None, :], mask=inside[:, None], other=0).to(tl.float32)
        v = tl.load((v_ptr + row)[:, None] + d[None, :], mask=inside[:, None], other=0).to(tl.float32)
        scores = tl.sum(q[:, None, :] * k[None, :, :], 2)
        scores = tl.where(inside[None, :], scores, -float("inf"))
        new_top = tl.maximum(top, tl.max(scores, 1))
        p = tl.exp2(scores - new_top[:, None])
        shrink = tl.exp2(top - new_top)
        total = total * shrink + tl.sum(p, 1)
        if GROUP == 1:
            acc = acc * shrink[:, None] + tl.sum(tl.trans(p) * v, 0)[None, :]
        else:
            acc = tl.dot(p, v, acc * shrink[:, None])
        top = new_top
    if splits == 0:
        out = acc / tl.maximum(total, 1e-30)[:, None]  # of an empty sequence 0
        tl.store((out_ptr + heads * HEAD)[:, None] + d[None, :], out, mask=real[:, None])
    else:
        at = heads * splits + split
        tl.store((partial_ptr + at * HEAD)[:, None] + d[None, :], acc, mask=real[:, None])
        tl.store(facts_ptr + 2 * at, top, mask=real)
        tl.store(facts_ptr + 2 * at + 1, total, mask=real)


@triton.jit
def combine_kernel(partial_ptr, facts_ptr, out_ptr, splits, head_size, BLOCK: tl.constexpr):
    """The softmax over all shares of one head."""
    head = tl.program_id(0).to(tl.int64)
    d = tl.arange(0, BLOCK)
    inside = d < head_size
    top, total = -float("inf"), 0.0
    acc = tl.zeros((BLOCK,), tl.float32)
    for split in range(splits):
        at = head * splits + split
        share_top, share_total = tl.load(facts_ptr + 2 * at), tl.load(facts_ptr + 2 * at + 1)
        if share_total > 0:
            new_top = tl.maximum(top, share_top)
            shrink, grow = tl.exp2(top - new_top), tl.exp2(share_top - new_top)
            total = total * shrink + share_total * grow
            acc = acc * shrink + tl.load(partial_ptr + at * head_size + d, mask=inside, other=0) * grow
            top = new_top
    tl.store(out_ptr + head * head_size + d, acc / tl.maximum(total, 1e-30), mask=inside)


@trtp.register(
    "llm::paged_attention", ranks={"q": 3, "k_cache": 4, "v_cache": 4, "block_table": 2, "lengths": 1},
)  # fmt: skip
def attention_desc(
    q: trtp.TensorDesc, k_cache: trtp.TensorDesc, v_cache: trtp.TensorDesc, block_table: trtp.TensorDesc, lengths: trtp.TensorDesc,
    scale: float = 0.0,
) -> trtp.TensorDesc:  # fmt: skip
    """q [sequences, heads, head size], one token each; caches [blocks, kv heads, block size, head size]; block_table [sequences, blocks of the
    longest] names each sequence's blocks in order, lengths [sequences] says how many tokens they hold, the newest included.

    scale 0 is 1 / sqrt(head size). A sequence of length 0 gives zeroes.
    """
    sequences, heads, head_size = q.shape_expr
    kv_heads = k_cache.shape_expr[1]
    for axis, name in enumerate(("blocks", "heads", "block size", "head size")):
        trtp.require(v_cache.shape_expr[axis] == k_cache.shape_expr[axis], f"k_cache and v_cache differ in {name}")
    trtp.require(k_cache.shape_expr[3] == head_size, "the heads of q and of the caches have different sizes")
    trtp.require(kv_heads > 0, "the caches have no heads")
    trtp.require(heads % kv_heads == 0, "the heads of q are no multiple of those of the caches")
    trtp.require(k_cache.shape_expr[2] > 0, "the blocks of the caches have size 0")
    trtp.require(block_table.shape_expr[0] == sequences, "block_table has not one row for each sequence of q")
    trtp.require(lengths.shape_expr[0] == sequences, "lengths has not one number for each sequence of q")
    return q.like()


@trtp.autotune("llm::paged_attention")
def attention_autotune():
    types = "FP32|FP16|BF16"
    return [trtp.AutoTuneCombination(f"{types}, {types}, {types}, INT32, INT32, {types}", "LINEAR", [WHOLE, SPLIT])]


@trtp.aot_impl("llm::paged_attention")
def attention_aot(q, k_cache, v_cache, block_table, lengths, scale, outputs, tactic):
    sequences, heads, head_size = q.shape_expr
    blocks, kv_heads, block_size, _ = k_cache.shape_expr
    width = block_table.shape_expr[1]
    group = heads // kv_heads
    longest = width * block_size
    many = 1 if group == 1 else 4  # heads that read a key at once
    # 0: nothing is split, and the kernel writes the output; it is one kernel for both tactics
    splits = trtp.max(trtp.min(trtp.cdiv(longest, SHARE), MOST_SPLITS), 1) if tactic == SPLIT else 0
    programs = trtp.max(splits, 1)
    partial = trtp.workspace((sequences, heads, splits, head_size), "FP32")
    facts = trtp.workspace((sequences, heads, splits, 2), "FP32")
    attention = trtp.launch(
        attention_kernel, (kv_heads * trtp.cdiv(group, many), sequences, programs),
        (q, k_cache, v_cache, block_table, lengths, outputs[0], partial, facts,
         trtp.where(scale == 0.0, 1 / trtp.sqrt(head_size), scale), kv_heads, group, blocks, block_size, width,
         trtp.cdiv(longest, programs), trtp.scalar(splits, "INT32")),
        GROUP=many, HEAD=trtp.one_of(head_size, [64, 128], "the head size is neither 64 nor 128"), KEYS=32,
    )  # fmt: skip
    if tactic == WHOLE:
        return attention
    combine = trtp.launch(
        combine_kernel, (sequences * heads,), (partial, facts, outputs[0], splits, head_size), BLOCK=128
    )
    return [attention, combine]


@trtp.impl("llm::paged_attention")
def attention_impl(q, k_cache, v_cache, block_table, lengths, scale, outputs):
    q, k_cache, v_cache, table = map(np.asarray, (q, k_cache, v_cache, block_table))
    _, heads, head_size = q.shape
    _, kv_heads, block_size, _ = k_cache.shape
    out = np.asarray(outputs[0])
    for i, length in enumerate(np.asarray(lengths)):
        used = table[i, : -(-length // block_size)]
        for head in range(heads):
            kv_head = head // (heads // kv_heads)
            keys, values = (
                cache[used, kv_head].reshape(-1, head_size)[:length].astype(np.float64) for cache in (k_cache, v_cache)
            )
            scores = keys @ q[i, head].astype(np.float64) * (scale or head_size**-0.5)
            p = np.exp(scores - scores.max(initial=-np.inf))
            out[i, head] = p @ values / p.sum() if length else 0


@trtp.cost("llm::paged_attention")
def attention_cost(q, k_cache, block_table):
    keys = block_table.numel() * k_cache.shape_expr[2]  # at most
    return 4 * keys * q.shape_expr[1] * q.shape_expr[2], 8 * keys * k_cache.shape_expr[1] * q.shape_expr[2]
