// The pool and the launch of CPU kernels. Also run under ThreadSanitizer.
#include "core/cpu_count.h"
#include "core/launch.h"
#include "core/pool.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <gtest/gtest.h>
#include <mutex>
#include <set>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace opw::runtime {
namespace {

struct Threads {
  explicit Threads(int32_t n) { setPoolThreads(n); }
  ~Threads() { setPoolThreads(0); }
};

opw_status_t countEach(void *arg, int64_t begin, int64_t end) {
  auto &seen = *static_cast<std::vector<std::atomic<int>> *>(arg);
  for (int64_t i = begin; i < end; ++i)
    seen[static_cast<size_t>(i)].fetch_add(1, std::memory_order_relaxed);
  return 0;
}

bool coversOnce(int64_t count, int64_t grain) {
  std::vector<std::atomic<int>> seen(static_cast<size_t>(count));
  int32_t status = parallelFor(count, grain, countEach, &seen);
  return status == 0 && std::all_of(seen.begin(), seen.end(), [](const auto &n) { return n == 1; });
}

TEST(Pool, CoversEveryIndexOnce) {
  for (int32_t threads : {1, 2, 4, 7}) {
    Threads use(threads);
    for (int64_t count : {1, 2, 3, 31, 32, 33, 1000, 4097})
      for (int64_t grain : {int64_t{0}, int64_t{1}, int64_t{3}, int64_t{1000}})
        ASSERT_TRUE(coversOnce(count, grain)) << threads << " threads, " << count << " by " << grain;
  }
}

TEST(Pool, ManyShortLoops) {
  Threads use(4);
  for (int i = 0; i < 2000; ++i)
    ASSERT_TRUE(coversOnce(8, 1));
}

TEST(Pool, WakesUpAfterASleep) {
  Threads use(4);
  for (int i = 0; i < 20; ++i) {
    usleep(1000); // longer than the pool spins
    ASSERT_TRUE(coversOnce(64, 1));
  }
}

TEST(Pool, SeveralCallersAtOnce) {
  Threads use(3);
  std::atomic<int> bad{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&] {
      for (int i = 0; i < 300; ++i)
        bad += !coversOnce(100, 1);
    });
  for (std::thread &t : callers)
    t.join();
  EXPECT_EQ(bad, 0);
}

TEST(Pool, NestedLoopsRunInPlace) {
  Threads use(4);
  std::atomic<int64_t> sum{0};
  auto outer = [](void *arg, int64_t begin, int64_t end) -> opw_status_t {
    for (int64_t i = begin; i < end; ++i) {
      auto inner = [](void *p, int64_t b, int64_t e) -> opw_status_t {
        static_cast<std::atomic<int64_t> *>(p)->fetch_add(e - b, std::memory_order_relaxed);
        return 0;
      };
      if (parallelFor(10, 1, inner, arg) != 0)
        return 1;
    }
    return 0;
  };
  EXPECT_EQ(parallelFor(64, 1, outer, &sum), 0);
  EXPECT_EQ(sum, 640);
}

TEST(Pool, FirstFailureStopsTheLoop) {
  Threads use(4);
  std::atomic<int> ran{0};
  auto body = [](void *arg, int64_t begin, int64_t) -> opw_status_t {
    static_cast<std::atomic<int> *>(arg)->fetch_add(1);
    usleep(200);
    return begin >= 8 ? 42 : 0;
  };
  EXPECT_EQ(parallelFor(10000, 1, body, &ran), 42);
  EXPECT_LT(ran, 5000);
}

#ifndef __SANITIZE_THREAD__ // which takes no threads in the child of a process with threads
TEST(Pool, ChildOfAForkHasItsOwn) {
  Threads use(4);
  ASSERT_TRUE(coversOnce(1000, 1));
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    bool good = true;
    for (int i = 0; i < 20; ++i)
      good = good && coversOnce(1000, 1);
    _exit(good ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_TRUE(coversOnce(1000, 1));
}
#endif

TEST(Pool, CountsUsableCpus) {
  EXPECT_GE(usableCpus(), 1);
  EXPECT_LE(usableCpus(), static_cast<int32_t>(std::max(1u, std::thread::hardware_concurrency())));
  EXPECT_GE(poolThreads(), 1);
}

// ---- launches. Slot 0 is a pointer to the test's own record.

struct Record {
  std::mutex lock;
  std::vector<int64_t> order;
  std::set<uint64_t> epochs;
  std::set<void *> scratch;
  std::atomic<bool> clean{true}; ///< nobody else writes to a thread's scratch
  int64_t failAt = -1;
};

int32_t note(const opw_cpu_args_t *args, int64_t lo, int64_t hi, opw_cpu_scratch_t *scratch) {
  auto &record = *reinterpret_cast<Record *>(args->slots[0]);
  auto *own = static_cast<uint64_t *>(scratch->memory);
  uint64_t mark = args->launch->epoch ^ static_cast<uint64_t>(lo);
  if (own)
    for (size_t i = 0; i < scratch->bytes / 8; i += 97)
      own[i] = mark;
  {
    std::lock_guard<std::mutex> guard(record.lock);
    for (int64_t p = lo; p < hi; ++p)
      record.order.push_back(p);
    record.epochs.insert(args->launch->epoch);
    if (own)
      record.scratch.insert(own);
    if ((reinterpret_cast<uintptr_t>(own) & 63) != 0)
      record.clean = false;
  }
  if (own)
    for (size_t i = 0; i < scratch->bytes / 8; i += 97)
      if (own[i] != mark)
        record.clean = false;
  if (record.failAt >= lo && record.failAt < hi) {
    static const opw_cpu_site_t site{sizeof site, 12, "kernel.py", "k", "x is negative", nullptr, 0, 0,
                                     OPW_NONE,    0,  0,           0};
    args->launch->fail(args->launch->ctx, &site, record.failAt);
    return 1;
  }
  return 0;
}

struct Ran {
  opw_status_t status;
  std::string text;
};

Ran launch(Record &record, std::array<uint32_t, 3> grid, CpuKernel kernel, const opw_host_t *host = nullptr) {
  char text[256] = "";
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  uint64_t slots[1] = {reinterpret_cast<uintptr_t>(&record)};
  opw_status_t status = launchCpu(kernel, grid.data(), slots, 1, host, &error);
  return {status, text};
}

TEST(Launch, RunsEveryProgramOnce) {
  Threads use(4);
  Record record;
  ASSERT_EQ(launch(record, {7, 5, 3}, {note, 4096, 1, false}).status, OPW_OK);
  std::sort(record.order.begin(), record.order.end());
  ASSERT_EQ(record.order.size(), 105u);
  for (size_t i = 0; i < 105; ++i)
    EXPECT_EQ(record.order[i], static_cast<int64_t>(i));
  EXPECT_TRUE(record.clean);
  EXPECT_EQ(record.epochs.size(), 1u);
}

TEST(Launch, EpochsAreUniqueAndNotZero) {
  Record record;
  std::vector<std::thread> threads; // each takes several shares of the numbers
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 2500; ++i)
        launch(record, {1, 1, 1}, {note, 0, 1, false});
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(record.epochs.size(), 10000u);
  EXPECT_FALSE(record.epochs.contains(0));
}

