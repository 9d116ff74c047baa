// A node of a session: attributes and checks when it is made, views and a call when it runs.
#include "adapters/onnxruntime/adapter.h"

#include "core/api.h"
#include "core/dtype.h"
#include "core/error.h"

#include <atomic>
#include <new>
#include <stdlib.h>

namespace opw::ort {
namespace {

constexpr uint32_t kMaxTensors = 64; // inputs, and outputs, of one node

struct Kernel {
  Api api;
  const opw_op_t *op;
  Attributes attributes;
};

struct Views {
  opw_tensor_t tensors[kMaxTensors];
  int64_t dims[kMaxTensors][OPW_MAX_RANK];
  const opw_tensor_t *pointers[kMaxTensors];
};

opw_call_t callOf(const Kernel &k, const Views &inputs, size_t inputCount) {
  opw_call_t call{};
  call.struct_size = sizeof call;
  call.inputs = inputs.pointers;
  call.input_count = static_cast<uint32_t>(inputCount);
  call.attrs = k.attributes.values();
  call.attr_count = k.op->attr_count;
  call.device_type = OPW_DEVICE_CPU;
  return call;
}

void describe(opw_tensor_t &t, int type, int64_t *dims, size_t rank) {
  t = opw_tensor_t{};
  t.device_type = OPW_DEVICE_CPU;
  t.ndim = static_cast<int32_t>(rank);
  t.shape = dims;
  runtime::setDtype(t, dtypeOf(type));
}

// ---- making a kernel

/// The static type and shape of input `i` into a view. Null when the input is absent; *known is false without a rank.
const opw_tensor_t *staticInput(const Api &api, const KernelInfo *info, size_t i, const opw_io_t &io, Views &views,
                                bool *known) {
  TypeInfo *type = nullptr;
  const TensorInfo *tensor = nullptr;
  if (!api.ok(kKernelInfoGetInputTypeInfo, info, i, &type) || !type)
    return nullptr;
  const opw_tensor_t *view = nullptr;
  if (api.ok(kCastTypeInfoToTensorInfo, static_cast<const TypeInfo *>(type), &tensor) && tensor) {
    int element = kUndefined;
    size_t rank = 0;
    api.ok(kGetTensorElementType, tensor, &element);
    api.ok(kGetDimensionsCount, tensor, &rank);
    bool hasShape = rank != 0 || (api.has(24) ? api.get<bool>(kTensorInfoHasShape, tensor) : io.rank_min == 0);
    *known = hasShape && rank <= OPW_MAX_RANK && api.ok(kGetDimensions, tensor, views.dims[i], rank);
    if (element != kUndefined) {
      describe(views.tensors[i], element, views.dims[i], rank);
      view = &views.tensors[i];
    }
  }
  api.get<void>(kReleaseTypeInfo, type);
  return view;
}

/// Checks what the model says about types and shapes: errors of shape inference are ignored by the host.
opw_status_t checkStatic(const Kernel &k, const KernelInfo *info, opw_error_t *error) {
  size_t inputs = 0, outputs = 0;
  if (!k.api.ok(kKernelInfoGetInputCount, info, &inputs) || !k.api.ok(kKernelInfoGetOutputCount, info, &outputs))
    return OPW_OK;
  if (inputs > kMaxTensors || outputs > kMaxTensors)
    return runtime::failOp(error, OPW_E_ARGUMENT, k.op, "found %zu inputs and %zu outputs, expected at most %u of each",
                           inputs, outputs, kMaxTensors);
  Views in, out;
  bool known = true;
  for (size_t i = 0; i < inputs && known; ++i) {
    const opw_io_t &io = *k.op->inputs[i < k.op->input_count ? i : k.op->input_count - 1];
    in.pointers[i] = staticInput(k.api, info, i, io, in, &known);
  }
  if (!known)
    return OPW_OK; // the run will tell
  opw_tensor_t *results[kMaxTensors];
  for (size_t i = 0; i < outputs; ++i) {
    describe(out.tensors[i], kUndefined, out.dims[i], 0);
    results[i] = &out.tensors[i];
  }
  opw_call_t call = callOf(k, in, inputs);
  call.outputs = results;
  call.output_count = static_cast<uint32_t>(outputs);
  return runtime::kApi.infer(k.op, &call, error);
}

opw_status_t setUp(Kernel &k, const KernelInfo *info, opw_error_t *error) {
  if (opw_status_t s = runtime::kApi.check(k.op, error))
    return s;
  if (k.op->size_count != 0)
    return runtime::failOp(error, OPW_E_UNSUPPORTED, k.op,
                           "outputs whose sizes depend on data are not supported in ONNX Runtime");
  if (opw_status_t s = k.attributes.read(k.op, k.api, kKernelAttributes, info, error))
    return s;
  if (opw_status_t s = checkStatic(k, info, error))
    return s;
  return runtime::kApi.prepare(k.op, OPW_DEVICE_CPU, 0, error);
}

// ---- running it

/// One loop in ONNX Runtime's own pool. Its callback cannot fail, so failures are noted here.
struct Loop {
  opw_body_t body;
  void *arg;
  int64_t count, chunk;
  std::atomic<opw_status_t> status;
};

void runChunk(void *p, size_t index) {
  auto &loop = *static_cast<Loop *>(p);
  if (loop.status.load(std::memory_order_relaxed) != OPW_OK)
    return;
  int64_t begin = static_cast<int64_t>(index) * loop.chunk;
  int64_t end = loop.count - begin < loop.chunk ? loop.count : begin + loop.chunk;
  if (opw_status_t s = loop.body(loop.arg, begin, end)) {
    opw_status_t none = OPW_OK;
    loop.status.compare_exchange_strong(none, s);
  }
}

struct Host {
  const Api *api;
  KernelContext *context;
};

opw_status_t parallelFor(void *ctx, int64_t count, int64_t grain, opw_body_t body, void *arg) {
  auto &host = *static_cast<Host *>(ctx);
  Loop loop{body, arg, count, grain, {OPW_OK}};
  size_t chunks = static_cast<size_t>((count - 1) / grain + 1);
  if (!host.api->ok(kKernelContextParallelFor, static_cast<const KernelContext *>(host.context), runChunk, chunks,
                    size_t{0}, static_cast<void *>(&loop)))
    return OPW_E_HOST;
  return loop.status.load(std::memory_order_relaxed);
}

/// Type, shape and data of a value. The newer way has no allocation.
bool viewOf(const Api &api, const Value *value, opw_tensor_t &t, int64_t *dims) {
  int type = kUndefined;
  size_t rank = 0;
  bool good = false;
  if (api.has(25)) {
    const int64_t *shape = nullptr;
    good = api.ok(kTensorReference, value, &type, &shape, &rank) && rank <= OPW_MAX_RANK;
    for (size_t d = 0; good && d < rank; ++d)
      dims[d] = shape[d];
  } else {
    TensorInfo *info = nullptr;
    if (!api.ok(kGetTensorTypeAndShape, value, &info))
      return false;
    auto *fixed = const_cast<const TensorInfo *>(info);
    good = api.ok(kGetTensorElementType, fixed, &type) && api.ok(kGetDimensionsCount, fixed, &rank) &&
           rank <= OPW_MAX_RANK && api.ok(kGetDimensions, fixed, dims, rank);
    api.get<void>(kReleaseTensorInfo, info);
  }
  if (!good)
    return false;
  describe(t, type, dims, rank);
  return api.ok(kGetTensorMutableData, const_cast<Value *>(value), &t.data);
}

Status *compute(const Kernel &k, KernelContext *context) {
  const Api &api = k.api;
  const auto *reading = const_cast<const KernelContext *>(context);
  char text[512] = "";
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  size_t inputs = 0, outputs = 0;
  if (Status *s = api.call(kKernelContextGetInputCount, reading, &inputs))
    return s;
  if (Status *s = api.call(kKernelContextGetOutputCount, reading, &outputs))
    return s;
  if (inputs > kMaxTensors || outputs > kMaxTensors)
    return api.error(kInvalidArgument, "more than 64 inputs or outputs");
  Views in, out;
  for (size_t i = 0; i < inputs; ++i) {
    const Value *value = nullptr;
    if (Status *s = api.call(kKernelContextGetInput, reading, i, &value))
      return s;
    in.pointers[i] = value ? &in.tensors[i] : nullptr;
    if (value && !viewOf(api, value, in.tensors[i], in.dims[i]))
      return api.error(kInvalidArgument, "an input is no tensor of at most 16 dimensions");
  }
  opw_tensor_t *results[kMaxTensors];
  for (size_t i = 0; i < outputs; ++i) {
    describe(out.tensors[i], kUndefined, out.dims[i], 0);
    results[i] = &out.tensors[i];
  }
  Host host{&api, context};
  opw_host_t services{};
  services.struct_size = sizeof services;
  services.ctx = &host;
  services.parallel_for = parallelFor;
  opw_call_t call = callOf(k, in, inputs);
  call.outputs = results;
  call.output_count = static_cast<uint32_t>(outputs);
  call.host = &services;
  if (opw_status_t s = runtime::kApi.infer(k.op, &call, &error))
    return errorOf(api, s, text);
  for (size_t i = 0; i < outputs; ++i) {
    Value *value = nullptr;
    if (Status *s = api.call(kKernelContextGetOutput, context, i, const_cast<const int64_t *>(out.dims[i]),
                             static_cast<size_t>(out.tensors[i].ndim), &value))
      return s;
    if (!value) {
      results[i] = nullptr; // an optional output that nobody wants
      continue;
    }
    if (Status *s = api.call(kGetTensorMutableData, value, &out.tensors[i].data))
      return s;
  }
  if (opw_status_t s = runtime::kApi.run(k.op, &call, &error))
    return errorOf(api, s, text);
  return nullptr;
}

} // namespace

Status *createKernel(const CustomOp *self, Slots, const KernelInfo *info, void **out) {
  const Operator &o = of(self);
  *out = nullptr;
  void *memory = malloc(sizeof(Kernel));
  if (!memory)
    return o.api.error(kFail, "no memory for a kernel");
  auto *k = new (memory) Kernel{};
  k->api = o.api;
  k->op = o.op;
  char text[512] = "";
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  if (opw_status_t s = setUp(*k, info, &error)) {
    destroyKernel(k);
    return errorOf(o.api, s, text);
  }
  *out = k;
  return nullptr;
}

void destroyKernel(void *kernel) {
  if (!kernel)
    return;
  static_cast<Kernel *>(kernel)->~Kernel();
  free(kernel);
}

Status *computeKernel(void *kernel, KernelContext *context) {
  return compute(*static_cast<const Kernel *>(kernel), context);
}

} // namespace opw::ort
