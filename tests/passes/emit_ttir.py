"""Writes the TTIR texts of this folder from the kernels of benchmarks/ with the installed Triton.

python tests/passes/emit_ttir.py
"""

import sys
from pathlib import Path

from opwright.ttir import make_ttir

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "benchmarks"))

import kernels  # noqa: E402

TEXTS = {
    "vector_add": (kernels.vector_add, {"n": "i32"}, {"BLOCK": 1024}, "*fp32"),
    "softmax": (kernels.softmax, {"columns": "i32"}, {"BLOCK": 1024}, "*fp32"),
    "softmax_large": (kernels.softmax, {"columns": "i32"}, {"BLOCK": 1048576}, "*fp32"),
    "layer_norm": (kernels.layer_norm, {"columns": "i32", "epsilon": "fp32"}, {"BLOCK": 1024}, "*fp32"),
    "scale_shift": (kernels.scale_shift, {"n": "i32"}, {"WIDTH": 64, "BLOCK": 1024}, "*fp32"),
    "attention": (
        kernels.attention,
        {"scale": "fp32", "length": "i32"},
        {"BLOCK_M": 64, "BLOCK_N": 64, "HEAD": 64},
        "*fp16",
    ),
}

for name, (kernel, scalars, constants, pointer) in TEXTS.items():
    signature = {p: scalars.get(p, "constexpr" if p in constants else pointer) for p in kernel.arg_names}
    text = make_ttir(kernel, signature, constants, roots=[HERE.parents[1]])
    (HERE / f"{name}.ttir").write_text(text)
