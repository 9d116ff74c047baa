// Slices: what a nest computes and reads when it pulls a value.
#pragma once

#include "passes/plan/planner.h"

#include <functional>

namespace opw::passes {

/// Visits the tile values that computing one element of `value` needs, itself first. `moved` says that a shape
/// operation lies between: it is needed at another index. Behind a value that has a buffer nothing is computed. A value
/// may be visited twice, once for each way that it is reached.
void visitSlice(const Planner &planner, ir::ValueId value, const std::function<void(ir::ValueId, bool moved)> &visit);

/// Whether the slice of `value` needs `source` at another index than its own.
bool needsMoved(const Planner &planner, ir::ValueId value, ir::ValueId source);

} // namespace opw::passes
