// OPW_CHECK: an invariant of the compiler. Its failure is our bug, never the user's; it throws InternalError, which the
// driver turns into one diagnostic that asks for a report, so that a host process (Python) survives it.
#pragma once

#include <stdexcept>
#include <string>

namespace opw {

struct InternalError : std::logic_error {
  using std::logic_error::logic_error;
};

[[noreturn]] void failCheck(const char *condition, const char *file, int line, const std::string &message);

} // namespace opw

#define OPW_CHECK(condition, message)                                                                                  \
  do {                                                                                                                 \
    if (!(condition))                                                                                                  \
      ::opw::failCheck(#condition, __FILE__, __LINE__, message);                                                       \
  } while (false)
