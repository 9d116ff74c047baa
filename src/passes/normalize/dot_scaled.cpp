// Dots of scaled operands (microscaling formats): operands and scales become f32 tiles and their product an ordinary
// dot, into whose packing the planner pulls all of this. e8m0 scales are powers of two, so a scaled element is exact in
// f32.
#include "passes/normalize/normalizer.h"

namespace opw::passes {

using namespace ir;

namespace {

Attributes orderOf(unsigned rank, unsigned x, unsigned y) {
  std::vector<int64_t> order;
  for (unsigned d = 0; d < rank; ++d)
    order.push_back(d == x ? y : d == y ? x : d);
  Attributes attributes;
  attributes.set("order", Attribute::ints(std::move(order)));
  return attributes;
}

} // namespace

ValueId Normalizer::splatOf(int64_t value, const Type &shape) {
  Attributes attributes;
  attributes.set("value", Attribute::integerOf(value, shape.elem));
  return b.value(OpKind::Constant, {}, shape, std::move(attributes));
}

ValueId Normalizer::swapped(ValueId tile, unsigned x, unsigned y) {
  Type type = out.type(tile);
  std::swap(type.log2dim[x], type.log2dim[y]);
  return b.value(OpKind::Trans, {tile}, type, orderOf(type.rank, x, y));
}

/// Bytes of two e2m1 numbers each, the lower four bits first along `dim`, as f32.
ValueId Normalizer::unpackE2m1(ValueId packed, unsigned dim) {
  const Type bytes = out.type(packed), words = bytes.withElem(Elem::I32), floats = bytes.withElem(Elem::F32);
  auto integer = [&](OpKind kind, ValueId x, int64_t y) { return b.value(kind, {x, splatOf(y, words)}, words); };
  ValueId both = b.value(OpKind::ExtUI, {packed}, words);
  auto number = [&](ValueId bits) {
    // sign, two bits of exponent with bias 1, one of mantissa: from 1 on the upper bits of an f32, below it halves
    ValueId size = integer(OpKind::AndI, bits, 7);
    ValueId sign = integer(OpKind::ShlI, integer(OpKind::AndI, bits, 8), 28);
    ValueId normal = integer(OpKind::AddI, integer(OpKind::ShlI, size, 22), int64_t{126} << 23);
    Attributes half, less;
    half.set("value", Attribute::floatBits(0x3f000000, Elem::F32));
    less.set("predicate", Attribute::keyword("ult"));
    ValueId few = b.value(
        OpKind::MulF, {b.value(OpKind::SIToFP, {size}, floats), b.value(OpKind::Constant, {}, floats, std::move(half))},
        floats);
    ValueId isSmall = b.value(OpKind::CmpI, {size, splatOf(2, words)}, bytes.withElem(Elem::I1), std::move(less));
    ValueId magnitude = b.value(OpKind::Select, {isSmall, b.value(OpKind::ArithBitcast, {few}, words), normal}, words);
    return b.value(OpKind::ArithBitcast, {b.value(OpKind::OrI, {magnitude, sign}, words)}, floats);
  };
  Type pairs = floats;
  pairs.log2dim[pairs.rank++] = 1;
  ValueId joined =
      b.value(OpKind::Join, {number(integer(OpKind::AndI, both, 15)), number(integer(OpKind::ShrUI, both, 4))}, pairs);
  for (unsigned d = bytes.rank; d > dim + 1; --d)
    joined = swapped(joined, d, d - 1);
  Type whole = floats;
  ++whole.log2dim[dim];
  return b.value(OpKind::Reshape, {joined}, whole);
}

/// One scale for a group of neighbours along the last dimension.
ValueId Normalizer::spreadScale(ValueId scale, unsigned log2depth) {
  const Type bytes = out.type(scale), words = bytes.withElem(Elem::I32);
  // e8m0: the exponent of an f32; 0 is 2^-127, which is denormal, and 255 is NaN
  ValueId exponent = b.value(OpKind::ExtUI, {scale}, words);
  ValueId bits = b.value(OpKind::ShlI, {exponent, splatOf(23, words)}, words);
  auto where = [&](int64_t value, int64_t instead) {
    Attributes equal;
    equal.set("predicate", Attribute::keyword("eq"));
    ValueId is = b.value(OpKind::CmpI, {exponent, splatOf(value, words)}, bytes.withElem(Elem::I1), std::move(equal));
    bits = b.value(OpKind::Select, {is, splatOf(instead, words), bits}, words);
  };
  where(0, 0x00400000);
  where(255, 0x7fc00000);
  ValueId factor = b.value(OpKind::ArithBitcast, {bits}, bytes.withElem(Elem::F32));
  Type lines = out.type(factor), groups, whole = lines;
  lines.log2dim[lines.rank++] = 0;
  groups = lines;
  groups.log2dim[bytes.rank] = static_cast<uint8_t>(log2depth - bytes.log2dim[bytes.rank - 1]);
  whole.log2dim[bytes.rank - 1] = static_cast<uint8_t>(log2depth);
  Attributes axis;
  axis.set("axis", Attribute::integerOf(bytes.rank, Elem::I32));
  ValueId spread = b.value(OpKind::ExpandDims, {factor}, lines, std::move(axis));
  if (!(lines == groups))
    spread = b.value(OpKind::Broadcast, {spread}, groups);
  return b.value(OpKind::Reshape, {spread}, whole);
}

void Normalizer::dotScaled(Frame &frame, const Op &op) {
  auto in = [&](size_t i) { return one(frame, op.operands[i]); };
  const Type result = frame.fn->type(op.results[0]);
  const unsigned rank = result.rank;
  size_t nextScale = 3;
  auto operand = [&](size_t side, const char *format, const char *hasScale, const char *kPack) {
    unsigned depth = side == 0 ? rank - 1 : rank - 2, other = side == 0 ? rank - 2 : rank - 1;
    ValueId tile = in(side);
    std::string_view name = op.attributes.textOr(format, "");
    if (name == "e2m3" || name == "e3m2")
      refuse(frame, op, "operand of format " + std::string(name), "use e2m1, e4m3, e5m2, bf16 or fp16");
    const Attribute *alongDepth = op.attributes.find(kPack);
    if (name == "e2m1")
      tile = unpackE2m1(tile, alongDepth && alongDepth->integer == 0 ? other : depth);
    else if (Type type = out.type(tile); type.elem != Elem::F32)
      tile = b.value(type.elem == Elem::F16 || type.elem == Elem::BF16 ? OpKind::ExtF : OpKind::FpToFp, {tile},
                     type.withElem(Elem::F32));
    if (!op.attributes.has(hasScale))
      return tile;
    ValueId scale = spreadScale(in(nextScale++), out.type(tile).log2dim[depth]);
    if (side == 1) // one row of scales for each column
      scale = swapped(scale, rank - 2, rank - 1);
    return b.value(OpKind::MulF, {tile, scale}, out.type(tile));
  };
  ValueId a = operand(0, "lhs", "lhsScale", "lhs_k_pack"), c = operand(1, "rhs", "rhsScale", "rhs_k_pack");
  bind(frame, op.results, {b.value(OpKind::Dot, {a, c, in(2)}, result)});
}

} // namespace opw::passes
