#include "passes/plan/placement.h"

#include "passes/plan/form.h"

#include <algorithm>
#include <set>

namespace opw::passes {

using namespace ir;

namespace {

bool isLoop(OpKind kind) { return kind == OpKind::For || kind == OpKind::While; }

/// Cycles per vector of one op, for the choice between recomputing and buffering (measured weights; loads apart).
double weight(OpKind kind) {
  switch (kind) {
  case OpKind::DivF:
  case OpKind::PreciseDivF:
  case OpKind::ApproxDivF:
  case OpKind::Sqrt:
  case OpKind::PreciseSqrt:
  case OpKind::Rsqrt:
    return 8;
  case OpKind::Exp:
  case OpKind::Exp2:
    return 9;
  case OpKind::Log:
  case OpKind::Log2:
  case OpKind::Tanh:
    return 14;
  case OpKind::Sin:
  case OpKind::Cos:
  case OpKind::Erf:
  case OpKind::ExternElementwise:
    return 20;
  case OpKind::DivSI:
  case OpKind::DivUI:
  case OpKind::RemSI:
  case OpKind::RemUI:
  case OpKind::FloorDivSI:
  case OpKind::CeilDivSI:
  case OpKind::RemF:
    return 16;
  default:
    return 1;
  }
}

/// Whether a tile has one value that is a multiple of a vector's lanes: what is divided by it is as cheap as an index
/// (division.cpp), and is no longer one when it is read from a buffer.
bool isWholeVectors(const Function &fn, ValueId divisor) {
  for (unsigned depth = 0; depth < 4 && fn.values[divisor].op != kNone; ++depth) {
    const Op &op = fn.op(fn.values[divisor].op);
    if (op.kind == OpKind::Constant) {
      const Attribute *number = op.attributes.find("value");
      return number && number->kind == Attribute::Kind::Int && number->integer > 0 && number->integer % 16 == 0;
    }
    if (!has(op.kind, kShape))
      return false;
    divisor = op.operands[0];
  }
  return false;
}

/// Virtual values are computed by recursion over their operands.
constexpr unsigned kMaxChain = 400;

/// Places from where one nest may compute a virtual value, each with other indices.
constexpr size_t kMaxPaths = 16;
/// What is computed by so few ops, as a range or a piece of one, is better computed again than read from a buffer.
constexpr unsigned kShortChain = 4;

constexpr double kLoadNear = 1, kLoadFar = 3, kIndexOp = 0.1;
constexpr int64_t kNearBytes = 16 << 10;
constexpr int64_t kSpread = 8; // a tile that is so many times smaller costs little to keep

} // namespace

bool Placement::isAnchor(const Op &op) {
  return (!has(op.kind, kElementwise) && !has(op.kind, kShape) && op.kind != OpKind::Constant &&
          op.kind != OpKind::MakeRange && op.kind != OpKind::Load) ||
         op.kind == OpKind::Unsplat;
}

Placement::Placement(const Function &tile, bool argsDisjoint) : fn(tile), disjoint(argsDisjoint) {
  positions.resize(fn.ops.size(), 0);
  usersOf.resize(fn.values.size());
  pulledBy.resize(fn.values.size());
  decisions.resize(fn.values.size());
  roots.assign(fn.values.size(), kNone);
  cost.assign(fn.values.size(), 0);
  for (BlockId block : fn.body.blocks)
    number(block);
  findRoots();
  estimateCosts();
  decide();
}

void Placement::number(BlockId block) {
  for (OpId id : fn.block(block).ops) {
    positions[id] = static_cast<unsigned>(order.size());
    order.push_back(id);
    for (ValueId operand : fn.op(id).operands)
      usersOf[operand].push_back(id);
    for (const Region &region : fn.op(id).regions)
      for (BlockId inner : region.blocks)
        number(inner);
  }
}

bool Placement::entersLoop(BlockId block, OpId op) const {
  for (BlockId at = fn.op(op).parent; at != block && at != kNone;) {
    OpId owner = fn.block(at).owner;
    if (owner == kNone)
      return false;
    if (isLoop(fn.op(owner).kind))
      return true;
    at = fn.op(owner).parent;
  }
  return false;
}

void Placement::findRoots() {
  // A carried pointer keeps the root of its initial value, if what the loop hands on has that root too.
  std::vector<bool> lost(fn.values.size(), false);
  auto pass = [&] {
    bool settled = true;
    if (!fn.body.blocks.empty())
      for (ValueId argument : fn.arguments())
        if (fn.type(argument).isPointer())
          roots[argument] = argument;
    for (OpId id : order) {
      const Op &op = fn.op(id);
      if (op.kind == OpKind::For) {
        const Block &body = fn.block(op.regions[0].blocks[0]);
        for (size_t i = 0; i + 1 < body.arguments.size(); ++i) {
          ValueId carried = body.arguments[i + 1];
          roots[carried] = roots[op.results[i]] = lost[carried] ? kNone : roots[op.operands[3 + i]];
        }
      } else if (op.kind == OpKind::Yield && op.parent != kNone && fn.block(op.parent).owner != kNone &&
                 fn.op(fn.block(op.parent).owner).kind == OpKind::For) {
        const Block &body = fn.block(op.parent);
        for (size_t i = 0; i < op.operands.size(); ++i)
          if (ValueId carried = body.arguments[i + 1]; !lost[carried] && roots[op.operands[i]] != roots[carried]) {
            lost[carried] = true;
            settled = false;
          }
      } else if (op.results.size() == 1 && fn.type(op.results[0]).isPointer() && !op.operands.empty() &&
                 (op.kind == OpKind::AddPtr || op.kind == OpKind::Bitcast || has(op.kind, kShape))) {
        roots[op.results[0]] = roots[op.operands[0]];
      }
    }
    return settled;
  };
  while (!pass()) {
  }
}

void Placement::estimateCosts() {
  chain.assign(fn.values.size(), 0);
  ends.assign(fn.values.size(), false);
  for (OpId id : order) {
    const Op &op = fn.op(id);
    unsigned longest = 0;
    for (ValueId operand : op.operands)
      longest = std::max(longest, chain[operand]);
    for (ValueId result : op.results)
      if (fn.type(result).isTile() && !isAnchor(op)) {
        chain[result] = longest + 1;
        ends[result] = chain[result] >= kMaxChain;
        if (ends[result])
          chain[result] = 0;
      }
    for (ValueId result : op.results) {
      const Type &type = fn.type(result);
      if (!type.isTile())
        continue;
      if (isAnchor(op)) {
        cost[result] = kLoadNear; // lives in a buffer
      } else if (op.kind == OpKind::Load) {
        cost[result] = type.size() * byteWidth(type.elem) <= kNearBytes ? kLoadNear : kLoadFar;
      } else if (has(op.kind, kElementwise)) {
        // Index arithmetic mostly becomes bounds and strides.
        double own = weight(op.kind);
        if ((op.kind == OpKind::DivSI || op.kind == OpKind::RemSI) && isWholeVectors(fn, op.operands[1]))
          own = 1;
        double sum = type.isPointer() ? 0 : isInteger(type.elem) && own == 1 ? kIndexOp : own;
        for (ValueId operand : op.operands)
          sum += cost[operand];
        cost[result] = std::min(sum, 1e6);
      } else {
        for (ValueId operand : op.operands)
          cost[result] = std::max(cost[result], cost[operand]);
        // What is costly of a row or column gets a buffer itself, which is small, before the tile that it is spread
        // over.
        if (op.kind == OpKind::Broadcast && fn.type(op.operands[0]).size() * kSpread <= type.size())
          cost[result] = std::min(cost[result], kLoadNear);
      }
    }
  }
}

bool Placement::mayConflict(const Op &load, const Op &write) const {
  if (has(write.kind, kOrdered) || write.operands.empty())
    return true;
  ValueId from = roots[load.operands[0]], to = roots[write.operands[0]];
  return !disjoint || from == kNone || to == kNone || from == to;
}

bool Placement::loadMustStay(OpId load) const {
  const Op &op = fn.op(load);
  unsigned first = positions[load], last = first;
  for (OpId pull : pulledBy[op.results[0]]) {
    last = std::max(last, positions[pull]);
    // Pulled inside a loop: every write of the outermost such loop may come before the next pull.
    for (BlockId at = fn.op(pull).parent; at != op.parent && at != kNone;) {
      OpId owner = fn.block(at).owner;
      if (owner == kNone)
        break;
      if (isLoop(fn.op(owner).kind)) {
        OpId end = fn.block(fn.op(owner).regions.back().blocks.back()).ops.back();
        last = std::max(last, positions[end] + 1);
      }
      at = fn.op(owner).parent;
    }
  }
  for (unsigned at = first + 1; at < last; ++at) {
    const Op &other = fn.op(order[at]);
    if ((has(other.kind, kWrites) || has(other.kind, kOrdered)) && mayConflict(op, other))
      return true;
  }
  return false;
}

namespace {

/// Whether `value` reaches `target` through elementwise ops alone, so that both are indexed alike.
bool reachesIdentically(const Function &fn, ValueId target, ValueId value) {
  std::vector<ValueId> work{target};
  std::set<ValueId> seen{target};
  while (!work.empty() && seen.size() < 256) {
    ValueId at = work.back();
    work.pop_back();
    if (at == value)
      return true;
    OpId id = fn.values[at].op;
    if (id == kNone || !has(fn.op(id).kind, kElementwise))
      continue;
    for (ValueId operand : fn.op(id).operands)
      if (fn.type(operand).isTile() && seen.insert(operand).second)
        work.push_back(operand);
  }
  return false;
}

} // namespace

void Placement::findPaths(ValueId value) {
  std::vector<uint64_t> &found = paths[value];
  for (OpId user : usersOf[value]) {
    const Op &by = fn.op(user);
    if (isAnchor(by)) {
      found.push_back(0);
      continue;
    }
    uint64_t turn = 0; // names the change of indices; one that regroups makes new ones wherever it stands
    DimMap map;
    if (shapeMap(fn, by, map)) {
      turn = 1;
      for (int dim : map)
        turn = turn * 31 + static_cast<uint64_t>(dim + 2);
    } else if (!has(by.kind, kElementwise) && by.kind != OpKind::Load) {
      turn = (uint64_t{user} + 1) << 32;
    }
    for (ValueId result : by.results)
      for (uint64_t path : decisions[result].buffered ? std::vector<uint64_t>{0} : paths[result])
        found.push_back(turn == 0 ? path : (path + turn + fn.values[result].index) * 0x9e3779b97f4a7c15);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  found.resize(std::min(found.size(), kMaxPaths + 1));
}

void Placement::decide() {
  paths.resize(fn.values.size());
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const Op &op = fn.op(*it);
    auto collect = [&](ValueId value) {
      std::vector<OpId> &pulls = pulledBy[value];
      for (OpId user : usersOf[value]) {
        const Op &by = fn.op(user);
        if (isAnchor(by)) {
          // The operand of a dot in a deeper loop is packed right where it is defined.
          bool packed = by.kind == OpKind::Dot && fn.values[value].op != kNone &&
                        entersLoop(fn.op(fn.values[value].op).parent, user);
          pulls.push_back(packed ? fn.values[value].op : user);
          continue;
        }
        for (ValueId result : by.results) {
          if (!decisions[result].buffered)
            pulls.insert(pulls.end(), pulledBy[result].begin(), pulledBy[result].end());
          else
            pulls.push_back(decisions[result].atDefinition ? user : pulledBy[result].front());
        }
      }
      std::sort(pulls.begin(), pulls.end(), [&](OpId a, OpId b) { return positions[a] < positions[b]; });
      pulls.erase(std::unique(pulls.begin(), pulls.end()), pulls.end());
    };
    for (const Region &region : op.regions)
      for (BlockId block : region.blocks)
        for (ValueId argument : fn.block(block).arguments)
          collect(argument);
    for (ValueId result : op.results) {
      collect(result);
      findPaths(result);
      const Type type = fn.type(result);
      const std::vector<OpId> &pulls = pulledBy[result];
      bool unbounded =
          (ends[result] || (paths[result].size() > kMaxPaths && chain[result] > kShortChain)) && !isAnchor(op);
      bool computes = has(op.kind, kElementwise) || op.kind == OpKind::Load || unbounded;
      bool isAddress = type.isPointer() && op.kind != OpKind::Load && !unbounded;
      if (!type.isTile() || isAddress || pulls.empty() || !computes)
        continue;
      bool deep = std::any_of(pulls.begin(), pulls.end(),
                              [&](OpId pull) { return pull != *it && entersLoop(op.parent, pull); });
      double uses = static_cast<double>(pulls.size());
      // The slice of a value that is flipped and also used as it is would double with each step of a sort.
      const std::vector<OpId> &users = usersOf[result];
      bool doubles =
          op.kind != OpKind::Load && users.size() > 1 &&
          std::any_of(users.begin(), users.end(), [&](OpId user) { return fn.op(user).kind == OpKind::Flip; });
      bool mustStay = op.kind == OpKind::Load && (deep || loadMustStay(*it));
      bool wanted = mustStay || unbounded || doubles || cost[result] * (uses - 1) > 1 + uses ||
                    (deep && cost[result] >= kLoadFar);
      if (!wanted)
        continue;
      Decision &decision = decisions[result];
      decision.buffered = true;
      const Op &first = fn.op(pulls.front());
      decision.atDefinition = mustStay || unbounded || doubles ||
                              !(first.kind == OpKind::Reduce && first.parent == op.parent &&
                                reachesIdentically(fn, first.operands[0], result));
    }
  }
}

} // namespace opw::passes
