"""Every face against one list of calls (face_cases.py), each through its stock host; docs/faces.md is what came of it."""

from __future__ import annotations

import pytest

pytest.importorskip("triton", reason="triton is not installed")

import face_page

from opwright.host import hosts

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
