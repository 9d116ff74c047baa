// A plain CPython type with vectorcall, as the launcher: a call is all that a loop around a small kernel pays.
#include "bound_launch.h"

#include <structmember.h>

#include <cstddef>
#include <new>
#include <utility>

namespace opw::python {
namespace {

struct BoundLaunch {
  PyObject_HEAD vectorcallfunc vectorcall;
  BoundCall *call;
};

PyObject *run(PyObject *self, PyObject *const *, size_t flagged, PyObject *keywords) {
  if (PyVectorcall_NARGS(flagged) != 0 || (keywords && PyTuple_GET_SIZE(keywords) > 0)) {
    PyErr_SetString(PyExc_TypeError, "a bound launch takes no arguments: it has those that it was bound to; bind again "
                                     "for others");
    return nullptr;
  }
  const BoundCall &call = *reinterpret_cast<BoundLaunch *>(self)->call;
  if (!runKernel(*call.plan, *call.kernel, call.grid, call.slots.data(), call.host))
    return nullptr;
  Py_RETURN_NONE;
}

void deallocate(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (BoundCall *call = reinterpret_cast<BoundLaunch *>(self)->call) {
    Py_XDECREF(call->keep);
    delete call;
  }
  type->tp_free(self);
  Py_DECREF(type);
}

int traverse(PyObject *self, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(self));
  if (BoundCall *call = reinterpret_cast<BoundLaunch *>(self)->call)
    Py_VISIT(call->keep);
  return 0;
}

PyObject *represent(PyObject *self) {
  const BoundCall &call = *reinterpret_cast<BoundLaunch *>(self)->call;
  return PyUnicode_FromFormat("<bound launch of kernel '%s', grid (%u, %u, %u)>", call.plan->name.c_str(), call.grid[0],
                              call.grid[1], call.grid[2]);
}

PyObject *grid(PyObject *self, void *) {
  const BoundCall &call = *reinterpret_cast<BoundLaunch *>(self)->call;
  return Py_BuildValue("(III)", call.grid[0], call.grid[1], call.grid[2]);
}

PyObject *kernelName(PyObject *self, void *) {
  return PyUnicode_FromString(reinterpret_cast<BoundLaunch *>(self)->call->plan->name.c_str());
}

} // namespace

PyObject *makeBoundLaunchType() {
  static PyMemberDef members[] = {
      {"__vectorcalloffset__", T_PYSSIZET, offsetof(BoundLaunch, vectorcall), READONLY, nullptr},
      {nullptr, 0, 0, 0, nullptr}};
  static PyGetSetDef properties[] = {{"grid", grid, nullptr, "programs along x, y and z", nullptr},
                                     {"kernel", kernelName, nullptr, "the kernel's name", nullptr},
                                     {nullptr, nullptr, nullptr, nullptr, nullptr}};
  static PyType_Slot slots[] = {
      {Py_tp_dealloc, reinterpret_cast<void *>(deallocate)},
      {Py_tp_traverse, reinterpret_cast<void *>(traverse)},
      {Py_tp_repr, reinterpret_cast<void *>(represent)},
      {Py_tp_call, reinterpret_cast<void *>(PyVectorcall_Call)},
      {Py_tp_members, members},
      {Py_tp_getset, properties},
      {Py_tp_doc, const_cast<char *>("A launch with its arguments bound; see opwright.bind.")},
      {0, nullptr}};
  static PyType_Spec spec = {
      "opwright._core.BoundLaunch", sizeof(BoundLaunch), 0,
      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
  return PyType_FromSpec(&spec);
}

PyObject *makeBoundLaunch(PyTypeObject *type, BoundCall call) {
  auto *launch = reinterpret_cast<BoundLaunch *>(type->tp_alloc(type, 0));
  if (!launch) {
    Py_XDECREF(call.keep);
    return nullptr;
  }
  launch->vectorcall = run;
  launch->call = new (std::nothrow) BoundCall(std::move(call));
  if (launch->call)
    return reinterpret_cast<PyObject *>(launch);
  Py_XDECREF(call.keep);
  Py_DECREF(reinterpret_cast<PyObject *>(launch));
  return PyErr_NoMemory();
}

} // namespace opw::python
