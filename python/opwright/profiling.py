"""Where the time of CPU kernels goes: every launch with its duration, as a table or as a file for a trace viewer."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Launch:
    """`start` is of the monotonic clock; both times are in seconds. `thread` is the system's number of the thread."""

    kernel: str
    grid: tuple[int, int, int]
    start: float
    seconds: float
    thread: int


@dataclass(frozen=True)
class Total:
    kernel: str
    launches: int
    seconds: float


@dataclass
class Profile:
    """Launches in the order in which they ended; complete when the `with` block is left."""

    launches: list[Launch] = field(default_factory=list)

    def totals(self) -> list[Total]:
        """One line per kernel, the longest time first."""
        sums: dict[str, list[float]] = {}
        for launch in self.launches:
            sums.setdefault(launch.kernel, []).append(launch.seconds)
        totals = [Total(kernel, len(times), sum(times)) for kernel, times in sums.items()]
        return sorted(totals, key=lambda total: (-total.seconds, total.kernel))

    def table(self) -> str:
        """The totals for a reader: launches, time, share and mean of each kernel."""
        totals = self.totals()
        width = max((len(total.kernel) for total in totals), default=0)
        width = max(width, len("kernel"))
        everything = sum(total.seconds for total in totals) or 1.0
        lines = [f"{'kernel':<{width}} {'launches':>9} {'total ms':>10} {'share':>6} {'mean us':>10}"]
        for total in totals:
            share, mean = 100 * total.seconds / everything, 1e6 * total.seconds / total.launches
            lines.append(
                f"{total.kernel:<{width}} {total.launches:>9} {total.seconds * 1e3:>10.3f} {share:>5.1f}% {mean:>10.2f}"
            )
        return "\n".join(lines)

    def write_trace(self, path: str | os.PathLike[str]) -> None:
        """Chrome's trace event format, which chrome://tracing and ui.perfetto.dev open. The file appears when it is complete."""
        process = os.getpid()
        events = [
            {
                "name": launch.kernel,
                "ph": "X",
                "ts": launch.start * 1e6,
                "dur": launch.seconds * 1e6,
                "pid": process,
                "tid": launch.thread,
                "args": {"grid": list(launch.grid)},
            }
            for launch in self.launches
        ]
        target = Path(path)
        partial = target.with_name(f".{target.name}.{process}")
        partial.write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}))
        os.replace(partial, target)


_open: list[Profile] = []
_lock = threading.Lock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)  # another thread may have held it


def _collect() -> None:
    """Hands what was recorded to every open profile; the lock is held."""
    from opwright import _core

    launches = [Launch(*record) for record in _core.take_launches()]
    for profile in _open:
        profile.launches.extend(launches)


@contextmanager
def profile() -> Iterator[Profile]:
    """Records the launches of all threads while the block runs; may be nested.

    with opwright.profile() as p:
        step()
    print(p.table())
    """
    from opwright import _core

    mine = Profile()
    with _lock:
        _collect()
        _open.append(mine)
        _core.set_profiling(True)
    try:
        yield mine
    finally:
        with _lock:
            _collect()
            # by identity: two empty profiles are equal
            _open[:] = [profile for profile in _open if profile is not mine]
            if not _open:
                _core.set_profiling(False)


def start_from_environment() -> None:
    """OPW_PROFILE=1: the process prints the table of all its launches to stderr when it ends. OPW_PROFILE=FILE: it writes the trace
    there. Called when the first kernel is loaded."""
    wish = os.environ.get("OPW_PROFILE", "").strip()
    if wish.lower() in ("", "0", "off", "false", "no"):
        return
    import atexit
    import sys

    recording = profile()
    result = recording.__enter__()
    parent = os.getpid()

    def finish() -> None:
        recording.__exit__(None, None, None)
        if os.getpid() != parent:  # a forked child has the records of its parent
            return
        if wish.lower() in ("1", "on", "true", "yes"):
            print(result.table(), file=sys.stderr)
        else:
            result.write_trace(wish)

    atexit.register(finish)
