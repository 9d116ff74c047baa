// Whose threads run a launch.
#pragma once

#include "launcher.h"

namespace opw::python {

/// The host of launches whose first tensor is of this type: torch's threads for torch's tensors, null for the
/// runtime's own pool. OPW_POOL=own or torch, read once, says it for all.
const opw_host_t *hostOf(PyTypeObject *tensor);

} // namespace opw::python
