// Conversions between float formats. The small formats are integers of their width (emitter.h).
#include "codegen/cpu/emitter.h"

#include "llvm/IR/Intrinsics.h"

#include <cmath>

namespace opw::cpu {

using namespace ir;
using llvm::ConstantInt;

namespace {

llvm::Constant *integer(llvm::Type *type, int64_t value) { return ConstantInt::get(type, uint64_t(value), true); }

/// A float format of 8 bits.
struct SmallFormat {
  unsigned mantissa, bias;
  uint32_t largest;    ///< bits of the largest finite value
  bool minusZeroIsNan; ///< that is the only NaN
};

SmallFormat smallFormat(Elem elem) {
  switch (elem) {
  case Elem::F8E5M2:
    return {2, 15, 0x7b, false};
  case Elem::F8E4M3FNUZ:
    return {3, 8, 0x7f, true};
  case Elem::F8E5M2FNUZ:
    return {2, 16, 0x7f, true};
  default:
    return {3, 7, 0x7e, false};
  }
}

llvm::Type *likeShape(llvm::Type *element, llvm::Value *of) {
  if (auto *vector = llvm::dyn_cast<llvm::FixedVectorType>(of->getType()))
    return llvm::FixedVectorType::get(element, vector->getNumElements());
  return element;
}

} // namespace

llvm::Value *Emitter::toFloat(llvm::Value *x, Elem from) {
  llvm::Type *f32 = likeShape(b.getFloatTy(), x);
  switch (from) {
  case Elem::F32:
  case Elem::F64:
    return x;
  case Elem::F16:
    return b.CreateFPExt(b.CreateBitCast(x, likeShape(b.getHalfTy(), x)), f32);
  case Elem::BF16: {
    llvm::Type *i32 = likeShape(b.getInt32Ty(), x);
    return b.CreateBitCast(b.CreateShl(b.CreateZExt(x, i32), integer(i32, 16)), f32);
  }
  default:
    return fromSmall(x, from);
  }
}

llvm::Value *Emitter::fromFloat(llvm::Value *x, Elem to) {
  Elem from = x->getType()->getScalarType()->isDoubleTy() ? Elem::F64 : Elem::F32;
  return convertFloat(x, from, to, false);
}

/// Rounding to odd keeps the information that a second rounding to fewer bits needs to be right.
llvm::Value *Emitter::toOdd(llvm::Value *x) {
  llvm::Type *f32 = likeShape(b.getFloatTy(), x), *i32 = likeShape(b.getInt32Ty(), x);
  llvm::Value *near = b.CreateFPTrunc(x, f32), *back = b.CreateFPExt(near, x->getType());
  llvm::Value *bits = b.CreateBitCast(near, i32);
  auto magnitude = [&](llvm::Value *v) { return b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, v); };
  llvm::Value *above = b.CreateFCmpOGT(magnitude(back), magnitude(x));
  llvm::Value *cut = b.CreateSub(bits, b.CreateZExt(above, i32));
  llvm::Value *inexact = b.CreateFCmpONE(back, x);
  return b.CreateBitCast(b.CreateOr(cut, b.CreateZExt(inexact, i32)), f32);
}

llvm::Value *Emitter::convertFloat(llvm::Value *x, Elem from, Elem to, bool towardZero) {
  if (from == to)
    return x;
  llvm::FastMathFlags saved = b.getFastMathFlags();
  b.clearFastMathFlags();
  llvm::Value *result;
  llvm::Value *wide = toFloat(x, from);
  auto magnitude = [&](llvm::Value *v) { return b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, v); };
  if (to == Elem::F64) {
    result = b.CreateFPExt(wide, likeShape(b.getDoubleTy(), wide));
  } else if (to == Elem::F32) {
    result = wide;
    if (from == Elem::F64) {
      result = b.CreateFPTrunc(wide, likeShape(b.getFloatTy(), wide));
      if (towardZero) {
        llvm::Type *i32 = likeShape(b.getInt32Ty(), wide);
        llvm::Value *above = b.CreateFCmpOGT(magnitude(b.CreateFPExt(result, wide->getType())), magnitude(wide));
        result =
            b.CreateBitCast(b.CreateSub(b.CreateBitCast(result, i32), b.CreateZExt(above, i32)), result->getType());
      }
    }
  } else {
    result = toSmall(from == Elem::F64 ? toOdd(wide) : wide, to, towardZero);
  }
  b.setFastMathFlags(saved);
  return result;
}

