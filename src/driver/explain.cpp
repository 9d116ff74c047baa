#include "driver/explain.h"

#include "driver/plan_facts.h"
#include "ir/walk.h"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

namespace opw::driver {

using namespace ir;
using cpu::Shape;

namespace {

/// Cache sizes that x86-64-v3 and -v4 processors have at least.
constexpr int64_t kL1 = 32 << 10, kL2 = 1 << 20;

std::string bytesText(int64_t bytes) {
  for (auto [unit, name] : {std::pair{int64_t{1} << 20, " MiB"}, std::pair{int64_t{1} << 10, " KiB"}})
    if (bytes >= unit) {
      std::string tenths = bytes % unit == 0 ? "" : "." + std::to_string(bytes % unit * 10 / unit);
      return std::to_string(bytes / unit) + tenths + name;
    }
  return std::to_string(bytes) + " B";
}

std::string typeText(const Type &type) { return type.isPointer() ? "pointer" : std::string(name(type.elem)); }

/// A function that costs many instructions, or "".
std::string heavyName(const Op &op) {
  switch (op.kind) {
  case OpKind::Exp:
  case OpKind::Exp2:
  case OpKind::Log:
  case OpKind::Log2:
  case OpKind::Sin:
  case OpKind::Cos:
  case OpKind::Tanh:
  case OpKind::Erf:
    return std::string(name(op.kind).substr(5)); // after "math."
  case OpKind::ExternElementwise:
    return std::string(op.attributes.textOr("symbol", "external function"));
  case OpKind::DivSI:
  case OpKind::DivUI:
  case OpKind::CeilDivSI:
  case OpKind::FloorDivSI:
    return "integer division";
  case OpKind::RemSI:
  case OpKind::RemUI:
    return "integer remainder";
  case OpKind::RemF:
    return "remainder";
  default:
    return "";
  }
}

class Explainer {
public:
  Explainer(const Module &tile, const Module &plan, const cpu::Level &level)
      : facts(tile, plan, level), fn(facts.fn), tile(facts.tile), lanes(facts.lanes), level(level) {}

  std::vector<Remark> run(const ProgramOrder &order) {
    explainOrder(order);
    explainBuffers();
    explainPlainDots();
    explainRegion(fn.body);
    return std::move(remarks);
  }

private:
  const PlanFacts facts;
  const Function &fn, &tile;
  const cpu::LaneAnalysis &lanes;
  const cpu::Level &level;
  std::vector<Remark> remarks;
  std::set<std::tuple<std::string, uint32_t, std::string, std::string>> said;
  const cpu::LoopForm *lane = nullptr; ///< of the lane loop around
  unsigned depth = 0;                  ///< loops around

  void say(LocId where, const char *kind, std::string text) {
    auto [file, line] = facts.placeOf(where);
    if (line != 0 && said.emplace(file, line, kind, text).second)
      remarks.push_back({file, line, kind, std::move(text)});
  }

  void explainOrder(const ProgramOrder &order) {
    if (order == ProgramOrder{})
      return;
    auto axis = [&](unsigned digit) { return std::string(1, static_cast<char>('x' + order.axes[digit])); };
    std::string text = "programs run with axis " + axis(0) + " fastest";
    if (order.band > 1)
      text = "programs run in bands of " + std::to_string(order.band) + " along axis " + axis(1) + ", then along " +
             axis(0);
    say(tile.location, "order", text + " (" + order.str() + "): what they read stays in the cache longer");
  }

  // --- buffers and dots

