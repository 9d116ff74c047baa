// Transfer functions of access forms and masks, one op at a time, in program order.
#include "ir/number.h"
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

DimMap identity(unsigned rank) {
  DimMap map(rank);
  for (unsigned d = 0; d < rank; ++d)
    map[d] = static_cast<int>(d);
  return map;
}

const char *swapped(std::string_view predicate) {
  if (predicate == "slt")
    return "sgt";
  if (predicate == "sle")
    return "sge";
  if (predicate == "sgt")
    return "slt";
  if (predicate == "sge")
    return "sle";
  return predicate == "eq" ? "eq" : "";
}

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

Mask Planner::maskOf(ValueId value) {
  if (masks[value])
    return *masks[value];
  return Mask{{}, {{value, identity(tile.type(value).rank)}}};
}

/// b - a, cut where additions to it could overflow: tiles are far smaller than the distance that is cut off.
ValueId Planner::distance(ValueId b, ValueId a, Elem elem) {
  ValueId difference = sub(b, a);
  int64_t known = 0, limit = int64_t{1} << 61;
  if (elem != Elem::I64 || (isConstant(difference, known) && known > -limit && known < limit))
    return difference;
  // The difference has overflowed where its sign is not that of b although the signs of a and b differ.
  const Type type = Type::scalar(Elem::I64);
  auto differ = [&](ValueId x, ValueId y) { return builder.value(OpKind::XOrI, {x, y}, type); };
  ValueId wrong = builder.value(OpKind::AndI, {differ(a, b), differ(difference, b)}, type);
  ValueId end = select(compare("slt", b, constant(0)), constant(-limit), constant(limit));
  ValueId exact = select(compare("slt", wrong, constant(0)), end, difference);
  return minimum(maximum(exact, constant(-limit)), constant(limit));
}

/// The variable of a signed loop, which is as wide as an index but equals the narrow one of the source.
static bool isLoopVariable(const Function &plan, ValueId value) {
  const Value &v = plan.values[value];
  OpId owner = v.op == kNone ? plan.block(v.block).owner : kNone;
  return owner != kNone && plan.op(owner).kind == OpKind::PlanLoop && v.index == 0;
}

/// Whether a scalar is a multiple of a power of two whatever the arguments are. A power of two divides a sum or product
/// also after it wraps.
static bool isMultiple(const Planner &p, ValueId value, int64_t factor, unsigned depth = 8) {
  int64_t known = 0;
  if (p.isConstant(value, known))
    return known % factor == 0;
  if (depth == 0)
    return false;
  auto in = [&](OpId op, unsigned i) { return isMultiple(p, p.plan.op(op).operands[i], factor, depth - 1); };
  if (isLoopVariable(p.plan, value)) {
    OpId loop = p.plan.block(p.plan.values[value].block).owner;
    return in(loop, 0) && in(loop, 2); // where it starts, and its step
  }
  OpId op = p.plan.values[value].op;
  if (op == kNone)
    return false;
  switch (p.plan.op(op).kind) {
  case OpKind::ExtSI:
  case OpKind::TruncI:
    return in(op, 0);
  case OpKind::AddI:
  case OpKind::SubI:
    return in(op, 0) && in(op, 1);
  case OpKind::MulI:
    return in(op, 0) || in(op, 1);
  default:
    return false;
  }
}

/// A sum of integers of that type in its own width, where it wraps. Loop variables and what was extended are in it
/// already.
ValueId Planner::wrapped(ValueId sum, Elem elem) {
  OpId op = plan.values[sum].op;
  if (elem == Elem::I64 || (op != kNone && plan.op(op).kind == OpKind::ExtSI) || isLoopVariable(plan, sum))
    return sum;
  int64_t value = 0;
  if (isConstant(sum, value))
    return constant(wrapInteger(value, elem));
  return extend(builder.value(OpKind::TruncI, {sum}, Type::scalar(elem)));
}

/// The one dimension along which the form is base + i; -1 for any other form.
int Planner::countsAlong(const Form &form) const {
  int dim = -1;
  for (size_t d = 0; d < form.strides.size(); ++d) {
    if (form.strides[d] == kNone)
      continue;
    if (dim >= 0 || !isConstantEqual(form.strides[d], 1))
      return -1;
    dim = static_cast<int>(d);
  }
  return form.isAffine() ? dim : -1;
}

