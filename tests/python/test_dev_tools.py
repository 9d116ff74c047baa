"""tools/dev: the layer check and the skip policy find what they are for."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import subprocess
import sys
from pathlib import Path

import programs
import pytest
import run_tests
import skips

ROOT = Path(__file__).resolve().parents[2]


def load_check_layers():
    loader = importlib.machinery.SourceFileLoader("check_layers", str(ROOT / "tools/dev/check_layers"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_layers", loader))
    sys.modules["check_layers"] = module
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


check_layers = load_check_layers()
TABLE = """
# a comment
include/opwright ->
src/support ->
src/ir -> src/support
src/codegen -> src/ir include/opwright [llvm]
runtime/core -> include/opwright
"""


@pytest.fixture
def tree(tmp_path):
    """A small tree that follows the table; a test adds what breaks it."""

    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    write("tools/dev/layers.txt", TABLE)
    write("tools/dev/python_layers.txt", "base -> [errors]\ncommands -> base [cli tools]\n")
    write("python/opwright/__init__.py", "from opwright.cli import main\n")
    write("python/opwright/errors.py", "import sys\nfrom opwright import _core, __version__\n")
    write("python/opwright/cli.py", "from opwright.errors import Error\nfrom opwright.tools import run\n")
    write("python/opwright/tools/__init__.py", "def late():\n    import opwright.tools.run\n")
    write("python/opwright/tools/run.py", "from opwright import errors\n")
    write("include/opwright/plugin.h", "#include <stdint.h>\n")
    write("src/support/text.h", "#include <string>\n")
    write("src/ir/module.h", '#include "support/text.h"\n')
    write("src/ir/module.cpp", '#include "ir/module.h"\n')
    write("src/ir/CMakeLists.txt", "opw_add_library(opw_ir SOURCES module.cpp)\n")
    write("src/codegen/emit.h", '#include <llvm/IR/Module.h>\n#include "ir/module.h"\n#include "opwright/plugin.h"\n')
    return tmp_path, write


def test_a_tree_that_follows_the_table_passes(tree):
    root, _ = tree
    assert check_layers.check(root) == []


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "src/support/up.h",
            '#include "ir/module.h"',
            'src/support includes "ir/module.h" of src/ir, but may use only: nothing',
        ),
        (
            "src/ir/llvm.h",
            "#include <llvm/IR/Module.h>",
            "<llvm/IR/Module.h> is external and not in the brackets of src/ir",
        ),
        ("src/ir/dots.h", '#include "../support/text.h"', 'goes through "..": write it from the include root'),
        ("src/ir/short.h", '#include "module.h"', "written from its own folder: write it from the include root"),
        ("src/ir/gone.h", '#include "ir/gone_too.h"', '"ir/gone_too.h" is in none of src/, runtime/, include/'),
        (
            "runtime/core/compiles.h",
            '#include "support/text.h"',
            'runtime/core includes "support/text.h" of src/support',
        ),
        ("src/other/new.h", "", "lies in no folder of tools/dev/layers.txt"),
        ("src/ir/extra.cpp", "", "src/ir/extra.cpp: not listed in src/ir/CMakeLists.txt"),
        (
            "python/opwright/errors.py",
            "def late():\n    from opwright.tools import run",
            "errors.py:2: base imports tools.run of commands, but may use only: nothing",
        ),
        ("python/opwright/errors.py", "import opwright.cli", "base imports cli of commands, but may use only: nothing"),
        (
            "python/opwright/errors.py",
            "from opwright import main",
            "errors.py:1: found 'main', which the package alone gives: import from the module",
        ),
        (
            "python/opwright/errors.py",
            "from .cli import main",
            "errors.py:1: found a relative import: import from the module, by its whole name",
        ),
        ("src/ir/dule.cpp", "", "src/ir/dule.cpp: not listed in src/ir/CMakeLists.txt"),
        ("python/opwright/new.py", "", "new.py: lies in no layer of tools/dev/python_layers.txt"),
    ],
)
def test_each_kind_of_violation_is_found(tree, name, text, expected):
    root, write = tree
    write(name, text + "\n")
    problems = check_layers.check(root)
    assert len(problems) == 1
    assert problems[0].startswith(name) and expected in problems[0]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("a b\n", "layers.txt:1: found 'a b', expected 'FOLDER -> FOLDERS [external]'"),
        ("a ->\na ->\n", "layers.txt:2: folder 'a' stands twice"),
        ("a -> b\n", "'a' uses 'b', which has no line of its own"),
    ],
)
def test_a_malformed_table_is_refused(table, expected):
    with pytest.raises(ValueError, match=None) as error:
        check_layers.read_table(table)
    assert expected in str(error.value)


def test_a_circle_in_the_table_is_found():
    layers = check_layers.read_table("a -> b\nb -> c\nc -> a\n")
    assert check_layers.find_circle(layers) == ["a", "b", "c", "a"]


def test_a_skip_is_allowed_by_a_pattern_with_a_reason():
    text = "# comment\ntests/python/test_gpu.py::*  needs a GPU\n"
    skipped = [("tests/python/test_gpu.py::test_add", "no GPU"), ("tests/python/test_add.py::test_add", "no wish")]
    assert skips.not_allowed(skipped, text) == skipped[1:]


def test_an_allowed_skip_without_a_reason_is_refused():
    with pytest.raises(ValueError, match=r"allowed_skips.txt:1: found 'a' alone, expected a pattern and a reason"):
        skips.allowed_patterns("a\n")


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_run_with_a_skip_that_is_not_allowed_fails(tmp_path, processes):
    """The plugin in tests/conftest.py, in a run of its own."""
    (tmp_path / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'tests')!r})\nfrom conftest_policy import *\n"
    )
    (tmp_path / "conftest_policy.py").write_text((ROOT / "tests/conftest.py").read_text().replace(
        "Path(__file__).resolve().parents[1]", f"Path({str(ROOT)!r})"
    ))  # fmt: skip
    (tmp_path / "test_skips.py").write_text("import pytest\n\ndef test_a():\n    pytest.skip('no wish')\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        processes,
        "-p",
        "no:cacheprovider",
        "--rootdir",
        tmp_path,
        tmp_path,
    ]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 1
    assert done.stdout.count("skipped: test_skips.py::test_a: no wish  (not in tests/allowed_skips.txt)") == 1


def test_python_tests_run_on_as_many_processes_as_jobs_and_memory_allow(monkeypatch):
    commands = []
    monkeypatch.setattr(run_tests, "call", lambda *command, **options: commands.append(command))
    monkeypatch.setattr(run_tests, "JOBS", "2")
    for per_worker, expected in ((1, "2"), (1 << 60, "1")):
        monkeypatch.setattr(run_tests, "WORKER_BYTES", per_worker)
        run_tests.pytest(run_tests.Options("test", ["-x", "-k", "parser"]))
        command = commands.pop()
        assert command[command.index("-n") + 1] == expected
        assert command[-3:] == ("-x", "-k", "parser")  # last, so that they count


# --- the stages of ./dev ---------------------------------------------------------------------------------------------


def stage(name: str, problem: str = "", needs: tuple[str, ...] = ("build",)) -> run_tests.Stage:
    def run(options: run_tests.Options) -> None:
        if problem:
            raise run_tests.Failed(problem)

    return run_tests.Stage(name, run, needs)


def test_after_a_failed_build_only_what_needs_it_is_not_run(capsys):
    stages = [stage("build", "the build failed", needs=()), stage("unit"), stage("layers", needs=())]
    results = run_tests.run_stages(stages, run_tests.Options("test", []))
    assert [(name, why) for name, why, _ in results] == [
        ("build", "the build failed"),
        ("unit", "not run: the build failed"),
        ("layers", ""),
    ]
    assert "dev: unit" in capsys.readouterr().out


def test_a_stage_waits_for_all_that_it_needs():
    stages = [stage("build", needs=()), stage("asan", "it is bad", needs=()), stage("suite", needs=("build", "asan"))]
    results = run_tests.run_stages(stages, run_tests.Options("test-all", []))
    assert [why for _, why, _ in results] == ["", "it is bad", "not run: asan failed"]


def test_every_stage_prints_its_time_and_one_failure_fails_the_command(capsys, monkeypatch):
    monkeypatch.setitem(run_tests.COMMANDS, "test", [stage("good"), stage("bad", "it is bad"), stage("last")])
    assert run_tests.main(["test"]) == 1
    out = capsys.readouterr().out
    assert "dev: FAILED bad: it is bad" in out
    assert out.endswith("stages: 2 passed, 1 failed\n")
    assert run_tests.main(["test", "last", "good"]) == 0


def test_an_unknown_stage_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit) as stop:
        run_tests.main(["test", "formt"])
    assert stop.value.code == 2
    assert "found stage 'formt', expected one of: format, layers, build" in capsys.readouterr().err


def test_what_is_installed_follows_the_sources(tmp_path, monkeypatch):
    monkeypatch.setattr(run_tests, "ROOT", tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.cpp").write_text("int a;")
    before = run_tests.digest("src")
    assert run_tests.digest("src") == before
    (tmp_path / "src" / "a.cpp").write_text("int b;")
    assert run_tests.digest("src") != before


def test_missing_programs_are_named_with_the_line_that_installs_them(monkeypatch):
    needs = {"sh": "dash", "opw-no-such-program": "cross-gcc cross-libc"}
    programs.require({"sh": "dash"}, run_tests.Failed)
    monkeypatch.setattr(programs, "root_prefix", lambda: None)
    real = programs.shutil.which
    monkeypatch.setattr(programs.shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else real(name))
    with pytest.raises(run_tests.Failed, match="sudo apt-get install -y --no-install-recommends cross-gcc cross-libc$"):
        programs.require(needs, run_tests.Failed)
    monkeypatch.setattr(programs.shutil, "which", lambda name: None if name == "apt-get" else real(name))
    with pytest.raises(run_tests.Failed, match="missing: cross-gcc cross-libc .their names on Debian and Ubuntu"):
        programs.require(needs, run_tests.Failed)


def test_aarch64_is_a_stage_of_all_tests_only():
    names = {command: [stage.name for stage in stages] for command, stages in run_tests.COMMANDS.items()}
    assert "aarch64" in names["test-all"] and "aarch64" not in names["test"]
