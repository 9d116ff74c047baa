// The callable behind `kernel[grid](...)`: unpacks the arguments, releases the GIL and runs the grid on the runtime's
// pool.
#pragma once

#include "arguments.h"
#include "codegen/cpu/jit.h"
#include "opwright/plugin.h"

#include <Python.h>

#include <memory>

namespace opw::python {

/// A kernel entry in this process, and the module that holds its code; null where someone else does.
struct LoadedKernel {
  std::unique_ptr<cpu::JitModule> module;
  opw_cpu_entry_t entry = nullptr;
};

/// What a launch needs to know of a kernel apart from its code.
struct LaunchPlan {
  std::string name;
  std::vector<Param> params;
  unsigned slots = 0;
  uint64_t scratchBytes = 0;
  int64_t grain = 1;
  bool ordered = false;
};

/// Makes the Python type of launchers; a new reference, or null with an error set.
PyObject *makeLauncherType();

/// A launcher of that type. `loadedType` is the Python type of LoadedKernel, `unwrap` gives what an instance of it
/// holds.
PyObject *makeLauncher(PyTypeObject *type, LaunchPlan plan, PyTypeObject *loadedType,
                       const LoadedKernel *(*unwrap)(PyObject *));

} // namespace opw::python
