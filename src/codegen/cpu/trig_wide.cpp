// Sine and cosine in f64. Up to 2^30 the multiple of pi/2 is subtracted in three parts, of which the first leaves an
// exact difference; beyond that a scalar function multiplies by the right bits of 2/pi (Payne and Hanek), one lane
// after the other. Both give the remainder as a pair.
#include "codegen/cpu/math_builder.h"

namespace opw::cpu {

using llvm::Value;

namespace {

constexpr const char *kReduceName = "opw.reduce.wide";
// 2/pi below the point: 1280 bits
constexpr const char *kTwoOverPi =
    "a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424dd2e006492eea09d1921cfe1d"
    "eb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639835339f49c845f8bbdf9283b1ff897ffde05980fef2f118b"
    "5a0a6d1f6d367ecf27cb09b74f463f669e5fea2d7527bac7ebe5f17b3d0739f78a5292ea6bfb5fb11f8d5d0856033046fc7b"
    "6babf0cfbc209af4361d";
constexpr unsigned kBits = 1280, kPadding = 256; // zeros above: what lies before the point

// (sin(r) - r) / r^3 and (cos(r) - 1 + r^2/2) / r^4 in r^2 on |r| <= pi/4
const std::vector<double> kSin = {-0.16666666666666666,   0.008333333333333331,    -0.0001984126984126506,
                                  2.7557319219334436e-06, -2.5052106230805403e-08, 1.6058531358729018e-10,
                                  -7.586681777999907e-13};
const std::vector<double> kSinMiddle = {-0.16666666666663882, 0.00833333333107693, -0.00019841266914756464,
                                        2.7555990255070505e-06, -2.4805573773504876e-08};
const std::vector<double> kCos = {0.041666666666666664,    -0.0013888888888888887, 2.4801587301584642e-05,
                                  -2.7557319221400193e-07, 2.0876755790167413e-09, -1.1470460742912306e-11,
                                  4.745863373444177e-14};
const std::vector<double> kCosMiddle = {0.04166666666666467, -0.0013888888887275703, 2.4801585209396162e-05,
                                        -2.755636921322154e-07, 2.0700555809869906e-09};

/// f64 -> {high, low, quadrant as f64}: x = (4k + quadrant) * pi/2 + high + low, for |x| >= 2^30.
/// With x = m * 2^e, m * (2/pi) is needed modulo 4 * 2^-e: 192 bits of 2/pi from the right place, from a number in
/// memory that is read at a byte.
llvm::Function *reduceFunction(llvm::Module &module, llvm::Function *like) {
  if (llvm::Function *known = module.getFunction(kReduceName))
    return known;
  llvm::LLVMContext &context = module.getContext();
  llvm::IRBuilder<> b(context);
  llvm::Type *f64 = b.getDoubleTy(), *i64 = b.getInt64Ty(), *i256 = b.getIntNTy(256);
  auto *type = llvm::FunctionType::get(llvm::StructType::get(f64, f64, f64), {f64}, false);
  auto *function = llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, kReduceName, module);
  function->setAttributes(
      llvm::AttributeList().addFnAttributes(context, llvm::AttrBuilder(context, like->getAttributes().getFnAttrs())));
  function->addFnAttr(llvm::Attribute::NoInline);
  b.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", function));

  // little-endian words, so that the bits from a place on are one load and a shift
  llvm::APInt digits = llvm::APInt(kBits, kTwoOverPi, 16).zext(kBits + kPadding);
  llvm::SmallVector<uint64_t> words(digits.getRawData(), digits.getRawData() + digits.getNumWords());
  llvm::Constant *data = llvm::ConstantDataArray::get(context, words);
  auto *table = new llvm::GlobalVariable(module, data->getType(), true, llvm::GlobalValue::PrivateLinkage, data,
                                         "opw.two_over_pi");
  table->setAlignment(llvm::Align(64));

