#include "core/program.h"

#include "core/arithmetic.h"
#include "core/dtype.h"
#include "core/instructions.h"

namespace opw::runtime {
namespace {

/// Row-major stride of `axis` where the view has none of its own.
Value strideOf(const opw_tensor_t &t, int64_t axis) {
  if (t.strides)
    return {{t.strides[axis]}, kFine, 0};
  int64_t stride = 1;
  for (int32_t d = t.ndim - 1; d > axis; --d) {
    if (t.shape[d] < 0)
      return {{0}, kUnknown, 0};
    if (__builtin_mul_overflow(stride, t.shape[d], &stride))
      return {{0}, kOverflow, 0};
  }
  return {{stride}, kFine, 0};
}

Value dimOf(const opw_tensor_t &t, int64_t axis) {
  if (axis < 0)
    axis += t.ndim;
  if (axis < 0 || axis >= t.ndim)
    return {{0}, kOutOfRange, 0};
  return {{t.shape[axis]}, t.shape[axis] < 0 ? kUnknown : kFine, 0};
}

Value numelOf(const opw_tensor_t &t) {
  int64_t n = 1;
  bool unknown = false, overflow = false;
  for (int32_t d = 0; d < t.ndim; ++d) {
    if (t.shape[d] == 0)
      return {{0}, kFine, 0};
    if (t.shape[d] < 0)
      unknown = true;
    else if (__builtin_mul_overflow(n, t.shape[d], &n))
      overflow = true;
  }
  return {{n}, unknown ? kUnknown : overflow ? kOverflow : kFine, 0};
}

/// First and one past the last tensor of the variadic input or output `number`.
struct Range {
  uint32_t first, end;
};
Range variadicOf(const Frame &f, uint32_t number) {
  if (number < f.op->input_count)
    return {number, f.inputCount};
  return {number, f.op->input_count + f.outputCount};
}
const opw_tensor_t *variadicAt(const Frame &f, uint32_t number, uint32_t base) {
  return base < f.op->input_count ? f.inputs[number] : f.outputs ? f.outputs[number - f.op->input_count] : nullptr;
}

Value sumDims(const Frame &f, uint32_t number, int32_t axis) {
  Range r = variadicOf(f, number);
  int64_t sum = 0;
  for (uint32_t i = r.first; i < r.end; ++i) {
    const opw_tensor_t *t = variadicAt(f, i, number);
    if (!t)
      return {{0}, kAbsent, 0};
    Value v = dimOf(*t, axis);
    if (v.poison)
      return v;
    if (__builtin_add_overflow(sum, v.slot.i, &sum))
      return {{0}, kOverflow, 0};
  }
  return {{sum}, kFine, 0};
}

Value hostValue(const Frame &f, uint32_t number, int64_t index) {
  const opw_tensor_t *t = f.tensor(number);
  if (!t)
    return {{0}, kAbsent, 0};
  Value count = numelOf(*t);
  if (count.poison)
    return count;
  if (index < 0)
    index += count.slot.i;
  if (index < 0 || index >= count.slot.i)
    return {{0}, kOutOfRange, 0};
  if (!t->data)
    return {{0}, kUnknown, 0};
  opw_dtype_t type = dtypeOf(*t);
  const void *data = static_cast<const char *>(t->data) + t->byte_offset;
  Value v{{0}, kFine, 0};
  if (dtypeInfo(type).kind == 'f') {
    v.slot.f = floatAt(data, type, index);
    v.isFloat = 1;
  } else {
    v.slot.i = integerAt(data, type, index);
    if (type == OPW_U64 && v.slot.i < 0)
      return {{0}, kOverflow, 0};
  }
  return v;
}

Value dependentSize(const Frame &f, uint32_t index) {
  const opw_program_t &upper = f.op->sizes[index]->upper;
  if (!f.sizesKnown)
    return f.sizesBound && upper.count ? evaluate(f, upper) : Value{{0}, kUnknown, 0};
  const opw_tensor_t *t = f.tensor(f.op->input_count + f.op->sizes[index]->output);
  if (!t || !t->data)
    return {{0}, kAbsent, 0};
  return {{integerAt(static_cast<const char *>(t->data) + t->byte_offset, OPW_I64, 0)}, kFine, 0};
}

} // namespace

Value listItem(const opw_attr_value_t &list, int64_t index) {
  if (index < 0)
    index += list.count;
  if (index < 0 || index >= list.count)
    return {{0}, kOutOfRange, 0};
  Value v{{0}, kFine, 0};
  if (list.kind == OPW_ATTR_INTS)
    v.slot.i = list.u.ints[index];
  else if (list.kind == OPW_ATTR_BOOLS)
    v.slot.i = list.u.bools[index] != 0;
  else if (list.kind == OPW_ATTR_BYTES)
    v.slot.i = static_cast<const uint8_t *>(list.u.bytes)[index];
  else
    v.slot.f = list.u.floats[index];
  return v;
}

Value leaf(const Frame &f, const opw_insn_t &x, int64_t popped) {
  const opw_tensor_t *t;
  switch (x.op) {
  case OPW_X_INT:
    return {{x.imm}, kFine, 0};
  case OPW_X_POOL:
    return {{f.op->pool_i[x.imm]}, kFine, 0};
  case OPW_X_DIM:
    t = f.tensor(x.b, x.element);
    return t ? dimOf(*t, x.imm) : Value{{0}, kAbsent, 0};
  case OPW_X_DIM_AT:
    t = f.tensor(x.b, x.element);
    return t ? dimOf(*t, popped) : Value{{0}, kAbsent, 0};
  case OPW_X_RANK:
    t = f.tensor(x.b, x.element);
    return t ? Value{{t->ndim}, kFine, 0} : Value{{0}, kAbsent, 0};
  case OPW_X_NUMEL:
    t = f.tensor(x.b, x.element);
    return t ? numelOf(*t) : Value{{0}, kAbsent, 0};
  case OPW_X_STRIDE: {
    t = f.tensor(x.b, x.element);
    if (!t)
      return {{0}, kAbsent, 0};
    int64_t axis = x.imm < 0 ? x.imm + t->ndim : x.imm;
    return axis < 0 || axis >= t->ndim ? Value{{0}, kOutOfRange, 0} : strideOf(*t, axis);
  }
  case OPW_X_PRESENT:
    return {{f.tensor(x.b, x.element) != nullptr}, kFine, 0};
  case OPW_X_COUNT: {
    Range r = variadicOf(f, x.b);
    return {{r.end > r.first ? r.end - r.first : 0}, kFine, 0};
  }
  case OPW_X_SUMDIM:
    return sumDims(f, x.b, x.imm);
  case OPW_X_ATTR:
    return {{f.attrs[x.b]->u.i}, kFine, 0};
  case OPW_X_ATTR_LEN:
    return {{f.attrs[x.b]->count}, kFine, 0};
  case OPW_X_ATTR_AT:
  case OPW_X_FATTR_AT:
    return listItem(*f.attrs[x.b], popped);
  case OPW_X_VALUE:
    return hostValue(f, x.b, x.imm);
  case OPW_X_VAR: {
    Value v = f.vars[x.b];
    if (v.poison && v.poison < 1u << 20)
      v.poison |= (uint32_t{x.b} + 1) << 20;
    return v;
  }
  case OPW_X_SIZE:
    return dependentSize(f, x.b);
  case OPW_X_ITEMSIZE:
    t = f.tensor(x.b, x.element);
    return t ? Value{{t->dl_bits / 8}, kFine, 0} : Value{{0}, kAbsent, 0};
  case OPW_X_FPOOL: {
    Value v{{0}, kFine, 1};
    v.slot.f = f.op->pool_f[x.imm];
    return v;
  }
  case OPW_X_FATTR: {
    Value v{{0}, kFine, 1};
    v.slot.f = f.attrs[x.b]->u.f;
    return v;
  }
  default:
    return {{0}, kOutOfRange, 0};
  }
}

namespace {

/// Keeps for each value why it does not exist.
Value evaluatePoisoned(const Frame &frame, const opw_program_t &program) {
  Slot stack[OPW_MAX_DEPTH];
  Poison bad[OPW_MAX_DEPTH];
  int n = 0; // operands on the stack
  for (uint32_t at = 0; at < program.count; ++at) {
    const opw_insn_t &x = program.code[at];
    const Poison here = at << 8;
    if (isLeaf(x.op)) {
      int64_t popped = 0;
      Poison inherited = kFine;
      if (popsIndex(x.op)) {
        popped = stack[--n].i;
        inherited = bad[n];
      }
      if (inherited) {
        bad[n++] = inherited;
        continue;
      }
      Value v = leaf(frame, x, popped);
      stack[n] = v.slot;
      bad[n++] = v.poison == kFine || v.poison >= 1u << 8 ? v.poison : v.poison | here;
    } else if (isBinaryInt(x.op)) {
      int64_t right = x.imm;
      Poison poison = kFine;
      if (!x.b) {
        right = stack[--n].i;
        poison = bad[n];
      }
      if (bad[n - 1])
        poison = bad[n - 1];
      if (!poison)
        if (PoisonCode code = binary(x.op, stack[n - 1].i, right, &stack[n - 1].i))
          poison = code | here;
      bad[n - 1] = poison;
    } else if (isUnaryInt(x.op)) {
      if (!bad[n - 1])
        if (PoisonCode code = unary(x.op, stack[n - 1].i, &stack[n - 1].i))
          bad[n - 1] = code | here;
    } else if (x.op == OPW_X_SELECT) {
      n -= 2; // c a b
      int taken = stack[n - 1].i != 0 ? n : n + 1;
      if (!bad[n - 1]) {
        stack[n - 1] = stack[taken];
        bad[n - 1] = bad[taken];
      }
    } else if (isFloatUnary(x.op)) {
      if (!bad[n - 1])
        if (PoisonCode code = floatUnary(x.op, stack[n - 1], &stack[n - 1]))
          bad[n - 1] = code | here;
    } else {
      --n;
      if (bad[n - 1] || bad[n])
        bad[n - 1] = bad[n - 1] ? bad[n - 1] : bad[n];
      else if (PoisonCode code = floatBinary(x.op, stack[n - 1], stack[n], &stack[n - 1]))
        bad[n - 1] = code | here;
    }
  }
  return {stack[0], bad[0], program.is_float};
}

} // namespace

Value evaluate(const Frame &frame, const opw_program_t &program) {
  if (program.count == 1) // most are a size or a number
    return leaf(frame, program.code[0], 0);
  Slot slot;
  return evaluateFine(frame, program, &slot) ? Value{slot, kFine, program.is_float} : evaluatePoisoned(frame, program);
}

void evaluateVars(Frame &frame) {
  for (uint32_t i = 0; i < frame.op->var_count; ++i)
    frame.vars[i] = evaluate(frame, frame.op->vars[i]);
}

opw_status_t failPoison(const Frame &frame, const opw_program_t &program, Poison poison, const char *what,
                        opw_error_t *error) {
  static const char *const kWhy[] = {"is fine",
                                     "overflows",
                                     "divides by zero",
                                     "reads outside a list or shape",
                                     "is not a number",
                                     "reads an absent tensor",
                                     "needs a size that is not known"};
  uint32_t code = poison & 0xff, at = poison >> 8 & 0xfff, var = poison >> 20;
  const opw_program_t &source = var && var <= frame.op->var_count ? frame.op->vars[var - 1] : program;
  const char *insn = at < source.count ? insnInfo(source.code[at].op).name : nullptr;
  Text where;
  if (var)
    where.add(" of var %u", var - 1);
  return failOp(error, OPW_E_OVERFLOW, frame.op, "%s: instruction %u (%s)%s %s", what, at, insn ? insn : "?",
                where.str(), code < sizeof kWhy / sizeof *kWhy ? kWhy[code] : "failed");
}

opw_status_t evaluateSize(const Frame &frame, const opw_program_t &program, const char *what, int64_t *value,
                          opw_error_t *error, bool *unknown) {
  Value v = evaluate(frame, program);
  bool isUnknown = (frame.infer || !frame.sizesKnown) && (v.poison & 0xff) == kUnknown;
  *value = isUnknown ? -1 : v.slot.i;
  if (unknown)
    *unknown = isUnknown;
  return v.poison && !isUnknown ? failPoison(frame, program, v.poison, what, error) : OPW_OK;
}

} // namespace opw::runtime
