"""The small programs of a library's tables as the infix text of build requests (docs/abi.md)."""

from __future__ import annotations

from typing import Any

# name of an instruction -> operator and how tightly it binds
_BINARY = {
    "OR": ("or", 1), "AND": ("and", 2), "EQ": ("==", 4), "NE": ("!=", 4), "LT": ("<", 4), "LE": ("<=", 4), "FEQ": ("==", 4),
    "FLT": ("<", 4), "ADD": ("+", 5), "SUB": ("-", 5), "FADD": ("+", 5), "FSUB": ("-", 5), "MUL": ("*", 6), "FDIV": ("//", 6),
    "MOD": ("%", 6), "FMUL": ("*", 6), "FDIVF": ("/", 6),
}  # fmt: skip
VARIADIC = 2  # OPW_IOVARIADIC
_COMPARISON, _NOT, _UNARY, _ATOM = 4, 3, 7, 9
_CALLS = {
    "CDIV": ("cdiv", 2), "MIN": ("min", 2), "MAX": ("max", 2), "FMIN": ("min", 2), "FMAX": ("max", 2), "ABS": ("abs", 1),
    "NPOW2": ("npow2", 1), "SELECT": ("select", 3), "FSQRT": ("sqrt", 1), "I2F": ("float", 1), "FLOOR": ("floor", 1),
    "CEIL": ("ceil", 1), "ROUND": ("round", 1),
}  # fmt: skip
_OF_TENSOR = {
    "RANK": "rank", "NUMEL": "numel", "PRESENT": "present", "COUNT": "count", "ITEMSIZE": "itemsize",
}  # fmt: skip
_OF_AXIS = {"STRIDE": "stride", "SUMDIM": "sumdim", "VALUE": "value"}

Program = list[tuple[str, int, int, int]]


def infix(program: Program | None, op: dict[str, Any], *, inline: bool = True) -> str:
    """The program of an op, which is a dict of `_plugins.tables`, as text. Vars have no names in a library: they are written
    out, or as v0, v1... with `inline=False`. An absent program is an empty text."""
    return _tree(program, op, inline)[0] if program else ""


def _tree(program: Program, op: dict[str, Any], inline: bool) -> tuple[str, int]:
    """Text and binding."""
    stack: list[tuple[str, int]] = []
    for name, b, imm, element in program:
        if name in _BINARY:
            right = (str(imm), _ATOM if imm >= 0 else _UNARY) if b else stack.pop()
            stack.append(_binary(name, stack.pop(), right))
        elif name in _CALLS and b == 1:
            left, _ = stack.pop()
            stack.append((f"{_CALLS[name][0]}({left}, {imm})", _ATOM))
        elif name in _CALLS:
            function, count = _CALLS[name]
            given = [text for text, _ in stack[-count:]]
            del stack[-count:]
            stack.append((f"{function}({', '.join(given)})", _ATOM))
        elif name == "NOT":
            stack.append((f"not {_within(stack.pop(), _NOT)}", _NOT))
        elif name in ("NEG", "FNEG"):
            stack.append((f"-{_within(stack.pop(), _UNARY)}", _UNARY))
        else:
            stack.append(_leaf(name, b, imm, element, op, stack, inline))
    return stack[-1]


def _within(operand: tuple[str, int], binding: int) -> str:
    return operand[0] if operand[1] >= binding else f"({operand[0]})"


def _binary(name: str, left: tuple[str, int], right: tuple[str, int]) -> tuple[str, int]:
    sign, binding = _BINARY[name]
    # comparisons do not chain, the others group to the left
    first = binding + 1 if binding == _COMPARISON else binding
    return f"{_within(left, first)} {sign} {_within(right, binding + 1)}", binding


def _leaf(
    name: str, b: int, imm: int, element: int, op: dict[str, Any], stack: list[tuple[str, int]], inline: bool
) -> tuple[str, int]:
    ios = [*op["inputs"], *op["outputs"]]

    counted = name in ("COUNT", "SUMDIM")  # of all tensors of a variadic input

    def tensor() -> str:
        own = ios[b]["name"]
        return f"{own}[{element}]" if ios[b]["flags"] & VARIADIC and not counted else own

    def attr() -> str:
        return op["attrs"][b]["name"]

    if name in ("INT", "POOL"):
        value = imm if name == "INT" else op["pool_i"][imm]
        return str(value), _ATOM if value >= 0 else _UNARY
    if name == "FPOOL":
        value = op["pool_f"][imm]
        return repr(value), _ATOM if value >= 0 else _UNARY
    if name == "DIM":
        return f"{tensor()}.{imm}", _ATOM
    if name == "DIM_AT":
        return f"dim({tensor()}, {stack.pop()[0]})", _ATOM
    if name in _OF_TENSOR:
        return f"{_OF_TENSOR[name]}({tensor()})", _ATOM
    if name in _OF_AXIS:
        return f"{_OF_AXIS[name]}({tensor()}, {imm})", _ATOM
    if name in ("ATTR", "FATTR"):
        return attr(), _ATOM
    if name in ("ATTR_AT", "FATTR_AT"):
        return f"{attr()}[{stack.pop()[0]}]", _ATOM
    if name == "ATTR_LEN":
        return f"len({attr()})", _ATOM
    if name == "SIZE":
        return op["sizes"][b]["name"], _ATOM
    if name == "VAR":
        return _tree(op["vars"][b], op, inline) if inline else (f"v{b}", _ATOM)
    raise ValueError(f"found the instruction {name}, which this version of Opwright cannot write as a text")


def shape(output: dict[str, Any], op: dict[str, Any]) -> list[str]:
    """The sizes of an output, each as a text: expressions, slices ("x[1:]"), lists ("pads") and "values(x)"."""
    parts = []
    for seg in output["segs"]:
        kind, index = seg["kind"], seg["index"]
        if kind == 1:
            parts.append(infix(seg["dim"], op))
        elif kind == 2:
            end = "" if seg["to"] == 2**31 - 1 else seg["to"]
            parts.append(f"{op['inputs'][index]['name']}[{seg['from']}:{end}]")
        else:
            parts.append(op["attrs"][index]["name"] if kind == 3 else f"values({op['inputs'][index]['name']})")
    return parts
