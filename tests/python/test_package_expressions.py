"""Expressions of requests, compiled into a plugin and evaluated there, against Python's own integers."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from package_kit import Evaluator, package

INT64 = range(-(1 << 63), 1 << 63)
OK, OVERFLOW = 0, 6
VARS = 200


class Poison(Exception):
    """A value that does not exist."""


def _int64(value: int) -> int:
    if value not in INT64:
        raise Poison("overflow")
    return value


def _divide(a: int, b: int) -> int:
    if b == 0:
        raise Poison("division by zero")
    return _int64(a // b)


def _cdiv(a: int, b: int) -> int:
    if b == 0:
        raise Poison("division by zero")
    return _int64(-(-a // b))


def _modulo(a: int, b: int) -> int:
    if b == 0:
        raise Poison("division by zero")
    return a % b


def _npow2(a: int) -> int:
    return _int64(1 << max(a - 1, 0).bit_length())


BINARY = {
    "+": (5, lambda a, b: _int64(a + b)),
    "-": (5, lambda a, b: _int64(a - b)),
    "*": (6, lambda a, b: _int64(a * b)),
    "//": (6, _divide),
    "%": (6, _modulo),
    "==": (4, lambda a, b: int(a == b)),
    "!=": (4, lambda a, b: int(a != b)),
    "<": (4, lambda a, b: int(a < b)),
    "<=": (4, lambda a, b: int(a <= b)),
    ">": (4, lambda a, b: int(a > b)),
    ">=": (4, lambda a, b: int(a >= b)),
    "and": (2, lambda a, b: int(bool(a) and bool(b))),
    "or": (1, lambda a, b: int(bool(a) or bool(b))),
}
CALLS = {
    "min": (2, min),
    "max": (2, max),
    "cdiv": (2, _cdiv),
    "abs": (1, lambda a: _int64(abs(a))),
    "npow2": (1, _npow2),
}


def tree(rng: random.Random, depth: int) -> tuple:
    """A random expression over x.0, x.1, x.2, a and b."""
    kind = rng.random()
    if depth == 0 or kind < 0.15:
        leaf = rng.random()
        if leaf < 0.4:
            return ("name", rng.choice(["x.0", "x.1", "x.-1", "a", "b"]))
        return (
            "int",
            rng.choice(
                [0, 1, 2, 3, 7, 16, 127, 4096, (1 << 31) - 1, 1 << 31, 1 << 40, (1 << 63) - 1, rng.randrange(1 << 20)]
            ),
        )
    if kind < 0.6:
        return ("binary", rng.choice(list(BINARY)), tree(rng, depth - 1), tree(rng, depth - 1))
    if kind < 0.7:
        return ("unary", rng.choice(["-", "not "]), tree(rng, depth - 1))
    if kind < 0.8:
        return ("select", *(tree(rng, depth - 1) for _ in range(3)))
    name = rng.choice(list(CALLS))
    return ("call", name, *(tree(rng, depth - 1) for _ in range(CALLS[name][0])))


def show(node: tuple, parent: int = 0) -> str:
    """Infix text with as few parentheses as Python's precedence allows."""
    match node:
        case ("name", name):
            return name
        case ("int", value):
            return str(value)
        case ("call", name, *args):
            return f"{name}({', '.join(show(a) for a in args)})"
        case ("select", c, a, b):
            return f"select({show(c)}, {show(a)}, {show(b)})"
        case ("unary", op, a):
            level = 7 if op == "-" else 3
            text = op + show(a, level)
        case (_, op, a, b):
            level = BINARY[op][0]
            text = f"{show(a, level + (level == 4))} {op} {show(b, level + 1)}"
    return f"({text})" if level < parent else text


def value(node: tuple, names: dict[str, int]) -> int:
    """What it is in unbounded integers with a range check after every step; only `select` is lazy."""
    match node:
        case ("name", name):
            return names[name]
        case ("int", number):
            return number
        case ("call", name, *args):
            return CALLS[name][1](*(value(a, names) for a in args))
        case ("select", c, a, b):
            return value(a if value(c, names) else b, names)
        case ("unary", "-", a):
            return _int64(-value(a, names))
        case ("unary", _, a):
            return int(not value(a, names))
        case (_, op, a, b):
            return BINARY[op][1](value(a, names), value(b, names))


def fill_op(variables: list[tuple[str, str]]) -> dict:
    """An op without a kernel: its output is filled with a byte."""
    return {
        "name": "vars",
        "inputs": [{"name": "x", "type": "f32"}],
        "outputs": [{"name": "out", "type": "f32", "shape": "x[0:]"}],
        "attrs": [{"name": "a", "kind": "int"}, {"name": "b", "kind": "int"}],
        "vars": [list(v) for v in variables],
        "plans": [{"launches": [{"fill": "out", "fill_byte": 0}]}],
    }


@pytest.mark.parametrize("seed", range(4))
def test_programs_have_the_values_of_python(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    trees = [tree(rng, rng.randrange(1, 6)) for _ in range(VARS)]
    library = package(
        tmp_path, [fill_op([(f"v{i}", show(t)) for i, t in enumerate(trees)])], [], library=f"libvars{seed}.so"
    )
    evaluator = Evaluator(library, "sample", "vars")
    poisoned = 0
    for shape, a, b in [
        ([4, 5, 6], 3, -2),
        ([0, 1, 1], 0, 0),
        ([1 << 31, 7, 1], -1, 1),
        ([1 << 40, 3, 0], -(1 << 63), -1),
        ([(1 << 62), 1, 1], (1 << 63) - 1, 1 << 33),
    ]:
        names = {"x.0": shape[0], "x.1": shape[1], "x.-1": shape[-1], "a": a, "b": b}
        for t, (status, got, text) in zip(trees, evaluator.vars(shape, [a, b]), strict=True):
            try:
                expected = value(t, names)
            except Poison:
                poisoned += 1
                assert status == OVERFLOW, (show(t), names, got)
                assert text.startswith("sample::vars: the program: instruction "), text
            else:
                assert (status, got) == (OK, expected), (show(t), names, text)
    assert poisoned > 50


def test_shown_text_is_python(tmp_path: Path) -> None:
    """The texts of this file mean the same to Python, so precedence is Python's."""
    rng = random.Random(9)
    for _ in range(300):
        t = tree(rng, 4)
        names = {"x.0": 4, "x.1": 5, "x.-1": 6, "a": 3, "b": -2}
        text = show(t).replace("x.0", "x0").replace("x.1", "x1").replace("x.-1", "x2")
        try:
            expected = value(t, names)
        except Poison:
            continue
        scope = {"x0": 4, "x1": 5, "x2": 6, "a": 3, "b": -2, "cdiv": _cdiv, "npow2": _npow2}
        scope["select"] = lambda c, a, b: a if c else b
        try:
            got = eval(text, scope)
        except (Poison, ZeroDivisionError):
            continue  # Python evaluates both sides of a select
        if "and" not in text and "or" not in text:
            assert int(got) == expected, text


def test_var_of_a_var_keeps_its_place(tmp_path: Path) -> None:
    library = package(tmp_path, [fill_op([("n", "x.0 // a"), ("m", "n + 1")])], [], library="libplace.so")
    (first, _, text), (second, _, outer) = Evaluator(library, "sample", "vars").vars([4], [0, 0])
    assert (first, second) == (OVERFLOW, OVERFLOW)
    assert text == "sample::vars: the program: instruction 2 (FDIV) divides by zero"
    assert outer == "sample::vars: the program: instruction 2 (FDIV) of var 0 divides by zero"
