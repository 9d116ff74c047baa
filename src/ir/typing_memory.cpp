// Rules of loads, stores, atomics, block pointers and descriptors.
#include "ir/typing_rules.h"

namespace opw::ir {

namespace {

const Type kI32 = Type::scalar(Elem::I32);
const Type kI64 = Type::scalar(Elem::I64);

/// What a pointer operand gives access to: the pointees in its shape, or the block.
Type accessed(const Type &pointer) {
  if (pointer.kind == TypeKind::BlockPointer) {
    Type block = pointer;
    block.kind = TypeKind::Value;
    return block;
  }
  if (pointer.kind != TypeKind::Value || !pointer.isPointer())
    OpView::fail("found " + pointer.str() + ", expected pointers");
  return pointeeOf(pointer);
}

void hints(const OpView &view) {
  if (view.op.attributes.has("cacheModifier"))
    view.keyword("cacheModifier", {"none", "ca", "cg", "wb", "cs", "wt", "cv"});
  if (view.op.attributes.has("evictionPolicy"))
    view.keyword("evictionPolicy", {"evict_normal", "evict_first", "evict_last"});
}

void ordering(const OpView &view) {
  view.keyword("sem", {"relaxed", "acquire", "release", "acq_rel"});
  view.keyword("scope", {"gpu", "cta", "sys"});
}

void load(const OpView &view) {
  Type value = accessed(view.in(0));
  view.resultIs(value);
  if (view.operandCount() > 1)
    view.operandIs(1, maskOf(value));
  if (view.operandCount() > 2)
    view.operandIs(2, value);
  hints(view);
}

void store(const OpView &view) {
  Type value = accessed(view.in(0));
  view.operandIs(1, value);
  if (view.operandCount() > 2)
    view.operandIs(2, maskOf(value));
  hints(view);
}

/// Which elements an atomic operation combines; the smallest and largest are those of integers and floats.
void combines(std::string_view how, const Type &value) {
  bool takesAll = how == "exch" || ((how == "max" || how == "min") && !value.isPointer());
  bool fits = takesAll || (how == "fadd" ? value.isFloatLike() : value.isIntegerLike());
  if (!fits)
    OpView::fail("found " + value.str() + " for '" + std::string(how) + "', expected " +
                 (how == "fadd" ? "floats" : "integers"));
}

void atomicRmw(const OpView &view) {
  Type value = accessed(view.in(0));
  view.operandIs(1, value);
  view.resultIs(value);
  if (view.operandCount() > 2)
    view.operandIs(2, maskOf(value));
  combines(view.keyword("atomic_rmw_op",
                        {"and", "or", "xor", "add", "fadd", "max", "min", "umax", "umin", "exch", "inc", "dec"}),
           value);
  ordering(view);
}

void atomicCas(const OpView &view) {
  Type value = accessed(view.in(0));
  view.operandIs(1, value);
  view.operandIs(2, value);
  view.resultIs(value);
  ordering(view);
}

void atomicPoll(const OpView &view) {
  Type value = accessed(view.in(0));
  view.operandIs(1, value);
  if (view.operandCount() > 2)
    view.operandIs(2, kI64);
  view.resultIs(maskOf(value));
  ordering(view);
}

void atomicLoad(const OpView &view) {
  Type value = accessed(view.in(0));
  if (view.operandCount() > 1)
    view.operandIs(1, maskOf(value));
  view.resultIs(value);
  ordering(view);
}

void atomicStore(const OpView &view) {
  store(view);
  ordering(view);
}

void operandsAre(const OpView &view, size_t from, size_t count, const Type &type) {
  for (size_t i = from; i < from + count; ++i)
    view.operandIs(i, type);
}

void makeTensorPtr(const OpView &view) {
  const Type &block = view.out();
  OpView::require(block.kind == TypeKind::BlockPointer, "expected a pointer to a tile as the result");
  view.operandCountIs(1 + 3u * block.rank, 1 + 3u * block.rank);
  view.operandIs(0, Type::pointer(block.elem));
  operandsAre(view, 1, 2u * block.rank, kI64);
  operandsAre(view, 1 + 2u * block.rank, block.rank, kI32);
}

void advance(const OpView &view) {
  const Type &block = view.in(0);
  OpView::require(block.kind == TypeKind::BlockPointer, "expected a pointer to a tile");
  view.operandCountIs(1u + block.rank, 1u + block.rank);
  operandsAre(view, 1, block.rank, kI32);
  view.resultIs(block);
}

void makeDescriptor(const OpView &view) {
  const Type &block = view.out();
  OpView::require(block.kind == TypeKind::Descriptor, "expected a descriptor as the result");
  view.operandCountIs(1 + 2u * block.rank, 1 + 2u * block.rank);
  view.operandIs(0, Type::pointer(block.elem));
  operandsAre(view, 1, block.rank, kI32);
  operandsAre(view, 1u + block.rank, block.rank, kI64);
}

const Type &descriptor(const OpView &view) {
  const Type &block = view.in(0);
  if (block.kind != TypeKind::Descriptor)
    OpView::fail("found " + block.str() + ", expected a descriptor");
  return block;
}

/// A tile of the descriptor's block; extents of 1 in front may be left out.
void blockTile(const Type &tile, const Type &block) {
  bool fits = tile.isTile() && !tile.isPointer() && tile.elem == block.elem && tile.log2size() == block.log2size();
  if (!fits)
    OpView::fail("found " + tile.str() + ", expected a tile of the block of " + block.str());
}

void descriptorLoad(const OpView &view) {
  const Type &block = descriptor(view);
  view.operandCountIs(1u + block.rank, 1u + block.rank);
  operandsAre(view, 1, block.rank, kI32);
  blockTile(view.out(), block);
  hints(view);
}

void descriptorStore(const OpView &view) {
  const Type &block = descriptor(view);
  view.operandCountIs(2u + block.rank, 2u + block.rank);
  blockTile(view.in(1), block);
  operandsAre(view, 2, block.rank, kI32);
  if (view.op.kind == OpKind::DescriptorReduce)
    if (std::string_view kind = view.keyword("kind", {"add", "min", "max", "inc", "dec", "and", "or", "xor"});
        kind != "add")
      combines(kind, view.in(1));
}

/// Rows of a descriptor of block 1xN by a tile of row numbers: the tile is MxN.
void gatherScatter(const OpView &view, const Type &tile) {
  const Type &block = descriptor(view);
  const Type &rows = view.in(1);
  bool rowNumbers =
      rows.isTile() && rows.rank == 1 && (rows.element() == kI32 || rows.element() == Type::scalar(Elem::I16));
  OpView::require(rowNumbers, "expected row numbers as a tile of i32 or i16 of rank 1");
  view.operandIs(2, kI32);
  bool fits = tile.isTile() && tile.rank == 2 && block.rank == 2 && block.log2dim[0] == 0 && !tile.isPointer() &&
              tile.elem == block.elem && tile.log2dim[0] == rows.log2dim[0] && tile.log2dim[1] == block.log2dim[1];
  if (!fits)
    OpView::fail("found " + tile.str() + " for " + rows.str() + " of " + block.str() + ", expected one row per number");
}

} // namespace

bool ruleOfMemory(OpKind kind, Rule &rule) {
  switch (kind) {
  case OpKind::Load:
    rule = {1, 3, 1, 0, load};
    return true;
  case OpKind::Store:
    rule = {2, 3, 0, 0, store};
    return true;
  case OpKind::AtomicRmw:
    rule = {2, 3, 1, 0, atomicRmw};
    return true;
  case OpKind::AtomicCas:
    rule = {3, 3, 1, 0, atomicCas};
    return true;
  case OpKind::AtomicPoll:
    rule = {2, 3, 1, 0, atomicPoll};
    return true;
  case OpKind::AtomicLoad:
    rule = {1, 2, 1, 0, atomicLoad};
    return true;
  case OpKind::AtomicStore:
    rule = {2, 3, 0, 0, atomicStore};
    return true;
  case OpKind::MakeTensorPtr:
    rule = {1, kAny, 1, 0, makeTensorPtr};
    return true;
  case OpKind::Advance:
    rule = {1, kAny, 1, 0, advance};
    return true;
  case OpKind::MakeTensorDescriptor:
    rule = {1, kAny, 1, 0, makeDescriptor};
    return true;
  case OpKind::DescriptorLoad:
    rule = {1, kAny, 1, 0, descriptorLoad};
    return true;
  case OpKind::DescriptorStore:
    rule = {2, kAny, 0, 0, descriptorStore};
    return true;
  case OpKind::DescriptorReduce:
    rule = {2, kAny, 0, 0, descriptorStore};
    return true;
  case OpKind::DescriptorGather:
    rule = {3, 3, 1, 0, [](const OpView &view) { gatherScatter(view, view.out()); }};
    return true;
  case OpKind::DescriptorScatter:
    rule = {4, 4, 0, 0, [](const OpView &view) { gatherScatter(view, view.in(3)); }};
    return true;
  default:
    return false;
  }
}

} // namespace opw::ir
