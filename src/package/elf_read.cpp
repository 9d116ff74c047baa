#include "package/elf_read.h"

#include <cstring>
#include <elf.h>
#include <map>

namespace opw::package {
namespace {

struct Damaged {
  const char *what;
};

class Reader {
public:
  explicit Reader(std::string_view bytes) : bytes(bytes) {}

  SharedObject read() {
    auto header = at<Elf64_Ehdr>(0, "ELF header");
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
      throw Damaged{"it is no ELF file"};
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
        header.e_machine != EM_X86_64)
      throw Damaged{"it is not for x86-64"};
    if (header.e_type != ET_DYN)
      throw Damaged{"it is no shared object"};
    if (header.e_shnum != 0)
      span(header.e_shoff, uint64_t{header.e_shnum} * sizeof(Elf64_Shdr), "section table");
    for (uint16_t i = 0; i < header.e_phnum; ++i)
      segments.push_back(at<Elf64_Phdr>(header.e_phoff + uint64_t{i} * sizeof(Elf64_Phdr), "program headers"));
    for (const Elf64_Phdr &p : segments) {
      if (p.p_type == PT_LOAD)
        span(p.p_offset, p.p_filesz, "segments");
      if (p.p_type == PT_GNU_STACK)
        object.executableStack = (p.p_flags & PF_X) != 0;
    }
    for (const Elf64_Phdr &p : segments)
      if (p.p_type == PT_DYNAMIC)
        readDynamic(p);
    readSymbols();
    return std::move(object);
  }

private:
  std::string_view bytes;
  std::vector<Elf64_Phdr> segments;
  SharedObject object;
  uint64_t stringTable = 0, stringBytes = 0, symbolTable = 0, versions = 0, needs = 0, needCount = 0, gnuHash = 0;

  void span(uint64_t offset, uint64_t size, const char *what) const {
    if (offset > bytes.size() || size > bytes.size() - offset)
      throw Damaged{what};
  }
  template <typename T> T at(uint64_t offset, const char *what) const {
    span(offset, sizeof(T), what);
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  }
  /// File offset of an address of the image.
  uint64_t offsetOf(uint64_t address, const char *what) const {
    for (const Elf64_Phdr &p : segments)
      if (p.p_type == PT_LOAD && address >= p.p_vaddr && address - p.p_vaddr < p.p_filesz)
        return p.p_offset + (address - p.p_vaddr);
    throw Damaged{what};
  }
  std::string text(uint64_t offset) const {
    if (offset >= stringBytes)
      throw Damaged{"string table"};
    std::string_view rest = bytes.substr(stringTable + offset, stringBytes - offset);
    size_t end = rest.find('\0');
    if (end == rest.npos)
      throw Damaged{"string table"};
    return std::string(rest.substr(0, end));
  }

  void readDynamic(const Elf64_Phdr &p) {
    std::vector<uint64_t> needed;
    uint64_t soname = UINT64_MAX;
    for (uint64_t o = 0; o + sizeof(Elf64_Dyn) <= p.p_filesz; o += sizeof(Elf64_Dyn)) {
      auto d = at<Elf64_Dyn>(p.p_offset + o, "dynamic section");
      switch (d.d_tag) {
      case DT_NEEDED:
        needed.push_back(d.d_un.d_val);
        break;
      case DT_SONAME:
        soname = d.d_un.d_val;
        break;
      case DT_STRTAB:
        stringTable = offsetOf(d.d_un.d_ptr, "string table");
        break;
      case DT_STRSZ:
        stringBytes = d.d_un.d_val;
        break;
      case DT_SYMTAB:
        symbolTable = offsetOf(d.d_un.d_ptr, "symbol table");
        break;
      case DT_GNU_HASH:
        gnuHash = offsetOf(d.d_un.d_ptr, "hash table");
        break;
      case DT_VERSYM:
        versions = offsetOf(d.d_un.d_ptr, "symbol versions");
        break;
      case DT_VERNEED:
        needs = offsetOf(d.d_un.d_ptr, "needed versions");
        break;
      case DT_VERNEEDNUM:
        needCount = d.d_un.d_val;
        break;
      case DT_TEXTREL:
        object.textRelocations = true;
        break;
      case DT_FLAGS:
        object.textRelocations |= (d.d_un.d_val & DF_TEXTREL) != 0;
        object.bindNow |= (d.d_un.d_val & DF_BIND_NOW) != 0;
        break;
      case DT_FLAGS_1:
        object.nodelete |= (d.d_un.d_val & DF_1_NODELETE) != 0;
        object.bindNow |= (d.d_un.d_val & DF_1_NOW) != 0;
        break;
      default:
        break;
      }
      if (d.d_tag == DT_NULL)
        break;
    }
    span(stringTable, stringBytes, "string table");
    for (uint64_t name : needed)
      object.needed.push_back(text(name));
    if (soname != UINT64_MAX)
      object.soname = text(soname);
  }

