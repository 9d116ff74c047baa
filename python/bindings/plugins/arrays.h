// Arrays of NumPy, torch and others as views, and new arrays for outputs.
#pragma once

#include "dlpack_abi.h"
#include "plugins.h"

namespace opw::plugins {

/// A view with its own copy of the sizes: another thread may reshape the array while the call runs.
struct View {
  opw_tensor_t tensor;
  int64_t shape[OPW_MAX_RANK], strides[OPW_MAX_RANK];
  bool readOnly;
};

/// How arrays of one Python type are read. Lives as long as the process.
struct ArrayType {
  enum Way : uint8_t { NumPy, Exchange, DLPack } way;
  bool isTorch;
  const dlpack::Exchange *exchange;

  /// Whether outputs of a call with arrays of this type are NumPy's.
  bool makesNumPy() const { return way == NumPy || (way == DLPack && !isTorch); }
  /// Arrays of both may be in one call.
  bool goesWith(const ArrayType &other) const {
    return isTorch == other.isTorch && makesNumPy() == other.makesNumPy() && exchange == other.exchange;
  }
};

extern const ArrayType kNumPyType;

/// How arrays of that type are read; null without an error when it is no array type.
const ArrayType *arrayTypeOf(PyTypeObject *type);

/// The view of an array; false with an error.
bool readArray(const ArrayType &type, PyObject *array, const Place &place, View &view, Kept &kept);

/// A new array with the type and sizes of the view, whose data becomes the array's. Null with an error.
PyObject *makeArray(const ArrayType &type, View &view, uint32_t align, const Place &place, Kept &kept);

} // namespace opw::plugins