  void explainBuffers() {
    for (auto &[id, uses] : facts.accesses) {
      const Op &op = fn.op(id);
      const Type pointer = fn.type(op.results[0]);
      int64_t elements = op.attributes.intOr("elements", 0);
      int64_t bytes = elements * (pointer.pointerDepth > 1 ? 8 : byteWidth(pointer.elem));
      std::string why = "kept for later loops";
      for (OpId use : uses)
        if (const Op &dot = fn.op(use); dot.kind == OpKind::PlanDot) {
          const char *roles[] = {"accumulator of a dot", "operand of a dot", "operand of a dot, in panels",
                                 "factor of an accumulator"};
          for (size_t i = 0; i < dot.operands.size(); ++i)
            if (facts.rootOf(dot.operands[i]).buffer == id)
              why = roles[i];
        }
      Type element = pointer;
      --element.pointerDepth;
      LocId where = facts.contentOf(id);
      say(where, "buffer",
          facts.bufferName(id) + ": " + std::to_string(elements) + " x " + typeText(element) + ", " + bytesText(bytes) +
              ", " + why);
      if (bytes > kL1)
        say(where, "slow",
            "buffer " + facts.bufferName(id) + " exceeds the " + (bytes > kL2 ? "L2" : "L1") + " cache (" +
                bytesText(bytes > kL2 ? kL2 : kL1) + "): use smaller tiles");
    }
  }

  void explainDot(const Op &op) {
    int64_t rows = op.attributes.intOr("rows", 0), columns = op.attributes.intOr("lanes", 0);
    int64_t panel = op.attributes.intOr("panel", columns);
    // As dot.cpp chooses the tile of registers.
    cpu::DotShape shape = rows < level.dot.rows ? level.dotWide : level.dot;
    int64_t width = std::min<int64_t>(level.lanes(32), panel);
    int64_t vectors = std::min<int64_t>(shape.vectors, panel / width);
    int64_t high = std::min<int64_t>(rows, std::max<int64_t>(shape.rows, shape.rows * shape.vectors / vectors));
    std::string_view init = op.attributes.textOr("init", "load");
    say(op.location, "dot",
        std::to_string(rows) + " x " + std::to_string(columns) + " x " +
            std::to_string(op.attributes.intOr("depth", 0)) + " in f32, micro-kernel of " + std::to_string(high) +
            " x " + std::to_string(vectors * width) +
            (init.substr(0, 5) == "scale" ? ", accumulator scaled on the way" : ""));
  }

  /// Dots that have no micro-kernel are loops in the plan: only the tile IR still knows them.
  void explainPlainDots() {
    std::set<LocId> kernels;
    walk(fn, [&](OpId id) {
      if (fn.op(id).kind == OpKind::PlanDot)
        kernels.insert(fn.op(id).location);
    });
    walk(tile, [&](OpId id) {
      const Op &op = tile.op(id);
      if (op.kind != OpKind::Dot || kernels.contains(op.location))
        return;
      const Type &a = tile.type(op.operands[0]), &b = tile.type(op.operands[1]), &c = tile.type(op.results[0]);
      say(op.location, "dot", "plain loop nest: " + a.str() + " * " + b.str() + " -> " + c.str());
      say(op.location, "slow",
          "dot without a micro-kernel, which takes floats of 32 bits and fewer, a rank of 2, an f32 accumulator and 16 "
          "rows or columns");
    });
  }

  // --- the walk over the plan

  void explainRegion(const Region &region) {
    for (BlockId block : region.blocks)
      for (OpId id : fn.block(block).ops)
        explainOp(id);
  }

  void explainOp(OpId id) {
    const Op &op = fn.op(id);
    explainMath(op);
    explainIndices(op);
    if (facts.isGuard(op))
      return explainGuard(op);
    switch (op.kind) {
    case OpKind::PlanLoad:
      return explainAccess(op, "load", fn.type(op.results[0]), 2);
    case OpKind::PlanStore:
      return explainAccess(op, "store", fn.type(op.operands[2]), 3);
    case OpKind::PlanDot:
      return explainDot(op);
    case OpKind::PlanPrefetch:
      return explainPrefetch(op);
    case OpKind::PlanLoop:
      return explainLoop(id);
    case OpKind::While:
      say(op.location, "loop", "sequential while loop");
      break;
    default:
      if (has(op.kind, kOrdered) && has(op.kind, kReads))
        explainAtomic(op);
    }
    for (const Region &region : op.regions)
      explainRegion(region);
  }

