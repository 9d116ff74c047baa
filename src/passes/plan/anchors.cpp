// Anchors over memory and reductions: each becomes a loop nest that pulls what it needs.
#include "passes/plan/outside.h"

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
    Mask under = source.operands.size() > 1 && tile.type(source.operands[1]).isTile() ? maskOf(source.operands[1]) : Mask{};
    auto loaded = footprint(*this, formOf(source.operands[0]), tile.type(source.results[0]), under.box);
    ValueId apart = builder.value(OpKind::OrI,
                                  {compare("sle", stored.second, loaded.first), compare("sle", loaded.second, stored.first)},
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
  ifThenElse(*this, disjoint, [&] { emitNest(always); },
             [&] {
               inTwin = true; // rare, and each lane loop costs more to compile than it would save
               emitNest(all);
               inTwin = false;
             });
}

namespace {

/// The op of a combine region that applies one commutative op to its two arguments, or nothing.
bool combineOf(const Function &fn, const Op &reduce, OpKind &kind) {
  const Block &body = fn.block(reduce.regions[0].blocks[0]);
  if (reduce.operands.size() != 1 || body.ops.size() != 2)
    return false;
  const Op &op = fn.op(body.ops[0]);
  if (op.operands.size() != 2 || !has(op.kind, kCommutative) || op.kind == OpKind::MulhiUI ||
      fn.op(body.ops[1]).operands[0] != op.results[0])
    return false;
  kind = op.kind;
  return (op.operands[0] == body.arguments[0] && op.operands[1] == body.arguments[1]) ||
         (op.operands[0] == body.arguments[1] && op.operands[1] == body.arguments[0]);
}

struct FloatFormat {
  unsigned exponent, mantissa;
};

FloatFormat formatOf(Elem elem) {
  switch (elem) {
  case Elem::F16: return {5, 10};
  case Elem::BF16: return {8, 7};
  case Elem::F64: return {11, 52};
  default: return {8, 23};
  }
}

} // namespace

/// A value e with combine(e, x) = x for every x: the start of an accumulator. maxnumf starts from NaN, so a row of NaN stays NaN.
static ValueId identityOf(Planner &p, OpKind kind, Type type) {
  unsigned bits = bitWidth(type.elem);
  int64_t least = bits == 64 ? INT64_MIN : -(int64_t{1} << (bits - 1));
  if (isFloat(type.elem)) {
    FloatFormat format = formatOf(type.elem);
    uint64_t sign = uint64_t{1} << (format.exponent + format.mantissa);
    uint64_t infinity = ((uint64_t{1} << format.exponent) - 1) << format.mantissa;
    uint64_t one = ((uint64_t{1} << (format.exponent - 1)) - 1) << format.mantissa;
    uint64_t value = 0;
    switch (kind) {
    case OpKind::AddF: value = sign; break;
    case OpKind::MulF: value = one; break;
    case OpKind::MaximumF: value = sign | infinity; break;
    case OpKind::MinimumF: value = infinity; break;
    default: value = infinity | (uint64_t{1} << (format.mantissa - 1)); break;
    }
    return p.constantLike(Attribute::floatBits(value, type.elem), type);
  }
  switch (kind) {
  case OpKind::MulI: return p.constant(1, type.elem);
  case OpKind::AndI: case OpKind::MinUI: return p.constant(-1, type.elem);
  case OpKind::MinSI: return p.constant(bits == 1 ? 0 : ~least, type.elem);
  case OpKind::MaxSI: return p.constant(bits == 1 ? -1 : least, type.elem);
  default: return p.constant(0, type.elem);
  }
}

/// Whether a reduction may leave out the elements beyond a bound: it knows how to combine many equal values at once, and
/// whatever buffer its nest fills on the way is read under the same bound alone.
static bool mayShrink(const Planner &p, OpId id, OpKind kind, const Extent &extent,
                      const std::vector<std::pair<ValueId, Buffer>> &sinks) {
  const Type &type = p.tile.type(p.tile.op(id).operands[0]);
  switch (kind) {
  case OpKind::AddF:
    if (bitWidth(type.elem) < 32) // the product would round where the additions do not
      return false;
    break;
  case OpKind::AddI: case OpKind::MinSI: case OpKind::MaxSI: case OpKind::MinUI: case OpKind::MaxUI: case OpKind::AndI:
  case OpKind::OrI: case OpKind::MinNumF: case OpKind::MaxNumF: case OpKind::MinimumF: case OpKind::MaximumF:
    break;
  default:
    return false;
  }
  if (extent.kind != Extent::Boxed)
    return false;
  for (auto &[value, buffer] : sinks)
    for (OpId pull : p.placement.pulls(value)) {
      const Op &by = p.tile.op(pull);
      if (pull == id)
        continue;
      if (by.kind != OpKind::Store || by.operands.size() < 3 || !p.masks[by.operands[2]] ||
          p.tile.type(by.operands[1]).log2dim != type.log2dim ||
          std::find(p.masks[by.operands[2]]->box.begin(), p.masks[by.operands[2]]->box.end(), extent.bound) ==
              p.masks[by.operands[2]]->box.end())
        return false;
    }
  return true;
}

/// acc combined with `count` elements of the same value.
static ValueId combineMany(Planner &p, Nest &nest, OpKind kind, ValueId acc, ValueId value, ValueId count) {
  Type type = p.plan.type(value);
  Attributes positive;
  positive.set("predicate", Attribute::keyword("sgt"));
  ValueId any = nest.emit(OpKind::CmpI, {count, p.constant(0)}, Type::scalar(Elem::I1), std::move(positive));
  if (kind == OpKind::AddF) {
    value = nest.emit(OpKind::MulF, {nest.emit(OpKind::SIToFP, {count}, type), value}, type);
  } else if (kind == OpKind::AddI) {
    ValueId times = type.elem == Elem::I64 ? count : nest.emit(OpKind::TruncI, {count}, type);
    value = nest.emit(OpKind::MulI, {times, value}, type);
  }
  return nest.emit(OpKind::Select, {any, nest.emit(kind, {acc, value}, type), acc}, type);
}

