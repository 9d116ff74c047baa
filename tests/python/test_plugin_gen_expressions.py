"""Expressions of shape rules and grids against Python and a C compiler."""

import ast
import random
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opwright.errors import InputError
from opwright.expressions import Dim, Name, Num, Op, interval, show
from opwright.plugin_gen.expressions import lower, parse, resolve

NAMES = {"a": -7, "b": 13, "c": 0, "n": 1000, "k": -1, "m": 5}


def bounds(name):
    return (0, float("inf")) if name in ("n", "m") else (-float("inf"), float("inf"))


def evaluate(text, names):
    """A request's expression, read by Python's own parser."""

    def go(node):
        match node:
            case ast.Expression(body=body):
                return go(body)
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return names[name]
            case ast.Attribute(value=ast.Name(id=name), attr=axis):
                return names[f"{name}.{axis}"]
            case ast.UnaryOp(op=op, operand=x):
                return {ast.USub: lambda v: -v, ast.Not: lambda v: int(not v)}[type(op)](go(x))
            case ast.BoolOp(op=op, values=values):
                parts = [bool(go(v)) for v in values]
                return int(all(parts) if isinstance(op, ast.And) else any(parts))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                x, y = go(left), go(right)
                return int({ast.Eq: x == y, ast.NotEq: x != y, ast.Lt: x < y, ast.LtE: x <= y}[type(op)])
            case ast.BinOp(left=left, op=op, right=right):
                x, y = go(left), go(right)
                table = {
                    ast.Add: int.__add__,
                    ast.Sub: int.__sub__,
                    ast.Mult: int.__mul__,
                    ast.FloorDiv: int.__floordiv__,
                    ast.Mod: int.__mod__,
                }
                return table[type(op)](x, y)
            case ast.Call(func=ast.Name(id=name), args=args):
                values = [go(a) for a in args]
                calls = {
                    "cdiv": lambda x, y: -(-x // y),
                    "min": min,
                    "max": max,
                    "abs": abs,
                    "select": lambda c, x, y: x if c else y,
                }
                return calls[name](*values)
        raise AssertionError(ast.dump(node))

    # sizes are written x.0, which Python reads as an attribute only with a letter in front
    for name in names:
        if "." in name:
            text = text.replace(name, name.replace(".", "._"))
    names = {k.replace(".", "._"): v for k, v in names.items()}
    return go(ast.parse(text.strip(), mode="eval"))


def compile_rule(text):
    expr = parse(text, "rule", "test")
    return show(resolve(expr, lambda name: Dim("x", 3) if name.name == "m" else Name(name.name)))


def numbers(low=0, high=40):
    return st.integers(low, high).map(str)


def rule_trees():
    """Text of a rule's expression and the same in Python, with its own parentheses around everything."""
    leaf = st.one_of(
        st.integers(0, 40).map(lambda v: (str(v), str(v), 9)),
        st.sampled_from([n for n in NAMES if n != "m"]).map(lambda n: (n, n, 9)),
        st.just(("m", "x.3", 9)),
    )
    levels = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "///": 2, "%": 2}

    def join(op, left, right, space):
        level = levels[op]
        lt = left[0] if left[2] >= level else f"({left[0]})"
        rt = right[0] if right[2] > level else f"({right[0]})"
        python = (
            f"cdiv({left[1]}, {right[1]})" if op == "///" else f"({left[1]} {'//' if op == '/' else op} {right[1]})"
        )
        return f"{lt}{space}{op}{space}{rt}", python, level

    def extend(children):
        return st.one_of(
            st.builds(join, st.sampled_from(list(levels)), children, children, st.sampled_from(["", " "])),
            st.builds(lambda c: (f"-{c[0]}" if c[2] >= 9 else f"-({c[0]})", f"(-{c[1]})", 3), children),
            st.builds(
                lambda f, a, b: (f"{f}({a[0]}, {b[0]})", f"{f}({a[1]}, {b[1]})", 9),
                st.sampled_from(["min", "max", "cdiv"]),
                children,
                children,
            ),
        )

    return st.recursive(leaf, extend, max_leaves=12)


def outcome(text, names):
    try:
        return evaluate(text, names)
    except ZeroDivisionError:
        return "division by zero"


@settings(max_examples=500, deadline=None)
@given(rule_trees())
def test_rule_means_what_python_says(tree):
    source, python, _ = tree
    names = NAMES | {"x.3": 5}
    assert outcome(compile_rule(source), names) == outcome(python, names), source


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("m*2+k+(n+1)", "x.3 * 2 + k + (n + 1)"),
        ("m*(2+k)+n+1", "x.3 * (2 + k) + n + 1"),
        ("m*((((n+1))))", "x.3 * (n + 1)"),
        ("n - (k - 1) - 1", "n - (k - 1) - 1"),
        ("n / 2 * 3", "n // 2 * 3"),
        ("n /// 256", "cdiv(n, 256)"),
        ("1+2*3", "1 + 2 * 3"),
        ("-m + +2", "-x.3 + 2"),
        ("-(n + 1)", "-(n + 1)"),
        ("n - -3", "n - -3"),
        ("min(n, max(k, 4)) % 3", "min(n, max(k, 4)) % 3"),
    ],
)
def test_rule_text(text, expected):
    assert compile_rule(text) == expected


