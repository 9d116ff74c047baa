// Outside values: what a tile holds where a mask excludes its elements.
//
// A load under i < n with `other` = o equals o at every i >= n, and exp(load - m) equals exp(o - m) there. So a
// reduction runs over the n live elements alone and combines the outside value once, times its count: a row of 781 in a
// tile of 1024 costs 781 elements, and an all-masked row still gives what Triton gives, because nothing is assumed
// about o.
#pragma once

#include "passes/plan/nest.h"

namespace opw::passes {

/// How a tile varies along one of its dimensions.
struct Extent {
  enum Kind {
    Invariant, ///< not at all
    Boxed,     ///< equal to its outside value beyond `bound`
    Unknown
  } kind = Unknown;
  Bound bound{0, ir::kNone, ir::kNone};
};

/// `axis` < 0: a dimension that the tile does not have.
Extent extentAlong(const Planner &planner, ir::ValueId tileValue, int axis);

/// The outside value along `axis` of a tile that is not Unknown along it, at the other indices.
ir::ValueId evalOutside(Planner &planner, Nest &nest, ir::ValueId tileValue, const Indices &at, int axis);

} // namespace opw::passes
