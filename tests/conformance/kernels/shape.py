"""Operations that move elements: shapes, joins, order."""

import triton
import triton.language as tl


@triton.jit
def _tile(
    x_ptr, A: tl.constexpr, B: tl.constexpr, C: tl.constexpr, D: tl.constexpr, E: tl.constexpr, RANK: tl.constexpr
):
    """A tile of the first RANK extents, in row-major order."""
    at = tl.arange(0, A)
    if RANK >= 2:
        at = at[:, None] * B + tl.arange(0, B)[None, :]
    if RANK >= 3:
        at = at[:, :, None] * C + tl.arange(0, C)[None, None, :]
    if RANK >= 4:
        at = at[:, :, :, None] * D + tl.arange(0, D)[None, None, None, :]
    if RANK >= 5:
        at = at[:, :, :, :, None] * E + tl.arange(0, E)[None, None, None, None, :]
    return tl.load(x_ptr + at)


@triton.jit
def _put(out_ptr, x):
    """A tile in row-major order."""
    flat = tl.ravel(x)
    tl.store(out_ptr + tl.arange(0, flat.shape[0]), flat)


@triton.jit
def permute(x_ptr, out_ptr, A: tl.constexpr, B: tl.constexpr, C: tl.constexpr, D: tl.constexpr, E: tl.constexpr,
            RANK: tl.constexpr, ORDER: tl.constexpr):  # fmt: skip
    _put(out_ptr, tl.permute(_tile(x_ptr, A, B, C, D, E, RANK), ORDER))


@triton.jit
def permute_used(x_ptr, out_ptr, A: tl.constexpr, B: tl.constexpr, C: tl.constexpr, D: tl.constexpr, E: tl.constexpr,
                 RANK: tl.constexpr, ORDER: tl.constexpr):  # fmt: skip
    """There and back, with arithmetic in between, and a reduction of what was moved."""
    x = _tile(x_ptr, A, B, C, D, E, RANK)
    y = tl.permute(x * 3, ORDER)
    _put(out_ptr, y + tl.sum(y, 0)[None])


@triton.jit
def reshape(x_ptr, out_ptr, A: tl.constexpr, B: tl.constexpr, C: tl.constexpr, D: tl.constexpr, E: tl.constexpr,
            RANK: tl.constexpr, TO: tl.constexpr):  # fmt: skip
    """A reduction along the first new axis tells whether the elements are where they should be."""
    y = tl.reshape(_tile(x_ptr, A, B, C, D, E, RANK), TO)
    _put(out_ptr, y * 2 - tl.broadcast_to(tl.sum(y, 0, keep_dims=True), TO))


@triton.jit
def expand(x_ptr, out_ptr, N: tl.constexpr, KIND: tl.constexpr):
    x = tl.load(x_ptr + tl.arange(0, N))
    if KIND == "front":
        y = tl.broadcast_to(tl.expand_dims(x, 0), (4, N))
    elif KIND == "back":
        y = tl.broadcast_to(tl.expand_dims(x, -1), (N, 4))
    elif KIND == "both":
        y = tl.broadcast_to(tl.expand_dims(x, (0, 2)), (2, N, 4))
    elif KIND == "index":
        y = x[None, :, None] + x[:, None, None] * 100
    elif KIND == "scalar":
        y = tl.broadcast_to(tl.load(x_ptr), (N, 2))
    else:
        a, b = tl.broadcast(x[:, None], x[None, :])
        y = a * 10 - b
    _put(out_ptr, y)


