#include "core/dtype.h"
#include "core/instructions.h"
#include "core/validate.h"

#include <stdarg.h>
#include <stdio.h>

namespace opw::runtime {
namespace {

struct Reader {
  const opw_op_t *op;
  const opw_program_t &program;
  const ProgramScope &scope;
  const char *what;
  opw_error_t *error;

  [[gnu::format(printf, 3, 4)]] opw_status_t refuse(uint32_t at, const char *format, ...) const {
    char why[160];
    va_list list;
    va_start(list, format);
    vsnprintf(why, sizeof why, format, list);
    va_end(list);
    return failOp(error, OPW_E_CORRUPT, op, "corrupt program of %s: instruction %u: %s", what, at, why);
  }

  uint32_t attrKind(uint32_t index) const { return op->attrs[index]->kind; }

  /// 'I' or 'F', the kind that a HOST input has in every combination; 0 when they differ.
  char valueKind(const opw_io_t &io) const {
    char kind = 0;
    for (uint32_t c = 0; c < op->combo_count; ++c) {
      char k = dtypeInfo(op->combos[c * op->typevar_count + io.typevar]).kind == 'f' ? 'F' : 'I';
      if (kind && kind != k)
        return 0;
      kind = k;
    }
    return kind;
  }

  const opw_io_t &io(uint32_t tensor) const {
    return tensor < op->input_count ? *op->inputs[tensor] : *op->outputs[tensor - op->input_count];
  }

  /// Whether the operand is a tensor of a variadic input.
  bool hasElements(const opw_insn_t &x, const InsnInfo &info) const {
    return (info.operand == Operand::Tensor || info.operand == Operand::TensorAxis) && x.b < op->input_count &&
           (op->inputs[x.b]->flags & OPW_IO_VARIADIC);
  }

