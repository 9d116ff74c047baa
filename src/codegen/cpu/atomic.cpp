// Atomic operations. In a lane loop each lane that takes part does its own, one after the other.
#include "codegen/cpu/emitter.h"
#include "support/check.h"

#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/IntrinsicsX86.h"

namespace opw::cpu {

using namespace ir;
using llvm::AtomicOrdering;
using llvm::AtomicRMWInst;
using llvm::BasicBlock;

namespace {

AtomicOrdering orderOf(std::string_view sem) {
  if (sem == "acquire")
    return AtomicOrdering::Acquire;
  if (sem == "release")
    return AtomicOrdering::Release;
  return sem == "acq_rel" ? AtomicOrdering::AcquireRelease : AtomicOrdering::Monotonic;
}

AtomicOrdering loadOrder(AtomicOrdering order) {
  return order == AtomicOrdering::Monotonic || order == AtomicOrdering::Release ? AtomicOrdering::Monotonic
                                                                                : AtomicOrdering::Acquire;
}

AtomicOrdering storeOrder(AtomicOrdering order) {
  return order == AtomicOrdering::Monotonic || order == AtomicOrdering::Acquire ? AtomicOrdering::Monotonic
                                                                                : AtomicOrdering::Release;
}

bool directKind(std::string_view name, AtomicRMWInst::BinOp &kind) {
  static constexpr std::pair<std::string_view, AtomicRMWInst::BinOp> table[] = {
      {"and", AtomicRMWInst::And},      {"or", AtomicRMWInst::Or},        {"xor", AtomicRMWInst::Xor},
      {"add", AtomicRMWInst::Add},      {"max", AtomicRMWInst::Max},      {"min", AtomicRMWInst::Min},
      {"umax", AtomicRMWInst::UMax},    {"umin", AtomicRMWInst::UMin},    {"exch", AtomicRMWInst::Xchg},
      {"inc", AtomicRMWInst::UIncWrap}, {"dec", AtomicRMWInst::UDecWrap},
  };
  for (auto &[text, each] : table)
    if (text == name) {
      kind = each;
      return true;
    }
  return false;
}

} // namespace

/// Replaces the bits at a place by what `change` makes of them; returns the old ones.
llvm::Value *Emitter::compareAndSwap(llvm::Value *pointer, llvm::Type *bits, AtomicOrdering order,
                                     llvm::function_ref<llvm::Value *(llvm::Value *)> change) {
  llvm::Align align(bits->getIntegerBitWidth() / 8);
  auto *first = b.CreateAlignedLoad(bits, pointer, align);
  first->setAtomic(AtomicOrdering::Monotonic);
  BasicBlock *entering = b.GetInsertBlock(), *loop = newBlock("swap"), *done = newBlock("swapped");
  b.CreateBr(loop);
  b.SetInsertPoint(loop);
  llvm::PHINode *old = b.CreatePHI(bits, 2);
  old->addIncoming(first, entering);
  llvm::Value *next = change(old);
  auto *swap = b.CreateAtomicCmpXchg(pointer, old, next, align, order, loadOrder(order));
  old->addIncoming(b.CreateExtractValue(swap, 0), b.GetInsertBlock());
  b.CreateCondBr(b.CreateExtractValue(swap, 1), done, loop);
  b.SetInsertPoint(done);
  return old;
}

/// Waits until the place holds what is expected, for so many polls at most; i1, whether it did.
llvm::Value *Emitter::poll(llvm::Value *pointer, llvm::Value *expected, llvm::Value *limit, AtomicOrdering order) {
  llvm::Type *bits = expected->getType();
  BasicBlock *entering = b.GetInsertBlock(), *loop = newBlock("poll"), *wait = newBlock("wait"),
             *done = newBlock("polled");
  b.CreateBr(loop);
  b.SetInsertPoint(loop);
  llvm::PHINode *count = b.CreatePHI(b.getInt64Ty(), 2);
  count->addIncoming(b.getInt64(0), entering);
  auto *load = b.CreateAlignedLoad(bits, pointer, llvm::Align(bits->getIntegerBitWidth() / 8));
  load->setAtomic(loadOrder(order));
  llvm::Value *found = b.CreateICmpEQ(load, expected);
  b.CreateCondBr(found, done, wait);
  b.SetInsertPoint(wait);
  spin();
  llvm::Value *next = b.CreateAdd(count, b.getInt64(1));
  count->addIncoming(next, b.GetInsertBlock());
  b.CreateCondBr(limit ? b.CreateICmpSGE(next, limit) : b.getFalse(), done, loop);
  BasicBlock *last = b.GetInsertBlock();
  b.SetInsertPoint(done);
  llvm::PHINode *result = b.CreatePHI(b.getInt1Ty(), 2);
  result->addIncoming(b.getTrue(), loop);
  result->addIncoming(b.getFalse(), last);
  return result;
}

/// One operation on scalars in the representation of their type; null where it gives nothing.
llvm::Value *Emitter::atomicOne(const Op &op, llvm::Value *pointer, llvm::ArrayRef<llvm::Value *> values) {
  Type type = fn.type(op.operands[0]);
  --type.pointerDepth;
  bool isBool = !type.isPointer() && type.elem == Elem::I1;
  llvm::Type *value = typeOf(type);
  llvm::Type *bits = isBool ? b.getInt8Ty() : b.getIntNTy(type.elementBits());
  auto toBits = [&](llvm::Value *x) -> llvm::Value * {
    if (x->getType()->isPointerTy())
      return b.CreatePtrToInt(x, bits);
    return isBool ? b.CreateZExt(x, bits) : b.CreateBitCast(x, bits);
  };
  auto fromBits = [&](llvm::Value *x) -> llvm::Value * {
    if (value->isPointerTy())
      return b.CreateIntToPtr(x, value);
    return isBool ? b.CreateICmpNE(x, llvm::ConstantInt::get(bits, 0)) : b.CreateBitCast(x, value);
  };
  llvm::Align align(bits->getIntegerBitWidth() / 8);
  AtomicOrdering order = orderOf(op.attributes.textOr("sem", "relaxed"));
  switch (op.kind) {
  case OpKind::AtomicLoad: {
    auto *load = b.CreateAlignedLoad(bits, pointer, align);
    load->setAtomic(loadOrder(order));
    return fromBits(load);
  }
  case OpKind::AtomicStore:
    b.CreateAlignedStore(toBits(values[0]), pointer, align)->setAtomic(storeOrder(order));
    return nullptr;
  case OpKind::AtomicCas: {
    auto *swap = b.CreateAtomicCmpXchg(pointer, toBits(values[0]), toBits(values[1]), align, order, loadOrder(order));
    return fromBits(b.CreateExtractValue(swap, 0));
  }
  case OpKind::AtomicPoll:
    return poll(pointer, toBits(values[0]), values.size() > 1 ? values[1] : nullptr, order);
  default:
    break;
  }
  std::string_view kind = op.attributes.textOr("atomic_rmw_op", "");
  AtomicRMWInst::BinOp direct;
  bool known = directKind(kind, direct);
  if (known && (type.isIntegerLike() || type.isPointer() || direct == AtomicRMWInst::Xchg))
    return fromBits(b.CreateAtomicRMW(direct, pointer, toBits(values[0]), align, order));
  OpKind combines = kind == "fadd" || kind == "add" ? OpKind::AddF : kind == "max" ? OpKind::MaxNumF : OpKind::MinNumF;
  bool possible = type.isFloatLike() && (combines != OpKind::MinNumF || kind == "min");
  if (!possible)
    refuse("atomic " + std::string(kind) + " of " + type.str(),
           "integers have and, or, xor, add, max, min; floats add, max, min");
  return fromBits(compareAndSwap(pointer, bits, order, [&](llvm::Value *old) {
    return toBits(combine(combines, type, fromBits(old), values[0]));
  }));
}

void Emitter::emitAtomic(const Op &op) {
  size_t count = op.kind == OpKind::AtomicLoad ? 0 : op.kind == OpKind::AtomicCas ? 2 : 1;
  if (op.kind == OpKind::AtomicPoll)
    count = op.operands.size() - 1;
  ValueId mask = op.operands.size() > 1 + count ? op.operands[1 + count] : kNone;
  llvm::Type *result = op.results.empty() ? nullptr : typeOf(fn.type(op.results[0]));
  /// Runs under the condition; what is masked off gives 0.
  auto guarded = [&](llvm::Value *condition, llvm::Value *pointer,
                     llvm::ArrayRef<llvm::Value *> values) -> llvm::Value * {
    if (!condition)
      return atomicOne(op, pointer, values);
    BasicBlock *before = b.GetInsertBlock(), *inside = newBlock("atomic"), *after = newBlock("after");
    b.CreateCondBr(condition, inside, after);
    b.SetInsertPoint(inside);
    llvm::Value *old = atomicOne(op, pointer, values);
    inside = b.GetInsertBlock();
    b.CreateBr(after);
    b.SetInsertPoint(after);
    if (!result)
      return nullptr;
    llvm::PHINode *phi = b.CreatePHI(result, 2);
    phi->addIncoming(old, inside);
    phi->addIncoming(llvm::Constant::getNullValue(result), before);
    return phi;
  };
  if (lane.width == 0) {
    llvm::SmallVector<llvm::Value *, 2> values;
    for (size_t i = 0; i < count; i++)
      values.push_back(uniform(op.operands[1 + i]));
    llvm::Value *old = guarded(mask == kNone ? nullptr : uniform(mask), uniform(op.operands[0]), values);
    if (result)
      bindUniform(op.results[0], old);
    return;
  }
  Parts parts;
  for (unsigned u = 0; u < lane.parts; u++) {
    llvm::Value *taking = mask == kNone ? nullptr : part(mask, u);
    if (!lane.active.empty())
      taking = taking ? b.CreateAnd(lane.active[u], taking) : lane.active[u];
    llvm::Value *pointers = part(op.operands[0], u);
    llvm::SmallVector<llvm::Value *, 2> values;
    for (size_t i = 0; i < count; i++)
      values.push_back(part(op.operands[1 + i], u));
    if (lane.width == 1) {
      parts.push_back(guarded(taking, pointers, values));
      continue;
    }
    if (!taking)
      taking = llvm::Constant::getAllOnesValue(widen(b.getInt1Ty(), lane.width));
    llvm::Value *start = result ? llvm::Constant::getNullValue(widen(result, lane.width)) : nullptr;
    parts.push_back(eachActive(taking, start, [&](llvm::Value *at, llvm::Value *soFar) -> llvm::Value * {
      llvm::SmallVector<llvm::Value *, 2> one;
      for (llvm::Value *value : values)
        one.push_back(b.CreateExtractElement(value, at));
      llvm::Value *old = atomicOne(op, b.CreateExtractElement(pointers, at), one);
      return result ? b.CreateInsertElement(soFar, old, at) : nullptr;
    }));
  }
  if (result)
    slots[op.results[0]].parts = std::move(parts);
}

} // namespace opw::cpu
