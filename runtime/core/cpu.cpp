#include "core/cpu.h"

#include <atomic>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace opw::runtime {
namespace {

std::atomic<uint32_t> found{0}; // level + 1; 0 = not asked yet
std::atomic<uint32_t> limit{0};

struct LevelName {
  uint32_t level;
  const char *name;
};
constexpr LevelName kNames[] = {
    {kLevelX86_64, "x86-64"},
    {kLevelX86_64V2, "x86-64-v2"},
    {OPW_LEVEL_X86_64_V3, "x86-64-v3"},
    {OPW_LEVEL_X86_64_V4, "x86-64-v4"},
    {OPW_LEVEL_X86_64_V4_BF16, "x86-64-v4-bf16"},
    {OPW_LEVEL_X86_64_V4_AMX, "x86-64-v4-amx"},
    {OPW_LEVEL_AARCH64, "aarch64"},
    {OPW_LEVEL_AARCH64_SVE, "aarch64-sve"},
};

#if defined(__x86_64__)
struct Registers {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Registers leaf(uint32_t number, uint32_t sub = 0) {
  Registers r;
  __get_cpuid_count(number, sub, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

bool all(uint32_t bits, uint32_t mask) { return (bits & mask) == mask; }

constexpr uint32_t bit(unsigned n) { return 1u << n; }

/// XCR0: which registers the operating system saves. Needs OSXSAVE.
uint64_t savedRegisters() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

uint32_t askCpu() {
  Registers one = leaf(1), seven = leaf(7), sevenOne = leaf(7, 1), extended = leaf(0x80000001);
  // SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT; LAHF
  if (!all(one.ecx, bit(0) | bit(9) | bit(13) | bit(19) | bit(20) | bit(23)) || !all(extended.ecx, bit(0)))
    return kLevelX86_64;
  // FMA, MOVBE, OSXSAVE, AVX, F16C; BMI1, AVX2, BMI2; LZCNT
  if (!all(one.ecx, bit(12) | bit(22) | bit(27) | bit(28) | bit(29)) || !all(seven.ebx, bit(3) | bit(5) | bit(8)) ||
      !all(extended.ecx, bit(5)))
    return kLevelX86_64V2;
  uint64_t saved = savedRegisters();
  if ((saved & 0x6) != 0x6)
    return kLevelX86_64V2;
  // AVX512 F, DQ, CD, BW, VL; opmask and the upper halves saved
  if (!all(seven.ebx, bit(16) | bit(17) | bit(28) | bit(30) | bit(31)) || (saved & 0xe6) != 0xe6)
    return OPW_LEVEL_X86_64_V3;
  // AVX512_VNNI; AVX512_BF16
  if (!all(seven.ecx, bit(11)) || !all(sevenOne.eax, bit(5)))
    return OPW_LEVEL_X86_64_V4;
  return OPW_LEVEL_X86_64_V4_BF16;
}
#elif defined(__aarch64__)
uint32_t askCpu() { return OPW_LEVEL_AARCH64; }
#else
uint32_t askCpu() { return kNoLevel; }
#endif

} // namespace

uint32_t cpuLevel() {
  uint32_t level = found.load(std::memory_order_relaxed);
  if (level == 0) {
    level = askCpu() + 1;
    found.store(level, std::memory_order_relaxed);
  }
  --level;
  uint32_t most = limit.load(std::memory_order_relaxed);
  return most != 0 && most < level ? most : level;
}

void limitCpuLevel(uint32_t level) { limit.store(level, std::memory_order_relaxed); }

const char *cpuLevelName(uint32_t level) {
  for (const LevelName &n : kNames)
    if (n.level == level)
      return n.name;
  return "unknown";
}

uint32_t cpuLevelOf(const char *name) {
  for (const LevelName &n : kNames)
    if (strcmp(n.name, name) == 0)
      return n.level;
  return kNoLevel;
}

} // namespace opw::runtime
