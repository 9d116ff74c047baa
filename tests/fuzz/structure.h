// Mutations that know the lines and names of TTIR, so that many of their results are valid modules: operands become
// other values of their type, ops others of their signature, extents and element types others everywhere at once.
#pragma once

#include "random.h"

#include <string>

namespace opw::fuzz {

void mutateStructure(std::string &text, Random &random);

} // namespace opw::fuzz
