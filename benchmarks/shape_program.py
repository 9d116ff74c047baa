"""A shape program of 20 instructions, four divisions among them, evaluated by a plugin's own runtime."""

from __future__ import annotations

import subprocess
import tempfile

import common
from common import FOLDER, Row

from opwright import _core

# The number of parts of a split-K product and the bytes that they take, as instructions: 20.
PROGRAM = "max((min(max(132 // (cdiv(x.0, 64) * cdiv(x.1, 64)), 1), cdiv(x.2, 256)) * x.0 * x.1 + 127 + x.2) * 4, 1)"
VARS = 200


def op(name: str, count: int) -> dict:
    """An op without a kernel, with `count` vars of that program."""
    return {
        "name": name,
        "inputs": [{"name": "x", "type": "f32", "rank": 3}],
        "outputs": [{"name": "out", "type": "f32", "shape": "x[0:]"}],
        "vars": [[f"v{i}", PROGRAM] for i in range(count)],
        "plans": [{"launches": [{"fill": "out", "fill_byte": 0}]}],
    }


def measure() -> list[Row]:
    common.one_core()
    request = {
        "opwright": 1, "library": "libprograms.so", "namespace": "bench", "faces": ["c"], "targets": {"cpu": ["x86-64-v3"]},
        "kernels": [], "ops": [op("none", 0), op("many", VARS)],
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="opwright-programs-") as folder:
        library = _core.package(request, [], folder)["library"]
        host = common.compile_c("programs.c", shared=False, include=(FOLDER.parent / "include",), libraries=("-ldl",))
        count, ns = subprocess.check_output([host, library], text=True).split()
    return [Row(f"shape program of {count} instructions", float(ns), "ns", at_most=60)]


if __name__ == "__main__":
    common.main(measure)
