#include "attributes.h"

#include "core/attribute.h"

#include <algorithm>
#include <cstring>

namespace opw::plugins {
namespace {

/// What knows the use of an attribute.
struct Use {
  const opw_tables_t &tables;
  const opw_op_t &op;
  uint32_t attr;

  bool isRead(const opw_program_t &program) const {
    return std::any_of(program.code, program.code + program.count,
                       [&](const opw_insn_t &x) { return x.op == OPW_X_ATTR && x.b == attr; });
  }

  /// Whether the attribute itself is an argument, and no number that is computed with.
  bool isPassed(const opw_arg_t &arg) const {
    return arg.kind == OPW_ARG_ATTR ? arg.index == attr
                                    : arg.kind == OPW_ARG_PROGRAM && arg.program.count == 1 && isRead(arg.program);
  }

  /// Whether kernels get the attribute as u64 and nothing else reads it.
  bool isUnsigned() const {
    bool passed = false, other = false;
    auto look = [&](const opw_program_t &program) { other = other || isRead(program); };
    auto pass = [&](uint32_t kernel, uint32_t arg) {
      const opw_kernel_t &k = *tables.kernels[kernel];
      for (uint32_t i = 0; i < k.cpu_count; ++i) {
        const opw_param_t &param = k.cpu[i]->params[arg];
        passed = true;
        other = other || (param.kind != OPW_PARAM_DROPPED && param.dtype != OPW_U64);
      }
    };
    std::for_each(op.vars, op.vars + op.var_count, look);
    look(op.valid);
    for (uint32_t i = 0; i < op.output_count; ++i)
      for (uint32_t s = 0; s < op.outputs[i]->seg_count; ++s)
        look(op.outputs[i]->segs[s].dim);
    for (uint32_t i = 0; i < op.size_count; ++i) {
      look(op.sizes[i]->upper);
      look(op.sizes[i]->typical);
    }
    for (uint32_t p = 0; p < op.plan_count; ++p) {
      const opw_plan_t &plan = *op.plans[p];
      for (uint32_t i = 0; i < plan.workspace_count; ++i) {
        look(plan.workspace[i]->elements);
        look(plan.workspace[i]->upper);
      }
      for (uint32_t i = 0; i < plan.launch_count; ++i) {
        const opw_launch_t &launch = *plan.launches[i];
        look(launch.when);
        std::for_each(launch.grid, launch.grid + 3, look);
        for (uint32_t v = 0; v < launch.variant_count; ++v)
          look(launch.variants[v].when);
        for (uint32_t a = 0; a < launch.arg_count; ++a)
          if (!isPassed(launch.args[a]))
            look(launch.args[a].program);
          else
            for (uint32_t v = 0; v < launch.variant_count; ++v)
              pass(launch.variants[v].kernel, a);
      }
    }
    return passed && !other;
  }
};

/// One value to be read, and what it is called: an attribute or an element of a list.
struct Source {
  PyObject *op, *value;
  const char *name;
  Py_ssize_t index; ///< -1: the attribute itself
  const Use *use = nullptr;

  bool isUnsigned() const { return use && use->isUnsigned(); }

  bool refuse(PyObject *error, const char *expected) const {
    Ref type = typeName(value);
    if (!type)
      return false;
    if (index < 0)
      PyErr_Format(error, "%U: attribute '%s' is %U, expected %s", op, name, type.get(), expected);
    else
      PyErr_Format(error, "%U: attribute '%s'[%zd] is %U, expected %s", op, name, index, type.get(), expected);
    return false;
  }
};

bool isBool(PyObject *value) { return PyBool_Check(value) || Py_TYPE(value) == state.numpyBool; }

bool readInt(const Source &from, int64_t &out) {
  constexpr char kExpected[] = "an integer";
  if (isBool(from.value))
    return from.refuse(PyExc_TypeError, kExpected);
  Ref index(PyLong_Check(from.value) ? Py_NewRef(from.value) : PyNumber_Index(from.value));
  if (!index) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError))
      return false;
    PyErr_Clear();
    return from.refuse(PyExc_TypeError, kExpected);
  }
  int overflow = 0;
  out = PyLong_AsLongLongAndOverflow(index.get(), &overflow);
  if (overflow == 0)
    return true;
  bool wide = from.isUnsigned();
  if (overflow > 0 && wide) { // one 64-bit slot: its bits
    out = static_cast<int64_t>(PyLong_AsUnsignedLongLong(index.get()));
    if (!PyErr_Occurred())
      return true;
    PyErr_Clear();
  }
  PyErr_Format(PyExc_ValueError, "%U: attribute '%s' is %S, expected -2^63 to 2^%d - 1", from.op, from.name,
               index.get(), wide ? 64 : 63);
  return false;
}

