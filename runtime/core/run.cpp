#include "core/run.h"

#include "core/dtype.h"
#include "core/infer.h"
#include "core/launch.h"
#include "core/program.h"

#include <stdlib.h>
#include <string.h>

namespace opw::runtime {
namespace {

constexpr uint64_t kBufferAlign = 64;

uint64_t alignUp(uint64_t n, uint64_t align) { return (n + align - 1) / align * align; }

uint64_t alignOf(const opw_workspace_t &w) { return w.align > kBufferAlign ? w.align : kBufferAlign; }

/// Where the buffers of a plan lie, relative to the workspace.
struct Buffers {
  uint64_t offset[kMaxBuffers];
  uint64_t bytes[kMaxBuffers];
  uint64_t total = 0, align = kBufferAlign;
};

/// Places buffer `i` behind the ones before it; false where it, or all of them, have more than 2^62 bytes.
bool placeBuffer(const opw_workspace_t &w, uint32_t i, int64_t elements, Buffers &b) {
  uint64_t bytes;
  if (__builtin_mul_overflow(static_cast<uint64_t>(elements), uint64_t{dtypeInfo(w.dtype).bytes}, &bytes) ||
      bytes >> 62)
    return false;
  b.offset[i] = alignUp(b.total, alignOf(w));
  b.bytes[i] = bytes;
  b.total = b.offset[i] + bytes;
  b.align = alignOf(w) > b.align ? alignOf(w) : b.align;
  return b.total >> 62 == 0;
}

/// What a caller has to give: the alignment of its memory may cost something on top.
uint64_t bytesOf(const Buffers &b) { return b.total == 0 ? 0 : b.total + b.align; }

opw_status_t placeBuffers(const Frame &f, const opw_plan_t &plan, Buffers &b, opw_error_t *error) {
  for (uint32_t i = 0; i < plan.workspace_count; ++i) {
    int64_t elements;
    if (opw_status_t s = evaluateSize(f, plan.workspace[i]->elements, "a workspace buffer", &elements, error))
      return s;
    if (elements < 0)
      return failOp(error, OPW_E_SHAPE, f.op, "workspace buffer %u would have %lld elements", i,
                    static_cast<long long>(elements));
    if (!placeBuffer(*plan.workspace[i], i, elements, b))
      return failOp(error, OPW_E_OVERFLOW, f.op, "the workspace up to buffer %u has more than 2^62 bytes", i);
  }
  return OPW_OK;
}

/// The workspace of one run: the caller's, the host's or malloc's.
class Workspace {
public:
  explicit Workspace(const Frame &frame) : call(*frame.call) {}
  Workspace(const Workspace &) = delete;
  Workspace &operator=(const Workspace &) = delete;
  ~Workspace() {
    if (fromHost && call.host->release)
      call.host->release(call.host->ctx, call.device_type, call.device_id, call.stream, base);
    else if (!fromHost)
      free(own);
  }

  opw_status_t take(const Frame &f, const Buffers &b, opw_error_t *error) {
    if (b.total == 0)
      return OPW_OK;
    if (call.workspace) {
      uint64_t lost =
          alignUp(reinterpret_cast<uintptr_t>(call.workspace), b.align) - reinterpret_cast<uintptr_t>(call.workspace);
      if (call.workspace_bytes < b.total || call.workspace_bytes - b.total < lost)
        return failOp(error, OPW_E_MEMORY, f.op, "the workspace has %zu bytes, expected %llu, aligned to %llu",
                      call.workspace_bytes, static_cast<unsigned long long>(b.total),
                      static_cast<unsigned long long>(b.align));
      base = static_cast<char *>(call.workspace) + lost;
      return OPW_OK;
    }
    if (call.phases != 0)
      return failOp(error, OPW_E_MEMORY, f.op, "a call in phases needs the caller's workspace of %llu bytes",
                    static_cast<unsigned long long>(b.total));
    if (call.host && call.host->struct_size >= sizeof(opw_host_t) && call.host->allocate) {
      base = static_cast<char *>(
          call.host->allocate(call.host->ctx, call.device_type, call.device_id, call.stream, b.total, b.align));
      fromHost = base != nullptr;
    } else if (posix_memalign(&own, b.align, b.total) == 0) {
      base = static_cast<char *>(own);
    } else {
      own = nullptr;
    }
    return base ? OPW_OK
                : failOp(error, OPW_E_MEMORY, f.op, "no memory for %llu bytes of workspace",
                         static_cast<unsigned long long>(b.total));
  }

