// The iterative algorithm of Cooper, Harvey and Kennedy: in reverse post-order a block's dominator is the nearest
// common ancestor of its predecessors' dominators. One round is enough for the acyclic graphs that Triton makes.
#include "ir/dominance.h"

#include "ir/walk.h"

#include <utility>

namespace opw::ir {

namespace {

const std::vector<Successor> &successorsOf(const Function &function, BlockId block) {
  static const std::vector<Successor> none;
  const std::vector<OpId> &ops = function.block(block).ops;
  return ops.empty() ? none : function.op(ops.back()).successors;
}

} // namespace

Dominance::Dominance(const Function &function) : nodes(function.blocks.size()) {
  addRegion(function, function.body);
  walk(function, [&](OpId id) {
    for (const Region &region : function.op(id).regions)
      addRegion(function, region);
  });
}

void Dominance::addRegion(const Function &function, const Region &region) {
  size_t count = region.blocks.size();
  if (count == 0)
    return;
  if (count == 1) {
    nodes[region.blocks[0]] = {1, 2};
    return;
  }
  std::vector<uint32_t> indexOf(function.blocks.size(), kNone);
  for (uint32_t i = 0; i < count; ++i)
    indexOf[region.blocks[i]] = i;

  std::vector<uint32_t> order, number(count, kNone); // post-order and its inverse
  std::vector<std::vector<uint32_t>> predecessors(count);
  std::vector<bool> seen(count);
  std::vector<std::pair<uint32_t, size_t>> stack = {{0, 0}};
  seen[0] = true;
  while (!stack.empty()) {
    auto &[block, next] = stack.back();
    const std::vector<Successor> &successors = successorsOf(function, region.blocks[block]);
    if (next == successors.size()) {
      number[block] = static_cast<uint32_t>(order.size());
      order.push_back(block);
      stack.pop_back();
      continue;
    }
    BlockId target = successors[next++].block;
    uint32_t successor = target < indexOf.size() ? indexOf[target] : kNone;
    if (successor == kNone)
      continue; // a branch out of the region: the verifier reports it
    predecessors[successor].push_back(block);
    if (!seen[successor]) {
      seen[successor] = true;
      stack.emplace_back(successor, 0);
    }
  }

  std::vector<uint32_t> parent(count, kNone);
  parent[0] = 0;
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = order.size(); i-- > 0;) {
      uint32_t block = order[i];
      if (block == 0)
        continue;
      uint32_t common = kNone;
      for (uint32_t predecessor : predecessors[block]) {
        if (parent[predecessor] == kNone)
          continue;
        uint32_t other = predecessor;
        while (common != kNone && common != other) {
          uint32_t &lower = number[common] < number[other] ? common : other;
          lower = parent[lower];
        }
        common = other;
      }
      if (parent[block] != common) {
        parent[block] = common;
        changed = true;
      }
    }
  }

  std::vector<std::vector<uint32_t>> children(count);
  for (uint32_t block : order) {
    if (block != 0)
      children[parent[block]].push_back(block);
  }
  uint32_t clock = 0;
  stack.assign(1, {0, 0});
  nodes[region.blocks[0]].enter = ++clock;
  while (!stack.empty()) {
    auto &[block, next] = stack.back();
    if (next == children[block].size()) {
      nodes[region.blocks[block]].leave = ++clock;
      stack.pop_back();
      continue;
    }
    uint32_t child = children[block][next++];
    nodes[region.blocks[child]].enter = ++clock;
    stack.emplace_back(child, 0);
  }
}

bool Dominance::dominates(BlockId above, BlockId below) const {
  if (nodes[below].enter == 0)
    return true;
  return nodes[above].enter != 0 && nodes[above].enter <= nodes[below].enter &&
         nodes[above].leave >= nodes[below].leave;
}

} // namespace opw::ir
