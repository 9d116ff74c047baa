"""An operator in the form of TensorRT's quickly deployable plugins: only the imports differ."""

import triton
import triton.language as tl

import opwright.plugin as trtp
import opwright.trt as trt


@triton.jit
def add_one_kernel(x_ptr, n, y_ptr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + at, tl.load(x_ptr + at, mask=at < n) + 1, mask=at < n)


@trtp.register("quick::add_one")
def add_one_desc(inp0: trtp.TensorDesc, block_size: int) -> trtp.TensorDesc:
    return inp0.like()


@trtp.autotune("quick::add_one")
def add_one_autotune(inp0: trtp.TensorDesc, block_size: int, outputs: tuple[trtp.TensorDesc]):
    return [trtp.AutoTuneCombination("FP32|FP16, FP32|FP16")]


@trtp.aot_impl("quick::add_one")
def add_one_aot_impl(inp0: trtp.TensorDesc, block_size: int, outputs: tuple[trtp.TensorDesc], tactic: int):
    kind = "fp32" if inp0.dtype == trt.float32 else "fp16"
    source = triton.compiler.ASTSource(
        fn=add_one_kernel,
        signature={"x_ptr": f"*{kind}", "n": "i32", "y_ptr": f"*{kind}", "BLOCK": "constexpr"},
        constexprs={"BLOCK": 256},
    )
    compiled = triton.compile(source)
    n = inp0.shape_expr.numel()
    params = trtp.KernelLaunchParams()
    params.grid_x = trtp.cdiv(n, 256)
    params.block_x = compiled.metadata.num_warps * 32
    params.shared_mem = compiled.metadata.shared
    extra = trtp.SymIntExprs(1)
    extra[0] = trtp.SymInt32(n)
    return compiled.metadata.name, compiled.asm["ptx"], params, extra
