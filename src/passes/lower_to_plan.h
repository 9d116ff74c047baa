// Tile IR -> plan IR: decides where every tile lives and in which loop it is computed.
#pragma once

#include "ir/module.h"
#include "support/diagnostic.h"

namespace opw::passes {

struct PlanOptions {
  /// Memory behind different pointer arguments does not overlap. Plugins may say so (their runtime refuses overlap);
  /// otherwise a nest that loads and stores through different arguments is guarded at run time.
  bool argsDisjoint = false;
  /// Elements of the widest f32 vector of the target: decides between layouts, never correctness.
  unsigned vectorLanes = 16;
  /// A kernel that takes more operations is refused: a plan is proportional to its kernel, so this one is enormous.
  size_t maxOps = 300'000;
};

/// Lowers the module's entry function. The result has one function of plan ops with the same name, arguments and
/// locations. What has no lowering yet is refused with the op's name and its source line.
Result<ir::Module> lowerToPlan(const ir::Module &tile, const PlanOptions &options);

} // namespace opw::passes
