// Tables that are not sound: each kind of damage is refused with its place, and refuses its op alone.
#include "core/api.h"
#include "core/dtype.h"
#include "core/state.h"
#include "core/validate.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

namespace {

int32_t nothing(const opw_cpu_args_t *, int64_t, int64_t, opw_cpu_scratch_t *) { return 0; }

/// An op that has one of everything that a test damages. Copied, changed, checked.
struct Sample {
  opw_insn_t code[4] = {{OPW_X_NUMEL, 0, 0, 0}, {OPW_X_CDIV, 0, 1, 256}};
  opw_program_t vars[2] = {{code, 2, 0, 1, 0}, {code, 2, 0, 1, 0}};
  opw_param_t params[2] = {{OPW_PARAM_POINTER, OPW_NONE, 0, 0, 0}, {OPW_PARAM_SCALAR, OPW_I32, 0, 0, 1}};
  opw_cpu_image_t image{};
  const opw_cpu_image_t *images[1] = {&image};
  opw_kernel_t kernel{};
  const opw_kernel_t *kernels[1] = {&kernel};
  opw_arg_t args[2]{};
  opw_guard_t guard{OPW_GUARD_DIVISIBLE, 0, 0, 16};
  opw_variant_t variants[1]{};
  opw_launch_t launch{};
  const opw_launch_t *launches[1] = {&launch};
  opw_plan_t plan{};
  const opw_plan_t *plans[1] = {&plan};
  uint16_t planIndex[2] = {0, OPW_NO_PLAN};
  opw_typevar_t typevar{sizeof(opw_typevar_t), 1u << OPW_F32, "T"};
  const opw_typevar_t *typevars[1] = {&typevar};
  opw_seg_t seg{OPW_SEG_SLICE, 0, 0, INT32_MAX, {}};
  opw_io_t x{}, out{};
  const opw_io_t *inputs[1] = {&x};
  const opw_io_t *outputs[1] = {&out};
  opw_attr_t attr{};
  const opw_attr_t *attrs[1] = {&attr};
  opw_tactic_t tactic{sizeof(opw_tactic_t), 1, ""};
  const opw_tactic_t *tactics[1] = {&tactic};
  uint8_t combos[1] = {OPW_F32};
  opw_op_t op{};
  const opw_op_t *ops[1] = {&op};
  opw_tables_t tables{};

  Sample() {
    image = {sizeof image, OPW_LEVEL_X86_64_V3, nothing, params, 2, 0, 0, 1};
    kernel.struct_size = sizeof kernel;
    kernel.name = "k";
    kernel.cpu = images;
    kernel.cpu_count = 1;
    args[0].kind = OPW_ARG_POINTER;
    args[1].kind = OPW_ARG_PROGRAM;
    args[1].program = vars[0];
    variants[0].guards = &guard;
    variants[0].guard_count = 1;
    launch.struct_size = sizeof launch;
    launch.kind = OPW_LAUNCH_KERNEL;
    launch.args = args;
    launch.arg_count = 2;
    launch.variants = variants;
    launch.variant_count = 1;
    launch.grid[0] = vars[0];
    plan.struct_size = sizeof plan;
    plan.launch_count = 1;
    plan.launches = launches;
    x.struct_size = out.struct_size = sizeof x;
    x.name = "x";
    out.name = "out";
    x.alias = out.alias = -1;
    x.rank_max = out.rank_max = OPW_MAX_RANK;
    out.segs = &seg;
    out.seg_count = 1;
    attr.struct_size = sizeof attr;
    attr.kind = OPW_ATTR_FLOAT;
    attr.name = "a";
    op.struct_size = sizeof op;
    op.version = 1;
    op.ns = "t";
    op.name = "op";
    op.typevars = typevars;
    op.inputs = inputs;
    op.outputs = outputs;
    op.attrs = attrs;
    op.vars = vars;
    op.combos = combos;
    op.tactics = tactics;
    op.plans = plans;
    op.plan_index = planIndex;
    op.typevar_count = op.input_count = op.output_count = op.attr_count = op.combo_count = op.tactic_count =
        op.plan_count = 1;
    op.var_count = 2;
    tables.struct_size = sizeof tables;
    tables.ops = ops;
    tables.op_count = 1;
    tables.kernels = kernels;
    tables.kernel_count = 1;
  }
};

struct Checked {
  opw_status_t status;
  std::string text;
};

Checked check(const Sample &s) {
  char text[512] = "";
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  opw_status_t status = opw::runtime::validateOp(&s.op, s.tables, &error);
  return {status, text};
}

alignas(64) unsigned char state[OPW_STATE_BYTES(1, 0)];
Sample mine;

} // namespace

