// Stores, and filling buffers: nests that end in memory. A store is guarded against what its nest loads.
#include "ir/walk.h"
#include "passes/plan/footprint.h"
#include "passes/plan/nest.h"
#include "passes/plan/slice.h"

#include <algorithm>
#include <functional>

namespace opw::passes {

using namespace ir;

/// Whether one loop over all elements is better than one per dimension: the lanes would be fewer than a vector has, and
/// nothing is loaded whose address depends on more than one dimension.
static bool prefersFlat(const Planner &p, ValueId value, int lane) {
  constexpr unsigned kVector = 4; // 16 elements
  const Type shape = p.tile.type(value);
  if (lane < 0 || shape.rank < 2 || shape.log2dim[static_cast<size_t>(lane)] >= kVector || shape.log2size() < kVector)
    return false;
  bool loadsRows = false;
  visitSlice(p, value, [&](ValueId each, bool) {
    OpId def = p.tile.values[each].op;
    loadsRows |= def != kNone && p.tile.op(def).kind == OpKind::Load && !p.buffers[each] && p.tile.type(each).rank > 1;
  });
  return !loadsRows;
}

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
    if (into.isRowMajor(shape) && prefersFlat(*this, value, lane)) {
      at = openFlat(nest, *this, shape);
      depth = 1;
    } else {
      at = openLoops(nest, *this, shape, lane);
      for (ValueId index : at)
        depth += !isConstantEqual(index, 0);
    }
  }
  ValueId element = nest.eval(value, at);
  if (Type from = plan.type(element); !(from == into.type))
    element = nest.emit(from.elem == Elem::F16 || from.elem == Elem::BF16 ? OpKind::ExtF : OpKind::FpToFp, {element},
                        into.type);
  nest.store(into, at, shape, element);
  while (depth-- > 0)
    nest.close();
}

namespace {

/// A load that a nest executes, and whether all of its elements are used at their own index.
struct Pulled {
  OpId load;
  bool inPlace;
};

std::vector<Pulled> loadsOf(const Planner &p, const std::vector<ValueId> &values) {
  std::vector<Pulled> loads;
  for (ValueId value : values)
    visitSlice(p, value, [&](ValueId each, bool moved) {
      OpId def = p.tile.values[each].op;
      if (def == kNone || p.tile.op(def).kind != OpKind::Load || p.buffers[each])
        return;
      auto known = std::find_if(loads.begin(), loads.end(), [&](const Pulled &pulled) { return pulled.load == def; });
      if (known == loads.end())
        loads.push_back({def, !moved});
      else
        known->inPlace &= !moved;
    });
  return loads;
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
  if (!sameBase || a.strides != b.strides || !a.isAffine() || !b.isAffine())
    return false;
  return a.strides.size() == 1 && a.strides[0] != kNone && p.isConstantEqual(a.strides[0], 1);
}

} // namespace

/// Before a nest that writes through `pointer` element by element: what it loads from there, at other places, is loaded
/// first.
void Planner::keepLoads(const std::vector<ValueId> &values, ValueId pointer) {
  std::optional<Form> into;
  if (pointer != kNone && tile.type(pointer).isTile())
    into = formOf(pointer);
  for (const Pulled &pulled : loadsOf(*this, values)) {
    ValueId from = tile.op(pulled.load).operands[0];
    ValueId here = pointer == kNone ? kNone : placement.root(pointer), there = placement.root(from);
    bool apart = options.argsDisjoint && here != kNone && there != kNone && here != there;
    const Form source = formOf(from);
    if (!apart && !(into && pulled.inPlace && sameInjectivePlace(*this, source, *into, source.base == into->base)))
      keep(tile.op(pulled.load).results[0]);
  }
}

namespace {

/// What a store's nest may load element by element, as it stores.
struct Guard {
  ValueId condition = kNone; ///< kNone: whatever the arguments are
  std::vector<OpId> always;  ///< loads that are copied first, in any case
  std::vector<OpId> all;     ///< those that are copied where the condition does not hold

