// opwright/plugin.hpp over built plugins: calls, attributes, results, host services, and what is refused before
// mapping.
#include "opwright/plugin.hpp"
#include "package/package.h"
#include "package_kit.h"

#include <gtest/gtest.h>
#include <mutex>
#include <sys/stat.h>
#include <thread>

// Counts what a call allocates. Not inlined: GCC takes the pair of malloc and free that it would see for a mismatch.
static thread_local int allocations;
[[gnu::noinline]] void *operator new(size_t bytes) {
  ++allocations;
  if (void *p = std::malloc(bytes ? bytes : 1))
    return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void *p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void *p, size_t) noexcept { std::free(p); }

namespace opw::testing {
namespace {

using opwright::DType;
using opwright::view;

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

package::AttrRequest attr(const char *name, const char *kind, package::AttrDefault fallback = {}) {
  package::AttrRequest a;
  a.name = name;
  a.kind = kind;
  a.fallback = std::move(fallback);
  return a;
}

package::LaunchRequest fill(const char *tensor) {
  package::LaunchRequest l;
  l.fill = tensor;
  return l;
}

package::LaunchRequest later(package::LaunchRequest l) {
  l.phase = 1;
  return l;
}

package::OpRequest op(const char *name, std::vector<package::IoRequest> inputs, std::vector<package::IoRequest> outputs,
                      std::vector<package::LaunchRequest> launches) {
  package::OpRequest r;
  r.name = name;
  r.inputs = std::move(inputs);
  r.outputs = std::move(outputs);
  package::PlanRequest plan;
  plan.launches = std::move(launches);
  r.plans = {plan};
  return r;
}

struct Kernel {
  const char *id, *source;
  std::vector<package::KernelObject::Param> params;
};

const std::vector<Kernel> &kernels() {
  constexpr auto f32 = OPW_F32, f64 = OPW_F64, i64 = OPW_I64;
  static const std::vector<Kernel> all = {
      {"add",
       R"(KERNEL { // out[p] = in[p] + value
        const float *in = (const float *)args->slots[0]; float *out = (float *)args->slots[1]; (void)scratch;
        for (int64_t p = lo; p < hi; p++) out[p] = in[p] + (float)(int64_t)args->slots[2];
        return 0; })",
       {{true, f32}, {true, f32}, {false, i64}}},
      {"scale32",
       R"(KERNEL {
        const float *in = (const float *)args->slots[0]; float *out = (float *)args->slots[1]; double by; (void)scratch;
        memcpy(&by, &args->slots[2], 8);
        for (int64_t p = lo; p < hi; p++) out[p] = (float)(in[p] * by);
        return 0; })",
       {{true, f32}, {true, f32}, {false, f64}}},
      {"scale64",
       R"(KERNEL {
        const double *in = (const double *)args->slots[0]; double *out = (double *)args->slots[1], by; (void)scratch;
        memcpy(&by, &args->slots[2], 8);
        for (int64_t p = lo; p < hi; p++) out[p] = in[p] * by;
        return 0; })",
       {{true, f64}, {true, f64}, {false, f64}}},
      {"list",
       R"(KERNEL { // out[i] = the i-th scalar
        double *out = (double *)args->slots[0]; (void)scratch; (void)lo; (void)hi;
        for (int i = 0; i < 9; i++) memcpy(&out[i], &args->slots[i + 1], 8);
        return 0; })",
       {{true, f64},
        {false, f64},
        {false, f64},
        {false, f64},
        {false, f64},
        {false, f64},
        {false, f64},
        {false, f64},
        {false, f64},
        {false, f64}}},
      {"find",
       R"(KERNEL { // indices of what is above 0, and their number
        const float *in = (const float *)args->slots[0];
        int64_t *out = (int64_t *)args->slots[1], *count = (int64_t *)args->slots[2]; (void)scratch; (void)lo; (void)hi;
        for (int64_t i = 0; i < (int64_t)args->slots[3]; i++) if (in[i] > 0) out[(*count)++] = i;
        return 0; })",
       {{true, f32}, {true, i64}, {true, i64}, {false, i64}}},
      {"copy2",
       R"(KERNEL { // pairs of an index and its double
        const int64_t *in = (const int64_t *)args->slots[0]; int64_t *out = (int64_t *)args->slots[1]; (void)scratch;
        for (int64_t p = lo; p < hi; p++) { out[2 * p] = in[p]; out[2 * p + 1] = 2 * in[p]; }
        return 0; })",
       {{true, i64}, {true, i64}}},
      {"fail", "KERNEL { (void)args; (void)lo; (void)hi; (void)scratch; return 1; }", {}},
  };
  return all;
}

