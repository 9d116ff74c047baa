// DLPack 1 as calls need it, declared independently: what a capsule of __dlpack__ holds, and the table of functions
// behind the capsule __dlpack_c_exchange_api__ of a type (torch 2.10 and later, tvm_ffi), which gives views without
// Python objects. A DLTensor is an opw_tensor_t.
#pragma once

#include "opwright/plugin.h"

namespace opw::plugins::dlpack {

struct Managed { ///< DLManagedTensorVersioned
  uint32_t major, minor;
  void *context;
  void (*deleter)(Managed *);
  uint64_t flags; ///< bit 0: read only
  opw_tensor_t tensor;
};
constexpr uint64_t kReadOnly = 1;

using SetError = void (*)(void *context, const char *kind, const char *message);

/// Each function returns 0, or -1 with a Python error set; allocate reports through SetError.
struct Exchange {
  uint32_t major, minor;
  const Exchange *previous;
  int (*allocate)(opw_tensor_t *like, Managed **out, void *context, SetError); ///< type, sizes and device of `like`
  int (*fromObject)(void *object, Managed **out);
  int (*toObject)(Managed *, void **object);      ///< takes it over
  int (*viewOf)(void *object, opw_tensor_t *out); ///< may be null; lives as long as the object is not changed
  int (*currentStream)(int32_t deviceType, int32_t deviceId, void **out);
};

static_assert(sizeof(opw_tensor_t) == 48 && offsetof(Managed, flags) == 24 && offsetof(Managed, tensor) == 32);
static_assert(offsetof(Exchange, allocate) == 16 && offsetof(Exchange, viewOf) == 40 && sizeof(Exchange) == 56);

constexpr char kExchangeName[] = "dlpack_exchange_api";
constexpr char kVersionedName[] = "dltensor_versioned";
constexpr char kUnversionedName[] = "dltensor";

} // namespace opw::plugins::dlpack
