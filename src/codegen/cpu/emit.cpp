// Plan function -> LLVM module -> optimised module -> ELF object.
#include "codegen/cpu/emit.h"

#include "codegen/cpu/emitter.h"
#include "support/check.h"

#include "llvm/Analysis/AliasAnalysis.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/InstCombine/InstCombine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/LICM.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/Cloning.h"

#include <chrono>
#include <mutex>

namespace opw::cpu {

namespace {

llvm::Triple tripleOf(const Level &level) {
  return llvm::Triple(level.arch == Arch::AArch64 ? "aarch64-unknown-linux-gnu" : "x86_64-unknown-linux-gnu");
}

/// Milliseconds since the last call.
class Clock {
public:
  double lap() {
    auto now = std::chrono::steady_clock::now();
    double ms = std::chrono::duration<double, std::milli>(now - last).count();
    last = now;
    return ms;
  }

private:
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
};

/// One target machine per thread and level: making one costs more than compiling a small kernel with it.
llvm::TargetMachine &machineOf(const Level &level) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
#ifdef OPW_WITH_AARCH64
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
#endif
  });
  thread_local std::map<std::string, std::unique_ptr<llvm::TargetMachine>> machines;
  std::unique_ptr<llvm::TargetMachine> &machine = machines[level.name];
  if (!machine) {
    std::string error;
    llvm::Triple triple = tripleOf(level);
    const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
    OPW_CHECK(target, error);
    llvm::TargetOptions targetOptions;
    targetOptions.FunctionSections = false;
    machine.reset(target->createTargetMachine(triple, level.cpu, level.features, targetOptions, llvm::Reloc::PIC_,
                                              llvm::CodeModel::Small, llvm::CodeGenOptLevel::Less));
    OPW_CHECK(machine, "no target machine for " + level.cpu);
  }
  return *machine;
}

void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::PipelineTuningOptions tuning;
  tuning.LoopUnrolling = false;
  tuning.LoopVectorization = false;
  tuning.SLPVectorization = false;
  llvm::PassBuilder builder(&machine, tuning);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager callGraph;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(callGraph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, callGraph, modules);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::EarlyCSEPass());
  passes.addPass(llvm::InstCombinePass());
  llvm::LoopPassManager hoist;
  hoist.addPass(llvm::LICMPass(llvm::LICMOptions()));
  passes.addPass(llvm::createFunctionToLoopPassAdaptor(std::move(hoist), true));
  passes.addPass(llvm::SimplifyCFGPass());
  for (llvm::Function &function : module)
    if (!function.isDeclaration())
      passes.run(function, functions);
}

std::string generate(llvm::Module &module, llvm::TargetMachine &machine, llvm::CodeGenFileType type) {
  llvm::SmallString<0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  bool failed = machine.addPassesToEmitFile(passes, stream, nullptr, type);
  OPW_CHECK(!failed, "LLVM cannot write this kind of file");
  passes.run(module);
  return std::string(bytes);
}

/// `.prefalign N, label, nop` is LLVM's own, for functions that are long enough; every assembler has `.p2align N`.
std::string plainAlignment(std::string text) {
  constexpr std::string_view kTheirs = ".prefalign\t", kOurs = ".p2align\t";
  for (size_t at = 0; (at = text.find(kTheirs, at)) != text.npos; at += kOurs.size()) {
    size_t end = text.find('\n', at), comma = std::min(text.find(',', at), end);
    text.erase(comma, end - comma);
    text.replace(at, kTheirs.size(), kOurs);
  }
  return text;
}

std::string textOf(const llvm::Module &module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, nullptr);
  return text;
}

/// A plugin links the object against nothing: a library call that code generation came up with is a bug of ours.
void checkSelfContained(const std::string &object) {
  auto file = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(object, "kernel"));
  OPW_CHECK(bool(file), llvm::toString(file.takeError()));
  for (const llvm::object::SymbolRef &symbol : (*file)->symbols()) {
    auto flags = symbol.getFlags();
    OPW_CHECK(bool(flags), llvm::toString(flags.takeError()));
    if (!(*flags & llvm::object::SymbolRef::SF_Undefined) || (*flags & llvm::object::SymbolRef::SF_FormatSpecific))
      continue;
    auto name = symbol.getName();
    if (!name)
      llvm::consumeError(name.takeError());
    else
      OPW_CHECK(name->empty(), "the object needs the symbol " + name->str());
  }
}

} // namespace

Result<EmittedObject> emit(const ir::Module &module, const ir::Function &plan, const EmitOptions &options) {
  Result<Level> level = findLevel(options.level);
  if (!level)
    return level.diagnostics();
  try {
    Clock clock;
    EmittedObject result;
    llvm::TargetMachine &machine = machineOf(*level);
    result.times.emplace_back("target", clock.lap());
    llvm::LLVMContext context;
    llvm::Module target("opwright", context);
    target.setTargetTriple(tripleOf(*level));
    target.setDataLayout(machine.createDataLayout());
    target.setPICLevel(llvm::PICLevel::SmallPIC);
    Emitter emitter(module, plan, *level, options, target);
    emitter.run();
    result.scratchBytes = emitter.scratchBytes();
    result.times.emplace_back("emit", clock.lap());
    if (options.dump)
      result.llvmIr = textOf(target);
    if (options.verify) {
      std::string error;
      llvm::raw_string_ostream stream(error);
      OPW_CHECK(!llvm::verifyModule(target, &stream), error);
      clock.lap();
    }
    optimize(target, machine);
    result.times.emplace_back("optimize", clock.lap());
    if (options.dump)
      result.optimizedIr = textOf(target);
    if (options.dump || options.assembly) {
      std::unique_ptr<llvm::Module> copy = llvm::CloneModule(target);
      result.assembly = plainAlignment(generate(*copy, machine, llvm::CodeGenFileType::AssemblyFile));
      clock.lap();
    }
    result.object = generate(target, machine, llvm::CodeGenFileType::ObjectFile);
    checkSelfContained(result.object);
    result.times.emplace_back("codegen", clock.lap());
    return result;
  } catch (Refusal &refusal) {
    return std::move(refusal.diagnostic);
  } catch (InternalError &error) {
    return Diagnostic{.where = ir::sourceOf(module, plan.location),
                      .message = std::string("internal error in code generation: ") + error.what(),
                      .kernel = plan.name,
                      .hint = "please report this with the kernel"};
  }
}

} // namespace opw::cpu