  /// Symbols of the GNU hash table end where the last chain ends; there is no other count.
  uint64_t symbolCount() const {
    if (gnuHash == 0)
      throw Damaged{"hash table"};
    auto buckets = at<uint32_t>(gnuHash, "hash table"), first = at<uint32_t>(gnuHash + 4, "hash table");
    auto bloom = at<uint32_t>(gnuHash + 8, "hash table");
    uint64_t bucketAt = gnuHash + 16 + uint64_t{bloom} * 8, chainAt = bucketAt + uint64_t{buckets} * 4;
    uint64_t last = 0;
    for (uint32_t i = 0; i < buckets; ++i)
      last = std::max<uint64_t>(last, at<uint32_t>(bucketAt + uint64_t{i} * 4, "hash table"));
    if (last < first)
      return first;
    while ((at<uint32_t>(chainAt + (last - first) * 4, "hash table") & 1) == 0)
      ++last;
    return last + 1;
  }

  std::map<uint16_t, std::string> readVersions() const {
    std::map<uint16_t, std::string> names;
    uint64_t o = needs;
    for (uint64_t i = 0; needs != 0 && i < needCount; ++i) {
      auto need = at<Elf64_Verneed>(o, "needed versions");
      uint64_t a = o + need.vn_aux;
      for (uint16_t k = 0; k < need.vn_cnt; ++k) {
        auto aux = at<Elf64_Vernaux>(a, "needed versions");
        names[aux.vna_other] = text(aux.vna_name);
        a += aux.vna_next;
      }
      o += need.vn_next;
    }
    return names;
  }

  void readSymbols() {
    if (symbolTable == 0)
      throw Damaged{"symbol table"};
    std::map<uint16_t, std::string> names = readVersions();
    uint64_t count = symbolCount();
    for (uint64_t i = 1; i < count; ++i) {
      auto s = at<Elf64_Sym>(symbolTable + i * sizeof(Elf64_Sym), "symbol table");
      SharedObject::Symbol symbol{text(s.st_name), {}, ELF64_ST_BIND(s.st_info) == STB_GNU_UNIQUE};
      if (versions != 0) {
        uint16_t v = at<uint16_t>(versions + i * 2, "symbol versions") & 0x7fff;
        if (auto it = names.find(v); it != names.end())
          symbol.version = it->second;
      }
      if (s.st_shndx == SHN_UNDEF)
        object.undefined.push_back(std::move(symbol));
      else if (ELF64_ST_BIND(s.st_info) != STB_LOCAL)
        object.exported.push_back(std::move(symbol));
    }
  }
};

} // namespace

Result<SharedObject> readSharedObject(std::string_view bytes, const std::string &path) {
  try {
    return Reader(bytes).read();
  } catch (const Damaged &damage) {
    Diagnostic d;
    d.message = "'" + path + "' is no whole plugin library: " + damage.what;
    d.hint = "build it again";
    return d;
  }
}

} // namespace opw::package
