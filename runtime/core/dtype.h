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

namespace detail {
inline constexpr DtypeInfo kInfo[kDtypeCount] = {
    {"none", "none", 0, 0, 0, 0},
    {"bool", "bool", 1, 6, 8, 'b'},
    {"i8", "int8", 1, 0, 8, 'i'},
    {"i16", "int16", 2, 0, 16, 'i'},
    {"i32", "int32", 4, 0, 32, 'i'},
    {"i64", "int64", 8, 0, 64, 'i'},
    {"u8", "uint8", 1, 1, 8, 'u'},
    {"u16", "uint16", 2, 1, 16, 'u'},
    {"u32", "uint32", 4, 1, 32, 'u'},
    {"u64", "uint64", 8, 1, 64, 'u'},
    {"f16", "float16", 2, 2, 16, 'f'},
    {"bf16", "bfloat16", 2, 4, 16, 'f'},
    {"f32", "float32", 4, 2, 32, 'f'},
    {"f64", "float64", 8, 2, 64, 'f'},
    {"f8e4m3fn", "float8_e4m3fn", 1, 10, 8, 'f'},
    {"f8e5m2", "float8_e5m2", 1, 12, 8, 'f'},
    {"f8e4m3fnuz", "float8_e4m3fnuz", 1, 11, 8, 'f'},
    {"f8e5m2fnuz", "float8_e5m2fnuz", 1, 13, 8, 'f'},
    {"f8e4m3b11fnuz", "float8_e4m3b11fnuz", 1, 9, 8, 'f'},
    {"f8e8m0", "float8_e8m0fnu", 1, 14, 8, 'f'},
};

/// The dtype of a DLPack code and of 8 << n bits: every call asks for each of its tensors.
struct ByCode {
  opw_dtype_t dtype[15][4] = {};
  constexpr ByCode() {
    for (opw_dtype_t d = 1; d < kDtypeCount; ++d)
      dtype[kInfo[d].dlCode][__builtin_ctz(kInfo[d].dlBits) - 3] = d;
  }
};
inline constexpr ByCode kByCode;
} // namespace detail

/// Information about a dtype; that of OPW_NONE for numbers that this runtime does not know.
constexpr const DtypeInfo &dtypeInfo(opw_dtype_t dtype) { return detail::kInfo[dtype < kDtypeCount ? dtype : 0]; }

/// The dtype of a name, ours or NumPy's ("f32", "float32"), or OPW_NONE.
opw_dtype_t dtypeByName(const char *name, size_t length);

/// The element type of a view, or OPW_NONE.
inline opw_dtype_t dtypeOf(const opw_tensor_t &t) {
  constexpr auto &known = detail::kByCode.dtype;
  unsigned bits = t.dl_bits;
  if (t.dl_lanes != 1 || t.dl_code >= sizeof known / sizeof *known || bits < 8 || bits > 64 || (bits & (bits - 1)) != 0)
    return OPW_NONE;
  return known[t.dl_code][__builtin_ctz(bits) - 3];
}

/// Writes type code, bits and lanes into a view.
inline void setDtype(opw_tensor_t &t, opw_dtype_t dtype) {
  const DtypeInfo &info = dtypeInfo(dtype);
  t.dl_code = info.dlCode;
  t.dl_bits = info.dlBits;
  t.dl_lanes = 1;
}

/// Bits of `value` as an IEEE half and as a bfloat16, rounded to nearest, ties to even.
uint16_t halfBits(double value);
uint16_t bfloatBits(double value);

/// The element at `index` of a host array, as an integer or a floating-point number by its kind. A u64 of 2^63 or more
/// is negative.
int64_t integerAt(const void *data, opw_dtype_t dtype, int64_t index);
double floatAt(const void *data, opw_dtype_t dtype, int64_t index);

} // namespace opw::runtime
