"""Reductions, scans and moves of generated kernels: the half of generate.Program that looks across elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .kit import T
from .reference import FLOAT, INT, REDUCTIONS, host

if TYPE_CHECKING:
    from .generate import V


class Moves:
    def reduce(self, x: V) -> V:
        """Reductions that are exact whatever their order."""
        small = x.type in INT and T[x.type].bits < 32
        name, f = self.random.choice(
            [(n, f) for n, f in REDUCTIONS.items() if x.type in INT or n in ("tl.max", "tl.min")]
        )
        if x.type in FLOAT:
            f = {"tl.max": np.fmax.reduce, "tl.min": np.fmin.reduce}[name]
        axis = self.random.randrange(len(x.shape))
        type_ = x.type
        if small and name != "tl.xor_sum":
            type_ = "u32" if name == "tl.sum" and x.type[0] == "u" else "i32"
        elif x.type in ("fp16", "bf16"):
            type_ = "fp32"
        keep = self.random.random() < 0.3
        shape = tuple(1 if d == axis else n for d, n in enumerate(x.shape) if d != axis or keep)

        def run(a):
            result = f(a.astype(host(type_)), axis=axis)
            return np.asarray(np.expand_dims(result, axis) if keep else result).astype(host(type_))

        return self.define(f"{name}({x.name}, axis={axis}, keep_dims={keep})", run, (x,), type_, shape)

    def scan(self, x: V) -> V:
        """Sums along an axis, exact whatever their order."""
        axis, reverse = self.random.randrange(len(x.shape)), self.random.random() < 0.3
        type_ = x.type if T[x.type].bits >= 32 else "u32" if x.type[0] == "u" else "i32"

        def run(a):
            sums = np.cumsum(np.flip(a, axis) if reverse else a, axis=axis, dtype=host(type_))
            return (np.flip(sums, axis) if reverse else sums).copy()

        return self.define(f"tl.cumsum({x.name}, {axis}, reverse={reverse})", run, (x,), type_, x.shape)

    def gather(self, x: V) -> V:
        """Elements of a tile at places that another one tells."""
        axis = self.random.randrange(len(x.shape))
        last = np.int32(x.shape[axis] - 1)
        index = self.spread(self.cast(self.pick(*INT, shape=x.shape), "i32"), x.shape)
        index = self.define(f"({index.name} & {last})", lambda a: a & last, (index,), "i32", x.shape)
        f = lambda a, i: np.take_along_axis(a, i, axis)  # noqa: E731
        return self.define(f"tl.gather({x.name}, {index.name}, {axis})", f, (x, index), x.type, x.shape)

    def interleave(self, x: V) -> V:
        y = self.spread(self.cast(self.pick(x.type, "i32", shape=x.shape), x.type), x.shape)
        shape = (*x.shape[:-1], 2 * x.shape[-1])
        f = lambda a, b: np.stack([a, b], -1).reshape(shape)  # noqa: E731
        return self.define(f"tl.interleave({x.name}, {y.name})", f, (x, y), x.type, shape)

    def flip(self, x: V) -> V:
        axes = [d for d, extent in enumerate(x.shape) if extent > 1]  # the front end cannot flip a single element
        if not axes:
            return self.unary(x)
        axis = self.random.choice(axes)
        return self.define(f"tl.flip({x.name}, {axis})", lambda a: np.flip(a, axis).copy(), (x,), x.type, x.shape)

    def reshape(self, x: V) -> V:
        """One of the operations that move elements."""
        if not x.shape or x.type in ("i1", "bf16"):
            return self.unary(x)
        kinds = {1: ["expand0", "expand1"], 2: ["trans", "trans", "ravel"]}.get(len(x.shape), [])
        kind = self.random.choice([*kinds, "flip", "scan", "gather", "interleave"])
        if kind == "scan" and x.type in INT:
            return self.scan(x)
        if kind == "gather":
            return self.gather(x)
        if kind == "interleave" and np.prod(x.shape) <= 1024:
            return self.interleave(x)
        if kind in ("flip", "scan", "interleave"):
            return self.flip(x)
        if kind == "expand0":
            return self.define(f"{x.name}[None, :]", lambda a: a[None, :], (x,), x.type, (1, *x.shape))
        if kind == "expand1":
            return self.define(f"{x.name}[:, None]", lambda a: a[:, None], (x,), x.type, (*x.shape, 1))
        if kind == "trans":
            return self.define(f"tl.trans({x.name})", lambda a: a.T.copy(), (x,), x.type, x.shape[::-1])
        count = int(np.prod(x.shape))
        return self.define(f"tl.reshape({x.name}, [{count}])", lambda a: a.reshape(-1), (x,), x.type, (count,))
