#include "passes/plan/footprint.h"

#include "passes/plan/nest.h"

#include <cstdint>
#include <utility>

namespace opw::passes {

using namespace ir;

namespace {

constexpr unsigned kMaxDepth = 24;

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

  /// Values of a tile of integers.
  std::optional<Interval> ofValue(ValueId value, const DimMap &dims, unsigned depth) {
    if (depth == 0 || !p.tile.type(value).isTile() || p.tile.type(value).isPointer())
      return std::nullopt;
    Form form = p.formOf(value);
    bool isItself = form.terms.size() == 1 && form.terms[0].tile == value;
    if (!isItself) {
      std::optional<Interval> added = ofForm(form, dims, depth);
      return added ? std::optional(plus({form.base, form.base}, *added)) : std::nullopt;
    }
    OpId def = p.tile.values[value].op;
    return def == kNone ? std::nullopt : ofOp(p.tile.op(def), dims, depth - 1);
  }

  std::optional<Interval> ofOp(const Op &op, const DimMap &dims, unsigned depth) {
    if (DimMap map; op.operands.size() == 1 && shapeMap(p.tile, op, map))
      return ofValue(op.operands[0], compose(map, dims), depth);
    switch (op.kind) {
    case OpKind::ExtSI:
      return ofValue(op.operands[0], dims, depth);
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
      auto yes = ofValue(op.operands[1], dims, depth);
      auto no = yes ? ofValue(op.operands[2], dims, depth) : std::nullopt;
      return no ? std::optional(Interval{p.minimum(yes->low, no->low), p.maximum(yes->high, no->high)}) : std::nullopt;
    }
    case OpKind::MinSI:
    case OpKind::MaxSI: {
      auto a = ofValue(op.operands[0], dims, depth), b = a ? ofValue(op.operands[1], dims, depth) : std::nullopt;
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
    // It is divided in its own width, in which it must not have wrapped.
    if (Elem elem = p.tile.type(op.operands[0]).elem; elem != Elem::I64) {
      int64_t limit = int64_t{1} << (bitWidth(elem) - 1);
      require(p.compare("sge", dividend->low, p.constant(-limit)));
      require(p.compare("slt", dividend->high, p.constant(limit)));
    }
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
