#include "core/dtype.h"
#include "core/frame.h"
#include "core/resolve.h"
#include "core/run.h"
#include "core/validate.h"

#include <stdarg.h>
#include <stdio.h>

namespace opw::runtime {
namespace {

// Larger numbers are a damaged table; what is counted up to them is read.
constexpr uint32_t kMaxEntries = 1 << 16;
constexpr uint32_t kMaxSegs = 64, kMaxVariants = 4096, kMaxGuards = 1024;

struct Checker {
  const opw_op_t *op;
  const opw_tables_t &tables;
  opw_error_t *error;

  [[gnu::format(printf, 2, 3)]] opw_status_t refuse(const char *format, ...) const {
    char why[240];
    va_list list;
    va_start(list, format);
    vsnprintf(why, sizeof why, format, list);
    va_end(list);
    return failOp(error, OPW_E_CORRUPT, op, "corrupt table: %s", why);
  }

  /// An array of `count` pointers to tables: there, none null, each with a struct_size that this runtime can read.
  template <typename T>
  opw_status_t list(const char *what, const T *const *array, uint32_t count, uint32_t most) const {
    if (count > most)
      return refuse("%u %s, at most %u are allowed", count, what, most);
    if (count != 0 && !array)
      return refuse("%u %s, but no array", count, what);
    for (uint32_t i = 0; i < count; ++i) {
      if (!array[i])
        return refuse("%s %u is null", what, i);
      if (array[i]->struct_size < sizeof(T))
        return failOp(error, OPW_E_ABI, op, "%s %u: struct_size is %u, expected at least %zu", what, i,
                      array[i]->struct_size, sizeof(T));
    }
    return OPW_OK;
  }

  ProgramScope overInputs() const { return {op->input_count, op->var_count, false}; }
  ProgramScope overAll() const { return {op->input_count + op->output_count, op->var_count, true}; }

  opw_status_t integerProgram(const opw_program_t &p, const ProgramScope &scope, const char *what) const {
    if (opw_status_t s = validateProgram(op, p, scope, what, error))
      return s;
    return p.count && p.is_float ? refuse("%s is a float, expected an integer", what) : OPW_OK;
  }

  opw_status_t lists() const {
    opw_status_t s;
    if ((s = list("typevars", op->typevars, op->typevar_count, kMaxTypevars)) ||
        (s = list("inputs", op->inputs, op->input_count, OPW_MAX_TENSORS)) ||
        (s = list("outputs", op->outputs, op->output_count, OPW_MAX_TENSORS)) ||
        (s = list("attrs", op->attrs, op->attr_count, kMaxAttrs)) ||
        (s = list("sizes", op->sizes, op->size_count, 64)) ||
        (s = list("tactics", op->tactics, op->tactic_count, 4096)) ||
        (s = list("plans", op->plans, op->plan_count, 0xfffe)))
      return s;
    if (op->input_count + op->output_count > OPW_MAX_TENSORS)
      return refuse("%u inputs and outputs, at most %d are allowed", op->input_count + op->output_count,
                    OPW_MAX_TENSORS);
    if (op->var_count > OPW_MAX_VARS || (op->var_count && !op->vars))
      return refuse("%u vars, at most %d are allowed", op->var_count, OPW_MAX_VARS);
    if (op->combo_count == 0 || op->tactic_count == 0)
      return refuse("an op needs a combination of element types and a tactic");
    if (op->combo_count > OPW_MAX_COMBOS || op->combo_count * op->tactic_count > OPW_MAX_CHOICES)
      return refuse("%u combinations of element types and %u tactics, at most %d and %d of both are allowed",
                    op->combo_count, op->tactic_count, OPW_MAX_COMBOS, OPW_MAX_CHOICES);
    if (op->tuned_count > kMaxEntries || op->pool_i_count > kMaxEntries || op->pool_f_count > kMaxEntries)
      return refuse("%u tuned entries and pools of %u and %u, at most %u are allowed", op->tuned_count,
                    op->pool_i_count, op->pool_f_count, kMaxEntries);
    if ((op->typevar_count && !op->combos) || !op->plan_index || (op->pool_i_count && !op->pool_i) ||
        (op->pool_f_count && !op->pool_f) || (op->tuned_count && !op->tuned))
      return refuse("an array is null");
    return OPW_OK;
  }

