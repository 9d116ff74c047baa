#include "package/expression_tree.h"

#include <charconv>
#include <cstdlib>
#include <map>
#include <optional>

namespace opw::package {
namespace {

struct Token {
  enum Kind : uint8_t { End, Name, Integer, Float, Symbol } kind = End;
  std::string_view text;
  uint32_t column = 1;
};

struct BinaryOp {
  int level;               ///< binds tighter the higher it is
  uint8_t integer, number; ///< opcodes; 0 = not for floats
  bool swap = false, negate = false;
};

/// Every binary operator with its spelling. > and >= are < and <= with swapped operands; != of floats is not FEQ.
const std::map<std::string_view, BinaryOp> kBinary{
    {"or", {1, OPW_X_OR, 0}},          {"||", {1, OPW_X_OR, 0}},
    {"and", {2, OPW_X_AND, 0}},        {"&&", {2, OPW_X_AND, 0}},
    {"==", {4, OPW_X_EQ, OPW_X_FEQ}},  {"!=", {4, OPW_X_NE, OPW_X_FEQ, false, true}},
    {"<", {4, OPW_X_LT, OPW_X_FLT}},   {">", {4, OPW_X_LT, OPW_X_FLT, true}},
    {"<=", {4, OPW_X_LE, 0}},          {">=", {4, OPW_X_LE, 0, true}},
    {"+", {5, OPW_X_ADD, OPW_X_FADD}}, {"-", {5, OPW_X_SUB, OPW_X_FSUB}},
    {"*", {6, OPW_X_MUL, OPW_X_FMUL}}, {"/", {6, OPW_X_FDIV, OPW_X_FDIVF}},
    {"//", {6, OPW_X_FDIV, 0}},        {"///", {6, OPW_X_CDIV, 0}},
    {"%", {6, OPW_X_MOD, 0}},
};
constexpr int kComparison = 4, kNot = 3, kUnary = 7, kMaxNesting = 300;

struct Call {
  uint8_t integer, number;
  size_t operands;
};
const std::map<std::string_view, Call> kCalls{
    {"cdiv", {OPW_X_CDIV, 0, 2}},        {"min", {OPW_X_MIN, OPW_X_FMIN, 2}},
    {"max", {OPW_X_MAX, OPW_X_FMAX, 2}}, {"abs", {OPW_X_ABS, 0, 1}},
    {"npow2", {OPW_X_NPOW2, 0, 1}},      {"sqrt", {0, OPW_X_FSQRT, 1}},
    {"floor", {0, OPW_X_FLOOR, 1}},      {"ceil", {0, OPW_X_CEIL, 1}},
    {"round", {0, OPW_X_ROUND, 1}},      {"select", {OPW_X_SELECT, OPW_X_SELECT, 3}},
};

/// Calls whose first operand is the name of a tensor; `second`: none, a constant axis, or an expression.
struct TensorCall {
  uint8_t op;
  enum { None, Axis, Dynamic } second;
  bool variadic;
};
const std::map<std::string_view, TensorCall> kTensorCalls{
    {"rank", {OPW_X_RANK, TensorCall::None, false}},         {"numel", {OPW_X_NUMEL, TensorCall::None, false}},
    {"itemsize", {OPW_X_ITEMSIZE, TensorCall::None, false}}, {"present", {OPW_X_PRESENT, TensorCall::None, false}},
    {"count", {OPW_X_COUNT, TensorCall::None, true}},        {"sumdim", {OPW_X_SUMDIM, TensorCall::Axis, true}},
    {"stride", {OPW_X_STRIDE, TensorCall::Axis, false}},     {"value", {OPW_X_VALUE, TensorCall::Axis, false}},
    {"dim", {OPW_X_DIM, TensorCall::Dynamic, false}},
};

bool isNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool isDigit(char c) { return c >= '0' && c <= '9'; }

class Parser {
public:
  Parser(std::string_view text, const Scope &scope, const std::string &what) : scope(scope), place{text, what} {
    take();
  }

  Result<NodePtr> whole() {
    NodePtr node = ternary();
    if (!failed && token.kind != Token::End)
      fail(token.column, "found '" + std::string(token.text) + "', expected an operator or the end");
    if (failed)
      return *failed;
    return node;
  }

private:
  const Scope &scope;
  Place place;
  size_t pos = 0;
  Token token;
  int nesting = 0;
  size_t nodes = 0;
  std::optional<Diagnostic> failed; ///< the first error; parsing goes on with dummies that nobody sees

