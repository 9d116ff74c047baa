// The gamma function and its logarithm: Stirling's series from 10 on, brought there by a product of ten factors, and
// the reflection for what is negative; all in pairs.
#include "codegen/cpu/libdevice.h"
#include "codegen/cpu/piecewise.h"

namespace opw::cpu::libdevice {

namespace {

// x (log(gamma(x)) - (x - 1/2) log(x) + x - log(2 pi) / 2) in 1/x^2 on x >= 10
const std::vector<double> kStirling = {0.08333333333333333,    -0.0027777777777774886, 0.0007936507931867712,
                                       -0.0005952378151473429, 0.0008416699620379479,  -0.0019054332018392398,
                                       0.005494345135525591};

struct Shifted {
  Pair z;       ///< x or x + 10, at least 10
  Pair product; ///< gamma(z) / gamma(x)
};

Shifted shift(MathBuilder &m, Pair x) {
  Value *near = m.less(x.high, 10);
  Pair one{m.c(1), m.c(0)}, base = m.select(near, x, one), product = base;
  for (int k = 1; k < 10; k++)
    product = m.times(product, m.plus(base, {m.c(k)}));
  return {m.select(near, m.plus(x, {m.c(10)}), x), m.select(near, product, one)};
}

/// log(gamma(z)) for z >= 10.
Pair stirling(MathBuilder &m, Pair z) {
  Value *inverse = m.div(m.c(1), z.high);
  Value *series = m.mul(inverse, m.poly(m.mul(inverse, inverse), kStirling));
  Pair log = m.times(m.plus(z, {m.c(-0.5)}), m.logOf(z));
  Pair sum = m.plus(m.plus(log, m.minus(z)), {m.c(0.9189385332046728), m.c(-3.8782941580672414e-17)});
  return m.plus(sum, {series});
}

/// |sin(pi x)| as a pair; x in f64.
Pair sinPiPair(MathBuilder &m, Value *x) {
  Value *rest = m.sub(x, m.even(x)); // |rest| <= 1/2
  Value *size = m.abs(rest), *upper = m.more(size, 0.25);
  Pair r = m.times({m.select(upper, m.sub(m.c(0.5), size), size)}, m.pair(3.141592653589793, 1.2246467991473532e-16));
  Pair sine = m.sinOf(r), cosine = m.cosOf(r);
  Pair value = m.select(upper, cosine, sine);
  return m.quickSum(value.high, value.low);
}

} // namespace

Value *tgamma(MathBuilder &m, Args in) {
  auto &b = m.b;
  Value *x = in[0], *negative = m.less(x, 0);
  Value *bounded = m.atMost(m.atLeast(x, -200), 200);
  Pair y = m.select(negative, m.twoSum(m.c(1), m.neg(bounded)), {bounded, m.c(0)});
  Shifted s = shift(m, y);
  Scaled e = m.expOf(stirling(m, s.z));
  Value *direct = m.scale(m.value(m.over(e.p, s.product)), e.n, e.bits);
  // gamma(x) = pi / (sin(pi x) gamma(1 - x))
  Pair below = m.times(sinPiPair(m, bounded), m.over(e.p, s.product));
  Pair quotient = m.over({m.c(3.141592653589793), m.c(1.2246467991473532e-16)}, below);
  Value *reflected = m.scale(m.value(quotient), m.neg(e.n), b.CreateNeg(e.bits));
  Value *floor = m.floor(x), *half = m.mul(floor, m.c(0.5));
  Value *odd = b.CreateFCmpUNE(m.floor(half), half);
  reflected = m.select(odd, m.neg(reflected), reflected);
  Value *result = m.select(negative, reflected, direct);
  result = m.select(m.more(x, 171.7), m.infinity(), result);
  result = m.select(m.less(x, -190), m.select(odd, m.c(-0.0), m.c(0)), result);
  result = m.select(m.both(negative, m.equal(floor, x)), m.nan(), result); // also -infinity
  result = m.select(m.less(m.abs(x), 0x1p-60), m.div(m.c(1), x), result);
  return m.select(m.isNan(x), m.nan(), result);
}

Value *lgamma(MathBuilder &m, Args in) {
  Value *x = in[0], *size = m.abs(x);
  Value *tiny = m.less(size, 0.5), *low = m.less(size, 3);
  // near the zeros at 1 and 2; below 1/2 of 1 + |x|, where log(|x|) is added
  Value *near = m.select(tiny, m.add(size, m.c(1)), size);
  Value *ratio = evaluate(m, kLogGamma, near);
  Value *minusOne = m.select(tiny, size, m.sub(size, m.c(1)));
  Pair product = m.twoProduct(minusOne, m.sub(minusOne, m.c(1)));
  Pair small = m.times(product, {ratio});
  Pair logSize = m.logOf({m.select(m.more(size, 0), m.atMost(size, 0x1p1023), m.c(1))});
  small = m.select(tiny, m.plus(small, m.minus(logSize)), small);
  Pair bounded{m.atMost(m.atLeast(size, 0x1p-60), 0x1p200), m.c(0)};
  Shifted s = shift(m, bounded);
  Pair large = m.plus(stirling(m, s.z), m.minus(m.logOf(s.product)));
  Pair huge{m.mul(size, m.value(m.plus(logSize, {m.c(-1)}))), m.c(0)}; // no sum leaves the range
  large = m.select(m.more(size, 0x1p100), huge, large);
  // left of 0 there are more zeros, which the pair of Stirling's series serves better:
  // log(gamma(-y)) = log(pi / (y sin(pi y))) - log(gamma(y))
  Pair sine = sinPiPair(m, size);
  sine.high = m.atLeast(sine.high, 0x1p-1000);
  Pair reflected = m.plus({m.c(1.1447298858494002), m.c(1.0265951162707826e-17)}, m.minus(m.logOf(sine)));
  reflected = m.plus(reflected, m.minus(m.plus(logSize, large)));
  Value *result = m.select(m.less(x, 0), m.value(reflected), m.value(m.select(low, small, large)));
  result = m.select(m.less(size, 0x1p-60), m.neg(m.value(logSize)), result);
  result = m.select(m.both(m.less(x, 0), m.equal(m.floor(x), x)), m.infinity(), result);
  result = m.select(m.either(m.equal(x, 0), m.more(size, 0x1.754d9278b51a7p+1014)), m.infinity(), result);
  return m.select(m.isNan(x), m.nan(), result);
}

} // namespace opw::cpu::libdevice
