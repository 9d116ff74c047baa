// Roots and norms.
#include "codegen/cpu/libdevice.h"

namespace opw::cpu::libdevice {

namespace {

// the cube root on 1 <= x <= 8, to 8 bits
const std::vector<double> kCbrt = {0.6538962985569791, 0.4121814779629245, -0.06797280035500547, 0.0069891694835587225,
                                   -0.0002882199346276574};

/// |x| = 8^k * a with 1 <= a < 8; the cube root of a.
Pair cubeRoot(MathBuilder &m, Value *x, Value *&k) {
  auto &b = m.b;
  Value *e, *mantissa = m.abs(m.split(x, e));
  llvm::Type *i32 = m.like(b.getInt32Ty());
  Value *exponent = b.CreateSIToFP(b.CreateTrunc(e, i32), m.type);
  Value *third = m.floor(m.mul(m.add(exponent, m.c(0.5)), m.c(1.0 / 3)));
  Value *rest = m.fma(third, m.c(-3), exponent); // 0, 1 or 2
  Value *factor = m.select(m.equal(rest, 0), m.c(1), m.select(m.equal(rest, 1), m.c(2), m.c(4)));
  Value *a = m.mul(mantissa, factor), *y = m.poly(a, kCbrt);
  for (int step = 0; step < 2; step++) { // Halley: y (y^3 + 2a) / (2 y^3 + a)
    Value *cube = m.mul(m.mul(y, y), y);
    y = m.mul(y, m.div(m.fma(m.c(2), a, cube), m.fma(m.c(2), cube, a)));
  }
  k = b.CreateSExt(b.CreateFPToSI(third, i32), m.integers);
  if (!m.exact)
    return {y};
  Pair cube = m.times(m.twoProduct(y, y), {y, m.c(0)}); // Newton's last step on the exact rest
  Value *error = m.sub(m.sub(a, cube.high), cube.low);
  return m.quickSum(y, m.div(error, m.mul(m.c(3), m.mul(y, y))));
}

} // namespace

Value *rsqrt(MathBuilder &m, Args in) {
  if (!m.wide || !m.exact)
    return m.div(m.c(1), m.sqrt(in[0]));
  Value *small = m.less(in[0], 0x1p-900), *x = m.select(small, m.mul(in[0], m.c(0x1p200)), in[0]);
  Value *s = m.sqrt(x), *y = m.div(m.c(1), s);
  Value *rest = m.fma(m.neg(s), s, x); // of the root; then of the quotient
  Value *error = m.sub(m.fma(m.neg(y), s, m.c(1)), m.mul(m.mul(m.c(0.5), rest), m.mul(y, y)));
  Value *better = m.fma(y, error, y);
  Value *result = m.select(m.both(m.more(x, 0), m.less(x, m.infinity())), better, y);
  return m.mul(result, m.select(small, m.c(0x1p100), m.c(1)));
}

Value *cbrt(MathBuilder &m, Args in) {
  Value *x = in[0], *k;
  Pair part = cubeRoot(m, x, k);
  Value *root = m.mul(m.value(part), m.power(k));
  Value *ordinary = m.both(m.more(m.abs(x), 0), m.less(m.abs(x), m.infinity()));
  return m.copySign(m.select(ordinary, root, m.abs(x)), x);
}

Value *rcbrt(MathBuilder &m, Args in) {
  Value *x = in[0], *k;
  Pair inverse = m.over({m.c(1)}, cubeRoot(m, x, k));
  Value *result = m.copySign(m.mul(m.value(inverse), m.power(m.b.CreateNeg(k))), x);
  Value *ordinary = m.both(m.more(m.abs(x), 0), m.less(m.abs(x), m.infinity()));
  return m.select(ordinary, result, m.div(m.c(1), x));
}

namespace {

/// The root of the sum of squares, or its inverse. Scaled by a power of two so that no square leaves the range; where
/// f64 serves for f32 none can.
Value *normOf(MathBuilder &m, Args in, bool inverse) {
  auto &b = m.b;
  Value *largest = m.c(0), *infinite = nullptr, *wrong = nullptr;
  for (Value *x : in) {
    Value *size = m.abs(x), *isInfinite = m.equal(size, m.infinity());
    largest = m.select(m.more(size, largest), size, largest);
    infinite = infinite ? m.either(infinite, isInfinite) : isInfinite;
    wrong = wrong ? m.either(wrong, m.isNan(x)) : m.isNan(x);
  }
  Value *down = nullptr, *up = nullptr;
  if (m.exact) {
    Value *e;
    m.split(largest, e);
    e = b.CreateSelect(m.both(m.more(largest, 0), m.less(largest, m.infinity())), e, m.i(0));
    e = b.CreateAnd(e, m.i(-2));
    Value *half = b.CreateAShr(e, m.i(1)); // the whole power may be out of range
    down = m.power(b.CreateNeg(half)), up = m.power(half);
  }
  Pair sum{m.c(0)};
  bool first = true;
  for (Value *x : in) {
    Value *scaled = down ? m.mul(m.mul(x, down), down) : x;
    Pair square = m.twoProduct(scaled, scaled);
    sum = first ? square : m.plus(sum, square);
    first = false;
  }
  Value *some = m.more(sum.high, 0);
  Pair root = m.root({m.select(some, sum.high, m.c(1)), sum.low});
  Value *result;
  if (inverse) {
    Value *scale = down;
    result = m.value(m.over({m.c(1)}, root));
    if (scale)
      result = m.mul(m.mul(result, scale), scale);
    result = m.select(m.more(largest, 0), result, m.infinity());
    result = m.select(wrong, m.nan(), result);
    return m.select(infinite, m.c(0), result);
  }
  result = m.value(root);
  if (up)
    result = m.mul(m.mul(result, up), up);
  result = m.select(m.more(largest, 0), result, m.c(0));
  result = m.select(wrong, m.nan(), result);
  return m.select(infinite, m.infinity(), result);
}

} // namespace

Value *norm(MathBuilder &m, Args in) { return normOf(m, in, false); }
Value *rnorm(MathBuilder &m, Args in) { return normOf(m, in, true); }

} // namespace opw::cpu::libdevice
