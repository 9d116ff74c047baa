// Memory for tables: structs of plugin.h filled through real pointers, with a note of every pointer, so that the whole
// can be written as an ELF object. The same memory is valid in this process.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace opw::package {

class Arena {
public:
  enum class Section : uint8_t { Tables, ReadOnly, State };

  struct Block {
    std::unique_ptr<char[]> memory;
    size_t bytes, align;
    Section section;
  };
  struct Pointer {
    const char *field;  ///< in a block
    const char *target; ///< in a block; null = `symbol`
    std::string symbol;
  };

  Arena() = default;
  Arena(const Arena &) = delete;
  Arena &operator=(const Arena &) = delete;

  /// `count` zeroed structs or pointers that will be written with the tables.
  template <typename T> T *make(size_t count = 1) {
    static_assert(std::is_trivially_copyable_v<T>);
    return count == 0 ? nullptr : reinterpret_cast<T *>(allocate(count * sizeof(T), alignof(T), Section::Tables));
  }

  /// A copy of plain data without pointers.
  template <typename T> const T *copy(const std::vector<T> &values) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (values.empty())
      return nullptr;
    char *memory = allocate(values.size() * sizeof(T), alignof(T), Section::ReadOnly);
    std::memcpy(memory, values.data(), values.size() * sizeof(T));
    return reinterpret_cast<const T *>(memory);
  }

  /// A copy of bytes, at a multiple of `align`, 64 at most.
  const char *bytes(std::string_view value, size_t align);

  /// A NUL-ended string; equal ones are one.
  const char *text(std::string_view value);

  /// Zeroed memory that stays writable.
  void *state(size_t bytes);

  /// Sets a pointer field inside this arena and notes it. Null is written as null.
  template <typename T> void point(T *&field, T *target) {
    field = target;
    if (target)
      pointers.push_back({reinterpret_cast<const char *>(&field), reinterpret_cast<const char *>(target), {}});
  }

  /// Notes a field that the linker fills with the address of a symbol.
  template <typename T> void symbol(T &field, std::string name) {
    static_assert(sizeof field == 8);
    pointers.push_back({reinterpret_cast<const char *>(&field), nullptr, std::move(name)});
  }

  const std::vector<Block> &blocks() const { return all; }
  const std::vector<Pointer> &pointerList() const { return pointers; }

private:
  char *allocate(size_t bytes, size_t align, Section section);

  std::vector<Block> all;
  std::vector<Pointer> pointers;
  std::map<std::string, const char *, std::less<>> texts;
};

} // namespace opw::package
