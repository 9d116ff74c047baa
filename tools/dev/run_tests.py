"""Runs the stages of ./dev demo, test, test-all, bench and format, each with its time, and sums up what failed.

A stage is a function that raises Failed with one sentence. Stages that only need the sources run before the build; when
the build fails, those that need it are reported as not run. Called by ./dev in the environment that it has set up.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import programs
import skips

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "wheel"
STAMP = BUILD / "opwright-build.json"
JOBS = os.environ.get("OPW_JOBS") or str(len(os.sched_getaffinity(0)))
CXX_FOLDERS = ("include", "src", "runtime", "tools", "python", "tests", "examples", "benchmarks")
OLDER_TRITONS = ("3.6.0", "3.7.1", "3.8.0")
WORKER_BYTES = 3 << 30  # of a process of pytest, at most
FUZZ_SEED = 20261124
FUZZ_KERNELS = ("tests/ir/ttir", "tests/passes", "tests/fuzz/corpus")
# Inputs of the long run and their corpus, by target: of the compiler the parser alone, all stages before code generation, all
# stages; of a library expressions, programs, damaged tables, calls.
FUZZ_LONG: dict[str, tuple[int, tuple[str, ...]]] = {
    "fuzz_ttir": (10_000_000, FUZZ_KERNELS[:1]),
    "fuzz_pipeline": (1_000_000, FUZZ_KERNELS),
    "fuzz_emit": (20_000, FUZZ_KERNELS),
    "fuzz_expression": (500_000, ("tests/fuzz/corpus/sizes.expressions", "tests/fuzz/corpus/floats.expressions")),
    "fuzz_program": (1_000_000, ()),
    "fuzz_tables": (3_000_000, ()),
    "fuzz_views": (5_000_000, ()),
}
LLVM_WITH_AARCH64 = "mlc-llvm-static[all]>=23.1.1.post0,<24"
CROSS = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    "qemu-aarch64": "qemu-user",
}


class Failed(Exception):
    """A stage failed; the text says what, in one sentence."""


@dataclass
class Options:
    command: str
    pytest_args: list[str]


@dataclass
class Stage:
    name: str
    run: Callable[[Options], None]
    needs: tuple[str, ...] = ("build",)  # stages: where one of them failed, this one is not run


def call(*command: str | Path, env: dict[str, str] | None = None, what: str = "", log: Path | None = None) -> str:
    """Runs a command in the root. With `log` its output goes there and is returned, and is shown when it fails."""
    words = [str(word) for word in command]
    merged = os.environ | (env or {})
    if log is None:
        if subprocess.run(words, cwd=ROOT, env=merged).returncode:
            raise Failed(what or f"{Path(words[0]).name} failed; its output is above")
        return ""
    log.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(words, cwd=ROOT, env=merged, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    log.write_text(done.stdout)
    if done.returncode:
        lines = done.stdout.splitlines()
        print("\n".join(lines[-200:]))
        raise Failed(f"{what or Path(words[0]).name + ' failed'}; the whole output is in {log.relative_to(ROOT)}")
    return done.stdout


def python(*args: str | Path, **options) -> str:
    return call(sys.executable, *args, **options)


# --- sources -------------------------------------------------------------------------------------------------------


def cxx_files() -> list[str]:
    suffixes = {".h", ".hpp", ".c", ".cpp"}
    found = (path for folder in CXX_FOLDERS for path in (ROOT / folder).rglob("*"))
    return sorted(str(path.relative_to(ROOT)) for path in found if path.suffix in suffixes)


def check_format(options: Options) -> None:
    call("clang-format", "--dry-run", "-Werror", *cxx_files(), what="C++ is not in format; run ./dev format")
    call("ruff", "check", "--quiet", ".", what="ruff found the lines above; ./dev format mends most")
    call("ruff", "format", "--check", "--quiet", ".", what="Python is not in format; run ./dev format")


def put_in_format(options: Options) -> None:
    call("clang-format", "-i", *cxx_files())
    call("ruff", "check", "--fix", "--quiet", ".", what="ruff found lines above that it cannot mend")
    call("ruff", "format", "--quiet", ".")


def check_layers(options: Options) -> None:
    python("tools/dev/check_layers", what="the lines above break tools/dev/layers.txt")


# --- build ---------------------------------------------------------------------------------------------------------


def digest(*paths: str) -> str:
    """One hash over the names and contents of all files below the paths."""
    total = hashlib.sha256()
    for start in paths:
        top = ROOT / start
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def installed_package() -> str:
    """What pip knows of the installed package: another installation over ours changes it."""
    folders = sorted(Path(sys.prefix).glob("lib/python3*/site-packages/opwright-*.dist-info/RECORD"))
    return hashlib.sha256(folders[0].read_bytes()).hexdigest() if folders else ""


def build(options: Options) -> None:
    """Builds the wheel in build/wheel, incrementally, and installs it; nothing is done when no source changed."""
    with_tests = options.command.startswith("test")
    stamp = {
        "product": digest("CMakeLists.txt", "cmake", "include", "src", "runtime", "python", "tools", "pyproject.toml"),
        "tests": digest(
            *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").glob("*") if path.suffix != ".txt")
        ),
        "python": sys.version,
    }
    try:
        old = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        old = {}
    same = all(
        old.get(key) == stamp[key] for key in (("product", "tests", "python") if with_tests else ("product", "python"))
    )
    if same and old.get("installed") == installed_package() != "":
        return
    STAMP.unlink(missing_ok=True)
    setting = "--config-settings"  # the long name: Debian 12's pip has no -C
    defines = [f"{setting}=cmake.define.OPW_TESTS=ON", f"{setting}=cmake.define.OPW_WERROR=ON"] if with_tests else []
    log = ROOT / "build" / "logs" / "build.log"
    env = {"CMAKE_BUILD_PARALLEL_LEVEL": JOBS}
    pip = [
        "-m",
        "pip",
        "install",
        "-v",
        "--disable-pip-version-check",
        "--no-build-isolation",
        "--no-deps",
        "--force-reinstall",
    ]
    python(*pip, f"{setting}=build-dir={BUILD}", *defines, ROOT, env=env, what="the build failed", log=log)
    STAMP.write_text(
        json.dumps(stamp | {"installed": installed_package(), "tests": stamp["tests"] if with_tests else ""})
    )


# --- tests ---------------------------------------------------------------------------------------------------------


def run_ctest(folder: Path, *selection: str, env: dict[str, str] | None = None) -> None:
    log = ROOT / "build" / "logs" / f"ctest-{folder.name}.log"
    command = ["ctest", "--test-dir", folder, "-V", "-j", JOBS, "--no-tests=error", *selection]
    output = call(*command, env=env, what="C++ tests failed", log=log)
    print(
        "\n".join(line for line in output.splitlines() if "tests passed" in line or line.startswith("Total Test time"))
    )
    skipped = re.findall(r"^\d+: \[  SKIPPED \] (\S+) \(", output, re.MULTILINE)
    skips.require_allowed([(name, "see the log") for name in sorted(set(skipped))], Failed)


def unit(options: Options) -> None:
    run_ctest(BUILD, "-LE", "fuzz")


def fuzz(options: Options) -> None:
    """The seeded samples, as tests/fuzz/CMakeLists.txt gives them."""
    run_ctest(BUILD, "-L", "fuzz")


def fuzz_long(options: Options) -> None:
    """Under the address sanitizer, one process per core, each with its own seed; run after the stage asan has built it."""
    for name, (inputs, corpus) in FUZZ_LONG.items():
        driver = ROOT / "build" / "asan" / "tests" / "fuzz" / name
        seeds = [FUZZ_SEED + index for index in range(int(JOBS))]
        count = inputs // len(seeds)
        commands = [[driver, "--seed", str(seed), "--count", str(count), *corpus] for seed in seeds]
        runs = [subprocess.Popen(command, cwd=ROOT) for command in commands]
        codes = [run.wait() for run in runs]
        bad = [seed for seed, code in zip(seeds, codes, strict=True) if code]
        if bad:
            raise Failed(f"{name} failed on a mutated input with seed {bad[0]}; the input is in crash-{bad[0]}-*.txt")


def workers() -> str:
    """Processes of pytest: one per job, where each has the memory that torch and the compiler take."""
    free = next(
        int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if "MemAvailable" in line
    )
    return str(max(1, min(int(JOBS), free * 1024 // WORKER_BYTES)))


def parallel_pytest(
    *arguments: str, what: str, env: dict[str, str] | None = None, interpreter: str | Path = sys.executable
) -> None:
    """Python tests on all cores. A file's tests stay together until a worker has none left, so that what a module builds is mostly
    built once; `-n 0` among the arguments runs them in one process, as --pdb needs."""
    call(interpreter, "-m", "pytest", "-q", "-n", workers(), "--dist", "worksteal", *arguments, what=what, env=env)


def pytest(options: Options) -> None:
    parallel_pytest("-m", "not install", *options.pytest_args, what="Python tests failed", env={"OPW_DEV": "1"})


def install(options: Options) -> None:
    python("-m", "pytest", "-q", "-m", "install", what="the installation test failed")


def suite_v3(options: Options) -> None:
    """The conformance suite compiled for AVX2, which has no masks for narrow elements and other vector widths."""
    env = {"OPW_TEST_LEVEL": "x86-64-v3"}
    parallel_pytest("tests/conformance", env=env, what="the conformance suite failed on x86-64-v3")


def older_triton(version: str) -> Callable[[Options], None]:
    """The Python tests under another Triton: an environment with that wheel alone before all packages of ours."""

    def run(options: Options) -> None:
        venv = ROOT / ".venvs" / f"triton-{version}"
        shutil.rmtree(venv, ignore_errors=True)
        try:
            python("-m", "venv", "--without-pip", venv)
            pip = [
                "-m",
                "pip",
                "--python",
                venv / "bin" / "python",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ]
            python(*pip, "--no-deps", f"triton=={version}", what=f"pip could not install triton {version}")
            ours = next(Path(sys.prefix).glob("lib/python3*/site-packages"))
            theirs = next(venv.glob("lib/python3*/site-packages"))
            (theirs / "opwright-environment.pth").write_text(f"{ours}\n")
            env = {"TRITON_CACHE_DIR": str(venv / "cache"), "OPW_EXPECT_TRITON": version}
            parallel_pytest("-m", "not install", "-p", "no:cacheprovider", "--ignore=tests/python/test_repository.py", "tests/python",
                            "tests/pytorch", "tests/conformance", env=env, interpreter=venv / "bin" / "python",
                            what=f"Python tests failed under Triton {version}")  # fmt: skip
        finally:
            shutil.rmtree(venv, ignore_errors=True)

    return run


def build_preset(preset: str) -> None:
    logs = ROOT / "build" / "logs"
    call("cmake", "--preset", preset, f"-DPython_EXECUTABLE={sys.executable}", log=logs / f"{preset}-configure.log")
    call("cmake", "--build", "--preset", preset, "-j", JOBS, log=logs / f"{preset}-build.log")


def sanitized(preset: str, *selection: str) -> Callable[[Options], None]:
    def run(options: Options) -> None:
        build_preset(preset)
        run_ctest(ROOT / "build" / preset, *selection, env={"UBSAN_OPTIONS": "print_stacktrace=1"})

    return run


def asan_suite(options: Options) -> None:
    """The conformance suite with the compiler and the launcher under sanitizers: a module that is built with them takes the place of
    the installed one in a copy of the package."""
    build_preset("asan-python")
    folder = ROOT / "build" / "asan-python"
    site = folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    installed = next(Path(sys.prefix).glob("lib/python3*/site-packages/opwright"))
    shutil.copytree(installed, site / "opwright", ignore=shutil.ignore_patterns("_core*"))
    for module in (folder / "python" / "bindings").glob("_core*.so"):
        shutil.copy(module, site / "opwright")
    compiler = os.environ.get("CXX", "c++")
    runtime = subprocess.run([compiler, "-print-file-name=libasan.so"], text=True, stdout=subprocess.PIPE, check=True)
    env = {
        "LD_PRELOAD": runtime.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter's
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "PYTHONPATH": str(site),
        "OPW_EXPECT_MODULE": str(site),
    }
    parallel_pytest("tests/conformance", env=env, what="the conformance suite failed under the sanitizers")


def aarch64(options: Options) -> None:
    """Kernels for aarch64 under qemu-user, from a build with an LLVM of its own; both go away afterwards."""
    programs.require(CROSS, Failed)
    venv, folder, logs = ROOT / ".venvs" / "aarch64", ROOT / "build" / "aarch64", ROOT / "build" / "logs"
    try:
        python("-m", "venv", "--clear", "--without-pip", venv)
        pip = ["-m", "pip", "--python", venv / "bin" / "python", "install", "--quiet", "--disable-pip-version-check"]
        python(*pip, LLVM_WITH_AARCH64, what=f"pip could not install {LLVM_WITH_AARCH64}")
        call("cmake", "--preset", "dev", "-B", folder, "-DOPW_PYTHON=OFF", "-DOPW_EMULATOR=ON",
             f"-DPython_EXECUTABLE={venv / 'bin' / 'python'}", log=logs / "aarch64-configure.log")  # fmt: skip
        call("cmake", "--build", folder, "-j", JOBS, "--target", "emulator_test", "codegen_test",
             log=logs / "aarch64-build.log")  # fmt: skip
        run_ctest(folder, "-L", "emulator")
    finally:
        shutil.rmtree(venv, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


# --- demo, benchmarks ------------------------------------------------------------------------------------------------


def demo(options: Options) -> None:
    python("examples/fused_attention/demo.py", what="the demo failed")


def bench(options: Options) -> None:
    python("benchmarks/run_all.py", what="a benchmark failed or missed its target")


# --- the runner ------------------------------------------------------------------------------------------------------

SOURCES = [Stage("format", check_format, needs=()), Stage("layers", check_layers, needs=())]
BUILD_STAGE = Stage("build", build, needs=())
TESTS = [Stage("unit", unit), Stage("fuzz", fuzz), Stage("pytest", pytest), Stage("install", install)]
MORE = [
    Stage("suite-v3", suite_v3),
    *(Stage(f"triton-{version}", older_triton(version)) for version in OLDER_TRITONS),
    Stage("asan", sanitized("asan", "-LE", "fuzz"), needs=()),
    Stage("asan-suite", asan_suite),
    Stage("fuzz-long", fuzz_long, needs=("asan",)),
    Stage("tsan", sanitized("tsan", "-R", "pool|launch|threads"), needs=()),
    Stage("aarch64", aarch64, needs=()),
]
COMMANDS = {
    "demo": [BUILD_STAGE, Stage("demo", demo)],
    "test": [*SOURCES, BUILD_STAGE, *TESTS],
    "test-all": [*SOURCES, BUILD_STAGE, *TESTS, *MORE],
    "bench": [BUILD_STAGE, Stage("bench", bench)],
    "format": [Stage("format", put_in_format, needs=())],
}


def run_stages(stages: list[Stage], options: Options) -> list[tuple[str, str, float]]:
    """Every stage's name, what went wrong ("" for nothing) and its seconds."""
    results: list[tuple[str, str, float]] = []
    for stage in stages:
        start = time.monotonic()
        problem = ""
        failed = [name for name, why, _ in results if why and name in stage.needs]
        if failed:
            problem = "not run: the build failed" if failed[0] == "build" else f"not run: {failed[0]} failed"
        else:
            print(f"dev: {stage.name} ...", flush=True)
            try:
                stage.run(options)
            except Failed as failure:
                problem = str(failure)
            except OSError as error:
                problem = f"could not start: {error}"
        seconds = time.monotonic() - start
        results.append((stage.name, problem, seconds))
        print(f"dev: {stage.name:<22} {seconds:6.1f} s  {problem or 'ok'}", flush=True)
    return results


def main(argv: list[str]) -> int:
    at = argv.index("--") if "--" in argv else len(argv)
    own, pytest_args = argv[:at], argv[at + 1 :]
    parser = argparse.ArgumentParser(prog="./dev")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("stages", nargs="*", help="only these stages, in their order")
    parser.add_argument("--list", action="store_true", help="list the stages and do nothing")
    args = parser.parse_args(own)
    stages = COMMANDS[args.command]
    if args.list:
        print("\n".join(stage.name for stage in stages))
        return 0
    unknown = set(args.stages) - {stage.name for stage in stages}
    if unknown:
        parser.error(
            f"found stage '{sorted(unknown)[0]}', expected one of: " + ", ".join(stage.name for stage in stages)
        )
    if args.stages:
        stages = [stage for stage in stages if stage.name in args.stages]
    start = time.monotonic()
    results = run_stages(stages, Options(args.command, pytest_args))
    failed = [(name, why) for name, why, _ in results if why]
    print(f"dev: {args.command}: {time.monotonic() - start:.1f} s in all")
    for name, why in failed:
        print(f"dev: FAILED {name}: {why}")
    if args.command.startswith("test"):
        print(f"stages: {len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