def c_trees(rng, depth):
    """C text with the parentheses that C needs, by C's own table."""
    levels = [["||"], ["&&"], ["==", "!="], ["<", "<=", ">", ">="], ["<<", ">>"], ["+", "-"], ["*", "/", "%"]]
    if depth == 0 or rng.random() < 0.15:
        return (str(rng.randrange(0, 20)), 99) if rng.random() < 0.4 else (rng.choice(list(NAMES)), 99)
    roll = rng.random()
    if roll < 0.1:
        text, level = c_trees(rng, depth - 1)
        return rng.choice("-!") + " " + (text if level > 7 else f"({text})"), 8
    if roll < 0.2:
        c, a, b = (c_trees(rng, depth - 1)[0] for _ in range(3))
        return f"({c} ? {a} : {b})", 99
    level = rng.choice([0, 1, 2, 3, 4, 5, 5, 5, 6, 6, 6])
    op = rng.choice(levels[level])
    left, left_level = c_trees(rng, depth - 1)
    right, right_level = (str(rng.randrange(0, 4)), 99) if level == 4 else c_trees(rng, depth - 1)
    left = left if left_level >= level else f"({left})"
    right = right if right_level > level else f"({right})"
    return f"{left} {op} {right}", level


def test_grid_means_what_c_says(tmp_path):
    rng = random.Random(7)
    texts = [c_trees(rng, 4)[0] for _ in range(400)]
    # a division by zero is a trap in C and an error here: such texts only have to be read
    declared = "".join(f"static long {n} = {v};\n" for n, v in NAMES.items())
    body = "".join(
        f'  if (!sigsetjmp(j, 1)) printf("%ld\\n", (long)({t})); else puts("division by zero");\n' for t in texts
    )
    source = tmp_path / "grid.c"
    source.write_text(
        f"#include <setjmp.h>\n#include <signal.h>\n#include <stdio.h>\nstatic sigjmp_buf j;\n{declared}"
        f"static void trap(int s) {{ (void)s; siglongjmp(j, 1); }}\nint main(void) {{\n  signal(SIGFPE, trap);\n{body}}}\n"
    )
    subprocess.run(["cc", "-w", "-O0", "-fwrapv", "-o", tmp_path / "grid", source], check=True)
    expected = subprocess.run([tmp_path / "grid"], check=True, capture_output=True, text=True).stdout.split("\n")
    seen = dropped = 0
    for text, value in zip(texts, expected, strict=False):
        ours = show(lower(parse(text, "grid", "test"), bounds))
        if value == "division by zero":
            continue
        try:
            got = evaluate(ours, NAMES)
        except ZeroDivisionError:  # C skips a branch of ?: and a side of &&, and a compiler may drop 0 / 0
            dropped += 1
            continue
        assert got == int(value), f"{text} became {ours}"
        seen += 1
    assert seen > 200 and dropped < 40


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(n + 127) / 128", "(n + 127) // 128"),
        ("(n + 128 - 1) / 128", "(n + 128 - 1) // 128"),
        ("m * n", "m * n"),
        ("n >> 3", "n // 8"),
        ("1 << 4u", "1 * 16"),
        ("0x10 + 7UL", "16 + 7"),
        ("n % 8", "n % 8"),
        ("n > 4 ? 1 : 2", "select(4 < n, 1, 2)"),
        ("cdiv(n, 128)", "cdiv(n, 128)"),
        ("a / 4", "(1 - 2 * ((a < 0) != (4 < 0))) * (abs(a) // abs(4))"),
        ("(n - 1) / 8", "(1 - 2 * ((n - 1 < 0) != (8 < 0))) * (abs(n - 1) // abs(8))"),
    ],
)
def test_grid_text(text, expected):
    assert show(lower(parse(text, "grid", "test"), bounds)) == expected


@pytest.mark.parametrize("dialect", ["rule", "grid"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: found the end, expected a number, a name or '('"),
        ("n +", "column 4: found the end"),
        ("n 2", "column 3: found '2', expected an operator or the end"),
        ("(n", "column 3: found the end, expected ')'"),
        ("n)", "column 2: found ')', expected an operator or the end"),
        ("1.5 * n", "column 1: found '1.5', expected a name, a whole number or an operator"),
        ("n $ 2", "column 3: found '$'"),
        ("n @", "column 3: found '@'"),
        ("f(n)", "column 1: found a call of 'f', expected min, max, cdiv or abs"),
        ("min(n)", "min() with 1 operands, expected 2"),
        ("99999999999999999999", "expected a number below 2^63"),
        ("(" * 70 + "n" + ")" * 70, "nested deeper"),
        ("-" * 3000 + "n", "nested deeper"),
        ("+".join(["n"] * 5000), "at most 200"),
    ],
)
def test_refused(text, message, dialect):
    with pytest.raises(InputError) as e:
        parse(text, dialect, "grid_dims[0]")
    assert message in str(e.value)
    assert "grid_dims[0]" in str(e.value)


def test_rule_has_no_c_operators():
    for text in ("n < 2", "n ? 1 : 2", "!n", "n << 2", "n && m"):
        with pytest.raises(InputError):
            parse(text, "rule", "test")
    with pytest.raises(InputError, match="shift by m"):
        parse("n << m", "grid", "test")


@settings(max_examples=300, deadline=None)
@given(rule_trees(), st.integers(0, 50), st.integers(-50, 50))
def test_interval_holds_the_value(tree, size, other):
    expr = resolve(parse(tree[0], "rule", "t"), lambda n: Dim("x", 3) if n.name == "m" else n)
    names = {n: other for n in NAMES} | {"n": size, "x.3": size}
    value = outcome(show(expr), names)
    low, high = interval(expr, bounds)
    assert value == "division by zero" or low <= value <= high


def test_show_keeps_shape():
    assert show(Op("-", (Num(1), Op("-", (Num(2), Num(3)))))) == "1 - (2 - 3)"
    assert show(Op("*", (Num(-2), Name("n")))) == "(-2) * n"
