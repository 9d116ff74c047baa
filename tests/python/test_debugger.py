"""gdb on kernels that were compiled with OPW_DEBUG_INFO=1, and what debug information leaves alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("triton", reason="triton is not installed")

from kernels import elementwise

import opwright
from opwright import _core
from opwright.triton_backend.compiler import CPUBackend
from opwright.triton_backend.driver import CPUDriver

PROGRAM = """\
import numpy as np
import triton
import triton.language as tl
import opwright


@triton.jit
def grow(x):
    return tl.exp(x) + x


@triton.jit
def scaled(x_ptr, y_ptr, n, alpha, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    y = grow(x)
    y += tl.program_id(1)
    tl.store(y_ptr + at, y * alpha, mask=at < n)


x, y = np.zeros(300, np.float32), np.zeros(300, np.float32)
scaled[(3, 1)](opwright.tensor(x), opwright.tensor(y), x.size, 0.5, BLOCK=128)
print("sum", y.sum())
"""


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(PROGRAM.splitlines(), 1) if text in line)


@pytest.fixture
def program(tmp_path) -> Path:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    return file


# gdb takes five seconds for the symbols of Triton, which no test needs: it reads those of our module alone.
RUN = ("tcatch load _core[.]", "run", "sharedlibrary _core[.]", "continue")


def gdb(program: Path, *commands: str) -> str:
    """What gdb prints for the commands after it has stopped at a breakpoint that was set before the kernel was compiled."""
    start = [
        f"set {word}"
        for word in (
            "breakpoint pending on",
            "pagination off",
            "width 0",
            "debuginfod enabled off",
            "auto-solib-add off",
        )
    ]
    steps = [step for command in commands for step in (RUN if command == "run" else (command,))]
    words = [word for command in (*start, *steps) for word in ("-ex", command)]
    environment = os.environ | {
        "OPW_DEBUG_INFO": "1",
        "OPW_THREADS": "1",
        "TRITON_DEFAULT_BACKEND": "cpu",
        "TRITON_CACHE_DIR": str(program.parent / "cache"),
    }
    done = subprocess.run(
        ["gdb", "-q", "-nx", "-batch", *words, "--args", sys.executable, str(program)],
        capture_output=True, text=True, env=environment, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.stdout


def test_a_line_of_the_kernel(program):
    line = line_of("tl.store")
    out = gdb(
        program, f"break program.py:{line}", "run", "backtrace 1", "print n", "print alpha", "print x_ptr[7]",
        "print program_id_0", "condition 1 program_id_0 == 2", "continue", "print program_id_0", "delete", "continue",
    )  # fmt: skip
    assert f"scaled () at program.py:{line}" in out
    assert f"{line}\t    tl.store(y_ptr + at, y * alpha, mask=at < n)" in out
    assert re.findall(r"^\$\d+ = (.*)$", out, re.MULTILINE) == ["300", "0.5", "0", "0", "2"]
    assert "sum 150.0" in out


def test_a_call_that_was_inlined(program):
    """TTIR does not tell what the function was called, so the frame has the name of its file."""
    out = gdb(program, f"break program.py:{line_of('tl.exp')}", "run", "backtrace 2")
    assert re.search(rf"#0  program\.py \(\) at program\.py:{line_of('tl.exp')}$", out, re.MULTILINE), out
    assert re.search(rf"#1  scaled \(\) at program\.py:{line_of('= grow(x)')}$", out, re.MULTILINE), out


def test_the_session_in_the_docs(tmp_path):
    page = Path(__file__).parents[2] / "docs/debugging.md"
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    assert [language for language, _ in blocks] == ["python", "sh", "text"]
    (_, program), (_, command), (_, shown) = blocks
    (tmp_path / "halves.py").write_text(program)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-ec", command], cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PATH": path}
    )
    rest = done.stdout
    for line in shown.splitlines():
        assert line in rest, done.stdout
        rest = rest[rest.index(line) + len(line) :]
    plain = subprocess.run([sys.executable, "halves.py"], cwd=tmp_path, capture_output=True, text=True)
    assert plain.stdout.split() == re.findall(r"^print\(.*\)  # (.*)$", program, re.MULTILINE)


def test_a_breakpoint_by_name_comes_when_the_arguments_are_there(program):
    out = gdb(program, "break scaled", "run", "print n", "print alpha", "print program_id_0")
    assert re.findall(r"^\$\d+ = (.*)$", out, re.MULTILINE) == ["300", "0.5", "-1"]  # no program runs yet


def test_every_program_stops_at_a_line_that_became_several_loops(program):
    """A line of tl.sin is in the loop of whole vectors and in its tail."""
    program.write_text(PROGRAM.replace("tl.exp(x) + x", "tl.sin(x) + x").replace("(300", "(5000").replace("(3, 1)", "(5, 1)")
                       .replace("BLOCK=128", "BLOCK=1024"))  # fmt: skip
    stop = f"break program.py:{line_of('tl.exp')}"
    script = "python gdb.events.stop.connect(lambda e: [gdb.execute(c) for c in ('up', 'print program_id_0')])"
    out = gdb(program, stop, script, "run", *["continue"] * 800)
    assert set(re.findall(r"^\$\d+ = (\d)$", out, re.MULTILINE)) == set("01234")


def test_code_that_is_freed_is_forgotten(program):
    """The second call of the function that gdb watches, before the program goes on."""
    program.write_text(
        PROGRAM
        + "import gc\nscaled.device_caches.clear()\ngc.collect()\nprint('freed', flush=True)\nimport os\nos._exit(0)\n"
    )
    out = gdb(
        program, "break __jit_debug_register_code", "run", "echo first\\n", "continue", "echo second\\n", "continue"
    )
    assert out.count("hit Breakpoint 1") == 2
    assert out.index("first") < out.index("second") < out.index("freed")


def test_it_is_there_on_request_alone(monkeypatch):
    def options(**given):
        return CPUBackend(CPUDriver().get_current_target()).parse_options(given)

    assert not options().debug_info
    monkeypatch.setenv("OPW_DEBUG_INFO", "1")
    assert options().debug_info
    assert not options(debug_info=False).debug_info
    assert options().hash() != options(debug_info=False).hash()


def test_results_stay_the_same():
    case = elementwise.add_case(1000, 64)
    case.meta |= {"debug_info": True}
    case.run(opwright.tensor)


def test_objects_of_texts_without_locations():
    text = """module { tt.func public @k(%p: !tt.ptr<f32>) {
      %c = arith.constant 1.0 : f32
      tt.store %p, %c : !tt.ptr<f32>
      tt.return } }"""
    plain, described = (_core.compile(text, debug_info=on).object for on in (False, True))
    assert b".debug_line" in described and b".debug_line" not in plain
    memory = np.zeros(1, np.float32)
    loaded = _core.load(described)
    _core.launcher("k", [("p", "*fp32")], slots=1)(1, 1, 1, 0, loaded, None, None, None, None, opwright.tensor(memory))
    assert memory[0] == 1
