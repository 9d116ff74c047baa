"""For tests of built plugins: kernels from C, plugins from requests, and the C face through ctypes."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from typing import Any

from opwright import _core

INCLUDE = Path(__file__).resolve().parents[2] / "include"
MAX_RANK = 16
PRELUDE = """
#include <opwright/plugin.h>
#include <string.h>
int32_t ENTRY(const opw_cpu_args_t *args, int64_t lo, int64_t hi, opw_cpu_scratch_t *scratch)
"""


def compile_c(body: str, entry: str, folder: Path) -> bytes:
    """The object of one kernel whose function body is `body`."""
    source, target = folder / f"{entry}.c", folder / f"{entry}.o"
    source.write_text(PRELUDE + body)
    subprocess.run(
        ["cc", "-O2", "-fPIC", "-w", f"-DENTRY={entry}", f"-I{INCLUDE}", "-c", str(source), "-o", str(target)],
        check=True,
    )
    return target.read_bytes()


def kernel_object(kernel: str, body: str, params: list[tuple[bool, str]], folder: Path) -> dict[str, Any]:
    """An entry of the `objects` of _core.package."""
    entry = "k_" + kernel.replace(".", "_")
    return {
        "kernel": kernel, "level": "x86-64-v3", "entry": entry, "object": compile_c(body, entry, folder), "params": params, "grain": 8,
    }  # fmt: skip


def request(ops: list[dict[str, Any]], kernels: list[str], library: str = "libtest.so", **more: Any) -> dict[str, Any]:
    """A build request around `ops`."""
    return {
        "opwright": 1, "library": library, "namespace": "sample", "faces": ["c", "onnxruntime", "tvmffi"], "targets": {"cpu": ["x86-64-v3"]},
        "kernels": [{"id": k, "ttir": f"{k}.ttir"} for k in kernels], "ops": ops, **more,
    }  # fmt: skip


def package(folder: Path, ops: list[dict[str, Any]], objects: list[dict[str, Any]], **more: Any) -> Path:
    """Path of the plugin."""
    folder.mkdir(parents=True, exist_ok=True)
    made = _core.package(request(ops, [o["kernel"] for o in objects], **more), objects, str(folder))
    return Path(made["library"])


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32),
        ("dl_code", ctypes.c_uint8), ("dl_bits", ctypes.c_uint8), ("dl_lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.c_void_p), ("byte_offset", ctypes.c_uint64),
    ]  # fmt: skip


class _Attr(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_uint32), ("count", ctypes.c_uint32), ("i", ctypes.c_int64)]


class _Call(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("inputs", ctypes.c_void_p), ("outputs", ctypes.c_void_p),
        ("attrs", ctypes.c_void_p), ("input_count", ctypes.c_uint32), ("output_count", ctypes.c_uint32), ("attr_count", ctypes.c_uint32),
        ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("tactic", ctypes.c_int32), ("stream", ctypes.c_void_p),
        ("workspace", ctypes.c_void_p), ("workspace_bytes", ctypes.c_size_t), ("host", ctypes.c_void_p), ("phases", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    ]  # fmt: skip


class _Error(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_uint32), ("code", ctypes.c_int32), ("text", ctypes.c_char_p), ("text_size", ctypes.c_size_t),
    ]  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_void_p), ("count", ctypes.c_uint32), ("is_float", ctypes.c_uint8), ("depth", ctypes.c_uint8),
        ("reserved", ctypes.c_uint16),
    ]  # fmt: skip


class Evaluator:
    """Programs of an op, evaluated by the plugin's own runtime."""

    VARS_OFFSET, VAR_COUNT_OFFSET = 80, 164  # in opw_op_t
    EVAL = 8 + 7 * 8  # in opw_api_t

    def __init__(self, library: Path, ns: str, name: str) -> None:
        self.handle = ctypes.CDLL(str(library))
        self.handle.opw_library.restype = ctypes.c_void_p
        root = self.handle.opw_library(0)
        api = ctypes.c_void_p.from_address(root + 24).value
        find = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int32)
        self.op = find(ctypes.c_void_p.from_address(api + 8).value)(ns.encode(), name.encode(), 0)
        assert self.op
        evaluate = ctypes.CFUNCTYPE(
            ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
        )
        self.evaluate = evaluate(ctypes.c_void_p.from_address(api + self.EVAL).value)

    def vars(self, shape: list[int], attrs: list[int]) -> list[tuple[int, int, str]]:
        """Status, value and error text of each var, for one f32 input of `shape` and int attributes."""
        sizes = (ctypes.c_int64 * MAX_RANK)(*shape)
        x = _Tensor(None, 1, 0, len(shape), 2, 32, 1, sizes, None, 0)
        inputs = (ctypes.c_void_p * 1)(ctypes.addressof(x))
        values = (_Attr * max(len(attrs), 1))(*[_Attr(1, 0, a) for a in attrs])
        call = _Call(struct_size=ctypes.sizeof(_Call), inputs=ctypes.addressof(inputs), attrs=ctypes.addressof(values),
                     input_count=1, attr_count=len(attrs), device_type=1)  # fmt: skip
        first = ctypes.c_void_p.from_address(self.op + self.VARS_OFFSET).value
        count = ctypes.c_uint32.from_address(self.op + self.VAR_COUNT_OFFSET).value
        results = []
        for i in range(count):
            text = ctypes.create_string_buffer(256)
            error = _Error(ctypes.sizeof(_Error), 0, ctypes.cast(text, ctypes.c_char_p), len(text))
            value = ctypes.c_int64()
            program = first + i * ctypes.sizeof(_Program)
            status = self.evaluate(
                self.op, program, ctypes.addressof(call), ctypes.addressof(value), ctypes.addressof(error)
            )
            results.append((status, value.value, text.value.decode()))
        return results