  opw_status_t types() const {
    for (uint32_t c = 0; c < op->combo_count; ++c)
      for (uint32_t t = 0; t < op->typevar_count; ++t) {
        uint8_t d = op->combos[c * op->typevar_count + t];
        if (d == OPW_NONE || d >= kDtypeCount)
          return refuse("combination %u has element type %u, which this runtime does not know", c, d);
        if (!(op->typevars[t]->allowed >> d & 1))
          return refuse("combination %u has %s for typevar %u, which does not allow it", c, dtypeInfo(d).name, t);
      }
    for (uint32_t i = 0; i < op->combo_count * 2 * op->tactic_count; ++i)
      if (op->plan_index[i] != OPW_NO_PLAN && op->plan_index[i] >= op->plan_count)
        return refuse("plan_index %u is plan %u of %u", i, op->plan_index[i], op->plan_count);
    for (uint32_t i = 0; i < op->tactic_count; ++i)
      if (op->tactics[i]->id <= 0)
        return refuse("tactic %u has the id %d, expected one above 0", i, op->tactics[i]->id);
    for (uint32_t i = 0; i < op->tuned_count; ++i) {
      const opw_tuned_t &t = op->tuned[i];
      if (t.device >= tables.device_count || t.combo >= op->combo_count || t.tactic >= op->tactic_count ||
          t.reserved != 0)
        return refuse("tuned entry %u is out of range", i);
    }
    return OPW_OK;
  }

  opw_status_t segment(const opw_seg_t &s, const char *name) const {
    switch (s.kind) {
    case OPW_SEG_DIM:
      if (s.dim.count == 0)
        return refuse("a size of %s has no program", name);
      return integerProgram(s.dim, {op->input_count, op->var_count, true}, name);
    case OPW_SEG_SLICE:
      return s.index < op->input_count
                 ? OPW_OK
                 : refuse("the shape of %s takes sizes of tensor %u, which is no input", name, s.index);
    case OPW_SEG_ATTR:
      return s.index < op->attr_count && op->attrs[s.index]->kind == OPW_ATTR_INTS
                 ? OPW_OK
                 : refuse("the shape of %s takes attribute %u, which is no list of integers", name, s.index);
    case OPW_SEG_VALUES:
      return s.index < op->input_count && (op->inputs[s.index]->flags & OPW_IO_HOST)
                 ? OPW_OK
                 : refuse("the shape of %s takes the values of tensor %u, which is no HOST input", name, s.index);
    default:
      return refuse("the shape of %s has a segment of unknown kind %u", name, s.kind);
    }
  }

  /// Programs read a data-dependent size as one int64.
  opw_status_t sizeOutput(const opw_io_t &t) const {
    bool fits = t.seg_count == 0 && !(t.flags & OPW_IO_VARIADIC);
    for (uint32_t c = 0; c < op->combo_count; ++c)
      fits = fits && op->combos[c * op->typevar_count + t.typevar] == OPW_I64;
    return fits ? OPW_OK : refuse("%s holds a size, but is not one int64 in every combination", t.name);
  }