bool readFloat(const Source &from, double &out) {
  out = PyFloat_CheckExact(from.value) ? PyFloat_AS_DOUBLE(from.value) : PyFloat_AsDouble(from.value);
  if (out != -1.0 || !PyErr_Occurred())
    return true;
  if (!PyErr_ExceptionMatches(PyExc_TypeError))
    return false;
  PyErr_Clear();
  return from.refuse(PyExc_TypeError, "a number");
}

bool readBool(const Source &from, int64_t &out) {
  if (!isBool(from.value))
    return from.refuse(PyExc_TypeError, "True or False");
  int truth = PyObject_IsTrue(from.value);
  out = truth;
  return truth >= 0;
}

/// The text lives as long as the object.
bool readText(const Source &from, const char *&out, uint32_t *length) {
  if (!PyUnicode_Check(from.value))
    return from.refuse(PyExc_TypeError, "a string");
  Py_ssize_t size = 0;
  out = PyUnicode_AsUTF8AndSize(from.value, &size);
  if (!out)
    return false;
  if (static_cast<size_t>(size) != strlen(out) || size > INT32_MAX)
    return from.refuse(PyExc_ValueError, "a string without NUL");
  if (length)
    *length = static_cast<uint32_t>(size);
  return true;
}

bool readChoice(const opw_attr_t &attr, const Source &from, int64_t &out) {
  const char *text = nullptr;
  uint32_t length = 0;
  if (!readText(from, text, &length))
    return false;
  out = runtime::choiceOf(attr, text, length);
  if (out < 0)
    PyErr_Format(PyExc_ValueError, "%U: attribute %s: found %R, expected %s", from.op, from.name, from.value,
                 runtime::expectedChoice(attr).str());
  return out >= 0;
}

bool readDtype(const Source &from, int64_t &out) {
  PyObject *known = PyDict_GetItemWithError(state.dtypes, from.value);
  if (!known && PyErr_Occurred()) {
    if (!isReplaceable())
      return false;
    PyErr_Clear(); // not hashable
  }
  Ref number(known ? Py_NewRef(known) : PyObject_CallOneArg(state.findDtype, from.value));
  if (!number)
    return false;
  out = PyLong_AsLong(number.get());
  if (out > 0)
    return true;
  PyErr_Format(PyExc_ValueError,
               "%U: attribute %s: found %R, expected an element type: a dtype of NumPy or torch, or a name such as "
               "'float32' or 'f32'",
               from.op, from.name, from.value);
  return false;
}

bool isList(uint32_t kind) { return kind >= OPW_ATTR_INTS && kind <= OPW_ATTR_STRINGS; }

const char *listName(uint32_t kind) {
  return kind == OPW_ATTR_INTS     ? "a list of integers"
         : kind == OPW_ATTR_FLOATS ? "a list of numbers"
         : kind == OPW_ATTR_BOOLS  ? "a list of True and False"
                                   : "a list of strings";
}

