// A node of a session: attributes and checks when it is made, views and a call when it runs.
#include "adapters/onnxruntime/adapter.h"

#include "core/api.h"
#include "core/dtype.h"
#include "core/error.h"
#include "core/infer.h"

#include <algorithm>
#include <atomic>
#include <new>
#include <stdlib.h>
#include <string.h>

namespace opw::ort {
namespace {

opw_call_t callOf(const Kernel &k, const opw_tensor_t *const *inputs, opw_tensor_t *const *outputs,
                  const opw_host_t *host) {
  return {.struct_size = sizeof(opw_call_t),
          .flags = 0,
          .inputs = inputs,
          .outputs = outputs,
          .attrs = k.attributes.values(),
          .input_count = k.inputCount,
          .output_count = k.outputCount,
          .attr_count = k.op->attr_count,
          .device_type = OPW_DEVICE_CPU,
          .device_id = 0,
          .tactic = 0,
          .stream = nullptr,
          .workspace = nullptr,
          .workspace_bytes = 0,
          .host = host,
          .phases = 0,
          .reserved = 0};
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
const opw_tensor_t *staticInput(const Api &api, const KernelInfo *info, size_t i, const opw_io_t &io, View &in,
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
    bool hasShape = rank != 0 || (api.has(24) ? api.get<bool>(kTensorInfoHasShape, tensor) : io.rank_max == 0);
    if (!hasShape && io.rank_min == io.rank_max) { // the sizes alone are unknown
      rank = io.rank_min;
      std::fill_n(in.dims, rank, int64_t{-1});
    } else {
      *known = hasShape && rank <= OPW_MAX_RANK && api.ok(kGetDimensions, tensor, in.dims, rank);
    }
    if (element != kUndefined) {
      describe(in.tensor, element, in.dims, rank);
      view = &in.tensor;
    }
  }
  api.get<void>(kReleaseTypeInfo, type);
  return view;
}

/// How many inputs and outputs the node has: the same in every run.
opw_status_t countTensors(Kernel &k, const KernelInfo *info, opw_error_t *error) {
  size_t inputs = 0, outputs = 0;
  if (!k.api.ok(kKernelInfoGetInputCount, info, &inputs) || !k.api.ok(kKernelInfoGetOutputCount, info, &outputs))
    return runtime::failOp(error, OPW_E_HOST, k.op, "ONNX Runtime does not say how many inputs and outputs a node has");
  if (inputs > kMaxTensors || outputs > kMaxTensors)
    return runtime::failOp(error, OPW_E_ARGUMENT, k.op, "found %zu inputs and %zu outputs, expected at most %u of each",
                           inputs, outputs, kMaxTensors);
  k.inputCount = static_cast<uint32_t>(inputs);
  k.outputCount = static_cast<uint32_t>(outputs);
  return OPW_OK;
}

/// Checks what the model says about types and shapes: errors of shape inference are ignored by the host.
opw_status_t checkStatic(const Kernel &k, const KernelInfo *info, opw_error_t *error) {
  View in[kMaxTensors], out[kMaxTensors];
  const opw_tensor_t *given[kMaxTensors];
  opw_tensor_t *results[kMaxTensors];
  const opw_io_t *unknown = nullptr;
  for (size_t i = 0; i < k.inputCount; ++i) {
    const opw_io_t &io = runtime::inputOf(k.op, i);
    bool known = true;
    given[i] = staticInput(k.api, info, i, io, in[i], &known);
    unknown = known ? unknown : &io;
  }
  for (uint32_t i = 0; unknown && i < k.op->output_count; ++i)
    if (needsRank(k.op, given, k.inputCount, *k.op->outputs[i]))
      return runtime::failOp(error, OPW_E_UNSUPPORTED, k.op,
                             "the model does not say which rank the input %s has, and ONNX Runtime takes the element "
                             "type of the output %s together with a rank alone; give the input a shape",
                             unknown->name, k.op->outputs[i]->name);
  if (unknown)
    return OPW_OK; // the run will tell
  for (size_t i = 0; i < k.outputCount; ++i) {
    describe(out[i].tensor, kUndefined, out[i].dims, 0);
    results[i] = &out[i].tensor;
  }
  opw_call_t call = callOf(k, given, results, nullptr);
  return runtime::kApi.infer(k.op, &call, error);
}

opw_status_t setUp(Kernel &k, const KernelInfo *info, opw_error_t *error) {
  if (opw_status_t s = runtime::kApi.check(k.op, error))
    return s;
  for (uint32_t i = 0; i < k.op->output_count; ++i)
    if (runtime::isFree(*k.op->outputs[i]))
      return runtime::failOp(error, OPW_E_UNSUPPORTED, k.op,
                             "output %s has no declared shape, and ONNX Runtime asks for one", k.op->outputs[i]->name);
  if (!k.api.ok(kCreateCpuMemoryInfo, static_cast<int>(kArenaAllocator), static_cast<int>(kDefaultMemory), &k.memory))
    return runtime::failOp(error, OPW_E_HOST, k.op, "ONNX Runtime has no memory of the CPU");
  if (opw_status_t s = k.attributes.read(k.op, k.api, kKernelAttributes, info, error))
    return s;
  if (opw_status_t s = countTensors(k, info, error))
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

opw_status_t parallelFor(void *ctx, int64_t count, int64_t grain, opw_body_t body, void *arg) {
  auto &run = *static_cast<Run *>(ctx);
  Loop loop{body, arg, count, grain, {OPW_OK}};
  size_t chunks = static_cast<size_t>((count - 1) / grain + 1);
  if (!run.kernel.api.ok(kKernelContextParallelFor, static_cast<const KernelContext *>(run.context), runChunk, chunks,
                         size_t{0}, static_cast<void *>(&loop)))
    return OPW_E_HOST;
  return loop.status.load(std::memory_order_relaxed);
}

void *allocateFor(void *ctx, int32_t, int32_t, void *, size_t bytes, size_t align) {
  return static_cast<Run *>(ctx)->allocate(bytes, align);
}
void releaseFor(void *ctx, int32_t, int32_t, void *, void *memory) { static_cast<Run *>(ctx)->release(memory); }

/// Type, shape and data of a value; the shape is put into the view where the host does not lend its own.
bool viewOf(const Api &api, const Value *value, View &view) {
  int64_t *dims = view.dims;
  int type = kUndefined;
  size_t rank = 0;
  bool good = false;
  if (api.has(25)) {
    const int64_t *shape = nullptr;
    good = api.ok(kTensorReference, value, &type, &shape, &rank) && rank <= OPW_MAX_RANK;
    dims = const_cast<int64_t *>(shape); // of an input: it is not written
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
  describe(view.tensor, type, dims, rank);
  return api.ok(kGetTensorMutableData, const_cast<Value *>(value), &view.tensor.data);
}

Status *readInputs(Run &run) {
  const Api &api = run.kernel.api;
  const auto *reading = const_cast<const KernelContext *>(run.context);
  for (size_t i = 0; i < run.call.input_count; ++i) {
    const Value *value = nullptr;
    if (Status *s = api.call(kKernelContextGetInput, reading, i, &value))
      return s;
    run.inputPointers[i] = value ? &run.inputs[i].tensor : nullptr;
    if (value && !viewOf(api, value, run.inputs[i]))
      return api.error(kInvalidArgument, "an input is no tensor of at most 16 dimensions");
  }
  return nullptr;
}

/// Runs a call as `prepared` says. `*done` is false where nothing has run, because its addresses are of another kind.
Status *runPrepared(Run &run, const runtime::Prepared &prepared, bool *done) {
  uintptr_t addresses[2 * kMaxTensors];
  const uint32_t inputs = run.call.input_count;
  for (uint32_t i = 0; i < inputs; ++i)
    addresses[i] = run.inputPointers[i] ? reinterpret_cast<uintptr_t>(run.inputs[i].tensor.data) : 0;
  for (uint32_t i = 0; i < run.call.output_count; ++i) {
    void *data = nullptr;
    size_t ndim;
    if (const int64_t *sizes = prepared.output(i, &ndim))
      if (Status *s = run.makeOutput(i, sizes, ndim, &data))
        return s;
    addresses[inputs + i] = reinterpret_cast<uintptr_t>(data);
  }
  opw_status_t status = OPW_OK;
  *done = prepared.run(addresses, &run.host, &status, &run.error);
  return run.statusOf(status);
}

Status *compute(Run &run) {
  if (Status *s = readInputs(run))
    return s;
  if (const runtime::Prepared *prepared = run.kernel.find(run.inputPointers)) {
    bool done = false;
    Status *s = runPrepared(run, *prepared, &done);
    if (s || done)
      return s;
  }
  for (size_t i = 0; i < run.call.output_count; ++i) {
    describe(run.outputs[i].tensor, kUndefined, run.outputs[i].dims, 0);
    run.outputPointers[i] = &run.outputs[i].tensor;
  }
  const opw_op_t *op = run.kernel.op;
  if (op->size_count != 0)
    return runCounted(run);
  runtime::Frame frame;
  if (opw_status_t s = runtime::beginCall(frame, op, &run.call, &run.error))
    return run.statusOf(s);
  for (size_t i = 0; i < run.call.output_count; ++i)
    if (Status *s = run.makeOutput(i))
      return s;
  runtime::Selection selection;
  opw_status_t s = runtime::finishCall(frame, &selection, &run.error);
  if (s == OPW_OK)
    run.kernel.remember(frame, selection);
  return run.statusOf(s);
}

} // namespace

Run::Run(const Kernel &kernel, KernelContext *context)
    : kernel(kernel), context(context),
      host{sizeof host, 0, this, parallelFor, nullptr, allocateFor, releaseFor, nullptr},
      call(callOf(kernel, inputPointers, outputPointers, &host)) {
  text[0] = 0;
}

Run::~Run() {
  if (allocator)
    kernel.api.get<void>(kReleaseAllocator, allocator);
}

Status *Run::statusOf(opw_status_t status) const {
  return status == OPW_OK ? nullptr : errorOf(kernel.api, status, text);
}

/// The host's allocator says nothing of alignment: the address that it gave stands before the memory.
void *Run::allocate(size_t bytes, size_t align) {
  void *base = nullptr;
  if (bytes > SIZE_MAX / 2 ||
      (!allocator && !kernel.api.ok(kKernelContextGetAllocator, const_cast<const KernelContext *>(context),
                                    const_cast<const MemoryInfo *>(kernel.memory), &allocator)) ||
      !kernel.api.ok(kAllocatorAlloc, allocator, bytes + align + sizeof base, &base) || !base)
    return nullptr;
  uintptr_t start = (reinterpret_cast<uintptr_t>(base) + sizeof base + align - 1) / align * align;
  memcpy(reinterpret_cast<void *>(start - sizeof base), &base, sizeof base);
  return reinterpret_cast<void *>(start);
}

void Run::release(void *memory) {
  if (!memory)
    return;
  void *base;
  memcpy(&base, static_cast<char *>(memory) - sizeof base, sizeof base);
  kernel.api.ok(kAllocatorFree, allocator, base);
}

const runtime::Prepared *Kernel::find(const opw_tensor_t *const *inputs) const {
  for (const std::atomic<runtime::Prepared *> &each : known) {
    const runtime::Prepared *p = each.load(std::memory_order_acquire);
    if (!p || p->takes(inputs))
      return p;
  }
  return nullptr;
}

void Kernel::remember(const runtime::Frame &frame, const runtime::Selection &selection) const {
  if (known[kMostKnown - 1].load(std::memory_order_relaxed) || tries.load(std::memory_order_relaxed) >= kMostTries)
    return;
  tries.fetch_add(1, std::memory_order_relaxed);
  runtime::Prepared *made = runtime::Prepared::of(frame, selection);
  for (std::atomic<runtime::Prepared *> &each : known) {
    runtime::Prepared *there = nullptr;
    if (!made || each.compare_exchange_strong(there, made, std::memory_order_acq_rel))
      return;
    if (there->takes(frame.inputs)) // another thread was first, or this call's addresses were not such
      break;
  }
  free(made);
}

Status *Run::makeOutput(size_t i, const int64_t *sizes, size_t ndim, void **data) {
  Value *value = nullptr;
  if (Status *s = kernel.api.call(kKernelContextGetOutput, context, i, sizes, ndim, &value))
    return s;
  return value ? kernel.api.call(kGetTensorMutableData, value, data) : nullptr;
}

Status *Run::makeOutput(size_t i) {
  Value *value = nullptr;
  if (Status *s = kernel.api.call(kKernelContextGetOutput, context, i, const_cast<const int64_t *>(outputs[i].dims),
                                  static_cast<size_t>(outputs[i].tensor.ndim), &value))
    return s;
  if (value)
    return kernel.api.call(kGetTensorMutableData, value, &outputs[i].tensor.data);
  outputPointers[i] = nullptr;
  return nullptr;
}

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
  auto *k = static_cast<Kernel *>(kernel);
  if (k->memory)
    k->api.get<void>(kReleaseMemoryInfo, k->memory);
  for (std::atomic<runtime::Prepared *> &prepared : k->known)
    free(prepared.load(std::memory_order_acquire));
  k->~Kernel();
  free(kernel);
}

Status *computeKernel(void *kernel, KernelContext *context) {
  Run run(*static_cast<const Kernel *>(kernel), context);
  return compute(run);
}

} // namespace opw::ort
