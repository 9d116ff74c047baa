// Stands in for libtorch_cpu.so in a process without torch: the three functions that an adapter looks up, and no more.
// Like torch's, the loop splits its range into equal parts, one per thread, and is serial inside itself.
#include <cstdint>
#include <thread>
#include <vector>

namespace {
thread_local bool inside = false;
} // namespace

extern "C" {

uint32_t fake_torch_threads = 4;
bool fake_torch_fails = false;

int32_t torch_get_num_threads(uint32_t *count) {
  *count = fake_torch_threads;
  return 0;
}

int32_t torch_parallel_for(int64_t begin, int64_t end, int64_t grain,
                           void (*body)(int64_t begin, int64_t end, void *ctx), void *ctx) {
  if (fake_torch_fails)
    return 1;
  int64_t parts = (end - begin) / (grain < 1 ? 1 : grain);
  if (inside || parts < 2) {
    body(begin, end, ctx);
    return 0;
  }
  std::vector<std::thread> threads;
  for (int64_t part = 0; part < parts; ++part)
    threads.emplace_back([=] {
      inside = true;
      body(begin + (end - begin) * part / parts, begin + (end - begin) * (part + 1) / parts, ctx);
    });
  for (std::thread &thread : threads)
    thread.join();
  return 0;
}

} // extern "C"
