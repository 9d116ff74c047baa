// Calls with whatever a host may hand over by mistake: counts, ranks, nulls, negative sizes, sizes that overflow,
// strides, overlap, element types and devices. Each gets a status with its text, and no memory outside of the views is
// touched.
#include "core/api.h"
#include "library.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern "C" size_t opwFuzzBytes();
extern "C" size_t opwFuzzBytes() { return 384; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace opw::fuzz;
  static Library library;
  const opw_api_t &api = opw::runtime::kApi;
  Choices choices(data, size);
  const opw_op_t *op = choices.oneIn(3) ? library.inplace : library.all;
  auto kind = static_cast<Call::Kind>(choices.below(3));
  Call call(op, choices, kind);
  call.text[0] = 0;
  size_t bytes = 0;
  int64_t value = 0, range[2];
  opw_choice_t choice{};
  choice.struct_size = sizeof choice;
  switch (kind) {
  case Call::Infer:
    requireStatus(api.infer(op, &call.call, &call.error), call);
    break;
  case Call::Run:
    requireStatus(api.run(op, &call.call, &call.error), call);
    break;
  case Call::Decide:
    requireStatus(api.workspace(op, &call.call, &bytes, &call.error), call);
    requireStatus(api.choose(op, &call.call, &choice, &call.error), call);
    requireStatus(api.eval(op, &op->vars[choices.below(op->var_count)], &call.call, &value, &call.error), call);
    Call high(op, choices, kind);
    requireStatus(api.bounds(op, nullptr, &call.call, &high.call, range, &call.error), call);
    break;
  }
  return 0;
}
