// Links an object into this process with JITLink. Our objects need no symbols, so no symbol table of the process is
// involved.
#include "codegen/cpu/jit.h"

#include "codegen/cpu/gdb_jit.h"

#include "llvm/ExecutionEngine/JITLink/JITLink.h"
#include "llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h"
#include "llvm/ExecutionEngine/Orc/SymbolStringPool.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Process.h"
#include "llvm/TargetParser/Host.h"

#include <map>

namespace opw::cpu {

namespace jitlink = llvm::jitlink;

struct JitModule::State {
  std::unique_ptr<jitlink::JITLinkMemoryManager> memory;
  jitlink::JITLinkMemoryManager::FinalizedAlloc allocation;
  std::map<std::string, Symbol> symbols;
  std::map<std::string, uint64_t, std::less<>> sections; ///< where they are
  std::unique_ptr<GdbObject> debugger;
  std::string error;
};

namespace {

/// Answers of a link that runs on this thread from start to end.
template <typename State> class Link : public jitlink::JITLinkContext {
public:
  explicit Link(State &state) : JITLinkContext(nullptr), state(state) {}

  jitlink::JITLinkMemoryManager &getMemoryManager() override { return *state.memory; }
  void notifyFailed(llvm::Error error) override { state.error = llvm::toString(std::move(error)); }
  void lookup(const LookupMap &symbols, std::unique_ptr<jitlink::JITLinkAsyncLookupContinuation> next) override {
    std::string names;
    for (const auto &entry : symbols)
      names += " " + (*entry.first).str();
    next->run(llvm::createStringError("the object needs symbols that it does not define:" + names));
  }
  llvm::Error notifyResolved(jitlink::LinkGraph &graph) override {
    for (jitlink::Symbol *symbol : graph.defined_symbols())
      if (symbol->hasName() && symbol->getScope() != jitlink::Scope::Local)
        state.symbols[(*symbol->getName()).str()] = {symbol->getAddress().template toPtr<void *>(),
                                                     static_cast<size_t>(symbol->getSize())};
    for (jitlink::Section &section : graph.sections())
      state.sections[section.getName().str()] = jitlink::SectionRange(section).getStart().getValue();
    return llvm::Error::success();
  }
  void notifyFinalized(jitlink::JITLinkMemoryManager::FinalizedAlloc allocation) override {
    state.allocation = std::move(allocation);
  }
  jitlink::LinkGraphPassFunction getMarkLivePass(const llvm::Triple &) const override {
    return jitlink::markAllSymbolsLive;
  }

private:
  State &state;
};

std::shared_ptr<llvm::orc::SymbolStringPool> stringPool() {
  static std::shared_ptr<llvm::orc::SymbolStringPool> pool = std::make_shared<llvm::orc::SymbolStringPool>();
  return pool;
}

Diagnostic damaged(const std::string &error) {
  return {.message = "cannot load an object: " + error, .hint = "delete the cache that it came from"};
}

} // namespace

JitModule::JitModule(std::unique_ptr<State> state) : state(std::move(state)) {}

JitModule::~JitModule() {
  if (state->allocation)
    llvm::consumeError(state->memory->deallocate(std::move(state->allocation)));
}

Result<std::unique_ptr<JitModule>> JitModule::load(std::string_view object) {
  // The reader wants an aligned buffer; what is cut off would be read beyond its end otherwise.
  auto buffer = llvm::MemoryBuffer::getMemBufferCopy(llvm::StringRef(object.data(), object.size()), "kernel");
  auto graph = jitlink::createLinkGraphFromObject(buffer->getMemBufferRef(), stringPool());
  if (!graph)
    return damaged(llvm::toString(graph.takeError()));
  if (llvm::Triple here(llvm::sys::getProcessTriple()); (*graph)->getTargetTriple().getArch() != here.getArch())
    return Diagnostic{.message = "cannot load an object of " + (*graph)->getTargetTriple().getArchName().str() +
                                 " into a process of " + here.getArchName().str(),
                      .hint = "compile for a level of this machine, or link the object where it shall run"};
  auto state = std::make_unique<State>();
  auto memory = jitlink::InProcessMemoryManager::Create();
  if (!memory)
    return damaged(llvm::toString(memory.takeError()));
  state->memory = std::move(*memory);
  jitlink::link(std::move(*graph), std::make_unique<Link<State>>(*state));
  if (!state->error.empty())
    return damaged(state->error);
  state->debugger = GdbObject::announce(object, [&](std::string_view section) {
    auto found = state->sections.find(section);
    return found == state->sections.end() ? 0 : found->second;
  });
  return std::unique_ptr<JitModule>(new JitModule(std::move(state)));
}

JitModule::Symbol JitModule::lookup(const std::string &name) const {
  auto found = state->symbols.find(name);
  return found == state->symbols.end() ? Symbol{} : found->second;
}

} // namespace opw::cpu
