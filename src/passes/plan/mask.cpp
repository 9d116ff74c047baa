// Transfer functions of masks: compares against uniform values become bounds, where they cannot wrap.
#include "ir/number.h"
#include "passes/plan/planner.h"

#include <algorithm>

namespace opw::passes {

using namespace ir;

namespace {

const char *swapped(std::string_view predicate) {
  if (predicate == "slt")
    return "sgt";
  if (predicate == "sle")
    return "sge";
  if (predicate == "sgt")
    return "slt";
  if (predicate == "sge")
    return "sle";
  return predicate == "eq" ? "eq" : "";
}

} // namespace

Mask Planner::maskOf(ValueId value) {
  if (masks[value])
    return *masks[value];
  return Mask{{}, {{value, identity(tile.type(value).rank)}}};
}

/// b - a, cut where additions to it could overflow: tiles are far smaller than the distance that is cut off.
ValueId Planner::distance(ValueId b, ValueId a, Elem elem) {
  ValueId difference = sub(b, a);
  int64_t known = 0, limit = int64_t{1} << 61;
  if (elem != Elem::I64 || (isConstant(difference, known) && known > -limit && known < limit))
    return difference;
  // The difference has overflowed where its sign is not that of b although the signs of a and b differ.
  const Type type = Type::scalar(Elem::I64);
  auto differ = [&](ValueId x, ValueId y) { return builder.value(OpKind::XOrI, {x, y}, type); };
  ValueId wrong = builder.value(OpKind::AndI, {differ(a, b), differ(difference, b)}, type);
  ValueId end = select(compare("slt", b, constant(0)), constant(-limit), constant(limit));
  ValueId exact = select(compare("slt", wrong, constant(0)), end, difference);
  return minimum(maximum(exact, constant(-limit)), constant(limit));
}

/// The variable of a signed loop, which is as wide as an index but equals the narrow one of the source.
static bool isLoopVariable(const Function &plan, ValueId value) {
  const Value &v = plan.values[value];
  OpId owner = v.op == kNone ? plan.block(v.block).owner : kNone;
  return owner != kNone && plan.op(owner).kind == OpKind::PlanLoop && v.index == 0;
}

/// A power of two divides a sum or product also after it wraps.
bool Planner::isMultiple(ValueId value, int64_t factor, unsigned depth) const {
  int64_t known = 0;
  if (isConstant(value, known))
    return known % factor == 0;
  if (depth == 0)
    return false;
  auto in = [&](OpId op, unsigned i) { return isMultiple(plan.op(op).operands[i], factor, depth - 1); };
  if (isLoopVariable(plan, value)) {
    OpId loop = plan.block(plan.values[value].block).owner;
    return in(loop, 0) && in(loop, 2); // where it starts, and its step
  }
  const Value &v = plan.values[value];
  OpId op = v.op;
  if (op == kNone) { // an argument, of which Triton may have said so
    bool isArgument = plan.block(v.block).owner == kNone && v.index < plan.argumentAttributes.size();
    int64_t divisor = isArgument ? plan.argumentAttributes[v.index].intOr("tt.divisibility", 1) : 1;
    return !v.type.isPointer() && divisor % factor == 0;
  }
  switch (plan.op(op).kind) {
  case OpKind::ExtSI:
  case OpKind::TruncI:
    return in(op, 0);
  case OpKind::AddI:
  case OpKind::SubI:
    return in(op, 0) && in(op, 1);
  case OpKind::MulI:
    return in(op, 0) || in(op, 1);
  default:
    return false;
  }
}

/// A sum of integers of that type in its own width, where it wraps. Loop variables and what was extended are in it
/// already.
ValueId Planner::wrapped(ValueId sum, Elem elem) {
  OpId op = plan.values[sum].op;
  if (elem == Elem::I64 || (op != kNone && plan.op(op).kind == OpKind::ExtSI) || isLoopVariable(plan, sum))
    return sum;
  int64_t value = 0;
  if (isConstant(sum, value))
    return constant(wrapInteger(value, elem));
  return extend(builder.value(OpKind::TruncI, {sum}, Type::scalar(elem)));
}

/// The one dimension along which the form is base + i; -1 for any other form.
int Planner::countsAlong(const Form &form) const {
  int dim = -1;
  for (size_t d = 0; d < form.strides.size(); ++d) {
    if (form.strides[d] == kNone)
      continue;
    if (dim >= 0 || !isConstantEqual(form.strides[d], 1))
      return -1;
    dim = static_cast<int>(d);
  }
  return form.isAffine() ? dim : -1;
}

/// Whether counting up from the base cannot wrap: it is a small constant.
bool Planner::startsSmall(const Form &form) const {
  int64_t start = 0;
  return isConstant(form.base, start) && start > -(1 << 30) && start < 1 << 30;
}

/// Ends the launch with an error where base, base + 1, ... base + count - 1 wrap: what is in bounds would be no box.
void Planner::requireNoWrap(ValueId base, Elem elem, int64_t count) {
  if (isMultiple(base, count)) // as the block of a program is: then the last one ends at the largest integer
    return;
  Attributes attributes;
  attributes.set("message",
                 Attribute::string(elem == Elem::I64 ? "the int64 sum in this mask wraps inside the tile"
                                                     : "the int32 sum in this mask wraps inside the tile; compute it "
                                                       "in int64"));
  int64_t largest = elem == Elem::I64 ? INT64_MAX : (int64_t{1} << (bitWidth(elem) - 1)) - 1;
  ValueId last = constant(largest - (count - 1));
  builder.create(OpKind::Assert, {compare("sle", base, last)}, {}, std::move(attributes));
}

void Planner::defineMask(const Op &op) {
  ValueId result = op.results[0];
  const Type type = tile.type(result);
  if (op.kind == OpKind::AndI) {
    Mask a = maskOf(op.operands[0]), b = maskOf(op.operands[1]);
    for (const Bound &bound : b.box)
      if (std::find(a.box.begin(), a.box.end(), bound) == a.box.end())
        a.box.push_back(bound);
    for (const Element &rest : b.rest)
      if (std::find(a.rest.begin(), a.rest.end(), rest) == a.rest.end())
        a.rest.push_back(rest);
    masks[result] = std::move(a);
  } else if (has(op.kind, kShape) && op.operands.size() == 1 && tile.type(op.operands[0]).isTile()) {
    DimMap map;
    if (!shapeMap(tile, op, map))
      return;
    Mask mask = maskOf(op.operands[0]);
    for (Bound &bound : mask.box) {
      if (map[bound.dim] < 0) { // an extent of 1 that is broadcast: the bound is about index 0 alone
        masks[result] = Mask{{}, {{op.operands[0], map}}};
        return;
      }
      bound.dim = static_cast<unsigned>(map[bound.dim]);
    }
    for (Element &rest : mask.rest)
      rest.dims = compose(rest.dims, map);
    masks[result] = std::move(mask);
  } else if (op.kind == OpKind::Constant) {
    if (const Attribute *value = op.attributes.find("value"); value && value->integer != 0)
      masks[result] = Mask{};
  } else if (op.kind == OpKind::CmpI) {
    // base + i against a uniform value, along one dimension with stride 1, is a bound on i.
    const Type &operand = tile.type(op.operands[0]);
    if (!operand.isIntegerLike() || operand.elem == Elem::I1)
      return;
    std::string_view predicate = op.attributes.textOr("predicate", "");
    Form a = formOf(op.operands[0]), b = formOf(op.operands[1]);
    if (!a.isUniform() && !b.isUniform())
      return;
    if (a.isUniform()) {
      std::swap(a, b);
      predicate = swapped(predicate);
    }
    int dim = countsAlong(a);
    if (dim < 0)
      return;
    // i ? edge, where the left side counts up from its base without wrapping.
    a.base = wrapped(a.base, operand.elem);
    b.base = wrapped(b.base, operand.elem);
    ValueId edge = distance(b.base, a.base, operand.elem);
    bool exact = startsSmall(a);
    if (!exact && guardsAccess[result]) {
      requireNoWrap(a.base, operand.elem, type.dim(static_cast<unsigned>(dim)));
      exact = true;
    }
    Bound bound{static_cast<unsigned>(dim), kNone, kNone, exact};
    if (predicate == "slt")
      bound.hi = edge;
    else if (predicate == "sle")
      bound.hi = add(edge, constant(1));
    else if (predicate == "sge")
      bound.lo = edge;
    else if (predicate == "sgt")
      bound.lo = add(edge, constant(1));
    else if (predicate == "eq")
      bound = {bound.dim, edge, add(edge, constant(1)), exact};
    else
      return;
    masks[result] = Mask{{bound}, {}};
  }
}

} // namespace opw::passes
