// Whole numbers, directed rounding and conversions. A directed result is the nearest one, moved by one place where the
// exact rest says so: nothing depends on a mode of the processor. In f32 the exact value is a sum of two f64; in f64
// the operands are first brought near 1, where no rest is lost below the range.
#include "codegen/cpu/libdevice.h"

namespace opw::cpu::libdevice {

using llvm::Intrinsic::ID;

namespace {

/// The neighbour of x: towards infinity where `up`, towards -infinity elsewhere.
Value *neighbour(MathBuilder &m, Value *x, bool up) {
  auto &b = m.b;
  Value *bits = m.bitsOf(x), *step = b.CreateSelect(m.signOf(x), m.i(up ? -1 : 1), m.i(up ? 1 : -1));
  Value *least = m.fromBits(b.CreateOr(m.i(1), up ? m.i(0) : m.bitsOf(m.c(-0.0))));
  return m.select(m.equal(x, 0), least, m.fromBits(b.CreateAdd(bits, step)));
}

/// r is the nearest value, `rest` has the sign of what it lacks. `finite`: the exact value is finite.
Value *direct(MathBuilder &m, Toward toward, Value *r, Value *rest, Value *finite) {
  auto &b = m.b;
  auto largest = [&](bool negative) {
    auto &semantics = m.type->getScalarType()->getFltSemantics();
    return llvm::ConstantFP::get(m.type, llvm::APFloat::getLargest(semantics, negative));
  };
  Value *lower = m.less(rest, 0), *higher = m.more(rest, 0);
  Value *result = r;
  Value *positive = b.CreateNot(m.signOf(r));
  if (toward == Toward::Down || toward == Toward::Zero) {
    Value *move = toward == Toward::Zero ? m.both(lower, positive) : lower;
    result = m.select(move, neighbour(m, r, false), result);
  }
  if (toward == Toward::Up || toward == Toward::Zero) {
    Value *move = toward == Toward::Zero ? m.both(higher, b.CreateNot(positive)) : higher;
    result = m.select(move, neighbour(m, r, true), result);
  }
  Value *overflow = m.both(finite, m.equal(m.abs(r), m.infinity()));
  Value *bound = r;
  if (toward != Toward::Up)
    bound = m.select(positive, largest(false), bound);
  if (toward != Toward::Down)
    bound = m.select(positive, bound, largest(true));
  return m.select(overflow, bound, m.select(m.less(m.abs(r), m.infinity()), result, r));
}

Value *finite(MathBuilder &m, Args in) {
  Value *all = nullptr;
  for (Value *x : in) {
    Value *one = m.less(m.abs(x), m.infinity());
    all = all ? m.both(all, one) : one;
  }
  return all;
}

/// The nearest f32 of an exact sum, moved.
Value *toF32(MathBuilder &wide, Toward toward, Pair x, Value *finite) {
  MathBuilder m(wide.b, wide.level, wide.like(wide.b.getFloatTy()));
  Value *r = wide.b.CreateFPTrunc(x.high, m.type);
  Value *difference = wide.sub(x.high, wide.b.CreateFPExt(r, wide.type));
  Value *rest = wide.select(wide.equal(difference, 0), wide.lowOf(x), difference);
  Value *sign = wide.select(wide.less(rest, 0), wide.c(-1), wide.select(wide.more(rest, 0), wide.c(1), wide.c(0)));
  return direct(m, toward, r, wide.b.CreateFPTrunc(sign, m.type), finite);
}

MathBuilder wideOf(MathBuilder &m) { return MathBuilder(m.b, m.level, m.like(m.b.getDoubleTy())); }

/// r * 2^-e, for the r that belongs to operands with the exponent e: exact.
Value *normalized(MathBuilder &m, Value *r, Value *e) {
  auto &b = m.b;
  Value *down = b.CreateNeg(e);
  down = b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, down, m.i(1200)); // r is 0 there
  down = b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, down, m.i(-1200));
  Value *quarter = b.CreateAShr(down, m.i(1));
  return m.mul(m.mul(r, m.power(quarter)), m.power(b.CreateSub(down, quarter)));
}

/// The rest of fma(x, y, z), after Boldo and Muller: two floats hold it, of which the larger has the sign.
Value *restOfFma(MathBuilder &m, Value *x, Value *y, Value *z, Value *r) {
  Pair u = m.twoProduct(x, y), a = m.twoSum(z, u.low), s = m.twoSum(u.high, a.high);
  return m.add(m.add(m.sub(s.high, r), s.low), a.low);
}

