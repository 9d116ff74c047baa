// What each thread that runs kernels keeps between calls: its scratch memory and whether it is inside a loop.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace opw::runtime {

struct ThreadBlock {
  void *scratch; // page-aligned
  size_t scratchBytes;
  uint32_t worker;                        // unique number of the thread within this copy of the runtime
  uint32_t depth;                         // loops of the pool that this thread is inside of
  bool scratchBusy;                       // a kernel of an outer call uses the scratch
  uint64_t nextSubmission, submissionEnd; // numbers that are this thread's to give: launch.cpp
};

/// The block of this thread, made on first use and freed when the thread ends. Null when memory is short, or while
/// another thread makes the key: callers then do without.
ThreadBlock *threadBlock();

/// Zeroed pages that are reused as scratch of one kernel after the other on one thread.
class Scratch {
public:
  explicit Scratch(size_t bytes);
  ~Scratch();
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;

  bool ok() const { return bytes == 0 || memory; }
  void *data() const { return memory; }
  uint32_t worker() const { return block ? block->worker : 0; }

private:
  size_t bytes;
  ThreadBlock *block;
  void *memory = nullptr;
  bool owned = false; // not the thread's: unmapped at the end
};

} // namespace opw::runtime