  char *base = nullptr;

private:
  const opw_call_t &call;
  void *own = nullptr;
  bool fromHost = false;
};

/// Bytes of a view whose sizes were checked.
uint64_t contiguousBytes(const opw_tensor_t &t) {
  uint64_t n = t.dl_bits / 8u;
  for (int32_t d = 0; d < t.ndim; ++d)
    n *= static_cast<uint64_t>(t.shape[d]);
  return n;
}

struct Running {
  Frame &f;
  const opw_plan_t &plan;
  const Buffers &buffers;
  char *workspace;

  /// The number of a tensor among the buffers of the plan; those that are declared have none.
  bool isBuffer(uint32_t tensor, uint32_t *number) const {
    *number = tensor - (f.op->input_count + f.op->output_count);
    return tensor >= f.op->input_count + f.op->output_count;
  }
  uint64_t address(uint32_t tensor, uint32_t element) const {
    if (uint32_t number; isBuffer(tensor, &number))
      return reinterpret_cast<uintptr_t>(workspace) + buffers.offset[number];
    const opw_tensor_t *t = f.tensor(tensor, element);
    return t && t->data ? reinterpret_cast<uintptr_t>(t->data) + t->byte_offset : 0;
  }
  uint64_t bytes(uint32_t tensor) const {
    if (uint32_t number; isBuffer(tensor, &number))
      return buffers.bytes[number];
    const opw_tensor_t *t = f.tensor(tensor);
    return t && t->data ? contiguousBytes(*t) : 0;
  }
};

opw_status_t argument(const Running &r, const opw_arg_t &a, uint32_t index, Value *v, opw_error_t *error) {
  const Frame &f = r.f;
  *v = {{0}, kFine, 0};
  switch (a.kind) {
  case OPW_ARG_POINTER:
    v->slot.i = static_cast<int64_t>(r.address(a.tensor, a.index));
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

opw_status_t launchKernel(const Running &r, const opw_launch_t &l, opw_error_t *error) {
  const Frame &f = r.f;
  uint32_t grid[3];
  if (opw_status_t s = evaluateGrid(f, l, grid, error))
    return s;
  if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0)
    return OPW_OK;
  Value values[OPW_MAX_ARGS];
  for (uint32_t i = 0; i < l.arg_count; ++i)
    if (opw_status_t s = argument(r, l.args[i], i, &values[i], error))
      return s;
  const opw_variant_t *variant = nullptr;
  if (opw_status_t s = pickVariant(f, l, values, &variant, error))
    return s;
  const opw_kernel_t &kernel = *opw_tables.kernels[variant->kernel];
  const opw_cpu_image_t *image;
  if (opw_status_t s = selectImage(f.op, kernel, &image, error))
    return s;
  uint64_t slots[OPW_MAX_ARGS];
  uint32_t slotCount = 0;
  for (uint32_t i = 0; i < image->param_count; ++i) {
    const opw_param_t &p = image->params[i];
    if (p.kind == OPW_PARAM_DROPPED)
      continue;
    for (; slotCount <= p.offset; ++slotCount)
      slots[slotCount] = 0;
    if (opw_status_t s = fillSlot(f, p, values[i], i, &slots[p.offset], error))
      return s;
  }
  CpuKernel cpu{image->entry, image->scratch_bytes, image->grain, (image->flags & OPW_CPU_ORDERED) != 0};
  char text[256];
  text[0] = 0;
  opw_error_t inner{sizeof inner, OPW_OK, text, sizeof text};
  opw_status_t s = launchCpu(cpu, grid, slots, slotCount, f.call->host, &inner);
  return s == OPW_OK ? s : failOp(error, s, f.op, "kernel %s: %s", kernel.name ? kernel.name : "?", text);
}

opw_status_t launch(const Running &r, const opw_launch_t &l, opw_error_t *error) {
  if (l.when.count) {
    int64_t holds;
    if (opw_status_t s = evaluateSize(r.f, l.when, "the condition of a launch", &holds, error))
      return s;
    if (holds == 0)
      return OPW_OK;
  }
  if (l.kind == OPW_LAUNCH_KERNEL)
    return launchKernel(r, l, error);
  if (uint64_t bytes = r.bytes(l.fill_tensor))
    memset(reinterpret_cast<void *>(r.address(l.fill_tensor, 0)), static_cast<int>(l.fill_byte), bytes);
  return OPW_OK;
}

/// An op in place works on its output: where the caller gave two buffers, the input is copied over first.
opw_status_t copyInPlace(const Frame &f, opw_error_t *error) {
  for (uint32_t o = 0; o < f.outputCount && o < f.op->output_count; ++o) {
    const opw_io_t &io = *f.op->outputs[o];
    if (!(io.flags & OPW_IO_INPLACE) || !f.outputs[o])
      continue;
    const opw_tensor_t *in = f.tensor(static_cast<uint32_t>(io.alias));
    if (!in)
      continue;
    const opw_tensor_t &out = *f.outputs[o];
    uint64_t bytes = contiguousBytes(out), given = contiguousBytes(*in);
    if (bytes != given)
      return failOp(error, OPW_E_SHAPE, f.op, "%s is changed in place and has %llu bytes, but %s has %llu", io.name,
                    static_cast<unsigned long long>(bytes), f.op->inputs[io.alias]->name,
                    static_cast<unsigned long long>(given));
    if (bytes == 0)
      continue;
    const char *from = static_cast<const char *>(in->data) + in->byte_offset;
    char *to = static_cast<char *>(out.data) + out.byte_offset;
    if (from != to)
      memcpy(to, from, bytes);
  }
  return OPW_OK;
}

} // namespace

opw_status_t workspaceBytes(const Frame &frame, const opw_plan_t &plan, uint64_t *bytes, opw_error_t *error) {
  Buffers b;
  opw_status_t s = placeBuffers(frame, plan, b, error);
  *bytes = bytesOf(b);
  return s;
}

bool workspaceBytes(const opw_plan_t &plan, const int64_t *elements, uint64_t *bytes) {
  Buffers b;
  for (uint32_t i = 0; i < plan.workspace_count; ++i)
    if (!placeBuffer(*plan.workspace[i], i, elements[i], b))
      return false;
  *bytes = bytesOf(b);
  return true;
}

opw_status_t runPlan(Frame &f, const opw_plan_t &plan, opw_error_t *error) {
  Buffers buffers;
  if (plan.workspace_count)
    if (opw_status_t s = placeBuffers(f, plan, buffers, error))
      return s;
  Workspace workspace(f);
  if (opw_status_t s = workspace.take(f, buffers, error))
    return s;
  Running running{f, plan, buffers, workspace.base};
  uint32_t phases = f.call->phases;
  if (phases != 2)
    if (opw_status_t s = copyInPlace(f, error))
      return s;
  for (uint32_t phase = 0; phase < 2; ++phase) {
    if (phases != 0 && phases != phase + 1)
      continue;
    if (phase == 1 && !f.sizesKnown) {
      f.sizesKnown = true;
      if (opw_status_t s = checkSizes(f, error))
        return s;
    }
    for (uint32_t i = 0; i < plan.launch_count; ++i)
      if (plan.launches[i]->phase == phase)
        if (opw_status_t s = launch(running, *plan.launches[i], error))
          return s;
  }
  return OPW_OK;
}

} // namespace opw::runtime
