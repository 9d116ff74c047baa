#include "core/resolve.h"

#include "core/dtype.h"
#include "core/launch.h"
#include "core/program.h"
#include "core/select.h"

#include <string.h>

namespace opw::runtime {
namespace {

opw_status_t argument(const Memory &memory, const opw_arg_t &a, uint32_t index, Value *v, opw_error_t *error) {
  const Frame &f = memory.frame;
  *v = {{0}, kFine, 0};
  switch (a.kind) {
  case OPW_ARG_POINTER:
    v->slot.i = static_cast<int64_t>(memory.address(a.tensor, a.index));
    return OPW_OK;
  case OPW_ARG_STRIDE: {
    const opw_tensor_t *t = f.tensor(a.tensor, a.index);
    if (!t)
      return OPW_OK;
    if (a.axis >= t->ndim)
      return failOp(error, OPW_E_SHAPE, f.op, "argument %u is the stride of axis %u of a tensor of rank %d", index,
                    a.axis, t->ndim);
    uint64_t stride = 1; // of an empty tensor it may wrap around: nobody uses it
    if (t->strides)
      stride = static_cast<uint64_t>(t->strides[a.axis]);
    else
      for (int32_t d = t->ndim - 1; d > a.axis; --d)
        stride *= static_cast<uint64_t>(t->shape[d]);
    v->slot.i = static_cast<int64_t>(stride);
    return OPW_OK;
  }
  case OPW_ARG_PROGRAM: {
    *v = evaluate(f, a.program);
    if (!v->poison)
      return OPW_OK;
    Text what;
    what.add("argument %u", index);
    return failPoison(f, a.program, v->poison, what.str(), error);
  }
  case OPW_ARG_ATTR: {
    const opw_attr_value_t &attr = *f.attrs[a.index];
    v->isFloat = attr.kind == OPW_ATTR_FLOAT;
    v->slot.i = attr.u.i; // the bits, whichever kind they are
    return OPW_OK;
  }
  case OPW_ARG_CONSTANT:
    v->slot.i = reinterpret_cast<intptr_t>(opw_tables.constants[a.index]->value.data);
    return OPW_OK;
  case OPW_ARG_DESCRIPTOR:
    return failOp(error, OPW_E_UNSUPPORTED, f.op,
                  "argument %u is a tensor descriptor, which this runtime does not pass to a CPU kernel", index);
  default:
    return OPW_OK;
  }
}

opw_status_t pickVariant(const Frame &f, const opw_launch_t &l, const Value *values, const opw_variant_t **out,
                         opw_error_t *error) {
  for (uint32_t i = 0; i < l.variant_count; ++i) {
    const opw_variant_t &v = l.variants[i];
    bool fits = true;
    for (uint32_t g = 0; fits && g < v.guard_count; ++g)
      fits = guardHolds(v.guards[g], values[v.guards[g].arg]);
    if (fits && v.when.count) {
      Value holds = evaluate(f, v.when);
      fits = !holds.poison && holds.slot.i != 0;
    }
    if (fits) {
      *out = &v;
      return OPW_OK;
    }
  }
  const char *reason = l.variants[l.variant_count - 1].reason;
  return failOp(error, OPW_E_UNSUPPORTED, f.op, "%s",
                reason ? reason : "no variant of the kernel takes these arguments");
}

struct IntRange {
  int64_t least, most;
};
IntRange rangeOf(opw_dtype_t type) {
  const DtypeInfo &info = dtypeInfo(type);
  if (info.kind == 'b')
    return {0, 1};
  if (info.bytes == 8)
    return {INT64_MIN, INT64_MAX}; // u64: the bits
  int64_t span = int64_t{1} << (info.bytes * 8);
  return info.kind == 'u' ? IntRange{0, span - 1} : IntRange{-span / 2, span / 2 - 1};
}

/// One value into its 8-byte slot, by the type that the image takes.
opw_status_t fillSlot(const Frame &f, const opw_param_t &p, const Value &v, uint32_t index, uint64_t *slot,
                      opw_error_t *error) {
  if (p.kind == OPW_PARAM_POINTER) {
    *slot = static_cast<uint64_t>(v.slot.i);
    return OPW_OK;
  }
  if (p.kind != OPW_PARAM_SCALAR)
    return failOp(error, OPW_E_UNSUPPORTED, f.op, "argument %u has parameter kind %u, which a CPU kernel does not take",
                  index, p.kind);
  if (dtypeInfo(p.dtype).kind == 'f') {
    double x = v.isFloat ? v.slot.f : static_cast<double>(v.slot.i);
    *slot = 0;
    if (p.dtype == OPW_F64) {
      memcpy(slot, &x, sizeof x);
    } else if (p.dtype == OPW_F32) {
      auto narrow = static_cast<float>(x);
      memcpy(slot, &narrow, sizeof narrow);
    } else {
      *slot = p.dtype == OPW_F16 ? halfBits(x) : bfloatBits(x);
    }
    return OPW_OK;
  }
  IntRange range = rangeOf(p.dtype);
  if (v.slot.i < range.least || v.slot.i > range.most)
    return failOp(error, OPW_E_OVERFLOW, f.op, "argument %u is %lld, which does not fit in %s", index,
                  static_cast<long long>(v.slot.i), dtypeInfo(p.dtype).name);
  *slot = static_cast<uint64_t>(v.slot.i);
  return OPW_OK;
}

opw_status_t evaluateGrid(const Frame &f, const opw_launch_t &l, uint32_t grid[3], opw_error_t *error) {
  static const char *const kAxes[] = {"grid x", "grid y", "grid z"};
  for (int a = 0; a < 3; ++a) {
    int64_t n = 1;
    if (l.grid[a].count)
      if (opw_status_t s = evaluateSize(f, l.grid[a], kAxes[a], &n, error))
        return s;
    if (n < 0 || n > INT32_MAX)
      return failOp(error, OPW_E_OVERFLOW, f.op, "%s is %lld, expected 0 to 2147483647", kAxes[a],
                    static_cast<long long>(n));
    grid[a] = static_cast<uint32_t>(n);
  }
  return OPW_OK;
}

} // namespace

bool guardHolds(const opw_guard_t &g, const Value &v) {
  int64_t x = v.slot.i;
  if (v.isFloat)
    return g.kind == OPW_GUARD_EQUAL && v.slot.f == static_cast<double>(g.value);
  switch (g.kind) {
  case OPW_GUARD_DIVISIBLE:
    return (g.value & (g.value - 1)) == 0 ? (x & (g.value - 1)) == 0 : x % g.value == 0;
  case OPW_GUARD_EQUAL:
    return x == g.value;
  case OPW_GUARD_AT_LEAST:
    return x >= g.value;
  case OPW_GUARD_AT_MOST:
    return x <= g.value;
  case OPW_GUARD_NULL:
    return x == 0;
  case OPW_GUARD_SET:
    return x != 0;
  default:
    return false;
  }
}

opw_status_t resolveLaunch(const Memory &memory, const opw_launch_t &l, Resolved *out, opw_error_t *error) {
  const Frame &f = memory.frame;
  out->image = nullptr;
  if (opw_status_t s = evaluateGrid(f, l, out->grid, error))
    return s;
  if (out->grid[0] == 0 || out->grid[1] == 0 || out->grid[2] == 0)
    return OPW_OK;
  for (uint32_t i = 0; i < l.arg_count; ++i)
    if (opw_status_t s = argument(memory, l.args[i], i, &out->values[i], error))
      return s;
  if (opw_status_t s = pickVariant(f, l, out->values, &out->variant, error))
    return s;
  out->kernel = opw_tables.kernels[out->variant->kernel];
  if (opw_status_t s = selectImage(f.op, *out->kernel, &out->image, error))
    return s;
  out->slotCount = 0;
  for (uint32_t i = 0; i < out->image->param_count; ++i) {
    const opw_param_t &p = out->image->params[i];
    if (p.kind == OPW_PARAM_DROPPED)
      continue;
    for (; out->slotCount <= p.offset; ++out->slotCount)
      out->slots[out->slotCount] = 0;
    if (opw_status_t s = fillSlot(f, p, out->values[i], i, &out->slots[p.offset], error))
      return s;
  }
  return OPW_OK;
}

opw_status_t runKernel(const opw_op_t *op, const opw_kernel_t &kernel, const opw_cpu_image_t &image,
                       const uint32_t grid[3], const uint64_t *slots, uint32_t slotCount, const opw_host_t *host,
                       opw_error_t *error) {
  CpuKernel cpu{image.entry, image.scratch_bytes, image.grain, (image.flags & OPW_CPU_ORDERED) != 0};
  char text[256];
  text[0] = 0;
  opw_error_t inner{sizeof inner, OPW_OK, text, sizeof text};
  opw_status_t s = launchCpu(cpu, grid, slots, slotCount, host, &inner);
  return s == OPW_OK ? s : failOp(error, s, op, "kernel %s: %s", kernel.name ? kernel.name : "?", text);
}

} // namespace opw::runtime
