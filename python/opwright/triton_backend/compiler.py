"""Compiler half of the Triton backend: options, TTIR passes, object.

Imported while `import triton` runs: only `triton.backends.compiler` may be imported up here.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from triton.backends.compiler import BaseBackend, GPUTarget

from opwright.triton_backend.environment import switch
from opwright.triton_backend.features import require_features
from opwright.triton_backend.level import host_level

# How the binary differs from a plain ELF object: a trailer of this mark and a digest (see seal).
_MARK = b"OPWOBJ\x00\x01"
_DIGEST_SIZE = 32


def _offer_extra() -> None:
    """Makes `triton.language.extra.cpu` importable, as Triton does for backends of its own; nothing is loaded yet."""
    package = ModuleType("triton.language.extra.cpu", "Functions of the CPU backend.")
    package.__path__ = [str(Path(__file__).with_name("extra"))]
    sys.modules.setdefault(package.__name__, package)


_offer_extra()


@dataclasses.dataclass(frozen=True)
class CPUOptions:
    """Options of one compilation. Those without a meaning on a CPU are accepted, so that portable kernels run unchanged."""

    # read by Triton's front end
    supported_fp8_dtypes: tuple[str, ...] = ("fp8e4nv", "fp8e5", "fp8e4b8", "fp8e5b16", "fp8e4b15")
    deprecated_fp8_dot_operand_dtypes: tuple[str, ...] = ()
    default_dot_input_precision: str = "ieee"
    # Every one of them is computed as ieee. "tf32" in this list makes Triton print tf32 where a kernel says nothing, and
    # without it a kernel that says tf32 is refused: so it stays, and costs no accuracy.
    allowed_dot_input_precisions: tuple[str, ...] = ("ieee", "tf32", "tf32x3", "bf16x3", "bf16x6")
    max_num_imprecise_acc_default: int = 0
    sanitize_overflow: bool = True
    debug: bool = False
    arch: str = ""  # CPU level
    program_order: str = "auto"  # "yxz": y varies fastest; "xyz/8": bands of 8 programs of y, inside them y, then x
    debug_info: bool = False  # for gdb; OPW_DEBUG_INFO=1 where the launch does not say
    enable_fp_fusion: bool = True
    # read by Triton's launch path and hooks
    backend_name: str = "cpu"
    warp_size: int = 1
    num_warps: int = 4
    num_stages: int = 3
    num_ctas: int = 1
    launch_cooperative_grid: bool = False
    launch_pdl: bool = False
    extern_libs: tuple | None = None
    instrumentation_mode: str = ""
    fpsan_homomorphic_casts: bool = False
    ir_override: str | None = None
    # GPU options that kernels and triton.Config carry around
    maxnreg: int | None = None
    cluster_dims: tuple = (1, 1, 1)
    ptx_version: int | None = None
    ptx_options: str | None = None
    waves_per_eu: int = 0
    kpack: int = 1
    matrix_instr_nonkdim: int = 0
    allow_flush_denorm: bool = False
    schedule_hint: str = "none"
    minRegAutoWS: int = 0
    maxRegAutoWS: int = 0

    def __post_init__(self) -> None:
        # Triton's other backends say it with these words, and callers test for them
        assert self.num_warps > 0 and self.num_warps & (self.num_warps - 1) == 0, "num_warps must be a power of 2"
        for name, kind, expected in (
            ("program_order", str, "a text such as 'auto', 'yxz' or 'xyz/8'"),
            ("debug_info", bool, "True or False"),
            ("arch", str, "a CPU level such as 'x86-64-v3'"),
        ):
            if not isinstance(value := getattr(self, name), kind):
                raise TypeError(f"found {name}={value!r}, expected {expected}")

    def hash(self) -> str:
        return hashlib.sha256(repr(sorted(self.__dict__.items())).encode()).hexdigest()


_FIELDS = frozenset(field.name for field in dataclasses.fields(CPUOptions))


@functools.cache
def _build_id() -> str:
    """Version and identity of the native compiler: what Triton's cache must not mix."""
    from opwright import _core

    file = os.stat(_core.__file__)
    return f"{_core.__version__}-{file.st_size}-{file.st_mtime_ns}"


def seal(code: bytes) -> bytes:
    """The object as it is cached: ELF, then a mark and the digest of all before it. ELF readers ignore the trailer."""
    return code + _MARK + hashlib.sha256(code).digest()


def unseal(sealed: bytes, name: str) -> bytes:
    """The object of a cached binary; RuntimeError when it is not what seal() wrote."""
    code, mark = sealed[: -_DIGEST_SIZE - len(_MARK)], sealed[-_DIGEST_SIZE - len(_MARK) : -_DIGEST_SIZE]
    if mark != _MARK or hashlib.sha256(code).digest() != sealed[-_DIGEST_SIZE:]:
        raise RuntimeError(
            f"kernel '{name}': the cached object is damaged ({len(sealed)} bytes, its digest does not match); "
            "delete Triton's cache directory (TRITON_CACHE_DIR, by default ~/.triton/cache), or run once with "
            "TRITON_ALWAYS_COMPILE=1"
        )
    return code


