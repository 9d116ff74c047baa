// The two halves of a kernel in a package of AOTInductor: a library that exports a description of the kernel under its
// name, and one library for all kernels that exports run_from_nativert. PyTorch's code dlopens both
// (torch/csrc/inductor/aoti_runtime/cpu_triton_runtime_wrappers.h).
#pragma once

#include "opwright/plugin.h"

#include <cstdint>

namespace opw::runtime {

/// How PyTorch's code passes an argument: args[i] is null, the pointer itself, or where the value lies.
enum AotiKind : unsigned {
  kAotiConstant = 0, ///< part of the code
  kAotiPointer = 1,
  kAotiBool = 2,
  kAotiSigned = 3, ///< kAotiSigned + n: n = 0 to 3 for 1, 2, 4 and 8 bytes
  kAotiUnsigned = 7,
  kAotiFloat = 11,         ///< 4 bytes, for a parameter of 4 bytes
  kAotiFloatToDouble = 12, ///< 4 bytes, for a parameter of 8 bytes
  kAotiDouble = 13,        ///< 8 bytes
};

/// Little-endian, 8-byte aligned; python/opwright/triton_backend/aotinductor.py writes it.
struct AotiKernel {
  uint64_t magic; ///< kAotiMagic
  opw_cpu_entry_t entry;
  uint64_t scratchBytes;
  int64_t grain;
  uint32_t ordered;
  uint32_t level; ///< OPW_LEVEL_* that the code needs
  uint32_t paramCount;
  uint32_t reserved;
  /// The AotiKind of each parameter, one byte each, behind this struct.
  const uint8_t *kinds() const { return reinterpret_cast<const uint8_t *>(this + 1); }
};

static_assert(sizeof(AotiKernel) == 48);

constexpr uint64_t kAotiMagic = 0x0149544f4157504f; ///< its bytes: "OPWAOTI\1"

} // namespace opw::runtime
