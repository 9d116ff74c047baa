// Branches become conditionals. The graph is acyclic: it comes from early returns and from bodies of map_elementwise.
// Both sides of a branch run up to the block where they meet again; where a side returns, that is the end, and what
// follows the branch is copied into the sides that get there.
#include "passes/normalize/normalizer.h"

#include <algorithm>
#include <set>

namespace opw::passes {

using namespace ir;

/// Finds, for the blocks of an acyclic graph, where all ways from a block meet.
class Meetings {
public:
  explicit Meetings(const Function &fn) : fn(fn) {}

  /// The blocks that every way from `block` to the end of the region passes, in the order of passing, itself first.
  const std::vector<BlockId> &passedFrom(BlockId block) {
    if (auto it = known.find(block); it != known.end())
      return it->second;
    tooMany |= onPath.size() >= kMaxDepth;
    cyclic |= onPath.contains(block);
    if (tooMany || cyclic)
      return none;
    onPath.insert(block);
    std::vector<BlockId> common;
    bool first = true;
    if (!fn.block(block).ops.empty())
      for (const Successor &edge : fn.op(fn.block(block).ops.back()).successors) {
        const std::vector<BlockId> &next = passedFrom(edge.block);
        if (first)
          common = next;
        else
          std::erase_if(common, [&](BlockId each) { return std::find(next.begin(), next.end(), each) == next.end(); });
        first = false;
      }
    onPath.erase(block);
    common.insert(common.begin(), block);
    return known[block] = std::move(common);
  }

  bool cyclic = false, tooMany = false;

private:
  const Function &fn;
  std::map<BlockId, std::vector<BlockId>> known;
  std::set<BlockId> onPath;
  const std::vector<BlockId> none;
};

Values Normalizer::goTo(Frame &frame, BlockId block, const Values &handed, BlockId stop) {
  if (block == stop)
    return handed;
  bind(frame, frame.fn->block(block).arguments, handed);
  frame.running.resize(frame.fn->blocks.size(), false);
  const Op &last = frame.fn->op(frame.fn->block(block).ops.back());
  if (frame.running[block])
    refuse(frame, last, "branches that form a loop", "write the loop with `for` or `while`");
  goDeeper(frame, last);
  frame.running[block] = true;
  Values ended = runBlocks(frame, block, stop);
  frame.running[block] = false;
  --depth;
  return ended;
}

Values Normalizer::branch(Frame &frame, const Op &op, BlockId block, BlockId stop) {
  if (!frame.meetings)
    frame.meetings = std::make_shared<Meetings>(*frame.fn);
  const std::vector<BlockId> &passed = frame.meetings->passedFrom(block);
  if (frame.meetings->cyclic)
    refuse(frame, op, "branches that form a loop", "write the loop with `for` or `while`");
  if (frame.meetings->tooMany)
    refuseDepth(frame, op);
  BlockId meet = passed.size() > 1 ? passed[1] : kNone;
  OpId made = b.create(OpKind::If, {one(frame, op.operands[0])}, {});
  BlockId outer = b.block();
  std::vector<Values> yields;
  for (const Successor &edge : op.successors) {
    BlockId side = out.addBlock(made);
    out.op(made).regions.push_back({{side}});
    b.setBlock(side);
    yields.push_back(goTo(frame, edge.block, all(frame, edge.arguments), meet));
    b.create(OpKind::Yield, yields.back(), {});
  }
  b.setBlock(outer);
  Values results;
  for (ValueId value : yields[0])
    results.push_back(out.addResult(made, out.type(value)));
  return goTo(frame, meet, results, stop);
}

Values Normalizer::runBlocks(Frame &frame, BlockId block, BlockId stop) {
  for (OpId id : frame.fn->block(block).ops) {
    const Op &op = frame.fn->op(id);
    b.setLocation(locate(frame, op.location));
    if (op.kind == OpKind::Br)
      return goTo(frame, op.successors[0].block, all(frame, op.successors[0].arguments), stop);
    if (op.kind == OpKind::CondBr)
      return branch(frame, op, block, stop);
    if (has(op.kind, kTerminator))
      return all(frame, op.operands);
    cloneOp(frame, id);
  }
  return {};
}

} // namespace opw::passes
