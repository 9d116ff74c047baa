// Calls that were resolved once: a call that takes one does what it would have done the whole way, and one of another
// kind does not take it.
#include "core/api.h"
#include "core/dtype.h"
#include "core/prepared.h"
#include "core/state.h"

#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <vector>

using opw::runtime::Prepared;

namespace {

/// What a kernel was called with: its number, the grid, the slots.
std::vector<uint64_t> called;

template <int number> int32_t record(const opw_cpu_args_t *args, int64_t lo, int64_t hi, opw_cpu_scratch_t *) {
  called.insert(called.end(),
                {number, args->grid[0], args->grid[1], static_cast<uint64_t>(lo), static_cast<uint64_t>(hi)});
  called.insert(called.end(), args->slots, args->slots + args->slot_count);
  return 0;
}

/// out = f(x, y, numel(x), a): filled, then a kernel that wants aligned memory and sizes, or one that does not.
struct Sample {
  opw_insn_t numel[1] = {{OPW_X_NUMEL, 0, 0, 0}};
  opw_insn_t blocks[2] = {{OPW_X_NUMEL, 0, 0, 0}, {OPW_X_CDIV, 0, 1, 8}};
  opw_param_t params[5] = {{OPW_PARAM_POINTER, OPW_NONE, 0, 0, 0},
                           {OPW_PARAM_POINTER, OPW_NONE, 0, 0, 1},
                           {OPW_PARAM_POINTER, OPW_NONE, 0, 0, 2},
                           {OPW_PARAM_SCALAR, OPW_I32, 0, 0, 3},
                           {OPW_PARAM_SCALAR, OPW_I64, 0, 0, 4}};
  opw_cpu_image_t images[2] = {{sizeof(opw_cpu_image_t), OPW_LEVEL_X86_64_V3, record<0>, params, 5, 0, 0, 1 << 20},
                               {sizeof(opw_cpu_image_t), OPW_LEVEL_X86_64_V3, record<1>, params, 5, 0, 0, 1 << 20}};
  const opw_cpu_image_t *image[2] = {&images[0], &images[1]};
  opw_kernel_t kernel[2]{};
  const opw_kernel_t *kernels[2] = {&kernel[0], &kernel[1]};
  opw_arg_t args[5]{};
  opw_guard_t guards[4] = {{OPW_GUARD_DIVISIBLE, 0, 0, 64},
                           {OPW_GUARD_DIVISIBLE, 0, 2, 16},
                           {OPW_GUARD_DIVISIBLE, 0, 3, 16},
                           {OPW_GUARD_SET, 0, 0, 0}};
  opw_variant_t variants[2] = {{guards, 4, 0, {}, nullptr}, {nullptr, 0, 1, {}, nullptr}};
  opw_launch_t fill{}, launch{};
  const opw_launch_t *launches[2] = {&fill, &launch};
  opw_plan_t plan{};
  const opw_plan_t *plans[1] = {&plan};
  uint16_t planIndex[2] = {0, OPW_NO_PLAN};
  opw_typevar_t typevar{sizeof(opw_typevar_t), 1u << OPW_F32 | 1u << OPW_I32, "T"};
  const opw_typevar_t *typevars[1] = {&typevar};
  opw_seg_t seg{OPW_SEG_SLICE, 0, 0, INT32_MAX, {}};
  opw_io_t x{}, y{}, out{};
  const opw_io_t *inputs[2] = {&x, &y};
  const opw_io_t *outputs[1] = {&out};
  opw_attr_t attr{};
  const opw_attr_t *attrs[1] = {&attr};
  opw_tactic_t tactic{sizeof(opw_tactic_t), 1, ""};
  const opw_tactic_t *tactics[1] = {&tactic};
  uint8_t combos[1] = {OPW_F32};
  opw_op_t op{};
  const opw_op_t *ops[1] = {&op};

