#include "codegen/cpu/lanes.h"
#include "codegen/cpu/libdevice.h"

#include "support/check.h"

#include <algorithm>
#include <bit>

namespace opw::cpu {

using namespace ir;

namespace {

class Analyzer {
public:
  Analyzer(const Function &function, const Level &level) : fn(function), level(level) {
    result.shapes.assign(fn.values.size(), Shape::Uniform);
  }

  LaneAnalysis run() {
    visitBlocks(fn.body);
    return std::move(result);
  }

private:
  const Function &fn;
  const Level &level;
  LaneAnalysis result;
  bool changed = false;

  struct Census {
    unsigned widest = 0;   ///< bits of the widest element computed in lanes
    unsigned weight = 0;   ///< vector instructions outside of inner loops, roughly
    unsigned perTurn = 0;  ///< those of the heaviest inner loop
    bool unmasked = false; ///< accesses of elements that the level has no masks for
    bool innerLoop = false;

    void addLoop(const Census &body) {
      widest = std::max(widest, body.widest);
      perTurn = std::max({perTurn, body.weight, body.perTurn});
      unmasked |= body.unmasked;
      innerLoop = true;
    }
  };

  void visitBlocks(const Region &region) {
    for (BlockId block : region.blocks)
      for (OpId id : fn.block(block).ops) {
        const Op &op = fn.op(id);
        if (op.kind == OpKind::PlanLoop && op.attributes.has("lane"))
          visitLaneLoop(id);
        else
          for (const Region &inner : op.regions)
            visitBlocks(inner);
      }
  }

  void raise(ValueId value, Shape shape) {
    if (result.shapes[value] == Shape::Uniform && shape != Shape::Uniform) {
      result.shapes[value] = shape;
      changed = true;
    } else if (result.shapes[value] != Shape::Lanes && shape == Shape::Lanes) {
      result.shapes[value] = shape;
      changed = true;
    }
  }
  Shape shape(ValueId value) const { return result.shapes[value]; }

  void visitLaneLoop(OpId id) {
    const Op &loop = fn.op(id);
    const Block &body = fn.block(loop.regions[0].blocks[0]);
    result.shapes[body.arguments[0]] = Shape::Linear;
    for (size_t i = 1; i < body.arguments.size(); i++)
      result.shapes[body.arguments[i]] = Shape::Lanes;
    do {
      changed = false;
      classifyBlock(body);
    } while (changed);

    Census census;
    count(body, census);
    LoopForm form;
    auto low = rangeOf(fn, loop.operands[0]), high = rangeOf(fn, loop.operands[1]);
    auto constLow = constantOf(fn, loop.operands[0]), constHigh = constantOf(fn, loop.operands[1]);
    if (constLow && constHigh)
      form.trip = std::max<int64_t>(0, *constHigh - *constLow);
    if (low && high && high->high < INT64_MAX / 2 && low->low > INT64_MIN / 2)
      form.limit = std::max<int64_t>(0, high->high - low->low);
    choose(form, census, body.arguments.size() > 1);
    form.width = std::min<unsigned>(form.width, static_cast<unsigned>(lanesAllowed(body)));
    form.tailWidth = std::min(form.tailWidth, form.width);
    result.loops[id] = form;
  }

  void choose(LoopForm &form, const Census &census, bool accumulates) const {
    unsigned bits = std::max(census.widest, 8u);
    unsigned width = std::max(level.lanes(bits), 8u);
    unsigned unroll;
    if (census.innerLoop)
      unroll = census.perTurn <= 6 ? 4 : census.perTurn <= 20 ? 2 : 1; // a turn may wait for the last one
    else if (accumulates)
      unroll = census.weight <= 3 ? 4 : census.weight <= 10 ? 2 : 1; // long bodies overlap by themselves
    else
      unroll = census.weight <= 12 ? 2 : 1;
    int64_t limit = form.limit.value_or(INT64_MAX);
    while (width > 4 && limit <= int64_t(width) / 2)
      width /= 2;
    if (limit < 4)
      width = 1;
    while (unroll > 1 && limit < int64_t(width) * unroll)
      unroll /= 2;
    form.width = width;
    form.unroll = unroll;
    form.tailWidth = census.unmasked ? 1 : width;
  }