@triton.jit
def join(x_ptr, y_ptr, out_ptr, A: tl.constexpr, B: tl.constexpr, KIND: tl.constexpr):
    x = _tile(x_ptr, A, B, 1, 1, 1, 2)
    y = _tile(y_ptr, A, B, 1, 1, 1, 2)
    if KIND == "join":
        z = tl.join(x, y)
    elif KIND == "interleave":
        z = tl.interleave(x, y)
    elif KIND == "split":
        a, b = tl.split(tl.join(x, y))
        z = a * 3 - b
    elif KIND == "split halves":
        a, b = tl.split(tl.reshape(x, (A, B // 2, 2)))
        z = tl.join(b, a)
    elif KIND == "concatenate":
        z = tl.reshape(tl.permute(tl.join(x, y), (0, 2, 1)), (A, 2 * B))
    elif KIND == "four":
        z = tl.join(tl.join(x, y), tl.join(y, x))
    elif KIND == "reduce":
        z = tl.sum(tl.join(x, y), 2) * tl.max(tl.join(x, y), 0).sum()
    _put(out_ptr, z)


@triton.jit
def cat(x_ptr, y_ptr, out_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    z = tl.cat(tl.load(x_ptr + at), tl.load(y_ptr + at), can_reorder=True)
    tl.store(out_ptr + tl.arange(0, 2 * N), z)


@triton.jit
def join_scalars(x_ptr, out_ptr):
    tl.store(out_ptr + tl.arange(0, 2), tl.join(tl.load(x_ptr), tl.load(x_ptr + 1) * 2))


@triton.jit
def flip(x_ptr, out_ptr, A: tl.constexpr, B: tl.constexpr, C: tl.constexpr, AXIS: tl.constexpr):
    _put(out_ptr, tl.flip(_tile(x_ptr, A, B, C, 1, 1, 3), AXIS))


@triton.jit
def sort(x_ptr, out_ptr, ROWS: tl.constexpr, N: tl.constexpr, DOWN: tl.constexpr):
    at = tl.arange(0, ROWS)[:, None] * N + tl.arange(0, N)[None, :]
    tl.store(out_ptr + at, tl.sort(tl.load(x_ptr + at), descending=DOWN))


@triton.jit
def sort_masked(x_ptr, out_ptr, n, N: tl.constexpr, DOWN: tl.constexpr):
    at = tl.arange(0, N)
    x = tl.load(x_ptr + at, mask=at < n, other=-float("inf") if DOWN else float("inf"))
    tl.store(out_ptr + at, tl.sort(x, descending=DOWN), mask=at < n)


@triton.jit
def topk(x_ptr, out_ptr, ROWS: tl.constexpr, N: tl.constexpr, K: tl.constexpr, DOWN: tl.constexpr):
    i = tl.arange(0, ROWS)[:, None]
    x = tl.load(x_ptr + i * N + tl.arange(0, N)[None, :])
    tl.store(out_ptr + i * K + tl.arange(0, K)[None, :], tl.topk(x, K, descending=DOWN))


@triton.jit
def topk_flat(x_ptr, out_ptr, N: tl.constexpr, K: tl.constexpr, DOWN: tl.constexpr):
    """The stages before each halving are steps of the same tile."""
    tl.store(out_ptr + tl.arange(0, K), tl.topk(tl.load(x_ptr + tl.arange(0, N)), K, descending=DOWN))


@triton.jit
def gather(
    x_ptr, index_ptr, out_ptr, A: tl.constexpr, B: tl.constexpr, C: tl.constexpr, D: tl.constexpr, AXIS: tl.constexpr
):
    """x is A x B, the index C x D; along the other axis they are equal."""
    x = _tile(x_ptr, A, B, 1, 1, 1, 2)
    index = _tile(index_ptr, C, D, 1, 1, 1, 2)
    _put(out_ptr, tl.gather(x, index, AXIS))


@triton.jit
def gather_computed(x_ptr, out_ptr, N: tl.constexpr):
    """The source and the index are computed, and the result is gathered again."""
    at = tl.arange(0, N)
    x = tl.load(x_ptr + at) * 2 + at
    y = tl.gather(x, (at * 5 + 3) % N, 0)
    tl.store(out_ptr + at, y + tl.gather(y, N - 1 - at, 0))


@triton.jit
def histogram(x_ptr, out_ptr, n, BINS: tl.constexpr, N: tl.constexpr, MASKED: tl.constexpr):
    at = tl.arange(0, N)
    if MASKED:
        x = tl.load(x_ptr + at, mask=at < n)
        h = tl.histogram(x, BINS, mask=at < n)
    else:
        x = tl.load(x_ptr + at)
        h = tl.histogram(x, BINS)
    tl.store(out_ptr + tl.arange(0, BINS), h)


@triton.jit
def histogram_loop(x_ptr, out_ptr, n, BINS: tl.constexpr, N: tl.constexpr):
    total = tl.zeros((BINS,), tl.int32)
    for start in range(0, n, N):
        at = start + tl.arange(0, N)
        x = tl.load(x_ptr + at, mask=at < n)
        total += tl.histogram(x & (BINS - 1), BINS, mask=(at < n) & (x >= 0))
    tl.store(out_ptr + tl.arange(0, BINS), total)


@triton.jit
def squeezed(x_ptr, out_ptr, A: tl.constexpr, B: tl.constexpr):
    x = tl.load(x_ptr + tl.arange(0, A)[:, None] * B + tl.arange(0, B)[None, :])
    y = x[:, None, :].trans(2, 0, 1)
    _put(out_ptr, tl.view(tl.trans(y.reshape(B, A)), (A, B)) + x.T.trans())


@triton.jit
def full(out_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    tl.store(out_ptr + at, tl.zeros((N,), tl.float32) + tl.full((N,), 2.5, tl.float32) * tl.full((), 2, tl.int32))
    tl.store(out_ptr + N + at, tl.zeros_like(tl.load(out_ptr + at)) + tl.arange(N, 2 * N))