package::Request request() {
  package::Request r;
  r.library = "libface.so";
  r.ns = "t";
  r.cpuLevels = {"x86-64-v3"};
  for (const Kernel &k : kernels())
    r.kernels.push_back({k.id, k.id, "k.py", 1, std::string(k.id) + ".ttir", "", {}});

  package::OpRequest scale = op("scale", {io("x", "T")}, {io("out", "T", {"x[0:]"})}, {});
  scale.doc = "x * by";
  scale.typevars = {{"T", {"f32", "f64"}}};
  scale.combos = {{"f32"}, {"f64"}};
  scale.attrs = {attr("by", "float", 2.0)};
  scale.plans[0].launches = {launch({"numel(x)"}, {"ptr x", "ptr out", "attr by"}, "scale32")};
  scale.plans.push_back(scale.plans[0]);
  scale.plans[1].combo = 1;
  scale.plans[1].launches = {launch({"numel(x)"}, {"ptr x", "ptr out", "attr by"}, "scale64")};

  package::OpRequest tactics = op("tactics", {io("x", "f32")}, {io("out", "f32", {"x[0:]"})}, {}); // by way of a buffer
  tactics.tactics = {{10, "one"}, {20, "two"}};
  tactics.plans.clear();
  for (int32_t id : {10, 20}) {
    package::PlanRequest p;
    p.tactic = id;
    p.workspace = {{"tmp", "f32", "numel(x)", "", 256}};
    p.launches = {launch({"numel(x)"}, {"ptr x", "ptr tmp", "0"}, "add"),
                  launch({"numel(x)"}, {"ptr tmp", "ptr out", std::to_string(id)}, "add")};
    tactics.plans.push_back(p);
  }

  package::OpRequest list = op("list", {}, {io("out", "f64", {"9"})}, {});
  list.attrs = {attr("i", "int"),
                attr("f", "float", 0.5),
                attr("b", "bool", false),
                attr("mode", "enum", std::string("near")),
                attr("type", "dtype", std::string("f32")),
                attr("pads", "ints", std::vector<int64_t>{1, 2}),
                attr("weights", "floats", std::vector<double>{0.25}),
                attr("names", "strings", std::vector<std::string>{"a"}),
                attr("text", "string", std::string("t"))};
  list.attrs[3].choices = {"near", "far"};
  list.plans[0].launches = {launch({},
                                   {"ptr out", "attr i", "attr f", "attr b", "attr mode", "attr type", "pads[1]",
                                    "weights[0]", "len(names)", "len(pads)"},
                                   "list")};

  package::OpRequest atOnce = op("at_once", {io("x", "f32")}, {io("idx", "i64", {"n"}), io("count", "i64")},
                                 {fill("count"), launch({"1"}, {"ptr x", "ptr idx", "ptr count", "numel(x)"}, "find")});
  package::OpRequest inPhases =
      op("in_phases", {io("x", "f32")}, {io("pairs", "i64", {"n + 0", "2"}), io("count", "i64")},
         {fill("count"), launch({"1"}, {"ptr x", "ptr found", "ptr count", "numel(x)"}, "find"),
          later(launch({"n"}, {"ptr found", "ptr pairs"}, "copy2"))});
  inPhases.plans[0].workspace = {{"found", "i64", "numel(x)", "", 0}};
  package::OpRequest inner = op("inner", {io("x", "f32")}, {io("idx", "i64", {"2", "n"}), io("count", "i64")},
                                {fill("count"), launch({"1"}, {"ptr x", "ptr idx", "ptr count", "numel(x)"}, "find")});
  for (package::OpRequest *o : {&atOnce, &inPhases, &inner}) {
    o->outputs[1].size = true;
    o->sizes = {{"n", "count", "numel(x)", ""}};
  }

  package::OpRequest inPlace = op("in_place", {io("x", "f32")}, {io("out", "f32", {"x[0:]"})},
                                  {launch({"numel(out)"}, {"ptr out", "ptr out", "1"}, "add")});
  inPlace.outputs[0].alias = "x";
  inPlace.outputs[0].inplace = true;
  package::OpRequest many =
      op("many", {io("x", "f32"), io("bias", "f32"), io("more", "f32")},
         {io("out", "f32", {"1"}), io("extra", "f32", {"1"})},
         {launch({}, {"ptr x", "ptr out", "count(more) * 10 + present(bias)"}, "add"), fill("extra")});
  many.inputs[1].optional = many.inputs[2].variadic = many.outputs[1].optional = true;
  package::OpRequest flags =
      op("flags", {io("x", "f32")}, {io("out", "f32", {"1"})},
         {launch({}, {"ptr x", "ptr out", "10 * flags[0] + flags[1] + 100 * len(flags)"}, "add")});
  flags.attrs = {attr("flags", "bools")};
  package::OpRequest bytes = op("bytes", {io("x", "f32")}, {io("out", "f32", {"1"})},
                                {launch({}, {"ptr x", "ptr out", "1000 * len(data) + data[-1]"}, "add")});
  bytes.attrs = {attr("data", "bytes", std::vector<int64_t>{1, 2})};
  package::OpRequest fails = op("fails", {}, {io("out", "f32", {})}, {launch({}, {}, "fail")});
  r.ops = {scale, tactics, list, atOnce, inPhases, inner, inPlace, many, flags, bytes, fails};
  package::OpRequest other = scale;
  other.ns = "u";
  r.ops.push_back(other);
  other.name = "scale2";
  r.ops.push_back(other);
  return r;
}

