// Elementwise arithmetic on scalars and vectors: which one is the LLVM type's business.
#include "codegen/cpu/emitter.h"
#include "support/check.h"

#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/IntrinsicsX86.h"

#include <algorithm>

namespace opw::cpu {

using namespace ir;
using llvm::ConstantInt;
using Pred = llvm::CmpInst::Predicate;

namespace {

/// The value that a scalar or splat constant integer has.
const llvm::APInt *constantInt(llvm::Value *value) {
  auto *constant = llvm::dyn_cast<llvm::Constant>(value);
  if (!constant)
    return nullptr;
  if (value->getType()->isVectorTy())
    constant = constant->getSplatValue();
  auto *number = llvm::dyn_cast_or_null<ConstantInt>(constant);
  return number ? &number->getValue() : nullptr;
}

llvm::Constant *integer(llvm::Type *type, int64_t value) { return ConstantInt::get(type, uint64_t(value), true); }

bool isSigned(OpKind kind) {
  return kind == OpKind::DivSI || kind == OpKind::RemSI || kind == OpKind::CeilDivSI || kind == OpKind::FloorDivSI;
}

Pred integerPredicate(std::string_view name) {
  if (name == "eq")
    return Pred::ICMP_EQ;
  if (name == "ne")
    return Pred::ICMP_NE;
  if (name == "slt")
    return Pred::ICMP_SLT;
  if (name == "sle")
    return Pred::ICMP_SLE;
  if (name == "sgt")
    return Pred::ICMP_SGT;
  if (name == "sge")
    return Pred::ICMP_SGE;
  if (name == "ult")
    return Pred::ICMP_ULT;
  if (name == "ule")
    return Pred::ICMP_ULE;
  if (name == "ugt")
    return Pred::ICMP_UGT;
  if (name == "uge")
    return Pred::ICMP_UGE;
  return Pred::BAD_ICMP_PREDICATE;
}

Pred floatPredicate(std::string_view name) {
  static constexpr std::pair<std::string_view, Pred> table[] = {
      {"false", Pred::FCMP_FALSE}, {"oeq", Pred::FCMP_OEQ}, {"ogt", Pred::FCMP_OGT}, {"oge", Pred::FCMP_OGE},
      {"olt", Pred::FCMP_OLT},     {"ole", Pred::FCMP_OLE}, {"one", Pred::FCMP_ONE}, {"ord", Pred::FCMP_ORD},
      {"ueq", Pred::FCMP_UEQ},     {"ugt", Pred::FCMP_UGT}, {"uge", Pred::FCMP_UGE}, {"ult", Pred::FCMP_ULT},
      {"ule", Pred::FCMP_ULE},     {"une", Pred::FCMP_UNE}, {"uno", Pred::FCMP_UNO}, {"true", Pred::FCMP_TRUE}};
  for (auto &[text, pred] : table)
    if (text == name)
      return pred;
  return Pred::BAD_FCMP_PREDICATE;
}

} // namespace

// ---- integers

/// Division with operands that cannot trap.
llvm::Value *Emitter::divideExact(OpKind kind, llvm::Value *x, llvm::Value *y) {
  bool remainder = kind == OpKind::RemSI || kind == OpKind::RemUI;
  bool sign = isSigned(kind);
  llvm::Type *type = x->getType();
  auto *vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  unsigned bits = type->getScalarSizeInBits();
  if (!vector || bits > 32 || constantInt(y)) {
    if (remainder)
      return sign ? b.CreateSRem(x, y) : b.CreateURem(x, y);
    return sign ? b.CreateSDiv(x, y) : b.CreateUDiv(x, y);
  }
  // There is no vector division of integers. Those of up to 32 bits are exact in f64: the quotient of two such integers
  // is never so close below a whole number that rounding reaches it.
  llvm::FastMathFlags saved = b.getFastMathFlags();
  b.clearFastMathFlags();
  llvm::Type *wide = widen(bits <= 8 ? b.getFloatTy() : b.getDoubleTy(), vector->getNumElements());
  llvm::Value *fx = sign ? b.CreateSIToFP(x, wide) : b.CreateUIToFP(x, wide);
  llvm::Value *fy = sign ? b.CreateSIToFP(y, wide) : b.CreateUIToFP(y, wide);
  llvm::Value *quotient = b.CreateFDiv(fx, fy);
  if (bits == 32 && !sign) { // the upper half of u32 needs 64-bit integers on the way back
    llvm::Value *whole = b.CreateUnaryIntrinsic(llvm::Intrinsic::trunc, quotient);
    quotient = b.CreateFPToUI(whole, type);
  } else {
    llvm::Type *middle = widen(b.getInt32Ty(), vector->getNumElements());
    quotient = b.CreateTrunc(b.CreateFPToSI(quotient, middle), type);
  }
  b.setFastMathFlags(saved);
  return remainder ? b.CreateSub(x, b.CreateMul(quotient, y)) : quotient;
}

/// x / 0 is x / 1; the least value divided by -1 is itself.
llvm::Value *Emitter::divide(OpKind kind, llvm::Value *x, llvm::Value *y) {
  llvm::Type *type = x->getType();
  bool sign = isSigned(kind);
  if (type->getScalarSizeInBits() == 1) // the divisor is 1 (or -1) in effect
    return kind == OpKind::RemSI || kind == OpKind::RemUI ? llvm::Constant::getNullValue(type) : x;
  const llvm::APInt *constant = constantInt(y);
  bool safe = constant && !constant->isZero() && !(sign && constant->isAllOnes());
  llvm::Constant *one = integer(type, 1), *minus = integer(type, -1), *zero = integer(type, 0);
  llvm::Value *divisor = y, *negated = nullptr;
  if (!safe) {
    llvm::Value *bad = b.CreateICmpEQ(y, zero);
    if (sign) {
      negated = b.CreateICmpEQ(y, minus);
      bad = b.CreateOr(bad, negated);
    }
    divisor = b.CreateSelect(bad, one, y);
  }
  if (kind == OpKind::RemSI || kind == OpKind::RemUI)
    return divideExact(kind, x, divisor); // by 1: 0, which is right for -1 and 0 alike
  if (kind == OpKind::CeilDivSI || kind == OpKind::FloorDivSI) {
    llvm::Value *quotient = divideExact(OpKind::DivSI, x, divisor);
    llvm::Value *rest = b.CreateSub(x, b.CreateMul(quotient, divisor));
    llvm::Value *inexact = b.CreateICmpNE(rest, zero);
    llvm::Value *opposite = b.CreateICmpSLT(b.CreateXor(x, divisor), zero);
    bool ceil = kind == OpKind::CeilDivSI;
    llvm::Value *adjust = b.CreateAnd(inexact, ceil ? b.CreateNot(opposite) : opposite);
    llvm::Value *result = b.CreateAdd(quotient, b.CreateSelect(adjust, ceil ? one : minus, zero));
    return negated ? b.CreateSelect(negated, b.CreateNeg(x), result) : result;
  }
  llvm::Value *quotient = divideExact(kind, x, divisor);
  return negated ? b.CreateSelect(negated, b.CreateNeg(x), quotient) : quotient;
}

llvm::Value *Emitter::shift(OpKind kind, llvm::Value *x, llvm::Value *y) {
  llvm::Type *type = x->getType();
  unsigned bits = type->getScalarSizeInBits();
  auto make = [&](llvm::Value *amount) {
    return kind == OpKind::ShlI    ? b.CreateShl(x, amount)
           : kind == OpKind::ShrUI ? b.CreateLShr(x, amount)
                                   : b.CreateAShr(x, amount);
  };
  if (const llvm::APInt *amount = constantInt(y); amount && amount->ult(bits))
    return make(y);
  if (kind == OpKind::ShrSI)
    return make(b.CreateBinaryIntrinsic(llvm::Intrinsic::umin, y, integer(type, bits - 1)));
  llvm::Value *inside = b.CreateICmpULT(y, integer(type, bits));
  llvm::Value *amount = b.CreateSelect(inside, y, integer(type, 0)); // no poison, even where it is not taken
  return b.CreateSelect(inside, make(amount), integer(type, 0));
}

llvm::Value *Emitter::binaryInt(OpKind kind, llvm::Value *x, llvm::Value *y) {
  switch (kind) {
  case OpKind::AddI:
    return b.CreateAdd(x, y);
  case OpKind::SubI:
    return b.CreateSub(x, y);
  case OpKind::MulI:
    return b.CreateMul(x, y);
  case OpKind::AndI:
    return b.CreateAnd(x, y);
  case OpKind::OrI:
    return b.CreateOr(x, y);
  case OpKind::XOrI:
    return b.CreateXor(x, y);
  case OpKind::MinSI:
    return b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, x, y);
  case OpKind::MinUI:
    return b.CreateBinaryIntrinsic(llvm::Intrinsic::umin, x, y);
  case OpKind::MaxSI:
    return b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, x, y);
  case OpKind::MaxUI:
    return b.CreateBinaryIntrinsic(llvm::Intrinsic::umax, x, y);
  case OpKind::ShlI:
  case OpKind::ShrSI:
  case OpKind::ShrUI:
    return shift(kind, x, y);
  case OpKind::DivSI:
  case OpKind::DivUI:
  case OpKind::CeilDivSI:
  case OpKind::FloorDivSI:
  case OpKind::RemSI:
  case OpKind::RemUI:
    return divide(kind, x, y);
  case OpKind::MulhiUI: {
    llvm::Type *type = x->getType();
    unsigned bits = type->getScalarSizeInBits();
    llvm::Type *wide = type->getWithNewBitWidth(2 * bits);
    llvm::Value *product = b.CreateMul(b.CreateZExt(x, wide), b.CreateZExt(y, wide));
    return b.CreateTrunc(b.CreateLShr(product, integer(wide, bits)), type);
  }
  default:
    return nullptr;
  }
}

