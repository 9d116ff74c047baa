// The arguments of a TVM-FFI call as those of ours: inputs, attributes and outputs of the op, in declared order.
#pragma once

#include "adapters/tvmffi/tvm_ffi_abi.h"
#include "core/frame.h"

namespace opw::tvmffi {

/// Room for the elements of all lists of one call, in 8-byte words; a tvm_ffi.Shape needs none.
constexpr uint32_t kListWords = 1024;

/// One call, bound to its op. Tensors, texts and shapes point into the arguments, lists are copied. Filled as far as
/// the counts say; nothing else is written.
struct Arguments {
  const opw_tensor_t *inputs[OPW_MAX_TENSORS];
  opw_tensor_t *outputs[OPW_MAX_TENSORS];
  opw_attr_value_t attrs[runtime::kMaxAttrs];
  uint32_t inputCount = 0, outputCount = 0, wordCount = 0;
  uint64_t words[kListWords];
};

/// Binds `count` arguments to an op whose tables are sound. Null when all is fine, else the kind of the exception, and
/// a text in `error`. Reads `args` only; threads need nothing from each other.
const char *bindArguments(const opw_op_t *op, const Any *args, int32_t count, Arguments &bound, opw_error_t *error);

/// Python's name of the exception for a refusal by the core.
const char *exceptionOf(opw_status_t status);

} // namespace opw::tvmffi
