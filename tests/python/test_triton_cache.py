"""Caches of compiled kernels that are damaged, incomplete, of another compiler, or cannot be written."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="triton is not installed")

import runtime_kit
from kernels.runtime import scale
from runtime_kit import VERSION, N, fresh, in_process, ones, t

from opwright.triton_backend import compiler

cache, compiled = runtime_kit.cache, runtime_kit.compiled


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b""], ids=["half", "empty"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of Triton's half-made kernel
@pytest.mark.parametrize(("name", "error"), [("scale.json", ValueError), ("scale.opwo", RuntimeError)])
def test_a_damaged_cache_is_an_error_until_it_is_compiled_again(name, error, damage, cache, compiled, monkeypatch):
    def launch() -> bool:
        x = ones()
        try:
            fresh(scale)[(1,)](t(x), N, 3.0, BLOCK=64)
        except BaseException:
            assert (x == 1).all()
            raise
        assert (x == 3).all()
        return compiled.pop()

    assert launch() is False
    (file,) = cache.rglob(name)
    file.write_bytes(damage(file.read_bytes()))
    for _ in range(2):
        with pytest.raises(error):
            launch()
    monkeypatch.setenv("TRITON_ALWAYS_COMPILE", "1")
    assert launch() is False
    monkeypatch.delenv("TRITON_ALWAYS_COMPILE")
    assert launch() is True


# What is done to which file, and the first Triton that notices; those before it trust their index.
INCOMPLETE = {
    "no index": ("__grp__scale.json", Path.unlink, (3, 6)),
    "no metadata": ("scale.json", Path.unlink, (3, 6)),
    "empty index": ("__grp__scale.json", lambda file: file.write_bytes(b""), (3, 7)),
    "half an index": ("__grp__scale.json", lambda file: file.write_bytes(file.read_bytes()[:50]), (3, 7)),
    "no text": ("scale.ttir", Path.unlink, (3, 8)),
    "no object": ("scale.opwo", Path.unlink, (3, 8)),
}


@pytest.mark.parametrize("what", [what for what, (_, _, since) in INCOMPLETE.items() if since <= VERSION])
def test_an_incomplete_cache_is_filled_again(what, cache, compiled):
    name, damage, _ = INCOMPLETE[what]
    for hits in ([False], [False, True]):
        for hit in hits:
            x = ones()
            fresh(scale)[(1,)](t(x), N, 3.0, BLOCK=64)
            assert (x == 3).all() and compiled.pop() is hit
        (file,) = cache.rglob(name)
        damage(file)


def test_what_another_build_of_the_compiler_cached_is_not_taken(cache, compiled, monkeypatch):
    def launch() -> bool:
        x = ones()
        fresh(scale)[(1,)](t(x), N, 3.0, BLOCK=64)
        assert (x == 3).all()
        return compiled.pop()

    assert (launch(), launch()) == (False, True)
    with monkeypatch.context() as other:
        other.setattr(compiler, "_build_id", lambda: "another build")
        assert (launch(), launch()) == (False, True)
    assert launch() is True


def test_a_cache_directory_that_is_a_file(tmp_path, monkeypatch):
    kernel, x = fresh(scale), ones()
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(OSError) as caught:
        kernel[(1,)](t(x), N, 3.0, BLOCK=64)
    assert Path(caught.value.filename).is_relative_to(tmp_path / "file") and (x == 1).all()
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "folder"))
    kernel[(1,)](t(x), N, 3.0, BLOCK=64)
    assert (x == 3).all()


OUTSIDE = """
    import ctypes, json, os, resource, signal
    from pathlib import Path
    import numpy as np, triton, opwright
    from kernels import elementwise

    folder, hits = Path({folder!r}), []
    triton.knobs.compilation.listener = lambda *, cache_hit, **_: hits.append(cache_hit)

    def launch(where, block=128):
        '''The errno of a launch with an empty memory, and the file it names; else the result and whether it came from the cache.'''
        os.environ["TRITON_CACHE_DIR"] = str(where)
        x, y, out = np.full(4, 8, np.float32), np.full(4, 6, np.float32), np.zeros(4, np.float32)
        try:
            triton.jit(elementwise.hypotenuse.fn)[(1,)](*map(opwright.tensor, (x, y, out)), 4, BLOCK=block)
        except OSError as error:
            return [error.errno, error.filename, out.tolist()]
        return [out.tolist(), hits.pop()]
"""
RESULT = [12.0] * 4  # hypot(8, 6) + cbrt(8)


def test_a_cache_on_a_full_disk_is_an_error_and_stays_sound(tmp_path):
    """A limit of a file's size stands for the disk: in one run no file fits, in the other all but the object."""
    code = (
        OUTSIDE
        + """
    assert launch(folder / "whole")[1] is False
    sizes = {{file.suffix: file.stat().st_size for file in (folder / "whole").rglob("hypotenuse.*")}}
    assert max(sizes, key=sizes.get) == ".opwo", sizes
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    found = []
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (0, sizes[".opwo"] - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
        refused = launch(folder / str(limit))
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
        kept = [file.suffix for file in (folder / str(limit)).glob("*/hypotenuse.*")]
        found.append([refused, sorted(kept), launch(folder / str(limit)), launch(folder / str(limit))])
    print(json.dumps(found))
    """
    )
    found = json.loads(in_process(code.format(folder=str(tmp_path))))
    for ((number, _, out), kept, written, again), expected in zip(found, ([], [".source", ".ttir"]), strict=True):
        assert number == errno.EFBIG and out == [0.0] * 4 and kept == expected
        assert (written, again) == ([RESULT, False], [RESULT, True])


def test_a_read_only_cache_gives_what_it_has_and_refuses_the_rest(tmp_path):
    code = (
        OUTSIDE
        + """
    found = [launch(folder)]
    # a process without capabilities: root could write anywhere
    assert ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()) == 0
    for path in (folder, *folder.iterdir()):
        path.chmod(0o555)
    found += [launch(folder), launch(folder, block=64)]
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    found += [launch(folder, block=64), launch(folder, block=64)]
    print(json.dumps(found))
    """
    )
    first, kept, (number, file, out), written, again = json.loads(in_process(code.format(folder=str(tmp_path))))
    assert (first, kept) == ([RESULT, False], [RESULT, True])
    assert number == errno.EACCES and Path(file).is_relative_to(tmp_path) and out == [0.0] * 4
    assert (written, again) == ([RESULT, False], [RESULT, True])
