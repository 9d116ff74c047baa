"""Loops, branches, returns and calls, with scalars, tiles and pointers that are carried through them."""

import triton
import triton.language as tl


@triton.jit
def carried_kinds(x_ptr, out_ptr, n, low, high, BY: tl.constexpr, BLOCK: tl.constexpr):
    """A tile, a pointer tile, a scalar pointer, an integer and a float are carried."""
    at = tl.arange(0, BLOCK)
    tile = tl.zeros((BLOCK,), tl.int32)
    pointers = x_ptr + at
    scalar_pointer = x_ptr
    count = 0
    total = 0.5
    for i in range(low, high, BY):
        tile = tile * 3 + tl.load(pointers) + i
        count += tl.load(scalar_pointer)
        total = total * 0.5 + i
        pointers += n
        scalar_pointer += n + 1
    tl.store(out_ptr + at, tile)
    tl.store(out_ptr + BLOCK, count)
    tl.store(out_ptr + BLOCK + 1, (total * 1024).to(tl.int32))


@triton.jit
def downward(out_ptr, high, low):
    count = 0
    for i in range(high, low, -3):
        tl.store(out_ptr + count, i)
        count += 1
    tl.store(out_ptr + count, 1000)


@triton.jit
def wide_loop(out_ptr, low, high):
    """The variable is of 64 bits where a bound is."""
    count = 0
    last = low.to(tl.int64)
    for i in range(low, high, 1073741824):
        count += 1
        last = i
    tl.store(out_ptr, count.to(tl.int64))
    tl.store(out_ptr + 1, last)


@triton.jit
def nested(x_ptr, out_ptr, a, b, c, BLOCK: tl.constexpr):
    """Three loops; the inner ones run from and to what the outer ones have."""
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at)
    acc = tl.zeros((BLOCK,), tl.int32)
    for i in range(a):
        row = x + i
        for j in range(i, b):
            best = row
            for k in range(j % 2, c):
                best = tl.maximum(best * 3, row ^ k)
                row += 1
            acc += best
        acc ^= row
    tl.store(out_ptr + at, acc)


@triton.jit
def swapped(x_ptr, y_ptr, times, KIND: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    a = tl.load(x_ptr + at)
    b = tl.load(y_ptr + at)
    for _ in range(times):
        if KIND == "swap":
            a, b = b, a
        elif KIND == "fibonacci":
            a, b = b, a + b
        elif KIND == "reverse":
            a, b = tl.flip(b, 0), a
        elif KIND == "reduce":
            a, b = b - tl.sum(a), a
    tl.store(x_ptr + at, a)
    tl.store(y_ptr + at, b)


@triton.jit
def conditions(x_ptr, out_ptr, a, b, BLOCK: tl.constexpr):
    """Branches with tile results, nested, without else, and with conditions that are joined."""
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at)
    y = x
    s = 7
    if a > 0:
        if b > a:
            y = x * 2
            s = a
        else:
            y = -x
    elif a == 0 and b != 0:
        y = x + tl.sum(x)
        s = b
    if a < 0 or b < 0:
        y += 100
    if not (a > 3):
        s += 1
    y = y + (x if b > 5 else -x)
    tl.store(out_ptr + at, y + s)


@triton.jit
def branch_in_loop(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    """Loads, stores and another loop under a condition that varies."""
    at = tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK,), tl.int32)
    for i in range(n):
        flag = tl.load(x_ptr + i)
        if flag % 3 == 0:
            acc += tl.load(x_ptr + at)
        elif flag % 3 == 1:
            tl.store(x_ptr + at, acc + i)
        else:
            for j in range(flag % 5):
                acc = acc * 2 + j
    tl.store(out_ptr + at, acc)