  void explainGuard(const Op &op) {
    std::string loaded;
    std::set<ValueId> seen;
    walk(fn, op.regions[1], [&](OpId id) {
      const Op &load = fn.op(id);
      if (load.kind != OpKind::PlanLoad)
        return;
      ValueId argument = facts.rootOf(load.operands[0]).argument;
      if (argument != kNone && seen.insert(argument).second)
        loaded += (loaded.empty() ? "" : ", ") + fn.values[argument].name;
    });
    say(op.location, "guard",
        "run-time test for overlap with " + loaded + "; if so, a scalar twin copies what it loads first");
    explainRegion(op.regions[0]);
  }

  bool isVector() const { return lane && lane->width > 1; }

  void explainAccess(const Op &op, const char *kind, const Type &type, size_t maskOperand) {
    bool load = op.kind == OpKind::PlanLoad;
    ValueId pointer = op.operands[0], offset = op.operands[1];
    bool perLane = lanes.shapes[pointer] != Shape::Uniform || lanes.shapes[offset] == Shape::Lanes;
    std::string what = kind, why;
    bool vector = isVector();
    std::optional<int64_t> stride = perLane ? std::nullopt : facts.strideOf(offset);
    if (!vector) {
      what = "scalar " + what;
    } else if (perLane) {
      what = load ? "gather" : "scatter";
      why = what + ": each lane computes its own address";
    } else if (!stride) {
      what = "strided " + what + " (run-time stride)";
      why = std::string(load ? "gather" : "scatter") +
            ": the stride is known at run time only; make it a tl.constexpr, or pass 1 where it is 1";
    } else if (*stride == 0) {
      what = "broadcast " + what;
      vector = false;
    } else if (*stride == 1 || *stride == -1) {
      what = (*stride == 1 ? "contiguous " : "reversed ") + what;
    } else {
      what = "strided " + what + " (stride " + std::to_string(*stride) + ")";
      why = std::string(load ? "gather" : "scatter") + ": neighbouring lanes are " + std::to_string(*stride) +
            " elements apart";
    }
    std::string mask = maskText(op, maskOperand);
    say(op.location, kind,
        what + " of " + (vector ? std::to_string(lane->width) + " x " : "") + typeText(type) +
            (load ? " from " : " to ") + facts.targetText(pointer) + (mask.empty() ? "" : ", " + mask));
    if (!why.empty())
      say(op.location, "slow", why);
    if (mask == "masked per lane")
      say(op.location, "slow", perLaneMask(type));
  }

  std::string maskText(const Op &op, size_t maskOperand) const {
    bool memory = facts.rootOf(op.operands[0]).buffer == kNone;
    if (op.operands.size() <= maskOperand)
      return memory && facts.isMaskedAt(op.location) ? "mask proved: it became loop bounds" : "";
    ValueId mask = op.operands[maskOperand];
    if (cpu::constantOf(fn, mask).value_or(0) != 0)
      return "";
    return !isVector() || lanes.shapes[mask] == Shape::Uniform ? "masked by a scalar" : "masked per lane";
  }

  std::string perLaneMask(const Type &type) const {
    bool narrow = !type.isPointer() && byteWidth(type.elem) < 4 && !level.maskRegisters;
    return std::string("per-lane mask: the condition is not a range of the index") +
           (narrow ? ", and this level has no masked instruction for " + typeText(type) : "");
  }

  /// A prefetch has no place of its own: it goes with the access at the same offset.
  void explainPrefetch(const Op &op) {
    for (OpId id : fn.block(op.parent).ops) {
      const Op &access = fn.op(id);
      bool same = access.kind == OpKind::PlanLoad || access.kind == OpKind::PlanStore;
      if (same && access.operands[1] == op.operands[1] &&
          (access.kind == OpKind::PlanStore) == op.attributes.has("write") &&
          facts.rootOf(access.operands[0]).argument == facts.rootOf(op.operands[0]).argument)
        return say(access.location, "prefetch",
                   facts.targetText(op.operands[0]) + " of a later iteration or program" +
                       (op.attributes.has("write") ? ", to be written" : ""));
    }
  }

  static std::string tripText(std::optional<int64_t> trip, std::optional<int64_t> limit) {
    if (trip)
      return std::to_string(*trip) + (*trip == 1 ? " iteration" : " iterations");
    return limit ? "at most " + std::to_string(*limit) + " iterations" : "trip count known at run time";
  }

