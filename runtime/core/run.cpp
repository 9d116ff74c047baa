#include "core/run.h"

#include "core/dtype.h"
#include "core/infer.h"
#include "core/program.h"
#include "core/resolve.h"

#include <stdlib.h>
#include <string.h>

namespace opw::runtime {
namespace {

uint64_t alignUp(uint64_t n, uint64_t align) { return (n + align - 1) / align * align; }

uint64_t alignOf(const opw_workspace_t &w) { return w.align > kBufferAlign ? w.align : kBufferAlign; }

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

opw_status_t launch(const Memory &memory, const opw_launch_t &l, opw_error_t *error) {
  const Frame &f = memory.frame;
  if (l.when.count) {
    int64_t holds;
    if (opw_status_t s = evaluateSize(f, l.when, "the condition of a launch", &holds, error))
      return s;
    if (holds == 0)
      return OPW_OK;
  }
  if (l.kind == OPW_LAUNCH_FILL) {
    if (uint64_t bytes = memory.bytes(l.fill_tensor))
      memset(reinterpret_cast<void *>(memory.address(l.fill_tensor, 0)), static_cast<int>(l.fill_byte), bytes);
    return OPW_OK;
  }
  Resolved r;
  opw_status_t s = resolveLaunch(memory, l, &r, error);
  if (s || !r.image)
    return s;
  return runKernel(f.op, *r.kernel, *r.image, r.grid, r.slots, r.slotCount, f.call->host, error);
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
  Memory memory{f, buffers, workspace.base};
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
        if (opw_status_t s = launch(memory, *plan.launches[i], error))
          return s;
  }
  return OPW_OK;
}

} // namespace opw::runtime
