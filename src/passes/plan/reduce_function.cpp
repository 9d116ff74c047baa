// Reductions with a combine function of its own: in order, or along the lanes.
#include "passes/plan/outside.h"
#include "passes/plan/reduce.h"

#include <bit>

namespace opw::passes {

using namespace ir;

namespace {

/// start combined with the elements from position 1 to `end`, one after the other.
template <typename ElementsAt>
std::vector<ValueId> foldInOrder(Reduction &r, const std::vector<ValueId> &start, ValueId end, ElementsAt elementsAt) {
  ValueId position = r.nest.open(r.p.constant(1), end, false, start);
  std::vector<ValueId> carried = r.nest.carried();
  return r.nest.close(r.combined(carried, elementsAt(position)));
}

/// Partial results of the lanes, one buffer per operand.
struct Partials {
  Reduction &r;
  std::vector<ValueId> buffers;

  Partials(Reduction &reduction, int64_t count) : r(reduction) {
    for (ValueId operand : r.op.operands)
      buffers.push_back(r.p.allocate(r.p.tile.type(operand).element(), count));
  }
  std::vector<ValueId> load(ValueId at) {
    std::vector<ValueId> values;
    for (size_t i = 0; i < buffers.size(); ++i)
      values.push_back(r.nest.effect(OpKind::PlanLoad, {buffers[i], at}, r.p.tile.type(r.op.operands[i]).element()));
    return values;
  }
  void store(ValueId at, const std::vector<ValueId> &values) {
    for (size_t i = 0; i < buffers.size(); ++i)
      r.nest.storeMemory(buffers[i], at, values[i], kNone);
  }
};

/// The bound under which operands are loaded, where it is one from above along the axis.
std::optional<Bound> upperBound(const Reduction &r) {
  for (ValueId operand : r.op.operands)
    if (Extent extent = extentAlong(r.p, operand, static_cast<int>(r.axis));
        extent.kind == Extent::Boxed && extent.bound.lo == kNone)
      return extent.bound;
  return std::nullopt;
}

/// The result, or where `redo` holds that of combining one element after the other. Else that loop has no turn.
std::vector<ValueId> orAgainInOrder(Reduction &r, ValueId redo, const std::vector<ValueId> &result) {
  Planner &p = r.p;
  std::vector<ValueId> start = r.elementsAt(p.constant(0));
  for (size_t i = 0; i < result.size(); ++i)
    start[i] = r.nest.emit(OpKind::Select, {redo, start[i], result[i]}, p.plan.type(result[i]));
  ValueId size = p.constant(p.tile.type(r.op.operands[0]).dim(r.axis));
  ValueId end = r.nest.emit(OpKind::Select, {redo, size, p.constant(1)}, Type::scalar(Elem::I64));
  return foldInOrder(r, start, end, [&](ValueId at) { return r.elementsAt(at); });
}

} // namespace

std::vector<ValueId> reduceInOrder(Reduction &r) {
  ValueId size = r.p.constant(r.p.tile.type(r.op.operands[0]).dim(r.axis));
  return foldInOrder(r, r.elementsAt(r.p.constant(0)), size, [&](ValueId at) { return r.elementsAt(at); });
}

std::vector<ValueId> reduceInStretches(Reduction &r, int64_t count) {
  Planner &p = r.p;
  ValueId zero = p.constant(0), width = p.constant(count);
  const int64_t stretch = p.tile.type(r.op.operands[0]).dim(r.axis) / count;
  Partials parts(r, count);
  ValueId each = r.nest.open(zero, width, true);
  ValueId begin = r.nest.mul(each, p.constant(stretch));
  ValueId turn = r.nest.open(p.constant(1), p.constant(stretch), false, r.elementsAt(begin));
  std::vector<ValueId> carried = r.nest.carried();
  parts.store(each, r.nest.close(r.combined(carried, r.elementsAt(r.nest.add(begin, turn)))));
  r.nest.close();

  return foldInOrder(r, parts.load(zero), width, [&](ValueId at) { return parts.load(at); });
}

std::vector<ValueId> reduceInAnyOrder(Reduction &r, int64_t count, const Commutes &proof) {
  Planner &p = r.p;
  const Type flag = Type::scalar(Elem::I1);
  auto isNan = [&](const std::vector<ValueId> &elements) {
    ValueId any = p.constant(0, Elem::I1);
    for (size_t operand : proof.floats) {
      Attributes unordered;
      unordered.set("predicate", Attribute::keyword("uno"));
      ValueId nan = r.nest.emit(OpKind::CmpF, {elements[operand], elements[operand]}, flag, std::move(unordered));
      any = operand == proof.floats.front() ? nan : r.nest.emit(OpKind::OrI, {any, nan}, flag);
    }
    return any;
  };
  ValueId zero = p.constant(0), width = p.constant(count);
  const int64_t size = p.tile.type(r.op.operands[0]).dim(r.axis);
  Partials parts(r, 2 * count);
  ValueId each = r.nest.open(zero, width, true, {p.constant(0, Elem::I1)}, {std::string(name(OpKind::OrI))});
  ValueId sawNan = r.nest.carried()[0];
  std::vector<ValueId> start = r.elementsAt(each);
  start.push_back(r.nest.emit(OpKind::OrI, {sawNan, isNan(start)}, flag));
  std::map<ValueId, ValueId> decided; // within a lane the order is kept
  for (auto [compare, truth] : proof.decided)
    decided[compare] = p.constant(truth ? -1 : 0, Elem::I1);
  auto turns = [&](ValueId from, ValueId to, const std::vector<ValueId> &before, const std::vector<Bound> &box) {
    ValueId turn = r.nest.open(from, to, false, before);
    std::vector<ValueId> carried = r.nest.carried();
    ValueId seen = carried.back();
    carried.pop_back();
    ValueId position = r.nest.add(r.nest.mul(turn, width), each);
    r.at[r.axis] = position;
    r.nest.assume(r.at, box);
    std::vector<ValueId> next = r.elementsAt(position), sums = r.combined(carried, next, decided);
    sums.push_back(r.nest.emit(OpKind::OrI, {seen, isNan(next)}, flag));
    return r.nest.close(sums);
  };
  ValueId from = p.constant(1), to = p.constant(size / count);
  std::vector<ValueId> sums = start;
  if (std::optional<Bound> bound = upperBound(r)) { // first the turns that need no mask
    ValueId whole = r.nest.emit(OpKind::ShrSI, {bound->hi, p.constant(std::countr_zero(static_cast<uint64_t>(count)))},
                                Type::scalar(Elem::I64));
    whole = p.minimum(p.maximum(whole, from), to);
    sums = turns(from, whole, sums, {*bound});
    from = whole;
  }
  sums = turns(from, to, sums, {});
  parts.store(each, sums);
  ValueId redo = r.nest.close({sums.back()})[0];

  // Each half goes behind the last one: a store over what was just read would become a masked one, slow to read back.
  int64_t at = 0;
  for (int64_t half = count / 2; half > 1; half /= 2) {
    each = r.nest.open(zero, p.constant(half), true);
    auto place = [&](int64_t offset) { return r.nest.add(each, p.constant(offset)); };
    parts.store(place(at + 2 * half), r.combined(parts.load(place(at)), parts.load(place(at + half))));
    r.nest.close();
    at += 2 * half;
  }
  std::vector<ValueId> result = r.combined(parts.load(p.constant(at)), parts.load(p.constant(at + 1)));
  return proof.floats.empty() ? result : orAgainInOrder(r, redo, result);
}

} // namespace opw::passes
