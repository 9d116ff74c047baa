// sin and cos of f32. Up to 2^16 the multiple of pi/2 is subtracted in three parts; beyond that a scalar function
// multiplies by the right bits of 2/pi, one lane after the other.
#include "codegen/cpu/math_builder.h"

namespace opw::cpu {

namespace {

constexpr const char *kReduceName = "opw.reduce";

// (sin(r) - r) / r^3 and (cos(r) - 1 + r^2/2) / r^4 in r^2 on |r| <= pi/4
const std::vector<double> kSin = {-0.166666666395589818, 0.00833332914402104693, -0.000198392566629109442,
                                  2.71756469143874183e-6};
const std::vector<double> kCos = {0.0416666666192073276, -0.00138888834385532726, 0.0000247994364237428134,
                                  -2.72033041893894151e-7};

/// float -> i64: the quadrant in the upper half, the bits of the remainder (f32, |r| <= pi/4) in the lower.
/// For x = m * 2^e the product m * (2/pi) is needed modulo 4 * 2^-e: 128 bits of 2/pi from the right place are enough.
llvm::Function *reduceFunction(llvm::Module &module, llvm::Function *like) {
  if (llvm::Function *known = module.getFunction(kReduceName))
    return known;
  llvm::LLVMContext &context = module.getContext();
  llvm::IRBuilder<> b(context);
  auto *type = llvm::FunctionType::get(b.getInt64Ty(), {b.getFloatTy()}, false);
  auto *function = llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, kReduceName, module);
  function->setAttributes(
      llvm::AttributeList().addFnAttributes(context, llvm::AttrBuilder(context, like->getAttributes().getFnAttrs())));
  function->addFnAttr(llvm::Attribute::NoInline);
  function->setDoesNotAccessMemory();
  b.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", function));
  llvm::Type *i64 = b.getInt64Ty(), *i128 = b.getInt128Ty(), *i256 = b.getIntNTy(256);
  llvm::Value *x = function->getArg(0), *bits = b.CreateZExt(b.CreateBitCast(x, b.getInt32Ty()), i64);
  llvm::Value *mantissa = b.CreateOr(b.CreateAnd(bits, 0x7fffff), 0x800000);
  llvm::Value *exponent = b.CreateSub(b.CreateAnd(b.CreateLShr(bits, 23), 0xff), b.getInt64(150)); // of the last bit
  // 2/pi below the point; drop what is a multiple of 4 after the product: the first exponent - 2 bits
  llvm::Constant *twoOverPi = llvm::ConstantInt::get(
      context, llvm::APInt(256, "a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561", 16));
  llvm::Value *first = b.CreateAdd(exponent, b.getInt64(-2)); // negative below 2^25
  llvm::Value *from = b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, first, b.getInt64(0));
  llvm::Value *down = b.CreateAdd(b.CreateSub(from, first), b.getInt64(128));
  llvm::Value *window = b.CreateLShr(b.CreateShl(twoOverPi, b.CreateZExt(from, i256)), b.CreateZExt(down, i256));
  llvm::Value *product =
      b.CreateMul(b.CreateTrunc(window, i128), b.CreateZExt(mantissa, i128)); // in units of 2^-126 quadrants
  // to nearest: add half a quadrant, take the two top bits, keep the signed rest
  llvm::Value *top = b.CreateTrunc(b.CreateLShr(product, llvm::ConstantInt::get(i128, 64)), i64);
  llvm::Value *quadrant = b.CreateLShr(b.CreateAdd(top, b.getInt64(int64_t{1} << 61)), 62);
  llvm::Value *rest = b.CreateSub(top, b.CreateShl(quadrant, 62));
  llvm::Value *r = b.CreateFMul(b.CreateSIToFP(rest, b.getDoubleTy()),
                                llvm::ConstantFP::get(b.getDoubleTy(), 1.57079632679489661923 * 0x1p-62));
  llvm::Value *negative = b.CreateICmpNE(b.CreateAnd(bits, 0x80000000u), b.getInt64(0));
  r = b.CreateFPTrunc(b.CreateSelect(negative, b.CreateFNeg(r), r), b.getFloatTy());
  quadrant = b.CreateAnd(b.CreateSelect(negative, b.CreateNeg(quadrant), quadrant), 3);
  llvm::Value *special = b.CreateICmpEQ(b.CreateAnd(bits, 0x7f800000), b.getInt64(0x7f800000));
  r = b.CreateSelect(special, llvm::ConstantFP::getNaN(b.getFloatTy()), r);
  llvm::Value *low = b.CreateZExt(b.CreateBitCast(r, b.getInt32Ty()), i64);
  b.CreateRet(b.CreateOr(b.CreateShl(quadrant, 32), low));
  return function;
}

} // namespace

