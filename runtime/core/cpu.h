// The CPU level of this machine: which of a kernel's images may run here.
#pragma once

#include "opwright/plugin.h"

namespace opw::runtime {

enum : uint32_t { kNoLevel = 0, kLevelX86_64 = 1, kLevelX86_64V2 = 2 };

/// The highest OPW_LEVEL_* that this CPU and its operating system have; below OPW_LEVEL_X86_64_V3 one of the values
/// above.
uint32_t cpuLevel();

/// Lowers the level to `level` (never raises it); 0 = what the CPU has. OPW_CPU_LEVEL=x86-64-v3 does the same from
/// outside.
void limitCpuLevel(uint32_t level);

/// "x86-64-v3" for OPW_LEVEL_X86_64_V3; "unknown" for what this runtime has no name for.
const char *cpuLevelName(uint32_t level);

/// The level of such a name, or kNoLevel.
uint32_t cpuLevelOf(const char *name);

/// Whether an image of `level` runs on a machine of `machine`.
constexpr bool levelRuns(uint32_t level, uint32_t machine) {
  return level <= machine && (level >= OPW_LEVEL_AARCH64) == (machine >= OPW_LEVEL_AARCH64);
}

} // namespace opw::runtime