const std::string &path() {
  static Folder folder;
  static const std::string library = [] {
    std::vector<package::KernelObject> objects;
    for (const Kernel &k : kernels()) {
      package::KernelObject o;
      o.kernel = k.id;
      o.level = "x86-64-v3";
      o.entry = std::string("k_") + k.id;
      o.object = compileC(k.source, o.entry);
      o.params = k.params;
      objects.push_back(o);
    }
    Result<package::Packaged> made =
        package::packagePlugin(request(), objects, {folder.path(), runtimeArchive(), "opwright test"});
    if (!made)
      throw std::runtime_error(render(made.diagnostics()));
    return made->library;
  }();
  return library;
}

opwright::Op get(const char *name) { return opwright::Library(path()).op(name); }

/// "status: text" of what a function throws.
template <class Function> std::string refusal(Function &&function) {
  try {
    function();
  } catch (const opwright::Error &e) {
    return std::to_string(e.status()) + ": " + e.what();
  }
  return "nothing";
}

template <class T> std::vector<T> valuesOf(opwright::Array &array) {
  return {array.values<T>().begin(), array.values<T>().end()};
}

TEST(PluginFace, OneLineCalls) {
  opwright::Op scale = get("t::scale");
  const std::vector<float> x = {1, 2, 3, 4, 5, 6};
  opwright::Array y = scale({view(x, {2, 3})});
  EXPECT_EQ(y.dtype(), DType::f32);
  EXPECT_EQ(y.shape(), (opwright::Shape{2, 3}));
  EXPECT_EQ(valuesOf<float>(y), (std::vector<float>{2, 4, 6, 8, 10, 12}));
  double d[] = {1, 2};
  opwright::Array z = scale({view(d, {2})}, {{"by", -1}}); // an integer passes for a float
  EXPECT_EQ(valuesOf<double>(z), (std::vector<double>{-1, -2}));
  opwright::Array again = scale({z}, {{"by", 0.5f}});
  EXPECT_EQ(again.values<double>()[1], -1);
  opwright::Array empty = scale({view(static_cast<const float *>(nullptr), {0, 3})});
  EXPECT_EQ(empty.size(), 0u);
}

TEST(PluginFace, CallsIntoTheCallersMemory) {
  float x[4] = {1, 2, 3, 4}, out[4] = {};
  opwright::Call call(get("t::scale"));
  call.input(view(x, {4})).output(view(out, {4})).attr("by", 3).run();
  EXPECT_EQ(out[3], 12);
  x[3] = 5;
  call.run(); // views are of the memory, not of its values
  EXPECT_EQ(out[3], 15);
  double wide[1] = {2}, wideOut[1];
  call.inputs({view(wide, {1})}).outputs({view(wideOut, {1})}).run();
  EXPECT_EQ(wideOut[0], 6);
  opwright::Call moved = std::move(call);
  moved.run();
  opwright::Call inPlace(get("t::in_place"));
  inPlace.inputs({view(x, {4})}).outputs({view(x, {4})}).run();
  EXPECT_EQ(x[0], 2);
  opwright::Array changed = get("t::in_place")({view(x, {4})});
  EXPECT_EQ(changed.values<float>()[0], 3);
  EXPECT_EQ(x[0], 2);
}

