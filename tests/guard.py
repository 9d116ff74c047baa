"""Memory that ends, or begins, where the next page may not be touched: a lane that is off and looks there anyway ends the process."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def guarded(array: np.ndarray, at_end: bool) -> np.ndarray:
    """A copy whose last byte is the last before a forbidden page, or whose first is the first after one."""
    page = mmap.PAGESIZE
    inside = max(-(-array.nbytes // page), 1) * page
    memory = mmap.mmap(-1, inside + 2 * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for edge in (start, start + page + inside):
        if _libc.mprotect(edge, page, 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    offset = page + (inside - array.nbytes if at_end else 0)
    copy = np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
    copy[...] = array
    return copy


def forbidden() -> int:
    """The address of a page that may not be touched."""
    memory = mmap.mmap(-1, mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    _libc.mprotect(start, mmap.PAGESIZE, 0)
    _kept.append(memory)
    return start


_kept: list = []
