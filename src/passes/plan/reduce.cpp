// Reductions: along a sequential axis with vectors over another one, or along the lanes with a fold at the end. One
// commutative operation goes in any order. A function of its own keeps the order of the elements: one by one, or along
// the lanes in stretches of neighbours; and goes in any order where that is proved to be the same (commute.h).
#include "passes/plan/reduce.h"
#include "passes/plan/outside.h"
#include "passes/plan/slice.h"

#include <algorithm>
#include <functional>

namespace opw::passes {

using namespace ir;

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
  case Elem::F16:
    return {5, 10};
  case Elem::BF16:
    return {8, 7};
  case Elem::F64:
    return {11, 52};
  default:
    return {8, 23};
  }
}

} // namespace

/// A value e with combine(e, x) = x for every x: the start of an accumulator. maxnumf starts from NaN, so a row of NaN
/// stays NaN.
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
    case OpKind::AddF:
      value = sign;
      break;
    case OpKind::MulF:
      value = one;
      break;
    case OpKind::MaximumF:
      value = sign | infinity;
      break;
    case OpKind::MinimumF:
      value = infinity;
      break;
    default:
      value = infinity | (uint64_t{1} << (format.mantissa - 1));
      break;
    }
    return p.constantLike(Attribute::floatBits(value, type.elem), type);
  }
  switch (kind) {
  case OpKind::MulI:
    return p.constant(1, type.elem);
  case OpKind::AndI:
  case OpKind::MinUI:
    return p.constant(-1, type.elem);
  case OpKind::MinSI:
    return p.constant(bits == 1 ? 0 : ~least, type.elem);
  case OpKind::MaxSI:
    return p.constant(bits == 1 ? -1 : least, type.elem);
  default:
    return p.constant(0, type.elem);
  }
}

