// The functions of opw_api_t.
#pragma once

#include "opwright/plugin.h"

namespace opw::runtime {

extern const opw_api_t kApi;

} // namespace opw::runtime
