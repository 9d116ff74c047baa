// The part of NumPy's C ABI that calls need, declared independently: building needs no NumPy. All of it is the same
// since NumPy 1.7; a test compares it with the headers of the NumPy that is installed.
#pragma once

#include <Python.h>

#include <cstddef>
#include <cstdint>

namespace opw::plugins::numpy {

/// PyArrayObject_fields.
struct Array {
  PyObject_HEAD char *data;
  int nd;
  intptr_t *dimensions;
  intptr_t *strides; ///< in bytes
  PyObject *base;
  PyObject *descr;
  int flags;
};

static_assert(sizeof(PyObject) == 16 && offsetof(Array, data) == 16 && offsetof(Array, nd) == 24);
static_assert(offsetof(Array, dimensions) == 32 && offsetof(Array, descr) == 56 && offsetof(Array, flags) == 64);

enum Flag { kCContiguous = 0x1, kWriteable = 0x400 };

/// Slot of PyArray_NewFromDescr(type, descr, nd, dims, strides, data, flags, object) in the table of functions. It
/// takes over the reference to descr.
constexpr size_t kNewFromDescr = 94;
using NewFromDescr = PyObject *(*)(PyTypeObject *, PyObject *, int, const intptr_t *, const intptr_t *, void *, int,
                                   PyObject *);

} // namespace opw::plugins::numpy
