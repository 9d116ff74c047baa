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
  /// Not 0: also arguments next to zeros of the function; where |f| is smaller than this the units of f64 are those of
  /// it.
  long double nearZero = 0;
  double low = -1; ///< everyday arguments are between low * reach and reach
};

using Real = const long double *;
constexpr long double kNearZero = 0x1p-8L; // the references have no more absolute places
constexpr long double kOrderNearZero = 0.25L;
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

/// The power series, whose terms all have one sign.
inline long double besselI(int order, long double x) {
  long double half = std::fabs(x) / 2, term = order ? half : 1, sum = term;
  if (!(std::fabs(x) < 12000))
    return std::isnan(x) ? x : order && std::signbit(x) ? -HUGE_VALL : HUGE_VALL;
  for (int k = 1; term > sum * 1e-22L; k++)
    sum += term *= half / k * half / (k + order);
  return order ? std::copysign(sum, x) : sum;
}

/// erfc(-x / sqrt(2)) / 2; the rounded quotient's square is set right.
inline long double normcdfOf(long double x) {
  long double t = x * std::sqrt(0.5L), square = t * t, half = x * (x / 2);
  if (!(std::fabs(x) < 150))
    return std::isnan(x) ? x : x > 0;
  long double difference = (half - square) + (std::fma(x, x / 2, -half) - std::fma(t, t, -square));
  return std::erfc(-t) / 2 * (t < -1 ? std::exp(-difference) : 1);
}

/// exp(x^2) erfc(x), by its asymptotic series from 10 on.
inline long double erfcxOf(long double x) {
  long double square = x * x, rest = std::fma(x, x, -square), size = std::fabs(x), right;
  if (std::isnan(x) || std::isinf(x))
    return std::isnan(x) ? x : x > 0 ? 0 : HUGE_VALL;
  if (x < -30)
    return HUGE_VALL;
  if (size < 10) {
    right = std::exp(square) * (1 + rest) * std::erfc(size);
  } else {
    long double term = 1, sum = 1;
    for (int k = 1; k < 90 && std::fabs(term) > 1e-22L; k++)
      sum += term *= -(2 * k - 1) / (2 * square);
    right = sum / (size * std::sqrt(kPi));
  }
  return x < 0 ? 2 * std::exp(square) * (1 + rest) - right : right;
}

/// The inverse of erf at x, with `rest` = 1 - |x|, by Newton's method.
inline long double erfInvOf(long double x, long double rest) {
  if (!(rest >= 0) || x == 0)
    return rest >= 0 ? x : std::numeric_limits<long double>::quiet_NaN();
  if (rest == 0)
    return std::copysign(HUGE_VALL, x);
  long double size = std::fabs(x), t = size * 0.9L;
  if (size > 0.5L) {
    long double l = -std::log(rest);
    t = std::sqrt(l > 2 ? l - std::log(l * 3) / 2 : l * 0.6L);
  }
  for (int i = 0; i < 12; i++) {
    long double slope = 2 / std::sqrt(kPi) * std::exp(-t * t);
    long double e = std::erfc(t),
                step = size > 0.5L ? (std::log(e) - std::log(rest)) * e / slope : (size - std::erf(t)) / slope;
    t += step;
    if (std::fabs(step) < t * 1e-17L)
      break;
  }
  return std::copysign(t, x);
}
inline long double normcdfInvOf(long double p) {
  if (std::isnan(p) || p < 0 || p > 1)
    return std::numeric_limits<long double>::quiet_NaN();
  return p >= 0.5L ? std::sqrt(2.0L) * erfInvOf(2 * p - 1, 2 - 2 * p) : -std::sqrt(2.0L) * erfInvOf(1 - 2 * p, 2 * p);
}

