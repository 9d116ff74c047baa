#include "passes/order_sensitive.h"

#include "ir/waits.h"

namespace opw::passes {

using namespace ir;

bool isOrderSensitive(const Function &tile) {
  bool found = false;
  walk(tile, [&](OpId id) {
    const Op &op = tile.op(id);
    found |= op.kind == OpKind::AtomicPoll || (op.kind == OpKind::While && mayWait(tile, op));
  });
  return found;
}

} // namespace opw::passes