TEST(PluginFace, ACallThatRunsAgainAllocatesNothing) {
  float x[4] = {1, 2, 3, 4}, y[4], out[4];
  opwright::Call call(get("t::scale"));
  call.input(view(x, {4})).output(view(out, {4})).attr("by", 3).run();
  const int before = allocations;
  call.run();
  call.inputs({view(out, {2, 2})}).outputs({view(y, {2, 2})}).run();
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(y[3], 36);
}

TEST(PluginFace, InferChooseAndWorkspace) {
  opwright::Call call(get("t::tactics"));
  std::vector<float> x = {1, 2}, out(2);
  call.input(view(static_cast<const float *>(nullptr), {-1, 7}));
  EXPECT_EQ(call.infer()[0].shape, (opwright::Shape{-1, 7}));
  call.inputs({view(x)}).outputs({view(out)});
  EXPECT_EQ(call.infer()[0].dtype, DType::f32);
  EXPECT_EQ(call.choose().tactic, 10);
  EXPECT_EQ(call.choose().dtypes, (std::vector<DType>{DType::f32, DType::f32}));
  EXPECT_EQ(call.tactic(20).choose().tactic, 20);
  std::vector<std::byte> memory(call.workspaceBytes());
  EXPECT_GE(memory.size(), 8u);
  call.workspace(memory.data(), memory.size()).run();
  EXPECT_EQ(out[1], 22);
  EXPECT_EQ(refusal([&] { call.workspace(memory.data(), 1).run(); }),
            "7: t::tactics: the workspace has 1 bytes, expected 8, aligned to 256");
  EXPECT_EQ(refusal([&] { call.tactic(7).run(); }),
            "13: t::tactics: the call asks for tactic 7, which does not run these element types on a CPU");
}

TEST(PluginFace, AttributesOfEveryKind) {
  opwright::Op list = get("t::list");
  opwright::Array out = list({}, {{"i", 7}});
  EXPECT_EQ(valuesOf<double>(out), (std::vector<double>{7, 0.5, 0, 0, OPW_F32, 2, 0.25, 1, 2}));
  out = list({}, {{"i", uint8_t{8}},
                  {"f", 1.5},
                  {"b", true},
                  {"mode", "far"},
                  {"type", DType::bf16},
                  {"pads", {3, 4, 5}},
                  {"weights", {2, 3}},
                  {"names", {"x", "y"}},
                  {"text", std::string("long enough to lie on the heap")}});
  EXPECT_EQ(valuesOf<double>(out), (std::vector<double>{8, 1.5, 1, 1, OPW_BF16, 4, 2, 2, 3}));
  const std::vector<int32_t> pads = {9, 8};
  const std::vector<float> weights = {0.125f};
  opwright::Call call(list);
  call.attr("i", 1)
      .attr("type", "i64")
      .attr("pads", pads)
      .attr("weights", weights)
      .attr("names", std::vector<std::string>{});
  opwright::Call moved = std::move(call); // what the attributes point to comes along
  out = moved.compute();
  EXPECT_EQ(valuesOf<double>(out), (std::vector<double>{1, 0.5, 0, 0, OPW_I64, 8, 0.125, 0, 2}));
}

TEST(PluginFace, ListsOfBools) {
  float x[1] = {0};
  opwright::Call call(get("t::flags"));
  call.input(view(x, {1}));
  EXPECT_EQ(call.attr("flags", {true, false}).compute()[0].item<float>(), 210);
  EXPECT_EQ(call.attr("flags", std::vector<bool>{false, true, true}).compute()[0].item<float>(), 301);
  EXPECT_EQ(refusal([&] { call.attr("flags", {1, 2}); }),
            "1: t::flags: attribute flags: found a list of integers, expected a list of bools");
  EXPECT_EQ(refusal([&] { call.compute(); }), "1: t::flags: attribute flags is missing and has no default");
}

TEST(PluginFace, Bytes) {
  float x[1] = {0};
  opwright::Call call(get("t::bytes"));
  call.input(view(x, {1}));
  EXPECT_EQ(call.compute()[0].item<float>(), 2002);
  EXPECT_EQ(call.attr("data", std::string("a\0\xff", 3)).compute()[0].item<float>(), 3255);
  EXPECT_EQ(call.attr("data", std::vector<uint8_t>{200, 0}).compute()[0].item<float>(), 2000);
  EXPECT_EQ(call.attr("data", {7}).compute()[0].item<float>(), 1007);
  EXPECT_EQ(refusal([&] { call.attr("data", {7, 256}); }),
            "1: t::bytes: attribute data: found a list of integers, expected bytes");
  EXPECT_EQ(refusal([&] { call.attr("data", "").compute(); }).substr(0, 11), "6: t::bytes");
}

