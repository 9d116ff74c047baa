// PyTorch's threads as the threads of a launch: one pool in the process, and torch.set_num_threads counts.
#pragma once

#include "opwright/plugin.h"

namespace opw::runtime {

// The host whose parallel_for is torch's. Null where no torch of at least 2.10 is loaded, which is the first with these
// functions in its stable ABI. Inside a parallel region of torch's its loop is serial. Any thread may ask, before torch
// is loaded too.
const opw_host_t *torchHost();

} // namespace opw::runtime
