// Scratch memory, how plan values are looked up, and which function emits an op.
#include "codegen/cpu/emitter.h"
#include "codegen/cpu/scratch_limit.h"
#include "support/check.h"

#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/MDBuilder.h"

#include <algorithm>

namespace opw::cpu {

using namespace ir;
using llvm::BasicBlock;
using llvm::ConstantInt;
using llvm::VectorType;

Emitter::Emitter(const Module &source, const Function &plan, const Level &level, const EmitOptions &options,
                 llvm::Module &target)
    : source(source), fn(plan), level(level), options(options), target(target), context(target.getContext()),
      b(context), lanes(analyzeLanes(plan, level)), slots(plan.values.size()) {
  llvm::FastMathFlags flags;
  flags.setAllowContract(options.fpFusion);
  b.setFastMathFlags(flags);
}

void Emitter::refuse(const std::string &message, const std::string &hint) const {
  Diagnostic diagnostic{.message = message, .kernel = fn.name, .hint = hint};
  if (current) {
    diagnostic.op = ir::name(current->kind);
    diagnostic.where = sourceOf(source, current->location);
  }
  throw Refusal{std::move(diagnostic)};
}

llvm::Type *Emitter::typeOf(const Type &type) const {
  if (type.isPointer())
    return llvm::PointerType::getUnqual(context);
  switch (type.elem) {
  case Elem::F32:
    return llvm::Type::getFloatTy(context);
  case Elem::F64:
    return llvm::Type::getDoubleTy(context);
  case Elem::I4:
    refuse("values of type i4 have no CPU emission");
  default:
    return llvm::Type::getIntNTy(context, bitWidth(type.elem));
  }
}

llvm::Type *Emitter::widen(llvm::Type *type, unsigned width) const {
  return width <= 1 ? type : llvm::FixedVectorType::get(type, width);
}

BasicBlock *Emitter::newBlock(const char *name) { return BasicBlock::Create(context, name, entry); }

// ---- scratch and aliasing

void Emitter::layOutScratch() {
  auto align = [](uint64_t offset) { return (offset + 63) & ~uint64_t{63}; };
  std::vector<OpId> buffers, memos;
  std::vector<BlockId> work(fn.body.blocks.begin(), fn.body.blocks.end());
  while (!work.empty()) {
    BlockId block = work.back();
    work.pop_back();
    for (OpId id : fn.block(block).ops) {
      const Op &op = fn.op(id);
      if (op.kind == OpKind::PlanBuffer)
        buffers.push_back(id);
      if (op.kind == OpKind::PlanMemo)
        memos.push_back(id);
      if (op.kind == OpKind::GetProgramId)
        usedAxes |= 1u << (op.attributes.textOr("axis", "x")[0] - 'x');
      canFail |= op.kind == OpKind::Assert || op.kind == OpKind::AtomicPoll || op.kind == OpKind::While;
      needsLaunch |= op.kind == OpKind::Print || op.kind == OpKind::PlanMemo || canFail;
      streamed |= level.streams && op.kind == OpKind::PlanStore && op.attributes.has("stream");
      for (const Region &region : op.regions)
        work.insert(work.end(), region.blocks.begin(), region.blocks.end());
    }
  }
  std::sort(buffers.begin(), buffers.end());
  std::sort(memos.begin(), memos.end());
  auto sizeOf = [&](const Op &op) {
    Type element = fn.type(op.results[0]);
    element.pointerDepth--;
    return uint64_t(op.attributes.intOr("elements", 0)) * (element.isPointer() ? 8 : byteWidth(element.elem));
  };
  for (OpId id : buffers)
    if (int64_t offset = fn.op(id).attributes.intOr("offset", -1); offset >= 0) {
      bufferOffsets[id] = offset;
      scratchEnd = std::max(scratchEnd, align(offset + sizeOf(fn.op(id))));
    }
  for (OpId id : buffers)
    if (!bufferOffsets.count(id)) {
      bufferOffsets[id] = scratchEnd;
      scratchEnd = align(scratchEnd + sizeOf(fn.op(id)));
    }
  std::vector<std::pair<uint64_t, OpId>> sizes;
  for (OpId id : buffers)
    sizes.emplace_back(sizeOf(fn.op(id)), id);
  limitScratch(source, fn, scratchEnd, std::move(sizes));
  std::map<int64_t, std::pair<uint64_t, size_t>> slotAreas; // one key area per slot number
  for (OpId id : memos) {
    auto &area = slotAreas[fn.op(id).attributes.intOr("slot", 0)];
    area.second = std::max(area.second, fn.op(id).operands.size());
  }
  for (auto &[slot, area] : slotAreas) {
    area.first = scratchEnd;
    scratchEnd = align(scratchEnd + 8 * (1 + area.second));
  }
  for (OpId id : memos)
    memoOffsets[id] = slotAreas[fn.op(id).attributes.intOr("slot", 0)].first;

  // Buffers are disjoint from each other and from what arguments point to; arguments may overlap. Buffers that share
  // bytes (placed by liveness) get one scope.
  llvm::MDBuilder md(context);
  llvm::MDNode *domain = md.createAnonymousAliasScopeDomain("plan");
  llvm::MDNode *arguments = md.createAnonymousAliasScope(domain, "arguments");
  std::map<OpId, llvm::MDNode *> scopes;
  uint64_t end = 0;
  llvm::MDNode *scope = nullptr;
  std::sort(buffers.begin(), buffers.end(), [&](OpId x, OpId y) { return bufferOffsets[x] < bufferOffsets[y]; });
  llvm::SmallVector<llvm::Metadata *> distinct;
  for (OpId id : buffers) {
    if (!scope || bufferOffsets[id] >= end) {
      scope = md.createAnonymousAliasScope(domain, "buffer");
      distinct.push_back(scope);
    }
    end = std::max(end, bufferOffsets[id] + sizeOf(fn.op(id)));
    scopes[id] = scope;
  }
  for (OpId id : buffers) {
    llvm::SmallVector<llvm::Metadata *> others{arguments};
    for (llvm::Metadata *other : distinct)
      if (other != scopes[id])
        others.push_back(other);
    bufferScopes[id] = llvm::MDNode::get(context, {scopes[id]});
    bufferOthers[id] = llvm::MDNode::get(context, others);
  }
  argumentScope = llvm::MDNode::get(context, {arguments});
  argumentOthers = distinct.empty() ? nullptr : llvm::MDNode::get(context, distinct);
}

// ---- values

llvm::Value *Emitter::uniform(ValueId value) {
  OPW_CHECK(shape(value) == Shape::Uniform, "a value that differs between lanes where one for all is needed");
  OPW_CHECK(slots[value].scalar, "a value is used before it is computed");
  return slots[value].scalar;
}

llvm::Value *Emitter::splat(llvm::Value *scalar) {
  return lane.width <= 1 ? scalar : b.CreateVectorSplat(lane.width, scalar);
}

llvm::Value *Emitter::iota(llvm::Type *element, unsigned start, int64_t stride) const {
  unsigned width = std::max(lane.width, 1u);
  llvm::SmallVector<llvm::Constant *, 16> values;
  for (unsigned i = 0; i < width; i++)
    values.push_back(ConstantInt::get(element, uint64_t(stride) * (start + i), false, true));
  return width == 1 ? static_cast<llvm::Value *>(values[0]) : llvm::ConstantVector::get(values);
}

llvm::Value *Emitter::part(ValueId value, unsigned index) {
  Slot &slot = slots[value];
  switch (shape(value)) {
  case Shape::Uniform:
    return splat(uniform(value));
  case Shape::Lanes:
    OPW_CHECK(index < slot.parts.size(), "a vector value is used before it is computed");
    return slot.parts[index];
  case Shape::Linear:
  case Shape::Blocks:
  case Shape::Steps:
  case Shape::Flipped:
    break;
  }
  if (slot.parts.empty() || slot.home != b.GetInsertBlock()) {
    slot.parts.clear();
    slot.home = b.GetInsertBlock();
    bool own = shape(value) == Shape::Blocks || shape(value) == Shape::Steps;
    llvm::Type *element = (own ? slot.bases[0] : slot.scalar)->getType();
    for (unsigned u = 0; u < lane.parts; u++) {
      if (own) {
        llvm::Value *values = splat(slot.bases[u]);
        if (shape(value) == Shape::Steps && lane.width > 1)
          values = b.CreateAdd(values, b.CreateMul(iota(element, 0), splat(slot.stride)));
        slot.parts.push_back(values);
        continue;
      }
      llvm::Value *steps;
      if (auto *constant = llvm::dyn_cast<ConstantInt>(slot.stride))
        steps = iota(element, u * lane.width, constant->getSExtValue());
      else
        steps = b.CreateMul(iota(element, u * lane.width), splat(slot.stride));
      llvm::Value *values = b.CreateAdd(splat(slot.scalar), steps);
      if (shape(value) == Shape::Flipped)
        values = b.CreateXor(values, splat(b.getInt64(slot.flip)));
      slot.parts.push_back(values);
    }
  }
  return slot.parts[index];
}

llvm::Value *Emitter::firstLane(ValueId value, unsigned index) {
  const Slot &slot = slots[value];
  if (shape(value) == Shape::Blocks || shape(value) == Shape::Steps)
    return slot.bases[index];
  if (shape(value) == Shape::Uniform || index == 0)
    return slot.scalar;
  llvm::Value *lanes = ConstantInt::get(slot.stride->getType(), uint64_t{index} * lane.width);
  return b.CreateAdd(slot.scalar, b.CreateMul(slot.stride, lanes));
}

llvm::Value *Emitter::strideOf(ValueId value) {
  const Slot &slot = slots[value];
  bool slopes = shape(value) == Shape::Linear || shape(value) == Shape::Steps;
  return slopes ? slot.stride : ConstantInt::get(firstLane(value, 0)->getType(), 0);
}

Parts Emitter::flatten(ValueId value, Shape as) {
  if (as == Shape::Uniform)
    return {uniform(value)};
  Parts values;
  for (unsigned u = 0; u < lane.parts; u++)
    values.push_back(part(value, u));
  return values;
}

void Emitter::bind(ValueId value, Parts values) {
  Slot &slot = slots[value];
  if (shape(value) == Shape::Uniform)
    slot.scalar = values[0];
  else
    slot.parts = std::move(values);
}

llvm::Value *Emitter::below(llvm::Value *count, unsigned index) {
  unsigned width = lane.width, end = width * lane.parts;
  if (width <= 1)
    return b.CreateICmpSGT(count, b.getInt64(index));
  llvm::Type *element = width <= 16 ? b.getInt32Ty() : b.getInt16Ty();
  llvm::Value *clamped = b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, count, b.getInt64(end));
  return b.CreateICmpULT(iota(element, index * width), splat(b.CreateTrunc(clamped, element)));
}

