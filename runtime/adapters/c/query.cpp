// The query of the C face: the only function that a host looks up by name.
#include "core/api.h"
#include "core/state.h"

namespace {

constinit const opw_library_t kLibrary = {OPW_ABI_MAJOR, OPW_ABI_MINOR,      sizeof(opw_library_t), 0,
                                          &opw_tables,   &opw::runtime::kApi};

} // namespace

extern "C" const opw_library_t *opw_library(uint32_t major) {
  if (major != OPW_ABI_MAJOR)
    return nullptr;
  opw::runtime::readEnvironment();
  return &kLibrary;
}
