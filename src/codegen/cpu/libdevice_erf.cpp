// The error function and its relatives.
#include "codegen/cpu/libdevice.h"
#include "codegen/cpu/piecewise.h"

namespace opw::cpu::libdevice {

namespace {

// erf(x) / x - 1 in x^2 on |x| <= 1
const std::vector<double> kErf = {0.1283791670955126,      -0.3761263890318375,     0.11283791670954879,
                                  -0.026866170645076792,   0.0052239776248180145,   -0.000854832698083379,
                                  0.0001205533111164271,   -1.4925595266831182e-05, 1.6461000484121368e-06,
                                  -1.6350312701054695e-07, 1.4659775274047436e-08,  -1.1372848856791674e-09,
                                  5.957176147748911e-11};
const std::vector<double> kErfMiddle = {0.12837916706154343,    -0.3761263846802871,   0.11283782495236845,
                                        -0.026865430727670243,  0.005221031807858023,  -0.0008484080405535107,
                                        0.00011265959025606609, -9.667044571486996e-06};
// (1 + 2x) exp(x^2) erfc(x) in (x - 4) / (x + 4) on x >= 0 (after Shepherd and Laframboise)
const std::vector<double> kErfcx = {
    1.2329951186255526,      -0.13962111684056228,    0.015379652102619974,    0.06809705425466839,
    -0.10103906603631811,    0.09373283499911264,     -0.06633036581186058,    0.037167515526338006,
    -0.01619773406293477,    0.005031970069102256,    -0.0007577732435942576,  -0.0001992571524726518,
    0.00015062142608651945,  -2.4397731143023292e-05, -1.1221135665965907e-05, 5.70657829924074e-06,
    2.9173425573089733e-07,  -8.210647933297337e-07,  7.771943241086912e-08,   1.0631817593818149e-07,
    -2.0725802488181963e-08, -1.2338731403798444e-08, 3.2323973445082033e-09,  9.297625263709659e-10,
    -2.764120233734578e-10};
const std::vector<double> kErfcxMiddle = {1.2329951186255526,    -0.13962111376213265,   0.015379652514656337,
                                          0.06809693885725905,   -0.1010390813977985,    0.09373409380727189,
                                          -0.06633020048068222,  0.037161413362401655,   -0.016198516244698414,
                                          0.005047344723414027,  -0.0007558842570188051, -0.00022049658164202712,
                                          0.0001482094691445721, -8.59703641317568e-06,  -9.714709731988143e-06};

/// exp(x^2) erfc(x) for x >= 0.
Value *scaledTail(MathBuilder &m, Value *x) {
  Value *bounded = m.atMost(x, 0x1p600);
  // rounded once, as the polynomial is steep near 0
  Pair q = m.over(m.twoSum(bounded, m.c(-4)), m.twoSum(bounded, m.c(4)));
  Value *p = m.poly(q.high, m.pick(kErfcx, kErfcxMiddle));
  return m.value(m.over({p}, m.twoSum(m.c(1), m.add(bounded, bounded))));
}

/// exp(x^2), or with `minus` exp(-x^2), for |x| <= 40.
Scaled gauss(MathBuilder &m, Pair x, bool minus) {
  Pair square = m.times(x, x);
  return m.expOf(minus ? m.minus(square) : square);
}

/// erfc(x) * factor for a pair x >= 0.
Value *tail(MathBuilder &m, Pair x, double factor) {
  Pair bounded{m.atMost(x.high, 28), x.low};
  if (x.low)
    bounded.low = m.select(m.more(x.high, 28), m.c(0), x.low);
  Scaled e = gauss(m, bounded, true);
  Pair product = m.times(e.p, {m.mul(scaledTail(m, bounded.high), m.c(factor))});
  return m.scale(m.value(product), e.n, e.bits);
}

} // namespace

Value *erf(MathBuilder &m, Args in) {
  if (!m.wide)
    return m.erf(in[0]);
  Value *x = in[0], *size = m.abs(x), *z = m.mul(x, x);
  Value *small = m.fma(size, m.poly(z, m.pick(kErf, kErfMiddle)), size);
  Value *large = m.sub(m.c(1), tail(m, {size}, 1));
  return m.copySign(m.select(m.less(size, 1), small, large), x);
}

Value *erfc(MathBuilder &m, Args in) {
  Value *x = in[0], *size = m.abs(x), *z = m.mul(x, x);
  Value *small = m.mul(x, m.poly(z, m.pick(kErf, kErfMiddle)));
  small = m.sub(m.sub(m.c(1), x), small);
  Value *large = tail(m, {size}, 1);
  large = m.select(m.signOf(x), m.sub(m.c(2), large), large);
  return m.select(m.less(size, 0.25), small, large);
}

Value *erfcx(MathBuilder &m, Args in) {
  Value *x = in[0], *size = m.abs(x), *right = scaledTail(m, size);
  Scaled e = gauss(m, {m.atMost(size, 28)}, false);
  Value *whole = m.scale(m.value(m.twice(e.p, 2)), e.n, e.bits);
  // the left half: 2 exp(x^2) - right
  Value *left = m.sub(whole, right);
  Value *huge = m.more(size, 0x1p60); // 1 / (x sqrt(pi)), which the polynomial no longer knows
  right = m.select(huge, m.div(m.c(0.5641895835477563), size), right);
  return m.select(m.signOf(x), left, right);
}

/// erfc(-x / sqrt(2)) / 2
Value *normcdf(MathBuilder &m, Args in) {
  Value *x = in[0], *size = m.atMost(m.abs(x), 60);
  Pair t = m.times({size}, m.pair(0.7071067811865476, -4.833646656726457e-17));
  Value *below = tail(m, t, 0.5);
  return m.select(m.signOf(x), below, m.sub(m.c(1), below));
}

namespace {

/// The inverse of erf at x, with `rest` = 1 - x^2.
Value *inverse(MathBuilder &m, Value *x, Value *rest, double factor) {
  Value *w = m.neg(m.value(m.logOf({m.select(m.more(rest, 0), rest, m.c(1))})));
  Value *s = m.sqrt(m.atLeast(w, 0));
  Value *ratio = evaluate(m, kErfInv, s);
  return m.mul(m.mul(x, m.c(factor)), ratio);
}

} // namespace

Value *erfinv(MathBuilder &m, Args in) {
  Value *x = in[0], *size = m.abs(x);
  Value *result = inverse(m, x, m.mul(m.sub(m.c(1), x), m.add(m.c(1), x)), 1);
  result = m.select(m.equal(size, 1), m.copySign(m.infinity(), x), result);
  return m.select(m.b.CreateFCmpOLE(size, m.c(1)), result, m.nan());
}

Value *erfcinv(MathBuilder &m, Args in) {
  Value *y = in[0];
  Value *result = inverse(m, m.sub(m.c(1), y), m.mul(y, m.sub(m.c(2), y)), 1);
  result = m.select(m.equal(y, 0), m.infinity(), m.select(m.equal(y, 2), m.neg(m.infinity()), result));
  return m.select(m.both(m.b.CreateFCmpOGE(y, m.c(0)), m.b.CreateFCmpOLE(y, m.c(2))), result, m.nan());
}

/// -sqrt(2) erfcinv(2p)
Value *normcdfinv(MathBuilder &m, Args in) {
  Value *p = in[0];
  Value *rest = m.mul(m.mul(p, m.c(4)), m.sub(m.c(1), p));
  Value *result = inverse(m, m.sub(m.add(p, p), m.c(1)), rest, 1.4142135623730951);
  result = m.select(m.equal(p, 0), m.neg(m.infinity()), m.select(m.equal(p, 1), m.infinity(), result));
  return m.select(m.both(m.b.CreateFCmpOGE(p, m.c(0)), m.b.CreateFCmpOLE(p, m.c(1))), result, m.nan());
}

} // namespace opw::cpu::libdevice
