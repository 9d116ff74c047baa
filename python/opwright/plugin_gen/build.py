"""`opwright plugin-gen`: configuration -> plans -> TTIR -> build request -> plugin library and functional.py.

In the workspace: one folder of TTIR per kernel, request.json, and output/ with the two results. What is in output/ changes
only when everything else has succeeded, by renaming. Nothing outside the workspace is written.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opwright.errors import InputError
from opwright.forked import run_all
from opwright.plugin_gen.config import load_config
from opwright.plugin_gen.functional import functional_source
from opwright.plugin_gen.request import LIBRARY, Plan, build_request, compile_variant, kernel_path, plan_kernels
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


@dataclass
class Report:
    """What was built, and how long each stage took."""

    library: Path
    functional: Path
    ops: list[str]
    stages: list[tuple[str, float]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    sources: Path | None = None  # folder of the plugin's sources

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "library": str(self.library),
            "functional": str(self.functional),
            "ops": self.ops,
            "stages": [{"name": name, "ms": round(ms, 3)} for name, ms in self.stages],
            "warnings": self.warnings,
            "sources": str(self.sources) if self.sources else None,
        }


def plugin_gen(
    workspace: Path, config: Path, namespace: str = "triton", cpu_levels: Sequence[str] = CPU_LEVELS,
    progress: Progress = lambda stage: None, sources: Path | None = None,
) -> Report:  # fmt: skip
    """Builds the plugin library of a configuration, and its sources in a folder where one is given. Raises OpwrightError; the
    previous output is untouched then."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", namespace):
        raise InputError(f"namespace {namespace!r}, expected letters, digits and '_'", hint="--namespace triton")
    config = config.absolute()
    workspace = workspace.absolute()
    clock = Clock(progress)
    with clock.stage("configuration"):
        kernels = load_config(config)
    with clock.stage("import of Triton and the kernels"):
        plans = plan_kernels(kernels, config)
    core = import_core()
    with locked(workspace):
        return _build(core, workspace, plans, namespace, cpu_levels, clock, sources)


def _build(
    core: Any, workspace: Path, plans: Sequence[Plan], namespace: str, cpu_levels: Sequence[str], clock: Clock,
    sources: Path | None,
) -> Report:  # fmt: skip
    wanted = [(plan, i) for plan in plans for i in range(len(plan.variants))]
    with clock.stage(f"TTIR of {counted(len(plans), 'kernel')} ({counted(len(wanted), 'variant')})"):
        made = run_all([lambda plan=plan, i=i: compile_variant(plan, plan.variants[i]) for plan, i in wanted])
    texts = {kernel_path(plan, i): text for (plan, i), text in zip(wanted, made, strict=True)}
    request = build_request(plans, texts, namespace, cpu_levels)
    functional = functional_source(plans, namespace)
    output = workspace / "output"
    library, wrapper = output / LIBRARY, output / "functional.py"
    with writing(workspace):
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
    report = run_core_timed(core, request, workspace, clock, [plan.file.parent for plan in plans], sources)
    with writing(workspace):
        built = Path(workspace, report.get("library") or f"output/{LIBRARY}")
        if built != library:
            os.replace(built, library)
        write_file(wrapper, functional)
    warnings = [
        f"kernel {plan.name!r}: input {name!r} is in no shape rule, so its size is not checked; "
        f"name it on the left of one, as in '{name}[n] -> ...'"
        for plan in plans
        for name in plan.unchecked
    ]
    ops = [f"{namespace}::{plan.name}" for plan in plans]
    return Report(library, wrapper, ops, clock.stages, warnings, sources and sources.absolute())
