// Math functions as straight-line code, for scalars and vectors: no call, so no library, and nothing stands between a
// loop and its registers. The coefficients are minimax fits (Remez exchange) of the functions named beside them; f32
// results are within 2 ulp, special values exact.
#include "codegen/cpu/libdevice.h"

#include "llvm/IR/IntrinsicsX86.h"

#include <cmath>

namespace opw::cpu {

using namespace ir;
using llvm::Intrinsic::ID;

namespace {

// (exp(r) - 1 - r) / r^2 on |r| <= ln(2)/2
const std::vector<double> kExp32 = {0.49999993413732611, 0.16666520108611829, 0.0416683940278569072,
                                    0.00836878043959922627, 0.00138144746760343019};
const std::vector<double> kExp64 = {0.500000000000000004,     0.166666666666666836,   0.0416666666666660891,
                                    0.00833333333331692003,   0.00138888888891172767, 0.00019841269896673631,
                                    0.0000248015869245605509, 2.75572345660130401e-6, 2.75575828470860945e-7,
                                    2.51121420278060623e-8,   2.082651699144883e-9};
// as kExp32, for f32 results by way of f64
const std::vector<double> kExpMiddle = {0.5,
                                        0.16666666718997508,
                                        0.041666666718980845,
                                        0.008333298483754886,
                                        0.001388885404961482,
                                        0.0001989927395864936,
                                        2.4859578222625295e-05};
// (exp(r) - 1) / r on |r| <= ln(2)/32, (2^r - 1) / r on |r| <= 1/32
const std::vector<double> kExpTable = {1, 0.5000163235858484, 0.16666846173335914};
const std::vector<double> kExpTwoTable = {0.693147184149781, 0.24023434967524965, 0.05550030425786309};
// (2^r - 1) / r on |r| <= 1/2
const std::vector<double> kExpTwo32 = {0.69314720298498177,   0.240226478983982244,   0.0555033216392215886,
                                       0.0096184383929854195, 0.00133990031577807845, 0.000153533175187555062};
const std::vector<double> kExpTwo64 = {0.693147180559945309,     0.240226506959100715,    0.0555041086648216882,
                                       0.00961812910762832811,   0.00133335581463924068,  0.000154035303936427572,
                                       0.0000152527338546181033, 1.32154865937717803e-6,  1.01780518064075711e-7,
                                       7.05497471798977697e-9,   4.45659246566093763e-10, 2.56253308585329533e-11};
// (log(1+f) - f + f^2/2) / f^3 on sqrt(1/2) <= 1+f <= sqrt(2)
const std::vector<double> kLog32 = {0.333333317056024538,  -0.250008209744684038, 0.200012272906057365,
                                    -0.166233596941205749, 0.142017458012404657,  -0.131601453466806543,
                                    0.127616650491352519,  -0.0763471796754247758};
// (log((1+s)/(1-s)) - 2s) / s^3 in s^2
const std::vector<double> kLog64 = {0.66666666666666661,  0.400000000000062429, 0.285714285690872774,
                                    0.222222226465767503, 0.181817756836927546, 0.153870899431857813,
                                    0.132501368436070863, 0.132511563466978367};
// the same for f32 results by way of f64, and with 2/3 taken off and divided by s^2
const std::vector<double> kLogMiddle = {0.6666666666737623, 0.39999998795791064, 0.2857175485162511,
                                        0.22191380789044335, 0.1936304304875125};
const std::vector<double> kLogTail = {0.4,
                                      0.2857142857142937,
                                      0.22222222221655138,
                                      0.18181818335562422,
                                      0.15384594944397145,
                                      0.1333480567929862,
                                      0.11706209953545593,
                                      0.11723454509814604};
// (tanh(x) - x) / x^3 in x^2 on |x| <= sqrt(0.4)
const std::vector<double> kTanh = {-0.333333304500313582, 0.133331916321517563,    -0.053944887568612889,
                                   0.0216901480601331301, -0.00815068528272881869, 0.00211800794133266908};
// erf(x) / x - 1 in x^2 on |x| <= 1
const std::vector<double> kErf = {0.12837916572690345,     -0.376126258236866939,  0.112835851417346011,
                                  -0.0268538116758386168,  0.00518832724928465824, -0.000801019017649792232,
                                  0.0000785385086464564345};
// log(1 - erf(x)) on 1 <= x <= 4
const std::vector<double> kErfTail = {0.000187892508725423448, -1.1295777351376863,     -0.633221247476343426,
                                      -0.108417124539048364,   0.0252073387032713014,   -0.00420422029497612868,
                                      0.000441267115339915756, -0.000021680947727908284};

} // namespace

/// p * 2^n for whole n; `bits` holds n as an integer. One rounding, also into the denormal range.
llvm::Value *MathBuilder::scale(llvm::Value *p, llvm::Value *n, llvm::Value *bits) {
  auto *vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  unsigned width = vector ? vector->getNumElements() : 1;
  if (level.avx512 && width == (wide ? 8u : 16u)) {
    llvm::Type *mask = b.getIntNTy(width);
    ID id = wide ? llvm::Intrinsic::x86_avx512_mask_scalef_pd_512 : llvm::Intrinsic::x86_avx512_mask_scalef_ps_512;
    return b.CreateIntrinsic(
        id, {}, {p, n, llvm::Constant::getNullValue(type), llvm::Constant::getAllOnesValue(mask), b.getInt32(4)});
  }
  // Two factors: 2^n alone may be out of range where p * 2^n is not.
  llvm::Value *half = b.CreateAShr(bits, i(1)), *rest = b.CreateSub(bits, half);
  auto power = [&](llvm::Value *k) {
    return b.CreateBitCast(b.CreateShl(b.CreateAdd(k, i(wide ? 1023 : 127)), i(wide ? 52 : 23)), type);
  };
  return mul(mul(p, power(half)), power(rest));
}

/// x to the nearest whole number, for |x| < 2^21: as a float, and as an integer without a conversion that NaN would
/// upset.
llvm::Value *MathBuilder::whole(llvm::Value *x, double factor, llvm::Value *&bits) {
  double magic = wide ? 6755399441055744.0 : 12582912.0; // 1.5 * 2^52 or 2^23: rounding happens at the unit
  llvm::Value *shifted = fma(x, c(factor), c(magic));
  bits = b.CreateSub(b.CreateBitCast(shifted, integers), b.CreateBitCast(c(magic), integers));
  return sub(shifted, c(magic));
}

/// A register of sixteen f32.
bool MathBuilder::hasTable() const {
  auto *vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  return level.avx512 && !wide && vector && vector->getNumElements() == 16;
}

/// exp or exp2: x = k/16 + r in units of the logarithm, of which 2^(k mod 16 / 16) comes from a table in a register and
/// floor(k / 16) is what the scaling instruction takes of k / 16. Where x is too low, everything before that
/// instruction is garbage, and its mask makes the 0: what it does not compute cannot be slow or raise a flag.
llvm::Value *MathBuilder::byTable(llvm::Value *x, llvm::Value *inside, bool base2) {
  llvm::SmallVector<llvm::Constant *, 16> powers;
  for (int k = 0; k < 16; k++)
    powers.push_back(llvm::ConstantFP::get(type->getScalarType(), std::exp2(k / 16.0)));
  llvm::Constant *magic = c(786432); // 1.5 * 2^19: rounds to sixteenths
  llvm::Value *shifted = base2 ? add(inside, magic) : fma(inside, c(1.44269504088896340736), magic);
  llvm::Value *n = sub(shifted, magic), *r;
  if (base2)
    r = sub(inside, n);
  else
    r = fma(n, c(-1.42860682030941723e-6), fma(n, c(-0x1.62e4p-1), inside));
  llvm::Value *power = b.CreateIntrinsic(llvm::Intrinsic::x86_avx512_permvar_sf_512, {},
                                         {llvm::ConstantVector::get(powers), b.CreateBitCast(shifted, integers)});
  llvm::Value *p = fma(mul(power, r), poly(r, base2 ? kExpTwoTable : kExpTable), power);
  llvm::Value *enough = b.CreateFCmpUGE(x, c(base2 ? -150.0 : -103.97207708399179));
  return b.CreateIntrinsic(
      llvm::Intrinsic::x86_avx512_mask_scalef_ps_512, {},
      {p, n, llvm::Constant::getNullValue(type), b.CreateBitCast(enough, b.getInt16Ty()), b.getInt32(4)});
}

/// Lanes whose result is below half of the least denormal become 0 before the scaling instruction: it would take the
/// processor's slow path for each of them, and attention masks make many.
llvm::Value *MathBuilder::exp(llvm::Value *x) {
  if (hasTable())
    return byTable(x, atMost(x, 89), false);
  double least = wide ? -745.13321910194123 : -103.97207708399179;
  llvm::Value *inside = atMost(atLeast(x, wide ? -746.0 : -104.0), wide ? 710.0 : 89.0);
  llvm::Value *bits, *n = whole(inside, 1.44269504088896340736, bits);
  llvm::Value *r = fma(n, c(wide ? -0x1.62e42fefa38p-1 : -0x1.62e4p-1), inside);
  r = fma(n, c(wide ? -0x1.ef35793c7673p-45 : -1.42860682030941723e-6), r);
  llvm::Value *p = add(fma(mul(r, r), poly(r, wide ? kExp64 : kExp32), r), c(1));
  p = b.CreateSelect(b.CreateFCmpOLT(x, c(least)), c(0), p);
  return scale(p, n, bits);
}

llvm::Value *MathBuilder::expTwo(llvm::Value *x) {
  if (hasTable())
    return byTable(x, atMost(x, 129), true);
  llvm::Value *inside = atMost(atLeast(x, wide ? -1076.0 : -151.0), wide ? 1025.0 : 129.0);
  llvm::Value *bits, *n = whole(inside, 1, bits), *r = sub(inside, n);
  llvm::Value *p = fma(r, poly(r, wide ? kExpTwo64 : kExpTwo32), c(1));
  p = b.CreateSelect(b.CreateFCmpOLT(x, c(wide ? -1075.0 : -150.0)), c(0), p);
  return scale(p, n, bits);
}

/// x = 2^e * m with sqrt(1/2) <= m < sqrt(2); the logarithm of m, and what goes with it, by polynomials in m - 1.
llvm::Value *MathBuilder::log(llvm::Value *x, bool base2) {
  int mantissa = wide ? 52 : 23;
  llvm::Value *tiny = b.CreateFCmpOLT(x, c(wide ? 0x1p-1022 : 0x1p-126));
  llvm::Value *normal = b.CreateSelect(tiny, mul(x, c(wide ? 0x1p52 : 0x1p23)), x);
  llvm::Value *bits = b.CreateBitCast(normal, integers);
  llvm::Value *k = b.CreateAShr(b.CreateSub(bits, i(wide ? 0x3fe6a09e667f3bcd : 0x3f3504f3)), i(mantissa));
  llvm::Value *m = b.CreateBitCast(b.CreateSub(bits, b.CreateShl(k, i(mantissa))), type);
  llvm::Value *e = add(b.CreateSIToFP(k, type), b.CreateSelect(tiny, c(-mantissa), c(0)));
  llvm::Value *f = sub(m, c(1)), *square = mul(f, f), *rest; // log(m) = f + rest
  if (wide) {
    llvm::Value *s = b.CreateFDiv(f, add(f, c(2))), *z = mul(s, s), *half = mul(c(0.5), square);
    rest = sub(mul(s, fma(z, poly(z, kLog64), half)), half);
  } else {
    rest = fma(c(-0.5), square, mul(mul(f, square), poly(f, kLog32)));
  }
  llvm::Value *result;
  if (base2) { // f has few bits: its product with the rounded constant needs the constant's rest
    llvm::Value *high = c(wide ? 1.4426950408889634 : 1.44269502162933350),
                *low = c(wide ? 2.0355273740931033e-17 : 1.92596299113e-8);
    llvm::Value *tail = fma(rest, high, mul(f, low));
    result = add(e, mul(f, high));
    llvm::Value *lost = fma(f, high, sub(e, result)); // exact where e is 0 or dominates
    result = add(result, add(lost, tail));
  } else {
    result = add(f, fma(e, c(wide ? 0x1.ef35793c7673p-45 : 1.42860682030941723e-6), rest));
    result = fma(e, c(wide ? 0x1.62e42fefa38p-1 : 0x1.62e4p-1), result);
  }
  llvm::Constant *infinity = llvm::ConstantFP::getInfinity(type);
  result = b.CreateSelect(b.CreateFCmpOLT(x, infinity), result, x); // infinity and NaN are their own logarithms
  result = b.CreateSelect(b.CreateFCmpOEQ(x, c(0)), llvm::ConstantFP::getInfinity(type, true), result);
  return b.CreateSelect(b.CreateFCmpOLT(x, c(0)), llvm::ConstantFP::getNaN(type), result);
}

/// Both for |x| < 1100.
Scaled MathBuilder::expMinusOneOf(Pair x) {
  Scaled result;
  result.n = whole(x.high, 1.44269504088896340736, result.bits);
  llvm::Value *first = fma(result.n, c(-0x1.62e42fefa38p-1), x.high); // exact
  llvm::Value *r = fma(result.n, c(-0x1.ef35793c7673p-45), first), *low = x.low;
  if (exact)
    low = lowSum(fma(result.n, c(-0x1.ef35793c7673p-45), sub(first, r)), x.low);
  llvm::Value *tail = mul(mul(r, r), poly(r, pick(kExp64, kExpMiddle)));
  if (low)
    tail = add(tail, fma(low, add(r, tail), low)); // low * exp(r)
  result.p = quickSum(r, tail);
  return result;
}

Scaled MathBuilder::expOf(Pair x) {
  Scaled result = expMinusOneOf(x);
  Pair one = quickSum(c(1), result.p.high);
  result.p = quickSum(one.high, lowSum(one.low, result.p.low));
  return result;
}

/// x = 2^e m as in log(); with s = f / (2 + f), f = m - 1, log(m) = 2s + s^3 (2/3 + s^2 ...), of which the first two
/// terms are pairs.
Pair MathBuilder::logOf(Pair x) {
  llvm::Value *tiny = less(x.high, 0x1p-1022);
  llvm::Value *bits = bitsOf(b.CreateSelect(tiny, mul(x.high, c(0x1p52)), x.high));
  llvm::Value *k = b.CreateAShr(b.CreateSub(bits, i(0x3fe6a09e667f3bcd)), i(52));
  llvm::Value *m = fromBits(b.CreateSub(bits, b.CreateShl(k, i(52))));
  llvm::Value *narrow = b.CreateTrunc(k, like(b.getInt32Ty()));
  llvm::Value *e = add(b.CreateSIToFP(narrow, type), b.CreateSelect(tiny, c(-52), c(0)));
  llvm::Value *f = sub(m, c(1));
  if (!exact) {
    llvm::Value *s = div(f, add(f, c(2))), *z = mul(s, s);
    llvm::Value *log = fma(mul(s, z), poly(z, kLogMiddle), add(s, s));
    return {fma(e, c(0.6931471805599453), log)};
  }
  llvm::Value *rest =
      x.low ? mul(x.low, power(b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, b.CreateNeg(k), i(-1022)))) : nullptr;
  Pair two = quickSum(c(2), f);
  Pair s = over({f, rest}, {two.high, lowSum(two.low, rest)}), z = times(s, s);
  Pair inner = quickSum(c(0.6666666666666666), mul(z.high, poly(z.high, kLogTail)));
  inner.low = add(inner.low, c(3.700743415417188e-17));
  Pair log = plus(twice(s, 2), times(s, times(z, inner)));
  return plus({mul(e, c(0x1.62e42fefa38p-1)), mul(e, c(0x1.ef35793c7673p-45))}, log);
}

