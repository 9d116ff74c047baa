// Many threads in one op from its first call on: all see it validated, and each gets its own result. Also run under
// ThreadSanitizer.
#include "core/api.h"
#include "core/pool.h"
#include "library.h"

#include <atomic>
#include <gtest/gtest.h>
#include <thread>

namespace opw::runtime {
namespace {

constexpr int kThreads = 16, kRounds = 20, kCalls = 20;

/// Calls of t::inplace, which copies x to out where they are two buffers. The number of calls that went wrong.
int callOften(const opw_op_t *op, int thread) {
  int bad = 0;
  for (int i = 0; i < kCalls; ++i) {
    const int64_t size = 1 + (thread * kCalls + i) % 200;
    std::vector<float> x(static_cast<size_t>(size), static_cast<float>(thread)), out(x.size(), -1.0f);
    int64_t shape[1] = {size}, dims[OPW_MAX_RANK] = {}, flat[OPW_MAX_RANK] = {};
    opw_tensor_t in{x.data(), OPW_DEVICE_CPU, 0, 1, 2, 32, 1, shape, nullptr, 0}, made = in, inferred = in, other = in;
    made.data = out.data();
    inferred.shape = dims;
    other.shape = flat;
    const opw_tensor_t *inputs[] = {&in};
    opw_tensor_t *outputs[] = {&made, nullptr}, *shapes[] = {&inferred, &other};
    opw_call_t call{};
    call.struct_size = sizeof call;
    call.inputs = inputs;
    call.outputs = shapes;
    call.input_count = 1;
    call.output_count = 2;
    call.device_type = OPW_DEVICE_CPU;
    int64_t value = 0, range[2] = {};
    bad += kApi.infer(op, &call, nullptr) != OPW_OK || dims[0] != size || flat[0] != size;
    bad += kApi.eval(op, &op->vars[0], &call, &value, nullptr) != OPW_OK || value != size;
    bad += kApi.bounds(op, &op->vars[0], &call, &call, range, nullptr) != OPW_OK || range[1] != size;
    bad += kApi.force(op, thread % 2, nullptr) != OPW_OK;
    call.outputs = outputs;
    bad += kApi.run(op, &call, nullptr) != OPW_OK || out != x;
  }
  return bad;
}

TEST(Threads, SixteenInOneOpFromItsFirstCall) {
  static fuzz::Library library;
  setPoolThreads(4);
  std::atomic<int> bad{0};
  for (int round = 0; round < kRounds; ++round) {
    library.forget(); // so that the first calls meet in the validation
    std::atomic<int> waiting{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&, t] {
        for (++waiting; waiting < kThreads;)
          std::this_thread::yield();
        bad += callOften(library.inplace, t);
      });
    for (std::thread &t : threads)
      t.join();
  }
  EXPECT_EQ(bad, 0);
  setPoolThreads(0);
}

} // namespace
} // namespace opw::runtime
