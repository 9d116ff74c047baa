"""device_print as text of the process, device_assert as a RuntimeError that the process survives, static_assert, assume, barriers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .kernels import debug as k
from .kit import launch, rng


def printed(case: str) -> list[str]:
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    }
    command = [sys.executable, "-m", "conformance.print_cases", case]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def line(prefix, value, idx="()", pid="(0, 0, 0)"):
    return f"pid {pid} idx {idx} {prefix}: {value}"


def test_print():
    """Element by element in row-major order; several operands have their numbers."""

    def lines(prefix, *operands):
        many = len(operands) > 1
        return [
            line(prefix, f"(operand {n}) {v}" if many else v, f"({i})")
            for n, operand in enumerate(operands)
            for i, v in enumerate(operand)
        ]

    expected = [
        *lines("x", ["-3", "5"]),
        line("two", "(operand 0) 0"),
        *lines("two", [], ["-1.500000", "2.500000"]),
        *lines("hex", ["0xfffffffd", "0x00000005"]),
        "pid (0, 0, 0) only text",
        *[line("square", v, f"({v // 2}, {v % 2})") for v in range(4)],
        *lines("bool", ["0", "1"]),
        *lines("wide", ["-30000000000", "50000000000"], ["253", "5"]),
        *lines("short", ["-0.750000", "1.250000"], ["-4.500000", "7.500000"]),
    ]
    got = [re.sub(r"idx \(\) only", "only", text) for text in printed("show")]
    assert got == expected


def test_print_of_some_programs():
    """Lines of one program are in order; those of several may be mixed, but each is whole."""
    expected = [
        line("turn", f"(operand {n}) {v}", pid=f"({pid}, 0, 0)")
        for pid in (1, 3)
        for i in range(2)
        for n, v in enumerate((i, pid * 10))
    ]
    got = printed("some")
    assert sorted(got) == sorted(expected)
    for pid in (1, 3):
        assert [g for g in got if g.startswith(f"pid ({pid}")] == [e for e in expected if e.startswith(f"pid ({pid}")]


def test_print_of_special_values():
    values = [text.rpartition(" ")[2].lstrip("-" if i == 0 else "") for i, text in enumerate(printed("special"))]
    assert values == ["nan", "inf", "-inf", "-0.000000"]


def test_print_of_ids():
    expected = [line("at", y, pid=f"({x}, {y}, {z})") for x in range(2) for y in range(3) for z in range(2)]
    assert sorted(printed("ids")) == sorted(expected)


def source_line(function, text: str) -> str:
    """`file:line` of the first line of a kernel that has the text."""
    code = function.fn.__code__
    source = Path(code.co_filename).read_text().splitlines()
    number = next(n for n in range(code.co_firstlineno, len(source) + 1) if text in source[n - 1])
    return f"debug.py:{number}"


def refused(function, text, *arguments, grid=1, place=None, **constants) -> str:
    """The message of the assertion that fails, with its place: a line of the kernel, or of a function that it calls."""
    with pytest.raises(RuntimeError) as error:
        launch(function, grid, *arguments, debug=True, **constants)
    message = str(error.value)
    assert source_line(place or function, text) in message, message
    return message


def test_assert_of_a_scalar():
    out = np.zeros(8, np.int32)
    message = refused(k.check_scalar, "device_assert", out, 5, grid=8)
    assert "too many programs" in message
    program = re.search(r"program \((\d+), 0, 0\)", message)
    assert program and int(program[1]) >= 5, message
    assert not out[5:].any()
    out[...] = 0
    launch(k.check_scalar, 8, out, 8, debug=True)  # the process lives, and so does the kernel
    assert out.tolist() == list(range(1, 9))


def test_without_debug_nothing_is_checked():
    out = np.zeros(8, np.int32)
    launch(k.check_scalar, 8, out, 5)
    assert out.tolist() == list(range(1, 9))


@pytest.mark.parametrize("masked", [False, True])
def test_assert_of_a_tile(masked):
    x = np.arange(64, dtype=np.int32)
    before = x.copy()
    assert "too large" in refused(
        k.check_tile, "mask=at" if masked else "assert tl", x, 60, 62, MASKED=masked, BLOCK=64
    )
    np.testing.assert_array_equal(x, before)
    launch(
        k.check_tile, 1, x, 60 if masked else 64, 60, MASKED=masked, BLOCK=64, debug=True
    )  # what is too large is masked off
    np.testing.assert_array_equal(x, before + 1)


def test_assert_in_a_loop():
    x = np.full(64, -1, np.int32)
    assert "three at most" in refused(k.check_later, "device_assert", x, 10, BLOCK=64)
    assert x.tolist() == [100, 100, 100, *range(3, 64)]
    launch(k.check_later, 1, x, 3, BLOCK=64, debug=True)


def test_assert_in_a_function():
    message = refused(k.check_in_function, "device_assert", np.zeros(1, np.int32), place=k._nonzero)
    assert "zero in a function" in message
    launch(k.check_in_function, 1, np.ones(1, np.int32), debug=True)


@pytest.mark.parametrize(
    ("x", "y", "wraps"), [(2**31 - 1, 1, True), (-(2**31), -1, True), (2**31 - 1, -1, False), (5, 6, False)]
)
def test_overflow(x, y, wraps):
    out = np.zeros(1, np.int32)
    arguments = np.array([x], np.int32), np.array([y], np.int32), out
    if wraps:
        with pytest.raises(RuntimeError, match="int32 overflow detected for operation add"):
            launch(k.overflow, 1, *arguments, debug=True)
    else:
        launch(k.overflow, 1, *arguments, debug=True)
        assert out[0] == x + y
    launch(k.overflow, 1, *arguments)
    assert out[0] == (x + y + 2**31) % 2**32 - 2**31


def test_static_assert(capfd):
    out = np.zeros(1, np.int32)
    launch(k.static, 1, out, N=4)
    assert out[0] == 4 and "N is 4" in re.sub(r"constexpr\[?|\]", "", capfd.readouterr().out)
    with pytest.raises(Exception, match="N must be even"):
        launch(k.static, 1, out, N=3)


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("n", [1, 64, 100])
def test_assumptions_and_barriers(n, stride):
    x, out = rng().integers(-99, 99, 400).astype(np.int32), np.zeros(128, np.int32)
    launch(k.assumptions, 2, x, out, n, stride, BLOCK=64)
    np.testing.assert_array_equal(out[:n], x[: n * stride : stride] * 2 + 1)
    assert not out[n:].any()
