// Control: uniform branches and loops, lane loops, memos.
#include "codegen/cpu/emitter.h"
#include "support/check.h"

#include <bit>

namespace opw::cpu {

using namespace ir;
using llvm::BasicBlock;
using llvm::PHINode;

namespace {

/// Phis of carried values at the head of a loop, or at a join.
struct Phis {
  std::vector<llvm::SmallVector<PHINode *, 4>> nodes;

  Parts values(size_t index) const { return Parts(nodes[index].begin(), nodes[index].end()); }
  void incoming(const std::vector<Parts> &values, BasicBlock *from) {
    for (size_t i = 0; i < nodes.size(); i++)
      for (size_t u = 0; u < nodes[i].size(); u++)
        nodes[i][u]->addIncoming(values[i][u], from);
  }
};

Phis makePhis(llvm::IRBuilder<> &b, const std::vector<Parts> &like) {
  Phis phis;
  for (const Parts &parts : like) {
    auto &nodes = phis.nodes.emplace_back();
    for (llvm::Value *part : parts)
      nodes.push_back(b.CreatePHI(part->getType(), 2));
  }
  return phis;
}

} // namespace

void Emitter::emitIf(const Op &op) {
  if (shape(op.operands[0]) != Shape::Uniform)
    refuse("a condition that differs between lanes");
  llvm::Value *condition = uniform(op.operands[0]);
  BasicBlock *join = newBlock("join"), *sides[2] = {newBlock("then"), join};
  bool hasElse = op.regions.size() > 1 && !op.regions[1].blocks.empty();
  OPW_CHECK(hasElse || op.results.empty(), "an if with results has two regions");
  if (hasElse)
    sides[1] = newBlock("else");
  b.CreateCondBr(condition, sides[0], sides[1]);
  std::vector<Parts> values[2];
  BasicBlock *ends[2] = {};
  for (unsigned side = 0; side < (hasElse ? 2u : 1u); side++) {
    b.SetInsertPoint(sides[side]);
    const Block &body = fn.block(op.regions[side].blocks[0]);
    emitBlock(body);
    for (size_t i = 0; i < op.results.size(); i++)
      values[side].push_back(flatten(fn.op(body.ops.back()).operands[i], shape(op.results[i])));
    ends[side] = b.GetInsertBlock();
    b.CreateBr(join);
  }
  b.SetInsertPoint(join);
  if (op.results.empty())
    return;
  Phis phis = makePhis(b, values[0]);
  phis.incoming(values[0], ends[0]);
  phis.incoming(values[1], ends[1]);
  for (size_t i = 0; i < op.results.size(); i++)
    bind(op.results[i], phis.values(i));
}

void Emitter::emitWhile(const Op &op) {
  const Block &before = fn.block(op.regions[0].blocks[0]), &after = fn.block(op.regions[1].blocks[0]);
  std::vector<Parts> inits;
  for (size_t i = 0; i < op.operands.size(); i++)
    inits.push_back(flatten(op.operands[i], shape(before.arguments[i])));
  BasicBlock *entering = b.GetInsertBlock(), *head = newBlock("while"), *body = newBlock("do"), *exit = newBlock("done");
  b.CreateBr(head);
  b.SetInsertPoint(head);
  Phis phis = makePhis(b, inits);
  phis.incoming(inits, entering);
  for (size_t i = 0; i < inits.size(); i++)
    bind(before.arguments[i], phis.values(i));
  emitBlock(before);
  const Op &condition = fn.op(before.ops.back());
  if (shape(condition.operands[0]) != Shape::Uniform)
    refuse("a loop condition that differs between lanes");
  for (size_t i = 1; i < condition.operands.size(); i++) {
    bind(after.arguments[i - 1], flatten(condition.operands[i], shape(after.arguments[i - 1])));
    bind(op.results[i - 1], flatten(condition.operands[i], shape(op.results[i - 1])));
  }
  b.CreateCondBr(uniform(condition.operands[0]), body, exit);
  b.SetInsertPoint(body);
  emitBlock(after);
  std::vector<Parts> yields;
  const Op &yield = fn.op(after.ops.back());
  for (size_t i = 0; i < yield.operands.size(); i++)
    yields.push_back(flatten(yield.operands[i], shape(before.arguments[i])));
  phis.incoming(yields, b.GetInsertBlock());
  b.CreateBr(head);
  b.SetInsertPoint(exit);
}

void Emitter::emitSeqLoop(const Op &op) {
  const Block &body = fn.block(op.regions[0].blocks[0]);
  llvm::Value *low = uniform(op.operands[0]), *high = uniform(op.operands[1]), *step = uniform(op.operands[2]);
  std::vector<Parts> inits;
  for (size_t i = 3; i < op.operands.size(); i++)
    inits.push_back(flatten(op.operands[i], shape(body.arguments[i - 2])));
  BasicBlock *entering = b.GetInsertBlock(), *head = newBlock("loop"), *exit = newBlock("after");
  b.CreateCondBr(b.CreateICmpSLT(low, high), head, exit);
  b.SetInsertPoint(head);
  PHINode *index = b.CreatePHI(b.getInt64Ty(), 2, "i");
  index->addIncoming(low, entering);
  Phis phis = makePhis(b, inits);
  phis.incoming(inits, entering);
  bindUniform(body.arguments[0], index);
  for (size_t i = 0; i < inits.size(); i++)
    bind(body.arguments[i + 1], phis.values(i));
  emitBlock(body);
  std::vector<Parts> yields;
  const Op &yield = fn.op(body.ops.back());
  for (size_t i = 0; i < inits.size(); i++)
    yields.push_back(flatten(yield.operands[i], shape(body.arguments[i + 1])));
  BasicBlock *latch = b.GetInsertBlock();
  llvm::Value *next = b.CreateNSWAdd(index, step);
  index->addIncoming(next, latch);
  phis.incoming(yields, latch);
  b.CreateCondBr(b.CreateICmpSLT(next, high), head, exit);
  b.SetInsertPoint(exit);
  Phis results = makePhis(b, inits);
  results.incoming(inits, entering);
  results.incoming(yields, latch);
  for (size_t i = 0; i < inits.size(); i++)
    bind(op.results[i], results.values(i));
}

// ---- lane loops ------------------------------------------------------------------------------------------------------

/// One carried value of a lane loop: an accumulator per part, folded after the loop.
struct Emitter::Carried {
  OpKind combine;
  Type type;
  Parts parts; ///< at the current place
};

/// Emits the body for the lanes at `position`; the accumulators move on.
void Emitter::laneIteration(const Op &loop, llvm::Value *position, std::vector<Carried> &carried) {
  const Block &body = fn.block(loop.regions[0].blocks[0]);
  Slot &variable = slots[body.arguments[0]];
  variable = {};
  variable.scalar = position;
  variable.stride = b.getInt64(1);
  for (size_t i = 0; i < carried.size(); i++)
    slots[body.arguments[i + 1]].parts = carried[i].parts;
  emitBlock(body);
  const Op &yield = fn.op(body.ops.back());
  for (size_t i = 0; i < carried.size(); i++)
    for (unsigned u = 0; u < lane.parts; u++) {
      llvm::Value *value = part(yield.operands[i], u);
      if (lane.active)
        value = b.CreateSelect(lane.active, value, carried[i].parts[u]);
      carried[i].parts[u] = value;
    }
}

/// Combines all lanes of all parts, as a tree.
llvm::Value *Emitter::fold(const Carried &carried, const Parts &parts) {
  Parts level = parts;
  while (level.size() > 1) {
    Parts next;
    for (size_t u = 0; u + 1 < level.size(); u += 2)
      next.push_back(combine(carried.combine, carried.type, level[u], level[u + 1]));
    if (level.size() % 2)
      next.push_back(level.back());
    level = std::move(next);
  }
  llvm::Value *value = level[0];
  auto *vector = llvm::dyn_cast<llvm::FixedVectorType>(value->getType());
  if (!vector)
    return value;
  for (unsigned width = vector->getNumElements(); width > 1; width /= 2) {
    llvm::SmallVector<int, 32> low, high;
    for (unsigned i = 0; i < width / 2; i++) {
      low.push_back(i);
      high.push_back(i + width / 2);
    }
    value = combine(carried.combine, carried.type, b.CreateShuffleVector(value, low), b.CreateShuffleVector(value, high));
  }
  return b.CreateExtractElement(value, uint64_t{0});
}

void Emitter::emitLaneLoop(OpId id) {
  const Op &op = fn.op(id);
  if (lane.width != 0)
    refuse("a lane loop inside a lane loop");
  const LoopForm &form = lanes.loops.at(id);
  llvm::Value *low = uniform(op.operands[0]), *high = uniform(op.operands[1]);
  std::vector<Carried> carried;
  const Attribute *combines = op.attributes.find("combine");
  for (size_t i = 3; i < op.operands.size(); i++) {
    Carried c;
    c.type = fn.type(op.operands[i]);
    const Attribute *name = combines && i - 3 < combines->items.size() ? &combines->items[i - 3].second : nullptr;
    if (!name || !findOp(name->text, c.combine))
      refuse("a lane loop carries a value without a combine operation");
    identity(c.combine, c.type); // refuses what has none
    carried.push_back(c);
  }
  auto starting = [&](unsigned width, unsigned count) {
    for (Carried &c : carried) {
      llvm::Value *start = identity(c.combine, c.type);
      c.parts.assign(count, width <= 1 ? start : b.CreateVectorSplat(width, start));
    }
  };
  auto state = [&] {
    std::vector<Parts> all;
    for (Carried &c : carried)
      all.push_back(c.parts);
    return all;
  };
  auto restore = [&](const Phis &phis) {
    for (size_t i = 0; i < carried.size(); i++)
      carried[i].parts = phis.values(i);
  };
  // One stretch of iterations: at least one where `always`, at most one where `once`.
  auto stretch = [&](llvm::Value *from, llvm::Value *to, int64_t step, bool always, bool once, bool masked) {
    std::vector<Parts> inits = state();
    BasicBlock *entering = b.GetInsertBlock(), *head = newBlock("lanes"), *exit = newBlock("after");
    if (always)
      b.CreateBr(head);
    else
      b.CreateCondBr(b.CreateICmpSLT(from, to), head, exit);
    b.SetInsertPoint(head);
    llvm::Value *position = from;
    PHINode *index = nullptr;
    Phis phis;
    if (!once) {
      position = index = b.CreatePHI(b.getInt64Ty(), 2, "i");
      index->addIncoming(from, entering);
      phis = makePhis(b, inits);
      phis.incoming(inits, entering);
      restore(phis);
    }
    lane.active = masked ? below(b.CreateSub(to, position)) : nullptr;
    laneIteration(op, position, carried);
    std::vector<Parts> ended = state();
    BasicBlock *latch = b.GetInsertBlock();
    if (once) {
      b.CreateBr(exit);
    } else {
      llvm::Value *next = b.CreateNSWAdd(index, b.getInt64(step));
      index->addIncoming(next, latch);
      phis.incoming(ended, latch);
      b.CreateCondBr(b.CreateICmpSLT(next, to), head, exit);
    }
    b.SetInsertPoint(exit);
    Phis results = makePhis(b, ended);
    results.incoming(ended, latch);
    if (!always)
      results.incoming(inits, entering);
    restore(results);
  };

  int64_t chunk = int64_t{form.width} * form.unroll;
  int64_t limit = form.limit.value_or(INT64_MAX);
  bool hasMain = limit >= chunk, hasTail = !form.trip || *form.trip % chunk != 0;
  llvm::Value *mainEnd = low;
  std::vector<Parts> folded; // results of the stretches so far, per carried value
  starting(form.width, form.unroll);
  if (form.trip && *form.trip == 0)
    hasMain = hasTail = false;
  if (hasMain) {
    llvm::Value *count = b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, b.CreateSub(high, low), b.getInt64(0));
    mainEnd = b.CreateAdd(low, b.CreateAnd(count, b.getInt64(-chunk)));
    lane = {form.width, form.unroll, nullptr};
    stretch(low, mainEnd, chunk, form.trip.has_value(), limit < 2 * chunk, false);
  }
  std::vector<llvm::Value *> sums(carried.size());
  if (hasTail) {
    bool masked = form.tailWidth > 1;
    if (form.tailWidth != form.width) { // the tail accumulates scalars: the vectors end here
      lane = {};
      for (size_t i = 0; i < carried.size(); i++)
        sums[i] = hasMain ? fold(carried[i], carried[i].parts) : nullptr;
      starting(form.tailWidth, 1);
    }
    std::vector<Parts> others;
    for (Carried &c : carried) {
      others.push_back(Parts(c.parts.begin() + 1, c.parts.end()));
      c.parts.resize(1);
    }
    lane = {form.tailWidth, 1, nullptr};
    int64_t rest = hasMain ? chunk - 1 : limit;
    if (form.trip)
      rest = *form.trip % chunk;
    stretch(mainEnd, high, form.tailWidth, form.trip.has_value(), rest <= int64_t{form.tailWidth}, masked);
    for (size_t i = 0; i < carried.size(); i++)
      carried[i].parts.append(others[i].begin(), others[i].end());
  }
  lane = {};
  for (size_t i = 0; i < carried.size(); i++) {
    llvm::Value *total = fold(carried[i], carried[i].parts);
    if (sums[i])
      total = combine(carried[i].combine, carried[i].type, sums[i], total);
    bindUniform(op.results[i], combine(carried[i].combine, carried[i].type, uniform(op.operands[i + 3]), total));
  }
}