llvm::Value *Emitter::compareInt(const Op &op, llvm::Value *x, llvm::Value *y) {
  Pred pred = integerPredicate(op.attributes.textOr("predicate", ""));
  if (pred == Pred::BAD_ICMP_PREDICATE)
    refuse("unknown predicate of an integer compare");
  return b.CreateICmp(pred, x, y);
}

// ---- floats

/// The smaller or larger one; of a number and a NaN the number. LLVM's own operation becomes a call to the C library
/// on x86-64, where it is narrowed to f16.
llvm::Value *Emitter::extremeNumber(llvm::Value *x, llvm::Value *y, bool largest) {
  llvm::Type *type = x->getType();
  bool wide = type->getScalarType()->isDoubleTy();
  unsigned bits = type->isVectorTy() ? unsigned(type->getPrimitiveSizeInBits()) : 0;
  if (level.arch == Arch::AArch64)
    return b.CreateBinaryIntrinsic(largest ? llvm::Intrinsic::maxnum : llvm::Intrinsic::minnum, x, y);
  if (level.avx512 && (bits == 128 || bits == 256 || bits == 512)) {
    using namespace llvm::Intrinsic;
    ID id = bits == 512   ? wide ? x86_avx512_mask_range_pd_512 : x86_avx512_mask_range_ps_512
            : bits == 256 ? wide ? x86_avx512_mask_range_pd_256 : x86_avx512_mask_range_ps_256
            : wide        ? x86_avx512_mask_range_pd_128
                          : x86_avx512_mask_range_ps_128;
    unsigned lanes = llvm::cast<llvm::FixedVectorType>(type)->getNumElements();
    llvm::SmallVector<llvm::Value *, 6> in{x, y, b.getInt32(largest ? 5 : 4), llvm::Constant::getNullValue(type),
                                           llvm::Constant::getAllOnesValue(b.getIntNTy(std::max(lanes, 8u)))};
    if (bits == 512)
      in.push_back(b.getInt32(4)); // rounding as it is set
    return b.CreateIntrinsic(id, {}, in);
  }
  // y is the new element where x is an accumulator: its test is off the chain
  llvm::Value *takesX = largest ? b.CreateFCmpOGT(x, y) : b.CreateFCmpOLT(x, y);
  return b.CreateSelect(b.CreateFCmpUNO(y, y), x, b.CreateSelect(takesX, x, y));
}

