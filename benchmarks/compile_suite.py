"""Compilation of one kernel per family of operations (tests/ir/ttir): median and worst time, and the memory that it takes."""

from __future__ import annotations

import resource
import statistics
from pathlib import Path

import common
from common import Row

TEXTS = Path(__file__).resolve().parents[1] / "tests" / "ir" / "ttir"
ROUNDS = 5


def measure() -> list[Row]:
    common.one_core()
    common.use_cpu_backend()
    import triton  # noqa: F401  what a user has loaded anyway

    from opwright import _core

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times: dict[str, float] = {}
    for path in sorted(TEXTS.glob("*.ttir")):
        text = path.read_text()
        try:
            runs = [sum(ms for _, ms in _core.compile(text).times) for _ in range(ROUNDS)]
        except _core.CompileError:
            assert "inline_asm" in text, path.name  # assembly of a GPU
            continue
        times[path.stem] = statistics.median(runs)
    worst = max(times, key=times.__getitem__)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return [
        Row(f"compile, median of {len(times)} kernels", statistics.median(times.values()), "ms", at_most=12),
        Row("compile, slowest of them", times[worst], "ms", at_most=250, note=worst),
        Row("memory over `import triton` after all", grown, "MB", at_most=200),
    ]


if __name__ == "__main__":
    common.main(measure)
