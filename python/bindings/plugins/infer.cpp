#include "call.h"

#include "core/dtype.h"

namespace opw::plugins {
namespace {

/// (number of the element type, sizes with -1 for what is not known)
bool describeTensor(PyObject *described, View &view) {
  int number = 0;
  PyObject *sizes = nullptr;
  if (!PyArg_ParseTuple(described, "iO!", &number, &PyTuple_Type, &sizes))
    return false;
  if (PyTuple_GET_SIZE(sizes) > OPW_MAX_RANK) {
    PyErr_Format(PyExc_ValueError, "found a rank of %zd, expected at most %d", PyTuple_GET_SIZE(sizes), OPW_MAX_RANK);
    return false;
  }
  view.tensor = opw_tensor_t{};
  view.tensor.device_type = OPW_DEVICE_CPU;
  view.tensor.ndim = static_cast<int32_t>(PyTuple_GET_SIZE(sizes));
  view.tensor.shape = view.shape;
  runtime::setDtype(view.tensor, static_cast<opw_dtype_t>(number));
  for (int32_t d = 0; d < view.tensor.ndim; ++d) {
    view.shape[d] = PyLong_AsLongLong(PyTuple_GET_ITEM(sizes, d));
    if (view.shape[d] == -1 && PyErr_Occurred())
      return false;
  }
  return true;
}

} // namespace

PyObject *inferWithoutData(Call &c, PyObject *described, PyObject *attributes, uint32_t count) {
  described = c.kept.add(PySequence_Tuple(described));
  attributes = c.kept.add(PyDict_Copy(attributes));
  if (!described || !attributes)
    return nullptr;
  Py_ssize_t tensors = PyTuple_GET_SIZE(described);
  if (tensors > OPW_MAX_TENSORS || count > OPW_MAX_TENSORS) {
    c.self.fail(PyExc_ValueError, "found %zd inputs and %u outputs, expected at most %d", tensors, count,
                OPW_MAX_TENSORS);
    return nullptr;
  }
  c.inputCount = static_cast<uint32_t>(tensors);
  c.inputs = c.arena.make<View>(c.inputCount + 1u);
  c.outputs = c.arena.make<View>(count + 1u);
  if (!c.inputs || !c.outputs)
    return nullptr;
  for (uint32_t i = 0; i < c.inputCount; ++i) {
    PyObject *given = c.given[i] = PyTuple_GET_ITEM(described, static_cast<Py_ssize_t>(i));
    c.inputPointers[i] = given == Py_None ? nullptr : &c.inputs[i].tensor;
    bool good = given == Py_None || (PyTuple_Check(given) ? describeTensor(given, c.inputs[i]) : c.readInput(i));
    if (!good)
      return nullptr;
  }
  PyObject *name, *value;
  for (Py_ssize_t at = 0; PyDict_Next(attributes, &at, &name, &value);)
    if (!c.takeKeyword(name, value))
      return nullptr;
  c.outputCount = count;
  for (uint32_t i = 0; i < count; ++i) {
    c.clearOutput(i);
    c.outputPointers[i] = &c.outputs[i].tensor;
  }
  c.prepare();
  if (!c.infer())
    return nullptr;
  Ref list(PyList_New(count));
  for (uint32_t i = 0; list && i < count; ++i) {
    const View &out = c.outputs[i];
    Ref sizes(PyTuple_New(out.tensor.ndim));
    for (int32_t d = 0; sizes && d < out.tensor.ndim; ++d)
      PyTuple_SET_ITEM(sizes.get(), d, PyLong_FromLongLong(out.shape[d]));
    PyObject *entry =
        sizes ? Py_BuildValue("(iO)", static_cast<int>(runtime::dtypeOf(out.tensor)), sizes.get()) : nullptr;
    if (!entry)
      return nullptr;
    PyList_SET_ITEM(list.get(), i, entry);
  }
  return list.release();
}

} // namespace opw::plugins
