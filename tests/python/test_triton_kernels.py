"""The kernels of tests/python/kernels on the Triton backend: every result against float64 within its derived bound."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kernels import attention as att
from kernels import counters, elementwise, matmul, normalize
from kernels.variants import make_variant

import opwright

pytest.importorskip("triton", reason="triton is not installed")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("variants")


# -- vector add


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 1000, 98432])
def test_add_sizes(n):
    elementwise.add_case(n, 1024).run(opwright.tensor)


@pytest.mark.parametrize("block", [64, 128, 1024, 65536, 1048576])
@pytest.mark.parametrize("n", [1000, 100003])
def test_add_blocks(n, block):
    elementwise.add_case(n, block).run(opwright.tensor)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float64", "int8", "int16", "int32", "int64"])
def test_add_types(name):
    elementwise.add_case(777, 256, name).run(opwright.tensor)


@pytest.mark.parametrize("layout", ["dense", "transposed", "every second", "reversed", "one row for all"])
@pytest.mark.parametrize(("rows", "cols"), [(37, 70), (16, 64), (1, 3), (0, 5)])
def test_add_strided(rows, cols, layout):
    if layout == "one row for all" and rows == 0:
        rows = 2
    elementwise.add_strided_case(rows, cols, layout).run(opwright.tensor)


def test_add_in_place():
    """Input and output are the same memory."""
    case = elementwise.add_case(1000, 128)
    case.args["out_ptr"] = case.args["x_ptr"]
    case.run(opwright.tensor)


# -- softmax, layer norm


@pytest.mark.parametrize("block", [64, 1024, 65536, 1048576])
@pytest.mark.parametrize("cols", [1, 50, 64])
def test_softmax_blocks(cols, block):
    normalize.softmax_case(3, cols, block).run(opwright.tensor)


@pytest.mark.parametrize(
    ("rows", "cols", "block"), [(7, 781, 1024), (1, 100003, 131072), (2, 1048576, 1048576), (0, 5, 64)]
)
def test_softmax_sizes(rows, cols, block):
    normalize.softmax_case(rows, cols, block).run(opwright.tensor)


@pytest.mark.parametrize("block", [16, 64, 512, 4096])
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_softmax_types(name, block):
    normalize.softmax_case(5, block * 5 // 8, block, name, padding=7).run(opwright.tensor)


def test_softmax_persistent():
    normalize.softmax_case(37, 781, 1024, persistent=8).run(opwright.tensor)


@pytest.mark.parametrize("block", [64, 256, 1024, 65536])
@pytest.mark.parametrize("cols", [1, 64, 700])
def test_layer_norm(cols, block):
    normalize.layer_norm_case(9, cols, block).run(opwright.tensor)


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_layer_norm_types(name):
    normalize.layer_norm_case(5, 1023, 256, name).run(opwright.tensor)


# -- matmul


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(64, 64, 64), (50, 40, 70), (1, 1, 1), (33, 129, 257), (5, 7, 0)])
def test_matmul(shape, name):
    matmul.matmul_case(*shape, name=name).run(opwright.tensor)


@pytest.mark.parametrize("tile", [(16, 16, 16), (64, 64, 32), (128, 32, 64), (16, 128, 16), (1, 64, 32)])
@pytest.mark.parametrize("transpose", ["", "a", "b", "ab"])
def test_matmul_tiles(tile, transpose):
    matmul.matmul_case(100, 90, 130, tile, transpose=transpose).run(opwright.tensor)


@pytest.mark.parametrize("name", ["float32", "float16"])
def test_matmul_grouped(name):
    matmul.matmul_case(150, 170, 90, name=name, group=3).run(opwright.tensor)


# -- attention


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("n", [1, 32, 70, 128])
def test_attention(n, causal, name):
    att.attention_case(1, 2, n, causal=causal, name=name).run(opwright.tensor)


@pytest.mark.parametrize("tile", [(16, 16), (64, 32), (16, 128), (128, 64)])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_tiles(tile, causal):
    att.attention_case(2, 3, 200, 32, causal, "float16", tile).run(opwright.tensor)


# -- dropout, program ids


@pytest.mark.parametrize("seed", [0, 123, 2**31 - 1, 2**40 + 7])
@pytest.mark.parametrize("block", [64, 1024])
def test_dropout(seed, block):
    counters.dropout_case(3001, block, seed=seed).run(opwright.tensor)


@pytest.mark.parametrize("grid", [(1, 1, 1), (3, 4, 5), (17, 1, 2), (0, 3, 1), (2, 300, 1)])
def test_grid_ids(grid):
    counters.grid_ids_case(grid).run(opwright.tensor)


# -- names and order of parameters mean nothing

CASES = {
    "add": lambda: elementwise.add_case(1001, 128),
    "add_strided": lambda: elementwise.add_strided_case(37, 70, "transposed"),
    "softmax": lambda: normalize.softmax_case(4, 300, 512),
    "softmax_persistent": lambda: normalize.softmax_case(9, 300, 512, persistent=4),
    "layer_norm": lambda: normalize.layer_norm_case(4, 300, 128),
    "matmul": lambda: matmul.matmul_case(50, 40, 70),
    "matmul_grouped": lambda: matmul.matmul_case(100, 70, 33, group=2),
    "attention": lambda: att.attention_case(1, 2, 70, causal=True, name="float16"),
    "dropout": lambda: counters.dropout_case(1000, 128),
    "grid_ids": lambda: counters.grid_ids_case((3, 4, 5)),
}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("which", CASES)
def test_variants(which, seed, folder):
    case = CASES[which]()
    kernel, names = make_variant(case.kernel, seed, folder)
    case.run(opwright.tensor, kernel, names)


@pytest.mark.parametrize("which", CASES)
def test_torch_tensors(which):
    torch = pytest.importorskip("torch", reason="torch is not installed")

    def wrap(array):
        if any(stride < 0 for stride in array.strides):
            return opwright.tensor(array)  # torch has no negative strides
        return torch.from_numpy(array)

    CASES[which]().run(wrap)


AT_THE_EDGE = """
import sys; sys.path[:0] = [{here!r}, {tests!r}]
import numpy, opwright, test_triton_kernels
from guard import guarded
for which, make in test_triton_kernels.CASES.items():
    for end in (True, False):
        print(which, end, flush=True)
        case = make()
        dense = {{n: v for n, v in case.args.items() if isinstance(v, numpy.ndarray) and v.flags.c_contiguous}}
        case.args.update((n, guarded(v, end)) for n, v in dense.items())
        case.run(opwright.tensor)
print("done")
"""


def test_memory_beside_an_array_is_not_touched():
    """Not even read: every array ends, then begins, at a page that may not be touched. In a process that may die of it."""
    here = Path(__file__).parent
    code = AT_THE_EDGE.format(here=str(here), tests=str(here.parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.endswith("done\n"), f"{done.stdout[-100:]}\n{done.stderr}"


@pytest.mark.parametrize("which", CASES)
def test_results_do_not_depend_on_the_run(which):
    """Same inputs, same bits, however many threads took part."""
    first, second = CASES[which](), CASES[which]()
    first.run(opwright.tensor)
    second.run(opwright.tensor)
    for name in first.expected:
        assert np.array_equal(first.args[name].view(np.uint8), second.args[name].view(np.uint8))
