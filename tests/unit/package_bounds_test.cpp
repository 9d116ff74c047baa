// Bounds of programs and of the workspace over all calls between two. That they hold for every call is fuzz_program's.
#include "package/package.h"
#include "package_kit.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace opw::testing {
namespace {

package::IoRequest input(const char *name, bool host = false) {
  package::IoRequest r;
  r.name = name;
  r.type = host ? "i32" : "f32";
  r.host = host;
  return r;
}

/// An op without a kernel, whose output is filled.
package::OpRequest opOf(const char *name, std::vector<package::IoRequest> inputs) {
  package::OpRequest op;
  op.name = name;
  op.inputs = std::move(inputs);
  op.outputs = {input("out")};
  op.outputs[0].shape = {"numel(a)"};
  package::PlanRequest plan;
  plan.launches.resize(1);
  plan.launches[0].fill = "out";
  op.plans = {plan};
  return op;
}

const Plugin &plugin() {
  static Folder folder;
  static Plugin p([] {
    package::Request r;
    r.library = "libbounds.so";
    r.ns = "t";
    r.cpuLevels = {"x86-64-v3"};
    package::OpRequest splitK = opOf("split_k", {input("a"), input("b")});
    splitK.vars = {{"M", "a.0"},
                   {"K", "a.1"},
                   {"N", "b.1"},
                   {"T", "cdiv(M, 64) * cdiv(N, 64)"},
                   {"S", "min(max(132 // T, 1), cdiv(K, 256))"}};
    splitK.tactics = {{1, "split"}, {2, "whole"}};
    splitK.plans.push_back(splitK.plans[0]);
    splitK.plans[0].workspace = {{"partial", "f32", "S * M * N", "", 256}};
    splitK.plans[1].tactic = 2;
    package::OpRequest odd = opOf("odd", {input("a"), input("steps", true)});
    package::AttrRequest k;
    k.name = "k";
    k.kind = "int";
    k.fallback = int64_t{1};
    odd.attrs = {k};
    odd.valid = "a.1 == 64";
    odd.vars = {{"square", "a.0 * a.1"},
                {"step", "value(steps, -1) * 10"},
                {"bounded", "min(a.0 * a.0 * a.0 * a.0, 1000) + k"},
                {"huge", "a.0 * a.0 * a.0 * a.0"},
                {"never", "a.0 // 0"},
                {"half", "ceil(a.0 * 0.5)"},
                {"other", "7 if rank(a) == 2 else 1 // 0"}};
    package::OpRequest upper = opOf("upper", {input("a")});
    upper.plans[0].workspace = {{"w", "f32", "a.0 // (a.0 - 5)", "16", 0}};
    package::OpRequest square = opOf("square", {input("a")});
    square.valid = "1 if a.0 == a.1 else -2";
    square.validText = "a must be square";
    square.vars = {{"area", "a.0 * (100 - a.1)"}};
    package::OpRequest parted = opOf("parted", {input("a")});
    parted.tactics = {{1, "small"}, {2, "any"}};
    parted.plans.push_back(parted.plans[0]);
    parted.plans[0].valid = "a.0 * a.1 <= 1000";
    parted.plans[0].workspace = {{"squares", "f32", "a.0 * a.1 * a.0 * a.1", "", 0}};
    parted.plans[1].tactic = 2;
    parted.plans[1].workspace = {{"row", "f32", "a.1", "", 0}};
    r.ops = {splitK, odd, upper, square, parted};
    Result<package::Packaged> made = package::packagePlugin(r, {}, {folder.path(), runtimeArchive(), "test"});
    if (!made)
      throw std::runtime_error(render(made.diagnostics()));
    return made->library;
  }());
  return p;
}

/// A call that says the sizes of one input, or of two.
struct Sizes {
  explicit Sizes(const std::vector<int64_t> &first, const std::vector<int64_t> &second = {}) {
    tensors.emplace_back(nullptr, OPW_F32, first);
    if (!second.empty())
      tensors.emplace_back(nullptr, OPW_F32, second);
    for (Tensor &t : tensors) {
      t.view.shape = t.shape.data();
      views.push_back(&t.view);
    }
    call.struct_size = sizeof call;
    call.inputs = views.data();
    call.input_count = static_cast<uint32_t>(views.size());
    call.device_type = OPW_DEVICE_CPU;
  }
  Sizes(const Sizes &) = delete;
  std::vector<Tensor> tensors;
  std::vector<const opw_tensor_t *> views;
  opw_call_t call{};
};

struct Bounded {
  opw_status_t status;
  int64_t least, most;
  std::string text;
};

Bounded bounds(const opw_op_t *op, int var, const Sizes &low, const Sizes &high) {
  char text[256] = "";
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  int64_t range[2] = {-1, -1};
  const opw_program_t *program = var < 0 ? nullptr : &op->vars[var];
  opw_status_t status = plugin().library->api->bounds(op, program, &low.call, &high.call, range, &error);
  return {status, range[0], range[1], text};
}

constexpr int kWorkspace = -1;

TEST(Bounds, WorkspaceOfSplitKIsFarBelowTheWorstOfEachSize) {
  auto bytes = [](int64_t m, int64_t n, int64_t k) {
    int64_t tiles = ((m + 63) / 64) * ((n + 63) / 64), s = std::min(std::max(132 / tiles, int64_t{1}), (k + 255) / 256);
    return s * m * n * 4 + 256; // what its alignment may cost included
  };
  int64_t most = 0;
  for (int64_t m = 1; m <= 704; ++m)
    for (int64_t n = 1; n <= 704; ++n)
      most = std::max(most, bytes(m, n, 8192));
  Sizes low({1, 8192}, {8192, 1}), high({704, 8192}, {8192, 704});
  Bounded b = bounds(plugin().op("t", "split_k"), kWorkspace, low, high);
  ASSERT_EQ(b.status, OPW_OK) << b.text;
  EXPECT_EQ(b.least, 0);                  // the other tactic needs none
  EXPECT_GT(most, bytes(704, 704, 8192)); // the largest shapes are not the largest workspace
  EXPECT_GE(b.most, most);
  EXPECT_LE(b.most, most * 13 / 10);
}

TEST(Bounds, OneCallIsExact) {
  Sizes call({100, 8192}, {8192, 300});
  const opw_op_t *op = plugin().op("t", "split_k");
  Bounded t = bounds(op, 3, call, call), s = bounds(op, 4, call, call);
  EXPECT_EQ(t.least, 10);
  EXPECT_EQ(t.most, 10);
  EXPECT_EQ(s.least, 13);
  EXPECT_EQ(s.most, 13);
}

TEST(Bounds, TheConditionOfTheOpNarrowsThem) {
  Bounded b = bounds(plugin().op("t", "square"), 0, Sizes({1, 1}), Sizes({100, 100}));
  EXPECT_EQ(b.least, 0);
  EXPECT_GE(b.most, 2500); // of calls where both are equal; 9900 without the condition
  EXPECT_LE(b.most, 2600);
}

TEST(Bounds, APlanCountsForTheCallsThatItTakes) {
  Bounded b = bounds(plugin().op("t", "parted"), kWorkspace, Sizes({1, 1}), Sizes({1 << 20, 1 << 20}));
  ASSERT_EQ(b.status, OPW_OK) << b.text;
  EXPECT_GE(b.most, 4 << 20);                // a row
  EXPECT_LE(b.most, 2 * (int64_t{4} << 20)); // and not the squares of 2^40 elements
}

TEST(Bounds, ProgramsOfEachKind) {
  int32_t two[2] = {1, 2}, three[2] = {1, 3};
  Sizes low({1, 64}, {2}), high({1000, 64}, {2});
  low.tensors[1] = Tensor(two, OPW_I32, {2});
  high.tensors[1] = Tensor(three, OPW_I32, {2});
  for (Sizes *call : {&low, &high})
    call->tensors[1].view.shape = call->tensors[1].shape.data();
  const opw_op_t *op = plugin().op("t", "odd");
  enum { Square, Step, Clipped, Huge, Never, Half, Other };
  EXPECT_EQ(bounds(op, Square, low, high).most, 64000);
  EXPECT_EQ(bounds(op, Step, low, high).least, 20);
  EXPECT_EQ(bounds(op, Step, low, high).most, 30);
  EXPECT_EQ(bounds(op, Clipped, low, high).most, 1001);
  EXPECT_EQ(bounds(op, Half, low, high).most, 500);
  EXPECT_EQ(bounds(op, Other, low, high).most, 7);
  high.tensors[0].shape[0] = int64_t{1} << 40;
  EXPECT_EQ(bounds(op, Clipped, low, high).most, 1001);
  EXPECT_EQ(bounds(op, Huge, low, high).text, "t::odd: the program has no bound; give `upper`");
  EXPECT_EQ(bounds(op, Huge, low, high).status, OPW_E_SHAPE);
  EXPECT_EQ(bounds(op, Never, low, high).text, "t::odd: the program has no value between the two calls");
}

TEST(Bounds, TheAuthorsUpperBoundCounts) {
  Sizes low({1}), high({10});
  Bounded b = bounds(plugin().op("t", "upper"), kWorkspace, low, high);
  ASSERT_EQ(b.status, OPW_OK) << b.text;
  EXPECT_EQ(b.least, 0);
  EXPECT_EQ(b.most, 16 * 4 + 64);
}

TEST(Bounds, CallsThatDifferInMoreThanSizesAreRefused) {
  const opw_op_t *op = plugin().op("t", "odd"), *upper = plugin().op("t", "upper");
  int32_t steps[2] = {1, 2};
  Sizes low({1, 64}, {2}), high({9, 64}, {2});
  for (Sizes *call : {&low, &high}) {
    call->tensors[1] = Tensor(steps, OPW_I32, {2});
    call->tensors[1].view.shape = call->tensors[1].shape.data();
  }
  opw_attr_value_t k = intAttr(5);
  high.call.attrs = &k;
  high.call.attr_count = 1;
  EXPECT_EQ(bounds(op, 0, low, high).text,
            "t::odd: attribute k differs between the calls; expected calls that differ in sizes only");
  high.call.attr_count = 0;
  EXPECT_EQ(bounds(op, 0, high, low).text, "t::odd: a has the size 9 in axis 0 of the low call, 1 in the high one");
  Sizes flat({4}), deep({4, 4});
  EXPECT_EQ(bounds(upper, kWorkspace, flat, deep).text,
            "t::upper: a has another rank, element type or presence in the low call than in the high one");
  char text[128] = "";
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  int64_t range[2];
  const opw_api_t &api = *plugin().library->api;
  EXPECT_EQ(api.bounds(upper, nullptr, nullptr, &flat.call, range, &error), OPW_E_ARGUMENT);
  EXPECT_STREQ(text, "t::upper: the call is null");
  EXPECT_EQ(api.bounds(upper, nullptr, &flat.call, &flat.call, nullptr, &error), OPW_E_ARGUMENT);
  EXPECT_STREQ(text, "t::upper: the place for the bounds is null");
}

} // namespace
} // namespace opw::testing