llvm::Value *MathBuilder::tanh(llvm::Value *x) {
  llvm::Value *size = abs(x), *z = mul(x, x);
  llvm::Value *small = fma(mul(x, z), poly(z, kTanh), x);
  llvm::Value *large = sub(c(1), b.CreateFDiv(c(2), add(exp(add(size, size)), c(1))));
  llvm::Value *value = b.CreateSelect(b.CreateFCmpOLT(size, c(0.625)), small, large); // -0 keeps its sign
  return copySign(value, x);
}

llvm::Value *MathBuilder::erf(llvm::Value *x) {
  llvm::Value *size = abs(x), *z = mul(x, x);
  llvm::Value *small = fma(x, poly(z, kErf), x);
  llvm::Value *large = sub(c(1), exp(poly(atMost(size, 4), kErfTail)));
  return b.CreateSelect(b.CreateFCmpOLT(size, c(1)), small, copySign(large, x));
}

/// Functions that are longer in f64 than is good in place.
static const char *wideSymbol(OpKind kind) {
  switch (kind) {
  case OpKind::Sin:
    return "__nv_sin";
  case OpKind::Cos:
    return "__nv_cos";
  case OpKind::Tanh:
    return "__nv_tanh";
  case OpKind::Erf:
    return "__nv_erf";
  default:
    return nullptr;
  }
}

