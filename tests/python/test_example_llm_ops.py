"""The operators of examples/llm_ops in every host, against their definitions' own NumPy functions in float64."""

from __future__ import annotations

import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

pytest.importorskip("triton", reason="triton is not installed")

import opwright
from opwright.host import Call, Opened, hosts
from opwright.paths import include_dir
from opwright.plugin import eager
from opwright.plugin.build import load as load_definitions

SOURCE = Path(__file__).parents[2] / "examples/llm_ops"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", (SOURCE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
FLOATS = [np.float32, np.float16, ml_dtypes.bfloat16]
EPS = {np.float32: 2.0**-24, np.float16: 2.0**-11, ml_dtypes.bfloat16: 2.0**-8}  # half a unit in the last place, at 1
SINGLE = EPS[np.float32]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The example with its library, built by the page's command but for one level alone."""
    folder = tmp_path_factory.mktemp("example") / "llm_ops"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    words = shlex.split(BLOCKS[0][1])
    assert words[:2] == ["opwright", "build"]
    command = [sys.executable, "-m", *words, "--targets", "cpu:x86-64-v3"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def library(folder) -> Path:
    return folder / "libllm_ops.so"


@pytest.fixture(scope="module")
def definitions() -> dict[str, Any]:
    return {definition.name: definition for definition in load_definitions(SOURCE / "llm_ops.py")}


loaded = functools.cache(opwright.load)


@functools.cache
def opened_in(name: str, library: Path) -> Opened:
    return next(host for host in hosts() if host.name == name).open(library)


@pytest.fixture(params=hosts(), ids=lambda host: host.name)
def call(request, library, definitions) -> Callable:
    """Runs an operator in a host: for each output what it is and what it should be. `call.tactics` are those that can be asked for."""
    host = request.param
    if why := host.missing():
        pytest.skip(why)
    opened = opened_in(host.name, library)

    def run(op: str, *inputs: Any, tactic: int = 0, **attributes: Any) -> list[tuple[np.ndarray, np.ndarray]]:
        expected = eager.run(definitions[op], inputs, attributes, wide=True)
        expected = expected if isinstance(expected, tuple) else (expected,)
        # where the caller makes the memory, what is counted has room for the most that there may be: an element of the first input each
        counted = ["opw_size0" in output.shape for output in opened.declared[f"llm::{op}"].outputs]
        bounds = [(inputs[0].size,) if more else None for more in counted] if any(counted) else []
        made = Call(f"llm::{op}", inputs, attributes, bounds=bounds, tactic=tactic)
        assert opened.cannot(made) is None
        found = opened.call(made)
        for got, want in zip(found, expected, strict=True):
            assert got.shape == want.shape
        return list(zip(found, expected, strict=True))

    run.tactics = (0,) if opened.cannot(Call("llm::w4a16_matmul", tactic=2)) else (0, 2)
    return run


def normal(seed: int, *shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def rounding(dtype: Any, want: np.ndarray) -> np.ndarray:
    """The error of writing it in this type, whose small numbers have fewer bits."""
    return np.maximum(EPS[dtype] * np.abs(want), float(ml_dtypes.finfo(dtype).smallest_subnormal) / 2)


def near(got: np.ndarray, want: np.ndarray, tolerance: Any) -> None:
    """Within `tolerance`, which is a number or one for each element."""
    error = np.abs(np.asarray(got, np.float64) - want)
    assert (error <= tolerance).all(), f"error {(error / np.maximum(tolerance, 1e-300)).max():.3g} of what is allowed"


# -- RMS norm


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(1,), (5, 7), (2, 3, 64), (1, 1, 1000), (3, 2049), (0, 16), (4, 0)])
def test_rms_norm(call, shape, dtype):
    x, residual, weight = (
        normal(1, *shape, dtype=dtype),
        normal(2, *shape, dtype=dtype),
        normal(3, shape[-1], dtype=dtype),
    )
    (normed, want), (total, want_total) = call("add_rms_norm", x, residual, weight, epsilon=2.0**-17)
    near(total, want_total, rounding(dtype, want_total))
    # the rounded sum, its square in the mean (half of its error in the root), the mean's n additions, four roundings; then the output's
    single = (shape[-1] / 2 + 8) * SINGLE
    near(normed, want, rounding(dtype, want) + (2 * EPS[dtype] + single) * np.abs(want) * (1 + 4 * EPS[dtype]))


