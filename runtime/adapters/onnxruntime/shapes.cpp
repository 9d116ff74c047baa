// Shape inference when a model is loaded: types always, sizes as far as they are known. Its errors are ignored by the
// host; createKernel finds the same ones.
#include "adapters/onnxruntime/adapter.h"

#include "core/api.h"
#include "core/dtype.h"

#include <atomic>
#include <stdio.h>

namespace opw::ort {
namespace {

constexpr uint32_t kMaxTensors = 64;

struct View {
  opw_tensor_t tensor;
  int64_t dims[OPW_MAX_RANK];
};

/// Unique, because a name says that two sizes are equal.
std::atomic<uint32_t> symbols{0};

void setOutput(const Api &api, ShapeInferContext *ctx, size_t index, int type, const int64_t *dims, size_t rank,
               bool shaped) {
  TensorInfo *info = nullptr;
  if (!api.ok(kCreateTensorInfo, &info))
    return;
  api.ok(kSetTensorElementType, info, type);
  if (shaped && api.ok(kSetDimensions, info, dims, rank)) {
    char names[OPW_MAX_RANK][16];
    const char *pointers[OPW_MAX_RANK];
    for (size_t d = 0; d < rank; ++d) {
      names[d][0] = 0;
      if (dims[d] < 0)
        snprintf(names[d], sizeof names[d], "opw_%u", symbols.fetch_add(1, std::memory_order_relaxed));
      pointers[d] = names[d];
    }
    if (rank != 0)
      api.ok(kSetSymbolicDimensions, info, static_cast<const char **>(pointers), rank);
  }
  api.ok(kShapeInferSetOutput, const_cast<const ShapeInferContext *>(ctx), index, const_cast<const TensorInfo *>(info));
  api.get<void>(kReleaseTensorInfo, info);
}

/// The element type of an output by the first combination that the known inputs allow.
int typeByCombo(const opw_op_t *op, const View *views, size_t inputs, const opw_io_t &io) {
  for (uint32_t c = 0; c < op->combo_count; ++c) {
    const uint8_t *row = op->combos + c * op->typevar_count;
    bool fits = true;
    for (size_t i = 0; i < inputs; ++i) {
      opw_dtype_t d = runtime::dtypeOf(views[i].tensor);
      const opw_io_t &in = *op->inputs[i < op->input_count ? i : op->input_count - 1];
      fits = fits && (d == OPW_NONE || d == row[in.typevar]);
    }
    if (fits)
      return elementType(row[io.typevar]);
  }
  return kUndefined;
}

} // namespace

Status *inferShapes(const CustomOp *self, ShapeInferContext *ctx) {
  const Operator &o = of(self);
  const Api &api = o.api;
  const opw_op_t *op = o.op;
  const auto *reading = const_cast<const ShapeInferContext *>(ctx);
  size_t inputs = 0;
  char text[512] = "";
  opw_error_t error{sizeof error, OPW_OK, text, sizeof text};
  if (opw_status_t s = runtime::kApi.check(op, &error))
    return errorOf(api, s, text);
  if (!api.ok(kShapeInferGetInputCount, reading, &inputs) || inputs > kMaxTensors || op->output_count > kMaxTensors)
    return nullptr;

  View views[kMaxTensors], results[kMaxTensors];
  const opw_tensor_t *in[kMaxTensors];
  opw_tensor_t *out[kMaxTensors];
  bool ranks = true; // every input has a known rank
  for (size_t i = 0; i < inputs; ++i) {
    TensorInfo *info = nullptr;
    int type = kUndefined;
    size_t rank = 0;
    if (api.ok(kShapeInferGetInputTypeShape, reading, i, &info) && info) {
      const auto *fixed = const_cast<const TensorInfo *>(info);
      api.ok(kGetTensorElementType, fixed, &type);
      api.ok(kGetDimensionsCount, fixed, &rank);
      const opw_io_t &io = *op->inputs[i < op->input_count ? i : op->input_count - 1];
      bool shaped = rank != 0 || (api.has(24) ? api.get<bool>(kTensorInfoHasShape, fixed) : io.rank_min == 0);
      if (type != kUndefined)
        ranks = ranks && shaped && rank <= OPW_MAX_RANK && api.ok(kGetDimensions, fixed, views[i].dims, rank);
    }
    views[i].tensor = opw_tensor_t{};
    views[i].tensor.ndim = static_cast<int32_t>(rank);
    views[i].tensor.shape = views[i].dims;
    runtime::setDtype(views[i].tensor, dtypeOf(type));
    in[i] = type == kUndefined ? nullptr : &views[i].tensor;
  }
  for (uint32_t i = 0; i < op->output_count; ++i) {
    results[i].tensor = opw_tensor_t{};
    results[i].tensor.shape = results[i].dims;
    out[i] = &results[i].tensor;
  }
  Attributes attributes;
  opw_call_t call{};
  call.struct_size = sizeof call;
  call.inputs = in;
  call.outputs = out;
  call.input_count = static_cast<uint32_t>(inputs);
  call.output_count = op->output_count;
  call.device_type = OPW_DEVICE_CPU;
  call.attrs = attributes.values();
  call.attr_count = op->attr_count;
  opw_status_t status = attributes.read(op, api, kShapeAttributes, ctx, &error);
  if (status == OPW_OK && ranks)
    status = runtime::kApi.infer(op, &call, &error);
  bool shaped = status == OPW_OK && ranks;
  for (uint32_t i = 0; i < op->output_count; ++i) {
    int type = shaped ? elementType(runtime::dtypeOf(*out[i])) : typeByCombo(op, views, inputs, *op->outputs[i]);
    if (type != kUndefined)
      setOutput(api, ctx, i, type, results[i].dims, static_cast<size_t>(out[i]->ndim), shaped);
  }
  return status == OPW_OK ? nullptr : errorOf(api, status, text);
}

} // namespace opw::ort
