#include "passes/plan/outside.h"

#include <map>
#include <tuple>

namespace opw::passes {

using namespace ir;

namespace {

/// The dimension of a shape op's operand that the dimension `axis` of its result comes from, or -1.
int operandAxis(const DimMap &map, int axis) {
  for (size_t d = 0; d < map.size(); ++d)
    if (map[d] == axis)
      return static_cast<int>(d);
  return -1;
}

const Bound *boundAlong(const Planner &p, ValueId mask, int axis) {
  if (!p.tile.type(mask).isTile() || !p.masks[mask])
    return nullptr;
  for (const Bound &bound : p.masks[mask]->box)
    if (static_cast<int>(bound.dim) == axis)
      return &bound;
  return nullptr;
}

/// By value and axis: a value may be reached on many ways.
using KnownExtents = std::map<std::pair<ValueId, int>, Extent>;

Extent extentOf(const Planner &p, ValueId value, int axis, KnownExtents &known);

Extent findExtent(const Planner &p, ValueId value, int axis, KnownExtents &known) {
  const Type &type = p.tile.type(value);
  if (axis < 0 || !type.isTile() || type.log2dim[static_cast<size_t>(axis)] == 0)
    return {Extent::Invariant, {}};
  OpId def = p.tile.values[value].op;
  if (p.buffers[value] || def == kNone || type.isPointer())
    return {};
  const Op &op = p.tile.op(def);
  if (op.kind == OpKind::Constant)
    return {Extent::Invariant, {}};
  if (DimMap map; shapeMap(p.tile, op, map)) {
    Extent extent = extentOf(p, op.operands[0], operandAxis(map, axis), known);
    extent.bound.dim = static_cast<unsigned>(axis);
    return extent;
  }
  if (op.kind == OpKind::Load) {
    const Bound *bound = op.operands.size() > 1 ? boundAlong(p, op.operands[1], axis) : nullptr;
    if (!bound || (op.operands.size() > 2 && extentOf(p, op.operands[2], axis, known).kind != Extent::Invariant))
      return {};
    return {Extent::Boxed, *bound};
  }
  if (op.kind == OpKind::Select)
    if (const Bound *bound = boundAlong(p, op.operands[0], axis);
        bound && bound->exact && extentOf(p, op.operands[2], axis, known).kind == Extent::Invariant)
      return {Extent::Boxed, *bound};
  if (!has(op.kind, kElementwise) || !has(op.kind, kPure))
    return {};
  Extent result{Extent::Invariant, {}};
  for (ValueId each : op.operands) {
    Extent extent = extentOf(p, each, axis, known);
    if (extent.kind == Extent::Unknown)
      return {};
    if (extent.kind == Extent::Invariant)
      continue;
    if (result.kind == Extent::Boxed && !(result.bound == extent.bound))
      return {};
    result = extent;
  }
  return result;
}

Extent extentOf(const Planner &p, ValueId value, int axis, KnownExtents &known) {
  auto it = known.find({value, axis});
  return it != known.end() ? it->second : known[{value, axis}] = findExtent(p, value, axis, known);
}

/// Evaluates outside values; each once for its axis and indices.
struct Outside {
  Planner &p;
  Nest &nest;
  KnownExtents extents;
  std::map<std::tuple<ValueId, int, Indices>, ValueId> done;

  ValueId eval(ValueId value, const Indices &at, int axis) {
    auto key = std::tuple{value, axis, at};
    auto it = done.find(key);
    return it != done.end() ? it->second : done[key] = make(value, at, axis);
  }

  ValueId make(ValueId value, const Indices &at, int axis) {
    if (extentOf(p, value, axis, extents).kind == Extent::Invariant)
      return nest.eval(value, at);
    const Op &op = p.tile.op(p.tile.values[value].op);
    if (DimMap map; shapeMap(p.tile, op, map))
      return eval(op.operands[0], nest.through(map, at), operandAxis(map, axis));
    const Type element = p.tile.type(value).element();
    if (op.kind == OpKind::Load) {
      if (op.operands.size() > 2)
        return nest.eval(op.operands[2], at);
      return p.constantLike(isFloat(element.elem) ? Attribute::floatBits(0, element.elem)
                                                  : Attribute::integerOf(0, element.elem),
                            element);
    }
    if (op.kind == OpKind::Select && boundAlong(p, op.operands[0], axis))
      return nest.eval(op.operands[2], at);
    std::vector<ValueId> operands;
    for (ValueId each : op.operands)
      operands.push_back(eval(each, at, axis));
    return nest.emit(op.kind, std::move(operands), element, op.attributes);
  }
};

} // namespace

Extent extentAlong(const Planner &p, ValueId value, int axis) {
  KnownExtents known;
  return extentOf(p, value, axis, known);
}

ValueId evalOutside(Planner &p, Nest &nest, ValueId value, const Indices &at, int axis) {
  return Outside{p, nest, {}, {}}.eval(value, at, axis);
}

} // namespace opw::passes
