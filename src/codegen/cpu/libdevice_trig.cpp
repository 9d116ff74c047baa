// Trigonometric functions and their inverses.
#include "codegen/cpu/libdevice.h"

namespace opw::cpu::libdevice {

namespace {

// (asin(x) - x) / x^3 in x^2 on |x| <= 1/2
const std::vector<double> kAsin = {
    0.16666666666666669,  0.07499999999998433,   0.04464285714635543,  0.030381944138531247, 0.02237217294214989,
    0.017352392720869973, 0.013971212973552936,  0.011479177415184873, 0.010322814350185974, 0.005457506718639592,
    0.017400879442695954, -0.014851887071250021, 0.028757851367423374};
const std::vector<double> kAsinMiddle = {0.16666666686085643, 0.07499992404401838,  0.04464766388813485,
                                         0.03026913872858915, 0.023611817008891995, 0.010574415516912126,
                                         0.03097454037135604};
// (atan(x) - x) / x^3 in x^2 on |x| <= tan(pi/8)
const std::vector<double> kAtan = {-0.3333333333333333,  0.19999999999999804,  -0.1428571428565962,
                                   0.11111111105135144,  -0.0909090875249078,  0.07692296345833015,
                                   -0.06666424361404927, 0.05878922970309667,  -0.052304098866177325,
                                   0.04551390803289865,  -0.03456535729189981, 0.0162799900578197};
const std::vector<double> kAtanMiddle = {-0.333333332791284,  0.1999997721502531,   -0.14284148838971825,
                                         0.11071321390180885, -0.08624350838386147, 0.05047299268442672};

} // namespace

Value *turned(MathBuilder &m, Pair r, Value *quadrant, bool cosine) {
  auto &b = m.b;
  Value *sine = m.value(m.sinOf(r)), *cos = m.value(m.cosOf(r));
  Value *q = cosine ? b.CreateAdd(quadrant, m.i(1)) : quadrant;
  Value *odd = b.CreateICmpNE(b.CreateAnd(q, m.i(1)), m.i(0));
  Value *sign = b.CreateShl(b.CreateAnd(q, m.i(2)), m.i(62));
  return m.fromBits(b.CreateXor(m.bitsOf(m.select(odd, cos, sine)), sign));
}

namespace {

/// Of pi * x; whole and half numbers are exact.
Value *turnedPi(MathBuilder &m, Value *x, bool cosine) {
  auto &b = m.b;
  Value *infinite = b.CreateNot(m.less(m.abs(x), m.infinity()));
  x = m.select(m.less(m.abs(x), 0x1p53), x, m.c(0)); // beyond, all are multiples of 2
  Value *half = m.even(m.add(x, x)), *rest = m.fma(half, m.c(-0.5), x);
  Value *quarter = m.mul(half, m.c(0.25)); // the quadrant is half modulo 4
  Value *turn = m.mul(m.sub(quarter, m.floor(quarter)), m.c(4));
  Value *quadrant = b.CreateZExt(b.CreateFPToUI(turn, m.like(b.getInt32Ty())), m.integers);
  Pair r = m.times({rest}, m.pair(3.141592653589793, 1.2246467991473532e-16));
  return m.select(infinite, m.nan(), turned(m, r, quadrant, cosine));
}

/// The angle of (d, n) for 0 <= n <= d, d > 0.
Pair angle(MathBuilder &m, Value *n, Value *d) {
  Value *turn = m.more(n, m.mul(d, m.c(0.41421356237309503)));
  Pair sum = m.twoSum(d, n), difference = m.twoSum(n, m.neg(d));
  Pair zero{m.c(0), m.exact ? m.c(0) : nullptr};
  Pair q = m.over(m.select(turn, difference, {n, zero.low}), m.select(turn, sum, {d, zero.low}));
  Value *z = m.mul(q.high, q.high);
  Value *tail = m.mul(m.mul(q.high, z), m.poly(z, m.pick(kAtan, kAtanMiddle)));
  Pair base = m.select(turn, m.pair(0.7853981633974483, 3.061616997868383e-17), zero);
  Pair result = m.plus(base, q);
  return m.quickSum(result.high, m.lowSum(result.low, tail));
}

} // namespace

Value *sin(MathBuilder &m, Args in) {
  if (!m.wide)
    return m.sinCos(in[0], false, *m.b.GetInsertBlock()->getModule());
  Value *quadrant;
  Pair r = m.reduce(in[0], quadrant);
  return m.select(m.more(m.abs(in[0]), 0x1p-30), turned(m, r, quadrant, false),
                  m.select(m.isNan(in[0]), m.nan(), in[0]));
}
Value *cos(MathBuilder &m, Args in) {
  if (!m.wide)
    return m.sinCos(in[0], true, *m.b.GetInsertBlock()->getModule());
  Value *quadrant;
  Pair r = m.reduce(in[0], quadrant);
  return turned(m, r, quadrant, true);
}

Value *tan(MathBuilder &m, Args in) {
  Value *quadrant;
  Pair r = m.reduce(in[0], quadrant);
  Pair sine = m.sinOf(r), cosine = m.cosOf(r);
  if (!m.exact) {
    sine = {m.value(sine)}, cosine = {m.value(cosine)};
  } else {
    sine = m.quickSum(sine.high, sine.low), cosine = m.quickSum(cosine.high, cosine.low);
  }
  Value *odd = m.b.CreateICmpNE(m.b.CreateAnd(quadrant, m.i(1)), m.i(0));
  Pair up = m.select(odd, m.minus(cosine), sine), down = m.select(odd, sine, cosine);
  Value *result = m.value(m.over(up, down));
  return m.select(m.more(m.abs(in[0]), 0x1p-30), result, m.select(m.isNan(in[0]), m.nan(), in[0]));
}

/// sin(pi x) has the sign of x where it is 0.
Value *sinPi(MathBuilder &m, Args in) {
  Value *result = turnedPi(m, in[0], false);
  return m.select(m.equal(result, 0), m.copySign(m.c(0), in[0]), result);
}
Value *cosPi(MathBuilder &m, Args in) {
  Value *result = turnedPi(m, in[0], true);
  return m.select(m.equal(result, 0), m.c(0), result);
}

/// Above 1/2: asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2)).
static Value *arc(MathBuilder &m, Value *x, bool cosine) {
  Value *size = m.abs(x), *outer = m.more(size, 0.5);
  Value *z = m.select(outer, m.mul(m.sub(m.c(1), size), m.c(0.5)), m.mul(x, x));
  Pair root = m.root({m.select(outer, m.atLeast(z, 0x1p-300), m.c(1))});
  Pair s = m.select(outer, root, {size, m.exact ? m.c(0) : nullptr});
  Value *tail = m.mul(m.mul(s.high, z), m.poly(z, m.pick(kAsin, kAsinMiddle)));
  tail = m.lowSum(tail, s.low); // asin(s) = s.high + tail
  Pair small = m.quickSum(s.high, tail), quarter = m.pair(1.5707963267948966, 6.123233995736766e-17);
  Value *negative = m.signOf(x), *result;
  if (!cosine) {
    result = m.select(outer, m.value(m.plus(quarter, m.twice(small, -2))), m.value(small));
    result = m.copySign(m.select(m.equal(size, 1), m.c(1.5707963267948966), result), x);
  } else {
    Pair signedSmall = m.select(negative, small, m.minus(small));
    Value *inner = m.value(m.plus(quarter, signedSmall));
    Pair doubled = m.twice(small, 2);
    Value *far = m.value(m.plus(m.twice(quarter, 2), m.minus(doubled)));
    Value *end = m.select(m.equal(size, 1), m.c(0), m.value(doubled));
    result = m.select(outer, m.select(negative, m.select(m.equal(size, 1), m.c(3.141592653589793), far), end), inner);
  }
  return m.select(m.b.CreateFCmpOLE(size, m.c(1)), result, m.nan());
}
Value *asin(MathBuilder &m, Args in) { return arc(m, in[0], false); }
Value *acos(MathBuilder &m, Args in) { return arc(m, in[0], true); }

Value *atan(MathBuilder &m, Args in) {
  Value *x = in[0], *size = m.abs(x), *outer = m.more(size, 1);
  Value *huge = m.more(size, 0x1p100), *bounded = m.select(huge, m.c(0x1p100), size);
  Pair a = angle(m, m.select(outer, m.c(1), bounded), m.select(outer, bounded, m.c(1)));
  Value *far = m.value(m.plus(m.pair(1.5707963267948966, 6.123233995736766e-17), m.minus(a)));
  Value *result = m.select(outer, far, m.value(a));
  result = m.select(m.isNan(x), m.nan(), result);
  return m.copySign(result, x);
}

Value *atan2(MathBuilder &m, Args in) {
  Value *y = in[0], *x = in[1], *ay = m.abs(y), *ax = m.abs(x);
  Value *swap = m.more(ay, ax), *n = m.select(swap, ax, ay), *d = m.select(swap, ay, ax);
  // near 1, so that no sum or rest leaves the range
  Value *scale = m.select(m.more(d, 0x1p900), m.c(0x1p-200), m.select(m.less(d, 0x1p-800), m.c(0x1p200), m.c(1)));
  Value *infinite = m.equal(d, m.infinity()), *bothInfinite = m.equal(n, m.infinity());
  Value *zero = m.equal(d, 0);
  n = m.select(infinite, m.select(bothInfinite, m.c(1), m.c(0)), m.mul(n, scale));
  d = m.select(m.either(infinite, zero), m.c(1), m.mul(d, scale));
  Pair a = angle(m, n, d);
  Pair half = m.pair(1.5707963267948966, 6.123233995736766e-17);
  a = m.select(swap, m.plus(half, m.minus(a)), a);
  a = m.select(m.signOf(x), m.plus(m.twice(half, 2), m.minus(a)), a);
  Value *result = m.copySign(m.value(a), y);
  return m.select(m.either(m.isNan(x), m.isNan(y)), m.nan(), result);
}

} // namespace opw::cpu::libdevice