  void classifyBlock(const Block &block) {
    for (OpId id : block.ops)
      classify(fn.op(id));
  }

  Shape joined(const std::vector<ValueId> &values) const {
    Shape all = Shape::Uniform;
    for (ValueId v : values)
      if (shape(v) != Shape::Uniform)
        all = Shape::Lanes;
    return all;
  }

  void classify(const Op &op) {
    switch (op.kind) {
    case OpKind::PlanLoop:
      OPW_CHECK(!op.attributes.has("lane"), "lane loops do not nest");
      classifyLoop(op);
      return;
    case OpKind::If:
      for (const Region &region : op.regions)
        for (BlockId block : region.blocks) {
          classifyBlock(fn.block(block));
          joinYield(fn.block(block), op.results, 0);
        }
      return;
    case OpKind::While:
      classifyWhile(op);
      return;
    default:
      break;
    }
    if (op.results.size() != 1)
      return;
    raise(op.results[0], shapeOf(op));
  }

  void classifyLoop(const Op &op) {
    const Block &body = fn.block(op.regions[0].blocks[0]);
    for (size_t i = 3; i < op.operands.size(); i++) {
      ValueId argument = body.arguments[i - 2];
      if (shape(op.operands[i]) != Shape::Uniform)
        raise(argument, Shape::Lanes);
      if (shape(argument) != Shape::Uniform)
        raise(op.results[i - 3], Shape::Lanes);
    }
    classifyBlock(body);
    const Op &yield = fn.op(body.ops.back());
    for (size_t i = 0; i < yield.operands.size(); i++)
      if (shape(yield.operands[i]) != Shape::Uniform) {
        raise(body.arguments[i + 1], Shape::Lanes);
        raise(op.results[i], Shape::Lanes);
      }
  }

  void classifyWhile(const Op &op) {
    const Block &before = fn.block(op.regions[0].blocks[0]), &after = fn.block(op.regions[1].blocks[0]);
    for (size_t i = 0; i < op.operands.size(); i++)
      if (shape(op.operands[i]) != Shape::Uniform)
        raise(before.arguments[i], Shape::Lanes);
    classifyBlock(before);
    joinYield(before, after.arguments, 1);
    joinYield(before, op.results, 1);
    classifyBlock(after);
    joinYield(after, before.arguments, 0);
  }

  void joinYield(const Block &block, const std::vector<ValueId> &targets, size_t skip) {
    if (block.ops.empty())
      return;
    const Op &yield = fn.op(block.ops.back());
    for (size_t i = 0; i < targets.size() && i + skip < yield.operands.size(); i++)
      if (shape(yield.operands[i + skip]) != Shape::Uniform)
        raise(targets[i], Shape::Lanes);
  }

  /// 1 for a linear value that counts the lanes up, 0 for any other.
  int64_t unitStride(ValueId value) const {
    if (shape(value) != Shape::Linear && shape(value) != Shape::Steps)
      return 0;
    const Value &v = fn.values[value];
    if (v.op == kNone)
      return 1;
    const Op &op = fn.op(v.op);
    switch (op.kind) {
    case OpKind::AddI:
      return isSlanted(op) ? 0 : unitStride(op.operands[isOneForVector(op.operands[0]) ? 1 : 0]);
    case OpKind::SubI:
      return isOneForVector(op.operands[1]) ? unitStride(op.operands[0]) : 0;
    case OpKind::MulI:
    case OpKind::ShlI:
      return 0;
    default: // widened, narrowed, or a remainder
      return unitStride(op.operands[0]);
    }
  }
  bool isOneForVector(ValueId value) const { return shape(value) == Shape::Uniform || shape(value) == Shape::Blocks; }
  /// Both operands differ between lanes.
  bool isSlanted(const Op &op) const { return !isOneForVector(op.operands[0]) && !isOneForVector(op.operands[1]); }

