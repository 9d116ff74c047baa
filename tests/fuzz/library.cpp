#include "library.h"

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>

// The runtime reads what a packager would have written; here it may change from input to input.
extern "C" __attribute__((visibility("hidden"))) opw_tables_t opw_tables;
opw_tables_t opw_tables;

namespace opw::fuzz {
namespace {

constexpr size_t kText = 64; // zeroes behind a text

[[noreturn]] void stop(const char *why) {
  std::fprintf(stderr, "fuzz: %s\n", why);
  std::abort();
}

/// A kernel that looks at its arguments alone. One with many programs fails, so that no input takes long.
int32_t look(const opw_cpu_args_t *args, int64_t lo, int64_t hi, opw_cpu_scratch_t *) {
  int64_t programs = int64_t{args->grid[0]} * args->grid[1];
  if (args->slot_count > OPW_MAX_ARGS || lo < 0 || hi <= lo)
    stop("a kernel got arguments that it cannot have");
  volatile uint64_t sum = 0;
  for (uint32_t i = 0; i < args->slot_count; ++i)
    sum = sum + args->slots[i];
  return programs > 1000 || args->grid[2] > 1000 ? 1 : 0;
}

opw_status_t inPlace(void *, int64_t count, int64_t, opw_body_t body, void *arg) { return body(arg, 0, count); }
int32_t oneThread(void *) { return 1; }
void *allocate(void *, int32_t, int32_t, void *, size_t bytes, size_t align) {
  return bytes > 1 << 20 ? nullptr : std::aligned_alloc(align, (bytes + align - 1) / align * align);
}
void release(void *, int32_t, int32_t, void *, void *p) { std::free(p); }
void noLog(void *, int32_t, const char *) {}
constexpr opw_host_t kHost{sizeof(opw_host_t), 0, nullptr, inPlace, oneThread, allocate, release, noLog};

constexpr uint32_t kAll = (1u << OPW_F32) | (1u << OPW_F64) | (1u << OPW_I32) | (1u << OPW_I64);

/// The pointers of a table, also those that are null: no bit of them is changed.
struct Pointers {
  Arena &a;
  template <typename... T> void keep(const T &...fields) { (a.keep(&fields, sizeof fields), ...); }

  template <typename T> void of(const T &) {} // numbers
  template <typename T> void of(T *const &p) { keep(p); }
  void of(const opw_program_t &p) { keep(p.code); }
  void of(const opw_typevar_t &t) { keep(t.name); }
  void of(const opw_io_t &t) { keep(t.name, t.doc, t.segs); }
  void of(const opw_seg_t &s) { of(s.dim); }
  void of(const opw_attr_t &t) { keep(t.name, t.doc, t.choices); }
  void of(const opw_size_t &s) { keep(s.name, s.upper.code, s.typical.code); }
  void of(const opw_tactic_t &t) { keep(t.text); }
  void of(const opw_arg_t &x) { keep(x.program.code, x.descriptor); }
  void of(const opw_variant_t &v) { keep(v.guards, v.when.code, v.reason); }
  void of(const opw_launch_t &l) {
    keep(l.args, l.variants, l.when.code, l.grid[0].code, l.grid[1].code, l.grid[2].code);
  }
  void of(const opw_workspace_t &w) { keep(w.elements.code, w.upper.code); }
  void of(const opw_plan_t &p) { keep(p.launches, p.workspace, p.valid.code, p.valid_text); }
  void of(const opw_cpu_image_t &i) {
    keep(i.entry, i.params, i.scratch_bytes);
  } // bytes that nobody has are no matter of tables
  void of(const opw_kernel_t &k) { keep(k.name, k.file, k.signature, k.cpu, k.cuda); }
  void of(const opw_op_t &op) {
    keep(op.ns, op.name, op.doc, op.typevars, op.inputs, op.outputs, op.attrs, op.sizes, op.vars, op.combos, op.tactics,
         op.plans, op.plan_index, op.tuned, op.pool_i, op.pool_f, op.valid_text, op.extra_json);
    for (const opw_program_t &key : op.tune_keys)
      of(key);
    keep(op.flops.code, op.bytes.code, op.valid.code);
  }
};

/// Fills an arena with the two ops. `most` of each array is the limit of the runtime's validation.
struct Maker {
  Arena &a;

