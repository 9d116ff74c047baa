"""Shared by the PluginGen tests: a workspace with kernels and a configuration, and a core that makes a stand-in library."""

from __future__ import annotations

import subprocess
import textwrap
import zlib
from pathlib import Path

KERNELS = '''
import triton
import triton.language as tl


@triton.jit
def add_kernel(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    """Adds two vectors."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < n
    tl.store(out_ptr + at, tl.load(x_ptr + at, mask) + tl.load(y_ptr + at, mask), mask)


@triton.jit
def scale_kernel(out_ptr, sum_ptr, x_ptr, factor, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, at < n, other=0.0)
    tl.store(out_ptr + at, x * factor, at < n)
    tl.store(sum_ptr + tl.program_id(0), tl.sum(x.to(tl.float32), 0))


@triton.jit
def broken_kernel(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    at = tl.arange(0, 100)
    tl.store(out_ptr + at, tl.load(x_ptr + at))
'''

ADD = """
KernelMetaData(
    kernel_name="add_kernel", kernel_file="kernels.py",
    ios=[InputArg("x", Type("tensor[fp32]")), InputArg("y", Type("tensor[fp32]")), OutputArg("out", Type("tensor[fp32]")),
         DimSizeArg("n", hints=["", "16"]), Constexpr(1024)],
    shape_infer_rules=["x[m], y[m] -> out[m]", "x[m] : m -> n"], grid_dims=("(n + 1023) / 1024", "1", "1"))
"""

SCALE = """
KernelMetaData(
    kernel_name="scale_kernel", kernel_file="kernels.py", version=0, num_warps=4, num_stages=2,
    ios=[OutputArg("out", Type("tensor[fp16]")), OutputArg("sums", Type("tensor[fp32]")), InputArg("x", Type("tensor[fp16]")),
         ParamArg("factor", Type("fp32")), DimSizeArg("n"), Constexpr(128)],
    shape_infer_rules=["x[*] -> out[*]", "x[m] -> sums[m /// 128]", "x[m]: m -> n"], grid_dims=("cdiv(n, BLOCK)",))
"""

BROKEN = """
KernelMetaData(
    kernel_name="broken_kernel", kernel_file="kernels.py",
    ios=[InputArg("x", Type("tensor[fp32]")), OutputArg("out", Type("tensor[fp32]")), DimSizeArg("n"), Constexpr(1)],
    shape_infer_rules=["x[*] -> out[*]", "x[m] : m -> n"])
"""


def write_config(folder: Path, *kernels: str, name: str = "kernel_config.py", head: str = "") -> Path:
    """kernels.py and a configuration with these kernels."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernels.py").write_text(KERNELS)
    path = folder / name
    listed = ",".join(kernels or (ADD, SCALE))
    path.write_text(
        head + "from tensorrt_llm.tools.plugin_gen.core import *\n" + f"KERNELS = [{textwrap.dedent(listed)}]\n"
    )
    return path


class FakeCore:
    """Stands in for opwright._core: records the request; its library is compiled from C (fake_plugin.c)."""

    class CompileError(Exception):
        """What is wrong with the input."""

        def __init__(self, text: str, file: str = "", line: int = 0, col: int = 0) -> None:
            super().__init__(text)
            self.diagnostics = [{"text": text, "file": file, "line": line, "col": col}]

    class MissingToolError(RuntimeError):
        """No linker."""

    def __init__(self, root: Path, error: Exception | None = None) -> None:
        self.root, self.error = root, error
        self.requests: list[dict] = []

    def build(self, request: dict, workspace: str, dump_dir: str = "") -> dict:
        self.requests.append(request)
        for kernel in request["kernels"]:
            assert (Path(workspace) / kernel["ttir"]).is_file()
        if self.error is not None:
            raise self.error
        target = Path(workspace) / "output" / request["library"]
        compile_fake_plugin(self.root, target)
        return {"library": f"output/{request['library']}", "stages": [["objects", 1.5], ["link", 20.0]]}


def compile_fake_plugin(root: Path, target: Path, *defines: str) -> None:
    """The C stand-in as a shared library, sealed as a built one is."""
    source = root / "tests/python/fake_plugin.c"
    fresh = target.with_suffix(".new")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", f"-I{root / 'include'}", *defines, "-o", fresh, source],
        check=True,
    )
    fresh.write_bytes(sealed(fresh.read_bytes()))
    fresh.replace(target)


def sealed(library: bytes, tables: bytes = bytes(32)) -> bytes:
    """A library file with the seal of opwright/seal.hpp; `tables` is the hash of its tables."""
    library += tables + (len(library) + 56).to_bytes(8, "little")
    return library + zlib.crc32(library).to_bytes(8, "little") + b"opwseal1"
