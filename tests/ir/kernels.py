"""Small kernels, one or more per family of operations; emit_ttir.py makes the texts in ttir/ from them."""

import triton
import triton.language as tl
from triton.language.extra import libdevice

# name -> (signature by parameter, constexpr values); filled by `example`
EXAMPLES = {}


def example(signature, **constants):
    def add(fn):
        EXAMPLES[fn.__name__] = (fn, signature, constants)
        return fn

    return add


@example({"x": "*fp32", "y": "*fp16", "out": "*fp32", "n": "i32"}, B=256)
@triton.jit
def blend(x, y, out, n, B: tl.constexpr):
    offset = tl.program_id(0) * B + tl.arange(0, B)
    inside = offset < n
    left = tl.load(x + offset, mask=inside, other=1.0)
    right = tl.load(y + offset, mask=inside, other=0.0, cache_modifier=".cg", eviction_policy="evict_last").to(
        tl.float32
    )
    value = tl.where(left > right, tl.exp(left) * 0.1, tl.fma(left, right, 2.5))
    value = tl.clamp(value, -3.0, 3.0) + tl.math.rsqrt(tl.abs(right) + 1e-6)
    tl.store(out + offset, tl.sqrt(value) + tl.sin(right) - tl.math.erf(left), mask=inside, cache_modifier=".cs")


@example({"x": "*fp32", "out": "*i8", "half": "*bf16", "eight": "*fp8e5", "four": "*fp8e4nv"}, B=64)
@triton.jit
def convert(x, out, half, eight, four, B: tl.constexpr):
    i = tl.arange(0, B)
    value = tl.load(x + i)
    tl.store(half + i, value.to(tl.bfloat16))
    tl.store(eight + i, value.to(tl.float8e5, fp_downcast_rounding="rtne"))
    tl.store(four + i, value.to(tl.float8e4nv))
    bits = value.to(tl.int32, bitcast=True)
    tl.store(out + i, ((bits >> 7) ^ (bits & 255) | 3).to(tl.int8))


@example({"x": "*fp32", "out": "*fp32", "stride": "i32", "columns": "i32"}, B=128)
@triton.jit
def normalise(x, out, stride, columns, B: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, B)
    value = tl.load(x + row * stride + i, mask=i < columns, other=-float("inf"))
    power = tl.exp(value - tl.max(value, axis=0))
    tl.store(out + row * stride + i, power / tl.sum(power, axis=0), mask=i < columns)


@example({"q": "*fp16", "k": "*fp16", "v": "*fp16", "out": "*fp16", "length": "i32", "scale": "fp32"}, M=16, N=32, D=16)
@triton.jit
def attend(q, k, v, out, length, scale, M: tl.constexpr, N: tl.constexpr, D: tl.constexpr):
    rows = tl.program_id(0) * M + tl.arange(0, M)
    d = tl.arange(0, D)
    query = tl.load(q + rows[:, None] * D + d[None, :], mask=rows[:, None] < length, other=0.0)
    highest = tl.full([M], -float("inf"), tl.float32)
    total = tl.zeros([M], tl.float32)
    acc = tl.zeros([M, D], tl.float32)
    for start in tl.range(0, length, N, num_stages=2):
        columns = start + tl.arange(0, N)
        key = tl.load(k + columns[None, :] * D + d[:, None], mask=columns[None, :] < length, other=0.0)
        score = tl.dot(query, key) * scale
        score = tl.where(columns[None, :] < length, score, -1.0e6)
        peak = tl.maximum(highest, tl.max(score, 1))
        weight = tl.exp2(score - peak[:, None])
        fade = tl.exp2(highest - peak)
        value = tl.load(v + columns[:, None] * D + d[None, :], mask=columns[:, None] < length, other=0.0)
        acc = tl.dot(weight.to(tl.float16), value, acc * fade[:, None], input_precision="ieee")
        total = total * fade + tl.sum(weight, 1)
        highest = peak
    result = acc / total[:, None]
    tl.store(out + rows[:, None] * D + d[None, :], result.to(tl.float16), mask=rows[:, None] < length)


@triton.jit(noinline=True)
def halve(value, count):
    return value * 0.5, count + 1


@example({"x": "*fp32", "out": "*fp32", "count": "*i32", "n": "i32"}, B=16)
@triton.jit
def branches(x, out, count, n, B: tl.constexpr):
    pid = tl.program_id(1)
    if pid >= n:
        return
    value = tl.load(x + pid)
    steps = 0
    while value > 1.0:
        value, steps = halve(value, steps)
    if steps % 2 == 0:
        value = -value
    else:
        if steps > n:
            value += 1.0
    for i in range(0, n):
        if i % 3 == 1:
            value += i
    tl.device_print("value", value, steps)
    tl.device_assert(n > 0, "n is not positive")
    tl.store(out + pid + tl.arange(0, B), value)
    tl.store(count + pid, steps)


@example({"x": "*i32", "y": "*fp32", "lock": "*i32", "n": "i32"}, B=32)
@triton.jit
def synchronise(x, y, lock, n, B: tl.constexpr):
    i = tl.arange(0, B)
    old = tl.atomic_add(x + i, 1, mask=i < n)
    tl.atomic_max(x + i, old, sem="relaxed")
    tl.atomic_add(y + i, 1.5, scope="sys")
    while tl.atomic_cas(lock, 0, 1) == 1:
        pass
    tl.debug_barrier()
    tl.atomic_xchg(lock, 0)


