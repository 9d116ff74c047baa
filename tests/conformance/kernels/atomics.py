"""Atomic operations: one function per kind, and kernels in which many programs meet."""

import triton
import triton.language as tl


@triton.jit
def add(p, x, mask, SEM: tl.constexpr, SCOPE: tl.constexpr):
    return tl.atomic_add(p, x, mask=mask, sem=SEM, scope=SCOPE)


@triton.jit
def maximum(p, x, mask, SEM: tl.constexpr, SCOPE: tl.constexpr):
    return tl.atomic_max(p, x, mask=mask, sem=SEM, scope=SCOPE)


@triton.jit
def minimum(p, x, mask, SEM: tl.constexpr, SCOPE: tl.constexpr):
    return tl.atomic_min(p, x, mask=mask, sem=SEM, scope=SCOPE)


@triton.jit
def and_(p, x, mask, SEM: tl.constexpr, SCOPE: tl.constexpr):
    return tl.atomic_and(p, x, mask=mask, sem=SEM, scope=SCOPE)


@triton.jit
def or_(p, x, mask, SEM: tl.constexpr, SCOPE: tl.constexpr):
    return tl.atomic_or(p, x, mask=mask, sem=SEM, scope=SCOPE)


@triton.jit
def xor(p, x, mask, SEM: tl.constexpr, SCOPE: tl.constexpr):
    return tl.atomic_xor(p, x, mask=mask, sem=SEM, scope=SCOPE)


@triton.jit
def exchange(p, x, mask, SEM: tl.constexpr, SCOPE: tl.constexpr):
    return tl.atomic_xchg(p, x, mask=mask, sem=SEM, scope=SCOPE)


@triton.jit
def apply(m_ptr, x_ptr, old_ptr, n, F: tl.constexpr, SEM: tl.constexpr, SCOPE: tl.constexpr, SCALAR: tl.constexpr,
          BLOCK: tl.constexpr):  # fmt: skip
    """To an address of its own for every lane; what was there is returned."""
    if SCALAR:
        at = tl.program_id(0)
    else:
        at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    old = F(m_ptr + at, x, at < n, SEM, SCOPE)
    tl.store(old_ptr + at, old, mask=at < n)


@triton.jit
def contended(m_ptr, x_ptr, n, slots, F: tl.constexpr, BLOCK: tl.constexpr):
    """Many lanes and programs at few addresses."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    F(m_ptr + at % slots, x, at < n, "relaxed", "gpu")


@triton.jit
def one_address(m_ptr, x_ptr, old_ptr, n, BLOCK: tl.constexpr):
    """Every lane adds to one address; no two may get the same old value."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    old = tl.atomic_add(m_ptr + at * 0, tl.full((BLOCK,), 1, tl.int32), mask=at < n)
    tl.store(old_ptr + at, old, mask=at < n)


