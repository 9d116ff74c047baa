// Text -> tile IR -> normal form -> plan, each verified. What the user can write ends in a plan or in diagnostics;
// everything else is a bug, and aborts.
#pragma once

#include "ir/module.h"

#include <optional>
#include <string>
#include <string_view>

namespace opw::fuzz {

[[noreturn]] void fail(const char *what, const std::string &detail);

/// The plan, or nothing when the text was refused.
std::optional<ir::Module> planOf(std::string_view text);

/// Whether a refusal says what is wrong.
void requireMessage(const Diagnostics &diagnostics);

} // namespace opw::fuzz
