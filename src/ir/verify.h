// Checks a module: every later stage may rely on what holds here.
#pragma once

#include "ir/module.h"

namespace opw::ir {

/// Ids are in range, ops and values know their places, every block ends in a terminator and has it nowhere else, every
/// op follows its type rule (typing.h), every use is dominated by its definition, branches and calls and returns pass
/// what the other side takes, lane loops do not nest. Reports at most a few mistakes of each function.
Status verify(const Module &module);

} // namespace opw::ir
