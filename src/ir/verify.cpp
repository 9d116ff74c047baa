#include "ir/verify.h"

#include "ir/dominance.h"
#include "ir/typing.h"
#include "support/text.h"

#include <unordered_map>
#include <unordered_set>

namespace opw::ir {

namespace {

constexpr size_t kMaxReports = 10;

using FunctionIndex = std::unordered_map<std::string_view, const Function *>;

class FunctionVerifier {
public:
  FunctionVerifier(const Module &module, const Function &function, const FunctionIndex &index)
      : module(module), fn(function), index(index) {}

  Diagnostics run() {
    // Everything later follows ids, so the shape comes first and alone.
    checkShape();
    if (!reports.empty() || fn.body.blocks.empty())
      return std::move(reports);
    Dominance tree(fn);
    dominance = &tree;
    checkRegion(fn.body, {});
    return std::move(reports);
  }

private:
  void report(const Op *op, std::string message) {
    if (reports.size() >= kMaxReports)
      return;
    Diagnostic diagnostic;
    diagnostic.where = sourceOf(module, op != nullptr ? op->location : fn.location);
    diagnostic.message = std::move(message);
    diagnostic.kernel = fn.name;
    if (op != nullptr)
      diagnostic.op = name(op->kind);
    reports.push_back(std::move(diagnostic));
  }

  // --- ids and places

  void checkShape() {
    blockSeen.assign(fn.blocks.size(), false);
    opSeen.assign(fn.ops.size(), false);
    position.assign(fn.ops.size(), 0);
    if (!fn.body.blocks.empty())
      checkRegionShape(fn.body, kNone, nullptr);
  }

  void checkRegionShape(const Region &region, OpId owner, const Op *op) {
    for (BlockId block : region.blocks) {
      if (block >= fn.blocks.size() || blockSeen[block])
        return report(op, "a region lists a block that does not exist or stands elsewhere");
      blockSeen[block] = true;
      if (fn.block(block).owner != owner)
        return report(op, "a block does not know the op that owns it");
      for (size_t i = 0; i < fn.block(block).arguments.size(); ++i) {
        ValueId id = fn.block(block).arguments[i];
        bool valid = id < fn.values.size() && fn.values[id].op == kNone && fn.values[id].block == block &&
                     fn.values[id].index == i;
        if (!valid)
          return report(op, "a block argument does not know its block");
      }
      uint32_t place = 0;
      for (OpId id : fn.block(block).ops) {
        if (id >= fn.ops.size() || opSeen[id])
          return report(op, "a block lists an op that does not exist or stands elsewhere");
        opSeen[id] = true;
        position[id] = place++;
        checkOpShape(id, block);
        if (!reports.empty())
          return;
      }
    }
  }

  void checkOpShape(OpId id, BlockId block) {
    const Op &op = fn.op(id);
    if (op.parent != block)
      return report(&op, "an op does not know its block");
    for (ValueId operand : op.operands) {
      if (operand >= fn.values.size())
        return report(&op, "an operand does not exist");
    }
    for (size_t i = 0; i < op.results.size(); ++i) {
      ValueId result = op.results[i];
      bool valid = result < fn.values.size() && fn.values[result].op == id && fn.values[result].index == i;
      if (!valid)
        return report(&op, "a result does not know its op");
    }
    for (const Successor &successor : op.successors) {
      bool valid = successor.block < fn.blocks.size();
      for (ValueId argument : successor.arguments)
        valid = valid && argument < fn.values.size();
      if (!valid)
        return report(&op, "a branch names a block or value that does not exist");
    }
    for (const Region &region : op.regions)
      checkRegionShape(region, id, &op);
  }

  // --- rules

  /// What encloses a region.
  struct Inside {
    bool lanes = false;    ///< a lane loop
    bool elements = false; ///< a function of single elements: of a reduction, a scan, tt.map_elementwise
  };

  void checkRegion(const Region &region, Inside inside) {
    for (BlockId block : region.blocks)
      checkBlock(region, block, inside);
  }

  void checkBlock(const Region &region, BlockId block, Inside inside) {
    const Block &content = fn.block(block);
    const Op *owner = content.owner == kNone ? nullptr : &fn.op(content.owner);
    if (content.ops.empty())
      return report(owner, "a block is empty, expected it to end in a terminator");
    if (!has(fn.op(content.ops.back()).kind, kTerminator))
      report(&fn.op(content.ops.back()), "a block ends here, expected a terminator");
    if (fn.block(region.blocks.front()).ops.empty())
      return;
    for (OpId id : content.ops) {
      const Op &op = fn.op(id);
      bool inMiddle = has(op.kind, kTerminator) && id != content.ops.back();
      if (inMiddle)
        report(&op, "a terminator stands in the middle of a block");
      checkUses(op, id, block);
      std::string broken = checkOp(fn, op);
      if (!broken.empty())
        report(&op, std::move(broken));
      checkPlace(op, region, block);
      bool isLanes = op.kind == OpKind::PlanLoop && op.attributes.has("lane");
      if (isLanes && inside.lanes)
        report(&op, "a lane loop stands inside a lane loop");
      if (inside.elements)
        checkElements(op);
      bool ofElements = op.kind == OpKind::Reduce || op.kind == OpKind::Scan || op.kind == OpKind::MapElementwise;
      for (const Region &inner : op.regions)
        checkRegion(inner, {inside.lanes || isLanes, inside.elements || ofElements});
      if (reports.size() >= kMaxReports)
        return;
    }
  }

