// Bessel functions. Up to kBesselFar polynomials around the zeros, (x - zero) P(x), so that results near a zero keep
// their places; beyond, modulus and phase. Higher orders by recurrence: forward where it is stable, else backward
// (Miller) with order 0 or 1 as the measure.
#include "codegen/cpu/libdevice.h"
#include "codegen/cpu/piecewise.h"

#include <functional>

namespace opw::cpu::libdevice {

namespace {

// sqrt(pi x / 2) |H(x)|, H = J + iY, and x (phase of H - its limit for large x), in 1/x^2 on x >= 16.4; orders 0 and 1.
// Of the phases without the constant terms -1/8 and 3/8.
const std::vector<double> kModulus0 = {1.0,
                                       -0.06249999999999394,
                                       0.10351562495621348,
                                       -0.5428465569477822,
                                       5.848525516915986,
                                       -106.74607889920557,
                                       2899.5911179820855,
                                       -96059.5494869578,
                                       2418172.5013623736};
const std::vector<double> kPhase0 = {0.065104166666663,   -0.20957031246721117, 1.6380657684490532,
                                     -23.474922234750604, 535.4260335881507,    -17698.08099127552,
                                     758698.5192497357,   -33472492.1558349,    953361343.1688377};
const std::vector<double> kModulus1 = {1.0,
                                       0.18749999999999312,
                                       -0.1933593749502525,
                                       0.805297712139603,
                                       -7.739756345586305,
                                       132.60211194683856,
                                       -3465.5610013578716,
                                       112203.61970499367,
                                       -2791192.6652580183};
const std::vector<double> kPhase1 = {-0.1640624999999959, 0.3708984374632314, -2.3693977160497974,
                                     30.623781627127297,  -658.9448930393728, 21000.43798340011,
                                     -879417.9520713292,  38269437.792706765, -1082206876.2326908};
// J0(x) and J1(x) / x in x^2, and Y0(x) - 2/pi log(x) J0(x) and (Y1(x) - 2/pi (log(x) J1(x) - 1/x)) / x: order 0 on x
// <= 1/2, order 1 on x <= 1
const std::vector<double> kJ0Small = {1.0,
                                      -0.25,
                                      0.015625,
                                      -0.0004340277777777718,
                                      6.781684027683526e-06,
                                      -6.781683947336602e-08,
                                      4.709464759248797e-10,
                                      -2.3934387631111136e-12};
const std::vector<double> kY0Small = {-0.07380429510868723,   0.17760601686906713,    -0.016073968025938426,
                                      0.0005386026668616441,  -9.495005205051532e-06, 1.035847588852403e-07,
                                      -7.693011285479263e-10, 4.126665229901185e-12};
const std::vector<double> kJ1Small = {0.5,
                                      -0.0625,
                                      0.0026041666666666665,
                                      -5.425347222222174e-05,
                                      6.781684027752817e-07,
                                      -5.6514033492680394e-09,
                                      3.363929344557179e-11,
                                      -1.501633470282556e-13,
                                      5.149633164550287e-16};
const std::vector<double> kY1Small = {-0.19605709064623894,    0.05434868816051024,    -0.0029553053360798338,
                                      7.164268749973962e-05,   -9.926740619424754e-07, 8.93187962119504e-09,
                                      -5.6480245458910654e-11, 2.6494807041803423e-13, -9.59080356230365e-16,
                                      2.7294341753565923e-18};
// I0(x) and I1(x) / x in x^2 on x <= 16
const std::vector<double> kI0 = {1.0,
                                 0.25,
                                 0.015625,
                                 0.00043402777777777775,
                                 6.781684027777785e-06,
                                 6.781684027777698e-08,
                                 4.709502797068462e-10,
                                 2.4028075495216102e-12,
                                 9.385966990435688e-15,
                                 2.896903391774749e-17,
                                 7.242258486933795e-20,
                                 1.4963343848117117e-22,
                                 2.5978029414087904e-25,
                                 3.8429015622273125e-28,
                                 4.901680866993769e-31,
                                 5.446152483401813e-34,
                                 5.319513859672722e-37,
                                 4.596487880402154e-40,
                                 3.5682060323809764e-43,
                                 2.399024058602575e-46,
                                 1.6898675380901085e-49,
                                 5.690872988576196e-53,
                                 8.848973453472651e-56,
                                 -2.107668403912415e-59,
                                 3.2671659575529785e-62};
const std::vector<double> kI1 = {0.5,
                                 0.0625,
                                 0.0026041666666666665,
                                 5.425347222222222e-05,
                                 6.781684027777779e-07,
                                 5.651403356481467e-09,
                                 3.363930569334318e-11,
                                 1.501754718452253e-13,
                                 5.214426105758321e-16,
                                 1.4484516959827883e-18,
                                 3.2919356740583405e-21,
                                 6.234726631063889e-24,
                                 9.991549435869472e-27,
                                 1.372465179670392e-29,
                                 1.6338909109176246e-32,
                                 1.70194046821704e-35,
                                 1.564467749412883e-38,
                                 1.2772129273201813e-41,
                                 9.375820571810369e-45,
                                 6.036247967581077e-48,
                                 3.942259106623047e-51,
                                 1.4200955246403974e-54,
                                 1.7854855362177238e-57,
                                 -3.4507625685054826e-61,
                                 6.234124343661512e-64};
// sqrt(x) exp(-x) I0(x) and the same of I1 in 1/x on x >= 16
const std::vector<double> kI0Far = {
    0.3989422804014327,  0.049867785050159034, 0.028050629107379144, 0.02921939969799648, 0.04474319964306725,
    0.09050023670896065, 0.23521640014125147,  0.38974130003574947,  11.250932840505513,  -163.61993804387888,
    2230.660584909878,   -15968.381596167588,  56054.0909416781};
const std::vector<double> kI1Far = {
    0.39894228040143265,  -0.14960335515051607, -0.0467510485021398, -0.04090716150158396, -0.05752674528861528,
    -0.11062841049711121, -0.27712947766638807, -0.4787895076622459, -12.075489112318742,  172.34543990961595,
    -2360.300945445251,   16880.097702556453,   -59374.23806371044};

constexpr double kTwoOverPi = 0.6366197723675814;

/// J (cosine) or Y for x >= kBesselFar.
Value *far(MathBuilder &m, Value *x, bool second, bool orderOne) {
  auto &b = m.b;
  Value *inverse = m.div(m.c(1), x), *v = m.mul(inverse, inverse), *quadrant;
  Value *modulus = m.poly(v, orderOne ? kModulus1 : kModulus0);
  // the first term of the phase, -1/(8x) or 3/(8x), as a pair: near a zero its places count
  Pair phase = m.times(m.over({m.c(1)}, {x}), {m.c(orderOne ? 0.375 : -0.125)});
  phase = m.plus(phase, {m.mul(m.mul(inverse, v), m.poly(v, orderOne ? kPhase1 : kPhase0)), m.c(0)});
  Pair r = m.reduce(x, quadrant);
  Pair t = m.plus(m.plus(r, m.pair(-0.7853981633974483, -3.061616997868383e-17)), phase);
  Value *low = m.less(t.high, -0.7853981633974483);
  t = m.select(low, m.plus(t, m.pair(1.5707963267948966, 6.123233995736766e-17)), t);
  quadrant = b.CreateSub(quadrant, b.CreateZExt(low, m.integers));
  if (orderOne)
    quadrant = b.CreateSub(quadrant, m.i(1));
  Value *wave = turned(m, t, quadrant, !second);
  Pair height = m.over(m.times(m.pair(0.7978845608028654, -4.98465440455546e-17), {modulus}), m.root({x}));
  return m.value(m.times(height, {wave}));
}

/// Of x >= 0.
Value *first(MathBuilder &m, Value *x, bool orderOne) {
  Value *z = m.mul(x, x), *result = evaluate(m, orderOne ? kJ1 : kJ0, x);
  Value *small = orderOne ? m.mul(x, m.poly(z, kJ1Small)) : m.poly(z, kJ0Small);
  result = m.select(m.less(x, orderOne ? 1 : 0.5), small, result);
  result = m.select(m.less(x, kBesselFar), result, far(m, x, false, orderOne));
  return m.select(m.equal(x, m.infinity()), m.c(0), result);
}

Value *second(MathBuilder &m, Value *x, bool orderOne) {
  Value *z = m.mul(x, x), *log = m.value(m.logOf({x})), *small;
  if (orderOne) {
    Value *product = m.mul(m.mul(x, m.poly(z, kJ1Small)), log);
    small = m.fma(m.c(kTwoOverPi), product, m.mul(x, m.poly(z, kY1Small)));
    small = m.sub(small, m.div(m.c(kTwoOverPi), x));
  } else {
    small = m.fma(m.mul(m.c(kTwoOverPi), m.poly(z, kJ0Small)), log, m.poly(z, kY0Small));
  }
  const Piecewise &table = orderOne ? kY1 : kY0;
  Value *result = m.select(m.less(x, table.starts[0]), small, evaluate(m, table, x));
  result = m.select(m.less(x, kBesselFar), result, far(m, x, true, orderOne));
  result = m.select(m.equal(x, m.infinity()), m.c(0), result);
  result = m.select(m.equal(x, 0), m.neg(m.infinity()), result);
  return m.select(m.less(x, 0), m.nan(), result);
}

Value *modified(MathBuilder &m, Value *x, bool orderOne) {
  Value *size = m.abs(x);
  // the largest terms are in the middle: from there on in pairs, of the square as well
  const std::vector<double> &terms = orderOne ? kI1 : kI0;
  constexpr size_t kPairs = 12;
  Pair z = m.twoProduct(x, x), sum{m.poly(z.high, {terms.begin() + kPairs, terms.end()}), m.c(0)};
  for (size_t k = kPairs; k-- > 0;) {
    sum = m.times(sum, z);
    Pair next = m.twoSum(m.c(terms[k]), sum.high);
    sum = {next.high, m.add(next.low, sum.low)};
  }
  Value *small = m.value(sum);
  if (orderOne)
    small = m.mul(small, size);
  Scaled e = m.expOf({m.atMost(size, 800)});
  Value *above = m.atMost(m.atLeast(size, 16), 800);
  Value *shape = m.poly(m.div(m.c(1), above), orderOne ? kI1Far : kI0Far);
  Pair factor = m.over({shape}, m.root({above}));
  Value *large = m.scale(m.value(m.times(e.p, factor)), e.n, e.bits);
  Value *result = m.select(m.b.CreateFCmpOLE(size, m.c(16)), small, large);
  return m.select(m.isNan(x), m.nan(), orderOne ? m.copySign(result, x) : result);
}

using Values = std::vector<Value *>;

/// while (condition(state)) state = body(state)
Values repeat(MathBuilder &m, Values state, std::function<Value *(const Values &)> condition,
              std::function<Values(const Values &)> body) {
  auto &b = m.b;
  llvm::Function *function = b.GetInsertBlock()->getParent();
  auto block = [&](const char *name) { return llvm::BasicBlock::Create(b.getContext(), name, function); };
  llvm::BasicBlock *before = b.GetInsertBlock(), *head = block("head"), *step = block("step"), *after = block("after");
  b.CreateBr(head);
  b.SetInsertPoint(head);
  std::vector<llvm::PHINode *> phis;
  Values current;
  for (Value *value : state) {
    phis.push_back(b.CreatePHI(value->getType(), 2));
    phis.back()->addIncoming(value, before);
    current.push_back(phis.back());
  }
  b.CreateCondBr(condition(current), step, after);
  b.SetInsertPoint(step);
  Values next = body(current);
  for (size_t k = 0; k < phis.size(); k++)
    phis[k]->addIncoming(next[k], b.GetInsertBlock());
  b.CreateBr(head);
  b.SetInsertPoint(after);
  return current;
}

Value *any(MathBuilder &m, Value *mask) { return m.lanes ? m.b.CreateOrReduce(mask) : mask; }

/// next = 2k/x * current - previous from orders 0 and 1 up to n - 1, for the lanes in `mask`; in pairs, as every step
/// would add its rounding to the last ones'.
Value *forward(MathBuilder &m, Value *n, Value *x, Value *zero, Value *one, Value *mask) {
  auto active = [&](const Values &s) { // what has left the range stays there
    return m.both(m.both(mask, m.less(s[0], n)), m.less(m.abs(s[3]), m.infinity()));
  };
  Values end = repeat(
      m, {m.c(1), zero, m.c(0), one, m.c(0)}, [&](const Values &s) { return any(m, active(s)); },
      [&](const Values &s) -> Values {
        Value *go = active(s), *twice = m.add(s[0], s[0]);
        Pair next = m.plus(m.times(m.over({twice}, {x}), {s[3], s[4]}), m.minus({s[1], s[2]}));
        Value *plain = m.sub(m.mul(m.div(twice, x), s[3]), s[1]);
        next = m.select(m.less(m.abs(plain), 0x1p1000), next, {plain, m.c(0)});
        return {m.add(s[0], m.c(1)), m.select(go, s[3], s[1]), m.select(go, s[4], s[2]), m.select(go, next.high, s[3]),
                m.select(go, next.low, s[4])};
      });
  return m.select(m.equal(n, 0), zero, m.add(end[3], end[4]));
}

/// J of order n > x >= 1/1000 by the recurrence downwards from where it is 0 for all purposes.
Value *backward(MathBuilder &m, Value *n, Value *x, Value *zero, Value *one, Value *mask) {
  Value *top = m.add(m.add(n, m.sqrt(m.mul(n, m.c(200)))), m.c(20));
  top = m.floor(m.select(mask, top, m.c(0)));
  Value *start = m.lanes ? static_cast<Value *>(m.b.CreateFPMaxReduce(top)) : top;
  if (m.lanes)
    start = m.b.CreateVectorSplat(m.lanes, start);
  // k, t of k, t of k + 1, t of n
  Values end = repeat(
      m, {start, m.c(1e-150), m.c(0), m.c(0)}, [&](const Values &s) { return any(m, m.more(s[0], 0)); },
      [&](const Values &s) -> Values {
        Value *recorded = m.select(m.equal(s[0], n), s[1], s[3]);
        Value *next = m.sub(m.mul(m.div(m.add(s[0], s[0]), x), s[1]), s[2]);
        Value *factor = m.select(m.more(m.abs(next), 1e200), m.c(1e-200), m.c(1));
        return {m.sub(s[0], m.c(1)), m.mul(next, factor), m.mul(s[1], factor), m.mul(recorded, factor)};
      });
  Value *useZero = m.more(m.abs(end[1]), m.abs(end[2]));
  Value *measure = m.select(useZero, m.div(zero, end[1]), m.div(one, end[2]));
  return m.mul(end[3], measure);
}

/// (x/2)^n / n! (1 - (x/2)^2 / (n + 1) + ...) for x < 1/1000
Value *powers(MathBuilder &m, Value *n, Value *x, Value *mask) {
  Value *half = m.mul(x, m.c(0.5));
  auto active = [&](const Values &s) { return m.both(m.both(mask, m.b.CreateFCmpOLE(s[0], n)), m.more(s[1], 0)); };
  Values end = repeat(
      m, {m.c(1), m.c(1)}, [&](const Values &s) { return any(m, active(s)); },
      [&](const Values &s) -> Values {
        return {m.add(s[0], m.c(1)), m.select(active(s), m.mul(s[1], m.div(half, s[0])), s[1])};
      });
  Value *z = m.mul(half, half), *next = m.add(n, m.c(1));
  Value *series = m.div(m.mul(m.c(0.5), z), m.add(n, m.c(2)));
  return m.mul(end[1], m.sub(m.c(1), m.mul(m.div(z, next), m.sub(m.c(1), series))));
}

} // namespace

Value *j0(MathBuilder &m, Args in) { return first(m, m.abs(in[0]), false); }
Value *j1(MathBuilder &m, Args in) {
  Value *result = first(m, m.abs(in[0]), true);
  return m.select(m.equal(in[0], 0), in[0], m.select(m.signOf(in[0]), m.neg(result), result));
}
Value *y0(MathBuilder &m, Args in) { return second(m, in[0], false); }
Value *y1(MathBuilder &m, Args in) { return second(m, in[0], true); }
Value *i0(MathBuilder &m, Args in) { return modified(m, in[0], false); }
Value *i1(MathBuilder &m, Args in) { return modified(m, in[0], true); }

Value *jn(MathBuilder &m, Args in) {
  auto &b = m.b;
  Value *n = b.CreateSIToFP(in[0], m.type), *x = in[1], *size = m.abs(x);
  Value *zero = first(m, size, false), *one = first(m, size, true);
  Value *usual = m.both(m.less(size, m.infinity()), m.more(n, 1));
  Value *stable = b.CreateFCmpOGE(size, n), *tiny = m.less(size, 1e-3);
  Value *vanishes = m.both(m.more(n, 2000), m.more(n, m.add(size, size)));
  Value *up = forward(m, n, size, zero, one, m.both(usual, stable));
  Value *falls = m.both(m.both(usual, b.CreateNot(stable)), b.CreateNot(m.either(vanishes, tiny)));
  Value *down = backward(m, n, m.select(falls, size, m.c(1)), zero, one, falls);
  Value *small = powers(m, n, size, m.both(usual, tiny));
  Value *result = m.select(tiny, small, m.select(stable, up, m.select(vanishes, m.c(0), down)));
  result = m.select(m.equal(n, 0), zero, m.select(m.equal(n, 1), one, result));
  result = m.select(m.equal(size, m.infinity()), m.c(0), result);
  Value *half = m.mul(n, m.c(0.5)), *odd = b.CreateFCmpUNE(m.floor(half), half);
  result = m.select(m.both(odd, m.signOf(x)), m.neg(result), result);
  return m.select(m.either(m.isNan(x), m.less(n, 0)), m.nan(), result);
}

Value *yn(MathBuilder &m, Args in) {
  auto &b = m.b;
  Value *n = b.CreateSIToFP(in[0], m.type), *x = in[1];
  Value *zero = second(m, x, false), *one = second(m, x, true);
  Value *result = forward(m, n, x, zero, one, m.both(m.more(x, 0), m.less(x, m.infinity())));
  return m.select(m.either(m.isNan(x), m.less(n, 0)), m.nan(), result);
}

} // namespace opw::cpu::libdevice
