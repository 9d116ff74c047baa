"""llm::rotary_embedding: turns pairs of elements of queries and keys by an angle that grows with the token's position, in place."""

import numpy as np
import triton
import triton.language as tl

import opwright.plugin as trtp


@triton.jit
def _rotate(x_ptr, cos_ptr, sin_ptr, heads, head_size, half, INTERLEAVED: tl.constexpr, BLOCK: tl.constexpr):
    """All heads of one token. Pairs are neighbours, or an element of the first half and its like in the second."""
    element: tl.constexpr = x_ptr.dtype.element_ty
    for start in range(0, half, BLOCK):
        pair = start + tl.arange(0, BLOCK)
        inside = pair < half
        c = tl.load(cos_ptr + pair, mask=inside, other=0)
        s = tl.load(sin_ptr + pair, mask=inside, other=0)
        for head in range(heads):
            if INTERLEAVED:  # both are read and written at once, as one integer of twice the width
                bits: tl.constexpr = element.primitive_bitwidth
                whole: tl.constexpr = tl.int32 if bits == 16 else tl.int64
                part: tl.constexpr = tl.int16 if bits == 16 else tl.int32
                at = (x_ptr + head * head_size).to(tl.pointer_type(whole), bitcast=True) + pair
                both = tl.load(at, mask=inside, other=0)
                a = both.to(part).to(element, bitcast=True).to(tl.float32)
                b = (both >> bits).to(part).to(element, bitcast=True).to(tl.float32)
                first = (a * c - b * s).to(element).to(part, bitcast=True).to(whole)
                second = (b * c + a * s).to(element).to(part, bitcast=True).to(whole)
                tl.store(at, (second << bits) | (first & ((1 << bits) - 1)), mask=inside)
            else:
                at = x_ptr + head * head_size + pair
                a = tl.load(at, mask=inside, other=0).to(tl.float32)
                b = tl.load(at + half, mask=inside, other=0).to(tl.float32)
                tl.store(at, a * c - b * s, mask=inside)
                tl.store(at + half, b * c + a * s, mask=inside)


@triton.jit(debug=True)
def rotary_kernel(
    q_ptr, k_ptr, cos_sin_ptr, positions_ptr, heads, kv_heads, head_size, half, table_size,
    INTERLEAVED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One token per program."""
    token = tl.program_id(0).to(tl.int64)
    position = tl.load(positions_ptr + token)
    tl.device_assert((position >= 0) & (position < table_size), "a position is outside of cos_sin")
    cos_ptr = cos_sin_ptr + position.to(tl.int64) * 2 * half
    _rotate(q_ptr + token * heads * head_size, cos_ptr, cos_ptr + half, heads, head_size, half, INTERLEAVED, BLOCK)
    _rotate(
        k_ptr + token * kv_heads * head_size, cos_ptr, cos_ptr + half, kv_heads, head_size, half, INTERLEAVED, BLOCK
    )


@trtp.register(
    "llm::rotary_embedding", ranks={"q": 3, "k": 3, "positions": 1, "cos_sin": 2}, outputs=["q_out", "k_out"]
)
def rotary_desc(
    q: trtp.TensorDesc, k: trtp.TensorDesc, positions: trtp.TensorDesc, cos_sin: trtp.TensorDesc, interleaved: bool = False
) -> tuple[trtp.TensorDesc, trtp.TensorDesc]:  # fmt: skip
    """q [tokens, heads, head size] and k [tokens, kv heads, head size], by positions [tokens]; a row of cos_sin has the cosines of a
    position's angles, then their sines. Elements of a head beyond the row's length stay as they are."""
    trtp.require(k.shape_expr[0] == q.shape_expr[0], "k has another number of tokens than q")
    trtp.require(k.shape_expr[2] == q.shape_expr[2], "the heads of k and q have different sizes")
    trtp.require(positions.shape_expr[0] == q.shape_expr[0], "positions has another number of tokens than q")
    trtp.require(cos_sin.shape_expr[1] % 2 == 0, "a row of cos_sin has an odd length")
    trtp.require(cos_sin.shape_expr[1] <= q.shape_expr[2], "a row of cos_sin is longer than a head")
    trtp.require(
        trtp.where(interleaved, q.shape_expr[2] % 2, 0) == 0, "heads of odd size have no neighbours for every element"
    )
    return q.aliased(), k.aliased()


@trtp.autotune("llm::rotary_embedding")
def rotary_autotune():
    types = "FP32|FP16|BF16"
    return [trtp.AutoTuneCombination(f"{types}, {types}, INT64*INT32, FP32, {types}, {types}")]


@trtp.aot_impl("llm::rotary_embedding")
def rotary_aot(positions, cos_sin, interleaved, outputs):
    q, k = outputs
    tokens, heads, head_size = q.shape_expr
    table_size, row = cos_sin.shape_expr
    arguments = q, k, cos_sin, positions, heads, k.shape_expr[1], head_size, row // 2, table_size
    return trtp.launch(rotary_kernel, (tokens,), arguments, INTERLEAVED=interleaved, BLOCK=64)


@trtp.impl("llm::rotary_embedding")
def rotary_impl(positions, cos_sin, interleaved, outputs):
    cos, sin = np.split(np.asarray(cos_sin)[np.asarray(positions)].astype(np.float64)[:, None], 2, -1)
    half = cos.shape[-1]
    for tensor in map(np.asarray, outputs):
        first = tensor[..., 0 : 2 * half : 2] if interleaved else tensor[..., :half]
        second = tensor[..., 1 : 2 * half : 2] if interleaved else tensor[..., half : 2 * half]
        a, b = first.astype(np.float64), second.astype(np.float64)
        first[...], second[...] = a * cos - b * sin, b * cos + a * sin


@trtp.cost("llm::rotary_embedding")
def rotary_cost(q, k, cos_sin):
    turned = q.shape_expr[0] * (q.shape_expr[1] + k.shape_expr[1]) * cos_sin.shape_expr[1]
    return 3 * turned, 8 * turned
