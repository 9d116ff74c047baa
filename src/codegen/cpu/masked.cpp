// Masked accesses that the level has no instruction for. LLVM would write a branch for every lane; this is a test
// whether all lanes take part, and a loop over those that do.
#include "codegen/cpu/access.h"

#include <algorithm>

namespace opw::cpu {

using llvm::BasicBlock;
using llvm::PHINode;

bool Emitter::laneByLane(const Access &access, bool store) const {
  if (access.kind == Access::Kind::Contiguous || access.kind == Access::Kind::Reversed)
    return access.bytes < level.maskedBytes;
  return access.bytes < std::max(level.maskedBytes, 4u) || (store && !level.maskRegisters); // gathers, scatters
}

/// Visits the lanes of the mask: body(lane, value so far) returns the value to carry on. `start` may be null.
llvm::Value *Emitter::eachActive(llvm::Value *mask, llvm::Value *start,
                                 llvm::function_ref<llvm::Value *(llvm::Value *, llvm::Value *)> body) {
  unsigned width = llvm::cast<llvm::FixedVectorType>(mask->getType())->getNumElements();
  llvm::Type *word = width > 32 ? b.getInt64Ty() : b.getInt32Ty();
  llvm::Value *bits = b.CreateZExt(b.CreateBitCast(mask, b.getIntNTy(width)), word);
  llvm::Constant *zero = llvm::ConstantInt::get(word, 0), *one = llvm::ConstantInt::get(word, 1);
  BasicBlock *entering = b.GetInsertBlock(), *loop = newBlock("lane"), *exit = newBlock("after");
  b.CreateCondBr(b.CreateICmpNE(bits, zero), loop, exit);
  b.SetInsertPoint(loop);
  PHINode *left = b.CreatePHI(word, 2), *value = start ? b.CreatePHI(start->getType(), 2) : nullptr;
  llvm::Value *at = b.CreateIntrinsic(llvm::Intrinsic::cttz, {word}, {left, b.getTrue()});
  llvm::Value *next = body(b.CreateZExt(at, b.getInt64Ty()), value);
  llvm::Value *rest = b.CreateAnd(left, b.CreateSub(left, one));
  BasicBlock *latch = b.GetInsertBlock();
  left->addIncoming(bits, entering);
  left->addIncoming(rest, latch);
  b.CreateCondBr(b.CreateICmpNE(rest, zero), loop, exit);
  b.SetInsertPoint(exit);
  if (!start)
    return nullptr;
  value->addIncoming(start, entering);
  value->addIncoming(next, latch);
  PHINode *result = b.CreatePHI(start->getType(), 2);
  result->addIncoming(start, entering);
  result->addIncoming(next, latch);
  return result;
}

/// Where `place` is a pointer, the lanes lie behind each other from there; a vector of pointers has one for each lane.
llvm::Value *Emitter::loadActive(const Access &access, llvm::Value *place, llvm::Value *mask, llvm::Value *other) {
  llvm::Align align(access.bytes);
  auto some = [&] {
    return eachActive(mask, other, [&](llvm::Value *at, llvm::Value *soFar) {
      llvm::Value *pointer =
          place->getType()->isVectorTy() ? b.CreateExtractElement(place, at) : b.CreateGEP(access.element, place, at);
      return b.CreateInsertElement(soFar, tag(b.CreateAlignedLoad(access.element, pointer, align), access), at);
    });
  };
  if (place->getType()->isVectorTy())
    return some();
  BasicBlock *whole = newBlock("whole"), *rest = newBlock("some"), *after = newBlock("after");
  b.CreateCondBr(b.CreateAndReduce(mask), whole, rest);
  b.SetInsertPoint(whole);
  llvm::Value *all = tag(b.CreateAlignedLoad(other->getType(), place, align), access);
  b.CreateBr(after);
  b.SetInsertPoint(rest);
  llvm::Value *few = some();
  rest = b.GetInsertBlock();
  b.CreateBr(after);
  b.SetInsertPoint(after);
  PHINode *value = b.CreatePHI(other->getType(), 2);
  value->addIncoming(all, whole);
  value->addIncoming(few, rest);
  return value;
}

void Emitter::storeActive(const Access &access, llvm::Value *place, llvm::Value *value, llvm::Value *mask) {
  llvm::Align align(access.bytes);
  auto some = [&] {
    eachActive(mask, nullptr, [&](llvm::Value *at, llvm::Value *) -> llvm::Value * {
      llvm::Value *pointer =
          place->getType()->isVectorTy() ? b.CreateExtractElement(place, at) : b.CreateGEP(access.element, place, at);
      tag(b.CreateAlignedStore(b.CreateExtractElement(value, at), pointer, align), access);
      return nullptr;
    });
  };
  if (place->getType()->isVectorTy())
    return some();
  BasicBlock *whole = newBlock("whole"), *rest = newBlock("some"), *after = newBlock("after");
  b.CreateCondBr(b.CreateAndReduce(mask), whole, rest);
  b.SetInsertPoint(whole);
  tag(b.CreateAlignedStore(value, place, align), access);
  b.CreateBr(after);
  b.SetInsertPoint(rest);
  some();
  b.CreateBr(after);
  b.SetInsertPoint(after);
}

} // namespace opw::cpu
