"""Functions that run side by side in processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from opwright.errors import InputError
from opwright.forked import Died, run_all


def test_results_come_in_order():
    found = run_all([lambda i=i: (i, os.getpid()) for i in range(3000)], processes=3)
    assert [number for number, _ in found] == list(range(3000))
    assert os.getpid() not in {process for _, process in found}


def test_functions_run_at_the_same_time(tmp_path):
    def meet(mine: str, other: str) -> bool:
        (tmp_path / mine).touch()
        end = time.monotonic() + 60
        while not (tmp_path / other).exists() and time.monotonic() < end:
            time.sleep(0.01)
        return (tmp_path / other).exists()

    functions = [lambda: meet("a", "b"), lambda: meet("b", "a"), *[lambda: True] * 6]
    assert run_all(functions, processes=2) == [True] * 8


def test_a_few_functions_run_here():
    assert run_all([os.getpid] * 7, processes=8) == [os.getpid()] * 7
    assert run_all([os.getpid] * 100, processes=1) == [os.getpid()] * 100
    assert run_all([]) == []


def refused(text: str):
    raise InputError(text, hint="a hint", where="there", detail="a line")


def test_the_first_refusal_is_raised():
    functions = [lambda: 1] * 20 + [lambda: refused("the first")] + [lambda: refused("another")] * 20
    with pytest.raises(InputError) as error:
        run_all(functions, processes=2)
    assert str(error.value) == "there: the first\n  | a line\n  hint: a hint"


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("place", [0, 20, 1500])
def test_what_a_function_raises_is_raised(processes, place):
    functions = [lambda: 1] * 2000
    functions[place] = lambda: 1 // 0
    with pytest.raises(ZeroDivisionError):
        run_all(functions, processes)


class TwoArguments(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


def fail_with_two_arguments():
    raise TwoArguments("one", "two")


def fail_without_a_copy():
    error = ValueError("the text")
    error.cannot_be_pickled = lambda: None
    raise error


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (fail_without_a_copy, RuntimeError, "ValueError: the text"),
        (fail_with_two_arguments, RuntimeError, "TwoArguments: one and two"),
        (lambda: lambda: None, Exception, "pickle"),
        (
            lambda: os.kill(os.getpid(), signal.SIGKILL),
            Died,
            "was killed by SIGKILL, expected its results\n  hint: the system kills",
        ),
        (lambda: os._exit(3), Died, "ended with the exit code 3"),
        (lambda: sys.exit(4), Died, "ended with the exit code 1"),
    ],
)
def test_what_goes_wrong_in_a_process_is_said(function, error, text):
    with pytest.raises(error) as found:
        run_all([lambda: 1] * 20 + [function], processes=2)
    assert text in str(found.value)


def test_a_program_that_wants_to_know_nothing_of_its_children():
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert run_all([lambda: 1] * 20, processes=2) == [1] * 20
    finally:
        signal.signal(signal.SIGCHLD, before)


PROGRAM = """
import atexit, os, sys, time
from opwright.forked import run_all
atexit.register(lambda: print("end of", os.getpid() == parent))
parent = os.getpid()
print("begin")
run_all([lambda i=i: (sys.stdout.write(f"number {i}\\n"), time.sleep(SLEEP)) for i in range(8)], processes=2)
"""


def program(sleep: float) -> list[str]:
    return [sys.executable, "-W", "error", "-c", PROGRAM.replace("SLEEP", str(sleep))]


def test_output_and_handlers_are_run_once():
    done = subprocess.run(program(0.01), capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert sorted(lines) == sorted(["begin", *(f"number {i}" for i in range(8)), "end of True"]) and not done.stderr


def test_an_interrupt_ends_all_of_them():
    with subprocess.Popen(program(60), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:  # fmt: skip
        children, end = [], time.monotonic() + 60
        while len(children) < 2 and time.monotonic() < end:
            time.sleep(0.02)
            with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
                children = file.read().split()
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert errors.count("KeyboardInterrupt") == 1
    assert not any(os.path.exists(f"/proc/{child}") for child in children)
