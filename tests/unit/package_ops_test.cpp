// Ops with more than one launch: tactics, workspace, in-place outputs, data-dependent sizes, optional and host inputs.
#include "package/package.h"
#include "package_kit.h"

#include <cstring>
#include <gtest/gtest.h>

namespace opw::testing {
namespace {

/// out[p] = in[p] + value, one element a program; slots: in, out, value.
constexpr const char *kAddScalar = R"(KERNEL {
  const float *in = (const float *)args->slots[0]; float *out = (float *)args->slots[1];
  (void)scratch;
  for (int64_t p = lo; p < hi; p++) out[p] = in[p] + (float)(int64_t)args->slots[2];
  return 0; })";
/// Writes the indices of the elements above 0 to out, their number to count; slots: in, out, count, n. One program.
constexpr const char *kNonZero = R"(KERNEL {
  const float *in = (const float *)args->slots[0]; int64_t *out = (int64_t *)args->slots[1], *count = (int64_t *)args->slots[2];
  (void)scratch; (void)lo; (void)hi;
  for (int64_t i = 0; i < (int64_t)args->slots[3]; i++) if (in[i] > 0) { if (out) out[*count] = i; ++*count; }
  return 0; })";
constexpr const char *kSetFirst = R"(KERNEL { (void)lo; (void)hi; (void)scratch;
  *(float *)args->slots[0] = (float)(int64_t)args->slots[1]; return 0; })";

package::IoRequest io(const char *name, const char *type, std::vector<std::string> shape = {}) {
  package::IoRequest r;
  r.name = name;
  r.type = type;
  r.shape = std::move(shape);
  return r;
}

package::LaunchRequest launch(std::vector<std::string> grid, std::vector<std::string> args, const char *kernel) {
  package::LaunchRequest l;
  l.grid = std::move(grid);
  l.args = std::move(args);
  l.variants = {{{}, kernel, "", ""}};
  return l;
}

package::Request request() {
  package::Request r;
  r.library = "libops.so";
  r.ns = "t";
  r.cpuLevels = {"x86-64-v3"};
  for (const char *id : {"add", "nonzero", "first"})
    r.kernels.push_back({id, id, "k.py", 1, std::string(id) + ".ttir", "", {}});

  package::OpRequest tactics; // out = x + tactic, by way of a buffer
  tactics.name = "tactics";
  tactics.inputs = {io("x", "f32")};
  tactics.outputs = {io("out", "f32", {"x[0:]"})};
  tactics.tactics = {{10, "one"}, {20, "two"}};
  for (int32_t id : {10, 20}) {
    package::PlanRequest p;
    p.tactic = id;
    p.workspace = {{"pad", "i8", "3", "", 0}, {"tmp", "f32", "numel(x)", "", 256}};
    p.launches = {launch({"numel(x)"}, {"ptr x", "ptr tmp", "0"}, "add"),
                  launch({"numel(x)"}, {"ptr tmp", "ptr out", std::to_string(id)}, "add")};
    tactics.plans.push_back(p);
  }

  package::OpRequest parted = tactics; // whose tactics take even and positive numbers of elements
  parted.name = "parted";
  parted.plans[0].valid = "x.0 % 2 == 0";
  parted.plans[0].validText = "x has an odd number of elements";
  parted.plans[1].valid = "x.0 > 0";

  package::OpRequest inplace; // x += 1
  inplace.name = "inplace";
  inplace.inputs = {io("x", "f32")};
  inplace.outputs = {io("out", "f32", {"x[0:]"})};
  inplace.outputs[0].alias = "x";
  inplace.outputs[0].inplace = true;
  package::PlanRequest p;
  p.launches = {launch({"numel(out)"}, {"ptr out", "ptr out", "1"}, "add")};
  inplace.plans = {p};

  package::OpRequest nonzero;
  nonzero.name = "nonzero";
  nonzero.inputs = {io("x", "f32")};
  nonzero.outputs = {io("idx", "i64", {"n"}), io("count", "i64"), io("total", "f32")};
  nonzero.outputs[1].size = true;
  nonzero.sizes = {{"n", "count", "numel(x)", ""}};
  package::LaunchRequest clear, clearTotal;
  clear.fill = "count";
  clearTotal.fill = "total";
  package::PlanRequest q;
  q.launches = {clear, launch({"1"}, {"ptr x", "ptr idx", "ptr count", "numel(x)"}, "nonzero"), clearTotal,
                launch({"1"}, {"ptr total", "n * 100"}, "first")};
  q.launches[3].phase = 1;
  nonzero.plans = {q};

  package::OpRequest host; // out[0] = value(steps, -1) + 1000 * present(bias); out has values(steps) sizes
  host.name = "host";
  host.inputs = {io("steps", "i32"), io("bias", "f32")};
  host.inputs[0].host = true;
  host.inputs[1].optional = true;
  host.outputs = {io("out", "f32", {"values(steps)"})};
  package::PlanRequest h;
  h.launches = {launch({}, {"ptr out", "value(steps, -1) + 1000 * present(bias)"}, "first")};
  host.plans = {h};
  package::OpRequest strided; // out[0] = stride of x
  strided.name = "strided";
  strided.inputs = {io("x", "f32")};
  strided.inputs[0].strided = true;
  strided.outputs = {io("out", "f32", {"1"})};
  package::PlanRequest t;
  t.launches = {launch({}, {"ptr out", "stride x.0"}, "first")};
  strided.plans = {t};

  package::OpRequest grown = inplace; // in place, but of another size than what it is an alias of
  grown.name = "grown";
  grown.outputs[0].shape = {"x.0 + 1"};
  r.ops = {tactics, parted, inplace, nonzero, host, strided, grown};
  return r;
}

