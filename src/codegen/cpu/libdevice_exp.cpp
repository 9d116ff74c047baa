// Exponentials, logarithms, powers and hyperbolic functions: all from expOf and logOf of MathBuilder, whose pairs carry
// the places that differences and products would lose.
#include "codegen/cpu/libdevice.h"

namespace opw::cpu::libdevice {

namespace {

// (sinh(x) - x) / x^3 in x^2 on |x| <= 1
const std::vector<double> kSinh = {0.16666666666666666,    0.008333333333333299,   0.00019841269841324198,
                                   2.7557319191381816e-06, 2.5052117695907823e-08, 1.6057679623801638e-10,
                                   7.746178593018828e-13};
const std::vector<double> kSinhMiddle = {0.16666666646842135, 0.00833333967591706, 0.00019838101968683888,
                                         2.806280258227695e-06};

/// To where exp is 0 or infinity for certain; NaN stays.
Value *clamp(MathBuilder &m, Value *x) { return m.atMost(m.atLeast(x, -800), 800); }

/// exp(x) - 1 as a pair, |x| <= 800; divided by 2^less.
Pair minusOne(MathBuilder &m, Value *x, int less) {
  auto &b = m.b;
  Scaled r = m.expMinusOneOf({x});
  // 2^n (r + 1 - 2^-n)
  Value *down = b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b.CreateNeg(r.bits), m.i(100));
  down = b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, down, m.i(-1000));
  Pair sum = m.twoSum(m.sub(m.c(1), m.power(down)), r.p.high); // the difference loses nothing that counts
  sum.low = m.lowSum(sum.low, r.p.low);
  Value *bits = b.CreateSub(r.bits, m.i(less));
  Value *half = b.CreateAShr(bits, m.i(1)), *rest = b.CreateSub(bits, half);
  auto scaled = [&](Value *p) { return p ? m.mul(m.mul(p, m.power(half)), m.power(rest)) : nullptr; };
  return {scaled(sum.high), scaled(sum.low)};
}

/// exp(|x|) / 2, which leaves the range where sinh and cosh do.
Value *halfExp(MathBuilder &m, Value *size) {
  Scaled e = m.expOf({clamp(m, size)});
  return m.scale(m.value(e.p), m.sub(e.n, m.c(1)), m.b.CreateSub(e.bits, m.i(1)));
}

} // namespace

Value *exp(MathBuilder &m, Args in) { return m.exp(in[0]); }
Value *exp2(MathBuilder &m, Args in) { return m.expTwo(in[0]); }
Value *log(MathBuilder &m, Args in) { return m.log(in[0], false); }
Value *log2(MathBuilder &m, Args in) { return m.log(in[0], true); }

Value *exp10(MathBuilder &m, Args in) {
  Value *x = m.atMost(m.atLeast(in[0], -340), 340);
  return m.scale(m.expOf(m.times({x}, m.pair(2.302585092994046, -2.1707562233822494e-16))));
}

Value *expm1(MathBuilder &m, Args in) {
  Value *x = in[0];
  Value *result = m.value(minusOne(m, m.atMost(m.atLeast(x, -60), 800), 0));
  result = m.select(m.more(x, 709.8), m.infinity(), result);
  return m.select(m.more(m.abs(x), 0x1p-60), result, m.select(m.isNan(x), m.nan(), x)); // keeps -0
}

/// log of x, with the cases that logOf does not take.
static Value *logCases(MathBuilder &m, Value *x, Value *result) {
  result = m.select(m.less(x, m.infinity()), result, x);
  result = m.select(m.equal(x, 0), m.neg(m.infinity()), result);
  return m.select(m.less(x, 0), m.nan(), result);
}

Value *log10(MathBuilder &m, Args in) {
  Pair log = m.times(m.logOf({in[0]}), m.pair(0.4342944819032518, 1.098319650216765e-17));
  return logCases(m, in[0], m.value(log));
}

Value *log1p(MathBuilder &m, Args in) {
  Value *x = in[0];
  if (!m.exact) { // an f32 and 1 have a sum that f64 rounds only where the x is tiny
    Value *u = m.add(x, m.c(1));
    Value *result = m.add(m.logOf({u}).high, m.div(m.sub(x, m.sub(u, m.c(1))), u));
    return m.select(m.more(m.abs(x), 0x1p-40), logCases(m, u, result), m.fma(m.mul(x, m.c(-0.5)), x, x));
  }
  Pair u = m.twoSum(x, m.c(1));
  u.low = m.select(m.less(x, m.infinity()), u.low, m.c(0));
  Value *result = logCases(m, u.high, m.value(m.logOf(u)));
  return m.select(m.more(m.abs(x), 0x1p-60), result, m.select(m.isNan(x), m.nan(), x));
}

