// Runs a plan: its workspace and its launches, phase by phase.
#pragma once

#include "core/error.h"
#include "core/frame.h"
#include "core/select.h"

namespace opw::runtime {

/// Bytes of workspace that a plan needs for a bound frame. Buffers follow each other, each aligned to 64 at least.
opw_status_t workspaceBytes(const Frame &frame, const opw_plan_t &plan, uint64_t *bytes, opw_error_t *error);

/// The same for buffers of so many elements; false where they have more than 2^62 bytes.
bool workspaceBytes(const opw_plan_t &plan, const int64_t *elements, uint64_t *bytes);

/// Runs every launch of the plan whose phase and condition say so.
opw_status_t runPlan(Frame &frame, const opw_plan_t &plan, opw_error_t *error);

} // namespace opw::runtime
