"""Tells a whole plugin library from a damaged one before it is mapped: dlopen of a truncated file ends the process.

This text also stands in every generated functional.py, as that of native.py does. The seal is that of opwright/seal.hpp.
"""

from __future__ import annotations

import os
from binascii import crc32

_SEAL_BYTES, _SEAL_MAGIC = 56, b"opwseal1"  # hash of the tables (32), bytes of the file (8), CRC-32 (8), magic (8)


def _number(data: bytes, at: int, width: int) -> int:
    return int.from_bytes(data[at : at + width], "little")


def _extent(data: bytes) -> int:
    """The end of what the headers of a 64-bit shared library place in its file; 0 when there are no such headers."""
    if len(data) < 64 or data[:7] != b"\x7fELF\x02\x01\x01" or data[16:18] != b"\x03\x00" or _number(data, 54, 2) != 56:
        return 0
    segments, count = _number(data, 32, 8), _number(data, 56, 2)
    end = segments + 56 * count
    for at in range(segments, end, 56) if end <= len(data) else ():
        end = max(end, _number(data, at + 8, 8) + _number(data, at + 32, 8))  # offset and size in the file
    if sections := _number(data, 60, 2):
        end = max(end, _number(data, 40, 8) + sections * _number(data, 58, 2))
    return end


def check_file(path: str, sealed: bool = True) -> bytes | None:
    """Reads a library file and refuses, with a ValueError, one that must not be mapped.

    Its headers must place nothing beyond its end, and it must be what its seal says; `sealed=False` takes a file
    without a seal too, such as a plugin made by hand. Returns the hash of the sealed tables, None without a seal.
    """
    try:
        with open(path, "rb", opener=lambda p, flags: os.open(p, flags | os.O_NONBLOCK)) as f:  # waits for no pipe
            data = f.read(64)
            data += f.read() if data[:4] == b"\x7fELF" else b""
    except OSError as e:
        raise ValueError(f"{path} cannot be read ({e.strerror}); build the plugin again or correct the path") from e
    cure = "; copy or build it again"
    end = _extent(data)
    if not end:
        raise ValueError(f"{path} is not a shared library: it does not open with the header of one; check the path")
    if end > len(data):
        raise ValueError(f"{path} is cut short: found {len(data)} bytes, expected at least {end}{cure}")
    seal = data[max(end, len(data) - _SEAL_BYTES) :]
    if seal[48:] != _SEAL_MAGIC:
        if not sealed:
            return None
        raise ValueError(
            f"{path} has no seal: it was cut short or changed after it was built, or it was made by hand{cure}, "
            "or load it with sealed=False (opwright inspect --unsealed)"
        )
    size, expected, found = _number(seal, 32, 8), _number(seal, 40, 8), crc32(memoryview(data)[:-16])
    if size != len(data) or expected != found:
        raise ValueError(
            f"{path} is damaged: found {len(data)} bytes with the checksum {found}, sealed were {size} with {expected}{cure}"
        )
    return seal[:32]
