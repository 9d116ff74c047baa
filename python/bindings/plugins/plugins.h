// What the files of opwright._plugins share: the module's state, owned references, refusals. This module calls plugin
// libraries from Python; it holds no compiler. Everything here runs with the interpreter's lock held, but for the run
// of an operator.
#pragma once

#include "numpy_abi.h"
#include "opwright/plugin.h"

#include <Python.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace opw::plugins {

constexpr uint32_t kDtypes = OPW_F8E8M0 + 1;

/// An owned reference.
class Ref {
public:
  explicit Ref(PyObject *object = nullptr) : object(object) {}
  Ref(const Ref &) = delete;
  Ref &operator=(const Ref &) = delete;
  Ref(Ref &&other) noexcept : object(other.release()) {}
  Ref &operator=(Ref &&other) noexcept {
    PyObject *old = object;
    object = other.release();
    Py_XDECREF(old);
    return *this;
  }
  ~Ref() { Py_XDECREF(object); }
  PyObject *get() const { return object; }
  PyObject *release() {
    PyObject *out = object;
    object = nullptr;
    return out;
  }
  explicit operator bool() const { return object != nullptr; }

private:
  PyObject *object;
};

/// What set_up gave: NumPy, and functions of loader.py for what is rare.
struct State {
  PyTypeObject *ndarray, *numpyBool;
  numpy::NewFromDescr newFromDescr;
  PyObject *descr[kDtypes]; ///< NumPy's dtype objects; null until needed for the types of ml_dtypes
  PyObject *dtypes;         ///< dict: whatever names an element type -> its number
  PyObject *makeError;      ///< (status, text) -> exception
  PyObject *findDtype;      ///< (object) -> number; 0 when it is none
  PyObject *numpyDtype;     ///< (number) -> NumPy's dtype, or an error that says what to install
  PyObject *hostValue;      ///< (operator, index of the input, object) -> array
  PyObject *unreadable;     ///< (object) -> why it is no CPU tensor that can be read, or None
  PyObject *empty;          ///< (torch?, shape, number, alignment) -> array
  PyObject *changed;        ///< (tensor): the caller's torch tensor was written
};
extern State state;

/// Interned names.
struct Names {
  PyObject *requiresGrad, *isNeg, *isGradEnabled, *dlpack, *dlpackDevice, *exchange, *maxVersion;
};
extern Names names;

/// What a refusal is about: an operator's "input 'x'".
struct Place {
  PyObject *op; ///< "ns::name"
  const char *what, *name;
};

/// Sets an error "ns::name: input 'x' ..."; false.
bool refuse(PyObject *type, const Place &place, const char *format, ...);

/// Sets the error of a call that the library refused; null.
PyObject *raiseStatus(PyObject *op, opw_status_t status, const char *text);

/// Whether a text of ours may replace the error that is set, if any: it is no KeyboardInterrupt or the like.
inline bool isReplaceable() { return !PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_Exception); }

/// The name of an object's type, as "numpy.ndarray" or "list".
Ref typeName(PyObject *object);

/// Objects that a call made and that live as long as it.
class Kept {
public:
  /// Takes the reference over; what it was given, borrowed. Null stays null.
  PyObject *add(PyObject *object) {
    if (!object)
      return nullptr;
    if (!list)
      list = Ref(PyList_New(0));
    bool good = list && PyList_Append(list.get(), object) == 0;
    Py_DECREF(object);
    return good ? object : nullptr;
  }

private:
  Ref list;
};

/// Memory that lives as long as a call: a little on the stack, the rest from malloc.
class Arena {
public:
  Arena() = default;
  Arena(const Arena &) = delete;
  Arena &operator=(const Arena &) = delete;
  ~Arena() {
    while (blocks) {
      Block *next = blocks->next;
      free(blocks);
      blocks = next;
    }
  }

  /// Room for `count` of T, 16-byte aligned. Null with MemoryError.
  template <typename T> T *make(size_t count) {
    void *memory = count <= SIZE_MAX / 2 / sizeof(T) ? take(count * sizeof(T)) : nullptr;
    if (!memory)
      PyErr_NoMemory();
    return static_cast<T *>(memory);
  }

private:
  struct alignas(16) Block {
    Block *next;
  };
  void *take(size_t bytes) {
    bytes = (bytes + 15) / 16 * 16;
    if (sizeof few - used >= bytes) {
      void *memory = few + used;
      used += bytes;
      return memory;
    }
    auto *block = static_cast<Block *>(malloc(sizeof(Block) + bytes));
    if (!block)
      return nullptr;
    block->next = blocks;
    blocks = block;
    return block + 1;
  }

  alignas(16) unsigned char few[4096];
  size_t used = 0;
  Block *blocks = nullptr;
};

PyObject *makeOperatorType();
/// The tables of a library as dicts and lists. For inspect and loader.py.
PyObject *describeTables(const opw_library_t &library);
/// The library at an address that native.open_library found; null with an error.
const opw_library_t *libraryAt(PyObject *address);

} // namespace opw::plugins
