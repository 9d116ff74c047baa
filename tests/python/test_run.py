"""Which tactics `opwright bench` times: those that the library runs for the arrays that are given."""

from __future__ import annotations

import numpy as np
import op_kit
import pytest

import opwright
from opwright.errors import InputError
from opwright.run import Call, bench


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    """Tactic 1 takes all, 2 only f32, 3 only sizes that are multiples of 16; of `picky` there is 3 alone."""
    fill = {"fill": "out", "fill_byte": 0}
    args = ("ptr x", "ptr out", "numel(x) * itemsize(x)")
    by_16 = op_kit.one("copy", *args) | {
        "variants": [{"kernel": "copy", "guards": ["arg 2 % 16 == 0"], "reason": "x has no multiple of 16 bytes"}]
    }
    copy = {
        "typevars": [{"name": "T", "types": ["f32", "f64"]}], "combos": [["f32"], ["f64"]],
        "inputs": [{"name": "x", "type": "T"}], "outputs": [{"name": "out", "type": "T", "shape": "x[0:]"}],
    }  # fmt: skip
    some = copy | {
        "name": "some", "tactics": [{"id": i} for i in (1, 2, 3)],
        "plans": [{"combo": c, "tactic": i, "launches": [by_16 if i == 3 else fill]} for c, i in ((0, 1), (0, 2), (0, 3), (1, 1), (1, 3))],
    }  # fmt: skip
    picky = copy | {"name": "picky", "plans": [{"combo": c, "launches": [by_16]} for c in (0, 1)]}
    return opwright.load(op_kit.build(tmp_path_factory.mktemp("run"), [some, picky]))


@pytest.mark.parametrize(
    ("dtype", "n", "tactics"), [("f4", 4, [1, 2, 3]), ("f4", 3, [1, 2]), ("f8", 2, [1, 3]), ("f8", 1, [1])]
)
def test_tactics_that_do_not_run_are_left_out(lib, dtype, n, tactics):
    assert [row.tactic for row in bench(Call(lib.some, [np.zeros(n, dtype)], {}), 0.001)] == tactics


def test_what_no_tactic_runs_is_refused(lib):
    with pytest.raises(InputError, match="sample::picky: x has no multiple of 16 bytes"):
        bench(Call(lib.picky, [np.zeros(3, np.float32)], {}), 0.001)
    with pytest.raises(InputError, match="sample::some: no combination of element types takes"):
        bench(Call(lib.some, [np.zeros(3, np.int8)], {}), 0.001)
