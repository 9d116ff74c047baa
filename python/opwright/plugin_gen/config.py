"""Loads a kernel_config.py, or its YAML form, and checks it: the result is a list of kernels whose every field has the right type.

While a configuration runs, `tensorrt_llm.tools.plugin_gen.core` means opwright.plugin_gen.core, so that a configuration
written for PluginGen runs unchanged; nothing else of an installed TensorRT-LLM is touched.
"""

from __future__ import annotations

import builtins
import keyword
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

from opwright import native
from opwright.errors import InputError, OpwrightError
from opwright.plugin_gen import core
from opwright.plugin_gen.core import ArgType, Argument, Constexpr, KernelMetaData, ParamArg, Type
from opwright.plugin_gen.expressions import RESERVED
from opwright.plugin_gen.yaml_form import read_kernels
from opwright.user_files import run_file

_ORIGINAL = "tensorrt_llm.tools.plugin_gen.core"


@contextmanager
def vocabulary_aliases() -> Iterator[None]:
    """Makes PluginGen's module name resolve to our vocabulary; restores sys.modules afterwards."""
    parents = ["tensorrt_llm", "tensorrt_llm.tools", "tensorrt_llm.tools.plugin_gen"]
    added: dict[str, ModuleType] = {_ORIGINAL: core}
    if "tensorrt_llm" not in sys.modules and util.find_spec("tensorrt_llm") is None:
        child = core
        for name in reversed(parents):
            package = ModuleType(name)
            package.__path__ = []
            leaf = ([*parents, _ORIGINAL][parents.index(name) + 1]).rpartition(".")[2]
            setattr(package, leaf, child)
            added[name] = child = package
    before = {name: sys.modules.get(name) for name in added}
    sys.modules.update(added)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module


def load_config(path: Path) -> list[KernelMetaData]:
    """The kernels of a Python or YAML file, checked."""
    kernels = read_kernels(path) if path.suffix in (".yaml", ".yml") else _run_config(path)
    seen: dict[str, int] = {}
    for i, kernel in enumerate(kernels):
        try:
            check_kernel(kernel)
        except OpwrightError as e:
            raise e.at(where(kernel, path, e, i)) from None
        if kernel.kernel_name in seen:
            raise InputError(
                f"KERNELS[{seen[kernel.kernel_name]}] and KERNELS[{i}] are both named {kernel.kernel_name!r}",
                where=kernel.place("kernel_name") or path,
                hint="give one of the Triton functions another name: it is the operator's name in every host",
            )
        seen[kernel.kernel_name] = i
    return kernels


def where(kernel: KernelMetaData, config: Path, error: OpwrightError, index: int = 0) -> str:
    """The place of an error of a kernel, as exactly as it is known."""
    name = f"kernel {kernel.kernel_name!r}" if kernel.kernel_name else f"KERNELS[{index}]"
    return f"{kernel.place(error.message) or config}: {name}"


def _run_config(path: Path) -> list[KernelMetaData]:
    """Runs the file and gives its KERNELS."""
    with vocabulary_aliases():
        module = run_file(path, "_opwright_kernel_config", "the kernel configuration")
    kernels = getattr(module, "KERNELS", None)
    if kernels is None:
        raise InputError(
            "found no variable KERNELS", where=path, hint="end the file with KERNELS = [KernelMetaData(...)]"
        )
    if not isinstance(kernels, list | tuple) or not kernels:
        found = "an empty list" if isinstance(kernels, list | tuple) else type(kernels).__name__
        raise InputError(
            f"KERNELS is {found}, expected a list of KernelMetaData", where=path, hint="list one kernel at least"
        )
    for i, kernel in enumerate(kernels):
        if not isinstance(kernel, KernelMetaData):
            raise InputError(f"KERNELS[{i}] is {type(kernel).__name__}, expected KernelMetaData", where=path,
                             hint="take KernelMetaData from tensorrt_llm.tools.plugin_gen.core or opwright.plugin_gen.core")  # fmt: skip
    return list(kernels)


