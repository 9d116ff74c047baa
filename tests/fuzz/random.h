// splitmix64: the same numbers on every system.
#pragma once

#include <cstddef>
#include <cstdint>

namespace opw::fuzz {

struct Random {
  uint64_t state;
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  size_t below(size_t limit) { return limit == 0 ? 0 : static_cast<size_t>(next() % limit); }
  bool oneIn(size_t count) { return below(count) == 0; }
};

} // namespace opw::fuzz
