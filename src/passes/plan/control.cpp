// Loops and conditionals over tiles: carried scalars stay values, carried pointers and indices that only move become a
// carried base, every other carried tile is a buffer that is rewritten at the end of each iteration.
#include "passes/plan/nest.h"
#include "passes/plan/slice.h"

#include <algorithm>
#include <set>
#include <utility>

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

void Planner::assignCarried(const std::vector<std::pair<ValueId, Buffer>> &assignments) {
  // A parallel assignment: whoever reads an old value goes before its buffer is rewritten; a circle goes through
  // copies.
  struct Assignment {
    ValueId value;
    Buffer into;
    std::set<ValueId> reads; ///< buffers of the others, and its own where it reads that at another element
  };
  std::vector<Assignment> pending;
  for (auto &[value, into] : assignments)
    if (!buffers[value] ||
        buffers[value]->pointer != into.pointer) // else a dot accumulated in place, or nothing changed
      pending.push_back({value, into, {}});
  for (Assignment &each : pending)
    visitSlice(*this, each.value, [&](ValueId value, bool moved) {
      if (buffers[value] && (moved || buffers[value]->pointer != each.into.pointer))
        each.reads.insert(buffers[value]->pointer);
    });
  while (!pending.empty()) {
    auto next = std::find_if(pending.begin(), pending.end(), [&](const Assignment &each) {
      return std::none_of(pending.begin(), pending.end(),
                          [&](const Assignment &other) { return other.reads.contains(each.into.pointer); });
    });
    if (next != pending.end()) {
      materialize(next->value, next->into);
      pending.erase(next);
      continue;
    }
    std::vector<Buffer> copies;
    for (const Assignment &each : pending) {
      copies.push_back(each.into);
      copies.back().pointer = allocate(each.into.type, tile.type(each.value).size());
      materialize(each.value, copies.back());
    }
    for (size_t i = 0; i < pending.size(); ++i) {
      std::optional<Buffer> before = std::exchange(buffers[pending[i].value], copies[i]);
      materialize(pending[i].value, pending[i].into);
      buffers[pending[i].value] = before;
    }
    return;
  }
}

/// A buffer of its own for a tile that a loop carries, holding its first value.
Buffer Planner::startCarried(ValueId carried, ValueId init) {
  int lane = -1;
  for (auto &[id, dot] : dots)
    if (dot.inPlace && dot.carried == carried)
      lane = dot.transposed ? 0 : 1;
  if (lane < 0)
    lane = buffers[init] ? buffers[init]->laneDim() : static_cast<int>(tile.type(init).rank) - 1;
  Buffer buffer = makeBuffer(carried, lane);
  materialize(init, buffer);
  return buffer;
}

void Planner::lowerFor(OpId id) {
  const Op &op = tile.op(id);
  const Block &body = tile.block(op.regions[0].blocks[0]);
  const Op &yield = tile.op(body.ops.back());
  size_t count = op.results.size();

  enum class Carry { Scalar, Form, Buffer };
  std::vector<Carry> kinds(count);
  std::vector<ValueId> operands;
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
    } else if (forms[init] && !forms[init]->from &&
               (type.isPointer() || (bitWidth(type.elem) >= 32 && forms[init]->terms.empty())) &&
               movesUniformly(tile, yield.operands[i], argument)) {
      kinds[i] = Carry::Form;
      initial[i] = formOf(init);
      for (const Term &term : initial[i].terms)
        keep(term.tile); // the loop, and what comes after it, may overwrite what it was loaded from
      operands.push_back(initial[i].base);
    } else {
      kinds[i] = Carry::Buffer;
      buffers[argument] = startCarried(argument, init);
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
    if (!isUnsigned) // what is widened again is the same
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
    else if (kinds[i] == Carry::Form) {
      OPW_CHECK(forms[yield.operands[i]] && !forms[yield.operands[i]]->from, "a tile that moves as a whole has a form");
      yields.push_back(forms[yield.operands[i]]->base);
    } else
      assignments.emplace_back(yield.operands[i], *buffers[body.arguments[1 + i]]);
  }
  assignCarried(assignments);
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

/// The condition's region runs before each iteration and hands tiles on to the body and to the results: in the carried
/// buffer itself where it hands on what is carried, else in one of their own.
void Planner::lowerWhile(OpId id) {
  const Op &op = tile.op(id);
  const Block &before = tile.block(op.regions[0].blocks[0]), &after = tile.block(op.regions[1].blocks[0]);
  const Op &condition = tile.op(before.ops.back()), &yield = tile.op(after.ops.back());
  std::vector<ValueId> inits;
  std::vector<Type> handedTypes;
  for (size_t i = 0; i < op.operands.size(); ++i) {
    ValueId argument = before.arguments[i];
    if (tile.type(argument).isTile())
      buffers[argument] = startCarried(argument, op.operands[i]);
    else
      inits.push_back(scalar(op.operands[i]));
  }
  for (ValueId result : op.results)
    if (!tile.type(result).isTile())
      handedTypes.push_back(tile.type(result));
  rememberWrites(id);
  OpId loop = builder.create(OpKind::While, std::move(inits), handedTypes);
  BlockId outer = builder.block();
  LazyScope scope(*this);

  BlockId head = plan.addBlock(loop);
  plan.op(loop).regions.push_back({{head}});
  builder.setBlock(head);
  for (ValueId argument : before.arguments)
    if (!tile.type(argument).isTile())
      scalars[argument] = plan.addArgument(head, tile.type(argument));
  lowerBlock(op.regions[0].blocks[0]);
  current = before.ops.back();
  std::vector<ValueId> handed{scalar(condition.operands[0])};
  for (size_t i = 0; i < op.results.size(); ++i) {
    ValueId value = condition.operands[i + 1], into = after.arguments[i];
    if (!tile.type(value).isTile()) {
      handed.push_back(scalar(value));
      continue;
    }
    bool isCarried = std::find(before.arguments.begin(), before.arguments.end(), value) != before.arguments.end();
    if (isCarried) {
      buffers[into] = buffers[value];
    } else {
      Buffer buffer = makeBuffer(into, naturalLane(value));
      materialize(value, buffer);
      buffers[into] = buffer;
    }
    buffers[op.results[i]] = buffers[into];
  }
  builder.create(OpKind::Condition, handed, {});

  BlockId body = plan.addBlock(loop);
  plan.op(loop).regions.push_back({{body}});
  builder.setBlock(body);
  for (ValueId argument : after.arguments)
    if (!tile.type(argument).isTile())
      scalars[argument] = plan.addArgument(body, tile.type(argument));
  lowerBlock(op.regions[1].blocks[0]);
  current = after.ops.back();
  std::vector<ValueId> yields;
  std::vector<std::pair<ValueId, Buffer>> assignments;
  for (size_t i = 0; i < yield.operands.size(); ++i) {
    if (tile.type(yield.operands[i]).isTile())
      assignments.emplace_back(yield.operands[i], *buffers[before.arguments[i]]);
    else
      yields.push_back(scalar(yield.operands[i]));
  }
  assignCarried(assignments);
  builder.create(OpKind::Yield, yields, {});
  builder.setBlock(outer);
  current = id;
  size_t slot = 0;
  for (ValueId result : op.results)
    if (!tile.type(result).isTile())
      scalars[result] = plan.op(loop).results[slot++];
}

void Planner::lowerIf(OpId id) {
  const Op &op = tile.op(id);
  std::vector<Type> types;
  std::vector<Buffer> tiles;
  for (ValueId result : op.results) {
    const Type &type = tile.type(result);
    if (!type.isTile())
      types.push_back(type);
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
