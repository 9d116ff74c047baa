// Private to typing*.cpp: the view that rules have of an op, and the rules by family.
#pragma once

#include "ir/typing.h"

#include <span>
#include <string_view>

namespace opw::ir {

/// Thrown by OpView::fail, caught by checkOp.
struct RuleBroken {
  std::string message;
};

struct OpView {
  const Function &fn;
  const Op &op;

  size_t operandCount() const { return op.operands.size(); }
  const Type &in(size_t i) const { return fn.values[op.operands[i]].type; }
  const Type &out(size_t i = 0) const { return fn.values[op.results[i]].type; }

  [[noreturn]] static void fail(std::string message) { throw RuleBroken{std::move(message)}; }
  static void require(bool condition, const char *message) {
    if (!condition)
      fail(message);
  }
  /// Fails unless both are equal, naming what is compared.
  static void same(const Type &found, const Type &expected, std::string_view what);
  void operandIs(size_t i, const Type &expected) const { same(in(i), expected, "operand " + std::to_string(i + 1)); }
  void resultIs(const Type &expected, size_t i = 0) const { same(out(i), expected, "result " + std::to_string(i + 1)); }
  void operandCountIs(size_t least, size_t most) const;
  void resultCountIs(size_t count) const;
  void sameShape(const Type &a, const Type &b) const;
  int64_t integer(std::string_view attribute) const;
  /// The text of a keyword attribute, which must be one of those listed.
  template <size_t N> std::string_view keyword(std::string_view attribute, const std::string_view (&allowed)[N]) const {
    return keywordOf(attribute, allowed);
  }
  std::string_view keywordOf(std::string_view attribute, std::span<const std::string_view> allowed) const;
  unsigned axis(const Type &type) const;
  /// The region's entry block must have arguments of exactly these types.
  void entryArguments(size_t region, const std::vector<Type> &types) const;
  /// Every block of the region that leaves it does so by `kind` with operands of these types after the first `skip`.
  void leavesWith(size_t region, OpKind kind, const std::vector<Type> &types, size_t skip = 0) const;
  const Block &entry(size_t region) const;
  bool isEmptyRegion(size_t region) const { return region >= op.regions.size() || op.regions[region].blocks.empty(); }
};

struct Rule {
  uint8_t least;   ///< operands
  uint8_t most;    ///< operands; kAny: no limit
  uint8_t results; ///< kAny: the check decides
  uint8_t regions;
  void (*check)(const OpView &);
};
inline constexpr uint8_t kAny = 255;

/// Each family returns true and the rule when the op is its own.
bool ruleOfArith(OpKind kind, Rule &rule);
bool ruleOfShape(OpKind kind, Rule &rule);
bool ruleOfMemory(OpKind kind, Rule &rule);
bool ruleOfControl(OpKind kind, Rule &rule);
bool ruleOfPlan(OpKind kind, Rule &rule);

} // namespace opw::ir