llvm::Value *MathBuilder::sinCos(llvm::Value *x, bool cosine, llvm::Module &module) {
  llvm::Function *function = b.GetInsertBlock()->getParent();
  llvm::Value *bits, *n = whole(x, 0.63661977236758134308, bits);
  llvm::Value *r = fma(n, c(-0x1.921fb4p+0), x);
  r = fma(n, c(-0x1.4442d0p-24), r);
  r = fma(n, c(-0x1.846988p-48), r);
  llvm::Value *quadrant = b.CreateAnd(bits, i(3));

  llvm::Value *large = b.CreateNot(b.CreateFCmpOLE(abs(x), c(65536)));
  auto *vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  llvm::Value *any = vector ? b.CreateOrReduce(large) : large;
  llvm::BasicBlock *before = b.GetInsertBlock();
  auto block = [&](const char *name) { return llvm::BasicBlock::Create(b.getContext(), name, function); };
  llvm::BasicBlock *slow = block("reduce"), *after = block("after");
  b.CreateCondBr(any, slow, after);
  b.SetInsertPoint(slow);
  llvm::Function *reduce = reduceFunction(module, function);
  llvm::Value *slowR, *slowQuadrant;
  llvm::BasicBlock *slowEnd = slow;
  if (!vector) {
    llvm::Value *both = b.CreateCall(reduce, {x});
    slowR = b.CreateBitCast(b.CreateTrunc(both, b.getInt32Ty()), type);
    slowQuadrant = b.CreateTrunc(b.CreateLShr(both, 32), integers);
  } else { // every lane, in a loop
    llvm::BasicBlock *loop = block("lane"), *exit = block("after");
    b.CreateBr(loop);
    b.SetInsertPoint(loop);
    llvm::PHINode *lane = b.CreatePHI(b.getInt64Ty(), 2), *rs = b.CreatePHI(type, 2), *qs = b.CreatePHI(integers, 2);
    lane->addIncoming(b.getInt64(0), slow);
    rs->addIncoming(r, slow);
    qs->addIncoming(quadrant, slow);
    llvm::Value *both = b.CreateCall(reduce, {b.CreateExtractElement(x, lane)});
    llvm::Value *isLarge = b.CreateExtractElement(large, lane);
    llvm::Value *newR =
        b.CreateInsertElement(rs, b.CreateBitCast(b.CreateTrunc(both, b.getInt32Ty()), b.getFloatTy()), lane);
    llvm::Value *newQ = b.CreateInsertElement(qs, b.CreateTrunc(b.CreateLShr(both, 32), b.getInt32Ty()), lane);
    slowR = b.CreateSelect(isLarge, newR, rs);
    slowQuadrant = b.CreateSelect(isLarge, newQ, qs);
    llvm::Value *next = b.CreateAdd(lane, b.getInt64(1));
    lane->addIncoming(next, loop);
    rs->addIncoming(slowR, loop);
    qs->addIncoming(slowQuadrant, loop);
    b.CreateCondBr(b.CreateICmpULT(next, b.getInt64(vector->getNumElements())), loop, exit);
    b.SetInsertPoint(exit);
    slowEnd = exit;
  }
  b.CreateBr(after);
  b.SetInsertPoint(after);
  llvm::PHINode *reduced = b.CreatePHI(type, 2), *turn = b.CreatePHI(integers, 2);
  reduced->addIncoming(r, before);
  reduced->addIncoming(slowR, slowEnd);
  turn->addIncoming(quadrant, before);
  turn->addIncoming(slowQuadrant, slowEnd);

  llvm::Value *z = mul(reduced, reduced);
  llvm::Value *sine = copySign(fma(mul(reduced, z), poly(z, kSin), reduced), reduced); // -0 keeps its sign
  llvm::Value *cos = fma(z, fma(z, poly(z, kCos), c(-0.5)), c(1));
  llvm::Value *q = cosine ? b.CreateAdd(turn, i(1)) : static_cast<llvm::Value *>(turn);
  llvm::Value *odd = b.CreateICmpNE(b.CreateAnd(q, i(1)), i(0));
  llvm::Value *value = b.CreateSelect(odd, cos, sine);
  llvm::Value *sign = b.CreateShl(b.CreateAnd(q, i(2)), i(30));
  return b.CreateBitCast(b.CreateXor(b.CreateBitCast(value, integers), sign), type);
}

} // namespace opw::cpu