  Value *x = function->getArg(0), *bits = b.CreateBitCast(x, i64);
  const uint64_t implicit = uint64_t{1} << 52;
  Value *mantissa = b.CreateOr(b.CreateAnd(bits, implicit - 1), implicit);
  Value *exponent = b.CreateSub(b.CreateAnd(b.CreateLShr(bits, 52), 0x7ff), b.getInt64(1075)); // of the last bit
  // the window: bits of weight 2^(1 - exponent) down to 2^(-190 - exponent)
  Value *place = b.CreateSub(b.getInt64(kBits - 190), exponent); // bits of the table below the window
  Value *address = b.CreateGEP(b.getInt8Ty(), table, b.CreateLShr(place, 3));
  Value *loaded = b.CreateAlignedLoad(i256, address, llvm::Align(1));
  Value *shifted = b.CreateLShr(loaded, b.CreateZExt(b.CreateAnd(place, 7), i256));
  // m * window modulo 2^192, in units of 2^-190 quadrants, by words
  llvm::Type *i128 = b.getInt128Ty();
  auto word = [&](unsigned k) { return b.CreateZExt(b.CreateTrunc(b.CreateLShr(shifted, 64 * k), i64), i128); };
  Value *wide = b.CreateZExt(mantissa, i128);
  Value *p0 = b.CreateMul(word(0), wide), *p1 = b.CreateAdd(b.CreateMul(word(1), wide), b.CreateLShr(p0, 64));
  Value *p2 = b.CreateAdd(b.CreateMul(word(2), wide), b.CreateLShr(p1, 64));
  Value *low = b.CreateTrunc(p0, i64), *middle = b.CreateTrunc(p1, i64), *top = b.CreateTrunc(p2, i64);
  Value *quadrant = b.CreateLShr(b.CreateAdd(top, b.getInt64(int64_t{1} << 61)), 62); // to nearest
  Value *rest = b.CreateSub(top, b.CreateShl(quadrant, 62));
  Value *below = b.CreateICmpSLT(rest, b.getInt64(0));
  // the size of the signed 192 bits, with the first one at bit 255
  Value *size = b.CreateOr(b.CreateShl(b.CreateZExt(rest, i256), 128),
                           b.CreateOr(b.CreateShl(b.CreateZExt(middle, i256), 64), b.CreateZExt(low, i256)));
  size = b.CreateShl(size, 64);
  size = b.CreateSelect(below, b.CreateNeg(size), size);
  Value *zeros = b.CreateTrunc(b.CreateBinaryIntrinsic(llvm::Intrinsic::ctlz, size, b.getFalse()), i64);
  zeros = b.CreateBinaryIntrinsic(llvm::Intrinsic::umin, zeros, b.getInt64(255));
  size = b.CreateShl(size, b.CreateZExt(zeros, i256));
  auto part = [&](unsigned down, double factor) { // 53 bits, in quadrants
    Value *whole = b.CreateAnd(b.CreateTrunc(b.CreateLShr(size, down), i64), (uint64_t{1} << 53) - 1);
    Value *power = b.CreateBitCast(b.CreateShl(b.CreateSub(b.getInt64(1023), zeros), 52), f64);
    return b.CreateFMul(b.CreateFMul(b.CreateSIToFP(whole, f64), llvm::ConstantFP::get(f64, factor)), power);
  };
  Value *q = part(203, 0x1p-51), *lost = part(150, 0x1p-104); // 2^203 / 2^(190 + 64)
  auto constant = [&](double value) { return llvm::ConstantFP::get(f64, value); };
  Value *high = b.CreateFMul(q, constant(1.5707963267948966));
  Value *error = b.CreateIntrinsic(llvm::Intrinsic::fma, {f64}, {q, constant(1.5707963267948966), b.CreateFNeg(high)});
  Value *tail = b.CreateFAdd(error, b.CreateFAdd(b.CreateFMul(q, constant(6.123233995736766e-17)),
                                                 b.CreateFMul(lost, constant(1.5707963267948966))));
  Value *minus = b.CreateXor(below, b.CreateICmpSLT(bits, b.getInt64(0)));
  auto sign = [&](Value *v) { return b.CreateSelect(minus, b.CreateFNeg(v), v); };
  Value *isNumber = b.CreateICmpNE(b.CreateAnd(b.CreateLShr(bits, 52), 0x7ff), b.getInt64(0x7ff));
  quadrant = b.CreateSelect(b.CreateICmpSLT(bits, b.getInt64(0)), b.CreateNeg(quadrant), quadrant);
  Value *turn = b.CreateSIToFP(b.CreateAnd(quadrant, 3), f64);
  Value *result = llvm::PoisonValue::get(function->getReturnType());
  result = b.CreateInsertValue(result, b.CreateSelect(isNumber, sign(high), llvm::ConstantFP::getNaN(f64)), 0);
  result = b.CreateInsertValue(result, sign(tail), 1);
  b.CreateRet(b.CreateInsertValue(result, turn, 2));
  return function;
}

} // namespace

