// Which bytes an access may touch: what a store is guarded against.
#pragma once

#include "passes/plan/planner.h"

#include <optional>

namespace opw::passes {

/// Plan scalars, made at the planner's place: the first byte, the one after the last, and a condition without which the
/// two say nothing (kNone: they always do).
struct Footprint {
  ir::ValueId begin, end, condition;
};

/// The footprint of a form over the elements of `shape` inside a box. Terms have one where their values have bounds: a
/// remainder or quotient by a constant, bits that are masked, a choice between such. Nothing where one is loaded.
std::optional<Footprint> footprintOf(Planner &planner, const Form &form, const ir::Type &shape,
                                     const std::vector<Bound> &box);

} // namespace opw::passes
