// Whole plugins: built from C-compiled kernels, loaded, run, looked at.
#include "package/elf_read.h"
#include "package/faces.h"
#include "package/package.h"
#include "package/tables.h"
#include "package_kit.h"

#include <algorithm>
#include <cstdio>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace opw::testing {
namespace {

package::Packaged build(const package::Request &request, const std::string &workspace) {
  Result<package::Packaged> result =
      package::packagePlugin(request, addObjects(request), {workspace, runtimeArchive(), "opwright test"});
  if (!result)
    throw std::runtime_error(render(result.diagnostics()));
  return *result;
}

struct AddCase {
  alignas(64) float x[1000], y[1000], out[1000];
  Tensor tx{x, OPW_F32, {10, 100}}, ty{y, OPW_F32, {10, 100}}, tout{out, OPW_F32, {10, 100}};
  AddCase() {
    for (int i = 0; i < 1000; ++i) {
      x[i] = static_cast<float>(i);
      y[i] = 2;
      out[i] = -1;
    }
  }
};

/// One plugin for the tests that only read it.
const Plugin &shared() {
  static Folder folder;
  static Plugin plugin(build(addRequest(), folder.path()).library);
  return plugin;
}

TEST(PackagePlugin, RunsWithAttributesAndDefaults) {
  const Plugin &p = shared();
  const opw_op_t *op = p.op("sample", "add");
  ASSERT_NE(op, nullptr);
  AddCase c;
  Outcome o = run(*p.library->api, op, {&c.tx.view, &c.ty.view}, {&c.tout.view}, {floatAttr(0.5)});
  ASSERT_EQ(o.status, OPW_OK) << o.text;
  for (int i = 0; i < 1000; ++i)
    ASSERT_EQ(c.out[i], static_cast<float>(i + 1));
  o = run(*p.library->api, op, {&c.tx.view, &c.ty.view}, {&c.tout.view});
  ASSERT_EQ(o.status, OPW_OK) << o.text;
  EXPECT_EQ(c.out[999], 1001);
}

TEST(PackagePlugin, GuardsPickTheVariant) {
  const Plugin &p = shared();
  AddCase c;
  Tensor x(c.x + 1, OPW_F32, {999}), y(c.y + 1, OPW_F32, {999}), out(c.out + 1, OPW_F32, {999}); // 4-byte aligned only
  Outcome o = run(*p.library->api, p.op("sample", "add"), {&x.view, &y.view}, {&out.view});
  ASSERT_EQ(o.status, OPW_OK) << o.text;
  EXPECT_EQ(c.out[1], 103);
}

TEST(PackagePlugin, EmptyTensorsRunNothing) {
  const Plugin &p = shared();
  Tensor x(nullptr, OPW_F32, {0, 4}), y(nullptr, OPW_F32, {0, 4}), out(nullptr, OPW_F32, {0, 4});
  Outcome o = run(*p.library->api, p.op("sample", "add"), {&x.view, &y.view}, {&out.view});
  EXPECT_EQ(o.status, OPW_OK) << o.text;
}

TEST(PackagePlugin, InfersShapes) {
  const Plugin &p = shared();
  const opw_op_t *op = p.op("sample", "add");
  Tensor x(nullptr, OPW_F32, {-1, 4}), out(nullptr, OPW_F64, {});
  const opw_tensor_t *in[] = {&x.view, &x.view};
  opw_tensor_t *results[] = {&out.view};
  opw_call_t call{};
  call.struct_size = sizeof call;
  call.inputs = in;
  call.outputs = results;
  call.input_count = 2;
  call.output_count = 1;
  call.device_type = OPW_DEVICE_CPU;
  ASSERT_EQ(p.library->api->infer(op, &call, nullptr), OPW_OK);
  EXPECT_EQ(out.view.ndim, 2);
  EXPECT_EQ(out.view.shape[0], -1);
  EXPECT_EQ(out.view.shape[1], 4);
  EXPECT_EQ(out.view.dl_bits, 32);
}

struct Refusal {
  const char *what;
  opw_status_t status;
  const char *text;
  void (*change)(AddCase &);
};

TEST(PackagePlugin, RefusesBadCallsWithTheirReason) {
  const Plugin &p = shared();
  static int64_t strides[2] = {1, 10};
  const Refusal kRefusals[] = {
      {"dtype", OPW_E_DTYPE,
       "sample::add: no combination of element types takes (x: f32, y: f64, out: f32); expected (x: f32, y: f32, out: "
       "f32)",
       [](AddCase &c) { c.ty.view.dl_bits = 64; }},
      {"null data", OPW_E_ARGUMENT, "sample::add: x has no data", [](AddCase &c) { c.tx.view.data = nullptr; }},
      {"rank", OPW_E_SHAPE, "sample::add: x has rank 17, expected 0 to 16", [](AddCase &c) { c.tx.view.ndim = 17; }},
      {"negative size", OPW_E_SHAPE, "sample::add: x has the size -3 in axis 1",
       [](AddCase &c) { c.tx.view.shape[1] = -3; }},
      {"device", OPW_E_DEVICE, "sample::add: y is on device 2:0, expected 1:0",
       [](AddCase &c) { c.ty.view.device_type = 2; }},
      {"strides", OPW_E_LAYOUT,
       "sample::add: x is not contiguous: the stride of axis 1 is 10, expected 1; pass a row-major copy",
       [](AddCase &c) { c.tx.view.strides = strides; }},
      {"alignment", OPW_E_LAYOUT, nullptr, [](AddCase &c) { c.tx.view.byte_offset = 2; }},
      {"shape of the output", OPW_E_SHAPE, "sample::add: output out is [10, 99], expected [10, 100]",
       [](AddCase &c) { c.tout.view.shape[1] = 99; }},
      {"condition", OPW_E_ARGUMENT, "sample::add: x and y must have the same number of elements",
       [](AddCase &c) { c.ty.view.shape[1] = 5; }},
      {"overlap", OPW_E_ARGUMENT, "sample::add: output out overlaps input x; give it memory of its own",
       [](AddCase &c) { c.tout.view.data = c.x; }},
      {"too large", OPW_E_OVERFLOW, "sample::add: x has more than 2^63 bytes",
       [](AddCase &c) {
         c.tx.view.shape[0] = c.tx.view.shape[1] = c.ty.view.shape[0] = c.ty.view.shape[1] = int64_t{1} << 31;
       }},
      {"does not fit in i32", OPW_E_OVERFLOW, "sample::add: argument 3 is 3000000000, which does not fit in i32",
       [](AddCase &c) {
         for (Tensor *t : {&c.tx, &c.ty, &c.tout}) {
           t->view.shape[0] = 3000000000;
           t->view.shape[1] = 1;
         }
         // addresses that do not meet; they are never read
         c.tx.view.data = reinterpret_cast<void *>(0x1000000000);
         c.ty.view.data = reinterpret_cast<void *>(0x2000000000);
         c.tout.view.data = reinterpret_cast<void *>(0x3000000000);
       }},
  };
  for (const Refusal &r : kRefusals) {
    AddCase c;
    r.change(c);
    Outcome o = run(*p.library->api, p.op("sample", "add"), {&c.tx.view, &c.ty.view}, {&c.tout.view});
    EXPECT_EQ(o.status, r.status) << r.what << ": " << o.text;
    if (r.text) {
      EXPECT_EQ(o.text, r.text) << r.what;
    }
  }
}

TEST(PackagePlugin, RefusesWrongCountsAndAttributes) {
  const Plugin &p = shared();
  const opw_op_t *op = p.op("sample", "add");
  AddCase c;
  const opw_api_t &api = *p.library->api;
  EXPECT_EQ(run(api, op, {&c.tx.view}, {&c.tout.view}).text, "sample::add: found 1 inputs, expected 2");
  EXPECT_EQ(run(api, op, {&c.tx.view, nullptr}, {&c.tout.view}).text, "sample::add: input y is null");
  EXPECT_EQ(run(api, op, {&c.tx.view, &c.ty.view}, {}).text, "sample::add: found 0 outputs, expected 1");
  EXPECT_EQ(run(api, op, {&c.tx.view, &c.ty.view}, {&c.tout.view}, {intAttr(1)}).text,
            "sample::add: attribute alpha: found int, expected float");
  EXPECT_EQ(run(api, op, {&c.tx.view, &c.ty.view}, {&c.tout.view}, {floatAttr(1), floatAttr(2)}).text,
            "sample::add: found 2 attributes, expected at most 1");
  EXPECT_EQ(run(api, op, {&c.tx.view, &c.ty.view}, {&c.tout.view}, {}, 7).text,
            "sample::add: the call asks for tactic 7, which does not run these element types on a CPU");
  EXPECT_EQ(run(api, nullptr, {}, {}).text, "the op is null");
  opw_op_t foreign = *op;
  EXPECT_EQ(run(api, &foreign, {}, {}).text, "the op is none of this library's");
  opw_call_t old{};
  old.struct_size = 40;
  char text[128] = "";
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  EXPECT_EQ(api.run(op, &old, &error), OPW_E_ABI);
  EXPECT_STREQ(text, "sample::add: the call's struct_size is 40, expected at least 96");
}

TEST(PackagePlugin, QueryKnowsOneMajor) {
  const Plugin &p = shared();
  auto query = reinterpret_cast<opw_library_fn>(p.symbol("opw_library"));
  EXPECT_EQ(query(OPW_ABI_MAJOR + 1), nullptr);
  EXPECT_EQ(query(OPW_ABI_MAJOR), p.library);
  EXPECT_EQ(p.library->abi_minor, OPW_ABI_MINOR);
  EXPECT_EQ(p.op("sample", "sub"), nullptr);
  EXPECT_EQ(p.library->api->find("sample", "add", 2), nullptr);
  EXPECT_NE(p.library->api->find("sample", "add", 1), nullptr);
}

TEST(PackagePlugin, TakesTheHighestLevelThatTheCpuHas) {
  Folder folder;
  package::Request r = addRequest();
  r.cpuLevels = {"x86-64-v3", "x86-64-v4"};
  std::string library = build(r, folder.path()).library;
  AddCase c;
  bool v4 =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  Plugin plain(library);
  run(*plain.library->api, plain.op("sample", "add"), {&c.tx.view, &c.ty.view}, {&c.tout.view});
  EXPECT_EQ(c.out[0], v4 ? 1002 : 2);
  setenv("OPW_CPU_LEVEL", "x86-64-v3", 1);
  Plugin lowered(library);
  run(*lowered.library->api, lowered.op("sample", "add"), {&c.tx.view, &c.ty.view}, {&c.tout.view});
  EXPECT_EQ(c.out[0], 2);
  setenv("OPW_CPU_LEVEL", "x86-64-v2", 1);
  Plugin old(library);
  Outcome o = run(*old.library->api, old.op("sample", "add"), {&c.tx.view, &c.ty.view}, {&c.tout.view});
  unsetenv("OPW_CPU_LEVEL");
  EXPECT_EQ(o.status, OPW_E_DEVICE);
  EXPECT_EQ(
      o.text,
      "sample::add: this CPU has the level x86-64-v2, kernel add_kernel needs one of: x86-64-v3, x86-64-v4; run on "
      "a CPU with AVX2 and FMA");
}

TEST(PackagePlugin, ExportsItsFacesAndNeedsLibcAlone) {
  Folder folder;
  package::Packaged built = build(addRequest(), folder.path());
  Result<package::SharedObject> object = package::readSharedObject(readAll(built.library), built.library);
  ASSERT_TRUE(object);
  EXPECT_EQ(object->needed, std::vector<std::string>{"libc.so.6"});
  EXPECT_EQ(object->soname, "libadd.so");
  std::vector<std::string> names;
  for (const auto &s : object->exported)
    names.push_back(s.name);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names,
            (std::vector<std::string>{"RegisterCustomOps", "__tvm_ffi_add", "__tvm_ffi_sample__add", "opw_library"}));
  EXPECT_FALSE(object->textRelocations);
  EXPECT_FALSE(object->executableStack);
  EXPECT_TRUE(object->nodelete);
  EXPECT_TRUE(object->bindNow);
  EXPECT_FALSE(built.glibc.empty());
}