TEST(PluginFace, AttributesThatDoNotFit) {
  opwright::Call call(get("t::list"));
  EXPECT_EQ(refusal([&] { call.attr("j", 1); }),
            "1: t::list: found no attribute 'j', expected one of: i, f, b, mode, type, "
            "pads, weights, names, text");
  EXPECT_EQ(refusal([&] { call.attr("i", 1.5); }), "1: t::list: attribute i: found a float, expected an integer");
  EXPECT_EQ(refusal([&] { call.attr("b", 1); }), "1: t::list: attribute b: found an integer, expected a bool");
  EXPECT_EQ(refusal([&] { call.attr("pads", {1.5}); }),
            "1: t::list: attribute pads: found a list of floats, expected a list of integers");
  EXPECT_EQ(refusal([&] { call.attr("mode", "off"); }),
            "1: t::list: attribute mode: found 'off', expected one of 'near', 'far'");
  EXPECT_EQ(refusal([&] { call.attr("type", "float"); }).substr(0, 77),
            "1: t::list: attribute type: found 'float', expected an element type: bool, i8");
  EXPECT_EQ(refusal([&] { call.attr("i", UINT64_MAX); }),
            "1: found the attribute value 18446744073709551615, expected one below 2^63");
  EXPECT_EQ(refusal([&] { call.compute(); }), "1: t::list: attribute i is missing and has no default");
  EXPECT_EQ(refusal([&] { get("t::tactics")({}, {{"i", 1}}); }),
            "1: t::tactics: found no attribute 'i', expected one of: none");
}

TEST(PluginFace, OptionalAndVariadic) {
  float x[1] = {1}, b[1] = {0};
  opwright::Op many = get("t::many");
  auto first = [&](std::initializer_list<opwright::Input> inputs) {
    return std::move(many(inputs).take<2>()[0]).item<float>();
  };
  EXPECT_EQ(first({view(x, {1}), nullptr}), 1);
  EXPECT_EQ(first({view(x, {1}), view(b, {1})}), 2);
  EXPECT_EQ(first({view(x, {1}), nullptr, view(x, {1}), view(b, {1}), view(b, {1})}), 31);
  opwright::Array out(DType::f32, {1});
  opwright::Call(many).inputs({view(x, {1}), nullptr}).outputs({out, nullptr}).run();
  EXPECT_EQ(out.item<float>(), 1);
  EXPECT_EQ(refusal([&] { many({nullptr, nullptr}); }), "1: t::many: input x is null");
}

TEST(PluginFace, SizesThatDependOnTheData) {
  float x[6] = {0, 1, 0, 2, 3, 0};
  auto [idx, count] = get("t::at_once")({view(x, {6})}).take<2>();
  EXPECT_EQ(valuesOf<int64_t>(idx), (std::vector<int64_t>{1, 3, 4}));
  EXPECT_EQ(count.item<int64_t>(), 3);
  opwright::Results results = get("t::in_phases")({view(x, {6})});
  EXPECT_EQ(results["pairs"].shape(), (opwright::Shape{3, 2}));
  EXPECT_EQ(valuesOf<int64_t>(results["pairs"]), (std::vector<int64_t>{1, 2, 3, 6, 4, 8}));
  float none[2] = {};
  EXPECT_EQ(get("t::in_phases")({view(none, {2})})["pairs"].shape(), (opwright::Shape{0, 2}));
  EXPECT_EQ(
      refusal([&] { get("t::inner")({view(x, {6})}); }),
      "13: t::inner: output idx would be laid out by an upper bound that is not its first size; give outputs() of that "
      "bound");
  int64_t bound[12], n[1];
  opwright::Call(get("t::inner")).inputs({view(x, {6})}).outputs({view(bound, {2, 6}), view(n, {})}).run();
  EXPECT_EQ(n[0], 3);
  opwright::Call call(get("t::in_phases"));
  std::vector<std::byte> memory(call.inputs({view(x, {6})}).workspaceBytes());
  EXPECT_EQ(call.infer()[0].shape, (opwright::Shape{-1, 2}));
  EXPECT_EQ(call.workspace(memory.data(), memory.size()).compute().size(), 2u); // the caller's workspace
  EXPECT_EQ(call.compute()["count"].item<int64_t>(), 3);                        // and once more
}