@triton.jit
def pointer_choice(x_ptr, y_ptr, out_ptr, which, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    if which == 0:
        p = x_ptr + at
    else:
        p = y_ptr + BLOCK - 1 - at
    for i in range(2):
        if which == i:
            p += 1
    tl.store(out_ptr + at, tl.load(p))


@triton.jit
def early_return(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    if tl.program_id(0) >= n:
        return
    x = tl.load(x_ptr + at)
    tl.store(out_ptr + tl.program_id(0) * BLOCK + at, x)
    if tl.program_id(0) == 1:
        tl.store(out_ptr + BLOCK + at, x * 10)
        return
    tl.store(out_ptr + tl.program_id(0) * BLOCK + at, x + 1)


@triton.jit
def _helper_return(x, flag):
    if flag > 0:
        return x * 2
    return x - 1


@triton.jit
def return_in_function(x_ptr, out_ptr, flag, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out_ptr + at, _helper_return(tl.load(x_ptr + at), flag))


@triton.jit
def collatz(x_ptr, out_ptr):
    """while with scalars alone."""
    i = tl.program_id(0)
    x = tl.load(x_ptr + i)
    steps = 0
    while x != 1:
        if x % 2 == 0:
            x = x // 2
        else:
            x = 3 * x + 1
        steps += 1
    tl.store(out_ptr + i, steps)


@triton.jit
def while_tile(x_ptr, out_ptr, limit, BLOCK: tl.constexpr):
    """while with a tile carried, ended by a reduction of it."""
    at = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at)
    rounds = 0
    while (tl.max(x) < limit) & (rounds < 50):
        x = x + tl.where(x % 2 == 0, 3, 1)
        rounds += 1
    tl.store(out_ptr + at, x + rounds)


@triton.jit
def while_memory(next_ptr, out_ptr, start):
    """Walks a list in memory, and marks it."""
    at = start
    count = 0
    while at >= 0:
        tl.store(out_ptr + at, count)
        at = tl.load(next_ptr + at)
        count += 1


@triton.jit
def while_nested(out_ptr, n):
    i = 0
    total = 0
    while i < n:
        j = i
        while j > 0:
            total += j
            j -= 2
        for k in range(i):
            total ^= k
        i += 1
    tl.store(out_ptr, total)


@triton.jit
def unrolled(x_ptr, out_ptr, N: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK,), tl.int32)
    for i in tl.static_range(N):
        if i % 2 == 0:
            acc += tl.load(x_ptr + i * BLOCK + at) * i
        else:
            acc ^= tl.load(x_ptr + i * BLOCK + at)
    for i in tl.range(0, N, loop_unroll_factor=2, num_stages=3):
        acc += i
    tl.store(out_ptr + at, acc)


@triton.jit
def _pair(x, y):
    return x + y, x * y


@triton.jit
def _outer(x, y, N: tl.constexpr):
    s, p = _pair(x, y)
    for _ in range(N):
        s, p = _pair(s, p)
    return s, p


@triton.jit
def calls(x_ptr, y_ptr, out_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    s, p = _outer(tl.load(x_ptr + at), tl.load(y_ptr + at), 3)
    tl.store(out_ptr + at, s)
    tl.store(out_ptr + BLOCK + at, p)


@triton.jit(noinline=True)
def _far_away(x, y):
    return x * y + 1


@triton.jit(noinline=True)
def _far_store(p, x, n):
    for i in range(n):
        tl.store(p + i, x + i)


@triton.jit(noinline=True)
def _far_loop(x, n):
    for _ in range(n):
        x = _far_away(x, 3)
    return x


@triton.jit
def outlined(x_ptr, out_ptr, n):
    i = tl.program_id(0)
    x = tl.load(x_ptr + i)
    tl.store(out_ptr + i * 8, _far_away(x, 5) + _far_away(x, x))
    tl.store(out_ptr + i * 8 + 1, _far_loop(x, n))
    _far_store(out_ptr + i * 8 + 2, x, 3)


@triton.jit
def _endless(x):
    return _endless(x - 1) + 1


@triton.jit
def recursive(out_ptr):
    tl.store(out_ptr, _endless(tl.load(out_ptr)))


@triton.jit
def program_ids(out_ptr):
    x, y, z = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    nx, ny, nz = tl.num_programs(0), tl.num_programs(1), tl.num_programs(2)
    p = out_ptr + ((z * ny + y) * nx + x) * 6
    tl.store(p, x)
    tl.store(p + 1, y)
    tl.store(p + 2, z)
    tl.store(p + 3, nx)
    tl.store(p + 4, ny)
    tl.store(p + 5, nz)


@triton.jit
def buffered(x_ptr, out_ptr, times, R: tl.constexpr, C: tl.constexpr):
    """Carried tiles that are read through another index in the iteration that replaces them."""
    i = tl.arange(0, R)[:, None]
    j = tl.arange(0, C)[None, :]
    x = tl.load(x_ptr + i * C + j)
    rows = tl.sum(x, 1)
    for step in range(times):
        columns = tl.max(x, 0)
        x = x - rows[:, None] + columns[None, :] * step
        rows = tl.sum(x, 1) + rows
    tl.store(out_ptr + i * C + j, x + rows[:, None])


@triton.jit
def types_of_arguments(out_ptr, b, i, big, u, f, NONE, TEXT: tl.constexpr, PAIR: tl.constexpr, FLAG: tl.constexpr):
    """Scalars of every kind, None, and constants of every kind."""
    s = 0.0
    if b:
        s += 1
    if FLAG and NONE is None and TEXT == "yes":
        s += 2
    tl.store(out_ptr, s + i + f)
    tl.store(out_ptr + 1, (big // 1000000007).to(tl.float64))
    tl.store(out_ptr + 2, (u // 3).to(tl.float64))
    tl.store(out_ptr + 3, PAIR[0] * 10.0 + PAIR[1])


@triton.jit
def tuples(args, out_ptr, BLOCK: tl.constexpr):
    """A tuple of pointers and numbers as one argument."""
    at = tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK,), tl.int32)
    for i in tl.static_range(2):
        acc += tl.load(args[0][i] + at) * args[1][i]
    tl.store(out_ptr + at, acc)
