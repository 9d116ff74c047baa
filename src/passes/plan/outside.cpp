#include "passes/plan/outside.h"

namespace opw::passes {

using namespace ir;

namespace {

/// The operand of a shape op and the dimension of it that `axis` comes from; -1 where it has extent 1 or does not exist.
bool throughShape(const Planner &p, const Op &op, int axis, ValueId &operand, int &inner) {
  operand = op.operands.empty() ? kNone : op.operands[0];
  switch (op.kind) {
  case OpKind::Splat:
    inner = -1;
    return true;
  case OpKind::ExpandDims: {
    int added = static_cast<int>(op.attributes.intOr("axis", 0));
    inner = axis == added ? -1 : axis - (axis > added);
    return true;
  }
  case OpKind::Broadcast:
    inner = p.tile.type(operand).log2dim[static_cast<size_t>(axis)] == 0 ? -1 : axis;
    return true;
  case OpKind::Trans:
    inner = static_cast<int>(op.attributes.find("order")->integers[static_cast<size_t>(axis)]);
    return true;
  default:
    return false;
  }
}

const Bound *boundAlong(const Planner &p, ValueId mask, int axis) {
  if (!p.tile.type(mask).isTile() || !p.masks[mask])
    return nullptr;
  for (const Bound &bound : p.masks[mask]->box)
    if (static_cast<int>(bound.dim) == axis)
      return &bound;
  return nullptr;
}

} // namespace

Extent extentAlong(const Planner &p, ValueId value, int axis) {
  const Type &type = p.tile.type(value);
  if (axis < 0 || !type.isTile() || type.log2dim[static_cast<size_t>(axis)] == 0)
    return {Extent::Invariant, {}};
  OpId def = p.tile.values[value].op;
  if (p.buffers[value] || def == kNone || type.isPointer())
    return {};
  const Op &op = p.tile.op(def);
  ValueId operand = kNone;
  int inner = -1;
  if (op.kind == OpKind::Constant)
    return {Extent::Invariant, {}};
  if (throughShape(p, op, axis, operand, inner)) {
    Extent extent = extentAlong(p, operand, inner);
    extent.bound.dim = static_cast<unsigned>(axis);
    return extent;
  }
  if (op.kind == OpKind::Load) {
    const Bound *bound = op.operands.size() > 1 ? boundAlong(p, op.operands[1], axis) : nullptr;
    if (!bound || (op.operands.size() > 2 && extentAlong(p, op.operands[2], axis).kind != Extent::Invariant))
      return {};
    return {Extent::Boxed, *bound};
  }
  if (op.kind == OpKind::Select)
    if (const Bound *bound = boundAlong(p, op.operands[0], axis);
        bound && extentAlong(p, op.operands[2], axis).kind == Extent::Invariant)
      return {Extent::Boxed, *bound};
  if (!has(op.kind, kElementwise) || !has(op.kind, kPure))
    return {};
  Extent result{Extent::Invariant, {}};
  for (ValueId each : op.operands) {
    Extent extent = extentAlong(p, each, axis);
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

ValueId evalOutside(Planner &p, Nest &nest, ValueId value, const Indices &at, int axis) {
  if (extentAlong(p, value, axis).kind == Extent::Invariant)
    return nest.eval(value, at);
  const Op &op = p.tile.op(p.tile.values[value].op);
  ValueId operand = kNone;
  int inner = -1;
  if (throughShape(p, op, axis, operand, inner)) {
    // Indices of the operand, as eval would make them.
    Indices mapped;
    const Type &from = p.tile.type(operand);
    if (op.kind == OpKind::ExpandDims) {
      mapped = at;
      mapped.erase(mapped.begin() + op.attributes.intOr("axis", 0));
    } else if (op.kind == OpKind::Broadcast) {
      mapped = at;
      for (unsigned d = 0; d < from.rank; ++d)
        if (from.log2dim[d] == 0)
          mapped[d] = p.constant(0);
    } else {
      mapped.resize(at.size());
      const Attribute *order = op.attributes.find("order");
      for (size_t d = 0; d < at.size(); ++d)
        mapped[static_cast<size_t>(order->integers[d])] = at[d];
    }
    return evalOutside(p, nest, operand, mapped, inner);
  }
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
    operands.push_back(evalOutside(p, nest, each, at, axis));
  return nest.emit(op.kind, std::move(operands), element, op.attributes);
}

} // namespace opw::passes
