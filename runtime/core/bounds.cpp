// Interval evaluation with bisection. One interval per size is sound but far too loose: a split-K workspace of S * M *
// N has its large S where M * N is small, and the interval takes the worst of both. So the box of all sizes is halved
// where its bound is worst, again and again, until the bound is reached by a call that we know, or the tree of halves
// is full. Boxes are not stored: a leaf of the tree finds its box by the cuts on its way to the root.
#include "core/bounds.h"

#include "core/dtype.h"
#include "core/instructions.h"
#include "core/interval.h"
#include "core/program.h"
#include "core/resolve.h"
#include "core/run.h"
#include "core/select.h"

#include <string.h>

namespace opw::runtime {
namespace {

constexpr uint32_t kHalvings = 1024;
constexpr uint32_t kMaxSizes = 256; // of all inputs; those behind keep their whole range
constexpr int64_t kNoBound = INT64_MAX;

class Box {
public:
  Box(const Frame &lowCall, const Frame &highCall) : low(lowCall), high(highCall), op(lowCall.op) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < low.inputCount; ++i) {
      first[i] = static_cast<uint16_t>(n);
      const opw_tensor_t *t = low.inputs[i];
      for (int32_t d = 0; t && d < t->ndim && n < kMaxSizes; ++d, ++n) {
        least[n] = t->shape[d];
        most[n] = high.inputs[i]->shape[d];
      }
    }
    count = n;
  }

  /// Notes what programs read: vars, which are evaluated then, and with `cut` sizes, which are halved.
  void note(const opw_program_t &program, bool cut);
  /// To be called after the last note of a kind.
  void noteVars(bool cut) {
    for (uint32_t v = op->var_count; v-- > 0;)
      if (readVar[v])
        note(op->vars[v], cut);
  }

  /// Evaluates what the next `evaluate` reads; false where the op refuses every call of this box.
  bool enter();
  /// Whether a call in the box may meet a condition on calls.
  bool mayHold(const opw_program_t &valid) const;
  Interval evaluate(const opw_program_t &program) const;

  const Frame &low, &high;
  const opw_op_t *op;
  uint32_t count;
  int64_t least[kMaxSizes], most[kMaxSizes];
  bool read[kMaxSizes] = {};

private:
  Interval leaf(const opw_insn_t &x, const Interval &popped) const;
  Interval size(uint32_t tensor, int64_t axis) const;
  Interval sizeAt(uint32_t tensor, const Interval &axis) const;
  Interval product(uint32_t tensor, int32_t from) const;
  Interval value(uint32_t tensor, int64_t index) const;
  Interval item(const opw_attr_value_t &list, const Interval &index) const;
  void noteTensor(uint32_t tensor);

  uint16_t first[OPW_MAX_TENSORS]; // the number of a tensor's first size
  bool readVar[OPW_MAX_VARS] = {};
  Interval vars[OPW_MAX_VARS];
};

void Box::noteTensor(uint32_t tensor) {
  if (const opw_tensor_t *t = tensor < low.inputCount ? low.inputs[tensor] : nullptr)
    for (int32_t d = 0; d < t->ndim; ++d)
      if (first[tensor] + static_cast<uint32_t>(d) < kMaxSizes)
        read[first[tensor] + static_cast<uint32_t>(d)] = true;
}

void Box::note(const opw_program_t &program, bool cut) {
  for (uint32_t i = 0; i < program.count; ++i) {
    const opw_insn_t &x = program.code[i];
    if (x.op == OPW_X_VAR)
      readVar[x.b] = true;
    if (!cut)
      continue;
    if (x.op == OPW_X_DIM) {
      const opw_tensor_t *t = low.tensor(x.b, x.element);
      const uint32_t at = x.b + x.element;
      int32_t axis = t && x.imm < 0 ? x.imm + t->ndim : x.imm;
      if (t && axis >= 0 && axis < t->ndim && first[at] + static_cast<uint32_t>(axis) < kMaxSizes)
        read[first[at] + static_cast<uint32_t>(axis)] = true;
    } else if (x.op == OPW_X_DIM_AT || x.op == OPW_X_NUMEL || x.op == OPW_X_STRIDE) {
      noteTensor(x.b + x.element);
    } else if (x.op == OPW_X_SUMDIM) {
      for (uint32_t t = x.b; t < low.inputCount; ++t)
        noteTensor(t);
    }
  }
}

