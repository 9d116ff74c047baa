// Reads numbers of the texts: what one means depends on the type that follows it.
#pragma once

#include "ir/attribute.h"
#include "support/reader.h"

namespace opw::ir {

/// A number as written: a sign, and an integer, hexadecimal or float token.
struct Number {
  Token token;
  bool negative = false;
};

/// True when a number starts at the current token.
bool atNumber(const TokenReader &reader);

Number readNumber(TokenReader &reader);

/// The number as an Int or Float attribute of that element type, correctly rounded; hexadecimal digits are the bits of
/// a float. An integer must fit the type, signed or unsigned.
Attribute numberAttribute(const TokenReader &reader, const Number &number, Elem elem);

} // namespace opw::ir
