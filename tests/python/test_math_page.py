"""docs/math.md against the bounds of the tests, and the table of functions against Triton's libdevice."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "math.md").read_text()
BOUNDS = (ROOT / "tests" / "unit" / "libdevice_rows.h").read_text()
TABLE = (ROOT / "src" / "codegen" / "cpu" / "libdevice_table.cpp").read_text()


def symbols():
    """Every symbol of the table with its types: result, colon, arguments."""
    found = {}
    for first, second, narrow, wide in re.findall(r'OPW_ROUNDED\("(\w+)", "(\w+)", \w+, "(.:\w+)", "(.:\w+)"', TABLE):
        for end in ("_rn", "_rz", "_rd", "_ru"):
            found |= {first + end: narrow, second + end: wide}
    for name, types in re.findall(r'OPW_ROUNDED\("(\w+)", "(.:\w)", \w+Int', TABLE):
        found |= {name + end: types for end in ("_rn", "_rz", "_rd", "_ru")}
    for name, types in re.findall(r'\{"(\w+)", "(.:\w+)"', TABLE):
        if "r" in types:
            found |= {name + "f": types.replace("r", "f"), name: types.replace("r", "d")}
        else:
            found[name] = types
    return {"__nv_" + name: types for name, types in found.items()}


def test_the_page_has_the_bounds_of_the_tests():
    asserted = re.findall(r'^    \{"(\w+)",.*\}, ([\d.]+), ([\d.]+)(?:, [\w.]+)?\},$', BOUNDS, re.M)
    assert len(asserted) > 60
    assert re.findall(r"^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.M) == asserted


def test_every_function_of_triton_is_in_the_table():
    triton = Path(importlib.util.find_spec("triton").origin).parent
    text = (triton / "language" / "extra" / "cuda" / "libdevice.py").read_text()
    dtype = r'core\.dtype\("(\w+)"\)'
    code = {"fp32": "f", "fp64": "d", "int32": "i", "uint32": "i", "int64": "l", "uint64": "l"}
    entry = rf'\(((?:\s*{dtype},?\s*)+)\):\s*\(\s*"(__nv_\w+)",\s*{dtype}\s*\)'
    wanted = {
        match.group(3): code[match.group(4)] + ":" + "".join(code[name] for name in re.findall(dtype, match.group(1)))
        for match in re.finditer(entry, text)
    }
    assert wanted.keys() == set(re.findall(r'"(__nv_\w+)"', text))
    known = symbols()
    assert {symbol: known.get(symbol) for symbol in wanted} == wanted
