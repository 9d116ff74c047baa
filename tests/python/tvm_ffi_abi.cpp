// Compiled, never run: our declarations of TVM-FFI's ABI against the headers of the installed apache-tvm-ffi.
#include <dlpack/dlpack.h>
#include <tvm/ffi/c_api.h>

#include "adapters/tvmffi/tvm_ffi_abi.h"
#include "opwright/plugin.h"

namespace ours = opw::tvmffi;

#define SAME_PLACE(a, field, b, other)                                                                                 \
  static_assert(offsetof(a, field) == offsetof(b, other) && sizeof(a::field) == sizeof(b::other))

static_assert(ours::kNone == kTVMFFINone && ours::kInt == kTVMFFIInt && ours::kBool == kTVMFFIBool);
static_assert(ours::kFloat == kTVMFFIFloat && ours::kOpaquePtr == kTVMFFIOpaquePtr);
static_assert(ours::kDataType == kTVMFFIDataType && ours::kDevice == kTVMFFIDevice);
static_assert(ours::kDLTensorPtr == kTVMFFIDLTensorPtr && ours::kRawStr == kTVMFFIRawStr);
static_assert(ours::kByteArrayPtr == kTVMFFIByteArrayPtr && ours::kSmallStr == kTVMFFISmallStr);
static_assert(ours::kSmallBytes == kTVMFFISmallBytes && ours::kObject == kTVMFFIStaticObjectBegin);
static_assert(ours::kStr == kTVMFFIStr && ours::kBytes == kTVMFFIBytes && ours::kShape == kTVMFFIShape);
static_assert(ours::kTensor == kTVMFFITensor && ours::kArray == kTVMFFIArray && ours::kMap == kTVMFFIMap);
static_assert(ours::kList == kTVMFFIList && ours::kBigInt == kTVMFFIBigInt);

static_assert(sizeof(ours::Any) == sizeof(TVMFFIAny));
SAME_PLACE(ours::Any, type, TVMFFIAny, type_index);
SAME_PLACE(ours::Any, length, TVMFFIAny, small_str_len);
SAME_PLACE(ours::Any, integer, TVMFFIAny, v_int64);
SAME_PLACE(ours::Any, number, TVMFFIAny, v_float64);
SAME_PLACE(ours::Any, pointer, TVMFFIAny, v_ptr);
SAME_PLACE(ours::Any, text, TVMFFIAny, v_c_str);
SAME_PLACE(ours::Any, object, TVMFFIAny, v_obj);
SAME_PLACE(ours::Any, dtype, TVMFFIAny, v_dtype);
SAME_PLACE(ours::Any, inside, TVMFFIAny, v_bytes);

static_assert(sizeof(ours::Object) == sizeof(TVMFFIObject));
SAME_PLACE(ours::Object, type, TVMFFIObject, type_index);
SAME_PLACE(ours::DataType, code, DLDataType, code);
SAME_PLACE(ours::DataType, bits, DLDataType, bits);
SAME_PLACE(ours::DataType, lanes, DLDataType, lanes);
SAME_PLACE(ours::ByteArray, data, TVMFFIByteArray, data);
SAME_PLACE(ours::ByteArray, size, TVMFFIByteArray, size);
SAME_PLACE(ours::ShapeCell, data, TVMFFIShapeCell, data);
SAME_PLACE(ours::ShapeCell, size, TVMFFIShapeCell, size);
SAME_PLACE(ours::SequenceCell, data, TVMFFISeqCell, data);
SAME_PLACE(ours::SequenceCell, size, TVMFFISeqCell, size);

// a DLTensor* is an opw_tensor_t*
static_assert(sizeof(opw_tensor_t) == sizeof(DLTensor));
SAME_PLACE(opw_tensor_t, data, DLTensor, data);
SAME_PLACE(opw_tensor_t, ndim, DLTensor, ndim);
SAME_PLACE(opw_tensor_t, shape, DLTensor, shape);
SAME_PLACE(opw_tensor_t, strides, DLTensor, strides);
SAME_PLACE(opw_tensor_t, byte_offset, DLTensor, byte_offset);
static_assert(offsetof(opw_tensor_t, device_type) == offsetof(DLTensor, device) &&
              offsetof(opw_tensor_t, device_id) == offsetof(DLTensor, device) + offsetof(DLDevice, device_id) &&
              offsetof(opw_tensor_t, dl_code) == offsetof(DLTensor, dtype) &&
              offsetof(opw_tensor_t, dl_bits) == offsetof(DLTensor, dtype) + offsetof(DLDataType, bits) &&
              offsetof(opw_tensor_t, dl_lanes) == offsetof(DLTensor, dtype) + offsetof(DLDataType, lanes));

// what a function of a library is, and how it raises
ours::SetRaised setRaised = TVMFFIErrorSetRaisedFromCStr;
TVMFFISafeCallType call = [](void *, const TVMFFIAny *, int32_t, TVMFFIAny *) -> int { return 0; };
