"""Switches in the environment."""

from __future__ import annotations

import os

_WORDS = dict.fromkeys(("1", "on", "true", "yes"), True) | dict.fromkeys(("0", "off", "false", "no"), False)


def switch(name: str) -> bool | None:
    """What a variable says; None where it is not set, or is no switch's word."""
    return _WORDS.get(os.environ.get(name, "").strip().lower())