const Plugin &plugin() {
  static Folder folder;
  static Plugin p([] {
    std::vector<package::KernelObject> objects;
    auto add = [&](const char *id, const char *source, std::vector<package::KernelObject::Param> params) {
      package::KernelObject o;
      o.kernel = id;
      o.level = "x86-64-v3";
      o.entry = std::string("k_") + id;
      o.object = compileC(source, o.entry);
      o.params = std::move(params);
      objects.push_back(o);
    };
    add("add", kAddScalar, {{true, OPW_F32}, {true, OPW_F32}, {false, OPW_I64}});
    add("nonzero", kNonZero, {{true, OPW_F32}, {true, OPW_I64}, {true, OPW_I64}, {false, OPW_I64}});
    add("first", kSetFirst, {{true, OPW_F32}, {false, OPW_I64}});
    Result<package::Packaged> made =
        package::packagePlugin(request(), objects, {folder.path(), runtimeArchive(), "test"});
    if (!made)
      throw std::runtime_error(render(made.diagnostics()));
    return made->library;
  }());
  return p;
}

struct Call {
  char text[256] = "";
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  std::vector<const opw_tensor_t *> inputs;
  std::vector<opw_tensor_t *> outputs;
  opw_call_t call{};
  Call(std::vector<const opw_tensor_t *> in, std::vector<opw_tensor_t *> out)
      : inputs(std::move(in)), outputs(std::move(out)) {
    call.struct_size = sizeof call;
    call.inputs = inputs.data();
    call.outputs = outputs.data();
    call.input_count = static_cast<uint32_t>(inputs.size());
    call.output_count = static_cast<uint32_t>(outputs.size());
    call.device_type = OPW_DEVICE_CPU;
  }
  Call(const Call &) = delete;
};

TEST(Ops, TacticsFirstForcedAndAsked) {
  const opw_api_t &api = *plugin().library->api;
  const opw_op_t *op = plugin().op("t", "tactics");
  float x[5] = {1, 2, 3, 4, 5}, out[5];
  Tensor tx(x, OPW_F32, {5}), tout(out, OPW_F32, {5});
  auto first = [&](int32_t tactic) {
    Outcome o = run(api, op, {&tx.view}, {&tout.view}, {}, tactic);
    return o.status == OPW_OK ? std::to_string(static_cast<int>(out[4])) : o.text;
  };
  EXPECT_EQ(first(0), "15");
  EXPECT_EQ(first(20), "25");
  EXPECT_EQ(api.force(op, 20, nullptr), OPW_OK);
  EXPECT_EQ(first(0), "25");
  EXPECT_EQ(first(10), "15");
  Call c({&tx.view}, {&tout.view});
  opw_choice_t choice{};
  choice.struct_size = sizeof choice;
  ASSERT_EQ(api.choose(op, &c.call, &choice, &c.error), OPW_OK) << c.text;
  EXPECT_EQ(choice.tactic, 20);
  EXPECT_EQ(choice.plan, 1u);
  EXPECT_EQ(api.force(op, 0, nullptr), OPW_OK);
  EXPECT_EQ(api.force(op, 30, &c.error), OPW_E_ARGUMENT);
  EXPECT_STREQ(c.text, "t::tactics: there is no tactic 30");
  EXPECT_EQ(first(0), "15");
}

