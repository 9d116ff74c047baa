// Programs through validation, evaluation and bounds: whatever the instructions, a status; and what is validated has,
// for every call in a box of sizes, a value within the bounds of the box.
#include "core/api.h"
#include "library.h"
#include "programs.h"

#include <algorithm>
#include <cstdio>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern "C" size_t opwFuzzBytes();
extern "C" size_t opwFuzzBytes() { return 256; }

namespace {

using namespace opw::fuzz;

[[noreturn]] void stop(const char *why, long long value, const int64_t *range) {
  std::fprintf(stderr, "fuzz_program: %s: %lld, [%lld, %lld]\n", why, value, static_cast<long long>(range[0]),
               static_cast<long long>(range[1]));
  std::abort();
}

/// A call of t::all whose sizes are given.
struct Sized {
  int64_t shapes[4][3] = {};
  int32_t steps[2] = {1, 2};
  opw_tensor_t tensors[5] = {};
  const opw_tensor_t *inputs[5];
  opw_call_t call{};

  explicit Sized(bool withY) {
    for (int i = 0; i < 5; ++i) {
      tensors[i] = {nullptr, OPW_DEVICE_CPU, 0, 3, 2, 32, 1, shapes[std::min(i, 3)], nullptr, 0};
      inputs[i] = &tensors[i];
    }
    tensors[1].data = steps;
    tensors[1].ndim = 1;
    tensors[1].dl_code = 0;
    shapes[1][0] = 2;
    if (!withY)
      inputs[2] = nullptr;
    call.struct_size = sizeof call;
    call.inputs = inputs;
    call.input_count = 5;
    call.device_type = OPW_DEVICE_CPU;
  }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static Library library;
  const opw_api_t &api = opw::runtime::kApi;
  const opw_op_t *op = library.all;
  Choices choices(data, size);
  bool valid = !choices.oneIn(4);
  RandomProgram program = valid ? validProgram(choices, 1 + choices.below(24), choices.oneIn(8)) : anyProgram(choices);
  bool withY = choices.oneIn(2);
  Sized low(withY), high(withY), between(withY);
  static constexpr int64_t kSizes[] = {0, 1, 2, 3, 7, 64, 100, 704, 1000, 1 << 16};
  for (int t : {0, 2, 3})
    for (int d = 0; d < 3; ++d) {
      int64_t a = choices.oneOf(kSizes), b = choices.oneIn(3) ? a : choices.oneOf(kSizes);
      low.shapes[t][d] = std::min(a, b);
      high.shapes[t][d] = std::max(a, b);
    }
  for (int i = 0; i < 2; ++i)
    high.steps[i] = low.steps[i] + static_cast<int32_t>(choices.below(3));
  int64_t range[2] = {}, value = 0;
  char text[256] = "";
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  opw_status_t status = api.bounds(op, &program.view, &low.call, &high.call, range, &error);
  auto says = [&](const char *words) { return std::strstr(text, words) != nullptr; };
  bool noValue = says("no value");
  bool refused = status != OPW_OK && status != OPW_E_SHAPE && !says("condition") && !says("too large");
  if (valid && refused && !program.view.is_float && program.view.depth <= OPW_MAX_DEPTH) {
    std::fprintf(stderr, "fuzz_program: a valid program is refused: %s\n", text);
    std::abort();
  }
  for (int n = 0; n < 24; ++n) {
    for (int t : {0, 2, 3})
      for (int d = 0; d < 3; ++d)
        between.shapes[t][d] = choices.isEmpty() || n < 2 ? (n % 2 ? high : low).shapes[t][d]
                                                          : choices.between(low.shapes[t][d], high.shapes[t][d]);
    for (int i = 0; i < 2; ++i)
      between.steps[i] = static_cast<int32_t>(choices.between(low.steps[i], high.steps[i]));
    opw_status_t one = api.eval(op, &program.view, &between.call, &value, nullptr);
    if (one == OPW_OK && status == OPW_OK && (value < range[0] || value > range[1]))
      stop("a value outside of the bounds", value, range);
    if (one == OPW_OK && noValue)
      stop("a value where bounds found none", value, range);
  }
  return 0;
}
