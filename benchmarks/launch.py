"""What a launch costs: an empty kernel through the C face, dlopen to first result, `import opwright`; one build."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile

import common
from common import FOLDER, Row

RUNS = 11
IMPORT = "import time; t = time.perf_counter(); import opwright; print((time.perf_counter() - t) * 1e3)"


def measure() -> list[Row]:
    common.one_core()
    with tempfile.TemporaryDirectory(prefix="opwright-launch-") as workspace:
        plugin, build_ms = common.build_plugin("launch", workspace)
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
