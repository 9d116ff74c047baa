"""A process that is killed while it compiles leaves Triton's cache usable."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

pytest.importorskip("triton", reason="triton is not installed")

TIMES = 50 if os.environ.get("OPW_FULL", "") not in ("", "0") else 8
CODE = f"""
    import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})
    import numpy as np, opwright
    from kernels import elementwise
    x, out = np.ones(64, np.float32), np.zeros(64, np.float32)
    t = opwright.tensor
    print("ready", flush=True)
    for BLOCK in (32, 64, 128, 256, 512, 1024, 2048, 4096):
        out[:] = 0
        elementwise.add[(2,)](t(x), t(x), t(out), 64, BLOCK=BLOCK)
        assert (out == 2).all()
    print("done", flush=True)
"""


@pytest.mark.slow
def test_killed_while_compiling(tmp_path):
    environment = os.environ | {"TRITON_CACHE_DIR": str(tmp_path), "TRITON_DEFAULT_BACKEND": "cpu"}
    moments = random.Random(5)
    killed = 0
    for _ in range(TIMES):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CODE)], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert process.stdout.readline() == "ready\n"
        time.sleep(moments.random() * 0.4)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()
        process.wait()
        killed += "done" not in rest
    assert killed > 0
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CODE)], capture_output=True, text=True, env=environment
    )
    assert done.stdout == "ready\ndone\n", done.stderr
