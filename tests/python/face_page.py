"""Runs the list of face_cases.py in every host, and writes what came of it to docs/faces.md.

python tests/python/face_page.py
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import face_cases
import numpy as np
import op_kit

from opwright.host import Host, Opened, Refused, hosts
from opwright.plugin.build import build

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "faces.md"
BEGIN, END = "<!-- written by tests/python/face_page.py -->", "<!-- until here -->"


@dataclass
class Outcome:
    """What came of the cases of one row in one host."""

    passed: int = 0
    cannot: list[str] = field(default_factory=list)  # reasons of the host
    wrong: list[str] = field(default_factory=list)


@dataclass
class Results:
    """Of one host. Without `missing` there is an outcome for each row."""

    host: Host
    missing: str | None
    version: str = ""
    rows: dict[str, Outcome] = field(default_factory=dict)


def build_libraries(folder: Path) -> dict[str, Path]:
    """The libraries by the namespace of their operators."""
    build(HERE / "definitions/faces.py", folder / "libfaces.so", ["x86-64-v3"])
    return {"faces": folder / "libfaces.so", "sample": op_kit.build(folder / "kit")}


def run(host: Host, libraries: dict[str, Path]) -> Results:
    """All cases, in the host's order of being able to."""
    results = Results(host, host.missing())
    if results.missing:
        return results
    results.version = host.version()
    opened = {namespace: host.open(path) for namespace, path in libraries.items()}
    for case in face_cases.cases():
        outcome = results.rows.setdefault(case.row, Outcome())
        library = opened[case.call.op.partition("::")[0]]
        why = library.cannot(case.call)
        problem = _problem(library, case) if why is None else None
        if why is not None:
            outcome.cannot.append(why)
        elif problem:
            outcome.wrong.append(f"{case.row}: {case.call.op}: {problem}")
        else:
            outcome.passed += 1
    return results


def _bits(array: np.ndarray | None) -> object:
    return None if array is None else (array.dtype.name, array.shape, array.tobytes())


def _problem(opened: Opened, case: face_cases.Case) -> str | None:
    call = case.call
    before = [_bits(a) for a in call.inputs]
    try:
        outputs = opened.call(call)
    except Refused as e:
        return None if case.refusal and re.search(case.refusal, str(e)) else f"refused: {e}"
    if case.refusal:
        return f"not refused, expected {case.refusal!r}"
    if not call.in_place and [_bits(a) for a in call.inputs] != before:
        return "changed an input"
    expected = [None if e is None else np.asarray(e) for e in case.expected]
    if len(outputs) < len(expected) or [_bits(o) for o, _ in zip(outputs, expected, strict=False)] != [
        _bits(e) for e in expected
    ]:
        return f"gave {outputs}, expected {expected}"
    return None


# ---- the page


def table_of_hosts(results: list[Results]) -> Iterator[str]:
    yield "| host | what runs | | version |"
    yield "|---|---|---|---|"
    for r in results:
        kind = "not run" if r.missing else "real host" if r.host.real else "mock"
        yield f"| {r.host.name} | {r.host.what} | {kind} | {r.version or r.missing} |"


def matrix(results: list[Results]) -> Iterator[str]:
    """A row for each of the list; what a host has no words for is a number, told below."""
    reasons: list[str] = []

    def cell(r: Results, row: str) -> str:
        if r.missing:
            return "not run"
        outcome = r.rows[row]
        notes = ""
        for why in dict.fromkeys(outcome.cannot):
            if why not in reasons:
                reasons.append(why)
            notes += f" ({reasons.index(why) + 1})"
        passed = "passed" if r.host.real else "mock"
        return "WRONG" if outcome.wrong else (passed if outcome.passed else "no") + notes

    yield "| | " + " | ".join(r.host.name for r in results) + " |"
    yield "|---|" + "---|" * len(results)
    for row in dict.fromkeys(case.row for case in face_cases.cases()):
        yield f"| {row} | " + " | ".join(cell(r, row) for r in results) + " |"
    yield ""
    yield "\n".join(f"{i}. {why}" for i, why in enumerate(reasons, 1))


def written(results: list[Results]) -> str:
    """The part of the page that is written here."""
    return "\n".join([*table_of_hosts(results), "", *matrix(results)])


def on_the_page() -> str:
    return PAGE.read_text().partition(BEGIN)[2].partition(END)[0].strip("\n")


def without_versions(text: str) -> str:
    """Versions differ between machines; all else does not."""
    return re.sub(r"(real host|mock|not run) \| [^|]* \|$", r"\1 |", text, flags=re.MULTILINE)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="opwright-faces-") as folder:
        libraries = build_libraries(Path(folder))
        results = [run(host, libraries) for host in hosts()]
    wrong = [problem for r in results for outcome in r.rows.values() for problem in outcome.wrong]
    print("\n".join(wrong), file=sys.stderr)
    text = PAGE.read_text()
    PAGE.write_text(f"{text.partition(BEGIN)[0]}{BEGIN}\n\n{written(results)}\n\n{END}{text.partition(END)[2]}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
