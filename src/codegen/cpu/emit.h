// Plan IR -> machine code: one ELF object for one CPU level. The object has one global symbol, the entry
// (opw_cpu_entry_t of plugin.h), and needs none.
#pragma once

#include "ir/module.h"
#include "ir/program_order.h"
#include "support/diagnostic.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace opw::cpu {

struct EmitOptions {
  std::string level = "host";       ///< a name that findLevel knows
  std::string entry = "opw_kernel"; ///< symbol of the entry function
  bool fpFusion = true;             ///< a*b + c may be fused
  ir::ProgramOrder order{};         ///< of the programs in a range
  bool debugInfo = false;           ///< DWARF: lines, arguments, program ids
  bool dump = false;                ///< keep the texts of EmittedObject
  bool assembly = false;            ///< keep the assembly alone
  bool verify = false;              ///< run LLVM's verifier, for tests and debugging
};

struct EmittedObject {
  std::string object;
  uint64_t scratchBytes = 0;                         ///< memory that a worker's opw_cpu_scratch_t must have
  std::vector<std::pair<std::string, double>> times; ///< stages and their milliseconds
  std::string llvmIr, optimizedIr;                   ///< with EmitOptions::dump
  std::string assembly; ///< with EmitOptions::dump or ::assembly, for GNU's and LLVM's assembler
};

/// Emits one plan function of the module. Thread-safe. An op or type that has no emission is refused with its source
/// line.
Result<EmittedObject> emit(const ir::Module &module, const ir::Function &plan, const EmitOptions &options);

} // namespace opw::cpu
