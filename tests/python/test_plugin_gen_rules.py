"""Shape rules: what they mean, and every way to get one wrong."""

import pytest

from opwright.errors import InputError
from opwright.expressions import show
from opwright.plugin_gen.core import DimSizeArg, InputArg, OutputArg, ParamArg, Type
from opwright.plugin_gen.rules import parse_rules, solve

T = Type("tensor[fp32]")


def tensors(names, cls):
    return [cls(n, T) for n in names.split()]


def shapes(rules, inputs="a", outputs="b", params=(), sizes=""):
    arguments = tensors(inputs, InputArg) + tensors(outputs, OutputArg) + list(params)
    return solve(arguments + [DimSizeArg(n) for n in sizes.split()], parse_rules(rules))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("a[*] -> b[*]", ["a[0:]"]),
        ("a[m,n,k] -> b[m*n+k, 2*k, (3+1) * k]", ["a.0 * a.1 + a.2", "2 * a.2", "(3 + 1) * a.2"]),
        ("a[b, l, h] -> b[b, h, l /// 256, 256]", ["a.0", "a.2", "cdiv(a.1, 256)", "256"]),
        ("a[m,n,k] -> b[m*((((n+1))))]", ["a.0 * (a.1 + 1)"]),
        ("a[m,n,k] -> b[m*(n+k), 2*n, k+3]", ["a.0 * (a.1 + a.2)", "2 * a.1", "a.2 + 3"]),
        ("a[m,n,*] -> b[n,m]", ["a.1", "a.0"]),
        ("a[m,n,*] -> b[n, m, *]", ["a.1", "a.0", "a[2:]"]),
        ("a[] -> b[]", []),
        ("a[m] -> b[]", []),
        ("a[m] -> b[m / 2, min(m, 4) % 3]", ["a.0 // 2", "min(a.0, 4) % 3"]),
    ],
)
def test_output(rule, expected):
    assert shapes([rule]).outputs["b"] == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("a[m,n,k]:m*2+k+(n+1) -> s", "a.0 * 2 + a.2 + (a.1 + 1)"),
        ("a[m,n,k]:m*(2+k)+n+1 -> s", "a.0 * (2 + a.2) + a.1 + 1"),
        ("a[b, l, h]: l -> s", "a.1"),
        ("a[m,n,k,*] : k -> s", "a.2"),
        ("a[m] : m - -1 /// 2 -> s", "a.0 - cdiv(-1, 2)"),
        ("a[m] : max(m, 1) // 2 * headsize -> s", "max(a.0, 1) // 2 * headsize"),
    ],
)
def test_size(rule, expected):
    found = shapes(["a[*] -> b[*]", rule], params=[ParamArg("headsize", Type("i32"))], sizes="s")
    assert show(found.variables["s"]) == expected


def test_one_rule_for_several_outputs():
    assert shapes(["a[*] -> b[*], c[*]"], outputs="b c").outputs == {"b": ["a[0:]"], "c": ["a[0:]"]}
    found = shapes(["a[m, *], d[n, *] -> b[n, *], c[n * 2]"], "a d", "b c")
    assert found.outputs == {"b": ["d.0", "a[1:]"], "c": ["d.0 * 2"]} and found.ranks == {"a": (1, 16), "d": (1, 16)}


def test_a_parameter_as_a_size():
    rule = "a[b, l, h] -> b[b, h, l /// 256, headsize]"  # of PluginGen's tests, which only parse it
    found = shapes([rule], params=[ParamArg("headsize", Type("i32"))])
    assert found.outputs["b"] == ["a.0", "a.2", "cdiv(a.1, 256)", "headsize"]


def test_several_outputs_and_ranks():
    found = shapes(
        ["Q[*] -> Out[*]", "Q[m,n,k,*] -> M[m,n,k]", "Q[m,n,k,*] -> L[m,n,k]", "Q[m,n,k,*] : m -> batch", "Q[m,n,k,*]:k->seq"],
        "Q K V", "Out L M", sizes="batch seq",
    )  # fmt: skip
    assert found.outputs == {"Out": ["Q[0:]"], "M": ["Q.0", "Q.1", "Q.2"], "L": ["Q.0", "Q.1", "Q.2"]}
    assert {n: show(e) for n, e in found.variables.items()} == {"batch": "Q.0", "seq": "Q.2"}
    assert found.ranks == {"Q": (3, 16), "K": (0, 16), "V": (0, 16)}
    assert found.conditions == []


