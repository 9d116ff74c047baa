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


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda: 1 // 0, "ZeroDivisionError"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "has ended before it was done"),
        (lambda: lambda: None, "has ended before it was done"),  # cannot be pickled
    ],
)
def test_what_goes_wrong_is_said(function, text):
    with pytest.raises(Died, match=text):
        run_all([lambda: 1] * 20 + [function], processes=2)


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
        children = []
        while len(children) < 2:
            time.sleep(0.02)
            with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
                children = file.read().split()
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert errors.count("KeyboardInterrupt") == 1
    assert not any(os.path.exists(f"/proc/{child}") for child in children)