/// `quadrant`: an integer whose two lowest bits count.
Pair MathBuilder::reduce(Value *x, Value *&quadrant) {
  llvm::Function *function = b.GetInsertBlock()->getParent();
  Value *bits, *n = whole(x, 0.63661977236758134308, bits);
  Value *first = fma(n, c(-0x1.921fb54442d18p+0), x); // exact
  Pair second = twoProduct(n, c(0x1.1a62633145c07p-54));
  Pair r = twoSum(first, neg(second.high));
  if (exact)
    r = quickSum(r.high, fma(n, c(0x1.f1976b7ed8fbcp-110), sub(r.low, second.low)));
  // the lanes that are too large, in a loop
  Value *large = b.CreateNot(b.CreateFCmpOLE(abs(x), c(0x1p30)));
  llvm::BasicBlock *before = b.GetInsertBlock();
  auto block = [&](const char *name) { return llvm::BasicBlock::Create(b.getContext(), name, function); };
  llvm::BasicBlock *loop = block("reduce"), *after = block("after");
  Value *turn = b.CreateAnd(bits, i(3));
  b.CreateCondBr(lanes ? b.CreateOrReduce(large) : large, loop, after);
  b.SetInsertPoint(loop);
  llvm::Function *scalar = reduceFunction(*function->getParent(), function);
  llvm::PHINode *lane = b.CreatePHI(b.getInt64Ty(), 2), *highs = b.CreatePHI(type, 2), *lows = b.CreatePHI(type, 2),
                *turns = b.CreatePHI(integers, 2);
  Value *one = b.CreateCall(scalar, {lanes ? b.CreateExtractElement(x, lane) : x});
  auto put = [&](Value *old, Value *element) {
    if (!lanes)
      return element;
    Value *changed = b.CreateInsertElement(old, element, lane);
    return b.CreateSelect(b.CreateExtractElement(large, lane), changed, old);
  };
  Value *high = put(highs, b.CreateExtractValue(one, 0)), *low = put(lows, b.CreateExtractValue(one, 1));
  Value *newTurn = put(turns, b.CreateFPToSI(b.CreateExtractValue(one, 2), b.getInt64Ty()));
  Value *next = b.CreateAdd(lane, b.getInt64(1));
  for (auto [phi, start, end] : {std::tuple<llvm::PHINode *, Value *, Value *>{lane, b.getInt64(0), next},
                                 {highs, r.high, high},
                                 {lows, lowOf(r), low},
                                 {turns, turn, newTurn}}) {
    phi->addIncoming(start, before);
    phi->addIncoming(end, loop);
  }
  b.CreateCondBr(b.CreateICmpULT(next, b.getInt64(lanes ? lanes : 1)), loop, after);
  b.SetInsertPoint(after);
  auto join = [&](Value *fast, Value *slow) {
    llvm::PHINode *phi = b.CreatePHI(fast->getType(), 2);
    phi->addIncoming(fast, before);
    phi->addIncoming(slow, loop);
    return phi;
  };
  Value *lowStart = lowOf(r);
  quadrant = join(turn, newTurn);
  Pair result{join(r.high, high)};
  Value *lowJoin = join(lowStart, low);
  if (exact)
    result.low = lowJoin;
  return result;
}

Pair MathBuilder::sinOf(Pair r) {
  Value *z = mul(r.high, r.high);
  Value *tail = mul(mul(r.high, z), poly(z, pick(kSin, kSinMiddle)));
  if (r.low)
    tail = add(tail, fma(mul(z, c(-0.5)), r.low, r.low));
  return {r.high, tail};
}

Pair MathBuilder::cosOf(Pair r) {
  Value *z = mul(r.high, r.high), *half = mul(z, c(0.5)), *top = sub(c(1), half);
  Value *tail = mul(mul(z, z), poly(z, pick(kCos, kCosMiddle)));
  if (exact) { // what 1 - half lost, what half lost, and the low part's share
    Value *lost = add(sub(sub(c(1), top), half), mul(c(-0.5), fma(r.high, r.high, neg(z))));
    tail = add(tail, fma(neg(r.high), r.low ? r.low : c(0), lost));
  }
  return {top, tail};
}

} // namespace opw::cpu