void Planner::lowerReduce(OpId id, ValueId fills) {
  const Op &op = tile.op(id);
  const Type shape = tile.type(op.operands[0]);
  unsigned axis = static_cast<unsigned>(op.attributes.intOr("axis", 0));
  OpKind kind = OpKind::AddF;
  bool simple = combineOf(tile, op, kind);

  int lane = chooseLane(*this, op.operands, shape, kNone);
  if (!simple && lane == static_cast<int>(axis)) {
    // A combine function of its own runs along a sequential axis; another axis gives the lanes, if there is one.
    lane = -1;
    for (unsigned d = 0; d < shape.rank; ++d)
      if (d != axis && shape.log2dim[d] > 0)
        lane = static_cast<int>(d);
  }

  // Values that get their buffer filled on the way, and operands of later dots that can be packed here.
  std::vector<std::pair<ValueId, Buffer>> sinks;
  auto packsHere = fusiblePacks(id);
  auto servedHere = [&](OpId pull) {
    return pull == id || std::any_of(packsHere.begin(), packsHere.end(), [&](auto &pack) { return pack.second == pull; });
  };
  for (ValueId value = 0; value < tile.values.size(); ++value) {
    const Placement::Decision &decision = placement.of(value);
    const std::vector<OpId> &pulls = placement.pulls(value);
    bool due = value == fills || (decision.buffered && !decision.atDefinition && !buffers[value] && pulls.front() == id);
    if (due && !std::all_of(pulls.begin(), pulls.end(), servedHere))
      sinks.emplace_back(value, makeBuffer(value, lane));
  }

  std::vector<Buffer> into;
  for (ValueId result : op.results)
    if (tile.type(result).isTile())
      into.push_back(makeBuffer(result, lane < 0 || lane == static_cast<int>(axis) ? -1 : lane - (lane > static_cast<int>(axis))));

  std::vector<std::pair<ValueId, Buffer>> packed;
  {
    Nest nest(*this);
    for (auto &[value, buffer] : sinks)
      nest.alsoStore(value, buffer);
    bool laneReduces = lane == static_cast<int>(axis);
    Indices at = openLoops(nest, *this, shape, laneReduces ? -1 : lane, {}, static_cast<int>(axis));
    size_t outerLoops = 0;
    for (ValueId index : at)
      outerLoops += !isConstantEqual(index, 0);

    std::vector<ValueId> results;
    auto body = [&](const Indices &where) {
      std::vector<ValueId> elements;
      for (ValueId operand : op.operands)
        elements.push_back(nest.eval(operand, where));
      for (auto &[value, dot] : packsHere) {
        Buffer buffer = makeBuffer(value, lane, Elem::F32);
        ValueId element = nest.eval(value, where);
        if (plan.type(element).elem != Elem::F32)
          element = nest.emit(OpKind::ExtF, {element}, Type::scalar(Elem::F32));
        nest.store(buffer, where, element);
        packed.emplace_back(value, buffer);
      }
      return elements;
    };
    if (simple) {
      ValueId start = identityOf(*this, kind, shape.element());
      std::vector<std::string> combine;
      if (laneReduces)
        combine.emplace_back(name(kind));
      Extent extent = extentAlong(*this, op.operands[0], static_cast<int>(axis));
      bool shrink = packsHere.empty() && mayShrink(*this, id, kind, extent, sinks);
      std::vector<Bound> box;
      if (shrink)
        box.push_back(extent.bound);
      auto [lo, hi] = boundsOf(*this, shape, axis, box);
      at[axis] = nest.open(lo, hi, laneReduces, {start}, combine);
      nest.assume(at, box);
      std::vector<ValueId> elements = body(at);
      ValueId next = nest.emit(kind, {nest.carried()[0], elements[0]}, shape.element());
      results = nest.close({next});
      if (shrink) {
        at[axis] = constant(0);
        ValueId live = maximum(sub(hi, lo), constant(0));
        ValueId outside = evalOutside(*this, nest, op.operands[0], at, static_cast<int>(axis));
        results[0] = combineMany(*this, nest, kind, results[0], outside, sub(constant(shape.dim(axis)), live));
      }
    } else {
      Indices first = at;
      first[axis] = constant(0);
      std::vector<ValueId> start;
      for (ValueId operand : op.operands)
        start.push_back(nest.eval(operand, first));
      at[axis] = nest.open(constant(1), constant(shape.dim(axis)), false, start);
      std::vector<ValueId> arguments = nest.carried();
      std::vector<ValueId> elements = body(at);
      arguments.insert(arguments.end(), elements.begin(), elements.end());
      results = nest.close(nest.evalRegion(op.regions[0].blocks[0], arguments));
    }
    if (into.empty()) {
      for (size_t i = 0; i < results.size(); ++i)
        scalars[op.results[i]] = results[i];
    } else {
      Indices outer = at;
      outer.erase(outer.begin() + axis);
      for (size_t i = 0; i < results.size(); ++i)
        nest.store(into[i], outer, results[i]);
    }
    while (outerLoops-- > 0)
      nest.close();
  }
  for (size_t i = 0; i < into.size(); ++i)
    buffers[op.results[i]] = into[i];
  for (auto &[value, buffer] : sinks)
    buffers[value] = buffer;
  for (auto &[value, buffer] : packed)
    packs[uint64_t{value} * 2] = buffer;
}

} // namespace opw::passes