# -- rotary embedding


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize(
    ("tokens", "heads", "kv_heads", "size", "turned", "index"),
    [
        (1, 4, 1, 64, 64, np.int64),
        (7, 3, 3, 20, 10, np.int32),
        (5, 2, 1, 256, 256, np.int64),
        (0, 2, 2, 8, 8, np.int32),
    ],
)
def test_rotary(call, tokens, heads, kv_heads, size, turned, index, interleaved, dtype):
    q, k = normal(1, tokens, heads, size, dtype=dtype), normal(2, tokens, kv_heads, size, dtype=dtype)
    angles = np.arange(40)[:, None] / 10000 ** (np.arange(turned // 2) / (turned // 2))
    table = np.concatenate([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    positions = np.random.default_rng(3).integers(0, 40, tokens).astype(index)
    for (got, want), x in zip(
        call("rotary_embedding", q, k, positions, table, interleaved=interleaved), (q, k), strict=True
    ):
        # two products of the elements of a pair, none above the largest element
        near(got, want, rounding(dtype, want) + 4 * SINGLE * np.abs(x.astype(np.float64)).max(initial=0))


# -- paged attention


def paged(
    seed: int, lengths: list[int], heads: int, kv_heads: int, size: int, block: int, dtype: Any
) -> list[np.ndarray]:
    """Inputs of paged_attention: blocks in random order, and rows of the table that end in rubbish which is not used."""
    random = np.random.default_rng(seed)
    needed = [-(-length // block) for length in lengths]
    width, blocks = max(needed, default=0) + 1, sum(needed) + 2
    order = list(random.permutation(blocks))
    table = np.full((len(lengths), width), -1, np.int32)
    for row, count in zip(table, needed, strict=True):
        row[:count] = [order.pop() for _ in range(count)]
    cache = (blocks, kv_heads, block, size)
    q, k, v = (random.standard_normal(shape).astype(dtype) for shape in ((len(lengths), heads, size), cache, cache))
    return [q, k, v, table, np.array(lengths, np.int32)]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("lengths", "heads", "kv_heads", "size", "block"),
    [
        ([1], 1, 1, 64, 16),
        ([37, 0, 300], 8, 2, 64, 16),
        ([5, 129], 3, 3, 128, 32),
        ([70], 14, 2, 128, 7),
        ([], 2, 1, 64, 16),
    ],
)
def test_paged_attention(call, lengths, heads, kv_heads, size, block, dtype):
    inputs = paged(1, lengths, heads, kv_heads, size, block, dtype)
    for attributes in ({}, {"scale": 0.25}, *({"tactic": tactic} for tactic in call.tactics)):
        ((got, want),) = call("paged_attention", *inputs, **attributes)
        scale = attributes.get("scale", size**-0.5)
        # the scores' error, sums of `size` products, moves the weights by as much; the weights' sums have as many terms as there are keys
        longest = max(lengths, default=0)
        q, k, v = (np.abs(x.astype(np.float64)).max(initial=0) for x in inputs[:3])
        score = SINGLE * (size + 4) * scale * size * q * k
        near(got, want, rounding(dtype, want) + (2 * score + (longest + 8) * SINGLE) * v)


# -- sampling


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("rows", "vocabulary", "attributes"),
    [(1, 1, {}), (3, 1000, {"k": 5}), (2, 4099, {"k": 50, "min_p": 0.5}), (4, 300, {"k": 1000, "temperature": 0.5}),
     (2, 64, {"k": 3, "min_p": 1.0}), (1, 3000, {"k": 2000}), (0, 10, {})],
)  # fmt: skip
def test_sampling(call, rows, vocabulary, attributes, dtype):
    logits = (3 * normal(1, rows, vocabulary)).astype(dtype)
    uniform = np.random.default_rng(2).random(rows, np.float32)
    token, candidates, probabilities, starts, total = call("top_k_sampling", logits, uniform, **attributes)
    for got, want in (candidates, starts, total):
        np.testing.assert_array_equal(got, want)
    spread = 40 / attributes.get("temperature", 1)  # of exponents
    near(*probabilities, (spread + vocabulary) * SINGLE * probabilities[1])
    for row, (got, want) in enumerate(zip(*token, strict=True)):
        part = slice(*starts[0][row : row + 2].astype(int))
        ends = np.cumsum(probabilities[1][part])
        if np.abs(ends - uniform[row]).min() > (spread + 2 * vocabulary) * SINGLE:  # else a neighbour is as good
            assert got == want


# -- 4-bit weights


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("shape", "columns", "groups", "zeros", "bias"),
    [((1, 64), 3, 2, True, True), ((2, 3, 256), 70, 2, False, True), ((40, 96), 65, 3, True, False), ((7, 20), 9, 1, False, False),
     ((1, 1024), 130, 32, True, True), ((0, 32), 8, 1, True, True)],
)  # fmt: skip
def test_w4a16(call, shape, columns, groups, zeros, bias, dtype):
    random = np.random.default_rng(1)
    x = normal(2, *shape, dtype=dtype)
    weight = random.integers(0, 256, (columns, shape[-1] // 2), np.uint8)
    scales = random.uniform(0.01, 0.02, (groups, columns)).astype(dtype)
    zero = random.integers(0, 16, (groups, columns), np.uint8) if zeros else None
    added = normal(3, columns, dtype=dtype) if bias else None
    largest = np.abs(x.astype(np.float64)).sum(-1, keepdims=True) * 15 * 0.02 + 4  # all terms, and the bias
    for tactic in call.tactics:
        ((got, want),) = call("w4a16_matmul", x, weight, scales, zero, added, tactic=tactic)
        near(got, want, rounding(dtype, want) + (shape[-1] + 8) * SINGLE * largest)


# -- calls that are refused


def test_calls_that_are_refused(library):
    ops = loaded(library)

    def refused(text: str, op: str, *inputs: Any, **attributes: Any) -> None:
        with pytest.raises(opwright.native.PluginError, match=text):
            ops[f"llm::{op}"](*inputs, **attributes)

    x = normal(1, 3, 8)
    refused("residual has another number of elements than x", "add_rms_norm", x, x[:2], x[0])
    refused("the last axes of residual and x differ", "add_rms_norm", x, x.reshape(8, 3), x[0])
    refused("weight is not as long as the last axis of x", "add_rms_norm", x, x, x[0, :7])
    refused("x has rank 0, expected 1 to 16", "add_rms_norm", x[0, 0, None].reshape(()), x[0, :1], x[0, :1])
    q, table, at = normal(1, 2, 4, 8), normal(2, 10, 8), np.array([0, 9])
    refused("k has another number of tokens", "rotary_embedding", q, q[:1], at, table)
    refused("the heads of k and q have different sizes", "rotary_embedding", q, q[..., :6].copy(), at, table)
    refused("a row of cos_sin is longer than a head", "rotary_embedding", q, q, at, normal(2, 10, 10))
    refused("a row of cos_sin has an odd length", "rotary_embedding", q, q, at, normal(2, 10, 5))
    refused(
        "heads of odd size have no neighbours",
        "rotary_embedding",
        q[..., :5].copy(),
        q[..., :5].copy(),
        at,
        normal(2, 10, 4),
        interleaved=True,
    )
    for wrong in (10, -1):
        refused("a position is outside of cos_sin", "rotary_embedding", q, q, np.array([0, wrong]), table)
    q, k, v, blocks, lengths = paged(1, [40, 7], 4, 2, 64, 16, np.float32)
    refused(
        "the head size is neither 64 nor 128",
        "paged_attention",
        q[..., :32].copy(),
        k[..., :32].copy(),
        v[..., :32].copy(),
        blocks,
        lengths,
    )
    refused("k_cache and v_cache differ in block size", "paged_attention", q, k, v[:, :, :8].copy(), blocks, lengths)
    refused("no multiple of those of the caches", "paged_attention", q[:, :3].copy(), k, v, blocks, lengths)
    refused("block_table has not one row for each sequence", "paged_attention", q, k, v, blocks[:1], lengths)
    refused("lengths has not one number for each sequence", "paged_attention", q, k, v, blocks, lengths[:1])
    refused("a length is beyond its row of block_table", "paged_attention", q, k, v, blocks, lengths + 32)
    refused("an entry of block_table is no block of the caches", "paged_attention", q, k, v, blocks, lengths + 16)
    refused("an entry of block_table is no block of the caches", "paged_attention", q, k, v, blocks + len(k), lengths)
    logits, uniform = normal(1, 2, 9), np.zeros(2, np.float32)
    refused("uniform has not one number for each row", "top_k_sampling", logits, uniform[:1])
    refused("k is not positive", "top_k_sampling", logits, uniform, k=0)
    refused("temperature is not positive", "top_k_sampling", logits, uniform, temperature=0.0)
    refused("min_p is above 1", "top_k_sampling", logits, uniform, min_p=1.5)
    refused("min_p is negative", "top_k_sampling", logits, uniform, min_p=-0.5)
    refused("the largest logit of a row is not finite", "top_k_sampling", np.full((2, 9), -np.inf, np.float32), uniform)
    x, weight, scales = normal(1, 2, 64), np.zeros((5, 32), np.uint8), normal(2, 4, 5)
    refused("not half as many bytes as the last axis of x", "w4a16_matmul", x[:, :62].copy(), weight, scales)
    refused("weight has no columns", "w4a16_matmul", x[:, :0].copy(), weight[:, :0].copy(), scales)
    refused("scales has not one column for each row", "w4a16_matmul", x, weight, normal(2, 4, 6))
    refused("a row of weight is not divided into bytes of its groups", "w4a16_matmul", x, weight, normal(2, 5, 5))
    refused("scales has no rows", "w4a16_matmul", x, weight, normal(2, 0, 5))
    refused(
        "zeros and scales have different numbers of rows", "w4a16_matmul", x, weight, scales, weight[:3, :5].T.copy()
    )
    refused("bias has not one number for each row", "w4a16_matmul", x, weight, scales, None, normal(3, 4))


def test_memory_at_odd_addresses(library):
    """The kernels that are taken where nothing is a multiple of 16."""
    ops = loaded(library)

    def shifted(array: np.ndarray) -> np.ndarray:
        memory = np.empty(array.size + 1, array.dtype)
        memory[1:] = array.reshape(-1)
        return memory[1:].reshape(array.shape)

    x, half = normal(1, 3, 40), normal(1, 3, 40, dtype=np.float16)
    positions, table = np.array([2, 0, 1]), normal(2, 3, 8)
    weight, scales = np.arange(100, dtype=np.uint8).reshape(5, 20), normal(3, 2, 5)
    for op, inputs, attributes in (
        ("add_rms_norm", (half, half[::-1].copy(), half[0]), {}),
        ("rotary_embedding", (half.reshape(3, 5, 8), half.reshape(3, 5, 8), positions, table), {"interleaved": True}),
        ("paged_attention", paged(1, [40, 7], 4, 2, 64, 16, np.float32), {}),
        ("top_k_sampling", (x, np.full(3, 0.5, np.float32)), {"k": 4}),
        ("w4a16_matmul", (x, weight, scales), {}),
    ):  # fmt: skip
        found, wanted = (ops[f"llm::{op}"](*given, **attributes) for given in (map(shifted, inputs), inputs))
        for got, want in zip(*(r if isinstance(r, tuple) else (r,) for r in (found, wanted)), strict=True):
            # sums in another order
            np.testing.assert_allclose(got.astype(float), want.astype(float), rtol=2 * EPS[np.float16], atol=1e-5)


def test_in_place(library):
    """The caller's memory changes where it is asked for."""
    ops = loaded(library)
    x, residual = normal(1, 3, 8), normal(2, 3, 8)
    before = residual.copy()
    _, total = ops.add_rms_norm.inplace(x, residual, np.ones(8, np.float32))
    np.testing.assert_array_equal(residual, x + before)
    np.testing.assert_array_equal(total, residual)


class Decoder:
    """What decode.cpp does, on the same numbers: its text."""

    SEQUENCES, WIDTH, HEADS, KEY_HEADS, HEAD, VOCABULARY, BLOCK, BLOCKS, GROUP = 2, 256, 4, 2, 64, 500, 16, 8, 64

    def __init__(self, library: Path) -> None:
        self.ops, self.state = loaded(library), 1
        self.embedding = self.uniforms((self.VOCABULARY, self.WIDTH), -1, 1)
        head = self.KEY_HEADS * self.HEAD
        columns = {"q": self.WIDTH, "k": head, "v": head, "mixed": self.WIDTH, "logits": self.VOCABULARY}
        self.weights = {name: self.weight(count) for name, count in columns.items()}
        angles = np.arange(self.BLOCK * self.BLOCKS)[:, None] * 10000.0 ** (
            -2.0 * np.arange(self.HEAD // 2) / self.HEAD
        )
        self.angles = np.concatenate([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
        cache = (self.SEQUENCES * self.BLOCKS, self.KEY_HEADS, self.BLOCK, self.HEAD)
        self.caches = {"k": np.zeros(cache, np.float32), "v": np.zeros(cache, np.float32)}

    def uniforms(self, shape: tuple[int, ...], low: float = 0, high: float = 1) -> np.ndarray:
        numbers = np.empty(int(np.prod(shape)), np.float32)
        for i in range(numbers.size):
            self.state = (self.state * 1664525 + 1013904223) % 2**32
            numbers[i] = self.state >> 8
        low, high = np.float32(low), np.float32(high)
        return (low + (high - low) * (numbers * np.float32(2.0**-24))).reshape(shape)

    def weight(self, columns: int) -> tuple[np.ndarray, np.ndarray]:
        pairs = (self.uniforms((columns, self.WIDTH // 2)) * np.float32(256)).astype(np.uint8)
        return pairs, self.uniforms((self.WIDTH // self.GROUP, columns), 0.005, 0.015)

    def product(self, name: str, x: np.ndarray) -> np.ndarray:
        return self.ops.w4a16_matmul(x.reshape(self.SEQUENCES, -1), *self.weights[name])

    def run(self, steps: int) -> str:
        table = np.arange(self.SEQUENCES * self.BLOCKS, dtype=np.int32).reshape(self.SEQUENCES, self.BLOCKS)
        ones, tokens, lines = np.ones(self.WIDTH, np.float32), np.arange(1, self.SEQUENCES + 1), []
        for step in range(steps):
            residual = self.embedding[tokens]
            normed, residual = self.ops.add_rms_norm(np.zeros_like(residual), residual, ones)
            q, k, v = (self.product(name, normed).reshape(self.SEQUENCES, -1, self.HEAD) for name in "qkv")
            q, k = self.ops.rotary_embedding(q, k, np.full(self.SEQUENCES, step), self.angles)
            for name, new in (("k", k), ("v", v)):
                self.caches[name][table[:, step // self.BLOCK], :, step % self.BLOCK] = new
            lengths = np.full(self.SEQUENCES, step + 1, np.int32)
            attended = self.ops.paged_attention(q, self.caches["k"], self.caches["v"], table, lengths)
            normed, _ = self.ops.add_rms_norm(self.product("mixed", attended), residual, ones)
            logits, drawn = self.product("logits", normed), self.uniforms((self.SEQUENCES,))
            tokens, *_, total = self.ops.top_k_sampling(logits, drawn, k=20, min_p=0.125)
            lines.append(f"step {step}: {' '.join(map(str, tokens))} of {total} candidates\n")
        return "".join(lines)


def test_the_page_runs(folder):
    (first, _), *blocks = BLOCKS
    assert first == "sh" and [language for language, _ in blocks] == ["python", "sh"]
    for language, text in blocks:
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        command = [sys.executable, "-c", text] if language == "python" else ["sh", "-e", "-c", text]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        if language == "python":
            assert done.stdout.split("\n")[:-1] == re.findall(r"^print\(.*\)  # (.*)$", text, re.MULTILINE)


def test_the_decoder_writes_what_python_does(folder, library):
    command = [
        os.environ.get("CXX", "c++"),
        "-std=c++17",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        f"-I{include_dir()}",
        "decode.cpp",
        "-ldl",
    ]
    subprocess.run([*command, "-o", "decoder"], cwd=folder, check=True)
    done = subprocess.run(["./decoder", library, "20"], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == Decoder(library).run(20)
    for steps in ("0", "129", "all"):
        done = subprocess.run(["./decoder", library, steps], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 1 and "with 1 to 128 steps" in done.stderr