bool readList(const opw_attr_t &attr, const Source &from, opw_attr_value_t &out, Arena &arena, Kept &kept) {
  if (PyUnicode_Check(from.value) || PyBytes_Check(from.value) || PyDict_Check(from.value))
    return from.refuse(PyExc_TypeError, listName(attr.kind));
  PyObject *items = PySequence_Tuple(from.value);
  if (!items) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError))
      return false;
    PyErr_Clear();
    return from.refuse(PyExc_TypeError, listName(attr.kind));
  }
  if (!kept.add(items)) // owns the texts, whatever becomes of the list
    return false;
  Py_ssize_t count = PyTuple_GET_SIZE(items);
  if (count > INT32_MAX || (attr.list_length && count != attr.list_length)) {
    PyErr_Format(PyExc_ValueError, "%U: attribute '%s' has %zd elements, expected %u", from.op, from.name, count,
                 attr.list_length ? attr.list_length : static_cast<unsigned>(INT32_MAX));
    return false;
  }
  auto n = static_cast<size_t>(count);
  out.count = static_cast<uint32_t>(count);
  auto each = [&](auto *memory, auto &&read) {
    for (size_t i = 0; memory && i < n; ++i) {
      auto at = static_cast<Py_ssize_t>(i);
      if (!read(Source{from.op, PyTuple_GET_ITEM(items, at), from.name, at}, memory[i]))
        return false;
    }
    return memory != nullptr;
  };
  switch (attr.kind) {
  case OPW_ATTR_INTS: {
    auto *memory = arena.make<int64_t>(n);
    out.u.ints = memory;
    return each(memory, readInt);
  }
  case OPW_ATTR_FLOATS: {
    auto *memory = arena.make<double>(n);
    out.u.floats = memory;
    return each(memory, readFloat);
  }
  case OPW_ATTR_BOOLS: {
    auto *memory = arena.make<uint8_t>(n);
    out.u.bools = memory;
    return each(memory, [](const Source &item, uint8_t &bit) {
      int64_t value = 0;
      bool good = readBool(item, value);
      bit = value != 0;
      return good;
    });
  }
  default: {
    auto *memory = arena.make<const char *>(n);
    out.u.strings = memory;
    return each(memory, [](const Source &item, const char *&text) { return readText(item, text, nullptr); });
  }
  }
}

bool readBytes(const Source &from, opw_attr_value_t &out) {
  if (!PyBytes_Check(from.value))
    return from.refuse(PyExc_TypeError, "bytes");
  if (PyBytes_GET_SIZE(from.value) > INT32_MAX)
    return from.refuse(PyExc_ValueError, "at most 2^31 - 1 bytes");
  out.u.bytes = PyBytes_AS_STRING(from.value);
  out.count = static_cast<uint32_t>(PyBytes_GET_SIZE(from.value));
  return true;
}

bool readTensor(const Source &from, opw_attr_value_t &out, Arena &arena, Kept &kept) {
  const ArrayType *type = arrayTypeOf(Py_TYPE(from.value));
  if (!type)
    return from.refuse(PyExc_TypeError, "a NumPy array or a torch CPU tensor");
  auto *view = arena.make<View>(1);
  if (!view || !readArray(*type, from.value, {from.op, "attribute", from.name}, *view, kept))
    return false;
  out.u.tensor = &view->tensor;
  return true;
}

} // namespace

bool readAttribute(const opw_tables_t &tables, const opw_op_t &op, uint32_t index, PyObject *name, PyObject *value,
                   opw_attr_value_t &out, Arena &arena, Kept &kept) {
  const opw_attr_t &attr = *op.attrs[index];
  const Use use{tables, op, index};
  Source from{name, value, attr.name, -1, &use};
  out = opw_attr_value_t{};
  out.kind = attr.kind;
  if (isList(attr.kind))
    return readList(attr, from, out, arena, kept);
  switch (attr.kind) {
  case OPW_ATTR_INT:
    return readInt(from, out.u.i);
  case OPW_ATTR_FLOAT:
    return readFloat(from, out.u.f);
  case OPW_ATTR_BOOL:
    return readBool(from, out.u.i);
  case OPW_ATTR_STRING:
    return readText(from, out.u.s, &out.count);
  case OPW_ATTR_ENUM:
    return readChoice(attr, from, out.u.i);
  case OPW_ATTR_DTYPE:
    return readDtype(from, out.u.i);
  case OPW_ATTR_BYTES:
    return readBytes(from, out);
  case OPW_ATTR_TENSOR:
    return readTensor(from, out, arena, kept);
  default:
    PyErr_Format(PyExc_TypeError, "%U: attribute '%s' has kind %u, which this version of Opwright does not know", name,
                 attr.name, attr.kind);
    return false;
  }
}

} // namespace opw::plugins
