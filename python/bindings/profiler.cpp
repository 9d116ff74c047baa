#include "profiler.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <new>
#include <utility>

namespace opw::python {
namespace {

std::atomic<bool> profiling{false};

struct Records {
  std::mutex mutex;
  std::vector<LaunchRecord> list;
};

/// Never destroyed: threads may still launch while the process ends. A forked child starts with new ones: a thread that
/// it does not have may have held the lock.
Records &records() {
  static Records *all = [] {
    pthread_atfork(nullptr, nullptr, [] { all = new Records; });
    return new Records;
  }();
  return *all;
}

int64_t now() { return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }

} // namespace

bool isProfiling() { return profiling.load(std::memory_order_relaxed); }

void setProfiling(bool on) { profiling.store(on, std::memory_order_relaxed); }

std::vector<LaunchRecord> takeLaunchRecords() {
  std::lock_guard lock(records().mutex);
  return std::exchange(records().list, {});
}

LaunchTimer::LaunchTimer(const std::string &kernel, const uint32_t (&grid)[3]) : kernel(kernel), grid(grid) {
  if (isProfiling())
    startNs = now();
}

LaunchTimer::~LaunchTimer() {
  if (startNs < 0)
    return;
  int64_t durationNs = now() - startNs;
  try {
    LaunchRecord record{
        kernel, {grid[0], grid[1], grid[2]}, startNs, durationNs, static_cast<uint64_t>(syscall(SYS_gettid))};
    std::lock_guard lock(records().mutex);
    records().list.push_back(std::move(record));
  } catch (const std::bad_alloc &) { // the launch counts, its record is lost
  }
}

} // namespace opw::python