TEST(PluginFace, RefusalsComeAsErrors) {
  float x[4] = {};
  opwright::Op scale = get("t::scale");
  EXPECT_EQ(refusal([&] { scale({}); }), "1: t::scale: found 0 inputs, expected 1");
  int32_t i[1] = {};
  EXPECT_EQ(refusal([&] { scale({view(i, {1})}); }),
            "2: t::scale: no combination of element types takes (x: i32); expected (x: f32) or (x: f64)");
  EXPECT_EQ(refusal([&] { opwright::Call(scale).inputs({view(x, {2, 2}, {1, 2})}).outputs({view(x, {2, 2})}).run(); }),
            "5: t::scale: x is not contiguous: the stride of axis 1 is 2, expected 1; pass a row-major copy");
  opwright::Call full(scale);
  full.input(view(x, {4})).output(view(x, {4}));
  EXPECT_EQ(refusal([&] { full.compute(); }),
            "1: t::scale: found outputs of the caller's, which run() fills; compute() makes its own");
  EXPECT_EQ(refusal([&] { full.run(); }), "1: t::scale: output out overlaps input x; give it memory of its own");
  EXPECT_EQ(refusal([&] { get("t::fails")({}); }).substr(0, 3), "9: ");
  const std::vector<float> five(5);
  EXPECT_EQ(refusal([&] { view(five, {2, 3}); }), "3: found 5 elements for a view of the shape [2, 3], expected 6");
  EXPECT_EQ(refusal([&] { view(x, {2, 2}, {2}); }),
            "3: found strides [2] for the shape [2, 2], expected one for each axis");
  opwright::Array y = scale({view(x, {4})});
  EXPECT_EQ(refusal([&] { y.values<double>(); }), "2: found an array of f32, expected f64");
  opwright::Array moved = std::move(y);
  EXPECT_EQ(refusal([&] { y.values<float>(); }), "1: found an array that was moved away, expected one with elements");
  y = std::move(moved);
  EXPECT_EQ(refusal([&] { y.item<float>(); }), "3: found the shape [4], expected one element");
  EXPECT_EQ(refusal([&] { scale({y}).take<2>(); }),
            "1: t::scale: found 1 outputs, expected 2; use take<1>(), or one by its name: out");
  EXPECT_EQ(refusal([&] { opwright::Array one = get("t::at_once")({view(five)}); }),
            "1: t::at_once: found 2 outputs, expected 1; use take<2>(), or one by its name: idx, count");
  EXPECT_EQ(refusal([&] { scale({y})["z"]; }), "1: t::scale: found no output 'z', expected one of: out");
  EXPECT_EQ(refusal([&] { opwright::Array(DType::f32, {2, -1}); }),
            "3: found the shape [2, -1], expected sizes of 0 or more and at most 2^62 elements");
  EXPECT_EQ(refusal([&] { opwright::Shape(five.begin(), five.begin()).add(1), opwright::Shape(x, x + 0); }), "nothing");
  EXPECT_EQ(refusal([&] {
              opwright::Shape shape;
              for (int n = 0; n < 17; ++n)
                shape.add(1);
            }),
            "3: found more than 16 axes, expected at most that many");
}

TEST(PluginFace, TheHostsServices) {
  std::vector<float> x(1000, 1), out(1000);
  std::mutex mutex;
  int64_t covered = 0, balance = 0;
  opwright::Host host;
  host.threads = [] { return 4; };
  host.parallelFor = [&](int64_t count, int64_t grain, const opwright::Host::Body &body) {
    EXPECT_GE(grain, 1);
    std::thread other([&] { body(count / 2, count); });
    body(0, count / 2);
    other.join();
    std::lock_guard<std::mutex> lock(mutex);
    covered += count;
  };
  host.allocate = [&](size_t bytes, size_t align) {
    ++balance;
    return std::aligned_alloc(align, (bytes + align - 1) / align * align);
  };
  host.release = [&](void *memory) {
    --balance;
    std::free(memory);
  };
  opwright::Call call(get("t::tactics"));
  call.inputs({view(x)}).outputs({view(out)}).host(host).run();
  EXPECT_EQ(out[999], 11);
  EXPECT_GT(covered, 0);
  EXPECT_EQ(balance, 0);
  host.allocate = [](size_t, size_t) { return nullptr; };
  EXPECT_EQ(refusal([&] { call.run(); }), "7: t::tactics: no memory for 4000 bytes of workspace");
  host.allocate = nullptr;
  host.parallelFor = [](int64_t, int64_t, const opwright::Host::Body &) { throw std::out_of_range("from the pool"); };
  EXPECT_THROW(call.run(), std::out_of_range); // the host's own exception, after the library has cleaned up
  host.parallelFor = [](int64_t count, int64_t, const opwright::Host::Body &body) { body(0, count); };
  call.run();
  opwright::Call fails(get("t::fails"));
  EXPECT_EQ(refusal([&] { fails.host(host).compute(); }).substr(0, 3), "9: "); // what a body says goes to the runtime
}