/// Null where the kind is no function of one float.
llvm::Value *Emitter::math(OpKind kind, llvm::Value *x) {
  MathBuilder m(b, level, x->getType());
  if (const char *symbol = m.isWide() ? wideSymbol(kind) : nullptr)
    return callLibdevice(libdevice::find(symbol), {x});
  llvm::FastMathFlags saved = b.getFastMathFlags();
  b.clearFastMathFlags(); // every fusion below is written out
  llvm::Value *result = nullptr;
  switch (kind) {
  case OpKind::Sqrt:
  case OpKind::PreciseSqrt:
    result = call(llvm::Intrinsic::sqrt, {x});
    break;
  case OpKind::Rsqrt:
    result = b.CreateFDiv(m.c(1), call(llvm::Intrinsic::sqrt, {x}));
    break;
  case OpKind::Floor:
    result = call(llvm::Intrinsic::floor, {x});
    break;
  case OpKind::Ceil:
    result = call(llvm::Intrinsic::ceil, {x});
    break;
  case OpKind::Exp:
    result = m.exp(x);
    break;
  case OpKind::Exp2:
    result = m.expTwo(x);
    break;
  case OpKind::Log:
    result = m.log(x, false);
    break;
  case OpKind::Log2:
    result = m.log(x, true);
    break;
  case OpKind::Sin:
  case OpKind::Cos:
    result = m.sinCos(x, kind == OpKind::Cos, target);
    break;
  case OpKind::Tanh:
    result = m.tanh(x);
    break;
  case OpKind::Erf:
    result = m.erf(x);
    break;
  default:
    break;
  }
  b.setFastMathFlags(saved);
  return result;
}

} // namespace opw::cpu