/// Whether counting up from the base cannot wrap: it is a small constant.
bool Planner::startsSmall(const Form &form) const {
  int64_t start = 0;
  return isConstant(form.base, start) && start > -(1 << 30) && start < 1 << 30;
}

/// Ends the launch with an error where base, base + 1, ... base + count - 1 wrap: what is in bounds would be no box.
void Planner::requireNoWrap(ValueId base, Elem elem, int64_t count) {
  if (isMultiple(*this, base, count)) // as the block of a program is: then the last one ends at the largest integer
    return;
  Attributes attributes;
  attributes.set("message",
                 Attribute::string(elem == Elem::I64 ? "the int64 sum in this mask wraps inside the tile"
                                                     : "the int32 sum in this mask wraps inside the tile; compute it "
                                                       "in int64"));
  int64_t largest = elem == Elem::I64 ? INT64_MAX : (int64_t{1} << (bitWidth(elem) - 1)) - 1;
  ValueId last = constant(largest - (count - 1));
  builder.create(OpKind::Assert, {compare("sle", base, last)}, {}, std::move(attributes));
}

void Planner::defineMask(const Op &op) {
  ValueId result = op.results[0];
  const Type type = tile.type(result);
  if (op.kind == OpKind::AndI) {
    Mask a = maskOf(op.operands[0]), b = maskOf(op.operands[1]);
    for (const Bound &bound : b.box)
      if (std::find(a.box.begin(), a.box.end(), bound) == a.box.end())
        a.box.push_back(bound);
    for (const Element &rest : b.rest)
      if (std::find(a.rest.begin(), a.rest.end(), rest) == a.rest.end())
        a.rest.push_back(rest);
    masks[result] = std::move(a);
  } else if (has(op.kind, kShape) && op.operands.size() == 1 && tile.type(op.operands[0]).isTile()) {
    DimMap map;
    if (!shapeMap(tile, op, map))
      return;
    Mask mask = maskOf(op.operands[0]);
    for (Bound &bound : mask.box) {
      if (map[bound.dim] < 0) { // an extent of 1 that is broadcast: the bound is about index 0 alone
        masks[result] = Mask{{}, {{op.operands[0], map}}};
        return;
      }
      bound.dim = static_cast<unsigned>(map[bound.dim]);
    }
    for (Element &rest : mask.rest)
      rest.dims = compose(rest.dims, map);
    masks[result] = std::move(mask);
  } else if (op.kind == OpKind::Constant) {
    if (const Attribute *value = op.attributes.find("value"); value && value->integer != 0)
      masks[result] = Mask{};
  } else if (op.kind == OpKind::CmpI) {
    // base + i against a uniform value, along one dimension with stride 1, is a bound on i.
    const Type &operand = tile.type(op.operands[0]);
    if (!operand.isIntegerLike() || operand.elem == Elem::I1)
      return;
    std::string_view predicate = op.attributes.textOr("predicate", "");
    Form a = formOf(op.operands[0]), b = formOf(op.operands[1]);
    if (!a.isUniform() && !b.isUniform())
      return;
    if (a.isUniform()) {
      std::swap(a, b);
      predicate = swapped(predicate);
    }
    int dim = countsAlong(a);
    if (dim < 0)
      return;
    // i ? edge, where the left side counts up from its base without wrapping.
    a.base = wrapped(a.base, operand.elem);
    b.base = wrapped(b.base, operand.elem);
    ValueId edge = distance(b.base, a.base, operand.elem);
    bool exact = startsSmall(a);
    if (!exact && guardsAccess[result]) {
      requireNoWrap(a.base, operand.elem, type.dim(static_cast<unsigned>(dim)));
      exact = true;
    }
    Bound bound{static_cast<unsigned>(dim), kNone, kNone, exact};
    if (predicate == "slt")
      bound.hi = edge;
    else if (predicate == "sle")
      bound.hi = add(edge, constant(1));
    else if (predicate == "sge")
      bound.lo = edge;
    else if (predicate == "sgt")
      bound.lo = add(edge, constant(1));
    else if (predicate == "eq")
      bound = {bound.dim, edge, add(edge, constant(1)), exact};
    else
      return;
    masks[result] = Mask{{bound}, {}};
  }
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
