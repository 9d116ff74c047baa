#include "package/expression_tree.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

namespace opw::package {
namespace {

int64_t floorDivide(int64_t a, int64_t b) { return a / b - ((a % b != 0) && ((a < 0) != (b < 0))); }

/// An integer operation on constants as the runtime computes it; nothing where it would be poison.
std::optional<int64_t> foldBinary(uint8_t op, int64_t a, int64_t b) {
  int64_t r = 0;
  switch (op) {
  case OPW_X_ADD:
    return __builtin_add_overflow(a, b, &r) ? std::nullopt : std::optional(r);
  case OPW_X_SUB:
    return __builtin_sub_overflow(a, b, &r) ? std::nullopt : std::optional(r);
  case OPW_X_MUL:
    return __builtin_mul_overflow(a, b, &r) ? std::nullopt : std::optional(r);
  case OPW_X_FDIV:
  case OPW_X_CDIV:
  case OPW_X_MOD:
    if (b == 0 || (a == INT64_MIN && b == -1 && op != OPW_X_MOD))
      return std::nullopt;
    if (b == -1)
      return op == OPW_X_MOD ? 0 : -a;
    if (op == OPW_X_MOD)
      return a - floorDivide(a, b) * b;
    return floorDivide(a, b) + (op == OPW_X_CDIV && a % b != 0);
  case OPW_X_MIN:
    return std::min(a, b);
  case OPW_X_MAX:
    return std::max(a, b);
  case OPW_X_EQ:
    return a == b;
  case OPW_X_NE:
    return a != b;
  case OPW_X_LT:
    return a < b;
  case OPW_X_LE:
    return a <= b;
  case OPW_X_AND:
    return a && b;
  case OPW_X_OR:
    return a || b;
  default:
    return std::nullopt;
  }
}

std::optional<int64_t> foldUnary(uint8_t op, int64_t a) {
  switch (op) {
  case OPW_X_NOT:
    return !a;
  case OPW_X_NEG:
    return a == INT64_MIN ? std::nullopt : std::optional(-a);
  case OPW_X_ABS:
    return a == INT64_MIN ? std::nullopt : std::optional(a < 0 ? -a : a);
  case OPW_X_NPOW2: {
    if (a > int64_t{1} << 62)
      return std::nullopt;
    int64_t p = 1;
    while (p < a)
      p *= 2;
    return p;
  }
  default:
    return std::nullopt;
  }
}

bool isBinaryInteger(uint8_t op) { return op >= OPW_X_ADD && op <= OPW_X_OR; }
bool isUnaryInteger(uint8_t op) { return op >= OPW_X_NOT && op <= OPW_X_NPOW2; }

void becomeInteger(Node &node, int64_t value) {
  node.op = OPW_X_INT;
  node.integer = value;
  node.isFloat = false;
  node.children.clear();
}

void becomeFloat(Node &node, double value) {
  node.op = OPW_X_FPOOL;
  node.number = value;
  node.isFloat = true;
  node.children.clear();
}

/// Float operations on constants that fold exactly as they run; the rest is left to the run time.
void foldFloat(Node &n) {
  double a = n.children[0]->op == OPW_X_FPOOL ? n.children[0]->number : 0;
  double b = n.children.size() > 1 ? n.children[1]->number : 0;
  switch (n.op) {
  case OPW_X_I2F:
    becomeFloat(n, static_cast<double>(n.children[0]->integer));
    break;
  case OPW_X_FNEG:
    becomeFloat(n, -a);
    break;
  case OPW_X_FADD:
    becomeFloat(n, a + b);
    break;
  case OPW_X_FSUB:
    becomeFloat(n, a - b);
    break;
  case OPW_X_FMUL:
    becomeFloat(n, a * b);
    break;
  case OPW_X_FDIVF:
    becomeFloat(n, a / b);
    break;
  default:
    break;
  }
}

struct Emitter {
  Pools &pools;
  Program program;
  int depth = 0;

  void push(const opw_insn_t &insn, int pops) {
    program.code.push_back(insn);
    depth += 1 - pops;
    program.depth = static_cast<uint8_t>(std::clamp<int>(depth, program.depth, 255));
  }

  template <typename T> static int32_t indexIn(std::vector<T> &pool, T value) {
    for (size_t i = 0; i < pool.size(); ++i)
      if (std::memcmp(&pool[i], &value, sizeof value) == 0)
        return static_cast<int32_t>(i);
    pool.push_back(value);
    return static_cast<int32_t>(pool.size() - 1);
  }

  static bool fits(int64_t value) { return value >= INT32_MIN && value <= INT32_MAX; }