// ---- ops

void Emitter::emitBlock(const Block &block) {
  DebugInfo::Block described(debug.get());
  for (OpId id : block.ops)
    if (!has(fn.op(id).kind, kTerminator))
      emitOp(id);
}

void Emitter::emitOp(OpId id) {
  const Op &op = fn.op(id);
  const Op *outer = current;
  current = &op;
  llvm::DebugLoc outerPlace = b.getCurrentDebugLocation();
  if (debug)
    b.SetCurrentDebugLocation(debug->at(op.location, outerPlace));
  switch (op.kind) {
  case OpKind::PlanLoop:
    if (op.attributes.has("lane"))
      emitLaneLoop(id);
    else
      emitSeqLoop(op);
    break;
  case OpKind::If:
    emitIf(op);
    break;
  case OpKind::While:
    emitWhile(op);
    break;
  case OpKind::PlanMemo:
    emitMemo(id);
    break;
  case OpKind::PlanLoad:
    emitLoad(op);
    break;
  case OpKind::PlanStore:
    emitStore(op);
    break;
  case OpKind::PlanPrefetch:
    emitPrefetch(op);
    break;
  case OpKind::PlanDot:
    emitDot(op);
    break;
  case OpKind::AtomicRmw:
  case OpKind::AtomicCas:
  case OpKind::AtomicPoll:
  case OpKind::AtomicLoad:
  case OpKind::AtomicStore:
    emitAtomic(op);
    break;
  case OpKind::Assert:
    emitAssert(op);
    break;
  case OpKind::Print:
    emitPrint(op);
    break;
  case OpKind::PlanBuffer:
    bindUniform(op.results[0], b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), scratchMemory, bufferOffsets[id]));
    break;
  case OpKind::GetProgramId:
  case OpKind::GetNumPrograms: {
    std::string_view axis = op.attributes.textOr("axis", "x");
    OPW_CHECK(axis == "x" || axis == "y" || axis == "z", "axis of a program id");
    auto index = static_cast<size_t>(axis[0] - 'x');
    bindUniform(op.results[0], op.kind == OpKind::GetProgramId ? program[index] : grid[index]);
    break;
  }
  default:
    emitPure(op);
  }
  b.SetCurrentDebugLocation(outerPlace);
  current = outer;
}

