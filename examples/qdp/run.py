"""TensorRT's samples of quickly deployable plugins on this machine's hosts.

run.py circ_pad                          impl, as nodes of an ONNX model in onnx's reference evaluator
run.py circ_pad --mode inetdef           impl, called by itself
run.py circ_pad --aot                    aot_impl: a library, in ONNX Runtime
run.py circ_pad --aot --mode inetdef     the library, called by itself
run.py circ_pad --aot --save_engine      keeps the model and the library: an engine
run.py circ_pad --load_engine            runs an engine, without the definitions and without Triton
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from engine import (
    SAMPLES,
    EngineError,
    Network,
    chained,
    dtypes_of,
    in_onnxruntime,
    in_python,
    library_path,
    model_path,
)

HERE = Path(__file__).resolve().parent
REFERENCE = "onnx's reference evaluator"
HOSTS = {"onnx": "ONNX Runtime", "inetdef": "Python, call by call"}
EXIT_OK, EXIT_REFUSED, EXIT_WRONG = 0, 1, 4
CALLS = 20  # of which the fastest counts


def arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sample", choices=list(SAMPLES))
    parser.add_argument("--mode", choices=("onnx", "inetdef"), default="onnx", help="a model, or calls one by one")
    parser.add_argument(
        "--aot", action="store_true", help="build a library of aot_impl; without it impl runs, in Python"
    )
    parser.add_argument(
        "--autotune", action="store_true", help="add FP16; without it there are the model's types, FP32"
    )
    parser.add_argument("--multi_tactic", action="store_true", help="circ_pad: every tactic")
    engine = parser.add_mutually_exclusive_group()
    engine.add_argument("--save_engine", action="store_true", help="keep the model and the library")
    engine.add_argument("--load_engine", action="store_true", help="run what was kept")
    parser.add_argument("--artifacts_dir", type=Path, help="where an engine is kept (build/qdp)")
    parser.add_argument("-v", "--verbose", action="store_true", help="say what is built")
    args = parser.parse_args(words)
    if args.multi_tactic and args.sample != "circ_pad":
        parser.error(f"--multi_tactic: {args.sample} has one tactic, circ_pad has two")
    if args.load_engine and (args.autotune or args.multi_tactic):
        parser.error("--load_engine takes no --autotune and no --multi_tactic: an engine has what it was saved with")
    if args.save_engine and not args.aot:
        parser.error("--save_engine needs --aot: an engine is a model and a library, and impl is in neither")
    if args.artifacts_dir and not (args.save_engine or args.load_engine):
        parser.error("--artifacts_dir needs --save_engine or --load_engine")
    args.artifacts_dir = (args.artifacts_dir or HERE.parents[1] / "build" / "qdp").absolute()
    return args


def main(words: list[str] | None = None) -> int:
    args = arguments(words)
    if args.load_engine:
        return load(args)
    import definitions

    from opwright.errors import OpwrightError

    try:
        register(args, definitions)
        if not args.aot:
            return run_impl(args, definitions)
        if args.save_engine:
            return build(args, args.artifacts_dir, definitions)
        with tempfile.TemporaryDirectory(prefix="qdp-") as folder:
            return build(args, Path(folder), definitions)
    except (OpwrightError, OSError) as e:
        print(f"error: {e}", file=sys.stderr)
        return getattr(e, "exit_code", EXIT_REFUSED)


def register(args: argparse.Namespace, definitions: Any) -> None:
    """The autotune functions that the flags ask for; importing the definitions registered the rest."""
    if args.sample != "circ_pad":
        if args.autotune:
            getattr(definitions, f"autotune_{args.sample}")()
    elif args.autotune or args.multi_tactic:
        tactics = definitions.BlockTactic if args.aot else definitions.Tactic
        definitions.autotune_circ_pad(
            "FP32|FP16" if args.autotune else "FP32", list(tactics) if args.multi_tactic else list(tactics)[:1]
        )


def dtypes(args: argparse.Namespace) -> tuple[str, ...]:
    return ("float32", "float16") if args.autotune else ("float32",)


def run_impl(args: argparse.Namespace, definitions: Any) -> int:
    """Just in time: the impl of the definitions, with each tactic."""
    from model import in_reference_evaluator

    import opwright.plugin as trtp

    sample = SAMPLES[args.sample]
    print(f"{args.sample}: impl of {sample.op}, in {REFERENCE if args.mode == 'onnx' else HOSTS[args.mode]}")
    good = True
    for dtype in dtypes(args):
        for tactic in definitions.Tactic if args.multi_tactic else (None,):
            impl = partial(trtp.call, sample.op, tactic=int(tactic or 0))
            network = in_reference_evaluator(sample, dtype, impl) if args.mode == "onnx" else chained(sample, impl)
            good &= check(args.sample, dtype, network, f"tactic {tactic.name}" if tactic else "")
    return EXIT_OK if good else EXIT_WRONG


def build(args: argparse.Namespace, folder: Path, definitions: Any) -> int:
    """Ahead of time: models, a library for them, and a process that runs these and nothing else."""
    save_engine(args, folder)
    words = [sys.executable, str(HERE / "run.py"), args.sample, "--load_engine", "--mode", args.mode]
    codes = []
    for tactic in definitions.BlockTactic if args.multi_tactic else (None,):
        chosen = {"OPW_TACTIC": f"{SAMPLES[args.sample].op}={tactic}"} if tactic else {}
        if tactic:
            print(f"tactic {tactic.name}, OPW_TACTIC={chosen['OPW_TACTIC']}:")
        sys.stdout.flush()
        done = subprocess.run([*words, "--artifacts_dir", str(folder)], env=os.environ | chosen)
        codes.append(done.returncode)
    return max(codes)


def save_engine(args: argparse.Namespace, folder: Path) -> None:
    """Writes an engine, in place of an earlier one."""
    import onnx
    from model import make_model

    import opwright.plugin.build

    sample = SAMPLES[args.sample]
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{args.sample}_*.onnx"):
        old.unlink()
    models = [model_path(folder, args.sample, dtype) for dtype in dtypes(args)]
    for path, dtype in zip(models, dtypes(args), strict=True):
        onnx.save(make_model(sample, dtype), path)
    report = opwright.plugin.build.build(
        None, library_path(folder, args.sample), ops=[sample.op], models=models,
        progress=print_stage if args.verbose else lambda stage: None,
    )  # fmt: skip
    ms = sum(ms for _, ms in report.stages)
    print(f"{args.sample}: aot_impl of {sample.op}, {report.kernels} kernels, built in {ms:.0f} ms")
    if args.save_engine:
        print(f"engine: {folder}: {', '.join(path.name for path in [*models, report.library])}")


def print_stage(stage: str) -> None:
    print(f"  {stage}")


def load(args: argparse.Namespace) -> int:
    """Runs an engine."""
    name, folder = args.sample, args.artifacts_dir
    print(f"{name}: engine in {HOSTS[args.mode]}")
    good = True
    try:
        for dtype in dtypes_of(folder, name):
            network = in_onnxruntime(folder, name, dtype) if args.mode == "onnx" else in_python(folder, name)
            good &= check(name, dtype, network)
    except EngineError as e:
        print(f"error: {e}", file=sys.stderr)
        return EXIT_REFUSED
    return EXIT_OK if good else EXIT_WRONG


def check(name: str, dtype: str, network: Network, text: str = "") -> bool:
    """Runs a network, compares with NumPy, and prints a line."""
    sample = SAMPLES[name]
    x = sample.data().astype(dtype)
    expected = sample.expected(x)
    times = []
    for _ in range(CALLS):
        given = x.copy()
        start = time.perf_counter()
        found = network(given)
        times.append(time.perf_counter() - start)
    right = len(found) == len(expected) and all(
        array.dtype == want.dtype and np.array_equal(array, want) for array, want in zip(found, expected, strict=True)
    )
    shared = ", in the memory of x" if found[0] is given or np.shares_memory(found[0], given) else ""
    shapes = ", ".join(str(array.shape) for array in found)
    print(
        f"  {dtype} {x.shape} -> {shapes}{shared}: {min(times) * 1e3:.3f} ms, {'ok' if right else 'WRONG'} {text}".rstrip()
    )
    return right


if __name__ == "__main__":
    sys.exit(main())
