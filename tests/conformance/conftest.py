"""Settings of the conformance suite: the CPU driver, a kernel cache of its own."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

os.environ.setdefault("TRITON_DEFAULT_BACKEND", "cpu")  # also on a machine with a GPU
_CACHE = tempfile.mkdtemp(prefix="opwright-conformance-")
os.environ["TRITON_CACHE_DIR"] = _CACHE


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus) -> None:
    shutil.rmtree(_CACHE, ignore_errors=True)
