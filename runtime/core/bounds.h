// Bounds of a program, or of the workspace, over all shapes between two calls.
#pragma once

#include "core/error.h"
#include "core/frame.h"

namespace opw::runtime {

/// Bounds that hold for every call between two bound ones (Purpose::Decide) of one op: range[0] <= value <= range[1]
/// wherever the value exists. `program` null: bytes of workspace of every tactic that runs these element types on the
/// CPU. Refused: calls that differ in more than sizes and HOST values, and what has no bound.
/// A few 10 kB of stack, no other memory, some milliseconds at most.
opw_status_t boundsBetween(const Frame &low, const Frame &high, const opw_program_t *program, int64_t range[2],
                           opw_error_t *error);

} // namespace opw::runtime
