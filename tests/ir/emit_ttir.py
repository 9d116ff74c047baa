"""Writes tests/ir/ttir from kernels.py with the installed Triton: after the usual passes (NAME.ttir), the same with locations
(NAME.loc.ttir) and as the front end makes it (NAME.raw.ttir, with locations).

    python tests/ir/emit_ttir.py [OUT]
"""

import sys
from pathlib import Path

import triton
from triton._C.libtriton import ir, passes
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, make_backend

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


class Driver:
    """Stands in for a GPU driver: the front end asks only which target is compiled for."""

    def get_current_target(self):
        return TARGET


TARGET = GPUTarget("cuda", 90, 32)
# Small families in every form, the others after the passes only: the texts are the corpus of the fuzz test too.
ALL_FORMS = {"blend", "branches", "normalise", "combine", "by_element"}


def lower(module):
    manager = ir.pass_manager(module.context)
    passes.common.add_inliner(manager)
    passes.common.add_canonicalizer(manager)
    passes.ttir.add_combine(manager)
    passes.ttir.add_reorder_broadcast(manager)
    passes.common.add_cse(manager)
    passes.ttir.add_triton_licm(manager)
    passes.common.add_symbol_dce(manager)
    passes.ttir.add_loop_unroll(manager)
    passes.common.add_canonicalizer(manager)
    passes.common.add_cse(manager)
    manager.run(module, "emit_ttir")


def emit(name, out):
    import kernels

    fn, signature, constants = kernels.EXAMPLES[name]
    signature = {**signature, **{key: "constexpr" for key in constants}}
    attributes = {(i,): [["tt.divisibility", 16]] for i, ty in enumerate(signature.values()) if ty.startswith("*")}
    source = ASTSource(fn, signature, {(list(signature).index(k),): v for k, v in constants.items()}, attributes)
    backend = make_backend(TARGET)
    options = backend.parse_options({"debug": True, "sanitize_overflow": False})
    context = ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    generators = backend.get_codegen_implementation(options)
    module = source.make_ir(TARGET, options, generators, backend.get_module_map(), context)
    texts = {"raw.ttir": str(module)}
    lower(module)
    texts["ttir"] = module.str_nodebug()
    texts["loc.ttir"] = str(module)
    for suffix, text in texts.items():
        if suffix == "ttir" or name in ALL_FORMS:
            package = str(Path(triton.__file__).parent / "language") + "/"
            (out / f"{name}.{suffix}").write_text(text.replace(f"{HERE}/", "").replace(package, ""))


def main():
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "ttir"
    out.mkdir(parents=True, exist_ok=True)
    triton.runtime.driver.set_active(Driver())
    import kernels

    for name in kernels.EXAMPLES:
        emit(name, out)
        print(f"{name}: {len((out / f'{name}.ttir').read_text().splitlines())} lines")


if __name__ == "__main__":
    main()