// ---- memo ------------------------------------------------------------------------------------------------------------

/// The key area of a slot: the launch's epoch, then the scalars, each in 8 bytes.
void Emitter::emitMemo(OpId id) {
  const Op &op = fn.op(id);
  if (lane.width != 0)
    refuse("a memo inside a lane loop");
  llvm::Type *i64 = b.getInt64Ty();
  llvm::Value *area = b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), scratchMemory, memoOffsets[id]);
  std::vector<llvm::Value *> keys{epoch};
  for (ValueId operand : op.operands) {
    llvm::Value *key = uniform(operand);
    llvm::Type *type = key->getType();
    if (type->isPointerTy())
      key = b.CreatePtrToInt(key, i64);
    else
      key = b.CreateZExt(b.CreateBitCast(key, b.getIntNTy(type->getPrimitiveSizeInBits())), i64);
    keys.push_back(key);
  }
  llvm::Value *differs = b.getFalse();
  auto place = [&](size_t i) { return b.CreateConstInBoundsGEP1_64(i64, area, i); };
  for (size_t i = 0; i < keys.size(); i++)
    differs = b.CreateOr(differs, b.CreateICmpNE(b.CreateAlignedLoad(i64, place(i), llvm::Align(8)), keys[i]));
  BasicBlock *fill = newBlock("fill"), *after = newBlock("after");
  b.CreateCondBr(differs, fill, after);
  b.SetInsertPoint(fill);
  emitBlock(fn.block(op.regions[0].blocks[0]));
  for (size_t i = 0; i < keys.size(); i++)
    b.CreateAlignedStore(keys[i], place(i), llvm::Align(8));
  b.CreateBr(after);
  b.SetInsertPoint(after);
}

} // namespace opw::cpu
