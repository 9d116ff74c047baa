"""A Triton kernel as TTIR text, with the stock Triton wheel: no GPU, no torch, nothing written to any cache.

The text is `str(module)` after target-independent passes, so it has source locations. Their paths are made relative: the
text, and all that is made from it, is the same wherever the sources lie.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from opwright.diagnostics import with_caret
from opwright.errors import InputError, MissingError


def import_triton() -> ModuleType:
    """The triton package, or an error that says how to get it."""
    try:
        import triton
    except ImportError as e:
        raise MissingError(
            f"the Python package 'triton' cannot be imported ({e})", hint="install it: pip install 'triton>=3.6'"
        ) from e
    return triton


@contextmanager
def _aot_target(triton: ModuleType, target: Any) -> Iterator[None]:
    """Code that asks Triton for the active target hears `target`, and fp32 products are IEEE unless the kernel says more."""
    from triton.backends.driver import DriverBase
    from triton.runtime import driver

    class AotDriver(DriverBase):
        """Answers get_current_target and nothing else."""

        @property
        def utils(self) -> Any:
            """Kernels that were launched, and are collected while this one is active, belong to the driver before."""
            return (previous or driver.default).utils

        @classmethod
        def is_active(cls) -> bool:
            return False

        def map_python_to_cpp_type(self, ty: str) -> str:
            raise NotImplementedError

        def get_current_target(self) -> Any:
            return target

        def get_active_torch_device(self) -> Any:
            raise NotImplementedError

        def get_benchmarker(self) -> Any:
            raise NotImplementedError

    previous = driver.__dict__.get("_active")
    language = triton.knobs.language
    precision = getattr(language, "fp32_default", None)
    driver.set_active(AotDriver())
    if precision is None and hasattr(language, "fp32_default"):
        language.fp32_default = "ieee"
    try:
        yield
    finally:
        driver.set_active(previous)
        if precision is None and hasattr(language, "fp32_default"):
            del language.fp32_default


def jit_function(function: Any) -> Any:
    """The JITFunction below @triton.autotune and @triton.heuristics, or None."""
    from triton.runtime.jit import JITFunction

    for _ in range(8):
        if isinstance(function, JITFunction):
            return function
        function = getattr(function, "fn", None)
    return None


def source_key(jit: Any) -> str:
    """What a kernel's TTIR depends on beside its arguments and the files of `sources_key`: its source, that of what it calls, and the
    version of Triton."""
    return f"{import_triton().__version__} {jit.cache_key} {jit.fn.__code__.co_firstlineno}"


def sources_key(kernels: Iterable[Any]) -> str:
    """The contents of all files of modules that are no installed packages: Triton's own key of a kernel does not see every value that it
    reads of them."""
    files = {jit.fn.__code__.co_filename for jit in kernels}
    modules = {
        id(value): value for jit in kernels for value in jit.fn.__globals__.values() if isinstance(value, ModuleType)
    }
    installed = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    for module in [*sys.modules.values(), *modules.values()]:
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(".py") and not file.startswith(installed):
            files.add(file)
    digest = hashlib.sha256()
    for file in sorted(files):
        try:
            digest.update(file.encode() + b"\0" + Path(file).read_bytes())
        except OSError:
            digest.update(file.encode() + b"?")
    return digest.hexdigest()


def constant_key(value: Any) -> str | None:
    """A text that says all of a constant of a kernel; None where only the object itself is known to be equal."""
    from triton.language import constexpr, dtype

    if isinstance(value, constexpr):
        return constant_key(value.value)
    if value is None or isinstance(value, (bool, int, float, str, dtype)):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, (tuple, list)):
        keys = [constant_key(each) for each in value]
        return None if None in keys else f"{type(value).__name__}({', '.join(map(str, keys))})"
    if jit_function(value) is value:
        return f"function {source_key(value)}"
    return None


def relative_paths(text: str, roots: Sequence[Path]) -> str:
    """`text` with the file names of its locations relative to the first root that has them, else without folders."""
    places = [str(root.resolve()).rstrip("/") + "/" for root in roots]

    def one(match: re.Match[str]) -> str:
        name = match.group(1)
        for place in places:
            if name.startswith(place):
                return f'"{name[len(place) :]}"'
        return f'"{name.rpartition("/")[2] if name.startswith("/") else name}"'

    return re.sub(r'"((?:[^"\\]|\\.)*)"(?=:\d+:\d+)', one, text)


def make_ttir(
    function: Any,
    signature: Mapping[str, str],
    constexprs: Mapping[str, Any],
    divisible: Sequence[int] = (),
    *,
    roots: Sequence[Path] = (),
    num_warps: int = 4,
    num_stages: int = 3,
    debug: bool = False,
) -> str:
    """TTIR of a @triton.jit function.

    `signature` gives Triton's type of every parameter in order ('*fp16', 'i32'; 'constexpr' for those of `constexprs`),
    `divisible` the positions of parameters that are multiples of 16. With `debug` the kernel's assertions are kept, but those that Triton
    adds for integers that overflow. Raises InputError with Triton's own message and the
    source line when the kernel does not compile.
    """
    triton = import_triton()
    from triton._C.libtriton import ir
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.compiler.errors import CompilationError

    from opwright.triton_backend.compiler import CPUBackend
    from opwright.triton_backend.compiler import make_ttir as run_passes

    jit = jit_function(function)
    if jit is None:
        raise InputError(
            f"found {type(function).__name__}, expected a @triton.jit function", hint="decorate it with @triton.jit"
        )
    target = GPUTarget("cpu", "x86-64", 1)
    backend = CPUBackend(target)
    options = backend.parse_options(
        {"num_warps": num_warps, "num_stages": num_stages, "debug": debug, "sanitize_overflow": False}
    )
    attrs = {(i,): [["tt.divisibility", 16]] for i in divisible}
    codegen = backend.get_codegen_implementation(options)
    context = ir.context()
    ir.load_dialects(context)
    try:
        with _aot_target(triton, target):
            source = ASTSource(jit, dict(signature), constexprs=dict(constexprs), attrs=attrs)
            module = source.make_ir(target, options, codegen, backend.get_module_map(), context)
            module.context = context
            text = str(run_passes(module))
    except CompilationError as e:
        raise _compilation_error(jit, e) from e
    except Exception as e:  # assertions of the front-end, and failures inside passes
        raise InputError(
            f"Triton cannot compile this kernel: {type(e).__name__}: {e}",
            where=f"{jit.fn.__code__.co_filename}:{def_line(jit)}",
            hint="run the kernel with Triton itself to see the same error",
        ) from e
    return relative_paths(text, [*roots, Path(triton.__file__).parent.parent])


def _compilation_error(kernel: Any, error: Any) -> InputError:
    """Triton's message, with the line of the innermost function: a chain of causes leads through the calls."""
    innermost = error
    while hasattr(innermost.__cause__, "node"):
        innermost = innermost.__cause__
    message = innermost.error_message or repr(innermost.__cause__)
    if message.startswith("KeyError("):  # the name of a function that is not finished yet
        message = "a function calls itself, directly or through others; expected no recursion: write it as a loop"
    line = getattr(innermost.node, "lineno", None)
    place = detail = ""
    if innermost.src and line is not None:
        detail = with_caret(innermost.src.split("\n")[line - 1], getattr(innermost.node, "col_offset", 0) + 1)
        owner = _owner(kernel, innermost.src)
        if owner is not None:
            place = f"{owner.fn.__code__.co_filename}:{def_line(owner) + line - 1}"
    return InputError(f"Triton refuses the kernel: {message.strip()}", where=place, detail=detail,
                      hint="correct that line of the kernel")  # fmt: skip


def def_line(jit: Any) -> int:
    """Line of `def` in its file; Triton's `src` begins there."""
    lines, first = inspect.getsourcelines(jit.fn)
    return first + next((i for i, text in enumerate(lines) if text.lstrip().startswith("def ")), 0)


def _owner(jit: Any, src: str) -> Any:
    """The function with this source: the kernel, or one that its file can call."""
    for candidate in [jit, *map(jit_function, list(jit.fn.__globals__.values()))]:
        if candidate is not None and getattr(candidate, "src", None) == src:
            return candidate
    return None