TEST(PackagePlugin, LeavesOutAFaceThatNobodyAskedFor) {
  Folder folder;
  package::Request r = addRequest();
  uint64_t all = build(r, folder.path()).bytes;
  r.faces = {"c", "onnxruntime"};
  uint64_t two = build(r, folder.path()).bytes;
  EXPECT_LT(two, all);
  r.faces = {"c"};
  package::Packaged built = build(r, folder.path());
  EXPECT_LT(built.bytes, two);
  Result<package::SharedObject> object = package::readSharedObject(readAll(built.library), built.library);
  ASSERT_TRUE(object);
  EXPECT_EQ(object->exported.size(), 1u);
}

/// An op as `sample::add` under another name.
package::OpRequest addAs(const char *ns, const char *name, int32_t version = 1) {
  package::OpRequest op = addRequest().ops[0];
  op.ns = ns;
  op.name = name;
  op.version = version;
  return op;
}

std::vector<std::string> tvmFfiNames(std::vector<package::OpRequest> ops) {
  package::Request r = addRequest();
  r.ops = std::move(ops);
  std::vector<std::string> names;
  for (const package::Stub &stub : package::entryPoints(r).stubs)
    for (const std::string &name : stub.names)
      names.push_back(name.substr(std::string("__tvm_ffi_").size()) + " " + std::to_string(stub.number));
  return names;
}

