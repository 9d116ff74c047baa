// DWARF of one kernel, so that a debugger shows its Python lines, the calls that were inlined, its arguments and the
// ids of the program that runs.
#pragma once

#include "ir/module.h"

#include "llvm/IR/DIBuilder.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

#include <map>
#include <string>

namespace opw::cpu {

class DebugInfo {
public:
  /// Describes `entry`, the function that the plan is emitted into.
  DebugInfo(const ir::Module &source, const ir::Function &plan, llvm::Function &entry);

  /// The place of an op; `otherwise` where its Python line is not known.
  llvm::DebugLoc at(ir::LocId id, const llvm::DebugLoc &otherwise);
  /// The line of the kernel's `def`.
  llvm::DebugLoc start() const { return startLocation; }

  /// Gives a variable a place on the stack, at the builder's position, and writes `value` there. Code is optimized:
  /// only what is written to memory on purpose can be looked at anywhere in the kernel.
  llvm::Value *variable(llvm::IRBuilderBase &b, const std::string &name, const ir::Type &type, llvm::Value *value);
  /// A later value of it, read back from there: what is computed with that comes after the debugger can see it.
  static llvm::Value *assign(llvm::IRBuilderBase &b, llvm::Value *place, llvm::Value *value);

  /// After the last instruction was emitted.
  void finish() { builder.finalize(); }

private:
  llvm::DIFile *fileOf(const std::string &path);
  llvm::DISubprogram *inlined(const std::string &path);
  llvm::DIType *typeOf(const ir::Type &type);

  const ir::Module &source;
  llvm::DIBuilder builder;
  llvm::DICompileUnit *unit = nullptr;
  llvm::DISubprogram *kernel = nullptr;
  llvm::DebugLoc startLocation;
  std::map<std::string, llvm::DIFile *> files;
  std::map<std::string, llvm::DISubprogram *> calls; ///< by file: TTIR does not tell the names of what it inlined
  std::map<ir::LocId, llvm::DILocation *> places;
};

} // namespace opw::cpu
