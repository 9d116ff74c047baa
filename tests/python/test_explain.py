"""`opwright explain`: what is said about each line, and about arguments that do not fit."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from opwright.errors import InputError, MissingError
from opwright.explain import explain

FILE = Path(__file__).parent / "kernels" / "explained.py"
V3, V4 = "x86-64-v3", "x86-64-v4"
LOOP = "vectorized loop, width 8, interleave 2, 64 iterations"
COPY = "run-time test for overlap with x_ptr; if so, a scalar twin copies what it loads first"
PROVED = ", mask proved: it became loop bounds"


def remarks(kernel: str, signature: str, constant: str, level: str = V3, **options) -> dict[str, list[str]]:
    """'kind: text' by the line's source, of lines that have remarks; what stands behind # names a line."""
    found = explain(f"{FILE}:{kernel}", signature, [constant], level=level, **options)
    return {
        line.source.partition("# ")[2] or line.source.strip(): [f"{kind}: {text}" for kind, text in line.remarks]
        for line in found.lines
        if line.remarks
    }


def test_masks_become_bounds():
    assert remarks("add", "*fp32,*fp32,*fp32,i32", "BLOCK=1024", V4) == {
        "x = tl.load(x_ptr + at, mask=inside)": [f"load: contiguous load of 16 x f32 from x_ptr{PROVED}"],
        "y = tl.load(y_ptr + at, mask=inside)": [f"load: contiguous load of 16 x f32 from y_ptr{PROVED}"],
        "tl.store(out_ptr + at, x + y, mask=inside)": [
            "guard: run-time test for overlap with x_ptr, y_ptr; if so, a scalar twin copies what it loads first",
            "loop: vectorized loop, width 16, interleave 2, at most 1024 iterations, masked tail",
            f"store: contiguous store of 16 x f32 to out_ptr{PROVED}",
        ],
    }


def test_levels_and_types_differ():
    last = "tl.store(out_ptr + at, x + y, mask=inside)"
    halves = remarks("add", "*fp16,*fp16,*fp16,i32", "BLOCK=1024", V3, args_disjoint=True)[last]
    assert halves == [
        "loop: vectorized loop, width 8, interleave 1, at most 1024 iterations, scalar tail",
        f"store: contiguous store of 8 x f16 to out_ptr{PROVED}",
    ]


def test_strides():
    run_time = remarks("column", "*fp32,*fp32,i32", "BLOCK=64")
    assert run_time == {
        "run time": [
            "load: strided load (run-time stride) of 8 x f32 from x_ptr",
            "slow: gather: the stride is known at run time only; make it a tl.constexpr, or pass 1 where it is 1",
        ],
        "two apart": [
            f"guard: {COPY}",
            f"loop: {LOOP}",
            "store: strided store (stride 2) of 8 x f32 to out_ptr",
            "slow: scatter: neighbouring lanes are 2 elements apart",
        ],
    }
    assert remarks("column", "*fp32,*fp32,i32:1", "BLOCK=64")["run time"] == [
        "load: contiguous load of 8 x f32 from x_ptr"
    ]
    constant = explain(f"{FILE}:column", "*fp32,*fp32", ["BLOCK=64", "stride=-3"], level=V3)
    assert ("load", "strided load (stride -3) of 8 x f32 from x_ptr") in [
        remark for line in constant.lines for remark in line.remarks
    ]
    assert remarks("backwards", "*fp32,*fp32", "BLOCK=64")["x = tl.load(x_ptr + BLOCK - 1 - at)"] == [
        "load: reversed load of 8 x f32 from x_ptr"
    ]


def test_gathers():
    found = remarks("look_up", "*fp32,*fp32,*i32", "BLOCK=64")["tl.store(out_ptr + at, tl.load(table_ptr + index))"]
    assert "load: gather of 8 x f32 from table_ptr" in found
    assert found[-2:] == [
        "slow: 64-bit index arithmetic in vectors: twice the registers of 32 bits",
        "slow: gather: each lane computes its own address",
    ]


