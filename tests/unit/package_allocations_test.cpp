// A call takes no memory from the system: everything that could is counted, in every thread, around calls of a real
// plugin.
#include "package/package.h"
#include "package_kit.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

std::atomic<bool> counting{false};
std::atomic<int> taken{0}, given{0};

void noteTaken() { taken += counting ? 1 : 0; }
void noteGiven() { given += counting ? 1 : 0; }

} // namespace

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// The sanitizers have functions of their own in the place of these.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*taken)(const volatile void *, size_t),
                                                         void (*given)(const volatile void *));
namespace {
const int installed = __sanitizer_install_malloc_and_free_hooks([](const volatile void *, size_t) { noteTaken(); },
                                                                [](const volatile void *) { noteGiven(); });
} // namespace
#else
extern "C" {
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *p, size_t bytes);
void *__libc_memalign(size_t align, size_t bytes);
void __libc_free(void *p);

#define OPW_IN_PLACE __attribute__((visibility("default")))
OPW_IN_PLACE void *malloc(size_t bytes) {
  noteTaken();
  return __libc_malloc(bytes);
}
OPW_IN_PLACE void *calloc(size_t count, size_t bytes) {
  noteTaken();
  return __libc_calloc(count, bytes);
}
OPW_IN_PLACE void *realloc(void *p, size_t bytes) {
  noteTaken();
  return __libc_realloc(p, bytes);
}
OPW_IN_PLACE void *aligned_alloc(size_t align, size_t bytes) {
  noteTaken();
  return __libc_memalign(align, bytes);
}
OPW_IN_PLACE int posix_memalign(void **p, size_t align, size_t bytes) {
  noteTaken();
  *p = __libc_memalign(align, bytes);
  return *p ? 0 : ENOMEM;
}
OPW_IN_PLACE void free(void *p) {
  if (p)
    noteGiven();
  __libc_free(p);
}
OPW_IN_PLACE void *mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
  noteTaken();
  return reinterpret_cast<void *>(syscall(SYS_mmap, at, bytes, protection, flags, file, offset));
}
}
#endif

namespace opw::testing {
namespace {

const Plugin &plugin() {
  static Folder folder;
  static Plugin p([] {
    package::Request r = addRequest();
    r.ops.push_back(r.ops[0]);
    r.ops[1].name = "buffered";
    r.ops[1].plans[0].workspace = {{"tmp", "f32", "n", "", 0}};
    Result<package::Packaged> made =
        package::packagePlugin(r, addObjects(r), {folder.path(), runtimeArchive(), "test"});
    if (!made)
      throw std::runtime_error(render(made.diagnostics()));
    return made->library;
  }());
  return p;
}

/// A call of three tensors with `n` elements each, 256 of which are a program.
struct Case {
  explicit Case(const char *name, int64_t n)
      : op(plugin().op("sample", name)), x(static_cast<size_t>(n), 1.0f), out(x) {
    for (int i = 0; i < 3; ++i)
      tensors.emplace_back(i < 2 ? x.data() : out.data(), OPW_F32, std::vector<int64_t>{n});
    for (Tensor &t : tensors)
      t.view.shape = t.shape.data();
    call.struct_size = sizeof call;
    call.inputs = inputs;
    call.outputs = outputs;
    call.input_count = 2;
    call.output_count = 1;
    call.device_type = OPW_DEVICE_CPU;
    inputs[0] = &tensors[0].view;
    inputs[1] = &tensors[1].view;
    outputs[0] = &tensors[2].view;
  }
  Case(const Case &) = delete;

  const opw_op_t *op;
  std::vector<float> x, out;
  std::vector<Tensor> tensors;
  const opw_tensor_t *inputs[2];
  opw_tensor_t *outputs[1];
  opw_call_t call{};
  char text[256] = "";
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
};

/// How often memory was taken and given back in 100 calls, after some that may.
template <typename F> std::pair<int, int> countOf(F call) {
  for (int i = 0; i < 20; ++i)
    call();
  taken = given = 0;
  counting = true;
  for (int i = 0; i < 100; ++i)
    call();
  counting = false;
  return {taken, given};
}

using None = std::pair<int, int>;
constexpr None kNone{0, 0};

TEST(Allocations, OneThreadAndThePoolTakeNone) {
  const opw_api_t &api = *plugin().library->api;
  int bad = 0;
  for (int64_t n : {1000, 1000000}) {
    Case c("add", n);
    EXPECT_EQ(countOf([&] { bad += api.run(c.op, &c.call, &c.error) != OPW_OK; }), kNone);
    EXPECT_EQ(c.out[static_cast<size_t>(n) - 1], 2.0f);
  }
  EXPECT_EQ(bad, 0);
}

TEST(Allocations, QuestionsAndRefusalsTakeNone) {
  const opw_api_t &api = *plugin().library->api;
  Case c("add", 1000);
  int bad = 0;
  EXPECT_EQ(countOf([&] {
              size_t bytes;
              int64_t value, range[2];
              opw_choice_t choice{};
              choice.struct_size = sizeof choice;
              bad += api.infer(c.op, &c.call, &c.error) != OPW_OK;
              bad += api.workspace(c.op, &c.call, &bytes, &c.error) != OPW_OK;
              bad += api.choose(c.op, &c.call, &choice, &c.error) != OPW_OK;
              bad += api.eval(c.op, &c.op->vars[0], &c.call, &value, &c.error) != OPW_OK;
              bad += api.bounds(c.op, nullptr, &c.call, &c.call, range, &c.error) != OPW_OK;
            }),
            kNone);
  EXPECT_EQ(bad, 0);
  c.call.input_count = 1;
  EXPECT_EQ(countOf([&] { bad += api.run(c.op, &c.call, &c.error) != OPW_E_ARGUMENT; }), kNone);
  EXPECT_EQ(bad, 0);
}

TEST(Allocations, AWorkspaceIsTakenOnlyWhereTheCallerGivesNone) {
  const opw_api_t &api = *plugin().library->api;
  Case c("buffered", 1000);
  int bad = 0;
  auto run = [&] { bad += api.run(c.op, &c.call, &c.error) != OPW_OK; };
#ifndef __SANITIZE_THREAD__                // whose posix_memalign calls no hook
  EXPECT_EQ(countOf(run), None(100, 100)); // so they are counted
#endif
  std::vector<char> memory(8192);
  c.call.workspace = memory.data();
  c.call.workspace_bytes = memory.size();
  EXPECT_EQ(countOf(run), kNone);
  EXPECT_EQ(bad, 0);
}

} // namespace
} // namespace opw::testing

int main(int argc, char **argv) {
  setenv("OPW_THREADS", "4", 1); // so that the pool is used on any machine
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
