// The part of ONNX Runtime's C ABI that a custom-op library uses, declared independently: slot numbers of OrtApi, the
// struct OrtCustomOp, enum values. No header of ONNX Runtime is needed to build. The order of slots and members never
// changes; each slot is there from the API version in its name's comment on. A function returns a Status* (null = fine)
// unless said otherwise.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace opw::ort {

struct Status;
struct SessionOptions;
struct CustomOpDomain;
struct KernelInfo;
struct KernelContext;
struct ShapeInferContext;
struct OpAttr;
struct Value;
struct TypeInfo;
struct TensorInfo; // OrtTensorTypeAndShapeInfo
struct Allocator;
struct MemoryInfo;

/// OrtApi: a table of function pointers.
using Slots = const void *const *;

struct ApiBase {
  Slots (*GetApi)(uint32_t version);
  const char *(*GetVersionString)();
};

/// What our library asks for: everything below without a remark is there.
constexpr uint32_t kApiVersion = 18;

enum Slot : uint32_t {
  kCreateStatus = 0,            // (int code, const char *message)
  kGetErrorMessage = 2,         // const char *(const Status *)
  kReleaseStatus = 93,          // void (Status *)
  kCreateCustomOpDomain = 26,   // (const char *domain, CustomOpDomain **out)
  kCustomOpDomainAdd = 27,      // (CustomOpDomain *, const CustomOp *)
  kAddCustomOpDomain = 28,      // (SessionOptions *, CustomOpDomain *)
  kAddSessionConfigEntry = 130, // (SessionOptions *, const char *key, const char *value)
  kHasSessionConfigEntry = 237, // (const SessionOptions *, const char *key, int *out)
  kGetSessionConfigEntry = 238, // (const SessionOptions *, const char *key, char *value, size_t *size)

  kKernelInfoGetAttributeFloat = 85,   // (const KernelInfo *, const char *name, float *out)
  kKernelInfoGetAttributeInt = 86,     // (const KernelInfo *, const char *name, int64_t *out)
  kKernelInfoGetAttributeString = 87,  // (const KernelInfo *, const char *name, char *out, size_t *size)
  kKernelInfoGetAttributeFloats = 162, // (const KernelInfo *, const char *name, float *out, size_t *count)
  kKernelInfoGetAttributeInts = 163,   // (const KernelInfo *, const char *name, int64_t *out, size_t *count)
  kKernelInfoGetAttributeStrings =
      417, // API 25: (const KernelInfo *, const char *name, Allocator *, char ***, size_t *)
  kKernelInfoGetAttributeTensor = 236, // (const KernelInfo *, const char *name, Allocator *, Value **out), owned
  kKernelInfoGetInputCount = 230,      // (const KernelInfo *, size_t *out)
  kKernelInfoGetOutputCount = 231,     // (const KernelInfo *, size_t *out)
  kKernelInfoGetInputTypeInfo = 234,   // (const KernelInfo *, size_t index, TypeInfo **)

  kKernelContextGetInput = 90,      // (const KernelContext *, size_t index, const Value **out)
  kKernelContextGetOutput = 91,     // (KernelContext *, size_t index, const int64_t *dims, size_t count, Value **out)
  kKernelContextGetAllocator = 253, // (const KernelContext *, const MemoryInfo *, Allocator **out), owned
  kKernelContextParallelFor =
      274, // (const KernelContext *, void (*)(void *, size_t), size_t total, size_t batches, void *)

  kGetTensorMutableData = 51,     // (Value *, void **out)
  kGetTensorTypeAndShape = 65,    // (const Value *, TensorInfo **out)
  kGetTensorElementType = 60,     // (const TensorInfo *, int *out)
  kGetTensorElementCount = 64,    // (const TensorInfo *, size_t *out)
  kGetDimensionsCount = 61,       // (const TensorInfo *, size_t *out)
  kGetDimensions = 62,            // (const TensorInfo *, int64_t *dims, size_t count)
  kReleaseTensorInfo = 99,        // void (TensorInfo *)
  kCreateTensorInfo = 57,         // (TensorInfo **out)
  kSetTensorElementType = 58,     // (TensorInfo *, int type)
  kSetDimensions = 59,            // (TensorInfo *, const int64_t *dims, size_t count)
  kSetSymbolicDimensions = 271,   // (TensorInfo *, const char **names, size_t count)
  kTensorInfoHasShape = 390,      // API 24: bool (const TensorInfo *)
  kCastTypeInfoToTensorInfo = 55, // (const TypeInfo *, const TensorInfo **out)
  kReleaseTypeInfo = 98,          // void (TypeInfo *)
  kTensorReference = 414,         // API 25: (const Value *, int *type, const int64_t **dims, size_t *count)

  kReleaseValue = 96, // void (Value *)

  kCreateCpuMemoryInfo = 69,            // (int allocator type, int memory type, MemoryInfo **out)
  kReleaseMemoryInfo = 94,              // void (MemoryInfo *)
  kAllocatorAlloc = 75,                 // (Allocator *, size_t bytes, void **out)
  kAllocatorFree = 76,                  // (Allocator *, void *)
  kReleaseAllocator = 132,              // void (Allocator *)
  kGetAllocatorWithDefaultOptions = 78, // (Allocator **out)

