#include "passes/plan/footprint.h"

#include "passes/plan/nest.h"

#include <cstdint>
#include <map>
#include <utility>

namespace opw::passes {

using namespace ir;

namespace {

constexpr unsigned kMaxDepth = 400; // as deep as one nest computes, see kMaxChain of placement.cpp

/// Both ends belong to it.
struct Interval {
  ValueId low, high;
};

class Bounds {
public:
  Bounds(Planner &planner, const Type &shape, const std::vector<Bound> &box) : p(planner), shape(shape), box(box) {}

  /// What a form adds to its base. `dims` leads from its dimensions to those of the shape.
  std::optional<Interval> ofForm(const Form &form, const DimMap &dims, unsigned depth) {
    if (form.from || depth == 0)
      return std::nullopt;
    Interval sum{p.constant(0), p.constant(0)};
    for (const Term &term : form.terms) {
      std::optional<Interval> values = ofValue(term.tile, compose(term.dims, dims), depth - 1);
      if (!values)
        return std::nullopt;
      sum = plus(sum, times(*values, term.scale));
    }
    for (size_t d = 0; d < form.strides.size(); ++d) {
      if (form.strides[d] == kNone || dims[d] < 0)
        continue;
      auto [lo, hi] = boundsOf(p, shape, static_cast<unsigned>(dims[d]), box);
      sum = plus(sum, times({lo, p.sub(hi, p.constant(1))}, form.strides[d]));
    }
    return sum;
  }

  ValueId condition = kNone; ///< that the bounds rest on

private:
  Planner &p;
  const Type &shape;
  const std::vector<Bound> &box;
  std::map<std::pair<ValueId, DimMap>, std::optional<Interval>> memo;

  Interval plus(const Interval &a, const Interval &b) { return {p.add(a.low, b.low), p.add(a.high, b.high)}; }

  Interval times(const Interval &a, ValueId factor) {
    ValueId low = p.mul(a.low, factor), high = p.mul(a.high, factor);
    return {p.minimum(low, high), p.maximum(low, high)};
  }

  void require(ValueId holds) {
    condition = condition == kNone ? holds : p.builder.value(OpKind::AndI, {condition, holds}, Type::scalar(Elem::I1));
  }

  std::optional<int64_t> constantOf(ValueId value) {
    Form form = p.formOf(value);
    int64_t number = 0;
    return form.isUniform() && p.isConstant(form.base, number) ? std::optional(number) : std::nullopt;
  }

  /// Values of a tile of integers, or of a scalar. Each once: an expression may use its parts many times.
  std::optional<Interval> ofValue(ValueId value, const DimMap &dims, unsigned depth) {
    const Type &type = p.tile.type(value);
    if (type.isPointer() || !type.isIntegerLike() || type.elem == Elem::I1)
      return std::nullopt;
    if (!type.isTile()) {
      ValueId scalar = p.extend(p.scalar(value));
      return Interval{scalar, scalar};
    }
    OpId def = p.tile.values[value].op;
    if (def == kNone || depth == 0)
      return std::nullopt;
    auto [known, isNew] = memo.try_emplace({value, dims}, std::nullopt);
    if (isNew) {
      std::optional<Interval> found = ofOp(p.tile.op(def), dims, depth - 1);
      known->second = found; // the map keeps its places while it grows
    }
    return known->second;
  }

  /// What is computed in a narrow type must not have wrapped there.
  Interval inWidth(const Interval &values, Elem elem) {
    int64_t low = 0, high = 0, limit = elem == Elem::I64 ? INT64_MAX : int64_t{1} << (bitWidth(elem) - 1);
    bool fits = p.isConstant(values.low, low) && p.isConstant(values.high, high) && low >= -limit && high < limit;
    if (elem != Elem::I64 && !fits) {
      require(p.compare("sge", values.low, p.constant(-limit)));
      require(p.compare("slt", values.high, p.constant(limit)));
    }
    return values;
  }

