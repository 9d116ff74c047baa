// Functions on integers and on the bits of floats.
#include "codegen/cpu/libdevice.h"

#include <climits>

namespace opw::cpu::libdevice {

using llvm::ConstantInt;

namespace {

llvm::Constant *integer(Value *like, int64_t value) { return ConstantInt::get(like->getType(), uint64_t(value), true); }
Value *to32(MathBuilder &m, Value *x) { return m.b.CreateZExtOrTrunc(x, m.like(m.b.getInt32Ty())); }

/// On values of twice the width.
template <typename Body> Value *inTwice(MathBuilder &m, Args in, bool sign, Body body) {
  llvm::Type *type = in[0]->getType(), *twice = type->getWithNewBitWidth(2 * type->getScalarSizeInBits());
  auto extend = [&](Value *x) { return sign ? m.b.CreateSExt(x, twice) : m.b.CreateZExt(x, twice); };
  return m.b.CreateTrunc(body(extend(in[0]), extend(in[1])), type);
}

} // namespace

Value *clz(MathBuilder &m, Args in) {
  return to32(m, m.b.CreateBinaryIntrinsic(llvm::Intrinsic::ctlz, in[0], m.b.getFalse()));
}
Value *popc(MathBuilder &m, Args in) { return to32(m, m.b.CreateUnaryIntrinsic(llvm::Intrinsic::ctpop, in[0])); }
Value *brev(MathBuilder &m, Args in) { return m.b.CreateUnaryIntrinsic(llvm::Intrinsic::bitreverse, in[0]); }

/// The place of the lowest bit from 1 on; 0 of 0.
Value *ffs(MathBuilder &m, Args in) {
  Value *place =
      m.b.CreateAdd(m.b.CreateBinaryIntrinsic(llvm::Intrinsic::cttz, in[0], m.b.getFalse()), integer(in[0], 1));
  return to32(m, m.b.CreateSelect(m.b.CreateICmpEQ(in[0], integer(in[0], 0)), integer(in[0], 0), place));
}

/// Byte k of the result is byte s & 7 of y:x, s being nibble k of the selector; with bit 3 its sign in all bits.
Value *bytePerm(MathBuilder &m, Args in) {
  auto &b = m.b;
  llvm::Type *i64 = m.like(b.getInt64Ty());
  Value *both = b.CreateOr(b.CreateZExt(in[0], i64), b.CreateShl(b.CreateZExt(in[1], i64), 32));
  Value *result = integer(in[0], 0);
  for (unsigned k = 0; k < 4; k++) {
    Value *nibble = b.CreateLShr(in[2], 4 * k);
    Value *place = b.CreateShl(b.CreateZExt(b.CreateAnd(nibble, integer(in[0], 7)), i64), 3);
    Value *byte = b.CreateAnd(b.CreateTrunc(b.CreateLShr(both, place), in[0]->getType()), integer(in[0], 255));
    Value *sign = b.CreateAnd(b.CreateAShr(b.CreateShl(byte, 24), 31), integer(in[0], 255));
    Value *asSign = b.CreateICmpNE(b.CreateAnd(nibble, integer(in[0], 8)), integer(in[0], 0));
    result = b.CreateOr(result, b.CreateShl(b.CreateSelect(asSign, sign, byte), 8 * k));
  }
  return result;
}

Value *mulHigh(MathBuilder &m, Args in) {
  return inTwice(m, in, true, [&](Value *x, Value *y) {
    return m.b.CreateLShr(m.b.CreateMul(x, y), x->getType()->getScalarSizeInBits() / 2);
  });
}
Value *umulHigh(MathBuilder &m, Args in) {
  return inTwice(m, in, false, [&](Value *x, Value *y) {
    return m.b.CreateLShr(m.b.CreateMul(x, y), x->getType()->getScalarSizeInBits() / 2);
  });
}
Value *mul24(MathBuilder &m, Args in) {
  auto low = [&](Value *x) { return m.b.CreateAShr(m.b.CreateShl(x, 8), 8); };
  return m.b.CreateMul(low(in[0]), low(in[1]));
}
Value *umul24(MathBuilder &m, Args in) {
  auto low = [&](Value *x) { return m.b.CreateAnd(x, integer(x, 0xffffff)); };
  return m.b.CreateMul(low(in[0]), low(in[1]));
}

Value *minSigned(MathBuilder &m, Args in) { return m.b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, in[0], in[1]); }
Value *maxSigned(MathBuilder &m, Args in) { return m.b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, in[0], in[1]); }
Value *minUnsigned(MathBuilder &m, Args in) { return m.b.CreateBinaryIntrinsic(llvm::Intrinsic::umin, in[0], in[1]); }
Value *maxUnsigned(MathBuilder &m, Args in) { return m.b.CreateBinaryIntrinsic(llvm::Intrinsic::umax, in[0], in[1]); }

