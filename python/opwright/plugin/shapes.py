"""Shapes: the sizes of a tensor as expressions, of a known rank or of any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from opwright.errors import InputError
from opwright.expressions import Dim, Expr, Name, Num, Op, show
from opwright.plugin import paths
from opwright.plugin.paths import Option
from opwright.plugin.symbolic import SymInt, as_int, negative_axis

_GUESSED_RANKS = range(9)  # where none is declared


class ShapeExprs:
    """The sizes of a tensor. `shape[i]` is one of them, `shape.numel()` their product; assigning sets a size of an output.

    Where an input's rank is not declared, the sizes are `head`, then the axes of the input from `first` on but for the `last` ones, then
    `tail`: what is read, set and cut off from either end works for every rank.
    """

    def __init__(
        self, sizes: Sequence[SymInt] | int | None, tensor: str = "", tail: Sequence[SymInt] = (), name: str = "",
        cut: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        """All sizes, or with a tensor of any rank those that differ from its own; or how many there are, to be set one by one. `name` is
        an output's; `cut` are `first` and `last` where axes are left out."""
        self.head: list[Any] = [None] * sizes if isinstance(sizes, int) else list(sizes or ())
        self.tail = list(tail)
        self.first, self.last = cut if cut is not None else (len(self.head), len(self.tail))
        self.tensor = "" if sizes is not None and not tensor else tensor
        self.name = name
        self.origin: ShapeExprs | None = None  # for any rank, where a path has asked for the rank

    @classmethod
    def from_tuple(cls, sizes: Sequence[Any]) -> ShapeExprs:
        """Of integers and symbols."""
        return cls([as_int(size) for size in sizes])

    @property
    def any_rank(self) -> bool:
        """Whether the rank is not known, on this path."""
        if self.tensor and paths.answered(_rank_key(self.tensor)) is not None:
            self._fix(paths.answered(_rank_key(self.tensor)))
        return bool(self.tensor)

    def _fix(self, rank: int) -> None:
        if rank < self.first + self.last:
            raise InputError(f"{self.tensor!r} has rank {rank}, expected {self.first + self.last} or more")
        self.origin = ShapeExprs(self.head, self.tensor, self.tail, cut=(self.first, self.last))
        middle = [SymInt(Dim(self.tensor, axis)) for axis in range(self.first, rank - self.last)]
        self.head, self.tail, self.tensor = [*self.head, *middle, *self.tail], [], ""

    def copy(self) -> ShapeExprs:
        """One that can be changed on its own."""
        if not self.any_rank:
            made = ShapeExprs(list(self.head))
            made.origin = self.origin
            return made
        return ShapeExprs(self.head, self.tensor, self.tail, cut=(self.first, self.last))

    def map(self, change: Callable[[Expr], Expr]) -> ShapeExprs:
        """A shape whose own sizes are changed."""
        made = self.copy()
        made.head = [SymInt(change(size.expr)) for size in made.head]
        made.tail = [SymInt(change(size.expr)) for size in made.tail]
        return made

    @property
    def slices(self) -> list[str]:
        """The sizes as a build request has them."""
        sizes = [show(size.expr) for size in self.head]
        if self.any_rank:
            base, _, element = self.tensor.partition("[")
            if element not in ("", "0]"):
                raise InputError(
                    f"the shape of {self.tensor}, of any rank, is an output's",
                    hint=f"use that of {base}[0], or declare ranks",
                )
            sizes.append(f"{base}[{self.first}:{-self.last if self.last else ''}]")
        return sizes + [show(size.expr) for size in self.tail]

    def numel(self) -> SymInt:
        """How many elements a tensor of this shape has."""
        if self.any_rank:
            if not self.head and not self.tail and not self.first and not self.last:
                return SymInt(Op("numel", (Name(self.tensor),)))
            if self.name:
                return SymInt(Op("numel", (Name(self.name),)))
            raise InputError(
                f"the number of elements of a shape like {self.slices} is used, but {self.tensor!r} has any rank",
                hint=f"declare it: @register(..., ranks={{{self.tensor!r}: 4}})",
            )
        product = SymInt(Num(1))
        for axis in range(len(self.head)):
            product = product * self[axis]
        return product

    @property
    def rank(self) -> Any:
        """The number of axes: a symbol where any is taken."""
        if not self.any_rank:
            return len(self.head)
        return SymInt(Op("rank", (Name(self.tensor),))) + (len(self.head) - self.first + len(self.tail) - self.last)

    def __len__(self) -> int:
        if self.any_rank:
            self._fix(rank_of(self.tensor))
        return len(self.head)

    def __iter__(self) -> Iterator[SymInt]:
        return iter([self[i] for i in range(len(self))])

    def __getitem__(self, index: Any) -> SymInt:
        if isinstance(index, slice):
            part = self._slice(index) if self.any_rank else None
            if part is not None:
                return part  # type: ignore[return-value]
            return ShapeExprs([self[i] for i in range(*index.indices(len(self)))])  # type: ignore[return-value]
        axis = self._axis(index)
        if self.any_rank:
            if 0 <= axis < len(self.head):
                return self.head[axis]
            if axis < 0 and -axis <= len(self.tail):
                return self.tail[axis]
            own = axis - len(self.head) + self.first if axis >= 0 else axis + len(self.tail) - self.last
            return SymInt(Dim(self.tensor, own))
        if self.head[axis] is None:
            raise InputError(
                f"size {axis} of a shape of {len(self.head)} sizes is not set, expected shape[{axis}] = ..."
            )
        return self.head[axis]

    def __setitem__(self, index: Any, size: Any) -> None:
        axis = self._axis(index)
        if not self.any_rank:
            self.origin = None
        if self.any_rank:
            self.expand(axis + 1 if axis >= 0 else 0, -axis if axis < 0 else 0)
        (self.tail if self.any_rank and axis < 0 else self.head)[axis] = as_int(size)

    def expand(self, head: int, tail: int) -> None:
        """Takes so many sizes at either end out of the input's own, where the rank is not known."""
        while len(self.head) < head:
            self.head.append(SymInt(Dim(self.tensor, self.first)))
            self.first += 1
        while len(self.tail) < tail:
            self.last += 1
            self.tail.insert(0, SymInt(Dim(self.tensor, -self.last)))

    def _slice(self, part: slice) -> ShapeExprs | None:
        """A part of a shape of any rank; None where its rank must be known."""
        start = 0 if part.start is None else self._bound(part.start)
        stop = 0 if part.stop is None else self._bound(part.stop)
        if start is None or stop is None or part.step not in (None, 1):
            return None
        if start >= 0 and (part.stop is None or stop < 0):  # cut off at both ends
            cut = self.copy()
            cut.first += max(0, start - len(cut.head))
            cut.last += max(0, -stop - len(cut.tail))
            cut.head, cut.tail = cut.head[start:], cut.tail[: len(cut.tail) + stop] if -stop < len(cut.tail) else []
            return cut
        if start >= 0 and stop >= 0 or start < 0 and (part.stop is None or stop < 0):  # some at one end
            return ShapeExprs([self[i] for i in range(start, stop)])
        return None

    def _bound(self, bound: Any) -> int | None:
        """An end of a slice as a number: `x.ndim - 1` is -1."""
        if isinstance(bound, SymInt) and not bound.is_constant:
            return (
                negative_axis(bound, self.tensor)
                if self.first == len(self.head) and self.last == len(self.tail)
                else None
            )
        return int(bound)

    def _axis(self, index: Any) -> int:
        if isinstance(index, SymInt) and not index.is_constant and self.any_rank:
            return negative_axis(index, self.tensor)
        axis = index.__index__()
        if not self.any_rank and not -len(self.head) <= axis < len(self.head):
            raise InputError(f"size {axis} of a tensor of rank {len(self.head)}, expected 0 to {len(self.head) - 1}")
        return axis

    def __repr__(self) -> str:
        return f"ShapeExprs({', '.join(self.slices)})"


