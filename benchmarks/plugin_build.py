"""Building a plugin of 8 ops x 4 element types x 2 CPU levels: anew, and again when nothing has changed.

Each build is a process of its own that has imported Triton before; what Triton's front end takes, from a kernel to its TTIR, does not count.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import common
from common import FOLDER, Row

ROUNDS = 3
BUILD = """
import json, sys, time
from pathlib import Path
from opwright import ttir
from opwright.plugin.build import build
ttir.import_triton()
start = time.perf_counter()
report = build(Path(sys.argv[1]), Path(sys.argv[2]), workspace=Path(sys.argv[3]))
whole = time.perf_counter() - start
front = sum(ms for name, ms in report.stages if name.startswith("TTIR of")) / 1e3
in_triton = front if report.traced else 0.0  # else it has only been read
print(json.dumps({"ours": whole - in_triton, "triton": in_triton, "kernels": report.kernels, "compiled": report.compiled}))
"""


def build(library: Path, workspace: Path) -> dict[str, float]:
    command = [sys.executable, "-c", BUILD, FOLDER / "plugin_build" / "definitions.py", library, workspace]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE)
    if done.returncode:
        raise SystemExit("plugin_build: the plugin could not be built; the message is above")
    return json.loads(done.stdout)


def sizes(library: Path) -> tuple[int, int]:
    """Bytes of the file, and those of the kernels' code."""
    from opwright.inspect import inspect

    found = inspect(library)
    return found["bytes"], sum(image["code_bytes"] for kernel in found["kernels"] for image in kernel["cpu"])


def measure() -> list[Row]:
    new, again = [], []
    with tempfile.TemporaryDirectory(prefix="opwright-build-") as folder:
        library = Path(folder, "libbench.so")
        for index in range(ROUNDS):
            new.append(build(library, Path(folder, str(index))))
            again.append(build(library, Path(folder, str(index))))
        file, code = sizes(library)
    if any(b["compiled"] for b in again):
        raise SystemExit("plugin_build: kernels were compiled again though nothing has changed")
    triton = statistics.median(b["triton"] for b in new)
    note = f"{new[0]['kernels']} kernels, each for two levels; Triton's own {triton:.2f} s do not count"
    kernels = f"the file has {file / 1e3:.0f} kB, code of kernels {code / 1e3:.0f}"
    return [
        Row(
            "build of 8 ops x 4 types x 2 levels", statistics.median(b["ours"] for b in new), "s", at_most=2, note=note
        ),
        Row("the same again, nothing changed", statistics.median(b["ours"] for b in again), "s", at_most=0.2),
        Row("the library beyond its kernels", (file - code) / 1e3, "kB", at_most=400, note=kernels),
    ]


if __name__ == "__main__":
    common.main(measure)
