// buildPlugin with kernels that are compiled from C: the cache, the order of refusals, what a failure leaves.
#include "driver/build.h"
#include "package/files.h"
#include "package/sha256.h"
#include "package_kit.h"

#include <atomic>
#include <cerrno>
#include <gtest/gtest.h>
#include <mutex>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace opw::testing {
namespace {

using driver::BuildOptions;
using driver::BuildReport;
using driver::CompiledKernel;
using driver::CompileOptions;

std::atomic<int> compilations{0};

constexpr const char *kKernel = R"(
KERNEL {
  const float *x = (const float *)args->slots[0], *y = (const float *)args->slots[1];
  float *out = (float *)args->slots[2];
  int64_t n = (int64_t)args->slots[3], end = hi * 256 < n ? hi * 256 : n;
  (void)scratch;
  for (int64_t i = lo * 256; i < end; i++) out[i] = x[i] + y[i];
  return 0;
}
)";

Result<CompiledKernel> fakeCompile(std::string_view ttir, const CompileOptions &options) {
  ++compilations;
  if (ttir.find("broken") != ttir.npos) {
    Diagnostic d;
    d.where = {"add.py", 9, 3};
    d.op = "tt.frob";
    d.message = "the op is not supported";
    return d;
  }
  CompiledKernel k;
  k.object = compileC(kKernel, options.entry);
  k.entry = options.entry;
  k.name = "add_kernel";
  k.grain = 4;
  using ir::Elem;
  k.params = {{true, Elem::F32}, {true, Elem::F32}, {true, Elem::F32}, {false, Elem::I32}, {false, Elem::F32}};
  return k;
}

struct Workspace : Folder {
  package::Request request = addRequest();
  Workspace() {
    for (package::KernelRequest &k : request.kernels) {
      writeAll(*this / k.ttir, "text of " + k.id);
      k.sha256 = package::sha256Hex("text of " + k.id);
    }
  }
  Result<BuildReport> build() const {
    return driver::buildPlugin(request, BuildOptions{path(), runtimeArchive(), "test", 2}, fakeCompile);
  }
  std::string cacheEntry() const {
    for (const auto &e : std::filesystem::directory_iterator(path() + "/cache"))
      return e.path().string();
    return "";
  }
};

std::string text(const Result<BuildReport> &r) { return r ? "" : render(r.diagnostics()); }

TEST(Build, CompilesOnceAndReusesWhatIsUnchanged) {
  Workspace w;
  compilations = 0;
  Result<BuildReport> first = w.build();
  ASSERT_TRUE(first) << text(first);
  EXPECT_EQ(first->compiled, 2u);
  EXPECT_EQ(compilations, 2);
  std::string bytes = readAll(first->library);
  Result<BuildReport> second = w.build();
  ASSERT_TRUE(second) << text(second);
  EXPECT_EQ(second->reused, 2u);
  EXPECT_EQ(compilations, 2);
  EXPECT_EQ(readAll(second->library), bytes);
  writeAll(w / "add.v1.ttir", "another text");
  w.request.kernels[1].sha256.clear();
  ASSERT_TRUE(w.build());
  EXPECT_EQ(compilations, 3);
}

TEST(Build, DumpsEveryKernelInAFolderOfItsOwn) {
  Workspace w;
  ASSERT_TRUE(w.build());
  std::mutex mutex;
  std::set<std::string> folders; // cached or not
  auto compile = [&](std::string_view ttir, const driver::CompileOptions &options) {
    std::lock_guard lock(mutex);
    folders.insert(options.dumpDir);
    return fakeCompile(ttir, options);
  };
  BuildOptions options{w.path(), runtimeArchive(), "test", 2, "dumps"};
  Result<BuildReport> built = driver::buildPlugin(w.request, options, compile);
  ASSERT_TRUE(built) << text(built);
  std::set<std::string> expected;
  for (const package::KernelRequest &kernel : w.request.kernels)
    for (const std::string &level : w.request.cpuLevels)
      expected.insert("dumps/" + kernel.id + "." + level);
  EXPECT_EQ(folders, expected);
}