_FOLDERS = ("output", "cache")  # of a workspace, beside one folder per kernel


def check_kernel(kernel: KernelMetaData) -> None:
    """Types, names, hints and counts of one kernel. Rules and grids are checked where they are read."""
    name = kernel.kernel_name
    _identifier(name, "kernel_name")
    if (
        name in _FOLDERS
        or name in vars(native)
        or hasattr(builtins, name)
        or name in ("Array", "TypeVar", "TYPE_CHECKING", "torch")
    ):
        raise InputError(
            f"kernel_name {name!r} is a name that functional.py or the workspace needs",
            hint=f"rename the Triton function, for example {name}_kernel: it is the operator's name in every host",
        )
    if not isinstance(kernel.kernel_file, str | Path) or not str(kernel.kernel_file):
        raise InputError(f"kernel_file is {kernel.kernel_file!r}, expected the path of the file with the Triton kernel",
                         hint="kernel_file='kernel.py', relative to this configuration")  # fmt: skip
    _whole(kernel.version, "version", 0)
    _whole(kernel.num_warps, "num_warps", 1)
    _whole(kernel.num_stages, "num_stages", 1)
    if kernel.num_warps & (kernel.num_warps - 1):
        raise InputError(f"num_warps is {kernel.num_warps}, expected a power of 2", hint="use 1, 2, 4, 8 or 16")
    grid = kernel.grid_dims
    if isinstance(grid, str) or not isinstance(grid, Sequence) or not 1 <= len(grid) <= 3:
        raise InputError(
            f"grid_dims is {grid!r}, expected one to three C expressions", hint="('(n + 127) / 128', '1', '1')"
        )
    if isinstance(kernel.shape_infer_rules, str) or not isinstance(kernel.shape_infer_rules, Sequence):
        raise InputError(f"shape_infer_rules is {kernel.shape_infer_rules!r}, expected a list of strings",
                         hint="shape_infer_rules=['x[*] -> y[*]']")  # fmt: skip
    if isinstance(kernel.ios, str) or not isinstance(kernel.ios, Sequence):
        raise InputError(
            f"ios is {type(kernel.ios).__name__}, expected a list of arguments", hint="list them in the kernel's order"
        )
    seen: set[str] = set()
    for i, io in enumerate(kernel.ios):
        if isinstance(io, Constexpr):
            continue
        if not isinstance(io, Argument):
            raise InputError(f"ios[{i}] is {type(io).__name__}, expected InputArg, OutputArg, ParamArg, DimSizeArg or Constexpr",
                             hint="wrap the values of tl.constexpr parameters in Constexpr(...)")  # fmt: skip
        _check_argument(io, i, seen)
    kinds = {a.arg_type for a in kernel.ios if isinstance(a, Argument)}
    for kind, text in ((ArgType.INPUT, "InputArg"), (ArgType.OUTPUT, "OutputArg")):
        if kind not in kinds:
            raise InputError(f"ios has no {text}, expected at least one", hint="an operator has inputs and outputs")
    _check_hints(kernel)


