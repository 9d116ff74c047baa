#include "ir/number.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace opw::ir {

namespace {

/// A binary floating format with the usual hidden bit and subnormals.
struct Format {
  unsigned exponentBits;
  unsigned mantissaBits;
  int bias;
  enum class Special : uint8_t {
    Ieee, ///< the largest exponent holds infinities and NaNs
    Fn,   ///< no infinity; all ones is the only NaN
    Fnuz, ///< no infinity, no negative zero; the bits of negative zero are the only NaN
  } special;
};

Format formatOf(Elem elem) {
  switch (elem) {
  case Elem::F8E4M3FN:
    return {4, 3, 7, Format::Special::Fn};
  case Elem::F8E5M2:
    return {5, 2, 15, Format::Special::Ieee};
  case Elem::F8E4M3FNUZ:
    return {4, 3, 8, Format::Special::Fnuz};
  case Elem::F8E5M2FNUZ:
    return {5, 2, 16, Format::Special::Fnuz};
  case Elem::F16:
    return {5, 10, 15, Format::Special::Ieee};
  case Elem::BF16:
    return {8, 7, 127, Format::Special::Ieee};
  case Elem::F32:
    return {8, 23, 127, Format::Special::Ieee};
  default:
    return {11, 52, 1023, Format::Special::Ieee};
  }
}

uint64_t signBit(const Format &format) { return uint64_t{1} << (format.exponentBits + format.mantissaBits); }

uint64_t nanBits(const Format &format, bool negative) {
  uint64_t sign = negative ? signBit(format) : 0;
  switch (format.special) {
  case Format::Special::Fnuz:
    return signBit(format);
  case Format::Special::Fn:
    return sign | (signBit(format) - 1);
  default:
    break;
  }
  uint64_t exponent = ((uint64_t{1} << format.exponentBits) - 1) << format.mantissaBits;
  return sign | exponent | (uint64_t{1} << (format.mantissaBits - 1));
}

/// The bits of the largest finite magnitude.
uint64_t largestFinite(const Format &format) {
  switch (format.special) {
  case Format::Special::Ieee:
    return (((uint64_t{1} << format.exponentBits) - 1) << format.mantissaBits) - 1;
  case Format::Special::Fn:
    return signBit(format) - 2;
  default:
    return signBit(format) - 1;
  }
}

uint64_t overflow(const Format &format, bool negative) {
  if (format.special != Format::Special::Ieee)
    return nanBits(format, negative);
  return (negative ? signBit(format) : 0) | (largestFinite(format) + 1);
}

/// How the exact value relates to the double that stands for it.
enum class Remainder : int8_t { Below = -1, Exact = 0, Above = 1 };

/// Rounds |value| plus a remainder far below its last bit; the remainder only decides what would otherwise be a tie.
uint64_t roundTo(const Format &format, double value, Remainder remainder) {
  bool negative = std::signbit(value);
  uint64_t sign = negative ? signBit(format) : 0;
  double magnitude = std::fabs(value);
  if (magnitude == 0)
    return format.special == Format::Special::Fnuz ? 0 : sign;
  int exponent = std::max(std::ilogb(magnitude), 1 - format.bias);
  // Scaled so that one unit is the last place of the result: exact, because doubles have room to spare or the format is
  // f64.
  double scaled = std::ldexp(magnitude, static_cast<int>(format.mantissaBits) - exponent);
  double whole = std::floor(scaled);
  double fraction = scaled - whole;
  auto units = static_cast<uint64_t>(whole);
  bool up = fraction > 0.5;
  if (fraction == 0.5)
    up = remainder == Remainder::Above || (remainder == Remainder::Exact && (units & 1) != 0);
  units += up ? 1 : 0;
  // A carry out of the mantissa moves into the exponent by itself.
  uint64_t hidden = uint64_t{1} << format.mantissaBits;
  uint64_t bits = units;
  if (units >= hidden)
    bits = (static_cast<uint64_t>(exponent + format.bias - 1) << format.mantissaBits) + units;
  if (bits > largestFinite(format))
    return overflow(format, negative);
  if (bits == 0 && format.special == Format::Special::Fnuz)
    return 0;
  return sign | bits;
}

/// Compares the decimal text with the double nearest to it, digit by digit.
Remainder compareExactly(std::string_view text, double value) {
  struct Decimal {
    std::string digits;
    long exponent = 0; ///< of the first digit
  };
  auto normalise = [](std::string_view source) {
    Decimal out;
    bool seenPoint = false;
    long point = 0, written = 0;
    size_t i = 0;
    for (; i < source.size() && source[i] != 'e' && source[i] != 'E'; ++i) {
      char c = source[i];
      if (c == '.') {
        seenPoint = true;
      } else if (c >= '0' && c <= '9') {
        if (!out.digits.empty() || c != '0')
          out.digits += c;
        else if (seenPoint)
          --point;
        if (!seenPoint && !out.digits.empty())
          ++written;
      }
    }
    long exponent = 0;
    if (i + 1 < source.size()) {
      size_t start = i + 1 + (source[i + 1] == '+' ? 1 : 0);
      std::from_chars(source.data() + start, source.data() + source.size(), exponent);
    }
    out.exponent = exponent + (written > 0 ? written - 1 : point - 1);
    while (!out.digits.empty() && out.digits.back() == '0')
      out.digits.pop_back();
    return out;
  };
  char buffer[1200];
  int length = std::snprintf(buffer, sizeof buffer, "%.1080e", std::fabs(value));
  Decimal exact = normalise({buffer, static_cast<size_t>(length)});
  Decimal given = normalise(text);
  if (given.exponent != exact.exponent)
    return given.exponent > exact.exponent ? Remainder::Above : Remainder::Below;
  int order = given.digits.compare(exact.digits);
  return order > 0 ? Remainder::Above : order < 0 ? Remainder::Below : Remainder::Exact;
}

} // namespace

