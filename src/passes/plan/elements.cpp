// Ops that go through the elements of a tile in an order of their own: scans, gathers, histograms, mapped functions.
#include "passes/plan/nest.h"

#include <algorithm>

namespace opw::passes {

using namespace ir;

namespace {

void closeAll(Planner &p, Nest &nest, const Indices &at) {
  for (ValueId index : at)
    if (!p.isConstantEqual(index, 0))
      nest.close();
}

/// A dimension other than the axis that can give the lanes, or -1.
int laneBeside(Planner &p, const std::vector<ValueId> &operands, const Type &shape, unsigned axis) {
  int lane = chooseLane(p, operands, shape, kNone);
  if (lane != static_cast<int>(axis))
    return lane;
  lane = -1;
  for (unsigned d = 0; d < shape.rank; ++d)
    if (d != axis && shape.log2dim[d] > 0 && (lane < 0 || shape.log2dim[d] >= shape.log2dim[static_cast<size_t>(lane)]))
      lane = static_cast<int>(d);
  return lane;
}

} // namespace

/// One loop along the axis carries the running values; another axis gives the lanes, where there is one.
void Planner::lowerScan(OpId id) {
  const Op &op = tile.op(id);
  const Type shape = tile.type(op.operands[0]);
  unsigned axis = static_cast<unsigned>(op.attributes.intOr("axis", 0));
  const Attribute *attribute = op.attributes.find("reverse");
  bool reverse = attribute && (attribute->kind == Attribute::Kind::Unit || attribute->integer != 0);
  int lane = laneBeside(*this, op.operands, shape, axis);
  std::vector<Buffer> into;
  for (ValueId result : op.results)
    into.push_back(makeBuffer(result, lane < 0 ? static_cast<int>(axis) : lane));
  Nest nest(*this);
  const Indices outer = openLoops(nest, *this, shape, lane, {}, static_cast<int>(axis));
  auto elements = [&](ValueId position) {
    Indices at = outer;
    at[axis] = position;
    std::vector<ValueId> values;
    for (ValueId operand : op.operands)
      values.push_back(nest.eval(operand, at));
    return values;
  };
  auto store = [&](ValueId position, const std::vector<ValueId> &values) {
    Indices at = outer;
    at[axis] = position;
    for (size_t i = 0; i < values.size(); ++i)
      nest.store(into[i], at, shape, values[i]);
  };
  ValueId last = constant(shape.dim(axis) - 1);
  ValueId first = reverse ? last : constant(0);
  std::vector<ValueId> start = elements(first);
  store(first, start);
  if (shape.log2dim[axis] > 0) {
    ValueId step = nest.open(constant(1), constant(shape.dim(axis)), false, start);
    ValueId position = reverse ? nest.emit(OpKind::SubI, {last, step}, Type::scalar(Elem::I64)) : step;
    std::vector<ValueId> arguments = nest.carried(), next = elements(position);
    arguments.insert(arguments.end(), next.begin(), next.end());
    std::vector<ValueId> combined = nest.evalRegion(op.regions[0].blocks[0], arguments);
    store(position, combined);
    nest.close(combined);
  }
  closeAll(*this, nest, outer);
  for (size_t i = 0; i < op.results.size(); ++i)
    buffers[op.results[i]] = into[i];
}

/// The source is kept whole; an index outside of it takes the one that its low bits name.
void Planner::lowerGather(OpId id) {
  const Op &op = tile.op(id);
  unsigned axis = static_cast<unsigned>(op.attributes.intOr("axis", 0));
  const Type shape = tile.type(op.results[0]);
  const Buffer source = keep(op.operands[0]);
  int lane = naturalLane(op.operands[1]);
  Buffer into = makeBuffer(op.results[0], lane);
  Nest nest(*this);
  Indices at = openLoops(nest, *this, shape, lane), from = at;
  ValueId index = nest.eval(op.operands[1], at);
  if (plan.type(index).elem != Elem::I64)
    index = nest.emit(OpKind::ExtSI, {index}, Type::scalar(Elem::I64));
  from[axis] =
      nest.emit(OpKind::AndI, {index, constant(tile.type(op.operands[0]).dim(axis) - 1)}, Type::scalar(Elem::I64));
  nest.store(into, at, shape, nest.load(source, from, tile.type(op.operands[0])));
  closeAll(*this, nest, at);
  buffers[op.results[0]] = into;
}

/// Counts one element after the other; values outside of the bins are not counted.
void Planner::lowerHistogram(OpId id) {
  const Op &op = tile.op(id);
  const Type bins = tile.type(op.results[0]), shape = tile.type(op.operands[0]);
  Buffer counts = makeBuffer(op.results[0], 0);
  keep(op.operands[0]);
  {
    Nest nest(*this);
    Indices at = openLoops(nest, *this, bins, 0);
    nest.store(counts, at, bins, constant(0, bins.elem));
    closeAll(*this, nest, at);
  }
  Nest nest(*this);
  Indices at = openLoops(nest, *this, shape, -1);
  ValueId value = nest.eval(op.operands[0], at);
  if (plan.type(value).elem != Elem::I64)
    value = nest.emit(OpKind::ExtSI, {value}, Type::scalar(Elem::I64));
  Attributes below;
  below.set("predicate", Attribute::keyword("ult"));
  ValueId counted = nest.emit(OpKind::CmpI, {value, constant(bins.dim(0))}, Type::scalar(Elem::I1), std::move(below));
  if (op.operands.size() > 1)
    counted = nest.emit(OpKind::AndI, {counted, nest.eval(op.operands[1], at)}, Type::scalar(Elem::I1));
  ValueId old = nest.effect(OpKind::PlanLoad, {counts.pointer, value, counted}, counts.type);
  ValueId next = nest.emit(OpKind::AddI, {old, constant(1, bins.elem)}, counts.type);
  nest.storeMemory(counts.pointer, value, next, counted);
  closeAll(*this, nest, at);
  buffers[op.results[0]] = counts;
}

/// A function without loops and effects becomes selects on lanes; any other one runs element by element. `pack`
/// neighbours along the last dimension make one call.
void Planner::lowerMapElementwise(OpId id) {
  const Op &op = tile.op(id);
  const Type shape = tile.type(op.operands[0]);
  int64_t pack = op.attributes.intOr("pack", 1);
  BlockId body = op.regions[0].blocks[0];
  bool onLanes = pack == 1 && Nest::canEvalRegion(tile, body);
  if (!onLanes)
    keepLoads(op.operands, kNone); // the function may write anywhere
  int lane = onLanes ? chooseLane(*this, op.operands, shape, kNone) : -1;
  std::vector<Buffer> into;
  for (ValueId result : op.results)
    into.push_back(makeBuffer(result, lane < 0 ? static_cast<int>(shape.rank) - 1 : lane));
  Nest nest(*this);
  if (onLanes) {
    Indices at = openLoops(nest, *this, shape, lane);
    std::vector<ValueId> arguments;
    for (ValueId operand : op.operands)
      arguments.push_back(nest.eval(operand, at));
    std::vector<ValueId> results = nest.evalRegion(body, arguments);
    for (size_t i = 0; i < results.size(); ++i)
      nest.store(into[i], at, shape, results[i]);
    closeAll(*this, nest, at);
  } else {
    Indices at(shape.rank, constant(0));
    for (unsigned d = 0; d < shape.rank; ++d)
      at[d] = nest.open(constant(0), constant(d + 1 == shape.rank ? shape.dim(d) / pack : shape.dim(d)), false);
    std::vector<Indices> members;
    for (int64_t k = 0; k < pack; ++k) {
      members.push_back(at);
      members.back().back() = nest.add(nest.mul(at.back(), constant(pack)), constant(k));
    }
    std::vector<ValueId> arguments;
    for (ValueId operand : op.operands)
      for (const Indices &member : members)
        arguments.push_back(nest.eval(operand, member));
    std::vector<ValueId> results = nest.runRegion(body, arguments);
    for (size_t i = 0; i < results.size(); ++i)
      nest.store(into[i / members.size()], members[i % members.size()], shape, results[i]);
    for (unsigned d = 0; d < shape.rank; ++d)
      nest.close();
  }
  for (size_t i = 0; i < op.results.size(); ++i)
    buffers[op.results[i]] = into[i];
}

} // namespace opw::passes
