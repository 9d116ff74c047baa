#include "adapters/aotinductor/launcher.h"

#include "adapters/torch/parallel.h"
#include "core/cpu.h"
#include "core/launch.h"

#include <bit>
#include <cstring>
#include <stdexcept>
#include <string>

namespace opw::runtime {
namespace {

constexpr uint32_t kMaxSlots = OPW_MAX_ARGS;

template <typename T> T read(const void *at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

uint64_t slotOf(unsigned kind, const void *argument) {
  switch (kind) {
  case kAotiPointer:
    return reinterpret_cast<uint64_t>(argument);
  case kAotiBool:
    return read<uint8_t>(argument) != 0;
  case kAotiSigned:
    return static_cast<uint64_t>(static_cast<int64_t>(read<int8_t>(argument)));
  case kAotiSigned + 1:
    return static_cast<uint64_t>(static_cast<int64_t>(read<int16_t>(argument)));
  case kAotiSigned + 2:
    return static_cast<uint64_t>(static_cast<int64_t>(read<int32_t>(argument)));
  case kAotiUnsigned:
    return read<uint8_t>(argument);
  case kAotiUnsigned + 1:
    return read<uint16_t>(argument);
  case kAotiUnsigned + 2:
  case kAotiFloat:
    return read<uint32_t>(argument);
  case kAotiFloatToDouble:
    return std::bit_cast<uint64_t>(static_cast<double>(read<float>(argument)));
  default: // 8 bytes of any kind
    return read<uint64_t>(argument);
  }
}

} // namespace
} // namespace opw::runtime

/// What PyTorch's code calls for a launch; throws std::runtime_error, which it reports as its own errors. The number of
/// threads that it passes is a constant 1 without a meaning: the grid runs on torch's threads.
extern "C" [[gnu::visibility("default")]] void run_from_nativert(uint32_t x, uint32_t y, uint32_t z, int, void **args,
                                                                 void *description) {
  using namespace opw::runtime;
  const auto &kernel = *static_cast<const AotiKernel *>(description);
  if (kernel.magic != kAotiMagic)
    throw std::runtime_error("Opwright: this kernel was built by another version than its launcher; build the package "
                             "again");
  if (!levelRuns(kernel.level, cpuLevel()))
    throw std::runtime_error(std::string("Opwright: this package was built for CPUs of ") + cpuLevelName(kernel.level) +
                             ", found one of " + cpuLevelName(cpuLevel()) + "; build it on such a machine");
  uint64_t slots[kMaxSlots];
  uint32_t count = 0;
  for (uint32_t i = 0; i < kernel.paramCount; ++i) {
    if (kernel.kinds()[i] == kAotiConstant)
      continue;
    if (count == kMaxSlots)
      throw std::runtime_error("Opwright: this kernel has more arguments than its launcher takes");
    slots[count++] = slotOf(kernel.kinds()[i], args[i]);
  }
  const uint32_t grid[3] = {x, y, z};
  char text[512] = "";
  opw_error_t error{sizeof(opw_error_t), OPW_OK, text, sizeof text};
  CpuKernel cpu{kernel.entry, kernel.scratchBytes, kernel.grain, kernel.ordered != 0};
  if (launchCpu(cpu, grid, slots, count, torchHost(), &error) != OPW_OK)
    throw std::runtime_error(std::string("Opwright: ") + text);
}