  opw_program_t program(std::initializer_list<opw_insn_t> code, uint8_t depth, uint8_t isFloat = 0) {
    auto *made = a.make<opw_insn_t>(code.size(), OPW_MAX_CODE);
    std::copy(code.begin(), code.end(), made);
    return {made, static_cast<uint32_t>(code.size()), isFloat, depth, 0};
  }
  void put(opw_program_t &field, std::initializer_list<opw_insn_t> code, uint8_t depth, uint8_t isFloat = 0) {
    field = program(code, depth, isFloat);
    a.point(field.code, field.code);
  }

  template <typename T> T *table() {
    T *made = a.make<T>(1);
    Pointers{a}.of(*made);
    made->struct_size = sizeof(T);
    return made;
  }
  /// An array of pointers to `count` new tables.
  template <typename T>
  std::vector<T *> tables(const T *const *&field, uint32_t &number, uint32_t count, uint32_t most) {
    auto *array = a.make<const T *>(count, most);
    std::vector<T *> made;
    for (uint32_t i = 0; i < count; ++i) {
      made.push_back(table<T>());
      a.point(array[i], made.back());
    }
    a.point(field, const_cast<const T *const *>(array));
    number = count;
    return made;
  }
  template <typename T> T *array(const T *&field, uint32_t &number, uint32_t count, uint32_t most) {
    T *made = a.make<T>(count, most);
    for (uint32_t i = 0; i < count; ++i)
      Pointers{a}.of(made[i]);
    a.point(field, const_cast<const T *>(made));
    number = count;
    return made;
  }
  void name(const char *&field, const char *words) { a.point(field, a.text(words)); }

  void io(opw_io_t &t, const char *words, uint16_t typevar, uint8_t rankMin, uint8_t rankMax, uint32_t flags) {
    name(t.name, words);
    t.typevar = typevar;
    t.alias = -1;
    t.rank_min = rankMin;
    t.rank_max = rankMax;
    t.flags = flags;
  }

  void attr(opw_attr_t &at, const char *words, uint32_t kind) {
    name(at.name, words);
    at.kind = at.fallback.kind = kind;
    a.keep(&at.kind, sizeof at.kind); // another kind would make a pointer of a number
    a.keep(&at.fallback.kind, sizeof at.fallback.kind);
  }
  template <typename T> void list(opw_attr_t &at, const T *&field, std::initializer_list<T> values) {
    T *made = a.make<T>(values.size(), 1 << 16);
    std::copy(values.begin(), values.end(), made);
    a.point(field, const_cast<const T *>(made));
    at.fallback.count = static_cast<uint32_t>(values.size());
  }

  opw_kernel_t *kernel(std::vector<opw_param_t> params, const char *words) {
    auto *k = table<opw_kernel_t>();
    name(k->name, words);
    for (opw_cpu_image_t *image : tables(k->cpu, k->cpu_count, 2, 64)) {
      image->level = OPW_LEVEL_X86_64_V3;
      image->entry = look;
      image->grain = 4;
      opw_param_t *made = array(image->params, image->param_count, static_cast<uint32_t>(params.size()), OPW_MAX_ARGS);
      std::copy(params.begin(), params.end(), made);
    }
    return k;
  }

  opw_launch_t &launch(opw_launch_t &l, uint32_t kernel, std::vector<opw_arg_t> args, uint32_t phase = 0) {
    l.kind = OPW_LAUNCH_KERNEL;
    l.phase = phase;
    opw_arg_t *made = array(l.args, l.arg_count, static_cast<uint32_t>(args.size()), OPW_MAX_ARGS);
    for (size_t i = 0; i < args.size(); ++i) {
      made[i] = args[i];
      if (args[i].kind == OPW_ARG_PROGRAM)
        a.point(made[i].program.code, made[i].program.code);
    }
    opw_variant_t *variants = array(l.variants, l.variant_count, 2, 4096);
    opw_guard_t *guards = array(variants[0].guards, variants[0].guard_count, 2, 1024);
    guards[0] = {OPW_GUARD_DIVISIBLE, 0, 0, 16};
    guards[1] = {OPW_GUARD_AT_LEAST, 0, 1, 1};
    put(variants[0].when, {{OPW_X_VAR, 0, 0, 0}, {OPW_X_LT, 0, 1, 100}}, 1);
    variants[0].kernel = variants[1].kernel = kernel;
    name(variants[1].reason, "no variant");
    put(l.grid[0], {{OPW_X_VAR, 0, 0, 0}, {OPW_X_CDIV, 0, 1, 8}}, 1);
    put(l.grid[1], {{OPW_X_RANK, 0, 0, 0}, {OPW_X_MAX, 0, 1, 1}}, 1);
    return l;
  }

