// torch's threads as a host's, on a stand-in for torch. Also run under ThreadSanitizer; tests/python and tests/pytorch
// have the real one.
#include "adapters/torch/parallel.h"
#include "core/launch.h"

#include <algorithm>
#include <atomic>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <thread>
#include <vector>

namespace opw::runtime {
namespace {

class TorchPool : public testing::Test {
protected:
  static void SetUpTestSuite() {
    EXPECT_EQ(torchHost(), nullptr) << "torch is not loaded yet";
    library = dlopen(OPW_FAKE_TORCH, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    host = torchHost();
    ASSERT_NE(host, nullptr);
  }
  void SetUp() override {
    setThreads(4);
    setFails(false);
  }
  static void setThreads(uint32_t n) { *static_cast<uint32_t *>(dlsym(library, "fake_torch_threads")) = n; }
  static void setFails(bool fails) { *static_cast<bool *>(dlsym(library, "fake_torch_fails")) = fails; }

  static void *library;
  static const opw_host_t *host;
};
void *TorchPool::library = nullptr;
const opw_host_t *TorchPool::host = nullptr;

using Counts = std::vector<std::atomic<int>>;

opw_status_t countEach(void *arg, int64_t begin, int64_t end) {
  auto &seen = *static_cast<Counts *>(arg);
  for (int64_t i = begin; i < end; ++i)
    seen[static_cast<size_t>(i)].fetch_add(1, std::memory_order_relaxed);
  return OPW_OK;
}

bool onceEach(const Counts &seen) {
  return std::all_of(seen.begin(), seen.end(), [](const auto &n) { return n == 1; });
}

TEST_F(TorchPool, CoversEveryIndexOnce) {
  for (uint32_t threads : {1u, 2u, 4u, 7u}) {
    setThreads(threads);
    EXPECT_EQ(host->threads(host->ctx), static_cast<int32_t>(threads));
    for (int64_t count : {0, 1, 2, 3, 31, 1000})
      for (int64_t grain : {0, 1, 3, 5000}) {
        Counts seen(static_cast<size_t>(count));
        ASSERT_EQ(host->parallel_for(host->ctx, count, grain, countEach, &seen), OPW_OK);
        ASSERT_TRUE(onceEach(seen)) << threads << " threads, " << count << " by " << grain;
      }
  }
}

TEST_F(TorchPool, TheFirstFailureEndsTheLoop) {
  struct State {
    std::atomic<int> calls{0};
  } state;
  auto fail = [](void *arg, int64_t begin, int64_t) -> opw_status_t {
    static_cast<State *>(arg)->calls.fetch_add(1);
    return begin >= 10 ? OPW_E_ASSERT : OPW_OK;
  };
  EXPECT_EQ(host->parallel_for(host->ctx, 100'000, 1, fail, &state), OPW_E_ASSERT);
  EXPECT_LE(state.calls, 10 + 4); // what comes before the first failure, and one chunk of each thread beside it
}

TEST_F(TorchPool, AFailureOfTorchIsTheHosts) {
  setFails(true);
  Counts seen(64);
  EXPECT_EQ(host->parallel_for(host->ctx, 64, 1, countEach, &seen), OPW_E_HOST);
}

TEST_F(TorchPool, LoopsInsideALoopStayOnTheirThread) {
  struct Outer {
    const opw_host_t *host;
    Counts seen = Counts(64);
  } outer{host};
  auto nested = [](void *arg, int64_t begin, int64_t end) -> opw_status_t {
    auto &of = *static_cast<Outer *>(arg);
    auto sameThread = [](void *id, int64_t, int64_t) -> opw_status_t {
      return *static_cast<std::thread::id *>(id) == std::this_thread::get_id() ? OPW_OK : OPW_E_HOST;
    };
    for (int64_t i = begin; i < end; ++i) {
      std::thread::id here = std::this_thread::get_id();
      if (of.host->parallel_for(of.host->ctx, 100, 1, sameThread, &here) != OPW_OK)
        return OPW_E_HOST;
      of.seen[static_cast<size_t>(i)].fetch_add(1);
    }
    return OPW_OK;
  };
  EXPECT_EQ(host->parallel_for(host->ctx, 64, 1, nested, &outer), OPW_OK);
  EXPECT_TRUE(onceEach(outer.seen));
}

int32_t addOne(const opw_cpu_args_t *args, int64_t begin, int64_t end, opw_cpu_scratch_t *scratch) {
  auto *out = reinterpret_cast<int32_t *>(args->slots[0]);
  std::fill_n(static_cast<char *>(scratch->memory), 64, 1); // each worker's own
  for (int64_t i = begin; i < end; ++i)
    out[i] += 1;
  return 0;
}

TEST_F(TorchPool, LaunchesOfSeveralThreads) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      std::vector<int32_t> out(300, 0);
      const uint64_t slots[] = {reinterpret_cast<uint64_t>(out.data())};
      const uint32_t grid[] = {10, 10, 3};
      for (int round = 0; round < 20; ++round)
        if (launchCpu({addOne, 64, 1, false}, grid, slots, 1, host, nullptr) != OPW_OK)
          wrong.fetch_add(1);
      if (std::any_of(out.begin(), out.end(), [](int32_t n) { return n != 20; }))
        wrong.fetch_add(1);
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}

} // namespace
} // namespace opw::runtime
