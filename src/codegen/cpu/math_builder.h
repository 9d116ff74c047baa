// The vocabulary that the math functions are written in: constants and operations of one float type, scalar or vector.
#pragma once

#include "codegen/cpu/emitter.h"

#include "llvm/IR/Intrinsics.h"

#include <vector>

namespace opw::cpu {

/// An unevaluated sum: `low` is below half a unit of the last place of `high`. Null where it is not kept.
struct Pair {
  llvm::Value *high;
  llvm::Value *low = nullptr;
};

/// p * 2^n.
struct Scaled {
  Pair p;
  llvm::Value *n;    ///< as a float
  llvm::Value *bits; ///< as an integer
};

class MathBuilder {
public:
  /// `type`: f32 or f64, or a vector of them. `accuracy` in bits: where f64 serves for a result in f32, 24; pairs have
  /// no low parts then, and polynomials are shorter.
  MathBuilder(llvm::IRBuilder<> &builder, const Level &level, llvm::Type *type, unsigned accuracy = 53)
      : b(builder), level(level), type(type), wide(type->getScalarType()->isDoubleTy()), exact(accuracy > 24) {
    integers = builder.getIntNTy(wide ? 64 : 32);
    if (auto *vector = llvm::dyn_cast<llvm::FixedVectorType>(type)) {
      lanes = vector->getNumElements();
      integers = llvm::FixedVectorType::get(integers, lanes);
    }
  }

  llvm::IRBuilder<> &b;
  const Level &level;
  llvm::Type *const type;
  llvm::Type *integers; ///< of the width of `type`
  unsigned lanes = 0;   ///< 0: a scalar
  const bool wide;      ///< f64
  const bool exact;     ///< results in f64 to its last places