  void explainLoop(OpId id) {
    const Op &op = fn.op(id);
    const cpu::LoopForm *around = lane;
    if (op.attributes.has("lane")) {
      lane = &lanes.loops.at(id);
      explainLaneLoop(op, *lane);
    } else {
      explainSequentialLoop(op);
    }
    ++depth;
    explainRegion(op.regions[0]);
    --depth;
    lane = around;
  }

  void explainLaneLoop(const Op &op, const cpu::LoopForm &form) {
    std::string trip = tripText(form.trip, form.limit);
    if (form.width == 1)
      return say(op.location, "loop", "scalar loop, " + trip + ": too few for vectors");
    int64_t chunk = int64_t{form.width} * form.unroll;
    bool whole = form.trip && *form.trip % chunk == 0;
    std::string text = "vectorized loop, width " + std::to_string(form.width) + ", interleave " +
                       std::to_string(form.unroll) + ", " + trip +
                       (whole                 ? ""
                        : form.tailWidth == 1 ? ", scalar tail"
                                              : ", masked tail");
    if (const Attribute *combine = op.attributes.find("combine"))
      for (const auto &item : combine->items)
        text += ", " + item.second.text.substr(item.second.text.find('.') + 1) + " reduction";
    say(op.location, "loop", text);
  }

  void explainSequentialLoop(const Op &op) {
    auto low = cpu::rangeOf(fn, op.operands[0]), high = cpu::rangeOf(fn, op.operands[1]);
    auto step = cpu::constantOf(fn, op.operands[2]);
    std::optional<int64_t> trip, limit;
    if (low && high && step && *step > 0 && high->high < INT64_MAX / 2 && low->low > INT64_MIN / 2) {
      limit = std::max<int64_t>(0, (high->high - low->low + *step - 1) / *step);
      if (low->low == low->high && high->low == high->high)
        trip = limit;
    }
    say(op.location, "loop", (lane ? "sequential loop in each lane, " : "sequential loop, ") + tripText(trip, limit));
    bool inner = false, works = false;
    walk(fn, op.regions[0], [&](OpId each) {
      const Op &part = fn.op(each);
      inner |= part.kind == OpKind::PlanDot || (part.kind == OpKind::PlanLoop && part.attributes.has("lane"));
      works |= has(part.kind, kReads) || has(part.kind, kWrites);
    });
    if (!lane && !inner && works)
      say(op.location, "slow", "scalar loop: its elements are computed one after the other");
  }

  void explainAtomic(const Op &op) {
    std::string what(name(op.kind).substr(3)); // after "tt."
    std::string_view rmw = op.attributes.textOr("atomic_rmw_op", "");
    const Type type = fn.type(op.results.empty() ? op.operands[1] : op.results[0]);
    say(op.location, "atomic",
        what + (rmw.empty() ? "" : " " + std::string(rmw)) + " of " + typeText(type) + " on " +
            facts.targetText(op.operands[0]) + (lane ? ", one for each lane" : ""));
  }

  void explainMath(const Op &op) {
    std::string what = heavyName(op);
    if (what.empty())
      return;
    bool vector = isVector() && lanes.shapes[op.results[0]] == Shape::Lanes;
    if (!vector && (depth == 0 || lane)) // once for a program, or for a whole vector
      return;
    say(op.location, "math",
        what + " of " + (vector ? std::to_string(lane->width) + " x " : "scalar ") + typeText(fn.type(op.results[0])));
  }

  void explainIndices(const Op &op) {
    if (!isVector() || !has(op.kind, kElementwise) || op.results.size() != 1 || !facts.indices.contains(op.results[0]))
      return;
    const Type &type = op.kind == OpKind::CmpI ? fn.type(op.operands[0]) : fn.type(op.results[0]);
    if (type.isIntegerLike() && type.elem == Elem::I64)
      say(op.location, "slow", "64-bit index arithmetic in vectors: twice the registers of 32 bits");
  }
};

} // namespace

std::vector<Remark> explainPlan(const Module &tile, const Module &plan, const cpu::Level &level,
                                const ProgramOrder &order) {
  return Explainer(tile, plan, level).run(order);
}

} // namespace opw::driver
