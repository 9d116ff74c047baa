// Transfer functions of access forms, one op at a time, in program order.
#include "passes/plan/planner.h"

#include <algorithm>

namespace opw::passes {

using namespace ir;

bool shapeMap(const Function &fn, const Op &op, DimMap &map) {
  if (op.operands.size() != 1 || op.results.size() != 1)
    return false;
  const Type &from = fn.type(op.operands[0]), &to = fn.type(op.results[0]);
  map.assign(from.rank, -1);
  switch (op.kind) {
  case OpKind::Splat:
    return true;
  case OpKind::ExpandDims: {
    unsigned axis = static_cast<unsigned>(op.attributes.intOr("axis", 0));
    for (unsigned d = 0; d < from.rank; ++d)
      map[d] = static_cast<int>(d < axis ? d : d + 1);
    return true;
  }
  case OpKind::Broadcast:
    for (unsigned d = 0; d < from.rank; ++d)
      map[d] = from.log2dim[d] == 0 ? -1 : static_cast<int>(d);
    return true;
  case OpKind::Trans: {
    const Attribute *order = op.attributes.find("order");
    for (unsigned d = 0; d < to.rank; ++d)
      map[static_cast<size_t>(order->integers[d])] = static_cast<int>(d);
    return true;
  }
  case OpKind::Reshape: {
    // Only extents of 1 come or go: the others keep their order.
    unsigned at = 0;
    for (unsigned d = 0; d < from.rank; ++d) {
      if (from.log2dim[d] == 0)
        continue;
      while (at < to.rank && to.log2dim[at] == 0)
        ++at;
      if (at == to.rank || to.log2dim[at] != from.log2dim[d])
        return false;
      map[d] = static_cast<int>(at++);
    }
    return true;
  }
  default:
    return false;
  }
}

DimMap identity(unsigned rank) {
  DimMap map(rank);
  for (unsigned d = 0; d < rank; ++d)
    map[d] = static_cast<int>(d);
  return map;
}

DimMap compose(const DimMap &inner, const DimMap &outer) {
  DimMap result(inner.size());
  for (size_t d = 0; d < inner.size(); ++d)
    result[d] = inner[d] < 0 ? -1 : outer[static_cast<size_t>(inner[d])];
  return result;
}

bool Form::isUniform() const {
  for (ValueId stride : strides)
    if (stride != kNone)
      return false;
  return isAffine();
}

namespace {

constexpr size_t kMaxTerms = 8;
/// Hashes multiply by larger constants, and count on wrapping.
constexpr int64_t kLargestScale = 1 << 16;

} // namespace

Form Planner::formOf(ValueId value) {
  const Type &type = tile.type(value);
  if (!type.isTile()) {
    ValueId base = scalar(value);
    return Form{type.isPointer() ? base : extend(base), {}, {}};
  }
  if (forms[value])
    return *forms[value];
  if (type.isPointer())
    return Form{kNone, std::vector<ValueId>(type.rank, kNone), {}, Element{value, identity(type.rank)}};
  Form form{constant(0), std::vector<ValueId>(type.rank, kNone), {}};
  form.terms.push_back({value, identity(type.rank), constant(1)});
  return form;
}

void Planner::defineForm(const Op &op) {
  if (op.results.size() != 1)
    return;
  ValueId result = op.results[0];
  const Type type = tile.type(result);
  if (!type.isTile())
    return;

  if (type.elem == Elem::I1 && !type.isPointer()) {
    defineMask(op);
    if (placement.of(result).buffered && masks[result] && !masks[result]->rest.empty())
      masks[result]->rest = {{result, identity(type.rank)}}; // read from its buffer, never computed again
    return;
  }
  if (!type.isPointer() && !isInteger(type.elem))
    return;
  if (op.kind == OpKind::DivSI || op.kind == OpKind::RemSI)
    return guardDivision(op); // a term of itself
  bool mayWrap =
      op.kind == OpKind::AddI || op.kind == OpKind::SubI || op.kind == OpKind::MulI || op.kind == OpKind::ShlI;
  if (mayWrap && bitWidth(type.elem) < 32)
    return; // in earnest, also as an address
  Form form;
  form.strides.assign(type.rank, kNone);
  switch (op.kind) {
  case OpKind::MakeRange:
    form.base = constant(op.attributes.intOr("start", 0));
    form.strides[0] = constant(1);
    break;
  case OpKind::Constant: {
    const Attribute *value = op.attributes.find("value");
    if (!value || value->kind != Attribute::Kind::Int)
      return;
    form.base = constant(value->integer);
    break;
  }
  case OpKind::Splat:
    form.base = type.isPointer() ? scalar(op.operands[0]) : extend(scalar(op.operands[0]));
    break;
  case OpKind::ExpandDims:
  case OpKind::Broadcast:
  case OpKind::Trans:
  case OpKind::Reshape: {
    DimMap map;
    if (!shapeMap(tile, op, map))
      return;
    Form from = formOf(op.operands[0]);
    form.base = from.base;
    if (from.from)
      form.from = Element{from.from->tile, compose(from.from->dims, map)};
    for (size_t d = 0; d < map.size(); ++d)
      if (map[d] >= 0)
        form.strides[static_cast<size_t>(map[d])] = from.strides[d];
    for (Term &term : from.terms) {
      term.dims = compose(term.dims, map);
      form.terms.push_back(std::move(term));
    }
    break;
  }
  case OpKind::AddPtr:
  case OpKind::AddI:
  case OpKind::SubI: {
    bool negative = op.kind == OpKind::SubI;
    Form a = formOf(op.operands[0]), b = formOf(op.operands[1]);
    ValueId zero = constant(0);
    if (a.from) {
      form.from = a.from;
      if (!isConstantEqual(b.base, 0)) // what all elements have in common has no base to go to: added one by one
        return;
    } else if (op.kind == OpKind::AddPtr)
      form.base =
          isConstantEqual(b.base, 0) ? a.base : builder.value(OpKind::AddPtr, {a.base, b.base}, plan.type(a.base));
    else
      form.base = negative ? sub(a.base, b.base) : add(a.base, b.base);
    form.strides = a.strides;
    form.strides.resize(type.rank, kNone);
    for (size_t d = 0; d < b.strides.size(); ++d) {
      if (b.strides[d] == kNone)
        continue;
      ValueId old = form.strides[d] == kNone ? zero : form.strides[d];
      form.strides[d] = negative ? sub(old, b.strides[d]) : add(old, b.strides[d]);
    }
    form.terms = a.terms;
    for (Term &term : b.terms) {
      if (negative)
        term.scale = sub(zero, term.scale);
      auto same = std::find_if(form.terms.begin(), form.terms.end(),
                               [&](const Term &each) { return each.tile == term.tile && each.dims == term.dims; });
      if (same != form.terms.end())
        same->scale = add(same->scale, term.scale);
      else
        form.terms.push_back(std::move(term));
    }
    if (form.terms.size() > kMaxTerms)
      return; // a term of itself: sums of sums would grow without end
    break;
  }
  case OpKind::MulI:
  case OpKind::ShlI: {
    Form a = formOf(op.operands[0]), b = formOf(op.operands[1]);
    if (op.kind == OpKind::MulI && a.isUniform())
      std::swap(a, b);
    int64_t value = 0;
    if (!b.isUniform())
      return;
    bool known = isConstant(b.base, value);
    if (op.kind == OpKind::ShlI) {
      if (!known || value < 0 || value >= 30)
        return;
      value = int64_t{1} << value;
      b.base = constant(value);
    }
    if (known && (value >= kLargestScale || value <= -kLargestScale))
      return;
    form.base = mul(a.base, b.base);
    for (unsigned d = 0; d < type.rank; ++d)
      if (a.strides[d] != kNone)
        form.strides[d] = mul(a.strides[d], b.base);
    for (Term &term : a.terms) {
      term.scale = mul(term.scale, b.base);
      form.terms.push_back(std::move(term));
    }
    break;
  }
  case OpKind::ExtSI:
  case OpKind::Bitcast:
    if ((tile.type(op.operands[0]).elem == Elem::I1 && !type.isPointer()) ||
        (op.kind == OpKind::Bitcast &&
         (!type.isPointer() || byteWidth(type.elem) != byteWidth(tile.type(op.operands[0]).elem))))
      return;
    form = formOf(op.operands[0]);
    if (form.from)
      return;
    if (Elem narrow = tile.type(op.operands[0]).elem; op.kind == OpKind::ExtSI) {
      form.base = wrapped(form.base, narrow);
      if (int dim = countsAlong(form); dim >= 0 && guardsAccess[result] && !startsSmall(form))
        requireNoWrap(form.base, narrow, type.dim(static_cast<unsigned>(dim)));
    }
    if (op.kind == OpKind::Bitcast)
      form.base = builder.value(OpKind::Bitcast, {form.base}, type.element());
    break;
  default:
    return; // a term of itself
  }
  for (ValueId &stride : form.strides)
    if (stride != kNone && isConstantEqual(stride, 0))
      stride = kNone;
  if (placement.of(result).buffered && !form.terms.empty())
    return; // read from its buffer, never computed again
  forms[result] = std::move(form);
}

} // namespace opw::passes
