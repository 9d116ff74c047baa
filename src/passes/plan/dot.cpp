// Dots. C[m][n] is computed by a micro-kernel over f32: one operand is broadcast (the *rows* side), the other gives
// vectors (the *lanes* side, packed in panels). Which is which is a choice: with the lanes along M, C is kept as its
// transpose, and a reduction over N, as in attention's softmax, runs over whole vectors of rows, without a shuffle; and
// K^T needs no transposing. Element types are converted while packing. Types that the micro-kernel does not take are a
// plain nest.
#include "passes/plan/nest.h"

#include <algorithm>
#include <map>
#include <set>

namespace opw::passes {

using namespace ir;

namespace {

/// Whether the value reaches a reduction along `axis` through elementwise ops.
bool feedsReduction(const Function &fn, const std::vector<std::vector<OpId>> &users, ValueId value, int64_t axis,
                    std::set<ValueId> &seen) {
  if (!seen.insert(value).second)
    return false;
  for (OpId user : users[value]) {
    const Op &op = fn.op(user);
    if (op.kind == OpKind::Reduce && op.attributes.intOr("axis", 0) == axis)
      return true;
    if (has(op.kind, kElementwise) && op.results.size() == 1 && feedsReduction(fn, users, op.results[0], axis, seen))
      return true;
  }
  return false;
}

bool convertsToF32(Elem elem) { return isFloat(elem) && elem != Elem::F64; }

bool isZero(const Function &fn, ValueId value) {
  OpId def = fn.values[value].op;
  if (def == kNone || fn.op(def).kind != OpKind::Constant)
    return false;
  const Attribute *constant = fn.op(def).attributes.find("value");
  return constant && constant->kind == Attribute::Kind::Float ? constant->bits == 0
                                                              : constant && constant->integer == 0;
}

} // namespace

void Planner::planDots() {
  const auto &users = placement.users();
  for (OpId id = 0; id < tile.ops.size(); ++id) {
    const Op &op = tile.op(id);
    if (op.kind != OpKind::Dot || op.parent == kNone)
      continue;
    DotPlan &dot = dots[id];
    const Type &a = tile.type(op.operands[0]), &b = tile.type(op.operands[1]), &c = tile.type(op.operands[2]);
    dot.micro = c.rank == 2 && c.elem == Elem::F32 && convertsToF32(a.elem) && convertsToF32(b.elem) &&
                std::max(c.dim(0), c.dim(1)) >= 16;
    if (!dot.micro)
      continue;
    std::set<ValueId> seen;
    dot.transposed = (c.dim(0) >= 16 && feedsReduction(tile, users, op.results[0], 1, seen)) || c.dim(1) < 16;
    int64_t lanes = dot.transposed ? c.dim(0) : c.dim(1);
    dot.panel = std::min<int64_t>(lanes, options.vectorLanes * 2);

    // acc = dot(a, b, acc) or dot(a, b, acc * factor) on a carried tile that nobody else reads: C is the carried
    // buffer.
    ValueId accumulator = op.operands[2], factor = kNone;
    if (OpId def = tile.values[accumulator].op; def != kNone && tile.op(def).kind == OpKind::MulF) {
      for (int side : {0, 1}) {
        ValueId candidate = tile.op(def).operands[static_cast<size_t>(side)];
        ValueId other = tile.op(def).operands[static_cast<size_t>(1 - side)];
        OpId otherDef = tile.values[other].op;
        if (tile.values[candidate].op != kNone || otherDef == kNone || users[accumulator].size() != 1)
          continue;
        const Op *broadcast = &tile.op(otherDef);
        if (broadcast->kind != OpKind::Broadcast)
          continue;
        OpId expand = tile.values[broadcast->operands[0]].op;
        if (expand == kNone || tile.op(expand).kind != OpKind::ExpandDims ||
            tile.type(tile.op(expand).operands[0]).rank != 1)
          continue;
        factor = tile.op(expand).operands[0];
        dot.scaleDim = tile.op(expand).attributes.intOr("axis", 0) == 0 ? 1 : 0;
        accumulator = candidate;
        break;
      }
    }
    BlockId block = tile.values[accumulator].block;
    OpId yield = users[op.results[0]].size() == 1 ? users[op.results[0]][0] : kNone;
    if (tile.values[accumulator].op != kNone || block == kNone || block != op.parent || yield == kNone ||
        users[accumulator].size() != 1 || tile.op(yield).kind != OpKind::Yield || tile.op(yield).parent != block ||
        tile.values[accumulator].index == 0 ||
        tile.op(yield).operands[tile.values[accumulator].index - 1] != op.results[0] ||
        tile.block(block).owner == kNone || tile.op(tile.block(block).owner).kind != OpKind::For)
      continue;
    dot.inPlace = true;
    dot.carried = accumulator;
    dot.scale = factor;
  }
}

static PackKey packKey(ValueId value, const DotPlan &how, bool lanesSide) {
  return lanesSide ? PackKey{value, true, how.transposed ? 0u : 1u, how.panel} : PackKey{value, false};
}

void Planner::packOperand(ValueId value, OpId dot, bool lanesSide) {
  const DotPlan &how = dots.at(dot);
  PackKey key = packKey(value, how, lanesSide);
  if (packs.contains(key))
    return;
  if (!lanesSide && buffers[value] && buffers[value]->type == Type::scalar(Elem::F32) && buffers[value]->panelDim < 0)
    return pack(key, *buffers[value]);
  const Type &type = tile.type(value);
  Buffer buffer{.pointer = allocate(Type::scalar(Elem::F32), type.size())};
  if (lanesSide) {
    unsigned lane = how.transposed ? 0 : 1;
    buffer.strides.assign(2, 0);
    buffer.panelDim = static_cast<int>(lane);
    buffer.panel = how.panel;
    buffer.panelStride = how.panel * type.dim(1 - lane);
    buffer.strides[1 - lane] = how.panel;
  } else {
    int lane = naturalLane(value);
    unsigned inner = lane < 0 ? 1 : static_cast<unsigned>(lane);
    buffer.strides.assign(2, 0);
    buffer.strides[inner] = 1;
    buffer.strides[1 - inner] = type.dim(inner);
  }
  materialize(value, buffer);
  pack(key, buffer);
}

void Planner::packsDefinedBy(OpId id) {
  for (ValueId result : tile.op(id).results)
    for (OpId user : placement.users()[result]) {
      const Op &op = tile.op(user);
      if (op.kind != OpKind::Dot || !placement.entersLoop(tile.op(id).parent, user))
        continue;
      if (!dots.at(user).micro) {
        if (op.operands[0] == result || op.operands[1] == result)
          keep(result);
        continue;
      }
      bool transposed = dots.at(user).transposed;
      for (unsigned side : {0u, 1u})
        if (op.operands[side] == result)
          packOperand(result, user, (side == 1) != transposed);
    }
}

namespace {

/// Whether a value is computed elementwise from a source, and needs nothing else that is not there yet. Each value is
/// looked at once.
class ReadyFrom {
public:
  ReadyFrom(const Planner &planner, ValueId source) : p(planner), source(source) {}

