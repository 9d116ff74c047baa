#include "passes/plan/nest.h"

#include <algorithm>
#include <set>

namespace opw::passes {

using namespace ir;

Nest::Nest(Planner &planner) : p(planner) { levels.push_back({p.builder.block(), kNone}); }

size_t Nest::level(ValueId value) const {
  auto it = levelOf.find(value);
  return it == levelOf.end() ? 0 : it->second;
}

ValueId Nest::open(ValueId lo, ValueId hi, bool lane, std::vector<ValueId> carried,
                   const std::vector<std::string> &combine) {
  std::vector<ValueId> operands{lo, hi, p.constant(1)};
  std::vector<Type> types;
  for (ValueId value : carried) {
    operands.push_back(value);
    types.push_back(p.plan.type(value));
  }
  OpId loop =
      p.plan.addOp(OpKind::PlanLoop, operands, types, p.current == kNone ? kNone : p.tile.op(p.current).location);
  if (lane && !p.inTwin)
    p.plan.op(loop).attributes.set("lane", Attribute::unit());
  if (!combine.empty()) {
    Attribute list{.kind = Attribute::Kind::List};
    for (const std::string &name : combine)
      list.items.emplace_back("", Attribute::keyword(name));
    p.plan.op(loop).attributes.set("combine", std::move(list));
  }
  BlockId body = p.plan.addBlock(loop);
  p.plan.op(loop).regions.push_back({{body}});
  ValueId variable = p.plan.addArgument(body, Type::scalar(Elem::I64));
  levels.push_back({body, loop});
  levelOf[variable] = levels.size() - 1;
  for (Type type : types)
    levelOf[p.plan.addArgument(body, type)] = levels.size() - 1;
  return variable;
}

std::vector<ValueId> Nest::carried() const {
  const std::vector<ValueId> &arguments = p.plan.block(levels.back().block).arguments;
  return {arguments.begin() + 1, arguments.end()};
}

std::vector<ValueId> Nest::close(const std::vector<ValueId> &yields) {
  Level inner = levels.back();
  OpId yield = p.plan.addOp(OpKind::Yield, yields, {});
  p.plan.append(inner.block, yield);
  levels.pop_back();
  p.plan.append(levels.back().block, inner.loop);
  // What was computed inside is out of reach now.
  size_t depth = levels.size();
  std::erase_if(memo, [&](const auto &entry) { return level(entry.second) >= depth; });
  std::vector<ValueId> results = p.plan.op(inner.loop).results;
  for (ValueId result : results)
    levelOf[result] = depth - 1;
  return results;
}

ValueId Nest::emit(OpKind kind, std::vector<ValueId> operands, Type type, Attributes attributes, size_t least) {
  if (OpId def = kind == OpKind::TruncI ? p.plan.values[operands[0]].op : kNone;
      def != kNone && p.plan.op(def).kind == OpKind::ExtUI && p.plan.type(p.plan.op(def).operands[0]) == type)
    return p.plan.op(def).operands[0];
  if (p.plan.ops.size() > p.options.maxOps)
    p.refuse(p.current, "kernel whose plan takes more than " + std::to_string(p.options.maxOps) + " operations",
             "split the kernel; if it is not unusually long, this is a bug in Opwright: please report it");
  size_t at = least;
  for (ValueId operand : operands)
    at = std::max(at, level(operand));
  Builder builder(p.plan, levels[at].block);
  if (p.current != kNone)
    builder.setLocation(p.tile.op(p.current).location);
  ValueId result = builder.value(kind, std::move(operands), type, std::move(attributes));
  levelOf[result] = at;
  return result;
}

void Nest::effect(OpKind kind, std::vector<ValueId> operands, Attributes attributes) {
  Builder builder(p.plan, levels.back().block);
  if (p.current != kNone)
    builder.setLocation(p.tile.op(p.current).location);
  builder.create(kind, std::move(operands), {}, std::move(attributes));
}

ValueId Nest::effect(OpKind kind, std::vector<ValueId> operands, Type type, Attributes attributes) {
  Builder builder(p.plan, levels.back().block);
  if (p.current != kNone)
    builder.setLocation(p.tile.op(p.current).location);
  ValueId result = builder.value(kind, std::move(operands), type, std::move(attributes));
  levelOf[result] = levels.size() - 1;
  return result;
}

ValueId Nest::add(ValueId a, ValueId b) {
  if (level(a) == 0 && level(b) == 0 && levels.size() == 1)
    return p.add(a, b);
  if (p.isConstantEqual(a, 0))
    return b;
  if (p.isConstantEqual(b, 0))
    return a;
  return emit(OpKind::AddI, {a, b}, Type::scalar(Elem::I64));
}

ValueId Nest::mul(ValueId a, ValueId b) {
  int64_t x = 0, y = 0;
  if (p.isConstant(a, x) && p.isConstant(b, y) && !__builtin_mul_overflow(x, y, &x))
    return p.constant(x);
  if (p.isConstantEqual(a, 1) || p.isConstantEqual(b, 0))
    return b;
  if (p.isConstantEqual(b, 1) || p.isConstantEqual(a, 0))
    return a;
  return emit(OpKind::MulI, {a, b}, Type::scalar(Elem::I64));
}

Indices Nest::through(const DimMap &dims, const Indices &at) {
  Indices result(dims.size());
  for (size_t d = 0; d < dims.size(); ++d)
    result[d] = dims[d] < 0 ? p.constant(0) : at[static_cast<size_t>(dims[d])];
  return result;
}

ValueId Nest::offset(const Form &form, const Indices &at) {
  ValueId sum = p.constant(0);
  for (size_t d = 0; d < form.strides.size(); ++d)
    if (form.strides[d] != kNone)
      sum = add(sum, mul(at[d], form.strides[d]));
  for (const Term &term : form.terms) {
    ValueId element = eval(term.tile, through(term.dims, at));
    if (p.plan.type(element).elem != Elem::I64)
      element = emit(p.plan.type(element).elem == Elem::I1 ? OpKind::ExtUI : OpKind::ExtSI, {element},
                     Type::scalar(Elem::I64));
    sum = add(sum, mul(element, term.scale));
  }
  return sum;
}

ValueId Nest::base(const Form &form, const Indices &at) {
  return form.from ? eval(form.from->tile, through(form.from->dims, at)) : form.base;
}

void Nest::assume(const Indices &at, const std::vector<Bound> &box) {
  for (const Bound &bound : box)
    assumed.emplace_back(at[bound.dim], bound);
}

ValueId Nest::condition(const Mask &mask, const Indices &at, size_t *proved) {
  ValueId result = kNone;
  auto require = [&](ValueId term) {
    result = result == kNone ? term : emit(OpKind::AndI, {result, term}, Type::scalar(Elem::I1));
  };
  for (const Bound &bound : mask.box) {
    bool known = std::any_of(assumed.begin(), assumed.end(), [&](const auto &fact) {
      return fact.first == at[bound.dim] && fact.second.lo == bound.lo && fact.second.hi == bound.hi;
    });
    if (known) {
      if (proved)
        *proved = std::max(*proved, level(at[bound.dim]));
      continue;
    }
    for (auto [edge, predicate] : {std::pair{bound.lo, "sge"}, std::pair{bound.hi, "slt"}}) {
      if (edge == kNone)
        continue;
      Attributes attributes;
      attributes.set("predicate", Attribute::keyword(predicate));
      require(emit(OpKind::CmpI, {at[bound.dim], edge}, Type::scalar(Elem::I1), std::move(attributes)));
    }
  }
  for (const Element &rest : mask.rest)
    require(eval(rest.tile, through(rest.dims, at)));
  return result;
}

ValueId Nest::position(const Indices &at, const Type &shape) const {
  auto it = positions.find({at, {shape.log2dim.begin(), shape.log2dim.begin() + shape.rank}});
  return it == positions.end() ? kNone : it->second;
}

void Nest::setPosition(const Indices &at, const Type &shape, ValueId position) {
  positions[{at, {shape.log2dim.begin(), shape.log2dim.begin() + shape.rank}}] = position;
}

ValueId Nest::bufferOffset(const Buffer &buffer, const Indices &at, const Type &shape) {
  if (ValueId flat = position(at, shape); flat != kNone && buffer.isRowMajor(shape))
    return flat;
  ValueId sum = p.constant(0);
  for (size_t d = 0; d < at.size(); ++d) {
    if (static_cast<int>(d) == buffer.panelDim) {
      // Nests that write panels say how they made the index; any other index is taken apart by its bits.
      if (auto known = parts.find(at[d]); known != parts.end()) {
        sum = add(sum, add(mul(known->second.first, p.constant(buffer.panelStride)), known->second.second));
        continue;
      }
      ValueId shift = p.constant(__builtin_ctzll(static_cast<uint64_t>(buffer.panel)));
      ValueId group = emit(OpKind::ShrUI, {at[d], shift}, Type::scalar(Elem::I64));
      ValueId lane = emit(OpKind::AndI, {at[d], p.constant(buffer.panel - 1)}, Type::scalar(Elem::I64));
      sum = add(sum, add(mul(group, p.constant(buffer.panelStride)), lane));
    } else if (buffer.strides[d] != 0) {
      sum = add(sum, mul(at[d], p.constant(buffer.strides[d])));
    }
  }
  return sum;
}

ValueId Nest::load(const Buffer &buffer, const Indices &at, const Type &shape) {
  // A buffer may be written between two nests but never between two reads of one element in one nest.
  return emit(OpKind::PlanLoad, {buffer.pointer, bufferOffset(buffer, at, shape)}, buffer.type);
}

void Nest::store(const Buffer &buffer, const Indices &at, const Type &shape, ValueId value) {
  storeMemory(buffer.pointer, bufferOffset(buffer, at, shape), value, kNone);
}

void Nest::storeMemory(ValueId base, ValueId offset, ValueId value, ValueId mask) {
  std::vector<ValueId> operands{base, offset, value};
  if (mask != kNone)
    operands.push_back(mask);
  Builder builder(p.plan, levels.back().block);
  if (p.current != kNone)
    builder.setLocation(p.tile.op(p.current).location);
  builder.create(OpKind::PlanStore, std::move(operands), {});
}

void Nest::prefetch(ValueId base, ValueId offset) {
  Builder builder(p.plan, levels.back().block);
  Attributes attributes;
  attributes.set("write", Attribute::unit());
  builder.create(OpKind::PlanPrefetch, {base, offset}, {}, std::move(attributes));
}

ValueId Nest::eval(ValueId value, const Indices &at) {
  const Type &type = p.tile.type(value);
  if (!type.isTile())
    return p.scalar(value);
  auto key = std::pair{value, at};
  if (auto it = memo.find(key); it != memo.end())
    return it->second;

  ValueId result = kNone;
  OpId def = p.tile.values[value].op;
  if (auto from = redirected.find(value); from != redirected.end()) {
    result = load(from->second, at, type);
  } else if (p.buffers[value]) {
    result = load(*p.buffers[value], at, type);
  } else if (def != kNone && p.tile.op(def).kind != OpKind::For) {
    OpId outer = p.current;
    p.current = def;
    result = evalOp(value, p.tile.op(def), at);
    p.current = outer;
  } else {
    // A carried tile of integers that only moves: its form says what it holds.
    OPW_CHECK(p.forms[value] && !type.isPointer(), "a carried tile has neither a buffer nor a form");
    ValueId wide = add(p.forms[value]->base, offset(*p.forms[value], at));
    result = type.elem == Elem::I64 ? wide : emit(OpKind::TruncI, {wide}, Type::scalar(type.elem));
  }
  if (auto sink = sinks.find(value); sink != sinks.end())
    store(sink->second, at, type, result);
  memo[key] = result;
  return result;
}

ValueId Nest::evalOp(ValueId value, const Op &op, const Indices &at) {
  const Type type = p.tile.type(value);
  if (DimMap map; shapeMap(p.tile, op, map))
    return eval(op.operands[0], through(map, at));
  switch (op.kind) {
  case OpKind::Constant:
    return p.constantLike(*op.attributes.find("value"), type);
  case OpKind::MakeRange: {
    ValueId wide = add(at[0], p.constant(op.attributes.intOr("start", 0)));
    return emit(OpKind::TruncI, {wide}, type.element());
  }
  case OpKind::Reshape: {
    // Regroups: the row-major position, cut again along the operand's extents.
    const Type &from = p.tile.type(op.operands[0]);
    ValueId position = this->position(at, type);
    if (position == kNone) {
      position = p.constant(0);
      for (unsigned d = 0; d < type.rank; ++d)
        position = type.log2dim[d] == 0 ? position : add(mul(position, p.constant(type.dim(d))), at[d]);
    }
    Indices inner(from.rank);
    unsigned above = from.log2size();
    bool single = false;
    for (unsigned d = 0; d < from.rank; ++d)
      single |= from.log2dim[d] == from.log2size();
    for (unsigned d = 0; d < from.rank; ++d) {
      above -= from.log2dim[d];
      if (from.log2dim[d] == 0)
        inner[d] = p.constant(0);
      else if (single)
        inner[d] = position;
      else
        inner[d] = emit(
            OpKind::AndI,
            {emit(OpKind::ShrUI, {position, p.constant(above)}, Type::scalar(Elem::I64)), p.constant(from.dim(d) - 1)},
            Type::scalar(Elem::I64));
    }
    setPosition(inner, from, position);
    return eval(op.operands[0], inner);
  }
  case OpKind::Join: {
    Indices inner(at.begin(), at.end() - 1);
    ValueId a = eval(op.operands[0], inner), b = eval(op.operands[1], inner);
    Attributes attributes;
    attributes.set("predicate", Attribute::keyword("eq"));
    ValueId first = emit(OpKind::CmpI, {at.back(), p.constant(0)}, Type::scalar(Elem::I1), std::move(attributes));
    return emit(OpKind::Select, {first, a, b}, type.element());
  }
  case OpKind::Flip: {
    size_t axis = static_cast<size_t>(op.attributes.intOr("axis", 0));
    Indices other = at;
    other[axis] = emit(OpKind::XOrI, {at[axis], p.constant(1)}, Type::scalar(Elem::I64));
    if (auto flat = position(at, type); flat != kNone) {
      int64_t bit = 1;
      for (size_t d = axis + 1; d < type.rank; ++d)
        bit *= type.dim(static_cast<unsigned>(d));
      setPosition(other, type, emit(OpKind::XOrI, {flat, p.constant(bit)}, Type::scalar(Elem::I64)));
    }
    return eval(op.operands[0], other);
  }
  case OpKind::Split: {
    Indices inner = at;
    inner.push_back(p.constant(p.tile.values[value].index));
    return eval(op.operands[0], inner);
  }
  case OpKind::Load:
    return evalLoad(value, op, at);
  default:
    break;
  }
  if (!has(op.kind, kElementwise))
    p.refuse(p.current, "operation on tiles has no CPU lowering yet", "docs/operations.md lists what is supported");
  std::vector<ValueId> operands;
  for (ValueId operand : op.operands)
    operands.push_back(eval(operand, at));
  Attributes attributes = op.attributes;
  if (p.blockwise[value])
    attributes.set("nonnegative", Attribute::unit());
  return emit(op.kind, std::move(operands), type.element(), std::move(attributes));
}

ValueId Nest::evalLoad(ValueId value, const Op &op, const Indices &at) {
  p.checkFresh(p.tile.values[value].op);
  Form form = p.formOf(op.operands[0]);
  std::vector<ValueId> operands{base(form, at), offset(form, at)};
  if (form.isAffine() && read.insert(value).second && p.timesRead[value]++ == 1)
    if (ValueId next = p.advanced(form.base); next != kNone) {
      Builder builder(p.plan, levels.back().block);
      builder.create(OpKind::PlanPrefetch, {next, operands[1]}, {});
    }
  ValueId mask = kNone;
  size_t proved = 0; // the loops that stand for a part of the mask: the load must not leave them
  if (op.operands.size() > 1) {
    const Type &maskType = p.tile.type(op.operands[1]);
    mask = maskType.isTile() ? condition(p.maskOf(op.operands[1]), at, &proved) : p.scalar(op.operands[1]);
  }
  if (mask != kNone) {
    operands.push_back(mask);
    if (op.operands.size() > 2)
      operands.push_back(eval(op.operands[2], at));
  }
  return emit(OpKind::PlanLoad, std::move(operands), p.tile.type(value).element(), {}, proved);
}

bool Nest::canEvalRegion(const Function &fn, BlockId block) {
  for (OpId id : fn.block(block).ops) {
    const Op &op = fn.op(id);
    bool simple =
        has(op.kind, kTerminator) || op.kind == OpKind::Constant || op.kind == OpKind::If || has(op.kind, kElementwise);
    if (!simple)
      return false;
    for (const Region &region : op.regions)
      for (BlockId inner : region.blocks)
        if (!canEvalRegion(fn, inner))
          return false;
  }
  return true;
}

std::vector<ValueId> Nest::evalBlock(BlockId block, std::map<ValueId, ValueId> &values) {
  auto valueOf = [&](ValueId value) {
    auto it = values.find(value);
    return it == values.end() ? p.scalar(value) : it->second;
  };
  for (OpId id : p.tile.block(block).ops) {
    const Op &op = p.tile.op(id);
    if (op.results.size() == 1 && values.contains(op.results[0]))
      continue;
    std::vector<ValueId> operands;
    for (ValueId operand : op.operands)
      operands.push_back(valueOf(operand));
    if (has(op.kind, kTerminator))
      return operands;
    if (op.kind == OpKind::Constant) {
      values[op.results[0]] = p.constantLike(*op.attributes.find("value"), p.tile.type(op.results[0]));
    } else if (op.kind == OpKind::If) {
      std::vector<ValueId> sides[2];
      for (size_t r = 0; r < 2; ++r)
        if (!op.regions[r].blocks.empty())
          sides[r] = evalBlock(op.regions[r].blocks[0], values);
      for (size_t i = 0; i < op.results.size(); ++i)
        values[op.results[i]] =
            emit(OpKind::Select, {operands[0], sides[0][i], sides[1][i]}, p.tile.type(op.results[i]));
    } else if (has(op.kind, kElementwise)) {
      values[op.results[0]] = emit(op.kind, std::move(operands), p.tile.type(op.results[0]), op.attributes);
    } else {
      p.refuse(id, "operation in a combine function has no CPU lowering yet", "combine with arithmetic alone");
    }
  }
  return {};
}

std::vector<ValueId> Nest::evalRegion(BlockId block, const std::vector<ValueId> &arguments,
                                      std::map<ValueId, ValueId> known) {
  for (size_t i = 0; i < arguments.size(); ++i)
    known[p.tile.block(block).arguments[i]] = arguments[i];
  return evalBlock(block, known);
}

std::vector<ValueId> Nest::runRegion(BlockId block, const std::vector<ValueId> &arguments) {
  const Block &body = p.tile.block(block);
  BlockId outer = p.builder.block();
  OpId current = p.current;
  for (size_t i = 0; i < arguments.size(); ++i)
    p.scalars[body.arguments[i]] = arguments[i];
  p.builder.setBlock(levels.back().block);
  p.lowerBlock(block);
  p.builder.setBlock(outer);
  p.current = current;
  std::vector<ValueId> results;
  for (ValueId value : p.tile.op(body.ops.back()).operands) {
    results.push_back(p.scalar(value));
    if (!levelOf.contains(results.back()))
      levelOf[results.back()] = levels.size() - 1;
  }
  return results;
}

std::pair<ValueId, ValueId> boundsOf(Planner &planner, const Type &shape, unsigned dim, const std::vector<Bound> &box) {
  ValueId lo = planner.constant(0), hi = planner.constant(shape.dim(dim));
  for (const Bound &bound : box) {
    if (bound.dim != dim)
      continue;
    if (bound.lo != kNone)
      lo = planner.maximum(lo, bound.lo);
    if (bound.hi != kNone)
      hi = planner.minimum(hi, bound.hi);
  }
  return {lo, hi};
}

Indices openFlat(Nest &nest, Planner &planner, const Type &shape) {
  ValueId position = nest.open(planner.constant(0), planner.constant(shape.size()), true);
  ValueId narrow = nest.emit(OpKind::TruncI, {position}, Type::scalar(Elem::I32)); // a tile has at most 2^20 elements
  Indices at(shape.rank, planner.constant(0));
  unsigned below = shape.log2size();
  for (unsigned d = 0; d < shape.rank; ++d) {
    below -= shape.log2dim[d];
    if (shape.log2dim[d] == 0)
      continue;
    ValueId digits = nest.emit(OpKind::ShrUI, {narrow, planner.constant(below, Elem::I32)}, Type::scalar(Elem::I32));
    digits = nest.emit(OpKind::AndI, {digits, planner.constant(shape.dim(d) - 1, Elem::I32)}, Type::scalar(Elem::I32));
    at[d] = nest.emit(OpKind::ExtUI, {digits}, Type::scalar(Elem::I64));
  }
  nest.setPosition(at, shape, position);
  return at;
}

Indices openLoops(Nest &nest, Planner &planner, const Type &shape, int lane, const std::vector<Bound> &box, int skip) {
  std::vector<std::pair<ValueId, ValueId>> bounds(shape.rank);
  for (unsigned d = 0; d < shape.rank; ++d)
    bounds[d] = boundsOf(planner, shape, d, box);
  Indices at(shape.rank, planner.constant(0));
  for (unsigned d = 0; d < shape.rank; ++d) {
    if (static_cast<int>(d) == lane || static_cast<int>(d) == skip)
      continue;
    bool bounded = std::any_of(box.begin(), box.end(), [&](const Bound &bound) { return bound.dim == d; });
    if (shape.log2dim[d] > 0 || bounded)
      at[d] = nest.open(bounds[d].first, bounds[d].second, false);
  }
  if (lane >= 0 && lane != skip)
    at[static_cast<size_t>(lane)] =
        nest.open(bounds[static_cast<size_t>(lane)].first, bounds[static_cast<size_t>(lane)].second, true);
  nest.assume(at, box);
  return at;
}

} // namespace opw::passes
