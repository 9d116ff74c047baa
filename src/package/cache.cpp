#include "package/cache.h"

#include "package/files.h"
#include "package/sha256.h"

#include <cstring>

namespace opw::package {
namespace {

constexpr std::string_view kMagic = "opwright object 1\n";

std::string pathOf(const std::string &directory, const std::string &key) { return directory + "/" + key + ".opwo"; }

struct Writer {
  std::string bytes;
  void number(uint64_t v) { bytes.append(reinterpret_cast<const char *>(&v), sizeof v); }
  void text(std::string_view v) {
    number(v.size());
    bytes.append(v);
  }
};

struct Reader {
  std::string_view rest;
  bool good = true;

  uint64_t number() {
    uint64_t v = 0;
    if (rest.size() < sizeof v) {
      good = false;
      return 0;
    }
    std::memcpy(&v, rest.data(), sizeof v);
    rest.remove_prefix(sizeof v);
    return v;
  }
  std::string text() {
    uint64_t n = number();
    if (!good || rest.size() < n) {
      good = false;
      return {};
    }
    std::string v(rest.substr(0, n));
    rest.remove_prefix(n);
    return v;
  }
};

} // namespace

std::string cacheKey(std::string_view ttir, std::string_view level, std::string_view options,
                     std::string_view compiler) {
  return hex(Sha256().addField(ttir).addField(level).addField(options).addField(compiler).finish()).substr(0, 32);
}

std::optional<KernelObject> readCache(const std::string &directory, const std::string &key) {
  std::string path = pathOf(directory, key);
  if (!exists(path))
    return std::nullopt;
  Result<std::string> bytes = readFile(path);
  constexpr size_t kDigits = 64;
  if (!bytes || bytes->size() < kMagic.size() + kDigits || !bytes->starts_with(kMagic))
    return std::nullopt;
  std::string_view payload = std::string_view(*bytes).substr(kMagic.size() + kDigits);
  if (sha256Hex(payload) != bytes->substr(kMagic.size(), kDigits))
    return std::nullopt;
  Reader r{payload};
  KernelObject object;
  if (r.text() != key)
    return std::nullopt;
  object.level = r.text();
  object.entry = r.text();
  object.scratchBytes = r.number();
  object.grain = static_cast<int64_t>(r.number());
  object.ordered = r.number() != 0;
  uint64_t count = r.number();
  for (uint64_t i = 0; r.good && i < count; ++i) {
    uint64_t p = r.number();
    object.params.push_back({(p & 256) != 0, static_cast<uint8_t>(p)});
  }
  object.object = r.text();
  return r.good && r.rest.empty() ? std::optional(object) : std::nullopt;
}

Status writeCache(const std::string &directory, const std::string &key, const KernelObject &object) {
  Writer w;
  w.text(key);
  w.text(object.level);
  w.text(object.entry);
  w.number(object.scratchBytes);
  w.number(static_cast<uint64_t>(object.grain));
  w.number(object.ordered);
  w.number(object.params.size());
  for (const KernelObject::Param &p : object.params)
    w.number((p.pointer ? 256u : 0u) | p.dtype);
  w.text(object.object);
  return writeFile(pathOf(directory, key), std::string(kMagic) + sha256Hex(w.bytes) + w.bytes);
}

} // namespace opw::package
