// Lane loops: a main loop over whole vectors, then the rest.
//
//   if (hi - lo >= chunk) do { body of `unroll` vectors } while (another whole chunk is left)
//   if (position < hi) one masked iteration of the same vectors        (tailWidth == width)
//   while (position < hi) one element without vectors                  (tailWidth == 1: no masks for narrow elements)
//
// A masked tail without a loop costs less compile time than a loop of single vectors: control is what LLVM is slow at.
#include "codegen/cpu/phis.h"
#include "support/check.h"

namespace opw::cpu {

using namespace ir;
using llvm::BasicBlock;
using llvm::PHINode;

/// One carried value of a lane loop: an accumulator per part, folded after the loop.
struct Emitter::Carried {
  OpKind combine;
  Type type;
  Parts parts; ///< at the current place
};

namespace {

template <typename List> std::vector<Parts> partsOf(const List &carried) {
  std::vector<Parts> all;
  for (const auto &c : carried)
    all.push_back(c.parts);
  return all;
}

template <typename List> void take(List &carried, const Phis &phis) {
  for (size_t i = 0; i < carried.size(); i++)
    carried[i].parts = phis.values(i);
}

} // namespace

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
      if (!lane.active.empty())
        value = b.CreateSelect(lane.active[u], value, carried[i].parts[u]);
      carried[i].parts[u] = value;
    }
}

/// Combines all lanes of all parts, as a tree.
llvm::Value *Emitter::fold(const Carried &carried) {
  Parts level = carried.parts;
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
    value =
        combine(carried.combine, carried.type, b.CreateShuffleVector(value, low), b.CreateShuffleVector(value, high));
  }
  return b.CreateExtractElement(value, uint64_t{0});
}

/// Whole steps of `step` lanes while they fit below `high`; returns where they end. `always`: at least one fits,
/// `once`: at most one.
llvm::Value *Emitter::laneStretch(const Op &op, std::vector<Carried> &carried, llvm::Value *low, llvm::Value *high,
                                  int64_t step, bool always, bool once) {
  std::vector<Parts> inits = partsOf(carried);
  llvm::Value *last = b.CreateSub(high, b.getInt64(step)); // where the last whole step starts, at most
  BasicBlock *entering = b.GetInsertBlock(), *head = newBlock("lanes"), *exit = newBlock("after");
  if (always)
    b.CreateBr(head);
  else
    b.CreateCondBr(b.CreateICmpSLE(low, last), head, exit);
  b.SetInsertPoint(head);
  llvm::Value *position = low;
  PHINode *index = nullptr;
  Phis phis;
  if (!once) {
    position = index = b.CreatePHI(b.getInt64Ty(), 2, "i");
    index->addIncoming(low, entering);
    phis = makePhis(b, inits);
    phis.incoming(inits, entering);
    take(carried, phis);
  }
  laneIteration(op, position, carried);
  std::vector<Parts> ended = partsOf(carried);
  llvm::Value *next = b.CreateNSWAdd(position, b.getInt64(step));
  BasicBlock *latch = b.GetInsertBlock();
  if (once) {
    b.CreateBr(exit);
  } else {
    index->addIncoming(next, latch);
    phis.incoming(ended, latch);
    b.CreateCondBr(b.CreateICmpSLE(next, last), head, exit);
  }
  b.SetInsertPoint(exit);
  if (always)
    return next;
  Phis results = makePhis(b, ended);
  results.incoming(ended, latch);
  results.incoming(inits, entering);
  PHINode *end = b.CreatePHI(b.getInt64Ty(), 2);
  end->addIncoming(next, latch);
  end->addIncoming(low, entering);
  take(carried, results);
  return end;
}

