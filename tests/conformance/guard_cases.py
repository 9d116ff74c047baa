"""The cases of test_guard_pages.py, run as a program of their own: every array ends, then begins, at a page that may not be touched, and
what the masks leave out is looked for by a crash. Prints each case before it runs, so that the last line names the guilty one."""

from __future__ import annotations

import sys

import numpy as np
from guard import forbidden, guarded

from .kernels import guard_pages as k
from .kit import launch, rng

TYPES = [np.int8, np.float16, np.float32, np.float64]


def arrays(at_end, *shapes, dtype=np.float32):
    return [guarded(rng(i).integers(-50, 50, shape).astype(dtype), at_end) for i, shape in enumerate(shapes)]


def copies(at_end):
    for dtype in TYPES:
        for n in (1, 3, 17, 63, 64, 65, 127):
            for block in (64, 128):
                x, out = arrays(at_end, n, n, dtype=dtype)
                launch(k.copy, -(-n // block), x, out, n, BLOCK=block)
                yield out, x


def intervals(at_end):
    """The array has what is inside of [low, high) alone."""
    for low, high in [(0, 5), (7, 64), (60, 64), (13, 14), (1, 63), (30, 30), (64, 70), (-5, 0)]:
        n = max(min(high, 64) - max(low, 0), 0)
        for kind in ("interval", "outside not", "unsigned", "reverse"):
            x, out = arrays(at_end, max(n, 1), max(n, 1))
            out[...] = x if n == 0 else 0
            launch(
                k.interval, 1, _shifted(x, -max(low, 0)), _shifted(out, -max(low, 0)), low, high, KIND=kind, BLOCK=64
            )
            yield out, x


def loaded_masks(at_end):
    """Lanes whose mask is loaded; the memory of the others does not exist."""
    for n in (1, 9, 40):
        mask = np.zeros(64, np.int8)
        mask[:n] = rng(n).random(n) < 0.5
        mask[n - 1] = 1
        x, out = arrays(at_end, n, n)
        expected = np.where(mask[:n] != 0, x, out)
        for volatile in (False, True):
            launch(k.by_mask, 1, x, guarded(mask, at_end), out, VOLATILE=volatile, BLOCK=64)
            yield out, expected


def tiles(at_end):
    for rows, cols in [(1, 1), (3, 5), (16, 31), (13, 32), (7, 1), (0, 0)]:
        for kind in ("copy", "transpose", "sum rows", "sum columns", "broadcast"):
            shape = (max(rows, 1), max(cols, 1))
            x, out = arrays(at_end, shape, shape[::-1] if kind == "transpose" else shape)
            rows_out, columns_out = arrays(at_end, shape[0], shape[1])
            target = {"sum rows": rows_out, "sum columns": columns_out}.get(kind, out)
            launch(k.tile, 1, x, target, rows, cols, KIND=kind, R=16, C=32)
            if rows:
                yield (
                    target,
                    {"copy": x, "transpose": x.T, "sum rows": x.sum(1), "sum columns": x.sum(0)}.get(
                        kind, np.broadcast_to(x[:, :1] + x[:1], x.shape)
                    ),
                )


def strided(at_end):
    for stride in (1, 2, 3, -1, -2, 17):
        for n in (1, 5, 33):
            x, out = arrays(at_end, (n - 1) * abs(stride) + 1, n)
            first = x[-1:] if stride < 0 else x
            launch(k.strided, 1, _at(first), out, stride, n, BLOCK=64)
            yield out, x[::stride]


def gathers(at_end):
    """The index of a lane that is off is far outside."""
    for n in (1, 20, 64):
        x, out = arrays(at_end, 10, n)
        index = np.full(64, 2**30, np.int32)
        index[:n] = rng().integers(0, 10, n)
        launch(k.gather, 1, x, index, out, n, BLOCK=64)
        yield out, x[index[:n]]


def loops(at_end):
    """The last iterations have less; rows that are not there are not looked at, neither for the next iteration."""
    for n in (1, 31, 32, 33, 100):
        x, out = arrays(at_end, n, 1)
        launch(k.loop_sum, 1, x, out, n, BLOCK=32)
        yield out, [x.sum()]
        x, out = arrays(at_end, n, n)
        launch(k.loop_moving, 1, x, out, n, BLOCK=32)
        yield out, x * 2


def products(at_end):
    """Matrix products whose tiles stick out on every side."""
    for m, n, kk in [(1, 1, 1), (5, 7, 9), (16, 16, 16), (17, 33, 18), (3, 40, 72), (40, 3, 5)]:
        for transposed in (False, True):
            a, b, c = arrays(at_end, (m, kk), (n, kk) if transposed else (kk, n), (m, n))
            strides = (1, kk) if transposed else (n, 1)
            launch(k.product, (-(-m // 16), -(-n // 16)), a, b, c, m, n, kk, kk, *strides, BLOCK=16)
            yield c, a @ (b.T if transposed else b)


def other_operations(at_end):
    for n in (1, 17, 63, 64):
        for kind in ("atomic", "scan", "pointers", "while", "return", "sort"):
            x, y, out = arrays(at_end, n, n, n)
            launch(k.other_operations, 1, x, y, out, n, KIND=kind, BLOCK=64)
            yield out, x + y


def descriptors(at_end):
    for shape in ((16, 32), (13, 20), (1, 4), (40, 36)):
        x, out = arrays(at_end, shape, shape)
        launch(k.descriptor, 1, x, out, *shape, R=8, C=16)
        yield out, x


def control(at_end):
    """A pointer that is not used may be one that may not be."""
    x, out = arrays(at_end, 10, 10)
    for flag in (0, 1):
        nowhere = np.frombuffer((np.ctypeslib.ctypes.c_char * 64).from_address(forbidden()), np.float32)
        launch(k.optional, 1, x, x if flag else nowhere, out, flag, 10, BLOCK=16)
        yield out, x + x * flag
    for n in (0, 1):
        nowhere = np.frombuffer((np.ctypeslib.ctypes.c_char * 64).from_address(forbidden()), np.float32)
        launch(k.zero_trip, 1, x if n else nowhere, out, n, BLOCK=1)
        yield out[:1], [x[0] if n else 0]


def _shifted(x, elements):
    """A pointer so many elements beside the array."""
    return _at(x, elements * x.itemsize)


def _at(x, beside=0):
    import opwright

    view = opwright.tensor(x)
    view._address += beside
    return view


def divisions(at_end):
    """Tables that are no longer than the quotients and remainders of the elements that there are."""
    for dtype in TYPES:
        for n in (1, 8, 16, 33, 48, 255, 1000):
            for divisor in (3, 8, 16, 64):
                sizes = n, min(n, divisor), (n - 1) // divisor + 1, n
                x, rest, quotient, out = arrays(at_end, *sizes, dtype=dtype)
                launch(k.divided, -(-n // 256), x, rest, quotient, out, n, DIVISOR=divisor, BLOCK=256)
                i = np.arange(n)
                yield out, x + rest[i % divisor] + quotient[i // divisor]


CASES = (
    copies,
    divisions,
    intervals,
    loaded_masks,
    tiles,
    strided,
    gathers,
    loops,
    products,
    other_operations,
    descriptors,
    control,
)

if __name__ == "__main__":
    for case in CASES:
        for at_end in (True, False):
            count = 0
            print(f"\n{case.__name__} {'end' if at_end else 'begin'}", end="", flush=True)
            for got, expected in case(at_end):
                np.testing.assert_array_equal(got, expected, err_msg=f"{case.__name__}, result {count}")
                count += 1
                print(f" {count}", end="", flush=True)
    print("\ndone", flush=True)
    sys.exit(0)
