// The functions of opw_api_t.
#pragma once

#include "core/frame.h"
#include "core/select.h"

namespace opw::runtime {

extern const opw_api_t kApi;

/// A call in two steps, for faces in the library whose host makes the outputs: what infer and run do, done once. The
/// op's sizes do not depend on data. First everything but the outputs is checked, and call->outputs get types and
/// sizes. The frame points into the call.
opw_status_t beginCall(Frame &frame, const opw_op_t *op, const opw_call_t *call, opw_error_t *error);
/// Runs it, once the outputs have data; optional ones may be null. `*selection` is what has run.
opw_status_t finishCall(Frame &frame, Selection *selection, opw_error_t *error);

} // namespace opw::runtime
