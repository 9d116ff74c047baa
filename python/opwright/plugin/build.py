"""`opwright build`: a file of definitions -> TTIR -> build request -> one plugin library.

What is in the place of the library changes only when everything else has succeeded. A workspace keeps the request and the TTIR.
"""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opwright.errors import InputError
from opwright.plugin import uses
from opwright.plugin.definition import Definition, all_registered, collected
from opwright.plugin.request import Kernels, TtirCache, constant_entry, operator
from opwright.plugin.trace import trace
from opwright.ttir import sources_key
from opwright.user_files import run_file
from opwright.workspace import (
    CPU_LEVELS,
    Clock,
    Progress,
    counted,
    import_core,
    locked,
    run_core_timed,
    write_file,
    writing,
)

SCHEMA = 1


@dataclass
class Report:
    """What was built, and how long each stage took."""

    library: Path
    ops: list[str]
    kernels: int
    compiled: int
    reused: int
    traced: int  # kernels whose TTIR was made; that of the others was there
    stages: list[tuple[str, float]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "library": str(self.library), "ops": self.ops, "kernels": self.kernels, "compiled": self.compiled,
            "reused": self.reused, "traced": self.traced, "stages": [{"name": name, "ms": round(ms, 3)} for name, ms in self.stages],
        }  # fmt: skip


def build(
    source: Path | None, library: Path, cpu_levels: Sequence[str] = CPU_LEVELS, ops: Sequence[str] = (),
    workspace: Path | None = None, progress: Progress = lambda stage: None, *, attributes: Sequence[str] = (),
    models: Sequence[Path] = (), sources: Path | None = None,
) -> Report:  # fmt: skip
    """Builds the definitions of a file, or some of them; without a file, those that this process has made; or what a workspace's
    request.json says, which needs no Triton. `attributes` (ns::op.name=VALUE) and the nodes of ONNX models are values that the library
    is built for. `sources` is a folder for the same plugin as C and assembly. Raises OpwrightError; an earlier library is untouched then."""
    library = library.absolute()
    if not re.fullmatch(r"[\w.+-]+\.so", library.name):
        raise InputError(f"the library {str(library)!r}, expected a file name that ends in .so", hint="-o libadd.so")
    clock = Clock(progress)
    if source is not None and source.name == "request.json":
        return _replay(source.absolute(), library, ops or attributes or models, clock, sources)
    with clock.stage("definitions"):
        definitions = registered(ops) if source is None else load(source.absolute(), ops)
        uses.add_given(definitions, attributes)
        for model in models:
            uses.add_model(definitions, model)
        traced = [trace(definition) for definition in definitions]
    core = import_core()
    if workspace is not None:
        return _build(core, workspace.absolute(), traced, library, cpu_levels, clock, sources)
    with tempfile.TemporaryDirectory(prefix="opwright-build-") as folder:
        return _build(core, Path(folder), traced, library, cpu_levels, clock, sources)


def load(source: Path, ops: Sequence[str] = ()) -> list[Definition]:
    """The definitions that a file makes, or those of the given ids."""
    from opwright.ttir import import_triton

    import_triton()
    if not source.is_file():
        raise InputError(f"found no file {str(source)!r}, expected Python with definitions of operators")
    with collected() as found:
        run_file(source, "_opwright_definitions", "definitions")
    if not found:
        raise InputError(
            f"{source}: found no definition, expected @opwright.plugin.register in it",
            hint="a file of PluginGen's KERNELS is for `opwright plugin-gen`",
        )
    return _chosen(found, ops, str(source))


def registered(ops: Sequence[str] = ()) -> list[Definition]:
    """The definitions that this process has made, or those of the given ids: copies, to which a build adds what it knows."""
    return copy.deepcopy(_chosen(all_registered(), ops, "this process"))


def _chosen(found: Mapping[str, Definition], ops: Sequence[str], where: str) -> list[Definition]:
    unknown = [op for op in ops if op not in found]
    if unknown or not found:
        wanted = repr(unknown[0]) if unknown else "that is registered"
        raise InputError(f"{where}: found no operator {wanted}, expected one of {', '.join(found) or 'none'}")
    return [definition for name, definition in found.items() if not ops or name in ops]


def _build(
    core: Any, workspace: Path, traced: Sequence[Any], library: Path, cpu_levels: Sequence[str], clock: Clock, sources: Path | None
) -> Report:  # fmt: skip
    kernels = Kernels(
        [], TtirCache(workspace), sources_key({id(jit): jit for each in traced for jit in each.kernels()}.values())
    )
    with clock.stage("operators"):
        operators = [operator(each, kernels) for each in traced]
    with clock.stage(f"TTIR of {counted(len(kernels.entries), 'kernel')}"):
        kernels.make_texts()
    request = {
        "opwright": SCHEMA, "library": library.name, "namespace": traced[0].definition.namespace,
        "faces": ["c", "onnxruntime", "tvmffi"], "targets": {"cpu": list(cpu_levels)}, "kernels": kernels.entries, "ops": operators,
    }  # fmt: skip
    if kernels.constants:
        request["constants"] = [constant_entry(name, array) for name, array in kernels.constants.items()]
    with locked(workspace):
        with writing(workspace):
            for path, text in kernels.texts.items():
                (workspace / path).parent.mkdir(exist_ok=True)
                write_file(workspace / path, text)
            for name, array in kernels.constants.items():
                (workspace / "constants").mkdir(exist_ok=True)
                write_file(workspace / "constants" / f"{name}.bin", array.tobytes())
            write_file(workspace / "request.json", json.dumps(request, indent=1, sort_keys=True) + "\n")
            kernels.cache.write_index()
        return _package(core, request, workspace, kernels.roots, library, kernels.made, clock, sources)


def _replay(source: Path, library: Path, more: Any, clock: Clock, sources: Path | None) -> Report:
    """Builds a request that an earlier build has left in its workspace."""
    if more:
        raise InputError(
            f"--ops, --attr and --for with {source.name}, which has its operators",
            hint="edit it, or build the definitions again",
        )
    try:
        request = json.loads(source.read_text())
    except (OSError, ValueError) as e:
        raise InputError(f"the request {str(source)!r} cannot be read: {e}") from e
    if not isinstance(request, dict):
        raise InputError(
            f"{source}: found {type(request).__name__}, expected an object", hint="docs/abi.md has its schema"
        )
    request["library"] = library.name
    with locked(source.parent):
        return _package(import_core(), request, source.parent, [], library, 0, clock, sources)


def _package(
    core: Any, request: dict[str, Any], workspace: Path, roots: Sequence[Path], library: Path, traced: int, clock: Clock,
    sources: Path | None,
) -> Report:  # fmt: skip
    report = run_core_timed(core, request, workspace, clock, roots, sources)
    _install(Path(workspace, report["library"]), library)
    ops = [f"{op.get('namespace') or request.get('namespace')}::{op['name']}" for op in request["ops"]]
    return Report(
        library, ops, len(request["kernels"]), int(report["compiled"]), int(report["reused"]), traced, clock.stages
    )


def _install(built: Path, library: Path) -> None:
    """Puts the library in its place, whole."""
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=library.parent, prefix=f".{library.name}.")
        os.close(handle)
        try:
            shutil.copyfile(built, name)
            os.chmod(name, 0o755)
            os.replace(name, library)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as e:
        raise InputError(
            f"the library {str(library)!r} cannot be written: {e.strerror or e}", hint="give another place with -o"
        ) from e
