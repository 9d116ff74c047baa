#include "passes/lower_to_plan.h"

#include "ir/dead_code.h"

#include "passes/plan/nest.h"

namespace opw::passes {

using namespace ir;

/// The values that `roots` are made of, through ops that `goesOn` says.
template <typename GoesOn>
static std::vector<bool> valuesBehind(const Function &tile, std::vector<ValueId> work, GoesOn goesOn) {
  std::vector<bool> result(tile.values.size(), false);
  while (!work.empty()) {
    ValueId value = work.back();
    work.pop_back();
    OpId def = tile.values[value].op;
    if (result[value] || def == kNone)
      continue;
    result[value] = true;
    if (const Op &op = tile.op(def); goesOn(op.kind))
      work.insert(work.end(), op.operands.begin(), op.operands.end());
  }
  return result;
}

/// The booleans that the masks of loads and stores are made of, and the integers that they compare.
static std::vector<bool> accessMasks(const Function &tile) {
  std::vector<ValueId> roots;
  for (const Op &op : tile.ops) {
    size_t mask = op.kind == OpKind::Load ? 1 : 2;
    if ((op.kind == OpKind::Load || op.kind == OpKind::Store) && op.operands.size() > mask)
      roots.push_back(op.operands[mask]);
  }
  return valuesBehind(tile, std::move(roots), [](OpKind kind) {
    return kind == OpKind::CmpI || kind == OpKind::AndI || kind == OpKind::AddI || kind == OpKind::SubI ||
           kind == OpKind::ExtSI || has(kind, kShape);
  });
}

/// The pointers of loads and stores, and the integers that are added to them.
static std::vector<bool> accessAddresses(const Function &tile) {
  std::vector<ValueId> roots;
  for (const Op &op : tile.ops)
    if (op.kind == OpKind::Load || op.kind == OpKind::Store)
      roots.push_back(op.operands[0]);
  return valuesBehind(tile, std::move(roots), [](OpKind kind) { return has(kind, kElementwise) || has(kind, kShape); });
}

Planner::Planner(const Module &module, const Function &tile, const PlanOptions &options)
    : module(module), tile(tile), options(options), builder(plan, 0), placement(tile, options.argsDisjoint) {
  scalars.assign(tile.values.size(), kNone);
  forms.resize(tile.values.size());
  masks.resize(tile.values.size());
  buffers.resize(tile.values.size());
  timesRead.assign(tile.values.size(), 0);
  lowered.assign(tile.ops.size(), false);
  guardsAccess = accessMasks(tile);
  addresses = accessAddresses(tile);
  blockwise.assign(tile.values.size(), false);
}

void Planner::refuse(OpId id, std::string message, std::string hint) const {
  Diagnostic diagnostic{.message = std::move(message), .kernel = tile.name, .hint = std::move(hint)};
  if (id != kNone) {
    diagnostic.op = name(tile.op(id).kind);
    diagnostic.where = sourceOf(module, tile.op(id).location);
  }
  throw Refusal{std::move(diagnostic)};
}

Function Planner::run() {
  plan.name = tile.name;
  plan.isPublic = true;
  plan.attributes = tile.attributes;
  plan.argumentAttributes = tile.argumentAttributes;
  plan.location = tile.location;
  OPW_CHECK(tile.body.blocks.size() == 1, "the planner takes structured control alone");
  BlockId entry = plan.addBlock();
  plan.body.blocks.push_back(entry);
  builder.setBlock(entry);
  for (ValueId argument : tile.arguments()) {
    const Type &type = tile.type(argument);
    if (!type.isScalar())
      refuse(kNone, "kernel argument of type " + type.str() + " has no CPU lowering yet",
             "pass a pointer and sizes instead of a descriptor");
    scalars[argument] = plan.addArgument(entry, type, tile.values[argument].name);
  }
  planDots();
  lowerBlock(tile.body.blocks.front());

  // Constants and buffers lead, so that they are defined wherever they are used.
  Block &block = plan.block(entry);
  for (OpId id : constantOps)
    plan.op(id).parent = entry;
  block.ops.insert(block.ops.begin(), constantOps.begin(), constantOps.end());
  removeDeadCode(plan);
  return std::move(plan);
}

void Planner::lowerBlock(BlockId block) {
  for (OpId id : tile.block(block).ops) {
    if (lowered[id])
      continue;
    current = id;
    builder.setLocation(tile.op(id).location);
    lowerOp(id);
    rememberWrites(id);
    for (ValueId result : tile.op(id).results)
      if (placement.of(result).buffered && placement.of(result).atDefinition && !buffers[result]) {
        if (OpId reduction = reductionToDoWith(result); reduction != kNone) {
          lowerReduce(reduction, result);
          lowered[reduction] = true;
          continue;
        }
        Buffer buffer = makeBuffer(result, naturalLane(result));
        materialize(result, buffer);
        buffers[result] = buffer;
      }
    packsDefinedBy(id);
  }
}

void Planner::lowerScalarOp(const Op &op) {
  std::vector<ValueId> operands;
  for (ValueId operand : op.operands)
    operands.push_back(scalar(operand));
  std::vector<Type> types;
  for (ValueId result : op.results)
    types.push_back(tile.type(result));
  OpId made = builder.create(op.kind, std::move(operands), types, op.attributes);
  for (size_t i = 0; i < op.results.size(); ++i)
    scalars[op.results[i]] = plan.op(made).results[i];
}

void Planner::lowerOp(OpId id) {
  const Op &op = tile.op(id);
  switch (op.kind) {
  case OpKind::For:
    return lowerFor(id);
  case OpKind::If:
    return lowerIf(id);
  case OpKind::While:
    return lowerWhile(id);
  case OpKind::Store:
    return lowerStore(id);
  case OpKind::Reduce:
    return lowerReduce(id);
  case OpKind::Dot:
    return lowerDot(id);
  case OpKind::Scan:
    return lowerScan(id);
  case OpKind::Gather:
    return lowerGather(id);
  case OpKind::Histogram:
    return lowerHistogram(id);
  case OpKind::MapElementwise:
    return lowerMapElementwise(id);
  case OpKind::AtomicRmw:
  case OpKind::AtomicCas:
  case OpKind::AtomicPoll:
  case OpKind::AtomicLoad:
  case OpKind::AtomicStore:
    return lowerAtomic(id);
  case OpKind::Print:
    return lowerPrint(id);
  case OpKind::Assert:
    return lowerAssert(id);
  case OpKind::ElementwiseInlineAsm:
    refuse(id, "inline assembly of a GPU cannot run on a CPU",
           "write it with functions of triton.language or libdevice, or choose another kernel for the CPU");
  case OpKind::Return:
    if (!op.operands.empty())
      refuse(id, "kernel that returns a value", "store results through pointers");
    builder.create(OpKind::Return, {}, {});
    return;
  case OpKind::Yield: // operands of the ends of regions are taken by the op that has the region
  case OpKind::Condition:
  case OpKind::MapElementwiseReturn:
  case OpKind::Assume:
  case OpKind::Barrier: // one program is one thread: its effects are in order already
  case OpKind::GpuBarrier:
  case OpKind::GridDependencyWait:
  case OpKind::GridDependencyLaunchDependents:
    return;
  case OpKind::Unsplat: {
    Nest nest(*this);
    scalars[op.results[0]] = nest.eval(op.operands[0], Indices(tile.type(op.operands[0]).rank, constant(0)));
    return;
  }
  default:
    break;
  }
  bool onlyScalars = op.regions.empty() && op.results.size() == 1 && tile.type(op.results[0]).isScalar();
  for (ValueId operand : op.operands)
    onlyScalars &= tile.type(operand).isScalar();
  if (op.kind == OpKind::Constant && onlyScalars) {
    scalars[op.results[0]] = constantLike(*op.attributes.find("value"), tile.type(op.results[0]));
  } else if (op.kind == OpKind::Load && onlyScalars) {
    std::vector<ValueId> operands{scalar(op.operands[0]), constant(0)};
    for (size_t i = 1; i < op.operands.size(); ++i)
      operands.push_back(scalar(op.operands[i]));
    scalars[op.results[0]] = builder.value(OpKind::PlanLoad, std::move(operands), tile.type(op.results[0]));
  } else if (onlyScalars &&
             (has(op.kind, kElementwise) || op.kind == OpKind::GetProgramId || op.kind == OpKind::GetNumPrograms)) {
    lowerScalarOp(op);
  } else if (Placement::isAnchor(op) || onlyScalars) {
    refuse(id, "operation has no CPU lowering yet", "docs/operations.md lists what is supported");
  } else {
    defineForm(op); // a virtual tile: computed where it is needed
  }
}

Result<Module> lowerToPlan(const Module &tile, const PlanOptions &options) {
  const Function *entry = tile.entry();
  if (!entry)
    return Diagnostic{.message = "module without a single public kernel function",
                      .hint = "compile one @triton.jit kernel at a time"};
  try {
    Module plan;
    plan.locations = tile.locations;
    plan.functions.push_back(Planner(tile, *entry, options).run());
    return plan;
  } catch (Refusal &refusal) {
    return std::move(refusal.diagnostic);
  }
}

} // namespace opw::passes
