// The order in which the programs of a grid are taken. Triton allows any; it decides what is still in the cache when
// the next program runs.
#pragma once

#include "support/diagnostic.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace opw::ir {

struct ProgramOrder {
  std::array<uint8_t, 3> axes{0, 1, 2}; ///< of the grid, the one that varies fastest first
  /// Above 1: the second axis is cut into bands of so many programs. Inside a band it is the second axis that varies
  /// fastest, then the first; band follows band, then comes the third axis.
  uint32_t band = 0;

  bool operator==(const ProgramOrder &) const = default;

  /// "xyz", or "xyz/8" with bands of 8: what parse reads.
  std::string str() const {
    std::string text;
    for (uint8_t axis : axes)
      text += static_cast<char>('x' + axis);
    return band > 1 ? text + "/" + std::to_string(band) : text;
  }

  static Result<ProgramOrder> parse(std::string_view text) {
    ProgramOrder order;
    unsigned seen = 0;
    size_t at = 0;
    for (; at < text.size() && at < 3; ++at) {
      auto axis = static_cast<unsigned>(text[at] - 'x');
      if (axis > 2)
        break;
      order.axes[at] = static_cast<uint8_t>(axis);
      seen |= 1u << axis;
    }
    std::string_view rest = text.substr(at);
    bool valid =
        seen == 7 && (rest.empty() || (rest.size() > 1 && rest.size() <= 5 && rest[0] == '/' && rest[1] != '0'));
    for (char digit : valid && !rest.empty() ? rest.substr(1) : std::string_view()) {
      valid &= digit >= '0' && digit <= '9';
      order.band = order.band * 10 + static_cast<uint32_t>(digit - '0');
    }
    if (!valid || (!rest.empty() && order.band < 2))
      return Diagnostic{.message = "found the program order '" + std::string(text) +
                                   "', expected the axes x, y and z, the "
                                   "one that varies fastest first, and perhaps a band of 2 to 9999",
                        .hint = "for example 'yxz', or 'xyz/8'; 'auto' lets the compiler choose"};
    return order;
  }
};

} // namespace opw::ir
