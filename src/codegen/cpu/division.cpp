// Division of floats: quotients by one divisor for all lanes, and remainders.
#include "codegen/cpu/emitter.h"

#include "llvm/IR/Intrinsics.h"

namespace opw::cpu {

using llvm::BasicBlock;
using llvm::PHINode;

/// x / d in f32 by multiplications, correctly rounded:
///
///     r = RN(1/d)    s = RN(r * (1 - d*r))    q0 = RN(x*r + RN(x*s))    e = q0*d - x    q = RN(q0 - e*r)
///
/// The first line depends on d alone. Proof, with x and d scaled into [1, 2), where no operation overflows or
/// underflows; let c = 1 - d*r, which is exact, so |c| <= d * 2^-25.
///  * r + s is 1/d within 2^-49 + 2^-50 (c*(1/d - r) and a rounding), x*s is rounded within 2^-49: before its last
///    rounding q0 is x/d within 2^-47. So |q0 - x/d| <= h + 2^-47, where h is half a unit of the quotient: 2^-25 for
///    x < d, 2^-24 otherwise.
///  * e is a whole number of units of q0 times units of d, fewer than 2^24 of them: it is exact.
///  * q0 - e*r = x/d + (q0 - x/d) * c, so before the last rounding q is x/d within (h + 2^-47) * d * 2^-25.
///  * A quotient is never halfway between neighbours: with an odd number m of halves, x = m * d would have more than
///    24 bits. x - m*h*d is a whole number of h * 2^-23, so x/d keeps h * 2^-23 / d from the halfway points.
///  * (h + 2^-47) * d * 2^-25 < h * 2^-23 / d where d*d * (1 + 2^-22) < 4, so for every d but 2 - 2^-23.
///
/// The conditions on d are those of reciprocalOf; x is tested here: 2^-58 <= |x| < 2^70, or +0, whose sign these
/// operations keep. A vector with any other lane is divided.
llvm::Value *Emitter::divideByReciprocal(llvm::Value *x, const Reciprocal &by) {
  llvm::Type *type = x->getType();
  unsigned width = llvm::cast<llvm::FixedVectorType>(type)->getNumElements();
  llvm::Type *i32 = widen(b.getInt32Ty(), width);
  llvm::Value *bits = b.CreateBitCast(x, i32), *twice = b.CreateShl(bits, 1);
  auto all = [&](uint64_t value) { return llvm::ConstantInt::get(i32, value); };
  llvm::Value *above = b.CreateSub(twice, all(uint64_t(127 - 58) << 24));
  llvm::Value *outside = b.CreateICmpUGE(above, b.CreateVectorSplat(width, by.span));
  llvm::Value *bad = b.CreateAnd(outside, b.CreateICmpUGE(bits, b.CreateVectorSplat(width, by.least)));
  llvm::Value *d = b.CreateVectorSplat(width, by.divisor);
  BasicBlock *multiply = newBlock("multiply"), *divide = newBlock("divide"), *after = newBlock("after");
  b.CreateCondBr(
      b.CreateICmpEQ(b.CreateBitCast(bad, b.getIntNTy(width)), llvm::ConstantInt::get(b.getIntNTy(width), 0)), multiply,
      divide);

  b.SetInsertPoint(multiply);
  auto fma = [&](llvm::Value *p, llvm::Value *q, llvm::Value *r) {
    return b.CreateIntrinsic(llvm::Intrinsic::fma, {type}, {p, q, r});
  };
  llvm::Value *r = b.CreateVectorSplat(width, by.high);
  llvm::Value *q = fma(x, r, b.CreateFMul(x, b.CreateVectorSplat(width, by.low)));
  llvm::Value *error = fma(q, d, b.CreateFNeg(x));
  llvm::Value *product = fma(b.CreateFNeg(error), r, q);
  b.CreateBr(after);

  b.SetInsertPoint(divide);
  llvm::Value *quotient = b.CreateFDiv(x, d);
  b.CreateBr(after);

  b.SetInsertPoint(after);
  PHINode *result = b.CreatePHI(type, 2);
  result->addIncoming(product, multiply);
  result->addIncoming(quotient, divide);
  return result;
}

/// Usable for 2^-20 <= d < 2^20 but for the mantissa of ones; with another divisor no x is in range.
Emitter::Reciprocal Emitter::reciprocalOf(llvm::Value *d) {
  Reciprocal by;
  llvm::Constant *one = llvm::ConstantFP::get(d->getType(), 1);
  by.divisor = d;
  by.high = b.CreateFDiv(one, d);
  llvm::Value *rest = b.CreateIntrinsic(llvm::Intrinsic::fma, {d->getType()}, {b.CreateFNeg(d), by.high, one});
  by.low = b.CreateFMul(by.high, rest);
  llvm::Value *bits = b.CreateBitCast(d, b.getInt32Ty());
  llvm::Value *above = b.CreateSub(bits, b.getInt32((127 - 20) << 23));
  llvm::Value *inside = b.CreateICmpULT(above, b.getInt32(40 << 23));
  llvm::Value *ones = b.CreateICmpEQ(b.CreateAnd(bits, 0x7fffff), b.getInt32(0x7fffff));
  llvm::Value *usable = b.CreateAnd(inside, b.CreateNot(ones));
  by.span = b.CreateSelect(usable, b.getInt32(128u << 24), b.getInt32(0));
  by.least = b.CreateZExt(usable, b.getInt32Ty());
  return by;
}

/// Every other vector is multiplied: the divider and the multipliers work side by side.
void Emitter::emitDivision(const ir::Op &op) {
  llvm::FastMathFlags saved = b.getFastMathFlags();
  b.clearFastMathFlags(); // the fusions are written out
  llvm::Value *d = uniform(op.operands[1]);
  Reciprocal by = reciprocalOf(d);
  Parts parts;
  for (unsigned u = 0; u < lane.parts; u++) {
    llvm::Value *x = part(op.operands[0], u);
    parts.push_back(u % 2 ? divideByReciprocal(x, by) : b.CreateFDiv(x, splat(d)));
  }
  b.setFastMathFlags(saved);
  slots[op.results[0]].parts = std::move(parts);
}

/// In lane loops of f32 by a uniform divisor; the tail has no need of it, and the test of the lanes costs as much as it
/// saves without mask registers.
bool Emitter::dividesByOne(const ir::Op &op) const {
  bool division =
      op.kind == ir::OpKind::DivF || op.kind == ir::OpKind::PreciseDivF || op.kind == ir::OpKind::ApproxDivF;
  return division && level.maskRegisters && fn.type(op.results[0]).elem == ir::Elem::F32 && lane.parts >= 2 &&
         lane.active.empty() && lane.width >= 2 && lane.width * 32 == level.vectorBits &&
         shape(op.operands[1]) == Shape::Uniform && shape(op.operands[0]) == Shape::Lanes;
}

/// C's fmod in f64, which serves f32 too: the remainder of two f32 values is one. Long division of the mantissas, 11
/// bits at a time.
llvm::Function *Emitter::remainderFunction() {
  llvm::Function *&function = kernels["fmod"];
  if (function)
    return function;
  llvm::IRBuilderBase::InsertPointGuard guard(b);
  b.SetCurrentDebugLocation({}); // the function has no lines of its own
  llvm::Function *outer = entry;
  llvm::Type *f64 = b.getDoubleTy(), *i64 = b.getInt64Ty();
  function = llvm::Function::Create(llvm::FunctionType::get(f64, {f64, f64}, false), llvm::GlobalValue::InternalLinkage,
                                    "opw.fmod", target);
  beginEntry(function);
  entry = function; // blocks go here
  llvm::Value *x = function->getArg(0), *y = function->getArg(1);
  BasicBlock *start = newBlock("entry"), *ordinary = newBlock("ordinary"), *divide = newBlock("divide"),
             *step = newBlock("step"), *finish = newBlock("finish"), *invalid = newBlock("invalid"),
             *small = newBlock("small");
  auto c = [&](uint64_t value) { return b.getInt64(value); };
  const uint64_t implicit = uint64_t{1} << 52, infinity = uint64_t{0x7ff} << 52, magnitude = ~uint64_t{0} >> 1;

  b.SetInsertPoint(start);
  llvm::Value *bx = b.CreateBitCast(x, i64), *by = b.CreateBitCast(y, i64);
  llvm::Value *ax = b.CreateAnd(bx, magnitude), *ay = b.CreateAnd(by, magnitude);
  llvm::Value *wrong = b.CreateOr(b.CreateICmpUGE(ax, c(infinity)), b.CreateICmpUGT(ay, c(infinity)));
  b.CreateCondBr(b.CreateOr(wrong, b.CreateICmpEQ(ay, c(0))), invalid, ordinary);
  b.SetInsertPoint(ordinary);
  b.CreateCondBr(b.CreateICmpULT(ax, ay), small, divide);

  b.SetInsertPoint(divide); // |x| >= |y| > 0, both finite
  auto exponent = [&](llvm::Value *bits) {
    return b.CreateBinaryIntrinsic(llvm::Intrinsic::umax, b.CreateLShr(bits, 52), c(1));
  };
  auto mantissa = [&](llvm::Value *bits) {
    llvm::Value *hidden = b.CreateSelect(b.CreateICmpUGE(bits, c(implicit)), c(implicit), c(0));
    return b.CreateOr(b.CreateAnd(bits, implicit - 1), hidden);
  };
  llvm::Value *ey = exponent(ay), *my = mantissa(ay);
  llvm::Value *first = b.CreateURem(mantissa(ax), my), *count = b.CreateSub(exponent(ax), ey);
  b.CreateCondBr(b.CreateICmpEQ(count, c(0)), finish, step);

  b.SetInsertPoint(step);
  PHINode *rest = b.CreatePHI(i64, 2), *left = b.CreatePHI(i64, 2);
  llvm::Value *shift = b.CreateBinaryIntrinsic(llvm::Intrinsic::umin, left, c(11));
  llvm::Value *next = b.CreateURem(b.CreateShl(rest, shift), my), *fewer = b.CreateSub(left, shift);
  rest->addIncoming(first, divide);
  rest->addIncoming(next, step);
  left->addIncoming(count, divide);
  left->addIncoming(fewer, step);
  b.CreateCondBr(b.CreateICmpEQ(fewer, c(0)), finish, step);

  b.SetInsertPoint(finish); // m * 2^(ey - 1075)
  PHINode *m = b.CreatePHI(i64, 2);
  m->addIncoming(first, divide);
  m->addIncoming(next, step);
  llvm::Value *zeros = b.CreateIntrinsic(llvm::Intrinsic::ctlz, {i64}, {m, b.getFalse()});
  llvm::Value *up = b.CreateBinaryIntrinsic(llvm::Intrinsic::umin, b.CreateSub(zeros, c(11)), b.CreateSub(ey, c(1)));
  llvm::Value *bits = b.CreateAdd(b.CreateShl(m, up), b.CreateShl(b.CreateSub(b.CreateSub(ey, up), c(1)), 52));
  bits = b.CreateSelect(b.CreateICmpEQ(m, c(0)), c(0), bits);
  b.CreateRet(b.CreateBitCast(b.CreateOr(bits, b.CreateAnd(bx, ~magnitude)), f64));

  b.SetInsertPoint(invalid);
  b.CreateRet(llvm::ConstantFP::getNaN(f64));
  b.SetInsertPoint(small);
  b.CreateRet(x);
  entry = outer;
  return function;
}

llvm::Value *Emitter::remainder(llvm::Value *x, llvm::Value *y) {
  llvm::Function *function = remainderFunction();
  llvm::Type *type = x->getType(), *f64 = b.getDoubleTy();
  auto one = [&](llvm::Value *p, llvm::Value *q) {
    llvm::Value *result = b.CreateCall(function, {b.CreateFPExt(p, f64), b.CreateFPExt(q, f64)});
    return b.CreateFPTrunc(result, type->getScalarType());
  };
  auto *vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  if (!vector)
    return one(x, y);
  BasicBlock *entering = b.GetInsertBlock(), *loop = newBlock("lane"), *after = newBlock("after");
  b.CreateBr(loop);
  b.SetInsertPoint(loop);
  PHINode *at = b.CreatePHI(b.getInt64Ty(), 2), *soFar = b.CreatePHI(type, 2);
  llvm::Value *value = one(b.CreateExtractElement(x, at), b.CreateExtractElement(y, at));
  llvm::Value *result = b.CreateInsertElement(soFar, value, at), *next = b.CreateAdd(at, b.getInt64(1));
  at->addIncoming(b.getInt64(0), entering);
  at->addIncoming(next, loop);
  soFar->addIncoming(llvm::Constant::getNullValue(type), entering);
  soFar->addIncoming(result, loop);
  b.CreateCondBr(b.CreateICmpULT(next, b.getInt64(vector->getNumElements())), loop, after);
  b.SetInsertPoint(after);
  return result;
}

} // namespace opw::cpu
