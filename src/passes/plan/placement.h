// Placement: which tile values get a buffer, and where it is filled. Decided before any code is generated.
//
// A value is *pulled* by the anchors that need it, directly or through virtual values. Recomputing it costs its slice
// once per pulling anchor, a buffer costs one store and a load per anchor; the cheaper wins. A load must keep its place
// among the writes: if one that may alias stands between it and its last pull, the load is buffered.
#pragma once

#include "ir/module.h"

#include <vector>

namespace opw::passes {

class Placement {
public:
  Placement(const ir::Function &tile, bool argsDisjoint);

  /// An op that needs its operands in memory or in a loop of its own: store, reduce, dot, yield, loop, unknown op.
  static bool isAnchor(const ir::Op &op);

  struct Decision {
    bool buffered = false;
    bool atDefinition = false; ///< filled by a nest of its own, right after its op; else by its first anchor
  };
  const Decision &of(ir::ValueId value) const { return decisions[value]; }
  /// Anchors that pull the value, in program order.
  const std::vector<ir::OpId> &pulls(ir::ValueId value) const { return pulledBy[value]; }
  /// Position in program order (pre-order over regions).
  unsigned position(ir::OpId op) const { return positions[op]; }
  const std::vector<std::vector<ir::OpId>> &users() const { return usersOf; }
  /// Whether reaching `op` from `block` enters a loop.
  bool entersLoop(ir::BlockId block, ir::OpId op) const;
  /// The function argument that a pointer value is derived from, or kNone.
  ir::ValueId root(ir::ValueId pointer) const { return roots[pointer]; }

  /// Whether the load and the write (or barrier) may not change places.
  bool mayConflict(const ir::Op &load, const ir::Op &write) const;

private:
  const ir::Function &fn;
  bool disjoint;
  std::vector<ir::OpId> order;
  std::vector<unsigned> positions;
  std::vector<std::vector<ir::OpId>> usersOf;
  std::vector<std::vector<ir::OpId>> pulledBy;
  std::vector<Decision> decisions;
  std::vector<ir::ValueId> roots;
  std::vector<double> cost;
  std::vector<unsigned> chain;              ///< length of the longest chain of virtual ops that ends in a value
  std::vector<std::vector<uint64_t>> paths; ///< changes of indices between a value and the nests that compute it
  std::vector<bool> ends; ///< the last of a chain of virtual values that is as long as recursion may follow

  void number(ir::BlockId block);
  void findRoots();
  void findPaths(ir::ValueId value);
  void estimateCosts();
  void decide();
  bool loadMustStay(ir::OpId load) const;
};

} // namespace opw::passes
