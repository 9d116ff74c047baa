// opwright._plugins: calls the operators of plugin libraries from Python. It links the tables of element types from the
// runtime and nothing else: no compiler, no NumPy, no torch.
#include "plugins.h"

#include <cstdarg>

namespace opw::plugins {

State state;
Names names;

bool refuse(PyObject *type, const Place &place, const char *format, ...) {
  va_list list;
  va_start(list, format);
  Ref text(PyUnicode_FromFormatV(format, list));
  va_end(list);
  if (text)
    PyErr_Format(type, "%U: %s '%s' %U", place.op, place.what, place.name, text.get());
  return false;
}

PyObject *raiseStatus(PyObject *op, opw_status_t status, const char *text) {
  Ref error(PyObject_CallFunction(state.makeError, "iNO", static_cast<int>(status),
                                  PyUnicode_DecodeUTF8(text, static_cast<Py_ssize_t>(strlen(text)), "replace"), op));
  if (error)
    PyErr_SetObject(reinterpret_cast<PyObject *>(Py_TYPE(error.get())), error.get());
  return nullptr;
}

Ref typeName(PyObject *object) {
  PyObject *type = reinterpret_cast<PyObject *>(Py_TYPE(object));
  Ref module(PyObject_GetAttrString(type, "__module__")), name(PyObject_GetAttrString(type, "__name__"));
  if (!module || !name)
    return Ref();
  if (!PyUnicode_Check(module.get()) || PyUnicode_CompareWithASCIIString(module.get(), "builtins") == 0)
    return name;
  return Ref(PyUnicode_FromFormat("%U.%U", module.get(), name.get()));
}

const opw_library_t *libraryAt(PyObject *address) {
  auto *library = static_cast<const opw_library_t *>(PyLong_AsVoidPtr(address));
  if (!library) {
    if (!PyErr_Occurred())
      PyErr_SetString(PyExc_ValueError, "found address 0, expected that of an opw_library_t");
    return nullptr;
  }
  bool whole = library->api && library->tables && library->api->struct_size >= sizeof(opw_api_t) &&
               library->tables->struct_size >= sizeof(opw_tables_t);
  if (whole)
    return library;
  Ref place(PyUnicode_FromString("the plugin library"));
  if (place)
    raiseStatus(place.get(), OPW_E_ABI, "its tables are incomplete; build it again with this version of Opwright");
  return nullptr;
}

namespace {

PyObject *tables(PyObject *, PyObject *address) {
  const opw_library_t *library = libraryAt(address);
  return library ? describeTables(*library) : nullptr;
}

/// set_up(ndarray, numpy bool type, numpy's table of functions, {number: dtype}, {name: number}, functions by name)
PyObject *setUp(PyObject *, PyObject *args) {
  PyObject *ndarray, *numpyBool, *api, *descrs, *dtypes, *makeError, *findDtype, *numpyDtype, *hostValue, *unreadable,
      *empty, *changed;
  if (!PyArg_ParseTuple(args, "O!O!O!O!O!OOOOOOO:set_up", &PyType_Type, &ndarray, &PyType_Type, &numpyBool,
                        &PyCapsule_Type, &api, &PyDict_Type, &descrs, &PyDict_Type, &dtypes, &makeError, &findDtype,
                        &numpyDtype, &hostValue, &unreadable, &empty, &changed))
    return nullptr;
  auto *table = static_cast<void **>(PyCapsule_GetPointer(api, nullptr));
  if (!table)
    return nullptr;
  state.newFromDescr = reinterpret_cast<numpy::NewFromDescr>(table[numpy::kNewFromDescr]);
  state.ndarray = reinterpret_cast<PyTypeObject *>(Py_NewRef(ndarray));
  state.numpyBool = reinterpret_cast<PyTypeObject *>(Py_NewRef(numpyBool));
  PyObject *number, *descr;
  for (Py_ssize_t at = 0; PyDict_Next(descrs, &at, &number, &descr);)
    if (long d = PyLong_AsLong(number); d > 0 && d < static_cast<long>(kDtypes))
      state.descr[d] = Py_NewRef(descr);
  state.dtypes = Py_NewRef(dtypes);
  state.makeError = Py_NewRef(makeError);
  state.findDtype = Py_NewRef(findDtype);
  state.numpyDtype = Py_NewRef(numpyDtype);
  state.hostValue = Py_NewRef(hostValue);
  state.unreadable = Py_NewRef(unreadable);
  state.empty = Py_NewRef(empty);
  state.changed = Py_NewRef(changed);
  Py_RETURN_NONE;
}

bool makeNames() {
  struct {
    PyObject *&place;
    const char *text;
  } const all[] = {{names.requiresGrad, "requires_grad"},     {names.isNeg, "is_neg"},
                   {names.isGradEnabled, "is_grad_enabled"},  {names.dlpack, "__dlpack__"},
                   {names.dlpackDevice, "__dlpack_device__"}, {names.exchange, "__dlpack_c_exchange_api__"},
                   {names.maxVersion, "max_version"}};
  for (const auto &name : all)
    if (!(name.place = PyUnicode_InternFromString(name.text)))
      return false;
  return true;
}

PyMethodDef functions[] = {
    {"tables", tables, METH_O,
     "tables(address)\n--\n\nThe tables of the opw_library_t at an address, as dicts and lists."},
    {"set_up", setUp, METH_VARARGS, "What loader.py gives once: NumPy, and functions for what is rare."},
    {nullptr, nullptr, 0, nullptr}};

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "opwright._plugins",
                          "Calls the operators of plugin libraries.",
                          -1,
                          functions,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

} // namespace
} // namespace opw::plugins

PyMODINIT_FUNC PyInit__plugins() {
  using namespace opw::plugins;
  Ref module(PyModule_Create(&definition)), type(makeOperatorType());
  if (!module || !type || !makeNames() || PyModule_AddObjectRef(module.get(), "Operator", type.get()) < 0)
    return nullptr;
  return module.release();
}