  NodePtr fail(uint32_t column, std::string message, std::string hint = {}) {
    if (!failed)
      failed = place.error(column, std::move(message), std::move(hint));
    token = Token{};
    pos = place.text.size();
    return leaf(OPW_X_INT, column);
  }

  NodePtr leaf(uint8_t op, uint32_t column, bool isFloat = false) {
    if (++nodes == OPW_MAX_CODE + 1)
      fail(column, "the expression has more than " + std::to_string(OPW_MAX_CODE) + " operations",
           "name common parts in vars");
    auto node = std::make_unique<Node>();
    node->op = op;
    node->column = column;
    node->isFloat = isFloat;
    return node;
  }

  // ---- tokens

  void take() {
    std::string_view t = place.text;
    while (pos < t.size() && (t[pos] == ' ' || t[pos] == '\t' || t[pos] == '\n'))
      ++pos;
    token = Token{Token::End, {}, static_cast<uint32_t>(pos + 1)};
    if (pos == t.size())
      return;
    size_t start = pos;
    if (isNameStart(t[pos])) {
      while (pos < t.size() && (isNameStart(t[pos]) || isDigit(t[pos])))
        ++pos;
      token.kind = Token::Name;
    } else if (isDigit(t[pos])) {
      takeNumber();
    } else {
      for (std::string_view symbol : {"///", "//", "==", "!=", "<=", ">=", "&&", "||"})
        if (t.substr(pos, symbol.size()) == symbol) {
          pos += symbol.size();
          break;
        }
      pos += pos == start;
      token.kind = Token::Symbol;
    }
    token.text = t.substr(start, pos - start);
  }

  void takeNumber() {
    std::string_view t = place.text;
    token.kind = Token::Integer;
    while (pos < t.size() && isDigit(t[pos]))
      ++pos;
    // "1.5" is a float; a size like x.0 has its dot behind a name, never behind a number
    if (pos + 1 < t.size() && t[pos] == '.' && isDigit(t[pos + 1])) {
      token.kind = Token::Float;
      for (++pos; pos < t.size() && isDigit(t[pos]);)
        ++pos;
    }
    if (pos + 1 < t.size() && (t[pos] == 'e' || t[pos] == 'E')) {
      size_t p = pos + 1;
      p += t[p] == '-' || t[p] == '+';
      if (p < t.size() && isDigit(t[p])) {
        token.kind = Token::Float;
        for (pos = p; pos < t.size() && isDigit(t[pos]);)
          ++pos;
      }
    }
  }

  bool accept(std::string_view text) {
    if (token.kind == Token::End || token.text != text)
      return false;
    take();
    return true;
  }

  void expect(std::string_view text) {
    if (!accept(text))
      fail(token.column, "found " + found() + ", expected '" + std::string(text) + "'");
  }

  std::string found() const { return token.kind == Token::End ? "the end" : "'" + std::string(token.text) + "'"; }

  // ---- grammar

  NodePtr ternary() {
    if (++nesting > kMaxNesting)
      return fail(token.column, "the expression is nested too deeply");
    NodePtr node = binary(1);
    uint32_t column = token.column;
    if (accept("?")) {
      NodePtr a = ternary();
      expect(":");
      node = select(std::move(node), std::move(a), ternary(), column);
    } else if (accept("if")) {
      NodePtr condition = binary(1);
      expect("else");
      node = select(std::move(condition), std::move(node), ternary(), column);
    }
    --nesting;
    return node;
  }

  NodePtr binary(int level) {
    if (level == kNot)
      return negation();
    if (level == kUnary)
      return unary();
    NodePtr left = binary(level + 1);
    for (bool compared = false;; compared = true) {
      auto it = kBinary.find(token.text);
      if (token.kind == Token::End || it == kBinary.end() || it->second.level != level)
        return left;
      Token op = token;
      if (level == kComparison && compared)
        return fail(op.column, "found a chain of comparisons, expected one", "write 'a < b and b < c'");
      take();
      NodePtr right = binary(level + 1);
      if (it->second.swap)
        std::swap(left, right);
      left = join(it->second.integer, it->second.number, op, std::move(left), std::move(right));
      if (it->second.negate && left->op == OPW_X_FEQ)
        left = wrap(OPW_X_NOT, std::move(left), false);
    }
  }

