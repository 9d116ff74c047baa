"""Errors meant for users. Each says what was found, what was expected and what to do; the exit code is the command line's."""

from __future__ import annotations

from pathlib import Path

from opwright.diagnostics import indented

EXIT_OK, EXIT_REFUSED, EXIT_USAGE, EXIT_MISSING, EXIT_VERIFY, EXIT_BUG = 0, 1, 2, 3, 4, 70


class OpwrightError(Exception):
    """Base class. `message` says what was found and expected, `hint` what to do, `where` the file or kernel."""

    exit_code = EXIT_REFUSED

    def __init__(self, message: str, *, hint: str = "", where: str | Path = "", detail: str = "") -> None:
        self.message = message
        self.hint = hint
        self.where = str(where)
        self.detail = detail
        super().__init__(message)

    def at(self, where: str | Path) -> OpwrightError:
        """This error with a place, unless it has one already."""
        self.where = self.where or str(where)
        return self

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        if self.detail:
            text += "\n" + indented(self.detail.rstrip())
        if self.hint:
            text += f"\n  hint: {self.hint}"
        return text


class InputError(OpwrightError):
    """The user's input is refused."""


class MissingError(OpwrightError):
    """A tool, a package or a device that is needed is not there."""

    exit_code = EXIT_MISSING
