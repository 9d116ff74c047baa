"""What one call of an op with three tensors costs in each host: 16 floats are added, so nearly all of it is the way there.

`hosts` gives a Host per face: a loop of calls, the same loop of something empty in that host where it has one, and the targets.
All loops are timed in turns, in one process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import common
from common import FOLDER, Row

COUNT, ROUNDS = 500, 101  # short turns: few of them lose the core to another process


@dataclass
class Host:
    """One face. The loops make COUNT calls; `empty` is what the host costs without us, `over` the target of the difference."""

    name: str
    calls: Callable[[], object]
    at_most: float | None = None
    empty: Callable[[], object] | None = None
    over: float | None = None


def looped(call: Callable[..., object], *arguments: object) -> Callable[[], None]:
    def run() -> None:
        for _ in range(COUNT):
            call(*arguments)

    return run


def c_face(plugin: Path) -> list[Host]:
    import ctypes

    library = ctypes.CDLL(
        str(common.compile_c("plugin_calls.c", include=(FOLDER.parent / "include",), libraries=("-ldl",)))
    )
    if not library.prepare(str(plugin).encode()) or library.run(1):
        raise SystemExit("plugin_calls: the plugin does not add through the C face")
    return [Host("C", lambda: library.run(COUNT), at_most=0.15)]


def tvm_ffi_face(plugin: Path) -> list[Host]:
    import numpy as np
    import torch
    import tvm_ffi
    import tvm_ffi.testing

    add = tvm_ffi.load_module(str(plugin)).vector_add
    nothing = tvm_ffi.get_global_func("testing.nop")
    tensors = {
        "torch": [torch.full((16,), float(i)) for i in range(3)],
        "NumPy": [np.full(16, i, np.float32) for i in range(3)],
        "its own tensors": [tvm_ffi.from_dlpack(np.full(16, i, np.float32)) for i in range(3)],
    }
    hosts = []
    for kind, (x, y, out) in tensors.items():
        add(x, y, out)
        if np.from_dlpack(out)[0] != 1:
            raise SystemExit("plugin_calls: the plugin does not add through TVM-FFI")
        at_most = 1.0 if kind == "torch" else None
        hosts.append(Host(f"TVM-FFI, {kind}", looped(add, x, y, out), at_most, looped(nothing, x, y, out)))
    return hosts


def python_face(plugin: Path) -> list[Host]:
    import numpy as np
    import torch

    import opwright

    add = opwright.load(plugin).vector_add
    tensors = {
        "NumPy": [np.full(16, i, np.float32) for i in range(2)],
        "torch": [torch.full((16,), float(i)) for i in range(2)],
    }
    if any(add(*pair)[0] != 1 for pair in tensors.values()):
        raise SystemExit("plugin_calls: the plugin does not add through opwright.load")
    return [Host(f"opwright.load, {kind}", looped(add, x, y), at_most=1.5) for kind, (x, y) in tensors.items()]


def onnxruntime_face(plugin: Path) -> list[Host]:
    """A model in which the op follows itself, so that a node of it is measured, and not the session's run."""
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper

    x = np.full(16, 1, np.float32)

    def chain(domain: str, op: str, library: Path) -> Callable[[], object]:
        nodes = [helper.make_node(op, [f"x{i}", "x0"], [f"x{i + 1}"], domain=domain) for i in range(COUNT)]
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [16]) for name in ("x0", f"x{COUNT}")]
        imports = [helper.make_opsetid("", 21), helper.make_opsetid(domain, 1)]
        graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:])
        model = helper.make_model(graph, opset_imports=imports, ir_version=10)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.register_custom_ops_library(str(library))
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"x0": x})

    empty = common.compile_c("empty_custom_op.cpp", include=(FOLDER.parent / "runtime",))
    calls = chain("triton", "vector_add", plugin)
    if calls()[0][0] != COUNT + 1:
        raise SystemExit("plugin_calls: the plugin does not add through ONNX Runtime")
    return [
        Host("ONNX Runtime", calls, empty=chain("bench", "Empty", empty), over=0.2),
        Host("one that makes its output and no more", chain("bench", "Output", empty)),
    ]


def hosts(plugin: Path) -> list[Host]:
    return c_face(plugin) + tvm_ffi_face(plugin) + python_face(plugin) + onnxruntime_face(plugin)


def measure() -> list[Row]:
    common.one_core()
    with tempfile.TemporaryDirectory(prefix="opwright-calls-") as workspace:
        measured = hosts(common.build_plugin("plugin_calls", workspace)[0])
    sides = {host.name: host.calls for host in measured}
    sides |= {f"{host.name}, empty": host.empty for host in measured if host.empty}
    us = {name: seconds / COUNT * 1e6 for name, seconds in common.interleaved(sides, ROUNDS).items()}
    rows = []
    for host in measured:
        rows.append(Row(f"op of three tensors, {host.name}", us[host.name], "us", at_most=host.at_most))
        if host.empty:
            empty = us[f"{host.name}, empty"]
            note = f"that one takes {empty:.3f} us"
            rows.append(Row(f"op of three tensors, {host.name}: over an empty one", us[host.name] - empty, "us", at_most=host.over, note=note))  # fmt: skip
    return rows


if __name__ == "__main__":
    common.main(measure)