/// On f32 or f64.
llvm::Value *Emitter::binaryFloat(OpKind kind, llvm::Value *x, llvm::Value *y) {
  switch (kind) {
  case OpKind::AddF:
    return b.CreateFAdd(x, y);
  case OpKind::SubF:
    return b.CreateFSub(x, y);
  case OpKind::MulF:
    return b.CreateFMul(x, y);
  case OpKind::DivF:
  case OpKind::PreciseDivF:
  case OpKind::ApproxDivF:
    return b.CreateFDiv(x, y);
  case OpKind::RemF:
    return remainder(x, y);
  case OpKind::MinNumF:
    return extremeNumber(x, y, false);
  case OpKind::MaxNumF:
    return extremeNumber(x, y, true);
  case OpKind::MinimumF:
    return b.CreateBinaryIntrinsic(llvm::Intrinsic::minimum, x, y);
  case OpKind::MaximumF:
    return b.CreateBinaryIntrinsic(llvm::Intrinsic::maximum, x, y);
  default:
    return nullptr;
  }
}

llvm::Value *Emitter::compareFloat(const Op &op, llvm::Value *x, llvm::Value *y) {
  Pred pred = floatPredicate(op.attributes.textOr("predicate", ""));
  if (pred == Pred::BAD_FCMP_PREDICATE)
    refuse("unknown predicate of a float compare");
  return b.CreateFCmp(pred, x, y);
}

