// Triton's tile IR as text -> IR. Takes what the stock Triton packages 3.6 to 3.9 print: pretty and generic forms,
// several functions, with or without locations. Every op is checked as it is read, and the module is verified: what
// comes out is valid.
#pragma once

#include "ir/module.h"

#include <string>
#include <string_view>

namespace opw::ttir {

/// `fileName` is the place of ops for which the text gives no location, and of mistakes in the text. Throws nothing.
Result<ir::Module> parse(std::string_view text, const std::string &fileName);

} // namespace opw::ttir
