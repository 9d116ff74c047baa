"""Settings of the conformance suite: the CPU driver, a kernel cache of its own."""

from __future__ import annotations

import os
import re
import shutil
import tempfile

import pytest

from .later import LATER

os.environ.setdefault("TRITON_DEFAULT_BACKEND", "cpu")  # also on a machine with a GPU
_CACHE = tempfile.mkdtemp(prefix="opwright-conformance-")
os.environ["TRITON_CACHE_DIR"] = _CACHE


def pytest_sessionstart(session) -> None:
    """OPW_EXPECT_MODULE names the folder that the module under test must come from."""
    folder = os.environ.get("OPW_EXPECT_MODULE")
    if folder:
        from opwright import _core

        if not _core.__file__.startswith(folder):
            pytest.exit(f"found {_core.__file__}, expected the module in {folder}", returncode=3)


def pytest_collection_modifyitems(items) -> None:
    import triton

    def number(version: str) -> tuple[int, ...]:
        return tuple(int(part) for part in version.split(".")[:2])

    lacking = [entry for entry in LATER if number(entry[0]) > number(triton.__version__)]
    for item in items:
        for since, pattern, what in lacking:
            if "tests/conformance" in item.nodeid and re.search(pattern, item.nodeid):
                item.add_marker(
                    pytest.mark.xfail(strict=True, reason=f"older Triton: {since} is the first with {what}")
                )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus) -> None:
    shutil.rmtree(_CACHE, ignore_errors=True)