Value *fmaOf(MathBuilder &m, Toward toward, Value *x, Value *y, Value *z) {
  auto &b = m.b;
  Value *r = m.fma(x, y, z);
  if (toward == Toward::Nearest)
    return r;
  Value *isFinite = finite(m, {x, y, z}), *result, *nothing;
  if (!m.wide) {
    MathBuilder w = wideOf(m);
    auto ext = [&](Value *v) { return b.CreateFPExt(v, w.type); };
    Pair sum = w.twoSum(w.mul(ext(x), ext(y)), ext(z)); // the product is exact
    result = toF32(w, toward, sum, isFinite);
    nothing = w.equal(sum.high, 0);
  } else {
    Value *ex, *ey, *ez, *mx = m.split(x, ex), *my = m.split(y, ey), *mz = m.split(z, ez);
    Value *ep = b.CreateAdd(ex, ey);
    Value *product0 = m.either(m.equal(x, 0), m.equal(y, 0)), *z0 = m.equal(z, 0);
    ep = b.CreateSelect(product0, m.i(-4000), ep);
    ez = b.CreateSelect(z0, m.i(-4000), ez);
    mx = m.select(product0, m.c(0), mx);
    mz = m.select(z0, m.c(0), mz);
    Value *e = b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, ep, ez);
    // what is far below the other one only has a sign
    auto below = [&](Value *k) {
      return m.power(b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, b.CreateSub(k, e), m.i(-300)));
    };
    Value *rest = restOfFma(m, m.mul(mx, below(ep)), my, m.mul(mz, below(ez)), normalized(m, r, e));
    result = direct(m, toward, r, rest, isFinite);
    nothing = m.both(m.equal(r, 0), m.equal(rest, 0));
  }
  // an exact sum of 0 has the sign of the mode, where the terms do not agree
  if (toward == Toward::Down) {
    Value *product = b.CreateXor(m.signOf(x), m.signOf(y));
    Value *differ = b.CreateXor(product, m.signOf(z));
    result = m.select(m.both(nothing, differ), m.c(-0.0), result);
  }
  return result;
}

Value *addOf(MathBuilder &m, Toward toward, Value *x, Value *y) {
  auto &b = m.b;
  if (toward == Toward::Nearest)
    return m.add(x, y);
  Value *isFinite = finite(m, {x, y}), *result;
  if (m.wide) {
    Pair sum = m.twoSum(x, y);
    result = direct(m, toward, sum.high, sum.low, isFinite);
  } else {
    MathBuilder w = wideOf(m);
    result = toF32(w, toward, w.twoSum(b.CreateFPExt(x, w.type), b.CreateFPExt(y, w.type)), isFinite);
  }
  if (toward == Toward::Down)
    result = m.select(m.both(m.equal(result, 0), b.CreateXor(m.signOf(x), m.signOf(y))), m.c(-0.0), result);
  return result;
}

Value *divOf(MathBuilder &m, Toward toward, Value *x, Value *y) {
  auto &b = m.b;
  Value *r = m.div(x, y);
  if (toward == Toward::Nearest)
    return r;
  // x / 0 is an exact infinity
  Value *isFinite = m.both(finite(m, {x, y}), b.CreateFCmpUNE(y, m.c(0)));
  Value *ordinary = m.both(isFinite, b.CreateFCmpUNE(x, m.c(0)));
  if (!m.wide) {
    MathBuilder w = wideOf(m);
    Value *wx = b.CreateFPExt(x, w.type), *wy = b.CreateFPExt(y, w.type), *q = w.div(wx, wy);
    Value *rest = w.fma(w.neg(q), wy, wx);
    rest = w.select(w.signOf(wy), w.neg(rest), rest);
    return m.select(ordinary, toF32(w, toward, {q, rest}, isFinite), r);
  }
  Value *ex, *ey, *mx = m.split(x, ex), *my = m.split(y, ey);
  Value *rest = m.fma(m.neg(normalized(m, r, b.CreateSub(ex, ey))), my, mx);
  rest = m.select(m.signOf(y), m.neg(rest), rest);
  return m.select(ordinary, direct(m, toward, r, rest, isFinite), r);
}

Value *sqrtOf(MathBuilder &m, Toward toward, Value *x) {
  auto &b = m.b;
  Value *r = m.sqrt(x);
  if (toward == Toward::Nearest)
    return r;
  Value *ordinary = m.both(m.more(x, 0), m.less(x, m.infinity())), *result;
  if (!m.wide) {
    MathBuilder w = wideOf(m);
    Value *wx = b.CreateFPExt(x, w.type), *s = w.sqrt(wx);
    result = toF32(w, toward, {s, w.fma(w.neg(s), s, wx)}, ordinary);
  } else {
    Value *e, *mantissa = m.split(x, e), *odd = b.CreateAnd(e, m.i(1));
    mantissa = m.mul(mantissa, m.power(odd));
    Value *root = normalized(m, r, b.CreateAShr(e, m.i(1)));
    result = direct(m, toward, r, m.fma(m.neg(root), root, mantissa), ordinary);
  }
  return m.select(ordinary, result, r);
}

