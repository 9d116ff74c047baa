// Block pointers and descriptors: accesses become loads, stores and atomics of a tile of pointers under a mask. What is
// outside of the block's sizes is not touched; it reads as 0, or NaN where the kernel asks for it.
#include "passes/normalize/normalizer.h"
#include "passes/refusal.h"

#include <algorithm>

namespace opw::passes {

using namespace ir;

namespace {

Type tileOf(Elem elem, const Type &shape) { return shape.withElem(elem); }

Type pointersOf(const Type &tile) {
  Type type = tile;
  type.pointerDepth = 1;
  return type;
}

Attributes predicate(const char *name) {
  Attributes attributes;
  attributes.set("predicate", Attribute::keyword(name));
  return attributes;
}

/// The bits of a quiet NaN; every float format of 16 bits and more.
uint64_t nanOf(Elem elem) {
  switch (elem) {
  case Elem::F16:
    return 0x7e00;
  case Elem::BF16:
    return 0x7fc0;
  case Elem::F64:
    return 0x7ff8000000000000;
  case Elem::F8E5M2:
    return 0x7e;
  case Elem::F8E4M3FN:
    return 0x7f;
  case Elem::F8E4M3FNUZ:
  case Elem::F8E5M2FNUZ:
    return 0x80;
  default:
    return 0x7fc00000;
  }
}

/// How an atomic reduction through a descriptor is called; the descriptor tells whether integers are signed.
std::string rmwOf(std::string_view kind, const Type &block) {
  bool isUnsigned = isInteger(block.elem) && block.signedness < 0;
  if (kind == "add")
    return isFloat(block.elem) ? "fadd" : "add";
  if (isUnsigned && (kind == "min" || kind == "max"))
    return "u" + std::string(kind);
  return std::string(kind);
}

} // namespace

ValueId Normalizer::wide(ValueId integer) {
  Type type = out.type(integer);
  return type.elem == Elem::I64 ? integer : b.value(OpKind::ExtSI, {integer}, tileOf(Elem::I64, type));
}

ValueId Normalizer::splat(ValueId scalar, const Type &shape) {
  Type type = out.type(scalar);
  type.rank = shape.rank;
  type.log2dim = shape.log2dim;
  return b.value(OpKind::Splat, {scalar}, type);
}

ValueId Normalizer::reshaped(ValueId tile, const Type &type) {
  Type to = out.type(tile);
  if (to.rank == type.rank && to.log2dim == type.log2dim)
    return tile;
  to.rank = type.rank;
  to.log2dim = type.log2dim;
  return b.value(OpKind::Reshape, {tile}, to);
}

/// A tile of one dimension as one that varies along `dim` of `shape` alone.
ValueId Normalizer::alongDimension(ValueId tile, unsigned dim, const Type &shape) {
  for (unsigned d = 0; d < shape.rank; ++d) {
    if (d == dim)
      continue;
    Type type = out.type(tile);
    for (unsigned k = type.rank; k > d; --k)
      type.log2dim[k] = type.log2dim[k - 1];
    type.log2dim[d] = 0;
    ++type.rank;
    Attributes axis;
    axis.set("axis", Attribute::integerOf(d, Elem::I32));
    tile = b.value(OpKind::ExpandDims, {tile}, type, std::move(axis));
  }
  Type type = out.type(tile);
  type.log2dim = shape.log2dim;
  return out.type(tile) == type ? tile : b.value(OpKind::Broadcast, {tile}, type);
}

/// 0 <= offset < size, element by element.
ValueId Normalizer::bounded(ValueId offsets, ValueId size) {
  const Type type = out.type(offsets), truth = tileOf(Elem::I1, type);
  ValueId low = b.value(OpKind::CmpI, {offsets, splat(b.constant(0), type)}, truth, predicate("sge"));
  ValueId high = b.value(OpKind::CmpI, {offsets, splat(size, type)}, truth, predicate("slt"));
  return b.value(OpKind::AndI, {low, high}, truth);
}

Place Normalizer::placeOf(const BlockView &block, const Type &tile, const Values &offsets,
                          const std::vector<bool> &checked) {
  Place place{splat(block.base, tile), kNone};
  for (unsigned d = 0; d < tile.rank; ++d) {
    Type line = Type::scalar(Elem::I32);
    line.rank = 1;
    line.log2dim[0] = tile.log2dim[d];
    Attributes range;
    range.set("start", Attribute::integerOf(0, Elem::I32));
    range.set("end", Attribute::integerOf(tile.dim(d), Elem::I32));
    ValueId index = wide(b.value(OpKind::MakeRange, {}, line, std::move(range)));
    const Type longs = out.type(index);
    ValueId at = b.value(OpKind::AddI, {splat(offsets[d], longs), index}, longs);
    ValueId step = b.value(OpKind::MulI, {at, splat(block.strides[d], longs)}, longs);
    place.pointers = b.value(OpKind::AddPtr, {place.pointers, alongDimension(step, d, tile)}, pointersOf(tile));
    if (!checked[d])
      continue;
    ValueId inside = alongDimension(bounded(at, block.shape[d]), d, tile);
    place.inside =
        place.inside == kNone ? inside : b.value(OpKind::AndI, {place.inside, inside}, tileOf(Elem::I1, tile));
  }
  return place;
}

/// Rows by number, columns from `column` on.
Place Normalizer::rowsOf(const BlockView &block, const Type &tile, ValueId rows, ValueId column) {
  ValueId numbers = wide(rows);
  Type first = tile;
  first.log2dim[0] = 0;
  Place columns = placeOf(block, first, {b.constant(0), wide(column)}, {false, true});
  auto spread = [&](ValueId value) {
    Type type = out.type(value);
    type.log2dim = tile.log2dim;
    return out.type(value) == type ? value : b.value(OpKind::Broadcast, {value}, type);
  };
  ValueId step = b.value(OpKind::MulI, {numbers, splat(block.strides[0], out.type(numbers))}, out.type(numbers));
  Place place;
  place.pointers = b.value(OpKind::AddPtr, {spread(columns.pointers), alongDimension(step, 0, tile)}, pointersOf(tile));
  place.inside =
      b.value(OpKind::AndI, {alongDimension(bounded(numbers, block.shape[0]), 0, tile), spread(columns.inside)},
              tileOf(Elem::I1, tile));
  return place;
}

ValueId Normalizer::readPlace(const Place &place, const Type &tile, ValueId nanOutside) {
  Values operands{place.pointers};
  if (place.inside != kNone) {
    ValueId other = poison(tile.element());
    if (nanOutside != kNone && isFloat(tile.elem)) {
      Attributes attributes;
      attributes.set("value", Attribute::floatBits(nanOf(tile.elem), tile.elem));
      ValueId nan = b.value(OpKind::Constant, {}, tile.element(), std::move(attributes));
      other = b.value(OpKind::Select, {nanOutside, nan, other}, tile.element());
    }
    operands.push_back(place.inside);
    operands.push_back(splat(other, tile));
  }
  return b.value(OpKind::Load, std::move(operands), tile);
}

BlockView Normalizer::blockOf(const Frame &frame, ValueId value) const {
  const Type &type = frame.fn->type(value);
  const Values &parts = frame.values[value];
  auto at = [&](unsigned group) { return parts.begin() + 1 + static_cast<ptrdiff_t>(group) * type.rank; };
  BlockView block{
      .base = parts[0], .shape = {at(0), at(1)}, .strides = {at(1), at(2)}, .offsets = {}, .nanOutside = kNone};
  if (type.kind == TypeKind::BlockPointer)
    block.offsets.assign(at(2), at(3));
  else
    block.nanOutside = parts.back();
  return block;
}

/// The parts of a descriptor that the host makes: base in its own slot, sizes and strides in those that follow.
Values Normalizer::hostDescriptor(const Frame &frame, const Function &entry, size_t index, ValueId nanOutside) {
  const std::vector<ValueId> &arguments = entry.arguments();
  const Type type = entry.type(arguments[index]);
  Values parts{frame.values[arguments[index]][0]};
  for (size_t i = 0; i < 2u * type.rank; ++i) {
    size_t at = index + 1 + i;
    Elem expected = i < type.rank ? Elem::I32 : Elem::I64;
    if (at >= arguments.size() || !(entry.type(arguments[at]) == Type::scalar(expected)))
      throw Refusal{{.message = "descriptor argument without its sizes and strides after it",
                     .kernel = entry.name,
                     .hint = "expected " + std::to_string(type.rank) + " i32 and as many i64 arguments"}};
    parts.push_back(wide(frame.values[arguments[at]][0]));
  }
  parts.push_back(nanOutside);
  return parts;
}

bool Normalizer::cloneBlockOp(Frame &frame, const Op &op) {
  const Function &fn = *frame.fn;
  auto in = [&](size_t i) { return one(frame, op.operands[i]); };
  auto wideFrom = [&](size_t from, size_t count) {
    Values values;
    for (size_t i = from; i < from + count; ++i)
      values.push_back(wide(in(i)));
    return values;
  };
  auto append = [](Values &to, const Values &values) { to.insert(to.end(), values.begin(), values.end()); };
  switch (op.kind) {
  case OpKind::MakeTensorPtr: {
    size_t rank = fn.type(op.results[0]).rank;
    Values parts{in(0)};
    append(parts, wideFrom(1, 3 * rank));
    bind(frame, op.results, parts);
    return true;
  }
  case OpKind::Advance: {
    size_t rank = fn.type(op.results[0]).rank;
    Values parts = frame.values[op.operands[0]], steps = wideFrom(1, rank);
    for (size_t d = 0; d < rank; ++d) {
      ValueId &offset = parts[1 + 2 * rank + d];
      offset = b.value(OpKind::AddI, {offset, steps[d]}, Type::scalar(Elem::I64));
    }
    bind(frame, op.results, parts);
    return true;
  }
  case OpKind::MakeTensorDescriptor: {
    size_t rank = fn.type(op.results[0]).rank;
    Values parts{in(0)};
    append(parts, wideFrom(1, 2 * rank));
    parts.push_back(b.constant(op.attributes.intOr("padding", 1) == 2, Elem::I1));
    bind(frame, op.results, parts);
    return true;
  }
  case OpKind::Load:
  case OpKind::Store: {
    Type tile = fn.type(op.operands[0]);
    if (tile.kind != TypeKind::BlockPointer)
      return false;
    tile.kind = TypeKind::Value;
    BlockView block = blockOf(frame, op.operands[0]);
    std::vector<bool> checked(tile.rank, false);
    if (const Attribute *check = op.attributes.find("boundaryCheck"))
      for (int64_t dim : check->integers)
        if (dim >= 0 && dim < tile.rank)
          checked[static_cast<size_t>(dim)] = true;
    Place place = placeOf(block, tile, block.offsets, checked);
    if (op.kind == OpKind::Load) {
      ValueId nan = op.attributes.intOr("padding", 1) == 2 ? b.constant(1, Elem::I1) : kNone;
      bind(frame, op.results, {readPlace(place, tile, nan)});
    } else {
      Values operands{place.pointers, in(1)};
      if (place.inside != kNone)
        operands.push_back(place.inside);
      b.create(OpKind::Store, std::move(operands), {});
    }
    return true;
  }
  case OpKind::DescriptorLoad:
  case OpKind::DescriptorStore:
  case OpKind::DescriptorReduce: {
    bool loads = op.kind == OpKind::DescriptorLoad;
    const Type descriptor = fn.type(op.operands[0]);
    BlockView block = blockOf(frame, op.operands[0]);
    Type tile = tileOf(descriptor.elem, descriptor);
    tile.kind = TypeKind::Value;
    tile.signedness = 0;
    Values offsets = wideFrom(loads ? 1 : 2, descriptor.rank);
    Place place = placeOf(block, tile, offsets, std::vector<bool>(tile.rank, true));
    if (loads) {
      ValueId read = readPlace(place, tile, block.nanOutside);
      bind(frame, op.results, {reshaped(read, fn.type(op.results[0]))});
    } else if (op.kind == OpKind::DescriptorStore) {
      b.create(OpKind::Store, {place.pointers, reshaped(in(1), tile), place.inside}, {});
    } else {
      Attributes attributes;
      attributes.set("atomic_rmw_op", Attribute::keyword(rmwOf(op.attributes.textOr("kind", ""), descriptor)));
      attributes.set("sem", Attribute::keyword("relaxed"));
      attributes.set("scope", Attribute::keyword("gpu"));
      b.create(OpKind::AtomicRmw, {place.pointers, reshaped(in(1), tile), place.inside}, {tile}, std::move(attributes));
    }
    return true;
  }
  case OpKind::DescriptorGather: {
    Type tile = fn.type(op.results[0]);
    BlockView block = blockOf(frame, op.operands[0]);
    Place place = rowsOf(block, tile, in(1), in(2));
    bind(frame, op.results, {readPlace(place, tile, block.nanOutside)});
    return true;
  }
  case OpKind::DescriptorScatter: {
    Place place = rowsOf(blockOf(frame, op.operands[0]), fn.type(op.operands[3]), in(1), in(2));
    b.create(OpKind::Store, {place.pointers, in(3), place.inside}, {});
    return true;
  }
  default:
    return false;
  }
}

} // namespace opw::passes
