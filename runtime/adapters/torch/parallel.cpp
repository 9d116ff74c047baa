// torch_parallel_for gives each thread one range of equal length; programs take unequal times. So its loop runs over
// threads, and each takes chunks until none is left. In a forked child torch's threads are gone, and OpenMP would wait
// for them forever: there the runtime's own pool, which knows of forks, does the work.
#include "adapters/torch/parallel.h"

#include "core/libc.h"
#include "core/pool.h"

#include <atomic>
#include <dlfcn.h>

namespace opw::runtime {
namespace {

// torch/csrc/stable/c/shim.h; a result other than 0 is a failure
using ParallelFor = int32_t (*)(int64_t begin, int64_t end, int64_t grain,
                                void (*body)(int64_t begin, int64_t end, void *ctx), void *ctx);
using GetNumThreads = int32_t (*)(uint32_t *count);

std::atomic<ParallelFor> parallelForOfTorch{nullptr};
std::atomic<GetNumThreads> numThreadsOfTorch{nullptr};
std::atomic<bool> forked{false};

struct Loop {
  int64_t count, chunk;
  opw_body_t body;
  void *arg;
  std::atomic<int64_t> next{0};
  std::atomic<int32_t> status{OPW_OK}; // first failure
};

void takeChunks(int64_t, int64_t, void *ctx) {
  auto &loop = *static_cast<Loop *>(ctx);
  while (loop.status.load(std::memory_order_relaxed) == OPW_OK) {
    int64_t begin = loop.next.fetch_add(loop.chunk, std::memory_order_relaxed);
    if (begin >= loop.count)
      return;
    int64_t end = loop.count - begin < loop.chunk ? loop.count : begin + loop.chunk;
    if (int32_t result = loop.body(loop.arg, begin, end)) {
      int32_t none = OPW_OK;
      loop.status.compare_exchange_strong(none, result);
      return;
    }
  }
}

int32_t threads(void *) {
  if (forked.load(std::memory_order_relaxed))
    return poolThreads();
  uint32_t count = 1;
  return numThreadsOfTorch.load(std::memory_order_acquire)(&count) == 0 ? static_cast<int32_t>(count) : 1;
}

opw_status_t loopOfTorch(void *, int64_t count, int64_t grain, opw_body_t body, void *arg) {
  if (forked.load(std::memory_order_relaxed))
    return parallelFor(count, grain, body, arg);
  Loop loop{count, grain < 1 ? 1 : grain, body, arg};
  int64_t chunks = count > 0 ? (count - 1) / loop.chunk + 1 : 0, workers = threads(nullptr);
  if (workers > chunks)
    workers = chunks;
  if (workers < 2)
    return count > 0 ? body(arg, 0, count) : OPW_OK;
  if (parallelForOfTorch.load(std::memory_order_acquire)(0, workers, 1, takeChunks, &loop) != 0)
    return OPW_E_HOST;
  return loop.status.load(std::memory_order_relaxed);
}

const opw_host_t kHost = {.struct_size = sizeof(opw_host_t),
                          .reserved = 0,
                          .ctx = nullptr,
                          .parallel_for = loopOfTorch,
                          .threads = threads,
                          .allocate = nullptr,
                          .release = nullptr,
                          .log = nullptr};

} // namespace

const opw_host_t *torchHost() {
  if (parallelForOfTorch.load(std::memory_order_acquire))
    return &kHost;
  void *library = dlopen("libtorch_cpu.so", RTLD_NOLOAD | RTLD_LAZY); // the handle is kept: so is torch
  if (!library)
    return nullptr;
  auto parallel = reinterpret_cast<ParallelFor>(dlsym(library, "torch_parallel_for"));
  auto count = reinterpret_cast<GetNumThreads>(dlsym(library, "torch_get_num_threads"));
  if (!parallel || !count) {
    dlclose(library);
    return nullptr;
  }
  static std::atomic<bool> watched{false};
  if (!watched.exchange(true))
    __register_atfork(nullptr, nullptr, [] { forked.store(true, std::memory_order_relaxed); }, nullptr);
  numThreadsOfTorch.store(count, std::memory_order_release); // first: whoever sees the loop sees the count
  parallelForOfTorch.store(parallel, std::memory_order_release);
  return &kHost;
}

} // namespace opw::runtime
