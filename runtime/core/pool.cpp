// One job at a time. The gate word is generation * 2 + open. The caller writes the job while the gate is closed and no
// worker is inside, opens the gate, works, closes the gate and waits until no worker is inside. A worker announces
// itself (inside + 1) before it looks at the gate again: either it sees the gate closed and leaves, or the caller sees
// it inside and waits. Both sides use sequentially consistent operations for that pair, so one of the two holds.
#include "core/pool.h"

#include "core/cpu_count.h"
#include "core/libc.h"
#include "core/thread.h"

#include <atomic>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace opw::runtime {
namespace {

constexpr int32_t kMaxThreads = 512;
constexpr int64_t kSpinNanoseconds = 30'000;
constexpr size_t kStackBytes = size_t{2} << 20;

struct Job {
  int64_t count, chunk;
  opw_body_t body;
  void *arg;
};

std::atomic<uint32_t> owned{0};      // a caller has the pool
std::atomic<uint32_t> gate{0};       // futex word
std::atomic<uint32_t> sleepers{0};   // workers that wait, or are about to wait, on gate
std::atomic<uint32_t> inside{0};     // futex word: workers that may look at the job
std::atomic<uint32_t> waiting{0};    // the caller sleeps on inside
std::atomic<int32_t> seats{0};       // helpers that may still join the job
std::atomic<int64_t> next{0};        // first index that nobody has taken
std::atomic<int32_t> status{0};      // first failure
std::atomic<int32_t> atFirst{0};     // without a limit; 0 = not counted yet
std::atomic<int32_t> threadLimit{0}; // setPoolThreads
int32_t started = 0;                 // helpers alive; only the owner touches it
bool forkHandler = false;            // only the owner touches it
Job job;                             // written by the owner while the gate is closed

void futexWait(std::atomic<uint32_t> &word, uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void futexWake(std::atomic<uint32_t> &word, int count) {
  syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

int64_t now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

/// Spins for a short while until `done()`; whether it became true.
template <typename Done> bool spin(Done done) {
  int64_t end = 0;
  for (;;) {
    for (int i = 0; i < 16; ++i) {
      if (done())
        return true;
      relax();
    }
    int64_t t = now();
    if (end == 0)
      end = t + kSpinNanoseconds;
    else if (t > end)
      return false;
  }
}

void takeChunks() {
  int64_t count = job.count, chunk = job.chunk;
  while (status.load(std::memory_order_relaxed) == 0) {
    int64_t begin = next.fetch_add(chunk, std::memory_order_relaxed);
    if (begin >= count)
      return;
    int64_t end = count - begin < chunk ? count : begin + chunk;
    if (int32_t result = job.body(job.arg, begin, end)) {
      int32_t none = 0;
      status.compare_exchange_strong(none, result);
      return;
    }
  }
}

void waitForGate(uint32_t seen) {
  auto changed = [seen] { return gate.load(std::memory_order_acquire) != seen; };
  while (!changed()) {
    if (spin(changed))
      return;
    sleepers.fetch_add(1);
    if (!changed())
      futexWait(gate, seen);
    sleepers.fetch_sub(1);
  }
}

void *helperMain(void *) {
  prctl(PR_SET_NAME, "opw-worker");
  if (ThreadBlock *block = threadBlock())
    block->depth = 1; // whatever runs here runs inside a loop
  uint32_t seen = 0;
  for (;;) {
    waitForGate(seen);
    seen = gate.load();
    if ((seen & 1) == 0)
      continue;
    inside.fetch_add(1);
    if (gate.load() == seen && seats.fetch_sub(1) > 0)
      takeChunks();
    if (inside.fetch_sub(1) == 1 && waiting.load() != 0)
      futexWake(inside, 1);
  }
}

void afterForkInChild() {
  started = 0;
  owned.store(0);
  gate.store(0);
  sleepers.store(0);
  inside.store(0);
  waiting.store(0);
}

/// Starts helpers until there are `wanted`, or until the system refuses one.
void startHelpers(int32_t wanted) {
  if (started >= wanted)
    return;
  if (!forkHandler) {
    __register_atfork(nullptr, nullptr, afterForkInChild, nullptr);
    forkHandler = true;
  }
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  for (; started < wanted; ++started) {
    pthread_t thread;
    if (pthread_create(&thread, &attributes, helperMain, nullptr) != 0)
      break;
  }
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

void closeGate() {
  gate.fetch_add(1);
  auto empty = [] { return inside.load() == 0; };
  if (empty() || spin(empty))
    return;
  waiting.store(1);
  for (;;) {
    uint32_t n = inside.load();
    if (n == 0)
      break;
    futexWait(inside, n);
  }
  waiting.store(0);
}

} // namespace

int32_t poolThreads() {
  int32_t n = threadLimit.load(std::memory_order_relaxed);
  if (n > 0)
    return n;
  n = atFirst.load(std::memory_order_relaxed);
  if (n == 0) {
    const char *wish = getenv("OPW_THREADS");
    long number = wish ? strtol(wish, nullptr, 10) : 0;
    n = number > 0 ? static_cast<int32_t>(number < kMaxThreads ? number : kMaxThreads) : usableCpus();
    n = n < 1 ? 1 : n > kMaxThreads ? kMaxThreads : n;
    atFirst.store(n, std::memory_order_relaxed);
  }
  return n;
}

void setPoolThreads(int32_t threads) {
  threadLimit.store(threads < 0 ? 0 : threads > kMaxThreads ? kMaxThreads : threads, std::memory_order_relaxed);
}

int32_t parallelFor(int64_t count, int64_t grain, opw_body_t body, void *arg) {
  if (count <= 0)
    return 0;
  if (grain < 1)
    grain = 1;
  if (count <= grain)
    return body(arg, 0, count);
  int32_t threads = poolThreads();
  ThreadBlock *block = threads > 1 ? threadBlock() : nullptr;
  uint32_t none = 0;
  if (!block || block->depth != 0 || !owned.compare_exchange_strong(none, 1, std::memory_order_acquire))
    return body(arg, 0, count);

  int64_t even = count / (int64_t{8} * threads);
  int64_t chunk = even > grain ? even : grain;
  int64_t chunks = (count - 1) / chunk + 1;
  auto helpers = static_cast<int32_t>(chunks - 1 < threads - 1 ? chunks - 1 : threads - 1);
  startHelpers(helpers);

  job = Job{count, chunk, body, arg};
  seats.store(helpers, std::memory_order_relaxed);
  next.store(0, std::memory_order_relaxed);
  status.store(0, std::memory_order_relaxed);
  gate.fetch_add(1);
  if (sleepers.load() != 0)
    futexWake(gate, helpers);
  block->depth = 1;
  takeChunks();
  block->depth = 0;
  closeGate();
  int32_t result = status.load(std::memory_order_relaxed);
  owned.store(0, std::memory_order_release);
  return result;
}

} // namespace opw::runtime
