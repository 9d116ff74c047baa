"""Every face against one list of calls (face_cases.py), each through its stock host; docs/faces.md is what came of it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("triton", reason="triton is not installed")

import face_cases
import face_page
from face_cases import Case

from opwright.host import Call, hosts
from opwright.host.python import NumPy

HOSTS = hosts()


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    return face_page.build_libraries(tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def results():
    """Of the hosts that have run, by name."""
    return {}


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_the_list(host, libraries, results):
    found = results[host.name] = face_page.run(host, libraries)
    if found.missing:
        pytest.skip(found.missing)
    wrong = [f"{host.name}: {problem}" for outcome in found.rows.values() for problem in outcome.wrong]
    assert not wrong, "\n".join(wrong)


def test_the_page_is_what_came_of_it(results):
    if len(results) < len(HOSTS):  # some of the tests above were not asked for
        return
    found = face_page.written([results[host.name] for host in HOSTS])
    assert face_page.without_versions(face_page.on_the_page()) == face_page.without_versions(found), (
        "docs/faces.md is of another day; run tests/python/face_page.py"
    )


class _Doubled(face_page.Opened):
    """Calls opwright.load, and gives twice of it."""

    def __init__(self, opened):
        self.opened = opened

    def call(self, call):
        return [None if o is None else o + o for o in self.opened.call(call)]


class _Fake(NumPy):
    name, real = "Fake", False

    def open(self, path):
        return _Doubled(super().open(path))


class _Absent(NumPy):
    name = "Absent"

    def missing(self):
        return "there is no such host"


def test_what_is_wrong_is_told_and_what_is_no_real_host(libraries, monkeypatch):
    def few():
        x = np.arange(3, dtype=np.float32)
        for row, expected in (("right", x + x), ("wrong", x)):
            yield Case(row, Call("sample::copy", [x]), [expected])
        yield Case("refused", Call("sample::stats", [x[None]]), refusal="x has rank 2, expected 1")
        yield Case("refused otherwise", Call("sample::stats", [x[None]]), refusal="another text")
        yield Case("not refused", Call("sample::copy", [x]), refusal="a text")

    monkeypatch.setattr(face_cases, "cases", few)
    results = [face_page.run(host, libraries) for host in (_Fake(), _Absent())]
    assert list(face_page.table_of_hosts(results))[2:] == [
        f"| Fake | {NumPy.what} | mock | {results[0].version} |",
        f"| Absent | {NumPy.what} | not run | there is no such host |",
    ]
    assert list(face_page.matrix(results))[2:7] == [
        "| right | mock | not run |",
        "| wrong | WRONG | not run |",
        "| refused | mock | not run |",
        "| refused otherwise | WRONG | not run |",
        "| not refused | WRONG | not run |",
    ]
