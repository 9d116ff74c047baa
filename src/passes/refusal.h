// How code inside a pass leaves it: the pass's function catches the refusal and returns its diagnostic. Inside passes/
// only.
#pragma once

#include "support/diagnostic.h"

namespace opw::passes {

struct Refusal {
  Diagnostic diagnostic;
};

} // namespace opw::passes
