// The type opwright._plugins.Operator: one operator of a library as a callable. A plain CPython type with vectorcall,
// because a call of a small operator costs hardly more than its arguments.
#include "call.h"

#include <structmember.h>

namespace opw::plugins {
namespace {

Operator &of(PyObject *object) { return *reinterpret_cast<Operator *>(object); }

PyObject *vectorcall(PyObject *object, PyObject *const *args, size_t flagged, PyObject *keywords) {
  return invoke(of(object), args, PyVectorcall_NARGS(flagged), keywords, false);
}

PyObject *callInPlace(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  const opw_op_t &op = *of(object).op;
  for (uint32_t i = 0; i < op.output_count; ++i)
    if (op.outputs[i]->alias >= 0)
      return invoke(of(object), args, count, keywords, true);
  PyErr_Format(
      PyExc_TypeError,
      "%U: no output may lie in the memory of an input; call the operator itself, with out= for memory of yours",
      of(object).name);
  return nullptr;
}

PyObject *inferMethod(PyObject *object, PyObject *args) {
  PyObject *described, *attributes;
  unsigned count = 0;
  if (!PyArg_ParseTuple(args, "O!O!I:infer", &PyList_Type, &described, &PyDict_Type, &attributes, &count))
    return nullptr;
  Call call(of(object));
  return inferWithoutData(call, described, attributes, count);
}

/// One keyword; false with an error.
bool addKeyword(Operator &self, Keyword::Kind kind, uint32_t index, const char *name) {
  PyObject *text = PyUnicode_InternFromString(name);
  if (text)
    self.keywords[self.keywordCount++] = {kind, index, text};
  return text != nullptr;
}

bool has(const Operator &self, const char *name) {
  for (uint32_t k = 0; k < self.keywordCount; ++k)
    if (PyUnicode_CompareWithASCIIString(self.keywords[k].name, name) == 0)
      return true;
  return false;
}

bool addKeywords(Operator &self) {
  const opw_op_t &op = *self.op;
  self.keywords = static_cast<Keyword *>(calloc(op.input_count + op.attr_count + 2, sizeof(Keyword)));
  if (!self.keywords)
    return PyErr_NoMemory();
  for (uint32_t i = 0; i < op.input_count; ++i)
    if (!addKeyword(self, Keyword::Input, i, op.inputs[i]->name))
      return false;
  for (uint32_t i = 0; i < op.attr_count; ++i)
    if (!addKeyword(self, Keyword::Attribute, i, op.attrs[i]->name))
      return false;
  // An operator's own names come first.
  return addKeyword(self, Keyword::Out, 0, has(self, "out") ? "out_" : "out") &&
         addKeyword(self, Keyword::Tactic, 0, has(self, "tactic") ? "tactic_" : "tactic");
}

PyObject *create(PyTypeObject *type, PyObject *args, PyObject *) {
  PyObject *address = nullptr;
  const char *ns = nullptr, *name = nullptr;
  int version = 0;
  if (!PyArg_ParseTuple(args, "Ossi:Operator", &address, &ns, &name, &version))
    return nullptr;
  const opw_library_t *library = libraryAt(address);
  if (!library)
    return nullptr;
  Ref made(type->tp_alloc(type, 0));
  if (!made)
    return nullptr;
  Operator &self = of(made.get());
  self.call = vectorcall;
  self.api = library->api;
  self.tables = library->tables;
  self.name = PyUnicode_FromFormat("%s::%s", ns, name);
  self.op = library->api->find(ns, name, version);
  if (!self.name)
    return nullptr;
  Error error;
  if (!self.op)
    return raiseStatus(self.name, OPW_E_ARGUMENT, "the library has no such operator of that version");
  if (opw_status_t s = self.api->check(self.op, &error))
    return raiseStatus(self.name, s, error.buffer);
  return addKeywords(self) ? made.release() : nullptr;
}

void deallocate(PyObject *object) {
  PyTypeObject *type = Py_TYPE(object);
  Operator &self = of(object);
  for (uint32_t k = 0; k < self.keywordCount; ++k)
    Py_XDECREF(self.keywords[k].name);
  free(self.keywords);
  Py_XDECREF(self.name);
  type->tp_free(object);
  Py_DECREF(type);
}

} // namespace

PyObject *makeOperatorType() {
  static PyMemberDef members[] = {{"__vectorcalloffset__", T_PYSSIZET, offsetof(Operator, call), READONLY, nullptr},
                                  {nullptr, 0, 0, 0, nullptr}};
  static PyMethodDef methods[] = {
      {"inplace", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(callInPlace)),
       METH_FASTCALL | METH_KEYWORDS,
       "inplace(*inputs, out=None, tactic=0, **attributes)\n--\n\n"
       "Like a call, but outputs that may lie in an input's memory do: that input is changed, and returned."},
      {"infer", inferMethod, METH_VARARGS,
       "infer(inputs, attributes, count)\n--\n\n"
       "Number of the element type and sizes of each of `count` outputs, for inputs of which only these are known: a "
       "list "
       "of (number, sizes), arrays and None. A size that is not known is -1."},
      {nullptr, nullptr, 0, nullptr}};
  static PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void *>(create)},
                                {Py_tp_dealloc, reinterpret_cast<void *>(deallocate)},
                                {Py_tp_call, reinterpret_cast<void *>(PyVectorcall_Call)},
                                {Py_tp_members, members},
                                {Py_tp_methods, methods},
                                {0, nullptr}};
  static PyType_Spec spec = {"opwright._plugins.Operator", sizeof(Operator), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_BASETYPE, slots};
  return PyType_FromSpec(&spec);
}

} // namespace opw::plugins