/// |x - y| + z
Value *sad(MathBuilder &m, Args in) { return m.b.CreateAdd(m.b.CreateSub(maxSigned(m, in), minSigned(m, in)), in[2]); }
Value *usad(MathBuilder &m, Args in) {
  return m.b.CreateAdd(m.b.CreateSub(maxUnsigned(m, in), minUnsigned(m, in)), in[2]);
}
Value *absInt(MathBuilder &m, Args in) {
  return m.b.CreateBinaryIntrinsic(llvm::Intrinsic::abs, in[0], m.b.getFalse());
}

// Means, down or up: what two numbers share and half of what they do not.
Value *hadd(MathBuilder &m, Args in) {
  return m.b.CreateAdd(m.b.CreateAnd(in[0], in[1]), m.b.CreateAShr(m.b.CreateXor(in[0], in[1]), 1));
}
Value *uhadd(MathBuilder &m, Args in) {
  return m.b.CreateAdd(m.b.CreateAnd(in[0], in[1]), m.b.CreateLShr(m.b.CreateXor(in[0], in[1]), 1));
}
Value *rhadd(MathBuilder &m, Args in) {
  return m.b.CreateSub(m.b.CreateOr(in[0], in[1]), m.b.CreateAShr(m.b.CreateXor(in[0], in[1]), 1));
}
Value *urhadd(MathBuilder &m, Args in) {
  return m.b.CreateSub(m.b.CreateOr(in[0], in[1]), m.b.CreateLShr(m.b.CreateXor(in[0], in[1]), 1));
}

Value *bitsAs(MathBuilder &m, Args in) { return m.bitsOf(in[0]); }
Value *asFloat(MathBuilder &m, Args in) { return m.fromBits(in[0]); }
Value *hiLoToDouble(MathBuilder &m, Args in) {
  Value *high = m.b.CreateShl(m.b.CreateZExt(in[0], m.integers), 32);
  return m.fromBits(m.b.CreateOr(high, m.b.CreateZExt(in[1], m.integers)));
}
Value *lowWord(MathBuilder &m, Args in) { return to32(m, m.bitsOf(in[0])); }
Value *highWord(MathBuilder &m, Args in) { return to32(m, m.b.CreateLShr(m.bitsOf(in[0]), 32)); }

Value *isNan(MathBuilder &m, Args in) { return to32(m, m.isNan(in[0])); }
Value *isInf(MathBuilder &m, Args in) { return to32(m, m.equal(m.abs(in[0]), m.infinity())); }
Value *isFinite(MathBuilder &m, Args in) { return to32(m, m.less(m.abs(in[0]), m.infinity())); }
Value *signBit(MathBuilder &m, Args in) { return to32(m, m.signOf(in[0])); }

Value *ilogb(MathBuilder &m, Args in) {
  Value *e;
  m.split(in[0], e);
  Value *result = to32(m, e);
  Value *wrong = m.either(m.equal(in[0], 0), m.isNan(in[0]));
  result = m.b.CreateSelect(wrong, integer(result, INT_MIN), result);
  return m.b.CreateSelect(m.equal(m.abs(in[0]), m.infinity()), integer(result, INT_MAX), result);
}

Value *logb(MathBuilder &m, Args in) {
  Value *e;
  m.split(in[0], e);
  Value *result = m.select(m.equal(in[0], 0), m.neg(m.infinity()), m.b.CreateSIToFP(to32(m, e), m.type));
  return m.select(m.less(m.abs(in[0]), m.infinity()), result, m.abs(in[0])); // infinity, and NaN stays
}

/// x * 2^n with one rounding: the mantissa is scaled, which is neither tiny nor huge.
Value *ldexp(MathBuilder &m, Args in) {
  auto &b = m.b;
  Value *e, *mantissa = m.split(in[0], e);
  Value *n = b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, in[1], integer(in[1], -5000));
  n = b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, n, integer(n, 5000));
  Value *sum = b.CreateAdd(to32(m, e), n);
  sum = b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, sum, integer(sum, m.wide ? -1100 : -160));
  sum = b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, sum, integer(sum, m.wide ? 1030 : 130));
  Value *result = m.scale(mantissa, b.CreateSIToFP(sum, m.type), b.CreateSExtOrTrunc(sum, m.integers));
  Value *ordinary = m.both(m.less(m.abs(in[0]), m.infinity()), m.b.CreateFCmpUNE(in[0], m.c(0)));
  return m.select(ordinary, result, in[0]);
}

Value *nextAfter(MathBuilder &m, Args in) {
  auto &b = m.b;
  Value *x = in[0], *y = in[1], *bits = m.bitsOf(x);
  Value *grows = b.CreateXor(m.signOf(x), m.less(x, y)); // away from 0
  Value *next = b.CreateAdd(bits, b.CreateSelect(grows, m.i(1), m.i(-1)));
  Value *least = m.copySign(m.fromBits(m.i(1)), y);
  Value *result = m.select(m.equal(x, 0), least, m.fromBits(next));
  result = m.select(m.equal(x, y), y, result);
  return m.select(m.either(m.isNan(x), m.isNan(y)), m.nan(), result);
}

} // namespace opw::cpu::libdevice