@pytest.mark.parametrize(
    ("dtype", "level", "why"),
    [
        ("fp32", V3, ""),
        ("fp16", V4, ""),
        ("fp16", V3, ", and this level has no masked instruction for f16"),
    ],
)
def test_masks_that_stay(dtype, level, why):
    found = remarks("every_third", f"*{dtype},*{dtype}", "BLOCK=64", level)
    load = found["x = tl.load(x_ptr + at, mask=at % 3 == 0, other=0)"]
    assert re.fullmatch(r"load: contiguous load of \d+ x f\d+ from x_ptr, masked per lane", load[-2])
    assert load[-1] == f"slow: per-lane mask: the condition is not a range of the index{why}"
    assert re.fullmatch(r"math: integer remainder of \d+ x i32", load[0])


def test_loops_without_vectors():
    assert remarks("every_third", "*fp32,*fp32", "BLOCK=2")["tl.store(out_ptr + at, x)"] == [
        f"guard: {COPY}",
        "loop: scalar loop, 2 iterations: too few for vectors",
        "store: scalar store of f32 to out_ptr",
    ]
    assert remarks("running_sum", "*fp32,*fp32", "BLOCK=64")["total = tl.cumsum(x, 0)"] == [
        "buffer: total: 64 x f32, 256 B, kept for later loops",
        "store: scalar store of f32 to buffer total",
        "loop: sequential loop, 63 iterations",
        "slow: scalar loop: its elements are computed one after the other",
    ]


def test_buffers_reductions_and_helpers():
    found = remarks("softmax", "*fp32,*fp32,i32", "BLOCK=1024", V4)
    loop = "loop: vectorized loop, width 16, interleave {}, at most 1024 iterations, masked tail{}"
    assert found == {
        "in the helper": [
            "buffer: weight: 1024 x f32, 4 KiB, kept for later loops",
            loop.format(2, ", maxnumf reduction"),
            "math: exp of 16 x f32",
        ],
        'x = tl.load(x_ptr + tl.program_id(0) * columns + at, mask=at < columns, other=-float("inf"))': [
            f"load: contiguous load of 16 x f32 from x_ptr{PROVED}",
            "prefetch: x_ptr of a later iteration or program",
        ],
        "tl.store(out_ptr + at, weight / tl.sum(weight, axis=0), mask=at < columns)": [
            loop.format(1, ", addf reduction"),
            "store: contiguous store of 16 x f32 to buffer weight",
            loop.format(2, ""),
            "load: contiguous load of 16 x f32 from buffer weight",
            f"store: contiguous store of 16 x f32 to out_ptr{PROVED}",
        ],
    }
    for block, cache in ((8192, ""), (16384, "L1 cache (32 KiB)"), (524288, "L2 cache (1 MiB)")):
        helper = remarks("softmax", "*fp32,*fp32,i32", f"BLOCK={block}", V4)["in the helper"]
        slow = [f"slow: buffer weight exceeds the {cache}: use smaller tiles"] if cache else []
        assert [text for text in helper if text.startswith("slow")] == slow


@pytest.mark.parametrize(("level", "kernel"), [(V3, "4 x 16"), (V4, "8 x 32")])
def test_dots_with_a_micro_kernel(level, kernel):
    found = remarks("product", "*fp32,*fp32,*fp32", "SIZE=32", level)
    assert f"dot: 32 x 32 x 32 in f32, micro-kernel of {kernel}" in found["c = tl.dot(a, b)"]
    assert "buffer: b: 1024 x f32, 4 KiB, operand of a dot, in panels" in found["b = tl.load(b_ptr + at)"]
    assert not [text for texts in found.values() for text in texts if text.startswith("slow")]


