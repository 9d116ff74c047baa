// Runs functions of libdevice over arrays and measures errors in units of the last place.
#pragma once

#include "codegen_harness.h"

#include <cmath>
#include <limits>

namespace opw::test {

/// out[i] = symbol(in0[i], in1[i], ...); types as in libdevice.h: result, colon, arguments, of f d i l.
inline void externPlan(Plan &p, const std::string &symbol, const std::string &types) {
  auto elem = [](char code) {
    return code == 'f' ? Elem::F32 : code == 'd' ? Elem::F64 : code == 'i' ? Elem::I32 : Elem::I64;
  };
  std::vector<ValueId> in;
  for (char code : types.substr(2))
    in.push_back(p.pointer(elem(code)));
  ValueId out = p.pointer(elem(types[0])), n = p.arg(i64());
  Attributes attributes = attribute("symbol", Attribute::string(symbol));
  p.lanes(p.c(0), n, [&](ValueId i) {
    std::vector<ValueId> operands;
    for (ValueId pointer : in)
      operands.push_back(p.load(pointer, i));
    p.store(out, i, p.op(OpKind::ExternElementwise, operands, Type::scalar(elem(types[0])), attributes));
  });
}

template <typename Out, typename... In> std::vector<Out> callExtern(const std::string &level, const std::string &symbol,
                                                                    const std::string &types, std::vector<In>... in) {
  Plan p;
  externPlan(p, symbol, types);
  Kernel kernel(p, level);
  size_t count = std::min({in.size()...});
  std::vector<Out> out(count);
  kernel.run(1, in.data()..., out.data(), int64_t(count));
  return out;
}

/// "x86-64-v3" and, where there is AVX-512, "x86-64-v4".
inline std::vector<std::string> fixedLevels() {
  std::vector<std::string> all = levels();
  std::erase(all, "host");
  return all;
}

/// How far `got` is from the exact value, in units of the last place of the exact value. `floor`: what the unit is
/// taken of where the exact value is smaller (an absolute bound).
template <typename T> double ulps(T got, long double exact, long double floor = 0) {
  constexpr double kWrong = 1e18;
  if (std::isnan(exact))
    return std::isnan(got) ? 0 : kWrong;
  if (std::isnan(got))
    return kWrong;
  T rounded = T(exact);
  if (got == rounded)
    return rounded == 0 && exact == 0 && std::signbit(got) != std::signbit(exact) ? kWrong : 0;
  if (std::isinf(exact))
    return kWrong;
  constexpr int kDigits = std::numeric_limits<T>::digits, kLeast = std::numeric_limits<T>::min_exponent - kDigits;
  long double value = got;
  if (std::isinf(got)) // the next one above the largest
    value = std::copysign(std::ldexp(1.0L, std::numeric_limits<T>::max_exponent), value);
  int exponent;
  std::frexp(std::max(std::fabs(exact), floor), &exponent);
  return double(std::fabs(value - exact) / std::ldexp(1.0L, std::max(exponent - kDigits, kLeast)));
}

/// A sequence of its own for every test.
class Random {
public:
  uint64_t bits() {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state * 0x2545f4914f6cdd1du;
  }
  double between(double low, double high) { return low + (high - low) * double(bits() >> 11) * 0x1p-53; }
  /// Any bit pattern.
  template <typename T> T any() {
    uint64_t all = bits();
    T value;
    std::memcpy(&value, &all, sizeof value);
    return value;
  }

private:
  uint64_t state = 88172645463325252u;
};

template <typename T> std::vector<T> specialValues() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> all{0, T(-0.0)};
  for (T x : {T(1),
              T(0.5),
              T(1.5),
              T(2),
              T(2.5),
              T(3),
              T(4),
              T(5),
              T(10),
              T(33),
              T(100),
              T(0.1),
              T(1e-5),
              T(1e10),
              T(8388607.5),
              T(4503599627370497.5),
              T(9007199254740993.0),
              std::nextafter(T(1), T(0)),
              std::nextafter(T(1), T(2)),
              std::nextafter(T(0.5), T(0)),
              Limits::min(),
              Limits::max(),
              Limits::denorm_min(),
              Limits::infinity(),
              Limits::epsilon(),
              std::nextafter(Limits::min(), T(0))})
    all.push_back(x), all.push_back(-x);
  all.push_back(Limits::quiet_NaN());
  return all;
}

} // namespace opw::test