class CPUBackend(BaseBackend):
    """Stages `ttir` (Triton's own passes) and `opwo` (an object, compiled in this process)."""

    binary_ext = "opwo"

    @staticmethod
    def supports_target(target: GPUTarget) -> bool:
        if target.backend != "cpu":
            return False
        require_features()
        return True

    def __init__(self, target: GPUTarget) -> None:
        super().__init__(target)
        self.binary_ext = CPUBackend.binary_ext

    def _level(self) -> str:
        """The target's CPU level. Inductor's targets name none: they mean this machine, in the cache's key too."""
        return str(self.target.arch) or host_level()

    def hash(self) -> str:
        return f"opwright-{_build_id()}-{self._level()}"

    def parse_options(self, opts: dict[str, Any]) -> CPUOptions:
        given = {name: value for name, value in opts.items() if name in _FIELDS and value is not None}
        given.setdefault("arch", self._level())
        given.setdefault("debug_info", bool(switch("OPW_DEBUG_INFO")))
        if "extern_libs" in given:  # pairs, also where JSON made lists of them
            given["extern_libs"] = tuple(dict(given["extern_libs"]).items())
        from triton import knobs

        language = knobs.language
        given.setdefault("enable_fp_fusion", language.default_fp_fusion)
        given["enable_fp_fusion"] &= not getattr(language, "force_disable_fp_fusion", False)
        return CPUOptions(**given)

    def add_stages(self, stages: dict, options: CPUOptions, language: Any = None) -> None:
        if getattr(language, "name", "TRITON") != "TRITON":
            raise RuntimeError(
                f"found a kernel in {language.name}, expected the Triton language: Gluon programs one GPU family's "
                "layouts; write the kernel with @triton.jit"
            )
        from triton import knobs

        if getattr(knobs.compilation, "store_binary_only", False):
            raise RuntimeError(
                "TRITON_STORE_BINARY_ONLY keeps GPU binaries only, so a CPU kernel cannot be cached; unset it"
            )
        stages["ttir"] = lambda src, metadata: make_ttir(src)
        stages["opwo"] = lambda src, metadata: make_object(src, metadata, options)
        if (look := getattr(knobs.runtime, "add_stages_inspection_hook", None)) is not None:
            look(self, stages, options, language, None)

    def load_dialects(self, ctx: Any) -> None:
        pass  # TTIR needs none beyond Triton's own

    def get_module_map(self) -> dict[str, ModuleType]:
        from triton.language.extra.cuda import libdevice  # the functions' names and types; nothing of CUDA is called

        return {"triton.language.extra.libdevice": libdevice}

    # needed by Triton, though BaseBackend does not declare them

    def pack_metadata(self, metadata: Any) -> tuple[int, int, int]:
        return (metadata.num_warps, metadata.num_ctas, metadata.shared)

    def get_codegen_implementation(self, options: CPUOptions) -> dict[str, Any]:
        return {"min_dot_size": lambda lhs, rhs: (1, 1, 1), "convert_custom_types": _convert_fp8e4b15}


def _convert_fp8e4b15(*args: Any, **kwargs: Any) -> Any:
    from opwright.triton_backend import fp8e4b15

    return fp8e4b15.convert(*args, **kwargs)


def make_ttir(mod: Any) -> Any:
    """Triton's own clean-up passes: calls inlined, constants folded, no duplicates. Descriptors stay as they are."""
    from triton._C.libtriton import ir, passes

    pm = ir.pass_manager(mod.context)
    pm.enable_debug()
    passes.common.add_inliner(pm)
    if hasattr(passes.ttir, "add_rewrite_tensor_pointer"):  # where block pointers still are operations
        passes.ttir.add_rewrite_tensor_pointer(pm)
    passes.common.add_canonicalizer(pm)
    passes.ttir.add_combine(pm)
    passes.ttir.add_reorder_broadcast(pm)
    passes.common.add_cse(pm)
    passes.ttir.add_triton_licm(pm)
    passes.common.add_symbol_dce(pm)
    passes.ttir.add_loop_unroll(pm)
    passes.common.add_canonicalizer(pm)
    passes.common.add_cse(pm)
    pm.run(mod, "opwright_ttir")
    return mod


def _dump_folder() -> str:
    """OPW_DUMP_DIR, made if needed; OSError where it cannot be."""
    folder = os.environ.get("OPW_DUMP_DIR", "")
    if folder:
        os.makedirs(folder, exist_ok=True)
    return folder


def make_object(mod: Any, metadata: dict[str, Any], options: CPUOptions) -> bytes:
    """Compiles the module; what a launch needs to know goes to the metadata and so to Triton's cache."""
    from opwright import _core

    try:
        kernel = _core.compile(
            str(mod),
            level=options.arch,
            fp_fusion=options.enable_fp_fusion,
            program_order=options.program_order,
            debug_info=options.debug_info,
            dump_dir=_dump_folder(),
        )
    except _core.CompileError as error:
        from opwright.diagnostics import render
        from opwright.triton_backend.errors import kernel_error

        raise kernel_error(render(error.diagnostics), error.diagnostics) from None
    metadata.update(
        name=kernel.name,
        shared=0,
        entry=kernel.entry,
        scratch_bytes=kernel.scratch_bytes,
        ordered=kernel.ordered,
        program_order=kernel.program_order,
        grain=kernel.grain,
        params=[list(param) for param in kernel.params],
    )
    return seal(kernel.object)
