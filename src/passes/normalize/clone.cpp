// Copying ops and functions: plain ops as they are, structured ops region by region, calls as the callee's body.
#include "ir/dead_code.h"
#include "passes/normalize.h"
#include "passes/normalize/normalizer.h"
#include "passes/refusal.h"
#include "support/check.h"
#include "support/text.h"

#include <algorithm>

namespace opw::passes {

using namespace ir;

Normalizer::Normalizer(const Module &source) : source(source), b(out, 0) { target.locations = source.locations; }

void Normalizer::refuse(const Frame &frame, const Op &op, std::string message, std::string hint) const {
  Diagnostic diagnostic{.message = std::move(message), .kernel = out.name, .hint = std::move(hint)};
  diagnostic.op = name(op.kind);
  diagnostic.where = sourceOf(source, op.location);
  if (frame.caller)
    diagnostic.message += ", in the function '" + frame.fn->name + "'";
  throw Refusal{std::move(diagnostic)};
}

void Normalizer::refuseDepth(const Frame &frame, const Op &op) const {
  refuse(frame, op, "nested deeper than " + std::to_string(kMaxDepth) + " levels of blocks, calls and early returns",
         "split the kernel into smaller pieces");
}

Normalizer::Frame Normalizer::enter(const Function &fn) {
  Frame frame{};
  frame.fn = &fn;
  frame.values.resize(fn.values.size());
  return frame;
}

/// The position of an op of a function that was called from elsewhere.
LocId Normalizer::locate(const Frame &frame, LocId location) {
  if (!frame.caller || location == kNone)
    return location;
  auto [it, isNew] = inlined.try_emplace({location, frame.callSite}, kNone);
  if (!isNew)
    return it->second;
  Location copy = target.locations[location];
  copy.callSite = copy.callSite == kNone ? frame.callSite : locate(frame, copy.callSite);
  target.locations.push_back(std::move(copy));
  return inlined[{location, frame.callSite}] = static_cast<LocId>(target.locations.size() - 1);
}

ValueId Normalizer::one(const Frame &frame, ValueId value) const {
  OPW_CHECK(frame.values[value].size() == 1, "a scalar or tile stands for one value");
  return frame.values[value][0];
}

Values Normalizer::all(const Frame &frame, const std::vector<ValueId> &values) const {
  Values parts;
  for (ValueId value : values)
    parts.insert(parts.end(), frame.values[value].begin(), frame.values[value].end());
  return parts;
}

std::vector<Type> Normalizer::partsOf(const Type &type) const {
  if (type.kind == TypeKind::Value)
    return {type};
  bool hasOffsets = type.kind == TypeKind::BlockPointer;
  std::vector<Type> parts{Type::pointer(type.elem)};
  parts.insert(parts.end(), (hasOffsets ? 3u : 2u) * type.rank, Type::scalar(Elem::I64));
  if (!hasOffsets)
    parts.push_back(Type::scalar(Elem::I1));
  return parts;
}

void Normalizer::bind(Frame &frame, const std::vector<ValueId> &values, const Values &parts) {
  size_t at = 0;
  for (ValueId value : values) {
    size_t count = partsOf(frame.fn->type(value)).size();
    frame.values[value].assign(parts.begin() + static_cast<ptrdiff_t>(at),
                               parts.begin() + static_cast<ptrdiff_t>(at + count));
    if (count == 1 && out.values[parts[at]].name.empty())
      out.values[parts[at]].name = frame.fn->values[value].name;
    at += count;
  }
}

ValueId Normalizer::poison(Type type) {
  if (type.isPointer() && type.isTile())
    return b.value(OpKind::Splat, {b.value(OpKind::Poison, {}, type.element())}, type);
  if (type.isPointer())
    return b.value(OpKind::Poison, {}, type);
  Attributes attributes;
  attributes.set("value", isFloat(type.elem) ? Attribute::floatBits(0, type.elem) : Attribute::integerOf(0, type.elem));
  return b.value(OpKind::Constant, {}, type, std::move(attributes));
}

void Normalizer::clonePlain(Frame &frame, const Op &op) {
  std::vector<Type> types;
  for (ValueId result : op.results)
    types.push_back(frame.fn->type(result));
  OpId made = b.create(op.kind, all(frame, op.operands), types, op.attributes);
  bind(frame, op.results, out.op(made).results);
}

void Normalizer::cloneStructured(Frame &frame, const Op &op) {
  std::vector<Type> types;
  for (ValueId result : op.results)
    for (Type part : partsOf(frame.fn->type(result)))
      types.push_back(part);
  OpId made = b.create(op.kind, all(frame, op.operands), types, op.attributes);
  LocId location = out.op(made).location;
  BlockId outer = b.block();
  goDeeper(frame, op);
  const bool outerElements = ofElements;
  ofElements |= op.kind == OpKind::Reduce || op.kind == OpKind::Scan || op.kind == OpKind::MapElementwise;
  for (const Region &region : op.regions) {
    out.op(made).regions.emplace_back();
    if (region.blocks.empty())
      continue;
    BlockId inner = out.addBlock(made);
    out.op(made).regions.back().blocks.push_back(inner);
    const std::vector<ValueId> &arguments = frame.fn->block(region.blocks[0]).arguments;
    Values parts;
    for (ValueId argument : arguments)
      for (Type part : partsOf(frame.fn->type(argument)))
        parts.push_back(out.addArgument(inner, part));
    bind(frame, arguments, parts);
    b.setBlock(inner);
    Values ended = runBlocks(frame, region.blocks[0], kNone);
    for (BlockId each : region.blocks)
      if (const Op &last = frame.fn->op(frame.fn->block(each).ops.back()); last.successors.empty()) {
        b.create(last.kind, std::move(ended), {}, last.attributes); // all ends of a region are of one kind
        break;
      }
  }
  --depth;
  ofElements = outerElements;
  b.setBlock(outer);
  b.setLocation(location);
  bind(frame, op.results, out.op(made).results);
}

void Normalizer::call(Frame &frame, const Op &op) {
  std::string name(op.attributes.textOr("callee", ""));
  const Function *callee = source.find(name);
  if (!callee || callee->body.blocks.empty())
    refuse(frame, op, "call of '" + name + "', which the module does not define", "define it with @triton.jit");
  for (const Frame *at = &frame; at; at = at->caller)
    if (at->fn == callee)
      refuse(frame, op, "recursive call of '" + name + "'", "write the recursion as a loop");
  goDeeper(frame, op);
  Frame inner = enter(*callee);
  inner.caller = &frame;
  inner.callSite = locate(frame, op.location);
  bind(inner, callee->arguments(), all(frame, op.operands));
  bind(frame, op.results, runBlocks(inner, callee->body.blocks[0], kNone));
  --depth;
}

/// a and b one after the other: the major dimension of a transposed join.
void Normalizer::cat(Frame &frame, const Op &op) {
  Type type = frame.fn->type(op.results[0]), half = frame.fn->type(op.operands[0]);
  Type joined = half, turned = half;
  joined.rank = turned.rank = 2;
  joined.log2dim[1] = turned.log2dim[0] = 1;
  turned.log2dim[1] = half.log2dim[0];
  ValueId pairs = b.value(OpKind::Join, all(frame, op.operands), joined);
  Attributes order;
  order.set("order", Attribute::ints({1, 0}));
  ValueId rows = b.value(OpKind::Trans, {pairs}, turned, std::move(order));
  bind(frame, op.results, {b.value(OpKind::Reshape, {rows}, type)});
}

/// Runs once, where it stands: an atomic load without order.
void Normalizer::volatileLoad(Frame &frame, const Op &op) {
  Values operands = all(frame, op.operands);
  Type type = frame.fn->type(op.results[0]);
  Attributes attributes;
  attributes.set("sem", Attribute::keyword("relaxed"));
  attributes.set("scope", Attribute::keyword("sys"));
  ValueId value = b.value(OpKind::AtomicLoad, {operands.begin(), operands.begin() + (operands.size() > 1 ? 2 : 1)},
                          type, std::move(attributes));
  if (operands.size() > 2)
    value = b.value(OpKind::Select, {operands[1], value, operands[2]}, type);
  bind(frame, op.results, {value});
}

void Normalizer::cloneOp(Frame &frame, OpId id) {
  const Op &op = frame.fn->op(id);
  if (budget-- == 0)
    refuse(frame, op, "calls and early returns that would copy the code in and after them too often",
           "return early at the top level of the kernel, and call large functions at fewer places");
  if (ofElements)
    for (const std::vector<ValueId> &values : {op.operands, op.results})
      for (ValueId value : values)
        if (!frame.fn->type(value).isScalar())
          refuse(frame, op, "found " + frame.fn->type(value).str() + " in a function of single elements",
                 "compute with scalars alone in the function of a reduction, a scan or tl.map_elementwise");
  if (op.kind == OpKind::Call)
    return call(frame, op);
  if (op.kind == OpKind::Cat && frame.fn->type(op.results[0]).rank == 1)
    return cat(frame, op);
  if (op.kind == OpKind::Poison) {
    Values parts;
    for (const Type &type : partsOf(frame.fn->type(op.results[0])))
      parts.push_back(poison(type));
    return bind(frame, op.results, parts);
  }
  if (op.kind == OpKind::DotScaled)
    return dotScaled(frame, op);
  if (cloneBlockOp(frame, op))
    return;
  if (op.kind == OpKind::Load)
    if (const Attribute *isVolatile = op.attributes.find("isVolatile"); isVolatile && isVolatile->integer != 0)
      return volatileLoad(frame, op);
  if (flip(frame, op))
    return;
  if (op.regions.empty())
    clonePlain(frame, op);
  else
    cloneStructured(frame, op);
}

Module Normalizer::run(const Function &entry) {
  constexpr size_t kSpare = 4096, kGrowth = 16;
  for (const Function &function : source.functions)
    budget += kGrowth * function.ops.size();
  budget += kSpare;
  out.name = entry.name;
  out.isPublic = true;
  out.attributes = entry.attributes;
  out.location = entry.location;
  BlockId block = out.addBlock();
  out.body.blocks.push_back(block);
  b.setBlock(block);
  Frame frame = enter(entry);
  const std::vector<ValueId> &arguments = entry.arguments();
  // A descriptor that the host makes: its base in its own place, then its sizes and strides, which TTIR lists, then
  // whether NaN is read outside, which it does not.
  std::map<size_t, ValueId> nanOutside; // by the index of the descriptor
  out.argumentAttributes.clear();
  size_t openDescriptor = 0, left = 0;
  for (size_t i = 0; i < arguments.size(); ++i) {
    Type type = entry.type(arguments[i]);
    if (type.kind != TypeKind::Value) {
      openDescriptor = i;
      left = 2u * type.rank + 1;
      type = Type::pointer(type.elem);
    }
    frame.values[arguments[i]] = {out.addArgument(block, type, entry.values[arguments[i]].name)};
    out.argumentAttributes.push_back(i < entry.argumentAttributes.size() ? entry.argumentAttributes[i] : Attributes{});
    if (left > 0 && --left == 0) {
      nanOutside[openDescriptor] = out.addArgument(block, Type::scalar(Elem::I1));
      out.argumentAttributes.emplace_back();
    }
  }
  for (size_t i = 0; i < arguments.size(); ++i)
    if (entry.type(arguments[i]).kind != TypeKind::Value)
      frame.values[arguments[i]] = hostDescriptor(frame, entry, i, nanOutside[i]);
  Values returned = runBlocks(frame, entry.body.blocks[0], kNone);
  OPW_CHECK(returned.empty(), "a kernel returns nothing");
  b.create(OpKind::Return, {}, {});
  removeDeadCode(out);
  target.attributes = source.attributes;
  target.functions.push_back(std::move(out));
  return std::move(target);
}

Result<Module> normalize(const Module &module) {
  const Function *entry = module.entry();
  if (!entry || entry->body.blocks.empty()) {
    auto count = std::count_if(module.functions.begin(), module.functions.end(),
                               [](const Function &function) { return function.isPublic; });
    std::string found =
        entry ? "a public function without a body" : counted(static_cast<size_t>(count), "public function");
    return Diagnostic{.message = "found " + found + ", expected one, the kernel",
                      .hint = "compile one @triton.jit kernel at a time"};
  }
  if (!entry->resultTypes.empty())
    return Diagnostic{.where = sourceOf(module, entry->location),
                      .message = "kernel that returns a value",
                      .kernel = entry->name,
                      .hint = "store results through pointers"};
  try {
    return Normalizer(module).run(*entry);
  } catch (Refusal &refusal) {
    return std::move(refusal.diagnostic);
  }
}

} // namespace opw::passes
