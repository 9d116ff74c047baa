// Layout: which dimension of a nest or a buffer gives the lanes, and where buffers lie.
#include "passes/plan/nest.h"

#include <set>

namespace opw::passes {

using namespace ir;

namespace {

/// Adds up, per dimension of the nest, how many bytes are contiguous along it.
struct LaneVotes {
  Planner &p;
  std::vector<int64_t> votes;
  std::set<std::pair<ValueId, DimMap>> seen;

  void count(const Form &form, const DimMap &dims, int64_t weight) {
    for (const Term &term : form.terms) {
      OpId def = p.tile.values[term.tile].op;
      bool whole = p.blockwise[term.tile], rest = whole && p.tile.op(def).kind == OpKind::RemSI;
      for (int d : compose(term.dims, dims))
        if (d >= 0 && rest && p.isConstantEqual(term.scale, 1))
          votes[static_cast<size_t>(d)] += weight; // whole vectors
        else if (d >= 0 && (!whole || rest))
          votes[static_cast<size_t>(d)] -= weight; // per-lane addresses
    }
    for (size_t d = 0; d < form.strides.size(); ++d)
      if (form.strides[d] != kNone && dims[d] >= 0)
        votes[static_cast<size_t>(dims[d])] += p.isConstantEqual(form.strides[d], 1) ? weight : -weight;
  }

  void visit(ValueId value, const DimMap &dims) {
    const Type &type = p.tile.type(value);
    if (!type.isTile() || !seen.insert({value, dims}).second)
      return;
    if (p.buffers[value]) {
      int lane = p.buffers[value]->laneDim();
      if (lane >= 0 && dims[static_cast<size_t>(lane)] >= 0)
        votes[static_cast<size_t>(dims[static_cast<size_t>(lane)])] += byteWidth(type.elem);
      return;
    }
    OpId def = p.tile.values[value].op;
    if (def == kNone)
      return;
    const Op &op = p.tile.op(def);
    if (op.kind == OpKind::Load) {
      if (p.forms[op.operands[0]])
        count(*p.forms[op.operands[0]], dims, byteWidth(type.elem));
      return;
    }
    if (DimMap map; shapeMap(p.tile, op, map))
      visit(op.operands[0], compose(map, dims));
    else if (has(op.kind, kElementwise))
      for (ValueId operand : op.operands)
        visit(operand, dims);
  }
};

} // namespace

int chooseLane(Planner &planner, const std::vector<ValueId> &roots, const Type &shape, ValueId pointer) {
  LaneVotes votes{planner, std::vector<int64_t>(shape.rank, 0), {}};
  DimMap dims(shape.rank);
  for (unsigned d = 0; d < shape.rank; ++d)
    dims[d] = static_cast<int>(d);
  for (ValueId root : roots)
    votes.visit(root, dims);
  if (pointer != kNone && planner.forms[pointer])
    votes.count(*planner.forms[pointer], dims, 8);
  int best = -1;
  for (unsigned d = 0; d < shape.rank; ++d)
    if (shape.log2dim[d] > 0 && (best < 0 || votes.votes[d] >= votes.votes[static_cast<size_t>(best)]))
      best = static_cast<int>(d);
  return best;
}

int Planner::naturalLane(ValueId value) { return chooseLane(*this, {value}, tile.type(value), kNone); }

int Buffer::laneDim() const {
  if (panelDim >= 0)
    return panelDim;
  for (size_t d = 0; d < strides.size(); ++d)
    if (strides[d] == 1)
      return static_cast<int>(d);
  return -1;
}

bool Buffer::isRowMajor(const Type &shape) const {
  int64_t stride = 1;
  for (unsigned d = shape.rank; d-- > 0;) {
    if (shape.log2dim[d] > 0 && strides[d] != stride)
      return false;
    stride *= shape.dim(d);
  }
  return panelDim < 0;
}

ValueId Planner::allocate(Type element, int64_t elements) {
  // Buffers are made at the top of the function: their place in scratch does not depend on where they are filled.
  ++element.pointerDepth;
  OpId op = plan.addOp(OpKind::PlanBuffer, {}, {element});
  plan.op(op).attributes.set("elements", Attribute::integerOf(elements));
  constantOps.push_back(op);
  return plan.op(op).results[0];
}

Buffer Planner::makeBuffer(ValueId value, int laneDim) {
  return makeBuffer(value, laneDim, tile.type(value).element());
}

Buffer Planner::makeBuffer(ValueId value, int laneDim, Type element) {
  const Type &type = tile.type(value);
  Buffer buffer{.pointer = allocate(element, type.size()), .type = element};
  if (OpId def = tile.values[value].op; def != kNone)
    plan.op(plan.values[buffer.pointer].op).location = tile.op(def).location;
  buffer.strides.assign(type.rank, 0);
  int64_t stride = 1;
  auto place = [&](unsigned d) {
    if (type.log2dim[d] == 0)
      return;
    buffer.strides[d] = stride;
    stride *= type.dim(d);
  };
  if (laneDim >= 0)
    place(static_cast<unsigned>(laneDim));
  for (unsigned d = type.rank; d-- > 0;)
    if (static_cast<int>(d) != laneDim)
      place(d);
  return buffer;
}

const Buffer &Planner::keep(ValueId value) {
  if (!buffers[value]) {
    Buffer buffer = makeBuffer(value, naturalLane(value));
    materialize(value, buffer);
    buffers[value] = buffer;
    kept.push_back(value);
  }
  return *buffers[value];
}

void Planner::pack(const PackKey &key, const Buffer &buffer) {
  packs[key] = buffer;
  packed.push_back(key);
}

LazyScope::~LazyScope() {
  for (; p.kept.size() > kept; p.kept.pop_back())
    p.buffers[p.kept.back()].reset();
  for (; p.packed.size() > packed; p.packed.pop_back())
    p.packs.erase(p.packed.back());
}

} // namespace opw::passes
