"""Tensors of a definition: what is known of an input or output before the operator is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from opwright.dtypes import BY_NAME, DType
from opwright.errors import InputError
from opwright.expressions import Dim, Expr, Name, Num, Op
from opwright.plugin import paths
from opwright.plugin.combinations import DataType, dtype_of
from opwright.plugin.paths import Option
from opwright.plugin.shapes import ShapeExprs
from opwright.plugin.symbolic import COUNTED, SymFloat, SymInt, as_int, no_counted_size

# Workspaces that the running aot_impl has asked for, and sizes that the running register has declared.
_workspaces: ContextVar[list[Workspace]] = ContextVar("_workspaces")
_sizes: ContextVar[list[Size]] = ContextVar("_sizes")


class TensorDesc:
    """An input, or an output that a `register` function returns.

    In `register`, which says for all combinations at once what the shapes are, `dtype` is not known.
    """

    def __init__(
        self, shape_expr: Sequence[Any] | ShapeExprs, dtype: Any = None, *, name: str = "", same_as: str = ""
    ) -> None:  # fmt: skip
        self.name = name
        self.shape_expr = shape_expr if isinstance(shape_expr, ShapeExprs) else ShapeExprs.from_tuple(shape_expr)
        self.element = dtype_of(dtype) if dtype is not None else None
        self.same_as = same_as  # of an output: the input whose element type it has
        self.alias_of = ""  # of an output: the input that it is
        self.format = "LINEAR"
        self.host = False  # of an input: it is in host memory, its elements are numbers of expressions
        self.strided = False  # of an input: its strides are a call's
        self.values: Any = None  # of an input of an eager call: its elements

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
    def ndim(self) -> Any:
        """The rank; a symbol where any is taken."""
        return self.shape_expr.rank

    @property
    def shape(self) -> ShapeExprs:
        return self.shape_expr

    def numel(self) -> SymInt:
        """How many elements it has."""
        return self.shape_expr.numel()

    def stride(self, axis: int) -> SymInt:
        """Elements from one index of an axis to the next."""
        return SymInt(Op("stride", (Name(self.name), Num(axis))))

    def item(self, index: int = 0) -> Any:
        """An element of an input that is read on the host: @register(..., host=["x"])."""
        if self.values is not None:
            return self.values.reshape(-1)[index].item()
        if not self.host:
            raise InputError(
                f"an element of {self.name!r} is used, expected an input that is read on the host",
                hint=f'@register(..., host=["{self.name}"]): a scalar, or a few numbers',
            )
        expr = Op("value", (Name(self.name), Num(index)))
        # in register, for all combinations at once, it is a number for shapes
        is_float = self.element is not None and self.element.kind == "float"
        return SymFloat(expr) if is_float else SymInt(expr)

    def like(self) -> TensorDesc:
        """Another tensor with this shape and element type."""
        return TensorDesc(self.shape_expr.copy(), self.element, same_as=self.same_as or self.name.partition("[")[0])

    def aliased(self) -> TensorDesc:
        """An output that is this input, changed in place. A host that gives it memory of its own gets a changed copy."""
        if "[" in self.name:
            raise InputError(f"{self.name} changed in place, expected an input of its own: hosts have no such alias")
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
    sizes = shape.copy() if isinstance(shape, ShapeExprs) else ShapeExprs.from_tuple(shape)
    return TensorDesc(sizes, dtype)


@dataclass(frozen=True)
class Size:
    """A size that an operator finds out when it runs."""

    name: str
    typical: Expr
    upper: Expr


class SizeTensor(TensorDesc):
    """A size that depends on the data: an output of no axis, int64, that a kernel writes. `expr()` is the size in shapes of others."""

    def __init__(self, size: Size) -> None:
        super().__init__((), BY_NAME["i64"])
        self.size = size

    def expr(self) -> SymInt:
        """The size, for shapes: it stands alone there."""
        return SymInt(Name(self.size.name))


def size_tensor(opt: Any, upper_bound: Any) -> SizeTensor:
    """An output that says how large others are: usually `opt`, at most `upper_bound`. In `register`."""
    found = _sizes.get(None)
    if found is None:
        raise InputError("found size_tensor outside of register, expected it beside the shapes of the outputs")
    found.append(Size(f"{COUNTED}{len(found)}", as_int(opt).expr, as_int(upper_bound).expr))
    return SizeTensor(found[-1])


def number_of(name: str, counts: Sequence[int]) -> int:
    """The number of a variable number of tensors on this path: one of those that are known."""

    def options() -> list[Option]:
        if not counts:
            raise InputError(
                f"the number of {name!r} is used, but none is known when the operator is built",
                hint=f"@register(..., choices={{{name!r}: [2, 3]}}), or --for MODEL.onnx",
            )
        return [Option(count, Op("==", (Op("count", (Name(name),)), Num(count)))) for count in counts]

    otherwise = f"the number of {name} is none of {{values}}, for which this library was built"
    return paths.ask(f"number of {name}", options, otherwise=otherwise)


class TensorList(Sequence):
    """A variable number of tensors. Each is a path of its own number where `len` or a loop asks for it; `length` is the number as a
    symbol."""

    def __init__(self, name: str, counts: Sequence[int], make: Callable[[int], TensorDesc]) -> None:
        self.name = name
        self._counts = counts
        self._make = make

    @property
    def symbol(self) -> SymInt:
        """The number of tensors."""
        return SymInt(Op("count", (Name(self.name),)))

    def __len__(self) -> int:
        return number_of(self.name, self._counts)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self._make(i) for i in range(*index.indices(len(self)))]
        if index != 0:  # there is always a first one
            count = len(self)
            if not -count <= index < count:
                raise IndexError(f"{self.name}[{index}] of {count}")
            index %= count
        return self._make(index)

    def sum_of_sizes(self, axis: int) -> SymInt:
        """The sizes of all tensors in this axis together."""
        return SymInt(Op("sumdim", (Name(self.name), Num(axis))))

    def __repr__(self) -> str:
        return f"TensorList({self.name})"


class Workspace(TensorDesc):
    """Memory between the launches of one call."""

    def __init__(self, name: str, shape: ShapeExprs, dtype: DType, zero: bool) -> None:
        super().__init__(shape, dtype, name=name)
        self.zero = zero


def workspace(shape: Sequence[Any] | ShapeExprs, dtype: Any, zero: bool = False) -> Workspace:
    """Memory for what one launch leaves to the next; in an aot_impl. Its contents are arbitrary at first, or zeroes."""
    found = _workspaces.get(None)
    if found is None:
        raise InputError("found a workspace outside of aot_impl, expected it beside the launches that use it")
    sizes = ShapeExprs.from_tuple(list(shape))
    for size in sizes:
        no_counted_size(size.expr, "for a workspace")
    found.append(Workspace(f"opw_workspace{len(found)}", sizes, dtype_of(dtype), zero))
    return found[-1]


@contextmanager
def workspaces() -> Iterator[list[Workspace]]:
    """Those that are asked for inside."""
    token = _workspaces.set([])
    try:
        yield _workspaces.get()
    finally:
        _workspaces.reset(token)


@contextmanager
def sizes() -> Iterator[list[Size]]:
    """Those that are declared inside."""
    token = _sizes.set([])
    try:
        yield _sizes.get()
    finally:
        _sizes.reset(token)


def input_desc(name: str, rank: int | None, dtype: DType | None = None) -> TensorDesc:
    """An input of a declared rank, or of any."""
    shape = ShapeExprs(None, name) if rank is None else ShapeExprs([SymInt(Dim(name, axis)) for axis in range(rank)])
    return TensorDesc(shape, dtype, name=name)
