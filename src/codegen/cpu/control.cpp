// Uniform control: branches, loops, memos.
#include "codegen/cpu/phis.h"
#include "ir/waits.h"
#include "support/check.h"

namespace opw::cpu {

using namespace ir;
using llvm::BasicBlock;
using llvm::PHINode;

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
  BasicBlock *entering = b.GetInsertBlock(), *head = newBlock("while"), *body = newBlock("do"),
             *exit = newBlock("done");
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
  if (mayWait(fn, op))
    spin();
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

// ---- memo

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
