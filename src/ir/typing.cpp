#include "ir/typing.h"

#include "ir/typing_rules.h"
#include "support/check.h"
#include "support/text.h"

#include <array>

namespace opw::ir {

namespace {

constexpr size_t kOpCount = 0
#define OPW_OP(id, text, traits) +1
#include "ir/ops.def"
#undef OPW_OP
    ;

std::array<Rule, kOpCount> buildRules() {
  std::array<Rule, kOpCount> rules{};
  for (size_t i = 0; i < kOpCount; ++i) {
    auto kind = static_cast<OpKind>(i);
    Rule &rule = rules[i];
    bool found = ruleOfArith(kind, rule) || ruleOfShape(kind, rule) || ruleOfMemory(kind, rule) ||
                 ruleOfControl(kind, rule) || ruleOfPlan(kind, rule);
    OPW_CHECK(found, "no type rule for " + std::string(name(kind)));
  }
  return rules;
}

const Rule &ruleOf(OpKind kind) {
  static const std::array<Rule, kOpCount> rules = buildRules();
  return rules[static_cast<size_t>(kind)];
}

std::string countText(size_t least, size_t most) {
  if (least == most)
    return std::to_string(least);
  return most == kAny ? "at least " + std::to_string(least) : std::to_string(least) + " to " + std::to_string(most);
}

std::string typesText(const std::vector<Type> &types) {
  std::string text = "(";
  for (size_t i = 0; i < types.size(); ++i)
    text += (i == 0 ? "" : ", ") + types[i].str();
  return text + ")";
}

} // namespace

void OpView::same(const Type &found, const Type &expected, std::string_view what) {
  if (found != expected)
    fail(std::string(what) + " has type " + found.str() + ", expected " + expected.str());
}

void OpView::operandCountIs(size_t least, size_t most) const {
  if (operandCount() < least || (most != kAny && operandCount() > most))
    fail("found " + counted(operandCount(), "operand") + ", expected " + countText(least, most));
}

void OpView::resultCountIs(size_t count) const {
  if (op.results.size() != count)
    fail("found " + counted(op.results.size(), "result") + ", expected " + std::to_string(count));
}

void OpView::sameShape(const Type &a, const Type &b) const {
  bool equal = a.kind == TypeKind::Value && b.kind == TypeKind::Value && a.rank == b.rank && a.log2dim == b.log2dim;
  if (!equal)
    fail("found " + a.str() + " and " + b.str() + ", expected the same shape");
}

int64_t OpView::integer(std::string_view attribute) const {
  const Attribute *found = op.attributes.find(attribute);
  if (found == nullptr || found->kind != Attribute::Kind::Int)
    fail("expected an integer attribute '" + std::string(attribute) + "'");
  return found->integer;
}

std::string_view OpView::keywordOf(std::string_view attribute, std::span<const std::string_view> allowed) const {
  const Attribute *found = op.attributes.find(attribute);
  if (found == nullptr || found->kind != Attribute::Kind::Keyword)
    fail("expected an attribute '" + std::string(attribute) + "' with a word as its value");
  std::string all;
  for (std::string_view word : allowed) {
    if (found->text == word)
      return found->text;
    all += (all.empty() ? "" : ", ") + std::string(word);
  }
  fail("found '" + excerpt(found->text) + "' for " + std::string(attribute) + ", expected one of " + all);
}

unsigned OpView::axis(const Type &type) const {
  int64_t value = integer("axis");
  if (value < 0 || value >= type.rank)
    fail("axis " + std::to_string(value) + " is out of range for " + type.str());
  return static_cast<unsigned>(value);
}

const Block &OpView::entry(size_t region) const {
  if (isEmptyRegion(region))
    fail("expected a region with a block");
  return fn.block(op.regions[region].blocks.front());
}

void OpView::entryArguments(size_t region, const std::vector<Type> &types) const {
  std::vector<Type> found;
  for (ValueId argument : entry(region).arguments)
    found.push_back(fn.type(argument));
  if (found != types)
    fail("the region takes " + typesText(found) + ", expected " + typesText(types));
}

void OpView::leavesWith(size_t region, OpKind kind, const std::vector<Type> &types, size_t skip) const {
  entry(region);
  for (BlockId block : op.regions[region].blocks) {
    if (fn.block(block).ops.empty())
      fail("a block of the region is empty, expected it to end in " + std::string(name(kind)));
    const Op &last = fn.op(fn.block(block).ops.back());
    bool branches = last.kind == OpKind::Br || last.kind == OpKind::CondBr;
    if (branches)
      continue;
    if (last.kind != kind)
      fail("a block of the region ends in " + std::string(name(last.kind)) + ", expected " + std::string(name(kind)));
    std::vector<Type> found;
    for (size_t i = skip; i < last.operands.size(); ++i)
      found.push_back(fn.type(last.operands[i]));
    if (found != types)
      fail(std::string(name(kind)) + " passes " + typesText(found) + ", expected " + typesText(types));
  }
}

std::string checkOp(const Function &function, const Op &op) {
  const Rule &rule = ruleOf(op.kind);
  OpView view{function, op};
  try {
    view.operandCountIs(rule.least, rule.most);
    if (rule.results != kAny)
      view.resultCountIs(rule.results);
    if (op.regions.size() != rule.regions)
      OpView::fail("found " + counted(op.regions.size(), "region") + ", expected " + std::to_string(rule.regions));
    bool isBranch = op.kind == OpKind::Br || op.kind == OpKind::CondBr;
    if (!isBranch && !op.successors.empty())
      OpView::fail("found a successor block, expected none");
    if (rule.check != nullptr)
      rule.check(view);
  } catch (RuleBroken &broken) {
    return std::move(broken.message);
  }
  return {};
}

unsigned regionCount(OpKind kind) { return ruleOf(kind).regions; }
bool takesOperands(OpKind kind) { return ruleOf(kind).most > 0; }

Type pointeeOf(Type type) {
  OPW_CHECK(type.isPointer(), "no pointer: " + type.str());
  --type.pointerDepth;
  return type;
}

Type maskOf(const Type &type) { return type.withElem(Elem::I1); }

} // namespace opw::ir