/// C's pow.
Value *pow(MathBuilder &m, Args in) {
  Value *x = in[0], *y = in[1], *size = m.abs(x);
  // a y beyond 2^80 overflows like 2^80, as no logarithm is below 2^-53
  Pair log = m.logOf({size}), product = m.times({m.atMost(m.atLeast(y, -0x1p80), 0x1p80)}, log);
  Value *high = clamp(m, product.high);
  Value *low = product.low ? m.select(m.equal(high, product.high), product.low, m.c(0)) : nullptr;
  Value *result = m.scale(m.expOf({high, low}));
  Value *falls = m.less(y, 0);
  result = m.select(m.equal(size, 0), m.select(falls, m.infinity(), m.c(0)), result);
  result = m.select(m.equal(size, m.infinity()), m.select(falls, m.c(0), m.infinity()), result);
  result = m.select(m.equal(size, 1), m.c(1), result);
  Value *isWhole = m.equal(m.floor(y), y), *half = m.mul(y, m.c(0.5));
  Value *odd = m.both(isWhole, m.b.CreateFCmpUNE(m.floor(half), half));
  Value *negative = m.signOf(x);
  result = m.select(m.both(negative, odd), m.neg(result), result);
  Value *noRoot = m.both(m.b.CreateNot(isWhole), m.both(m.less(x, 0), m.less(size, m.infinity())));
  result = m.select(m.either(noRoot, m.either(m.isNan(x), m.isNan(y))), m.nan(), result);
  return m.select(m.either(m.equal(x, 1), m.equal(y, 0)), m.c(1), result);
}

Value *powi(MathBuilder &m, Args in) { return pow(m, {in[0], m.b.CreateSIToFP(in[1], m.type)}); }

Value *sinh(MathBuilder &m, Args in) {
  Value *x = in[0], *size = m.abs(x), *z = m.mul(x, x);
  Value *small = m.fma(m.mul(size, z), m.poly(z, m.pick(kSinh, kSinhMiddle)), size);
  Value *half = halfExp(m, size);
  Value *large = m.sub(half, m.div(m.c(0.25), half));
  return m.copySign(m.select(m.less(size, 1), small, large), x);
}

Value *cosh(MathBuilder &m, Args in) {
  Value *half = halfExp(m, m.abs(in[0]));
  return m.add(half, m.div(m.c(0.25), half));
}

/// With E = exp(2x) - 1: E / (E + 2).
Value *tanh(MathBuilder &m, Args in) {
  if (!m.wide)
    return m.tanh(in[0]);
  Value *x = in[0], *size = m.atMost(m.abs(x), 30);
  Pair e = minusOne(m, m.add(size, size), 0);
  e = m.quickSum(e.high, e.low);
  Pair below = m.twoSum(m.c(2), e.high);
  below.low = m.lowSum(below.low, e.low);
  Value *result = m.value(m.over(e, below));
  return m.select(m.more(size, 0x1p-30), m.copySign(result, x), m.select(m.isNan(x), m.nan(), x));
}

/// log(|x| + sqrt(x^2 + 1)) = log1p(|x| + x^2 / (1 + sqrt(x^2 + 1)))
Value *asinh(MathBuilder &m, Args in) {
  Value *x = in[0], *size = m.abs(x), *huge = m.more(size, 0x1p500);
  Value *inside = m.select(huge, m.c(1), size);
  Pair square = m.twoProduct(inside, inside), root = m.root(m.plus(square, {m.c(1)}));
  Pair more = m.plus({inside}, m.over(square, m.plus({m.c(1)}, root)));
  Pair sum = m.plus({m.c(1)}, more); // 1 + more; what it loses of a tiny `more` comes back below
  Pair log = m.logOf({m.select(huge, size, sum.high), sum.low ? m.select(huge, m.c(0), sum.low) : nullptr});
  log = m.select(huge, m.plus(log, m.pair(0.6931471805599453, 2.3190468138462996e-17)), log);
  Value *z = m.mul(size, size);
  Value *result =
      m.select(m.less(size, 0x1p-7),
               m.fma(m.mul(size, z), m.poly(z, {-1.0 / 6, 3.0 / 40, -15.0 / 336, 105.0 / 3456, -945.0 / 42240}), size),
               m.value(log));
  result = m.select(m.less(size, m.infinity()), result, size);
  return m.copySign(result, x);
}

/// log(x + sqrt(x^2 - 1)) = log1p(t + sqrt(2t + t^2)), t = x - 1
Value *acosh(MathBuilder &m, Args in) {
  Value *x = in[0], *huge = m.more(x, 0x1p500), *inside = m.select(huge, m.c(2), x);
  Pair t = m.twoSum(inside, m.c(-1)); // exact from 1 to 2^53
  Pair square = m.plus(m.twice(t, 2), m.times(t, t));
  square.high = m.atLeast(square.high, 0x1p-1000);
  Pair sum = m.plus({m.c(1)}, m.plus(t, m.root(square)));
  Pair log = m.logOf({m.select(huge, x, sum.high), sum.low ? m.select(huge, m.c(0), sum.low) : nullptr});
  log = m.select(huge, m.plus(log, m.pair(0.6931471805599453, 2.3190468138462996e-17)), log);
  Value *result = m.select(m.less(x, m.infinity()), m.value(log), x);
  result = m.select(m.equal(x, 1), m.c(0), result);
  return m.select(m.less(x, 1), m.nan(), result);
}

/// log((1 + x) / (1 - x)) / 2
Value *atanh(MathBuilder &m, Args in) {
  Value *x = in[0], *size = m.abs(x), *z = m.mul(x, x);
  Value *inside = m.select(m.less(size, 1), size, m.c(0.5));
  Pair quotient = m.over(m.twoSum(m.c(1), inside), m.twoSum(m.c(1), m.neg(inside)));
  Value *log = m.mul(m.value(m.logOf(quotient)), m.c(0.5));
  Value *small = m.fma(m.mul(size, z), m.poly(z, {1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11}), size);
  Value *result = m.select(m.less(size, 0x1p-6), small, log);
  result = m.select(m.less(size, 1), result, m.select(m.equal(size, 1), m.infinity(), m.nan()));
  return m.copySign(result, x);
}

} // namespace opw::cpu::libdevice
