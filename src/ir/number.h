// Numbers as bits in the format of an element type: constants are held and compared this way.
#pragma once

#include "ir/type.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace opw::ir {

/// The value of those bits; exact, every format fits a double.
double decodeFloat(uint64_t bits, Elem elem);

/// The nearest value of the format, ties to even; what is too large becomes infinity, or NaN where the format has none.
uint64_t encodeFloat(double value, Elem elem);

/// Decimal text ("1.44269502", "-1.000000e+06", also "inf" and "nan") correctly rounded to the format, without a detour
/// through double. False when the text is not a number.
bool parseFloat(std::string_view text, Elem elem, uint64_t &bits);

/// The shortest decimal text that parseFloat reads back to the same bits; infinities and NaNs as hexadecimal bits.
std::string floatText(uint64_t bits, Elem elem);

/// The integer cut to the width of the type and sign-extended again; i1 is 0 or 1.
int64_t wrapInteger(int64_t value, Elem elem);

} // namespace opw::ir
