"""Inductor's models on the CPU, its C++ backend against its Triton backend on Opwright: compilation of the kernels, and a step.

Compilation is the time in which Inductor's generated module loads, which is when its kernels are compiled, cold and on one core. A step
is forward and backward, on one thread.
"""

from __future__ import annotations

import os
import sys
import tempfile

import common
from common import Row

ROUNDS, BATCH = 15, 64


def measure() -> list[Row]:
    common.one_core()
    common.use_cpu_backend()
    cache = tempfile.TemporaryDirectory(prefix="opwright-inductor-")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache.name
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    sys.path.insert(0, str(common.FOLDER.parent))
    import torch
    import torch._inductor.config as config
    from torch._dynamo.utils import compilation_time_metrics
    from torch._inductor.utils import fresh_cache

    import opwright
    from tests.pytorch.models import MODELS

    torch.set_num_threads(1)

    def prepare(name: str, backend: str):
        """A step of the compiled model, and the seconds that its kernels took to compile."""
        torch.manual_seed(0)
        make, inputs = MODELS[name]
        model, x = make(), inputs(BATCH, torch.float32)

        def forward(x: torch.Tensor) -> torch.Tensor:
            return model(x)

        # Dynamo keeps what it compiled per code object, so each side needs one of its own.
        forward.__code__ = forward.__code__.replace(co_name=f"{name}_{backend}")
        compiled = torch.compile(forward)

        def step() -> None:
            model.zero_grad(set_to_none=True)
            compiled(x).square().mean().backward()

        compilation_time_metrics.clear()
        with config.patch(cpu_backend=backend), fresh_cache():
            step()
        return step, sum(compilation_time_metrics["PyCodeCache.load_by_key_path"])

    def launches(step) -> int:
        with opwright.profile() as profile:
            step()
        return len(profile.launches)

    rows = []
    for name in MODELS:
        torch._dynamo.reset()
        cpp, cpp_seconds = prepare(name, "cpp")
        ours, our_seconds = prepare(name, "triton")
        assert launches(ours) > 0 and launches(cpp) == 0
        note = f"{cpp_seconds:.1f} and {our_seconds:.2f} s"
        rows.append(
            Row(f"{name}: kernels compile, C++ / Triton", cpp_seconds / our_seconds, "x", at_least=3, note=note)
        )
        seconds = common.interleaved({"cpp": cpp, "ours": ours}, ROUNDS)
        note = f"{seconds['cpp'] * 1e3:.2f} and {seconds['ours'] * 1e3:.2f} ms"
        rows.append(Row(f"{name}: step, C++ / Triton", seconds["cpp"] / seconds["ours"], "x", note=note))
    return rows


if __name__ == "__main__":
    common.main(measure)
