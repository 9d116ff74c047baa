// Error texts: the caller's buffer is the only channel.
#pragma once

#include "opwright/plugin.h"

namespace opw::runtime {

/// Writes code and text (printf format, cut at a character) into `error`, which may be null, and returns code.
[[gnu::format(printf, 3, 4)]] opw_status_t fail(opw_error_t *error, opw_status_t code, const char *format, ...);

/// The same with "ns::name: " in front.
[[gnu::format(printf, 4, 5)]] opw_status_t failOp(opw_error_t *error, opw_status_t code, const opw_op_t *op,
                                                  const char *format, ...);

/// A bounded text on the stack, for lists inside messages; what does not fit is cut.
class Text {
public:
  Text() { buffer[0] = 0; }
  [[gnu::format(printf, 2, 3)]] Text &add(const char *format, ...);
  const char *str() const { return buffer; }

private:
  char buffer[512];
  uint32_t length = 0;
};

} // namespace opw::runtime
