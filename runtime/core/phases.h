// Outputs whose sizes depend on data: which ones they are, and in which way a plan can be run.
#pragma once

#include "opwright/plugin.h"

#include <string.h>

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

/// Copies what an op wrote of an output that was as large as the bounds to one of the real sizes. Both are row-major;
/// `real` has the real sizes. A kernel lays a COMPACT output out by those, every other one by the bounds.
inline void copyCounted(void *to, const void *from, const opw_tensor_t &real, const int64_t *bounds, bool compact) {
  int32_t inner = real.ndim; // the axes from here on are one piece
  uint64_t piece = real.dl_bits / 8u;
  while (inner > 0 && (compact || inner == real.ndim || bounds[inner] == real.shape[inner]))
    piece *= static_cast<uint64_t>(real.shape[--inner]);
  for (int32_t d = 0; d < real.ndim; ++d)
    if (real.shape[d] == 0)
      return;
  int64_t at[OPW_MAX_RANK] = {};
  for (auto *out = static_cast<char *>(to);; out += piece) {
    uint64_t offset = 0;
    for (int32_t d = 0; d < real.ndim; ++d)
      offset = offset * static_cast<uint64_t>(compact ? real.shape[d] : bounds[d]) + static_cast<uint64_t>(at[d]);
    memcpy(out, static_cast<const char *>(from) + offset * (real.dl_bits / 8u), piece);
    int32_t d = inner - 1;
    for (; d >= 0 && ++at[d] == real.shape[d]; --d)
      at[d] = 0;
    if (d < 0)
      return;
  }
}

} // namespace opw::runtime
