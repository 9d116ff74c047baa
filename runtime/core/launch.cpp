#include "core/launch.h"

#include "core/error.h"
#include "core/libc.h"
#include "core/pool.h"
#include "core/print.h"
#include "core/thread.h"

#include <atomic>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

namespace opw::runtime {
namespace {

std::atomic<uint64_t> submissions{0};

/// Unique and not zero: an odd factor permutes the 64-bit numbers. Scattered, so that no number that a kernel of an
/// earlier launch left in its scratch passes for a key of this one.
uint64_t nextEpoch() {
  constexpr uint64_t kAtOnce = 1024; // a thread takes many numbers, because an atomic operation is slow
  ThreadBlock *block = threadBlock();
  uint64_t number;
  if (!block) {
    number = submissions.fetch_add(1, std::memory_order_relaxed);
  } else {
    if (block->nextSubmission == block->submissionEnd) {
      block->nextSubmission = submissions.fetch_add(kAtOnce, std::memory_order_relaxed);
      block->submissionEnd = block->nextSubmission + kAtOnce;
    }
    number = block->nextSubmission++;
  }
  return (number + 1) * UINT64_C(0x9E3779B97F4A7C15);
}

constexpr uint32_t kMostWaiters = 512;
constexpr size_t kWaiterStack = 1 << 18;

struct Launch {
  const CpuKernel *kernel;
  opw_cpu_args_t args;
  opw_cpu_launch_t shared;
  int64_t programs;
  const opw_host_t *host;
  std::atomic<uint32_t> outOfMemory{0};
  // Threads that were started because programs wait for ones that have none.
  pthread_t waiters[kMostWaiters];
  std::atomic<uint32_t> waiterCount{0};
  std::atomic<bool> starting{false};
  // The first failure.
  std::atomic<uint32_t> failure{0}; // 0 none, 1 being written, 2 written
  const opw_cpu_site_t *failedSite = nullptr;
  int64_t failedProgram = -1;
};

void noteFailure(void *ctx, const opw_cpu_site_t *site, int64_t program) {
  auto *launch = static_cast<Launch *>(ctx);
  uint32_t none = 0;
  if (launch->failure.compare_exchange_strong(none, 1)) {
    launch->failedSite = site;
    launch->failedProgram = program;
    launch->failure.store(2, std::memory_order_release);
  }
}

void *runTickets(void *p);

// A waiting program keeps its thread. One more takes the next ticket, so that a program may wait for a higher one too.
void stall(void *ctx, int64_t) {
  auto *launch = static_cast<Launch *>(ctx);
  uint32_t count = launch->waiterCount.load(std::memory_order_acquire);
  bool left = __atomic_load_n(&launch->shared.ticket, __ATOMIC_RELAXED) < launch->programs;
  if (left && launch->kernel->ordered && count < kMostWaiters && !launch->starting.exchange(true)) {
    count = launch->waiterCount.load(std::memory_order_acquire);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kWaiterStack);
    sigset_t all, old; // signals are for the host's threads
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (count < kMostWaiters && pthread_create(&launch->waiters[count], &attributes, runTickets, launch) == 0)
      launch->waiterCount.store(count + 1, std::memory_order_release);
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
    pthread_attr_destroy(&attributes);
    launch->starting.store(false);
    return;
  }
  sched_yield();
}

bool hostHas(const opw_host_t *host, size_t end) { return host && host->struct_size >= end; }

// To the host's log where it has one, else to the standard output.
void print(void *ctx, const opw_cpu_site_t *site, int64_t program, const int64_t *index, uint64_t bits) {
  auto *launch = static_cast<Launch *>(ctx);
  char text[1024];
  formatPrint(text, sizeof text - 1, *site, launch->args.grid, program, index, bits);
  const opw_host_t *host = launch->host;
  if (hostHas(host, offsetof(opw_host_t, log) + sizeof host->log) && host->log) {
    host->log(host->ctx, 3, text);
    return;
  }
  size_t length = strlen(text);
  text[length++] = '\n';
  for (size_t done = 0; done < length;) {
    ssize_t count = write(STDOUT_FILENO, text + done, length - done);
    if (count <= 0 && errno != EINTR)
      return; // nobody to print to
    done += count > 0 ? static_cast<size_t>(count) : 0;
  }
}

bool failed(const Launch &launch) { return __atomic_load_n(&launch.shared.failed, __ATOMIC_RELAXED) != 0; }

opw_status_t runRange(Launch &launch, int64_t begin, int64_t end, opw_cpu_scratch_t &scratch) {
  if (launch.kernel->entry(&launch.args, begin, end, &scratch) == 0)
    return OPW_OK;
  __atomic_store_n(&launch.shared.failed, 1, __ATOMIC_RELAXED);
  return OPW_E_ASSERT;
}

opw_status_t body(void *p, int64_t begin, int64_t end) {
  auto &launch = *static_cast<Launch *>(p);
  if (failed(launch))
    return OPW_E_ASSERT;
  Scratch memory(launch.kernel->scratchBytes);
  if (!memory.ok()) {
    launch.outOfMemory.store(1, std::memory_order_relaxed);
    __atomic_store_n(&launch.shared.failed, 1, __ATOMIC_RELAXED);
    return OPW_E_MEMORY;
  }
  opw_cpu_scratch_t scratch{memory.data(), launch.kernel->scratchBytes, memory.worker(), 0};
  if (!launch.kernel->ordered)
    return runRange(launch, begin, end, scratch);
  // Programs by ticket: whoever waits for a lower program waits for one that runs already.
  while (!failed(launch)) {
    int64_t program = __atomic_fetch_add(&launch.shared.ticket, 1, __ATOMIC_RELAXED);
    if (program >= launch.programs)
      return OPW_OK;
    if (opw_status_t status = runRange(launch, program, program + 1, scratch))
      return status;
  }
  return OPW_E_ASSERT;
}

void *runTickets(void *p) {
  body(p, 0, 1);
  return nullptr;
}

opw_status_t dispatch(Launch &launch, const opw_host_t *host) {
  bool hostLoop = hostHas(host, offsetof(opw_host_t, parallel_for) + sizeof host->parallel_for) && host->parallel_for;
  int64_t count = launch.programs, grain = launch.kernel->grain < 1 ? 1 : launch.kernel->grain;
  if (count <= grain)
    return body(&launch, 0, count);
  int32_t threads = 0;
  if (hostHas(host, offsetof(opw_host_t, threads) + sizeof host->threads) && host->threads)
    threads = host->threads(host->ctx);
  if (threads < 1)
    threads = poolThreads(); // of the host's threads we know nothing: as many as there are CPUs, at a guess
  if (launch.kernel->ordered) {
    // One index per worker; each takes tickets until none is left.
    count = threads < count ? threads : count;
    grain = 1;
  } else if (hostLoop && count / (int64_t{8} * threads) > grain) {
    grain = count / (int64_t{8} * threads);
  }
  return hostLoop ? host->parallel_for(host->ctx, count, grain, body, &launch)
                  : parallelFor(count, grain, body, &launch);
}

} // namespace