def test_equal_names_are_conditions():
    found = shapes(["a[m, k], c[k, n] -> b[m, n]"], "a c")
    assert found.outputs["b"] == ["a.0", "c.1"]
    assert found.conditions == ["a.1 == c.0"] and found.patterns == ["a[m, k], c[k, n]"]
    found = shapes(["a[m,m,64,_,_] -> b[m]"])
    assert found.conditions == ["a.0 == a.1", "a.2 == 64"] and found.patterns == ["a[m, m, 64, _, _]"]
    found = shapes(["a[m, 64, *] -> b[m]", "a[k, 64, *] : k -> s"], sizes="s")
    assert found.conditions == ["a.1 == 64"] and found.patterns == ["a[m, 64, *]"]


def test_parameters_and_sizes_in_expressions():
    found = shapes(
        ["a[m] -> b[m * factor, blocks]", "a[m] : m /// tile -> blocks", "a[m]: factor * 2 -> tile"],
        params=[ParamArg("factor", Type("i32"))], sizes="blocks tile",
    )  # fmt: skip
    assert found.outputs["b"] == ["a.0 * factor", "blocks"]
    # tile comes first: blocks reads it
    assert [(n, show(e)) for n, e in found.variables.items()] == [("tile", "factor * 2"), ("blocks", "cdiv(a.0, tile)")]


def test_a_size_hides_a_parameter_of_its_name():
    found = shapes(["a[n] -> b[n + 1]"], params=[ParamArg("n", Type("i32"))])
    assert found.outputs["b"] == ["a.0 + 1"]


