// An input as a row of choices, for targets whose inputs are no text: each choice takes a few bytes, and 0 where none
// are left, so every input is valid and a shorter one is a simpler case.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

namespace opw::fuzz {

class Choices {
public:
  Choices(const uint8_t *bytes, size_t count) : data(bytes), left(count) {}

  uint64_t bits(int bytes) {
    uint64_t value = 0;
    for (; bytes > 0 && left > 0; --bytes, --left)
      value = value << 8 | *data++;
    return value;
  }
  size_t below(size_t limit) { return limit < 2 ? 0 : static_cast<size_t>(bits(limit <= 256 ? 1 : 4) % limit); }
  bool oneIn(size_t count) { return below(count) == 1 % count; }
  int64_t between(int64_t low, int64_t high) {
    return static_cast<int64_t>(
        static_cast<uint64_t>(low) +
        below(static_cast<size_t>(static_cast<uint64_t>(high) - static_cast<uint64_t>(low) + 1)));
  }
  template <typename T, size_t N> const T &oneOf(const T (&list)[N]) { return list[below(N)]; }
  bool isEmpty() const { return left == 0; }

private:
  const uint8_t *data;
  size_t left;
};

} // namespace opw::fuzz
