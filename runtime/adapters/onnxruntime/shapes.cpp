// Shape inference when a model is loaded: types always, sizes as far as they are known. Its errors are ignored by the
// host; createKernel finds the same ones.
//
// The host tells of an input without a shape that it has rank 0, and takes an output that is set without a shape for
// one of rank 0. So rank 0 is believed where no other is allowed, and an output of unknown rank is not set: the host
// then guesses its type. Where it would guess wrong, rank 0 is believed, and createKernel, which is told the truth,
// refuses the node if the rank is unknown.
#include "adapters/onnxruntime/adapter.h"

#include "core/api.h"
#include "core/dtype.h"

#include <algorithm>
#include <atomic>
#include <stdio.h>

namespace opw::ort {
namespace {

/// Unique, because a name says that two sizes are equal.
std::atomic<uint32_t> symbols{0};

/// What a size that depends on data is called in one node: the same size has one name in all outputs.
constexpr size_t kNameRoom = 48;
void nameSizes(const opw_op_t *op, const opw_io_t &io, uint32_t node, const int64_t *dims, size_t rank,
               char (*names)[kNameRoom]) {
  bool plain = io.seg_count == rank; // each segment is an axis
  for (size_t d = 0; d < rank; ++d) {
    names[d][0] = 0;
    if (dims[d] >= 0)
      continue;
    const opw_seg_t *seg = plain ? &io.segs[d] : nullptr;
    if (seg && seg->kind == OPW_SEG_DIM && seg->dim.count == 1 && seg->dim.code[0].op == OPW_X_SIZE)
      snprintf(names[d], kNameRoom, "opw_%u_%s", node, op->sizes[seg->dim.code[0].b]->name);
    else
      snprintf(names[d], kNameRoom, "opw_%u", symbols.fetch_add(1, std::memory_order_relaxed));
  }
}

/// Whether the node has such an output.
bool setOutput(const Api &api, ShapeInferContext *ctx, size_t index, int type, const int64_t *dims, size_t rank,
               const char (*names)[kNameRoom]) {
  TensorInfo *info = nullptr;
  if (!api.ok(kCreateTensorInfo, &info))
    return false;
  api.ok(kSetTensorElementType, info, type);
  if (api.ok(kSetDimensions, info, dims, rank)) {
    const char *pointers[OPW_MAX_RANK];
    for (size_t d = 0; d < rank; ++d)
      pointers[d] = names[d];
    if (rank != 0)
      api.ok(kSetSymbolicDimensions, info, static_cast<const char **>(pointers), rank);
  }
  bool there = api.ok(kShapeInferSetOutput, const_cast<const ShapeInferContext *>(ctx), index,
                      const_cast<const TensorInfo *>(info));
  api.get<void>(kReleaseTensorInfo, info);
  return there;
}

/// The element type of an output by the first combination that the known inputs allow.
int typeByCombo(const opw_op_t *op, const opw_tensor_t *const *in, size_t inputs, const opw_io_t &io) {
  for (uint32_t c = 0; c < op->combo_count; ++c) {
    const uint8_t *row = op->combos + c * op->typevar_count;
    bool fits = true;
    for (size_t i = 0; i < inputs; ++i) {
      opw_dtype_t d = OPW_NONE;
      if (in[i])
        d = runtime::dtypeOf(*in[i]);
      fits = fits && (d == OPW_NONE || d == row[runtime::inputOf(op, i).typevar]);
    }
    if (fits)
      return elementType(row[io.typevar]);
  }
  return kUndefined;
}

/// The type that the host takes an output for that is not set: that of the last input that may have several.
int guessedType(const opw_op_t *op, const opw_tensor_t *const *in, size_t inputs, const opw_io_t &io) {
  int type = commonType(op, io);
  for (size_t i = inputs; type == kUndefined && i-- > 0;)
    if (in[i] && commonType(op, runtime::inputOf(op, i)) == kUndefined)
      type = elementType(runtime::dtypeOf(*in[i]));
  return type;
}

/// The rank that an output has whatever the inputs are; -1 where it follows from theirs.
int fixedRank(const opw_io_t &io) {
  bool axes = io.seg_count != 0; // each segment is an axis
  for (uint32_t s = 0; s < io.seg_count; ++s)
    axes = axes && io.segs[s].kind == OPW_SEG_DIM;
  if (axes)
    return static_cast<int>(io.seg_count);
  return io.rank_min == io.rank_max ? io.rank_max : -1;
}

} // namespace

bool needsRank(const opw_op_t *op, const opw_tensor_t *const *in, size_t inputs, const opw_io_t &io) {
  int type = typeByCombo(op, in, inputs, io);
  return type != kUndefined && fixedRank(io) < 0 && type != guessedType(op, in, inputs, io);
}

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
  bool ranks = true; // every input may have the rank that the host tells
  bool sure = true;  // and no other
  for (size_t i = 0; i < inputs; ++i) {
    TensorInfo *info = nullptr;
    int type = kUndefined;
    size_t rank = 0;
    if (api.ok(kShapeInferGetInputTypeShape, reading, i, &info) && info) {
      const auto *fixed = const_cast<const TensorInfo *>(info);
      api.ok(kGetTensorElementType, fixed, &type);
      api.ok(kGetDimensionsCount, fixed, &rank);
      const opw_io_t &io = runtime::inputOf(op, i);
      if (type != kUndefined && rank == 0 && io.rank_min == io.rank_max) { // the sizes alone are unknown
        rank = io.rank_min;
        std::fill_n(views[i].dims, rank, int64_t{-1});
      } else if (type != kUndefined) {
        ranks = ranks && (rank != 0 || io.rank_min == 0) && rank <= OPW_MAX_RANK &&
                api.ok(kGetDimensions, fixed, views[i].dims, rank);
        sure = sure && rank != 0;
      }
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
  opw_status_t status = attributes.read(op, api, kShapeAttributes, ctx, &error);
  call.attrs = attributes.values();
  call.attr_count = op->attr_count;
  if (status == OPW_OK && ranks)
    status = runtime::kApi.infer(op, &call, &error);
  bool inferred = status == OPW_OK && ranks;
  uint32_t node = symbols.fetch_add(1, std::memory_order_relaxed);
  for (uint32_t i = 0; i < op->output_count; ++i) {
    const opw_io_t &io = *op->outputs[i];
    int type = inferred ? elementType(runtime::dtypeOf(*out[i])) : typeByCombo(op, in, inputs, io);
    bool needed = needsRank(op, in, inputs, io);
    bool shaped = inferred && (sure || needed);
    int rank = shaped ? out[i]->ndim : needed ? 0 : fixedRank(io);
    if (type == kUndefined || rank < 0)
      continue;
    if (!shaped)
      std::fill_n(results[i].dims, rank, int64_t{-1});
    // A variadic output stands for all that follow; how many there are, only setting them tells. Before 1.28 the host
    // does not check the number, so those alone are set that every node has.
    bool checked = api.has(28);
    if (!checked && ((io.flags & OPW_IO_OPTIONAL) || ((io.flags & OPW_IO_VARIADIC) && io.variadic_min == 0)))
      continue;
    size_t end = checked && (io.flags & OPW_IO_VARIADIC) ? kMaxTensors : i + 1;
    char names[OPW_MAX_RANK][kNameRoom];
    bool there = true;
    for (size_t at = i; there && at < end; ++at) {
      nameSizes(op, io, node, results[i].dims, static_cast<size_t>(rank), names);
      there = setOutput(api, ctx, at, type, results[i].dims, static_cast<size_t>(rank), names);
    }
  }
  return status == OPW_OK ? nullptr : errorOf(api, status, text);
}

} // namespace opw::ort