Value *mulOf(MathBuilder &m, Toward toward, Value *x, Value *y) {
  auto &b = m.b;
  Value *r = m.mul(x, y);
  if (toward == Toward::Nearest)
    return r;
  Value *isFinite = finite(m, {x, y});
  Value *ordinary = m.both(isFinite, m.both(b.CreateFCmpUNE(x, m.c(0)), b.CreateFCmpUNE(y, m.c(0)))), *result;
  if (!m.wide) {
    MathBuilder w = wideOf(m);
    result = toF32(w, toward, {w.mul(b.CreateFPExt(x, w.type), b.CreateFPExt(y, w.type))}, isFinite);
  } else {
    Value *ex, *ey, *mx = m.split(x, ex), *my = m.split(y, ey);
    Value *rest = m.fma(mx, my, m.neg(normalized(m, r, b.CreateAdd(ex, ey))));
    result = direct(m, toward, r, rest, isFinite);
  }
  // a product too small for any bits is 0 with its own sign, and moves away from there
  return m.select(ordinary, result, r);
}

} // namespace

Value *fabs(MathBuilder &m, Args in) { return m.abs(in[0]); }
Value *floor(MathBuilder &m, Args in) { return m.floor(in[0]); }
Value *ceil(MathBuilder &m, Args in) { return m.b.CreateUnaryIntrinsic(llvm::Intrinsic::ceil, in[0]); }
Value *trunc(MathBuilder &m, Args in) { return m.b.CreateUnaryIntrinsic(llvm::Intrinsic::trunc, in[0]); }
Value *rint(MathBuilder &m, Args in) { return m.even(in[0]); }

/// Halves away from 0: the largest float below 1/2 keeps what is below a half there.
Value *round(MathBuilder &m, Args in) {
  Value *half = m.copySign(m.c(m.wide ? 0x1.fffffffffffffp-2 : 0x1.fffffep-2), in[0]);
  return m.copySign(trunc(m, {m.add(in[0], half)}), in[0]);
}
Value *llround(MathBuilder &m, Args in) { return toInt<Toward::Zero, 64, true>(m, {round(m, in)}); }

Value *copySign(MathBuilder &m, Args in) { return m.copySign(in[0], in[1]); }

/// To [0, 1]; NaN to 0.
Value *saturate(MathBuilder &m, Args in) {
  Value *low = m.select(m.more(in[0], 0), in[0], m.c(0));
  return m.select(m.less(low, 1), low, m.c(1));
}

Value *fdim(MathBuilder &m, Args in) {
  Value *difference = m.select(m.b.CreateFCmpOLE(in[0], in[1]), m.c(0), m.sub(in[0], in[1]));
  return difference;
}

/// Of a number and a NaN the number; -0 is below 0.
static Value *extreme(MathBuilder &m, Args in, ID id) {
  Value *both = m.b.CreateBinaryIntrinsic(id, in[0], in[1]);
  return m.select(m.isNan(in[0]), in[1], m.select(m.isNan(in[1]), in[0], both));
}
Value *fmin(MathBuilder &m, Args in) { return extreme(m, in, llvm::Intrinsic::minimum); }
Value *fmax(MathBuilder &m, Args in) { return extreme(m, in, llvm::Intrinsic::maximum); }

Value *nearestRemainder(MathBuilder &m, Args in) {
  Value *x = in[0], *y = m.abs(in[1]), *r = in[2];
  Value *once = m.more(m.add(r, r), y); // 0 <= r < 2y
  Value *less = m.sub(r, y);
  Value *twice = m.both(once, m.b.CreateFCmpOGE(m.add(less, less), y));
  Value *result = m.select(once, less, r);
  result = m.select(twice, m.sub(less, y), result);
  result = m.select(m.equal(result, 0), m.c(0), result); // x - x is +0 on the way
  Value *flipped = m.select(m.signOf(x), m.neg(result), result);
  return m.select(m.isNan(r), m.nan(), flipped);
}

template <Toward toward> Value *fma(MathBuilder &m, Args in) { return fmaOf(m, toward, in[0], in[1], in[2]); }
template <Toward toward> Value *add(MathBuilder &m, Args in) { return addOf(m, toward, in[0], in[1]); }
template <Toward toward> Value *sub(MathBuilder &m, Args in) { return addOf(m, toward, in[0], m.neg(in[1])); }
template <Toward toward> Value *mul(MathBuilder &m, Args in) { return mulOf(m, toward, in[0], in[1]); }
template <Toward toward> Value *div(MathBuilder &m, Args in) { return divOf(m, toward, in[0], in[1]); }
template <Toward toward> Value *reciprocal(MathBuilder &m, Args in) { return divOf(m, toward, m.c(1), in[0]); }
template <Toward toward> Value *sqrt(MathBuilder &m, Args in) { return sqrtOf(m, toward, in[0]); }

