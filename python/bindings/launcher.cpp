// A plain CPython type with vectorcall, not a bound class: Triton calls it once per launch with 9 positional arguments
// of its own and then the kernel's, and what is spent here is spent by every launch.
#include "launcher.h"

#include "bound_launch.h"
#include "core/launch.h"
#include "host.h"
#include "profiler.h"

#include <structmember.h>

#include <cstddef>
#include <limits>
#include <new>
#include <utility>

namespace opw::python {
namespace {

struct Launcher {
  PyObject_HEAD vectorcallfunc call;
  LaunchPlan *plan;
  PyTypeObject *loadedType;
  const LoadedKernel *(*unwrap)(PyObject *);
  PyTypeObject *tensorType; ///< of the last launch's first tensor, and whose threads go with it
  const opw_host_t *host;
};

/// Positions of what Triton passes before the kernel's own arguments.
enum Position { kGrid = 0, kFunction = 4, kLaunchMetadata = 6, kEnterHook = 7, kExitHook = 8, kFirst = 9 };

bool readGrid(const LaunchPlan &plan, PyObject *const *args, uint32_t (&grid)[3]) {
  for (unsigned axis = 0; axis < 3; ++axis) {
    PyObject *value = args[kGrid + axis];
    PyObject *index = PyLong_Check(value) ? Py_NewRef(value) : PyNumber_Index(value);
    if (!index) {
      if (PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear();
        PyErr_Format(PyExc_TypeError, "grid[%u] of kernel '%s' is %R, expected an integer; divide with triton.cdiv",
                     axis, plan.name.c_str(), value);
      }
      return false;
    }
    int overflow = 0;
    int64_t size = PyLong_AsLongLongAndOverflow(index, &overflow);
    bool fits = overflow == 0 && size >= 0 && size <= std::numeric_limits<int32_t>::max();
    if (!fits)
      PyErr_Format(PyExc_ValueError, "grid[%u] of kernel '%s' is %S, expected 0 to 2^31 - 1", axis, plan.name.c_str(),
                   index);
    Py_DECREF(index);
    if (!fits)
      return false;
    grid[axis] = static_cast<uint32_t>(size);
  }
  return true;
}

bool callHook(PyObject *hook, PyObject *metadata) {
  if (hook == Py_None)
    return true;
  PyObject *result = PyObject_CallOneArg(hook, metadata);
  Py_XDECREF(result);
  return result != nullptr;
}

/// Looked up again when another type of tensor comes than last time.
const opw_host_t *hostOfLaunch(Launcher &self, PyObject *const *args) {
  if (self.plan->firstTensor < 0)
    return nullptr;
  PyObject *tensor = args[kFirst + self.plan->firstTensor];
  if (Py_TYPE(tensor) != self.tensorType) {
    bool settled = true;
    self.host = hostOf(Py_TYPE(tensor), settled);
    PyObject *type = settled ? Py_NewRef(reinterpret_cast<PyObject *>(Py_TYPE(tensor))) : nullptr;
    Py_XSETREF(self.tensorType, reinterpret_cast<PyTypeObject *>(type));
  }
  return self.host;
}

thread_local LaunchCapture *capture = nullptr;

/// Instead of a run: the launch, with its slots written, joins the list of the capture.
bool bindCall(const Launcher &self, PyObject *const *args, Py_ssize_t count, const uint32_t (&grid)[3],
              const uint64_t *slots, const opw_host_t *host) {
  BoundCall call{self.plan, self.unwrap(args[kFunction]), host, {grid[0], grid[1], grid[2]}, {}, nullptr};
  try {
    call.slots.assign(slots, slots + self.plan->slots);
  } catch (const std::bad_alloc &) {
    PyErr_NoMemory();
    return false;
  }
  call.keep = PyTuple_New(2 + count - kFirst);
  if (!call.keep)
    return false;
  PyTuple_SET_ITEM(call.keep, 0, Py_NewRef(reinterpret_cast<PyObject *>(const_cast<Launcher *>(&self))));
  PyTuple_SET_ITEM(call.keep, 1, Py_NewRef(args[kFunction]));
  for (Py_ssize_t i = kFirst; i < count; ++i)
    PyTuple_SET_ITEM(call.keep, 2 + i - kFirst, Py_NewRef(args[i]));
  PyObject *bound = makeBoundLaunch(capture->type, std::move(call));
  if (!bound)
    return false;
  bool added = PyList_Append(capture->list, bound) == 0;
  Py_DECREF(bound);
  return added;
}

bool launch(Launcher &self, PyObject *const *args, Py_ssize_t count) {
  const LaunchPlan &plan = *self.plan;
  auto expected = static_cast<Py_ssize_t>(plan.params.size());
  if (count - kFirst != expected) {
    PyErr_Format(PyExc_TypeError, "kernel '%s' takes %zd arguments, constants included: found %zd", plan.name.c_str(),
                 expected, count > kFirst ? count - kFirst : 0);
    return false;
  }
  if (Py_TYPE(args[kFunction]) != self.loadedType) {
    PyErr_Format(PyExc_TypeError,
                 "kernel '%s': found a function of type %s, expected one that Opwright's driver loaded",
                 plan.name.c_str(), Py_TYPE(args[kFunction])->tp_name);
    return false;
  }
  uint32_t grid[3];
  if (!readGrid(plan, args, grid))
    return false;

  constexpr unsigned kSlotsOnStack = 48; // more than nearly every kernel has
  uint64_t few[kSlotsOnStack];
  std::unique_ptr<uint64_t[]> many;
  uint64_t *slots = few;
  if (plan.slots > kSlotsOnStack) {
    many.reset(new (std::nothrow) uint64_t[plan.slots]);
    slots = many.get();
    if (!slots) {
      PyErr_NoMemory();
      return false;
    }
  }
  uint64_t *out = slots;
  for (Py_ssize_t i = 0; i < expected; ++i)
    if (!readArgument(plan.params[static_cast<size_t>(i)], plan.name, args[kFirst + i], out))
      return false;

  const opw_host_t *host = hostOfLaunch(self, args);
  if (capture)
    return bindCall(self, args, count, grid, slots, host);
  if (!callHook(args[kEnterHook], args[kLaunchMetadata]))
    return false;
  if (!runKernel(plan, *self.unwrap(args[kFunction]), grid, slots, host))
    return false;
  return callHook(args[kExitHook], args[kLaunchMetadata]);
}

PyObject *vectorcall(PyObject *self, PyObject *const *args, size_t flagged, PyObject *keywords) {
  if (keywords && PyTuple_GET_SIZE(keywords) > 0) {
    PyErr_SetString(PyExc_TypeError, "a launcher takes no keyword arguments");
    return nullptr;
  }
  if (!launch(*reinterpret_cast<Launcher *>(self), args, PyVectorcall_NARGS(flagged)))
    return nullptr;
  Py_RETURN_NONE;
}

void deallocate(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  auto *launcher = reinterpret_cast<Launcher *>(self);
  delete launcher->plan;
  Py_XDECREF(reinterpret_cast<PyObject *>(launcher->loadedType));
  Py_XDECREF(reinterpret_cast<PyObject *>(launcher->tensorType));
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject *represent(PyObject *self) {
  const LaunchPlan &plan = *reinterpret_cast<Launcher *>(self)->plan;
  return PyUnicode_FromFormat("<launcher of kernel '%s', %u argument slots>", plan.name.c_str(), plan.slots);
}

} // namespace

LaunchCapture::LaunchCapture(PyTypeObject *type, PyObject *list) : type(type), list(list), outer(capture) {
  capture = this;
}

LaunchCapture::~LaunchCapture() { capture = outer; }

bool runKernel(const LaunchPlan &plan, const LoadedKernel &kernel, const uint32_t (&grid)[3], const uint64_t *slots,
               const opw_host_t *host) {
  if (!grid[0] || !grid[1] || !grid[2])
    return true;
  char text[512] = "";
  opw_error_t error{sizeof(opw_error_t), OPW_OK, text, sizeof text};
  runtime::CpuKernel cpu{kernel.entry, plan.scratchBytes, plan.grain, plan.ordered};
  opw_status_t status = OPW_OK;
  PyThreadState *python = PyEval_SaveThread();
  {
    LaunchTimer timer(plan.name, grid);
    status = runtime::launchCpu(cpu, grid, slots, plan.slots, host, &error);
  }
  PyEval_RestoreThread(python);
  if (status == OPW_OK)
    return true;
  PyErr_Format(PyExc_RuntimeError, "kernel '%s' failed: %s (status %d)", plan.name.c_str(),
               text[0] ? text : "no reason given", static_cast<int>(status));
  return false;
}

PyObject *makeLauncherType() {
  static PyMemberDef members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(Launcher, call), READONLY, nullptr},
                                  {nullptr, 0, 0, 0, nullptr}};
  static PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void *>(deallocate)},
                                {Py_tp_repr, reinterpret_cast<void *>(represent)},
                                {Py_tp_call, reinterpret_cast<void *>(PyVectorcall_Call)},
                                {Py_tp_members, members},
                                {0, nullptr}};
  static PyType_Spec spec = {"opwright._core.Launcher", sizeof(Launcher), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                             slots};
  return PyType_FromSpec(&spec);
}

PyObject *makeLauncher(PyTypeObject *type, LaunchPlan plan, PyTypeObject *loadedType,
                       const LoadedKernel *(*unwrap)(PyObject *)) {
  auto *launcher = reinterpret_cast<Launcher *>(type->tp_alloc(type, 0));
  if (!launcher)
    return nullptr;
  launcher->call = vectorcall;
  launcher->loadedType = reinterpret_cast<PyTypeObject *>(Py_NewRef(reinterpret_cast<PyObject *>(loadedType)));
  launcher->unwrap = unwrap;
  launcher->plan = new (std::nothrow) LaunchPlan(std::move(plan));
  if (launcher->plan)
    return reinterpret_cast<PyObject *>(launcher);
  Py_DECREF(reinterpret_cast<PyObject *>(launcher));
  return PyErr_NoMemory();
}

} // namespace opw::python
