"""Libraries are checked before they are mapped: every cut and every changed byte is refused, and the host lives."""

import os
import subprocess
import sys
import time

import numpy as np
import package_kit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plugin_gen_kit import compile_fake_plugin, sealed

import opwright
from opwright.native import PluginError
from opwright.seal import check_file

DOUBLE = """{
  const float *x = (const float *)args->slots[0]; float *out = (float *)args->slots[1];
  for (int64_t p = lo; p < hi; p++) out[p] = x[p] * FACTOR;
  return 0; }"""
OP = {
    "name": "scale", "inputs": [{"name": "x", "type": "f32"}], "outputs": [{"name": "out", "type": "f32", "shape": ["x[0:]"]}],
    "plans": [{"launches": [{"grid": ["numel(x)"], "args": ["ptr x", "ptr out"], "variants": [{"kernel": "scale"}]}]}],
}  # fmt: skip


def build(folder, factor):
    folder.mkdir(exist_ok=True)
    body = DOUBLE.replace("FACTOR", str(factor))
    return package_kit.package(
        folder, [OP], [package_kit.kernel_object("scale", body, [(True, "f32"), (True, "f32")], folder)]
    )


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("seal") / "w", 2)


def run_python(code, *args):
    done = subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, f"status {done.returncode}: {done.stderr}"
    return done.stdout


def test_every_cut_and_every_changed_byte_is_refused(library, tmp_path):
    code = """
import os, sys
import opwright
from opwright.native import PluginError
whole, path = open(sys.argv[1], "rb").read(), sys.argv[2]

def refused(data):
    with open(path, "wb") as f:
        f.write(data)
    try:
        opwright.load(path)
    except PluginError as e:
        return any(text in str(e) for text in ("cut short", "has no seal", "is damaged", "not a shared library"))
    finally:
        os.remove(path)  # no two files of one name and inode

size = len(whole)
cuts = [*range(130), *range(130, size, 293), *range(size - 130, size)]
places = [*range(130), *range(130, size, 101), *range(size - 130, size)]
for n in cuts:
    assert refused(whole[:n]), f"cut to {n} of {size} bytes"
for i in places:
    for bits in (1, 0x80, 0xff):
        assert refused(whole[:i] + bytes([whole[i] ^ bits]) + whole[i + 1:]), f"byte {i} of {size} changed by {bits}"
assert refused(whole + b"x") and refused(whole + whole[-56:]) and refused(whole[:-56] + bytes(8) + whole[-56:])
assert refused(whole[:5000] + bytes(4096) + whole[9096:])  # a page that was never written
print(len(cuts) + 3 * len(places))
"""
    assert int(run_python(code, library, tmp_path / "damaged.so")) > 500


def test_a_whole_library_loads_by_every_name_and_twice(library, tmp_path):
    copy, link = tmp_path / "copy.so", tmp_path / "link.so"
    copy.write_bytes(library.read_bytes())
    link.symlink_to(library)
    x = np.arange(5, dtype=np.float32)
    for path in (library, library, copy, link, os.path.relpath(library)):
        np.testing.assert_array_equal(opwright.load(path).scale(x), 2 * x)


def test_the_seal_is_what_the_header_says(library, tmp_path):
    whole = library.read_bytes()
    tables = check_file(str(library))
    assert any(tables) and whole == sealed(whole[:-56], tables)
    assert build(tmp_path / "again", 2).read_bytes() == whole


def test_another_file_under_the_name_of_a_loaded_one(tmp_path):
    path = build(tmp_path, 3)
    assert opwright.load(path).scale(np.ones(1, np.float32)) == 3
    assert build(tmp_path, 4) == path  # a new file, renamed over the first
    with pytest.raises(PluginError, match="loaded already, from an earlier file of that name; start a new process, or"):
        opwright.load(path)
    (tmp_path / "copy.so").write_bytes(path.read_bytes())
    assert opwright.load(tmp_path / "copy.so").scale(np.ones(1, np.float32)) == 4


