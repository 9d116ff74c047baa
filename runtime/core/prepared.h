// A call that was resolved once, for the calls after it whose tensors have the same types and sizes: what is left of
// them is to put addresses in place and to launch.
#pragma once

#include "core/select.h"

#include <stddef.h>

namespace opw::runtime {

/// Never changed once it is made: any number of threads may use it. For calls that have the same attributes.
class Prepared {
public:
  /// Of a call that has run with this plan; released with `free`. Null where more than types and sizes decides what a
  /// call does (host-read values, counted sizes, strides), where it has a workspace, an empty tensor or an input that
  /// is changed in place, where it has more of something than is kept here, and where there is no memory.
  static Prepared *of(const Frame &frame, const Selection &selection);

  /// Whether it is for a call with these inputs, of the number that the prepared one had: row-major views without an
  /// offset. Null entries are absent.
  bool takes(const opw_tensor_t *const *inputs) const;
  /// The sizes of an output; *ndim of them. Null for one that nobody wants.
  const int64_t *output(uint32_t index, size_t *ndim) const;
  /// Runs the call: addresses of the inputs, then of the outputs. False where one of them is null or no such multiple
  /// as the kernels want, or where an output overlaps another tensor; nothing has run then.
  bool run(const uintptr_t *addresses, const opw_host_t *host, opw_status_t *status, opw_error_t *error) const;

private:
  static constexpr uint32_t kTensors = 16, kSizes = 64, kSteps = 8, kSlots = 64, kAddresses = 32;

  struct Tensor {
    uint8_t present, code, bits, ndim;
    uint16_t firstSize;
    uint16_t alignMask; // bits of the address that must be zero
    int32_t alias;      // of an output: the input that it may share memory with, or -1
    uint64_t bytes;
  };
  struct Address {
    uint8_t slot, tensor; // the slot is counted from the step's first one
  };
  struct Step { // a launch, or where `kernel` is null a fill
    const opw_kernel_t *kernel;
    const opw_cpu_image_t *image;
    uint32_t grid[3];
    uint32_t firstSlot, slotCount, firstAddress, addressCount;
    uint32_t fillTensor, fillByte;
    uint64_t fillBytes;
  };

  bool overlaps(const uintptr_t *addresses, uint32_t output) const;
  bool addTensor(const opw_tensor_t *tensor, const opw_io_t &io);
  bool addLaunch(const Frame &frame, const opw_launch_t &launch);
  bool addFill(const Frame &frame, const opw_launch_t &launch);
  bool addKernel(const Frame &frame, const opw_launch_t &launch);
  bool noteGuards(const Frame &frame, const opw_launch_t &launch, const opw_variant_t &chosen, const Value *values);

  const opw_op_t *op;
  int32_t forced; // the tactic that force() asked for
  uint32_t inputCount, outputCount, tensorCount, sizeCount, stepCount, slotCount, addressCount;
  Tensor tensors[kTensors];
  int64_t sizes[kSizes];
  Step steps[kSteps];
  Address addresses[kAddresses];
  uint64_t slots[kSlots];
  OpState *state;
};

} // namespace opw::runtime