  opw_status_t io(const opw_io_t &t, bool output, bool last) const {
    constexpr uint32_t kKnown = 127;
    if (!t.name)
      return refuse("an input or output has no name");
    if (t.typevar >= op->typevar_count)
      return refuse("%s has typevar %u of %u", t.name, t.typevar, op->typevar_count);
    if (t.rank_min > t.rank_max || t.rank_max > OPW_MAX_RANK)
      return refuse("%s has rank %u to %u", t.name, t.rank_min, t.rank_max);
    if (t.flags & ~kKnown)
      return refuse("%s has unknown flags 0x%x", t.name, t.flags);
    if ((t.flags & OPW_IO_VARIADIC) && !last)
      return refuse("%s is variadic, but not the last", t.name);
    if ((t.flags & OPW_IO_STRIDED) && (t.flags & (OPW_IO_HOST | OPW_IO_INPLACE)))
      return refuse("%s is STRIDED, and HOST or INPLACE, which need row-major memory", t.name);
    if ((t.flags & OPW_IO_VARIADIC) && t.variadic_min > OPW_MAX_TENSORS)
      return refuse("%s is at least %u tensors, at most %d are allowed", t.name, t.variadic_min, OPW_MAX_TENSORS);
    if (t.align & (t.align - 1))
      return refuse("%s has alignment %u, expected a power of two", t.name, t.align);
    if (t.alias < -1 || (t.alias >= 0 && (!output || static_cast<uint32_t>(t.alias) >= op->input_count)))
      return refuse("%s is an alias of input %d", t.name, t.alias);
    if ((t.flags & OPW_IO_INPLACE) && t.alias < 0)
      return refuse("%s is in place, but an alias of nothing", t.name);
    if (output && (t.flags & OPW_IO_SIZE))
      if (opw_status_t s = sizeOutput(t))
        return s;
    if (output && t.seg_count && !t.segs)
      return refuse("%s has no shape", t.name);
    if (output && t.seg_count > kMaxSegs)
      return refuse("the shape of %s has %u segments, at most %u are allowed", t.name, t.seg_count, kMaxSegs);
    for (uint32_t i = 0; output && i < t.seg_count; ++i)
      if (opw_status_t s = segment(t.segs[i], t.name))
        return s;
    return OPW_OK;
  }

  opw_status_t attr(const opw_attr_t &a) const {
    if (!a.name)
      return refuse("an attribute has no name");
    if (a.kind == OPW_ATTR_NONE || a.kind > OPW_ATTR_DTYPE)
      return refuse("attribute %s has unknown kind %u", a.name, a.kind);
    if (a.fallback.kind != OPW_ATTR_NONE && a.fallback.kind != a.kind)
      return refuse("the default of attribute %s has kind %u, expected %u", a.name, a.fallback.kind, a.kind);
    if (a.fallback.kind >= OPW_ATTR_STRING && a.fallback.kind <= OPW_ATTR_STRINGS && a.fallback.count > kMaxEntries)
      return refuse("the default of attribute %s has %u elements, at most %u are allowed", a.name, a.fallback.count,
                    kMaxEntries);
    if (a.kind == OPW_ATTR_ENUM && (a.choice_count == 0 || !a.choices))
      return refuse("attribute %s has no choices", a.name);
    if (a.choice_count > kMaxEntries)
      return refuse("attribute %s has %u choices, at most %u are allowed", a.name, a.choice_count, kMaxEntries);
    for (uint32_t i = 0; a.kind == OPW_ATTR_ENUM && i < a.choice_count; ++i)
      if (!a.choices[i])
        return refuse("choice %u of attribute %s is null", i, a.name);
    return OPW_OK;
  }

  /// The kind of value that a launch gives to one argument: 'P' pointer, 'I', 'F', 'D' descriptor; 0 = unknown.
  char argKind(const opw_arg_t &a) const {
    switch (a.kind) {
    case OPW_ARG_POINTER:
    case OPW_ARG_CONSTANT:
    case OPW_ARG_NULL:
      return 'P';
    case OPW_ARG_STRIDE:
      return 'I';
    case OPW_ARG_PROGRAM:
      return a.program.is_float ? 'F' : 'I';
    case OPW_ARG_ATTR:
      return op->attrs[a.index]->kind == OPW_ATTR_FLOAT ? 'F' : 'I';
    case OPW_ARG_DESCRIPTOR:
      return 'D';
    default:
      return 0;
    }
  }

