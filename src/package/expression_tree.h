// The tree between the parser and the emitter of expressions. Inside src/package only.
#pragma once

#include "package/expression.h"

#include <memory>

namespace opw::package {

struct Node {
  uint8_t op = 0;      ///< OPW_X_*
  uint8_t element = 0; ///< of a variadic input
  uint16_t b = 0;
  int32_t imm = 0;
  bool isFloat = false;
  int64_t integer = 0; ///< of OPW_X_INT: any int64, the emitter takes the pool where it must
  double number = 0;   ///< of OPW_X_FPOOL
  uint32_t column = 1;
  std::vector<std::unique_ptr<Node>> children;

  bool isConstant() const { return op == OPW_X_INT || op == OPW_X_FPOOL; }
};
using NodePtr = std::unique_ptr<Node>;

/// Where and in which text an error is.
struct Place {
  std::string_view text;
  const std::string &what;

  Diagnostic error(uint32_t column, std::string message, std::string hint = {}) const;
};

/// Parses and types the whole text; the tree has at most OPW_MAX_CODE nodes, so it may be walked by recursion.
Result<NodePtr> parseExpression(std::string_view text, const Scope &scope, const std::string &what);

/// Folds constants. What would be poison (1 // 0, an overflow) stays: it may be the side of a select that is not taken.
void foldExpression(NodePtr &node);

/// Postfix code of a folded tree.
Result<Program> emitExpression(const Node &node, Pools &pools, const Place &place);

} // namespace opw::package