double decodeFloat(uint64_t bits, Elem elem) {
  if (elem == Elem::F64)
    return std::bit_cast<double>(bits);
  Format format = formatOf(elem);
  bool negative = (bits & signBit(format)) != 0;
  uint64_t magnitude = bits & (signBit(format) - 1);
  double value = 0;
  if (format.special == Format::Special::Fnuz && bits == signBit(format))
    return std::nan("");
  if (magnitude > largestFinite(format)) {
    bool infinite = format.special == Format::Special::Ieee && magnitude == largestFinite(format) + 1;
    value = infinite ? HUGE_VAL : std::nan("");
  } else {
    uint64_t exponent = magnitude >> format.mantissaBits;
    uint64_t mantissa = magnitude & ((uint64_t{1} << format.mantissaBits) - 1);
    if (exponent != 0)
      mantissa |= uint64_t{1} << format.mantissaBits;
    int power = static_cast<int>(exponent == 0 ? 1 : exponent) - format.bias - static_cast<int>(format.mantissaBits);
    value = std::ldexp(static_cast<double>(mantissa), power);
  }
  return negative ? -value : value;
}

uint64_t encodeFloat(double value, Elem elem) {
  if (elem == Elem::F64)
    return std::bit_cast<uint64_t>(value);
  Format format = formatOf(elem);
  if (std::isnan(value))
    return nanBits(format, std::signbit(value));
  if (std::isinf(value))
    return overflow(format, value < 0);
  return roundTo(format, value, Remainder::Exact);
}

bool parseFloat(std::string_view text, Elem elem, uint64_t &bits) {
  bool negative = !text.empty() && text[0] == '-';
  std::string_view magnitude = text.substr(negative ? 1 : 0);
  if (magnitude.empty() || magnitude[0] == '-' || magnitude[0] == '+')
    return false;
  double value = 0;
  const char *last = magnitude.data() + magnitude.size();
  auto [end, error] = std::from_chars(magnitude.data(), last, value);
  if (end != last)
    return false;
  if (error == std::errc::result_out_of_range) {
    // from_chars leaves the value alone: too large or too small tells strtod.
    value = std::strtod(std::string(magnitude).c_str(), nullptr);
  } else if (error != std::errc()) {
    return false;
  }
  Format format = formatOf(elem);
  if (elem == Elem::F64 || std::isnan(value) || std::isinf(value)) {
    bits = encodeFloat(negative ? -value : value, elem);
    return true;
  }
  // Only where the double lies halfway between two values of the format can rounding twice differ from rounding once.
  uint64_t down = roundTo(format, value, Remainder::Below);
  uint64_t up = roundTo(format, value, Remainder::Above);
  bits = down == up ? down : roundTo(format, value, compareExactly(magnitude, value));
  if (negative && !(format.special == Format::Special::Fnuz && bits == 0))
    bits |= signBit(format);
  return true;
}

std::string floatText(uint64_t bits, Elem elem) {
  double value = decodeFloat(bits, elem);
  char buffer[64];
  if (!std::isfinite(value)) {
    int digits = static_cast<int>(bitWidth(elem) / 4);
    std::snprintf(buffer, sizeof buffer, "0x%0*llX", digits, static_cast<unsigned long long>(bits));
    return buffer;
  }
  std::to_chars_result end = elem == Elem::F32
                                 ? std::to_chars(buffer, buffer + sizeof buffer, static_cast<float>(value))
                                 : std::to_chars(buffer, buffer + sizeof buffer, value);
  std::string out(buffer, end.ptr);
  return out.find_first_of(".e") == std::string::npos ? out + ".0" : out;
}

int64_t wrapInteger(int64_t value, Elem elem) {
  unsigned width = bitWidth(elem);
  if (width == 1)
    return value & 1;
  unsigned shift = 64 - width;
  return static_cast<int64_t>(static_cast<uint64_t>(value) << shift) >> shift;
}

} // namespace opw::ir
