// Removing what nobody uses.
#pragma once

#include "ir/module.h"

namespace opw::ir {

/// Takes ops without effect whose results are not used out of their blocks, regions included.
void removeDeadCode(Function &function);

} // namespace opw::ir
