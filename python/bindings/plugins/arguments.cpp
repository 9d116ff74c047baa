#include "call.h"

#include <cstdio>

namespace opw::plugins {

bool Operator::fail(PyObject *error, const char *format, ...) const {
  va_list list;
  va_start(list, format);
  Ref text(PyUnicode_FromFormatV(format, list));
  va_end(list);
  if (text)
    PyErr_Format(error, "%U: %U", name, text.get());
  return false;
}

/// A TypeError that lists the inputs.
bool Arguments::failInputs(const char *what) const {
  Ref list(PyUnicode_FromString(""));
  for (uint32_t i = 0; list && i < op.input_count; ++i)
    list = Ref(PyUnicode_FromFormat("%U%s%s%s%s", list.get(), i ? ", " : "",
                                    variadic && i + 1 == op.input_count ? "*" : "", op.inputs[i]->name,
                                    op.inputs[i]->flags & OPW_IO_OPTIONAL ? "=None" : ""));
  return list && self.fail(PyExc_TypeError, "%s, expected (%U); attributes go by keyword", what, list.get());
}

bool Arguments::takePositional(PyObject *const *args, uint32_t count) {
  if ((!variadic && count > op.input_count) || count > OPW_MAX_TENSORS) {
    char what[64];
    snprintf(what, sizeof what, "found %u inputs", count);
    return failInputs(what);
  }
  for (uint32_t i = 0; i < count; ++i)
    given[i] = args[i] == Py_None && (runtime::inputOf(&op, i).flags & OPW_IO_OPTIONAL) ? nullptr : args[i];
  inputCount = variadic && count < op.input_count ? op.input_count - 1 : variadic ? count : op.input_count;
  for (uint32_t i = count; i < inputCount; ++i)
    given[i] = nullptr;
  return true;
}

/// An input by its name; a variadic one as a list.
bool Arguments::takeInput(uint32_t index, PyObject *value) {
  const char *name = op.inputs[index]->name;
  bool tail = variadic && index + 1 == op.input_count;
  if (tail ? inputCount > index : given[index] != nullptr)
    return self.fail(PyExc_TypeError, "input '%s' is given twice", name);
  if (!tail) {
    given[index] = value == Py_None && (op.inputs[index]->flags & OPW_IO_OPTIONAL) ? nullptr : value;
    return true;
  }
  if (!PyList_Check(value) && !PyTuple_Check(value))
    return self.fail(PyExc_TypeError, "input '%s' is %s, expected a list of arrays", name, Py_TYPE(value)->tp_name);
  PyObject *items = kept.add(PySequence_Tuple(value)); // owns what another thread may take out of a list
  if (!items)
    return false;
  Py_ssize_t count = PyTuple_GET_SIZE(items);
  if (count > static_cast<Py_ssize_t>(OPW_MAX_TENSORS - index))
    return self.fail(PyExc_ValueError, "input '%s' has %zd arrays, expected at most %u", name, count,
                     OPW_MAX_TENSORS - index);
  for (Py_ssize_t i = 0; i < count; ++i)
    given[inputCount++] = PyTuple_GET_ITEM(items, i);
  return true;
}

bool Arguments::takeAttribute(uint32_t index, PyObject *value) {
  if (!attrs) {
    attrs = arena.make<opw_attr_value_t>(op.attr_count);
    if (!attrs)
      return false;
    memset(attrs, 0, op.attr_count * sizeof *attrs);
  }
  return readAttribute(*self.tables, op, index, self.name, value, attrs[index], arena, kept);
}

bool Arguments::takeTactic(PyObject *value) {
  int overflow = 0;
  long id = PyLong_Check(value) ? PyLong_AsLongAndOverflow(value, &overflow) : -1;
  if (overflow != 0 || id < 0 || id > INT32_MAX)
    return self.fail(PyExc_ValueError, "tactic is %R, expected the number of a tactic, or 0 to let the library choose",
                     value);
  tactic = static_cast<int32_t>(id);
  return true;
}

bool Arguments::takeKeyword(PyObject *name, PyObject *value) {
  const Keyword *found = nullptr;
  for (uint32_t k = 0; !found && k < self.keywordCount; ++k)
    if (self.keywords[k].name == name) // nearly always interned
      found = &self.keywords[k];
  for (uint32_t k = 0; !found && k < self.keywordCount; ++k)
    if (PyUnicode_Compare(self.keywords[k].name, name) == 0)
      found = &self.keywords[k];
  if (!found) {
    Ref known(PyUnicode_FromString(""));
    for (uint32_t k = 0; known && k < self.keywordCount; ++k)
      known = Ref(PyUnicode_FromFormat("%U%s%U", known.get(), k ? ", " : "", self.keywords[k].name));
    return known && self.fail(PyExc_TypeError, "found the unknown keyword %R, expected one of %U", name, known.get());
  }
  switch (found->kind) {
  case Keyword::Input:
    return takeInput(found->index, value);
  case Keyword::Attribute:
    return takeAttribute(found->index, value);
  case Keyword::Tactic:
    return takeTactic(value);
  default:
    outs = value == Py_None ? nullptr : value;
    return true;
  }
}

bool Arguments::checkMissing() {
  uint32_t fixed = op.input_count - (variadic ? 1 : 0);
  for (uint32_t i = 0; i < fixed; ++i)
    if (!given[i] && !(op.inputs[i]->flags & OPW_IO_OPTIONAL)) {
      char what[300];
      snprintf(what, sizeof what, "input '%s' is missing", op.inputs[i]->name);
      return failInputs(what);
    }
  for (uint32_t i = 0; i < op.attr_count; ++i)
    if (op.attrs[i]->fallback.kind == OPW_ATTR_NONE && (!attrs || attrs[i].kind == OPW_ATTR_NONE))
      return self.fail(PyExc_TypeError, "found no attribute '%s', which has no default; pass %s=...", op.attrs[i]->name,
                       op.attrs[i]->name);
  return true;
}

bool Arguments::parse(PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  if (!takePositional(args, static_cast<uint32_t>(count > UINT16_MAX ? UINT16_MAX : count)))
    return false;
  Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
  for (Py_ssize_t k = 0; k < named; ++k)
    if (!takeKeyword(PyTuple_GET_ITEM(keywords, k), args[count + k]))
      return false;
  return checkMissing();
}

} // namespace opw::plugins
