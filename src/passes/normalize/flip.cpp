// Triton sorts and flips with x ^ (x reduced by xor along an axis of two), which is the other one of the two. It
// becomes tile.flip, an index and no arithmetic; the reduction is left for dead code. Bit casts around it go.
#include "passes/normalize/normalizer.h"

namespace opw::passes {

using namespace ir;

namespace {

/// The op that makes a value of the function, if it is of that kind.
const Op *madeBy(const Function &fn, ValueId value, OpKind kind) {
  OpId id = fn.values[value].op;
  return id != kNone && fn.op(id).kind == kind ? &fn.op(id) : nullptr;
}

/// Whether `both` is `x` reduced by xor along an axis of two and spread over it again.
bool isXorOfPair(const Function &fn, ValueId both, ValueId x, int64_t &axis) {
  const Op *broadcast = madeBy(fn, both, OpKind::Broadcast);
  const Op *expand = broadcast ? madeBy(fn, broadcast->operands[0], OpKind::ExpandDims) : nullptr;
  const Op *reduce = expand ? madeBy(fn, expand->operands[0], OpKind::Reduce) : nullptr;
  if (!reduce || reduce->operands.size() != 1 || reduce->operands[0] != x)
    return false;
  axis = reduce->attributes.intOr("axis", 0);
  const ir::Block &body = fn.block(reduce->regions[0].blocks[0]);
  const Op &combine = fn.op(body.ops.front());
  bool isXor = body.ops.size() == 2 && combine.kind == OpKind::XOrI && combine.operands == body.arguments &&
               fn.op(body.ops.back()).operands == combine.results;
  return isXor && expand->attributes.intOr("axis", 0) == axis && fn.type(x).log2dim[static_cast<size_t>(axis)] == 1;
}

} // namespace

bool Normalizer::flip(Frame &frame, const Op &op) {
  const Function &fn = *frame.fn;
  if (op.kind == OpKind::XOrI && fn.type(op.results[0]).isTile()) {
    for (size_t side : {0u, 1u}) {
      int64_t axis = 0;
      if (!isXorOfPair(fn, op.operands[1 - side], op.operands[side], axis))
        continue;
      Attributes attributes;
      attributes.set("axis", Attribute::integerOf(axis, Elem::I32));
      ValueId x = one(frame, op.operands[side]);
      bind(frame, op.results, {b.value(OpKind::Flip, {x}, out.type(x), std::move(attributes))});
      return true;
    }
    return false;
  }
  if (op.kind != OpKind::Bitcast && op.kind != OpKind::ArithBitcast)
    return false;
  // The cast of a flipped cast: the flip of what was cast.
  const Op *flipped = madeBy(out, one(frame, op.operands[0]), OpKind::Flip);
  const Op *cast = flipped ? madeBy(out, flipped->operands[0], op.kind) : nullptr;
  if (!cast || !(out.type(cast->operands[0]) == fn.type(op.results[0])))
    return false;
  Attributes attributes = flipped->attributes;
  ValueId x = cast->operands[0];
  bind(frame, op.results, {b.value(OpKind::Flip, {x}, out.type(x), std::move(attributes))});
  return true;
}

} // namespace opw::passes
