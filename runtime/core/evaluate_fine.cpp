// The path that nearly every evaluation takes: no value is poison, so nothing is kept of it. What would be poison ends
// it, and the program is evaluated again by the evaluator that keeps book.
#include "core/arithmetic.h"
#include "core/instructions.h"
#include "core/program.h"

namespace opw::runtime {
namespace {

/// What is rare: instructions of one operand and those of floats. The operand on top and its result are `*top`.
bool rare(uint8_t op, Slot **rest, Slot *top) {
  if (isUnaryInt(op))
    return unary(op, top->i, &top->i) == kFine;
  if (isFloatUnary(op))
    return floatUnary(op, *top, top) == kFine;
  return floatBinary(op, *--*rest, *top, top) == kFine;
}

} // namespace

bool evaluateFine(const Frame &f, const opw_program_t &program, Slot *result) {
  Slot stack[OPW_MAX_DEPTH + 1];
  Slot *rest = stack; // past the operands below the top one, which stays in a register
  Slot top{};
  for (const opw_insn_t *x = program.code, *end = x + program.count; x != end; ++x) {
    auto push = [&](Slot value) {
      *rest++ = top;
      top = value;
    };
    auto right = [&]() -> int64_t {
      if (x->b)
        return x->imm;
      int64_t value = top.i;
      top = *--rest;
      return value;
    };
    switch (x->op) {
    case OPW_X_INT:
      push({.i = x->imm});
      break;
    case OPW_X_DIM: {
      const opw_tensor_t *t = f.tensor(x->b, x->element);
      if (!t)
        return false;
      int32_t axis = x->imm < 0 ? x->imm + t->ndim : x->imm;
      if (axis < 0 || axis >= t->ndim || t->shape[axis] < 0)
        return false;
      push({.i = t->shape[axis]});
      break;
    }
    case OPW_X_ATTR:
      push({.i = f.attrs[x->b]->u.i});
      break;
    case OPW_X_VAR:
      if (f.vars[x->b].poison)
        return false;
      push(f.vars[x->b].slot);
      break;
#define OPW_BINARY(name)                                                                                               \
  case name: {                                                                                                         \
    int64_t b = right(), r;                                                                                            \
    if (binary(name, top.i, b, &r))                                                                                    \
      return false;                                                                                                    \
    top.i = r;                                                                                                         \
    break;                                                                                                             \
  }
      OPW_BINARY(OPW_X_ADD)
      OPW_BINARY(OPW_X_SUB)
      OPW_BINARY(OPW_X_MUL)
      OPW_BINARY(OPW_X_FDIV)
      OPW_BINARY(OPW_X_CDIV)
      OPW_BINARY(OPW_X_MOD)
      OPW_BINARY(OPW_X_MIN)
      OPW_BINARY(OPW_X_MAX)
      OPW_BINARY(OPW_X_EQ)
      OPW_BINARY(OPW_X_NE)
      OPW_BINARY(OPW_X_LT)
      OPW_BINARY(OPW_X_LE)
      OPW_BINARY(OPW_X_AND)
      OPW_BINARY(OPW_X_OR)
#undef OPW_BINARY
    case OPW_X_SELECT:
      rest -= 2; // the condition and one side; the other is on top
      top = rest[0].i != 0 ? rest[1] : top;
      break;
    case OPW_X_DIM_AT:
    case OPW_X_ATTR_AT:
    case OPW_X_FATTR_AT: {
      Value v = leaf(f, *x, top.i);
      if (v.poison)
        return false;
      top = v.slot;
      break;
    }
    default:
      if (isLeaf(x->op)) {
        Value v = leaf(f, *x, 0);
        if (v.poison)
          return false;
        push(v.slot);
        break;
      }
      // Copies: an address that is given away would keep both in memory.
      Slot *below = rest, both = top;
      if (!rare(x->op, &below, &both))
        return false;
      rest = below;
      top = both;
    }
  }
  *result = top;
  return true;
}

} // namespace opw::runtime
