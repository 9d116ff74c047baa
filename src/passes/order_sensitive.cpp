#include "passes/order_sensitive.h"

#include "ir/walk.h"

namespace opw::passes {

using namespace ir;

bool isOrderSensitive(const Function &tile) {
  bool found = false;
  walk(tile, [&](OpId id) {
    const Op &op = tile.op(id);
    found |= op.kind == OpKind::AtomicPoll;
    if (op.kind != OpKind::While)
      return;
    for (const Region &region : op.regions)
      walk(tile, region, [&](OpId inner) {
        OpKind kind = tile.op(inner).kind;
        found |= has(kind, kReads) && has(kind, kOrdered);
      });
  });
  return found;
}

} // namespace opw::passes