Interval Box::size(uint32_t tensor, int64_t axis) const {
  const opw_tensor_t &t = *low.inputs[tensor];
  if (axis < 0)
    axis += t.ndim;
  if (axis < 0 || axis >= t.ndim)
    return noValue();
  uint32_t n = first[tensor] + static_cast<uint32_t>(axis);
  return n < kMaxSizes ? integers(least[n], most[n]) : integers(t.shape[axis], high.inputs[tensor]->shape[axis]);
}

Interval Box::sizeAt(uint32_t tensor, const Interval &axis) const {
  Interval r = noValue();
  for (int64_t a = -OPW_MAX_RANK; a < OPW_MAX_RANK; ++a)
    if (a >= axis.lo.i && a <= axis.hi.i)
      r = hullOf(r, size(tensor, a), false);
  return r;
}

/// The product of the sizes from an axis on; one that overflows is none, unless it is empty.
Interval Box::product(uint32_t tensor, int32_t from) const {
  int64_t lo = 1, hi = 1;
  for (int32_t d = from; d < low.inputs[tensor]->ndim; ++d) {
    Interval s = size(tensor, d);
    lo = multiplyBounds(lo, s.lo.i);
    hi = multiplyBounds(hi, s.hi.i);
  }
  return integers(lo, hi);
}

/// One element of a HOST input, anywhere between the two calls'.
Interval Box::value(uint32_t tensor, int64_t index) const {
  const opw_tensor_t &a = *low.inputs[tensor], &b = *high.inputs[tensor];
  opw_dtype_t type = dtypeOf(a);
  bool isFloat = dtypeInfo(type).kind == 'f';
  bool fixed = a.data && b.data;
  int64_t elements = 1;
  for (int32_t d = 0; d < a.ndim; ++d) {
    fixed = fixed && a.shape[d] == b.shape[d];
    fixed = !__builtin_mul_overflow(elements, a.shape[d], &elements) && fixed;
  }
  if (!fixed)
    return isFloat ? anyFloat() : anyInteger();
  if (index < 0)
    index += elements;
  if (index < 0 || index >= elements)
    return noValue();
  auto at = [&](const opw_tensor_t &t) {
    const char *data = static_cast<const char *>(t.data) + t.byte_offset;
    Value v{{0}, kFine, isFloat};
    if (isFloat)
      v.slot.f = floatAt(data, type, index);
    else
      v.slot.i = integerAt(data, type, index);
    return type == OPW_U64 && v.slot.i < 0 ? noValue() : pointOf(v);
  };
  return hullOf(at(a), at(b), isFloat);
}

Interval Box::item(const opw_attr_value_t &list, const Interval &index) const {
  bool isFloat = list.kind == OPW_ATTR_FLOATS;
  Interval r = noValue();
  int64_t n = list.count;
  int64_t from = index.lo.i < -n ? -n : index.lo.i, to = index.hi.i >= n ? n - 1 : index.hi.i;
  for (int64_t i = from; i <= to; ++i) {
    Value v = listItem(list, i);
    v.isFloat = isFloat;
    r = hullOf(r, pointOf(v), isFloat);
  }
  return r;
}

Interval Box::leaf(const opw_insn_t &x, const Interval &popped) const {
  auto integer = [](int64_t v) { return pointOf({{.i = v}, kFine, 0}); };
  auto number = [](double v) { return pointOf({{.f = v}, kFine, 1}); };
  const opw_tensor_t *t = low.tensor(x.b, x.element);
  const uint32_t tensor = x.b + x.element;
  switch (x.op) {
  case OPW_X_INT:
    return integer(x.imm);
  case OPW_X_POOL:
    return integer(op->pool_i[x.imm]);
  case OPW_X_DIM:
    return t ? size(tensor, x.imm) : noValue();
  case OPW_X_DIM_AT:
    return t ? sizeAt(tensor, popped) : noValue();
  case OPW_X_RANK:
    return t ? integer(t->ndim) : noValue();
  case OPW_X_NUMEL:
    return t ? product(tensor, 0) : noValue();
  case OPW_X_STRIDE: {
    if (!t)
      return noValue();
    int32_t axis = x.imm < 0 ? x.imm + t->ndim : x.imm;
    if (axis < 0 || axis >= t->ndim)
      return noValue();
    return t->strides || high.tensor(x.b, x.element)->strides ? anyInteger() : product(tensor, axis + 1);
  }
  case OPW_X_PRESENT:
    return integer(t != nullptr);
  case OPW_X_COUNT:
    return integer(low.inputCount > x.b ? low.inputCount - x.b : 0);
  case OPW_X_SUMDIM: {
    Interval sum = integer(0);
    for (uint32_t i = x.b; i < low.inputCount; ++i) {
      Interval one = low.inputs[i] ? size(i, x.imm) : noValue();
      if (one.none)
        return one;
      sum = intervalOf(OPW_X_ADD, sum, one);
    }
    return sum;
  }
  case OPW_X_ATTR:
    return integer(low.attrs[x.b]->u.i);
  case OPW_X_ATTR_LEN:
    return integer(low.attrs[x.b]->count);
  case OPW_X_ATTR_AT:
  case OPW_X_FATTR_AT:
    return item(*low.attrs[x.b], popped);
  case OPW_X_VALUE:
    return t ? value(x.b, x.imm) : noValue();
  case OPW_X_VAR:
    return vars[x.b];
  case OPW_X_ITEMSIZE:
    return t ? integer(t->dl_bits / 8) : noValue();
  case OPW_X_FPOOL:
    return number(op->pool_f[x.imm]);
  case OPW_X_FATTR:
    return number(low.attrs[x.b]->u.f);
  default: // SIZE: the data say it
    return anyInteger();
  }
}

