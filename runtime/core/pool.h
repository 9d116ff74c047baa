// The thread pool of last resort: used where the host brings no parallel_for of its own.
//
// One pool per copy of the runtime. It starts on the first loop that is large enough, has one thread
// per CPU that this process may use (affinity mask and cgroup quota), spins for some tens of
// microseconds after a loop and then sleeps on a futex. It survives fork: the child starts its own.
#pragma once

#include "opwright/plugin.h"

namespace opw::runtime {

// Runs body on disjoint ranges that cover [0, count), the calling thread included, and returns after
// all of them. A chunk is max(grain, count / (8 * threads)) wide. Serial when one chunk covers it all,
// when called from inside a body, or when another thread's loop has the pool. The first non-zero result
// of a body stops the loop early and is returned.
int32_t parallelFor(int64_t count, int64_t grain, opw_body_t body, void *arg);

// Threads that a loop may use, the caller included; at least 1.
int32_t poolThreads();

// Sets the threads of later loops; 0 = OPW_THREADS, or as many as there are CPUs.
void setPoolThreads(int32_t threads);

} // namespace opw::runtime
