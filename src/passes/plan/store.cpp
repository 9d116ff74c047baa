// Stores, and filling buffers: nests that end in memory. A store is guarded against what its nest loads.
#include "ir/walk.h"
#include "passes/plan/nest.h"
#include "passes/plan/slice.h"

#include <algorithm>
#include <functional>

namespace opw::passes {

using namespace ir;

/// Whether one loop over all elements is better than one per dimension: the lanes would be fewer than a vector has, and nothing is
/// loaded whose address depends on more than one dimension.
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
  std::vector<Pulled> guarded;
  std::vector<OpId> always;
  std::vector<Pulled> loads = loadsOf(*this, op.operands);
  bool fromBuffers = loads.empty() && form.isAffine();
  for (const Pulled &pulled : loads) {
    ValueId from = tile.op(pulled.load).operands[0];
    const Form source = formOf(from);
    ValueId here = placement.root(pointer), there = placement.root(from);
    if ((pulled.inPlace && sameInjectivePlace(*this, source, form, source.base == form.base)) ||
        (options.argsDisjoint && here != kNone && there != kNone && here != there))
      continue;
    if (source.isAffine() && form.isAffine())
      guarded.push_back(pulled);
    else
      always.push_back(pulled.load);
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
    ValueId offset = nest.offset(form, at);
    if (ValueId next = fromBuffers ? advanced(form.base) : kNone; next != kNone)
      nest.prefetch(next, offset);
    nest.storeMemory(nest.base(form, at), offset, element, condition);
    for (ValueId index : at)
      if (!isConstantEqual(index, 0))
        nest.close();
  };

  if (guarded.empty())
    return emitNest(always);
  auto stored = footprint(*this, form, tile.type(value), mask.box);
  ValueId disjoint = kNone;
  for (const Pulled &pulled : guarded) {
    const Op &source = tile.op(pulled.load);
    Mask under =
        source.operands.size() > 1 && tile.type(source.operands[1]).isTile() ? maskOf(source.operands[1]) : Mask{};
    auto loaded = footprint(*this, formOf(source.operands[0]), tile.type(source.results[0]), under.box);
    ValueId apart = builder.value(
        OpKind::OrI, {compare("sle", stored.second, loaded.first), compare("sle", loaded.second, stored.first)},
        Type::scalar(Elem::I1));
    const Form from = formOf(source.operands[0]);
    if (pulled.inPlace && sameInjectivePlace(*this, from, form, true) &&
        tile.type(source.results[0]).elementBits() == tile.type(value).elementBits()) {
      // In place: each element is loaded just before it is stored.
      ValueId here = builder.value(OpKind::PtrToInt, {form.base}, Type::scalar(Elem::I64));
      ValueId there = builder.value(OpKind::PtrToInt, {from.base}, Type::scalar(Elem::I64));
      apart = builder.value(OpKind::OrI, {apart, compare("eq", here, there)}, Type::scalar(Elem::I1));
    }
    disjoint = disjoint == kNone ? apart : builder.value(OpKind::AndI, {disjoint, apart}, Type::scalar(Elem::I1));
  }
  std::vector<OpId> all = always;
  for (const Pulled &pulled : guarded)
    all.push_back(pulled.load);
  ifThenElse(
      *this, disjoint, [&] { emitNest(always); },
      [&] {
        inTwin = true; // rare, and each lane loop costs more to compile than it would save
        emitNest(all);
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
