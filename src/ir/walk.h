// Visits every op of a region, of all regions inside included.
#pragma once

#include "ir/module.h"

namespace opw::ir {

/// Calls `visit(OpId)` for each op in program order, an op before the ops in its regions.
template <typename Visitor> void walk(const Function &function, const Region &region, Visitor &&visit) {
  for (BlockId block : region.blocks) {
    for (OpId id : function.block(block).ops) {
      visit(id);
      for (const Region &inner : function.op(id).regions)
        walk(function, inner, visit);
    }
  }
}

template <typename Visitor> void walk(const Function &function, Visitor &&visit) {
  walk(function, function.body, visit);
}

} // namespace opw::ir