  /// Most lanes of a vector for which a division of a value that counts the lanes up has one quotient in each vector: 0
  /// where that is not known. In a vector that starts at a multiple of its width, which divides the divisor, no lane
  /// reaches the next multiple of the divisor; of negative values, which round the other way, the first one does.
  int64_t lanesOfDivision(const Op &op) const {
    auto by = constantOf(fn, op.operands[1]);
    bool isMask = op.kind == OpKind::AndI, shifts = op.kind == OpKind::ShrSI || op.kind == OpKind::ShrUI;
    unsigned bits = fn.type(op.operands[0]).elementBits();
    if (!by || unitStride(op.operands[0]) != 1)
      return 0;
    int64_t divisor = *by;
    if (isMask)
      divisor = *by >= 0 && *by < INT64_MAX && ((*by + 1) & *by) == 0 ? *by + 1 : 0;
    else if (shifts)
      divisor = *by >= 0 && *by < int64_t(bits) - 1 ? int64_t{1} << *by : 0;
    if (divisor <= 0)
      return 0;
    if (op.kind == OpKind::DivSI || op.kind == OpKind::RemSI) {
      auto range = rangeOf(fn, op.operands[0]);
      if (!op.attributes.has("nonnegative") && !(range && range->low >= 0))
        return 0;
    }
    int64_t lanes = std::min({divisor & -divisor, alignmentOf(fn, op.operands[0]), kMostLanes});
    return lanes >= int64_t(std::max(level.lanes(32), 8u)) ? lanes : 0;
  }

  /// The most lanes that the divisions of a loop allow.
  int64_t lanesAllowed(const Block &block) const {
    int64_t widest = kMostLanes;
    for (OpId id : block.ops) {
      const Op &op = fn.op(id);
      if (op.results.size() == 1 && isDivision(op.kind) &&
          (shape(op.results[0]) == Shape::Blocks || shape(op.results[0]) == Shape::Steps))
        if (int64_t lanes = lanesOfDivision(op))
          widest = std::min(widest, lanes);
      for (const Region &region : op.regions)
        for (BlockId inner : region.blocks)
          widest = std::min(widest, lanesAllowed(fn.block(inner)));
    }
    return widest;
  }

  static bool isDivision(OpKind kind) {
    switch (kind) {
    case OpKind::DivSI:
    case OpKind::RemSI:
    case OpKind::DivUI:
    case OpKind::RemUI:
    case OpKind::AndI:
    case OpKind::ShrSI:
    case OpKind::ShrUI:
      return true;
    default:
      return false;
    }
  }

  /// Computed once for each vector where all operands are.
  bool isScalarArithmetic(const Op &op) const {
    const Type &type = fn.type(op.results[0]);
    return has(op.kind, kElementwise) && has(op.kind, kPure) && type.isIntegerLike() &&
           std::all_of(op.operands.begin(), op.operands.end(),
                       [&](ValueId v) { return isOneForVector(v) && fn.type(v).isIntegerLike(); });
  }

