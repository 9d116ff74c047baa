// Custom ops of ONNX Runtime without a computation, of two inputs and one output of 16 floats. bench::Empty looks at
// its tensors, as every op does that has something to do: element types, shapes and data of the inputs, data of the
// output. bench::Output makes its output, and no more. For ONNX Runtime 1.25 or later.
#include "adapters/onnxruntime/ort_abi.h"

using namespace opw::ort;

namespace {

Api api;

Status *createKernel(const CustomOp *, Slots, const KernelInfo *, void **kernel) {
  *kernel = nullptr;
  return nullptr;
}

Status *makeOutput(KernelContext *context, Value **out) {
  const int64_t size = 16;
  return api.call(kKernelContextGetOutput, context, size_t{0}, &size, size_t{1}, out);
}

Status *output(void *, KernelContext *context) {
  Value *out = nullptr;
  return makeOutput(context, &out);
}

Status *look(void *, KernelContext *context) {
  void *data = nullptr;
  for (size_t i = 0; i < 2; ++i) {
    const Value *value = nullptr;
    const int64_t *sizes = nullptr;
    size_t rank = 0;
    int type = kUndefined;
    if (Status *s = api.call(kKernelContextGetInput, static_cast<const KernelContext *>(context), i, &value))
      return s;
    if (Status *s = api.call(kTensorReference, value, &type, &sizes, &rank))
      return s;
    if (Status *s = api.call(kGetTensorMutableData, const_cast<Value *>(value), &data))
      return s;
  }
  Value *out = nullptr;
  if (Status *s = makeOutput(context, &out))
    return s;
  return api.call(kGetTensorMutableData, out, &data);
}

CustomOp makeOp(const char *(*name)(const CustomOp *), Status *(*compute)(void *, KernelContext *)) {
  CustomOp op{};
  op.version = kApiVersion;
  op.GetName = name;
  op.GetExecutionProviderType = [](const CustomOp *) -> const char * { return nullptr; };
  op.GetInputType = op.GetOutputType = [](const CustomOp *, size_t) -> int { return kFloat; };
  op.GetInputTypeCount = [](const CustomOp *) -> size_t { return 2; };
  op.GetOutputTypeCount = [](const CustomOp *) -> size_t { return 1; };
  op.GetInputCharacteristic = op.GetOutputCharacteristic = [](const CustomOp *, size_t) -> int { return kRequired; };
  op.GetInputMemoryType = [](const CustomOp *, size_t) -> int { return kDefaultMemory; };
  op.CreateKernelV2 = createKernel;
  op.KernelComputeV2 = compute;
  op.KernelDestroy = [](void *) {};
  op.GetStartVersion = [](const CustomOp *) { return 1; };
  op.GetEndVersion = [](const CustomOp *) { return INT32_MAX; };
  return op;
}

} // namespace

extern "C" Status *RegisterCustomOps(SessionOptions *options, const ApiBase *base) {
  static const CustomOp ops[] = {makeOp([](const CustomOp *) { return "Empty"; }, look),
                                 makeOp([](const CustomOp *) { return "Output"; }, output)};
  api = Api(base->GetApi(kApiVersion), kApiVersion);
  CustomOpDomain *domain = nullptr;
  if (Status *s = api.call(kCreateCustomOpDomain, "bench", &domain))
    return s;
  for (const CustomOp &op : ops)
    if (Status *s = api.call(kCustomOpDomainAdd, domain, &op))
      return s;
  return api.call(kAddCustomOpDomain, options, domain);
}