TEST(Launch, EmptyGridRunsNothing) {
  Record record;
  EXPECT_EQ(launch(record, {4, 0, 4}, {note, 0, 1, false}).status, OPW_OK);
  EXPECT_TRUE(record.order.empty());
}

TEST(Launch, TooLargeAGridIsRefused) {
  Record record;
  Ran r = launch(record, {0x80000000, 0x80000000, 2}, {note, 0, 1, false});
  EXPECT_EQ(r.status, OPW_E_OVERFLOW);
  EXPECT_EQ(r.text, "the grid 2147483648 x 2147483648 x 2 has more than 2^62 programs");
}

TEST(Launch, OrderedProgramsStartInOrder) {
  Threads use(1);
  Record record;
  ASSERT_EQ(launch(record, {50, 2, 1}, {note, 64, 1, true}).status, OPW_OK);
  ASSERT_EQ(record.order.size(), 100u);
  EXPECT_TRUE(std::is_sorted(record.order.begin(), record.order.end()));
  setPoolThreads(4);
  Record several;
  ASSERT_EQ(launch(several, {50, 2, 1}, {note, 64, 1, true}).status, OPW_OK);
  std::set<int64_t> all(several.order.begin(), several.order.end());
  EXPECT_EQ(all.size(), 100u);
  EXPECT_EQ(several.order.size(), 100u);
}

TEST(Launch, ScratchGrowsAndIsKept) {
  Threads use(1);
  Record small, large, again;
  launch(small, {1, 1, 1}, {note, 1000, 1, false});
  launch(large, {1, 1, 1}, {note, 1 << 20, 1, false});
  launch(again, {1, 1, 1}, {note, 1000, 1, false});
  EXPECT_EQ(large.scratch, again.scratch);
  EXPECT_TRUE(small.clean && large.clean && again.clean);
}

TEST(Launch, FailureNamesSiteAndProgram) {
  Threads use(2);
  Record record;
  record.failAt = 17;
  Ran r = launch(record, {1000, 1, 1}, {note, 0, 1, false});
  EXPECT_EQ(r.status, OPW_E_ASSERT);
  EXPECT_EQ(r.text, "kernel.py:12: device assertion failed: x is negative, in program (17, 0, 0) of kernel 'k'");
}

TEST(Launch, NoMemoryForScratchIsSaid) {
  Record record;
  Ran r = launch(record, {1, 1, 1}, {note, uint64_t{1} << 60, 1, false});
  EXPECT_EQ(r.status, OPW_E_MEMORY);
  EXPECT_EQ(r.text, "no memory for 1152921504606846976 bytes of scratch per thread");
}

TEST(Launch, TakesTheHostsLoop) {
  static std::atomic<int> calls{0};
  calls = 0;
  opw_host_t host{};
  host.struct_size = sizeof host;
  host.parallel_for = [](void *, int64_t count, int64_t grain, opw_body_t body, void *arg) -> opw_status_t {
    ++calls;
    for (int64_t i = 0; i < count; i += grain)
      if (opw_status_t s = body(arg, i, std::min(count, i + grain)))
        return s;
    return OPW_OK;
  };
  Record record;
  EXPECT_EQ(launch(record, {100, 1, 1}, {note, 64, 1, false}, &host).status, OPW_OK);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(record.order.size(), 100u);
  host.parallel_for = [](void *, int64_t, int64_t, opw_body_t, void *) -> opw_status_t { return 99; };
  Ran r = launch(record, {100, 1, 1}, {note, 64, 1, false}, &host);
  EXPECT_EQ(r.status, OPW_E_HOST);
  EXPECT_EQ(r.text, "the host's parallel_for failed with status 99");
}

TEST(Launch, ManyThreadsAtOnce) {
  Threads use(4);
  std::vector<std::thread> callers;
  std::atomic<int> bad{0};
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        Record record;
        bad += launch(record, {37, 1, 1}, {note, 8192, 1, false}).status != OPW_OK || record.order.size() != 37 ||
               !record.clean;
      }
    });
  for (std::thread &t : callers)
    t.join();
  EXPECT_EQ(bad, 0);
}

} // namespace
} // namespace opw::runtime