  Shape shapeOf(const Op &op) const {
    if (has(op.kind, kOrdered)) // happens once in each lane, whatever it is given
      return Shape::Lanes;
    Shape all = joined(op.operands);
    if (all == Shape::Uniform)
      return all;
    if (isScalarArithmetic(op))
      return Shape::Blocks;
    if (isDivision(op.kind) && lanesOfDivision(op) > 0) {
      bool rest = op.kind == OpKind::RemSI || op.kind == OpKind::RemUI || op.kind == OpKind::AndI;
      return rest ? Shape::Steps : Shape::Blocks;
    }
    auto slopes = [&](unsigned i) {
      return isOneForVector(op.operands[i]) || shape(op.operands[i]) == Shape::Steps ||
             shape(op.operands[i]) == Shape::Linear;
    };
    bool blocks = std::any_of(op.operands.begin(), op.operands.end(),
                              [&](ValueId v) { return shape(v) == Shape::Blocks || shape(v) == Shape::Steps; });
    if (blocks)
      return stepsOf(op, slopes);
    auto uniform = [&](unsigned i) { return shape(op.operands[i]) == Shape::Uniform; };
    auto linear = [&](unsigned i) { return shape(op.operands[i]) == Shape::Linear; };
    switch (op.kind) {
    case OpKind::XOrI: {
      // The variable itself or an inversion of it, by a constant: vectors start at multiples of their width.
      auto flip = constantOf(fn, op.operands[1]);
      const Value &x = fn.values[op.operands[0]];
      bool isVariable = linear(0) && x.op == kNone && constantOf(fn, fn.op(fn.block(x.block).owner).operands[0]) == 0;
      return flip && *flip >= 0 && (isVariable || shape(op.operands[0]) == Shape::Flipped) ? Shape::Flipped
                                                                                           : Shape::Lanes;
    }
    case OpKind::AddI:
    case OpKind::SubI:
      return (uniform(0) || linear(0)) && (uniform(1) || linear(1)) ? Shape::Linear : Shape::Lanes;
    case OpKind::MulI:
      return (uniform(0) && linear(1)) || (linear(0) && uniform(1)) ? Shape::Linear : Shape::Lanes;
    case OpKind::ShlI: {
      auto amount = constantOf(fn, op.operands[1]);
      bool inside = amount && *amount >= 0 && *amount < int64_t(fn.type(op.results[0]).elementBits());
      return linear(0) && inside ? Shape::Linear : Shape::Lanes;
    }
    case OpKind::TruncI:
      return linear(0) && fn.type(op.results[0]).elem != Elem::I1 ? Shape::Linear : Shape::Lanes;
    case OpKind::IndexCast:
    case OpKind::ExtSI:
    case OpKind::ExtUI: {
      if (!linear(0))
        return Shape::Lanes;
      if (fn.type(op.results[0]).elementBits() <= fn.type(op.operands[0]).elementBits())
        return Shape::Linear;
      auto range = rangeOf(fn, op.operands[0]); // without one the narrow value may wrap inside the vector
      return range && (op.kind != OpKind::ExtUI || range->low >= 0) ? Shape::Linear : Shape::Lanes;
    }
    default:
      return Shape::Lanes;
    }
  }

  /// Of an op on values of which some have a scalar for each vector.
  template <typename Slopes> Shape stepsOf(const Op &op, Slopes slopes) const {
    switch (op.kind) {
    case OpKind::AddI:
    case OpKind::SubI:
      return slopes(0) && slopes(1) ? Shape::Steps : Shape::Lanes;
    case OpKind::MulI: {
      bool uniform = shape(op.operands[0]) == Shape::Uniform || shape(op.operands[1]) == Shape::Uniform;
      return uniform && slopes(0) && slopes(1) ? Shape::Steps : Shape::Lanes;
    }
    case OpKind::TruncI:
      return fn.type(op.results[0]).elem != Elem::I1 ? Shape::Steps : Shape::Lanes;
    case OpKind::IndexCast:
    case OpKind::ExtSI:
    case OpKind::ExtUI: {
      if (fn.type(op.results[0]).elementBits() <= fn.type(op.operands[0]).elementBits())
        return Shape::Steps;
      auto range = rangeOf(fn, op.operands[0]); // without one the narrow value may wrap inside the vector
      return range && (op.kind != OpKind::ExtUI || range->low >= 0) ? Shape::Steps : Shape::Lanes;
    }
    default:
      return Shape::Lanes;
    }
  }