TEST(PackagePlugin, ShortNamesForTvmFfiWhereTheyAreUnambiguous) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(tvmFfiNames({addAs("a", "add"), addAs("b", "add"), addAs("b", "sub")}),
            (Names{"a__add 0", "b__add 1", "b__sub 2", "sub 2"}));
  // of several versions the newest
  EXPECT_EQ(tvmFfiNames({addAs("a", "add", 2), addAs("a", "add", 3), addAs("a", "add")}), (Names{"a__add 1", "add 1"}));
  // what is another op's full name, or TVM-FFI's own
  EXPECT_EQ(tvmFfiNames({addAs("a", "add"), addAs("b", "a__add")}), (Names{"a__add 0", "add 0", "b__a__add 1"}));
  EXPECT_EQ(tvmFfiNames({addAs("a", "main"), addAs("a", "_doc_x")}), (Names{"a___doc_x 1", "a__main 0"}));
}

TEST(PackagePlugin, RefusesAlignmentsThatTheTablesCannotSay) {
  package::Request r = addRequest();
  const std::vector<package::KernelObject> objects = addObjects(r);
  auto refusal = [&](uint32_t align) {
    r.ops[0].inputs[0].align = align;
    package::Arena arena;
    Result<opw_tables_t *> tables = package::fillTables(arena, r, objects, {}, "test");
    return tables ? "" : render(tables.diagnostics());
  };
  for (uint32_t align : {0u, 1u, 64u, 32768u})
    EXPECT_EQ(refusal(align), "");
  for (uint32_t align : {48u, 65536u, 1u << 31})
    EXPECT_NE(refusal(align).find("x is aligned to " + std::to_string(align) + ", expected a power of two up to 32768"),
              std::string::npos)
        << refusal(align);
}

