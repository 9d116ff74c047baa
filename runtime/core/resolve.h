// A launch of a plan for one call: which image runs, over which grid, with which arguments.
#pragma once

#include "core/error.h"
#include "core/frame.h"

namespace opw::runtime {

constexpr uint32_t kMaxBuffers = 64;  ///< of one plan
constexpr uint64_t kBufferAlign = 64; ///< at least

/// Where the buffers of a plan lie, relative to the workspace.
struct Buffers {
  uint64_t offset[kMaxBuffers];
  uint64_t bytes[kMaxBuffers];
  uint64_t total = 0, align = kBufferAlign;
};

/// Bytes of a view whose sizes were checked.
inline uint64_t contiguousBytes(const opw_tensor_t &t) {
  uint64_t n = t.dl_bits / 8u;
  for (int32_t d = 0; d < t.ndim; ++d)
    n *= static_cast<uint64_t>(t.shape[d]);
  return n;
}

/// Where the tensors of a call and the buffers of its plan lie.
struct Memory {
  const Frame &frame;
  const Buffers &buffers;
  char *workspace;

  /// The number of a tensor among the buffers of the plan; those that are declared have none.
  bool isBuffer(uint32_t tensor, uint32_t *number) const {
    *number = tensor - (frame.op->input_count + frame.op->output_count);
    return tensor >= frame.op->input_count + frame.op->output_count;
  }
  uint64_t address(uint32_t tensor, uint32_t element) const {
    if (uint32_t number; isBuffer(tensor, &number))
      return reinterpret_cast<uintptr_t>(workspace) + buffers.offset[number];
    const opw_tensor_t *t = frame.tensor(tensor, element);
    return t && t->data ? reinterpret_cast<uintptr_t>(t->data) + t->byte_offset : 0;
  }
  uint64_t bytes(uint32_t tensor) const {
    if (uint32_t number; isBuffer(tensor, &number))
      return buffers.bytes[number];
    const opw_tensor_t *t = frame.tensor(tensor);
    return t && t->data ? contiguousBytes(*t) : 0;
  }
};

struct Resolved {
  const opw_cpu_image_t *image; // null: a size of the grid is 0, and nothing else is set
  const opw_kernel_t *kernel;
  const opw_variant_t *variant;
  uint32_t grid[3];
  uint32_t slotCount;
  uint64_t slots[OPW_MAX_ARGS];
  Value values[OPW_MAX_ARGS]; // of the launch's arguments
};

/// A launch of a kernel whose condition holds. Refuses what no variant or image takes.
opw_status_t resolveLaunch(const Memory &memory, const opw_launch_t &launch, Resolved *out, opw_error_t *error);

/// Whether a guard holds for the value of its argument.
bool guardHolds(const opw_guard_t &guard, const Value &value);

/// Runs an image; the text of a failure names the kernel.
opw_status_t runKernel(const opw_op_t *op, const opw_kernel_t &kernel, const opw_cpu_image_t &image,
                       const uint32_t grid[3], const uint64_t *slots, uint32_t slotCount, const opw_host_t *host,
                       opw_error_t *error);

} // namespace opw::runtime
