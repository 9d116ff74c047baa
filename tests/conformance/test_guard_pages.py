"""A masked-off lane never touches memory: arrays that end, and begin, at pages that may not be touched. In a process that may die of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_memory_beside_an_array_is_not_touched():
    tests = Path(__file__).resolve().parents[1]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-m", "conformance.guard_cases"], capture_output=True, text=True, env=env, timeout=600
    )
    last = done.stdout.strip().rsplit("\n", 1)[-1]
    assert done.returncode == 0 and last == "done", (
        f"exit status {done.returncode} after: {last}\n{done.stderr[-3000:]}"
    )
