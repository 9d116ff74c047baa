// Tables with damage: bits, small numbers, nulls and pointers to other tables of their type. The runtime either refuses
// the op or runs it, and reads nothing outside of the arena. Pointers that leave it are nothing that a reader can tell.
#include "core/api.h"
#include "library.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern "C" size_t opwFuzzBytes();
extern "C" size_t opwFuzzBytes() { return 512; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace opw::fuzz;
  static Library library;
  const opw_api_t &api = opw::runtime::kApi;
  Choices choices(data, size);
  library.forget();
  opw_op_t *op = choices.oneIn(4) ? library.inplace : library.all;
  opw_op_t sound = *op;
  for (size_t n = choices.below(4); n > 0; --n)
    library.arena.damage(choices);
  char text[128] = "";
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  if (api.check(op, &error) == OPW_OK) {
    for (auto kind : {Call::Infer, Call::Decide, Call::Run}) {
      Call call(op, choices, kind);
      call.text[0] = 0;
      size_t bytes = 0;
      int64_t value = 0, range[2];
      if (kind == Call::Infer)
        requireStatus(api.infer(op, &call.call, &call.error), call);
      if (kind == Call::Run)
        requireStatus(api.run(op, &call.call, &call.error), call);
      if (kind != Call::Decide)
        continue;
      requireStatus(api.workspace(op, &call.call, &bytes, &call.error), call);
      requireStatus(api.bounds(op, nullptr, &call.call, &call.call, range, &call.error), call);
      for (uint32_t i = 0; i < op->var_count; ++i)
        requireStatus(api.eval(op, &op->vars[i], &call.call, &value, &call.error), call);
    }
  }
  library.arena.restore();
  if (std::memcmp(&sound, op, sizeof sound) != 0)
    std::abort();
  return 0;
}
