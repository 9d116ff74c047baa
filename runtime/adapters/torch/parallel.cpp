// torch_parallel_for gives each thread one range of equal length; programs take unequal times. So its loop runs over
// threads, and each takes chunks until none is left.
#include "adapters/torch/parallel.h"

#include <atomic>
#include <dlfcn.h>

namespace opw::runtime {
namespace {

// torch/csrc/stable/c/shim.h; a result other than 0 is a failure
using ParallelFor = int32_t (*)(int64_t begin, int64_t end, int64_t grain,
                                void (*body)(int64_t begin, int64_t end, void *ctx), void *ctx);
using GetNumThreads = int32_t (*)(uint32_t *count);

// Written before `host` is published, constant after.
ParallelFor parallelForOfTorch = nullptr;
GetNumThreads numThreadsOfTorch = nullptr;

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
  uint32_t count = 1;
  return numThreadsOfTorch(&count) == 0 ? static_cast<int32_t>(count) : 1;
}

opw_status_t parallelFor(void *, int64_t count, int64_t grain, opw_body_t body, void *arg) {
  Loop loop{count, grain < 1 ? 1 : grain, body, arg};
  int64_t chunks = count > 0 ? (count - 1) / loop.chunk + 1 : 0, workers = threads(nullptr);
  if (workers > chunks)
    workers = chunks;
  if (workers < 2)
    return count > 0 ? body(arg, 0, count) : OPW_OK;
  if (parallelForOfTorch(0, workers, 1, takeChunks, &loop) != 0)
    return OPW_E_HOST;
  return loop.status.load(std::memory_order_relaxed);
}

const opw_host_t kHost = {sizeof(opw_host_t), 0, nullptr, parallelFor, threads, nullptr, nullptr, nullptr};
std::atomic<const opw_host_t *> host{nullptr};

} // namespace

const opw_host_t *torchHost() {
  if (const opw_host_t *known = host.load(std::memory_order_acquire))
    return known;
  void *library = dlopen("libtorch_cpu.so", RTLD_NOLOAD | RTLD_LAZY); // the handle is kept: so is torch
  if (!library)
    return nullptr;
  auto loop = reinterpret_cast<ParallelFor>(dlsym(library, "torch_parallel_for"));
  auto count = reinterpret_cast<GetNumThreads>(dlsym(library, "torch_get_num_threads"));
  if (!loop || !count) {
    dlclose(library);
    return nullptr;
  }
  static std::atomic_flag writing = ATOMIC_FLAG_INIT;
  if (!writing.test_and_set()) {
    parallelForOfTorch = loop;
    numThreadsOfTorch = count;
    host.store(&kHost, std::memory_order_release);
  }
  return host.load(std::memory_order_acquire); // null for a moment while another thread is writing
}

} // namespace opw::runtime
