"""Tensors of a definition: what is known of an input or output before the operator is called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opwright.dtypes import DType
from opwright.errors import InputError
from opwright.expressions import Dim
from opwright.plugin.combinations import DataType, dtype_of
from opwright.plugin.symbolic import ShapeExprs, SymInt, as_int

# Workspaces that the running aot_impl has asked for.
_workspaces: ContextVar[list[Workspace]] = ContextVar("_workspaces")


class TensorDesc:
    """An input, or an output that a `register` function returns.

    In `register`, which says for all combinations at once what the shapes are, `dtype` is not known.
    """

    def __init__(self, name: str, shape: ShapeExprs, dtype: DType | None = None, same_as: str = "") -> None:
        self.name = name
        self.shape_expr = shape
        self.element = dtype
        self.same_as = same_as  # of an output: the input whose element type it has
        self.alias_of = ""  # of an output: the input that it is
        self.format = "LINEAR"

    @property
    def dtype(self) -> DataType:
        """Element type, of the combination for which aot_impl is called."""
        if self.element is None:
            raise InputError(
                f"the element type of {self.name or 'an output'!r} is used, but register serves all combinations",
                hint="autotune gives the types; an output of another type is from_shape_expr(shape, dtype)",
            )
        return DataType(self.element)

    @property
    def ndim(self) -> int:
        return len(self.shape_expr)

    @property
    def shape(self) -> ShapeExprs:
        return self.shape_expr

    def like(self) -> TensorDesc:
        """Another tensor with this shape and element type."""
        shape = self.shape_expr
        copied = ShapeExprs(list(shape)) if shape._sizes is not None else ShapeExprs(None, shape._tensor)
        return TensorDesc("", copied, self.element, self.same_as or self.name)

    def aliased(self) -> TensorDesc:
        """An output that is this input, changed in place. A host that gives it memory of its own gets a changed copy."""
        output = self.like()
        output.alias_of = self.name
        return output

    @property
    def is_aliased(self) -> bool:
        return bool(self.alias_of)

    def __repr__(self) -> str:
        return (
            f"TensorDesc({self.name or 'output'}, {self.shape_expr}{f', {self.element.name}' if self.element else ''})"
        )


def from_shape_expr(shape: Sequence[Any] | ShapeExprs, dtype: Any = None) -> TensorDesc:
    """An output of this shape; its element type is the combination's, and must be `dtype` where that is given."""
    sizes = ShapeExprs([as_int(size) for size in shape])
    return TensorDesc("", sizes, dtype_of(dtype) if dtype is not None else None)


class Workspace(TensorDesc):
    """Memory between the launches of one call."""

    def __init__(self, name: str, shape: ShapeExprs, dtype: DType, zero: bool) -> None:
        super().__init__(name, shape, dtype)
        self.zero = zero


def workspace(shape: Sequence[Any] | ShapeExprs, dtype: Any, zero: bool = False) -> Workspace:
    """Memory for what one launch leaves to the next; in an aot_impl. Its contents are arbitrary at first, or zeroes."""
    found = _workspaces.get(None)
    if found is None:
        raise InputError("found a workspace outside of aot_impl, expected it beside the launches that use it")
    sizes = ShapeExprs([as_int(size) for size in shape])
    found.append(Workspace(f"workspace{len(found)}", sizes, dtype_of(dtype), zero))
    return found[-1]


@contextmanager
def workspaces() -> Iterator[list[Workspace]]:
    """Those that are asked for inside."""
    token = _workspaces.set([])
    try:
        yield _workspaces.get()
    finally:
        _workspaces.reset(token)


def input_desc(name: str, rank: int | None, dtype: DType | None = None) -> TensorDesc:
    """An input of a declared rank, or of any."""
    sizes = None if rank is None else [SymInt(Dim(name, axis)) for axis in range(rank)]
    return TensorDesc(name, ShapeExprs(sizes, name), dtype)
