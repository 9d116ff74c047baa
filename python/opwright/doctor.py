"""What Opwright needs on this machine, and whether it is there."""

from __future__ import annotations

import dataclasses
import os
import platform
import shutil
from importlib import metadata
from typing import Any

import opwright


@dataclasses.dataclass
class Check:
    """One thing that was looked for; `needed` means that plugin-gen does not work without it."""

    name: str
    ok: bool
    needed: bool
    text: str

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return dataclasses.asdict(self)


def examine() -> list[Check]:
    """Every check, in the order of use."""
    checks = [Check("opwright", True, True, f"{opwright.__version__}, Python {platform.python_version()}")]
    checks.append(_core())
    for package, needed, cure in (
        ("triton", True, "pip install triton"),
        ("numpy", True, "pip install numpy"),
        ("ml_dtypes", False, "pip install ml_dtypes (bfloat16 and float8 NumPy arrays)"),
        ("onnxruntime", False, "pip install onnxruntime"),
        ("pyyaml", False, "pip install pyyaml (kernel configurations in YAML)"),
        ("torch", False, "pip install torch"),
    ):
        try:
            checks.append(Check(package, True, needed, metadata.version(package)))
        except metadata.PackageNotFoundError:
            checks.append(Check(package, False, needed, f"not installed; {cure}"))
    checks.append(_linker())
    return checks


def _core() -> Check:
    try:
        from opwright import _core as core
    except ImportError as e:
        return Check(
            "compiler", False, True, f"the native part cannot be loaded ({e}); install Opwright again: pip install ."
        )
    level = core.host_level()
    text = f"this CPU has level {level}" if level else "this CPU is below x86-64-v3: plugins can be built, not run"
    return Check("compiler", True, True, text)


def _linker() -> Check:
    given = os.environ.get("CC", "").split()
    for name in [*given[:1], "cc", "gcc", "clang"]:
        path = shutil.which(name)
        if path:
            return Check("linker", True, True, path)
    return Check("linker", False, True, "found none of $CC, cc, gcc, clang; install a C compiler: apt install gcc")
