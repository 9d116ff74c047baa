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


class Died(RuntimeError):
    """A process ended before it gave its results, or a function raised what only its text is left of."""


def run_all(functions: Sequence[Callable[[], Result]], processes: int = 0) -> list[Result]:
    """The results of functions, which can be pickled, in their order. Of several that raise an OpwrightError, the first one's is raised.
    `processes` is how many there are at most; 0 takes the number of CPUs."""
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
        with _no_interrupt():
            for _ in range(processes):
                children.append(_fork(functions, queue))
        answers = [_read(place) for _, place in children]
    except BaseException:
        for process, _ in children:
            os.kill(process, signal.SIGKILL)
        raise
    finally:
        os.close(queue)
        for process, place in children:
            os.waitpid(process, 0)
            os.close(place)
    found: dict[int, tuple[bool, Result]] = {}
    for answer in answers:
        found |= pickle.loads(answer) if answer else {}
    for index in range(len(functions)):
        if index not in found:
            raise Died("a process that makes a part of the result has ended before it was done")
        good, result = found[index]
        if not good:
            raise result if isinstance(result, OpwrightError) else Died(str(result))
    return [found[index][1] for index in range(len(functions))]


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Ctrl-C waits: a child that it stops on its first steps would go on as this process does."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _fork(functions: Sequence[Callable[[], Result]], queue: int) -> tuple[int, int]:
    place, end = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12, and JAX, warn of threads, whose locks a child may find taken. It takes none of theirs.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        process = os.fork()
    if process:
        os.close(end)
        return process, place
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to answer
        with os.fdopen(end, "wb") as out:
            out.write(pickle.dumps(_work(functions, queue)))
        sys.stdout.flush()
    finally:
        os._exit(0)


def _work(functions: Sequence[Callable[[], Result]], queue: int) -> dict[int, tuple[bool, object]]:
    found: dict[int, tuple[bool, object]] = {}
    while number := os.read(queue, _INDEX.size):
        (index,) = _INDEX.unpack(number)
        try:
            found[index] = True, functions[index]()
        except OpwrightError as e:
            found[index] = False, e
        except Exception:
            found[index] = False, traceback.format_exc()
    return found


def _read(place: int) -> bytes:
    parts = []
    while part := os.read(place, 1 << 20):
        parts.append(part)
    return b"".join(parts)
