// What the mutations know of TTIR: its lines, the values that they name, and words that stand for each other.
#pragma once

#include "random.h"

#include <string>
#include <string_view>
#include <vector>

namespace opw::fuzz {

using Lines = std::vector<std::string>;
Lines linesOf(const std::string &text);
std::string join(const Lines &lines);

bool isWord(char c);
std::string_view trimmed(std::string_view text);
/// An op on one line, without regions.
bool isPlain(std::string_view line);

struct Use {
  size_t line, at, size; ///< of %name
};
/// All places where a value is named behind the '=' of its line.
std::vector<Use> usesIn(const Lines &lines, size_t from = 0);

struct Named {
  std::string name, type;
  size_t line;
};
/// Names and their types as far as they can be told from a line: arguments, and results by the last type.
std::vector<Named> namesOf(const Lines &lines);
/// One of those before a line, of a type where that is given; null when there is none.
const Named *anyOf(const std::vector<Named> &names, Random &random, size_t before, std::string_view type);
/// A name that no value has, most likely.
std::string fresh(Random &random);

/// Words that stand for each other, by kind of operands; integer, float and unary float ops lead.
using Family = std::vector<std::string_view>;
const std::vector<Family> &families();

/// One more op on a value, whose later uses may become its result.
void insertOp(Lines &lines, Random &random);

} // namespace opw::fuzz
