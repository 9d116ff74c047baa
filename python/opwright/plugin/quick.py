"""The form in which TensorRT's quickly deployable plugins return a kernel: (name, code, launch parameters, extra arguments).

Such a function compiles its kernel with `triton.compile(ASTSource(...))` and hands on `compiled.asm["ptx"]`. While a definition is traced
that call compiles nothing: the code is a token that stands for the source, and Opwright compiles it for its own targets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from opwright import ttir
from opwright.errors import InputError
from opwright.plugin.launch import Launch, launch
from opwright.plugin.symbolic import SymInt, as_int
from opwright.plugin.tensors import TensorDesc


class KernelLaunchParams:
    """Grid and block of a launch. Of these, the grid counts on a CPU."""

    def __init__(
        self, grid_x: Any = 1, grid_y: Any = 1, grid_z: Any = 1, block_x: Any = 1, block_y: Any = 1, block_z: Any = 1,
        shared_mem: Any = 0,
    ) -> None:  # fmt: skip
        self.grid_x, self.grid_y, self.grid_z = grid_x, grid_y, grid_z
        self.block_x, self.block_y, self.block_z = block_x, block_y, block_z
        self.shared_mem = shared_mem


class SymInt32(SymInt):
    """An integer argument of a kernel: a number, a size, or what is computed of them."""

    __slots__ = ()

    def __init__(self, value: Any = 0) -> None:
        super().__init__(as_int(value).expr)


class SymExprs:
    """The extra arguments of a kernel, between its input and its output pointers."""

    def __init__(self, count: int) -> None:
        self._values: list[Any] = [None] * count

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: int) -> Any:
        return self._values[index]

    def __setitem__(self, index: int, value: Any) -> None:
        self._values[index] = value

    @classmethod
    def from_tuple(cls, values: Sequence[Any]) -> SymExprs:
        made = cls(len(values))
        made._values = list(values)
        return made


SymIntExprs = SymExprs


class _Code(str):
    """Stands for a kernel that is not compiled yet."""

    source: Any
    options: dict[str, Any]

    def encode(self, *_: Any, **__: Any) -> Any:
        """TensorRT takes code as bytes too."""
        return self


class _Compiled:
    """What triton.compile gives to the function that is traced."""

    def __init__(self, source: Any, options: dict[str, Any] | None) -> None:
        code = _Code(f"kernel {source.fn.__name__}")
        code.source, code.options = source, dict(options or {})
        self.asm = dict.fromkeys(("ptx", "cubin", "ttir"), code)
        self.metadata = _Metadata(source.fn.__name__, int(code.options.get("num_warps", 4)))


class _Metadata:
    def __init__(self, name: str, num_warps: int) -> None:
        self.name, self.num_warps, self.shared, self.num_ctas = name, num_warps, 0, 1


@contextmanager
def compiling(function: Callable) -> Iterator[None]:
    """triton.compile answers with tokens, whatever target it is given and under whatever name the function's file has it."""
    triton = ttir.import_triton()
    original = triton.compile

    def stand_in(src: Any, target: Any = None, options: dict[str, Any] | None = None, **more: Any) -> Any:
        return _Compiled(src, options) if hasattr(src, "fn") else original(src, target, options, **more)

    names = (vars(triton), vars(triton.compiler), vars(triton.compiler.compiler), function.__globals__)
    replaced = [(space, name) for space in names for name, value in space.items() if value is original]
    for space, name in replaced:
        space[name] = stand_in
    try:
        yield
    finally:
        for space, name in replaced:
            space[name] = original


def as_launch(returned: tuple, inputs: Sequence[TensorDesc], outputs: Sequence[TensorDesc]) -> Launch:
    """The launch that such a tuple means: input pointers, extra arguments, output pointers."""
    name, code, params, extra = returned
    if not isinstance(code, _Code):
        raise InputError(
            f"kernel {name!r}: found {type(code).__name__} as its code, expected asm['ptx'] of triton.compile(ASTSource(...)): "
            "only that can be built for a CPU",
            hint="return opwright.plugin.launch(kernel, grid, args)",
        )
    if not isinstance(params, KernelLaunchParams) or not isinstance(extra, SymExprs):
        raise InputError(f"kernel {name!r}: found {returned[2:]!r}, expected KernelLaunchParams and SymIntExprs")
    unset = [i for i in range(len(extra)) if extra[i] is None]
    if unset:
        raise InputError(f"kernel {name!r}: extra argument {unset[0]} is not set, expected {len(extra)} values")
    kernel, names = code.source.fn, list(code.source.fn.arg_names)
    constants = {
        names[key[0] if isinstance(key, tuple) else key]: value for key, value in code.source.constants.items()
    }
    arguments = [*inputs, *(extra[i] for i in range(len(extra))), *outputs]
    free = [n for n in names if n not in constants]
    if len(free) != len(arguments):
        raise InputError(
            f"kernel {name!r} has {len(free)} parameters without the constants ({', '.join(free)}), found {len(inputs)} inputs, "
            f"{len(extra)} extra arguments and {len(outputs)} outputs",
        )
    grid = (params.grid_x, params.grid_y, params.grid_z)
    options = {n: code.options[n] for n in ("num_warps", "num_stages") if n in code.options}
    return launch(kernel, grid, (), **dict(zip(free, arguments, strict=True)), **constants, **options)
