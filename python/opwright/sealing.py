"""Seals libraries that the packager did not link: plugins made by hand, and built ones that a tool changed on purpose."""

from __future__ import annotations

import ctypes
import os
import shutil
from binascii import crc32
from pathlib import Path

from opwright.errors import InputError
from opwright.native import open_library
from opwright.seal import check_file


def seal_library(path: str | os.PathLike[str]) -> None:
    """Puts a sealed copy in the place of a library without a seal. Loads it: its tables say their hash."""
    path = Path(path)
    library = open_library(path, sealed=False)
    if check_file(str(path), sealed=False) is not None:
        raise InputError(f"{path} has a seal already, which is whole", hint="there is nothing to do")
    data = path.read_bytes()
    data += ctypes.string_at(library.tables + 24, 32) + (len(data) + 56).to_bytes(8, "little")  # opw_tables_t.hash
    data += crc32(data).to_bytes(8, "little") + b"opwseal1"
    fresh = path.with_name(f".{path.name}.{os.getpid()}")  # renamed when whole: the old file may be in use
    try:
        fresh.write_bytes(data)
        shutil.copymode(path, fresh)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
