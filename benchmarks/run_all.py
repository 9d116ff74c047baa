"""Runs every benchmark in a process of its own and prints one table with targets; exits with 1 when one is missed."""

from __future__ import annotations

import json
import subprocess
import sys

from common import FOLDER, Row
from rich.console import Console
from rich.table import Table

BENCHMARKS = (
    "compile_time",
    "compile_suite",
    "vector_add",
    "softmax",
    "attention",
    "numpy_peers",
    "model_peers",
    "llm_ops",
    "launch",
    "plugin_build",
    "plugin_calls",
    "shape_program",
    "triton_launch",
    "program_order",
    "inductor",
)


def main() -> int:
    table = Table(title="Opwright benchmarks: medians of one interleaved run each")
    for heading in ("figure", "measured", "target", "", "note"):
        table.add_column(heading, justify="right" if heading == "measured" else "left")
    failed = []
    for name in BENCHMARKS:
        command = [sys.executable, FOLDER / f"{name}.py", "--json"]
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE)
        if done.returncode:
            failed.append(name)
            table.add_row(name, "", "", "[red]failed[/]", "its message is above")
            continue
        for row in (Row(**fields) for fields in json.loads(done.stdout)):
            verdict = "" if not row.target else "[green]ok[/]" if row.ok else "[red]missed[/]"
            table.add_row(row.name, f"{row.value:.3f} {row.unit}", row.target, verdict, row.note)
            if not row.ok:
                failed.append(row.name)
        table.add_section()
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