TEST(PluginFace, TablesCanBeRead) {
  opwright::Library library(path());
  EXPECT_EQ(library.ops().size(), 13u);
  EXPECT_EQ(library.producer(), "opwright test");
  opwright::Op scale = library.op("t::scale", 1);
  EXPECT_EQ(scale.name(), "t::scale");
  EXPECT_EQ(scale.doc(), "x * by");
  EXPECT_EQ(scale.version(), 1);
  EXPECT_EQ(scale.dtypes(), (std::vector<std::vector<DType>>{{DType::f32, DType::f32}, {DType::f64, DType::f64}}));
  EXPECT_EQ(scale.attributes()[0].name, "by");
  EXPECT_FALSE(scale.attributes()[0].required);
  EXPECT_EQ(library.op("t::tactics").tactics()[1].text, "two");
  std::vector<opwright::AttrInfo> attributes = library.op("t::list").attributes();
  EXPECT_TRUE(attributes[0].required);
  EXPECT_EQ(attributes[3].choices, (std::vector<std::string_view>{"near", "far"}));
  std::vector<opwright::TensorInfo> inputs = library.op("t::many").inputs();
  EXPECT_EQ(inputs[1].flags, OPW_IO_OPTIONAL);
  EXPECT_EQ(inputs[2].flags, OPW_IO_VARIADIC);
  EXPECT_EQ(inputs[0].rankMax, 16u);
  for (const opwright::Op &o : library.ops())
    o.prepare();
}

TEST(PluginFace, OpsAreFoundByName) {
  opwright::Library library(path());
  EXPECT_EQ(library.op("scale2").name(), "u::scale2");
  EXPECT_EQ(refusal([&] { library.op("scale"); }),
            "1: " + path() + " has t::scale and u::scale, expected one op of that name; ask for it with its namespace");
  EXPECT_NE(refusal([&] { library.op("t::sub"); }).find(" has no op 't::sub'; it has t::scale, t::tactics, t::list"),
            std::string::npos);
  EXPECT_NE(refusal([&] { library.op("t::scale", 2); }).find(" has no op 't::scale' of version 2; it has"),
            std::string::npos);
  opwright::Library linked([](uint32_t major) {
    return opwright::Library(path()).table()->abi_major == major ? opwright::Library(path()).table() : nullptr;
  });
  EXPECT_EQ(linked.op("scale2").name(), "u::scale2");
  EXPECT_EQ(refusal([] { opwright::Library([](uint32_t) -> const opw_library_t * { return nullptr; }); }),
            "11: the library was built for another plugin ABI, expected major 0; build it again with this version of "
            "Opwright");
}

TEST(PluginFace, OneOpFromManyThreads) {
  opwright::Op op = get("t::tactics");
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      std::vector<float> x(100, static_cast<float>(t));
      for (int i = 0; i < 50; ++i)
        right += opwright::Array(op({view(x)})).values<float>()[99] == static_cast<float>(t + 10);
    });
  for (std::thread &t : threads)
    t.join();
  EXPECT_EQ(right, 400);
}

// --- files -----------------------------------------------------------------------------------------------------------