TEST(Build, DamagedCacheEntryIsWrittenAgain) {
  Workspace w;
  Result<BuildReport> first = w.build();
  ASSERT_TRUE(first) << text(first);
  std::string library = readAll(first->library), entry = w.cacheEntry(), good = readAll(entry);
  for (int way = 0; way < 4; ++way) {
    std::string bad = good;
    if (way == 0)
      bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 1);
    else if (way == 1)
      bad.resize(bad.size() / 3);
    else if (way == 2)
      bad.clear();
    else
      bad += "more";
    writeAll(entry, bad);
    compilations = 0;
    Result<BuildReport> again = w.build();
    ASSERT_TRUE(again) << text(again);
    EXPECT_EQ(compilations, 1) << way;
    EXPECT_EQ(readAll(entry), good) << way;
    EXPECT_EQ(readAll(again->library), library);
  }
}

TEST(Build, SameBytesFromTwoWorkspaces) {
  Workspace a, b;
  Result<BuildReport> first = a.build(), second = b.build();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(readAll(first->library), readAll(second->library));
}

TEST(Build, RefusedKernelLeavesTheEarlierLibrary) {
  Workspace w;
  w.request.cpuLevels = {"x86-64-v3", "x86-64-v4"};
  Result<BuildReport> first = w.build();
  ASSERT_TRUE(first) << text(first);
  std::string before = readAll(first->library);
  writeAll(w / "add.v1.ttir", "broken");
  w.request.kernels[1].sha256.clear();
  Result<BuildReport> broken = w.build();
  ASSERT_FALSE(broken);
  // once, not once per level
  EXPECT_EQ(text(broken), "add.py:9:3: error: the op is not supported [tt.frob] in kernel 'add_kernel'\n");
  EXPECT_EQ(readAll(first->library), before);
}

struct Case {
  const char *expected;
  void (*change)(Workspace &);
};

TEST(Build, RefusesBadRequestsBeforeCompiling) {
  const Case kCases[] = {
      {"error: found the library name 'a/b.so', expected a file name without folders\n",
       [](Workspace &w) { w.request.library = "a/b.so"; }},
      {"error: found no ops\n  hint: declare at least one\n", [](Workspace &w) { w.request.ops.clear(); }},
      {"error: found the cpu target 'x86-64-v9', expected x86-64-v3 or x86-64-v4\n",
       [](Workspace &w) { w.request.cpuLevels = {"x86-64-v9"}; }},
      {"error: found the cpu target 'aarch64', expected x86-64-v3 or x86-64-v4\n  hint: plugins for aarch64 are not "
       "supported yet\n",
       [](Workspace &w) { w.request.cpuLevels = {"x86-64-v3", "aarch64"}; }},
      {"error: found no cpu targets\n  hint: expected x86-64-v3, x86-64-v4 or both\n",
       [](Workspace &w) { w.request.cpuLevels.clear(); }},
      {"error: found the face 'tensorrt', expected c, onnxruntime or tvmffi\n  hint: other hosts are not supported "
       "yet\n",
       [](Workspace &w) { w.request.faces = {"tensorrt"}; }},
      {"error: found two kernels with the id 'add.v0'\n", [](Workspace &w) { w.request.kernels[1].id = "add.v0"; }},
      {"error: found two ops of this name and version [sample::add]\n  hint: rename one of them\n",
       [](Workspace &w) { w.request.ops.push_back(w.request.ops[0]); }},
      {"error: found the name 'x' is there twice [sample::add]\n",
       [](Workspace &w) { w.request.ops[0].inputs[1].name = "x"; }},
      {"error: found the element type 'f33' of x [sample::add]\n  hint: expected one of bool, i8",
       [](Workspace &w) { w.request.ops[0].inputs[0].type = "f33"; }},
      {"var n of sample::add:1:7: error: found 'z', expected a tensor, in 'numel(z)'",
       [](Workspace &w) { w.request.ops[0].vars[0].second = "numel(z)"; }},
      {"grid x of sample::add:1:3: error: found the unknown name 'm', in 'n+m'",
       [](Workspace &w) { w.request.ops[0].plans[0].launches[0].grid = {"n+m"}; }},
      {"error: found the guard 'arg 9 % 16 == 0', but the launch has 5 arguments [sample::add]\n",
       [](Workspace &w) { w.request.ops[0].plans[0].launches[0].variants[0].guards = {"arg 9 % 16 == 0"}; }},
      {"error: found the guard 'arg x' [sample::add]\n  hint: expected 'arg N % 16 == 0'",
       [](Workspace &w) { w.request.ops[0].plans[0].launches[0].variants[0].guards = {"arg x"}; }},
      {"error: found a variant runs kernel 'sub', which is not among the kernels [sample::add]\n",
       [](Workspace &w) { w.request.ops[0].plans[0].launches[0].variants[0].kernel = "sub"; }},
      {"error: found the pointer of 'w', which is no tensor [sample::add]\n  hint: known: out, x, y\n",
       [](Workspace &w) { w.request.ops[0].plans[0].launches[0].args[0] = "ptr w"; }},
      {"error: found the default of attribute alpha is no float [sample::add]\n",
       [](Workspace &w) { w.request.ops[0].attrs[0].fallback = std::string("one"); }},
      {"error: found 5000 combinations of element types and 1 tactics, expected at most 4096 and 524288 of both "
       "[sample::add]\n  hint: make two ops of it\n",
       [](Workspace &w) { w.request.ops[0].combos.assign(5000, {"f32"}); }},
      {"error: found the op has no plans [sample::add]\n", [](Workspace &w) { w.request.ops[0].plans.clear(); }},
      {"error: 'add.v0.ttir' is not the file that the request was made with: its SHA-256 differs in kernel "
       "'add_kernel'\n",
       [](Workspace &w) { writeAll(w / "add.v0.ttir", "changed"); }},
  };
  for (const Case &c : kCases) {
    Workspace w;
    c.change(w);
    compilations = 0;
    Result<BuildReport> r = w.build();
    EXPECT_TRUE(text(r).starts_with(c.expected)) << text(r) << "expected: " << c.expected;
    EXPECT_EQ(compilations, 0);
    EXPECT_FALSE(std::filesystem::exists(w / "output"));
  }
}

