// Whose threads run a launch.
#pragma once

#include "launcher.h"

namespace opw::python {

/// The host of launches whose first tensor is of this type: torch's threads for torch's tensors, null for the
/// runtime's own pool. OPW_POOL=own or torch, read once, says it for all; with torch, `settled` is false until torch is
/// loaded: ask again next time.
const opw_host_t *hostOf(PyTypeObject *tensor, bool &settled);

} // namespace opw::python
