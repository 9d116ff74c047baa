"""Random kernels against their NumPy meaning (generate.py): graphs of mixed types, addresses, loop nests, loads and stores whose memory
overlaps. Seeded: a run is the same every time. OPW_FULL=1 runs twenty times as many, OPW_SHRINK=1 looks for a smaller failure."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .generate import Program, V
from .kit import FULL
from .reference import FLOAT, INT

SHRINK = [Phase.shrink] if os.environ.get("OPW_SHRINK") else []
RANDOM = st.randoms(use_true_random=False)


def cases(count):
    return settings(
        max_examples=count * 20 if FULL else count,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate, *SHRINK],
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("generated")


def tile(p: Program, shape: tuple) -> V:
    """Row-major indices of a tile."""
    if len(shape) == 1:
        return p.arange(shape[0])
    rows, columns = p.arange(shape[0]), p.arange(shape[1])
    rows = p.define(
        f"{rows.name}[:, None] * {shape[1]}", lambda a: a[:, None] * shape[1], (rows,), "i32", (shape[0], 1)
    )
    columns = p.define(f"{columns.name}[None, :]", lambda a: a[None, :], (columns,), "i32", (1, shape[1]))
    return p.define(f"({rows.name} + {columns.name})", lambda a, b: a + b, (rows, columns), "i32", shape)


def bound(p: Program, at: V, low: V | None, high: V | None) -> V:
    """low <= at < high, where given."""
    parts = [(f"({at.name} >= {low.name})", low)] if low else []
    parts += [(f"({at.name} < {high.name})", high)] if high else []

    def inside(a, *limits):
        limits = list(limits)
        result = a >= limits.pop(0) if low else True
        return result & (a < limits.pop(0)) if high else result

    return p.define(" & ".join(t for t, _ in parts), inside, (at, *[v for _, v in parts]), "i1", at.shape)


def some_mask(p: Program, at: V) -> V | None:
    """A mask of any kind over the indices of a tile: none, prefix, suffix, interval, pattern, loaded, combined."""
    r = p.random
    count = 1
    for extent in at.shape:
        count *= extent
    kind = r.choice(["none", "prefix", "suffix", "interval", "pattern", "data", "or", "and", "not"])
    limit = lambda: p.scalar(r.choice([0, 1, count - 1, count, r.randrange(count + 1)]))  # noqa: E731
    if kind == "none":
        return None
    if kind == "prefix":
        return bound(p, at, None, limit())
    if kind == "suffix":
        return bound(p, at, limit(), None)
    if kind == "interval":
        return bound(p, at, limit(), limit())
    if kind == "pattern":
        m = r.choice([2, 3, 5])
        return p.define(f"({at.name} % {m} == 0)", lambda a: a % m == 0, (at,), "i1", at.shape)
    if kind == "data":
        return p.cast(p.load(p.buffer("i8", count, r.randrange(99), small=True), at), "i1")
    a, b = some_mask(p, at), some_mask(p, at)
    if a is None or b is None:
        return a or b
    if kind == "not":
        return p.define(f"~{a.name}", lambda x: ~x, (a,), "i1", at.shape)
    sign, f = ("|", lambda x, y: x | y) if kind == "or" else ("&", lambda x, y: x & y)
    return p.define(f"({a.name} {sign} {b.name})", f, (a, b), "i1", at.shape)


def leaf(p: Program, type_: str, at: V) -> V:
    mask = some_mask(p, at)
    other = None
    if mask and p.random.random() < 0.5:
        other = p.constant(type_)
    count = 1
    for extent in at.shape:
        count *= extent
    return p.load(p.buffer(type_, count, p.random.randrange(99)), at, mask, other)


def step(p: Program, types, shapes=False) -> V:
    """One more operation on what is in scope."""
    r = p.random
    x = p.pick(*types)
    kind = r.choice(
        ["binary"] * 5 + ["unary", "cast", "where", "constant"] + (["reshape", "reduce"] * 3 if shapes else [])
    )
    if kind == "binary":
        return p.binary(x, p.pick(*types, shape=x.shape) if r.random() < 0.8 else p.constant(x.type))
    if kind == "cast":
        return p.cast(x, r.choice([t for t in types if t != x.type] or types))
    if kind == "where" and x.type != "i1":
        c = p.cast(p.pick(*types, shape=x.shape), "i1")
        return p.where(c, x, p.pick(*types, shape=x.shape))
    if kind == "constant":
        return p.constant(r.choice([t for t in types if t != "i1"]), x.shape)
    if kind == "reshape":
        return p.reshape(x)
    if kind == "reduce" and x.shape and x.type != "i1" and not (x.type == "bf16"):
        return p.reduce(x)
    return p.unary(x)


def results(p: Program, count: int) -> None:
    tiles = [v for v in p.pool if v.name[0] in "vc"]
    for v in dict.fromkeys([tiles[-1], *[p.random.choice(tiles) for _ in range(count - 1)]]):
        p.output(v)


@cases(100)
@given(RANDOM)
def test_graphs_of_mixed_types(folder, random):
    p = Program(random, grid=random.choice([1, 2]))
    at = p.arange(random.choice([1, 2, 8, 16, 64, 128]))
    types = random.sample(INT + FLOAT, 4)
    for type_ in types[: random.choice([1, 2, 3])]:
        leaf(p, type_, at)
    for _ in range(random.randrange(3, 16)):
        step(p, [*types, "i1"] if random.random() < 0.3 else [*types, "i32"])
    results(p, 3)
    p.check(folder)


@cases(100)
@given(RANDOM)
def test_graphs_of_tiles(folder, random):
    """Two dimensions: broadcasts, transposes, reshapes, exact reductions along either axis, results used again."""
    p = Program(random)
    shape = random.choice([(1, 8), (4, 16), (16, 16), (8, 32), (32, 4), (64, 1), (2, 64)])
    at = tile(p, shape)
    types = random.sample(INT + ("fp16", "fp32", "fp64"), 3)
    for type_ in types[: random.choice([1, 2])]:
        leaf(p, type_, at)
    for _ in range(random.randrange(4, 14)):
        step(p, [*types, "i32"], shapes=True)
    results(p, 3)
    p.check(folder)


def address(p: Program, at: V, size: int, distinct: bool = False) -> tuple[V, V | None]:
    """Indices into memory of `size` elements (a power of two), and the mask that keeps them inside; `distinct` ones for a store."""
    r = p.random
    kind = r.choice(
        ["affine", "affine", "wrapped", "xor"] + ([] if distinct else ["divided", "remainder", "loaded", "any"])
    )
    # what a scalar adds is known at run time only, and may leave the memory on either side
    start = r.choice([p.scalar(r.choice([0, 1, -1, 3, size // 2, -7])), p.pick("i32", shape=())])
    if kind == "affine":
        by = r.choice([1, 1, 1, -1, 2, -2, 3] + ([] if distinct else [0]))
        back = size - 1 if by < 0 else 0
        index = p.define(f"{at.name} * {by} + {back} + {start.name}", lambda a, s: a * by + back + s, (at, start), "i32",
                         at.shape)  # fmt: skip
        edge = p.define(f"({index.name} >= 0) & ({index.name} < {size})", lambda a: (a >= 0) & (a < size), (index,), "i1",
                        at.shape)  # fmt: skip
        return index, edge
    if kind == "wrapped":
        by = r.choice([1, 3, 5, -1])
        return p.define(f"(({at.name} * {by} + {start.name}) & {size - 1})", lambda a, s: (a * by + s) & (size - 1),
                        (at, start), "i32", at.shape), None  # fmt: skip
    if kind == "xor":
        by = r.randrange(size)
        return p.define(f"({at.name} ^ {by})", lambda a: a ^ by, (at,), "i32", at.shape), None
    if kind == "divided":
        a, b = r.choice([(2, 1), (3, 2), (4, 3), (8, 5)])
        return p.define(f"({at.name} // {a} + {at.name} % {b})", lambda x: x // a + x % b, (at,), "i32", at.shape), None
    if kind == "remainder":
        m = r.randrange(1, size)
        return p.define(f"({at.name} * 7 + {m}) % {m}", lambda x: (x * 7 + m) % m, (at,), "i32", at.shape), None
    x = p.load(p.buffer("i32", size, r.randrange(99)), at) if kind == "loaded" else p.pick("i32", shape=at.shape)
    wide = p.random.choice(["i32", "i64"])
    x = p.cast(x, wide)
    return p.define(f"({x.name} & {size - 1})", lambda a: a & a.dtype.type(size - 1), (x,), wide, x.shape), None


def both(p: Program, a: V | None, b: V | None) -> V | None:
    if a is None or b is None:
        return a or b
    return p.define(f"({a.name} & {b.name})", lambda x, y: x & y, (a, b), "i1", a.shape)


def read(p: Program, pointer: str, at: V, size: int) -> V:
    index, edge = address(p, at, size)
    index = p.spread(index, at.shape)
    mask = some_mask(p, at) if p.random.random() < 0.5 else None
    if p.random.random() < 0.1:
        which = p.define(f"({at.name} % 3 == 1)", lambda a: a % 3 == 1, (at,), "i1", at.shape)
        return p.load_either((pointer, p.random.choice(list(p.aliases(pointer)))), which, index, both(p, edge, mask))
    other = p.constant("i32") if (edge or mask) and p.random.random() < 0.5 else None
    return p.load(pointer, index, both(p, edge, mask), other)


def write(p: Program, pointer: str, at: V, size: int, x: V) -> None:
    distinct, atomic = p.random.random() < 0.5, p.random.random() < 0.2
    index, edge = address(p, at, size, distinct or not atomic)
    index = p.spread(index, at.shape)
    mask = some_mask(p, at) if p.random.random() < 0.5 else None
    if atomic:
        p.atomic(pointer, index, p.cast(x, "i32"), both(p, edge, mask), distinct)
        return
    p.store(pointer, index, p.spread(p.cast(x, "i32"), at.shape), both(p, edge, mask))


@cases(120)
@given(RANDOM)
def test_addresses(folder, random):
    """Affine and other addresses, masks of every kind, results that are addresses again."""
    p = Program(random)
    shape = random.choice([(8,), (16,), (64,), (4, 8), (8, 16), (16, 4)])
    count = shape[0] * (shape[1] if len(shape) > 1 else 1)
    size = count * random.choice([1, 2])
    source, target = p.buffer("i32", size, 1, small=True), p.buffer("i32", size, 2)
    at = tile(p, shape)
    if len(shape) == 2 and random.random() < 0.5:  # columns first
        rows, columns = shape
        at = p.define(f"({at.name} % {columns}) * {rows} + {at.name} // {columns}",
                      lambda a: (a % columns) * rows + a // columns, (at,), "i32", shape)  # fmt: skip
    for _ in range(random.randrange(1, 5)):
        read(p, source, at, size)
        if random.random() < 0.5:
            step(p, ["i32"])
    write(p, target, at, size, p.pick("i32", shape=shape))
    results(p, 2)
    p.check(folder)


@cases(120)
@given(RANDOM)
def test_memory_that_overlaps(folder, random):
    """Loads, stores and atomic additions in program order through pointers into one memory, at distances from none to far."""
    p = Program(random)
    count = random.choice([4, 16, 32, 64])
    shape = random.choice([(count,), (count // 4, 4)])
    size = count
    first = p.buffer("i32", 4 * count, 1, small=True)
    pointers = [p.alias(first, count)]
    pointers += [p.alias(first, count + random.choice([0, 1, -1, 3, count // 2, count, -count])) for _ in range(2)]
    at = tile(p, shape)
    for _ in range(random.randrange(2, 7)):
        pointer = random.choice(pointers)
        if random.random() < 0.5:
            read(p, pointer, at, size)
        else:
            write(p, pointer, at, size, p.pick("i32", shape=shape))
        if random.random() < 0.4:
            step(p, ["i32"])
    results(p, 2)
    p.check(folder)


def body(p: Program, carried: list[V], i: V | None, pointers, at: V, size: int, depth: int) -> list[V]:
    r = p.random
    for _ in range(r.randrange(1, 4)):
        kind = r.choice(["step"] * 3 + ["read", "write", "reduce"] + (["loop", "branch"] if depth < 2 else []))
        if kind == "step":
            step(p, ["i32", "i64"] if r.random() < 0.2 else ["i32"], shapes=r.random() < 0.3)
        elif kind == "read":
            read(p, r.choice(pointers), at, size)
        elif kind == "write":
            write(p, r.choice(pointers), at, size, p.pick("i32", shape=at.shape))
        elif kind == "reduce":
            x = p.pick("i32")
            p.reduce(x) if x.shape else p.unary(x)
        else:
            nest(p, kind, pointers, at, size, depth + 1)
    if len({(v.type, v.shape) for v in carried}) == 1 and r.random() < 0.4:
        return r.sample(carried, len(carried))  # a permutation of the carried values
    return [p.pick("i32", shape=v.shape) for v in carried]


def nest(p: Program, kind: str, pointers, at: V, size: int, depth: int) -> None:
    r = p.random
    carried = list(dict.fromkeys(p.pick("i32") for _ in range(r.randrange(1, 4))))
    if kind == "branch":
        x = p.pick("i32", shape=())
        condition = p.define(f"({x.name} & 1) == 0", lambda a: (a & 1) == 0, (x,), "i1", ())
        p.branch(condition, carried, lambda: body(p, carried, None, pointers, at, size, depth))
        return
    high = r.choice([p.scalar(r.randrange(5)), r.randrange(5)])
    low = r.choice([0, 0, 1, -1])
    p.loop(carried, low, high, r.choice([1, 1, 2]), lambda c, i: body(p, c, i, pointers, at, size, depth))


@cases(120)
@given(RANDOM)
def test_loop_nests(folder, random):
    """Loops and branches around carried tiles and scalars, with loads and stores in place that the next iteration sees."""
    p = Program(random)
    count = random.choice([4, 16, 64])
    shape = random.choice([(count,), (count // 4, 4)])
    first = p.buffer("i32", 3 * count, 1, small=True)
    pointers = [p.alias(first, count), p.alias(first, count + random.choice([0, 1, -2, count]))]
    at = tile(p, shape)
    read(p, pointers[0], at, count)
    for _ in range(random.randrange(1, 3)):
        nest(p, random.choice(["loop", "loop", "branch"]), pointers, at, count, 1)
    write(p, pointers[0], at, count, p.pick("i32", shape=shape))
    results(p, 3)
    p.check(folder)
