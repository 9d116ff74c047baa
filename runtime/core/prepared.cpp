#include "core/prepared.h"

#include "core/program.h"
#include "core/resolve.h"
#include "core/state.h"

#include <stdlib.h>
#include <string.h>

namespace opw::runtime {
namespace {

/// The number of the call's tensor that an argument is the address of.
uint32_t positionOf(const Frame &f, const opw_arg_t &arg) {
  return arg.tensor < f.op->input_count ? arg.tensor + arg.index : f.inputCount + arg.tensor - f.op->input_count;
}

const opw_tensor_t *tensorAt(const Frame &f, uint32_t position) {
  return position < f.inputCount ? f.inputs[position] : f.outputs[position - f.inputCount];
}

/// Whether an argument is the same in all calls of these sizes: all are but the addresses of tensors that are there.
bool isFixed(const Frame &f, const opw_arg_t &arg) {
  if (arg.kind != OPW_ARG_POINTER)
    return true;
  return !f.tensor(arg.tensor, arg.index);
}

} // namespace

Prepared *Prepared::of(const Frame &f, const Selection &selection) {
  const opw_op_t *op = f.op;
  const opw_plan_t &plan = *selection.plan;
  if (op->size_count != 0 || plan.workspace_count != 0 || f.inputCount + f.outputCount > kTensors)
    return nullptr;
  for (uint32_t i = 0; i < op->input_count; ++i)
    if (op->inputs[i]->flags & OPW_IO_HOST)
      return nullptr;
  for (uint32_t i = 0; i < op->output_count; ++i)
    if (op->outputs[i]->flags & OPW_IO_INPLACE)
      return nullptr;
  auto *p = static_cast<Prepared *>(calloc(1, sizeof(Prepared)));
  if (!p)
    return nullptr;
  p->op = op;
  p->state = f.state;
  p->forced = selection.forced;
  p->inputCount = f.inputCount;
  p->outputCount = f.outputCount;
  bool fits = true;
  for (uint32_t i = 0; fits && i < f.inputCount + f.outputCount; ++i)
    fits = p->addTensor(tensorAt(f, i), i < f.inputCount ? inputOf(op, i) : outputOf(op, i - f.inputCount));
  for (uint32_t phase = 0; phase < 2; ++phase)
    for (uint32_t i = 0; fits && i < plan.launch_count; ++i)
      if (plan.launches[i]->phase == phase)
        fits = p->addLaunch(f, *plan.launches[i]);
  if (fits)
    return p;
  free(p);
  return nullptr;
}

bool Prepared::addTensor(const opw_tensor_t *t, const opw_io_t &io) {
  Tensor &mine = tensors[tensorCount++];
  if (!t)
    return true;
  const uint32_t align = io.align ? io.align : t->dl_bits / 8u;
  if (t->strides || t->byte_offset || !t->data || t->dl_lanes != 1 ||
      sizeCount + static_cast<uint32_t>(t->ndim) > kSizes)
    return false;
  mine = {1,
          t->dl_code,
          t->dl_bits,
          static_cast<uint8_t>(t->ndim),
          static_cast<uint16_t>(sizeCount),
          static_cast<uint16_t>(align - 1),
          io.alias,
          contiguousBytes(*t)};
  for (int32_t d = 0; d < t->ndim; ++d) {
    if (t->shape[d] == 0)
      return false; // it may have an address, or none
    sizes[sizeCount++] = t->shape[d];
  }
  return true;
}

bool Prepared::addLaunch(const Frame &f, const opw_launch_t &l) {
  if (l.when.count && evaluate(f, l.when).slot.i == 0)
    return true;
  if (stepCount == kSteps)
    return false;
  return l.kind == OPW_LAUNCH_FILL ? addFill(f, l) : addKernel(f, l);
}

bool Prepared::addFill(const Frame &f, const opw_launch_t &l) {
  const opw_tensor_t *t = f.tensor(l.fill_tensor);
  if (!t)
    return true;
  Step &step = steps[stepCount++];
  step.fillTensor = f.inputCount + l.fill_tensor - f.op->input_count; // an output: inputs are not filled
  step.fillByte = l.fill_byte;
  step.fillBytes = contiguousBytes(*t);
  return true;
}

bool Prepared::addKernel(const Frame &f, const opw_launch_t &l) {
  const Buffers none{};
  Resolved r;
  if (resolveLaunch({f, none, nullptr}, l, &r, nullptr) != OPW_OK)
    return false;
  if (!r.image)
    return true;
  if (slotCount + r.slotCount > kSlots || !noteGuards(f, l, *r.variant, r.values))
    return false;
  Step &step = steps[stepCount++];
  step.kernel = r.kernel;
  step.image = r.image;
  memcpy(step.grid, r.grid, sizeof step.grid);
  step.firstSlot = slotCount;
  step.slotCount = r.slotCount;
  step.firstAddress = addressCount;
  for (uint32_t i = 0; i < r.image->param_count; ++i) {
    const opw_param_t &param = r.image->params[i];
    if (param.kind == OPW_PARAM_DROPPED || isFixed(f, l.args[i]))
      continue;
    if (param.kind != OPW_PARAM_POINTER || addressCount == kAddresses)
      return false;
    addresses[addressCount++] = {static_cast<uint8_t>(param.offset), static_cast<uint8_t>(positionOf(f, l.args[i]))};
  }
  step.addressCount = addressCount - step.firstAddress;
  memcpy(slots + slotCount, r.slots, r.slotCount * sizeof *slots);
  slotCount += r.slotCount;
  return true;
}

/// What the chosen variant asks of addresses is noted. The ones before it must be wrong whatever the addresses are.
bool Prepared::noteGuards(const Frame &f, const opw_launch_t &l, const opw_variant_t &chosen, const Value *values) {
  for (const opw_variant_t *v = l.variants; v != &chosen; ++v) {
    bool wrong = v->when.count && evaluate(f, v->when).slot.i == 0;
    for (uint32_t g = 0; g < v->guard_count; ++g)
      wrong = wrong || (isFixed(f, l.args[v->guards[g].arg]) && !guardHolds(v->guards[g], values[v->guards[g].arg]));
    if (!wrong)
      return false;
  }
  for (uint32_t g = 0; g < chosen.guard_count; ++g) {
    const opw_guard_t &guard = chosen.guards[g];
    const opw_arg_t &arg = l.args[guard.arg];
    if (isFixed(f, arg) || guard.kind == OPW_GUARD_SET) // a tensor that is there has an address: none is empty
      continue;
    if (guard.kind != OPW_GUARD_DIVISIBLE || (guard.value & (guard.value - 1)) != 0 || guard.value > UINT16_MAX)
      return false;
    tensors[positionOf(f, arg)].alignMask |= static_cast<uint16_t>(guard.value - 1);
  }
  return true;
}

bool Prepared::takes(const opw_tensor_t *const *inputs) const {
  if (state->forced.load(std::memory_order_relaxed) != forced)
    return false;
  for (uint32_t i = 0; i < inputCount; ++i) {
    const Tensor &mine = tensors[i];
    const opw_tensor_t *t = inputs[i];
    if (!t || !mine.present) {
      if (t || mine.present)
        return false;
      continue;
    }
    if (t->dl_code != mine.code || t->dl_bits != mine.bits || t->ndim != mine.ndim)
      return false;
    for (uint32_t d = 0; d < mine.ndim; ++d)
      if (t->shape[d] != sizes[mine.firstSize + d])
        return false;
  }
  return true;
}

const int64_t *Prepared::output(uint32_t index, size_t *ndim) const {
  const Tensor &mine = tensors[inputCount + index];
  *ndim = mine.ndim;
  return mine.present ? sizes + mine.firstSize : nullptr;
}

/// Whether an output lies over an input, or over an output before it, but for exactly over the one that it may share.
bool Prepared::overlaps(const uintptr_t *given, uint32_t output) const {
  const uint32_t mine = inputCount + output;
  const uintptr_t begin = given[mine], end = begin + tensors[mine].bytes;
  for (uint32_t i = 0; i < mine; ++i) {
    const uintptr_t otherEnd = given[i] + tensors[i].bytes;
    if (given[i] < end && begin < otherEnd &&
        !(tensors[mine].alias == static_cast<int32_t>(i) && given[i] == begin && otherEnd == end))
      return true;
  }
  return false;
}

bool Prepared::run(const uintptr_t *given, const opw_host_t *host, opw_status_t *status, opw_error_t *error) const {
  for (uint32_t i = 0; i < inputCount + outputCount; ++i)
    if ((given[i] & tensors[i].alignMask) || (tensors[i].present && !given[i]))
      return false;
  for (uint32_t i = 0; i < outputCount; ++i)
    if (tensors[inputCount + i].present && overlaps(given, i))
      return false;
  *status = OPW_OK;
  for (uint32_t i = 0; *status == OPW_OK && i < stepCount; ++i) {
    const Step &step = steps[i];
    if (!step.kernel) {
      memset(reinterpret_cast<void *>(given[step.fillTensor]), static_cast<int>(step.fillByte), step.fillBytes);
      continue;
    }
    uint64_t values[kSlots];
    for (uint32_t s = 0; s < step.slotCount; ++s)
      values[s] = slots[step.firstSlot + s];
    for (uint32_t a = step.firstAddress; a < step.firstAddress + step.addressCount; ++a)
      values[addresses[a].slot] = given[addresses[a].tensor];
    *status = runKernel(op, *step.kernel, *step.image, step.grid, values, step.slotCount, host, error);
  }
  return true;
}

} // namespace opw::runtime
