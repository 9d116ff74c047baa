#include "core/dtype.h"

#include <string.h>

namespace opw::runtime {
namespace {

template <typename T> T load(const void *data, int64_t index) {
  T v;
  memcpy(&v, static_cast<const char *>(data) + static_cast<size_t>(index) * sizeof v, sizeof v);
  return v;
}

/// Rounds a double to a binary format of `mantissa` stored bits and `exponent` exponent bits, in integer arithmetic.
uint16_t roundTo(double value, int exponent, int mantissa) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  auto sign = static_cast<uint16_t>(bits >> 63 << 15);
  int64_t e = static_cast<int64_t>(bits >> 52 & 0x7ff);
  uint64_t m = bits & ((uint64_t{1} << 52) - 1);
  const uint32_t top = (1u << exponent) - 1;
  if (e == 0x7ff) // infinity, or a quiet NaN
    return static_cast<uint16_t>(sign | top << mantissa | (m ? 1u << (mantissa - 1) : 0));
  if (e == 0)
    return sign; // zero; a subnormal double is far below half of the least subnormal
  m |= uint64_t{1} << 52;
  int64_t scaled = e - 1023 + static_cast<int64_t>(top >> 1); // exponent field in the new format
  int64_t drop = 52 - mantissa;
  if (scaled <= 0) {
    drop += 1 - scaled;
    scaled = 0;
  } else {
    m &= (uint64_t{1} << 52) - 1;
  }
  if (drop > 53)
    return sign;
  uint64_t kept = m >> drop, rest = m & ((uint64_t{1} << drop) - 1), half = uint64_t{1} << (drop - 1);
  if (rest > half || (rest == half && (kept & 1)))
    ++kept;
  uint64_t field = (static_cast<uint64_t>(scaled) << mantissa) + kept; // a carry moves on to the exponent
  if (field >= uint64_t{top} << mantissa)
    field = uint64_t{top} << mantissa;
  return static_cast<uint16_t>(sign | field);
}

double fromHalf(uint16_t h) {
  int e = h >> 10 & 31;
  int m = h & 1023;
  double v = e == 0 ? m * 0x1p-24 : 0;
  if (e == 31)
    v = m ? __builtin_nan("") : __builtin_inf();
  else if (e != 0) {
    uint64_t bits = static_cast<uint64_t>(e - 15 + 1023) << 52 | static_cast<uint64_t>(m) << 42;
    memcpy(&v, &bits, sizeof v);
  }
  return h >> 15 ? -v : v;
}

} // namespace

opw_dtype_t dtypeByName(const char *name, size_t length) {
  auto is = [&](const char *known) { return strlen(known) == length && memcmp(known, name, length) == 0; };
  for (opw_dtype_t d = 1; d < kDtypeCount; ++d)
    if (is(dtypeInfo(d).name) || is(dtypeInfo(d).numpy))
      return d;
  return OPW_NONE;
}

uint16_t halfBits(double value) { return roundTo(value, 5, 10); }
uint16_t bfloatBits(double value) { return roundTo(value, 8, 7); }

int64_t integerAt(const void *data, opw_dtype_t dtype, int64_t i) {
  switch (dtype) {
  case OPW_BOOL:
  case OPW_U8:
    return load<uint8_t>(data, i);
  case OPW_I8:
    return load<int8_t>(data, i);
  case OPW_I16:
    return load<int16_t>(data, i);
  case OPW_U16:
    return load<uint16_t>(data, i);
  case OPW_I32:
    return load<int32_t>(data, i);
  case OPW_U32:
    return load<uint32_t>(data, i);
  case OPW_I64:
  case OPW_U64:
    return load<int64_t>(data, i);
  default:
    return 0;
  }
}

double floatAt(const void *data, opw_dtype_t dtype, int64_t i) {
  switch (dtype) {
  case OPW_F16:
    return fromHalf(load<uint16_t>(data, i));
  case OPW_BF16: {
    uint32_t bits = uint32_t{load<uint16_t>(data, i)} << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return static_cast<double>(f);
  }
  case OPW_F32:
    return static_cast<double>(load<float>(data, i));
  case OPW_F64:
    return load<double>(data, i);
  default:
    return 0;
  }
}

} // namespace opw::runtime