TEST(PackagePlugin, RefusesNamesThatTvmFfiCannotTellApart) {
  package::Request r = addRequest();
  r.ops = {addAs("a__b", "c"), addAs("a", "b__c")};
  EXPECT_EQ(
      render(package::checkRequest(r).diagnostics()),
      "error: found the name __tvm_ffi_a__b__c for TVM-FFI, which a::b__c has too [a__b::c]\n  hint: rename one of "
      "them, or leave tvmffi out of the faces\n");
  r.ops = {addAs("_metadata_a", "b")};
  EXPECT_EQ(
      render(package::checkRequest(r).diagnostics()),
      "error: found the name __tvm_ffi__metadata_a__b, which is TVM-FFI's own [_metadata_a::b]\n  hint: rename the "
      "namespace, or leave tvmffi out of the faces\n");
  r.faces = {"c"};
  EXPECT_TRUE(package::checkRequest(r));
}

TEST(PackagePlugin, SameInputSameBytes) {
  Folder a, b;
  std::filesystem::create_directories(b / "a/much/longer/path");
  std::string first = readAll(build(addRequest(), a.path()).library);
  std::string second = readAll(build(addRequest(), b / "a/much/longer/path").library);
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(first, second);
  EXPECT_EQ(first.find(a.path()), std::string::npos);
}

