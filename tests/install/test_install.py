"""What a user does: `pip install .` in a fresh environment, with build isolation, then use what it installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.install

IMPORT_LIMIT_MS = 100
MEASURE_IMPORT = """
import sys, time
start = time.process_time()  # whatever else runs
import opwright
print((time.process_time() - start) * 1e3, *(name for name in ("torch", "triton") if name in sys.modules))
"""


class Environment:
    """A fresh virtual environment with Opwright installed from the source tree."""

    def __init__(self, folder: Path, root: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        self.bin = folder / "bin"
        self.folder = folder
        self.run("pip", "install", "--quiet", "--disable-pip-version-check", str(root))
        self.package = Path(self.python("import opwright; print(opwright.__path__[0])"))

    def run(self, tool: str, *args: str) -> str:
        done = subprocess.run([self.bin / tool, *args], cwd=self.folder, text=True, capture_output=True)
        assert done.returncode == 0, f"{tool} {' '.join(args)}:\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def python(self, code: str) -> str:
        return self.run("python", "-I", "-c", code)


@pytest.fixture(scope="module")
def environment(tmp_path_factory, root) -> Environment:
    return Environment(tmp_path_factory.mktemp("install") / "venv", root)


def test_package_lies_in_the_environment(environment):
    assert environment.package.is_relative_to(environment.folder)


def test_import_is_fast_and_brings_neither_torch_nor_triton(environment):
    runs = [environment.python(MEASURE_IMPORT).split() for _ in range(5)]
    assert runs[0][1:] == []
    assert min(float(run[0]) for run in runs) <= IMPORT_LIMIT_MS


def test_compiler_works_without_triton(environment):
    level = environment.python("import opwright._core as core; print(core.host_level())")
    assert level.startswith("x86-64-v")


def test_headers_runtime_and_notices_are_there(environment):
    for name in (
        "include/opwright/plugin.h",
        "include/opwright/plugin.hpp",
        "lib/cmake/opwright/opwrightConfig.cmake",
        "lib/libopwright_runtime.a",
        "licenses/LICENSE",
        "licenses/NOTICE",
        "licenses/LLVM.txt",
    ):
        assert (environment.package / name).is_file(), name


def test_header_compiles_from_the_package(environment, tmp_path):
    source = tmp_path / "uses_header.c"
    source.write_text("#include <opwright/plugin.h>\nint main(void) { return OPW_ABI_MAJOR == 99; }\n")
    include = environment.package / "include"
    subprocess.run(
        ["cc", "-std=c11", "-Wall", "-Werror", f"-I{include}", str(source), "-o", str(tmp_path / "a")], check=True
    )


def test_cmake_package_lies_where_the_command_line_says(environment):
    assert environment.run("opwright", "--cmake-dir") == str(environment.package / "lib/cmake/opwright")


def test_command_line_is_installed(environment):
    for command in (["opwright"], ["python", "-m", "opwright"]):
        told = environment.run(*command, "--help")
        assert all(name in told for name in ("build", "plugin-gen", "explain", "inspect", "doctor"))


def test_triton_finds_the_backend_by_its_name(environment):
    code = "from importlib.metadata import entry_points; print(entry_points(group='triton.backends')['cpu'].value)"
    assert environment.python(code) == "opwright.triton_backend"


def test_extensions_export_their_entries_and_what_debuggers_look_for(environment):
    debuggers = {"__jit_debug_descriptor", "__jit_debug_register_code"}
    for name, expected in (("_core", {"PyInit__core"} | debuggers), ("_plugins", {"PyInit__plugins"})):
        module = next(environment.package.glob(f"{name}*.so"))
        lines = subprocess.run(
            ["nm", "-D", "--defined-only", module], check=True, text=True, capture_output=True
        ).stdout
        assert {line.split()[-1] for line in lines.splitlines()} == expected
