#include "ir/number_reader.h"

#include "ir/number.h"
#include "support/text.h"

#include <charconv>

namespace opw::ir {

namespace {

[[noreturn]] void failRange(const TokenReader &reader, const Number &number, Elem elem) {
  reader.fail(number.token, "number " + std::string(number.negative ? "-" : "") + excerpt(number.token.text) +
                                " does not fit " + std::string(name(elem)));
}

uint64_t magnitudeOf(const TokenReader &reader, const Number &number, Elem elem) {
  bool hex = number.token.kind == Token::Kind::Hex;
  std::string_view digits = number.token.text.substr(hex ? 2 : 0);
  uint64_t magnitude = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), magnitude, hex ? 16 : 10);
  if (error != std::errc())
    failRange(reader, number, elem);
  return magnitude;
}

Attribute integerAttribute(const TokenReader &reader, const Number &number, Elem elem) {
  if (number.token.kind == Token::Kind::Float)
    reader.fail(number.token, "found a float, expected an integer of type " + std::string(name(elem)));
  uint64_t magnitude = magnitudeOf(reader, number, elem);
  unsigned width = bitWidth(elem);
  uint64_t largest = width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
  uint64_t limit = number.negative ? uint64_t{1} << (width - 1) : largest;
  if (magnitude > limit)
    failRange(reader, number, elem);
  return Attribute::integerOf(wrapInteger(static_cast<int64_t>(number.negative ? 0 - magnitude : magnitude), elem),
                              elem);
}

} // namespace

bool atNumber(const TokenReader &reader) {
  return reader.at('-') || reader.at(Token::Kind::Integer) || reader.at(Token::Kind::Hex) ||
         reader.at(Token::Kind::Float);
}

Number readNumber(TokenReader &reader) {
  Number number;
  number.negative = reader.accept('-');
  if (!atNumber(reader) || reader.at('-'))
    reader.failExpected("a number");
  number.token = reader.current();
  reader.advance();
  return number;
}

Attribute numberAttribute(const TokenReader &reader, const Number &number, Elem elem) {
  if (isInteger(elem))
    return integerAttribute(reader, number, elem);
  if (number.token.kind == Token::Kind::Hex) {
    uint64_t bits = magnitudeOf(reader, number, elem);
    unsigned width = bitWidth(elem);
    if (number.negative || (width < 64 && (bits >> width) != 0))
      failRange(reader, number, elem);
    return Attribute::floatBits(bits, elem);
  }
  uint64_t bits = 0;
  if (!parseFloat((number.negative ? "-" : "") + std::string(number.token.text), elem, bits))
    failRange(reader, number, elem);
  return Attribute::floatBits(bits, elem);
}

} // namespace opw::ir