Interval Box::evaluate(const opw_program_t &program) const {
  struct Operand {
    Interval is;
    bool isFloat;
  } stack[OPW_MAX_DEPTH];
  int n = 0;
  auto isFloat = [&](const opw_insn_t &x) {
    if (x.op == OPW_X_VAR)
      return op->vars[x.b].is_float == 1;
    if (x.op == OPW_X_VALUE)
      return dtypeInfo(op->combos[op->inputs[x.b]->typevar]).kind == 'f'; // the same in every combination
    return insnInfo(x.op).pushes == 'F';
  };
  for (uint32_t at = 0; at < program.count; ++at) {
    const opw_insn_t &x = program.code[at];
    if (isLeaf(x.op)) {
      Interval popped = popsIndex(x.op) ? stack[--n].is : integers(0, 0);
      stack[n++] = {popped.none ? popped : leaf(x, popped), isFloat(x)};
    } else if (x.op == OPW_X_SELECT) {
      n -= 2;
      const Interval condition = stack[n - 1].is;
      Interval r = condition;
      if (!condition.none) {
        bool never = condition.lo.i == 0 && condition.hi.i == 0, always = condition.lo.i > 0 || condition.hi.i < 0;
        r = always ? stack[n].is : never ? stack[n + 1].is : hullOf(stack[n].is, stack[n + 1].is, stack[n].isFloat);
      }
      stack[n - 1] = {r, stack[n].isFloat};
    } else if (isBinaryInt(x.op) || isFloatBinary(x.op)) {
      Interval right = isBinaryInt(x.op) && x.b ? integers(x.imm, x.imm) : stack[--n].is;
      Interval &left = stack[n - 1].is;
      left = left.none || right.none ? noValue() : intervalOf(x.op, left, right);
      stack[n - 1].isFloat = isFloat(x);
    } else {
      Interval &only = stack[n - 1].is;
      if (!only.none)
        only = intervalOf(x.op, only);
      stack[n - 1].isFloat = isFloat(x);
    }
  }
  return stack[0].is;
}

bool Box::enter() {
  for (uint32_t v = 0; v < op->var_count; ++v)
    if (readVar[v])
      vars[v] = evaluate(op->vars[v]);
  return mayHold(op->valid);
}

bool Box::mayHold(const opw_program_t &valid) const {
  if (valid.count == 0)
    return true;
  Interval holds = evaluate(valid);
  return !holds.none && (holds.hi.i > 0 || (holds.lo.i <= -1 && holds.hi.i >= -1)); // what checkValid takes
}

/// What is bounded: a program, or the bytes of the workspace.
class Quantity {
public:
  Quantity(Box &sizes, const opw_program_t *what) : box(sizes), program(what), op(sizes.op) {
    if (program)
      box.note(*program, true);
    else
      for (uint32_t t = 0; t < op->tactic_count; ++t)
        if (const opw_plan_t *plan = planOf(t))
          for (uint32_t i = 0; i < plan->workspace_count; ++i)
            box.note(elementsOf(*plan->workspace[i]), true);
    box.noteVars(true);
    box.note(op->valid, false); // its own sizes say nothing of the quantity: cutting them would be lost
    for (uint32_t t = 0; !program && t < op->tactic_count; ++t)
      if (const opw_plan_t *plan = planOf(t))
        box.note(plan->valid, false);
    box.noteVars(false);
  }

