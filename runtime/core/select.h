// Which tactic, plan and image a bound call takes.
#pragma once

#include "core/error.h"
#include "core/frame.h"
#include "core/state.h"

namespace opw::runtime {

struct Selection {
  const opw_plan_t *plan;
  uint32_t planIndex;
  uint32_t tactic;     // index into op->tactics
  uint32_t tunedEntry; // index into op->tuned, or UINT32_MAX
  int32_t forced;      // what force() asked for when this was selected, or 0
};

/// A refusal where the call is not for the CPU.
opw_status_t checkDevice(const Frame &frame, opw_error_t *error);

/// call.tactic, then force(), then OPW_TACTIC, then the nearest tuned entry, then the first tactic whose plan takes the
/// call. A refusal where none does.
opw_status_t selectPlan(const Frame &frame, OpState &state, Selection *selection, opw_error_t *error);

/// The image of the highest level that this machine has, or a refusal that names both.
opw_status_t selectImage(const opw_op_t *op, const opw_kernel_t &kernel, const opw_cpu_image_t **image,
                         opw_error_t *error);

} // namespace opw::runtime
