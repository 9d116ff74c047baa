"""Shapes: the sizes of a tensor as expressions, of a known rank or of any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from opwright.errors import InputError
from opwright.expressions import Dim, Expr, Name, Num, Op, show
from opwright.plugin import paths
from opwright.plugin.paths import Option
from opwright.plugin.symbolic import SymInt, as_int, negative_axis

_GUESSED_RANKS = range(9)  # where none is declared


class ShapeExprs:
    """The sizes of a tensor. `shape[i]` is one of them, `shape.numel()` their product; assigning sets a size of an output.

    Where an input's rank is not declared, the sizes are `head`, then those axes of the input that are in neither list, then `tail`: what
    is read and set from either end works for every rank.
    """

    def __init__(
        self, sizes: Sequence[SymInt] | int | None, tensor: str = "", tail: Sequence[SymInt] = (), name: str = ""
    ) -> None:
        """All sizes, or with a tensor of any rank those that differ from its own; or how many there are, to be set one by one. `name` is
        an output's."""
        self.head: list[Any] = [None] * sizes if isinstance(sizes, int) else list(sizes or ())
        self.tail = list(tail)
        self.tensor = "" if sizes is not None and not tensor else tensor
        self.name = name

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
        if rank < len(self.head) + len(self.tail):
            raise InputError(f"{self.tensor!r} has rank {rank}, expected {len(self.head) + len(self.tail)} or more")
        middle = [SymInt(Dim(self.tensor, axis)) for axis in range(len(self.head), rank - len(self.tail))]
        self.head, self.tail, self.tensor = [*self.head, *middle, *self.tail], [], ""

    def copy(self) -> ShapeExprs:
        """One that can be changed on its own."""
        return ShapeExprs(self.head, self.tensor, self.tail) if self.any_rank else ShapeExprs(list(self.head))

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
            sizes.append(f"{base}[{len(self.head)}:{-len(self.tail) if self.tail else ''}]")
        return sizes + [show(size.expr) for size in self.tail]

    def numel(self) -> SymInt:
        """How many elements a tensor of this shape has."""
        if self.any_rank:
            if not self.head and not self.tail:
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
        return SymInt(Op("rank", (Name(self.tensor),))) if self.any_rank else len(self.head)

    def __len__(self) -> int:
        if self.any_rank:
            self._fix(rank_of(self.tensor))
        return len(self.head)

    def __iter__(self) -> Iterator[SymInt]:
        return iter([self[i] for i in range(len(self))])

    def __getitem__(self, index: Any) -> SymInt:
        if isinstance(index, slice):
            return ShapeExprs([self[i] for i in range(*index.indices(len(self)))])  # type: ignore[return-value]
        axis = self._axis(index)
        if self.any_rank:
            if 0 <= axis < len(self.head):
                return self.head[axis]
            if axis < 0 and -axis <= len(self.tail):
                return self.tail[axis]
            return SymInt(Dim(self.tensor, axis))
        if self.head[axis] is None:
            raise InputError(
                f"size {axis} of a shape of {len(self.head)} sizes is not set, expected shape[{axis}] = ..."
            )
        return self.head[axis]

    def __setitem__(self, index: Any, size: Any) -> None:
        axis = self._axis(index)
        if self.any_rank:
            while axis >= len(self.head):
                self.head.append(SymInt(Dim(self.tensor, len(self.head))))
            while axis < 0 and -axis > len(self.tail):
                self.tail.insert(0, SymInt(Dim(self.tensor, -len(self.tail) - 1)))
        (self.tail if self.any_rank and axis < 0 else self.head)[axis] = as_int(size)

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
    first = shapes[0][1]
    if len({(shape.any_rank and shape.tensor, None if shape.any_rank else len(shape)) for _, shape in shapes}) > 1:
        raise InputError(
            f"{what} has {' or '.join(str(shape.slices) for _, shape in shapes)}, expected the same rank for all calls",
            hint="declare ranks of the inputs: @register(..., ranks={...}), or make it several operators",
        )
    if not first.any_rank:
        return ShapeExprs([_select([(test, shape[axis]) for test, shape in shapes]) for axis in range(len(first))])
    head, tail = (max(len(side(shape)) for _, shape in shapes) for side in (lambda s: s.head, lambda s: s.tail))
    return ShapeExprs(
        [_select([(test, shape[axis]) for test, shape in shapes]) for axis in range(head)], first.tensor,
        [_select([(test, shape[axis]) for test, shape in shapes]) for axis in range(-tail, 0)],
    )  # fmt: skip


def _select(sizes: Sequence[tuple[Expr | None, SymInt]]) -> SymInt:
    """The size of the first condition that holds."""
    (test, size), rest = sizes[0], sizes[1:]
    if not rest or all(other.expr == size.expr for _, other in rest):
        return size
    assert test is not None
    return SymInt(Op("select", (test, size.expr, _select(rest).expr)))
