// The vocabulary that the math functions are written in: constants and operations of one float type, scalar or vector.
#pragma once

#include "codegen/cpu/emitter.h"

#include "llvm/IR/Intrinsics.h"

#include <vector>

namespace opw::cpu {

class MathBuilder {
public:
  /// `type`: f32 or f64, or a vector of them.
  MathBuilder(llvm::IRBuilder<> &builder, const Level &level, llvm::Type *type)
      : b(builder), level(level), type(type), wide(type->getScalarType()->isDoubleTy()) {
    integers = builder.getIntNTy(wide ? 64 : 32);
    if (auto *vector = llvm::dyn_cast<llvm::FixedVectorType>(type))
      integers = llvm::FixedVectorType::get(integers, vector->getNumElements());
  }

  bool isWide() const { return wide; }
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

  llvm::Value *exp(llvm::Value *x);
  llvm::Value *expTwo(llvm::Value *x);
  llvm::Value *log(llvm::Value *x, bool base2);
  llvm::Value *tanh(llvm::Value *x);
  llvm::Value *erf(llvm::Value *x);
  llvm::Value *sinCos(llvm::Value *x, bool cosine, llvm::Module &module);

private:
  llvm::IRBuilder<> &b;
  const Level &level;
  llvm::Type *type, *integers;
  bool wide;

  llvm::Value *scale(llvm::Value *p, llvm::Value *n, llvm::Value *bits);
  bool hasTable() const;
  llvm::Value *byTable(llvm::Value *x, llvm::Value *inside, bool base2);
  llvm::Value *whole(llvm::Value *x, double factor, llvm::Value *&bits);
};

} // namespace opw::cpu