  Sample() {
    for (int k = 0; k < 2; ++k) {
      kernel[k].struct_size = sizeof kernel[k];
      kernel[k].name = k ? "any" : "fast";
      kernel[k].cpu = &image[k];
      kernel[k].cpu_count = 1;
    }
    const uint16_t tensors[] = {0, 1, 2};
    for (int a = 0; a < 3; ++a) {
      args[a].kind = OPW_ARG_POINTER;
      args[a].tensor = tensors[a];
    }
    args[3].kind = OPW_ARG_PROGRAM;
    args[3].program = {numel, 1, 0, 1, 0};
    args[4].kind = OPW_ARG_ATTR;
    fill.struct_size = launch.struct_size = sizeof launch;
    fill.kind = OPW_LAUNCH_FILL;
    fill.fill_tensor = 2;
    fill.fill_byte = 7;
    launch.kind = OPW_LAUNCH_KERNEL;
    launch.args = args;
    launch.arg_count = 5;
    launch.variants = variants;
    launch.variant_count = 2;
    launch.grid[0] = {blocks, 2, 0, 1, 0};
    plan.struct_size = sizeof plan;
    plan.launch_count = 2;
    plan.launches = launches;
    x.struct_size = y.struct_size = out.struct_size = sizeof x;
    x.name = "x";
    y.name = "y";
    out.name = "out";
    x.alias = y.alias = out.alias = -1;
    x.rank_max = y.rank_max = out.rank_max = OPW_MAX_RANK;
    x.flags = OPW_IO_STRIDED;
    y.flags = OPW_IO_OPTIONAL;
    out.segs = &seg;
    out.seg_count = 1;
    attr.struct_size = sizeof attr;
    attr.kind = OPW_ATTR_INT;
    attr.name = "a";
    attr.fallback.kind = OPW_ATTR_INT;
    attr.fallback.u.i = 5;
    op.struct_size = sizeof op;
    op.version = 1;
    op.ns = "t";
    op.name = "op";
    op.typevars = typevars;
    op.inputs = inputs;
    op.outputs = outputs;
    op.attrs = attrs;
    op.combos = combos;
    op.tactics = tactics;
    op.plans = plans;
    op.plan_index = planIndex;
    op.input_count = 2;
    op.typevar_count = op.output_count = op.attr_count = op.combo_count = op.tactic_count = op.plan_count = 1;
  }
};

alignas(64) unsigned char state[OPW_STATE_BYTES(1, 0)];
Sample mine;

} // namespace

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
                                                                                  2,
                                                                                  0,
                                                                                  0,
                                                                                  state,
                                                                                  sizeof state};

namespace {

/// A view of memory that begins `shift` bytes behind a multiple of 64.
struct Tensor {
  Tensor(std::vector<int64_t> shape, size_t shift = 0) : sizes(std::move(shape)) {
    size_t bytes = 4;
    for (int64_t n : sizes)
      bytes *= static_cast<size_t>(n);
    memory.reset(static_cast<char *>(std::aligned_alloc(64, (bytes + shift + 64) / 64 * 64)));
    view.data = memory.get() + shift;
    view.device_type = OPW_DEVICE_CPU;
    view.ndim = static_cast<int32_t>(sizes.size());
    sizes.resize(OPW_MAX_RANK); // room for what infer writes
    view.shape = sizes.data();
    opw::runtime::setDtype(view, OPW_F32);
  }
  struct Free {
    void operator()(char *p) const { std::free(p); }
  };
  std::vector<int64_t> sizes;
  std::unique_ptr<char, Free> memory;
  opw_tensor_t view{};
};

/// A call, the whole way.
struct Whole {
  Whole(Tensor &x, Tensor *y, Tensor &out) : in{&x.view, y ? &y->view : nullptr}, made{&out.view} {
    call.struct_size = sizeof call;
    call.inputs = in;
    call.outputs = made;
    call.input_count = 2;
    call.output_count = 1;
    call.device_type = OPW_DEVICE_CPU;
    called.clear();
    opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
    status = opw::runtime::beginCall(frame, &mine.op, &call, &error);
    if (status == OPW_OK)
      status = opw::runtime::finishCall(frame, &selection, &error);
  }
  Whole(const Whole &) = delete;