llvm::Value *Emitter::clamp(const Op &op, llvm::ArrayRef<llvm::Value *> in) {
  Elem elem = fn.type(op.results[0]).elem;
  llvm::Value *x = toFloat(in[0], elem), *low = toFloat(in[1], elem), *high = toFloat(in[2], elem);
  bool all = op.attributes.textOr("propagateNan", "none") == "all";
  llvm::Value *y = binaryFloat(all ? OpKind::MaximumF : OpKind::MaxNumF, x, low);
  return fromFloat(binaryFloat(all ? OpKind::MinimumF : OpKind::MinNumF, y, high), elem);
}

// ---- accumulators

llvm::Value *Emitter::combine(OpKind kind, const Type &type, llvm::Value *x, llvm::Value *y) {
  if (type.isIntegerLike())
    return binaryInt(kind, x, y);
  return fromFloat(binaryFloat(kind, toFloat(x, type.elem), toFloat(y, type.elem)), type.elem);
}

/// The e with e op x == x, in the value's own representation.
llvm::Constant *Emitter::identity(OpKind kind, const Type &type) {
  llvm::Type *llvmType = typeOf(type);
  if (type.isIntegerLike()) {
    unsigned bits = llvmType->getIntegerBitWidth();
    switch (kind) {
    case OpKind::AddI:
    case OpKind::OrI:
    case OpKind::XOrI:
    case OpKind::MaxUI:
      return ConstantInt::get(llvmType, 0);
    case OpKind::MulI:
      return ConstantInt::get(llvmType, 1);
    case OpKind::AndI:
    case OpKind::MinUI:
      return llvm::Constant::getAllOnesValue(llvmType);
    case OpKind::MinSI:
      return ConstantInt::get(llvmType, llvm::APInt::getSignedMaxValue(bits));
    case OpKind::MaxSI:
      return ConstantInt::get(llvmType, llvm::APInt::getSignedMinValue(bits));
    default:
      break;
    }
  } else if (type.isFloatLike()) {
    bool wide = type.elem == Elem::F64;
    llvm::Type *computed = wide ? b.getDoubleTy() : b.getFloatTy();
    llvm::Constant *start = nullptr;
    switch (kind) {
    case OpKind::AddF:
      start = llvm::ConstantFP::getNegativeZero(computed);
      break;
    case OpKind::MulF:
      start = llvm::ConstantFP::get(computed, 1.0);
      break;
    case OpKind::MinNumF: // a number wins against NaN: lanes that never saw one stay NaN
    case OpKind::MaxNumF:
      start = llvm::ConstantFP::getNaN(computed);
      break;
    case OpKind::MinimumF:
      start = llvm::ConstantFP::getInfinity(computed);
      break;
    case OpKind::MaximumF:
      start = llvm::ConstantFP::getInfinity(computed, true);
      break;
    default:
      break;
    }
    if (start && (wide || type.elem == Elem::F32))
      return start;
    if (start && (type.elem == Elem::F16 || type.elem == Elem::BF16)) {
      bool lossy;
      llvm::APFloat value = llvm::cast<llvm::ConstantFP>(start)->getValueAPF();
      value.convert(type.elem == Elem::F16 ? llvm::APFloat::IEEEhalf() : llvm::APFloat::BFloat(),
                    llvm::APFloat::rmNearestTiesToEven, &lossy);
      return ConstantInt::get(llvmType, value.bitcastToAPInt());
    }
  }
  refuse("a lane loop cannot combine values of type " + type.str() + " with " + std::string(ir::name(kind)));
}

