// A reduction that is being lowered, for the files that do it. Internal to passes/plan.
#pragma once

#include "passes/plan/commute.h"
#include "passes/plan/nest.h"

#include <functional>
#include <map>

namespace opw::passes {

/// A reduction that is being lowered: the loops over the other dimensions are open, and `at` holds their indices.
struct Reduction {
  Planner &p;
  Nest &nest;
  const ir::Op &op;
  unsigned axis;
  Indices at;
  /// The elements of all operands at an index, with what is written on the way.
  std::function<std::vector<ir::ValueId>(const Indices &)> elements;

  std::vector<ir::ValueId> elementsAt(ir::ValueId position) {
    at[axis] = position;
    return elements(at);
  }
  std::vector<ir::ValueId> combined(const std::vector<ir::ValueId> &carried, const std::vector<ir::ValueId> &next,
                                    std::map<ir::ValueId, ir::ValueId> known = {}) {
    std::vector<ir::ValueId> arguments = carried;
    arguments.insert(arguments.end(), next.begin(), next.end());
    return nest.evalRegion(op.regions[0].blocks[0], arguments, std::move(known));
  }
};

// reduce_function.cpp: with a combine function of its own; the results, one per operand.

/// One element after the other.
std::vector<ir::ValueId> reduceInOrder(Reduction &r);
/// Along the lanes, with `count` partial results. The function need not be commutative: each lane combines a stretch of
/// neighbours, and at the end the lanes are combined one by one, in order.
std::vector<ir::ValueId> reduceInStretches(Reduction &r, int64_t count);
/// The same with a function that commutes but for NaN: the lanes take neighbours, and are then combined in halves. A
/// row with a NaN in it is done again, in order.
std::vector<ir::ValueId> reduceInAnyOrder(Reduction &r, int64_t count, const Commutes &proof);

} // namespace opw::passes
