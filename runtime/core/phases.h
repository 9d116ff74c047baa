// Outputs whose sizes depend on data: which ones they are, and in which way a plan can be run.
#pragma once

#include "opwright/plugin.h"

namespace opw::runtime {

/// Whether the sizes of an output follow from a data-dependent size.
inline bool isCounted(const opw_io_t &io) {
  for (uint32_t s = 0; s < io.seg_count; ++s)
    for (uint32_t i = 0; i < io.segs[s].dim.count; ++i)
      if (io.segs[s].dim.code[i].op == OPW_X_SIZE)
        return true;
  return false;
}

/// Whether the sizes can be had before the outputs: phase 0 leaves those alone whose sizes it counts. Then a host runs
/// phase 0, reads the sizes, makes the outputs and runs phase 1; else it runs both with outputs as large as the bounds.
inline bool countsFirst(const opw_op_t &op, const opw_plan_t &plan) {
  auto isFine = [&](uint32_t tensor) {
    uint32_t output = tensor - op.input_count; // wraps for an input
    return output >= op.output_count || !isCounted(*op.outputs[output]);
  };
  for (uint32_t l = 0; l < plan.launch_count; ++l) {
    const opw_launch_t &launch = *plan.launches[l];
    if (launch.phase != 0)
      continue;
    if (launch.kind == OPW_LAUNCH_FILL && !isFine(launch.fill_tensor))
      return false;
    for (uint32_t a = 0; a < launch.arg_count; ++a)
      if (launch.args[a].kind == OPW_ARG_POINTER && !isFine(launch.args[a].tensor))
        return false;
  }
  return true;
}

} // namespace opw::runtime