  void emit(const Node &node) {
    if (node.op == OPW_X_INT) {
      if (fits(node.integer))
        push({OPW_X_INT, 0, 0, static_cast<int32_t>(node.integer)}, 0);
      else
        push({OPW_X_POOL, 0, 0, indexIn(pools.integers, node.integer)}, 0);
      return;
    }
    if (node.op == OPW_X_FPOOL) {
      push({OPW_X_FPOOL, 0, 0, indexIn(pools.floats, node.number)}, 0);
      return;
    }
    if (isBinaryInteger(node.op)) {
      const Node &right = *node.children[1];
      emit(*node.children[0]);
      if (right.op == OPW_X_INT && fits(right.integer)) {
        push({node.op, 0, 1, static_cast<int32_t>(right.integer)}, 1);
        return;
      }
      emit(right);
      push({node.op, 0, 0, 0}, 2);
      return;
    }
    for (const NodePtr &child : node.children)
      emit(*child);
    push({node.op, node.element, node.b, node.imm}, static_cast<int>(node.children.size()));
  }
};

/// A slice "x[from:to]" of a tensor; nothing when the text is no slice.
struct Slice {
  std::string_view name, from, to;
  size_t fromColumn, toColumn;
};

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ')
    text.remove_suffix(1);
  return text;
}

std::optional<Slice> asSlice(std::string_view text) {
  size_t open = text.find('['), colon = text.find(':'), close = text.rfind(']');
  if (open == text.npos || colon == text.npos || close == text.npos || colon < open || close < colon ||
      !trim(text.substr(close + 1)).empty() || text.find('[', open + 1) != text.npos)
    return std::nullopt;
  return Slice{trim(text.substr(0, open)), trim(text.substr(open + 1, colon - open - 1)),
               trim(text.substr(colon + 1, close - colon - 1)), open + 2, colon + 2};
}

std::optional<int32_t> axisOf(std::string_view text) {
  bool negative = !text.empty() && text.front() == '-';
  text.remove_prefix(negative);
  if (text.empty() || text.size() > 2 || text.find_first_not_of("0123456789") != text.npos)
    return std::nullopt;
  int32_t v = std::stoi(std::string(text));
  return v > OPW_MAX_RANK ? std::nullopt : std::optional(negative ? -v : v);
}

} // namespace

void foldExpression(NodePtr &node) {
  for (NodePtr &child : node->children)
    foldExpression(child);
  if (node->children.empty())
    return;
  if (node->op == OPW_X_SELECT && node->children[0]->op == OPW_X_INT) {
    NodePtr taken = std::move(node->children[node->children[0]->integer != 0 ? 1 : 2]);
    node = std::move(taken);
    return;
  }
  bool constant =
      std::all_of(node->children.begin(), node->children.end(), [](const NodePtr &c) { return c->isConstant(); });
  if (!constant || node->op == OPW_X_SELECT)
    return;
  bool binary = isBinaryInteger(node->op), unary = isUnaryInteger(node->op);
  if (!binary && !unary)
    return foldFloat(*node);
  int64_t a = node->children[0]->integer;
  std::optional<int64_t> value = binary ? foldBinary(node->op, a, node->children[1]->integer) : foldUnary(node->op, a);
  // A constant that cannot be computed stays: it may be the side of a select that is never taken.
  if (value)
    becomeInteger(*node, *value);
}

Result<Program> emitExpression(const Node &node, Pools &pools, const Place &place) {
  Emitter emitter{pools, {}, 0};
  emitter.emit(node);
  Program program = std::move(emitter.program);
  program.isFloat = node.isFloat;
  if (program.code.size() > OPW_MAX_CODE)
    return place.error(
        1, "the expression has " + std::to_string(program.code.size()) + " instructions, expected at most 4096",
        "name common parts in vars");
  if (program.depth > OPW_MAX_DEPTH)
    return place.error(
        1, "the expression keeps " + std::to_string(program.depth) + " values at a time, expected at most 32",
        "name parts of it in vars");
  return program;
}

Result<Program> compileExpression(std::string_view text, const Scope &scope, Pools &pools, const std::string &what) {
  Place place{text, what};
  Result<NodePtr> parsed = parseExpression(text, scope, what);
  if (!parsed)
    return parsed.diagnostics();
  foldExpression(*parsed);
  return emitExpression(**parsed, pools, place);
}

Result<Program> compileInteger(std::string_view text, const Scope &scope, Pools &pools, const std::string &what) {
  Result<Program> program = compileExpression(text, scope, pools, what);
  if (program && program->isFloat)
    return Place{text, what}.error(1, "found a float, expected an integer", "floor(), ceil() or round() makes one");
  return program;
}

Result<Segment> compileSegment(std::string_view text, const Scope &scope, Pools &pools, const std::string &what) {
  Place place{text, what};
  Segment segment;
  auto tensor = [&](std::string_view name) {
    return std::find_if(scope.tensors.begin(), scope.tensors.end(),
                        [&](const Scope::Tensor &t) { return t.name == name; });
  };
  if (std::optional<Slice> slice = asSlice(text)) {
    auto it = tensor(slice->name);
    if (it == scope.tensors.end())
      return place.error(1, "found a slice of '" + std::string(slice->name) + "', expected an input");
    std::optional<int32_t> from = slice->from.empty() ? std::optional(0) : axisOf(slice->from);
    std::optional<int32_t> to = slice->to.empty() ? std::optional(INT32_MAX) : axisOf(slice->to);
    if (!from)
      return place.error(static_cast<uint32_t>(slice->fromColumn),
                         "found '" + std::string(slice->from) + "', expected an axis");
    if (!to)
      return place.error(static_cast<uint32_t>(slice->toColumn),
                         "found '" + std::string(slice->to) + "', expected an axis");
    segment.kind = OPW_SEG_SLICE;
    segment.index = it->number;
    segment.from = *from;
    segment.to = *to;
    return segment;
  }
  std::string_view bare = trim(text);
  for (const Scope::Attr &attr : scope.attrs)
    if (attr.name == bare && attr.kind == OPW_ATTR_INTS) {
      segment.kind = OPW_SEG_ATTR;
      segment.index = attr.index;
      return segment;
    }
  if (bare.starts_with("values(") && bare.ends_with(")")) {
    auto it = tensor(trim(bare.substr(7, bare.size() - 8)));
    if (it == scope.tensors.end() || !it->host)
      return place.error(8, "found '" + std::string(bare) + "', expected the values of a host input");
    segment.kind = OPW_SEG_VALUES;
    segment.index = it->number;
    return segment;
  }
  Result<Program> dim = compileInteger(text, scope, pools, what);
  if (!dim)
    return dim.diagnostics();
  segment.dim = std::move(*dim);
  return segment;
}

} // namespace opw::package