  NodePtr negation() {
    uint32_t column = token.column;
    if (++nesting > kMaxNesting)
      return fail(column, "the expression is nested too deeply");
    NodePtr node;
    if (accept("not")) {
      node = wrap(OPW_X_NOT, integer(negation()), false);
      node->column = column;
    } else {
      node = binary(kComparison);
    }
    --nesting;
    return node;
  }

  NodePtr unary() {
    uint32_t column = token.column;
    if (++nesting > kMaxNesting)
      return fail(column, "the expression is nested too deeply");
    NodePtr node;
    bool negative = accept("-");
    if (negative && token.kind == Token::Integer && token.text == "9223372036854775808") {
      take(); // the one integer that is there only with its sign
      node = leaf(OPW_X_INT, column);
      node->integer = INT64_MIN;
    } else if (negative) {
      node = unary();
      bool isFloat = node->isFloat;
      node = wrap(isFloat ? OPW_X_FNEG : OPW_X_NEG, std::move(node), isFloat);
      node->column = column;
    } else if (accept("+")) {
      node = unary();
    } else if (accept("!")) {
      node = wrap(OPW_X_NOT, integer(unary()), false);
    } else {
      node = atom();
    }
    --nesting;
    return node;
  }

  NodePtr atom() {
    Token t = token;
    take();
    switch (t.kind) {
    case Token::Integer: {
      NodePtr node = leaf(OPW_X_INT, t.column);
      auto [end, error] = std::from_chars(t.text.data(), t.text.data() + t.text.size(), node->integer);
      if (error != std::errc() || end != t.text.data() + t.text.size())
        return fail(t.column, "found " + std::string(t.text) + ", expected an integer below 2^63");
      if (token.kind == Token::Name && token.column == t.column + t.text.size())
        return fail(token.column,
                    "found '" + std::string(token.text) + "' right behind a number, expected an operator");
      return node;
    }
    case Token::Float: {
      NodePtr node = leaf(OPW_X_FPOOL, t.column, true);
      node->number = std::strtod(std::string(t.text).c_str(), nullptr);
      return node;
    }
    case Token::Name:
      return name(t);
    case Token::Symbol:
      if (t.text == "(") {
        NodePtr node = ternary();
        expect(")");
        return node;
      }
      break;
    case Token::End:
      break;
    }
    return fail(t.column, "found " + (t.kind == Token::End ? "the end" : "'" + std::string(t.text) + "'") +
                              ", expected a number, a name or '('");
  }

  NodePtr name(const Token &t) {
    if (token.text == "(" && token.kind == Token::Symbol)
      return call(t);
    if (t.text == "true" || t.text == "false") {
      NodePtr node = leaf(OPW_X_INT, t.column);
      node->integer = t.text == "true";
      return node;
    }
    if (const Scope::Tensor *tensor = findTensor(t.text))
      return size(*tensor, t);
    if (const Scope::Attr *attr = find(scope.attrs, t.text))
      return attribute(*attr, t);
    if (const Scope::Named *var = find(scope.vars, t.text)) {
      NodePtr node = leaf(OPW_X_VAR, t.column, var->isFloat);
      node->b = var->index;
      return node;
    }
    if (const Scope::Named *size = find(scope.sizes, t.text)) {
      NodePtr node = leaf(OPW_X_SIZE, t.column);
      node->b = size->index;
      return node;
    }
    return fail(t.column, "found the unknown name '" + std::string(t.text) + "'", "known here: " + known());
  }

  /// x.0 and x.-1
  NodePtr size(const Scope::Tensor &tensor, const Token &t) {
    uint8_t number = element(tensor);
    if (!accept("."))
      return fail(t.column, "found the tensor '" + tensor.name + "', expected a number",
                  "write " + tensor.name + ".0 for its first size, or numel(" + tensor.name + ")");
    NodePtr node = leaf(OPW_X_DIM, t.column);
    node->b = tensor.number;
    node->element = number;
    node->imm = axis();
    return node;
  }

