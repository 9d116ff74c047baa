"""Runs functions side by side, each in one of a few processes that are forked from this one.

For work that holds Python's lock, on objects that cannot be pickled: a child has them all. A child does nothing but the functions: it
runs no handler of this process's end, and writes no output but theirs.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from opwright.errors import OpwrightError

Result = TypeVar("Result")

_FEW = 4  # functions that are not worth a process
_INDEX = struct.Struct("=I")
_MOST = 1024  # functions at a time: their numbers lie in a pipe, which holds a page at least
_one_at_a_time = threading.Lock()


class Died(OpwrightError):
    """A process ended before it gave its results."""


def run_all(functions: Sequence[Callable[[], Result]], processes: int = 0) -> list[Result]:
    """The results of functions, in their order; of several that raise something, the first one's is raised. Both are pickled on their way.
    `processes` is how many there are at most; 0 takes the number of CPUs. Died where one is killed, for want of memory perhaps."""
    processes = min(processes or len(os.sched_getaffinity(0)), len(functions) // _FEW)
    if processes < 2:
        return [function() for function in functions]
    results: list[Result] = []
    for start in range(0, len(functions), _MOST):
        results += _run(functions[start : start + _MOST], processes)
    return results


def _run(functions: Sequence[Callable[[], Result]], processes: int) -> list[Result]:
    queue, end = os.pipe()
    os.write(end, b"".join(map(_INDEX.pack, range(len(functions)))))
    os.close(end)
    children: list[tuple[int, int]] = []  # process, and where it writes its results
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        with _one_at_a_time:  # else a child has the pipes of another thread's children open too
            with _no_interrupt():
                for _ in range(processes):
                    children.append(_fork(functions, queue))
            answers = [_read(reading) for _, reading in children]
    except BaseException:
        for process, _ in children:
            os.kill(process, signal.SIGKILL)
        raise
    finally:
        os.close(queue)
        ends = [_wait(process) for process, _ in children]
        for _, reading in children:
            os.close(reading)
    found: dict[int, tuple[bool, bytes]] = {}
    for answer, end in zip(answers, ends, strict=True):
        if end or not answer:
            raise _died(end)
        found |= pickle.loads(answer)
    for index in range(len(functions)):
        good, result = found[index]
        if not good:
            raise pickle.loads(result)
    return [pickle.loads(found[index][1]) for index in range(len(functions))]


def _wait(process: int) -> int:
    """How a process ended; 0 where the program has told the system to forget that."""
    try:
        return os.waitpid(process, 0)[1]
    except ChildProcessError:
        return 0


def _died(end: int) -> Died:
    """`end` is what wait gives."""
    code = os.waitstatus_to_exitcode(end)
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with the exit code {code}"
    hint = "the system kills processes where memory runs out" if code == -signal.SIGKILL else ""
    return Died(f"a process that makes a part of the result {how}, expected its results", hint=hint)


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Ctrl-C waits: a child that it stops on its first steps would go on as this process does."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _fork(functions: Sequence[Callable[[], Result]], queue: int) -> tuple[int, int]:
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12, and JAX, warn of threads, whose locks a child may find taken. It takes none of theirs.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to answer
        with os.fdopen(writing, "wb") as out:
            out.write(pickle.dumps(_work(functions, queue)))
        sys.stdout.flush()
        code = 0
    finally:
        os._exit(code)


def _work(functions: Sequence[Callable[[], Result]], queue: int) -> dict[int, tuple[bool, bytes]]:
    """Of each function that this process takes: whether it is good, and its result or what it raised, pickled."""
    found: dict[int, tuple[bool, bytes]] = {}
    while number := os.read(queue, _INDEX.size):
        (index,) = _INDEX.unpack(number)
        try:
            found[index] = True, pickle.dumps(functions[index]())
        except Exception as e:
            if not isinstance(e, OpwrightError):
                e.add_note(traceback.format_exc())  # of this process: a traceback is not pickled
            found[index] = False, _pickled(e)
    return found


def _pickled(error: Exception) -> bytes:
    try:
        pickled = pickle.dumps(error)
        pickle.loads(pickled)
        return pickled
    except Exception:
        return pickle.dumps(RuntimeError("".join(traceback.format_exception(error))))


def _read(reading: int) -> bytes:
    parts = []
    while part := os.read(reading, 1 << 20):
        parts.append(part)
    return b"".join(parts)