TEST(PackagePlugin, FailureLeavesTheEarlierLibrary) {
  Folder folder;
  package::Request r = addRequest();
  std::string library = build(r, folder.path()).library, before = readAll(library);
  std::vector<package::KernelObject> objects = addObjects(r);
  objects[0].object = "no object";
  Result<package::Packaged> broken =
      package::packagePlugin(r, objects, {folder.path(), runtimeArchive(), "opwright test"});
  ASSERT_FALSE(broken);
  EXPECT_EQ(readAll(library), before);
  for (const auto &entry : std::filesystem::directory_iterator(folder.path()))
    EXPECT_EQ(entry.path().filename(), "output"); // nothing is left of the attempt
}

TEST(PackagePlugin, UndefinedSymbolIsNamed) {
  Folder folder;
  package::Request r = addRequest();
  std::vector<package::KernelObject> objects = addObjects(r);
  objects[0].object = compileC("double sin(double); KERNEL { return sin((double)lo) > hi; }", objects[0].entry);
  Result<package::Packaged> broken =
      package::packagePlugin(r, objects, {folder.path(), runtimeArchive(), "opwright test"});
  ASSERT_FALSE(broken);
  EXPECT_NE(render(broken.diagnostics()).find("sin"), std::string::npos) << render(broken.diagnostics());
  objects[0].object = compileC("int puts(const char *); KERNEL { return puts(\"\"); }", objects[0].entry);
  broken = package::packagePlugin(r, objects, {folder.path(), runtimeArchive(), "opwright test"});
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.diagnostics()[0].message, "the linked plugin is not sound: it leaves puts undefined");
}

TEST(PackagePlugin, MissingLinkerIsSaid) {
  Folder folder;
  std::string path = getenv("PATH");
  setenv("PATH", folder.path().c_str(), 1);
  unsetenv("CC");
  package::Request r = addRequest();
  std::vector<package::KernelObject> objects;
  setenv("PATH", path.c_str(), 1);
  objects = addObjects(r);
  setenv("PATH", folder.path().c_str(), 1);
  Result<package::Packaged> none =
      package::packagePlugin(r, objects, {folder.path(), runtimeArchive(), "opwright test"});
  setenv("CC", "no-such-compiler -x", 1);
  Result<package::Packaged> wrong =
      package::packagePlugin(r, objects, {folder.path(), runtimeArchive(), "opwright test"});
  unsetenv("CC");
  setenv("PATH", path.c_str(), 1);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.diagnostics()[0].str(),
            "error: found no linker: tried cc, gcc and clang on PATH [no-linker]\n  hint: install one (Debian, "
            "Ubuntu: apt-get install gcc), or set CC to a C compiler");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.diagnostics()[0].message,
            "found no linker: tried CC='no-such-compiler -x', cc, gcc and clang on PATH");
}

TEST(PackagePlugin, WorkspaceInTheWayIsSaid) {
  Folder folder;
  writeAll(folder / "output", "a file");
  package::Request r = addRequest();
  Result<package::Packaged> built =
      package::packagePlugin(r, addObjects(r), {folder.path(), runtimeArchive(), "opwright test"});
  ASSERT_FALSE(built);
  EXPECT_EQ(built.diagnostics()[0].message, "cannot make the directory '" + (folder / "output") + "': Not a directory");
}

TEST(PackagePlugin, CutLibrariesAreRefusedWithoutMappingThem) {
  Folder folder;
  std::string bytes = readAll(build(addRequest(), folder.path()).library);
  for (size_t n = 0; n < bytes.size(); n += n < 4096 ? 61 : 997)
    EXPECT_FALSE(package::readSharedObject(std::string_view(bytes).substr(0, n), "cut")) << n;
  // every single byte of the headers, wrong: an answer or an error, never a read outside
  for (size_t i = 0; i < 2048; ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0xff);
    (void)package::readSharedObject(damaged, "damaged");
  }
}

} // namespace
} // namespace opw::testing