@triton.jit
def masked(m_ptr, mask_ptr, F: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    F(m_ptr + at, at * 3 + 1, tl.load(mask_ptr + at) != 0, "acq_rel", "gpu")


@triton.jit
def two_kinds(m_ptr, BLOCK: tl.constexpr):
    """Operations of two kinds do not change places."""
    at = tl.arange(0, BLOCK) % 8
    tl.atomic_add(m_ptr + at, 1)
    tl.atomic_max(m_ptr + at, 5)


@triton.jit
def around(m_ptr, out_ptr, BLOCK: tl.constexpr):
    """Plain loads and stores before and after, in order."""
    at = tl.arange(0, BLOCK)
    tl.store(m_ptr + at, at)
    first = tl.load(m_ptr + at)
    old = tl.atomic_add(m_ptr + BLOCK - 1 - at, 100)
    second = tl.load(m_ptr + at)
    tl.store(m_ptr + at, second * 2)
    third = tl.atomic_xchg(m_ptr + at, -at)
    tl.store(out_ptr + at, first)
    tl.store(out_ptr + BLOCK + at, old)
    tl.store(out_ptr + 2 * BLOCK + at, second)
    tl.store(out_ptr + 3 * BLOCK + at, third)


@triton.jit
def compare_and_swap(m_ptr, expected_ptr, x_ptr, old_ptr, BLOCK: tl.constexpr, SEM: tl.constexpr):
    at = tl.arange(0, BLOCK)
    old = tl.atomic_cas(m_ptr + at, tl.load(expected_ptr + at), tl.load(x_ptr + at), sem=SEM)
    tl.store(old_ptr + at, old)


@triton.jit
def locked(lock_ptr, m_ptr, order_ptr, n):
    """A spin lock around plain loads and stores."""
    while tl.atomic_cas(lock_ptr, 0, 1) == 1:
        pass
    count = tl.load(m_ptr)
    tl.store(order_ptr + count, tl.program_id(0))
    for i in range(n):
        tl.store(m_ptr + i, tl.load(m_ptr + i) + 1)
    tl.debug_barrier()
    tl.atomic_xchg(lock_ptr, 0)


@triton.jit
def last_one(x_ptr, part_ptr, count_ptr, out_ptr, programs, BLOCK: tl.constexpr):
    """The program that comes last adds what all have left."""
    at = tl.arange(0, BLOCK)
    pid = tl.program_id(0)
    tl.store(part_ptr + pid, tl.sum(tl.load(x_ptr + pid * BLOCK + at)))
    tl.debug_barrier()
    if tl.atomic_add(count_ptr, 1) == programs - 1:
        total = tl.zeros((), tl.int32)
        for i in range(programs):
            total += tl.load(part_ptr + i, volatile=True)
        tl.store(out_ptr, total)


@triton.jit
def chain(flag_ptr, m_ptr):
    """Every program waits for the one before it."""
    pid = tl.program_id(0)
    while tl.atomic_add(flag_ptr, 0, sem="acquire") < pid:
        pass
    before = tl.load(m_ptr + pid)
    tl.store(m_ptr + pid + 1, before * 3 + pid)
    tl.atomic_add(flag_ptr, 1, sem="release")


@triton.jit
def chain_backwards(flag_ptr, m_ptr, programs):
    """Every program waits for the one after it."""
    pid = tl.program_id(0)
    turn = programs - 1 - pid
    while tl.atomic_cas(flag_ptr, turn, turn) != turn:
        pass
    tl.store(m_ptr + turn + 1, tl.load(m_ptr + turn) * 3 + pid)
    tl.atomic_xchg(flag_ptr, turn + 1)


@triton.jit
def load_store(m_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    x = tl.atomic_load(m_ptr + at, mask=at < n, sem="acquire")
    tl.atomic_store(m_ptr + at, x + 1, mask=at < n, sem="release")
    tl.store(out_ptr + at, tl.atomic_load(m_ptr + at, mask=at < n, sem="relaxed") + x, mask=at < n)


@triton.jit
def poll(flag_ptr, m_ptr, out_ptr):
    """Program 1 and later wait for what program 0 leaves."""
    pid = tl.program_id(0)
    if pid == 0:
        tl.store(m_ptr, 42)
        tl.atomic_store(flag_ptr, 7, sem="release")
    seen = tl.atomic_poll(flag_ptr, 7)
    tl.store(out_ptr + pid, tl.load(m_ptr) + seen.to(tl.int32))


@triton.jit
def poll_in_vain(flag_ptr, out_ptr):
    tl.store(out_ptr, tl.atomic_poll(flag_ptr, 7, timeout_ns=1000000).to(tl.int32))


@triton.jit
def histogram(x_ptr, m_ptr, n, BINS: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    bin_ = tl.load(x_ptr + at, mask=at < n, other=0) & (BINS - 1)
    tl.atomic_add(m_ptr + bin_, 1, mask=at < n, sem="relaxed")


@triton.jit
def row_sums(x_ptr, m_ptr, rows, cols, R: tl.constexpr, C: tl.constexpr):
    """A two-dimensional tile into rows, all columns at one address each."""
    i = tl.program_id(0) * R + tl.arange(0, R)[:, None]
    j = tl.program_id(1) * C + tl.arange(0, C)[None, :]
    mask = (i < rows) & (j < cols)
    x = tl.load(x_ptr + i * cols + j, mask=mask)
    tl.atomic_add(m_ptr + i + j * 0, x, mask=mask)


@triton.jit
def loads_before(m_ptr, other_ptr, index_ptr, old_ptr, F: tl.constexpr, KIND: tl.constexpr, BLOCK: tl.constexpr):
    """A whole tile is loaded before the first of its lanes is changed."""
    at = tl.arange(0, BLOCK)
    if KIND == "gather":
        x = tl.load(m_ptr + tl.load(index_ptr + at))
    elif KIND == "neighbour":
        x = tl.load(m_ptr + (at ^ 1))
    elif KIND == "shifted":
        x = tl.load(other_ptr + at)
    elif KIND == "reverse":
        x = tl.load(m_ptr + BLOCK - 1 - at)
    tl.store(old_ptr + at, F(m_ptr + at, x, at >= 0, "relaxed", "gpu"))
