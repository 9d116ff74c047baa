"""Opwright as a backend of the stock Triton package: the driver and compiler named `cpu`.

Triton finds this package by its entry point (group `triton.backends`) and imports `compiler` and `driver` while it is
itself being imported: both load nothing but Triton's base classes, all else comes with the first kernel.
"""

from __future__ import annotations

# Whoever imports this package before Triton gets Triton first: it looks for the classes of the two modules meanwhile.
import triton  # noqa: F401


def activate() -> None:
    """Makes the CPU the active Triton driver of this process, also where a GPU driver is active."""
    from triton.runtime import driver as active

    from opwright.triton_backend import driver

    active.set_active(driver.CPUDriver())