  void checkElements(const Op &op) {
    for (const std::vector<ValueId> &values : {op.operands, op.results})
      for (ValueId value : values)
        if (!fn.type(value).isScalar())
          return report(&op,
                        "found " + fn.type(value).str() + " in a function of single elements, expected scalars alone");
  }

  void checkUses(const Op &op, OpId id, BlockId block) {
    for (ValueId operand : op.operands)
      checkUse(op, id, block, operand);
    for (const Successor &successor : op.successors) {
      for (ValueId argument : successor.arguments)
        checkUse(op, id, block, argument);
    }
  }

  void checkUse(const Op &op, OpId id, BlockId block, ValueId value) {
    const Value &used = fn.values[value];
    BlockId home = used.op == kNone ? used.block : fn.op(used.op).parent;
    if (home == kNone || !blockSeen[home] || (used.op != kNone && !opSeen[used.op]))
      return report(&op, "uses a value that is not defined in the function");
    // Climb to the op that stands in the region of the definition.
    BlockId at = block;
    OpId user = id;
    while (fn.block(at).owner != fn.block(home).owner) {
      user = fn.block(at).owner;
      if (user == kNone)
        return report(&op, "uses a value that is defined in a region that does not enclose it");
      at = fn.op(user).parent;
    }
    bool sameRegion = at == home || regionOf(at) == regionOf(home);
    bool before = at == home ? used.op == kNone || position[used.op] < position[user]
                             : sameRegion && dominance->dominates(home, at);
    if (!before)
      report(&op, "uses a value before it is defined");
  }

  /// Blocks of one owner may be in different regions of it: scf.if, scf.while.
  size_t regionOf(BlockId block) const {
    OpId owner = fn.block(block).owner;
    if (owner == kNone || fn.op(owner).regions.size() < 2)
      return 0;
    const std::vector<Region> &regions = fn.op(owner).regions;
    for (size_t i = 0; i < regions.size(); ++i) {
      for (BlockId candidate : regions[i].blocks) {
        if (candidate == block)
          return i;
      }
    }
    return regions.size();
  }

  /// What depends on the surroundings of an op.
  void checkPlace(const Op &op, const Region &region, BlockId block) {
    switch (op.kind) {
    case OpKind::Br:
    case OpKind::CondBr:
      for (const Successor &successor : op.successors)
        checkBranch(op, region, successor);
      break;
    case OpKind::Return:
      if (fn.block(block).owner != kNone)
        report(&op, "tt.return inside a region, expected it in the body of the function");
      else
        checkTypes(op, op.operands, fn.resultTypes, "the function's results");
      break;
    case OpKind::Call:
      checkCall(op);
      break;
    default:
      if (has(op.kind, kTerminator) && fn.block(block).owner == kNone)
        report(&op, "the body of a function ends in " + std::string(name(op.kind)) + ", expected tt.return");
    }
  }

  void checkBranch(const Op &op, const Region &region, const Successor &successor) {
    const Block &target = fn.block(successor.block);
    bool inside = blockSeen[successor.block] && successor.block != region.blocks.front() &&
                  target.owner == fn.block(op.parent).owner && regionOf(successor.block) == regionOf(op.parent);
    if (!inside)
      return report(&op, "branches to the entry of its region or to a block outside it");
    std::vector<Type> expected;
    for (ValueId argument : target.arguments)
      expected.push_back(fn.type(argument));
    checkTypes(op, successor.arguments, expected, "the arguments of the block");
  }

  void checkTypes(const Op &op, const std::vector<ValueId> &found, const std::vector<Type> &expected,
                  const char *what) {
    if (found.size() != expected.size())
      return report(&op, "passes " + counted(found.size(), "value") + ", expected " + std::to_string(expected.size()) +
                             " for " + what);
    for (size_t i = 0; i < found.size(); ++i) {
      if (fn.type(found[i]) != expected[i])
        return report(&op, "passes " + fn.type(found[i]).str() + ", expected " + expected[i].str() + " for " + what);
    }
  }

  void checkCall(const Op &op) {
    std::string_view callee = op.attributes.textOr("callee", "");
    auto found = index.find(callee);
    if (found == index.end())
      return report(&op, "calls @" + excerpt(callee, 80) + ", which the module does not define");
    const Function &target = *found->second;
    std::vector<Type> expected;
    if (!target.body.blocks.empty()) {
      for (ValueId argument : target.arguments())
        expected.push_back(target.type(argument));
      checkTypes(op, op.operands, expected, "the parameters of the callee");
    }
    checkTypes(op, op.results, target.resultTypes, "the results of the callee");
  }

  const Module &module;
  const Function &fn;
  const FunctionIndex &index;
  const Dominance *dominance = nullptr;
  std::vector<bool> blockSeen;
  std::vector<bool> opSeen;
  std::vector<uint32_t> position; ///< of an op in its block
  Diagnostics reports;
};

} // namespace

Status verify(const Module &module) {
  Diagnostics reports;
  FunctionIndex index;
  for (const Function &function : module.functions) {
    if (!index.emplace(function.name, &function).second) {
      Diagnostic diagnostic;
      diagnostic.where = sourceOf(module, function.location);
      diagnostic.message = "two functions have the name @" + excerpt(function.name, 80);
      reports.push_back(std::move(diagnostic));
    }
  }
  for (const Function &function : module.functions) {
    Diagnostics found = FunctionVerifier(module, function, index).run();
    reports.insert(reports.end(), found.begin(), found.end());
  }
  if (!reports.empty())
    return reports;
  return ok();
}

} // namespace opw::ir
