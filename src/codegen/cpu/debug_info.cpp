#include "codegen/cpu/debug_info.h"

#include "llvm/BinaryFormat/Dwarf.h"

#include <algorithm>
#include <filesystem>

namespace opw::cpu {

using namespace ir;
namespace dwarf = llvm::dwarf;

namespace {

/// Where TTIR knows no file: a kernel that was written as text.
const char *const kNoFile = "unknown.py";

llvm::DISubprogram::DISPFlags flags() {
  return llvm::DISubprogram::SPFlagDefinition | llvm::DISubprogram::SPFlagOptimized;
}

} // namespace

DebugInfo::DebugInfo(const Module &source, const Function &plan, llvm::Function &entry)
    : source(source), builder(*entry.getParent()) {
  llvm::Module &target = *entry.getParent();
  target.addModuleFlag(llvm::Module::Warning, "Debug Info Version", llvm::DEBUG_METADATA_VERSION);
  target.addModuleFlag(llvm::Module::Warning, "Dwarf Version", 5);
  SourceRange where = sourceOf(source, plan.location);
  llvm::DIFile *file = fileOf(where.file);
  // C's expressions are what one wants to print: x_ptr[3], n - 1. The producer's first word is what gdb looks for
  // before it believes where a line table says that a function's prologue ends.
  builder.createCompileUnit(llvm::DISourceLanguageName(dwarf::DW_LANG_C99), file, "clang (LLVM, by Opwright)", true, "",
                            0);
  llvm::DISubroutineType *type = builder.createSubroutineType(builder.getOrCreateTypeArray({}));
  kernel =
      builder.createFunction(file, plan.name, "", file, where.line, type, where.line, llvm::DINode::FlagZero, flags());
  entry.setSubprogram(kernel);
  scope = kernel;
  prologueLocation = llvm::DILocation::get(target.getContext(), 0, 0, kernel);
  startLocation = llvm::DILocation::get(target.getContext(), where.line, 0, kernel);
}

void DebugInfo::markStart(llvm::IRBuilderBase &b) {
  b.SetCurrentDebugLocation(startLocation);
  b.CreateFence(llvm::AtomicOrdering::SequentiallyConsistent);
}

DebugInfo::Block::Block(DebugInfo *debug) : debug(debug) {
  if (!debug)
    return;
  outer = debug->scope;
  // Blocks of one line are told apart by their columns.
  debug->scope =
      debug->builder.createLexicalBlock(outer, debug->kernel->getFile(), debug->kernel->getLine(), ++debug->blocks);
}

DebugInfo::Block::~Block() {
  if (debug)
    debug->scope = outer;
}

llvm::DIFile *DebugInfo::fileOf(const std::string &path) {
  llvm::DIFile *&file = files[path];
  if (!file) {
    std::filesystem::path whole(path.empty() ? kNoFile : path);
    file = builder.createFile(whole.filename().string(), whole.parent_path().string());
  }
  return file;
}

llvm::DISubprogram *DebugInfo::inlined(const std::string &path) {
  llvm::DISubprogram *&call = calls[path];
  if (!call) {
    llvm::DIFile *file = fileOf(path);
    llvm::DISubroutineType *type = builder.createSubroutineType(builder.getOrCreateTypeArray({}));
    call = builder.createFunction(file, file->getFilename(), "", file, 0, type, 0, llvm::DINode::FlagZero,
                                  flags() | llvm::DISubprogram::SPFlagLocalToUnit);
  }
  return call;
}

llvm::DebugLoc DebugInfo::at(LocId id, const llvm::DebugLoc &otherwise) {
  if (id == kNone)
    return otherwise;
  auto [found, isNew] = places.try_emplace({scope, id}, nullptr);
  if (isNew) {
    const Location location = source.locations[id];
    llvm::DILocation *caller = nullptr;
    if (location.callSite != kNone)
      caller = at(location.callSite, {}).get();
    if (location.line == 0)
      found->second = caller;
    else
      found->second =
          llvm::DILocation::get(kernel->getContext(), location.line, location.column,
                                caller ? static_cast<llvm::DILocalScope *>(inlined(location.file)) : scope, caller);
  }
  return found->second ? llvm::DebugLoc(found->second) : otherwise;
}

llvm::DIType *DebugInfo::typeOf(const Type &type) {
  if (type.isPointer()) {
    Type pointee = type;
    pointee.pointerDepth--;
    return builder.createPointerType(typeOf(pointee), 64);
  }
  std::string name(ir::name(type.elem));
  unsigned bits = std::max(bitWidth(type.elem), 8u);
  bool isNumber = type.elem == Elem::F16 || type.elem == Elem::F32 || type.elem == Elem::F64;
  bool isInteger = name[0] == 'i';
  return builder.createBasicType(name, bits,
                                 isNumber       ? dwarf::DW_ATE_float
                                 : name == "i1" ? dwarf::DW_ATE_boolean
                                 : isInteger    ? dwarf::DW_ATE_signed
                                                : dwarf::DW_ATE_unsigned); // bf16, fp8: their bits
}

llvm::Value *DebugInfo::variable(llvm::IRBuilderBase &b, const std::string &name, const Type &type,
                                 llvm::Value *value) {
  llvm::BasicBlock &top = b.GetInsertBlock()->getParent()->getEntryBlock();
  llvm::Value *place = llvm::IRBuilder<>(&top, top.begin()).CreateAlloca(value->getType());
  llvm::DILocalVariable *variable =
      builder.createAutoVariable(kernel, name, kernel->getFile(), kernel->getLine(), typeOf(type), true);
  builder.insertDeclare(place, variable, builder.createExpression(), startLocation.get(), b.GetInsertBlock());
  b.CreateStore(value, place, true);
  return place;
}

llvm::Value *DebugInfo::assign(llvm::IRBuilderBase &b, llvm::Value *place, llvm::Value *value) {
  b.CreateStore(value, place, true); // volatile, and read back: what uses the value cannot move before the write
  return b.CreateLoad(value->getType(), place, true);
}

} // namespace opw::cpu