/// Whether a reduction may leave out the elements beyond a bound: it knows how to combine many equal values at once,
/// and whatever buffer its nest fills on the way is read under the same bound alone.
static bool mayShrink(const Planner &p, OpId id, OpKind kind, const Extent &extent,
                      const std::vector<std::pair<ValueId, Buffer>> &sinks) {
  const Type &type = p.tile.type(p.tile.op(id).operands[0]);
  switch (kind) {
  case OpKind::AddF:
    if (bitWidth(type.elem) < 32) // the product would round where the additions do not
      return false;
    break;
  case OpKind::AddI:
  case OpKind::MinSI:
  case OpKind::MaxSI:
  case OpKind::MinUI:
  case OpKind::MaxUI:
  case OpKind::AndI:
  case OpKind::OrI:
  case OpKind::MinNumF:
  case OpKind::MaxNumF:
  case OpKind::MinimumF:
  case OpKind::MaximumF:
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
          std::any_of(by.operands.begin(), by.operands.end(),
                      [&](ValueId operand) { return needsMoved(p, operand, value); }))
        return false;
      const std::vector<Bound> &box = p.masks[by.operands[2]]->box;
      if (std::find(box.begin(), box.end(), extent.bound) == box.end())
        return false;
      // Where arguments overlap the store's loads are done before it, for the whole tile: none may go by what is left
      // out.
      bool loadsByIt = false;
      for (ValueId operand : by.operands)
        visitSlice(p, operand, [&](ValueId each, bool) {
          OpId def = p.tile.values[each].op;
          if (def != kNone && p.tile.op(def).kind == OpKind::Load && each != value)
            for (ValueId of : p.tile.op(def).operands)
              visitSlice(p, of, [&](ValueId needed, bool) { loadsByIt |= needed == value; });
        });
      if (loadsByIt)
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

namespace {

/// With one commutative operation: accumulators that start from its identity, in lanes or not; `box` bounds the axis,
/// and what is beyond it is combined at once.
ValueId reduceBy(Reduction &r, OpKind kind, bool inLanes, const std::vector<Bound> &box) {
  Planner &p = r.p;
  const Type shape = p.tile.type(r.op.operands[0]);
  std::vector<std::string> combine;
  if (inLanes)
    combine.emplace_back(name(kind));
  auto [lo, hi] = boundsOf(p, shape, r.axis, box);
  ValueId position = r.nest.open(lo, hi, inLanes, {identityOf(p, kind, shape.element())}, combine);
  r.at[r.axis] = position;
  r.nest.assume(r.at, box);
  ValueId element = r.elementsAt(position)[0];
  ValueId result = r.nest.close({r.nest.emit(kind, {r.nest.carried()[0], element}, shape.element())})[0];
  if (box.empty())
    return result;
  r.at[r.axis] = p.constant(0);
  ValueId live = p.maximum(p.sub(hi, lo), p.constant(0));
  ValueId outside = evalOutside(p, r.nest, r.op.operands[0], r.at, static_cast<int>(r.axis));
  return combineMany(p, r.nest, kind, result, outside, p.sub(p.constant(shape.dim(r.axis)), live));
}

} // namespace

void Planner::lowerReduce(OpId id, ValueId fills) {
  const Op &op = tile.op(id);
  const Type shape = tile.type(op.operands[0]);
  unsigned axis = static_cast<unsigned>(op.attributes.intOr("axis", 0));
  OpKind kind = OpKind::AddF;
  bool simple = combineOf(tile, op, kind);

  int lane = chooseLane(*this, op.operands, shape, kNone);
  const int64_t partials = int64_t{2} * options.vectorLanes;
  bool inPartials = !simple && lane == static_cast<int>(axis) && shape.dim(axis) >= 4 * partials;
  if (!simple && lane == static_cast<int>(axis) && !inPartials) {
    // Too short for that: the axis is sequential; another one gives the lanes, if there is one.
    lane = -1;
    for (unsigned d = 0; d < shape.rank; ++d)
      if (d != axis && shape.log2dim[d] > 0)
        lane = static_cast<int>(d);
  }

  // Values that get their buffer filled on the way, and operands of later dots that can be packed here.
  std::vector<std::pair<ValueId, Buffer>> sinks;
  auto packsHere = simple ? fusiblePacks(id) : std::vector<std::pair<ValueId, OpId>>{};
  auto servedHere = [&](OpId pull) {
    return pull == id ||
           std::any_of(packsHere.begin(), packsHere.end(), [&](auto &pack) { return pack.second == pull; });
  };
  for (ValueId value = 0; value < tile.values.size(); ++value) {
    const Placement::Decision &decision = placement.of(value);
    const std::vector<OpId> &pulls = placement.pulls(value);
    bool due =
        value == fills || (decision.buffered && !decision.atDefinition && !buffers[value] && pulls.front() == id);
    if (due && !std::all_of(pulls.begin(), pulls.end(), servedHere))
      sinks.emplace_back(value, makeBuffer(value, lane));
  }

  std::vector<Buffer> into;
  for (ValueId result : op.results)
    if (tile.type(result).isTile())
      into.push_back(
          makeBuffer(result, lane < 0 || lane == static_cast<int>(axis) ? -1 : lane - (lane > static_cast<int>(axis))));

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

    Reduction reduction{*this, nest, op, axis, at, [&](const Indices &where) {
                          std::vector<ValueId> elements;
                          for (ValueId operand : op.operands)
                            elements.push_back(nest.eval(operand, where));
                          for (auto &[value, dot] : packsHere) {
                            Buffer buffer = makeBuffer(value, lane, Type::scalar(Elem::F32));
                            ValueId element = nest.eval(value, where);
                            if (plan.type(element).elem != Elem::F32)
                              element = nest.emit(OpKind::ExtF, {element}, Type::scalar(Elem::F32));
                            nest.store(buffer, where, shape, element);
                            packed.emplace_back(value, buffer);
                          }
                          return elements;
                        }};
    std::vector<ValueId> results;
    if (simple) {
      Extent extent = extentAlong(*this, op.operands[0], static_cast<int>(axis));
      std::vector<Bound> box;
      if (packsHere.empty() && mayShrink(*this, id, kind, extent, sinks))
        box.push_back(extent.bound);
      results = {reduceBy(reduction, kind, laneReduces, box)};
    } else if (!inPartials) {
      results = reduceInOrder(reduction);
    } else if (std::optional<Commutes> proof = provedToCommute(*this, op, axis)) {
      results = reduceInAnyOrder(reduction, partials, *proof);
    } else {
      results = reduceInStretches(reduction, partials);
    }
    at = reduction.at;
    if (into.empty()) {
      for (size_t i = 0; i < results.size(); ++i)
        scalars[op.results[i]] = results[i];
    } else {
      Indices outer = at;
      outer.erase(outer.begin() + axis);
      for (size_t i = 0; i < results.size(); ++i)
        nest.store(into[i], outer, tile.type(op.results[i]), results[i]);
    }
    while (outerLoops-- > 0)
      nest.close();
  }
  for (size_t i = 0; i < into.size(); ++i)
    buffers[op.results[i]] = into[i];
  for (auto &[value, buffer] : sinks)
    buffers[value] = buffer;
  for (auto &[value, buffer] : packed)
    pack({value, false}, buffer);
}

} // namespace opw::passes
