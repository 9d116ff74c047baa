"""A build's workspace: one build at a time, whole files or none, and the native build with its errors as users read them."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from opwright.diagnostics import render
from opwright.errors import InputError, MissingError, OpwrightError

Progress = Callable[[str], None]
CPU_LEVELS = ("x86-64-v3", "x86-64-v4")


def parse_targets(text: str) -> list[str]:
    """CPU levels of 'cpu:x86-64-v3,cpu:x86-64-v4', in the order of the levels."""
    known = ", ".join(f"cpu:{level}" for level in CPU_LEVELS)
    levels = []
    for target in filter(None, (part.strip() for part in text.split(","))):
        device, _, level = target.partition(":")
        if device == "cuda":
            raise InputError(f"target {target!r}: CUDA is not supported yet", hint=f"use {known}")
        if target == "cpu:aarch64":
            raise InputError(f"target {target!r}: plugins for aarch64 are not supported yet", hint=f"use {known}")
        if device != "cpu" or level not in CPU_LEVELS:
            raise InputError(f"target {target!r}, expected {known}", hint="separate several by commas")
        levels.append(level)
    if not levels:
        raise InputError(f"no target in {text!r}, expected {known}", hint=f"--targets {known.replace(', ', ',')}")
    return [level for level in CPU_LEVELS if level in levels]


class Clock:
    """Times stages and tells the progress display about each."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.stages: list[tuple[str, float]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.progress(name)
        start = time.perf_counter()
        yield
        self.stages.append((name, (time.perf_counter() - start) * 1e3))


def counted(number: int, what: str) -> str:
    """ "1 kernel", "2 kernels"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def import_core() -> ModuleType:
    """The native compiler."""
    try:
        from opwright import _core
    except ImportError as e:
        raise MissingError(
            f"the native part of Opwright cannot be loaded ({e})", hint="install Opwright again: pip install ."
        ) from e
    return _core


def run_core(
    core: Any, request: dict[str, Any], workspace: Path, roots: Sequence[Path] = (), sources: Path | None = None
) -> dict[str, Any]:
    """The native build, with the plugin's sources in a folder where one is given. Its errors keep their text, with lines of
    the files below `roots`; a missing linker has the exit code of a missing tool."""
    more = {"sources_dir": str(sources.absolute())} if sources else {}
    try:
        return dict(core.build(request, str(workspace), dump_dir=os.environ.get("OPW_DUMP_DIR", ""), **more) or {})
    except OSError as e:
        raise _unwritable(workspace, e) from e
    except core.MissingToolError as e:
        raise MissingError(str(e).rstrip().removeprefix("error: ")) from e
    except core.CompileError as e:
        raise InputError(render(e.diagnostics, roots).removeprefix("error: ")) from e


def run_core_timed(
    core: Any, request: dict[str, Any], workspace: Path, clock: Clock, roots: Sequence[Path] = (), sources: Path | None = None
) -> dict[str, Any]:  # fmt: skip
    """run_core, with its stages on the clock."""
    clock.progress("plugin")
    start = time.perf_counter()
    report = run_core(core, request, workspace, roots, sources)
    clock.stages += [
        (str(name), float(ms)) for name, ms in report.get("stages") or [("plugin", (time.perf_counter() - start) * 1e3)]
    ]
    return report


def write_file(path: Path, content: str | bytes) -> None:
    """Writes a whole file or nothing."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(content.encode() if isinstance(content, str) else content)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@contextmanager
def writing(workspace: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise _unwritable(workspace, e) from e


def _unwritable(workspace: Path, error: OSError) -> OpwrightError:
    place = f" ({error.filename})" if error.filename and str(error.filename) != str(workspace) else ""
    return InputError(
        f"the workspace {str(workspace)!r} cannot be written{place}: {error.strerror or error}",
        hint="free some space, or give another folder with --workspace",
    )


@contextmanager
def locked(workspace: Path) -> Iterator[None]:
    """The workspace, made if needed, for one build at a time; left-overs of a killed build are removed."""
    with writing(workspace):
        workspace.mkdir(parents=True, exist_ok=True)
        handle = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another build is running in the workspace {str(workspace)!r}",
                hint="wait for it, or use another --workspace",
            ) from None
        with writing(workspace):
            for name in ("output", "request.json"):
                path = workspace / name
                if path.exists() and path.is_dir() != (name == "output"):
                    raise InputError(f"{str(path)!r} is in the way: expected a {'folder' if name == 'output' else 'file'}",
                                     hint="move it away, or use another --workspace")  # fmt: skip
            for pattern in (".build-*", ".request.json.*", "output/.functional.py.*", "*/.*.ttir.*"):
                for old in workspace.glob(pattern):
                    shutil.rmtree(old) if old.is_dir() else old.unlink()
        yield
    finally:
        os.close(handle)