  std::optional<Interval> ofOp(const Op &op, const DimMap &dims, unsigned depth) {
    auto in = [&](size_t i) { return ofValue(op.operands[i], dims, depth); };
    const Elem elem = p.tile.type(op.results[0]).elem;
    if (DimMap map; op.operands.size() == 1 && shapeMap(p.tile, op, map))
      return ofValue(op.operands[0], compose(map, dims), depth);
    switch (op.kind) {
    case OpKind::MakeRange: {
      ValueId start = p.constant(op.attributes.intOr("start", 0));
      if (dims[0] < 0)
        return Interval{start, start};
      auto [lo, hi] = boundsOf(p, shape, static_cast<unsigned>(dims[0]), box);
      return plus({start, start}, {lo, p.sub(hi, p.constant(1))});
    }
    case OpKind::Constant: {
      const Attribute *number = op.attributes.find("value");
      if (!number || number->kind != Attribute::Kind::Int)
        return std::nullopt;
      return Interval{p.constant(number->integer), p.constant(number->integer)};
    }
    case OpKind::ExtSI:
      return in(0);
    case OpKind::AddI:
    case OpKind::SubI: {
      auto a = in(0), b = a ? in(1) : std::nullopt;
      if (!b)
        return std::nullopt;
      if (op.kind == OpKind::AddI)
        return inWidth(plus(*a, *b), elem);
      return inWidth({p.sub(a->low, b->high), p.sub(a->high, b->low)}, elem);
    }
    case OpKind::MulI: {
      auto a = in(0), b = a ? in(1) : std::nullopt;
      if (b && a->low == a->high)
        std::swap(a, b);
      return b && b->low == b->high ? std::optional(inWidth(times(*a, b->low), elem)) : std::nullopt;
    }
    case OpKind::ShlI: {
      auto by = constantOf(op.operands[1]);
      auto a = by && *by >= 0 && *by < 30 ? in(0) : std::nullopt;
      return a ? std::optional(inWidth(times(*a, p.constant(int64_t{1} << *by)), elem)) : std::nullopt;
    }
    case OpKind::AndI: {
      auto bits = constantOf(op.operands[1]);
      if (!bits)
        bits = constantOf(op.operands[0]);
      return bits && *bits >= 0 ? std::optional(Interval{p.constant(0), p.constant(*bits)}) : std::nullopt;
    }
    case OpKind::RemUI:
      if (auto by = constantOf(op.operands[1]); by && *by > 0)
        return Interval{p.constant(0), p.constant(*by - 1)};
      return std::nullopt;
    case OpKind::RemSI:
    case OpKind::DivSI:
      return ofDivision(op, dims, depth);
    case OpKind::Select: {
      auto yes = in(1), no = yes ? in(2) : std::nullopt;
      return no ? std::optional(Interval{p.minimum(yes->low, no->low), p.maximum(yes->high, no->high)}) : std::nullopt;
    }
    case OpKind::MinSI:
    case OpKind::MaxSI: {
      auto a = in(0), b = a ? in(1) : std::nullopt;
      if (!b)
        return std::nullopt;
      if (op.kind == OpKind::MinSI)
        return Interval{p.minimum(a->low, b->low), p.minimum(a->high, b->high)};
      return Interval{p.maximum(a->low, b->low), p.maximum(a->high, b->high)};
    }
    default:
      return std::nullopt;
    }
  }

  /// Division rounds to zero, so the quotient rises with the dividend, and the remainder has its sign.
  std::optional<Interval> ofDivision(const Op &op, const DimMap &dims, unsigned depth) {
    auto by = constantOf(op.operands[1]);
    auto dividend = by && *by > 0 ? ofValue(op.operands[0], dims, depth) : std::nullopt;
    if (!dividend)
      return std::nullopt;
    if (op.kind == OpKind::RemSI) {
      ValueId least = p.select(p.compare("slt", dividend->low, p.constant(0)), p.constant(1 - *by), p.constant(0));
      return Interval{least, p.constant(*by - 1)};
    }
    auto quotient = [&](ValueId of) {
      return p.builder.value(OpKind::DivSI, {of, p.constant(*by)}, Type::scalar(Elem::I64));
    };
    return Interval{quotient(dividend->low), quotient(dividend->high)};
  }
};

} // namespace

std::optional<Footprint> footprintOf(Planner &p, const Form &form, const Type &shape, const std::vector<Bound> &box) {
  Bounds bounds(p, shape, box);
  auto offsets = bounds.ofForm(form, identity(shape.rank), kMaxDepth);
  if (!offsets)
    return std::nullopt;
  ValueId bytes = p.constant(shape.pointerDepth > 1 ? 8 : byteWidth(shape.elem));
  ValueId base = p.builder.value(OpKind::PtrToInt, {form.base}, Type::scalar(Elem::I64));
  return Footprint{p.add(base, p.mul(offsets->low, bytes)),
                   p.add(base, p.mul(p.add(offsets->high, p.constant(1)), bytes)), bounds.condition};
}

} // namespace opw::passes
