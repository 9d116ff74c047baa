// Uniform scalars of the plan: made where they are needed, folded where both operands are constants.
#include "passes/plan/planner.h"

namespace opw::passes {

using namespace ir;

ValueId Planner::constantLike(const Attribute &value, Type type) {
  bool isFloat = value.kind == Attribute::Kind::Float;
  if (value.kind != Attribute::Kind::Int && value.kind != Attribute::Kind::Bool && !isFloat)
    refuse(current, "constant that is not one number", "only splat constants are lowered");
  uint64_t bits = isFloat ? value.bits : static_cast<uint64_t>(value.integer);
  auto [it, fresh] = constantCache[static_cast<unsigned>(type.elem)].try_emplace(bits, kNone);
  if (fresh) {
    OpId op = plan.addOp(OpKind::Constant, {}, {type.element()});
    plan.op(op).attributes.set("value", isFloat ? Attribute::floatBits(bits, type.elem)
                                                : Attribute::integerOf(value.integer, type.elem));
    constantOps.push_back(op);
    it->second = plan.op(op).results[0];
    if (!isFloat)
      constantValues[it->second] = value.integer;
  }
  return it->second;
}

ValueId Planner::constant(int64_t value, Elem elem) {
  return constantLike(Attribute::integerOf(value, elem), Type::scalar(elem));
}

bool Planner::isConstant(ValueId value, int64_t &out) const {
  auto it = constantValues.find(value);
  if (it == constantValues.end())
    return false;
  out = it->second;
  return true;
}

bool Planner::isConstantEqual(ValueId value, int64_t expected) const {
  int64_t found = 0;
  return isConstant(value, found) && found == expected;
}

ValueId Planner::fold(OpKind kind, ValueId a, ValueId b) {
  int64_t x = 0, y = 0;
  bool left = isConstant(a, x), right = isConstant(b, y);
  if (left && right) {
    int64_t result = 0;
    switch (kind) {
    case OpKind::AddI:
      if (!__builtin_add_overflow(x, y, &result))
        return constant(result);
      break;
    case OpKind::SubI:
      if (!__builtin_sub_overflow(x, y, &result))
        return constant(result);
      break;
    case OpKind::MulI:
      if (!__builtin_mul_overflow(x, y, &result))
        return constant(result);
      break;
    case OpKind::MinSI:
      return x < y ? a : b;
    case OpKind::MaxSI:
      return x > y ? a : b;
    default:
      break;
    }
  }
  if ((kind == OpKind::AddI || kind == OpKind::SubI) && right && y == 0)
    return a;
  if (kind == OpKind::AddI && left && x == 0)
    return b;
  if (kind == OpKind::MulI && ((right && y == 1) || (left && x == 0)))
    return a;
  if (kind == OpKind::MulI && ((left && x == 1) || (right && y == 0)))
    return b;
  return builder.value(kind, {a, b}, Type::scalar(Elem::I64));
}

ValueId Planner::add(ValueId a, ValueId b) { return fold(OpKind::AddI, a, b); }
ValueId Planner::sub(ValueId a, ValueId b) { return fold(OpKind::SubI, a, b); }
ValueId Planner::mul(ValueId a, ValueId b) { return fold(OpKind::MulI, a, b); }
ValueId Planner::minimum(ValueId a, ValueId b) { return a == b ? a : fold(OpKind::MinSI, a, b); }
ValueId Planner::maximum(ValueId a, ValueId b) { return a == b ? a : fold(OpKind::MaxSI, a, b); }

ValueId Planner::compare(const char *predicate, ValueId a, ValueId b) {
  Attributes attributes;
  attributes.set("predicate", Attribute::keyword(predicate));
  return builder.value(OpKind::CmpI, {a, b}, Type::scalar(Elem::I1), std::move(attributes));
}

ValueId Planner::select(ValueId condition, ValueId a, ValueId b) {
  return builder.value(OpKind::Select, {condition, a, b}, plan.type(a));
}

ValueId Planner::extend(ValueId integer) {
  int64_t value = 0;
  if (isConstant(integer, value))
    return constant(value);
  Elem elem = plan.type(integer).elem;
  if (elem == Elem::I64)
    return integer;
  // The narrow induction variable of a loop is a truncation of the wide one, which it equals.
  OpId op = plan.values[integer].op;
  if (op != kNone && plan.op(op).kind == OpKind::TruncI && plan.op(op).attributes.has("exact"))
    return plan.op(op).operands[0];
  return builder.value(elem == Elem::I1 ? OpKind::ExtUI : OpKind::ExtSI, {integer}, Type::scalar(Elem::I64));
}

ValueId Planner::scalar(ValueId tileValue) const {
  OPW_CHECK(scalars[tileValue] != kNone, "a scalar is used before it was lowered");
  return scalars[tileValue];
}

} // namespace opw::passes
