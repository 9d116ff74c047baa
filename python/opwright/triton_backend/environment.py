"""What the environment says. A word that is none of those expected is an error: nothing is ignored in silence."""

from __future__ import annotations

import os

_YES, _NO = ("1", "on", "true", "yes"), ("0", "off", "false", "no")


def switch(name: str) -> bool | None:
    """What a variable says; None where it is not set. ValueError for a word that is no switch's."""
    word = os.environ.get(name, "").strip().lower()
    if word in ("", *_YES, *_NO):
        return None if not word else word in _YES
    raise ValueError(f"found {name}={os.environ[name]!r}, expected {', '.join((*_YES, *_NO))}")


def check() -> None:
    """ValueError for a variable that the native part would take for something else, or could not use."""
    pool = os.environ.get("OPW_POOL", "")
    if pool not in ("", "own", "torch"):
        raise ValueError(f"found OPW_POOL={pool!r}, expected own or torch, or the variable unset")
    threads = os.environ.get("OPW_THREADS", "")
    if threads and not (threads.isascii() and threads.isdigit() and int(threads) > 0):
        raise ValueError(f"found OPW_THREADS={threads!r}, expected a number of threads, or the variable unset")
