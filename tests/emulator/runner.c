/* Runs the kernel that it is linked with, call by call. Every region of memory lies between pages that must not be
 * touched, as close to the second one as the region was given. */
#include "protocol.h"

#include "opwright/plugin.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern int32_t opw_kernel(const opw_cpu_args_t *args, int64_t low, int64_t high, opw_cpu_scratch_t *scratch);

enum { kMost = 16, kThreads = 8 };

static void quit(const char *what) {
  fprintf(stderr, "runner: %s\n", what);
  exit(2);
}

static int receive(void *to, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t got = read(0, (char *)to + done, bytes - done);
    if (got <= 0)
      return 0;
    done += (size_t)got;
  }
  return 1;
}

static void answer(const void *from, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t put = write(1, (const char *)from + done, bytes - done);
    if (put <= 0)
      quit("cannot write");
    done += (size_t)put;
  }
}

typedef struct share_t {
  const opw_cpu_args_t *args;
  int64_t low, high;
  opw_cpu_scratch_t scratch;
  int32_t status;
} share_t;

static void *work(void *of) {
  share_t *share = of;
  share->status = opw_kernel(share->args, share->low, share->high, &share->scratch);
  return NULL;
}

/* The programs in as many pieces as there are threads. */
static int32_t launch(const emulated_call_t *call, const opw_cpu_args_t *args) {
  static void *scratch[kThreads]; /* kept: memos live there from one call to the next */
  share_t shares[kThreads];
  pthread_t threads[kThreads];
  int64_t count = call->high - call->low;
  for (uint32_t t = 0; t < call->threads; t++) {
    if (!scratch[t] && posix_memalign(&scratch[t], 64, call->scratch_bytes + 64))
      quit("no memory");
    shares[t] = (share_t){args,
                          call->low + count * t / call->threads,
                          call->low + count * (t + 1) / call->threads,
                          {.memory = scratch[t], .bytes = call->scratch_bytes, .worker = t},
                          0};
    if (t > 0 && pthread_create(&threads[t], NULL, work, &shares[t]))
      quit("no thread");
  }
  work(&shares[0]);
  int32_t status = shares[0].status;
  for (uint32_t t = 1; t < call->threads; t++) {
    pthread_join(threads[t], NULL);
    status |= shares[t].status;
  }
  return status;
}

int main(void) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  emulated_call_t call;
  while (receive(&call, sizeof call)) {
    emulated_slot_t slots[kMost];
    emulated_region_t regions[kMost];
    char *places[kMost], *maps[kMost];
    size_t sizes[kMost];
    uint64_t values[kMost];
    if (call.slots > kMost || call.regions > kMost || call.threads < 1 || call.threads > kThreads)
      quit("a call that is too large");
    if (!receive(slots, call.slots * sizeof *slots) || !receive(regions, call.regions * sizeof *regions))
      quit("half a call");
    for (uint32_t r = 0; r < call.regions; r++) {
      size_t inside = (regions[r].bytes + page - 1) / page * page;
      sizes[r] = inside + 2 * page;
      maps[r] = mmap(NULL, sizes[r], PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (maps[r] == MAP_FAILED || (inside && mprotect(maps[r] + page, inside, PROT_READ | PROT_WRITE)))
        quit("no memory");
      places[r] = maps[r] + page + inside - regions[r].bytes;
      if (!receive(places[r], regions[r].bytes))
        quit("half a region");
    }
    for (uint32_t s = 0; s < call.slots; s++) {
      int64_t r = slots[s].region;
      values[s] = r < 0 ? slots[s].value : (uint64_t)(uintptr_t)places[r] + slots[s].value - regions[r].address;
    }
    opw_cpu_launch_t of = {.struct_size = sizeof of, .epoch = call.epoch};
    opw_cpu_args_t args = {
        .struct_size = sizeof args, .flags = call.flags, .slot_count = call.slots, .launch = &of, .slots = values};
    memcpy(args.grid, call.grid, sizeof args.grid);
    emulated_answer_t result = {.status = launch(&call, &args)};
    result.failed = of.failed;
    answer(&result, sizeof result);
    for (uint32_t r = 0; r < call.regions; r++) {
      answer(places[r], regions[r].bytes);
      munmap(maps[r], sizes[r]);
    }
  }
  return 0;
}
