"""What files of TensorRT's quickly deployable plugins use of `tensorrt` beside `tensorrt.plugin`:

import opwright.trt as trt
import opwright.plugin as trtp
"""

from enum import IntEnum

from opwright import plugin as plugin
from opwright.plugin.combinations import DataType as DataType

float32, float16, bfloat16 = DataType.FLOAT, DataType.HALF, DataType.BF16
int8, int32, int64, uint8 = DataType.INT8, DataType.INT32, DataType.INT64, DataType.UINT8
bool, fp8 = DataType.BOOL, DataType.FP8


class TensorFormat(IntEnum):
    """Layouts by TensorRT's names. Opwright's tensors are LINEAR: row-major."""

    LINEAR = 0
    CHW2 = 1
    HWC8 = 2
    CHW4 = 3
    CHW16 = 4
    CHW32 = 5
    HWC = 8
