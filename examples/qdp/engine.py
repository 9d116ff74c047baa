"""The networks of the samples, and engines: a folder with a library and the ONNX models that it was built for.

What is here imports neither the definitions nor Triton.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Outputs = tuple[np.ndarray, ...]
Network = Callable[[np.ndarray], Outputs]


@dataclass(frozen=True)
class Sample:
    """A network of one operator: `nodes` are the attributes of each node, from the first on the input to the last."""

    op: str
    nodes: list[dict[str, Any]]
    data: Callable[[], np.ndarray]
    expected: Callable[[np.ndarray], Outputs]
    outputs: int = 1

    @property
    def namespace(self) -> str:
        return self.op.partition("::")[0]

    @property
    def name(self) -> str:
        return self.op.partition("::")[2]


def _numbers(*shape: int, below: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, below, shape).astype(np.float32)


SAMPLES = {
    "add": Sample(
        "sample::elemwise_add_plugin", [{"block_size": 256}], lambda: _numbers(10, 3, 32, 32, below=100), lambda x: (x + 1,)
    ),
    "inplace_add": Sample(
        "sample::elemwise_add_plugin_", [{"delta": 2}, {"delta": 4}], lambda: np.ones((10, 3, 32, 32), np.float32),
        lambda x: (x + 6,),
    ),
    "non_zero": Sample(
        "sample::non_zero_plugin", [{}], lambda: _numbers(128, 128, below=2),
        lambda x: (np.argwhere(x).astype(np.int32), np.array(np.count_nonzero(x))), outputs=2,
    ),
    "circ_pad": Sample(
        "sample::circ_pad_plugin", [{"pads": [1, 1, 1, 1]}], lambda: _numbers(10, 3, 32, 32, below=100),
        lambda x: (np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)], mode="wrap"),),
    ),
}  # fmt: skip


class EngineError(Exception):
    """A folder without the engine that is asked for."""


def library_path(folder: Path, name: str) -> Path:
    return folder / f"lib{name}.so"


def model_path(folder: Path, name: str, dtype: str) -> Path:
    return folder / f"{name}_{dtype}.onnx"


def dtypes_of(folder: Path, name: str) -> list[str]:
    """The element types for which a folder has an engine."""
    models = sorted(folder.glob(f"{name}_*.onnx"), reverse=True)
    if not models or not library_path(folder, name).is_file():
        missing = library_path(folder, name) if models else model_path(folder, name, "float32")
        raise EngineError(
            f"found no {missing}, expected an engine of {name!r}; to save one: run.py {name} --aot --save_engine --artifacts_dir {folder}"
        )
    return [model.stem.removeprefix(f"{name}_") for model in models]


def in_onnxruntime(folder: Path, name: str, dtype: str) -> Network:
    """The model in a session of ONNX Runtime, which takes the operator from the library."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(library_path(folder, name)))
    session = onnxruntime.InferenceSession(
        str(model_path(folder, name, dtype)), options, providers=["CPUExecutionProvider"]
    )
    return lambda x: tuple(session.run(None, {"x": x}))


def in_python(folder: Path, name: str) -> Network:
    """The library's functions, called one after the other. An operator in place changes what it is given."""
    import opwright

    op = opwright.load(library_path(folder, name))[SAMPLES[name].op]
    return chained(SAMPLES[name], op.inplace if op.outputs[0].inplace else op)


def chained(sample: Sample, call: Callable[..., Any]) -> Network:
    """`call` for each node, on the first output of the one before."""

    def run(x: np.ndarray) -> Outputs:
        found: Outputs = (x,)
        for attributes in sample.nodes:
            found = as_tuple(call(found[0], **attributes))
        return found

    return run


def as_tuple(found: Any) -> Outputs:
    """What a function of one output or of several returns."""
    return found if isinstance(found, tuple) else (found,)