void Emitter::emitPure(const Op &op) {
  if (op.results.size() != 1 || !(has(op.kind, kPure) || op.kind == OpKind::ExternElementwise))
    refuse("this operation has no CPU emission yet");
  ValueId result = op.results[0];
  if (!fn.type(result).isScalar())
    refuse("a result of type " + fn.type(result).str() + " in a plan, expected a single element");
  llvm::SmallVector<llvm::Value *, 4> in(op.operands.size());
  switch (shape(result)) {
  case Shape::Uniform:
    for (size_t i = 0; i < in.size(); i++)
      in[i] = uniform(op.operands[i]);
    bindUniform(result, compute(op, in));
    return;
  case Shape::Linear:
    emitLinear(op);
    return;
  case Shape::Blocks:
    return emitBlocks(op);
  case Shape::Steps:
    return emitSteps(op);
  case Shape::Flipped:
    emitFlipped(op);
    return;
  case Shape::Lanes:
    break;
  }
  if (op.kind == OpKind::CmpI && emitCheapCompare(op))
    return;
  if (dividesByOne(op))
    return emitDivision(op);
  Parts parts;
  for (unsigned u = 0; u < lane.parts; u++) {
    for (size_t i = 0; i < in.size(); i++)
      in[i] = part(op.operands[i], u);
    parts.push_back(compute(op, in));
  }
  slots[result].parts = std::move(parts);
}

