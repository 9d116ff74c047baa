"""Matrix products: of one tile, in loops, batched, transposed, scaled."""

import triton
import triton.language as tl


@triton.jit
def _at(R: tl.constexpr, C: tl.constexpr, row, column):
    return tl.arange(0, R)[:, None] * row + tl.arange(0, C)[None, :] * column


@triton.jit
def product(a_ptr, b_ptr, c_ptr, out_ptr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr, PRECISION: tl.constexpr,
            OUT: tl.constexpr, ACC: tl.constexpr, A_T: tl.constexpr, B_T: tl.constexpr):  # fmt: skip
    """One tile; operands as they are or through tl.trans; with or without an accumulator."""
    if A_T:
        a = tl.trans(tl.load(a_ptr + _at(K, M, M, 1)))
    else:
        a = tl.load(a_ptr + _at(M, K, K, 1))
    if B_T:
        b = tl.trans(tl.load(b_ptr + _at(N, K, K, 1)))
    else:
        b = tl.load(b_ptr + _at(K, N, N, 1))
    at = _at(M, N, N, 1)
    if ACC:
        d = tl.dot(a, b, tl.load(c_ptr + at), input_precision=PRECISION, out_dtype=OUT)
    else:
        d = tl.dot(a, b, input_precision=PRECISION, out_dtype=OUT)
    tl.store(out_ptr + at, d)


@triton.jit
def batched(a_ptr, b_ptr, out_ptr, B: tl.constexpr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    i = tl.arange(0, B)[:, None, None]
    a = tl.load(a_ptr + i * M * K + _at(M, K, K, 1)[None, :, :])
    b = tl.load(b_ptr + i * K * N + _at(K, N, N, 1)[None, :, :])
    tl.store(out_ptr + i * M * N + _at(M, N, N, 1)[None, :, :], tl.dot(a, b))


@triton.jit
def matmul(
    a_ptr,
    b_ptr,
    out_ptr,
    m,
    n,
    k,
    a0,
    a1,
    b0,
    b1,
    M: tl.constexpr,
    N: tl.constexpr,
    K: tl.constexpr,
    KIND: tl.constexpr,
):
    """A loop over the inner dimension, masked on every side; KIND says what becomes of the operands or the accumulator."""
    i = tl.program_id(0) * M + tl.arange(0, M)
    j = tl.program_id(1) * N + tl.arange(0, N)
    acc = tl.zeros((M, N), tl.float32)
    scale = tl.full((M,), 1.0, tl.float32)
    for start in range(0, k, K):
        d = start + tl.arange(0, K)
        a = tl.load(a_ptr + i[:, None] * a0 + d[None, :] * a1, mask=(i < m)[:, None] & (d < k)[None, :], other=0)
        b = tl.load(b_ptr + d[:, None] * b0 + j[None, :] * b1, mask=(d < k)[:, None] & (j < n)[None, :], other=0)
        if KIND == "plain":
            acc = tl.dot(a, b, acc)
        elif KIND == "plus":
            acc += tl.dot(a, b)
        elif KIND == "prologue":
            acc = tl.dot((a * 2).to(a.dtype), tl.where(b > 0, b, 0).to(b.dtype), acc)
        elif KIND == "rescale":
            step = tl.sum(tl.abs(a), 1).to(tl.float32) * 0.0625
            acc = tl.dot(a, b, acc * scale[:, None])
            scale = tl.where(step > 1, 0.5, 1.0)
        elif KIND == "two":
            acc = tl.dot(a, b, tl.dot(a, b, acc))
        elif KIND == "squared":
            c = tl.dot(a, b)
            acc += c * c
    if KIND == "rescale":
        acc = acc * scale[:, None]
    tl.store(out_ptr + i[:, None] * n + j[None, :], acc, mask=(i < m)[:, None] & (j < n)[None, :])


@triton.jit
def chained(a_ptr, b_ptr, c_ptr, out_ptr, M: tl.constexpr, K: tl.constexpr, N: tl.constexpr, L: tl.constexpr):
    """(a b) c, the middle one rounded to the type of c, and row sums of it."""
    a = tl.load(a_ptr + _at(M, K, K, 1))
    b = tl.load(b_ptr + _at(K, N, N, 1))
    c = tl.load(c_ptr + _at(N, L, L, 1))
    s = tl.dot(a, b)
    tl.store(out_ptr + _at(M, L, L, 1), tl.dot(s.to(c.dtype), c) + tl.sum(s, 1)[:, None])


@triton.jit
def by_broadcast(a_ptr, b_ptr, out_ptr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    """A product that is written as a sum of products."""
    a = tl.load(a_ptr + _at(M, K, K, 1))
    b = tl.load(b_ptr + _at(K, N, N, 1))
    tl.store(out_ptr + _at(M, N, N, 1), tl.sum(a[:, :, None] * b[None, :, :], 1))


@triton.jit
def scaled(a_ptr, a_scale_ptr, b_ptr, b_scale_ptr, c_ptr, out_ptr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr,
           A_FORMAT: tl.constexpr, B_FORMAT: tl.constexpr, A_SCALED: tl.constexpr, B_SCALED: tl.constexpr, GROUP: tl.constexpr,
           ACC: tl.constexpr, A_K: tl.constexpr, B_K: tl.constexpr):  # fmt: skip
    """Scales are one byte, a power of two, per GROUP elements along the inner dimension; 4-bit elements are two to a byte, along the
    inner dimension or (A_K, B_K false) along the other one."""
    A_PACK: tl.constexpr = 2 if A_FORMAT == "e2m1" else 1
    B_PACK: tl.constexpr = 2 if B_FORMAT == "e2m1" else 1
    if A_K:
        a = tl.load(a_ptr + _at(M, K // A_PACK, K // A_PACK, 1))
    else:
        a = tl.load(a_ptr + _at(M // A_PACK, K, K, 1))
    if B_K:
        b = tl.load(b_ptr + _at(K // B_PACK, N, N, 1))
    else:
        b = tl.load(b_ptr + _at(K, N // B_PACK, N // B_PACK, 1))
    if A_SCALED:
        a_scale = tl.load(a_scale_ptr + _at(M, K // GROUP, K // GROUP, 1))
    else:
        a_scale = None
    if B_SCALED:
        b_scale = tl.load(b_scale_ptr + _at(N, K // GROUP, K // GROUP, 1))
    else:
        b_scale = None
    at = _at(M, N, N, 1)
    if ACC:
        acc = tl.load(c_ptr + at)
    else:
        acc = None
    d = tl.dot_scaled(a, a_scale, A_FORMAT, b, b_scale, B_FORMAT, acc, lhs_k_pack=A_K, rhs_k_pack=B_K)
    tl.store(out_ptr + at, d)
