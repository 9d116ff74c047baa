// Element types: name, size, how DLPack writes them, and conversion of a number to their bits.
#pragma once

#include "opwright/plugin.h"

namespace opw::runtime {

constexpr uint32_t kDtypeCount = 20;

struct DtypeInfo {
  const char *name;
  const char *numpy; // NumPy's name, or that of ml_dtypes
  uint8_t bytes;
  uint8_t dlCode, dlBits;
  char kind; // 'b' bool, 'i' signed, 'u' unsigned, 'f' float, 0 none
};

/// Information about a dtype; that of OPW_NONE for numbers that this runtime does not know.
const DtypeInfo &dtypeInfo(opw_dtype_t dtype);

/// The dtype of a name, ours or NumPy's ("f32", "float32"), or OPW_NONE.
opw_dtype_t dtypeByName(const char *name, size_t length);

/// The element type of a view, or OPW_NONE.
opw_dtype_t dtypeOf(const opw_tensor_t &tensor);

/// Writes type code, bits and lanes into a view.
void setDtype(opw_tensor_t &tensor, opw_dtype_t dtype);

/// Bits of `value` as an IEEE half and as a bfloat16, rounded to nearest, ties to even.
uint16_t halfBits(double value);
uint16_t bfloatBits(double value);

/// The element at `index` of a host array, as an integer or a floating-point number by its kind. A u64 of 2^63 or more
/// is negative.
int64_t integerAt(const void *data, opw_dtype_t dtype, int64_t index);
double floatAt(const void *data, opw_dtype_t dtype, int64_t index);

} // namespace opw::runtime