@triton.jit
def earlier(av, ai, bv, bi):
    take = (av > bv) | ((av == bv) & (ai < bi))
    return tl.where(take, av, bv), tl.where(take, ai, bi)


@triton.jit
def larger(a, b):
    return tl.maximum(a, b)


@example({"x": "*fp32", "out": "*fp32", "where": "*i32"}, B=8, N=16)
@triton.jit
def combine(x, out, where, B: tl.constexpr, N: tl.constexpr):
    tile = tl.load(x + tl.arange(0, B)[:, None] * N + tl.arange(0, N)[None, :])
    running = tl.associative_scan(tile, 1, larger)
    total = tl.cumsum(running, 0, reverse=True)
    index = tl.broadcast_to(tl.arange(0, N)[None, :], [B, N])
    best, at = tl.reduce((total, index), 1, earlier)
    tl.store(out + tl.arange(0, B), best)
    tl.store(where + tl.arange(0, B), at + tl.argmin(tile, 1))


@example({"x": "*fp32", "i": "*i32", "out": "*fp32", "bins": "*i32"}, B=16)
@triton.jit
def rearrange(x, i, out, bins, B: tl.constexpr):
    at = tl.arange(0, B)
    value = tl.load(x + at)
    pairs = tl.join(value, -value)
    left, right = tl.split(tl.trans(tl.reshape(pairs, [2, B]), 1, 0))
    index = tl.load(i + at)
    mixed = tl.gather(left, index % B, 0) + tl.flip(right)
    ordered = tl.sort(mixed)
    both = tl.cat(ordered, mixed, can_reorder=True)
    tl.store(out + tl.arange(0, 2 * B), both)
    tl.store(bins + tl.arange(0, 8), tl.histogram(index, 8, mask=index >= 0))


@triton.jit
def digits(a, b):
    if a < b:
        return b - a, 1
    while a > 10.0:
        a = a * 0.5
    return a, 0


@example({"x": "*fp32", "out": "*fp32", "flag": "*i32"}, B=32)
@triton.jit
def by_element(x, out, flag, B: tl.constexpr):
    i = tl.arange(0, B)
    value = tl.load(x + i)
    result, kind = tl.map_elementwise(digits, value, value * value)
    tl.store(out + i, result)
    tl.store(flag + i, kind)


@example({"x": "*fp16", "out": "*fp16", "index": "*i32", "rows": "i32", "columns": "i32"}, M=8, N=16)
@triton.jit
def described(x, out, index, rows, columns, M: tl.constexpr, N: tl.constexpr):
    source = tl.make_tensor_descriptor(x, [rows, columns], [columns, 1], [M, N], padding_option="nan")
    target = tl.make_tensor_descriptor(out, [rows, columns], [columns, 1], [M, N])
    pid = tl.program_id(2)
    tile = source.load([pid * M, 0])
    target.store([pid * M, N], tile + tile)
    target.atomic_add([pid * M, 0], tile)
    lines = tl.make_tensor_descriptor(x, [rows, columns], [columns, 1], [1, N])
    targets = tl.make_tensor_descriptor(out, [rows, columns], [columns, 1], [1, N])
    at = tl.load(index + tl.arange(0, M))
    targets.scatter(lines.gather(at, 0), at, N)


@example({"a": "*fp16", "b": "*u8", "scale": "*u8", "out": "*fp32"}, M=16, N=32, K=64)
@triton.jit
def scaled(a, b, scale, out, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    m, n, k = tl.arange(0, M), tl.arange(0, N), tl.arange(0, K)
    left = tl.load(a + m[:, None] * K + k[None, :])
    right = tl.load(b + tl.arange(0, K // 2)[:, None] * N + n[None, :])
    exponent = tl.load(scale + n[:, None] * (K // 32) + tl.arange(0, K // 32)[None, :])
    acc = tl.dot_scaled(left, None, "fp16", right, exponent, "e2m1")
    tl.store(out + m[:, None] * N + n[None, :], acc)


@example({"x": "*i32", "y": "*fp32", "n": "i32"}, B=32)
@triton.jit
def foreign(x, y, n, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.assume(n > 0)
    value = tl.load(x + tl.multiple_of(i * n, 16))
    value = tl.inline_asm_elementwise("shl.b32 $0, $1, 3;", "=r,r", [value], dtype=tl.int32, is_pure=True, pack=1)
    tl.store(x + i, tl.umulhi(value.to(tl.uint32), 0xD2511F53).to(tl.int32))
    power = libdevice.pow(tl.load(y + i), 1.5)
    tl.store(y + i, tl.math.div_rn(power, tl.math.sqrt_rn(power)))


@example({"x": "*fp32", "out": "*fp32", "seed": "i32", "n": "i32"}, B=64)
@triton.jit
def thin_out(x, out, seed, n, B: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    keep = tl.rand(seed, i) > 0.25
    value = tl.load(x + i, mask=i < n)
    tl.store(out + i, tl.where(keep, value / 0.75, 0.0), mask=i < n)
