"""Errors of the compiler show the line of the source with a caret, wherever they reach the user."""

import linecache
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import triton
import triton.language as tl
from plugin_gen_kit import ADD, write_config

import opwright
from opwright.diagnostics import render, source_line, with_caret
from opwright.errors import InputError
from opwright.triton_backend.errors import KernelError
from opwright.ttir import make_ttir


def diagnostic(file: str, line: int, col: int) -> dict:
    text = f"{file}:{line}:{col}: error: found 48, expected a power of two [tt.splat] in kernel 'k'\n  hint: use 64"
    return {"file": file, "line": line, "col": col, "text": text}


HEAD = "k.py:{}:{}: error: found 48, expected a power of two [tt.splat] in kernel 'k'\n"


@pytest.mark.parametrize(
    ("line", "col", "shown"),
    [
        (1, 1, "  | x = 48\n  | ^\n"),
        (1, 5, "  | x = 48\n  |     ^\n"),
        (1, 7, "  | x = 48\n  |       ^\n"),  # just behind the line
        (1, 8, "  | x = 48\n"),  # past its end: no caret
        (1, 0, "  | x = 48\n"),
        (2, 3, "  | \ty = 48\n  | \t ^\n"),  # a tab stays a tab
        (3, 12, "  | ä = '中' + 48\n  |          ^\n"),  # columns are bytes: ä has two, 中 three and is two wide
        (4, 1, "  |\n  | ^\n"),
        (5, 1, ""),  # the file has no such line
        (0, 0, ""),
    ],
)
def test_text(tmp_path, line, col, shown):
    (tmp_path / "k.py").write_text("x = 48\n\ty = 48\nä = '中' + 48\n\n", encoding="utf-8")
    found = render([diagnostic("k.py", line, col)], [tmp_path])
    assert found == HEAD.format(line, col) + shown + "  hint: use 64"


def test_files_that_cannot_be_read_have_no_line(tmp_path):
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\x00 = 1\n")
    (tmp_path / "folder.py").mkdir()
    for name in ("binary.py", "folder.py", "missing.py"):
        for file, roots in ((name, [tmp_path]), (str(tmp_path / name), [])):
            one = diagnostic(file, 1, 1)
            assert render([one], roots) == one["text"]
    assert source_line("", 1, [tmp_path]) is None
    assert source_line("test_diagnostics.py", 1) is None  # a relative name without a root is no file


def test_it_is_not_guessed_which_of_two_files_is_meant(tmp_path):
    for name, text in (("a", "x = 1\n"), ("b", "x = 2\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "k.py").write_text(text)
    both = [tmp_path / "a", tmp_path / "b"]
    assert source_line("k.py", 1, both) is None
    assert source_line("k.py", 1, [both[1], both[1]]) == "x = 2"


def test_a_file_that_changed_is_read_again(tmp_path):
    path = tmp_path / "k.py"
    path.write_text("x = 1\n")
    assert source_line(str(path), 1) == "x = 1"
    path.write_text("longer = 2\n")
    assert source_line(str(path), 1) == "longer = 2"


def test_lines_of_notebooks(monkeypatch):
    monkeypatch.setitem(linecache.cache, "<ipython-input-1>", (6, None, ["x = 48\n"], "<ipython-input-1>"))
    assert source_line("<ipython-input-1>", 1) == "x = 48"


def test_several_diagnostics(tmp_path):
    (tmp_path / "k.py").write_text("x = 48\n")
    found = render([diagnostic("k.py", 1, 5), diagnostic("ttir", 9, 1)], [tmp_path])
    assert found == "\n".join(
        [HEAD.format(1, 5) + "  | x = 48\n  |     ^\n  hint: use 64", diagnostic("ttir", 9, 1)["text"]]
    )


def test_caret_alone():
    assert with_caret("", 1) == "\n^"
    assert with_caret("e\u0301x", 4) == "e\u0301x\n ^"  # a combining accent takes no room


@triton.jit
def refused(x_ptr, BLOCK: tl.constexpr):
    offsets = tl.arange(0, BLOCK)
    x = tl.inline_asm_elementwise("add.s32 $0, $1, 1;", "=r,r", [offsets], tl.int32, True, 1)
    tl.store(x_ptr + offsets, x)


NEWER = hasattr(refused, "def_file_col_number")


def column_of(line: str) -> int:
    """The column that a message names. Triton before 3.8 gives a call the place of its last argument."""
    return int(re.search(r":\d+:(\d+): error: ", line).group(1))


def test_a_launch_shows_the_line():
    with pytest.raises(KernelError) as caught:
        refused[(1,)](opwright.tensor(np.ones(32, np.int32)), BLOCK=32)
    lines = str(caught.value).splitlines()
    number = 1 + Path(__file__).read_text().split("\n").index(
        '    x = tl.inline_asm_elementwise("add.s32 $0, $1, 1;", "=r,r", [offsets], tl.int32, True, 1)'
    )
    column = column_of(lines[0])
    assert lines[0].startswith(f"{__file__}:{number}:{column}: error: ") and "in kernel 'refused'" in lines[0]
    assert column == 9 or not NEWER
    assert (
        lines[1] == '  |     x = tl.inline_asm_elementwise("add.s32 $0, $1, 1;", "=r,r", [offsets], tl.int32, True, 1)'
    )
    assert lines[2] == "  | " + " " * (column - 1) + "^"
    assert lines[3].startswith("  hint: ")


@triton.jit
def refused_by_triton(x_ptr):
    tl.store(x_ptr, undefined_name)  # noqa: F821


def test_errors_of_triton_show_the_line_too():
    with pytest.raises(InputError) as caught:
        make_ttir(refused_by_triton, {"x_ptr": "*i32"}, {})
    shown = str(caught.value).splitlines()[1:]
    assert shown == [
        "  |     tl.store(x_ptr, undefined_name)  # noqa: F821",
        "  |                     ^",
        "  hint: correct that line of the kernel",
    ]


def test_plugin_gen_shows_the_line(tmp_path):
    config = write_config(tmp_path / "src", ADD)
    path = tmp_path / "src/kernels.py"
    asm = 'tl.inline_asm_elementwise("add.s32 $0, $1, 1;", "=r,r", [at], tl.int32, True, 1)'
    path.write_text(path.read_text().replace("mask = at < n", f"mask = {asm} < n", 1))
    command = [sys.executable, "-m", "opwright", "plugin-gen", "--workspace", tmp_path / "w", "--kernel_config", config]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    at = lines.index(f"  |     mask = {asm} < n")
    column = column_of(lines[at - 1])
    assert done.returncode == 1 and lines[at + 1] == "  | " + " " * (column - 1) + "^"
    assert lines[at - 1].startswith("error: kernels.py:") and (column == 12 or not NEWER)
