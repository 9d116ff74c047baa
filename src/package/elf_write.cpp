#include "package/elf_write.h"

#include <algorithm>
#include <array>
#include <elf.h>

namespace opw::package {
namespace {

constexpr size_t kSectionAlign = 64;

constexpr size_t kStubBytes = 16;

/// Sections of the object, in order; the first three are those of the arena.
enum : uint16_t {
  kNull,
  kTables,
  kReadOnly,
  kState,
  kCode,
  kRelocations,
  kCodeRelocations,
  kSymbols,
  kStrings,
  kSectionNames,
  kNoStack,
  kCount
};

struct Placed {
  uint16_t section;
  uint64_t offset;
};

struct StringTable {
  std::string bytes{'\0'};
  uint32_t add(std::string_view text) {
    auto at = static_cast<uint32_t>(bytes.size());
    bytes.append(text).push_back('\0');
    return at;
  }
};

class Writer {
public:
  explicit Writer(const Arena &arena) : arena(arena) { place(); }

  std::string write(const void *root, const std::string &rootName, const std::vector<std::string> &wanted,
                    const std::vector<Stub> &stubs) {
    addLocalSymbols();
    addSymbol(rootName, STT_OBJECT, STV_HIDDEN, placeOf(static_cast<const char *>(root)));
    for (const std::string &name : wanted)
      undefined(name, STV_DEFAULT);
    for (const Stub &stub : stubs)
      addStub(stub);
    for (const Arena::Pointer &pointer : arena.pointerList())
      relocate(pointer);
    std::sort(relocations.begin(), relocations.end(),
              [](const Elf64_Rela &a, const Elf64_Rela &b) { return a.r_offset < b.r_offset; });
    return assemble();
  }

private:
  const Arena &arena;
  std::map<const char *, std::pair<const Arena::Block *, Placed>> starts;
  std::array<std::string, 2> content; ///< of kTables and kReadOnly
  uint64_t stateBytes = 0;
  StringTable strings;
  std::vector<Elf64_Sym> symbols;
  std::map<std::string, uint32_t> symbolIndex;
  std::vector<Elf64_Rela> relocations, codeRelocations;
  std::string code;

  void place() {
    for (const Arena::Block &block : arena.blocks()) {
      Placed placed{};
      if (block.section == Arena::Section::State) {
        placed = {kState, (stateBytes + block.align - 1) / block.align * block.align};
        stateBytes = placed.offset + block.bytes;
      } else {
        bool tables = block.section == Arena::Section::Tables;
        std::string &bytes = content[tables ? 0 : 1];
        bytes.resize((bytes.size() + block.align - 1) / block.align * block.align);
        placed = {tables ? kTables : kReadOnly, bytes.size()};
        bytes.append(block.memory.get(), block.bytes);
      }
      starts[block.memory.get()] = {&block, placed};
    }
    // Addresses of this process never reach the file: every pointer is zero plus a relocation.
    for (const Arena::Pointer &pointer : arena.pointerList()) {
      Placed at = placeOf(pointer.field);
      std::memset(content[0].data() + at.offset, 0, 8);
    }
  }

  Placed placeOf(const char *address) const {
    auto it = std::prev(starts.upper_bound(address));
    Placed placed = it->second.second;
    placed.offset += static_cast<uint64_t>(address - it->first);
    return placed;
  }

  void addLocalSymbols() {
    symbols.push_back({});
    for (uint16_t section : {kTables, kReadOnly, kState}) {
      Elf64_Sym symbol{};
      symbol.st_info = ELF64_ST_INFO(STB_LOCAL, STT_SECTION);
      symbol.st_shndx = section;
      symbols.push_back(symbol);
    }
  }

  void addSymbol(const std::string &name, uint8_t type, uint8_t visibility, Placed placed) {
    Elf64_Sym symbol{};
    symbol.st_name = strings.add(name);
    symbol.st_info = static_cast<uint8_t>(ELF64_ST_INFO(STB_GLOBAL, type));
    symbol.st_other = visibility;
    symbol.st_shndx = placed.section;
    symbol.st_value = placed.offset;
    symbolIndex[name] = static_cast<uint32_t>(symbols.size());
    symbols.push_back(symbol);
  }

  uint32_t undefined(const std::string &name, uint8_t visibility) {
    if (auto it = symbolIndex.find(name); it != symbolIndex.end())
      return it->second;
    Elf64_Sym symbol{};
    symbol.st_name = strings.add(name);
    symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE);
    symbol.st_other = visibility;
    symbol.st_shndx = SHN_UNDEF;
    auto index = static_cast<uint32_t>(symbols.size());
    symbolIndex[name] = index;
    symbols.push_back(symbol);
    return index;
  }