void Emitter::emitFlipped(const Op &op) {
  Slot &result = slots[op.results[0]];
  const Slot &from = slots[op.operands[0]];
  uint64_t flip = uint64_t(*constantOf(fn, op.operands[1]));
  result.parts.clear();
  result.scalar = from.scalar;
  result.stride = from.stride;
  result.flip = from.flip ^ flip;
}

/// A scalar for each part: what is one for the vector, or a division that has one result in it.
void Emitter::emitBlocks(const Op &op) {
  Slot &result = slots[op.results[0]];
  result.parts.clear();
  result.bases.clear();
  llvm::SmallVector<llvm::Value *, 4> in(op.operands.size());
  for (unsigned u = 0; u < lane.parts; u++) {
    for (size_t i = 0; i < in.size(); i++)
      in[i] = firstLane(op.operands[i], u);
    result.bases.push_back(compute(op, in));
  }
}

void Emitter::emitSteps(const Op &op) {
  emitBlocks(op);
  Slot &result = slots[op.results[0]];
  llvm::Type *type = result.bases[0]->getType();
  auto stride = [&](unsigned i) { return strideOf(op.operands[i]); };
  switch (op.kind) {
  case OpKind::AddI:
    result.stride = b.CreateAdd(stride(0), stride(1));
    return;
  case OpKind::SubI:
    result.stride = b.CreateSub(stride(0), stride(1));
    return;
  case OpKind::MulI: {
    unsigned uniform = shape(op.operands[0]) == Shape::Uniform ? 0 : 1;
    result.stride = b.CreateMul(slots[op.operands[uniform]].scalar, stride(1 - uniform));
    return;
  }
  default: // widened, narrowed, or a remainder of what counts the lanes up
    result.stride = b.CreateSExtOrTrunc(stride(0), type);
  }
}

