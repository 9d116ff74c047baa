// The callable behind `kernel[grid](...)`: unpacks the arguments, releases the GIL and runs the grid on the threads
// that go with its tensors (host.h).
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
  size_t codeBytes = 0; ///< of the entry; 0 where it is not known
};

/// What a launch needs to know of a kernel apart from its code.
struct LaunchPlan {
  std::string name;
  std::vector<Param> params;
  unsigned slots = 0;
  int firstTensor = -1; ///< position of the first parameter that is a pointer; -1 without one
  uint64_t scratchBytes = 0;
  int64_t grain = 1;
  bool ordered = false;
};

/// Runs the grid on the host's threads (null: the runtime's own) with the GIL released; false with a Python error set
/// where it failed. An empty grid is a success.
bool runKernel(const LaunchPlan &plan, const LoadedKernel &kernel, const uint32_t (&grid)[3], const uint64_t *slots,
               const opw_host_t *host);

/// While one of these lives, launches of this thread are bound, not run: each becomes a BoundLaunch of `type` at the
/// end of `list`.
class LaunchCapture {
public:
  LaunchCapture(PyTypeObject *type, PyObject *list);
  ~LaunchCapture();
  LaunchCapture(const LaunchCapture &) = delete;
  LaunchCapture &operator=(const LaunchCapture &) = delete;

  PyTypeObject *type;
  PyObject *list;

private:
  LaunchCapture *outer;
};

/// Makes the Python type of launchers; a new reference, or null with an error set.
PyObject *makeLauncherType();

/// A launcher of that type. `loadedType` is the Python type of LoadedKernel, `unwrap` gives what an instance of it
/// holds.
PyObject *makeLauncher(PyTypeObject *type, LaunchPlan plan, PyTypeObject *loadedType,
                       const LoadedKernel *(*unwrap)(PyObject *));

} // namespace opw::python