  void fill(opw_launch_t &l, uint32_t tensor, uint32_t byte) {
    l.kind = OPW_LAUNCH_FILL;
    l.fill_tensor = tensor;
    l.fill_byte = byte;
  }

  void frame(opw_op_t &op, const char *words) {
    op.version = 1;
    name(op.ns, "t");
    name(op.name, words);
  }

  void all(opw_op_t &op);
  void inplace(opw_op_t &op);
};

void Maker::all(opw_op_t &op) {
  frame(op, "all");
  auto typevars = tables(op.typevars, op.typevar_count, 3, 64);
  for (opw_typevar_t *t : typevars)
    t->allowed = kAll;
  uint8_t *combos = array(op.combos, op.combo_count, 6, 4096 * 64);
  op.combo_count = 2;
  const uint8_t rows[] = {OPW_F32, OPW_I32, OPW_I64, OPW_F64, OPW_I32, OPW_I64};
  std::copy(std::begin(rows), std::end(rows), combos);

  auto in = tables(op.inputs, op.input_count, 4, OPW_MAX_TENSORS);
  io(*in[0], "x", 0, 0, OPW_MAX_RANK, 0);
  io(*in[1], "steps", 1, 0, 1, OPW_IO_HOST);
  io(*in[2], "y", 0, 0, OPW_MAX_RANK, OPW_IO_OPTIONAL | OPW_IO_STRIDED);
  io(*in[3], "xs", 0, 0, OPW_MAX_RANK, OPW_IO_VARIADIC);
  auto out = tables(op.outputs, op.output_count, 3, OPW_MAX_TENSORS);
  io(*out[0], "out", 0, 0, OPW_MAX_RANK, 0);
  io(*out[1], "idx", 2, 2, 2, 0);
  io(*out[2], "count", 2, 0, 0, OPW_IO_SIZE);
  array(out[0]->segs, out[0]->seg_count, 1, 64)[0] = {OPW_SEG_SLICE, 0, 0, INT32_MAX, {}};
  opw_seg_t *segs = array(out[1]->segs, out[1]->seg_count, 2, 64);
  segs[0].kind = segs[1].kind = OPW_SEG_DIM;
  put(segs[0].dim, {{OPW_X_SIZE, 0, 0, 0}}, 1);
  put(segs[1].dim, {{OPW_X_RANK, 0, 0, 0}}, 1);

  auto at = tables(op.attrs, op.attr_count, 8, 128);
  attr(*at[0], "n", OPW_ATTR_INT);
  attr(*at[1], "a", OPW_ATTR_FLOAT);
  attr(*at[2], "pads", OPW_ATTR_INTS);
  attr(*at[3], "flags", OPW_ATTR_BOOLS);
  attr(*at[4], "factors", OPW_ATTR_FLOATS);
  attr(*at[5], "mode", OPW_ATTR_ENUM);
  attr(*at[6], "label", OPW_ATTR_STRING);
  attr(*at[7], "data", OPW_ATTR_BYTES);
  at[0]->fallback.u.i = 3;
  at[1]->fallback.u.f = 0.5;
  list<int64_t>(*at[2], at[2]->fallback.u.ints, {1, 2, -1, 4});
  list<uint8_t>(*at[3], at[3]->fallback.u.bools, {1, 0});
  list<double>(*at[4], at[4]->fallback.u.floats, {0.5, 1e300});
  const char **choices = array(at[5]->choices, at[5]->choice_count, 2, 64);
  name(choices[0], "one");
  name(choices[1], "two");
  name(at[6]->fallback.u.s, "label");

  auto size = tables(op.sizes, op.size_count, 1, 64)[0];
  name(size->name, "found");
  size->output = 2;
  put(size->upper, {{OPW_X_NUMEL, 0, 0, 0}}, 1);
  put(size->typical, {{OPW_X_NUMEL, 0, 0, 0}, {OPW_X_FDIV, 0, 1, 2}}, 1);

  opw_program_t *vars = array(op.vars, op.var_count, 4, OPW_MAX_VARS);
  put(vars[0], {{OPW_X_NUMEL, 0, 0, 0}}, 1);
  put(vars[1], {{OPW_X_VAR, 0, 0, 0}, {OPW_X_POOL, 0, 0, 0}, {OPW_X_CDIV, 0, 0, 0}}, 2);
  put(vars[2], {{OPW_X_FATTR, 0, 1, 0}, {OPW_X_FPOOL, 0, 0, 0}, {OPW_X_FMUL, 0, 0, 0}}, 2, 1);
  put(vars[3], {{OPW_X_VALUE, 0, 1, 0}, {OPW_X_INT, 0, 0, 1}, {OPW_X_MAX, 0, 0, 0}}, 2);
  int64_t *integers = array(op.pool_i, op.pool_i_count, 2, 1 << 16);
  integers[0] = 256;
  integers[1] = -(INT64_C(1) << 40);
  double *floats = array(op.pool_f, op.pool_f_count, 2, 1 << 16);
  floats[0] = 1.5;
  floats[1] = -1e300;
  put(op.flops, {{OPW_X_VAR, 0, 0, 0}, {OPW_X_ITEMSIZE, 0, 0, 0}, {OPW_X_MUL, 0, 0, 0}}, 2);
  put(op.valid,
      {{OPW_X_VAR, 0, 0, 0},
       {OPW_X_LE, 0, 1, INT32_MAX},
       {OPW_X_COUNT, 0, 3, 0},
       {OPW_X_LT, 0, 1, 9},
       {OPW_X_AND, 0, 0, 0}},
      2);
  name(op.valid_text, "x is too large");
  put(op.tune_keys[0], {{OPW_X_VAR, 0, 0, 0}}, 1);

  auto tactics = tables(op.tactics, op.tactic_count, 2, 4096);
  tactics[0]->id = 1;
  tactics[1]->id = 2;
  opw_tuned_t *tuned = array(op.tuned, op.tuned_count, 2, 1 << 16);
  tuned[0] = {0, 0, 0, 0, {256, 0, 0, 0}};
  tuned[1] = {0, 1, 1, 0, {2560, 0, 0, 0}};
  uint32_t entries;
  uint16_t *index = array(op.plan_index, entries, 8, 1 << 20);
  const uint16_t plansOf[] = {0, 1, OPW_NO_PLAN, OPW_NO_PLAN, 2, 0, OPW_NO_PLAN, OPW_NO_PLAN};
  std::copy(std::begin(plansOf), std::end(plansOf), index);

  auto plans = tables(op.plans, op.plan_count, 3, 0xfffe);
  auto buffers = tables(plans[0]->workspace, plans[0]->workspace_count, 2, 64);
  buffers[0]->align = 256;
  buffers[0]->dtype = OPW_F32;
  put(buffers[0]->elements, {{OPW_X_VAR, 0, 0, 0}, {OPW_X_ATTR, 0, 0, 0}, {OPW_X_MUL, 0, 0, 0}}, 2);
  buffers[1]->dtype = OPW_I64;
  put(buffers[1]->elements, {{OPW_X_VAR, 0, 1, 0}, {OPW_X_MIN, 0, 1, 8}}, 1);
  put(buffers[1]->upper, {{OPW_X_INT, 0, 0, 8}}, 1);
  auto arg = [&](uint8_t kind, uint16_t tensor, uint32_t attr = 0, uint8_t axis = 0) {
    return opw_arg_t{kind, axis, tensor, attr, {}, nullptr};
  };
  auto computed = [&](std::initializer_list<opw_insn_t> code, uint8_t depth, uint8_t isFloat = 0) {
    return opw_arg_t{OPW_ARG_PROGRAM, 0, 0, 0, program(code, depth, isFloat), nullptr};
  };
  put(plans[0]->valid, {{OPW_X_ATTR, 0, 0, 0}, {OPW_X_LT, 0, 1, 100}}, 1);
  name(plans[0]->valid_text, "n is too large");
  auto steps = tables(plans[0]->launches, plans[0]->launch_count, 4, 4096);
  fill(*steps[0], 6, 0);
  fill(*steps[1], 8, 255);
  launch(*steps[2], 0,
         {arg(OPW_ARG_POINTER, 0), computed({{OPW_X_VAR, 0, 0, 0}}, 1), arg(OPW_ARG_POINTER, 7),
          arg(OPW_ARG_ATTR, 0, 1), arg(OPW_ARG_STRIDE, 2), arg(OPW_ARG_NULL, 0)});
  launch(*steps[3], 1,
         {arg(OPW_ARG_POINTER, 4), computed({{OPW_X_SIZE, 0, 0, 0}}, 1), arg(OPW_ARG_POINTER, 5),
          computed({{OPW_X_VAR, 0, 2, 0}}, 1, 1)},
         1);
  put(steps[3]->when, {{OPW_X_PRESENT, 0, 2, 0}}, 1);
  auto second = tables(plans[1]->launches, plans[1]->launch_count, 2, 4096);
  fill(*second[0], 4, 7);
  launch(*second[1], 1,
         {arg(OPW_ARG_POINTER, 2), computed({{OPW_X_ATTR_LEN, 0, 2, 0}}, 1), arg(OPW_ARG_CONSTANT, 0),
          computed({{OPW_X_ATTR, 0, 5, 0}}, 1)});
  launch(*tables(plans[2]->launches, plans[2]->launch_count, 1, 4096)[0], 1,
         {arg(OPW_ARG_POINTER, 3), computed({{OPW_X_SUMDIM, 0, 3, 0}}, 1), arg(OPW_ARG_POINTER, 6),
          arg(OPW_ARG_ATTR, 0, 1)});
}

void Maker::inplace(opw_op_t &op) {
  frame(op, "inplace");
  op.flags = OPW_OP_MUTATES;
  tables(op.typevars, op.typevar_count, 1, 64)[0]->allowed = kAll;
  uint8_t *combos = array(op.combos, op.combo_count, 2, 4096 * 64);
  combos[0] = OPW_F32;
  combos[1] = OPW_I64;
  auto in = tables(op.inputs, op.input_count, 2, OPW_MAX_TENSORS);
  io(*in[0], "x", 0, 0, OPW_MAX_RANK, 0);
  io(*in[1], "z", 0, 0, OPW_MAX_RANK, OPW_IO_OPTIONAL);
  auto out = tables(op.outputs, op.output_count, 2, OPW_MAX_TENSORS);
  io(*out[0], "out", 0, 0, OPW_MAX_RANK, OPW_IO_INPLACE);
  out[0]->alias = 0;
  array(out[0]->segs, out[0]->seg_count, 1, 64)[0] = {OPW_SEG_SLICE, 0, 0, INT32_MAX, {}};
  io(*out[1], "flat", 0, 0, OPW_MAX_RANK, OPW_IO_OPTIONAL | OPW_IO_STRIDED);
  opw_seg_t *segs = array(out[1]->segs, out[1]->seg_count, 1, 64);
  segs[0].kind = OPW_SEG_DIM;
  put(segs[0].dim, {{OPW_X_NUMEL, 0, 0, 0}}, 1);
  put(array(op.vars, op.var_count, 1, OPW_MAX_VARS)[0], {{OPW_X_NUMEL, 0, 0, 0}}, 1);
  tables(op.tactics, op.tactic_count, 1, 4096)[0]->id = 1;
  uint32_t entries;
  uint16_t *index = array(op.plan_index, entries, 4, 1 << 20);
  index[1] = index[3] = OPW_NO_PLAN;
  auto plan = tables(op.plans, op.plan_count, 1, 0xfffe)[0];
  opw_arg_t pointer{OPW_ARG_POINTER, 0, 2, 0, {}, nullptr},
      count{OPW_ARG_PROGRAM, 0, 0, 0, program({{OPW_X_VAR, 0, 0, 0}}, 1), nullptr};
  launch(*tables(plan->launches, plan->launch_count, 1, 4096)[0], 2, {pointer, count});
}

constexpr uint16_t kDlTypes[] = {0x0220, 0x0240, 0x0020, 0x0040, 0x0210, 0x0410,
                                 0x0108, 0x0608, 0x0908, 0x0000, 0xffff, 0x0204};

} // namespace

unsigned char *Arena::take(size_t bytes) {
  used = (used + 15) / 16 * 16;
  if (used + bytes > kBytes)
    stop("the arena is too small");
  used += bytes;
  return memory.get() + used - bytes;
}

const char *Arena::text(const char *words) {
  char *made = make<char>(std::strlen(words), std::strlen(words) + kText);
  std::memcpy(made, words, std::strlen(words));
  return made;
}

void Arena::keep(const void *field, size_t bytes) {
  auto *at = static_cast<const unsigned char *>(field);
  std::erase_if(plain, [&](const unsigned char *p) { return p >= at && p < at + bytes; });
}

void Arena::write(void *place, const void *value, size_t bytes) {
  Change change{static_cast<unsigned char *>(place), {}, bytes};
  std::memcpy(change.old, place, bytes);
  std::memcpy(place, value, bytes);
  changes.push_back(change);
}

void Arena::damage(Choices &choices) {
  if (choices.oneIn(4)) {
    const Pointer &pointer = pointers[choices.below(pointers.size())];
    const void *value = nullptr;
    if (!choices.oneIn(8)) {
      std::vector<const void *> same;
      for (const Pointer &other : pointers)
        if (other.type == pointer.type)
          same.push_back(other.target);
      value = same[choices.below(same.size())];
    }
    write(pointer.place, &value, sizeof value);
    return;
  }
  unsigned char *at = plain[choices.below(plain.size())];
  static constexpr unsigned char kBytesOf[] = {0, 1, 2, 3, 4, 16, 127, 128, 255};
  auto value = static_cast<unsigned char>(choices.oneIn(2) ? *at ^ 1u << choices.below(8) : choices.oneOf(kBytesOf));
  write(at, &value, 1);
}

void Arena::restore() {
  for (; !changes.empty(); changes.pop_back())
    std::memcpy(changes.back().place, changes.back().old, changes.back().bytes);
}

Library::Library() {
  Maker maker{arena};
  auto ops = maker.tables(opw_tables.ops, opw_tables.op_count, 2, 2);
  all = ops[0];
  inplace = ops[1];
  const opw_param_t pointer{OPW_PARAM_POINTER, OPW_F32, 0, 0, 0}, integer{OPW_PARAM_SCALAR, OPW_I32, 0, 0, 1},
      third{OPW_PARAM_POINTER, OPW_F32, 0, 0, 2}, number{OPW_PARAM_SCALAR, OPW_F32, 0, 0, 3},
      wide{OPW_PARAM_SCALAR, OPW_I64, 0, 0, 4}, dropped{OPW_PARAM_DROPPED, OPW_NONE, 0, 0, 0};
  opw_kernel_t *made[] = {maker.kernel({pointer, integer, third, number, wide, dropped}, "first"),
                          maker.kernel({pointer, integer, third, number}, "second"),
                          maker.kernel({pointer, integer}, "third")};
  auto *kernels = arena.make<const opw_kernel_t *>(3, 64);
  for (size_t i = 0; i < 3; ++i)
    arena.point(kernels[i], static_cast<const opw_kernel_t *>(made[i]));
  maker.all(*all);
  maker.inplace(*inplace);
  static opw_constant_t constant{};
  static const opw_constant_t *const constants[] = {&constant};
  static const char *const devices[] = {"cpu"};
  alignas(64) static unsigned char state[OPW_STATE_BYTES(2, 0)];
  constant.struct_size = sizeof constant;
  opw_tables.struct_size = sizeof opw_tables;
  opw_tables.kernels = kernels;
  opw_tables.kernel_count = 3;
  opw_tables.constants = constants;
  opw_tables.constant_count = 1;
  opw_tables.devices = devices;
  opw_tables.device_count = 1;
  opw_tables.state = state;
  opw_tables.state_bytes = sizeof state;
}

void Library::forget() { std::memset(opw_tables.state, 0, opw_tables.state_bytes); }

Call::Call(const opw_op_t *op, Choices &choices, Kind kind) {
  usualRank = static_cast<int32_t>(choices.below(4));
  for (int64_t &n : usual)
    n = choices.between(0, 6);
  usualBits = choices.oneIn(4) ? 1 : 0;
  auto count = [&](uint32_t declared, const opw_io_t *const *ios) {
    uint32_t n = declared;
    if (n && (ios[n - 1]->flags & OPW_IO_VARIADIC))
      n += static_cast<uint32_t>(choices.below(4)) - 1;
    return choices.oneIn(32) ? static_cast<uint32_t>(choices.below(8)) : n;
  };
  uint32_t inputCount = count(op->input_count, op->inputs), outputCount = count(op->output_count, op->outputs);
  auto ioOf = [](const opw_io_t *const *ios, uint32_t declared, uint32_t i) -> const opw_io_t & {
    static const opw_io_t none{};
    return declared == 0 ? none : *ios[i < declared ? i : declared - 1];
  };
  for (uint32_t i = 0; i < inputCount; ++i)
    inputs.push_back(tensor(ioOf(op->inputs, op->input_count, i), choices, kind, false));
  for (uint32_t i = 0; i < outputCount; ++i) {
    opw_tensor_t *t = tensor(ioOf(op->outputs, op->output_count, i), choices, kind, true);
    if (t && kind == Run && !inputs.empty() && inputs[0] && choices.oneIn(8))
      share(const_cast<opw_tensor_t &>(*inputs[0]), *t, choices.oneIn(2) ? 0 : 4);
    outputs.push_back(t);
  }
  size_t attrCount = choices.oneIn(4) ? choices.below(op->attr_count + 2) : op->attr_count;
  static const opw_attr_t kNone{};
  for (size_t i = 0; i < attrCount; ++i)
    attr(i < op->attr_count ? *op->attrs[i] : kNone, choices);
  call.struct_size = choices.oneIn(64) ? 8 : sizeof call;
  call.inputs = choices.oneIn(64) ? nullptr : inputs.data();
  call.outputs = choices.oneIn(64) ? nullptr : outputs.data();
  call.attrs = choices.oneIn(8) ? nullptr : attrs.data();
  call.input_count = inputCount;
  call.output_count = outputCount;
  call.attr_count = static_cast<uint32_t>(attrCount);
  call.device_type = choices.oneIn(32) ? static_cast<int32_t>(choices.below(4)) : OPW_DEVICE_CPU;
  call.tactic = choices.oneIn(4) ? static_cast<int32_t>(choices.below(4)) : 0;
  call.phases = choices.oneIn(4) ? static_cast<uint32_t>(choices.below(4)) : 0;
  call.host = &kHost;
  if (choices.oneIn(4)) {
    call.workspace_bytes = choices.below(4096);
    call.workspace = std::malloc(call.workspace_bytes);
    blocks[call.workspace] = call.workspace_bytes;
  }
}

Call::~Call() {
  for (auto [block, bytes] : blocks)
    std::free(block);
}

/// Both views in one block, the second at an offset from the first.
void Call::share(opw_tensor_t &first, opw_tensor_t &second, size_t offset) {
  auto one = blocks.find(first.data), other = blocks.find(second.data);
  if (one == blocks.end() || other == blocks.end())
    return;
  size_t bytes = std::max(one->second, other->second + offset);
  auto *block = static_cast<char *>(std::calloc(1, bytes));
  blocks[block] = bytes;
  first.data = block;
  second.data = block + offset;
}

void Call::attr(const opw_attr_t &declared, Choices &choices) {
  attrs.emplace_back();
  opw_attr_value_t &v = attrs.back();
  v = declared.fallback;
  if (choices.oneIn(2))
    return;
  v.kind = choices.oneIn(16) ? static_cast<uint32_t>(choices.below(14)) : declared.kind;
  static constexpr int64_t kNumbers[] = {0, 1, -1, 2, 7, 256, INT32_MAX, INT64_MAX, INT64_MIN};
  numbers.emplace_back();
  for (size_t n = choices.below(8); n > 0; --n)
    numbers.back().push_back(choices.oneIn(2) ? static_cast<int64_t>(choices.below(8)) : choices.oneOf(kNumbers));
  v.count = static_cast<uint32_t>(numbers.back().size());
  if (v.kind >= OPW_ATTR_STRING && v.kind <= OPW_ATTR_TENSOR) // eight bytes of memory for each element
    v.u.ints = choices.oneIn(16) ? nullptr : numbers.back().data();
  else
    v.u.i = choices.oneIn(2) ? static_cast<int64_t>(choices.below(4)) : choices.oneOf(kNumbers);
}

void Call::shape(opw_tensor_t &t, const opw_io_t &io, Choices &choices, Kind kind) {
  t.ndim = usualRank;
  if (io.rank_max < usualRank || io.rank_min > usualRank || choices.oneIn(16))
    t.ndim = choices.oneIn(8) ? static_cast<int32_t>(choices.below(40)) - 4
                              : static_cast<int32_t>(choices.between(io.rank_min, std::max(io.rank_min, io.rank_max)));
  numbers.emplace_back(usual, usual + OPW_MAX_RANK);
  numbers.back().resize(64);
  t.shape = choices.oneIn(64) ? nullptr : numbers.back().data();
  static constexpr int64_t kSizes[] = {0, 1, -1, -2, INT64_MIN, INT64_MAX, INT64_C(1) << 40, 3, 64};
  if (choices.oneIn(4))
    numbers.back()[choices.below(4)] = choices.oneOf(kSizes);
  if (kind == Infer && choices.oneIn(4))
    numbers.back()[choices.below(4)] = -1;
  if (!t.shape || t.ndim <= 0 || choices.oneIn(4) == false)
    return;
  numbers.emplace_back(64);
  t.strides = numbers.back().data();
  int64_t row = 1;
  for (int32_t d = std::min(t.ndim, 40) - 1; d >= 0; --d) {
    t.strides[d] = choices.oneIn(8) ? static_cast<int64_t>(choices.below(8)) - 3 : row;
    row = static_cast<int64_t>(static_cast<uint64_t>(row) * static_cast<uint64_t>(t.shape[d]));
  }
  if (choices.oneIn(16))
    t.strides[choices.below(4)] = choices.oneOf(kSizes);
}

/// As many bytes as the view says. None where it says too many: such a view has to be refused before it is touched,
/// unless its bytes can be counted; then it becomes a smaller one.
void Call::memory(opw_tensor_t &t, Choices &choices) {
  constexpr __int128 kMost = 1 << 16;
  __int128 count = 1, below = 0, above = 0, item = t.dl_bits / 8;
  bool countable = true, empty = false;
  for (int32_t d = 0; t.shape && d < std::min(t.ndim, 40); ++d) {
    if (t.shape[d] < 0)
      return;
    empty = empty || t.shape[d] == 0;
    countable = countable && count * t.shape[d] * std::max<__int128>(item, 1) <= INT64_MAX;
    count = countable ? count * t.shape[d] : count;
    __int128 reach = t.strides ? static_cast<__int128>(t.shape[d] - 1) * t.strides[d] : 0;
    (reach < 0 ? below : above) += reach < 0 ? -reach : reach;
  }
  if (!t.strides)
    above = count - 1;
  if (empty || t.ndim < 0 || t.ndim > 16) {
    t.data = choices.oneIn(2) ? nullptr : reinterpret_cast<void *>(64);
    return;
  }
  if (!countable || (!t.shape && t.ndim > 0)) {
    t.data = reinterpret_cast<void *>(64);
    return;
  }
  if (below + above > kMost) {
    for (int32_t d = 0; d < t.ndim; ++d)
      t.shape[d] = 1;
    below = above = 0;
  }
  size_t in = choices.oneIn(8) ? 8 : 0, bytes = static_cast<size_t>((below + above + 1) * item) + in;
  t.byte_offset = static_cast<uint64_t>(below * item) + in;
  t.data = std::malloc(bytes);
  std::memset(t.data, static_cast<int>(choices.below(4)), bytes);
  blocks[t.data] = bytes;
  if (choices.oneIn(32))
    t.data = nullptr;
}

opw_tensor_t *Call::tensor(const opw_io_t &io, Choices &choices, Kind kind, bool output) {
  if (choices.oneIn(io.flags & OPW_IO_OPTIONAL ? 2 : 48))
    return nullptr;
  tensors.emplace_back();
  opw_tensor_t &t = tensors.back();
  static constexpr uint16_t kUsual[2][3] = {{0x0220, 0x0020, 0x0040}, {0x0240, 0x0020, 0x0040}};
  uint16_t type = choices.oneIn(24) ? choices.oneOf(kDlTypes) : kUsual[usualBits][io.typevar % 3];
  t.dl_code = static_cast<uint8_t>(type >> 8);
  t.dl_bits = static_cast<uint8_t>(type);
  t.dl_lanes = choices.oneIn(64) ? 2 : 1;
  t.device_type = choices.oneIn(32) ? static_cast<int32_t>(choices.below(4)) : OPW_DEVICE_CPU;
  shape(t, io, choices, kind);
  // Sizes that a call counted are read in infer too, and the values of HOST inputs.
  bool read = kind == Run || (io.flags & (output ? OPW_IO_SIZE : OPW_IO_HOST));
  if (t.device_type == OPW_DEVICE_CUDA || !read)
    t.data = reinterpret_cast<void *>(64); // not to be read here
  else
    memory(t, choices);
  return &t;
}

void requireStatus(opw_status_t status, Call &call) {
  if (status < OPW_OK || status > OPW_E_UNSUPPORTED)
    stop("a status that plugin.h does not have");
  if (status != OPW_OK &&
      (call.error.code != status || call.text[0] == 0 || !std::memchr(call.text, 0, sizeof call.text)))
    stop("a refusal without its code or text");
}

} // namespace opw::fuzz
