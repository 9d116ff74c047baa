// The seal at the end of a library file: opwright/seal.hpp says what it is and who reads it.
#pragma once

#include "support/diagnostic.h"

#include <cstdint>
#include <string>

namespace opw::package {

/// Appends the seal to a linked library that has none; `hash` is that of its tables. The bytes depend on nothing else.
Status sealLibrary(const std::string &path, const uint8_t (&hash)[32]);

} // namespace opw::package
