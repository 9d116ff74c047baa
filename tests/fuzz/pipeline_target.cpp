// All stages before code generation on arbitrary texts.
#include "pipeline.h"
#include "support/check.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  try {
    opw::fuzz::planOf({reinterpret_cast<const char *>(data), size});
  } catch (const opw::InternalError &error) {
    opw::fuzz::fail("an invariant is broken", error.what());
  }
  return 0;
}
