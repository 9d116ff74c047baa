// What a process does to a plugin that runs: closes it, loads it twice, forks.
#include "package/package.h"
#include "package_kit.h"

#include <atomic>
#include <dlfcn.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace opw::testing {
namespace {

const std::string &libraryPath() {
  static Folder folder;
  static const std::string path = [] {
    package::Request r = addRequest();
    Result<package::Packaged> made =
        package::packagePlugin(r, addObjects(r), {folder.path(), runtimeArchive(), "test"});
    if (!made)
      throw std::runtime_error(render(made.diagnostics()));
    return made->library;
  }();
  return path;
}

const opw_library_t *queryOf(void *handle) {
  auto query = reinterpret_cast<opw_library_fn>(dlsym(handle, "opw_library"));
  return query ? query(OPW_ABI_MAJOR) : nullptr;
}

/// x + 1 over many programs, in memory of its own.
bool addWorks(const opw_library_t *library, float seed) {
  constexpr int64_t kSize = 256 * 64;
  std::vector<float> x(kSize, seed), one(kSize, 1.0f), out(kSize, 0.0f);
  Tensor tx(x.data(), OPW_F32, {kSize}), ty(one.data(), OPW_F32, {kSize}), tout(out.data(), OPW_F32, {kSize});
  const opw_op_t *op = library->api->find("sample", "add", 0);
  Outcome o = run(*library->api, op, {&tx.view, &ty.view}, {&tout.view});
  bool aligned = ((reinterpret_cast<uintptr_t>(x.data()) | reinterpret_cast<uintptr_t>(one.data()) |
                   reinterpret_cast<uintptr_t>(out.data())) &
                  15) == 0;
  float want = aligned ? seed + 1 : seed + 101; // addObjects tells the variants apart so
  return o.status == OPW_OK && out[0] == want && out[kSize - 1] == want;
}

/// Threads that call until told to stop; `bad` counts wrong results.
struct Callers {
  Callers(int count, std::vector<const opw_library_t *> libraries) {
    for (int t = 0; t < count; ++t)
      threads.emplace_back([this, t, library = libraries[static_cast<size_t>(t) % libraries.size()]] {
        while (!stop) {
          bad += !addWorks(library, static_cast<float>(t));
          ++done;
        }
      });
  }
  /// Waits for `count` more calls.
  void go(int count) const {
    for (int until = done + count; done < until;)
      std::this_thread::yield();
  }
  ~Callers() {
    stop = true;
    for (std::thread &t : threads)
      t.join();
    EXPECT_EQ(bad, 0);
  }
  std::vector<std::thread> threads;
  std::atomic<bool> stop{false};
  std::atomic<int> bad{0}, done{0};
};

TEST(Process, ClosedWithCallsInFlight) {
  Folder folder;
  std::string copy = folder / "plugin.so";
  std::filesystem::copy_file(libraryPath(), copy);
  void *handle = dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_TRUE(handle);
  const opw_library_t *library = queryOf(handle);
  Callers callers(4, {library});
  callers.go(20);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(dlclose(handle), 0); // the last handle: the library stays all the same
    callers.go(5);
    handle = dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_TRUE(handle);
    EXPECT_EQ(queryOf(handle), library);
  }
  EXPECT_EQ(dlclose(handle), 0);
  std::filesystem::remove(copy); // nor is the file needed
  callers.go(20);
}

TEST(Process, LoadedTwiceByCopy) {
  Plugin first(libraryPath()), second(libraryPath());
  ASSERT_NE(first.library, second.library);
  const opw_op_t *mine = first.op("sample", "add"), *other = second.op("sample", "add");
  Callers callers(4, {first.library, second.library});
  EXPECT_EQ(first.library->api->force(mine, 1, nullptr), OPW_OK);
  char text[128] = "";
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  EXPECT_EQ(first.library->api->check(other, &error), OPW_E_ARGUMENT); // each has ops of its own
  EXPECT_STREQ(text, "the op is none of this library's");
  callers.go(50);
}

TEST(Process, ForkedWhileOthersCall) {
  Plugin plugin(libraryPath());
  Callers callers(3, {plugin.library});
  callers.go(10);
  for (int i = 0; i < 10; ++i) {
    pid_t child = fork();
    if (child == 0) { // nothing but the plugin, on this one thread
      alarm(20);
      alignas(16) static float x[1024], y[1024], out[1024];
      static int64_t shape[1] = {1024};
      opw_tensor_t t[3] = {};
      float *data[3] = {x, y, out};
      for (int k = 0; k < 3; ++k)
        t[k] = {data[k], OPW_DEVICE_CPU, 0, 1, 2, 32, 1, shape, nullptr, 0};
      const opw_tensor_t *inputs[2] = {&t[0], &t[1]};
      opw_tensor_t *outputs[1] = {&t[2]};
      opw_call_t call{};
      call.struct_size = sizeof call;
      call.inputs = inputs;
      call.outputs = outputs;
      call.input_count = 2;
      call.output_count = 1;
      call.device_type = OPW_DEVICE_CPU;
      x[5] = 4;
      bool good = true;
      for (int n = 0; n < 20; ++n)
        good = good && plugin.library->api->run(plugin.op("sample", "add"), &call, nullptr) == OPW_OK;
      _exit(good && out[5] == 4 ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    callers.go(3);
  }
}

} // namespace
} // namespace opw::testing

int main(int argc, char **argv) {
  setenv("OPW_THREADS", "4", 1); // so that the pool is used on any machine
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