def test_dots_without_one():
    found = remarks("product", "*fp64,*fp64,*fp64", "SIZE=32")["c = tl.dot(a, b)"]
    assert "dot: plain loop nest: tensor<32x32xf64> * tensor<32x32xf64> -> tensor<32x32xf64>" in found
    assert "loop: sequential loop in each lane, 32 iterations" in found
    assert "load: broadcast load of f64 from buffer a" in found
    assert found[-1].startswith("slow: dot without a micro-kernel, which takes floats of 32 bits and fewer")


def test_loops_of_the_kernel_and_atomics():
    assert remarks("count", "*i32,*i32,i32", "STEP=4") == {
        "for step in range(steps):": [
            "loop: sequential loop, trip count known at run time",
            "slow: scalar loop: its elements are computed one after the other",
        ],
        "x = tl.load(x_ptr + step * STEP)": ["load: scalar load of i32 from x_ptr"],
        "tl.atomic_add(counts_ptr + x, 1)": ["atomic: atomic_rmw add of i32 on counts_ptr"],
    }


def test_all_lines_are_there():
    found = explain(f"{FILE}:softmax", "*fp32:16,*fp32:16,i32:16", ["BLOCK=64"])
    sources = [line.source for line in found.lines]
    assert sources[1].startswith("def softmax(") and sources[0].endswith("# in the helper")
    assert [line.number for line in found.lines] == sorted(line.number for line in found.lines)
    assert "    at = tl.arange(0, BLOCK)" in sources and found.level in (V3, V4) and found.kernel == "softmax"


# -- refusals


@pytest.mark.parametrize(
    ("target", "signature", "constants", "message", "hint"),
    [
        ("add", "i32", [], "found 'add', expected FILE.py:KERNEL", "for example kernels.py:softmax"),
        ("a b.py:a b", "", [], "found 'a b.py:a b', expected FILE.py:KERNEL", "for example"),
        ("none.py:add", "i32", [], "none.py' is not a file", "check the path"),
        ("{}:sub", "i32", [], "found no kernel 'sub', expected a @triton.jit function of that name", "the file has add,"),
        ("{}:tl", "i32", [], "found no kernel 'tl', expected a @triton.jit function", "the file has add,"),
        ("{}:add", "*fp32", ["BLOCK=64"],
         "the signature has 1 types, kernel 'add' has 4 arguments that are no constants: out_ptr, x_ptr, y_ptr, n",
         "give one type for each, in this order"),
        ("{}:add", "*fp32,*fp32,*fp32,i32,i32", ["BLOCK=64"], "the signature has 5 types, kernel 'add' has 4", "give one"),
        ("{}:add", "*fp32,*fp32,i32", ["BLOCK=64", "n=7", "y_ptr=2"], "the signature has 3 types, kernel 'add' has 2", ""),
        ("{}:add", "", ["BLOCK=64"], "the signature has 0 types", "for example --signature"),
        ("{}:add", "*fp32,*fp31,*fp32,i32", ["BLOCK=64"], "argument 'x_ptr' has the unknown type '*fp31'",
         "types are i1, i8, i16, i32, i64, u8,"),
        ("{}:add", "*fp32,**fp32,*fp32,i32", ["BLOCK=64"], "argument 'x_ptr' has the unknown type '**fp32'", "*fp32"),
        ("{}:add", "*fp32,*fp32,*fp32,i32:8", ["BLOCK=64"], "argument 'n' has the type 'i32:8', expected :16", "leave out :8"),
        ("{}:add", "*fp32:1,*fp32,*fp32,i32", ["BLOCK=64"], "argument 'out_ptr' has the type '*fp32:1'", "leave out :1"),
        ("{}:add", "*fp32,*fp32,*fp32,fp32:16", ["BLOCK=64"], "argument 'n' has the type 'fp32:16'", "leave out :16"),
        ("{}:add", "*fp32,*fp32,*fp32,i32", [],
         "parameter 'BLOCK' of kernel 'add' is a tl.constexpr, found no value for it", "--const BLOCK=64"),
        ("{}:add", "*fp32,*fp32,*fp32,i32", ["BLOK=64"],
         "found --const 'BLOK=64', expected NAME=VALUE with a parameter of kernel 'add'",
         "its parameters are out_ptr, x_ptr, y_ptr, n, BLOCK"),
        ("{}:add", "*fp32,*fp32,*fp32,i32", ["BLOCK"], "found --const 'BLOCK', expected NAME=VALUE", "its parameters"),
        ("{}:add", "*fp32,*fp32,*fp32,i32", ["BLOCK=large"], "found --const 'BLOCK=large', expected a number", "BLOCK=1024"),
        ("{}:add", "*fp32,*fp32,*fp32,i32", ["BLOCK=tl.float31"], "found --const 'BLOCK=tl.float31'", "BLOCK=1024"),
        ("{}:add", "*fp32,*fp32,*fp32,i32", ["BLOCK=48"], "Triton refuses the kernel: arange's range must be", "that line"),
    ],
)  # fmt: skip
def test_refusals(target, signature, constants, message, hint):
    with pytest.raises(InputError) as caught:
        explain(target.format(FILE), signature, constants)
    assert message in str(caught.value) and hint in caught.value.hint


