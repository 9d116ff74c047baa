// Bounds of the functions of libdevice, in units of the last place of f32 and f64. docs/math.md shows the same numbers,
// and tests/python/test_math_page.py holds them together.
#pragma once

#include <cmath>
#include <limits>

namespace opw::test {

struct Row {
  const char *name;
  unsigned arguments;
  long double (*reference)(const long double *);
  double f32, f64;
  double low = -1; ///< everyday arguments are between low * reach and reach
};

using Real = const long double *;
constexpr long double kPi = 3.14159265358979323846264338327950288L;

inline long double sinPiOf(long double x) {
  if (!std::isfinite(x))
    return std::numeric_limits<long double>::quiet_NaN();
  long double rest = std::remainder(x, 2.0L), size = std::fabs(rest);
  if (size == 0 || size == 1)
    return std::copysign(0.0L, x);
  long double folded = size > 0.5L ? 1 - size : size;
  long double value = folded > 0.25L ? std::cos(kPi * (0.5L - folded)) : std::sin(kPi * folded);
  return std::copysign(value, rest);
}
inline long double cosPiOf(long double x) {
  if (!std::isfinite(x))
    return std::numeric_limits<long double>::quiet_NaN();
  long double size = std::fabs(std::remainder(x, 2.0L));
  if (size == 0.5L)
    return 0;
  return size < 0.25L   ? std::cos(kPi * size)
         : size > 0.75L ? -std::cos(kPi * (1 - size))
                        : std::sin(kPi * (0.5L - size));
}
/// With infinity before NaN, and without overflow on the way: long double has the exponents.
inline long double normOf(Real x, int count) {
  long double sum = 0;
  for (int i = 0; i < count; i++)
    if (std::isinf(x[i]))
      return std::numeric_limits<long double>::infinity();
  for (int i = 0; i < count; i++)
    sum += x[i] * x[i];
  return std::sqrt(sum);
}

/// -0 is below 0; a number wins against NaN.
inline long double extremeOf(Real x, bool largest) {
  if (std::isnan(x[0]) || std::isnan(x[1]))
    return std::isnan(x[0]) ? x[1] : x[0];
  bool takesFirst = x[0] == x[1] ? std::signbit(x[0]) != largest : (x[0] < x[1]) != largest;
  return takesFirst ? x[0] : x[1];
}

// clang-format off
const Row kRows[] = {
    {"exp",       1, [](Real x) { return std::exp(x[0]); }, 2, 2},
    {"exp2",      1, [](Real x) { return std::exp2(x[0]); }, 2, 2},
    {"exp10",     1, [](Real x) { return exp10l(x[0]); }, 1, 1},
    {"expm1",     1, [](Real x) { return std::expm1(x[0]); }, 1, 1},
    {"log",       1, [](Real x) { return std::log(x[0]); }, 2, 2},
    {"log2",      1, [](Real x) { return std::log2(x[0]); }, 2, 2},
    {"log10",     1, [](Real x) { return std::log10(x[0]); }, 1, 1},
    {"log1p",     1, [](Real x) { return std::log1p(x[0]); }, 1, 1},
    {"pow",       2, [](Real x) { return std::pow(x[0], x[1]); }, 1, 1},
    {"sin",       1, [](Real x) { return std::sin(x[0]); }, 2, 1},
    {"cos",       1, [](Real x) { return std::cos(x[0]); }, 2, 1},
    {"tan",       1, [](Real x) { return std::tan(x[0]); }, 1, 1},
    {"sinpi",     1, [](Real x) { return sinPiOf(x[0]); }, 1, 1},
    {"cospi",     1, [](Real x) { return cosPiOf(x[0]); }, 1, 1},
    {"asin",      1, [](Real x) { return std::asin(x[0]); }, 1, 1},
    {"acos",      1, [](Real x) { return std::acos(x[0]); }, 1, 1},
    {"atan",      1, [](Real x) { return std::atan(x[0]); }, 1, 1},
    {"atan2",     2, [](Real x) { return std::atan2(x[0], x[1]); }, 1, 1},
    {"sinh",      1, [](Real x) { return std::sinh(x[0]); }, 1, 2},
    {"cosh",      1, [](Real x) { return std::cosh(x[0]); }, 1, 2},
    {"tanh",      1, [](Real x) { return std::tanh(x[0]); }, 2, 1},
    {"asinh",     1, [](Real x) { return std::asinh(x[0]); }, 1, 1},
    {"acosh",     1, [](Real x) { return std::acosh(x[0]); }, 1, 1},
    {"atanh",     1, [](Real x) { return std::atanh(x[0]); }, 1, 1},
    {"sqrt",      1, [](Real x) { return std::sqrt(x[0]); }, 0.5, 0.5},
    {"rsqrt",     1, [](Real x) { return 1 / std::sqrt(x[0]); }, 2, 1},
    {"cbrt",      1, [](Real x) { return std::cbrt(x[0]); }, 1, 1},
    {"rcbrt",     1, [](Real x) { return 1 / std::cbrt(x[0]); }, 1, 1},
    {"hypot",     2, [](Real x) { return normOf(x, 2); }, 1, 1},
    {"rhypot",    2, [](Real x) { return 1 / normOf(x, 2); }, 1, 1},
    {"norm3d",    3, [](Real x) { return normOf(x, 3); }, 1, 1},
    {"rnorm3d",   3, [](Real x) { return 1 / normOf(x, 3); }, 1, 1},
    {"norm4d",    4, [](Real x) { return normOf(x, 4); }, 1, 1},
    {"rnorm4d",   4, [](Real x) { return 1 / normOf(x, 4); }, 1, 1},
    {"fabs",      1, [](Real x) { return std::fabs(x[0]); }, 0, 0},
    {"floor",     1, [](Real x) { return std::floor(x[0]); }, 0, 0},
    {"ceil",      1, [](Real x) { return std::ceil(x[0]); }, 0, 0},
    {"trunc",     1, [](Real x) { return std::trunc(x[0]); }, 0, 0},
    {"rint",      1, [](Real x) { return std::rint(x[0]); }, 0, 0},
    {"nearbyint", 1, [](Real x) { return std::nearbyint(x[0]); }, 0, 0},
    {"round",     1, [](Real x) { return std::round(x[0]); }, 0, 0},
    {"logb",      1, [](Real x) { return std::logb(x[0]); }, 0, 0},
    {"copysign",  2, [](Real x) { return std::copysign(x[0], x[1]); }, 0, 0},
    {"fmin",      2, [](Real x) { return extremeOf(x, false); }, 0, 0},
    {"fmax",      2, [](Real x) { return extremeOf(x, true); }, 0, 0},
    {"fdim",      2, [](Real x) { return std::fdim(x[0], x[1]); }, 0.5, 0.5},
    {"fmod",      2, [](Real x) { return std::fmod(x[0], x[1]); }, 0, 0},
    {"remainder", 2, [](Real x) { return std::remainder(x[0], x[1]); }, 0, 0},
};
// clang-format on

} // namespace opw::test
