// Small functions on text that more than one layer needs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace opw {

/// `"text"` with quotes, backslashes and everything that is not printable ASCII escaped as two hexadecimal digits, as
/// MLIR does.
std::string quote(std::string_view text);

/// True for a word of letters, digits, `_`, `$` and `.` that does not start with a digit.
bool isIdentifier(std::string_view text);

/// At most `limit` bytes of the text on one line, for messages: what is cut is marked by "...".
std::string excerpt(std::string_view text, size_t limit = 40);

/// "1 operand", "3 operands".
std::string counted(size_t count, std::string_view noun);

/// The candidate that is nearest to `text` by edit distance, or an empty text when none is near.
std::string_view nearest(std::string_view text, const std::vector<std::string_view> &candidates);

} // namespace opw
