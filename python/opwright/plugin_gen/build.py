"""`opwright plugin-gen`: configuration -> plans -> TTIR -> build request -> plugin library and functional.py.

In the workspace: one folder of TTIR per kernel, request.json, and output/ with the two results. What is in output/ changes
only when everything else has succeeded, by renaming. Nothing outside the workspace is written.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from opwright.diagnostics import render
from opwright.errors import InputError, MissingError, OpwrightError
from opwright.plugin_gen.config import load_config
from opwright.plugin_gen.functional import functional_source
from opwright.plugin_gen.request import (
    CPU_LEVELS,
    LIBRARY,
    Plan,
    build_request,
    compile_variant,
    kernel_path,
    plan_kernels,
)

Progress = Callable[[str], None]


@dataclass
class Report:
    """What was built, and how long each stage took."""

    library: Path
    functional: Path
    ops: list[str]
    stages: list[tuple[str, float]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "library": str(self.library),
            "functional": str(self.functional),
            "ops": self.ops,
            "stages": [{"name": name, "ms": round(ms, 3)} for name, ms in self.stages],
            "warnings": self.warnings,
        }


class _Clock:
    """Times stages and tells the progress display about each."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.stages: list[tuple[str, float]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.progress(name)
        start = time.perf_counter()
        yield
        self.stages.append((name, (time.perf_counter() - start) * 1e3))


def parse_targets(text: str) -> list[str]:
    """CPU levels of 'cpu:x86-64-v3,cpu:x86-64-v4', in the order of the levels."""
    known = ", ".join(f"cpu:{level}" for level in CPU_LEVELS)
    levels = []
    for target in filter(None, (part.strip() for part in text.split(","))):
        device, _, level = target.partition(":")
        if device == "cuda":
            raise InputError(f"target {target!r}: CUDA is not supported yet", hint=f"use {known}")
        if target == "cpu:aarch64":
            raise InputError(f"target {target!r}: plugins for aarch64 are not supported yet", hint=f"use {known}")
        if device != "cpu" or level not in CPU_LEVELS:
            raise InputError(f"target {target!r}, expected {known}", hint="separate several by commas")
        levels.append(level)
    if not levels:
        raise InputError(f"no target in {text!r}, expected {known}", hint=f"--targets {known.replace(', ', ',')}")
    return [level for level in CPU_LEVELS if level in levels]


def plugin_gen(
    workspace: Path, config: Path, namespace: str = "triton", cpu_levels: Sequence[str] = CPU_LEVELS,
    progress: Progress = lambda stage: None,
) -> Report:  # fmt: skip
    """Builds the plugin library of a configuration. Raises OpwrightError; the previous output is untouched then."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", namespace):
        raise InputError(f"namespace {namespace!r}, expected letters, digits and '_'", hint="--namespace triton")
    config = config.absolute()
    workspace = workspace.absolute()
    clock = _Clock(progress)
    with clock.stage("configuration"):
        kernels = load_config(config)
    with clock.stage("import of Triton and the kernels"):
        plans = plan_kernels(kernels, config)
    core = import_core()
    with _locked(workspace):
        return _build(core, workspace, plans, namespace, cpu_levels, clock)


def _build(
    core: Any, workspace: Path, plans: Sequence[Plan], namespace: str, cpu_levels: Sequence[str], clock: _Clock
) -> Report:
    texts: dict[str, str] = {}
    for plan in plans:
        with clock.stage(f"TTIR of {plan.name} ({len(plan.variants)} variants)"):
            for i, variant in enumerate(plan.variants):
                texts[kernel_path(plan, i)] = compile_variant(plan, variant)
    request = build_request(plans, texts, namespace, cpu_levels)
    functional = functional_source(plans, namespace)
    output = workspace / "output"
    library, wrapper = output / LIBRARY, output / "functional.py"
    with _writing(workspace):
        for plan in plans:
            folder = workspace / plan.name
            folder.mkdir(exist_ok=True)
            for old in folder.glob("v*.ttir"):
                if f"{plan.name}/{old.name}" not in texts:
                    old.unlink()
        for path, text in texts.items():
            write_file(workspace / path, text)
        write_file(workspace / "request.json", json.dumps(request, indent=1, sort_keys=True) + "\n")
        output.mkdir(exist_ok=True)
    start = time.perf_counter()
    clock.progress("plugin")
    report = run_core(core, request, workspace, [plan.file.parent for plan in plans])
    with _writing(workspace):
        built = Path(workspace, report.get("library") or f"output/{LIBRARY}")
        if built != library:
            os.replace(built, library)
        write_file(wrapper, functional)
    stages = report.get("stages") or [("plugin", (time.perf_counter() - start) * 1e3)]
    for stage in stages:
        name, ms = (stage["name"], stage["ms"]) if isinstance(stage, dict) else stage[:2]
        clock.stages.append((str(name), float(ms)))
    warnings = [
        f"kernel {plan.name!r}: input {name!r} is in no shape rule, so its size is not checked; "
        f"name it on the left of one, as in '{name}[n] -> ...'"
        for plan in plans
        for name in plan.unchecked
    ]
    return Report(library, wrapper, [f"{namespace}::{plan.name}" for plan in plans], clock.stages, warnings)


def import_core() -> ModuleType:
    """The native compiler."""
    try:
        from opwright import _core
    except ImportError as e:
        raise MissingError(
            f"the native part of Opwright cannot be loaded ({e})", hint="install Opwright again: pip install ."
        ) from e
    return _core


def run_core(core: Any, request: dict[str, Any], workspace: Path, roots: Sequence[Path] = ()) -> dict[str, Any]:
    """The native build. Its errors keep their text, with lines of the sources below `roots`; a missing linker has the exit
    code of a missing tool."""
    try:
        return dict(core.build(request, str(workspace), dump_dir=os.environ.get("OPW_DUMP_DIR", "")) or {})
    except OSError as e:
        raise _unwritable(workspace, e) from e
    except core.MissingToolError as e:
        raise MissingError(str(e).rstrip().removeprefix("error: ")) from e
    except core.CompileError as e:
        raise InputError(render(e.diagnostics, roots).removeprefix("error: ")) from e


def write_file(path: Path, text: str) -> None:
    """Writes a whole file or nothing."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@contextmanager
def _writing(workspace: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise _unwritable(workspace, e) from e


def _unwritable(workspace: Path, error: OSError) -> OpwrightError:
    place = f" ({error.filename})" if error.filename and str(error.filename) != str(workspace) else ""
    return InputError(
        f"the workspace {str(workspace)!r} cannot be written{place}: {error.strerror or error}",
        hint="free some space, or give another folder with --workspace",
    )


@contextmanager
def _locked(workspace: Path) -> Iterator[None]:
    """The workspace, made if needed, for one build at a time; left-overs of a killed build are removed."""
    with _writing(workspace):
        workspace.mkdir(parents=True, exist_ok=True)
        handle = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another build is running in the workspace {str(workspace)!r}",
                hint="wait for it, or use another --workspace",
            ) from None
        with _writing(workspace):
            for name in ("output", "request.json"):
                path = workspace / name
                if path.exists() and path.is_dir() != (name == "output"):
                    raise InputError(f"{str(path)!r} is in the way: expected a {'folder' if name == 'output' else 'file'}",
                                     hint="move it away, or use another --workspace")  # fmt: skip
            for pattern in (".build-*", ".request.json.*", "output/.functional.py.*", "*/.v*.ttir.*"):
                for old in workspace.glob(pattern):
                    shutil.rmtree(old) if old.is_dir() else old.unlink()
        yield
    finally:
        os.close(handle)