  /// What an op costs in vector instructions.
  static unsigned weightOf(OpKind kind) {
    switch (kind) {
    case OpKind::Exp:
    case OpKind::Exp2:
    case OpKind::Log:
    case OpKind::Log2:
      return 16;
    case OpKind::Sin:
    case OpKind::Cos:
    case OpKind::Tanh:
    case OpKind::Erf:
      return 40;
    case OpKind::DivSI:
    case OpKind::DivUI:
    case OpKind::RemSI:
    case OpKind::RemUI:
    case OpKind::CeilDivSI:
    case OpKind::FloorDivSI:
    case OpKind::MulhiUI:
      return 12;
    case OpKind::MinNumF:
    case OpKind::MaxNumF:
    case OpKind::Rsqrt:
      return 3;
    case OpKind::Constant:
      return 0;
    default:
      return 1;
    }
  }

  void count(const Block &block, Census &census) const {
    for (OpId id : block.ops) {
      const Op &op = fn.op(id);
      bool loops = op.kind == OpKind::PlanLoop || op.kind == OpKind::While;
      Census body;
      for (const Region &region : op.regions)
        for (BlockId inner : region.blocks)
          count(fn.block(inner), loops ? body : census);
      if (loops)
        census.addLoop(body);
      if (has(op.kind, kTerminator) || op.kind == OpKind::PlanLoop)
        continue;
      bool lanes = false;
      auto widen = [&](ValueId v) {
        const Type &type = fn.type(v);
        if (shape(v) != Shape::Lanes)
          return;
        lanes = true;
        unsigned bits = type.elementBits();
        if (bits == 1)
          return;
        bool moves = op.kind == OpKind::PlanLoad || op.kind == OpKind::PlanStore || op.kind == OpKind::Select ||
                     op.kind == OpKind::Bitcast || op.kind == OpKind::ArithBitcast;
        if (type.isFloatLike() && bits < 32 && !moves)
          bits = 32;
        census.widest = std::max(census.widest, bits);
      };
      for (ValueId v : op.results)
        widen(v);
      for (ValueId v : op.operands)
        widen(v);
      for (ValueId v :
           op.operands) // a linear operand of a vector op is made a vector, but for addresses and cheap compares
        if (shape(v) != Shape::Uniform && shape(v) != Shape::Lanes && op.kind != OpKind::PlanLoad &&
            op.kind != OpKind::PlanStore && op.kind != OpKind::PlanPrefetch && op.kind != OpKind::CmpI &&
            op.results.size() == 1 && shape(op.results[0]) == Shape::Lanes)
          census.widest = std::max(census.widest, fn.type(v).elementBits());
      if (op.kind == OpKind::PlanLoad || op.kind == OpKind::PlanStore) {
        const Type &type = fn.type(op.kind == OpKind::PlanLoad ? op.results[0] : op.operands[2]);
        lanes = true;
        if (shape(op.operands[1]) != Shape::Uniform) {
          census.unmasked |= (type.isPointer() ? 8 : byteWidth(type.elem)) < level.maskedBytes;
          census.widest = std::max(census.widest, type.isPointer() ? 64u : 8 * byteWidth(type.elem));
        }
      }
      if (lanes) {
        bool soft =
            !op.results.empty() && fn.type(op.results[0]).isFloatLike() && bitWidth(fn.type(op.results[0]).elem) < 32;
        unsigned weight = weightOf(op.kind);
        if (op.kind == OpKind::ExternElementwise)
          weight = libdevice::isShort(op.attributes.textOr("symbol", "")) ? 4 : 40;
        census.weight += weight * (soft ? 4 : 1);
      }
    }
  }
};

} // namespace

LaneAnalysis analyzeLanes(const Function &function, const Level &level) { return Analyzer(function, level).run(); }

} // namespace opw::cpu
