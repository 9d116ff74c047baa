// Ops whose sizes depend on data. The host makes an output once, with its real sizes: so the sizes come first where the
// plan counts before it writes, else everything is written to memory as large as the bounds and copied from there.
#include "adapters/onnxruntime/adapter.h"

#include "core/api.h"
#include "core/dtype.h"
#include "core/error.h"
#include "core/phases.h"

#include <string.h>

namespace opw::ort {
namespace {

/// What one run counts: the SIZE outputs lie here until the host's are made.
struct Counts {
  int64_t at[kMaxTensors];
};

/// Memory of the run, given back at the end.
class Scratch {
public:
  explicit Scratch(Run &run) : run(run) {}
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
  ~Scratch() {
    for (uint32_t i = 0; i < count; ++i)
      run.release(blocks[i]);
  }
  void *take(size_t bytes) {
    void *memory = run.allocate(bytes, 64);
    if (memory)
      blocks[count++] = memory;
    return memory;
  }

private:
  Run &run;
  void *blocks[kMaxTensors + 1];
  uint32_t count = 0;
};

bool isSize(const Run &run, size_t i) { return (run.output(i).flags & OPW_IO_SIZE) != 0; }
bool isCounted(const Run &run, size_t i) { return runtime::isCounted(run.output(i)); }

opw_status_t fail(Run &run, opw_status_t status, const char *text) {
  return runtime::failOp(&run.error, status, run.kernel.op, "%s", text);
}

/// Phase 0, the outputs that it counted, phase 1.
Status *runInPhases(Run &run, Scratch &scratch) {
  const opw_op_t *op = run.kernel.op;
  size_t bytes = 0;
  if (opw_status_t s = runtime::kApi.workspace(op, &run.call, &bytes, &run.error))
    return run.statusOf(s);
  run.call.workspace_bytes = bytes;
  run.call.workspace = bytes ? scratch.take(bytes) : nullptr;
  if (bytes && !run.call.workspace)
    return run.statusOf(fail(run, OPW_E_MEMORY, "ONNX Runtime has no memory for the workspace"));
  opw_tensor_t *first[kMaxTensors];
  for (size_t i = 0; i < run.call.output_count; ++i)
    first[i] = isCounted(run, i) ? nullptr : run.outputPointers[i];
  run.call.outputs = first;
  run.call.phases = 1;
  opw_status_t s = runtime::kApi.run(op, &run.call, &run.error);
  run.call.outputs = run.outputPointers;
  run.call.phases = 2;
  if (s == OPW_OK)
    s = runtime::kApi.infer(op, &run.call, &run.error);
  if (s)
    return run.statusOf(s);
  for (size_t i = 0; i < run.call.output_count; ++i)
    if (isCounted(run, i))
      if (Status *status = run.makeOutput(i))
        return status;
  return run.statusOf(runtime::kApi.run(op, &run.call, &run.error));
}

Status *runWithinBounds(Run &run, Scratch &scratch, Counts &counts) {
  const opw_op_t *op = run.kernel.op;
  for (uint32_t z = 0; z < op->size_count; ++z) {
    const opw_size_t &size = *op->sizes[z];
    if (size.upper.count == 0)
      return run.statusOf(runtime::failOp(&run.error, OPW_E_UNSUPPORTED, op,
                                          "the size %s has no upper bound and is counted together with what it is the "
                                          "size of; the library needs a bound, or a phase for each",
                                          size.name));
    if (opw_status_t s = runtime::kApi.eval(op, &size.upper, &run.call, &counts.at[size.output], &run.error))
      return run.statusOf(s);
  }
  run.call.phases = 2; // the bounds as if they were counted
  if (opw_status_t s = runtime::kApi.infer(op, &run.call, &run.error))
    return run.statusOf(s);
  void *large[kMaxTensors] = {};
  int64_t bounds[kMaxTensors][OPW_MAX_RANK];
  for (size_t i = 0; i < run.call.output_count; ++i) {
    if (!isCounted(run, i))
      continue;
    uint64_t bytes = run.outputs[i].tensor.dl_bits / 8u;
    bool fits = true;
    for (int32_t d = 0; d < run.outputs[i].tensor.ndim; ++d)
      fits = fits && !__builtin_mul_overflow(bytes, static_cast<uint64_t>(run.outputs[i].dims[d]), &bytes);
    large[i] = fits ? scratch.take(bytes + 1) : nullptr;
    if (!large[i])
      return run.statusOf(
          fail(run, OPW_E_MEMORY, "ONNX Runtime has no memory for an output as large as the bounds of its sizes"));
    run.outputs[i].tensor.data = large[i];
    memcpy(bounds[i], run.outputs[i].dims, sizeof bounds[i]);
  }
  run.call.phases = 0;
  opw_status_t s = runtime::kApi.run(op, &run.call, &run.error);
  run.call.phases = 2;
  if (s == OPW_OK)
    s = runtime::kApi.infer(op, &run.call, &run.error);
  if (s)
    return run.statusOf(s);
  for (size_t i = 0; i < run.call.output_count; ++i) {
    if (!isCounted(run, i))
      continue;
    if (Status *status = run.makeOutput(i))
      return status;
    if (run.outputPointers[i])
      runtime::copyCounted(run.outputs[i].tensor.data, large[i], run.outputs[i].tensor, bounds[i],
                           (run.output(i).flags & OPW_IO_COMPACT) != 0);
  }
  return nullptr;
}

} // namespace

Status *runCounted(Run &run) {
  const opw_op_t *op = run.kernel.op;
  Scratch scratch(run);
  Counts counts;
  opw_choice_t choice{};
  choice.struct_size = sizeof choice;
  opw_status_t s = runtime::kApi.infer(op, &run.call, &run.error);
  if (s == OPW_OK)
    s = runtime::kApi.choose(op, &run.call, &choice, &run.error);
  if (s)
    return run.statusOf(s);
  run.call.tactic = choice.tactic; // the same one in both phases
  for (size_t i = 0; i < run.call.output_count; ++i) {
    if (isSize(run, i))
      run.outputs[i].tensor.data = &counts.at[i];
    else if (!isCounted(run, i))
      if (Status *status = run.makeOutput(i))
        return status;
  }
  Status *status = runtime::countsFirst(*op, *op->plans[choice.plan]) ? runInPhases(run, scratch)
                                                                      : runWithinBounds(run, scratch, counts);
  for (size_t i = 0; !status && i < run.call.output_count; ++i)
    if (isSize(run, i)) {
      status = run.makeOutput(i);
      if (!status && run.outputPointers[i])
        memcpy(run.outputs[i].tensor.data, &counts.at[i], sizeof counts.at[i]);
    }
  return status;
}

} // namespace opw::ort
