"""Element types and their names: in build requests, in PluginGen and Triton signatures, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from opwright.errors import MissingError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class DType:
    """One element type. `name` is the one of build requests, `triton` the one of Triton signatures."""

    name: str
    triton: str
    numpy: str
    kind: Literal["bool", "int", "uint", "float"]
    bits: int
    aliases: tuple[str, ...] = ()

    @property
    def attr_kind(self) -> str:
        """Kind of the attribute that carries a scalar of this type."""
        return {"bool": "bool", "float": "float"}.get(self.kind, "int")


DTYPES = (
    DType("bool", "i1", "bool", "bool", 8, ("u1",)),
    DType("i8", "i8", "int8", "int", 8),
    DType("i16", "i16", "int16", "int", 16),
    DType("i32", "i32", "int32", "int", 32),
    DType("i64", "i64", "int64", "int", 64),
    DType("u8", "u8", "uint8", "uint", 8),
    DType("u16", "u16", "uint16", "uint", 16),
    DType("u32", "u32", "uint32", "uint", 32),
    DType("u64", "u64", "uint64", "uint", 64),
    DType("f16", "fp16", "float16", "float", 16),
    DType("bf16", "bf16", "bfloat16", "float", 16),
    DType("f32", "fp32", "float32", "float", 32),
    DType("f64", "fp64", "float64", "float", 64),
    DType("f8e4m3fn", "fp8e4nv", "float8_e4m3fn", "float", 8, ("fp8", "fp8_e4m3")),
    DType("f8e5m2", "fp8e5", "float8_e5m2", "float", 8, ("fp8_e5m2",)),
    DType("f8e4m3fnuz", "fp8e4b8", "float8_e4m3fnuz", "float", 8),
    DType("f8e5m2fnuz", "fp8e5b16", "float8_e5m2fnuz", "float", 8),
    DType("f8e4m3b11fnuz", "fp8e4b15", "float8_e4m3b11fnuz", "float", 8),
)

# plugin.h's OPW_BOOL, OPW_I8, ... in its order
NUMBERS = {dtype: number for number, dtype in enumerate(DTYPES, 1)}

BY_NAME: dict[str, DType] = {}
for _d in DTYPES:
    for _n in (_d.name, _d.triton, _d.numpy, *_d.aliases):
        BY_NAME[_n] = _d


def numpy_type(dtype: DType) -> np.dtype:
    """NumPy's own, or that of ml_dtypes."""
    import numpy as np

    try:
        return np.dtype(dtype.numpy)
    except TypeError:
        try:
            import ml_dtypes
        except ImportError as e:
            raise MissingError(f"NumPy has no {dtype.numpy} by itself", hint="install it: pip install ml_dtypes") from e
        return np.dtype(getattr(ml_dtypes, dtype.numpy))