  /// The number in xs[1], a tensor of a variadic input; 0 where there is none.
  uint8_t element(const Scope::Tensor &tensor) {
    if (!tensor.variadic || !accept("["))
      return 0;
    int value = UINT8_MAX + 1;
    if (token.kind == Token::Integer)
      std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
    if (value > UINT8_MAX)
      fail(token.column, "found " + found() + ", expected the number of a tensor, 0 to 255");
    take();
    expect("]");
    return static_cast<uint8_t>(value);
  }

  int32_t axis() {
    bool negative = accept("-");
    int32_t value = OPW_MAX_RANK;
    if (token.kind == Token::Integer)
      std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
    if (value > (negative ? OPW_MAX_RANK : OPW_MAX_RANK - 1)) {
      fail(token.column, "found " + found() + ", expected an axis from -16 to 15");
      return 0;
    }
    take();
    return negative ? -value : value;
  }

  NodePtr attribute(const Scope::Attr &attr, const Token &t) {
    NodePtr node = leaf(OPW_X_ATTR, t.column);
    node->b = attr.index;
    switch (attr.kind) {
    case OPW_ATTR_FLOAT:
      node->op = OPW_X_FATTR;
      node->isFloat = true;
      [[fallthrough]];
    case OPW_ATTR_INT:
    case OPW_ATTR_BOOL:
    case OPW_ATTR_ENUM:
    case OPW_ATTR_DTYPE:
      return node;
    case OPW_ATTR_INTS:
    case OPW_ATTR_BOOLS:
    case OPW_ATTR_BYTES:
    case OPW_ATTR_FLOATS:
      break;
    default:
      return fail(t.column, "found attribute '" + attr.name + "', which is no number");
    }
    if (!accept("["))
      return fail(t.column, "found the list '" + attr.name + "', expected a number", "write " + attr.name + "[0]");
    node->op = attr.kind == OPW_ATTR_FLOATS ? OPW_X_FATTR_AT : OPW_X_ATTR_AT;
    node->isFloat = attr.kind == OPW_ATTR_FLOATS;
    node->children.push_back(integer(ternary()));
    expect("]");
    return node;
  }

  NodePtr call(const Token &t) {
    take(); // (
    if (auto it = kTensorCalls.find(t.text); it != kTensorCalls.end())
      return tensorCall(it->second, t);
    if (t.text == "len") {
      const Scope::Attr *attr = find(scope.attrs, token.text);
      bool list = attr && attr->kind >= OPW_ATTR_BYTES && attr->kind <= OPW_ATTR_STRINGS;
      if (!list)
        return fail(token.column, "found " + found() + ", expected a list attribute");
      take();
      expect(")");
      NodePtr node = leaf(OPW_X_ATTR_LEN, t.column);
      node->b = attr->index;
      return node;
    }
    std::vector<NodePtr> operands;
    do
      operands.push_back(ternary());
    while (accept(","));
    expect(")");
    if (t.text == "float" && operands.size() == 1)
      return number(std::move(operands[0]));
    auto it = kCalls.find(t.text);
    if (it == kCalls.end())
      return fail(t.column, "found a call of '" + std::string(t.text) + "'",
                  "known: cdiv min max abs select npow2 sqrt floor ceil round float len rank numel dim stride itemsize "
                  "present value count sumdim");
    const Call &c = it->second;
    if (operands.size() != c.operands)
      return fail(t.column, "found " + std::to_string(operands.size()) + " operands of " + std::string(t.text) +
                                ", expected " + std::to_string(c.operands));
    if (c.integer == OPW_X_SELECT)
      return select(std::move(operands[0]), std::move(operands[1]), std::move(operands[2]), t.column);
    if (c.operands == 2)
      return join(c.integer, c.number, t, std::move(operands[0]), std::move(operands[1]));
    if (c.integer != 0)
      return at(t.column, wrap(c.integer, integer(std::move(operands[0])), false));
    return at(t.column, wrap(c.number, number(std::move(operands[0])), c.number == OPW_X_FSQRT));
  }

