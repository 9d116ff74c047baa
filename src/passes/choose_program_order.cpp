#include "passes/choose_program_order.h"

#include "ir/walk.h"
#include "passes/order_sensitive.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace opw::passes {

using namespace ir;

namespace {

constexpr double kTripsAtAGuess = 16; // of a loop whose bounds are not constants
constexpr double kClearlyLess = 0.75; // of the traffic of the first axis in use
constexpr uint32_t kBand = 8;         // measured: 4, 8 and 16 are alike

/// A set of grid axes, a bit each.
using Axes = uint8_t;

/// On which program ids each value depends, through loops too.
class Dependence {
public:
  explicit Dependence(const Function &fn) : fn(fn), axes(fn.values.size(), 0) {
    do {
      changed = false;
      walk(fn, [&](OpId id) { visit(fn.op(id)); });
    } while (changed);
  }
  Axes of(ValueId value) const { return axes[value]; }

private:
  void add(ValueId value, Axes more) {
    changed |= (axes[value] | more) != axes[value];
    axes[value] |= more;
  }

  Axes ofAll(const std::vector<ValueId> &values) const {
    Axes sum = 0;
    for (ValueId value : values)
      sum |= axes[value];
    return sum;
  }

  void visit(const Op &op) {
    if (op.kind == OpKind::GetProgramId)
      return add(op.results[0], static_cast<Axes>(1u << (op.attributes.textOr("axis", "x")[0] - 'x')));
    if (op.kind == OpKind::For)
      return visitFor(op);
    Axes all = ofAll(op.operands);
    for (const Region &region : op.regions)
      for (BlockId block : region.blocks) {
        for (ValueId argument : fn.block(block).arguments)
          add(argument, all);
        if (!fn.block(block).ops.empty())
          all |= ofAll(fn.op(fn.block(block).ops.back()).operands);
      }
    for (ValueId result : op.results)
      add(result, all);
  }

  /// What is carried keeps its place: in a matrix product the two pointers are carried side by side.
  void visitFor(const Op &op) {
    const Block &body = fn.block(op.regions[0].blocks[0]);
    Axes bounds = axes[op.operands[0]] | axes[op.operands[1]] | axes[op.operands[2]];
    add(body.arguments[0], bounds);
    const std::vector<ValueId> &next = fn.op(body.ops.back()).operands;
    for (size_t i = 0; i < op.results.size(); ++i) {
      Axes carried = axes[op.operands[3 + i]] | axes[next[i]];
      add(body.arguments[1 + i], carried);
      add(op.results[i], carried | bounds);
    }
  }

  const Function &fn;
  std::vector<Axes> axes;
  bool changed = false;
};

/// Bytes that programs read and write, by the ids that the addresses depend on.
struct Traffic {
  double bytes[8] = {};
  Axes used = 0;

  double changingWith(unsigned axis) const {
    double sum = 0;
    for (unsigned set = 0; set < 8; ++set)
      sum += set >> axis & 1 ? bytes[set] : 0;
    return sum;
  }
};

std::optional<int64_t> constantOf(const Function &fn, ValueId value) {
  OpId id = fn.values[value].op;
  if (id == kNone || fn.op(id).kind != OpKind::Constant)
    return std::nullopt;
  const Attribute *number = fn.op(id).attributes.find("value");
  if (!number || number->kind != Attribute::Kind::Int)
    return std::nullopt;
  return number->integer;
}

double tripsOf(const Function &fn, const Op &loop) {
  auto low = constantOf(fn, loop.operands[0]), high = constantOf(fn, loop.operands[1]);
  auto step = constantOf(fn, loop.operands[2]);
  if (!low || !high || !step || *step <= 0 || *high <= *low)
    return kTripsAtAGuess;
  return static_cast<double>(*high - *low) / static_cast<double>(*step);
}

void measure(const Function &fn, const Region &region, const Dependence &dependence, double trips, Traffic &traffic) {
  for (BlockId block : region.blocks)
    for (OpId id : fn.block(block).ops) {
      const Op &op = fn.op(id);
      if (op.kind == OpKind::GetProgramId)
        traffic.used |= dependence.of(op.results[0]);
      bool loads = op.kind == OpKind::Load;
      if (loads || op.kind == OpKind::Store) {
        Type type = fn.type(loads ? op.results[0] : op.operands[1]);
        traffic.bytes[dependence.of(op.operands[0])] +=
            trips * static_cast<double>(type.size()) * type.elementBits() / 8;
      }
      double inside = op.kind == OpKind::For     ? trips * tripsOf(fn, op)
                      : op.kind == OpKind::While ? trips * kTripsAtAGuess
                                                 : trips;
      for (const Region &inner : op.regions)
        measure(fn, inner, dependence, inside, traffic);
    }
}

/// Whether the traffic of each of the two axes without the other outweighs what changes with both.
bool isProduct(const Traffic &traffic, unsigned x, unsigned y) {
  double onlyX = 0, onlyY = 0, both = 0;
  for (unsigned set = 0; set < 8; ++set) {
    bool hasX = set >> x & 1, hasY = set >> y & 1;
    (hasX && hasY ? both : hasX ? onlyX : onlyY) += hasX || hasY ? traffic.bytes[set] : 0;
  }
  return std::min(onlyX, onlyY) > both;
}

void moveUp(std::array<uint8_t, 3> &axes, size_t from, size_t to) {
  for (; from > to; --from)
    std::swap(axes[from], axes[from - 1]);
}

} // namespace

ProgramOrder chooseProgramOrder(const Function &tile) {
  if (isOrderSensitive(tile))
    return {};
  Traffic traffic;
  measure(tile, tile.body, Dependence(tile), 1, traffic);
  ProgramOrder order;
  std::vector<uint8_t> axes;
  for (uint8_t axis = 0; axis < 3; ++axis)
    if (traffic.used >> axis & 1)
      axes.push_back(axis);
  if (axes.size() < 2)
    return order;
  auto least = *std::min_element(axes.begin(), axes.end(), [&](uint8_t a, uint8_t b) {
    return traffic.changingWith(a) < traffic.changingWith(b);
  });
  if (traffic.changingWith(least) <= kClearlyLess * traffic.changingWith(axes[0]))
    moveUp(order.axes, least, 0);
  // Of the axes that are left, the one that makes a product with the first is the second.
  for (size_t second = 1; second < 3; ++second)
    if ((traffic.used >> order.axes[second] & 1) && isProduct(traffic, order.axes[0], order.axes[second])) {
      moveUp(order.axes, second, 1);
      order.band = kBand;
      break;
    }
  return order;
}

} // namespace opw::passes