def test_files_that_cannot_be_run(tmp_path):
    (tmp_path / "a.py").write_text("import no_such_package_xyz\n")
    (tmp_path / "b.py").write_text("x = (\n")
    (tmp_path / "c.py").write_text("x = 1\n")
    with pytest.raises(MissingError, match="needs the Python package 'no_such_package_xyz'"):
        explain(f"{tmp_path}/a.py:k", "i32")
    with pytest.raises(InputError, match=r"b.py:1: the file cannot be run"):
        explain(f"{tmp_path}/b.py:k", "i32")
    with pytest.raises(InputError, match="the file has no @triton.jit function"):
        explain(f"{tmp_path}/c.py:k", "i32")


def test_an_unknown_level():
    with pytest.raises(
        InputError, match="unknown CPU level 'x86-64-v9', expected x86-64-v3, x86-64-v4, aarch64 or host"
    ):
        remarks("add", "*fp32,*fp32,*fp32,i32", "BLOCK=64", "x86-64-v9")


# -- the command


def run(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "opwright", "explain", *map(str, words)],
        capture_output=True, text=True, check=False, **options,
    )  # fmt: skip


def test_json():
    done = run(f"{FILE}:add", "--signature", "*fp32,*fp32,*fp32,i32", "--const", "BLOCK=64", "--level", V3, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and (report["kernel"], report["level"]) == ("add", V3)
    first, *_, last = report["lines"]
    number = 1 + FILE.read_text().splitlines().index("def add(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):")
    assert first == {
        "file": "explained.py", "line": number, "source": "def add(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):",
        "remarks": [],
    }  # fmt: skip
    assert last["remarks"][1] == {
        "kind": "loop",
        "text": "vectorized loop, width 8, interleave 2, at most 64 iterations, masked tail",
    }


def test_exit_codes():
    done = run(f"{FILE}:add", "--signature", "i32")
    assert (
        done.returncode == 1
        and done.stdout == ""
        and done.stderr.startswith("error: parameter 'BLOCK' of kernel 'add'")
    )
    done = run(f"{FILE}:add")
    assert done.returncode == 2 and "--signature" in done.stderr


def test_a_refused_kernel_shows_its_line():
    done = run(f"{FILE}:bad", "--signature", "*i32", "--const", "BLOCK=64")
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and done.stdout == ""
    assert re.match(r"error: explained.py:\d+:\d+: error: .* in kernel 'bad'$", lines[0])
    assert lines[1].startswith("  |     x = tl.inline_asm_elementwise(") and re.match(r"  \| +\^$", lines[2])


def test_dumps(tmp_path):
    words = f"{FILE}:add", "--signature", "*fp32,*fp32,*fp32,i32", "--const", "BLOCK=64"
    done = run(*words, env=os.environ | {"OPW_DUMP_DIR": str(tmp_path)})
    assert done.returncode == 0 and (tmp_path / "04_plan.ir").read_text().startswith("func public @add(")
