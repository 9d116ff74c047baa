// The part of TVM-FFI's C ABI (0.1) that a function of a library uses, declared independently: how arguments arrive,
// how an error is raised. No header of TVM-FFI is needed to build; tests/python/test_tvmffi.py holds this file against
// the headers of the installed package.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace opw::tvmffi {

/// TVMFFITypeIndex: what an argument holds.
enum TypeIndex : int32_t {
  kNone = 0,
  kInt = 1,
  kBool = 2, // in Any::integer
  kFloat = 3,
  kOpaquePtr = 4,
  kDataType = 5,
  kDevice = 6,
  kDLTensorPtr = 7,
  kRawStr = 8,       // NUL ended
  kByteArrayPtr = 9, // a ByteArray, which is no object
  kSmallStr = 11,    // in Any::inside, NUL ended, at most 7 bytes
  kSmallBytes = 12,
  kObject = 64, // from here on Any::object, an Object with the cell that is named here behind it
  kStr = 65,    // ByteArray, NUL ended
  kBytes = 66,  // ByteArray
  kShape = 69,  // ShapeCell
  kTensor = 70, // DLTensor
  kArray = 71,  // SequenceCell
  kMap = 72,
  kList = 75,   // SequenceCell
  kBigInt = 78, // an int that needs more than 64 bits
};

/// TVMFFIObject: the head of everything that is counted.
struct Object {
  uint64_t references;
  int32_t type;
  uint32_t padding;
  void (*deleter)(void *self, int flags);
};

/// DLDataType.
struct DataType {
  uint8_t code, bits;
  uint16_t lanes;
};

/// TVMFFIAny: one argument.
struct Any {
  int32_t type;
  uint32_t length; // of a small string
  union {
    int64_t integer;
    double number;
    void *pointer;
    const char *text;
    const Object *object;
    DataType dtype;
    char inside[8];
  };
};

/// TVMFFIByteArray.
struct ByteArray {
  const char *data;
  size_t size;
};

/// TVMFFIShapeCell.
struct ShapeCell {
  const int64_t *data;
  size_t size;
};

/// TVMFFISeqCell, as far as we read it; so also in the versions that did not name it (0.1.0 to 0.1.8).
struct SequenceCell {
  const Any *data;
  int64_t size;
};

/// The cell behind an object's head.
template <typename Cell> const Cell *cellOf(const Object *object) { return reinterpret_cast<const Cell *>(object + 1); }

/// TVMFFIErrorSetRaisedFromCStr: the exception of this thread's call that returns -1. Both texts are copied.
using SetRaised = void (*)(const char *kind, const char *message);
constexpr const char *kSetRaised = "TVMFFIErrorSetRaisedFromCStr";
constexpr const char *kLibrary = "libtvm_ffi.so";

static_assert(sizeof(void *) == 8 && sizeof(Any) == 16 && offsetof(Any, length) == 4 && offsetof(Any, integer) == 8);
static_assert(sizeof(Object) == 24 && offsetof(Object, type) == 8 && offsetof(Object, deleter) == 16);
static_assert(sizeof(DataType) == 4 && offsetof(DataType, bits) == 1 && offsetof(DataType, lanes) == 2);
static_assert(sizeof(ByteArray) == 16 && offsetof(ByteArray, size) == 8);
static_assert(sizeof(ShapeCell) == 16 && offsetof(ShapeCell, size) == 8);
static_assert(offsetof(SequenceCell, data) == 0 && offsetof(SequenceCell, size) == 8);

} // namespace opw::tvmffi
