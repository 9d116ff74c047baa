// CPU levels: what code may assume of a processor, and which shapes are fast on it. One table, filled by measurement.
#pragma once

#include "support/diagnostic.h"

#include <string>
#include <string_view>

namespace opw::cpu {

/// A micro-kernel keeps `rows` x `vectors` vectors of the accumulator in registers.
struct DotShape {
  unsigned rows;
  unsigned vectors;
};

enum class Arch { X86_64, AArch64 };

struct Level {
  Arch arch = Arch::X86_64;
  std::string name;     ///< "x86-64-v3", "x86-64-v4", "aarch64" or "host"
  std::string cpu;      ///< LLVM's name of the instruction set
  std::string tune;     ///< LLVM's name of the processor to schedule for
  std::string features; ///< LLVM feature string on top of `cpu`
  unsigned vectorBits = 256;
  bool maskRegisters = false; ///< masked accesses of every element width cost one instruction
  unsigned maskedBytes = 4;   ///< the narrowest element whose masked accesses are instructions; kNoMasks where none is
  bool avx512 = false;        ///< instructions for ranges, powers of two and tables in registers
  bool streams = true;        ///< stores past the caches, ended by a fence
  DotShape dot{4, 2};         ///< many rows
  DotShape dotWide{2, 4};     ///< few rows, many lanes
  unsigned prefetchLine = 64; ///< bytes of a cache line

  static constexpr unsigned kNoMasks = 16; ///< bytes: wider than every element

  /// Elements of that many bits in a vector register.
  unsigned lanes(unsigned bits) const { return vectorBits / bits; }
};

/// The highest level that this machine has: "x86-64-v4" or "x86-64-v3"; "" below those.
std::string hostLevel();

/// The level of that name; "host" is this machine with everything that it has. "aarch64" is refused by a build whose
/// LLVM has no such target.
Result<Level> findLevel(std::string_view name);

} // namespace opw::cpu
