// Loops that may wait for somebody else.
#pragma once

#include "ir/walk.h"

namespace opw::ir {

/// Whether a `while` may be waiting for another program: it reads memory atomically inside.
inline bool mayWait(const Function &function, const Op &loop) {
  bool found = false;
  for (const Region &region : loop.regions)
    walk(function, region, [&](OpId id) {
      OpKind kind = function.op(id).kind;
      found |= has(kind, kReads) && has(kind, kOrdered);
    });
  return found;
}

} // namespace opw::ir
