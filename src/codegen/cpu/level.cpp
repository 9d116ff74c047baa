#include "codegen/cpu/level.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"

#include <algorithm>
#include <vector>

namespace opw::cpu {

std::string hostLevel() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4"))
    return "x86-64-v4";
  if (__builtin_cpu_supports("x86-64-v3"))
    return "x86-64-v3";
  return "";
}

namespace {

Level levelV3() {
  Level level;
  level.name = "x86-64-v3";
  level.cpu = "x86-64-v3";
  level.tune = "haswell"; // masked gathers stay one instruction instead of a branch per lane
  level.features = "+fast-gather,-idivq-to-divl";
  level.vectorBits = 256;
  level.dot = {4, 2};
  level.dotWide = {2, 4};
  return level;
}

Level levelV4() {
  Level level;
  level.name = "x86-64-v4";
  level.cpu = "x86-64-v4";
  level.tune = "x86-64-v4";
  level.features = "-prefer-256-bit,-idivq-to-divl";
  level.vectorBits = 512;
  level.maskRegisters = true;
  level.maskedBytes = 1;
  level.avx512 = true;
  level.dot = {8, 2};
  level.dotWide = {4, 4};
  return level;
}

/// ARMv8.0-A: NEON, which has neither masked accesses nor gathers. The accumulators of a dot are half of the registers.
Level levelAArch64() {
  Level level;
  level.arch = Arch::AArch64;
  level.name = "aarch64";
  level.cpu = "generic";
  level.tune = "generic";
  level.features = "+neon,-outline-atomics"; // atomics are loops in place, not calls
  level.vectorBits = 128;
  level.maskedBytes = Level::kNoMasks;
  level.streams = false;
  level.dot = {4, 4};
  level.dotWide = {2, 8};
  return level;
}

#ifdef OPW_WITH_AARCH64
constexpr bool kHasAArch64 = true;
#else
constexpr bool kHasAArch64 = false;
#endif

Level levelHost(const std::string &best) {
  Level level = best == "x86-64-v4" ? levelV4() : levelV3();
  level.name = "host";
  level.cpu = llvm::sys::getHostCPUName().str();
  level.tune = level.cpu;
  // What the machine reports wins over what its model should have: virtual machines hide features.
  std::vector<std::string> parts;
  for (const auto &entry : llvm::sys::getHostCPUFeatures())
    parts.push_back((entry.getValue() ? "+" : "-") + entry.getKey().str());
  std::sort(parts.begin(), parts.end());
  for (const std::string &part : parts)
    level.features += "," + part;
  return level;
}

} // namespace

Result<Level> findLevel(std::string_view name) {
  if (name == "x86-64-v3")
    return levelV3();
  if (name == "x86-64-v4")
    return levelV4();
  if (name == "host") {
    std::string best = hostLevel();
    if (best.empty())
      return Diagnostic{.message = "this processor is below x86-64-v3: found no AVX2, FMA and BMI2",
                        .hint = "run on a processor of 2013 or later"};
    static const Level host = levelHost(best); // the machine does not change
    return host;
  }
  if (name == "aarch64") {
    if (kHasAArch64)
      return levelAArch64();
    return Diagnostic{.message =
                          "the CPU level aarch64 needs an LLVM with the AArch64 target: this build has x86-64 alone",
                      .hint = "pip install 'mlc-llvm-static[all]>=23.1.1.post0,<24', then build Opwright again with "
                              "--no-build-isolation"};
  }
  return Diagnostic{.message = "unknown CPU level '" + std::string(name) +
                               "', expected x86-64-v3, x86-64-v4, aarch64 or host"};
}

} // namespace opw::cpu