  bool hasElement(const opw_arg_t &a) const {
    return a.index == 0 ||
           (a.index <= UINT8_MAX && a.tensor < op->input_count && (op->inputs[a.tensor]->flags & OPW_IO_VARIADIC));
  }

  opw_status_t arg(const opw_arg_t &a, uint32_t i, const opw_plan_t &plan) const {
    uint32_t tensors = op->input_count + op->output_count;
    switch (a.kind) {
    case OPW_ARG_POINTER:
      return a.tensor < tensors + plan.workspace_count && hasElement(a)
                 ? OPW_OK
                 : refuse("argument %u is tensor %u, element %u", i, a.tensor, a.index);
    case OPW_ARG_STRIDE:
      return a.tensor < tensors && hasElement(a) && a.axis < OPW_MAX_RANK
                 ? OPW_OK
                 : refuse("argument %u is a stride of tensor %u", i, a.tensor);
    case OPW_ARG_PROGRAM:
      return a.program.count ? validateProgram(op, a.program, overAll(), "an argument", error)
                             : refuse("argument %u has no program", i);
    case OPW_ARG_ATTR: {
      if (a.index >= op->attr_count)
        return refuse("argument %u is attribute %u of %u", i, a.index, op->attr_count);
      uint32_t k = op->attrs[a.index]->kind;
      bool number =
          k == OPW_ATTR_INT || k == OPW_ATTR_FLOAT || k == OPW_ATTR_BOOL || k == OPW_ATTR_ENUM || k == OPW_ATTR_DTYPE;
      return number ? OPW_OK : refuse("argument %u is attribute %s, which is no number", i, op->attrs[a.index]->name);
    }
    case OPW_ARG_CONSTANT:
      return a.index < tables.constant_count && tables.constants && tables.constants[a.index] &&
                     tables.constants[a.index]->struct_size >= sizeof(opw_constant_t)
                 ? OPW_OK
                 : refuse("argument %u is constant %u of %u", i, a.index, tables.constant_count);
    case OPW_ARG_DESCRIPTOR:
      return a.descriptor ? OPW_OK : refuse("argument %u has no descriptor", i);
    case OPW_ARG_NULL:
      return OPW_OK;
    default:
      return refuse("argument %u has unknown kind %u", i, a.kind);
    }
  }

  opw_status_t param(const opw_param_t &p, uint32_t i, char given, const char *kernel) const {
    if (p.kind == OPW_PARAM_DROPPED)
      return OPW_OK;
    if (p.offset >= OPW_MAX_ARGS)
      return refuse("parameter %u of kernel %s has slot %u", i, kernel, p.offset);
    if (p.kind == OPW_PARAM_POINTER)
      return given == 'P' ? OPW_OK : refuse("parameter %u of kernel %s is a pointer, its argument is not", i, kernel);
    if (p.kind == OPW_PARAM_SCALAR) {
      char kind = dtypeInfo(p.dtype).kind;
      bool fits = kind != 0 && (given == 'I' || (given == 'F' && kind == 'f')) && dtypeInfo(p.dtype).dlCode <= 6;
      return fits ? OPW_OK : refuse("parameter %u of kernel %s does not take its argument", i, kernel);
    }
    return p.kind <= OPW_PARAM_DESC_PLAIN ? OPW_OK
                                          : refuse("parameter %u of kernel %s has unknown kind %u", i, kernel, p.kind);
  }