  bool isWide() const { return wide; }
  llvm::Type *like(llvm::Type *scalar) const { return lanes ? llvm::FixedVectorType::get(scalar, lanes) : scalar; }
  llvm::Constant *c(double value) const { return llvm::ConstantFP::get(type, value); }
  llvm::Constant *i(int64_t value) const { return llvm::ConstantInt::get(integers, uint64_t(value), true); }
  llvm::Value *add(llvm::Value *x, llvm::Value *y) { return b.CreateFAdd(x, y); }
  llvm::Value *sub(llvm::Value *x, llvm::Value *y) { return b.CreateFSub(x, y); }
  llvm::Value *mul(llvm::Value *x, llvm::Value *y) { return b.CreateFMul(x, y); }
  llvm::Value *fma(llvm::Value *x, llvm::Value *y, llvm::Value *z) {
    return b.CreateIntrinsic(llvm::Intrinsic::fma, {type}, {x, y, z});
  }
  llvm::Value *abs(llvm::Value *x) { return b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x); }
  llvm::Value *copySign(llvm::Value *x, llvm::Value *sign) {
    return b.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, x, sign);
  }
  /// NaN stays NaN, as in one min or max instruction.
  llvm::Value *atLeast(llvm::Value *x, double low) { return b.CreateSelect(b.CreateFCmpOGT(c(low), x), c(low), x); }
  llvm::Value *atMost(llvm::Value *x, double high) { return b.CreateSelect(b.CreateFCmpOLT(c(high), x), c(high), x); }
  /// Horner's rule; coefficients from the constant up.
  llvm::Value *poly(llvm::Value *x, const std::vector<double> &coefficients) {
    llvm::Value *sum = c(coefficients.back());
    for (size_t k = coefficients.size() - 1; k-- > 0;)
      sum = fma(sum, x, c(coefficients[k]));
    return sum;
  }

  llvm::Constant *infinity() const { return llvm::ConstantFP::getInfinity(type); }
  llvm::Constant *nan() const { return llvm::ConstantFP::getNaN(type); }
  llvm::Value *neg(llvm::Value *x) { return b.CreateFNeg(x); }
  llvm::Value *div(llvm::Value *x, llvm::Value *y) { return b.CreateFDiv(x, y); }
  llvm::Value *sqrt(llvm::Value *x) { return b.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, x); }
  llvm::Value *floor(llvm::Value *x) { return b.CreateUnaryIntrinsic(llvm::Intrinsic::floor, x); }
  llvm::Value *even(llvm::Value *x) { return b.CreateUnaryIntrinsic(llvm::Intrinsic::roundeven, x); }
  llvm::Value *select(llvm::Value *condition, llvm::Value *x, llvm::Value *y) {
    return b.CreateSelect(condition, x, y);
  }
  llvm::Value *less(llvm::Value *x, llvm::Value *y) { return b.CreateFCmpOLT(x, y); }
  llvm::Value *less(llvm::Value *x, double y) { return b.CreateFCmpOLT(x, c(y)); }
  llvm::Value *less(llvm::Value *x, int y) { return less(x, double(y)); } // 0 is no pointer
  llvm::Value *more(llvm::Value *x, llvm::Value *y) { return b.CreateFCmpOGT(x, y); }
  llvm::Value *more(llvm::Value *x, double y) { return b.CreateFCmpOGT(x, c(y)); }
  llvm::Value *more(llvm::Value *x, int y) { return more(x, double(y)); } // 0 is no pointer
  llvm::Value *equal(llvm::Value *x, llvm::Value *y) { return b.CreateFCmpOEQ(x, y); }
  llvm::Value *equal(llvm::Value *x, double y) { return b.CreateFCmpOEQ(x, c(y)); }
  llvm::Value *equal(llvm::Value *x, int y) { return equal(x, double(y)); } // 0 is no pointer
  llvm::Value *isNan(llvm::Value *x) { return b.CreateFCmpUNO(x, x); }
  llvm::Value *both(llvm::Value *x, llvm::Value *y) { return b.CreateAnd(x, y); }
  llvm::Value *either(llvm::Value *x, llvm::Value *y) { return b.CreateOr(x, y); }
  llvm::Value *bitsOf(llvm::Value *x) { return b.CreateBitCast(x, integers); }
  llvm::Value *fromBits(llvm::Value *x) { return b.CreateBitCast(x, type); }
  llvm::Value *signOf(llvm::Value *x) { return b.CreateICmpSLT(bitsOf(x), i(0)); }
  const std::vector<double> &pick(const std::vector<double> &precise, const std::vector<double> &brief) const {
    return exact ? precise : brief;
  }

  // pair.cpp: exact sums and products, and arithmetic on them
  Pair pair(double high, double low) { return {c(high), exact ? c(low) : nullptr}; }
  Pair twoSum(llvm::Value *x, llvm::Value *y);
  Pair quickSum(llvm::Value *x, llvm::Value *y); ///< |x| >= |y|, or x = 0
  Pair twoProduct(llvm::Value *x, llvm::Value *y);
  Pair plus(Pair x, Pair y);
  Pair times(Pair x, Pair y);
  Pair over(Pair x, Pair y);
  Pair root(Pair x);
  Pair twice(Pair x, double power) { return {mul(x.high, c(power)), x.low ? mul(x.low, c(power)) : nullptr}; }
  Pair minus(Pair x) { return {neg(x.high), x.low ? neg(x.low) : nullptr}; }
  Pair select(llvm::Value *condition, Pair x, Pair y);
  llvm::Value *value(Pair x) { return x.low ? add(x.high, x.low) : x.high; }
  llvm::Value *lowOf(Pair x) { return x.low ? x.low : c(0); }
  /// x + y of low parts.
  llvm::Value *lowSum(llvm::Value *x, llvm::Value *y) { return !x ? y : !y ? x : add(x, y); }
  /// x = m * 2^e, 1 <= |m| < 2, for x other than 0; e as an integer.
  llvm::Value *split(llvm::Value *x, llvm::Value *&e);
  llvm::Value *power(llvm::Value *e); ///< 2^e of an integer in the range of normal numbers
  llvm::Value *scale(llvm::Value *p, llvm::Value *n, llvm::Value *bits);
  llvm::Value *scale(const Scaled &x) { return scale(value(x.p), x.n, x.bits); }
  llvm::Value *whole(llvm::Value *x, double factor, llvm::Value *&bits);

  Scaled expOf(Pair x);                                ///< exp(x) for |x| < 1100; f64 only
  Scaled expMinusOneOf(Pair x);                        ///< exp(r) - 1 for the r with x = n ln(2) + r
  Pair logOf(Pair x);                                  ///< log(x) for 0 < x < infinity, to some 66 bits; f64 only
  Pair reduce(llvm::Value *x, llvm::Value *&quadrant); ///< by pi/2; f64 only
  Pair sinOf(Pair r);                                  ///< |r| <= pi/4; f64 only, as the next
  Pair cosOf(Pair r);

  llvm::Value *exp(llvm::Value *x);
  llvm::Value *expTwo(llvm::Value *x);
  llvm::Value *log(llvm::Value *x, bool base2);
  llvm::Value *tanh(llvm::Value *x);
  llvm::Value *erf(llvm::Value *x);
  llvm::Value *sinCos(llvm::Value *x, bool cosine, llvm::Module &module);

private:
  bool hasTable() const;
  llvm::Value *byTable(llvm::Value *x, llvm::Value *inside, bool base2);
};

} // namespace opw::cpu
