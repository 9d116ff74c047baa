#include "driver/plan_facts.h"

#include "ir/walk.h"

namespace opw::driver {

using namespace ir;
using cpu::Shape;

PlanFacts::PlanFacts(const Module &tile, const Module &plan, const cpu::Level &level)
    : module(plan), fn(plan.functions.front()), tile(*tile.entry()), lanes(cpu::analyzeLanes(fn, level)),
      home(sourceOf(plan, fn.location).file) {
  recallTile();
  findUses();
  nameBuffers();
}

LocId PlanFacts::ownOf(LocId id) const {
  LocId own = kNone;
  for (size_t steps = 0; id < module.locations.size() && steps <= module.locations.size(); ++steps) {
    const Location &location = module.locations[id];
    if (location.line != 0)
      own = id;
    if (location.line != 0 && location.file == home)
      break;
    id = location.callSite;
  }
  return own;
}

std::pair<std::string, uint32_t> PlanFacts::placeOf(LocId id) const {
  LocId own = ownOf(id);
  return own == kNone ? std::pair{std::string(), 0u}
                      : std::pair{module.locations[own].file, module.locations[own].line};
}

/// The variable that is assigned there, or where the function is called that the place is in.
std::string PlanFacts::nameAt(LocId id) const {
  id = ownOf(id);
  for (size_t steps = 0; id < module.locations.size() && steps <= module.locations.size(); ++steps) {
    if (!module.locations[id].name.empty())
      return module.locations[id].name;
    id = module.locations[id].callSite;
  }
  return "";
}

PlanFacts::Root PlanFacts::rootOf(ValueId pointer) const {
  for (unsigned steps = 0; steps < 64; ++steps) {
    const Value &value = fn.values[pointer];
    if (value.op == kNone)
      return {.argument = fn.block(value.block).owner == kNone ? pointer : kNone};
    const Op &op = fn.op(value.op);
    if (op.kind == OpKind::PlanBuffer)
      return {.buffer = value.op};
    if (op.kind != OpKind::AddPtr && op.kind != OpKind::Bitcast)
      return {};
    pointer = op.operands[0];
  }
  return {};
}

std::string PlanFacts::targetText(ValueId pointer) const {
  Root root = rootOf(pointer);
  if (root.buffer != kNone)
    return "buffer " + bufferName(root.buffer);
  if (root.argument != kNone && !fn.values[root.argument].name.empty())
    return fn.values[root.argument].name;
  return "memory";
}

void PlanFacts::recallTile() {
  walk(tile, [&](OpId id) {
    const Op &op = tile.op(id);
    if (op.location == kNone || (op.kind != OpKind::Load && op.kind != OpKind::Store))
      return;
    if (op.kind == OpKind::Store)
      storesAt.insert(op.location);
    if (op.operands.size() > (op.kind == OpKind::Load ? 1u : 2u))
      maskedAt.insert(op.location);
  });
}

void PlanFacts::findUses() {
  std::set<OpId> twins;
  walk(fn, [&](OpId id) {
    if (isGuard(fn.op(id)))
      walk(fn, fn.op(id).regions[1], [&](OpId inner) { twins.insert(inner); });
  });
  walk(fn, [&](OpId id) {
    const Op &op = fn.op(id);
    bool store = op.kind == OpKind::PlanStore;
    if (twins.contains(id) || (!store && op.kind != OpKind::PlanLoad && op.kind != OpKind::PlanDot))
      return;
    for (ValueId operand : op.operands)
      if (fn.type(operand).isPointer())
        if (OpId buffer = rootOf(operand).buffer; buffer != kNone)
          accesses[buffer].push_back(id);
    if (op.kind == OpKind::PlanDot)
      return;
    takeIndices(op.operands[1]);
    if (size_t mask = store ? 3 : 2; op.operands.size() > mask)
      takeIndices(op.operands[mask]);
  });
}

void PlanFacts::takeIndices(ValueId value) {
  if (lanes.shapes[value] != Shape::Lanes || !indices.insert(value).second)
    return;
  OpId def = fn.values[value].op;
  if (def != kNone && has(fn.op(def).kind, kElementwise))
    for (ValueId operand : fn.op(def).operands)
      takeIndices(operand);
}

LocId PlanFacts::contentOf(OpId buffer) const {
  LocId best = kNone; // the first place, or better the first with a name
  auto take = [&](LocId place) {
    if (place < module.locations.size() && (best == kNone || (nameAt(best).empty() && !nameAt(place).empty())))
      best = place;
  };
  const std::vector<OpId> &uses = accesses.at(buffer);
  for (auto use = uses.rbegin(); use != uses.rend(); ++use) { // what is stored first may be a start value
    const Op &op = fn.op(*use);
    if (op.kind == OpKind::PlanDot && rootOf(op.operands[0]).buffer == buffer)
      take(op.location);
    if (op.kind != OpKind::PlanStore)
      continue;
    OpId value = fn.values[op.operands[2]].op;
    // A conversion at the place of the store is the planner's own: the tile is what it converts.
    while (value != kNone && fn.op(value).location == op.location && fn.op(value).operands.size() == 1)
      value = fn.values[fn.op(value).operands[0]].op;
    if (value != kNone)
      take(fn.op(value).location);
  }
  for (OpId id : uses)
    take(fn.op(id).location);
  return best;
}

void PlanFacts::nameBuffers() {
  std::map<std::string, unsigned> taken;
  for (const auto &[buffer, uses] : accesses) {
    LocId content = contentOf(buffer);
    std::string text = nameAt(content);
    if (text.empty())
      text = "of line " + std::to_string(placeOf(content).second);
    unsigned count = ++taken[text];
    bufferNames[buffer] = count == 1 ? text : text + "." + std::to_string(count);
  }
}

std::optional<int64_t> PlanFacts::strideOf(ValueId value) const {
  if (lanes.shapes[value] == Shape::Uniform || lanes.shapes[value] == Shape::Blocks)
    return 0;
  const Value &v = fn.values[value];
  if (v.op == kNone)
    return 1; // the variable of the lane loop
  const Op &op = fn.op(v.op);
  auto in = [&](size_t i) { return strideOf(op.operands[i]); };
  auto factor = [&](size_t i) { return cpu::constantOf(fn, op.operands[i]); };
  std::optional<int64_t> a = in(0), b;
  switch (op.kind) {
  case OpKind::AddI:
  case OpKind::SubI:
    b = in(1);
    return a && b ? std::optional(op.kind == OpKind::AddI ? *a + *b : *a - *b) : std::nullopt;
  case OpKind::MulI:
    b = in(1);
    if (lanes.shapes[op.operands[0]] == Shape::Uniform)
      return b && factor(0) ? std::optional(*b * *factor(0)) : std::nullopt;
    return a && factor(1) ? std::optional(*a * *factor(1)) : std::nullopt;
  case OpKind::ShlI:
    return a && factor(1) ? std::optional(*a << *factor(1)) : std::nullopt;
  default:
    return a; // widened and narrowed
  }
}

} // namespace opw::driver