  opw_status_t kernel(uint32_t index, const opw_launch_t &launch) const {
    if (index >= tables.kernel_count || !tables.kernels || !tables.kernels[index])
      return refuse("kernel %u of %u", index, tables.kernel_count);
    const opw_kernel_t &k = *tables.kernels[index];
    const char *name = k.name ? k.name : "?";
    if (k.struct_size < sizeof(opw_kernel_t))
      return failOp(error, OPW_E_ABI, op, "kernel %s: struct_size is %u, expected at least %zu", name, k.struct_size,
                    sizeof k);
    if (opw_status_t s = list("CPU images", k.cpu, k.cpu_count, 64))
      return s;
    for (uint32_t n = 0; n < k.cpu_count; ++n) {
      const opw_cpu_image_t &image = *k.cpu[n];
      if (!image.entry || (image.param_count && !image.params) || (image.flags & ~OPW_CPU_ORDERED))
        return refuse("CPU image %u of kernel %s is incomplete", n, name);
      if (image.param_count != launch.arg_count)
        return refuse("kernel %s takes %u arguments, the launch gives %u", name, image.param_count, launch.arg_count);
      for (uint32_t i = 0; i < image.param_count; ++i)
        if (opw_status_t s = param(image.params[i], i, argKind(launch.args[i]), name))
          return s;
    }
    return OPW_OK;
  }

  opw_status_t variant(const opw_variant_t &v, const opw_launch_t &launch) const {
    if (v.guard_count > kMaxGuards || (v.guard_count && !v.guards))
      return refuse("a variant has %u guards, at most %u are allowed", v.guard_count, v.guards ? kMaxGuards : 0);
    for (uint32_t g = 0; g < v.guard_count; ++g) {
      const opw_guard_t &guard = v.guards[g];
      if (guard.kind == 0 || guard.kind > OPW_GUARD_SET || guard.reserved != 0 || guard.arg >= launch.arg_count ||
          (guard.kind == OPW_GUARD_DIVISIBLE && guard.value <= 0))
        return refuse("guard %u: kind %u, argument %u, value %d", g, guard.kind, guard.arg, guard.value);
    }
    if (opw_status_t s = integerProgram(v.when, overAll(), "the condition of a variant"))
      return s;
    return kernel(v.kernel, launch);
  }

  opw_status_t launch(const opw_launch_t &l, const opw_plan_t &plan) const {
    if (l.kind != OPW_LAUNCH_KERNEL && l.kind != OPW_LAUNCH_FILL)
      return refuse("a launch has unknown kind %u", l.kind);
    if (l.phase > 1 || l.reserved != 0)
      return refuse("a launch has phase %u", l.phase);
    if (opw_status_t s = integerProgram(l.when, overAll(), "the condition of a launch"))
      return s;
    if (l.kind == OPW_LAUNCH_FILL && l.fill_tensor >= op->input_count &&
        l.fill_tensor < op->input_count + op->output_count &&
        (op->outputs[l.fill_tensor - op->input_count]->flags & OPW_IO_STRIDED))
      return refuse("a launch fills %s, which is STRIDED", op->outputs[l.fill_tensor - op->input_count]->name);
    if (l.kind == OPW_LAUNCH_FILL)
      return l.fill_tensor < op->input_count + op->output_count + plan.workspace_count &&
                     l.fill_tensor >= op->input_count && l.fill_byte < 256
                 ? OPW_OK
                 : refuse("a launch fills tensor %u with %u", l.fill_tensor, l.fill_byte);
    if (l.arg_count > OPW_MAX_ARGS || (l.arg_count && !l.args) || l.variant_count == 0 ||
        l.variant_count > kMaxVariants || !l.variants)
      return refuse("a launch has %u arguments and %u variants", l.arg_count, l.variant_count);
    static const char *const kAxes[] = {"grid x", "grid y", "grid z"};
    for (int a = 0; a < 3; ++a)
      if (opw_status_t s = integerProgram(l.grid[a], overAll(), kAxes[a]))
        return s;
    for (uint32_t i = 0; i < l.arg_count; ++i)
      if (opw_status_t s = arg(l.args[i], i, plan))
        return s;
    for (uint32_t i = 0; i < l.variant_count; ++i)
      if (opw_status_t s = variant(l.variants[i], l))
        return s;
    return OPW_OK;
  }