TEST(Ops, ATacticThatDoesNotTakeTheCallIsPassedOver) {
  const opw_api_t &api = *plugin().library->api;
  const opw_op_t *op = plugin().op("t", "parted");
  float x[4] = {1, 2, 3, 4}, out[4];
  auto first = [&](int64_t n, int32_t tactic) {
    Tensor tx(x, OPW_F32, {n}), tout(out, OPW_F32, {n});
    Outcome o = run(api, op, {&tx.view}, {&tout.view}, {}, tactic);
    return o.status == OPW_OK ? std::to_string(static_cast<int>(out[0])) : std::to_string(o.status) + ": " + o.text;
  };
  EXPECT_EQ(first(4, 0), "11");
  EXPECT_EQ(first(3, 0), "21");
  EXPECT_EQ(first(4, 20), "21");
  EXPECT_EQ(
      first(3, 10),
      "1: t::parted: the call asks for tactic 10, which does not take this call: x has an odd number of elements");
  EXPECT_EQ(first(0, 20), "1: t::parted: the call asks for tactic 20, which does not take this call: the arguments do "
                          "not meet the op's condition");
  EXPECT_EQ(api.force(op, 10, nullptr), OPW_OK);
  EXPECT_EQ(first(3, 0),
            "1: t::parted: force asks for tactic 10, which does not take this call: x has an odd number of elements");
  EXPECT_EQ(api.force(op, 0, nullptr), OPW_OK);
}

TEST(Ops, WorkspaceOfTheCallerTheHostAndOurs) {
  const opw_api_t &api = *plugin().library->api;
  const opw_op_t *op = plugin().op("t", "tactics");
  float x[5] = {1, 2, 3, 4, 5}, out[5];
  Tensor tx(x, OPW_F32, {5}), tout(out, OPW_F32, {5});
  Call c({&tx.view}, {&tout.view});
  size_t bytes = 0;
  ASSERT_EQ(api.workspace(op, &c.call, &bytes, &c.error), OPW_OK) << c.text;
  EXPECT_GE(bytes, 256u + 20);
  std::vector<char> memory(bytes + 1);
  c.call.workspace = memory.data() + 1; // any alignment will do
  c.call.workspace_bytes = bytes;
  EXPECT_EQ(api.run(op, &c.call, &c.error), OPW_OK) << c.text;
  EXPECT_EQ(out[0], 11);
  c.call.workspace_bytes = 100;
  EXPECT_EQ(api.run(op, &c.call, &c.error), OPW_E_MEMORY);
  EXPECT_STREQ(c.text, "t::tactics: the workspace has 100 bytes, expected 276, aligned to 256");
  c.call.workspace = nullptr;
  static int balance = 0;
  opw_host_t host{};
  host.struct_size = sizeof host;
  host.allocate = [](void *, int32_t, int32_t, void *, size_t n, size_t align) -> void * {
    ++balance;
    return aligned_alloc(align, (n + align - 1) / align * align);
  };
  host.release = [](void *, int32_t, int32_t, void *, void *p) {
    --balance;
    free(p);
  };
  c.call.host = &host;
  out[0] = 0;
  EXPECT_EQ(api.run(op, &c.call, &c.error), OPW_OK) << c.text;
  EXPECT_EQ(out[0], 11);
  EXPECT_EQ(balance, 0);
  host.allocate = [](void *, int32_t, int32_t, void *, size_t, size_t) -> void * { return nullptr; };
  EXPECT_EQ(api.run(op, &c.call, &c.error), OPW_E_MEMORY);
  EXPECT_STREQ(c.text, "t::tactics: no memory for 276 bytes of workspace");
}