  /// endbr64; mov r8d, number; jmp target; int3
  void addStub(const Stub &stub) {
    const uint64_t start = code.size();
    code.append("\xf3\x0f\x1e\xfa\x41\xb8", 6);
    code.append(reinterpret_cast<const char *>(&stub.number), 4);
    code.append("\xe9\0\0\0\0\xcc", 6);
    for (const std::string &name : stub.names)
      addSymbol(name, STT_FUNC, STV_DEFAULT, {kCode, start});
    Elf64_Rela relocation{};
    relocation.r_offset = start + 11; // the jump's distance, which counts from its end
    relocation.r_info = ELF64_R_INFO(uint64_t{undefined(stub.target, STV_HIDDEN)}, R_X86_64_PLT32);
    relocation.r_addend = -4;
    codeRelocations.push_back(relocation);
  }

  void relocate(const Arena::Pointer &pointer) {
    Elf64_Rela relocation{};
    relocation.r_offset = placeOf(pointer.field).offset;
    if (pointer.target) {
      Placed target = placeOf(pointer.target);
      relocation.r_info = ELF64_R_INFO(uint64_t{target.section}, R_X86_64_64); // section symbols 1..3 are in that order
      relocation.r_addend = static_cast<int64_t>(target.offset);
    } else {
      relocation.r_info = ELF64_R_INFO(uint64_t{undefined(pointer.symbol, STV_HIDDEN)}, R_X86_64_64);
    }
    relocations.push_back(relocation);
  }

  template <typename T> static std::string bytesOf(const std::vector<T> &list) {
    return {reinterpret_cast<const char *>(list.data()), list.size() * sizeof(T)};
  }

  std::string assemble() {
    std::array<Elf64_Shdr, kCount> headers{};
    std::array<std::string, kCount> bytes;
    StringTable names;
    auto section = [&](uint16_t i, const char *name, uint32_t type, uint64_t flags, uint64_t align,
                       std::string content) {
      headers[i].sh_name = names.add(name);
      headers[i].sh_type = type;
      headers[i].sh_flags = flags;
      headers[i].sh_addralign = align;
      headers[i].sh_size = content.size();
      bytes[i] = std::move(content);
    };
    section(kTables, ".data.rel.ro.opw", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, kSectionAlign, content[0]);
    section(kReadOnly, ".rodata.opw", SHT_PROGBITS, SHF_ALLOC, kSectionAlign, content[1]);
    section(kState, ".bss.opw", SHT_NOBITS, SHF_ALLOC | SHF_WRITE, kSectionAlign, {});
    headers[kState].sh_size = stateBytes;
    section(kCode, ".text.opw", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, kStubBytes, code);
    auto relocationsOf = [&](uint16_t i, const char *name, uint16_t target, const std::vector<Elf64_Rela> &list) {
      section(i, name, SHT_RELA, SHF_INFO_LINK, 8, bytesOf(list));
      headers[i].sh_link = kSymbols;
      headers[i].sh_info = target;
      headers[i].sh_entsize = sizeof(Elf64_Rela);
    };
    relocationsOf(kRelocations, ".rela.data.rel.ro.opw", kTables, relocations);
    relocationsOf(kCodeRelocations, ".rela.text.opw", kCode, codeRelocations);
    section(kSymbols, ".symtab", SHT_SYMTAB, 0, 8, bytesOf(symbols));
    headers[kSymbols].sh_link = kStrings;
    headers[kSymbols].sh_info = 4; // first global
    headers[kSymbols].sh_entsize = sizeof(Elf64_Sym);
    section(kStrings, ".strtab", SHT_STRTAB, 0, 1, strings.bytes);
    section(kNoStack, ".note.GNU-stack", SHT_PROGBITS, 0, 1, {});
    section(kSectionNames, ".shstrtab", SHT_STRTAB, 0, 1, {});
    bytes[kSectionNames] = names.bytes;
    headers[kSectionNames].sh_size = names.bytes.size();

    std::string out(sizeof(Elf64_Ehdr), '\0');
    for (uint16_t i = 1; i < kCount; ++i) {
      uint64_t align = headers[i].sh_addralign;
      out.resize((out.size() + align - 1) / align * align);
      headers[i].sh_offset = out.size();
      out += bytes[i];
    }
    out.resize((out.size() + 7) / 8 * 8);
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_REL;
    header.e_machine = EM_X86_64;
    header.e_version = EV_CURRENT;
    header.e_shoff = out.size();
    header.e_ehsize = sizeof(Elf64_Ehdr);
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = kCount;
    header.e_shstrndx = kSectionNames;
    std::memcpy(out.data(), &header, sizeof header);
    out.append(reinterpret_cast<const char *>(headers.data()), sizeof headers);
    return out;
  }
};

} // namespace

std::string writeObject(const Arena &arena, const void *root, const std::string &rootName,
                        const std::vector<std::string> &wanted, const std::vector<Stub> &stubs) {
  return Writer(arena).write(root, rootName, wanted, stubs);
}

} // namespace opw::package
