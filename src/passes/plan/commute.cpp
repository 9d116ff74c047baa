#include "passes/plan/commute.h"

#include <algorithm>
#include <map>
#include <set>

namespace opw::passes {

using namespace ir;

namespace {

enum Relation { Less, Equal, Greater }; ///< of the first side's operand to the second's

Relation turned(Relation relation) { return static_cast<Relation>(Greater - relation); }

/// What a value of the combine function is, once the order of every pair is known.
struct Abstract {
  enum Kind { Argument, Boolean } kind = Boolean;
  size_t operand = 0;  ///< Argument: which one
  bool second = false; ///< Argument: of the second side
  bool truth = false;  ///< Boolean
};

/// Truth of a predicate such as slt, oge or une where no operand is NaN, as the proof supposes; nothing for those that
/// ask about NaN or nothing.
std::optional<bool> holds(std::string_view predicate, Relation relation) {
  if (predicate.size() == 3 && (predicate[0] == 's' || predicate[0] == 'u' || predicate[0] == 'o'))
    predicate.remove_prefix(1);
  if (predicate == "eq")
    return relation == Equal;
  if (predicate == "ne")
    return relation != Equal;
  if (predicate == "lt")
    return relation == Less;
  if (predicate == "le")
    return relation != Greater;
  if (predicate == "gt")
    return relation == Greater;
  if (predicate == "ge")
    return relation != Less;
  return std::nullopt;
}

class CombineFunction {
public:
  CombineFunction(const Function &fn, const Op &reduce)
      : fn(fn), body(fn.block(reduce.regions[0].blocks[0])), operands(reduce.operands.size()) {}

  std::set<size_t> compared; ///< operands, by a run
  bool asUnsigned = false, asSigned = false;

  /// The results for pairs of that order, or nothing where another kind of op is in the way.
  std::optional<std::vector<Abstract>> run(const std::vector<Relation> &order) {
    std::map<ValueId, Abstract> values;
    for (size_t i = 0; i < body.arguments.size(); ++i)
      values[body.arguments[i]] = {Abstract::Argument, i % operands, i >= operands};
    for (OpId id : body.ops) {
      const Op &op = fn.op(id);
      std::vector<Abstract> in;
      for (ValueId operand : op.operands) {
        if (!values.contains(operand))
          return std::nullopt;
        in.push_back(values[operand]);
      }
      if (has(op.kind, kTerminator))
        return in;
      std::optional<Abstract> out = eval(op, in, order);
      if (!out)
        return std::nullopt;
      values[op.results[0]] = *out;
    }
    return std::nullopt;
  }

  struct Decided {
    ValueId compare;
    size_t operand;
    bool truth;
  };
  /// The compares of a first side's operand with the second's, with their truth where it is less.
  std::vector<Decided> decidedByOrder() const {
    std::vector<Decided> all;
    for (OpId id : body.ops) {
      const Op &op = fn.op(id);
      if (op.kind != OpKind::CmpI)
        continue;
      for (size_t i = 0; i < operands; ++i) {
        ValueId first = body.arguments[i], second = body.arguments[operands + i];
        bool straight = op.operands[0] == first && op.operands[1] == second;
        bool crossed = op.operands[0] == second && op.operands[1] == first;
        std::optional<bool> truth = holds(op.attributes.textOr("predicate", ""), straight ? Less : Greater);
        if ((straight || crossed) && truth)
          all.push_back({op.results[0], i, *truth});
      }
    }
    return all;
  }

private:
  const Function &fn;
  const Block &body;
  size_t operands;