TEST(Ops, InPlaceTakesOneBufferOrTwo) {
  const opw_api_t &api = *plugin().library->api;
  const opw_op_t *op = plugin().op("t", "inplace");
  EXPECT_TRUE(op->flags & OPW_OP_MUTATES);
  float x[4] = {1, 2, 3, 4}, out[4] = {};
  Tensor tx(x, OPW_F32, {4}), tout(out, OPW_F32, {4}), shifted(x + 1, OPW_F32, {4});
  EXPECT_EQ(run(api, op, {&tx.view}, {&tout.view}).status, OPW_OK);
  EXPECT_EQ(out[3], 5);
  EXPECT_EQ(x[3], 4); // an input is not changed where there are two buffers
  EXPECT_EQ(run(api, op, {&tx.view}, {&tx.view}).status, OPW_OK);
  EXPECT_EQ(x[3], 5);
  EXPECT_EQ(run(api, op, {&tx.view}, {&shifted.view}).text,
            "t::inplace: output out overlaps input x; give it memory of its own");
}

TEST(Ops, DataDependentSizesInOneGoAndInPhases) {
  const opw_api_t &api = *plugin().library->api;
  const opw_op_t *op = plugin().op("t", "nonzero");
  float x[6] = {0, 1, 0, 2, 3, 0}, total = -1;
  int64_t idx[6], count = -1;
  Tensor tx(x, OPW_F32, {6}), tidx(idx, OPW_I64, {6}), tcount(&count, OPW_I64, {}), ttotal(&total, OPW_F32, {});
  Call c({&tx.view}, {&tidx.view, &tcount.view, &ttotal.view});
  ASSERT_EQ(api.run(op, &c.call, &c.error), OPW_OK) << c.text; // all at once, into a buffer of the upper bound
  EXPECT_EQ(count, 3);
  EXPECT_EQ(idx[2], 4);
  EXPECT_EQ(total, 300);
  tidx.view.shape[0] = 5; // a buffer that the kernel could write past
  for (uint32_t phases : {0u, 1u}) {
    c.call.phases = phases;
    EXPECT_EQ(api.run(op, &c.call, &c.error), OPW_E_SHAPE);
    EXPECT_STREQ(c.text, "t::nonzero: output idx is [5], expected room for [6]");
  }
  tidx.view.shape[0] = 6;
  count = -1;
  c.call.phases = 1;
  c.outputs[0] = nullptr; // its size is not known yet
  ASSERT_EQ(api.run(op, &c.call, &c.error), OPW_OK) << c.text;
  EXPECT_EQ(count, 3);
  c.call.phases = 2;
  tidx.view.shape[0] = 3;
  c.outputs[0] = &tidx.view;
  total = 0;
  ASSERT_EQ(api.run(op, &c.call, &c.error), OPW_OK) << c.text;
  EXPECT_EQ(total, 300);
  tidx.view.shape[0] = 4;
  EXPECT_EQ(api.run(op, &c.call, &c.error), OPW_E_SHAPE);
  EXPECT_STREQ(c.text, "t::nonzero: output idx is [4], expected [3]");
  Tensor none(nullptr, OPW_F32, {});
  Call infer({&tx.view}, {&none.view, &tcount.view, &ttotal.view});
  ASSERT_EQ(api.infer(op, &infer.call, &infer.error), OPW_OK) << infer.text;
  EXPECT_EQ(none.view.shape[0], -1);
  infer.call.phases = 2; // what was counted is there
  ASSERT_EQ(api.infer(op, &infer.call, &infer.error), OPW_OK) << infer.text;
  EXPECT_EQ(none.view.shape[0], 3);
  EXPECT_EQ(none.view.ndim, 1);
}

TEST(Ops, CountsMustKeepTheirBounds) {
  const opw_api_t &api = *plugin().library->api;
  const opw_op_t *op = plugin().op("t", "nonzero");
  float x[6] = {}, total = 0;
  int64_t idx[6], count;
  Tensor tx(x, OPW_F32, {6}), tidx(idx, OPW_I64, {6}), tcount(&count, OPW_I64, {}), ttotal(&total, OPW_F32, {});
  Call c({&tx.view}, {&tidx.view, &tcount.view, &ttotal.view});
  c.call.phases = 2;
  for (int64_t wrong : {int64_t{7}, int64_t{-1}, INT64_MAX}) {
    count = wrong;
    std::string text = "t::nonzero: the kernel counted " + std::to_string(wrong) + " for the size n, expected 0 to 6";
    EXPECT_EQ(api.run(op, &c.call, &c.error), OPW_E_SHAPE);
    EXPECT_EQ(c.text, text);
    EXPECT_EQ(api.infer(op, &c.call, &c.error), OPW_E_SHAPE);
    EXPECT_EQ(c.text, text);
  }
  c.outputs[1] = nullptr;
  EXPECT_EQ(api.infer(op, &c.call, &c.error), OPW_E_ARGUMENT);
  EXPECT_STREQ(c.text, "t::nonzero: output count holds the size n, expected an int64 without axes, with data");
}