void Emitter::emitLinear(const Op &op) {
  Slot &result = slots[op.results[0]];
  result.parts.clear();
  llvm::Type *type = typeOf(fn.type(op.results[0]));
  auto base = [&](unsigned i) { return slots[op.operands[i]].scalar; };
  auto stride = [&](unsigned i) { return strideOf(op.operands[i]); };
  auto both = [&](auto make) {
    result.scalar = make(base(0));
    result.stride = make(stride(0));
  };
  switch (op.kind) {
  case OpKind::AddI:
    result.scalar = b.CreateAdd(base(0), base(1));
    result.stride = b.CreateAdd(stride(0), stride(1));
    return;
  case OpKind::SubI:
    result.scalar = b.CreateSub(base(0), base(1));
    result.stride = b.CreateSub(stride(0), stride(1));
    return;
  case OpKind::MulI: {
    unsigned linear = shape(op.operands[0]) == Shape::Linear ? 0 : 1;
    result.scalar = b.CreateMul(base(0), base(1));
    result.stride = b.CreateMul(stride(linear), base(1 - linear));
    return;
  }
  case OpKind::ShlI:
    return both([&](llvm::Value *x) { return b.CreateShl(x, base(1)); });
  case OpKind::ExtUI: // the range is proven not negative, the stride may be
    result.scalar = b.CreateZExtOrTrunc(base(0), type);
    result.stride = b.CreateSExtOrTrunc(stride(0), type);
    return;
  default:
    return both([&](llvm::Value *x) { return b.CreateSExtOrTrunc(x, type); });
  }
}

/// linear <pred> uniform on i64: one scalar subtraction, then a compare of narrow constants with the clamped distance.
bool Emitter::emitCheapCompare(const Op &op) {
  ValueId x = op.operands[0], y = op.operands[1];
  if (fn.type(x).elem != Elem::I64 || fn.type(x).isPointer() || lane.width <= 1)
    return false;
  std::string_view name = op.attributes.textOr("predicate", "");
  using Pred = llvm::CmpInst::Predicate;
  Pred pred = name == "eq"    ? Pred::ICMP_EQ
              : name == "ne"  ? Pred::ICMP_NE
              : name == "slt" ? Pred::ICMP_SLT
              : name == "sle" ? Pred::ICMP_SLE
              : name == "sgt" ? Pred::ICMP_SGT
              : name == "sge" ? Pred::ICMP_SGE
                              : Pred::BAD_ICMP_PREDICATE;
  if (pred == Pred::BAD_ICMP_PREDICATE)
    return false;
  if (shape(x) == Shape::Uniform) {
    std::swap(x, y);
    pred = llvm::CmpInst::getSwappedPredicate(pred);
  }
  if (shape(x) != Shape::Linear || (shape(y) != Shape::Linear && shape(y) != Shape::Uniform))
    return false;
  llvm::Value *stride = slots[x].stride;
  if (shape(y) == Shape::Linear)
    stride = b.CreateSub(stride, slots[y].stride);
  auto *constant = llvm::dyn_cast<ConstantInt>(stride);
  if (!constant)
    return false;
  int64_t step = constant->getSExtValue(), reach = int64_t{lane.width} * lane.parts;
  if (step > (1 << 20) || step < -(1 << 20) || std::abs(step) * reach >= (1 << 29))
    return false;
  bool narrow = lane.width > 16 && std::abs(step) * reach < (1 << 14);
  llvm::Type *element = narrow ? b.getInt16Ty() : b.getInt32Ty();
  int64_t limit = narrow ? 1 << 14 : 1 << 29;
  auto clamp = [&](llvm::Value *value, int64_t bound) {
    llvm::Type *type = value->getType();
    value = b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, value, ConstantInt::get(type, -bound, true));
    return b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, value, ConstantInt::get(type, bound, true));
  };
  llvm::Value *distance;
  auto range = rangeOf(fn, x);
  if (!narrow && shape(y) == Shape::Uniform && range && range->low >= -limit && range->high <= limit) {
    // the clamped bound does not change in the loop: what is left there is one subtraction
    llvm::Value *far = b.CreateTrunc(clamp(slots[y].scalar, 2 * limit), element);
    distance = b.CreateSub(far, b.CreateTrunc(slots[x].scalar, element));
  } else {
    distance = clamp(b.CreateBinaryIntrinsic(llvm::Intrinsic::ssub_sat, slots[y].scalar, slots[x].scalar), limit);
  }
  llvm::Value *bound = splat(b.CreateTrunc(distance, element));
  Parts parts;
  for (unsigned u = 0; u < lane.parts; u++)
    parts.push_back(b.CreateICmp(pred, iota(element, u * lane.width, step), bound));
  slots[op.results[0]].parts = std::move(parts);
  return true;
}

} // namespace opw::cpu
