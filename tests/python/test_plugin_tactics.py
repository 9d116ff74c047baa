"""Definitions whose tactics and element types do not take the same calls, and whose paths are many."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("triton", reason="triton is not installed")

import opwright
from opwright.errors import InputError
from opwright.inspect import inspect, lines
from opwright.native import PluginError
from opwright.plugin.build import build

SOURCE = Path(__file__).parent / "definitions/tactics.py"


@pytest.fixture(scope="module")
def tactics(tmp_path_factory):
    """The library, and the folder of its build."""
    folder = tmp_path_factory.mktemp("tactics")
    build(SOURCE, folder / "lib.so", ["x86-64-v3"], workspace=folder / "work")
    return opwright.load(folder / "lib.so"), folder / "work"


def test_what_an_element_type_or_a_tactic_requires_is_its_own(tactics):
    library, _ = tactics

    def tag(columns: int, dtype: type = np.float32, **more: int) -> float:
        x = np.ones((3, columns), dtype)
        (found,) = set(library.tagged_sum(x, **more) - columns)
        return float(found)

    # the first tactic that takes the call, unless one is asked for
    assert [tag(128), tag(48), tag(13)] == [1, 2, 3]
    assert [tag(64, tactic=2), tag(16, tactic=3)] == [2, 3]
    for more, text in (
        ({}, "columns is no multiple of 64"),
        ({"tactic": 1}, "columns is no multiple of 64"),
        ({"tactic": 2}, "columns is no multiple of 16"),
        ({"tactic": 3}, r"npow2\(x.1\) is none of 8, 16"),
    ):
        with pytest.raises(PluginError, match=text):
            tag(65, **more)
    # what fp32 and fp16 require is nothing to fp64, and all have what register requires
    assert [tag(65, np.float64), tag(3, np.float64), tag(64, np.float16), tag(100, np.float16)] == [1] * 4
    with pytest.raises(PluginError, match="is none of 64, 128"):
        tag(3, np.float16)
    for dtype in (np.float16, np.float32, np.float64):
        with pytest.raises(PluginError, match="x has no columns"):
            tag(0, dtype)
    found = inspect(library.path)
    (op,) = (op for op in found["ops"] if op["name"] == "tactics::tagged_sum")
    told = {(plan["combination"], plan["tactic"]): plan["valid_text"] for plan in op["plans"]}
    assert op["valid_text"] == "x has no columns"
    assert told == {
        (0, 1): "columns is no multiple of 64", (0, 2): "columns is no multiple of 16", (0, 3): "npow2(x.1) is none of 8, 16",
        (1, 1): "npow2(x.1) is none of 64, 128", (2, 1): "",
    }  # fmt: skip
    assert [line.strip() for line in lines(found) if "columns" in line and "multiple of 16" in line]


def test_requirements_are_asked_in_their_order(tactics):
    library, folder = tactics
    for size, step, text in [
        (4, 0, "tactic 1: step is not positive"), (4, 3, "x is no whole number of steps"), (1000, 1, "x has 1000 elements"),
        (1019, 1, "x has 1019 elements"), (1019, 2, "x is no whole number of steps"), (1019, -1, "tactic 1: step is not positive"),
    ]:  # fmt: skip
        with pytest.raises(PluginError, match=text):
            library.stepped(np.zeros(size, np.float32), step=step)
    with pytest.raises(
        PluginError, match="asks for tactic 2, which does not take this call: tactic 2: step is not positive"
    ):
        library.stepped(np.zeros(4, np.float32), step=0, tactic=2)
    assert not library.stepped(np.ones(6, np.float32), step=3).any()
    (op,) = (op for op in json.loads((folder / "request.json").read_text())["ops"] if op["name"] == "stepped")
    assert len(op["vars"]) <= 6  # of 44 conditions
    assert "x is no whole number of steps" in "".join(lines(inspect(library.path)))


def test_a_value_of_many_elements_is_compared(tmp_path):
    code = (SOURCE.read_text() + LONG).replace("NUMBER", "512")
    (tmp_path / "ops.py").write_text(code)
    build(tmp_path / "ops.py", tmp_path / "lib.so", ["x86-64-v3"], ["tactics::long"])
    library = opwright.load(tmp_path / "lib.so")
    x = np.zeros(3, np.float32)
    assert not library.long(x, data=b"a" * 512).any()
    with pytest.raises(PluginError, match="data is none of"):
        library.long(x, data=b"a" * 511 + b"b")
    (tmp_path / "ops.py").write_text(code.replace("512", "513"))
    with pytest.raises(InputError, match="a value of 513 elements is looked at, expected at most 512"):
        build(tmp_path / "ops.py", tmp_path / "lib.so", ["x86-64-v3"], ["tactics::long"])


LONG = """

@trtp.register("tactics::long", choices={"data": [b"a" * NUMBER]})
def long_desc(x: trtp.TensorDesc, data: bytes) -> trtp.TensorDesc:
    return x.like()


@trtp.autotune("tactics::long")
def long_autotune():
    return [trtp.AutoTuneCombination("FP32, FP32")]


@trtp.aot_impl("tactics::long")
def long_aot(x, data, outputs):
    assert data.decode().startswith("a")
    return trtp.zero(outputs[0])
"""


def test_paths_share_workspaces(tactics):
    library, folder = tactics
    (op,) = (op for op in json.loads((folder / "request.json").read_text())["ops"] if op["name"] == "twice")
    assert [buffer["dtype"] for buffer in op["plans"][0]["workspace"]] == ["i32", "f32"]
    for n in range(1, 50):
        x = np.arange(n, dtype=np.float32)
        np.testing.assert_array_equal(library.twice(x), 2 * x + (n if n < 40 else 0))


MANY_PATHS = """

@trtp.register("tactics::paths")
def paths_desc(x: trtp.TensorDesc) -> trtp.TensorDesc:
    return x.like()


@trtp.autotune("tactics::paths")
def paths_autotune():
    return [trtp.AutoTuneCombination("FP32, FP32", "LINEAR", [1, 2, 3, 4, 5])]


@trtp.aot_impl("tactics::paths")
def paths_aot(x, outputs, tactic):
    n = x.numel()
    value = next((at for at in range(PATHS) if n == 100 * tactic + at), -1)
    return trtp.launch(tagged_sum, (1,), (x, outputs[0], n + value), BLOCK=16, TAG=0)
"""


def test_a_call_has_few_values_for_conditions(tmp_path):
    (tmp_path / "ops.py").write_text(SOURCE.read_text() + MANY_PATHS.replace("PATHS", "60"))
    with pytest.raises(
        InputError, match="tactics::paths: the conditions of its paths are 305 values of a call, expected at most 256"
    ) as refused:
        build(tmp_path / "ops.py", tmp_path / "lib.so", ["x86-64-v3"], ["tactics::paths"])
    assert "write sizes as expressions" in refused.value.hint
    assert not (tmp_path / "lib.so").exists()