opw_status_t launchCpu(const CpuKernel &kernel, const uint32_t grid[3], const uint64_t *slots, uint32_t slotCount,
                       const opw_host_t *host, opw_error_t *error) {
  int64_t programs = 0;
  if (__builtin_mul_overflow(static_cast<int64_t>(grid[0]), static_cast<int64_t>(grid[1]), &programs) ||
      __builtin_mul_overflow(programs, static_cast<int64_t>(grid[2]), &programs) || programs > INT64_C(1) << 62)
    return fail(error, OPW_E_OVERFLOW, "the grid %u x %u x %u has more than 2^62 programs", grid[0], grid[1], grid[2]);
  if (programs == 0)
    return OPW_OK;

  Launch launch;
  launch.args = {};
  launch.shared = {};
  launch.kernel = &kernel;
  launch.programs = programs;
  launch.shared.struct_size = sizeof launch.shared;
  launch.shared.epoch = nextEpoch();
  launch.host = host;
  launch.shared.ctx = &launch;
  launch.shared.fail = noteFailure;
  launch.shared.print = print;
  launch.shared.stall = stall;
  launch.args.struct_size = sizeof launch.args;
  launch.args.grid[0] = grid[0];
  launch.args.grid[1] = grid[1];
  launch.args.grid[2] = grid[2];
  launch.args.slot_count = slotCount;
  launch.args.launch = &launch.shared;
  launch.args.slots = slots;

  opw_status_t status = dispatch(launch, host);
  // A waiter starts others before it ends, so those that are joined later may be added meanwhile.
  for (uint32_t i = 0; i < launch.waiterCount.load(std::memory_order_acquire); ++i)
    pthread_join(launch.waiters[i], nullptr);
  if (status == OPW_OK && !failed(launch))
    return OPW_OK;
  if (launch.outOfMemory.load(std::memory_order_relaxed))
    return fail(error, OPW_E_MEMORY, "no memory for %llu bytes of scratch per thread",
                static_cast<unsigned long long>(kernel.scratchBytes));
  if (failed(launch)) {
    if (launch.failure.load(std::memory_order_acquire) == 2) {
      const opw_cpu_site_t &site = *launch.failedSite;
      char ids[80];
      formatProgram(ids, sizeof ids, grid, launch.failedProgram);
      return fail(error, OPW_E_ASSERT, "%s:%u: device assertion failed: %s, in program %s of kernel '%s'", site.file,
                  site.line, site.text, ids, site.kernel);
    }
    return fail(error, OPW_E_ASSERT, "a program of the kernel failed");
  }
  return fail(error, OPW_E_HOST, "the host's parallel_for failed with status %d", status);
}

} // namespace opw::runtime
