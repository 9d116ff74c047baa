"""Programs that wait for each other, as a program of their own: `python -m conformance.wait_cases NAME`. See test_atomics.py."""

from __future__ import annotations

import os
import sys

import numpy as np

from .kernels import atomics as k
from .kit import launch


def spin_lock(programs):
    lock, memory, order = np.zeros(1, np.int32), np.zeros(50, np.int32), np.full(programs, -1, np.int32)
    launch(k.locked, programs, lock, memory, order, 50)
    assert (memory == programs).all() and lock[0] == 0
    np.testing.assert_array_equal(np.sort(order), np.arange(programs))


def wait_for_the_one_before(programs):
    flag, memory = np.zeros(1, np.int32), np.ones(programs + 1, np.int32)
    launch(k.chain, programs, flag, memory)
    assert memory.tolist() == chained(range(programs))


def wait_for_the_one_after(programs):
    """More programs than threads: those that wait must not keep the others from starting."""
    flag, memory = np.zeros(1, np.int32), np.ones(programs + 1, np.int32)
    launch(k.chain_backwards, programs, flag, memory, programs)
    assert memory.tolist() == chained(reversed(range(programs)))


def chained(order):
    values = [1]
    for pid in order:
        values.append((values[-1] * 3 + pid + 2**31) % 2**32 - 2**31)
    return values


if __name__ == "__main__":
    for count in (1, 2, 5, 40, max(100, 2 * os.cpu_count())):  # what waits spins: the time grows with the square
        {f.__name__: f for f in (spin_lock, wait_for_the_one_before, wait_for_the_one_after)}[sys.argv[1]](count)
        print(count, flush=True)
    print("done", flush=True)
