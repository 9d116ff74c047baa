#include "ir/module.h"

namespace opw::ir {

BlockId Function::addBlock(OpId owner) {
  blocks.push_back({.arguments = {}, .ops = {}, .owner = owner});
  return static_cast<BlockId>(blocks.size() - 1);
}

ValueId Function::addArgument(BlockId block, Type type, std::string name) {
  auto id = static_cast<ValueId>(values.size());
  auto index = static_cast<uint32_t>(blocks[block].arguments.size());
  values.push_back({.type = type, .op = kNone, .block = block, .index = index, .name = std::move(name)});
  blocks[block].arguments.push_back(id);
  return id;
}

OpId Function::addOp(OpKind kind, std::vector<ValueId> operands, const std::vector<Type> &resultTypes, LocId location) {
  auto id = static_cast<OpId>(ops.size());
  Op op{.kind = kind,
        .operands = std::move(operands),
        .results = {},
        .attributes = {},
        .regions = {},
        .successors = {},
        .location = location,
        .parent = kNone};
  ops.push_back(std::move(op));
  for (const Type &type : resultTypes)
    addResult(id, type);
  return id;
}

ValueId Function::addResult(OpId op, Type type) {
  auto id = static_cast<ValueId>(values.size());
  auto index = static_cast<uint32_t>(ops[op].results.size());
  values.push_back({.type = type, .op = op, .block = kNone, .index = index, .name = {}});
  ops[op].results.push_back(id);
  return id;
}

void Function::append(BlockId block, OpId op) {
  blocks[block].ops.push_back(op);
  ops[op].parent = block;
}

const Function *Module::find(std::string_view name) const {
  for (const Function &function : functions) {
    if (function.name == name)
      return &function;
  }
  return nullptr;
}

const Function *Module::entry() const {
  const Function *found = nullptr;
  for (const Function &function : functions) {
    if (!function.isPublic)
      continue;
    if (found != nullptr)
      return nullptr;
    found = &function;
  }
  return found;
}

SourceRange sourceOf(const Module &module, LocId id) {
  // A call chain holds each location once, so it is never longer than the table.
  for (size_t steps = 0; id < module.locations.size() && steps <= module.locations.size(); ++steps) {
    const Location &location = module.locations[id];
    if (location.line != 0)
      return {location.file, location.line, location.column};
    id = location.callSite;
  }
  return {};
}

} // namespace opw::ir
