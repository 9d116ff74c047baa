"""What every benchmark uses: C peers built on the fly, interleaved timing, and rows with their targets.

A benchmark is a script with `measure() -> list[Row]`; alone it prints its rows, with --json a list for run_all.py.
Whatever is compared is timed in turns, in one process and on one core (where a row does not say otherwise), and each side's median
counts.
"""

from __future__ import annotations

import ctypes
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
_TRITONS_OWN = ("import of Triton", "TTIR of")  # stages of plugin-gen
_temporary = tempfile.TemporaryDirectory(prefix="opwright-benchmark-")  # lives as long as the process


@dataclass
class Row:
    """One figure. `at_least` or `at_most` is its target; without either it is there for the reader."""

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def ok(self) -> bool:
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)

    @property
    def target(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g} {self.unit}"
        return "" if self.at_most is None else f"<= {self.at_most:g} {self.unit}"


def one_core() -> None:
    """Keeps this process, and the threads it starts from now on, on the last core it may use."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def use_cpu_backend() -> None:
    """Triton's driver is ours, also where a GPU is; kernels are compiled anew in every run."""
    os.environ["TRITON_DEFAULT_BACKEND"] = "cpu"
    os.environ["TRITON_CACHE_DIR"] = f"{_temporary.name}/cache"


def compile_c(
    *sources: str, shared: bool = True, include: tuple[Path, ...] = (), libraries: tuple[str, ...] = ()
) -> Path:
    """Builds benchmarks/peers/<sources>, C or C++, for this machine and gives the library, or the program."""
    out = Path(_temporary.name, Path(sources[0]).stem + (".so" if shared else ""))
    kind = ["-shared", "-fPIC"] if shared else []
    paths = [FOLDER / "peers" / source for source in sources]
    cxx = sources[0].endswith(".cpp")
    command = [os.environ.get("CXX", "c++"), "-std=c++17"] if cxx else [os.environ.get("CC", "cc"), "-std=gnu11"]
    flags = ["-O3", "-march=native", *kind, *(f"-I{folder}" for folder in include)]
    subprocess.run([*command, *flags, *paths, "-o", out, *libraries], check=True)
    return out


def load_c(*sources: str) -> ctypes.CDLL:
    return ctypes.CDLL(str(compile_c(*sources)))


def build_plugin(name: str, workspace: str) -> tuple[Path, float]:
    """The plugin of <name>/kernel_config.py, and the milliseconds of its build outside Triton's own."""
    command = [sys.executable, "-m", "opwright", "plugin-gen", "--workspace", workspace, "--json"]
    done = subprocess.run(
        [*command, "--kernel_config", str(FOLDER / name / "kernel_config.py")], text=True, stdout=subprocess.PIPE
    )
    if done.returncode:
        raise SystemExit(f"{name}: the plugin could not be built; the message is above")
    stages = json.loads(done.stdout)["stages"]
    ours = sum(stage["ms"] for stage in stages if not stage["name"].startswith(_TRITONS_OWN))
    return Path(workspace) / "output" / "libtriton_plugins.so", ours


def address(array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def interleaved(sides: dict[str, Callable[[], object]], rounds: int, warm_up: int = 3) -> dict[str, float]:
    """Median seconds of each side; sides take turns, and the order of a round is the reverse of the last."""
    names = list(sides)
    times: dict[str, list[float]] = {name: [] for name in names}
    for index in range(warm_up + rounds):
        for name in names if index % 2 else reversed(names):
            start = time.perf_counter()
            sides[name]()
            seconds = time.perf_counter() - start
            if index >= warm_up:
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def main(measure: Callable[[], list[Row]]) -> None:
    rows = measure()
    if "--json" in sys.argv[1:]:
        print(json.dumps([asdict(row) for row in rows]))
        return
    for row in rows:
        verdict = "" if not row.target else f"  {'ok  ' if row.ok else 'MISS'}  {row.target}"
        print(f"{row.name:<52} {row.value:9.3f} {row.unit:<6}{verdict}  {row.note}".rstrip())
