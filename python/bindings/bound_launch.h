// A launch whose arguments are bound: their slots are written, the next run costs no unpacking.
#pragma once

#include "launcher.h"

namespace opw::python {

/// What a run needs. `keep` are references to the launcher, the function and the arguments: their memory stays while
/// the bound launch does.
struct BoundCall {
  const LaunchPlan *plan = nullptr;
  const LoadedKernel *kernel = nullptr;
  const opw_host_t *host = nullptr;
  uint32_t grid[3] = {1, 1, 1};
  std::vector<uint64_t> slots;
  PyObject *keep = nullptr; ///< a tuple, owned
};

/// Makes the Python type of bound launches; a new reference, or null with an error set.
PyObject *makeBoundLaunchType();

/// A bound launch of that type, or null with an error set. Takes `call`, also when it fails.
PyObject *makeBoundLaunch(PyTypeObject *type, BoundCall call);

} // namespace opw::python
