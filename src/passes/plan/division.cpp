// Quotients and remainders of the index that counts a block's elements, as addresses have them: `x % channels`,
// `x // channels`. Where the index is not negative and a divisor is a multiple of a vector's lanes, a vector of it has
// one quotient, and its remainders count up: whole vectors are loaded instead of single elements.
#include "passes/plan/planner.h"

#include <algorithm>

namespace opw::passes {

using namespace ir;

namespace {

/// Whether a scalar is not negative unless it has wrapped: it is made of program ids and sizes that are constants.
bool isCount(const Planner &p, ValueId value, unsigned depth = 8) {
  int64_t known = 0;
  if (p.isConstant(value, known))
    return known >= 0;
  const Value &v = p.plan.values[value];
  if (depth == 0)
    return false;
  if (v.op == kNone) {
    OpId owner = p.plan.block(v.block).owner;
    bool isVariable = owner != kNone && p.plan.op(owner).kind == OpKind::PlanLoop && v.index == 0;
    return isVariable && p.isConstant(p.plan.op(owner).operands[2], known) && known > 0 &&
           isCount(p, p.plan.op(owner).operands[0], depth - 1);
  }
  const Op &op = p.plan.op(v.op);
  auto all = [&] {
    return std::all_of(op.operands.begin(), op.operands.end(),
                       [&](ValueId operand) { return isCount(p, operand, depth - 1); });
  };
  switch (op.kind) {
  case OpKind::GetProgramId:
    return true;
  case OpKind::ExtSI:
  case OpKind::TruncI:
  case OpKind::AddI:
  case OpKind::MulI:
  case OpKind::RemSI:
  case OpKind::DivSI:
    return all();
  default:
    return false;
  }
}

} // namespace

/// Marks such a division of an address, and ends the launch with an error where its index has wrapped, in which case
/// the addresses would be those of other elements.
void Planner::guardDivision(const Op &op) {
  const Type type = tile.type(op.operands[0]);
  if (!addresses[op.results[0]])
    return;
  auto lanes = static_cast<int64_t>(std::max(options.vectorLanes, 8u));
  int64_t divisor = 0;
  Form by = formOf(op.operands[1]), index = formOf(op.operands[0]);
  int dim = countsAlong(index);
  if (!by.isUniform() || !isConstant(by.base, divisor) || divisor <= 0 || divisor % lanes != 0 || dim < 0 ||
      !isMultiple(index.base, lanes) || !isCount(*this, index.base))
    return;
  blockwise[op.results[0]] = true;
  int64_t largest = type.elem == Elem::I64 ? INT64_MAX : (int64_t{1} << (bitWidth(type.elem) - 1)) - 1;
  int64_t last = largest - (type.dim(static_cast<unsigned>(dim)) - 1), start = 0;
  if ((isConstant(index.base, start) && start <= last) || !inRange.emplace(builder.block(), index.base, last).second)
    return;
  Attributes attributes; // the compare is unsigned: a negative start is larger, too
  attributes.set("message", Attribute::string(std::string("the int") + std::to_string(bitWidth(type.elem)) +
                                              " index that is divided here has wrapped; compute it in int64"));
  builder.create(OpKind::Assert, {compare("ule", index.base, constant(last))}, {}, std::move(attributes));
}

} // namespace opw::passes
