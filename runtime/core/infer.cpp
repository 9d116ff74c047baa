#include "core/infer.h"

#include "core/dtype.h"
#include "core/program.h"

namespace opw::runtime {
namespace {

/// Sizes [from, to) of a tensor, appended to dims.
opw_status_t appendSlice(const Frame &f, const opw_seg_t &seg, const char *name, int64_t *dims, int32_t *n,
                         opw_error_t *error) {
  const opw_tensor_t *t = f.tensor(seg.index);
  if (!t)
    return failOp(error, OPW_E_SHAPE, f.op, "the shape of %s is that of input %s, which is absent", name,
                  f.op->inputs[seg.index]->name);
  int32_t from = seg.from < 0 ? seg.from + t->ndim : seg.from;
  int32_t to = seg.to == INT32_MAX ? t->ndim : seg.to < 0 ? seg.to + t->ndim : seg.to;
  if (from < 0 || to > t->ndim || from > to || *n + to - from > OPW_MAX_RANK)
    return failOp(error, OPW_E_SHAPE, f.op, "the shape of %s takes axes %d to %d of %s, which has rank %d", name,
                  seg.from, seg.to, f.op->inputs[seg.index]->name, t->ndim);
  for (int32_t d = from; d < to; ++d)
    dims[(*n)++] = t->shape[d];
  return OPW_OK;
}

/// A size that is known: -1 is none.
opw_status_t appendSize(const Frame &f, int64_t size, const char *name, int64_t *dims, int32_t *n, opw_error_t *error) {
  if (size < 0)
    return failOp(error, OPW_E_SHAPE, f.op, "output %s would have the size %lld in axis %d", name,
                  static_cast<long long>(size), *n);
  dims[(*n)++] = size;
  return OPW_OK;
}

opw_status_t appendProgram(const Frame &f, const opw_seg_t &seg, const char *name, int64_t *dims, int32_t *n,
                           opw_error_t *error) {
  if (*n == OPW_MAX_RANK)
    return failOp(error, OPW_E_SHAPE, f.op, "%s has more than %d axes", name, OPW_MAX_RANK);
  int64_t size;
  bool unknown;
  if (opw_status_t s = evaluateSize(f, seg.dim, name, &size, error, &unknown))
    return s;
  if (!unknown)
    return appendSize(f, size, name, dims, n, error);
  dims[(*n)++] = -1;
  return OPW_OK;
}

opw_status_t appendList(const Frame &f, const opw_seg_t &seg, const char *name, int64_t *dims, int32_t *n,
                        opw_error_t *error) {
  const opw_attr_value_t &list = *f.attrs[seg.index];
  if (list.count > static_cast<uint32_t>(OPW_MAX_RANK - *n))
    return failOp(error, OPW_E_SHAPE, f.op, "%s has more than %d axes", name, OPW_MAX_RANK);
  for (uint32_t i = 0; i < list.count; ++i)
    if (opw_status_t s = appendSize(f, list.u.ints[i], name, dims, n, error))
      return s;
  return OPW_OK;
}

opw_status_t appendValues(const Frame &f, const opw_seg_t &seg, const char *name, int64_t *dims, int32_t *n,
                          opw_error_t *error) {
  const opw_tensor_t *t = f.tensor(seg.index);
  if (!t || t->ndim > 1 || (t->ndim == 1 && (t->shape[0] < 0 || t->shape[0] > OPW_MAX_RANK - *n)) || *n == OPW_MAX_RANK)
    return failOp(error, OPW_E_SHAPE, f.op, "the shape of %s needs the values of %s, whose number is not known", name,
                  f.op->inputs[seg.index]->name);
  int64_t count = t->ndim == 0 ? 1 : t->shape[0];
  for (int64_t i = 0; i < count; ++i) {
    if (!t->data) {
      dims[(*n)++] = -1;
      continue;
    }
    int64_t size = integerAt(static_cast<const char *>(t->data) + t->byte_offset, dtypeOf(*t), i);
    if (opw_status_t s = appendSize(f, size, name, dims, n, error))
      return s;
  }
  return OPW_OK;
}

/// What phase 0 counted must lie within the declared bounds: buffers are made for those.
opw_status_t checkSize(const Frame &f, const opw_size_t &size, opw_error_t *error) {
  const opw_tensor_t *t = f.tensor(f.op->input_count + size.output);
  if (!t || !t->data || t->ndim != 0 || dtypeOf(*t) != OPW_I64)
    return failOp(error, OPW_E_ARGUMENT, f.op, "output %s holds the size %s, expected an int64 without axes, with data",
                  f.op->outputs[size.output]->name, size.name);
  if (t->device_type == OPW_DEVICE_CUDA)
    return failOp(error, OPW_E_DEVICE, f.op, "output %s holds the size %s, expected it in host memory",
                  f.op->outputs[size.output]->name, size.name);
  int64_t found = integerAt(static_cast<const char *>(t->data) + t->byte_offset, OPW_I64, 0), upper = INT64_MAX;
  if (size.upper.count)
    if (opw_status_t s = evaluateSize(f, size.upper, "the bound of a size", &upper, error))
      return s;
  if (found >= 0 && (found <= upper || upper == -1))
    return OPW_OK;
  return failOp(error, OPW_E_SHAPE, f.op, "the kernel counted %lld for the size %s, expected 0 to %lld",
                static_cast<long long>(found), size.name, static_cast<long long>(upper));
}

opw_status_t appendSegment(const Frame &f, const opw_seg_t &seg, const char *name, int64_t *dims, int32_t *n,
                           opw_error_t *error) {
  switch (seg.kind) {
  case OPW_SEG_SLICE:
    return appendSlice(f, seg, name, dims, n, error);
  case OPW_SEG_DIM:
    return appendProgram(f, seg, name, dims, n, error);
  case OPW_SEG_ATTR:
    return appendList(f, seg, name, dims, n, error);
  default:
    return appendValues(f, seg, name, dims, n, error);
  }
}

} // namespace

opw_status_t checkSizes(const Frame &f, opw_error_t *error) {
  for (uint32_t i = 0; i < f.op->size_count; ++i)
    if (opw_status_t s = checkSize(f, *f.op->sizes[i], error))
      return s;
  return OPW_OK;
}

opw_status_t inferShape(const Frame &f, uint32_t index, int64_t *dims, int32_t *ndim, opw_error_t *error) {
  const opw_io_t &io = outputOf(f.op, index);
  *ndim = 0;
  for (uint32_t s = 0; s < io.seg_count; ++s)
    if (opw_status_t status = appendSegment(f, io.segs[s], io.name, dims, ndim, error))
      return status;
  return OPW_OK;
}

void addShape(Text &text, const int64_t *dims, int32_t ndim) {
  text.add("[");
  for (int32_t d = 0; d < ndim; ++d)
    text.add("%s%lld", d ? ", " : "", static_cast<long long>(dims[d]));
  text.add("]");
}

} // namespace opw::runtime
