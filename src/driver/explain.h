// What each source line of a kernel became on the CPU: the decisions of the planner and of the lane analysis, told per
// line in the terms of the field.
#pragma once

#include "codegen/cpu/level.h"
#include "ir/module.h"
#include "ir/program_order.h"

#include <cstdint>
#include <string>
#include <vector>

namespace opw::driver {

/// One fact about a source line.
struct Remark {
  std::string file;
  uint32_t line; ///< from 1
  std::string
      kind; ///< load, store, loop, buffer, dot, atomic, math, guard, prefetch, order; slow: why something is slow
  std::string text;
};

/// Remarks on a plan and the normalized tile IR that it was made from, in program order; each is there once. Lines are
/// those of the kernel's file: what was inlined from another file counts for the line that calls it. The nests that run
/// only when arguments overlap are left out, but for the guard.
std::vector<Remark> explainPlan(const ir::Module &tile, const ir::Module &plan, const cpu::Level &level,
                                const ir::ProgramOrder &order = {});

} // namespace opw::driver