TEST(Ops, HostValuesAndOptionalInputs) {
  const opw_api_t &api = *plugin().library->api;
  const opw_op_t *op = plugin().op("t", "host");
  int32_t steps[2] = {2, 3};
  float out[6] = {}, bias[1] = {};
  Tensor tsteps(steps, OPW_I32, {2}), tout(out, OPW_F32, {2, 3}), tbias(bias, OPW_F32, {1});
  Outcome o = run(api, op, {&tsteps.view, nullptr}, {&tout.view});
  EXPECT_EQ(o.status, OPW_OK) << o.text;
  EXPECT_EQ(out[0], 3);
  EXPECT_EQ(run(api, op, {&tsteps.view}, {&tout.view}).status, OPW_OK); // optional ones at the end may be left out
  EXPECT_EQ(run(api, op, {&tsteps.view, &tbias.view}, {&tout.view}).status, OPW_OK);
  EXPECT_EQ(out[0], 1003);
  Tensor wrong(out, OPW_F32, {3, 2});
  EXPECT_EQ(run(api, op, {&tsteps.view}, {&wrong.view}).text, "t::host: output out is [3, 2], expected [2, 3]");
  Tensor unknown(nullptr, OPW_I32, {2}), shape(nullptr, OPW_F32, {});
  Call infer({&unknown.view}, {&shape.view});
  ASSERT_EQ(api.infer(op, &infer.call, &infer.error), OPW_OK) << infer.text;
  EXPECT_EQ(shape.view.ndim, 2);
  EXPECT_EQ(shape.view.shape[1], -1);
}

TEST(Ops, ASizeThatThePhasesBeforeWroteIsChecked) {
  const opw_api_t &api = *plugin().library->api;
  const opw_op_t *op = plugin().op("t", "nonzero");
  float x[2] = {1, 1}, total = 0;
  int64_t idx[8], count = 5;
  char memory[64];
  Tensor tx(x, OPW_F32, {2}), tidx(idx, OPW_I64, {5}), tcount(&count, OPW_I64, {}), ttotal(&total, OPW_F32, {});
  Call c({&tx.view}, {&tidx.view, &tcount.view, &ttotal.view});
  c.call.phases = 2;
  c.call.workspace = memory;
  c.call.workspace_bytes = sizeof memory;
  EXPECT_EQ(api.run(op, &c.call, &c.error), OPW_E_SHAPE);
  EXPECT_STREQ(c.text, "t::nonzero: the kernel counted 5 for the size n, expected 0 to 2");
  count = -3;
  EXPECT_EQ(api.run(op, &c.call, &c.error), OPW_E_SHAPE);
  EXPECT_STREQ(c.text, "t::nonzero: the kernel counted -3 for the size n, expected 0 to 2");
  // one element or none: the value is read before the shape of idx follows from it, so count is checked first
  tcount.view.shape[0] = 0;
  tcount.view.ndim = 1;
  tcount.view.data = reinterpret_cast<void *>(64);
  EXPECT_EQ(api.run(op, &c.call, &c.error), OPW_E_ARGUMENT);
  EXPECT_STREQ(c.text, "t::nonzero: output count holds the size n, expected an int64 without axes, with data");
}

