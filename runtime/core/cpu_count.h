// How many CPUs this process may use.
#pragma once

#include <stdint.h>

namespace opw::runtime {

/// The size of the affinity mask, cut to the CPU quota of the control group (rounded up); at least 1.
int32_t usableCpus();

} // namespace opw::runtime
