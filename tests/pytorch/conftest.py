"""Settings of the PyTorch tests: the CPU driver, caches of their own, torch.compile in this process."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

_CACHE = tempfile.mkdtemp(prefix="opwright-pytorch-")
os.environ.setdefault("TRITON_DEFAULT_BACKEND", "cpu")  # also on a machine with a GPU
os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{_CACHE}/inductor"
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("triton", reason="triton is not installed")


@pytest.fixture(autouse=True)
def fresh_dynamo():
    import torch

    torch.manual_seed(0)
    torch._dynamo.reset()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus) -> None:
    shutil.rmtree(_CACHE, ignore_errors=True)
