#include "package/arena.h"

namespace opw::package {

char *Arena::allocate(size_t bytes, size_t align, Section section) {
  all.push_back({std::make_unique<char[]>(bytes), bytes, align, section});
  return all.back().memory.get();
}

const char *Arena::bytes(std::string_view value, size_t align) {
  char *memory = allocate(value.size(), align, Section::ReadOnly);
  std::memcpy(memory, value.data(), value.size());
  return memory;
}

const char *Arena::text(std::string_view value) {
  if (auto it = texts.find(value); it != texts.end())
    return it->second;
  char *memory = allocate(value.size() + 1, 1, Section::ReadOnly);
  std::memcpy(memory, value.data(), value.size());
  return texts.emplace(std::string(value), memory).first->second;
}

void *Arena::state(size_t bytes) { return allocate(bytes, 64, Section::State); }

} // namespace opw::package
