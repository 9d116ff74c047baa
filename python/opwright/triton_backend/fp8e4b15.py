"""Conversions of fp8e4b15, which TTIR has no type for: its values are bytes, and the front end asks the backend.

The upper seven bits below the sign of an fp16 are the format's own: 4 bits of exponent with fp16's bias, 3 of mantissa. There is no
infinity and no NaN; 1.75 is the largest value that a conversion gives, to nearest with ties away from zero, as on GPUs.
"""

from __future__ import annotations

from typing import Any

from triton.language import core

_LARGEST = 0x3F00  # 1.75 in fp16


@core.builtin
def convert(arg: Any, dst_ty: Any, fp_downcast_rounding: Any = None, _semantic: Any = None) -> Any:
    """The value of `arg` as `dst_ty`; one of the two is fp8e4b15."""

    def cast(value: Any, dtype: Any, **how: Any) -> Any:
        return core.cast(value, dtype, _semantic=_semantic, **how)

    if arg.type.scalar.is_fp8e4b15():
        bits = cast(cast(arg, core.uint8, bitcast=True), core.uint16)
        size = bits.__and__(0x7F, _semantic=_semantic).__lshift__(7, _semantic=_semantic)
        sign = bits.__and__(0x80, _semantic=_semantic).__lshift__(8, _semantic=_semantic)
        half = cast(size.__or__(sign, _semantic=_semantic), core.float16, bitcast=True)
        return half if dst_ty.scalar.is_fp16() else cast(half, dst_ty.scalar)
    half = arg if arg.type.scalar.is_fp16() else cast(cast(arg, core.float32), core.float16, fp_downcast_rounding="rtz")
    bits = cast(half, core.uint16, bitcast=True)
    size = core.minimum(bits.__and__(0x7FFF, _semantic=_semantic), _LARGEST, _semantic=_semantic)
    rounded = size.__add__(0x40, _semantic=_semantic).__rshift__(7, _semantic=_semantic)
    sign = bits.__rshift__(8, _semantic=_semantic).__and__(0x80, _semantic=_semantic)
    return cast(cast(rounded.__or__(sign, _semantic=_semantic), core.uint8), core.float8e4b15, bitcast=True)
