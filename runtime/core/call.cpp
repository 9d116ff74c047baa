#include "core/call.h"

#include "core/dtype.h"
#include "core/infer.h"
#include "core/program.h"

#include <string.h>

namespace opw::runtime {
namespace {

const char *kindName(uint32_t kind) {
  static const char *const kNames[] = {"nothing", "int",   "float",   "bool",   "string", "bytes", "ints",
                                       "floats",  "bools", "strings", "tensor", "enum",   "dtype"};
  static_assert(sizeof kNames / sizeof *kNames == OPW_ATTR_KINDS);
  return kind < OPW_ATTR_KINDS ? kNames[kind] : "unknown";
}

opw_status_t bindAttrs(Frame &f, opw_error_t *error) {
  const opw_op_t *op = f.op;
  const opw_call_t *call = f.call;
  uint32_t given = call->attrs ? call->attr_count : 0;
  if (given > op->attr_count)
    return failOp(error, OPW_E_ARGUMENT, op, "found %u attributes, expected at most %u", given, op->attr_count);
  for (uint32_t i = 0; i < op->attr_count; ++i) {
    const opw_attr_t &a = *op->attrs[i];
    const opw_attr_value_t *v = i < given && call->attrs[i].kind != OPW_ATTR_NONE ? &call->attrs[i] : &a.fallback;
    f.attrs[i] = v;
    if (v->kind == OPW_ATTR_NONE)
      return failOp(error, OPW_E_ARGUMENT, op, "attribute %s is missing and has no default", a.name);
    if (v->kind != a.kind)
      return failOp(error, OPW_E_ARGUMENT, op, "attribute %s: found %s, expected %s", a.name, kindName(v->kind),
                    kindName(a.kind));
    if (v->kind >= OPW_ATTR_BYTES && v->kind <= OPW_ATTR_STRINGS) {
      if (v->count && !v->u.ints)
        return failOp(error, OPW_E_ARGUMENT, op, "attribute %s: the list is null", a.name);
      if (a.list_length && v->count != a.list_length)
        return failOp(error, OPW_E_ARGUMENT, op, "attribute %s: found %u elements, expected %u", a.name, v->count,
                      a.list_length);
    }
    if (v->kind == OPW_ATTR_ENUM && (v->u.i < 0 || v->u.i >= a.choice_count))
      return failOp(error, OPW_E_ARGUMENT, op, "attribute %s: found choice %lld of %u", a.name,
                    static_cast<long long>(v->u.i), a.choice_count);
  }
  return OPW_OK;
}

uint64_t magnitude(int64_t x) { return x < 0 ? 0 - static_cast<uint64_t>(x) : static_cast<uint64_t>(x); }

/// Whether the addresses that the strides of a view that is not empty reach can be counted.
bool reachFits(const opw_tensor_t &t) {
  uint64_t total = t.dl_bits / 8u;
  for (int32_t d = 0; d < t.ndim; ++d) {
    uint64_t reach;
    if (__builtin_mul_overflow(static_cast<uint64_t>(t.shape[d] - 1), magnitude(t.strides[d]), &reach) ||
        __builtin_mul_overflow(reach, uint64_t{t.dl_bits / 8u}, &reach) ||
        __builtin_add_overflow(total, reach, &total) || total >> 63)
      return false;
  }
  return true;
}

opw_status_t checkStrides(const Frame &f, const opw_io_t &io, const opw_tensor_t &t, bool empty, opw_error_t *error) {
  if (!t.strides)
    return OPW_OK;
  if (io.flags & OPW_IO_STRIDED)
    return empty || reachFits(t)
               ? OPW_OK
               : failOp(error, OPW_E_OVERFLOW, f.op, "the strides of %s reach over 2^63 bytes", io.name);
  int64_t expected = 1;
  for (int32_t d = t.ndim - 1; d >= 0; --d) {
    if (t.shape[d] != 1 && t.strides[d] != expected) {
      for (int32_t k = 0; k < t.ndim; ++k)
        if (t.shape[k] == 0)
          return OPW_OK; // nothing is in it
      return failOp(error, OPW_E_LAYOUT, f.op,
                    "%s is not contiguous: the stride of axis %d is %lld, expected %lld; pass a row-major copy",
                    io.name, d, static_cast<long long>(t.strides[d]), static_cast<long long>(expected));
    }
    expected = static_cast<int64_t>(static_cast<uint64_t>(expected) * static_cast<uint64_t>(t.shape[d]));
  }
  return OPW_OK;
}

bool deviceFits(const Frame &f, const opw_io_t &io, const opw_tensor_t &t) {
  if ((io.flags & OPW_IO_HOST) || f.call->device_type == OPW_DEVICE_CPU)
    return t.device_type == OPW_DEVICE_CPU || t.device_type == OPW_DEVICE_CUDA_PINNED;
  return t.device_type == f.call->device_type && t.device_id == f.call->device_id;
}

/// The addresses of a view that is not empty; strides were checked to reach no further than they can be counted.
Span spanOf(const opw_tensor_t &t, uint64_t bytes) {
  uintptr_t first = reinterpret_cast<uintptr_t>(t.data) + t.byte_offset;
  if (!t.strides)
    return {first, first + bytes};
  const uint64_t item = t.dl_bits / 8u;
  uint64_t below = 0, above = 0; // elements before and after the first one
  for (int32_t d = 0; d < t.ndim; ++d)
    (t.strides[d] < 0 ? below : above) += static_cast<uint64_t>(t.shape[d] - 1) * magnitude(t.strides[d]);
  return {first - below * item, first + (above + 1) * item};
}

/// The memory of one view, of which all sizes are known; `*span` is where it lies.
opw_status_t checkMemory(const Frame &f, const opw_io_t &io, const opw_tensor_t &t, Span *span, opw_error_t *error) {
  const opw_op_t *op = f.op;
  if (!deviceFits(f, io, t))
    return failOp(error, OPW_E_DEVICE, op, "%s is on device %d:%d, expected %d:%d", io.name, t.device_type, t.device_id,
                  f.call->device_type, f.call->device_id);
  uint64_t bytes;
  if (opw_status_t s = bytesOf(op, t, io.name, &bytes, error))
    return s;
  *span = {0, 0};
  if (bytes == 0)
    return checkStrides(f, io, t, true, error);
  if (!t.data)
    return failOp(error, OPW_E_ARGUMENT, op, "%s has no data", io.name);
  uint64_t align = io.align ? io.align : t.dl_bits / 8u;
  uint64_t address = reinterpret_cast<uintptr_t>(t.data) + t.byte_offset;
  if ((address & (align - 1)) != 0) // it is a power of two
    return failOp(error, OPW_E_LAYOUT, op, "%s is at address 0x%llx, expected a multiple of %llu", io.name,
                  static_cast<unsigned long long>(address), static_cast<unsigned long long>(align));
  if (opw_status_t s = checkStrides(f, io, t, false, error))
    return s;
  *span = spanOf(t, bytes);
  return OPW_OK;
}

/// Everything about one view but its element type.
opw_status_t checkTensor(const Frame &f, const opw_io_t &io, const opw_tensor_t &t, Purpose purpose, Span *span,
                         opw_error_t *error) {
  const opw_op_t *op = f.op;
  if (t.ndim < io.rank_min || t.ndim > io.rank_max) {
    if (io.rank_min == io.rank_max)
      return failOp(error, OPW_E_SHAPE, op, "%s has rank %d, expected %u", io.name, t.ndim, io.rank_min);
    return failOp(error, OPW_E_SHAPE, op, "%s has rank %d, expected %u to %u", io.name, t.ndim, io.rank_min,
                  io.rank_max);
  }
  if (t.ndim > 0 && !t.shape)
    return failOp(error, OPW_E_ARGUMENT, op, "%s has no shape", io.name);
  bool known = true;
  for (int32_t d = 0; d < t.ndim; ++d) {
    if (t.shape[d] < 0 && !(purpose == Purpose::Infer && t.shape[d] == -1))
      return failOp(error, OPW_E_SHAPE, op, "%s has the size %lld in axis %d", io.name,
                    static_cast<long long>(t.shape[d]), d);
    known = known && t.shape[d] >= 0;
  }
  // Programs read the values of a HOST input wherever it has some.
  if ((purpose == Purpose::Infer || purpose == Purpose::Decide) && !((io.flags & OPW_IO_HOST) && t.data && known))
    return OPW_OK;
  return checkMemory(f, io, t, span, error);
}

opw_status_t checkCount(const Frame &f, const char *what, const opw_io_t *const *ios, uint32_t declared, uint32_t given,
                        opw_error_t *error) {
  if (given == declared && (declared == 0 || ios[declared - 1]->variadic_min < 2))
    return OPW_OK;
  bool variadic = declared > 0 && (ios[declared - 1]->flags & OPW_IO_VARIADIC);
  uint32_t least = variadic ? declared - 1 + ios[declared - 1]->variadic_min : declared;
  while (!variadic && least > 0 && (ios[least - 1]->flags & OPW_IO_OPTIONAL))
    --least; // optional ones at the end may be left out
  if (given > OPW_MAX_TENSORS || given < least || (!variadic && given > declared))
    return failOp(error, OPW_E_ARGUMENT, f.op, "found %u %s, expected %s%u", given, what,
                  variadic || least < declared ? "at least " : "", least);
  return OPW_OK;
}

opw_status_t bindInputs(Frame &f, Purpose purpose, opw_error_t *error) {
  const opw_op_t *op = f.op;
  if (opw_status_t s = checkCount(f, "inputs", op->inputs, op->input_count, f.inputCount, error))
    return s;
  if (f.inputCount && !f.inputs)
    return failOp(error, OPW_E_ARGUMENT, op, "the array of inputs is null");
  for (uint32_t i = 0; i < f.inputCount; ++i) {
    const opw_io_t &io = inputOf(op, i);
    if (!f.inputs[i]) {
      if (io.flags & OPW_IO_OPTIONAL)
        continue;
      return failOp(error, OPW_E_ARGUMENT, op, "input %s is null", io.name);
    }
    if (opw_status_t s = checkTensor(f, io, *f.inputs[i], purpose, &f.spans[i], error))
      return s;
  }
  return OPW_OK;
}

void describeTypes(const Frame &f, bool withOutputs, Text &given, Text &rows) {
  const opw_op_t *op = f.op;
  for (uint32_t i = 0; i < f.inputCount; ++i)
    if (f.inputs[i])
      given.add("%s%s: %s", given.str()[0] ? ", " : "", inputOf(op, i).name, dtypeInfo(dtypeOf(*f.inputs[i])).name);
  for (uint32_t i = 0; withOutputs && i < f.outputCount; ++i)
    if (f.outputs[i])
      given.add("%s%s: %s", given.str()[0] ? ", " : "", outputOf(op, i).name, dtypeInfo(dtypeOf(*f.outputs[i])).name);
  for (uint32_t c = 0; c < op->combo_count; ++c) {
    rows.add("%s(", c ? " or " : "");
    for (uint32_t i = 0; i < op->input_count + (withOutputs ? op->output_count : 0); ++i) {
      const opw_io_t &io = i < op->input_count ? *op->inputs[i] : *op->outputs[i - op->input_count];
      rows.add("%s%s: %s", i ? ", " : "", io.name, dtypeInfo(op->combos[c * op->typevar_count + io.typevar]).name);
    }
    rows.add(")");
  }
}

/// The first row of combos that agrees with every tensor of the call.
opw_status_t pickCombo(Frame &f, bool withOutputs, opw_error_t *error) {
  const opw_op_t *op = f.op;
  uint8_t types[kMaxTypevars] = {};
  bool consistent = true;
  auto note = [&](const opw_tensor_t *t, const opw_io_t &io) {
    if (!t)
      return;
    opw_dtype_t d = dtypeOf(*t);
    consistent = consistent && d != OPW_NONE && (types[io.typevar] == OPW_NONE || types[io.typevar] == d);
    types[io.typevar] = d;
  };
  for (uint32_t i = 0; i < f.inputCount; ++i)
    note(f.inputs[i], inputOf(op, i));
  for (uint32_t i = 0; withOutputs && i < f.outputCount; ++i)
    note(f.outputs[i], outputOf(op, i));
  for (uint32_t c = 0; consistent && c < op->combo_count; ++c) {
    const uint8_t *row = op->combos + c * op->typevar_count;
    bool fits = true;
    for (uint32_t t = 0; t < op->typevar_count; ++t)
      fits = fits && (types[t] == OPW_NONE || types[t] == row[t]);
    if (fits) {
      f.combo = c;
      return OPW_OK;
    }
  }
  Text given, rows;
  describeTypes(f, withOutputs, given, rows);
  return failOp(error, OPW_E_DTYPE, op, "no combination of element types takes (%s); expected %s", given.str(),
                rows.str());
}

bool overlap(const Span &a, const Span &b) { return a.begin < b.end && b.begin < a.end && !a.empty() && !b.empty(); }

opw_status_t checkOverlap(const Frame &f, uint32_t output, opw_error_t *error) {
  const opw_op_t *op = f.op;
  const opw_io_t &io = outputOf(op, output);
  const Span mine = f.spans[f.inputCount + output];
  for (uint32_t i = 0; i < f.inputCount; ++i) {
    const Span &other = f.spans[i];
    if (!f.inputs[i] || !overlap(mine, other) ||
        (io.alias == static_cast<int32_t>(i) && mine.begin == other.begin && mine.end == other.end))
      continue;
    return failOp(error, OPW_E_ARGUMENT, op, "output %s overlaps input %s; give it memory of its own", io.name,
                  inputOf(op, i).name);
  }
  for (uint32_t o = 0; o < output; ++o)
    if (f.outputs[o] && overlap(mine, f.spans[f.inputCount + o]))
      return failOp(error, OPW_E_ARGUMENT, op, "output %s overlaps output %s; give it memory of its own", io.name,
                    outputOf(op, o).name);
  return OPW_OK;
}

/// The shape of a buffer. While the sizes that the op counts are not known, it must hold whatever may be counted:
/// kernels write without asking again.
opw_status_t checkOutputShape(Frame &f, uint32_t index, opw_error_t *error) {
  const opw_op_t *op = f.op;
  const opw_io_t &io = outputOf(op, index);
  if (isFree(io))
    return OPW_OK; // programs see them by COUNT and SUMDIM
  int64_t dims[OPW_MAX_RANK], bounds[OPW_MAX_RANK];
  int32_t ndim;
  opw_status_t s = inferShape(f, index, dims, &ndim, error);
  if (s == OPW_OK && !f.sizesKnown) {
    f.sizesBound = true;
    s = inferShape(f, index, bounds, &ndim, error);
    f.sizesBound = false;
  }
  if (s)
    return s;
  const opw_tensor_t &t = *f.outputs[index];
  bool same = t.ndim == ndim, counted = false;
  for (int32_t d = 0; same && d < ndim; ++d) {
    bool free = !f.sizesKnown && dims[d] == -1;
    counted = counted || free;
    same = free ? t.shape[d] >= bounds[d] : t.shape[d] == dims[d];
  }
  if (same)
    return OPW_OK;
  Text found, expected;
  addShape(found, t.shape, t.ndim);
  addShape(expected, f.sizesKnown ? dims : bounds, ndim);
  return failOp(error, OPW_E_SHAPE, op, "output %s is %s, expected %s%s", io.name, found.str(),
                counted ? "room for " : "", expected.str());
}

/// `made`: their shapes are those that inferShape gave.
opw_status_t bindOutputs(Frame &f, bool made, opw_error_t *error) {
  const opw_op_t *op = f.op;
  bool laterPhase = f.call->phases == 1 && op->size_count != 0;
  for (uint32_t i = 0; i < f.outputCount; ++i) {
    const opw_io_t &io = outputOf(op, i);
    if (!f.outputs[i]) {
      if ((io.flags & OPW_IO_OPTIONAL) || laterPhase)
        continue;
      return failOp(error, OPW_E_ARGUMENT, op, "output %s is null", io.name);
    }
    if (opw_status_t s = checkTensor(f, io, *f.outputs[i], Purpose::Run, &f.spans[f.inputCount + i], error))
      return s;
  }
  // The shapes of the others may follow from the values of SIZE outputs.
  static const bool kPasses[] = {true, false};
  for (bool sizes : kPasses)
    for (uint32_t i = 0; !made && i < f.outputCount; ++i)
      if (f.outputs[i] && sizes == ((outputOf(op, i).flags & OPW_IO_SIZE) != 0))
        if (opw_status_t s = checkOutputShape(f, i, error))
          return s;
  for (uint32_t i = 0; i < f.outputCount; ++i)
    if (f.outputs[i])
      if (opw_status_t s = checkOverlap(f, i, error))
        return s;
  return OPW_OK;
}

} // namespace

opw_status_t checkValid(const Frame &f, const opw_program_t &valid, const char *text, const char *prefix,
                        opw_error_t *error) {
  if (valid.count == 0)
    return OPW_OK;
  int64_t holds;
  if (opw_status_t s = evaluateSize(f, valid, "the condition on calls", &holds, error))
    return s;
  if (holds > 0 || holds == -1) // -1: not known yet
    return OPW_OK;
  if (!text)
    text = "the arguments do not meet the op's condition";
  for (int64_t line = -2; line > holds && strchr(text, '\n'); --line)
    text = strchr(text, '\n') + 1;
  int length = static_cast<int>(holds == 0 ? strlen(text) : strcspn(text, "\n"));
  return failOp(error, OPW_E_ARGUMENT, f.op, "%s%.*s", prefix, length, text);
}

opw_status_t bytesOf(const opw_op_t *op, const opw_tensor_t &t, const char *name, uint64_t *bytes, opw_error_t *error) {
  int64_t n = t.dl_bits / 8;
  bool overflow = false, empty = false;
  for (int32_t d = 0; d < t.ndim; ++d) {
    empty = empty || t.shape[d] == 0;
    overflow = overflow || __builtin_mul_overflow(n, t.shape[d], &n);
  }
  *bytes = empty ? 0 : static_cast<uint64_t>(n);
  if (empty || !overflow)
    return OPW_OK;
  return failOp(error, OPW_E_OVERFLOW, op, "%s has more than 2^63 bytes", name);
}

opw_status_t bindCall(Frame &f, const opw_op_t *op, const opw_call_t *call, Purpose purpose, opw_error_t *error) {
  if (!call)
    return failOp(error, OPW_E_ARGUMENT, op, "the call is null");
  if (call->struct_size < sizeof(opw_call_t))
    return failOp(error, OPW_E_ABI, op, "the call's struct_size is %u, expected at least %zu", call->struct_size,
                  sizeof *call);
  if (call->flags != 0 || call->reserved != 0 || call->phases > 2)
    return failOp(error, OPW_E_ARGUMENT, op, "the call has flags 0x%x, phases %u, which this runtime does not know",
                  call->flags, call->phases);
  f.op = op;
  f.call = call;
  f.inputs = call->inputs;
  f.inputCount = call->input_count;
  bool counted = op->size_count != 0 && call->phases == 2 && purpose != Purpose::Decide;
  f.outputs = purpose == Purpose::Run || counted ? call->outputs : nullptr;
  f.outputCount = call->output_count;
  f.infer = purpose == Purpose::Infer;
  f.sizesBound = false;
  f.sizesKnown = counted || ((purpose == Purpose::Run || purpose == Purpose::Make) && op->size_count == 0);
  f.combo = 0;
  opw_status_t s;
  if (purpose != Purpose::Decide)
    if ((s = checkCount(f, "outputs", op->outputs, op->output_count, f.outputCount, error)))
      return s;
  if (purpose != Purpose::Decide && f.outputCount && !call->outputs)
    return failOp(error, OPW_E_ARGUMENT, op, "the array of outputs is null");
  if ((s = bindAttrs(f, error)) || (s = bindInputs(f, purpose, error)) ||
      (s = pickCombo(f, purpose == Purpose::Run, error)))
    return s;
  evaluateVars(f);
  if ((s = checkValid(f, op->valid, op->valid_text, "", error)) || (counted && (s = checkSizes(f, error))))
    return s;
  return purpose == Purpose::Run ? bindOutputs(f, false, error) : OPW_OK;
}

opw_status_t bindMade(Frame &f, opw_error_t *error) {
  f.outputs = f.call->outputs;
  return bindOutputs(f, true, error);
}

} // namespace opw::runtime
