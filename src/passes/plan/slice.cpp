#include "passes/plan/slice.h"

#include <set>

namespace opw::passes {

using namespace ir;

namespace {

bool isIdentity(const DimMap &map, unsigned rank) {
  if (map.size() != rank)
    return false;
  for (unsigned d = 0; d < rank; ++d)
    if (map[d] != static_cast<int>(d))
      return false;
  return true;
}

struct Walk {
  const Planner &p;
  const std::function<void(ValueId, bool)> &visit;
  std::set<std::pair<ValueId, bool>> seen;

  void go(ValueId value, bool moved) {
    const Type &type = p.tile.type(value);
    if (!type.isTile() || !seen.insert({value, moved}).second)
      return;
    visit(value, moved);
    if (p.buffers[value])
      return;
    if (p.forms[value] && p.forms[value]->from && p.forms[value]->from->tile != value)
      go(p.forms[value]->from->tile, moved || !isIdentity(p.forms[value]->from->dims, type.rank));
    if (p.forms[value])
      for (const Term &term : p.forms[value]->terms)
        go(term.tile, moved || !isIdentity(term.dims, type.rank));
    if (p.masks[value])
      for (const Element &rest : p.masks[value]->rest)
        go(rest.tile, moved || !isIdentity(rest.dims, type.rank));
    OpId def = p.tile.values[value].op;
    if (def == kNone || Placement::isAnchor(p.tile.op(def)))
      return;
    const Op &op = p.tile.op(def);
    for (ValueId operand : op.operands)
      go(operand, moved || has(op.kind, kShape));
  }
};

} // namespace

void visitSlice(const Planner &planner, ValueId value, const std::function<void(ValueId, bool)> &visit) {
  Walk{planner, visit, {}}.go(value, false);
}

bool needsMoved(const Planner &planner, ValueId value, ValueId source) {
  bool found = false;
  visitSlice(planner, value, [&](ValueId each, bool moved) { found |= each == source && moved; });
  return found;
}

} // namespace opw::passes