  std::optional<Abstract> eval(const Op &op, const std::vector<Abstract> &in, const std::vector<Relation> &order) {
    auto boolean = [](bool truth) { return Abstract{Abstract::Boolean, 0, false, truth}; };
    auto allBoolean = [&] {
      return std::all_of(in.begin(), in.end(), [](const Abstract &each) { return each.kind == Abstract::Boolean; });
    };
    switch (op.kind) {
    case OpKind::Constant:
      if (fn.type(op.results[0]) == Type::scalar(Elem::I1))
        return boolean(op.attributes.find("value")->integer != 0);
      return std::nullopt;
    case OpKind::CmpI:
    case OpKind::CmpF: {
      if (in[0].kind != Abstract::Argument || in[1].kind != Abstract::Argument || in[0].operand != in[1].operand)
        return std::nullopt;
      compared.insert(in[0].operand);
      std::string_view predicate = op.attributes.textOr("predicate", "");
      if (op.kind == OpKind::CmpI) {
        asUnsigned |= predicate[0] == 'u';
        asSigned |= predicate[0] == 's';
      }
      Relation relation = in[0].second == in[1].second ? Equal
                          : in[0].second               ? turned(order[in[0].operand])
                                                       : order[in[0].operand];
      std::optional<bool> truth = holds(predicate, relation);
      return truth ? std::optional(boolean(*truth)) : std::nullopt;
    }
    case OpKind::AndI:
      return allBoolean() ? std::optional(boolean(in[0].truth && in[1].truth)) : std::nullopt;
    case OpKind::OrI:
      return allBoolean() ? std::optional(boolean(in[0].truth || in[1].truth)) : std::nullopt;
    case OpKind::XOrI:
      return allBoolean() ? std::optional(boolean(in[0].truth != in[1].truth)) : std::nullopt;
    case OpKind::Select:
      if (in[0].kind != Abstract::Boolean)
        return std::nullopt;
      return in[0].truth ? in[1] : in[2];
    default:
      return std::nullopt;
    }
  }
};

/// What is known of the elements of an integer tile along a dimension.
struct Positions {
  bool differ = false; ///< no two are equal
  bool ascend = false; ///< each is less than the next
};

Positions positionsAlong(Planner &p, ValueId value, unsigned axis) {
  const Type &type = p.tile.type(value);
  if (!type.isTile() || !isInteger(type.elem) || type.isPointer())
    return {};
  Form form = p.formOf(value);
  int64_t stride = 0, base = 0;
  // With at most 2^20 elements of 32 bits (narrower sums have no form) none comes around to another's value.
  constexpr int64_t kLargestStride = 1 << 10;
  if (!form.isAffine() || form.strides[axis] == kNone || !p.isConstant(form.strides[axis], stride) || stride == 0 ||
      stride < -kLargestStride || stride > kLargestStride)
    return {};
  bool small = type.rank == 1 && p.isConstant(form.base, base) && base >= 0 && base < 1 << 30;
  return {true, small && stride > 0};
}

} // namespace

std::optional<Commutes> provedToCommute(Planner &p, const Op &reduce, unsigned axis) {
  const size_t count = reduce.operands.size();
  if (count > 4)
    return std::nullopt;
  CombineFunction function(p.tile, reduce);
  std::vector<Positions> positions;
  for (ValueId operand : reduce.operands)
    positions.push_back(positionsAlong(p, operand, axis));

  std::vector<Relation> order(count, Less);
  for (bool more = true; more;) {
    bool possible = true;
    for (size_t i = 0; i < count; ++i)
      possible &= !(positions[i].differ && order[i] == Equal);
    if (possible) {
      std::vector<Relation> other;
      for (Relation relation : order)
        other.push_back(turned(relation));
      auto results = function.run(order), swapped = function.run(other);
      if (!results || !swapped)
        return std::nullopt;
      for (size_t i = 0; i < count; ++i) {
        const Abstract &a = (*results)[i], &b = (*swapped)[i];
        if (a.kind != Abstract::Argument || b.kind != Abstract::Argument || a.operand != b.operand)
          return std::nullopt;
        // Equal integers are the same; equal floats may be zeros of two signs.
        bool same = order[a.operand] == Equal && isInteger(p.tile.type(reduce.operands[a.operand]).elem);
        if (a.second == b.second && !same) // the sides have changed places
          return std::nullopt;
      }
    }
    more = false;
    for (size_t i = 0; i < count && !more; ++i) {
      more = order[i] != Greater;
      order[i] = more ? static_cast<Relation>(order[i] + 1) : Less;
    }
  }
  if (function.asSigned && function.asUnsigned) // two orders of the same values
    return std::nullopt;
  Commutes proof;
  for (size_t operand : function.compared)
    if (isFloat(p.tile.type(reduce.operands[operand]).elem))
      proof.floats.push_back(operand);
  for (auto [compare, operand, truth] : function.decidedByOrder())
    if (positions[operand].ascend)
      proof.decided.emplace_back(compare, truth);
  return proof;
}

} // namespace opw::passes
