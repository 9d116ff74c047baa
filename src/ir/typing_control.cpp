// Rules of control flow, calls and debugging ops. What a branch passes to a block is the verifier's: it knows the
// blocks.
#include "ir/typing_rules.h"

namespace opw::ir {

namespace {

const Type kBool = Type::scalar(Elem::I1);

std::vector<Type> typesOf(const OpView &view, const std::vector<ValueId> &values, size_t from = 0) {
  std::vector<Type> types;
  for (size_t i = from; i < values.size(); ++i)
    types.push_back(view.fn.type(values[i]));
  return types;
}

void singleBlock(const OpView &view, size_t region) {
  OpView::require(view.op.regions[region].blocks.size() == 1, "expected a region of one block");
}

void forLoop(const OpView &view) {
  const Type &type = view.in(0);
  if (!type.isScalar() || !type.isIntegerLike())
    OpView::fail("found bounds of type " + type.str() + ", expected integers");
  view.operandIs(1, type);
  view.operandIs(2, type);
  std::vector<Type> carried = typesOf(view, view.op.operands, 3);
  std::vector<Type> results = typesOf(view, view.op.results);
  OpView::require(carried == results, "expected one result for each carried value, of its type");
  singleBlock(view, 0);
  std::vector<Type> arguments = carried;
  arguments.insert(arguments.begin(), type);
  view.entryArguments(0, arguments);
  view.leavesWith(0, OpKind::Yield, carried);
}

void ifElse(const OpView &view) {
  view.operandIs(0, kBool);
  std::vector<Type> results = typesOf(view, view.op.results);
  for (size_t region = 0; region < 2; ++region) {
    if (region == 1 && view.isEmptyRegion(1)) {
      OpView::require(results.empty(), "expected an else region, there are results");
      return;
    }
    view.entryArguments(region, {});
    singleBlock(view, region);
    view.leavesWith(region, OpKind::Yield, results);
  }
}

void whileLoop(const OpView &view) {
  std::vector<Type> carried = typesOf(view, view.op.operands);
  std::vector<Type> results = typesOf(view, view.op.results);
  view.entryArguments(0, carried);
  singleBlock(view, 0);
  view.leavesWith(0, OpKind::Condition, results, 1);
  view.entryArguments(1, results);
  singleBlock(view, 1);
  view.leavesWith(1, OpKind::Yield, carried);
}

void condition(const OpView &view) { view.operandIs(0, kBool); }

void branch(const OpView &view) {
  size_t expected = view.op.kind == OpKind::Br ? 1 : 2;
  OpView::require(view.op.successors.size() == expected, "expected one successor block for cf.br, two for cf.cond_br");
  if (view.op.kind == OpKind::CondBr)
    view.operandIs(0, kBool);
}

void call(const OpView &view) {
  const Attribute *callee = view.op.attributes.find("callee");
  OpView::require(callee != nullptr && callee->kind == Attribute::Kind::Symbol, "expected a symbol attribute 'callee'");
}

void print(const OpView &view) {
  const Attribute *prefix = view.op.attributes.find("prefix");
  OpView::require(prefix != nullptr && prefix->kind == Attribute::Kind::String, "expected a string attribute 'prefix'");
  for (size_t i = 0; i < view.operandCount(); ++i)
    OpView::require(view.in(i).kind == TypeKind::Value, "expected scalars or tiles to print");
}

void assertion(const OpView &view) {
  OpView::require(view.in(0).kind == TypeKind::Value, "expected i1 or a tile of i1");
  view.operandIs(0, maskOf(view.in(0)));
  const Attribute *message = view.op.attributes.find("message");
  OpView::require(message != nullptr && message->kind == Attribute::Kind::String,
                  "expected a string attribute 'message'");
}

} // namespace

bool ruleOfControl(OpKind kind, Rule &rule) {
  switch (kind) {
  case OpKind::For:
    rule = {3, kAny, kAny, 1, forLoop};
    return true;
  case OpKind::If:
    rule = {1, 1, kAny, 2, ifElse};
    return true;
  case OpKind::While:
    rule = {0, kAny, kAny, 2, whileLoop};
    return true;
  case OpKind::Condition:
    rule = {1, kAny, 0, 0, condition};
    return true;
  case OpKind::Yield:
  case OpKind::Return:
    rule = {0, kAny, 0, 0, nullptr};
    return true;
  case OpKind::Br:
    rule = {0, 0, 0, 0, branch};
    return true;
  case OpKind::CondBr:
    rule = {1, 1, 0, 0, branch};
    return true;
  case OpKind::Call:
    rule = {0, kAny, kAny, 0, call};
    return true;
  case OpKind::Print:
    rule = {0, kAny, 0, 0, print};
    return true;
  case OpKind::Assert:
    rule = {1, 1, 0, 0, assertion};
    return true;
  case OpKind::Assume:
    rule = {1, 1, 0, 0, condition};
    return true;
  case OpKind::Poison:
    rule = {0, 0, 1, 0, nullptr};
    return true;
  case OpKind::Barrier:
  case OpKind::GpuBarrier:
  case OpKind::GridDependencyWait:
  case OpKind::GridDependencyLaunchDependents:
    rule = {0, 0, 0, 0, nullptr};
    return true;
  default:
    return false;
  }
}

} // namespace opw::ir