  std::unique_ptr<Prepared, void (*)(void *)> prepared() { return {Prepared::of(frame, selection), std::free}; }
  std::vector<uintptr_t> addresses() const {
    auto of = [](const opw_tensor_t *t) { return t ? reinterpret_cast<uintptr_t>(t->data) : 0; };
    return {of(in[0]), of(in[1]), of(made[0])};
  }

  const opw_tensor_t *in[2];
  opw_tensor_t *made[1];
  opw_call_t call{};
  opw::runtime::Frame frame;
  opw::runtime::Selection selection{};
  char text[512] = "";
  opw_status_t status;
};

/// Runs `prepared` on what another call was given: what the kernel was called with, empty where it was not.
std::vector<uint64_t> again(const Prepared &prepared, const Whole &run) {
  called.clear();
  opw_status_t status = OPW_E_HOST;
  if (!prepared.run(run.addresses().data(), nullptr, &status, nullptr)) {
    EXPECT_TRUE(called.empty());
    return {};
  }
  EXPECT_EQ(status, OPW_OK);
  return called;
}

TEST(Prepared, DoesWhatTheWholeWayDoes) {
  Tensor x({3, 16}), y({5}), out({3, 16});
  Whole first(x, &y, out);
  ASSERT_EQ(first.status, OPW_OK) << first.text;
  auto prepared = first.prepared();
  ASSERT_TRUE(prepared);
  size_t ndim = 0;
  const int64_t *sizes = prepared->output(0, &ndim);
  ASSERT_TRUE(sizes && ndim == 2);
  EXPECT_TRUE(sizes[0] == 3 && sizes[1] == 16);

  Tensor x2({3, 16}, 64), y2({5}, 4), out2({3, 16}, 16);
  Whole second(x2, &y2, out2);
  const std::vector<uint64_t> wanted = called;
  ASSERT_EQ(wanted.at(0), 0u); // the fast one
  EXPECT_TRUE(prepared->takes(second.in));
  std::memset(out2.view.data, 0, 3 * 16 * 4);
  EXPECT_EQ(again(*prepared, second), wanted);
  EXPECT_EQ(static_cast<char *>(out2.view.data)[3 * 16 * 4 - 1], 7); // filled

  Tensor x3({3, 16}, 32), out3({3, 16}, 8);
  EXPECT_TRUE(again(*prepared, Whole(x3, &y, out)).empty()); // x must be a multiple of 64
  EXPECT_TRUE(again(*prepared, Whole(x, &y, out3)).empty()); // out of 16
}

TEST(Prepared, LeavesWhatIsRefusedToTheWholeWay) {
  Tensor x({3, 16}), y({5}), out({3, 16}), wide({3, 32});
  Whole first(x, &y, out);
  auto prepared = first.prepared();
  ASSERT_TRUE(prepared);
  auto runs = [&](uintptr_t a, uintptr_t b, uintptr_t c) {
    const uintptr_t addresses[] = {a, b, c};
    opw_status_t status = OPW_OK;
    return prepared->run(addresses, nullptr, &status, nullptr);
  };
  const std::vector<uintptr_t> at = first.addresses();
  const auto room = reinterpret_cast<uintptr_t>(wide.view.data);
  EXPECT_TRUE(runs(at[0], at[1], at[2]));
  EXPECT_TRUE(runs(room, at[1], room + 192)); // side by side
  EXPECT_TRUE(runs(room + 192, at[1], room));
  EXPECT_FALSE(runs(0, at[1], at[2]));
  EXPECT_FALSE(runs(at[0], 0, at[2]));
  EXPECT_FALSE(runs(at[0], at[1], 0));
  EXPECT_FALSE(runs(room, at[1], room + 64)); // out over the end of x
  EXPECT_FALSE(runs(room, at[1], room));
  EXPECT_FALSE(runs(at[0], room + 16, room));
}

TEST(Prepared, TheForcedTacticIsThatOfItsSelection) {
  Tensor x({3, 16}), y({5}), out({3, 16});
  Whole first(x, &y, out);
  opw::runtime::kApi.force(&mine.op, 1, nullptr); // while the first call ran
  auto prepared = first.prepared();
  opw::runtime::kApi.force(&mine.op, 0, nullptr);
  ASSERT_TRUE(prepared);
  EXPECT_TRUE(prepared->takes(first.in));
}

TEST(Prepared, OthersDoNotTakeIt) {
  Tensor x({3, 16}), y({5}), out({3, 16});
  Whole first(x, &y, out);
  auto prepared = first.prepared();
  ASSERT_TRUE(prepared);
  auto takes = [&](const opw_tensor_t *a, const opw_tensor_t *b) {
    const opw_tensor_t *inputs[] = {a, b};
    return prepared->takes(inputs);
  };
  Tensor turned({16, 3}), longer({3, 16, 1}), flat({48}), y2({6}), integers({3, 16});
  opw::runtime::setDtype(integers.view, OPW_I32);
  EXPECT_TRUE(takes(&x.view, &y.view));
  EXPECT_FALSE(takes(&x.view, nullptr));
  EXPECT_FALSE(takes(&x.view, &y2.view));
  for (Tensor *other : {&turned, &longer, &flat, &integers})
    EXPECT_FALSE(takes(&other->view, &y.view));
  opw::runtime::kApi.force(&mine.op, 1, nullptr);
  EXPECT_FALSE(takes(&x.view, &y.view));
  opw::runtime::kApi.force(&mine.op, 0, nullptr);
  EXPECT_TRUE(takes(&x.view, &y.view));
}

TEST(Prepared, IsNotMadeWhereMoreThanSizesDecides) {
  Tensor y({5});
  auto isMade = [&](Tensor &x, Tensor *second, Tensor &out) {
    Whole run(x, second, out);
    EXPECT_EQ(run.status, OPW_OK) << run.text;
    return run.prepared() != nullptr;
  };
  Tensor fits({16}), shifted({16}, 4), out({16}), odd({17}), oddShifted({17}, 4), outOdd({17}), empty({0}),
      outEmpty({0});
  EXPECT_TRUE(isMade(fits, &y, out));
  EXPECT_TRUE(isMade(fits, nullptr, out));
  EXPECT_FALSE(isMade(shifted, &y, out)); // the slow kernel was taken for the address alone
  EXPECT_TRUE(isMade(odd, &y, outOdd));   // here for the size too
  EXPECT_TRUE(isMade(oddShifted, &y, outOdd));
  EXPECT_FALSE(isMade(empty, &y, outEmpty));
  int64_t one = 1;
  fits.view.strides = &one;
  EXPECT_FALSE(isMade(fits, &y, out));
}

TEST(Prepared, RandomCalls) {
  std::mt19937 random(1);
  auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
  int made = 0, taken = 0;
  for (int i = 0; i < 3000; ++i) {
    std::vector<int64_t> shape;
    for (uint32_t rank = below(4); rank > 0; --rank)
      shape.push_back(static_cast<int64_t>(below(3) ? 16 : 1 + below(5)));
    auto shift = [&] { return below(3) ? 0 : size_t{4} << below(5); };
    Tensor x(shape, shift()), y({2}), out(shape, shift()), x2(shape, shift()), out2(shape, shift());
    Tensor *second = below(2) ? &y : nullptr;
    Whole first(x, second, out);
    ASSERT_EQ(first.status, OPW_OK) << first.text;
    auto prepared = first.prepared();
    Whole other(x2, second, out2);
    const std::vector<uint64_t> wanted = called;
    if (!prepared)
      continue;
    ++made;
    ASSERT_TRUE(prepared->takes(other.in));
    std::vector<uint64_t> found = again(*prepared, other);
    taken += !found.empty();
    if (!found.empty()) {
      ASSERT_EQ(found, wanted);
    }
  }
  EXPECT_GT(made, 1000);
  EXPECT_GT(taken, 500);
}

} // namespace