template <Toward toward> Value *narrow(MathBuilder &m, Args in) {
  MathBuilder w = wideOf(m);
  if (toward == Toward::Nearest)
    return m.b.CreateFPTrunc(in[0], m.like(m.b.getFloatTy()));
  return toF32(w, toward, {in[0]}, finite(w, in));
}

/// Saturates. NaN is 0, or of 64 bits and from f64 the top bit, as on the GPU.
template <Toward toward, unsigned bits, bool sign> Value *toInt(MathBuilder &m, Args in) {
  static constexpr ID kRound[] = {llvm::Intrinsic::roundeven, llvm::Intrinsic::trunc, llvm::Intrinsic::floor,
                                  llvm::Intrinsic::ceil};
  llvm::Type *to = m.like(m.b.getIntNTy(bits));
  Value *whole = toward == Toward::Zero ? in[0] : m.b.CreateUnaryIntrinsic(kRound[unsigned(toward)], in[0]);
  ID id = sign ? llvm::Intrinsic::fptosi_sat : llvm::Intrinsic::fptoui_sat;
  Value *result = m.b.CreateIntrinsic(id, {to, m.type}, {whole});
  if (bits == 32 && !m.wide)
    return result;
  Value *top = llvm::ConstantInt::get(to, uint64_t{1} << (bits - 1));
  return m.b.CreateSelect(m.isNan(in[0]), top, result);
}

template <Toward toward, unsigned bits, bool sign> Value *fromInt(MathBuilder &m, Args in) {
  auto &b = m.b;
  if (toward == Toward::Nearest || (m.wide && bits == 32))
    return sign ? b.CreateSIToFP(in[0], m.type) : b.CreateUIToFP(in[0], m.type);
  MathBuilder w = wideOf(m);
  Pair exact{nullptr};
  if (bits == 32) {
    exact.high = sign ? b.CreateSIToFP(in[0], w.type) : b.CreateUIToFP(in[0], w.type);
  } else {
    llvm::Type *half = m.like(b.getInt32Ty());
    Value *top = b.CreateTrunc(b.CreateLShr(in[0], 32), half), *low = b.CreateTrunc(in[0], half);
    Value *high = sign ? b.CreateSIToFP(top, w.type) : b.CreateUIToFP(top, w.type);
    exact = w.twoSum(w.mul(high, w.c(0x1p32)), b.CreateUIToFP(low, w.type));
  }
  Value *always = llvm::ConstantInt::getTrue(m.like(b.getInt1Ty()));
  return m.wide ? direct(m, toward, exact.high, exact.low, always) : toF32(w, toward, exact, always);
}

/// 1/x of which the upper word counts.
Value *reciprocalHigh(MathBuilder &m, Args in) {
  Value *inverse = m.div(m.c(1), in[0]);
  return m.fromBits(m.b.CreateAnd(m.bitsOf(inverse), m.i(int64_t(0xffffffff00000000))));
}

#define OPW_TOWARD(toward)                                                                                             \
  template Value *fma<toward>(MathBuilder &, Args);                                                                    \
  template Value *add<toward>(MathBuilder &, Args);                                                                    \
  template Value *sub<toward>(MathBuilder &, Args);                                                                    \
  template Value *mul<toward>(MathBuilder &, Args);                                                                    \
  template Value *div<toward>(MathBuilder &, Args);                                                                    \
  template Value *reciprocal<toward>(MathBuilder &, Args);                                                             \
  template Value *sqrt<toward>(MathBuilder &, Args);                                                                   \
  template Value *narrow<toward>(MathBuilder &, Args);                                                                 \
  template Value *toInt<toward, 32, true>(MathBuilder &, Args);                                                        \
  template Value *toInt<toward, 32, false>(MathBuilder &, Args);                                                       \
  template Value *toInt<toward, 64, true>(MathBuilder &, Args);                                                        \
  template Value *toInt<toward, 64, false>(MathBuilder &, Args);                                                       \
  template Value *fromInt<toward, 32, true>(MathBuilder &, Args);                                                      \
  template Value *fromInt<toward, 32, false>(MathBuilder &, Args);                                                     \
  template Value *fromInt<toward, 64, true>(MathBuilder &, Args);                                                      \
  template Value *fromInt<toward, 64, false>(MathBuilder &, Args);
OPW_TOWARD(Toward::Nearest)
OPW_TOWARD(Toward::Zero)
OPW_TOWARD(Toward::Down)
OPW_TOWARD(Toward::Up)

} // namespace opw::cpu::libdevice