Shape = ShapeExprs


def _rank_key(tensor: str) -> str:
    return f"rank of {tensor}"


def rank_of(tensor: str) -> int:
    """The rank of an input on this path, for which none is declared."""
    if not paths.exploring():
        raise InputError(
            f"the rank of {tensor!r} is used as a number, but any rank is taken",
            hint=f"declare it: @register(..., ranks={{{tensor!r}: 4}})",
        )
    known = paths.known().ranks.get(tensor) if paths.known() else None
    ranks = known or _GUESSED_RANKS
    rank: Expr = Op("rank", (Name(tensor),))
    return paths.ask(
        _rank_key(tensor), lambda: [Option(each, Op("==", (rank, Num(each)))) for each in ranks],
        otherwise=f"the rank of {tensor} is none of {{values}}, for which this library was built", tried=known is None,
    )  # fmt: skip


def merge(shapes: Sequence[tuple[Expr | None, ShapeExprs]], what: str) -> ShapeExprs:
    """One shape of those that an output has under these conditions, of which the last needs none."""
    if len({len(shape) for _, shape in shapes if not shape.any_rank}) > 1:
        shapes = [(test, shape.origin or shape) for test, shape in shapes]
    first = shapes[0][1]
    if all(shape.any_rank for _, shape in shapes):
        head, tail = max(len(shape.head) for _, shape in shapes), max(len(shape.tail) for _, shape in shapes)
        shapes = [(test, shape.copy()) for test, shape in shapes]
        for _, shape in shapes:
            shape.expand(head, tail)
        first = shapes[0][1]
    if len({(shape.tensor, shape.first - len(shape.head), shape.last - len(shape.tail), not shape.tensor and len(shape))
            for _, shape in shapes}) > 1:  # fmt: skip
        raise InputError(
            f"{what} has another rank for other calls, such as {shapes[0][1].slices} and {shapes[-1][1].slices}, expected one, or that of "
            "an input",
            hint="declare ranks of the inputs: @register(..., ranks={...}), read sizes from the end (x.shape_expr[:-1]), or make it several "
            "operators",
        )
    if not first.any_rank:
        return ShapeExprs([_select([(test, shape[axis]) for test, shape in shapes]) for axis in range(len(first))])
    return ShapeExprs(
        [_select([(test, shape[axis]) for test, shape in shapes]) for axis in range(len(first.head))], first.tensor,
        [_select([(test, shape[axis]) for test, shape in shapes]) for axis in range(-len(first.tail), 0)], cut=(first.first, first.last),
    )  # fmt: skip


def _select(sizes: Sequence[tuple[Expr | None, SymInt]]) -> SymInt:
    """The size of the first condition that holds."""
    (test, size), rest = sizes[0], sizes[1:]
    if not rest or all(other.expr == size.expr for _, other in rest):
        return size
    assert test is not None
    return SymInt(Op("select", (test, size.expr, _select(rest).expr)))