TEST(PluginFile, EveryCutAndEveryChangedByteIsRefused) {
  Folder folder;
  const std::string whole = readAll(path()), place = folder / "damaged.so";
  auto refused = [&](const std::string &bytes) {
    std::filesystem::remove(place);
    writeAll(place, bytes);
    const std::string text = refusal([&] { opwright::Library library(place); });
    return text.compare(0, 4, "12: ") == 0 && text.find(place) != text.npos;
  };
  for (size_t n = 0; n < whole.size(); n += n < 130 || n + 130 > whole.size() ? 1 : 571)
    ASSERT_TRUE(refused(whole.substr(0, n))) << n;
  for (size_t i = 0; i < whole.size(); i += i < 130 || i + 130 > whole.size() ? 1 : 307)
    for (char bits : {1, 64, -1}) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ bits);
      ASSERT_TRUE(refused(changed)) << i;
    }
  EXPECT_TRUE(refused(whole + "x"));
  EXPECT_TRUE(refused(""));
  EXPECT_FALSE(refused(whole));
}

TEST(PluginFile, EveryNameOfAFileAndEveryCopy) {
  Folder folder;
  const std::string copy = folder / "copy.so", link = folder / "link.so";
  std::filesystem::copy_file(path(), copy);
  std::filesystem::create_symlink(path(), link);
  const opw_library_t *table = opwright::Library(path()).table();
  EXPECT_EQ(opwright::Library(path()).table(), table);
  EXPECT_EQ(opwright::Library(link).table(), table);
  EXPECT_EQ(opwright::Library(std::filesystem::relative(path())).table(), table);
  EXPECT_NE(opwright::Library(copy).table(), table);
}

TEST(PluginFile, WithoutASeal) {
  Folder folder;
  const std::string place = folder / "byhand.so", whole = readAll(path());
  writeAll(place, whole.substr(0, whole.size() - sizeof(opwright::Seal)));
  EXPECT_EQ(refusal([&] { opwright::Library library(place); }),
            "12: " + place +
                " has no seal: it was cut short or changed after it was built, or it was made by hand; copy or build "
                "it again, or ask for an unsealed library");
  EXPECT_EQ(opwright::Library(place, opwright::unsealed).op("scale2").name(), "u::scale2");
  writeAll(folder / "cut.so", whole.substr(0, whole.size() / 2));
  EXPECT_NE(refusal([&] { opwright::Library library(folder / "cut.so", opwright::unsealed); }).find("is cut short"),
            std::string::npos);
  std::string changed = whole;
  changed[whole.size() / 2] ^= 1;
  writeAll(folder / "changed.so", changed);
  EXPECT_NE(refusal([&] { opwright::Library library(folder / "changed.so", opwright::unsealed); }).find("is damaged"),
            std::string::npos);
}

TEST(PluginFile, AnotherFileUnderTheNameOfALoadedOne) {
  Folder folder;
  package::Request r = addRequest();
  auto build = [&](const char *doc) {
    r.ops[0].doc = doc;
    return package::packagePlugin(r, addObjects(r), {folder.path(), runtimeArchive(), "opwright test"})->library;
  };
  const std::string place = build("first");
  EXPECT_EQ(opwright::Library(place).op("add").doc(), "first");
  build("second");
  EXPECT_EQ(refusal([&] { opwright::Library library(place); }),
            "12: " + place +
                " is loaded already, from an earlier file of that name; start a new process, or load a copy that has "
                "another name");
  std::filesystem::copy_file(place, folder / "copy.so");
  EXPECT_EQ(opwright::Library(folder / "copy.so").op("add").doc(), "second");
}

TEST(PluginFile, WhatIsNoLibrary) {
  Folder folder;
  writeAll(folder / "text", "hello");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  for (const auto &[name, text] : std::vector<std::pair<std::string, std::string>>{
           {folder / "none.so",
            " cannot be read (No such file or directory); build the plugin again or correct the path"},
           {folder.path(), " cannot be read (Is a directory); build the plugin again or correct the path"},
           {folder / "pipe", " cannot be read (Invalid argument); build the plugin again or correct the path"},
           {folder / "text", " is not a shared library: it does not open with the header of one; check the path"}})
    EXPECT_EQ(refusal([&, &file = name] { opwright::Library library(file); }), "12: " + name + text);
  EXPECT_NE(
      refusal([] { opwright::Library library("/proc/self/exe", opwright::unsealed); }).find("12: /proc/self/exe "),
      std::string::npos);
}

TEST(PluginFile, TheChecksumIsThatOfZlib) {
  EXPECT_EQ(opwright::crc32("123456789", 9), 0xcbf43926u); // the check value of the standard
  EXPECT_EQ(opwright::crc32("6789", 4, opwright::crc32("12345", 5)), 0xcbf43926u);
  EXPECT_EQ(opwright::crc32("", 0), 0u);
}

} // namespace
} // namespace opw::testing
