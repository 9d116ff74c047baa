"""Diagnostics of the compiler as text: each with the line of the source it is about and a caret, as C compilers do."""

from __future__ import annotations

import linecache
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def source_line(file: str, line: int, roots: Sequence[Path] = ()) -> str | None:
    """The text of a line, counted from 1; None where the file cannot be read or has no such line.

    A relative name is looked for in the roots. Where two roots have different files of that name, it is not guessed which
    is meant. Names such as '<ipython-input-1>' are those of notebooks, whose lines Python knows.
    """
    if not file or line < 1:
        return None
    if Path(file).is_absolute() or file.startswith("<"):
        names = {file}
    else:
        names = {str(path.resolve()) for path in (Path(root, file) for root in roots) if path.is_file()}
    if len(names) != 1:
        return None
    name = names.pop()
    linecache.checkcache(name)
    lines = linecache.getlines(name)
    return lines[line - 1].rstrip("\r\n") if line <= len(lines) else None


def with_caret(text: str, column: int) -> str:
    """The line, and below it a caret under a column: Python's, in bytes of UTF-8, but counted from 1.

    Tabs are kept, so that both lines are shown alike. A column past the end of the line, or 0, has no caret.
    """
    before = text.encode()[: column - 1]
    if column < 1 or len(before) < column - 1:
        return text
    shown = before.decode(errors="ignore")
    return text + "\n" + "".join(map(_blank, shown)) + "^"


def _blank(character: str) -> str:
    """White space as wide as the character."""
    if character == "\t":
        return character
    if unicodedata.combining(character):
        return ""
    return "  " if unicodedata.east_asian_width(character) in "WF" else " "


def indented(text: str) -> str:
    """Lines of a source as they stand inside a message."""
    return "\n".join(f"  | {line}".rstrip() for line in text.splitlines())


def render(diagnostics: Iterable[Mapping[str, Any]], roots: Sequence[Path] = ()) -> str:
    """The diagnostics of a _core.CompileError: what is wrong where, the line of the source, what to do."""
    parts = []
    for each in diagnostics:
        message, _, rest = each["text"].partition("\n")
        line = source_line(each["file"], each["line"], roots)
        shown = indented(with_caret(line, each["col"])) if line is not None else ""
        parts += filter(None, (message, shown, rest))
    return "\n".join(parts)
