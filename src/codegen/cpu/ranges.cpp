// What constants and loops tell of integers in a plan: ranges, and powers of two that divide them.
#include "codegen/cpu/lanes.h"

#include <algorithm>

namespace opw::cpu {

using namespace ir;

std::optional<int64_t> constantOf(const Function &function, ValueId value) {
  const Value &v = function.values[value];
  if (v.op == kNone || function.op(v.op).kind != OpKind::Constant)
    return std::nullopt;
  const Attribute *attribute = function.op(v.op).attributes.find("value");
  if (!attribute || (attribute->kind != Attribute::Kind::Int && attribute->kind != Attribute::Kind::Bool))
    return std::nullopt;
  return attribute->integer;
}

namespace {

std::optional<Range> fit(const Function &function, ValueId value, __int128 low, __int128 high) {
  unsigned bits = function.type(value).elementBits();
  __int128 limit = __int128{1} << (bits - 1);
  if (low < -limit || high >= limit)
    return std::nullopt;
  return Range{int64_t(low), int64_t(high)};
}

std::optional<Range> rangeOfArgument(const Function &function, const Value &v, unsigned depth) {
  OpId owner = function.block(v.block).owner;
  if (owner == kNone || function.op(owner).kind != OpKind::PlanLoop || v.index != 0)
    return std::nullopt;
  const Op &loop = function.op(owner);
  auto low = rangeOf(function, loop.operands[0], depth), high = rangeOf(function, loop.operands[1], depth);
  auto step = rangeOf(function, loop.operands[2], depth);
  if (!low || !high || !step || step->low < 1)
    return std::nullopt;
  return Range{low->low, std::max(low->low, high->high - 1)};
}

} // namespace

std::optional<Range> rangeOf(const Function &function, ValueId value, unsigned depth) {
  if (auto c = constantOf(function, value))
    return Range{*c, *c};
  const Value &v = function.values[value];
  if (depth == 0 || !v.type.isIntegerLike() || v.type.elem == Elem::I1)
    return std::nullopt;
  if (v.op == kNone)
    return rangeOfArgument(function, v, depth - 1);
  const Op &op = function.op(v.op);
  auto in = [&](unsigned i) { return rangeOf(function, op.operands[i], depth - 1); };
  switch (op.kind) {
  case OpKind::AddI:
  case OpKind::SubI:
  case OpKind::MulI: {
    auto a = in(0), b = in(1);
    if (!a || !b)
      return std::nullopt;
    __int128 al = a->low, ah = a->high, bl = b->low, bh = b->high;
    if (op.kind == OpKind::AddI)
      return fit(function, value, al + bl, ah + bh);
    if (op.kind == OpKind::SubI)
      return fit(function, value, al - bh, ah - bl);
    auto [low, high] = std::minmax({al * bl, al * bh, ah * bl, ah * bh});
    return fit(function, value, low, high);
  }
  case OpKind::MinSI: // one known upper end is enough together with the other's lower end
  case OpKind::MaxSI: {
    auto a = in(0), b = in(1);
    bool isMin = op.kind == OpKind::MinSI;
    int64_t bottom = INT64_MIN, top = INT64_MAX;
    if (v.type.elem != Elem::I64) {
      top = (int64_t{1} << (v.type.elementBits() - 1)) - 1;
      bottom = -top - 1;
    }
    if (!a && !b)
      return std::nullopt;
    Range x = a.value_or(Range{bottom, top}), y = b.value_or(Range{bottom, top});
    return isMin ? Range{std::min(x.low, y.low), std::min(x.high, y.high)}
                 : Range{std::max(x.low, y.low), std::max(x.high, y.high)};
  }
  case OpKind::AndI: {
    auto a = constantOf(function, op.operands[0]), b = constantOf(function, op.operands[1]);
    int64_t mask = a.value_or(b.value_or(-1));
    if (mask < 0)
      return std::nullopt;
    return Range{0, mask};
  }
  case OpKind::ExtSI:
  case OpKind::IndexCast:
    if (auto a = in(0))
      return fit(function, value, a->low, a->high);
    return std::nullopt;
  case OpKind::ExtUI:
    if (auto a = in(0); a && a->low >= 0)
      return a;
    return std::nullopt;
  case OpKind::TruncI:
    if (auto a = in(0))
      return fit(function, value, a->low, a->high);
    return std::nullopt;
  case OpKind::RemSI:
  case OpKind::DivSI: {
    auto by = constantOf(function, op.operands[1]);
    if (!by || *by <= 0)
      return std::nullopt;
    bool nonnegative = op.attributes.has("nonnegative");
    if (auto a = in(0); a && a->low >= 0)
      nonnegative = true;
    int64_t most = *by - 1;
    if (op.kind == OpKind::DivSI) {
      if (v.type.elem == Elem::I64)
        return std::nullopt;
      most = (int64_t{1} << (v.type.elementBits() - 1)) / *by;
    }
    return Range{nonnegative ? 0 : -most, most};
  }
  default:
    return std::nullopt;
  }
}

int64_t alignmentOf(const Function &fn, ValueId value, unsigned depth) {
  auto ofNumber = [](int64_t number) { return number == 0 ? kMostLanes : std::min(number & -number, kMostLanes); };
  if (auto c = constantOf(fn, value))
    return ofNumber(*c);
  const Value &v = fn.values[value];
  if (depth == 0)
    return 1;
  auto in = [&](const Op &op, unsigned i) { return alignmentOf(fn, op.operands[i], depth - 1); };
  if (v.op == kNone) {
    OpId owner = fn.block(v.block).owner;
    if (owner == kNone) {
      const Attribute *divisor =
          v.index < fn.argumentAttributes.size() ? fn.argumentAttributes[v.index].find("tt.divisibility") : nullptr;
      return divisor && !v.type.isPointer() ? ofNumber(divisor->integer) : 1;
    }
    const Op &loop = fn.op(owner);
    if (loop.kind != OpKind::PlanLoop || v.index != 0)
      return 1;
    return loop.attributes.has("lane") ? in(loop, 0) : std::min(in(loop, 0), in(loop, 2));
  }
  const Op &op = fn.op(v.op);
  switch (op.kind) {
  case OpKind::AddI:
  case OpKind::SubI:
    return std::min(in(op, 0), in(op, 1));
  case OpKind::MulI:
    return std::min(in(op, 0) * in(op, 1), kMostLanes);
  case OpKind::ShlI: {
    auto by = constantOf(fn, op.operands[1]);
    return by && *by >= 0 && *by < 7 ? std::min(in(op, 0) << *by, kMostLanes) : in(op, 0);
  }
  case OpKind::RemSI:
  case OpKind::RemUI:
    return std::min(in(op, 0), in(op, 1));
  case OpKind::ExtSI:
  case OpKind::ExtUI:
  case OpKind::TruncI:
  case OpKind::IndexCast:
    return in(op, 0);
  default:
    return 1;
  }
}

} // namespace opw::cpu