// The tables that the api functions of this test see.
extern "C" __attribute__((visibility("hidden"))) const opw_tables_t opw_tables = {sizeof(opw_tables_t),
                                                                                  OPW_ABI_MINOR,
                                                                                  "test",
                                                                                  "test",
                                                                                  {},
                                                                                  mine.ops,
                                                                                  mine.kernels,
                                                                                  nullptr,
                                                                                  nullptr,
                                                                                  1,
                                                                                  1,
                                                                                  0,
                                                                                  0,
                                                                                  state,
                                                                                  sizeof state};

namespace {

TEST(Tables, SoundOnesPass) {
  Sample s;
  Checked c = check(s);
  EXPECT_EQ(c.status, OPW_OK) << c.text;
}

const opw_tactic_t *const *manyTactics() {
  static const opw_tactic_t one{sizeof(opw_tactic_t), 1, ""};
  static const std::vector<const opw_tactic_t *> all(4096, &one);
  return all.data();
}

struct Damage {
  std::string text;
  std::function<void(Sample &)> make;
  opw_status_t status = OPW_E_CORRUPT;
};

TEST(Tables, EachKindOfDamageIsNamed) {
  const std::string p = "t::op: corrupt program of a var: ", t = "t::op: corrupt table: ";
  const std::vector<Damage> damages = {
      {p + "instruction 0: unknown opcode 99", [](Sample &s) { s.code[0].op = 99; }},
      {p + "instruction 0: unknown opcode 250", [](Sample &s) { s.code[0].op = 250; }},
      {p + "instruction 0: element 1 of what is no variadic input", [](Sample &s) { s.code[0].element = 1; }},
      {p + "instruction 0: tensor 1 of 1", [](Sample &s) { s.code[0].b = 1; }},
      {p + "instruction 0: NUMEL with axis 3", [](Sample &s) { s.code[0].imm = 3; }},
      {p + "instruction 0: CDIV takes 1 operands, the stack has 0", [](Sample &s) { s.code[0] = s.code[1]; }},
      {p + "instruction 1: CDIV takes 2 operands, the stack has 1",
       [](Sample &s) { s.code[1] = {OPW_X_CDIV, 0, 0, 0}; }},
      {p + "instruction 1: CDIV has operands that it does not take", [](Sample &s) { s.code[1].b = 2; }},
      {p + "instruction 2: 2 results, expected one", [](Sample &s) { s.code[1] = {OPW_X_INT, 0, 0, 1}; }},
      {p + "instruction 2: the stack is 1 deep, declared is 2", [](Sample &s) { s.vars[0].depth = 2; }},
      {p + "instruction 2: the result is an integer, declared is a float", [](Sample &s) { s.vars[0].is_float = 1; }},
      {p + "instruction 0: a reserved field is set", [](Sample &s) { s.vars[0].reserved = 1; }},
      {p + "instruction 0: the code is null", [](Sample &s) { s.vars[0].code = nullptr; }},
      {p + "instruction 0: 4097 instructions, at most 4096 are allowed", [](Sample &s) { s.vars[0].count = 4097; }},
      {p + "instruction 0: var 0 of 0", [](Sample &s) { s.code[0] = {OPW_X_VAR, 0, 0, 0}; }},
      {p + "instruction 0: integer 0 of a pool of 0", [](Sample &s) { s.code[0] = {OPW_X_POOL, 0, 0, 0}; }},
      {p + "instruction 0: ATTR of attribute 0, whose kind is 2", [](Sample &s) { s.code[0] = {OPW_X_ATTR, 0, 0, 0}; }},
      {p + "instruction 0: attribute 5 of 1", [](Sample &s) { s.code[0] = {OPW_X_FATTR, 0, 5, 0}; }},
      {p + "instruction 1: CDIV takes an integer as operand 0", [](Sample &s) { s.code[0] = {OPW_X_FATTR, 0, 0, 0}; }},
      {p + "instruction 0: VALUE of tensor 0, which is no HOST input",
       [](Sample &s) { s.code[0] = {OPW_X_VALUE, 0, 0, 0}; }},
      {p + "instruction 0: data-dependent size 0 is not known here",
       [](Sample &s) { s.code[0] = {OPW_X_SIZE, 0, 0, 0}; }},
      {p + "instruction 0: COUNT of tensor 0, which is not variadic",
       [](Sample &s) { s.code[0] = {OPW_X_COUNT, 0, 0, 0}; }},
      {t + "1 inputs, but no array", [](Sample &s) { s.op.inputs = nullptr; }},
      {t + "inputs 0 is null", [](Sample &s) { s.inputs[0] = nullptr; }},
      {t + "x has typevar 4 of 1", [](Sample &s) { s.x.typevar = 4; }},
      {t + "x has rank 3 to 2", [](Sample &s) { s.x.rank_min = 3, s.x.rank_max = 2; }},
      {t + "x has unknown flags 0x80000000", [](Sample &s) { s.x.flags = 0x80000000; }},
      {t + "out is an alias of input 1", [](Sample &s) { s.out.alias = 1; }},
      {t + "the shape of out takes sizes of tensor 3, which is no input", [](Sample &s) { s.seg.index = 3; }},
      {t + "the shape of out has a segment of unknown kind 9", [](Sample &s) { s.seg.kind = 9; }},
      {t + "combination 0 has element type 77, which this runtime does not know", [](Sample &s) { s.combos[0] = 77; }},
      {t + "combination 0 has f64 for typevar 0, which does not allow it", [](Sample &s) { s.combos[0] = OPW_F64; }},
      {t + "plan_index 1 is plan 7 of 1", [](Sample &s) { s.planIndex[1] = 7; }},
      {t + "attribute a has unknown kind 40", [](Sample &s) { s.attr.kind = 40; }},
      {t + "kernel 3 of 1", [](Sample &s) { s.variants[0].kernel = 3; }},
      {t + "guard 0: kind 1, argument 9, value 16", [](Sample &s) { s.guard.arg = 9; }},
      {t + "kernel k takes 1 arguments, the launch gives 2", [](Sample &s) { s.image.param_count = 1; }},
      {t + "CPU image 0 of kernel k is incomplete", [](Sample &s) { s.image.entry = nullptr; }},
      {t + "parameter 0 of kernel k has slot 9999", [](Sample &s) { s.params[0].offset = 9999; }},
      {t + "parameter 1 of kernel k is a pointer, its argument is not",
       [](Sample &s) { s.params[1].kind = OPW_PARAM_POINTER; }},
      {t + "argument 0 is tensor 2, element 0", [](Sample &s) { s.args[0].tensor = 2; }},
      {t + "argument 0 has unknown kind 33", [](Sample &s) { s.args[0].kind = 33; }},
      {t + "5000 combinations of element types and 1 tactics, at most 4096 and 524288 of both are allowed",
       [](Sample &s) { s.op.combo_count = 5000; }},
      {t + "4096 combinations of element types and 4096 tactics, at most 4096 and 524288 of both are allowed",
       [](Sample &s) { s.op.combo_count = s.op.tactic_count = 4096, s.op.tactics = manyTactics(); }},
      {t + "0 tuned entries and pools of 65537 and 0, at most 65536 are allowed",
       [](Sample &s) { s.op.pool_i_count = 65537, s.op.pool_i = reinterpret_cast<const int64_t *>(&s); }},
      {t + "the shape of out has 65 segments, at most 64 are allowed", [](Sample &s) { s.out.seg_count = 65; }},
      {t + "the default of attribute a has 70000 elements, at most 65536 are allowed",
       [](Sample &s) {
         s.attr.kind = s.attr.fallback.kind = OPW_ATTR_FLOATS;
         s.attr.fallback.count = 70000;
       }},
      {t + "choice 1 of attribute a is null",
       [](Sample &s) {
         static const char *const two[] = {"one", nullptr};
         s.attr.kind = OPW_ATTR_ENUM, s.attr.choices = two, s.attr.choice_count = 2;
       }},
      {t + "x is at least 300 tensors, at most 256 are allowed",
       [](Sample &s) { s.x.flags = OPW_IO_VARIADIC, s.x.variadic_min = 300; }},
      {t + "a variant has 2000 guards, at most 1024 are allowed", [](Sample &s) { s.variants[0].guard_count = 2000; }},
      {"t::op: corrupt program of valid of a plan: instruction 0: unknown opcode 99",
       [](Sample &s) {
         static const opw_insn_t unknown{99, 0, 0, 0};
         s.plan.valid = {&unknown, 1, 0, 1, 0};
       }},
      {t + "a launch has 2 arguments and 5000 variants", [](Sample &s) { s.launch.variant_count = 5000; }},
      {t + "out is STRIDED, and HOST or INPLACE, which need row-major memory",
       [](Sample &s) { s.out.flags = OPW_IO_STRIDED | OPW_IO_INPLACE, s.out.alias = 0; }},
      {t + "a launch fills out, which is STRIDED",
       [](Sample &s) { s.launch.kind = OPW_LAUNCH_FILL, s.launch.fill_tensor = 1, s.out.flags = OPW_IO_STRIDED; }},
      {t + "out holds a size, but is not one int64 in every combination",
       [](Sample &s) { s.out.flags = OPW_IO_SIZE, s.out.seg_count = 0; }},
      {t + "a launch has unknown kind 8", [](Sample &s) { s.launch.kind = 8; }},
      {t + "a launch has phase 2", [](Sample &s) { s.launch.phase = 2; }},
      {"t::op: inputs 0: struct_size is 8, expected at least 56", [](Sample &s) { s.x.struct_size = 8; }, OPW_E_ABI},
      {"t::op: kernel k: struct_size is 0, expected at least 88", [](Sample &s) { s.kernel.struct_size = 0; },
       OPW_E_ABI},
      {"the op table's struct_size is 100, expected at least 320", [](Sample &s) { s.op.struct_size = 100; },
       OPW_E_ABI},
      {"t::op: needs ABI 0.9, this runtime has 0.2; rebuild the plugin",
       [](Sample &s) { s.op.flags = OPW_OP_NEEDS_MINOR, s.op.min_minor = 9; }, OPW_E_ABI},
  };
  for (const Damage &damage : damages) {
    Sample s;
    damage.make(s);
    Checked c = check(s);
    EXPECT_EQ(c.status, damage.status) << damage.text;
    EXPECT_EQ(c.text, damage.text);
  }
}

TEST(Tables, LargerTablesOfALaterMinorAreFine) {
  Sample s;
  s.op.struct_size += 64;
  s.x.struct_size += 8;
  EXPECT_EQ(check(s).status, OPW_OK);
}

TEST(Tables, RandomCodeIsRefusedOrSafe) {
  std::mt19937 random(1);
  opw_op_t *op = &mine.op;
  int64_t shape[2] = {6, 7};
  float data[42];
  opw_tensor_t x{data, 1, 0, 2, 2, 32, 1, shape, nullptr, 0};
  const opw_tensor_t *in[] = {&x};
  opw_attr_value_t a{};
  a.kind = OPW_ATTR_FLOAT;
  a.u.f = 2.5;
  opw_call_t call{};
  call.struct_size = sizeof call;
  call.inputs = in;
  call.input_count = 1;
  call.attrs = &a;
  call.attr_count = 1;
  call.device_type = 1;
  int accepted = 0;
  for (int i = 0; i < 200000; ++i) {
    opw_insn_t code[8];
    auto count = static_cast<uint32_t>(random() % 8 + 1);
    for (opw_insn_t &x : code)
      x = {static_cast<uint8_t>(random() % 80), 0, static_cast<uint16_t>(random() % 3),
           static_cast<int32_t>(random() % 5) - 2};
    for (uint8_t depth = 1; depth < 5; ++depth)
      for (uint8_t isFloat = 0; isFloat < 2; ++isFloat) {
        opw_program_t program{code, count, isFloat, depth, 0};
        int64_t value;
        opw_status_t s = opw::runtime::kApi.eval(op, &program, &call, &value, nullptr);
        accepted += s == OPW_OK;
        ASSERT_TRUE(s == OPW_OK || s == OPW_E_CORRUPT || s == OPW_E_OVERFLOW) << s;
      }
  }
  EXPECT_GT(accepted, 100);
}

TEST(Numbers, HalvesAndBfloatsRoundToNearestEven) {
  using opw::runtime::bfloatBits, opw::runtime::halfBits, opw::runtime::floatAt;
  // every finite half goes out and back; so does the middle to the next, which goes to the even one
  for (uint32_t h = 0; h < 0x7c00; ++h) {
    auto bits = static_cast<uint16_t>(h);
    double v = floatAt(&bits, OPW_F16, 0);
    ASSERT_EQ(halfBits(v), h);
    ASSERT_EQ(halfBits(-v), h | 0x8000);
    auto up = static_cast<uint16_t>(h + 1);
    double next = h + 1 == 0x7c00 ? 65536.0 : floatAt(&up, OPW_F16, 0);
    ASSERT_EQ(halfBits((v + next) / 2), h & 1 ? h + 1 : h);
    ASSERT_EQ(halfBits(std::nextafter((v + next) / 2, 1e9)), h + 1);
  }
  EXPECT_EQ(halfBits(INFINITY), 0x7c00);
  EXPECT_EQ(halfBits(1e300), 0x7c00);
  EXPECT_EQ(halfBits(NAN) & 0x7e00, 0x7e00);
  EXPECT_EQ(bfloatBits(1.0), 0x3f80);
  EXPECT_EQ(bfloatBits(1.0 + 1.0 / 256), 0x3f80);
  EXPECT_EQ(bfloatBits(1.0 + 3.0 / 256), 0x3f82);
  EXPECT_EQ(bfloatBits(1e300), 0x7f80);
  for (uint32_t h = 0; h < 0x7f80; ++h) {
    auto bits = static_cast<uint16_t>(h);
    ASSERT_EQ(bfloatBits(floatAt(&bits, OPW_BF16, 0)), h);
  }
}

} // namespace
