"""The skip policy of every pytest run: each skip is printed with its reason; one that allowed_skips.txt lacks fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools" / "dev"))
import skips  # noqa: E402

_skipped: dict[str, str] = {}


def _reason(report) -> str:
    if hasattr(report, "wasxfail"):
        return f"expected to fail: {report.wasxfail}"
    longrepr = report.longrepr
    return str(longrepr[2] if isinstance(longrepr, tuple) else longrepr).removeprefix("Skipped: ")


def pytest_runtest_logreport(report) -> None:
    # What an older Triton lacks is listed in conformance/later.py, and its tests must fail there.
    if report.skipped and not getattr(report, "wasxfail", "").startswith("older Triton: "):
        _skipped[report.nodeid] = _reason(report)


def pytest_collectreport(report) -> None:
    if report.skipped:
        _skipped[report.nodeid] = _reason(report)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus) -> None:
    if exitstatus == 0 and skips.not_allowed(list(_skipped.items()), skips.ALLOWED.read_text()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter) -> None:
    bad = dict(skips.not_allowed(list(_skipped.items()), skips.ALLOWED.read_text()))
    for name, why in _skipped.items():
        terminalreporter.write_line(
            f"skipped: {name}: {why}" + ("  (not in tests/allowed_skips.txt)" if name in bad else "")
        )


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the source tree."""
    return Path(__file__).resolve().parents[1]
