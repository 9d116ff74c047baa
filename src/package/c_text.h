// Pieces of C source: literals, comments, initialisers, and the enumerators of plugin.h by name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace opw::package::c {

/// A string literal of ASCII alone, a line of it per line of the text.
std::string literal(std::string_view text);
std::string comment(std::string text);

std::string integer(int64_t value);
std::string real(double value);

/// Families of enumerators: OPW_X_, OPW_ATTR_, OPW_SEG_, OPW_ARG_, ...
enum class Family : uint8_t { Operation, Attr, Segment, Argument, Guard, Launch, Param, Level, IoFlag, OpFlag };

/// The enumerator with this value, or the number where plugin.h has none.
std::string enumerator(Family family, uint32_t value);
/// Flags joined by `|`; "" for none.
std::string flags(Family family, uint32_t value);
/// OPW_F32 and the like.
std::string dtype(uint8_t value);

/// The designated initialisers of one struct; members that are zero are left out.
class Fields {
public:
  Fields &add(const char *name, const std::string &value); ///< "" is zero
  Fields &count(const char *name, uint64_t value);
  Fields &number(const char *name, int64_t value);
  Fields &string(const char *name, const char *value);

  /// On one line, or a line per member.
  std::string braced() const;
  std::string lines() const;

private:
  std::vector<std::string> items;
};

} // namespace opw::package::c