  bool derives(ValueId value) {
    return once(derived, value, [&] {
      OpId def = p.tile.values[value].op;
      return value == source || (def != kNone && has(p.tile.op(def).kind, kElementwise) &&
                                 anyOf(p.tile.op(def), [&](ValueId operand) { return derives(operand); }));
    });
  }

  bool needsNothingElse(ValueId value) {
    return once(alone, value, [&] {
      if (value == source)
        return true;
      OpId def = p.tile.values[value].op;
      if (def == kNone || !has(p.tile.op(def).kind, kElementwise) || !derives(value))
        return isReady(value);
      return !anyOf(p.tile.op(def), [&](ValueId operand) { return !needsNothingElse(operand); });
    });
  }

private:
  const Planner &p;
  ValueId source;
  std::map<ValueId, bool> derived, alone, ready;

  template <typename Answer> static bool once(std::map<ValueId, bool> &known, ValueId value, Answer answer) {
    if (auto it = known.find(value); it != known.end())
      return it->second;
    return known[value] = answer();
  }
  template <typename Test> static bool anyOf(const Op &op, Test test) {
    return std::any_of(op.operands.begin(), op.operands.end(), test);
  }

  /// Whether all that a virtual value needs has been computed: buffers filled, scalars known.
  bool isReady(ValueId value) {
    return once(ready, value, [&] {
      if (!p.tile.type(value).isTile())
        return p.scalars[value] != kNone;
      if (p.buffers[value])
        return true;
      OpId def = p.tile.values[value].op;
      if (def == kNone)
        return p.forms[value].has_value();
      const Op &op = p.tile.op(def);
      if (Placement::isAnchor(op) || op.kind == OpKind::Load)
        return false;
      return !anyOf(op, [&](ValueId operand) { return !isReady(operand); });
    });
  }
};

} // namespace

std::vector<std::pair<ValueId, OpId>> Planner::fusiblePacks(OpId reduce) {
  // Attention: p is summed and is also, rounded, the operand of the next dot. One nest does both.
  std::vector<std::pair<ValueId, OpId>> found;
  ValueId source = tile.op(reduce).operands[0];
  ReadyFrom from(*this, source);
  for (OpId id : tile.block(tile.op(reduce).parent).ops) {
    const Op &op = tile.op(id);
    if (op.kind != OpKind::Dot || !dots.at(id).micro || placement.position(id) < placement.position(current))
      continue;
    ValueId value = op.operands[dots.at(id).transposed ? 1 : 0];
    const Type &type = tile.type(value);
    OpId def = tile.values[value].op;
    if (buffers[value] || packs.contains({value, false}) || type.rank != tile.type(source).rank ||
        type.log2dim != tile.type(source).log2dim || def == kNone || tile.op(def).parent != tile.op(reduce).parent ||
        !from.derives(value) || !from.needsNothingElse(value))
      continue;
    found.emplace_back(value, id);
  }
  return found;
}

OpId Planner::reductionToDoWith(ValueId value) {
  // A value that gets a buffer anyway and is reduced later in this block: one nest for both, if all else is there.
  BlockId block = tile.op(current).parent;
  for (OpId user : placement.users()[value]) {
    const Op &op = tile.op(user);
    if (op.kind == OpKind::Reduce && op.parent == block && op.operands.size() == 1 && op.operands[0] == value &&
        !lowered[user])
      return user;
  }
  return kNone;
}

namespace {

/// Any element types, any shapes: lanes along N, K sequential, accumulated in the type of C.
void lowerPlainDot(Planner &p, const Op &op, Buffer &c) {
  const Type type = p.tile.type(op.results[0]);
  unsigned rank = type.rank;
  const Type a = p.tile.type(op.operands[0]);
  for (unsigned side : {0u, 1u}) // elements are read once per row or column
    p.keep(op.operands[side]);
  bool floats = isFloat(type.elem);
  Elem wide = type.elem == Elem::F16 || type.elem == Elem::BF16 ? Elem::F32 : type.elem;
  Nest nest(p);
  auto convert = [&](ValueId element, Elem to) {
    Elem from = p.plan.type(element).elem;
    if (from == to)
      return element;
    OpKind kind = !floats                         ? OpKind::ExtSI
                  : bitWidth(from) > bitWidth(to) ? OpKind::TruncF
                  : bitWidth(from) < 16           ? OpKind::FpToFp
                                                  : OpKind::ExtF;
    return nest.emit(kind, {element}, Type::scalar(to));
  };
  int lane = type.log2dim[rank - 1] > 0 ? static_cast<int>(rank) - 1 : -1;
  Indices at = openLoops(nest, p, type, lane);
  ValueId start = convert(nest.eval(op.operands[2], at), wide);
  ValueId k = nest.open(p.constant(0), p.constant(a.dim(rank - 1)), false, {start});
  Indices left = at, right = at;
  left[rank - 1] = k;
  right[rank - 2] = k;
  ValueId x = convert(nest.eval(op.operands[0], left), wide), y = convert(nest.eval(op.operands[1], right), wide);
  ValueId product = nest.emit(floats ? OpKind::MulF : OpKind::MulI, {x, y}, Type::scalar(wide));
  ValueId sum = nest.emit(floats ? OpKind::AddF : OpKind::AddI, {nest.carried()[0], product}, Type::scalar(wide));
  ValueId total = nest.close({sum})[0];
  nest.store(c, at, type, convert(total, type.elem));
  for (ValueId index : at)
    if (!p.isConstantEqual(index, 0))
      nest.close();
}

} // namespace

void Planner::lowerDot(OpId id) {
  const Op &op = tile.op(id);
  const DotPlan &dot = dots.at(id);
  ValueId result = op.results[0];
  const Type type = tile.type(result);
  if (!dot.micro) {
    Buffer c = makeBuffer(result, static_cast<int>(type.rank) - 1);
    lowerPlainDot(*this, op, c);
    buffers[result] = c;
    return;
  }
  unsigned rowDim = dot.transposed ? 1 : 0, laneDim = 1 - rowDim;
  ValueId rowSide = op.operands[dot.transposed ? 1 : 0], laneSide = op.operands[dot.transposed ? 0 : 1];
  packOperand(rowSide, id, false);
  packOperand(laneSide, id, true);
  const Buffer rows = packs.at(packKey(rowSide, dot, false)), lanes = packs.at(packKey(laneSide, dot, true));
  unsigned rowK = dot.transposed ? 0 : 1; // the rows side is A[m][k], or B[k][n] when transposed

  Buffer c;
  const char *init = "load";
  std::vector<ValueId> operands;
  if (dot.inPlace) {
    c = *buffers[dot.carried];
    if (dot.scale != kNone) {
      keep(dot.scale);
      init = dot.scaleDim == rowDim ? "scale_rows" : "scale_lanes";
    }
  } else {
    c = makeBuffer(result, static_cast<int>(laneDim));
    if (isZero(tile, op.operands[2]))
      init = "zero";
    else
      materialize(op.operands[2], c);
  }
  operands = {c.pointer, rows.pointer, lanes.pointer};
  if (dot.scale != kNone && dot.inPlace)
    operands.push_back(buffers[dot.scale]->pointer);
  Attributes attributes;
  auto set = [&](const char *key, int64_t value) { attributes.set(key, Attribute::integerOf(value)); };
  set("rows", type.dim(rowDim));
  set("lanes", type.dim(laneDim));
  set("depth", tile.type(rowSide).dim(rowK));
  set("panel", lanes.panel);
  set("a_row", rows.strides[1 - rowK]);
  set("a_col", rows.strides[rowK]);
  set("c_row", c.strides[rowDim] ? c.strides[rowDim] : type.dim(laneDim));
  attributes.set("init", Attribute::keyword(init));
  builder.create(OpKind::PlanDot, std::move(operands), {}, std::move(attributes));
  buffers[result] = c;
}

} // namespace opw::passes