def _check_argument(io: Argument, index: int, seen: set[str]) -> None:
    _identifier(io.name, f"ios[{index}]: the name")
    if io.name in RESERVED or io.name.startswith("_op_"):
        raise InputError(
            f"ios[{index}]: the name {io.name!r} is a word of shape expressions or functional.py",
            hint="choose another name",
        )
    if io.name in seen:
        raise InputError(
            f"two arguments are named {io.name!r}", hint="rename one of them; the order decides, not the name"
        )
    seen.add(io.name)
    if isinstance(io.dtype, str):
        io.dtype = Type(io.dtype)
    if not isinstance(io.dtype, Type):
        raise InputError(
            f"argument {io.name!r} has the type {io.dtype!r}, expected a Type", hint="Type('tensor[fp16]')"
        )
    kind = type(io).__name__
    if not isinstance(io.arg_type, ArgType):
        raise InputError(
            f"argument {io.name!r} has the arg_type {io.arg_type!r}, expected an ArgType", hint="ArgType.INPUT"
        )
    if io.arg_type is ArgType.OUTPUT and not io.dtype.is_tensor:
        raise InputError(
            f"{kind} {io.name!r} is {io.dtype}, expected a tensor", hint=f"write Type('tensor[{io.dtype}]')"
        )
    if io.arg_type in (ArgType.PARAM, ArgType.DIM_SIZE) and io.dtype.is_tensor:
        raise InputError(
            f"{kind} {io.name!r} is {io.dtype}, expected a scalar", hint="tensors are InputArg or OutputArg"
        )
    dtype = io.dtype.dtype
    if not io.dtype.is_tensor and dtype.kind == "float" and dtype.bits == 8:
        raise InputError(
            f"{kind} {io.name!r} is the scalar {io.dtype}, expected a type of 16 bits or more",
            hint="8-bit floats come as tensors; give the kernel an fp32",
        )
    if io.arg_type is ArgType.DIM_SIZE and dtype.kind not in ("int", "uint"):
        raise InputError(f"{kind} {io.name!r} is {io.dtype}, expected an integer", hint="dtype='i32' or 'i64'")
    if isinstance(io, ParamArg):
        _check_default(io)


def _check_default(io: ParamArg) -> None:
    dtype, value = io.dtype.dtype, io.default
    if value is None:
        return
    if dtype.kind == "float":
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    elif dtype.kind == "bool":
        fits = isinstance(value, bool)
    else:
        low = 0 if dtype.kind == "uint" else -(1 << dtype.bits - 1)
        fits = isinstance(value, int) and not isinstance(value, bool) and low <= value < low + (1 << dtype.bits)
        fits = fits and value < 1 << 63  # attributes are 64-bit with a sign
    if not fits:
        raise InputError(
            f"ParamArg {io.name!r} has the default {value!r}, expected {io.dtype}", hint="default=... or none at all"
        )


def _check_hints(kernel: KernelMetaData) -> None:
    first: Argument | None = None
    for io in kernel.ios:
        if not isinstance(io, Argument) or not io.hints:
            continue
        if isinstance(io.hints, str) or not isinstance(io.hints, Sequence):
            raise InputError(f"hints of {io.name!r} are {io.hints!r}, expected a list", hint="hints=['', '16']")
        for hint in io.hints:
            if str(hint) not in ("", "1", "16"):
                raise InputError(
                    f"hint {hint!r} of {io.name!r}, expected '', '1' or '16'", hint="'16' means a multiple of 16"
                )
            if str(hint) == "1" and (io.dtype.is_tensor or io.dtype.dtype.kind not in ("int", "uint")):
                raise InputError(
                    f"hint '1' of {io.name!r}, which is {io.dtype}", hint="only integers can be equal to 1"
                )
            if str(hint) == "16" and not io.dtype.is_tensor and io.dtype.dtype.kind not in ("int", "uint"):
                raise InputError(
                    f"hint '16' of {io.name!r}, which is {io.dtype}", hint="only tensors and integers are divisible"
                )
        io.hints = [str(hint) for hint in io.hints]
        if first is not None and len(first.hints) != len(io.hints):
            raise InputError(
                f"{first.name!r} has {len(first.hints)} hints, {io.name!r} has {len(io.hints)}",
                hint="give every argument that has hints as many as there are specialisations ('' where there is none)",
            )
        first = first or io


def _identifier(name: Any, what: str) -> None:
    if (
        not isinstance(name, str)
        or not name.isidentifier()
        or not name.isascii()
        or keyword.iskeyword(name)
        or name.startswith("__")
    ):
        raise InputError(f"{what} is {name!r}, expected a Python identifier", hint="use letters, digits and '_'")


def _whole(value: Any, what: str, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{what} is {value!r}, expected a whole number from {least}", hint=f"{what}={max(least, 1)}")
