// Prefetching rows to come. A nest that reads a tile for the second time has it in cache and time to spare (it is where
// the exponentials are): meanwhile the same tile of a later iteration, or of a later program, is fetched. So is what a
// nest that reads buffers alone will store to. One row is a thousand cycles and less, too little to hide a miss behind:
// the row after the next is fetched.
#include "passes/plan/planner.h"

namespace opw::passes {

using namespace ir;

namespace {

constexpr int64_t kAhead = 2;
constexpr unsigned kMaxSlice = 200; ///< depth of recursion

/// Clones the scalar slice of a value with one leaf replaced. Slices that read memory are left alone.
class Advance {
public:
  Advance(Planner &planner, ValueId variable, ValueId step) : p(planner), variable(variable), step(step) {}

  ValueId of(ValueId value) {
    if (auto it = done.find(value); it != done.end())
      return it->second;
    if (depth == kMaxSlice)
      return value; // fetches what is no longer needed, at worst
    ++depth;
    ValueId made = make(value);
    --depth;
    return done[value] = made;
  }

private:
  Planner &p;
  ValueId variable, step; ///< variable kNone: the program id along x, whose step is 1
  std::unordered_map<ValueId, ValueId> done;
  unsigned depth = 0;

  ValueId make(ValueId value) {
    if (value == variable)
      return p.add(value, p.mul(step, p.constant(kAhead)));
    OpId def = p.plan.values[value].op;
    if (def == kNone)
      return value;
    const Op op = p.plan.op(def);
    if (op.kind == OpKind::GetProgramId && variable == kNone && op.attributes.textOr("axis", "x") == "x")
      return p.builder.value(OpKind::AddI, {value, p.constant(kAhead, p.plan.type(value).elem)}, p.plan.type(value));
    if (!has(op.kind, kElementwise) || !has(op.kind, kPure))
      return value;
    std::vector<ValueId> operands;
    for (ValueId operand : op.operands)
      operands.push_back(of(operand));
    if (operands == op.operands)
      return value;
    return p.builder.value(op.kind, std::move(operands), p.plan.type(value), op.attributes);
  }
};

} // namespace

ValueId Planner::advanced(ValueId base) {
  ValueId next = loops.empty() ? Advance(*this, kNone, kNone).of(base)
                               : Advance(*this, loops.back().first, loops.back().second).of(base);
  return next == base ? kNone : next;
}

} // namespace opw::passes