// clang-format off
const Row kRows[] = {
    {"exp",       1, [](Real x) { return std::exp(x[0]); }, 1.5, 1.5},
    {"exp2",      1, [](Real x) { return std::exp2(x[0]); }, 1.5, 1.5},
    {"exp10",     1, [](Real x) { return exp10l(x[0]); }, 1, 1},
    {"expm1",     1, [](Real x) { return std::expm1(x[0]); }, 1, 1.5},
    {"log",       1, [](Real x) { return std::log(x[0]); }, 1.5, 1.5},
    {"log2",      1, [](Real x) { return std::log2(x[0]); }, 1.5, 1.5},
    {"log10",     1, [](Real x) { return std::log10(x[0]); }, 1, 1},
    {"log1p",     1, [](Real x) { return std::log1p(x[0]); }, 1, 1},
    {"pow",       2, [](Real x) { return std::pow(x[0], x[1]); }, 1, 1},
    {"sin",       1, [](Real x) { return std::sin(x[0]); }, 2, 1},
    {"cos",       1, [](Real x) { return std::cos(x[0]); }, 2, 1},
    {"tan",       1, [](Real x) { return std::tan(x[0]); }, 1, 1.5},
    {"sinpi",     1, [](Real x) { return sinPiOf(x[0]); }, 1, 1.5},
    {"cospi",     1, [](Real x) { return cosPiOf(x[0]); }, 1, 1.5},
    {"asin",      1, [](Real x) { return std::asin(x[0]); }, 1, 1},
    {"acos",      1, [](Real x) { return std::acos(x[0]); }, 1, 1},
    {"atan",      1, [](Real x) { return std::atan(x[0]); }, 1, 1},
    {"atan2",     2, [](Real x) { return std::atan2(x[0], x[1]); }, 1, 1},
    {"sinh",      1, [](Real x) { return std::sinh(x[0]); }, 1, 2},
    {"cosh",      1, [](Real x) { return std::cosh(x[0]); }, 1, 1.5},
    {"tanh",      1, [](Real x) { return std::tanh(x[0]); }, 2, 1},
    {"asinh",     1, [](Real x) { return std::asinh(x[0]); }, 1, 1},
    {"acosh",     1, [](Real x) { return std::acosh(x[0]); }, 1, 1},
    {"atanh",     1, [](Real x) { return std::atanh(x[0]); }, 1, 1},
    {"erf",       1, [](Real x) { return std::erf(x[0]); }, 2, 1.5},
    {"erfc",      1, [](Real x) { return std::erfc(x[0]); }, 1, 4},
    {"normcdf",   1, [](Real x) { return normcdfOf(x[0]); }, 1, 4},
    {"erfcx",     1, [](Real x) { return erfcxOf(x[0]); }, 1, 4},
    {"erfinv",    1, [](Real x) { return erfInvOf(x[0], 1 - std::fabs(x[0])); }, 1, 4},
    {"erfcinv",   1, [](Real x) { return x[0] > 1 ? erfInvOf(1 - x[0], 2 - x[0]) : erfInvOf(1 - x[0], x[0]); }, 1, 4},
    {"normcdfinv", 1, [](Real x) { return normcdfInvOf(x[0]); }, 1, 5},
    {"tgamma",    1, [](Real x) { return std::tgamma(x[0]); }, 1, 1.5},
    {"lgamma",    1, [](Real x) { return std::lgamma(x[0]); }, 1, 3, 0.25L},
    {"j0",        1, [](Real x) { return j0l(x[0]); }, 1, 4, kNearZero},
    {"j1",        1, [](Real x) { return j1l(x[0]); }, 1, 4, kNearZero},
    {"y0",        1, [](Real x) { return y0l(x[0]); }, 1, 4, kNearZero},
    {"y1",        1, [](Real x) { return y1l(x[0]); }, 1, 4, kNearZero},
    {"cyl_bessel_i0", 1, [](Real x) { return besselI(0, x[0]); }, 1, 2},
    {"cyl_bessel_i1", 1, [](Real x) { return besselI(1, x[0]); }, 1, 2},
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

/// Functions of a whole number and a float, in this order or the other.
struct OrderRow {
  const char *name;
  bool orderFirst;
  long double (*reference)(int, long double);
  double f32, f64;
};

// clang-format off
const OrderRow kOrderRows[] = {
    {"jn",     true,  [](int n, long double x) { return n < 0 ? NAN : jnl(n, x); }, 1, 4},
    {"yn",     true,  [](int n, long double x) { return n < 0 ? NAN : ynl(n, x); }, 1, 4},
    {"powi",   false, [](int n, long double x) { return std::pow(x, static_cast<long double>(n)); }, 1, 1},
    {"ldexp",  false, [](int n, long double x) { return std::ldexp(x, n); }, 0.5, 0.5},
    {"scalbn", false, [](int n, long double x) { return std::ldexp(x, n); }, 0.5, 0.5},
};

/// Bessel functions next to their zeros and far out, by mpmath with 60 digits.
struct KnownValue {
  const char *name;
  double x;
  long double exact;
};
const KnownValue kBesselValues[] = {
    {"j0", 2.404825557695773, -6.1087652597367303971e-17},
    {"j0", 5.520078110286311, -2.7522649432621831472e-17},
    {"j0", 8.653727912911013, -7.9484655705251616e-17},
    {"j0", 14.930917708487787, -1.460389551237032994e-16},
    {"j0", 18.071063967910924, 1.8130938075349849552e-16},
    {"j0", 27.493479132040253, 2.4641093554075284326e-16},
    {"j0", 62.048469190227166, -3.5920965005974015668e-16},
    {"j1", 3.8317059702075125, -6.1498073569949060914e-17},
    {"j1", 7.015586669815619, 2.8253394094789293756e-17},
    {"j1", 13.323691936314223, -5.6782356361458854262e-17},
    {"j1", 16.470630050877634, -3.1808127628378048091e-16},
    {"j1", 19.615858510468243, 1.8086387130272525115e-16},
    {"j1", 25.903672087618382, -7.6709526081230988437e-17},
    {"j1", 63.61135669848123, -1.7669881864973398611e-16},
    {"y0", 0.8935769662791675, -2.3389279284062103119e-17},
    {"y0", 3.957678419314858, -4.3331064642935196389e-17},
    {"y0", 7.086051060301773, 2.6514481725505040902e-17},
    {"y0", 13.361097473872764, 1.4468659821167262645e-16},
    {"y0", 16.50092244152809, 2.0014795238058611275e-16},
    {"y0", 19.64130970088794, 2.4737232660420115688e-16},
    {"y0", 60.47772516422348, -3.1166471786532080274e-16},
    {"y1", 2.197141326031017, 2.5133066789221220687e-17},
    {"y1", 5.429681040794135, 1.4165786380203692712e-16},
    {"y1", 8.596005868331169, -7.7137599894980539601e-17},
    {"y1", 14.897442128336726, 1.2541848286766176774e-16},
    {"y1", 18.043402276727857, -2.7220510348512496587e-16},
    {"y1", 27.475294980449224, 6.1124069046554371799e-17},
    {"y1", 62.040411147670696, -2.4255895646411715035e-16},
    {"j0", 1000000.0, 0.00033104301373987374099},
    {"j0", 10000000000.0, 2.1755917502468917269e-6},
    {"j0", 1000000000000000.0, 6.1566386468850216773e-9},
    {"j0", 1e+22, -1.8561051065108215035e-12},
    {"y1", 1e+22, 1.8561051065108215035e-12},
    {"j0", 1e+100, 3.0696794021967947191e-51},
    {"y1", 1e+100, -3.0696794021967947191e-51},
    {"j0", 1.5e+300, -3.9487358324346128982e-151},
    {"y1", 1.5e+300, 3.9487358324346128982e-151},
};
// clang-format on

} // namespace opw::test
