"""Random kernels with their meaning: a generator writes Triton source and, beside every line, a NumPy function that does the same.

Everything is exact: integers wrap around, floats are rounded after every operation (the kernels are compiled without fusion), and what
IEEE or Triton leave open is not generated: the sign of a zero minimum, the order of equal addresses in one store, divisions by zero,
shifts past the width. Masked-off lanes of a load are 0 where there is no `other`.
"""

from __future__ import annotations

import importlib.util
import itertools
from typing import NamedTuple

import numpy as np

from .generate_moves import Moves
from .kit import Data, T, launch, values
from .reference import (
    ARITHMETIC,
    BOOL_BINARY,
    COMPARES,
    FLOAT,
    INT,
    INT_BINARY,
    convert,
    decoded,
    encoded,
    host,
    rounded,
    spelled,
)

_serial = itertools.count()


class V(NamedTuple):
    """A variable of the kernel: a scalar where the shape is ()."""

    name: str
    type: str
    shape: tuple


class Program(Moves):
    """A kernel under construction. `pool` has the variables in scope; `body` the meaning of the lines of the innermost block."""

    def __init__(self, random, grid: int = 1) -> None:
        self.random = random
        self.grid = grid
        self.lines: list[str] = []
        self.depth = 1
        self.pool: list[V] = []
        self.body: list = []
        self.pointers: dict[str, tuple[str, int]] = {}  # parameter -> memory, first element
        self.memory: dict[str, Data] = {}
        self.scalars: dict[str, int] = {}
        self.names = itertools.count()
        pid = V("pid", "i32", ())
        self.lines.append("    pid = tl.program_id(0)")
        self.pool.append(pid)

    # lines

    def write(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def define(self, text: str, f, inputs, type_: str, shape: tuple) -> V:
        """`name = text`, and its meaning f(*inputs); scalars of the reference are arrays of no dimension."""
        out = V(f"v{next(self.names)}", type_, tuple(shape))
        self.write(f"{out.name} = {text}")

        def run(env):
            with np.errstate(all="ignore"):
                result = np.asarray(f(*[env[v.name] for v in inputs]))
            assert result.shape == out.shape and result.dtype == host(type_), (text, result.shape, result.dtype, out)
            env[out.name] = result

        self.body.append(run)
        self.pool.append(out)
        return out

    # arguments

    def buffer(self, type_: str, count: int, seed: int, small: bool = False) -> str:
        """A pointer parameter to memory of its own."""
        name = f"p{len(self.pointers)}"
        data = values(T[type_], count, seed)
        if small:
            data = np.random.default_rng(seed).integers(-50 if type_[0] != "u" else 0, 50, count)
        self.memory[name] = Data.of(T[type_], np.random.default_rng(seed).permutation(data))
        self.pointers[name] = (name, 0)
        return name

    def alias(self, of: str, first: int) -> str:
        """Another parameter that points into the same memory."""
        name = f"p{len(self.pointers)}"
        memory, start = self.pointers[of]
        self.pointers[name] = (memory, start + first)
        return name

    def aliases(self, pointer: str):
        """The parameters that have as much memory before and after them as this one needs: those made by `alias`, or itself."""
        made = [n for n, (_, first) in self.pointers.items() if first]
        return made if self.pointers[pointer][1] else [pointer]

    def scalar(self, value: int) -> V:
        out = V(f"n{len(self.scalars)}", "i32", ())
        self.scalars[out.name] = value
        self.pool.append(out)
        return out

    # choices

    def pick(self, *types, shape=None) -> V:
        """A variable in scope, of one of the types, mostly a recent one."""
        fits = [v for v in self.pool if v.type in types and (shape is None or fits_in(v.shape, shape))]
        if len(fits) > 6 and self.random.random() < 0.6:
            fits = fits[-6:]
        return self.random.choice(fits)

    # operations

    def arange(self, count: int, start: int = 0) -> V:
        return self.define(f"tl.arange({start}, {start + count})", lambda: np.arange(start, start + count, dtype=np.int32),
                           (), "i32", (count,))  # fmt: skip

    def constant(self, type_: str, shape: tuple = ()) -> V:
        value = self.random.choice([0, 1, 2, 3, 5, 7, 16, T[type_].bits] + ([-1, -3] if type_[0] != "u" else []))
        value = value / 4 if type_ in FLOAT else value % 2 if type_ == "i1" else value
        full = f"tl.full({list(shape)}, {value}, {spelled(type_)})"
        text = full if shape else f"(pid * 0).to({spelled(type_)}) + {value}"
        return self.define(text, lambda: np.full(shape, value, host(type_)), (), type_, shape)

    def cast(self, x: V, type_: str) -> V:
        if x.type == type_:
            return x
        if x.type in ("i64", "u64") and type_ in FLOAT[:3]:
            x = self.cast(x, "i32")  # NumPy would round twice
        return self.define(f"{x.name}.to({spelled(type_)})", lambda a: convert(a, x.type, type_), (x,), type_, x.shape)

    def spread(self, x: V, shape: tuple) -> V:
        """x, broadcast to a shape."""
        if x.shape == shape:
            return x
        return self.define(f"tl.broadcast_to({x.name}, {list(shape)})", lambda a: np.broadcast_to(a, shape).copy(), (x,),
                           x.type, shape)  # fmt: skip

    def binary(self, x: V, y: V) -> V:
        """Any operation of two operands; the second is cast to the type of the first."""
        y = self.cast(y, x.type)
        table = dict(BOOL_BINARY if x.type == "i1" else INT_BINARY if x.type in INT else ARITHMETIC)
        compare = x.type != "i1" and self.random.random() < 0.15
        text, f = self.random.choice(list((COMPARES if compare else table).items()))
        type_ = "i1" if compare else x.type
        shape = np.broadcast_shapes(x.shape, y.shape)
        exact = f if type_ == "i1" else lambda a, b: rounded(type_, f(a, b))
        return self.define(text.format(x.name, y.name), exact, (x, y), type_, shape)

    def unary(self, x: V) -> V:
        if x.type == "i1" or (x.type in INT and self.random.random() < 0.4):
            return self.define(f"~{x.name}", np.invert, (x,), x.type, x.shape)
        if x.type[0] == "u" or self.random.random() < 0.5:
            return self.define(f"-{x.name}", lambda a: (-a).astype(a.dtype), (x,), x.type, x.shape)
        return self.define(f"tl.abs({x.name})", lambda a: np.abs(a).astype(a.dtype), (x,), x.type, x.shape)

    def where(self, c: V, x: V, y: V) -> V:
        y = self.cast(y, x.type)
        shape = np.broadcast_shapes(c.shape, x.shape, y.shape)
        x, y = (self.spread(v, shape) if v.shape != shape and v.shape else v for v in (x, y))
        return self.define(f"tl.where({c.name}, {x.name}, {y.name})",
                           lambda a, b, d: np.where(a, b, d).astype(b.dtype), (c, x, y), x.type, shape)  # fmt: skip

    # memory

    def load(self, pointer: str, at: V, mask: V | None = None, other: V | None = None) -> V:
        type_, (memory, first) = self.memory[self.pointers[pointer][0]].type.name, self.pointers[pointer]
        text = f"tl.load({pointer} + {at.name}"
        text += f", mask={mask.name}" if mask else ""
        text += f", other={other.name}" if other else ""
        inputs = [v for v in (at, mask, other) if v]

        def run(index, inside=True, instead=0):
            cells = self.state[memory]
            inside = np.broadcast_to(inside, index.shape)
            safe = np.where(inside, index.astype(np.int64) + first, 0)
            assert ((safe >= 0) & (safe < cells.size)).all(), "the generator made an address outside"
            found = decoded(type_, cells[safe])
            return np.where(inside, found, np.asarray(instead).astype(host(type_)))

        return self.define(text + ")", run, inputs, type_, at.shape)

    def store(self, pointer: str, at: V, x: V, mask: V | None = None) -> None:
        type_, (memory, first) = self.memory[self.pointers[pointer][0]].type.name, self.pointers[pointer]
        x = self.cast(x, type_)
        self.write(f"tl.store({pointer} + {at.name}, {x.name}{f', mask={mask.name}' if mask else ''})")

        def run(env):
            index = env[at.name].astype(np.int64) + first
            inside = np.broadcast_to(env[mask.name] if mask else True, index.shape)
            cells = self.state[memory]
            where = index[inside]
            assert ((where >= 0) & (where < cells.size)).all(), "the generator made an address outside"
            assert len(set(where.ravel().tolist())) == where.size, "the generator stores twice to one address"
            cells[where] = encoded(type_, np.broadcast_to(env[x.name], index.shape)[inside])

        self.body.append(run)

    def atomic(self, pointer: str, at: V, x: V, mask: V | None, distinct: bool) -> None:
        """An addition; where the addresses are distinct, what was there is a variable, 0 in lanes that are off."""
        type_, (memory, first) = self.memory[self.pointers[pointer][0]].type.name, self.pointers[pointer]
        x = self.spread(self.cast(x, type_), at.shape)
        text = f"tl.atomic_add({pointer} + {at.name}, {x.name}{f', mask={mask.name}' if mask else ''})"
        if distinct and mask:
            text = f"tl.where({mask.name}, {text}, 0)"

        def run(index, value, inside=True):
            inside = np.broadcast_to(inside, index.shape)
            cells, where = self.state[memory], np.where(inside, index.astype(np.int64) + first, 0)
            old = np.where(inside, cells[where], 0).astype(cells.dtype)
            np.add.at(cells, where[inside], value[inside])
            return old

        inputs = [v for v in (at, x, mask) if v]
        if distinct:
            self.define(text, run, inputs, type_, at.shape)
        else:
            self.write(text)
            self.body.append(lambda env: run(*[env[v.name] for v in inputs]) is None)

    def load_either(self, pointers: tuple, which: V, at: V, mask: V | None) -> V:
        """A load through a tile of pointers that are chosen lane by lane."""
        type_ = self.memory[self.pointers[pointers[0]][0]].type.name
        text = f"tl.load(tl.where({which.name}, {pointers[0]} + {at.name}, {pointers[1]} + {at.name})"

        def run(c, index, inside=True):
            (m0, f0), (m1, f1) = (self.pointers[p] for p in pointers)
            inside = np.broadcast_to(inside, index.shape)
            index = np.where(inside, index.astype(np.int64), 0)
            return np.where(inside, np.where(c, self.state[m0][index + f0], self.state[m1][index + f1]), 0).astype(
                host(type_)
            )

        inputs = [v for v in (which, at, mask) if v]
        return self.define(text + (f", mask={mask.name})" if mask else ")"), run, inputs, type_, at.shape)

    # control

    def block(self, fill):
        """The lines that `fill` makes, one level deeper; variables that they define go out of scope."""
        body, pool = self.body, list(self.pool)
        self.body = []
        self.depth += 1
        result = fill()
        self.depth -= 1
        inner, self.body, self.pool = self.body, body, pool
        return inner, result

    def copy(self, x: V) -> V:
        """A name that will be assigned to again."""
        out = V(f"c{next(self.names)}", x.type, x.shape)
        self.write(f"{out.name} = {x.name}")
        self.body.append(lambda env: env.__setitem__(out.name, env[x.name]))
        return out

    def assign(self, targets: list[V], sources: list[V]) -> None:
        self.write(f"{', '.join(v.name for v in targets)} = {', '.join(v.name for v in sources)}")

        def run(env):
            for target, value in list(zip(targets, [env[v.name] for v in sources], strict=True)):
                env[target.name] = value

        self.body.append(run)

    def like(self, x: V, target: V) -> V:
        return self.spread(self.cast(x, target.type), target.shape)

    def loop(self, carried: list[V], low: V | int, high: V | int, step: int, fill) -> list[V]:
        """`for`, or `while` with the same turns, carrying copies of the values; fill(copies, i) gives their next values."""
        copies = [self.copy(v) for v in carried]
        i = V(f"i{next(self.names)}", "i32", ())
        text = [v.name if isinstance(v, V) else str(v) for v in (low, high)]
        as_while = self.random.random() < 0.25
        if as_while:
            self.write(f"{i.name} = pid * 0 + {text[0]}")
        self.write(
            f"while {i.name} < {text[1]}:" if as_while else f"for {i.name} in range({text[0]}, {text[1]}, {step}):"
        )

        def body():
            self.pool += [i, *copies]
            self.assign(copies, [self.like(new, old) for new, old in zip(fill(copies, i), copies, strict=True)])
            if as_while:
                self.write(f"{i.name} += {step}")

        inner, _ = self.block(body)

        def run(env):
            start, stop = (int(env[v.name]) if isinstance(v, V) else v for v in (low, high))
            for n in range(start, stop, step):
                env[i.name] = np.asarray(n, np.int32)
                for line in inner:
                    line(env)

        self.body.append(run)
        self.pool += copies
        return copies

    def branch(self, condition: V, changed: list[V], fill) -> list[V]:
        """`if` and `else`, each giving the values another content."""
        copies = [self.copy(v) for v in changed]
        sides = []
        for word in (f"if {condition.name}:", "else:"):
            self.write(word)

            def body():
                self.assign(copies, [self.like(new, old) for new, old in zip(fill(), copies, strict=True)])

            sides.append(self.block(body)[0])

        def run(env):
            for line in sides[0 if env[condition.name] else 1]:
                line(env)

        self.body.append(run)
        self.pool += copies
        return copies

    # the end

    def output(self, x: V) -> None:
        """Stores a variable to memory of its own, one copy per program."""
        count = int(np.prod(x.shape, dtype=int))
        name = self.buffer(x.type, count * self.grid, 0)
        self.memory[name].array[...] = 0
        index = "0"
        for d, extent in enumerate(x.shape):
            index = f"({index}) * {extent} + tl.arange(0, {extent})" + "".join(
                "[:, None]" if e > d else "[None, :]" for e in range(len(x.shape)) if e != d
            )
        self.write(f"tl.store({name} + pid * {count} + {index}, {x.name})")

        def run(env):
            first = int(env["pid"]) * count
            self.state[name][first : first + count] = encoded(x.type, env[x.name]).reshape(-1)

        self.body.append(run)

    @property
    def source(self) -> str:
        ones = [name for name, value in self.scalars.items() if value == 1]  # Triton would make Python numbers of them
        head = ["import triton", "import triton.language as tl", "", "", f"@triton.jit(do_not_specialize={ones})"]
        return "\n".join([*head, f"def kernel({', '.join([*self.pointers, *self.scalars])}):", *self.lines, ""])

    def check(self, folder) -> None:
        """Runs both, and compares all memory, bit by bit but for NaN and the sign of zero."""
        path = folder / f"generated_{next(_serial)}.py"
        path.write_text(self.source)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.state = {name: data.array.copy() for name, data in self.memory.items()}
        for pid in range(self.grid):
            env = {name: np.asarray(value, np.int32) for name, value in self.scalars.items()}
            env["pid"] = np.asarray(pid, np.int32)
            for line in self.body:
                line(env)
        arguments = [Data(self.memory[m].type, self.memory[m].array[first:]) for m, first in self.pointers.values()]
        launch(module.kernel, self.grid, *arguments, *self.scalars.values(), enable_fp_fusion=False)
        for name, want in self.state.items():
            got, exact = self.memory[name].values, Data(self.memory[name].type, want).values
            wrong = np.flatnonzero(~((got == exact) | ((got != got) & (exact != exact))))
            if wrong.size:
                raise AssertionError(
                    f"{wrong.size} of {got.size} elements of {name} are wrong, first {wrong[:6].tolist()}: "
                    f"got {got[wrong[:6]].tolist()}, expected {exact[wrong[:6]].tolist()}; scalars {self.scalars}\n{self.source}"
                )


def fits_in(shape: tuple, whole: tuple) -> bool:
    return shape == () or (len(shape) == len(whole) and all(n in (1, m) for n, m in zip(shape, whole, strict=True)))