/// f32 to a format of 16 or 8 bits.
llvm::Value *Emitter::toSmall(llvm::Value *x, Elem to, bool towardZero) {
  llvm::Type *i32 = likeShape(b.getInt32Ty(), x), *i16 = likeShape(b.getInt16Ty(), x),
             *i8 = likeShape(b.getInt8Ty(), x);
  llvm::Value *bits = b.CreateBitCast(x, i32);
  auto at = [&](int64_t value) { return integer(i32, value); };
  if (to == Elem::F16) {
    llvm::Value *half = b.CreateFPTrunc(x, likeShape(b.getHalfTy(), x));
    llvm::Value *result = b.CreateBitCast(half, i16);
    if (!towardZero)
      return result;
    llvm::Value *back = b.CreateFPExt(half, x->getType());
    llvm::Value *above = b.CreateFCmpOGT(b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, back),
                                         b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x));
    return b.CreateSub(result, b.CreateZExt(above, i16));
  }
  llvm::Value *isNan = b.CreateFCmpUNO(x, x);
  if (to == Elem::BF16) {
    llvm::Value *upper = b.CreateLShr(bits, at(16));
    llvm::Value *rounded = upper;
    if (!towardZero) {
      llvm::Value *bias = b.CreateAdd(b.CreateAnd(upper, at(1)), at(0x7fff));
      rounded = b.CreateLShr(b.CreateAdd(bits, bias), at(16));
    }
    return b.CreateTrunc(b.CreateSelect(isNan, b.CreateOr(upper, at(0x40)), rounded), i16);
  }
  // 8 bits: round the magnitude as an integer, at the place that its exponent asks for. The formats without infinities
  // saturate, as Triton's conversions do; e5m2 overflows to infinity.
  const SmallFormat format = smallFormat(to);
  const unsigned mantissa = format.mantissa, bias = format.bias;
  llvm::Value *sign = b.CreateLShr(b.CreateAnd(bits, at(int64_t(0x80000000u))), at(24));
  llvm::Value *size = b.CreateAnd(bits, at(0x7fffffff));
  unsigned drop = 23 - mantissa;
  // normal: rebias, then round to nearest even by an integer addition that may carry into the exponent
  llvm::Value *odd = b.CreateAnd(b.CreateLShr(size, at(drop)), at(1));
  llvm::Value *up = towardZero ? at(0) : b.CreateAdd(odd, at((1 << (drop - 1)) - 1));
  llvm::Value *normal = b.CreateLShr(b.CreateSub(b.CreateAdd(size, up), at(int64_t(127 - bias) << 23)), at(drop));
  // subnormal: the unit is 2^(1 - bias - mantissa), a whole number of which is left
  double scale = 1;
  for (unsigned i = 0; i < bias + mantissa - 1; i++)
    scale *= 2;
  llvm::Value *units = b.CreateFMul(b.CreateBitCast(size, x->getType()), llvm::ConstantFP::get(x->getType(), scale));
  llvm::Value *whole = b.CreateUnaryIntrinsic(towardZero ? llvm::Intrinsic::trunc : llvm::Intrinsic::roundeven, units);
  llvm::Value *few = b.CreateIntrinsic(llvm::Intrinsic::fptosi_sat, {i32, x->getType()}, {whole});
  llvm::Value *isSmall = b.CreateICmpULT(size, at(int64_t(128 - bias) << 23));
  llvm::Value *result = b.CreateSelect(isSmall, few, normal);
  llvm::Value *isLarge = b.CreateICmpUGE(size, at(0x7f800000));
  llvm::Value *over = b.CreateOr(b.CreateICmpUGT(b.CreateSelect(isSmall, at(0), normal), at(format.largest)), isLarge);
  llvm::Value *most = at(format.largest);
  if (to == Elem::F8E5M2)
    most = towardZero ? b.CreateSelect(isLarge, at(0x7c), at(format.largest)) : static_cast<llvm::Value *>(at(0x7c));
  result = b.CreateSelect(over, most, result);
  if (format.minusZeroIsNan) {
    llvm::Value *negative = b.CreateSelect(b.CreateICmpEQ(result, at(0)), at(0), sign);
    return b.CreateTrunc(b.CreateSelect(isNan, at(0x80), b.CreateOr(result, negative)), i8);
  }
  return b.CreateTrunc(b.CreateOr(b.CreateSelect(isNan, at(0x7f), result), sign), i8);
}

llvm::Value *Emitter::fromSmall(llvm::Value *x, Elem from) {
  llvm::Type *i32 = likeShape(b.getInt32Ty(), x), *i16 = likeShape(b.getInt16Ty(), x),
             *f32 = likeShape(b.getFloatTy(), x);
  if (from == Elem::F8E5M2) { // the upper half of an f16
    llvm::Value *half = b.CreateShl(b.CreateZExt(x, i16), integer(i16, 8));
    return toFloat(half, Elem::F16);
  }
  // the exponent and mantissa of an f32, rebiased; subnormals are whole numbers of the least unit; exact either way
  const SmallFormat format = smallFormat(from);
  llvm::Value *wide = b.CreateZExt(x, i32);
  llvm::Value *size = b.CreateAnd(wide, integer(i32, 0x7f));
  llvm::Value *sign = b.CreateShl(b.CreateAnd(wide, integer(i32, 0x80)), integer(i32, 24));
  double unit = std::ldexp(1.0, 1 - int(format.bias) - int(format.mantissa));
  llvm::Value *tiny = b.CreateFMul(b.CreateSIToFP(size, f32), llvm::ConstantFP::get(f32, unit));
  llvm::Value *normal = b.CreateAdd(b.CreateShl(size, integer(i32, 23 - format.mantissa)),
                                    integer(i32, int64_t{127 - int(format.bias)} << 23));
  llvm::Value *isSmall = b.CreateICmpULT(size, integer(i32, int64_t{1} << format.mantissa));
  llvm::Value *bits = b.CreateOr(b.CreateSelect(isSmall, b.CreateBitCast(tiny, i32), normal), sign);
  llvm::Value *isNan =
      format.minusZeroIsNan ? b.CreateICmpEQ(wide, integer(i32, 0x80)) : b.CreateICmpEQ(size, integer(i32, 0x7f));
  return b.CreateBitCast(b.CreateSelect(isNan, integer(i32, 0x7fc00000), bits), f32);
}

} // namespace opw::cpu