  kShapeInferGetInputCount = 267,     // (const ShapeInferContext *, size_t *out)
  kShapeInferGetInputTypeShape = 268, // (const ShapeInferContext *, size_t index, TensorInfo **), owned by the context
  kShapeInferGetAttribute = 269,      // (const ShapeInferContext *, const char *name, const OpAttr **)
  kShapeInferSetOutput = 270,         // (const ShapeInferContext *, size_t index, const TensorInfo *)
  kOpAttrGetTensor = 362,             // API 23: (const OpAttr *, Value **out), owned
  kReadOpAttr = 272,                  // (const OpAttr *, int type, void *data, size_t bytes, size_t *out)
};

enum ErrorCode { kFail = 1, kInvalidArgument = 2, kNotImplemented = 9 };
enum Characteristic { kRequired = 0, kOptional = 1, kVariadic = 2 };
enum AllocatorType { kArenaAllocator = 1 };
enum MemType { kCpuInput = -2, kDefaultMemory = 0 };
enum OpAttrType { kAttrInt = 1, kAttrInts = 2, kAttrFloat = 3, kAttrFloats = 4, kAttrString = 5, kAttrStrings = 6 };

/// ONNXTensorElementDataType
enum ElementType {
  kUndefined = 0,
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kBfloat16 = 16,
  kFloat8E4M3FN = 17,
  kFloat8E4M3FNUZ = 18,
  kFloat8E5M2 = 19,
  kFloat8E5M2FNUZ = 20,
  kFloat8E8M0 = 26
};

/// OrtCustomOp as of version 18. ONNX Runtime reads a member only if `version` says that it is there.
struct CustomOp {
  uint32_t version;
  void *(*CreateKernel)(const CustomOp *, Slots, const KernelInfo *);
  const char *(*GetName)(const CustomOp *);
  const char *(*GetExecutionProviderType)(const CustomOp *);
  int (*GetInputType)(const CustomOp *, size_t);
  size_t (*GetInputTypeCount)(const CustomOp *);
  int (*GetOutputType)(const CustomOp *, size_t);
  size_t (*GetOutputTypeCount)(const CustomOp *);
  void (*KernelCompute)(void *, KernelContext *);
  void (*KernelDestroy)(void *);
  int (*GetInputCharacteristic)(const CustomOp *, size_t);
  int (*GetOutputCharacteristic)(const CustomOp *, size_t);
  int (*GetInputMemoryType)(const CustomOp *, size_t);
  int (*GetVariadicInputMinArity)(const CustomOp *);
  int (*GetVariadicInputHomogeneity)(const CustomOp *);
  int (*GetVariadicOutputMinArity)(const CustomOp *);
  int (*GetVariadicOutputHomogeneity)(const CustomOp *);
  Status *(*CreateKernelV2)(const CustomOp *, Slots, const KernelInfo *, void **);
  Status *(*KernelComputeV2)(void *, KernelContext *);
  Status *(*InferOutputShapeFn)(const CustomOp *, ShapeInferContext *);
  int (*GetStartVersion)(const CustomOp *);
  int (*GetEndVersion)(const CustomOp *);
  size_t (*GetMayInplace)(int **, int **);
  void (*ReleaseMayInplace)(int *, int *);
  size_t (*GetAliasMap)(int **, int **);
  void (*ReleaseAliasMap)(int *, int *);
};

static_assert(sizeof(void *) == 8 && sizeof(CustomOp) == 26 * 8);
static_assert(offsetof(CustomOp, version) == 0 && offsetof(CustomOp, CreateKernel) == 8);
static_assert(offsetof(CustomOp, KernelDestroy) == 9 * 8 && offsetof(CustomOp, GetInputMemoryType) == 12 * 8);
static_assert(offsetof(CustomOp, CreateKernelV2) == 17 * 8 && offsetof(CustomOp, InferOutputShapeFn) == 19 * 8);
static_assert(offsetof(CustomOp, GetEndVersion) == 21 * 8 && offsetof(CustomOp, ReleaseAliasMap) == 25 * 8);

/// The table, called by slot.
class Api {
public:
  Api() = default;
  Api(Slots slots, uint32_t version) : slots(slots), have(version) {}

  /// Calls a slot that returns a Status*.
  template <typename... A> Status *call(Slot slot, A... arguments) const {
    return reinterpret_cast<Status *(*)(A...)>(const_cast<void *>(slots[slot]))(arguments...);
  }
  /// Calls a slot that returns R.
  template <typename R, typename... A> R get(Slot slot, A... arguments) const {
    return reinterpret_cast<R (*)(A...)>(const_cast<void *>(slots[slot]))(arguments...);
  }
  /// Whether slots of that API version are there.
  bool has(uint32_t version) const { return have >= version; }
  Slots table() const { return slots; }

  Status *error(int code, const char *message) const { return call(kCreateStatus, code, message); }
  void release(Status *status) const {
    if (status)
      get<void>(kReleaseStatus, status);
  }
  /// Calls a slot and drops its error; whether it succeeded.
  template <typename... A> bool ok(Slot slot, A... arguments) const {
    Status *status = call(slot, arguments...);
    release(status);
    return status == nullptr;
  }

private:
  Slots slots = nullptr;
  uint32_t have = 0;
};

} // namespace opw::ort
