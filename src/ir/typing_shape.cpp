// Rules of program ids, shape ops, contractions, reductions and scans.
#include "ir/typing_rules.h"

#include <algorithm>

namespace opw::ir {

namespace {

void requireTile(const Type &type) {
  if (!type.isTile())
    OpView::fail("found " + type.str() + ", expected a tile");
}

void sameElement(const Type &a, const Type &b) {
  if (a.element() != b.element())
    OpView::fail("found elements " + a.element().str() + " and " + b.element().str() + ", expected the same");
}

Type withoutAxis(Type type, unsigned axis) {
  std::copy(type.log2dim.begin() + axis + 1, type.log2dim.begin() + type.rank, type.log2dim.begin() + axis);
  type.log2dim[--type.rank] = 0;
  return type;
}

Type withAxis(Type type, unsigned axis, unsigned log2) {
  OpView::require(type.rank < kMaxRank, "the result has more than 20 dimensions");
  std::copy_backward(type.log2dim.begin() + axis, type.log2dim.begin() + type.rank,
                     type.log2dim.begin() + type.rank + 1);
  type.log2dim[axis] = static_cast<uint8_t>(log2);
  ++type.rank;
  return type;
}

void programId(const OpView &view) {
  view.keyword("axis", {"x", "y", "z"});
  view.resultIs(Type::scalar(Elem::I32));
}

void makeRange(const OpView &view) {
  int64_t start = view.integer("start");
  int64_t end = view.integer("end");
  const Type &type = view.out();
  bool isRange = type.isTile() && type.rank == 1 && type.element() == Type::scalar(Elem::I32);
  OpView::require(isRange, "expected a tile of i32 of rank 1");
  bool inRange = start >= INT32_MIN && start <= INT32_MAX && end >= INT32_MIN && end <= INT32_MAX;
  if (!inRange || end - start != type.dim(0))
    OpView::fail("start " + std::to_string(start) + " and end " + std::to_string(end) + " do not give " + type.str());
}

void splat(const OpView &view) {
  if (!view.in(0).isScalar())
    OpView::fail("found " + view.in(0).str() + ", expected a scalar");
  requireTile(view.out());
  sameElement(view.in(0), view.out());
}

void unsplat(const OpView &view) {
  requireTile(view.in(0));
  OpView::require(view.in(0).size() == 1, "expected a tile of one element");
  view.resultIs(view.in(0).element());
}

void expandDims(const OpView &view) {
  requireTile(view.in(0));
  int64_t axis = view.integer("axis");
  OpView::require(axis >= 0 && axis <= view.in(0).rank, "axis is out of range");
  view.resultIs(withAxis(view.in(0), static_cast<unsigned>(axis), 0));
}

void broadcast(const OpView &view) {
  const Type &from = view.in(0);
  const Type &to = view.out();
  requireTile(from);
  requireTile(to);
  sameElement(from, to);
  bool fits = from.rank == to.rank;
  for (unsigned i = 0; fits && i < from.rank; ++i)
    fits = from.log2dim[i] == to.log2dim[i] || from.log2dim[i] == 0;
  if (!fits)
    OpView::fail("cannot broadcast " + from.str() + " to " + to.str() + ", expected equal extents or 1");
}

void reshape(const OpView &view) {
  requireTile(view.in(0));
  requireTile(view.out());
  sameElement(view.in(0), view.out());
  if (view.in(0).log2size() != view.out().log2size())
    OpView::fail("cannot reshape " + view.in(0).str() + " to " + view.out().str() +
                 ", expected the same number of elements");
}

void transpose(const OpView &view) {
  const Type &from = view.in(0);
  requireTile(from);
  const Attribute *order = view.op.attributes.find("order");
  bool hasOrder = order != nullptr && order->kind == Attribute::Kind::Ints && order->integers.size() == from.rank;
  OpView::require(hasOrder, "expected an attribute 'order' with one number per dimension");
  Type expected = from;
  std::array<bool, kMaxRank> seen{};
  for (unsigned i = 0; i < from.rank; ++i) {
    int64_t source = order->integers[i];
    bool valid = source >= 0 && source < from.rank && !seen[static_cast<size_t>(source)];
    OpView::require(valid, "expected 'order' to be a permutation of the dimensions");
    seen[static_cast<size_t>(source)] = true;
    expected.log2dim[i] = from.log2dim[static_cast<size_t>(source)];
  }
  view.resultIs(expected);
}

void join(const OpView &view) {
  OpView::require(view.in(0).kind == TypeKind::Value, "expected scalars or tiles");
  view.operandIs(1, view.in(0));
  view.resultIs(withAxis(view.in(0), view.in(0).rank, 1));
}

void split(const OpView &view) {
  const Type &from = view.in(0);
  OpView::require(from.isTile() && from.log2dim[from.rank - 1u] == 1, "expected a tile whose last extent is 2");
  Type half = withoutAxis(from, from.rank - 1u);
  view.resultIs(half, 0);
  view.resultIs(half, 1);
}

void concatenate(const OpView &view) {
  requireTile(view.in(0));
  view.operandIs(1, view.in(0));
  requireTile(view.out());
  sameElement(view.in(0), view.out());
  bool fits = view.in(0).rank == 1 && view.out().rank == 1 && view.out().log2dim[0] == view.in(0).log2dim[0] + 1;
  OpView::require(fits, "expected two tiles of rank 1 and a result of twice their extent");
}

void gather(const OpView &view) {
  const Type &source = view.in(0);
  const Type &indices = view.in(1);
  requireTile(source);
  OpView::require(indices.isTile() && indices.isIntegerLike(), "expected a tile of integers as indices");
  unsigned axis = view.axis(source);
  bool fits = source.rank == indices.rank;
  for (unsigned i = 0; fits && i < source.rank; ++i)
    fits = i == axis || source.log2dim[i] == indices.log2dim[i];
  if (!fits)
    OpView::fail("cannot gather from " + source.str() + " by " + indices.str() +
                 ", expected equal extents off the axis");
  Type expected = indices;
  expected.elem = source.elem;
  expected.pointerDepth = source.pointerDepth;
  view.resultIs(expected);
}

void histogram(const OpView &view) {
  bool fits = view.in(0).isTile() && view.in(0).rank == 1 && view.in(0).isIntegerLike() && view.out().isTile() &&
              view.out().rank == 1 && view.out().isIntegerLike();
  OpView::require(fits, "expected tiles of integers of rank 1");
  if (view.operandCount() == 2)
    view.operandIs(1, maskOf(view.in(0)));
}

void dot(const OpView &view) {
  const Type &a = view.in(0);
  const Type &b = view.in(1);
  const Type &c = view.in(2);
  bool numbers = a.isTile() && b.isTile() && c.isTile() && !a.isPointer() && !b.isPointer() && !c.isPointer();
  bool fits = numbers && a.rank == b.rank && a.rank == c.rank && (a.rank == 2 || a.rank == 3);
  if (fits) {
    unsigned rows = a.rank - 2u, columns = a.rank - 1u;
    fits = a.log2dim[columns] == b.log2dim[rows] && a.log2dim[rows] == c.log2dim[rows] &&
           b.log2dim[columns] == c.log2dim[columns] &&
           (a.rank == 2 || (a.log2dim[0] == b.log2dim[0] && a.log2dim[0] == c.log2dim[0]));
  }
  if (!fits)
    OpView::fail("cannot multiply " + a.str() + " by " + b.str() + " into " + c.str() + ", expected MxK, KxN and MxN");
  bool sameKind = isFloat(a.elem) == isFloat(b.elem) && isFloat(a.elem) == isFloat(c.elem);
  OpView::require(sameKind, "expected operands that are all floats or all integers");
  if (a.elementBits() > c.elementBits() || b.elementBits() > c.elementBits())
    OpView::fail("cannot add products of " + a.str() + " and " + b.str() + " to " + c.str() +
                 ", expected elements that are as wide or wider");
  view.resultIs(c);
  if (view.op.attributes.has("inputPrecision"))
    view.keyword("inputPrecision", {"tf32", "tf32x3", "ieee", "bf16x3", "bf16x6"});
}

/// Extents of an operand of a scaled dot, as logarithms: e2m1 has two numbers in a byte, along the depth or not.
struct ScaledSide {
  unsigned depth, other;
};

ScaledSide scaledSide(const OpView &view, size_t side, std::string_view format, std::string_view kPack) {
  const Type &type = view.in(side);
  unsigned depthAt = side == 0 ? type.rank - 1u : type.rank - 2u, otherAt = side == 0 ? type.rank - 2u : type.rank - 1u;
  ScaledSide extents{type.log2dim[depthAt], type.log2dim[otherAt]};
  std::string_view name = view.op.attributes.textOr(format, "");
  Elem expected = name == "e4m3"   ? Elem::F8E4M3FN
                  : name == "e5m2" ? Elem::F8E5M2
                  : name == "bf16" ? Elem::BF16
                  : name == "fp16" ? Elem::F16
                                   : Elem::I8;
  if (type.elem != expected || type.isPointer())
    OpView::fail("found " + type.str() + " as '" + std::string(name) + "', expected elements of type " +
                 std::string(ir::name(expected)));
  if (name == "e2m1") {
    const Attribute *alongDepth = view.op.attributes.find(kPack);
    ++(alongDepth && alongDepth->integer == 0 ? extents.other : extents.depth);
  }
  return extents;
}

void dotScaled(const OpView &view) {
  constexpr std::string_view kFormats[] = {"e4m3", "e5m2", "e2m3", "e3m2", "e2m1", "bf16", "fp16"};
  for (size_t i = 0; i < view.operandCount(); ++i)
    requireTile(view.in(i));
  view.keyword("lhs", kFormats);
  view.keyword("rhs", kFormats);
  size_t scales = (view.op.attributes.has("lhsScale") ? 1u : 0u) + (view.op.attributes.has("rhsScale") ? 1u : 0u);
  view.operandCountIs(3 + scales, 3 + scales);
  const Type &c = view.in(2);
  view.resultIs(c);
  unsigned rank = c.rank;
  bool sameRank = (rank == 2 || rank == 3) && c.elem == Elem::F32;
  for (size_t i = 0; i < view.operandCount(); ++i)
    sameRank &= view.in(i).rank == rank && (rank == 2 || view.in(i).log2dim[0] == c.log2dim[0]);
  OpView::require(sameRank, "expected operands, scales and an f32 result of rank 2, or 3 with one batch size");
  ScaledSide a = scaledSide(view, 0, "lhs", "lhs_k_pack"), b = scaledSide(view, 1, "rhs", "rhs_k_pack");
  if (a.depth != b.depth || a.other != c.log2dim[rank - 2] || b.other != c.log2dim[rank - 1])
    OpView::fail("cannot multiply " + view.in(0).str() + " by " + view.in(1).str() + " into " + c.str());
  size_t next = 3;
  for (auto [attribute, side] : {std::pair{"lhsScale", a}, std::pair{"rhsScale", b}}) {
    if (!view.op.attributes.has(attribute))
      continue;
    const Type &scale = view.in(next++);
    bool fits = scale.elem == Elem::I8 && !scale.isPointer() && scale.log2dim[rank - 2] == side.other &&
                scale.log2dim[rank - 1] <= side.depth;
    if (!fits)
      OpView::fail("found " + scale.str() + " as '" + attribute + "', expected bytes, one row of scales for each of " +
                   std::to_string(1u << side.other) + " rows");
  }
}

std::vector<Type> elementsOf(const OpView &view) {
  std::vector<Type> elements;
  for (size_t i = 0; i < view.operandCount(); ++i) {
    requireTile(view.in(i));
    view.sameShape(view.in(0), view.in(i));
    elements.push_back(view.in(i).element());
  }
  return elements;
}

void flip(const OpView &view) {
  requireTile(view.in(0));
  OpView::require(view.in(0).log2dim[view.axis(view.in(0))] == 1, "expected an axis of extent 2");
  view.resultIs(view.in(0));
}

/// tt.reduce and tt.scan: one region that combines two elements of each operand into one of each.
void combine(const OpView &view) {
  std::vector<Type> elements = elementsOf(view);
  unsigned axis = view.axis(view.in(0));
  view.resultCountIs(view.operandCount());
  bool isScan = view.op.kind == OpKind::Scan;
  for (size_t i = 0; i < view.operandCount(); ++i)
    view.resultIs(isScan ? view.in(i) : withoutAxis(view.in(i), axis), i);
  std::vector<Type> pairs = elements;
  pairs.insert(pairs.end(), elements.begin(), elements.end());
  view.entryArguments(0, pairs);
  view.leavesWith(0, isScan ? OpKind::ScanReturn : OpKind::ReduceReturn, elements);
}

void mapElementwise(const OpView &view) {
  std::vector<Type> elements = elementsOf(view);
  int64_t pack = view.integer("pack");
  OpView::require(pack >= 1 && pack <= 64, "expected 'pack' to be 1 to 64");
  const Type &shape = view.in(0);
  if (shape.dim(shape.rank - 1u) % pack != 0)
    OpView::fail("found 'pack' of " + std::to_string(pack) + " for " + shape.str() +
                 ", expected a divisor of the last extent");
  std::vector<Type> arguments, returned;
  for (const Type &element : elements)
    arguments.insert(arguments.end(), static_cast<size_t>(pack), element);
  for (size_t i = 0; i < view.op.results.size(); ++i) {
    view.sameShape(view.in(0), view.out(i));
    returned.insert(returned.end(), static_cast<size_t>(pack), view.out(i).element());
  }
  view.entryArguments(0, arguments);
  view.leavesWith(0, OpKind::MapElementwiseReturn, returned);
}

} // namespace

bool ruleOfShape(OpKind kind, Rule &rule) {
  switch (kind) {
  case OpKind::GetProgramId:
  case OpKind::GetNumPrograms:
    rule = {0, 0, 1, 0, programId};
    return true;
  case OpKind::MakeRange:
    rule = {0, 0, 1, 0, makeRange};
    return true;
  case OpKind::Splat:
    rule = {1, 1, 1, 0, splat};
    return true;
  case OpKind::Unsplat:
    rule = {1, 1, 1, 0, unsplat};
    return true;
  case OpKind::ExpandDims:
    rule = {1, 1, 1, 0, expandDims};
    return true;
  case OpKind::Broadcast:
    rule = {1, 1, 1, 0, broadcast};
    return true;
  case OpKind::Reshape:
    rule = {1, 1, 1, 0, reshape};
    return true;
  case OpKind::Flip:
    rule = {1, 1, 1, 0, flip};
    return true;
  case OpKind::Trans:
    rule = {1, 1, 1, 0, transpose};
    return true;
  case OpKind::Join:
    rule = {2, 2, 1, 0, join};
    return true;
  case OpKind::Split:
    rule = {1, 1, 2, 0, split};
    return true;
  case OpKind::Cat:
    rule = {2, 2, 1, 0, concatenate};
    return true;
  case OpKind::Gather:
    rule = {2, 2, 1, 0, gather};
    return true;
  case OpKind::Histogram:
    rule = {1, 2, 1, 0, histogram};
    return true;
  case OpKind::Dot:
    rule = {3, 3, 1, 0, dot};
    return true;
  case OpKind::DotScaled:
    rule = {3, 5, 1, 0, dotScaled};
    return true;
  case OpKind::Reduce:
  case OpKind::Scan:
    rule = {1, kAny, kAny, 1, combine};
    return true;
  case OpKind::MapElementwise:
    rule = {1, kAny, kAny, 1, mapElementwise};
    return true;
  case OpKind::ReduceReturn:
  case OpKind::ScanReturn:
  case OpKind::MapElementwiseReturn:
    rule = {0, kAny, 0, 0, nullptr};
    return true;
  default:
    return false;
  }
}

} // namespace opw::ir