/// x * y + z of a format of 16 or 8 bits, rounded once: the product is exact in f64, the sum is rounded to odd there,
/// so that rounding it again sees on which side of a tie it was.
llvm::Value *Emitter::narrowFma(Elem elem, llvm::ArrayRef<llvm::Value *> in) {
  llvm::FastMathFlags saved = b.getFastMathFlags();
  b.clearFastMathFlags();
  auto wide = [&](llvm::Value *x) { return convertFloat(x, elem, Elem::F64, false); };
  llvm::Value *product = b.CreateFMul(wide(in[0]), wide(in[1])), *z = wide(in[2]);
  llvm::Value *sum = b.CreateFAdd(product, z), *back = b.CreateFSub(sum, product);
  llvm::Value *error = b.CreateFAdd(b.CreateFSub(product, b.CreateFSub(sum, back)), b.CreateFSub(z, back));
  llvm::Type *type = sum->getType(), *bits = type->getWithNewType(b.getInt64Ty());
  llvm::Constant *zero = llvm::Constant::getNullValue(type);
  llvm::Value *inexact = b.CreateFCmpONE(error, zero); // no: of infinities and NaN too
  llvm::Value *above = b.CreateAnd(inexact, b.CreateXor(b.CreateFCmpOLT(error, zero), b.CreateFCmpOLT(sum, zero)));
  llvm::Value *cut = b.CreateSub(b.CreateBitCast(sum, bits), b.CreateZExt(above, bits));
  llvm::Value *odd = b.CreateBitCast(b.CreateOr(cut, b.CreateZExt(inexact, bits)), type);
  b.setFastMathFlags(saved);
  return convertFloat(odd, Elem::F64, elem, false);
}

// ---- every elementwise op

llvm::Value *Emitter::bitcast(const Op &op, llvm::Value *x) {
  llvm::Type *to = typeOf(fn.type(op.results[0]));
  if (auto *vector = llvm::dyn_cast<llvm::FixedVectorType>(x->getType()))
    to = widen(to, vector->getNumElements());
  if (x->getType()->isPtrOrPtrVectorTy())
    return to->isPtrOrPtrVectorTy() ? x : b.CreatePtrToInt(x, to);
  if (to->isPtrOrPtrVectorTy())
    return b.CreateIntToPtr(x, to);
  return b.CreateBitCast(x, to);
}

