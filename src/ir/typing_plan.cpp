// Rules of plan ops. That lane loops do not nest is the verifier's: it knows what encloses an op.
#include "ir/typing_rules.h"

namespace opw::ir {

namespace {

const Type kIndex = Type::scalar(Elem::I64);

void requireScalarPointer(const Type &type) {
  if (!type.isScalar() || !type.isPointer())
    OpView::fail("found " + type.str() + ", expected a pointer");
}

void buffer(const OpView &view) {
  requireScalarPointer(view.out());
  OpView::require(view.integer("elements") > 0, "expected 'elements' to be positive");
  if (view.op.attributes.has("offset"))
    OpView::require(view.integer("offset") >= 0, "expected 'offset' not to be negative");
}

/// The names in `combine` are binary ops that take any order.
void combineList(const OpView &view, size_t carried) {
  const Attribute *list = view.op.attributes.find("combine");
  if (list == nullptr && carried == 0)
    return;
  bool isList = list != nullptr && (list->kind == Attribute::Kind::List ||
                                    (list->kind == Attribute::Kind::Ints && list->integers.empty()));
  OpView::require(isList, "expected a list 'combine' on a lane loop that carries values");
  if (list->items.size() != carried)
    OpView::fail("'combine' has " + std::to_string(list->items.size()) + " names for " + std::to_string(carried) +
                 " carried values");
  for (const auto &[key, item] : list->items) {
    OpKind kind;
    bool valid = item.kind == Attribute::Kind::Keyword && findOp(item.text, kind) && has(kind, kCommutative);
    if (!valid)
      OpView::fail("'" + item.text + "' in 'combine' is not a commutative op");
  }
}

void loop(const OpView &view) {
  for (size_t i = 0; i < 3; ++i)
    view.operandIs(i, kIndex);
  size_t carried = view.operandCount() - 3;
  view.resultCountIs(carried);
  std::vector<Type> arguments = {kIndex}, types;
  for (size_t i = 0; i < carried; ++i) {
    OpView::require(view.in(3 + i).isScalar(), "expected carried values to be single elements");
    view.resultIs(view.in(3 + i), i);
    types.push_back(view.in(3 + i));
    arguments.push_back(view.in(3 + i));
  }
  OpView::require(view.op.regions[0].blocks.size() == 1, "expected a region of one block");
  view.entryArguments(0, arguments);
  view.leavesWith(0, OpKind::Yield, types);
  if (!view.op.attributes.has("lane"))
    return;
  combineList(view, carried);
  const Value &step = view.fn.values[view.op.operands[2]];
  bool isOne = step.op != kNone && view.fn.op(step.op).kind == OpKind::Constant &&
               view.fn.op(step.op).attributes.intOr("value", 0) == 1;
  OpView::require(isOne, "expected the step of a lane loop to be the constant 1");
}

void load(const OpView &view) {
  requireScalarPointer(view.in(0));
  Type value = pointeeOf(view.in(0));
  view.operandIs(1, kIndex);
  if (view.operandCount() > 2)
    view.operandIs(2, Type::scalar(Elem::I1));
  if (view.operandCount() > 3)
    view.operandIs(3, value);
  view.resultIs(value);
}

void store(const OpView &view) {
  requireScalarPointer(view.in(0));
  view.operandIs(1, kIndex);
  view.operandIs(2, pointeeOf(view.in(0)));
  if (view.operandCount() > 3)
    view.operandIs(3, Type::scalar(Elem::I1));
}

void prefetch(const OpView &view) {
  requireScalarPointer(view.in(0));
  view.operandIs(1, kIndex);
}

void dot(const OpView &view) {
  for (size_t i = 0; i < view.operandCount(); ++i)
    requireScalarPointer(view.in(i));
  for (std::string_view extent : {"rows", "lanes", "depth"})
    OpView::require(view.integer(extent) > 0, "expected 'rows', 'lanes' and 'depth' to be positive");
  for (std::string_view stride : {"c_row", "a_row", "a_col", "panel"})
    (void)view.integer(stride);
  std::string_view init = view.keyword("init", {"zero", "load", "scale_rows", "scale_lanes"});
  bool scales = init.substr(0, 5) == "scale";
  view.operandCountIs(scales ? 4 : 3, scales ? 4 : 3);
}

void memo(const OpView &view) {
  for (size_t i = 0; i < view.operandCount(); ++i)
    OpView::require(view.in(i).isScalar(), "expected keys to be scalars");
  OpView::require(view.integer("slot") >= 0, "expected 'slot' not to be negative");
  OpView::require(view.op.regions[0].blocks.size() == 1, "expected a region of one block");
  view.entryArguments(0, {});
  view.leavesWith(0, OpKind::Yield, {});
}

} // namespace

bool ruleOfPlan(OpKind kind, Rule &rule) {
  switch (kind) {
  case OpKind::PlanBuffer:
    rule = {0, 0, 1, 0, buffer};
    return true;
  case OpKind::PlanLoop:
    rule = {3, kAny, kAny, 1, loop};
    return true;
  case OpKind::PlanLoad:
    rule = {2, 4, 1, 0, load};
    return true;
  case OpKind::PlanStore:
    rule = {3, 4, 0, 0, store};
    return true;
  case OpKind::PlanPrefetch:
    rule = {2, 2, 0, 0, prefetch};
    return true;
  case OpKind::PlanDot:
    rule = {3, 4, 0, 0, dot};
    return true;
  case OpKind::PlanMemo:
    rule = {0, kAny, 0, 1, memo};
    return true;
  default:
    return false;
  }
}

} // namespace opw::ir
