"""The skip policy: a skipped test is printed with its reason, and is a failure unless tests/allowed_skips.txt has it.

A line of that file is a pattern (as in fnmatch) of test ids, then the reason why a skip is fine there.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

ALLOWED = Path(__file__).resolve().parents[2] / "tests" / "allowed_skips.txt"


def allowed_patterns(text: str) -> list[str]:
    patterns = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split(maxsplit=1)
        if not words:
            continue
        if len(words) < 2:
            raise ValueError(f"allowed_skips.txt:{number}: found '{words[0]}' alone, expected a pattern and a reason")
        patterns.append(words[0])
    return patterns


def not_allowed(skipped: list[tuple[str, str]], text: str) -> list[tuple[str, str]]:
    """Those of (test id, reason) that no pattern of the text allows."""
    patterns = allowed_patterns(text)
    return [(name, why) for name, why in skipped if not any(fnmatchcase(name, pattern) for pattern in patterns)]


def require_allowed(skipped: list[tuple[str, str]], failure: type[Exception]) -> None:
    for name, why in skipped:
        print(f"skipped: {name}: {why}")
    if bad := not_allowed(skipped, ALLOWED.read_text()):
        raise failure(f"{bad[0][0]} was skipped and is not in tests/allowed_skips.txt")
