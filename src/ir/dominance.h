// Dominance between the blocks of a region; most regions have one block and cost nothing.
#pragma once

#include "ir/module.h"

namespace opw::ir {

class Dominance {
public:
  explicit Dominance(const Function &function);

  /// True when every path from the region's entry to `below` passes `above`; both are blocks of one region. A block
  /// that cannot be reached is dominated by every block.
  bool dominates(BlockId above, BlockId below) const;

private:
  void addRegion(const Function &function, const Region &region);

  struct Node {
    uint32_t enter = 0; ///< numbers of a walk over the dominator tree; 0: not reachable
    uint32_t leave = 0;
  };
  std::vector<Node> nodes;
};

} // namespace opw::ir
