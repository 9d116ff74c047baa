// SHA-256 (FIPS 180-4): names cache entries and tells whether they are whole.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace opw::package {

using Digest = std::array<uint8_t, 32>;

class Sha256 {
public:
  /// Adds bytes.
  Sha256 &add(std::string_view bytes);
  /// Adds bytes with their length in front, so that neighbours cannot run into each other.
  Sha256 &addField(std::string_view bytes);
  Digest finish();

private:
  void block(const uint8_t *bytes);

  std::array<uint32_t, 8> state{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> pending{};
  uint64_t length = 0;
};

/// Lower-case hexadecimal digits.
std::string hex(const Digest &digest);
std::string sha256Hex(std::string_view bytes);

} // namespace opw::package