llvm::Value *Emitter::compute(const Op &op, llvm::ArrayRef<llvm::Value *> in) {
  const Type &type = fn.type(op.results[0]);
  const Type source = op.operands.empty() ? type : fn.type(op.operands[0]);
  llvm::Type *to = typeOf(type);
  if (!in.empty())
    if (auto *vector = llvm::dyn_cast<llvm::FixedVectorType>(in[0]->getType()))
      to = widen(to, vector->getNumElements());
  auto resize = [&](bool sign) { return sign ? b.CreateSExtOrTrunc(in[0], to) : b.CreateZExtOrTrunc(in[0], to); };
  switch (op.kind) {
  case OpKind::Constant: {
    const Attribute *value = op.attributes.find("value");
    OPW_CHECK(value, "a constant has a value");
    if (value->kind == Attribute::Kind::Float) {
      llvm::Constant *bits =
          ConstantInt::get(llvm::Type::getIntNTy(context, bitWidth(type.elem)), value->bits, false, true);
      return b.CreateBitCast(bits, to);
    }
    if (to->isPointerTy())
      return b.CreateIntToPtr(b.getInt64(value->integer), to);
    return integer(to, value->integer);
  }
  case OpKind::Poison: // any value will do
    return llvm::Constant::getNullValue(to);
  case OpKind::CmpI:
    return compareInt(op, in[0], in[1]);
  case OpKind::CmpF:
    return compareFloat(op, toFloat(in[0], source.elem), toFloat(in[1], source.elem));
  case OpKind::Select:
    return b.CreateSelect(in[0], in[1], in[2]);
  case OpKind::ExtSI:
  case OpKind::IndexCast:
    return resize(true);
  case OpKind::ExtUI:
  case OpKind::TruncI:
    return resize(false);
  case OpKind::SIToFP:
  case OpKind::UIToFP: {
    bool direct = type.elem == Elem::F32 || type.elem == Elem::F64;
    bool exact = source.elementBits() <= 16; // f32 holds every such integer
    llvm::Type *middle = direct ? to
                                : widen(exact ? b.getFloatTy() : b.getDoubleTy(),
                                        to->isVectorTy() ? llvm::cast<llvm::FixedVectorType>(to)->getNumElements() : 1);
    llvm::Value *x = op.kind == OpKind::SIToFP ? b.CreateSIToFP(in[0], middle) : b.CreateUIToFP(in[0], middle);
    return direct ? x : fromFloat(x, type.elem);
  }
  case OpKind::FPToSI:
  case OpKind::FPToUI: {
    llvm::Value *x = toFloat(in[0], source.elem);
    auto id = op.kind == OpKind::FPToSI ? llvm::Intrinsic::fptosi_sat : llvm::Intrinsic::fptoui_sat;
    return b.CreateIntrinsic(id, {to, x->getType()}, {x});
  }
  case OpKind::ExtF:
  case OpKind::TruncF:
  case OpKind::FpToFp:
    return convertFloat(in[0], source.elem, type.elem, op.attributes.textOr("rounding", "rtne") == "rtz");
  case OpKind::ArithBitcast:
  case OpKind::Bitcast:
  case OpKind::PtrToInt:
  case OpKind::IntToPtr:
    return bitcast(op, in[0]);
  case OpKind::AddPtr: {
    Type element = type;
    element.pointerDepth--;
    llvm::Type *step = element.isPointer() || element.elem != Elem::I1 ? typeOf(element) : b.getInt8Ty();
    return b.CreateGEP(step, in[0], in[1]);
  }
  case OpKind::ClampF:
    return clamp(op, in);
  case OpKind::AbsI:
    return b.CreateBinaryIntrinsic(llvm::Intrinsic::abs, in[0], b.getFalse());
  case OpKind::NegF:
  case OpKind::AbsF: {
    if (type.elem == Elem::F32 || type.elem == Elem::F64)
      return op.kind == OpKind::NegF ? b.CreateFNeg(in[0]) : b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, in[0]);
    llvm::Constant *sign = ConstantInt::get(to, uint64_t{1} << (bitWidth(type.elem) - 1));
    return op.kind == OpKind::NegF ? b.CreateXor(in[0], sign) : b.CreateAnd(in[0], llvm::ConstantExpr::getNot(sign));
  }
  case OpKind::Fma: {
    if (bitWidth(type.elem) < 32)
      return narrowFma(type.elem, in);
    llvm::Value *x = toFloat(in[0], type.elem), *y = toFloat(in[1], type.elem), *z = toFloat(in[2], type.elem);
    return fromFloat(b.CreateIntrinsic(llvm::Intrinsic::fma, {x->getType()}, {x, y, z}), type.elem);
  }
  case OpKind::ExternElementwise:
    return external(op, in);
  default:
    break;
  }
  if (type.isIntegerLike() && in.size() == 2)
    if (llvm::Value *value = binaryInt(op.kind, in[0], in[1]))
      return value;
  if (type.isFloatLike() && in.size() == 2)
    if (llvm::Value *value = binaryFloat(op.kind, toFloat(in[0], type.elem), toFloat(in[1], type.elem)))
      return fromFloat(value, type.elem);
  if (type.isFloatLike() && in.size() == 1)
    if (llvm::Value *value = math(op.kind, toFloat(in[0], type.elem)))
      return fromFloat(value, type.elem);
  refuse("this operation has no CPU emission yet for operands of type " + source.str());
}

} // namespace opw::cpu
