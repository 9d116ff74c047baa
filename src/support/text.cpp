#include "support/text.h"

#include <algorithm>

namespace opw {

namespace {

bool isPrintable(unsigned char c) { return c >= 0x20 && c < 0x7f; }

bool isWordStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

} // namespace

std::string quote(std::string_view text) {
  static const char kDigits[] = "0123456789ABCDEF";
  std::string out = "\"";
  for (char signedChar : text) {
    auto c = static_cast<unsigned char>(signedChar);
    if (c == '\\') {
      out += "\\\\";
    } else if (isPrintable(c) && c != '"') {
      out += signedChar;
    } else {
      out += '\\';
      out += kDigits[c >> 4];
      out += kDigits[c & 15];
    }
  }
  return out + "\"";
}

bool isIdentifier(std::string_view text) {
  return !text.empty() && isWordStart(text[0]) && std::all_of(text.begin(), text.end(), [](char c) {
    return isWordStart(c) || (c >= '0' && c <= '9') || c == '$' || c == '.';
  });
}

std::string excerpt(std::string_view text, size_t limit) {
  std::string out;
  for (char c : text.substr(0, limit))
    out += isPrintable(static_cast<unsigned char>(c)) ? c : '?';
  return text.size() > limit ? out + "..." : out;
}

std::string counted(size_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string_view nearest(std::string_view text, const std::vector<std::string_view> &candidates) {
  constexpr size_t kLongest = 64; // keeps hostile input cheap
  std::string_view best;
  if (text.size() > kLongest)
    return best;
  size_t bestDistance = text.size() / 3 + 1;
  for (std::string_view candidate : candidates) {
    size_t distance = editDistance(text, candidate);
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  }
  return best;
}

} // namespace opw