  opw_status_t plan(const opw_plan_t &p) const {
    if (opw_status_t s = list("launches", p.launches, p.launch_count, 4096))
      return s;
    if (opw_status_t s = list("workspace buffers", p.workspace, p.workspace_count, kMaxBuffers))
      return s;
    for (uint32_t i = 0; i < p.workspace_count; ++i) {
      const opw_workspace_t &w = *p.workspace[i];
      if (w.dtype == OPW_NONE || w.dtype >= kDtypeCount || (w.align & (w.align - 1)) || w.elements.count == 0)
        return refuse("workspace buffer %u has element type %u and alignment %u", i, w.dtype, w.align);
      if (opw_status_t s = integerProgram(w.elements, overInputs(), "a workspace buffer"))
        return s;
      if (opw_status_t s = integerProgram(w.upper, overInputs(), "the bound of a workspace buffer"))
        return s;
    }
    for (uint32_t i = 0; i < p.launch_count; ++i)
      if (opw_status_t s = launch(*p.launches[i], p))
        return s;
    return integerProgram(p.valid, overInputs(), "valid of a plan");
  }

  opw_status_t programs() const {
    for (uint32_t i = 0; i < op->var_count; ++i) {
      if (op->vars[i].count == 0)
        return refuse("var %u has no program", i);
      if (opw_status_t s = validateProgram(op, op->vars[i], {op->input_count, i, false}, "a var", error))
        return s;
    }
    for (uint32_t i = 0; i < op->size_count; ++i) {
      const opw_size_t &z = *op->sizes[i];
      if (z.output >= op->output_count || !(op->outputs[z.output]->flags & OPW_IO_SIZE))
        return refuse("size %u is in output %u, which is no SIZE output", i, z.output);
      if (opw_status_t s = integerProgram(z.upper, overInputs(), "the bound of a size"))
        return s;
      if (opw_status_t s = integerProgram(z.typical, overInputs(), "the typical value of a size"))
        return s;
    }
    for (const opw_program_t &key : op->tune_keys)
      if (opw_status_t s = integerProgram(key, overInputs(), "a tune key"))
        return s;
    opw_status_t s;
    if ((s = integerProgram(op->flops, overAll(), "flops")) || (s = integerProgram(op->bytes, overAll(), "bytes")) ||
        (s = integerProgram(op->valid, overInputs(), "valid")))
      return s;
    return OPW_OK;
  }
};

} // namespace

opw_status_t validateOp(const opw_op_t *op, const opw_tables_t &tables, opw_error_t *error) {
  if (op->struct_size < sizeof(opw_op_t))
    return fail(error, OPW_E_ABI, "the op table's struct_size is %u, expected at least %zu", op->struct_size,
                sizeof *op);
  if ((op->flags & OPW_OP_NEEDS_MINOR) && op->min_minor > OPW_ABI_MINOR)
    return failOp(error, OPW_E_ABI, op, "needs ABI %u.%u, this runtime has %u.%u; rebuild the plugin", OPW_ABI_MAJOR,
                  op->min_minor, OPW_ABI_MAJOR, OPW_ABI_MINOR);
  Checker checker{op, tables, error};
  if (!op->ns || !op->name)
    return checker.refuse("the op has no name");
  opw_status_t s;
  if ((s = checker.lists()) || (s = checker.types()))
    return s;
  for (uint32_t i = 0; i < op->input_count; ++i)
    if ((s = checker.io(*op->inputs[i], false, i + 1 == op->input_count)))
      return s;
  for (uint32_t i = 0; i < op->output_count; ++i)
    if ((s = checker.io(*op->outputs[i], true, i + 1 == op->output_count)))
      return s;
  for (uint32_t i = 0; i < op->attr_count; ++i)
    if ((s = checker.attr(*op->attrs[i])))
      return s;
  if ((s = checker.programs()))
    return s;
  for (uint32_t i = 0; i < op->plan_count; ++i)
    if ((s = checker.plan(*op->plans[i])))
      return s;
  return OPW_OK;
}

} // namespace opw::runtime
