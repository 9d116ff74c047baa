"""What test_debug.py reads from the output of a process: `python -m conformance.print_cases NAME`."""

from __future__ import annotations

import sys

import numpy as np

from .kernels import debug as k
from .kit import launch

CASES = {
    "show": lambda: launch(k.show, 1, np.array([-3, 5], np.int32), BLOCK=2),
    "some": lambda: launch(k.show_some, 4, 2),
    "special": lambda: launch(k.show_special, 1, np.array([np.nan, np.inf, -np.inf, -0.0], np.float32)),
    "ids": lambda: launch(k.show_ids, (2, 3, 2)),
}

if __name__ == "__main__":
    CASES[sys.argv[1]]()