  NodePtr tensorCall(const TensorCall &c, const Token &t) {
    const Scope::Tensor *tensor = findTensor(token.text);
    if (!tensor)
      return fail(token.column, "found " + found() + ", expected a tensor", "known here: " + known());
    if (c.variadic && !tensor->variadic)
      return fail(token.column, "found " + found() + ", expected a variadic tensor");
    take();
    NodePtr node = leaf(c.op, t.column);
    node->b = tensor->number;
    if (!c.variadic)
      node->element = element(*tensor);
    if (c.op == OPW_X_VALUE) {
      if (!tensor->host)
        return fail(t.column, "found value(" + tensor->name + "), expected a host input");
      if (tensor->valueKind == 0)
        return fail(t.column, "'" + tensor->name + "' is an integer in one combination and a float in another");
      node->isFloat = tensor->valueKind == 'F';
    }
    if (c.second != TensorCall::None) {
      expect(",");
      if (c.second == TensorCall::Axis) {
        node->imm = axis();
      } else {
        NodePtr index = integer(ternary());
        if (index->op == OPW_X_INT && index->integer >= -OPW_MAX_RANK && index->integer < OPW_MAX_RANK) {
          node->imm = static_cast<int32_t>(index->integer);
        } else {
          node->op = OPW_X_DIM_AT;
          node->children.push_back(std::move(index));
        }
      }
    }
    expect(")");
    return node;
  }

  // ---- types

  NodePtr at(uint32_t column, NodePtr node) {
    node->column = column;
    return node;
  }

  NodePtr wrap(uint8_t op, NodePtr child, bool isFloat) {
    NodePtr node = leaf(op, child->column, isFloat);
    node->children.push_back(std::move(child));
    return node;
  }

  NodePtr number(NodePtr node) { return node->isFloat ? std::move(node) : wrap(OPW_X_I2F, std::move(node), true); }

  NodePtr integer(NodePtr node) {
    if (node->isFloat)
      return fail(node->column, "found a float, expected an integer", "floor(), ceil() or round() makes one");
    return node;
  }

  NodePtr join(uint8_t integerOp, uint8_t floatOp, const Token &op, NodePtr left, NodePtr right) {
    bool isFloat = left->isFloat || right->isFloat;
    if (isFloat && floatOp == 0)
      return fail(op.column, "found '" + std::string(op.text) + "' of a float, expected integers",
                  op.text == "<=" || op.text == ">=" ? "write not (b < a)" : "floor(), ceil() or round() makes one");
    NodePtr node = leaf(isFloat ? floatOp : integerOp, op.column);
    node->isFloat = isFloat && floatOp != OPW_X_FLT && floatOp != OPW_X_FEQ;
    node->children.push_back(isFloat ? number(std::move(left)) : std::move(left));
    node->children.push_back(isFloat ? number(std::move(right)) : std::move(right));
    return node;
  }

  NodePtr select(NodePtr condition, NodePtr a, NodePtr b, uint32_t column) {
    bool isFloat = a->isFloat || b->isFloat;
    NodePtr node = leaf(OPW_X_SELECT, column, isFloat);
    node->children.push_back(integer(std::move(condition)));
    node->children.push_back(isFloat ? number(std::move(a)) : std::move(a));
    node->children.push_back(isFloat ? number(std::move(b)) : std::move(b));
    return node;
  }

  // ---- names

  template <typename T> const T *find(const std::vector<T> &list, std::string_view name) const {
    for (const T &entry : list)
      if (entry.name == name)
        return &entry;
    return nullptr;
  }
  const Scope::Tensor *findTensor(std::string_view name) const { return find(scope.tensors, name); }

  std::string known() const {
    std::string out;
    auto add = [&](const auto &list) {
      for (const auto &entry : list)
        out += (out.empty() ? "" : ", ") + entry.name;
    };
    add(scope.tensors);
    add(scope.attrs);
    add(scope.vars);
    add(scope.sizes);
    return out.empty() ? "nothing" : out;
  }
};

} // namespace

Diagnostic Place::error(uint32_t column, std::string message, std::string hint) const {
  Diagnostic d;
  d.where = {what, 1, column};
  d.message = std::move(message) + ", in '" + std::string(text) + "'";
  d.hint = std::move(hint);
  return d;
}

Result<NodePtr> parseExpression(std::string_view text, const Scope &scope, const std::string &what) {
  return Parser(text, scope, what).whole();
}

} // namespace opw::package
