// Atomics, prints and assertions: they keep their place and run once for each element.
#include "passes/plan/nest.h"

namespace opw::passes {

using namespace ir;

/// A nest over the pointers. The old values go to a buffer where somebody reads them.
void Planner::lowerAtomic(OpId id) {
  const Op &op = tile.op(id);
  const Type shape = tile.type(op.operands[0]);
  bool isUsed = !op.results.empty() && !placement.users()[op.results[0]].empty();
  if (!shape.isTile())
    return lowerScalarOp(op);
  if (op.kind != OpKind::AtomicLoad)
    keepLoads(op.operands, op.operands[0]);
  Form form = formOf(op.operands[0]);
  int lane = chooseLane(*this, {op.operands.begin() + 1, op.operands.end()}, shape, op.operands[0]);
  if (op.kind == OpKind::AtomicPoll)
    lane = -1; // waits for one element after the other
  Buffer into;
  if (isUsed)
    into = makeBuffer(op.results[0], lane);
  Nest nest(*this);
  Indices at = openLoops(nest, *this, shape, lane);
  ValueId base = nest.base(form, at);
  std::vector<ValueId> operands{nest.emit(OpKind::AddPtr, {base, nest.offset(form, at)}, plan.type(base))};
  for (size_t i = 1; i < op.operands.size(); ++i)
    operands.push_back(nest.eval(op.operands[i], at));
  if (op.results.empty()) {
    nest.effect(op.kind, std::move(operands), op.attributes);
  } else {
    ValueId old = nest.effect(op.kind, std::move(operands), tile.type(op.results[0]).element(), op.attributes);
    if (isUsed)
      nest.store(into, at, shape, old);
  }
  for (ValueId index : at)
    if (!isConstantEqual(index, 0))
      nest.close();
  if (isUsed)
    buffers[op.results[0]] = into;
}

/// One print for each operand and element, with the element's indices.
void Planner::lowerPrint(OpId id) {
  const Op &op = tile.op(id);
  auto attributesOf = [&](size_t operand) {
    Attributes attributes;
    attributes.set("prefix", *op.attributes.find("prefix"));
    const Attribute *hex = op.attributes.find("hex"), *isSigned = op.attributes.find("isSigned");
    if (hex && hex->integer != 0)
      attributes.set("hex", Attribute::unit());
    if (isSigned && operand < isSigned->integers.size() && isSigned->integers[operand] != 0)
      attributes.set("signed", Attribute::unit());
    attributes.set("operand", Attribute::integerOf(static_cast<int64_t>(operand)));
    attributes.set("count", Attribute::integerOf(static_cast<int64_t>(op.operands.size())));
    return attributes;
  };
  if (op.operands.empty())
    builder.create(OpKind::Print, {}, {}, attributesOf(0));
  for (size_t i = 0; i < op.operands.size(); ++i) {
    const Type type = tile.type(op.operands[i]);
    if (!type.isTile()) {
      builder.create(OpKind::Print, {scalar(op.operands[i])}, {}, attributesOf(i));
      continue;
    }
    Nest nest(*this);
    Indices at = openLoops(nest, *this, type, -1);
    std::vector<ValueId> operands{nest.eval(op.operands[i], at)};
    operands.insert(operands.end(), at.begin(), at.end());
    Attributes attributes = attributesOf(i);
    std::vector<int64_t> extents;
    for (unsigned d = 0; d < type.rank; ++d)
      extents.push_back(type.dim(d));
    attributes.set("extents", Attribute::ints(std::move(extents)));
    nest.effect(OpKind::Print, std::move(operands), std::move(attributes));
    for (ValueId index : at)
      if (!isConstantEqual(index, 0))
        nest.close();
  }
}

/// All elements are tested before the program ends itself.
void Planner::lowerAssert(OpId id) {
  const Op &op = tile.op(id);
  const Type type = tile.type(op.operands[0]);
  ValueId holds = kNone;
  if (!type.isTile()) {
    holds = scalar(op.operands[0]);
  } else {
    Nest nest(*this);
    int lane = chooseLane(*this, op.operands, type, kNone);
    Indices at(type.rank, constant(0));
    size_t depth = 0;
    std::vector<ValueId> carried{constant(-1, Elem::I1)};
    for (unsigned d = 0; d < type.rank; ++d)
      if (static_cast<int>(d) != lane && type.log2dim[d] > 0) {
        at[d] = nest.open(constant(0), constant(type.dim(d)), false, carried);
        carried = nest.carried();
        ++depth;
      }
    if (lane >= 0) {
      at[static_cast<size_t>(lane)] = nest.open(constant(0), constant(type.dim(static_cast<unsigned>(lane))), true,
                                                carried, {std::string(name(OpKind::AndI))});
      carried = nest.carried();
      ++depth;
    }
    ValueId all = nest.eval(op.operands[0], at);
    if (depth > 0)
      all = nest.emit(OpKind::AndI, {carried[0], all}, Type::scalar(Elem::I1));
    while (depth-- > 0)
      all = nest.close({all})[0];
    holds = all;
  }
  builder.create(OpKind::Assert, {holds}, {}, op.attributes);
}

} // namespace opw::passes
