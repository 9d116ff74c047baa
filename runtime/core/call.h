// From a call to a frame: arity, attributes, tensors, element types, vars and conditions.
#pragma once

#include "core/error.h"
#include "core/frame.h"

namespace opw::runtime {

enum class Purpose : uint8_t {
  Infer,  // sizes may be -1, no data, outputs are to be written; in phase 2 what phase 0 counted is read first
  Decide, // sizes are known; of data only that of HOST inputs is looked at, outputs are not
  Make,   // as Run, but the outputs are still to be made; no sizes that depend on data
  Run     // everything is there
};

/// Fills the frame, or refuses the call. Everything in the frame points into the call and the op.
opw_status_t bindCall(Frame &frame, const opw_op_t *op, const opw_call_t *call, Purpose purpose, opw_error_t *error);

/// After a call was bound to Make: binds the outputs that the host has made of the shapes that inferShape gave.
opw_status_t bindMade(Frame &frame, opw_error_t *error);

/// Refuses where a condition on calls does not hold; plugin.h says what its value means. One that is not known yet
/// holds. `prefix` stands before the text.
opw_status_t checkValid(const Frame &frame, const opw_program_t &valid, const char *text, const char *prefix,
                        opw_error_t *error);

/// Bytes of a view whose sizes are known; a refusal when they overflow. `name` is for the text.
opw_status_t bytesOf(const opw_op_t *op, const opw_tensor_t &tensor, const char *name, uint64_t *bytes,
                     opw_error_t *error);

} // namespace opw::runtime
