// Loads, stores and prefetches. The lanes of an offset choose the access: contiguous, reversed, one for all, or
// gathered.
#include "codegen/cpu/access.h"
#include "support/check.h"

namespace opw::cpu {

using namespace ir;
using llvm::BasicBlock;

template <typename Then> void Emitter::when(llvm::Value *condition, Then then) {
  if (auto *constant = llvm::dyn_cast<llvm::ConstantInt>(condition)) {
    if (constant->isOne())
      then();
    return;
  }
  BasicBlock *inside = newBlock("masked"), *after = newBlock("after");
  b.CreateCondBr(condition, inside, after);
  b.SetInsertPoint(inside);
  then();
  b.CreateBr(after);
  b.SetInsertPoint(after);
}

Emitter::Access Emitter::accessOf(const Op &op, unsigned maskOperand, const Type &type) {
  Access access;
  access.pointer = op.operands[0];
  access.base = shape(access.pointer) == Shape::Uniform ? uniform(access.pointer) : nullptr;
  access.offset = op.operands[1];
  access.boolean = !type.isPointer() && type.elem == Elem::I1;
  access.element = access.boolean ? b.getInt8Ty() : typeOf(type);
  access.bytes = type.isPointer() ? 8 : byteWidth(type.elem);
  if (maskOperand < op.operands.size()) {
    access.mask = op.operands[maskOperand];
    access.uniformMask = shape(access.mask) == Shape::Uniform;
  }
  access.kind = Access::Kind::Scattered;
  if (!access.base) {
    // a pointer for each lane
  } else if (shape(access.offset) == Shape::Uniform || (shape(access.offset) == Shape::Blocks && lane.width > 1)) {
    access.kind = Access::Kind::One;
  } else if (shape(access.offset) == Shape::Flipped && lane.width > 1 && lane.active.empty()) {
    access.kind = Access::Kind::Flipped;
  } else if ((shape(access.offset) == Shape::Linear || shape(access.offset) == Shape::Steps) && lane.width > 1) {
    auto *stride = llvm::dyn_cast<llvm::ConstantInt>(slots[access.offset].stride);
    if (stride && stride->getSExtValue() == 1)
      access.kind = Access::Kind::Contiguous;
    if (stride && stride->getSExtValue() == -1)
      access.kind = Access::Kind::Reversed;
    if (stride && stride->isZero())
      access.kind = Access::Kind::One;
  }
  // What the base points into: through address arithmetic to a buffer or an argument; anything else stays unknown.
  ValueId root = op.operands[0];
  for (unsigned depth = 0; depth < 64; depth++) {
    const Value &value = fn.values[root];
    if (value.op == kNone) {
      access.argument = fn.block(value.block).owner == kNone;
      break;
    }
    const Op &source = fn.op(value.op);
    if (source.kind == OpKind::PlanBuffer)
      access.buffer = value.op;
    if (source.kind != OpKind::AddPtr && source.kind != OpKind::Bitcast)
      break;
    root = source.operands[0];
  }
  return access;
}

llvm::Instruction *Emitter::tag(llvm::Instruction *access, const Access &of) {
  if (of.buffer != kNone) {
    access->setMetadata(llvm::LLVMContext::MD_alias_scope, bufferScopes[of.buffer]);
    access->setMetadata(llvm::LLVMContext::MD_noalias, bufferOthers[of.buffer]);
  } else if (of.argument) {
    access->setMetadata(llvm::LLVMContext::MD_alias_scope, argumentScope);
    if (argumentOthers)
      access->setMetadata(llvm::LLVMContext::MD_noalias, argumentOthers);
  }
  return access;
}

/// The lanes of a part that take part: the access's mask and the tail's; null = all.
llvm::Value *Emitter::maskOf(const Access &access, unsigned index) {
  llvm::Value *mask = access.mask == kNone ? nullptr : part(access.mask, index);
  if (auto *constant = llvm::dyn_cast_or_null<llvm::Constant>(mask); constant && constant->isAllOnesValue())
    mask = nullptr;
  if (lane.active.empty())
    return mask;
  return mask ? b.CreateAnd(lane.active[index], mask) : lane.active[index];
}

/// The address of the first lane of a part, for offsets that are linear in a vector.
llvm::Value *Emitter::startOf(const Access &access, unsigned index) {
  if (shape(access.offset) != Shape::Linear)
    return b.CreateGEP(access.element, access.base, firstLane(access.offset, index));
  bool reverse = access.kind == Access::Kind::Reversed;
  int64_t lanes = int64_t{index} * lane.width;
  llvm::Value *start = b.CreateGEP(access.element, access.base, slots[access.offset].scalar);
  return access.kind == Access::Kind::One ? start
                                          : b.CreateConstGEP1_64(access.element, start, reverse ? -lanes : lanes);
}

/// The address of each lane of a part.
llvm::Value *Emitter::placeOf(const Access &access, unsigned index) {
  return b.CreateGEP(access.element, access.base ? access.base : part(access.pointer, index),
                     part(access.offset, index));
}

llvm::Value *Emitter::guardedLoad(const Access &access, llvm::Value *pointer, llvm::Value *mask, llvm::Value *other) {
  auto load = [&] { return tag(b.CreateAlignedLoad(access.element, pointer, llvm::Align(access.bytes)), access); };
  if (!mask)
    return load();
  BasicBlock *before = b.GetInsertBlock(), *inside = newBlock("load"), *after = newBlock("after");
  b.CreateCondBr(mask, inside, after);
  b.SetInsertPoint(inside);
  llvm::Value *value = load();
  b.CreateBr(after);
  b.SetInsertPoint(after);
  llvm::PHINode *phi = b.CreatePHI(access.element, 2);
  phi->addIncoming(value, inside);
  phi->addIncoming(other, before);
  return phi;
}

void Emitter::guardedStore(const Access &access, llvm::Value *pointer, llvm::Value *value, llvm::Value *mask) {
  when(mask ? mask : b.getTrue(),
       [&] { tag(b.CreateAlignedStore(value, pointer, llvm::Align(access.bytes)), access); });
}

static llvm::Value *reversed(llvm::IRBuilder<> &b, llvm::Value *vector) { return b.CreateVectorReverse(vector); }

llvm::Value *Emitter::loadPart(const Access &access, unsigned index, llvm::Value *mask, llvm::Value *other) {
  unsigned width = lane.width;
  llvm::Type *type = widen(access.element, width);
  llvm::Align align(access.bytes);
  if (width <= 1) {
    llvm::Value *pointer = placeOf(access, index);
    return guardedLoad(access, pointer, mask, other);
  }
  switch (access.kind) {
  case Access::Kind::One: {
    llvm::Value *pointer = startOf(access, index);
    // One address for all lanes has an active lane in each vector of a tail; one for each vector may have none.
    bool own = shape(access.offset) == Shape::Blocks || shape(access.offset) == Shape::Steps;
    llvm::Value *any = mask && (access.mask != kNone || own) ? b.CreateOrReduce(mask) : nullptr;
    llvm::Value *value = splat(guardedLoad(access, pointer, any, llvm::Constant::getNullValue(access.element)));
    return any ? b.CreateSelect(mask, value, other) : value;
  }
  case Access::Kind::Contiguous:
  case Access::Kind::Reversed: {
    bool reverse = access.kind == Access::Kind::Reversed;
    llvm::Value *pointer = startOf(access, index);
    if (reverse)
      pointer = b.CreateConstGEP1_64(access.element, pointer, -int64_t{width - 1});
    if (!mask) {
      llvm::Value *value = tag(b.CreateAlignedLoad(type, pointer, align), access);
      return reverse ? reversed(b, value) : value;
    }
    if (reverse) {
      mask = reversed(b, mask);
      other = reversed(b, other);
    }
    llvm::Value *value = laneByLane(access, false) ? loadActive(access, pointer, mask, other)
                                                   : tag(b.CreateMaskedLoad(type, pointer, align, mask, other), access);
    return reverse ? reversed(b, value) : value;
  }
  case Access::Kind::Flipped: {
    if (mask)
      break;
    uint64_t flip = slots[access.offset].flip, inside = flip & (width - 1);
    llvm::Value *first = b.CreateAdd(slots[access.offset].scalar, b.getInt64(uint64_t{index} * width));
    llvm::Value *start = b.CreateXor(first, b.getInt64(flip & ~uint64_t{width - 1}));
    llvm::Value *value = tag(b.CreateAlignedLoad(type, b.CreateGEP(access.element, access.base, start), align), access);
    llvm::SmallVector<int, 32> order;
    for (unsigned i = 0; i < width; i++)
      order.push_back(int(i ^ inside));
    return inside ? b.CreateShuffleVector(value, order) : value;
  }
  case Access::Kind::Scattered:
    break;
  }
  llvm::Value *pointers = placeOf(access, index);
  if (mask && laneByLane(access, false))
    return loadActive(access, pointers, mask, other);
  return tag(b.CreateMaskedGather(type, pointers, align, mask, mask ? other : nullptr), access);
}

void Emitter::emitLoad(const Op &op) {
  ValueId result = op.results[0];
  const Type &type = fn.type(result);
  Access access = accessOf(op, 2, type);
  auto toMemory = [&](llvm::Value *value) {
    return access.boolean ? b.CreateZExt(value, value->getType()->getWithNewBitWidth(8)) : value;
  };
  auto fromMemory = [&](llvm::Value *value) {
    return access.boolean ? b.CreateICmpNE(value, llvm::Constant::getNullValue(value->getType())) : value;
  };
  if (shape(result) == Shape::Uniform) {
    llvm::Value *pointer = b.CreateGEP(access.element, access.base, uniform(access.offset));
    llvm::Value *mask = access.mask == kNone ? nullptr : uniform(access.mask);
    llvm::Value *other =
        op.operands.size() > 3 ? toMemory(uniform(op.operands[3])) : llvm::Constant::getNullValue(access.element);
    if (auto *constant = llvm::dyn_cast_or_null<llvm::ConstantInt>(mask); constant && constant->isOne())
      mask = nullptr;
    bindUniform(result, fromMemory(guardedLoad(access, pointer, mask, other)));
    return;
  }
  Parts parts;
  for (unsigned u = 0; u < lane.parts; u++) {
    llvm::Value *other = op.operands.size() > 3 ? toMemory(part(op.operands[3], u))
                                                : llvm::Constant::getNullValue(widen(access.element, lane.width));
    parts.push_back(fromMemory(loadPart(access, u, maskOf(access, u), other)));
  }
  slots[result].parts = std::move(parts);
}

void Emitter::storePart(const Access &access, unsigned index, llvm::Value *value, llvm::Value *mask, bool stream) {
  unsigned width = lane.width;
  llvm::Align align(access.bytes);
  if (access.kind == Access::Kind::Contiguous || access.kind == Access::Kind::Reversed) {
    bool reverse = access.kind == Access::Kind::Reversed;
    llvm::Value *pointer = startOf(access, index);
    if (reverse)
      pointer = b.CreateConstGEP1_64(access.element, pointer, -int64_t{width - 1});
    if (reverse) {
      value = reversed(b, value);
      mask = mask ? reversed(b, mask) : nullptr;
    }
    if (mask && laneByLane(access, true))
      return storeActive(access, pointer, value, mask);
    if (mask) {
      tag(b.CreateMaskedStore(value, pointer, align, mask), access);
      return;
    }
    auto *store = b.CreateAlignedStore(value, pointer, stream ? llvm::Align(level.vectorBits / 8) : align);
    tag(store, access);
    if (stream)
      store->setMetadata(llvm::LLVMContext::MD_nontemporal,
                         llvm::MDNode::get(context, llvm::ConstantAsMetadata::get(b.getInt32(1))));
    return;
  }
  llvm::Value *pointers = placeOf(access, index);
  if (mask && laneByLane(access, true))
    return storeActive(access, pointers, value, mask);
  tag(b.CreateMaskedScatter(value, pointers, align, mask), access);
}

void Emitter::emitStore(const Op &op) {
  const Type &type = fn.type(op.operands[2]);
  Access access = accessOf(op, 3, type);
  auto toMemory = [&](llvm::Value *value) {
    return access.boolean ? b.CreateZExt(value, value->getType()->getWithNewBitWidth(8)) : value;
  };
  bool lanes = shape(access.offset) == Shape::Blocks || access.kind != Access::Kind::One ||
               shape(op.operands[2]) != Shape::Uniform || !access.uniformMask;
  if (!lanes) { // one element for all lanes
    llvm::Value *offset = slots[access.offset].scalar;
    llvm::Value *pointer = b.CreateGEP(access.element, access.base, offset);
    guardedStore(access, pointer, toMemory(uniform(op.operands[2])),
                 access.mask == kNone ? nullptr : uniform(access.mask));
    return;
  }
  if (lane.width <= 1) {
    for (unsigned u = 0; u < lane.parts; u++)
      guardedStore(access, placeOf(access, u), toMemory(part(op.operands[2], u)), maskOf(access, u));
    return;
  }
  std::vector<llvm::Value *> values, masks;
  bool masked = false;
  for (unsigned u = 0; u < lane.parts; u++) {
    values.push_back(toMemory(part(op.operands[2], u)));
    masks.push_back(maskOf(access, u));
    masked |= masks.back() != nullptr;
  }
  auto all = [&](bool stream) {
    for (unsigned u = 0; u < lane.parts; u++)
      storePart(access, u, values[u], masks[u], stream);
  };
  bool whole = lane.width * access.bytes * 8 % level.vectorBits == 0;
  if (!streamed || !op.attributes.has("stream") || masked || !whole || access.kind != Access::Kind::Contiguous ||
      shape(access.offset) != Shape::Linear)
    return all(false);
  // Non-temporal where the launch asks for it and the address allows it: the branch is free beside the store.
  llvm::Value *start = startOf(access, 0);
  llvm::Value *low = b.CreateAnd(b.CreatePtrToInt(start, b.getInt64Ty()), b.getInt64(level.vectorBits / 8 - 1));
  llvm::Value *take = b.CreateAnd(streams, b.CreateICmpEQ(low, b.getInt64(0)));
  BasicBlock *around = newBlock("stream"), *plain = newBlock("plain"), *after = newBlock("after");
  b.CreateCondBr(take, around, plain);
  b.SetInsertPoint(around);
  all(true);
  b.CreateBr(after);
  b.SetInsertPoint(plain);
  all(false);
  b.CreateBr(after);
  b.SetInsertPoint(after);
}

void Emitter::emitPrefetch(const Op &op) {
  llvm::Value *base = uniform(op.operands[0]);
  Type element = fn.type(op.operands[0]);
  OPW_CHECK(element.isPointer(), "a prefetch takes a pointer");
  element.pointerDepth--;
  unsigned bytes = element.isPointer() ? 8 : byteWidth(element.elem);
  llvm::Type *type = element.isPointer() || element.elem != Elem::I1 ? typeOf(element) : b.getInt8Ty();
  if ((shape(op.operands[1]) != Shape::Uniform && shape(op.operands[1]) != Shape::Linear) || !lane.active.empty())
    return; // scattered addresses are not worth it, and a tail is short
  llvm::Value *start = b.CreateGEP(type, base, slots[op.operands[1]].scalar);
  uint64_t span = shape(op.operands[1]) == Shape::Linear ? uint64_t{lane.width} * lane.parts * bytes : 1;
  for (uint64_t at = 0; at < span; at += level.prefetchLine)
    b.CreateIntrinsic(llvm::Intrinsic::prefetch, {start->getType()},
                      {b.CreateConstGEP1_64(b.getInt8Ty(), start, at), b.getInt32(op.attributes.has("write")),
                       b.getInt32(3), b.getInt32(1)});
}

} // namespace opw::cpu
