"""docs/operations.md against the table of operations and against what the compiler does with the texts of tests/ir."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from opwright import _core

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
TABLE = re.findall(r'OPW_OP\(\w+, "([^"]+)"', (ROOT / "src" / "ir" / "ops.def").read_text())
LOWERED, REFUSED = (
    re.findall(r"`([a-z_]+\.[a-z_0-9.]+)`", "\n".join(line for line in part.splitlines() if line.startswith(start)))
    for part, start in zip(PAGE.split("## Refused"), ("* ", "| `"), strict=True)
)


def test_every_operation_stands_there_once():
    refused = [re.match(r"\| `([^`]+)`", line).group(1) for line in PAGE.splitlines() if line.startswith("| `")]
    assert sorted(LOWERED + refused) == sorted(name for name in TABLE if not name.startswith(("plan.", "tile.")))


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "ir" / "ttir").glob("*.ttir")), ids=lambda path: path.stem)
def test_what_is_refused_is_listed(path):
    try:
        _core.compile(path.read_text())
    except _core.CompileError as error:
        first = error.diagnostics[0]
        assert first["op"] in REFUSED, str(error)
        assert first["line"] > 0 and first["message"] and first["hint"]
