#include "codegen/cpu/gdb_jit.h"

#include "llvm/Object/ELF.h"

#include <mutex>

extern "C" {

/// The names, the layout and the meaning of these are the interface: the debugger has a breakpoint on the function and
/// reads the list when it is called.
struct jit_code_entry {
  jit_code_entry *next_entry, *prev_entry;
  const char *symfile_addr;
  uint64_t symfile_size;
};

struct jit_descriptor {
  uint32_t version;
  uint32_t action_flag; // an Action
  jit_code_entry *relevant_entry;
  jit_code_entry *first_entry;
};

__attribute__((visibility("default"), used)) jit_descriptor __jit_debug_descriptor = {1, 0, nullptr, nullptr};

__attribute__((visibility("default"), used, noinline)) void __jit_debug_register_code() {
  __asm__ volatile("" ::: "memory"); // a body, so that calls stay
}

} // extern "C"

namespace opw::cpu {

struct GdbObject::Entry {
  jit_code_entry code{};
  std::string object;
};

namespace {

enum Action : uint32_t { kRegistered = 1, kUnregistered = 2 };

std::mutex &listMutex() {
  static std::mutex *mutex = new std::mutex; // kernels may be freed while the process ends
  return *mutex;
}

void tell(Action action, jit_code_entry *entry) {
  __jit_debug_descriptor.action_flag = action;
  __jit_debug_descriptor.relevant_entry = entry;
  __jit_debug_register_code();
}

/// Writes into the section headers where the sections are; false without debug info, or where it cannot be read.
bool placeSections(std::string &object, const std::function<uint64_t(std::string_view)> &addressOf) {
  using File = llvm::object::ELF64LEFile;
  auto file = File::create(object);
  if (!file) {
    llvm::consumeError(file.takeError());
    return false;
  }
  auto sections = file->sections();
  if (!sections) {
    llvm::consumeError(sections.takeError());
    return false;
  }
  bool hasLines = false;
  for (const File::Elf_Shdr &section : *sections) {
    auto name = file->getSectionName(section);
    if (!name) {
      llvm::consumeError(name.takeError());
      return false;
    }
    hasLines |= *name == ".debug_line";
    if (section.sh_flags & llvm::ELF::SHF_ALLOC)
      const_cast<File::Elf_Shdr &>(section).sh_addr = addressOf(std::string_view(name->data(), name->size()));
  }
  return hasLines;
}

} // namespace

GdbObject::GdbObject(std::unique_ptr<Entry> entry) : entry(std::move(entry)) {}

std::unique_ptr<GdbObject> GdbObject::announce(std::string_view object,
                                               const std::function<uint64_t(std::string_view)> &addressOf) {
  if (object.find(".debug_line") == object.npos)
    return nullptr; // the usual case, told without a copy
  auto entry = std::make_unique<Entry>();
  entry->object = object;
  if (!placeSections(entry->object, addressOf))
    return nullptr;
  jit_code_entry &code = entry->code;
  code.symfile_addr = entry->object.data();
  code.symfile_size = entry->object.size();
  std::lock_guard lock(listMutex());
  code.next_entry = __jit_debug_descriptor.first_entry;
  if (code.next_entry)
    code.next_entry->prev_entry = &code;
  __jit_debug_descriptor.first_entry = &code;
  tell(kRegistered, &code);
  return std::unique_ptr<GdbObject>(new GdbObject(std::move(entry)));
}

GdbObject::~GdbObject() {
  jit_code_entry &code = entry->code;
  std::lock_guard lock(listMutex());
  (code.prev_entry ? code.prev_entry->next_entry : __jit_debug_descriptor.first_entry) = code.next_entry;
  if (code.next_entry)
    code.next_entry->prev_entry = code.prev_entry;
  tell(kUnregistered, &code);
}

} // namespace opw::cpu
