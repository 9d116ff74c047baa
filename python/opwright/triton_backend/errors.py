"""Errors of a kernel that the CPU compiler refuses."""

from __future__ import annotations

from typing import Any

from triton.errors import TritonError
from triton.runtime.errors import OutOfResources


class KernelError(TritonError, RuntimeError):
    """Its text names kernel, source line and operation, and says what to do; `diagnostics` has the same as dicts."""

    def __init__(self, text: str, diagnostics: list[dict[str, Any]] | None = None) -> None:
        RuntimeError.__init__(self, text)  # not super(): what comes next for KernelTooLarge takes other arguments
        self.text = text
        self.diagnostics = diagnostics or []

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple:
        return type(self), (self.text, self.diagnostics)


class KernelTooLarge(KernelError, OutOfResources):
    """The tiles of the kernel take more memory than a thread may have. Triton's autotuner skips the configuration."""

    def __init__(self, text: str, diagnostics: list[dict[str, Any]] | None = None) -> None:
        KernelError.__init__(self, text, diagnostics)
        worst = self.diagnostics[0] if self.diagnostics else {"required": 0, "limit": 0}
        self.required, self.limit, self.name = worst["required"], worst["limit"], "memory of a thread"


def kernel_error(text: str, diagnostics: list[dict[str, Any]]) -> KernelError:
    """The error for what the compiler said."""
    return (KernelTooLarge if diagnostics and diagnostics[0]["required"] else KernelError)(text, diagnostics)
