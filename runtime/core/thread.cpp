#include "core/thread.h"

#include "core/libc.h"

#include <atomic>
#include <stdlib.h>
#include <sys/mman.h>

namespace opw::runtime {
namespace {

enum KeyState : uint32_t { kNone, kMaking, kReady, kUnavailable };
std::atomic<uint32_t> keyState{kNone};
pthread_key_t key;
std::atomic<uint32_t> workers{0};

void *mapPages(size_t bytes) {
  void *p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

void dropBlock(void *p) {
  auto *block = static_cast<ThreadBlock *>(p);
  if (block->scratch)
    munmap(block->scratch, block->scratchBytes);
  free(block);
}

bool haveKey() {
  uint32_t state = keyState.load(std::memory_order_acquire);
  if (state == kReady)
    return true;
  uint32_t none = kNone;
  if (state != kNone || !keyState.compare_exchange_strong(none, kMaking))
    return false;
  bool made = pthread_key_create(&key, dropBlock) == 0;
  keyState.store(made ? kReady : kUnavailable, std::memory_order_release);
  return made;
}

constexpr size_t kScratchStep = 64 * 1024;

} // namespace

ThreadBlock *threadBlock() {
  if (!haveKey())
    return nullptr;
  if (void *p = pthread_getspecific(key))
    return static_cast<ThreadBlock *>(p);
  auto *block = static_cast<ThreadBlock *>(calloc(1, sizeof(ThreadBlock)));
  if (!block)
    return nullptr;
  block->worker = workers.fetch_add(1, std::memory_order_relaxed);
  if (pthread_setspecific(key, block) != 0) {
    free(block);
    return nullptr;
  }
  return block;
}

Scratch::Scratch(size_t wanted) : bytes(wanted), block(threadBlock()) {
  if (bytes == 0)
    return;
  size_t rounded = (bytes + kScratchStep - 1) / kScratchStep * kScratchStep;
  if (rounded < bytes)
    return;
  if (!block || block->scratchBusy) {
    bytes = rounded;
    memory = mapPages(rounded);
    owned = true;
    return;
  }
  if (block->scratchBytes < bytes) {
    void *fresh = mapPages(rounded);
    if (!fresh)
      return;
    if (block->scratch)
      munmap(block->scratch, block->scratchBytes);
    block->scratch = fresh;
    block->scratchBytes = rounded;
  }
  memory = block->scratch;
  block->scratchBusy = true;
}

Scratch::~Scratch() {
  if (owned) {
    if (memory)
      munmap(memory, bytes);
  } else if (memory) {
    block->scratchBusy = false;
  }
}

} // namespace opw::runtime
