// All stages on arbitrary texts, to an object.
#include "codegen/cpu/emit.h"
#include "pipeline.h"
#include "support/check.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  try {
    std::optional<opw::ir::Module> plan = opw::fuzz::planOf({reinterpret_cast<const char *>(data), size});
    if (!plan)
      return 0;
    opw::Result<opw::cpu::EmittedObject> object = opw::cpu::emit(
        *plan, plan->functions.front(), {.level = "x86-64-v3", .debugInfo = size % 2 == 1, .verify = true});
    if (!object)
      opw::fuzz::requireMessage(object.diagnostics());
    else if (object->object.empty())
      opw::fuzz::fail("an object without contents", "");
  } catch (const opw::InternalError &error) {
    opw::fuzz::fail("an invariant is broken", error.what());
  }
  return 0;
}