TEST(Build, ParametersOfTheRequestMustBeThoseOfTheKernel) {
  Workspace w;
  w.request.kernels[0].params[3] = {"pointer", ""};
  Result<BuildReport> r = w.build();
  EXPECT_TRUE(text(r).starts_with(
      "add.py:7: error: argument 3 is declared a pointer, in the TTIR it is a scalar in kernel 'add_kernel'"))
      << text(r);
  Workspace v;
  v.request.kernels[0].params.pop_back();
  r = v.build();
  EXPECT_TRUE(
      text(r).starts_with("add.py:7: error: the request declares 4 arguments, the compiled kernel has 5 in kernel"))
      << text(r);
}

TEST(Build, MissingFilesAndPlacesAreSaid) {
  Workspace w;
  std::filesystem::remove(w / "add.v0.ttir");
  EXPECT_TRUE(
      text(w.build()).starts_with("error: cannot read '" + (w / "add.v0.ttir") + "': No such file or directory"));
  Workspace v;
  writeAll(v / "cache", "a file");
  EXPECT_TRUE(text(v.build()).starts_with("error: cannot make the directory '" + (v / "cache") +
                                          "': Not a directory\n"
                                          "  hint: a file is in the way: remove it, or use another workspace"))
      << text(v.build());
  if (geteuid() != 0) { // root may write anywhere
    Workspace u;
    chmod(u.path().c_str(), 0555);
    EXPECT_TRUE(
        text(u.build()).starts_with("error: cannot make the directory '" + (u / "cache") + "': Permission denied"));
    chmod(u.path().c_str(), 0755);
  }
}

TEST(Build, FullDiskHasItsHint) {
  EXPECT_EQ(package::fileError("cannot write", "x", ENOSPC).str(),
            "error: cannot write 'x': No space left on device\n  hint: free some disk space, or use a workspace on "
            "another disk");
}

} // namespace
} // namespace opw::testing
