// Loops and conditionals over tiles: carried scalars stay values, carried pointers and indices that only move become a
// carried base, every other carried tile is a buffer that is rewritten at the end of each iteration.
#include "passes/plan/nest.h"
#include "passes/plan/slice.h"

#include <algorithm>
#include <set>

namespace opw::passes {

using namespace ir;

namespace {

/// Whether `next` is `carried` plus an offset that is uniform over the tile: the tile moves as a whole.
bool movesUniformly(const Function &fn, ValueId next, ValueId carried) {
  while (next != carried) {
    OpId def = fn.values[next].op;
    if (def == kNone || (fn.op(def).kind != OpKind::AddPtr && fn.op(def).kind != OpKind::AddI))
      return false;
    const Op &op = fn.op(def);
    auto uniform = [&](ValueId value) {
      OpId by = fn.values[value].op;
      while (by != kNone && (fn.op(by).kind == OpKind::Broadcast || fn.op(by).kind == OpKind::ExpandDims))
        by = fn.values[fn.op(by).operands[0]].op;
      return by != kNone && (fn.op(by).kind == OpKind::Splat || fn.op(by).kind == OpKind::Constant);
    };
    if (uniform(op.operands[1]))
      next = op.operands[0];
    else if (op.kind == OpKind::AddI && uniform(op.operands[0]))
      next = op.operands[1];
    else
      return false;
  }
  return true;
}

} // namespace

void Planner::assignCarried(const std::vector<std::pair<ValueId, Buffer>> &assignments,
                            const std::vector<ValueId> &olds) {
  // A parallel assignment: whoever reads an old value goes before its buffer is rewritten; a circle goes through
  // copies.
  std::set<ValueId> oldSet(olds.begin(), olds.end());
  std::vector<size_t> pending;
  std::vector<std::set<ValueId>> reads(assignments.size());
  for (size_t i = 0; i < assignments.size(); ++i) {
    auto &[value, buffer] = assignments[i];
    if (buffers[value] && buffers[value]->pointer == buffer.pointer)
      continue; // a dot has accumulated in place, or the value has not changed
    visitSlice(*this, value, [&](ValueId each, bool) {
      if (oldSet.contains(each))
        reads[i].insert(each);
    });
    pending.push_back(i);
  }
  while (!pending.empty()) {
    auto blocked = [&](size_t i) {
      return std::any_of(pending.begin(), pending.end(),
                         [&](size_t j) { return j != i && reads[j].contains(olds[i]); }) ||
             needsMoved(*this, assignments[i].first, olds[i]);
    };
    auto next = std::find_if(pending.begin(), pending.end(), [&](size_t i) { return !blocked(i); });
    if (next == pending.end()) {
      std::vector<std::pair<ValueId, Buffer>> copies;
      for (size_t i : pending) {
        ValueId value = assignments[i].first;
        Buffer copy = assignments[i].second;
        copy.pointer = allocate(copy.elem, tile.type(value).size());
        materialize(value, copy);
        copies.emplace_back(value, copy);
      }
      for (size_t n = 0; n < pending.size(); ++n) {
        std::optional<Buffer> before = buffers[copies[n].first];
        buffers[copies[n].first] = copies[n].second;
        materialize(copies[n].first, assignments[pending[n]].second);
        buffers[copies[n].first] = before;
      }
      return;
    }
    materialize(assignments[*next].first, assignments[*next].second);
    pending.erase(next);
  }
}

void Planner::lowerFor(OpId id) {
  const Op &op = tile.op(id);
  const Block &body = tile.block(op.regions[0].blocks[0]);
  const Op &yield = tile.op(body.ops.back());
  size_t count = op.results.size();

  enum class Carry { Scalar, Form, Buffer };
  std::vector<Carry> kinds(count);
  std::vector<ValueId> operands, olds;
  std::vector<Type> types;
  bool isUnsigned = op.attributes.has("unsignedCmp");
  for (size_t i = 0; i < 3; ++i) {
    ValueId bound = scalar(op.operands[i]);
    operands.push_back(isUnsigned && plan.type(bound).elem != Elem::I64
                           ? builder.value(OpKind::ExtUI, {bound}, Type::scalar(Elem::I64))
                           : extend(bound));
  }
  std::vector<Form> initial(count);
  for (size_t i = 0; i < count; ++i) {
    ValueId init = op.operands[3 + i], argument = body.arguments[1 + i];
    const Type &type = tile.type(argument);
    if (!type.isTile()) {
      kinds[i] = Carry::Scalar;
      operands.push_back(scalar(init));
    } else if ((type.isPointer() || isInteger(type.elem)) && type.elem != Elem::I1 &&
               movesUniformly(tile, yield.operands[i], argument) && (type.isPointer() || forms[init])) {
      kinds[i] = Carry::Form;
      initial[i] = formOf(init);
      for (const Term &term : initial[i].terms)
        keep(term.tile); // the loop, and what comes after it, may overwrite what it was loaded from
      operands.push_back(initial[i].base);
    } else {
      if (type.isPointer())
        refuse(id, "tile of pointers that changes from iteration to iteration by more than a uniform offset",
               "carry integer offsets and add them to the pointer where it is used");
      kinds[i] = Carry::Buffer;
      int lane = -1;
      for (auto &[dotId, dot] : dots)
        if (dot.inPlace && dot.carried == argument)
          lane = dot.transposed ? 0 : 1;
      if (lane < 0)
        lane = buffers[init] ? buffers[init]->laneDim() : static_cast<int>(type.rank) - 1;
      Buffer buffer = makeBuffer(argument, lane);
      materialize(init, buffer);
      buffers[argument] = buffer;
      olds.push_back(argument);
      continue;
    }
    types.push_back(plan.type(operands.back()));
  }

  OpId loop = builder.create(OpKind::PlanLoop, operands, types);
  BlockId inner = plan.addBlock(loop);
  plan.op(loop).regions.push_back({{inner}});
  ValueId variable = plan.addArgument(inner, Type::scalar(Elem::I64));
  BlockId outer = builder.block();
  builder.setBlock(inner);
  Elem elem = tile.type(body.arguments[0]).elem;
  if (elem == Elem::I64) {
    scalars[body.arguments[0]] = variable;
  } else {
    Attributes exact;
    exact.set("exact", Attribute::unit());
    scalars[body.arguments[0]] = builder.value(OpKind::TruncI, {variable}, Type::scalar(elem), std::move(exact));
  }
  size_t slot = 0;
  for (size_t i = 0; i < count; ++i) {
    if (kinds[i] == Carry::Buffer)
      continue;
    ValueId argument = plan.addArgument(inner, types[slot++]);
    if (kinds[i] == Carry::Scalar) {
      scalars[body.arguments[1 + i]] = argument;
    } else {
      Form form = initial[i];
      form.base = argument;
      forms[body.arguments[1 + i]] = form;
    }
  }

  rememberWrites(id);
  std::optional<LazyScope> scope(*this);
  loops.emplace_back(variable, operands[2]);
  lowerBlock(op.regions[0].blocks[0]);
  loops.pop_back();

  current = body.ops.back();
  std::vector<ValueId> yields;
  std::vector<std::pair<ValueId, Buffer>> assignments;
  for (size_t i = 0; i < count; ++i) {
    if (kinds[i] == Carry::Scalar)
      yields.push_back(scalar(yield.operands[i]));
    else if (kinds[i] == Carry::Form)
      yields.push_back(formOf(yield.operands[i]).base);
    else
      assignments.emplace_back(yield.operands[i], *buffers[body.arguments[1 + i]]);
  }
  assignCarried(assignments, olds);
  builder.create(OpKind::Yield, yields, {});
  builder.setBlock(outer);
  current = id;
  scope.reset();

  slot = 0;
  for (size_t i = 0; i < count; ++i) {
    if (kinds[i] == Carry::Buffer) {
      buffers[op.results[i]] = buffers[body.arguments[1 + i]];
      continue;
    }
    ValueId result = plan.op(loop).results[slot++];
    if (kinds[i] == Carry::Scalar) {
      scalars[op.results[i]] = result;
    } else {
      Form form = initial[i];
      form.base = result;
      forms[op.results[i]] = form;
    }
  }
}

void Planner::lowerIf(OpId id) {
  const Op &op = tile.op(id);
  std::vector<Type> types;
  std::vector<Buffer> tiles;
  for (ValueId result : op.results) {
    const Type &type = tile.type(result);
    if (!type.isTile())
      types.push_back(type);
    else if (type.isPointer())
      refuse(id, "tile of pointers as the result of a condition", "select the offsets, or load inside the condition");
    else
      tiles.push_back(makeBuffer(result, static_cast<int>(type.rank) - 1));
  }
  OpId branch = builder.create(OpKind::If, {scalar(op.operands[0])}, types);
  BlockId outer = builder.block();
  for (size_t r = 0; r < 2; ++r) {
    BlockId block = plan.addBlock(branch);
    plan.op(branch).regions.push_back({{block}});
    builder.setBlock(block);
    LazyScope scope(*this);
    std::vector<ValueId> yields;
    if (r < op.regions.size() && !op.regions[r].blocks.empty()) {
      const Block &body = tile.block(op.regions[r].blocks[0]);
      lowerBlock(op.regions[r].blocks[0]);
      const Op &yield = tile.op(body.ops.back());
      current = body.ops.back();
      size_t next = 0;
      for (ValueId value : yield.operands) {
        if (!tile.type(value).isTile())
          yields.push_back(scalar(value));
        else
          materialize(value, tiles[next++]);
      }
    }
    builder.create(OpKind::Yield, yields, {});
  }
  builder.setBlock(outer);
  current = id;
  size_t slot = 0, next = 0;
  for (ValueId result : op.results) {
    if (tile.type(result).isTile())
      buffers[result] = tiles[next++];
    else
      scalars[result] = plan.op(branch).results[slot++];
  }
}

} // namespace opw::passes