  /// Checks b and imm of an instruction; `pushes` becomes the kind where the operand decides it.
  opw_status_t operand(uint32_t at, const opw_insn_t &x, const InsnInfo &info, char *pushes) const {
    using O = Operand;
    switch (info.operand) {
    case O::None:
      if (isBinaryInt(x.op) ? x.b > 1 || (x.b == 0 && x.imm != 0) : x.b != 0 || x.imm != 0)
        return refuse(at, "%s has operands that it does not take", info.name);
      return OPW_OK;
    case O::Immediate:
      return x.b == 0 ? OPW_OK : refuse(at, "INT has a tensor");
    case O::PoolI:
      return x.imm >= 0 && static_cast<uint32_t>(x.imm) < op->pool_i_count
                 ? OPW_OK
                 : refuse(at, "integer %d of a pool of %u", x.imm, op->pool_i_count);
    case O::PoolF:
      return x.imm >= 0 && static_cast<uint32_t>(x.imm) < op->pool_f_count
                 ? OPW_OK
                 : refuse(at, "number %d of a pool of %u", x.imm, op->pool_f_count);
    case O::Tensor:
    case O::TensorAxis:
    case O::Variadic:
    case O::VariadicAxis: {
      if (x.b >= scope.tensors)
        return refuse(at, "tensor %u of %u", x.b, scope.tensors);
      bool variadic = info.operand == O::Variadic || info.operand == O::VariadicAxis;
      if (variadic && !(io(x.b).flags & OPW_IO_VARIADIC))
        return refuse(at, "%s of tensor %u, which is not variadic", info.name, x.b);
      bool axis = info.operand == O::TensorAxis || info.operand == O::VariadicAxis;
      if (axis ? x.imm < -OPW_MAX_RANK || x.imm >= OPW_MAX_RANK : x.imm != 0)
        return refuse(at, "%s with axis %d", info.name, x.imm);
      return OPW_OK;
    }
    case O::IntAttr:
    case O::IntListAttr:
    case O::ListAttr:
    case O::FloatAttr:
    case O::FloatListAttr: {
      if (x.b >= op->attr_count)
        return refuse(at, "attribute %u of %u", x.b, op->attr_count);
      uint32_t kind = attrKind(x.b);
      bool integer = kind == OPW_ATTR_INT || kind == OPW_ATTR_BOOL || kind == OPW_ATTR_ENUM || kind == OPW_ATTR_DTYPE;
      bool integers = kind == OPW_ATTR_INTS || kind == OPW_ATTR_BOOLS || kind == OPW_ATTR_BYTES;
      bool list = integers || kind == OPW_ATTR_FLOATS || kind == OPW_ATTR_STRINGS;
      bool fits = info.operand == O::IntAttr       ? integer
                  : info.operand == O::IntListAttr ? integers
                  : info.operand == O::ListAttr    ? list
                  : info.operand == O::FloatAttr   ? kind == OPW_ATTR_FLOAT
                                                   : kind == OPW_ATTR_FLOATS;
      return fits && x.imm == 0 ? OPW_OK : refuse(at, "%s of attribute %u, whose kind is %u", info.name, x.b, kind);
    }
    case O::HostValue: {
      if (x.b >= scope.tensors || x.b >= op->input_count || !(op->inputs[x.b]->flags & OPW_IO_HOST))
        return refuse(at, "VALUE of tensor %u, which is no HOST input", x.b);
      *pushes = valueKind(*op->inputs[x.b]);
      return *pushes ? OPW_OK
                     : refuse(at, "VALUE of tensor %u, which is integer in one combination and float in another", x.b);
    }
    case O::Var:
      if (x.b >= scope.vars || x.imm != 0)
        return refuse(at, "var %u of %u", x.b, scope.vars);
      *pushes = op->vars[x.b].is_float ? 'F' : 'I';
      return OPW_OK;
    case O::Size:
      return scope.sizes && x.b < op->size_count && x.imm == 0
                 ? OPW_OK
                 : refuse(at, "data-dependent size %u is not known here", x.b);
    }
    return refuse(at, "unknown operand");
  }
};

} // namespace

opw_status_t validateProgram(const opw_op_t *op, const opw_program_t &program, const ProgramScope &scope,
                             const char *what, opw_error_t *error) {
  if (program.count == 0)
    return OPW_OK;
  Reader reader{op, program, scope, what, error};
  if (program.count > OPW_MAX_CODE)
    return reader.refuse(0, "%u instructions, at most %d are allowed", program.count, OPW_MAX_CODE);
  if (!program.code)
    return reader.refuse(0, "the code is null");
  if (program.reserved != 0 || program.is_float > 1)
    return reader.refuse(0, "a reserved field is set");
  char stack[OPW_MAX_DEPTH];
  uint32_t n = 0, deepest = 0;
  for (uint32_t at = 0; at < program.count; ++at) {
    const opw_insn_t &x = program.code[at];
    const InsnInfo &info = insnInfo(x.op);
    if (!info.name)
      return reader.refuse(at, "unknown opcode %u", x.op);
    if (x.element != 0 && !reader.hasElements(x, info))
      return reader.refuse(at, "element %u of what is no variadic input", x.element);
    char pushes = info.pushes;
    if (opw_status_t status = reader.operand(at, x, info, &pushes))
      return status;
    const char *pops = isBinaryInt(x.op) && x.b == 1 ? "I" : info.pops;
    auto count = static_cast<uint32_t>(__builtin_strlen(pops));
    if (n < count)
      return reader.refuse(at, "%s takes %u operands, the stack has %u", info.name, count, n);
    char any = 0;
    for (uint32_t i = 0; i < count; ++i) {
      char have = stack[n - count + i], want = pops[i];
      if (want == 'X') {
        want = any ? any : have;
        any = want;
      }
      if (have != want)
        return reader.refuse(at, "%s takes %s as operand %u", info.name, want == 'I' ? "an integer" : "a float", i);
    }
    n -= count;
    if (n == OPW_MAX_DEPTH)
      return reader.refuse(at, "the stack is deeper than %d", OPW_MAX_DEPTH);
    stack[n++] = pushes == 'X' ? any : pushes;
    deepest = n > deepest ? n : deepest;
  }
  if (n != 1)
    return reader.refuse(program.count, "%u results, expected one", n);
  if ((stack[0] == 'F') != (program.is_float == 1))
    return reader.refuse(program.count, "the result is %s, declared is %s", stack[0] == 'F' ? "a float" : "an integer",
                         program.is_float ? "a float" : "an integer");
  if (deepest != program.depth)
    return reader.refuse(program.count, "the stack is %u deep, declared is %u", deepest, program.depth);
  return OPW_OK;
}

} // namespace opw::runtime
