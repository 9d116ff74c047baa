"""Builds the attention plugin, runs it in C, C++, NumPy, TVM-FFI and ONNX Runtime on the same inputs, and compares with float64 NumPy.

python examples/fused_attention/demo.py [--workspace W]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HEAD, SCALE = 64, 0.125
# batch, heads, sequence: with sequences that are no multiple of the block, and the largest last, which is also timed
SHAPES = [
    (1, 8, 1),
    (2, 16, 2),
    (4, 8, 63),
    (3, 8, 64),
    (1, 16, 65),
    (2, 8, 200),
    (4, 16, 333),
    (1, 16, 1000),
    (1, 8, 2048),
]
OUT_TOLERANCE, LSE_TOLERANCE = 4e-3, 1e-3  # Out and the probabilities are rounded to fp16

Run = Callable[[np.ndarray, np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray, float]]
console = Console()


def reference(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Causal attention in float64, one head at a time."""
    out, lse = np.empty(q.shape), np.empty(q.shape[:3])
    hidden = np.triu(np.ones((q.shape[2], q.shape[2]), bool), 1)
    for at in np.ndindex(q.shape[:2]):
        scores = q[at].astype(np.float64) @ k[at].astype(np.float64).T * SCALE
        scores[hidden] = -np.inf
        top = scores.max(1, keepdims=True)
        p = np.exp(scores - top)
        total = p.sum(1, keepdims=True)
        out[at] = p @ v[at].astype(np.float64) / total
        lse[at] = (top + np.log(total))[:, 0]
    return out, lse


def timed(repeats: int, call: Callable[[], tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, float]:
    """Result and shortest time in ms."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        out, lse = call()
        best = min(best, (time.perf_counter() - start) * 1e3)
    return out, lse, best


def numpy_host(output: Path) -> Run:
    """The generated functional.py on NumPy arrays."""
    sys.path.insert(0, str(output))
    import functional

    return lambda q, k, v, n: timed(n, lambda: functional.fused_attention_kernel(SCALE, q, k, v))


def onnxruntime_host(output: Path, model: Path) -> Run:
    """An ONNX model with the operator, in ONNX Runtime."""
    import onnx
    import onnxruntime
    from make_model import make_model

    onnx.save(make_model(SCALE), model)
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(output / "libtriton_plugins.so"))
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return lambda q, k, v, n: timed(n, lambda: tuple(session.run(None, {"Q": q, "K": k, "V": v})))


def tvm_ffi_host(output: Path) -> Run:
    """The stock TVM-FFI; the caller makes the outputs."""
    import tvm_ffi

    op = tvm_ffi.load_module(str(output / "libtriton_plugins.so")).fused_attention_kernel

    def call(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        out, lse = np.empty_like(q), np.empty(q.shape[:3], np.float32)
        op(q, k, v, SCALE, out, lse)
        return out, lse

    return lambda q, k, v, n: timed(n, lambda: call(q, k, v))


def program_host(output: Path, folder: Path, source: str, compiler: list[str]) -> Run:
    """main.c or main.cpp, compiled here with the system's compiler."""
    program = folder / source.replace(".", "_")
    include = f"-I{ROOT / 'include'}"
    subprocess.run([*compiler, "-O2", include, str(HERE / source), "-ldl", "-o", str(program)], check=True)

    def run(q: np.ndarray, k: np.ndarray, v: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, float]:
        files = [folder / f"{name}.bin" for name in ("q", "k", "v", "out", "lse")]
        for array, path in zip((q, k, v), files, strict=False):
            array.tofile(path)
        words = [program, output / "libtriton_plugins.so", *q.shape[:3], SCALE, n, *files]
        done = subprocess.run([str(w) for w in words], check=True, stdout=subprocess.PIPE, text=True)
        out = np.fromfile(files[3], np.float16).reshape(q.shape)
        return out, np.fromfile(files[4], np.float32).reshape(q.shape[:3]), float(done.stdout)

    return run


def compiler(variable: str, *names: str) -> list[str]:
    """The command of the variable, or the first of the names that is there."""
    return (os.environ.get(variable) or next(filter(shutil.which, names), names[0])).split()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=ROOT / "build" / "demo", help="where everything is built")
    workspace: Path = parser.parse_args().workspace.resolve()
    sys.path.insert(0, str(HERE))
    from opwright.errors import OpwrightError
    from opwright.plugin_gen.build import plugin_gen

    try:
        with console.status("building the plugin") as status:
            report = plugin_gen(workspace, HERE / "kernel_config.py", progress=lambda stage: status.update(stage))
    except OpwrightError as e:
        print(f"error: {e}", file=sys.stderr)
        return e.exit_code
    output = report.library.parent
    hosts = {
        "C": program_host(output, workspace, "main.c", [*compiler("CC", "cc", "gcc", "clang"), "-std=c11"]),
        "C++": program_host(output, workspace, "main.cpp", [*compiler("CXX", "c++", "g++", "clang++"), "-std=c++17"]),
        "NumPy": numpy_host(output),
        "TVM-FFI": tvm_ffi_host(output),
        "ONNX Runtime": onnxruntime_host(output, workspace / "attention.onnx"),
    }
    errors = {name: [0.0, 0.0] for name in hosts}
    times = dict.fromkeys(hosts, 0.0)
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        q, k, v = (rng.standard_normal((*shape, HEAD)).astype(np.float16) for _ in range(3))
        expected = reference(q, k, v)
        for name, run in hosts.items():
            *found, times[name] = run(q, k, v, 5 if shape == SHAPES[-1] else 1)
            for i, (array, right) in enumerate(zip(found, expected, strict=True)):
                error = float(np.abs(array - right).max()) if np.isfinite(array).all() else float("inf")
                errors[name][i] = max(errors[name][i], error)
    return show(report, workspace, errors, times)


def show(report, workspace: Path, errors: dict[str, list[float]], times: dict[str, float]) -> int:
    """Prints the tables; 4 when a host is outside the tolerance."""
    batch, heads, sequence = SHAPES[-1]
    table = Table(title=f"Causal attention, fp16, {len(SHAPES)} shapes, against float64 NumPy", title_justify="left")
    for column in ("host", f"max error of Out (<= {OUT_TOLERANCE:g})", f"of Lse (<= {LSE_TOLERANCE:g})",
                   f"ms, batch {batch}, heads {heads}, sequence {sequence}", ""):  # fmt: skip
        table.add_column(column, justify="left" if column in ("host", "") else "right")
    good = True
    for name, (out, lse) in errors.items():
        fits = out <= OUT_TOLERANCE and lse <= LSE_TOLERANCE
        good = good and fits
        table.add_row(name, f"{out:.2e}", f"{lse:.2e}", f"{times[name]:.2f}", "ok" if fits else "[red]WRONG")
    console.print(table)
    stages = Table("stage of the build", "ms", title_justify="left")
    stages.columns[1].justify = "right"
    for name, ms in report.stages:
        stages.add_row(name, f"{ms:.1f}")
    stages.add_row("total", f"{sum(ms for _, ms in report.stages):.1f}", style="bold")
    console.print(stages)
    print(f"the plugin       {report.library}")
    print(f"Python functions {report.functional}")
    print(f"the ONNX model   {workspace / 'attention.onnx'}")
    print(f"the C program    {workspace / 'main_c'} (source: {HERE / 'main.c'})")
    print(f"the C++ program  {workspace / 'main_cpp'} (source: {HERE / 'main.cpp'})")
    print(f"TTIR, request    {workspace}")
    return 0 if good else 4


if __name__ == "__main__":
    sys.exit(main())