# the rules, the message, part of the cure, and what the caret points at
BAD = [
    (["a[m] -> b[n]"], "size 'n' is not defined, expected one of m", "did you mean|name it on the left", "n]"),
    (["a[batch] -> b[bacth]"], "size 'bacth' is not defined", "did you mean 'batch'", "bacth]"),
    (["a[*] -> b[m]"], "size 'm' is not defined, expected one of num, s", "name it on the left", "m]"),
    (["a[m] -> b[*]"], "found '*' in b[...], expected '*' on the left too", "name every size", "b[*]"),
    (
        ["a[m, n] -> b[m]", "a[m] : m -> s"],
        "shape rule 2, column 1: found a with 1 sizes, but shape rule 1 ('a[m, n] -> b[m]') has it with 2",
        "the same number",
        "a[m] : m -> s",
    ),
    (["a[m, n, *] -> b[m]", "a[m] : m -> s"], "with at least 2", "the same number", "a[m] : m -> s"),
    ([], "output 'b' has no shape rule", "a[*] -> b[*]", None),
    (["a[m] : m -> s"], "output 'b' has no shape rule", "add a rule", None),
    (["a[*] -> b[*]"], "DimSizeArg 's' has no rule", "a[m, *] : m -> s", None),
    (["a[*] -> b[*]", "a[*] -> b[*]"], "output 'b' has two shape rules", "keep one", "b[*]"),
    (["a[*] -> b[*]", "a[m] : m -> s", "a[m] : m + 1 -> s"], "DimSizeArg 's' has two rules", "keep one", "s"),
    (
        ["a[*] -> b[*]", "a[m] : s + m -> s"],
        "DimSizeArg 's' depends on itself: s -> s",
        "from the sizes of an input",
        "s",
    ),
    (
        ["b[m] -> a[m]"],
        "found 'b' (OutputArg), expected an input before '->' or ':' (one of a, num, eps)",
        "",
        "b[m] -> a[m]",
    ),
    (["x[m] -> b[m]"], "found 'x', expected an input", "", "x[m] -> b[m]"),
    (["a[m] -> c[m]"], "found 'c', expected an output after '->' (one of b)", "", "c[m]"),
    (["a[m] -> s[m]"], "found 's' (DimSizeArg), expected an output", "", "s[m]"),
    (["a[m] : m -> b"], "found 'b' (OutputArg), expected a DimSizeArg after '->' (one of s)", "", "b"),
    (["a[m] : m -> r"], "found 'r', expected a DimSizeArg", "", "r"),
    (
        ["a[m+1] -> b[m]"],
        "found 'm + 1' in a[...], expected a name or a number",
        "compute with it on the right",
        "m+1] -> b[m]",
    ),
    (["a[m] - b[m]"], "found '-', expected '->' or ':'", "a rule is", "- b[m]"),
    (["a[m] -> b[m] c"], "found 'c', expected the end", "a rule is", "c"),
    (["a[m"], "found the end, expected ',' or ']'", "a rule is", ""),
    (["a[*, m] -> b[m]"], "found ',', expected ']': '*' comes last", "", ", m] -> b[m]"),
    (["-> b[m]"], "found '-', expected the name of a tensor", "a rule is", "-> b[m]"),
    (["a -> b"], "found '-', expected '[' after 'a'", "", "-> b"),
    (["a[m] -> b[m +]"], "column 14: found ']', expected a number, a name or '('", "", "]"),
    (["a[m] -> b[m 2]"], "found '2', expected ',' or ']'", "", "2]"),
    ([""], "found the end, expected the name of a tensor", "a rule is", ""),
    ([3], "found 3, expected a string", "a rule is", None),
    (
        ["a[m] -> b[" + ", ".join(["m"] * 17) + "]"],
        "found b with 17 sizes, expected at most 16",
        "",
        "b[m, m, m, m, m, m, m, m",
    ),
    (
        ["a[" + ", ".join(["_"] * 17) + "] -> b[1]"],
        "found a with 17 sizes, expected at most 16",
        "",
        "a[_, _, _, _, _, _, _, _",
    ),
    (["a[m] -> b[m * scale]"], "ParamArg 'scale' is fp32, expected an integer", "", "scale]"),
    (["num[m] -> b[m]"], "found sizes of 'num', which is i32, expected none", "write num[]", "num[m] -> b[m]"),
    (["num[*] -> b[*]"], "found sizes of 'num', which is i32, expected none", "write num[]", "num[*] -> b[*]"),
    (["a[m] -> b[num, eps]"], "InputArg 'eps' is fp32, expected an integer", "use one of m, num, s", "eps]"),
]


@pytest.mark.parametrize(("rules", "message", "cure", "at"), BAD)
def test_refused(rules, message, cure, at):
    scalars = [ParamArg("scale", Type("fp32")), InputArg("num", Type("i32")), InputArg("eps", Type("fp32"))]
    with pytest.raises(InputError) as e:
        shapes(rules, params=scalars, sizes="s")
    assert message in str(e.value)
    if at is not None:
        text, caret = e.value.detail.split("\n")[:2]
        assert caret.strip() == "^" and text in rules and text[len(caret) - 1 :].startswith(at)
        assert bool(at) == (len(caret) <= len(text)) and f"column {len(caret)}: " in str(e.value)
    if cure:
        assert any(part in str(e.value) for part in cure.split("|"))


def test_values_of_scalar_inputs():
    scalars = [InputArg("n", Type("i32")), InputArg("start", Type("fp32")), DimSizeArg("size")]
    found = shapes(["n[], a[m] -> b[n * 2, m]", "n[] : n /// 4 -> size"], params=scalars)
    assert found.outputs["b"] == ["value(n, 0) * 2", "a.0"] and found.ranks["n"] == (0, 1)
    assert show(found.variables["size"]) == "cdiv(value(n, 0), 4)"
    assert found.conditions == ["numel(n) == 1", "numel(start) == 1"] and found.patterns == []


def test_a_longer_cycle_is_named():
    rules = ["a[*] -> b[*]", "a[m]: y + m -> x", "a[m]: z * 2 -> y", "a[m]: x -> z"]
    with pytest.raises(InputError, match="depends on itself: x -> y -> z -> x"):
        shapes(rules, sizes="x y z")