  /// All values over the box.
  Interval over() const {
    if (!box.enter())
      return noValue();
    if (program)
      return box.evaluate(*program);
    Interval all = noValue();
    for (uint32_t t = 0; t < op->tactic_count; ++t)
      if (const opw_plan_t *plan = planOf(t); plan && box.mayHold(plan->valid))
        all = hullOf(all, bytesOf(*plan), false);
    return all;
  }

private:
  const opw_plan_t *planOf(uint32_t tactic) const {
    uint16_t plan = op->plan_index[box.low.combo * 2 * op->tactic_count + tactic];
    return plan == OPW_NO_PLAN ? nullptr : op->plans[plan];
  }
  static const opw_program_t &elementsOf(const opw_workspace_t &w) { return w.upper.count ? w.upper : w.elements; }

  Interval bytesOf(const opw_plan_t &plan) const {
    int64_t elements[2][kMaxBuffers];
    for (uint32_t i = 0; i < plan.workspace_count; ++i) {
      Interval n = box.evaluate(elementsOf(*plan.workspace[i]));
      if (n.none || n.hi.i < 0)
        return noValue();
      // An upper bound of the author's says nothing of the least.
      elements[0][i] = n.lo.i < 0 || plan.workspace[i]->upper.count ? 0 : n.lo.i;
      elements[1][i] = n.hi.i;
    }
    uint64_t lo, hi;
    if (!workspaceBytes(plan, elements[0], &lo))
      return noValue();
    if (!workspaceBytes(plan, elements[1], &hi))
      return integers(static_cast<int64_t>(lo), kNoBound);
    return integers(static_cast<int64_t>(lo), static_cast<int64_t>(hi));
  }

  Box &box;
  const opw_program_t *program;
  const opw_op_t *op;
};

class Search {
public:
  Search(Box &sizes, const Quantity &what) : box(sizes), quantity(what) {
    memcpy(wholeLeast, box.least, sizeof wholeLeast);
    memcpy(wholeMost, box.most, sizeof wholeMost);
  }

  /// The greatest value, or with `upwards` false the negative of the least one. kNoBound: there is no bound;
  /// INT64_MIN: there is no value.
  int64_t most(bool upwards) {
    int64_t reached = INT64_MIN;
    const int64_t *const calls[] = {wholeLeast, wholeMost};
    for (const int64_t *call : calls) {
      memcpy(box.least, call, sizeof box.least);
      memcpy(box.most, box.least, sizeof box.most);
      int64_t one = bound(upwards);
      reached = one > reached ? one : reached;
    }
    place(0);
    nodes[0] = {bound(upwards), 0, 0, 0, false, false};
    for (uint32_t used = 1;;) {
      uint32_t worst = 0;
      for (uint32_t n = 1; n < used; ++n)
        if (!nodes[n].cutInTwo && (nodes[worst].cutInTwo || nodes[n].bound > nodes[worst].bound))
          worst = n;
      Node &node = nodes[worst];
      if (node.bound <= reached || used + 2 > kNodes)
        return node.bound;
      place(worst);
      uint32_t axis = widest();
      if (axis == box.count)
        return node.bound; // a single call
      node.axis = static_cast<uint16_t>(axis);
      node.cut = box.least[axis] + (box.most[axis] - box.least[axis]) / 2;
      node.cutInTwo = true;
      for (int half = 0; half < 2; ++half) {
        nodes[used] = {0, 0, static_cast<uint16_t>(worst), 0, half == 1, false};
        place(used);
        nodes[used++].bound = bound(upwards);
      }
    }
  }

private:
  static constexpr uint32_t kNodes = 2 * kHalvings + 1;
  struct Node {
    int64_t bound;
    int64_t cut; // the last size of the lower half
    uint16_t parent, axis;
    bool above; // the upper half of its parent
    bool cutInTwo;
  };

  int64_t bound(bool upwards) const {
    Interval all = quantity.over();
    if (all.none)
      return INT64_MIN;
    return upwards ? all.hi.i : all.lo.i == INT64_MIN ? kNoBound : -all.lo.i;
  }