/// The lanes from `low` that are below `high`, fewer than one chunk, in one masked iteration.
void Emitter::laneTail(const Op &op, std::vector<Carried> &carried, llvm::Value *low, llvm::Value *high, bool always) {
  std::vector<Parts> inits = partsOf(carried);
  BasicBlock *entering = b.GetInsertBlock(), *exit = newBlock("after");
  if (!always) {
    BasicBlock *tail = newBlock("tail");
    b.CreateCondBr(b.CreateICmpSLT(low, high), tail, exit);
    b.SetInsertPoint(tail);
  }
  llvm::Value *count = b.CreateSub(high, low);
  for (unsigned u = 0; u < lane.parts; u++)
    lane.active.push_back(below(count, u));
  laneIteration(op, low, carried);
  std::vector<Parts> ended = partsOf(carried);
  BasicBlock *latch = b.GetInsertBlock();
  b.CreateBr(exit);
  b.SetInsertPoint(exit);
  if (always)
    return;
  Phis results = makePhis(b, ended);
  results.incoming(ended, latch);
  results.incoming(inits, entering);
  take(carried, results);
}

std::vector<Emitter::Carried> Emitter::carriedOf(const Op &op) {
  std::vector<Carried> carried;
  const Attribute *combines = op.attributes.find("combine");
  for (size_t i = 3; i < op.operands.size(); i++) {
    Carried c;
    c.type = fn.type(op.operands[i]);
    const Attribute *name = combines && i - 3 < combines->items.size() ? &combines->items[i - 3].second : nullptr;
    if (!name || !findOp(name->text, c.combine))
      refuse("a lane loop carries a value without a combine operation");
    identity(c.combine, c.type); // refuses what has none
    carried.push_back(std::move(c));
  }
  return carried;
}

void Emitter::startCarried(std::vector<Carried> &carried, unsigned width, unsigned count) {
  for (Carried &c : carried) {
    llvm::Value *start = identity(c.combine, c.type);
    c.parts.assign(count, width <= 1 ? start : b.CreateVectorSplat(width, start));
  }
}

void Emitter::emitLaneLoop(OpId id) {
  const Op &op = fn.op(id);
  if (lane.width != 0)
    refuse("a lane loop inside a lane loop");
  const LoopForm &form = lanes.loops.at(id);
  llvm::Value *low = uniform(op.operands[0]), *high = uniform(op.operands[1]), *position = low;
  std::vector<Carried> carried = carriedOf(op);
  int64_t chunk = int64_t{form.width} * form.unroll, limit = form.limit.value_or(INT64_MAX);
  if (form.trip)
    limit = *form.trip;
  bool constant = form.trip.has_value();
  bool hasMain = limit >= chunk, hasTail = constant ? *form.trip % chunk != 0 : limit > 0;

  startCarried(carried, form.width, form.unroll);
  if (hasMain) {
    lane = {form.width, form.unroll, {}};
    position = laneStretch(op, carried, low, high, chunk, constant, limit < 2 * chunk);
    if (constant) // the sum is known where low is
      position = b.CreateAdd(low, b.getInt64(*form.trip / chunk * chunk));
  }
  std::vector<llvm::Value *> sums(carried.size());
  if (hasTail && form.tailWidth == form.width) {
    lane = {form.width, form.unroll, {}};
    laneTail(op, carried, position, high, constant);
  } else if (hasTail) { // the tail accumulates scalars: the vectors end here
    lane = {};
    for (size_t i = 0; i < carried.size(); i++)
      sums[i] = fold(carried[i]);
    startCarried(carried, 1, 1);
    lane = {1, 1, {}};
    laneStretch(op, carried, position, high, 1, constant, false);
  }
  lane = {};
  for (size_t i = 0; i < carried.size(); i++) {
    const Carried &c = carried[i];
    llvm::Value *total = fold(c);
    if (sums[i])
      total = combine(c.combine, c.type, sums[i], total);
    bindUniform(op.results[i], combine(c.combine, c.type, uniform(op.operands[i + 3]), total));
  }
}

} // namespace opw::cpu
