// The compiler: TTIR text in, one object for one CPU level out.
#pragma once

#include "driver/explain.h"
#include "ir/type.h"
#include "support/diagnostic.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace opw::driver {

/// Name of a stage and the milliseconds that it took.
using StageTime = std::pair<std::string, double>;

struct CompileOptions {
  std::string level = "host";       ///< "x86-64-v3", "x86-64-v4", "aarch64" or "host"
  std::string entry = "opw_kernel"; ///< symbol of the entry in the object
  bool fpFusion = true;             ///< a*b + c may round once
  /// Memory behind different pointer arguments does not overlap: true for plugins, whose runtime refuses overlap.
  bool argsDisjoint = false;
  std::string programOrder = "auto"; ///< a text of ir/program_order.h, or "auto": the compiler chooses
  bool debugInfo = false;            ///< DWARF in the object: Python lines, arguments, program ids
  bool explain = false;              ///< fill CompiledKernel::remarks
  bool assembly = false;             ///< fill CompiledKernel::assembly
  /// If set: what each stage leaves goes there as NN_<stage>, with .ir for our IR, .ll for LLVM's, .s for assembly.
  std::string dumpDir{};
};

/// One kernel argument, in the order of TTIR. Of a pointer, `elem` is the pointee.
struct Param {
  bool pointer;
  ir::Elem elem;
};

struct CompiledKernel {
  std::string object; ///< ELF relocatable; its one global symbol is `entry`, an opw_cpu_entry_t of plugin.h
  std::string entry;
  std::string assembly;      ///< of the object, with CompileOptions::assembly
  std::string name;          ///< the kernel's name in TTIR
  uint64_t scratchBytes = 0; ///< per worker, 64-byte aligned
  std::vector<Param> params;
  bool ordered = false;     ///< programs must be taken in ascending order, by ticket
  std::string programOrder; ///< that programs are taken in
  int64_t grain = 1;        ///< programs per chunk that pay for a hand-over
  std::vector<StageTime> times;
  std::vector<Remark> remarks; ///< what each source line became, with CompileOptions::explain
};

/// Compiles the module's kernel. Thread-safe; never throws. What was refused or found broken is in the diagnostics.
Result<CompiledKernel> compileKernel(std::string_view ttir, const CompileOptions &options);

/// The highest CPU level of this machine: "x86-64-v4", "x86-64-v3", or "" below those.
std::string hostLevel();

} // namespace opw::driver