TEST(Ops, HostValuesAreNotReadWhereTheyAreNotInHostMemory) {
  const opw_api_t &api = *plugin().library->api;
  const opw_op_t *op = plugin().op("t", "host");
  int32_t steps[3] = {2, 3, 4};
  int64_t gap[1] = {2};
  Tensor tsteps(steps, OPW_I32, {2}), shape(nullptr, OPW_F32, {});
  Call c({&tsteps.view}, {&shape.view});
  tsteps.view.data = reinterpret_cast<void *>(64);
  tsteps.view.device_type = OPW_DEVICE_CUDA;
  EXPECT_EQ(api.infer(op, &c.call, &c.error), OPW_E_DEVICE);
  EXPECT_STREQ(c.text, "t::host: steps is on device 2:0, expected 1:0");
  tsteps.view.data = steps;
  tsteps.view.device_type = OPW_DEVICE_CPU;
  tsteps.view.strides = gap;
  EXPECT_EQ(api.infer(op, &c.call, &c.error), OPW_E_LAYOUT);
}

TEST(Ops, ASizeOfMinusOneIsNotAnUnknownOne) {
  const opw_api_t &api = *plugin().library->api;
  int32_t steps[2] = {3, -1};
  Tensor tsteps(steps, OPW_I32, {2}), shape(nullptr, OPW_F32, {});
  Call c({&tsteps.view}, {&shape.view});
  EXPECT_EQ(api.infer(plugin().op("t", "host"), &c.call, &c.error), OPW_E_SHAPE);
  EXPECT_STREQ(c.text, "t::host: output out would have the size -1 in axis 1");
}

TEST(Ops, InPlaceOfAnotherSizeIsRefused) {
  float x[4] = {}, out[5];
  Tensor tx(x, OPW_F32, {4}), tout(out, OPW_F32, {5});
  EXPECT_EQ(run(*plugin().library->api, plugin().op("t", "grown"), {&tx.view}, {&tout.view}).text,
            "t::grown: out is changed in place and has 20 bytes, but x has 16");
}

TEST(Ops, StridesThatReachTooFarAreRefused) {
  const opw_api_t &api = *plugin().library->api;
  const opw_op_t *op = plugin().op("t", "strided");
  float x[4] = {}, out[1] = {};
  Tensor tx(x, OPW_F32, {2, 2}), tout(out, OPW_F32, {1});
  int64_t strides[2] = {-2, 1};
  tx.view.strides = strides;
  tx.view.data = x + 2;
  EXPECT_EQ(run(api, op, {&tx.view}, {&tout.view}).text, "");
  EXPECT_EQ(out[0], -2);
  for (int64_t far : {INT64_MIN, INT64_MAX, INT64_C(1) << 61}) {
    strides[0] = far;
    EXPECT_EQ(run(api, op, {&tx.view}, {&tout.view}).text, "t::strided: the strides of x reach over 2^63 bytes");
  }
  Tensor empty(x, OPW_F32, {2, INT64_C(1) << 40, INT64_C(1) << 40, 0}); // its row-major strides overflow; nobody minds
  EXPECT_EQ(run(api, op, {&empty.view}, {&tout.view}).status, OPW_OK);
}

TEST(Ops, ARunWithoutAnArrayOfOutputsIsRefused) {
  const opw_api_t &api = *plugin().library->api;
  float x[1] = {};
  Tensor tx(x, OPW_F32, {1});
  Call c({&tx.view}, {&tx.view});
  c.call.outputs = nullptr;
  EXPECT_EQ(api.run(plugin().op("t", "inplace"), &c.call, &c.error), OPW_E_ARGUMENT);
  EXPECT_STREQ(c.text, "t::inplace: the array of outputs is null");
  EXPECT_EQ(api.infer(plugin().op("t", "inplace"), &c.call, &c.error), OPW_E_ARGUMENT);
}

TEST(Ops, OtherDevicesAreRefusedForNow) {
  const opw_api_t &api = *plugin().library->api;
  const opw_op_t *op = plugin().op("t", "inplace");
  char text[128] = "";
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  EXPECT_EQ(api.prepare(nullptr, OPW_DEVICE_CPU, 0, &error), OPW_OK);
  EXPECT_EQ(api.prepare(op, OPW_DEVICE_CUDA, 0, &error), OPW_E_UNSUPPORTED);
  opw_error_t tiny{sizeof tiny, OPW_OK, text, 12};
  EXPECT_EQ(api.prepare(op, OPW_DEVICE_CUDA, 0, &tiny), OPW_E_UNSUPPORTED);
  EXPECT_STREQ(text, "this runtim"); // cut, with its NUL
}

} // namespace
} // namespace opw::testing
