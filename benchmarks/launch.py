"""What a launch costs: an empty kernel through the C face, dlopen to first result, `import opwright`; one build."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import common
from common import FOLDER, Row

RUNS = 11
TRITONS_OWN = ("import of Triton", "TTIR of")  # stages of plugin-gen
IMPORT = "import time; t = time.perf_counter(); import opwright; print((time.perf_counter() - t) * 1e3)"


def build_plugin(workspace: str) -> tuple[Path, float]:
    """The plugin of launch/kernel_config.py, and the milliseconds of its build outside Triton's own."""
    command = [sys.executable, "-m", "opwright", "plugin-gen", "--workspace", workspace, "--json"]
    done = subprocess.run(
        [*command, "--kernel_config", str(FOLDER / "launch" / "kernel_config.py")], text=True, stdout=subprocess.PIPE
    )
    if done.returncode:
        raise SystemExit("launch: the plugin could not be built; the message is above")
    stages = json.loads(done.stdout)["stages"]
    ours = sum(stage["ms"] for stage in stages if not stage["name"].startswith(TRITONS_OWN))
    return Path(workspace) / "output" / "libtriton_plugins.so", ours


def measure() -> list[Row]:
    common.one_core()
    with tempfile.TemporaryDirectory(prefix="opwright-launch-") as workspace:
        plugin, build_ms = build_plugin(workspace)
        host = common.compile_c("launch.c", shared=False, include=(FOLDER.parent / "include",), libraries=("-ldl",))
        figures = [
            [float(word) for word in subprocess.check_output([host, plugin], text=True).split()] for _ in range(RUNS)
        ]
    imports = [float(subprocess.check_output([sys.executable, "-c", IMPORT], text=True)) for _ in range(RUNS)]
    return [
        Row("empty kernel through the C face", statistics.median(row[1] for row in figures), "us", at_most=0.5),
        Row("dlopen to first result", statistics.median(row[0] for row in figures), "ms", at_most=5),
        Row("import opwright", statistics.median(imports), "ms", at_most=100),
        Row("plugin build outside Triton, two kernels", build_ms, "ms", at_most=1000),
    ]


if __name__ == "__main__":
    common.main(measure)
