// Stores, and filling buffers: nests that end in memory. A store is guarded against what its nest loads.
#include "passes/plan/nest.h"

#include <algorithm>
#include <functional>
#include <set>

namespace opw::passes {

using namespace ir;

void Planner::materialize(ValueId value, const Buffer &into) {
  Nest nest(*this);
  size_t depth = 0;
  const Type &shape = tile.type(value);
  int lane = into.laneDim();
  Indices at;
  if (into.panelDim >= 0 && naturalLane(value) == into.panelDim) {
    // Panels: one group of lanes after the other, each over all of K.
    unsigned k = 1 - static_cast<unsigned>(into.panelDim);
    ValueId zero = constant(0);
    ValueId group = nest.open(zero, constant(shape.dim(static_cast<unsigned>(into.panelDim)) / into.panel), false);
    ValueId depthIndex = nest.open(zero, constant(shape.dim(k)), false);
    ValueId within = nest.open(zero, constant(into.panel), true);
    at.assign(2, kNone);
    at[k] = depthIndex;
    at[static_cast<size_t>(into.panelDim)] = nest.add(nest.mul(group, constant(into.panel)), within);
    nest.splitIndex(at[static_cast<size_t>(into.panelDim)], group, within);
    depth = 3;
  } else {
    if (into.panelDim >= 0)
      lane = naturalLane(value);
    at = openLoops(nest, *this, shape, lane);
    for (ValueId index : at)
      depth += !isConstantEqual(index, 0);
  }
  ValueId element = nest.eval(value, at);
  if (plan.type(element).elem != into.elem)
    element = nest.emit(plan.type(element).elem == Elem::F16 || plan.type(element).elem == Elem::BF16 ? OpKind::ExtF
                                                                                                      : OpKind::FpToFp,
                        {element}, Type::scalar(into.elem));
  nest.store(into, at, element);
  while (depth-- > 0)
    nest.close();
}

namespace {

/// Loads in the virtual slice of a value: those that a nest which pulls it will execute.
void collectLoads(const Planner &p, ValueId value, std::set<ValueId> &seen, std::vector<OpId> &loads) {
  if (!p.tile.type(value).isTile() || p.buffers[value] || !seen.insert(value).second)
    return;
  OpId def = p.tile.values[value].op;
  if (def == kNone || Placement::isAnchor(p.tile.op(def)))
    return;
  if (p.tile.op(def).kind == OpKind::Load)
    loads.push_back(def);
  for (ValueId operand : p.tile.op(def).operands)
    collectLoads(p, operand, seen, loads);
}

/// First and one-past-last byte that a form touches inside a box.
std::pair<ValueId, ValueId> footprint(Planner &p, const Form &form, const Type &shape, const std::vector<Bound> &box) {
  ValueId low = p.constant(0), high = p.constant(0);
  for (unsigned d = 0; d < shape.rank; ++d) {
    if (form.strides[d] == kNone)
      continue;
    auto [lo, hi] = boundsOf(p, shape, d, box);
    ValueId a = p.mul(form.strides[d], lo), b = p.mul(form.strides[d], p.sub(hi, p.constant(1)));
    low = p.add(low, p.minimum(a, b));
    high = p.add(high, p.maximum(a, b));
  }
  ValueId bytes = p.constant(byteWidth(shape.elem));
  if (shape.pointerDepth > 1)
    bytes = p.constant(8);
  ValueId base = p.builder.value(OpKind::PtrToInt, {form.base}, Type::scalar(Elem::I64));
  return {p.add(base, p.mul(low, bytes)), p.add(base, p.mul(p.add(high, p.constant(1)), bytes))};
}

void ifThenElse(Planner &p, ValueId condition, const std::function<void()> &yes, const std::function<void()> &no) {
  BlockId outer = p.builder.block();
  OpId op = p.builder.create(OpKind::If, {condition}, {});
  for (const auto &branch : {yes, no}) {
    BlockId block = p.plan.addBlock(op);
    p.plan.op(op).regions.push_back({{block}});
    p.builder.setBlock(block);
    branch();
    p.builder.create(OpKind::Yield, {}, {});
  }
  p.builder.setBlock(outer);
}

/// Equal addresses at equal indices, and different ones at different indices: a load and a store of that form may run
/// element by element.
bool sameInjectivePlace(const Planner &p, const Form &a, const Form &b, bool sameBase) {
  if (!sameBase || a.strides != b.strides || !a.terms.empty() || !b.terms.empty())
    return false;
  return a.strides.size() == 1 && a.strides[0] != kNone && p.isConstantEqual(a.strides[0], 1);
}

} // namespace

void Planner::lowerStore(OpId id) {
  const Op &op = tile.op(id);
  ValueId pointer = op.operands[0], value = op.operands[1];
  const Type shape = tile.type(pointer);
  if (!shape.isTile()) {
    std::vector<ValueId> operands{scalar(pointer), constant(0), scalar(value)};
    if (op.operands.size() > 2)
      operands.push_back(scalar(op.operands[2]));
    builder.create(OpKind::PlanStore, std::move(operands), {});
    return;
  }
  Form form = formOf(pointer);
  Mask mask;
  bool hasMask = op.operands.size() > 2;
  if (hasMask)
    mask = maskOf(op.operands[2]);

  // What the nest loads must not be what it has stored already (whole tiles are loaded before any is stored).
  std::set<ValueId> seen;
  std::vector<OpId> loads;
  for (size_t i = 1; i < op.operands.size(); ++i)
    collectLoads(*this, op.operands[i], seen, loads);
  std::vector<OpId> guarded, always;
  for (OpId load : loads) {
    ValueId from = tile.op(load).operands[0];
    const Form source = formOf(from);
    ValueId here = placement.root(pointer), there = placement.root(from);
    if (sameInjectivePlace(*this, source, form, source.base == form.base) ||
        (options.argsDisjoint && here != kNone && there != kNone && here != there))
      continue;
    (source.terms.empty() && form.terms.empty() ? guarded : always).push_back(load);
  }

  auto emitNest = [&](const std::vector<OpId> &copied) {
    std::vector<std::pair<ValueId, Buffer>> copies;
    for (OpId load : copied) {
      ValueId result = tile.op(load).results[0];
      Buffer copy = makeBuffer(result, naturalLane(result));
      materialize(result, copy);
      copies.emplace_back(result, copy);
    }
    Nest nest(*this);
    for (auto &[result, copy] : copies)
      nest.redirect(result, copy);
    int lane = chooseLane(*this, {value}, shape, pointer);
    Indices at = openLoops(nest, *this, shape, lane, mask.box);
    ValueId element = nest.eval(value, at);
    ValueId condition = hasMask ? nest.condition(mask, at) : kNone;
    nest.storeMemory(form.base, nest.offset(form, at), element, condition);
    for (ValueId index : at)
      if (!isConstantEqual(index, 0))
        nest.close();
  };

  if (guarded.empty())
    return emitNest(always);
  auto stored = footprint(*this, form, tile.type(value), mask.box);
  ValueId disjoint = kNone;
  for (OpId load : guarded) {
    const Op &source = tile.op(load);
    Mask under =
        source.operands.size() > 1 && tile.type(source.operands[1]).isTile() ? maskOf(source.operands[1]) : Mask{};
    auto loaded = footprint(*this, formOf(source.operands[0]), tile.type(source.results[0]), under.box);
    ValueId apart = builder.value(
        OpKind::OrI, {compare("sle", stored.second, loaded.first), compare("sle", loaded.second, stored.first)},
        Type::scalar(Elem::I1));
    const Form from = formOf(source.operands[0]);
    if (sameInjectivePlace(*this, from, form, true) &&
        tile.type(source.results[0]).elementBits() == tile.type(value).elementBits()) {
      // In place: each element is loaded just before it is stored.
      ValueId here = builder.value(OpKind::PtrToInt, {form.base}, Type::scalar(Elem::I64));
      ValueId there = builder.value(OpKind::PtrToInt, {from.base}, Type::scalar(Elem::I64));
      apart = builder.value(OpKind::OrI, {apart, compare("eq", here, there)}, Type::scalar(Elem::I1));
    }
    disjoint = disjoint == kNone ? apart : builder.value(OpKind::AndI, {disjoint, apart}, Type::scalar(Elem::I1));
  }
  std::vector<OpId> all = always;
  all.insert(all.end(), guarded.begin(), guarded.end());
  ifThenElse(
      *this, disjoint, [&] { emitNest(always); },
      [&] {
        inTwin = true; // rare, and each lane loop costs more to compile than it would save
        emitNest(all);
        inTwin = false;
      });
}

} // namespace opw::passes