  /// The box of a node.
  void place(uint32_t node) {
    memcpy(box.least, wholeLeast, sizeof box.least);
    memcpy(box.most, wholeMost, sizeof box.most);
    for (; node != 0; node = nodes[node].parent) {
      const Node &parent = nodes[nodes[node].parent];
      int64_t &lo = box.least[parent.axis], &hi = box.most[parent.axis];
      if (nodes[node].above)
        lo = parent.cut + 1 > lo ? parent.cut + 1 : lo;
      else
        hi = parent.cut < hi ? parent.cut : hi;
    }
  }

  /// The size that is read and has the largest ratio of its bounds; `count` when all are single.
  uint32_t widest() const {
    uint32_t best = box.count;
    double ratio = 1;
    for (uint32_t i = 0; i < box.count; ++i) {
      double mine = (static_cast<double>(box.most[i]) + 1) / (static_cast<double>(box.least[i]) + 1);
      if (box.read[i] && box.least[i] < box.most[i] && (mine > ratio || best == box.count)) {
        best = i;
        ratio = mine;
      }
    }
    return best;
  }

  Box &box;
  const Quantity &quantity;
  int64_t wholeLeast[kMaxSizes], wholeMost[kMaxSizes];
  Node nodes[kNodes];
};

bool sameAttr(const opw_attr_value_t &a, const opw_attr_value_t &b) {
  size_t bytes = a.kind == OPW_ATTR_BOOLS || a.kind == OPW_ATTR_BYTES ? a.count : size_t{a.count} * 8;
  switch (a.kind) {
  case OPW_ATTR_INTS:
  case OPW_ATTR_FLOATS:
  case OPW_ATTR_BOOLS:
  case OPW_ATTR_BYTES:
    return a.count == b.count && (bytes == 0 || memcmp(a.u.bytes, b.u.bytes, bytes) == 0);
  case OPW_ATTR_STRINGS:
    return a.count == b.count; // programs read no more of it
  case OPW_ATTR_STRING:
  case OPW_ATTR_TENSOR:
    return true;
  default:
    return a.u.i == b.u.i;
  }
}

opw_status_t checkCalls(const Frame &low, const Frame &high, opw_error_t *error) {
  const opw_op_t *op = low.op;
  for (uint32_t i = 0; i < op->attr_count; ++i)
    if (!sameAttr(*low.attrs[i], *high.attrs[i]))
      return failOp(error, OPW_E_ARGUMENT, op,
                    "attribute %s differs between the calls; expected calls that differ in "
                    "sizes only",
                    op->attrs[i]->name);
  if (low.inputCount != high.inputCount)
    return failOp(error, OPW_E_ARGUMENT, op, "found %u inputs in the low call and %u in the high one, expected as many",
                  low.inputCount, high.inputCount);
  for (uint32_t i = 0; i < low.inputCount; ++i) {
    const opw_tensor_t *a = low.inputs[i], *b = high.inputs[i];
    const char *name = inputOf(op, i).name;
    if (!a && !b)
      continue;
    if (!a || !b || a->ndim != b->ndim || dtypeOf(*a) != dtypeOf(*b))
      return failOp(error, OPW_E_ARGUMENT, op,
                    "%s has another rank, element type or presence in the low call than in the high one", name);
    for (int32_t d = 0; d < a->ndim; ++d)
      if (a->shape[d] > b->shape[d])
        return failOp(error, OPW_E_ARGUMENT, op,
                      "%s has the size %lld in axis %d of the low call, %lld in the high one", name,
                      static_cast<long long>(a->shape[d]), d, static_cast<long long>(b->shape[d]));
  }
  return OPW_OK;
}

} // namespace

opw_status_t boundsBetween(const Frame &low, const Frame &high, const opw_program_t *program, int64_t range[2],
                           opw_error_t *error) {
  if (opw_status_t s = checkCalls(low, high, error))
    return s;
  if (!program)
    if (opw_status_t s = checkDevice(low, error))
      return s;
  Box box(low, high);
  Quantity quantity(box, program);
  Search search(box, quantity);
  const char *what = program ? "the program" : "the workspace";
  int64_t most = search.most(true);
  if (most == INT64_MIN)
    return failOp(error, OPW_E_SHAPE, low.op, "%s has no value between the two calls", what);
  int64_t least = search.most(false);
  if (most == kNoBound || least == kNoBound)
    return failOp(error, OPW_E_SHAPE, low.op, "%s has no bound; give `upper`", what);
  range[0] = -least;
  range[1] = most;
  return OPW_OK;
}

} // namespace opw::runtime
