// The shapes that outputs must have, segment by segment, and the sizes that phase 0 counted.
#pragma once

#include "core/error.h"
#include "core/frame.h"

namespace opw::runtime {

/// Whether an output has no declared shape: how many there are, and of what sizes, is the caller's to say.
inline bool isFree(const opw_io_t &io) { return (io.flags & OPW_IO_VARIADIC) && io.seg_count == 0; }

/// The shape of output `index` of a bound frame; unknown sizes are -1. `dims` has room for OPW_MAX_RANK.
opw_status_t inferShape(const Frame &frame, uint32_t index, int64_t *dims, int32_t *ndim, opw_error_t *error);

/// Refuses what phase 0 counted where it is negative or above its bound. SIZE outputs have data.
opw_status_t checkSizes(const Frame &frame, opw_error_t *error);

/// "[2, 3]".
void addShape(Text &text, const int64_t *dims, int32_t ndim);

} // namespace opw::runtime