  void require(Planner &p, ValueId holds) {
    if (holds != kNone)
      condition =
          condition == kNone ? holds : p.builder.value(OpKind::AndI, {condition, holds}, Type::scalar(Elem::I1));
  }
};

/// That the bytes of a load are not those of the store, or that each element is loaded just before it is stored.
ValueId apartFrom(Planner &p, const Op &load, bool inPlace, const Footprint &loaded, const Op &store,
                  const Footprint &stored) {
  const Type bit = Type::scalar(Elem::I1);
  ValueId apart = p.builder.value(
      OpKind::OrI, {p.compare("sle", stored.end, loaded.begin), p.compare("sle", loaded.end, stored.begin)}, bit);
  const Form from = p.formOf(load.operands[0]), to = p.formOf(store.operands[0]);
  if (!inPlace || !sameInjectivePlace(p, from, to, true) ||
      p.tile.type(load.results[0]).elementBits() != p.tile.type(store.operands[1]).elementBits())
    return apart;
  auto address = [&](ValueId base) { return p.builder.value(OpKind::PtrToInt, {base}, Type::scalar(Elem::I64)); };
  return p.builder.value(OpKind::OrI, {apart, p.compare("eq", address(to.base), address(from.base))}, bit);
}

/// What the nest loads must not be what it has stored already: whole tiles are loaded before any is stored.
Guard guardOf(Planner &p, const Op &store, const Form &form, const std::vector<Bound> &box,
              const std::vector<Pulled> &loads) {
  Guard guard;
  std::vector<OpId> tested;
  std::optional<std::optional<Footprint>> stored; // made when the first load asks for it
  for (const Pulled &pulled : loads) {
    const Op &load = p.tile.op(pulled.load);
    const Form source = p.formOf(load.operands[0]);
    if (pulled.inPlace && sameInjectivePlace(p, source, form, source.base == form.base))
      continue;
    ValueId here = p.placement.root(store.operands[0]), there = p.placement.root(load.operands[0]);
    if (p.options.argsDisjoint && here != kNone && there != kNone && here != there)
      continue;
    if (!stored)
      stored = footprintOf(p, form, p.tile.type(store.operands[0]), box);
    std::optional<Footprint> loaded;
    if (*stored) {
      bool masked = load.operands.size() > 1 && p.tile.type(load.operands[1]).isTile();
      loaded = footprintOf(p, source, p.tile.type(load.operands[0]),
                           masked ? p.maskOf(load.operands[1]).box : std::vector<Bound>());
    }
    if (!loaded) {
      guard.always.push_back(pulled.load);
      continue;
    }
    tested.push_back(pulled.load);
    guard.require(p, loaded->condition);
    guard.require(p, apartFrom(p, load, pulled.inPlace, *loaded, store, **stored));
  }
  if (!tested.empty())
    guard.require(p, (*stored)->condition);
  guard.all = guard.always;
  guard.all.insert(guard.all.end(), tested.begin(), tested.end());
  return guard;
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

  std::vector<Pulled> loads = loadsOf(*this, op.operands);
  bool fromBuffers = loads.empty() && form.isAffine();
  Guard guard = guardOf(*this, op, form, mask.box, loads);

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
    ValueId offset = nest.offset(form, at);
    if (ValueId next = fromBuffers ? advanced(form.base) : kNone; next != kNone)
      nest.prefetch(next, offset);
    nest.storeMemory(nest.base(form, at), offset, element, condition);
    for (ValueId index : at)
      if (!isConstantEqual(index, 0))
        nest.close();
  };

  if (guard.condition == kNone)
    return emitNest(guard.always);
  ifThenElse(
      *this, guard.condition, [&] { emitNest(guard.always); },
      [&] {
        inTwin = true; // rare, and each lane loop costs more to compile than it would save
        emitNest(guard.all);
        inTwin = false;
      });
}

void Planner::rememberWrites(OpId id) {
  auto isWrite = [&](const Op &op) { return has(op.kind, kWrites) || has(op.kind, kOrdered); };
  unsigned before = placement.position(id);
  if (isWrite(tile.op(id)))
    written.emplace_back(id, before);
  for (const Region &region : tile.op(id).regions)
    walk(tile, region, [&](OpId inner) {
      if (isWrite(tile.op(inner)))
        written.emplace_back(inner, before);
    });
}

void Planner::checkFresh(OpId load) const {
  for (auto [write, before] : written)
    OPW_CHECK(placement.position(load) >= before || !placement.mayConflict(tile.op(load), tile.op(write)),
              "a load of kernel '" + tile.name + "' was moved over a write that may change it");
}

} // namespace opw::passes
