"""The error of a kernel that the CPU compiler refuses."""

from __future__ import annotations

from typing import Any

from triton.errors import TritonError


class KernelError(TritonError, RuntimeError):
    """Its text names kernel, source line and operation, and says what to do; `diagnostics` has the same as dicts."""

    def __init__(self, text: str, diagnostics: list[dict[str, Any]] | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.diagnostics = diagnostics or []

    def __str__(self) -> str:
        return self.text

    def __reduce__(self) -> tuple:
        return type(self), (self.text, self.diagnostics)
