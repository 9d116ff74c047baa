#include "core/api.h"

#include "core/bounds.h"
#include "core/call.h"
#include "core/dtype.h"
#include "core/infer.h"
#include "core/program.h"
#include "core/run.h"
#include "core/select.h"
#include "core/validate.h"

#include <string.h>

namespace opw::runtime {
namespace {

/// The state of an op whose tables are sound; null with a status in `*status` otherwise.
OpState *enter(const opw_op_t *op, opw_status_t *status, opw_error_t *error) {
  if (!op) {
    *status = fail(error, OPW_E_ARGUMENT, "the op is null");
    return nullptr;
  }
  OpState *state = opState(op);
  if (!state) {
    uint64_t least = OPW_STATE_BYTES(uint64_t{opw_tables.op_count}, uint64_t{0});
    *status =
        !opw_tables.state || opw_tables.state_bytes < least
            ? fail(error, OPW_E_CORRUPT, "corrupt table: the library's state has %llu bytes, expected at least %llu",
                   static_cast<unsigned long long>(opw_tables.state_bytes), static_cast<unsigned long long>(least))
            : fail(error, OPW_E_ARGUMENT, "the op is none of this library's");
    return nullptr;
  }
  if (state->validity.load(std::memory_order_acquire) == kValid)
    return state;
  *status = validateOp(op, opw_tables, error);
  uint32_t verdict = *status == OPW_OK ? kValid : kCorrupt; // two threads reach the same one
  state->validity.store(verdict, std::memory_order_release);
  return verdict == kValid ? state : nullptr;
}

const opw_op_t *find(const char *ns, const char *name, int32_t version) {
  const opw_op_t *best = nullptr;
  if (!ns || !name || !opw_tables.ops)
    return nullptr;
  for (uint32_t i = 0; i < opw_tables.op_count; ++i) {
    const opw_op_t *op = opw_tables.ops[i];
    if (!op || !op->ns || !op->name || strcmp(op->ns, ns) != 0 || strcmp(op->name, name) != 0)
      continue;
    if (version == 0 ? !best || op->version > best->version : op->version == version)
      best = op;
  }
  return best;
}

opw_status_t check(const opw_op_t *op, opw_error_t *error) {
  opw_status_t status = OPW_OK;
  return enter(op, &status, error) ? OPW_OK : status;
}

/// Types and sizes of the outputs of a bound call.
opw_status_t writeOutputs(const Frame &frame, opw_error_t *error) {
  const opw_op_t *op = frame.op;
  const opw_call_t *call = frame.call;
  for (uint32_t i = 0; i < frame.outputCount; ++i) {
    opw_tensor_t *t = call->outputs[i];
    const opw_io_t &io = outputOf(op, i);
    if (!t || isFree(io))
      continue;
    if (io.seg_count && !t->shape)
      return failOp(error, OPW_E_ARGUMENT, op, "output %s has no room for a shape", io.name);
    int64_t dims[OPW_MAX_RANK];
    int32_t ndim = 0;
    if (opw_status_t s = inferShape(frame, i, dims, &ndim, error))
      return s;
    t->ndim = ndim;
    if (ndim)
      memcpy(t->shape, dims, sizeof dims[0] * static_cast<size_t>(ndim));
    setDtype(*t, frame.dtype(io.typevar));
    t->device_type = call->device_type;
    t->device_id = call->device_id;
  }
  return OPW_OK;
}

opw_status_t infer(const opw_op_t *op, const opw_call_t *call, opw_error_t *error) {
  opw_status_t status = OPW_OK;
  if (!enter(op, &status, error))
    return status;
  Frame frame;
  if ((status = bindCall(frame, op, call, Purpose::Infer, error)))
    return status;
  return writeOutputs(frame, error);
}

opw_status_t workspace(const opw_op_t *op, const opw_call_t *call, size_t *bytes, opw_error_t *error) {
  opw_status_t status = OPW_OK;
  OpState *state = enter(op, &status, error);
  if (!state)
    return status;
  if (!bytes)
    return failOp(error, OPW_E_ARGUMENT, op, "bytes is null");
  Frame frame;
  Selection chosen;
  uint64_t total = 0;
  if ((status = bindCall(frame, op, call, Purpose::Decide, error)) ||
      (status = selectPlan(frame, *state, &chosen, error)) ||
      (status = workspaceBytes(frame, *chosen.plan, &total, error)))
    return status;
  *bytes = total;
  return OPW_OK;
}

opw_status_t run(const opw_op_t *op, const opw_call_t *call, opw_error_t *error) {
  opw_status_t status = OPW_OK;
  OpState *state = enter(op, &status, error);
  if (!state)
    return status;
  Frame frame;
  Selection chosen;
  if ((status = bindCall(frame, op, call, Purpose::Run, error)) || (status = selectPlan(frame, *state, &chosen, error)))
    return status;
  return runPlan(frame, *chosen.plan, error);
}

/// Whether every kernel that the CPU plans of the op may launch has an image for this machine.
opw_status_t prepareOp(const opw_op_t *op, opw_error_t *error) {
  opw_status_t status = OPW_OK;
  if (!enter(op, &status, error))
    return status;
  for (uint32_t p = 0; p < op->plan_count; ++p) {
    bool used = false;
    for (uint32_t c = 0; c < op->combo_count; ++c)
      for (uint32_t t = 0; t < op->tactic_count; ++t)
        used = used || op->plan_index[c * 2 * op->tactic_count + t] == p;
    for (uint32_t l = 0; used && l < op->plans[p]->launch_count; ++l) {
      const opw_launch_t &launch = *op->plans[p]->launches[l];
      for (uint32_t v = 0; v < launch.variant_count; ++v) {
        const opw_cpu_image_t *image;
        if ((status = selectImage(op, *opw_tables.kernels[launch.variants[v].kernel], &image, error)))
          return status;
      }
    }
  }
  return OPW_OK;
}

opw_status_t prepare(const opw_op_t *op, int32_t deviceType, int32_t, opw_error_t *error) {
  if (deviceType != OPW_DEVICE_CPU)
    return fail(error, OPW_E_UNSUPPORTED, "this runtime prepares nothing for device type %d; expected 1 (CPU)",
                deviceType);
  if (op)
    return prepareOp(op, error);
  for (uint32_t i = 0; opw_tables.ops && i < opw_tables.op_count; ++i)
    if (opw_status_t s = prepareOp(opw_tables.ops[i], error))
      return s;
  return OPW_OK;
}

opw_status_t choose(const opw_op_t *op, const opw_call_t *call, opw_choice_t *choice, opw_error_t *error) {
  opw_status_t status = OPW_OK;
  OpState *state = enter(op, &status, error);
  if (!state)
    return status;
  if (!choice || choice->struct_size < sizeof(opw_choice_t))
    return failOp(error, choice ? OPW_E_ABI : OPW_E_ARGUMENT, op, "the choice is null or its struct_size is below %zu",
                  sizeof *choice);
  Frame frame;
  Selection chosen;
  if ((status = bindCall(frame, op, call, Purpose::Decide, error)) ||
      (status = selectPlan(frame, *state, &chosen, error)))
    return status;
  choice->combo = frame.combo;
  choice->tactic = op->tactics[chosen.tactic]->id;
  choice->plan = chosen.planIndex;
  choice->device = chosen.tunedEntry == UINT32_MAX ? "cpu" : opw_tables.devices[op->tuned[chosen.tunedEntry].device];
  choice->tuned_entry = chosen.tunedEntry;
  choice->reserved = 0;
  return OPW_OK;
}

/// A program of the caller's.
opw_status_t checkProgram(const opw_op_t *op, const opw_program_t &program, opw_error_t *error) {
  if (program.count == 0)
    return failOp(error, OPW_E_ARGUMENT, op, "the program is empty");
  return validateProgram(op, program, {op->input_count, op->var_count, false}, "the caller", error);
}

opw_status_t eval(const opw_op_t *op, const opw_program_t *program, const opw_call_t *call, void *value,
                  opw_error_t *error) {
  opw_status_t status = OPW_OK;
  if (!enter(op, &status, error))
    return status;
  if (!program || !value)
    return failOp(error, OPW_E_ARGUMENT, op, "the program or the place for its value is null");
  if ((status = checkProgram(op, *program, error)))
    return status;
  Frame frame;
  if ((status = bindCall(frame, op, call, Purpose::Decide, error)))
    return status;
  Value v = evaluate(frame, *program);
  if (v.poison)
    return failPoison(frame, *program, v.poison, "the program", error);
  memcpy(value, &v.slot, sizeof v.slot);
  return OPW_OK;
}

opw_status_t bounds(const opw_op_t *op, const opw_program_t *program, const opw_call_t *low, const opw_call_t *high,
                    int64_t *range, opw_error_t *error) {
  opw_status_t status = OPW_OK;
  if (!enter(op, &status, error))
    return status;
  if (!range)
    return failOp(error, OPW_E_ARGUMENT, op, "the place for the bounds is null");
  if (program && (status = checkProgram(op, *program, error)))
    return status;
  if (program && program->is_float)
    return failOp(error, OPW_E_ARGUMENT, op, "the program is a float, expected an integer");
  Frame frames[2];
  if ((status = bindCall(frames[0], op, low, Purpose::Decide, error)) ||
      (status = bindCall(frames[1], op, high, Purpose::Decide, error)))
    return status;
  return boundsBetween(frames[0], frames[1], program, range, error);
}

opw_status_t force(const opw_op_t *op, int32_t tactic, opw_error_t *error) {
  opw_status_t status = OPW_OK;
  OpState *state = enter(op, &status, error);
  if (!state)
    return status;
  bool known = tactic == 0;
  for (uint32_t i = 0; i < op->tactic_count; ++i)
    known = known || op->tactics[i]->id == tactic;
  if (!known)
    return failOp(error, OPW_E_ARGUMENT, op, "there is no tactic %d", tactic);
  state->forced.store(tactic, std::memory_order_relaxed);
  return OPW_OK;
}

} // namespace

opw_status_t beginCall(Frame &frame, const opw_op_t *op, const opw_call_t *call, opw_error_t *error) {
  opw_status_t status = OPW_OK;
  frame.state = enter(op, &status, error);
  if (!frame.state || (status = bindCall(frame, op, call, Purpose::Make, error)))
    return status;
  return writeOutputs(frame, error);
}

opw_status_t finishCall(Frame &frame, Selection *selection, opw_error_t *error) {
  opw_status_t status;
  if ((status = bindMade(frame, error)) || (status = selectPlan(frame, *frame.state, selection, error)))
    return status;
  return runPlan(frame, *selection->plan, error);
}

constinit const opw_api_t kApi = {sizeof(opw_api_t), 0,      find, check,  infer, workspace, run,
                                  prepare,           choose, eval, bounds, force};

} // namespace opw::runtime
