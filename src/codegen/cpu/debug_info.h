// DWARF of one kernel, so that a debugger shows its Python lines, the calls that were inlined, its arguments and the
// ids of the program that runs.
#pragma once

#include "ir/module.h"

#include "llvm/IR/DIBuilder.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

#include <map>
#include <string>
#include <utility>

namespace opw::cpu {

class DebugInfo {
public:
  /// Describes `entry`, the function that the plan is emitted into.
  DebugInfo(const ir::Module &source, const ir::Function &plan, llvm::Function &entry);

  /// The place of an op; `otherwise` where its Python line is not known.
  llvm::DebugLoc at(ir::LocId id, const llvm::DebugLoc &otherwise);
  /// No line: a breakpoint on the kernel's name passes over what comes before the first program.
  llvm::DebugLoc prologue() const { return prologueLocation; }
  /// There it stops: an instruction of its own on the line of the `def`, which nothing before it can be moved over. The
  /// builder is on that line from here on.
  void markStart(llvm::IRBuilderBase &b);

  /// Code that has copies of the same lines elsewhere, as a loop and its tail have: a debugger stops in each block.
  class Block {
  public:
    explicit Block(DebugInfo *debug);
    ~Block();
    Block(const Block &) = delete;
    Block &operator=(const Block &) = delete;

  private:
    DebugInfo *debug; ///< null: nothing is described
    llvm::DILocalScope *outer = nullptr;
  };

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
  llvm::DISubprogram *kernel = nullptr;
  llvm::DILocalScope *scope = nullptr; ///< the innermost block
  unsigned blocks = 0;
  llvm::DebugLoc prologueLocation, startLocation;
  std::map<std::string, llvm::DIFile *> files;
  std::map<std::string, llvm::DISubprogram *> calls; ///< by file: TTIR does not tell the names of what it inlined
  std::map<std::pair<llvm::DILocalScope *, ir::LocId>, llvm::DILocation *> places;
};

} // namespace opw::cpu
