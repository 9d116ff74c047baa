#include "ir/dead_code.h"

#include "ir/walk.h"

#include <algorithm>

namespace opw::ir {

namespace {

struct Sweep {
  Function &fn;
  std::vector<uint32_t> uses;

  void forget(OpId id) {
    for (ValueId operand : fn.op(id).operands)
      --uses[operand];
    for (const Region &region : fn.op(id).regions)
      for (BlockId block : region.blocks)
        for (OpId inner : fn.block(block).ops)
          forget(inner);
  }

  /// From the end: what an op used is seen after it.
  void block(BlockId id) {
    std::vector<OpId> &ops = fn.block(id).ops;
    std::vector<OpId> kept;
    for (auto it = ops.rbegin(); it != ops.rend(); ++it) {
      const Op &op = fn.op(*it);
      bool removable = has(op.kind, kPure) || op.kind == OpKind::Load || op.kind == OpKind::PlanLoad;
      bool used = std::any_of(op.results.begin(), op.results.end(), [&](ValueId result) { return uses[result] > 0; });
      if (removable && !used) {
        forget(*it);
        fn.op(*it).parent = kNone;
        continue;
      }
      for (const Region &region : op.regions)
        for (BlockId inner : region.blocks)
          block(inner);
      kept.push_back(*it);
    }
    std::reverse(kept.begin(), kept.end());
    ops = std::move(kept);
  }
};

} // namespace

void removeDeadCode(Function &function) {
  Sweep sweep{function, std::vector<uint32_t>(function.values.size(), 0)};
  walk(function, [&](OpId id) {
    for (ValueId operand : function.op(id).operands)
      ++sweep.uses[operand];
    for (const Successor &edge : function.op(id).successors)
      for (ValueId argument : edge.arguments)
        ++sweep.uses[argument];
  });
  for (BlockId block : function.body.blocks)
    sweep.block(block);
}

} // namespace opw::ir
