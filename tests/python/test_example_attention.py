"""The attention example as far as it goes without building: its configuration, its kernel in TTIR, its C program."""

import subprocess
import sys

import numpy as np
import pytest

from opwright.plugin_gen.config import load_config
from opwright.plugin_gen.request import compile_variant, plan_kernels


@pytest.fixture
def example(root):
    return root / "examples/fused_attention"


def test_configuration(example):
    config = example / "kernel_config.py"
    (plan,) = plan_kernels(load_config(config), config)
    assert plan.grid == ["(seq_len + 64 - 1) // 64", "planes", "1"]
    assert plan.shapes.patterns[0] == "Q[b, h, s, 64], K[b, h, s, 64], V[b, h, s, 64]"
    texts = [compile_variant(plan, variant) for variant in plan.variants]
    assert [text.count("tt.dot") for text in texts] == [4, 4, 4]
    assert texts[0].count("tt.divisibility") == 6 and "tt.divisibility" not in texts[2]


def test_c_program_compiles_without_warnings(root, example, tmp_path):
    command = ["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{root / 'include'}"]
    subprocess.run([*command, example / "main.c", "-ldl", "-o", tmp_path / "main"], check=True)
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "LIB.so" in done.stderr


def test_cpp_program_compiles_without_warnings(root, example):
    command = [
        "c++",
        "-std=c++17",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
        "-fsyntax-only",
        f"-I{root / 'include'}",
    ]
    subprocess.run([*command, example / "main.cpp"], check=True)


def test_model(example, monkeypatch):
    import onnx

    monkeypatch.syspath_prepend(example)
    from make_model import make_model

    model = make_model(0.5)
    onnx.checker.check_model(model)
    (node,) = model.graph.node
    assert (node.domain, node.op_type, node.attribute[0].name, node.attribute[0].f) == (
        "triton", "fused_attention_kernel", "sm_scale", 0.5,
    )  # fmt: skip


def test_reference_of_the_demo(example, monkeypatch):
    monkeypatch.syspath_prepend(example)
    import demo

    q, k, v = np.random.default_rng(1).standard_normal((3, 2, 2, 5, 64))
    out, lse = demo.reference(q, k, v)
    np.testing.assert_allclose(out[:, :, 0], v[:, :, 0])  # the first row sees one key
    np.testing.assert_allclose(lse[:, :, 0], (q[:, :, 0] * k[:, :, 0]).sum(-1) * demo.SCALE)
    weights = np.exp(np.einsum("bhd,bhnd->bhn", q[:, :, -1], k) * demo.SCALE)
    np.testing.assert_allclose(out[:, :, -1], np.einsum("bhn,bhnd->bhd", weights, v) / weights.sum(-1)[..., None])
    sys.modules.pop("demo")
