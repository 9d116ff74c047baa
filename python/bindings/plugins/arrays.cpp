#include "arrays.h"

#include "core/dtype.h"

#include <cstring>

namespace opw::plugins {
namespace {

constexpr uint32_t kNumPyAlign = 16; // of every array that NumPy makes

bool refuseRank(const Place &place, int64_t rank) {
  return refuse(PyExc_ValueError, place, "has rank %lld, expected at most %d", static_cast<long long>(rank),
                OPW_MAX_RANK);
}

void describe(View &view, void *data, int32_t rank, opw_dtype_t dtype) {
  view.tensor = opw_tensor_t{};
  view.tensor.data = data;
  view.tensor.device_type = OPW_DEVICE_CPU;
  view.tensor.ndim = rank;
  view.tensor.shape = view.shape;
  runtime::setDtype(view.tensor, dtype);
  view.readOnly = false;
}

/// The number of an element type by what names it; 0 when it is none, -1 with an error.
int64_t dtypeNumber(PyObject *named) {
  if (PyObject *known = PyDict_GetItemWithError(state.dtypes, named))
    return PyLong_AsLong(known);
  if (PyErr_Occurred()) {
    if (!isReplaceable())
      return -1;
    PyErr_Clear(); // not hashable
  }
  Ref found(PyObject_CallOneArg(state.findDtype, named));
  return found ? PyLong_AsLong(found.get()) : -1;
}

// ---- NumPy

opw_dtype_t numpyDtype(PyObject *descr, const Place &place, bool *bad) {
  for (uint32_t d = 1; d < kDtypes; ++d)
    if (state.descr[d] == descr)
      return static_cast<opw_dtype_t>(d);
  Ref owned(Py_NewRef(descr)); // the array may get another one meanwhile
  int64_t number = dtypeNumber(descr);
  if (number > 0) {
    if (!state.descr[number])
      state.descr[number] = Py_NewRef(descr);
    return static_cast<opw_dtype_t>(number);
  }
  *bad = true;
  if (number == 0)
    refuse(PyExc_TypeError, place,
           "has the element type %S, expected bool, an integer or a floating-point type in "
           "native byte order; convert it with astype",
           descr);
  return OPW_NONE;
}

bool readNumPy(PyObject *object, const Place &place, View &view) {
  const auto &array = *reinterpret_cast<const numpy::Array *>(object);
  bool bad = false;
  opw_dtype_t dtype = numpyDtype(array.descr, place, &bad);
  if (bad)
    return false;
  if (array.nd > OPW_MAX_RANK)
    return refuseRank(place, array.nd);
  describe(view, array.data, array.nd, dtype);
  view.readOnly = !(array.flags & numpy::kWriteable);
  for (int d = 0; d < array.nd; ++d)
    view.shape[d] = array.dimensions[d];
  if (array.flags & numpy::kCContiguous)
    return true;
  const int64_t item = runtime::dtypeInfo(dtype).bytes;
  for (int d = 0; d < array.nd; ++d) {
    if (array.strides[d] % item != 0)
      return refuse(PyExc_ValueError, place,
                    "has a stride of %lld bytes over elements of %lld, expected a multiple; pass "
                    "numpy.ascontiguousarray(%s)",
                    static_cast<long long>(array.strides[d]), static_cast<long long>(item), place.name);
    view.strides[d] = array.strides[d] / item;
  }
  view.tensor.strides = view.strides;
  return true;
}

PyObject *makeNumPy(View &view) {
  opw_dtype_t dtype = runtime::dtypeOf(view.tensor);
  if (!state.descr[dtype]) {
    Ref number(PyLong_FromLong(dtype));
    state.descr[dtype] = number ? PyObject_CallOneArg(state.numpyDtype, number.get()) : nullptr;
    if (!state.descr[dtype])
      return nullptr;
  }
  intptr_t dims[OPW_MAX_RANK];
  for (int32_t d = 0; d < view.tensor.ndim; ++d)
    dims[d] = view.shape[d];
  PyObject *made = state.newFromDescr(state.ndarray, Py_NewRef(state.descr[dtype]), view.tensor.ndim, dims, nullptr,
                                      nullptr, 0, nullptr);
  if (made)
    view.tensor.data = reinterpret_cast<numpy::Array *>(made)->data;
  return made;
}

// ---- tensors by DLPack

/// Copies sizes and strides; whether they are those of a row-major tensor is *dense.
bool takeTensor(const opw_tensor_t &found, const Place &place, View &view, bool *dense) {
  if (found.ndim > OPW_MAX_RANK)
    return refuseRank(place, found.ndim);
  if (found.device_type != OPW_DEVICE_CPU && found.device_type != OPW_DEVICE_CUDA_PINNED)
    return refuse(PyExc_TypeError, place,
                  "is on the DLPack device %d:%d, expected CPU memory; copy it to the CPU first", found.device_type,
                  found.device_id);
  opw_dtype_t dtype = runtime::dtypeOf(found);
  if (dtype == OPW_NONE)
    return refuse(PyExc_TypeError, place,
                  "has an element type of DLPack code %d, %d bits and %d lanes, expected bool, an integer or a "
                  "floating-point type; convert it",
                  found.dl_code, found.dl_bits, found.dl_lanes);
  describe(view, static_cast<char *>(found.data) + found.byte_offset, found.ndim, dtype);
  int64_t expected = 1;
  *dense = true;
  for (int32_t d = found.ndim - 1; d >= 0; --d) {
    view.shape[d] = found.shape[d];
    view.strides[d] = found.strides ? found.strides[d] : expected;
    *dense = *dense && (view.strides[d] == expected || view.shape[d] == 1);
    expected *= view.shape[d];
  }
  if (!*dense)
    view.tensor.strides = view.strides;
  return true;
}

bool isTrue(PyObject *object, PyObject *method, bool *error) {
  Ref answer(PyObject_CallMethodNoArgs(object, method));
  *error = *error || !answer;
  return answer.get() == Py_True;
}

/// What a view does not show: a gradient that is wanted, and memory that holds other values than the tensor has. The
/// latter comes with a view of conjugated complex numbers; a tensor of real ones is never itself conjugated.
bool checkTorch(PyObject *tensor, const Place &place) {
  Ref wants(PyObject_GetAttr(tensor, names.requiresGrad));
  if (!wants)
    return false;
  if (wants.get() == Py_True) {
    Ref torch(Py_XNewRef(PyDict_GetItemString(PyImport_GetModuleDict(), "torch")));
    bool failed = !torch;
    if (torch && isTrue(torch.get(), names.isGradEnabled, &failed))
      return refuse(
          PyExc_TypeError, place,
          "requires a gradient, and this operator has none; pass %s.detach(), or call it under torch.no_grad()",
          place.name);
    if (failed)
      return false;
  }
  bool failed = false;
  if (isTrue(tensor, names.isNeg, &failed))
    return refuse(PyExc_ValueError, place,
                  "is a negated view of memory with other values, expected plain memory; pass "
                  "%s.resolve_neg()",
                  place.name);
  return !failed;
}

/// Replaces the producer's error by what loader.py finds wrong with the tensor, if it finds anything.
bool refuseUnreadable(PyObject *tensor, const Place &place) {
  if (!isReplaceable())
    return false;
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  Ref why(PyObject_CallOneArg(state.unreadable, tensor));
  if (!why && !isReplaceable()) {
    // passes
  } else if (!why || why.get() == Py_None) {
    PyErr_Clear();
    Ref text(value ? PyObject_Str(value) : PyUnicode_FromString("no reason given"));
    Py_ssize_t end = text ? PyUnicode_FindChar(text.get(), '\n', 0, PyUnicode_GET_LENGTH(text.get()), 1) : -1;
    if (end >= 0) // torch has its own stack below
      text = Ref(PyUnicode_Substring(text.get(), 0, end));
    if (text)
      refuse(PyExc_TypeError, place, "cannot be read: %U", text.get());
  } else {
    refuse(PyExc_TypeError, place, "%U", why.get());
  }
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(trace);
  return false;
}

bool readExchange(const ArrayType &type, PyObject *tensor, const Place &place, View &view) {
  opw_tensor_t found;
  bool dense;
  if (type.exchange->viewOf(tensor, &found) != 0)
    return refuseUnreadable(tensor, place);
  if (type.isTorch && (found.device_type != OPW_DEVICE_CPU || runtime::dtypeOf(found) == OPW_NONE))
    return refuseUnreadable(tensor, place);
  return takeTensor(found, place, view, &dense) && (!type.isTorch || checkTorch(tensor, place));
}

/// Objects with __dlpack__ alone. Where it is asked first, __dlpack_device__ keeps a producer from copying.
bool readDLPack(const ArrayType &type, PyObject *object, const Place &place, View &view, Kept &kept) {
  Ref device(PyObject_CallMethodNoArgs(object, names.dlpackDevice));
  if (!device)
    return refuseUnreadable(object, place);
  Ref kind(PySequence_GetItem(device.get(), 0));
  Ref number(kind ? PyNumber_Index(kind.get()) : nullptr);
  if (!number)
    return false;
  if (PyLong_AsLong(number.get()) != OPW_DEVICE_CPU)
    return refuse(PyExc_TypeError, place, "is on the DLPack device %S, expected CPU memory; copy it to the CPU first",
                  device.get());
  Ref method(PyObject_GetAttr(object, names.dlpack)), nothing(PyTuple_New(0));
  Ref version(Py_BuildValue("{O(ii)}", names.maxVersion, 1, 0));
  if (!method || !nothing || !version)
    return false;
  PyObject *capsule = PyObject_Call(method.get(), nothing.get(), version.get());
  if (!capsule && PyErr_ExceptionMatches(PyExc_TypeError)) { // a producer from before DLPack 1
    PyErr_Clear();
    capsule = PyObject_CallNoArgs(method.get());
  }
  if (!capsule)
    return refuseUnreadable(object, place);
  if (!kept.add(capsule))
    return false;
  const opw_tensor_t *found = nullptr;
  bool readOnly = true, dense; // an older capsule cannot say
  if (PyCapsule_IsValid(capsule, dlpack::kVersionedName)) {
    auto *managed = static_cast<dlpack::Managed *>(PyCapsule_GetPointer(capsule, dlpack::kVersionedName));
    if (managed->major != 1)
      return refuse(PyExc_TypeError, place, "comes as DLPack %u.%u, expected version 1", managed->major,
                    managed->minor);
    found = &managed->tensor;
    readOnly = (managed->flags & dlpack::kReadOnly) != 0;
  } else if (PyCapsule_IsValid(capsule, dlpack::kUnversionedName)) {
    found = static_cast<const opw_tensor_t *>(PyCapsule_GetPointer(capsule, dlpack::kUnversionedName));
  } else {
    return refuse(PyExc_TypeError, place, "has a __dlpack__ that gives %s, expected a DLPack capsule",
                  Py_TYPE(capsule)->tp_name);
  }
  if (!takeTensor(*found, place, view, &dense) || (type.isTorch && !checkTorch(object, place)))
    return false;
  view.readOnly = readOnly && !type.isTorch;
  return true;
}

void setError(void *context, const char *kind, const char *message) {
  (void)context;
  PyErr_Format(kind && strcmp(kind, "MemoryError") == 0 ? PyExc_MemoryError : PyExc_RuntimeError, "%s",
               message ? message : "no memory");
}

PyObject *makeExchange(const ArrayType &type, View &view) {
  dlpack::Managed *managed = nullptr;
  void *object = nullptr;
  if (type.exchange->allocate(&view.tensor, &managed, nullptr, setError) != 0)
    return nullptr;
  view.tensor.data = static_cast<char *>(managed->tensor.data) + managed->tensor.byte_offset;
  return type.exchange->toObject(managed, &object) == 0 ? static_cast<PyObject *>(object) : nullptr;
}

/// Says of the producer's error which output it is about.
PyObject *blame(const Place &place) {
  if (!isReplaceable())
    return nullptr;
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  PyObject *kind = !type                                                  ? PyExc_RuntimeError
                   : PyErr_GivenExceptionMatches(type, PyExc_MemoryError) ? PyExc_MemoryError
                   : PyErr_GivenExceptionMatches(type, PyExc_ValueError)  ? PyExc_ValueError
                                                                          : PyExc_RuntimeError;
  Ref text(value ? PyObject_Str(value) : nullptr);
  refuse(kind, place, "cannot be made: %S", text ? text.get() : Py_None);
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(trace);
  return nullptr;
}

// ---- types, each looked at once

struct Known {
  PyTypeObject *type; ///< owned
  ArrayType way;
  Known *next;
};
Known *known = nullptr;

bool isTorchType(PyTypeObject *type) {
  PyObject *torch = PyDict_GetItemString(PyImport_GetModuleDict(), "torch"); // borrowed
  Ref tensor(torch ? PyObject_GetAttrString(torch, "Tensor") : nullptr);
  PyErr_Clear();
  return tensor && PyType_Check(tensor.get()) && PyType_IsSubtype(type, reinterpret_cast<PyTypeObject *>(tensor.get()));
}

const dlpack::Exchange *exchangeOf(PyTypeObject *type) {
  Ref capsule(PyObject_GetAttr(reinterpret_cast<PyObject *>(type), names.exchange));
  PyErr_Clear();
  if (!capsule || !PyCapsule_IsValid(capsule.get(), dlpack::kExchangeName))
    return nullptr;
  auto *api = static_cast<const dlpack::Exchange *>(PyCapsule_GetPointer(capsule.get(), dlpack::kExchangeName));
  while (api && api->major != 1)
    api = api->previous;
  return api && api->viewOf && api->allocate && api->toObject ? api : nullptr;
}

} // namespace

const ArrayType kNumPyType{ArrayType::NumPy, false, nullptr};

const ArrayType *arrayTypeOf(PyTypeObject *type) {
  if (type == state.ndarray)
    return &kNumPyType;
  for (const Known *k = known; k; k = k->next)
    if (k->type == type)
      return &k->way;
  if (PyType_IsSubtype(type, state.ndarray))
    return &kNumPyType;
  ArrayType way{ArrayType::DLPack, isTorchType(type), exchangeOf(type)};
  if (way.exchange)
    way.way = ArrayType::Exchange;
  else if (!PyObject_HasAttr(reinterpret_cast<PyObject *>(type), names.dlpack))
    return nullptr;
  auto *entry = static_cast<Known *>(malloc(sizeof(Known)));
  if (!entry)
    return nullptr;
  *entry = {reinterpret_cast<PyTypeObject *>(Py_NewRef(reinterpret_cast<PyObject *>(type))), way, known};
  known = entry;
  return &entry->way;
}

bool readArray(const ArrayType &type, PyObject *array, const Place &place, View &view, Kept &kept) {
  switch (type.way) {
  case ArrayType::NumPy:
    return readNumPy(array, place, view);
  case ArrayType::Exchange:
    return readExchange(type, array, place, view);
  default:
    return readDLPack(type, array, place, view, kept);
  }
}

PyObject *makeArray(const ArrayType &type, View &view, uint32_t align, const Place &place, Kept &kept) {
  if (align <= kNumPyAlign && (type.makesNumPy() || type.way == ArrayType::Exchange)) {
    PyObject *made = type.makesNumPy() ? makeNumPy(view) : makeExchange(type, view);
    return made ? made : blame(place);
  }
  Ref shape(PyTuple_New(view.tensor.ndim));
  for (int32_t d = 0; shape && d < view.tensor.ndim; ++d)
    PyTuple_SET_ITEM(shape.get(), d, PyLong_FromLongLong(view.shape[d]));
  Ref made(shape ? PyObject_CallFunction(state.empty, "iOiI", type.isTorch, shape.get(),
                                         static_cast<int>(runtime::dtypeOf(view.tensor)), align)
                 : nullptr);
  const ArrayType *madeType = made ? arrayTypeOf(Py_TYPE(made.get())) : nullptr;
  if (!made)
    return blame(place);
  return madeType && readArray(*madeType, made.get(), place, view, kept) ? made.release() : nullptr;
}

} // namespace opw::plugins