def test_a_library_made_by_hand_is_taken_when_asked(root, library, tmp_path):
    path = tmp_path / "byhand.so"
    compile_fake_plugin(root, path)
    frame = path.read_bytes()[:-56]
    path.write_bytes(frame)
    with pytest.raises(PluginError, match="has no seal: .* it was made by hand; .*, or load it with sealed=False"):
        opwright.load(path)
    one = np.ones(1, np.float32)
    assert opwright.load(path, sealed=False).add_kernel(one, one) == 2
    for size in [*range(0, len(frame), 97), len(frame) - 1]:  # its frame is checked all the same
        (tmp_path / "cut.so").write_bytes(frame[:size])
        with pytest.raises(PluginError, match="cut short|not a shared library"):
            opwright.load(tmp_path / "cut.so", sealed=False)
    (tmp_path / "damaged.so").write_bytes(library.read_bytes().replace(b"libtest.so", b"libTest.so"))
    with pytest.raises(PluginError, match=r"is damaged: found \d+ bytes with the checksum \d+, sealed were"):
        opwright.load(tmp_path / "damaged.so", sealed=False)  # where a seal is, it is checked


def test_sealing_what_was_made_by_hand_or_stripped(root, library, tmp_path):
    def seal(path):
        return subprocess.run([sys.executable, "-m", "opwright", "seal", path], capture_output=True, text=True)

    byhand, stripped = tmp_path / "byhand.so", tmp_path / "stripped.so"
    compile_fake_plugin(root, byhand)
    byhand.write_bytes(byhand.read_bytes()[:-56])
    subprocess.run(["strip", "-o", stripped, library], check=True)
    for path in (byhand, stripped):
        with pytest.raises(PluginError, match="has no seal"):
            opwright.load(path)
        done = seal(path)
        assert done.returncode == 0 and done.stdout == "", done.stderr
        opwright.load(path)
        assert sorted(tmp_path.glob(".*")) == []
    again = seal(byhand)
    assert again.returncode == 1 and "has a seal already, which is whole" in again.stderr
    damaged = tmp_path / "damaged.so"  # a file of its own: what is mapped must not be overwritten
    damaged.write_bytes(byhand.read_bytes().replace(b"by hand", b"by Hand"))
    assert "is damaged" in seal(damaged).stderr  # damage is not sealed


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 63), st.integers(0, 255))
def test_a_damaged_header_is_an_error_or_fine(library, at, value):
    data = bytearray(library.read_bytes()[:-56])
    data[at] = value
    path = library.parent / "header.so"
    path.write_bytes(data)
    try:
        assert check_file(str(path), sealed=False) is None
    except ValueError as e:
        assert "build it again" in str(e) or "check the path" in str(e)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("pipe", "empty", "loop", "/dev/null"):
        with pytest.raises(PluginError, match="not a shared library|cannot be read"):
            opwright.load(tmp_path / name)


def test_inspect_refuses_and_lives(library, tmp_path):
    whole = library.read_bytes()
    for name, data, message in (
        ("cut.so", whole[: len(whole) // 2], "is cut short"),
        ("sealless.so", whole[:-56], "has no seal"),
        ("changed.so", whole[:6000] + b"\0\1" + whole[6002:], "is damaged"),
    ):
        (tmp_path / name).write_bytes(data)
        done = subprocess.run(
            [sys.executable, "-m", "opwright", "inspect", tmp_path / name], capture_output=True, text=True
        )
        assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
    command = [sys.executable, "-m", "opwright", "inspect", "--unsealed", tmp_path / "sealless.so"]
    assert "sample::scale(x) -> out" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_check_is_quick(library, tmp_path):
    frame = library.read_bytes()[:-56]
    path = tmp_path / "large.so"
    path.write_bytes(sealed(frame + os.urandom(400_000 - len(frame) - 56)))

    def milliseconds():
        start = time.perf_counter()
        check_file(str(path))
        return (time.perf_counter() - start) * 1e3

    assert min(milliseconds() for _ in range(20)) < 1
