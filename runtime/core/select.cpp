#include "core/select.h"

#include "core/call.h"
#include "core/cpu.h"
#include "core/program.h"

#include <string.h>

namespace opw::runtime {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

uint32_t planOf(const opw_op_t *op, uint32_t combo, uint32_t device, uint32_t tactic) {
  return op->plan_index[(combo * 2 + device) * op->tactic_count + tactic];
}

uint32_t tacticById(const opw_op_t *op, int32_t id) {
  for (uint32_t i = 0; i < op->tactic_count; ++i)
    if (op->tactics[i]->id == id)
      return i;
  return kNone;
}

/// How well a device string of the tuned table names this machine: 2 its level, 1 any CPU, 0 not at all.
int matchOf(const char *device) {
  if (!device || strncmp(device, "cpu", 3) != 0)
    return 0;
  if (device[3] == 0)
    return 1;
  if (device[3] != ':')
    return 0;
  const char *level = cpuLevelName(cpuLevel());
  return strcmp(device + 4, level) == 0 ? 2 : 1;
}

/// The entries of the best device of the table, resolved once per op.
void tunedGroup(const opw_op_t *op, OpState &state, uint32_t *first, uint32_t *count) {
  uint32_t known = state.tunedCount.load(std::memory_order_acquire);
  if (known == 0) {
    int best = 0;
    uint32_t from = 0, n = 0;
    for (uint32_t i = 0; i < op->tuned_count;) {
      uint32_t end = i;
      while (end < op->tuned_count && op->tuned[end].device == op->tuned[i].device)
        ++end;
      int match = matchOf(opw_tables.devices[op->tuned[i].device]);
      if (match > best) {
        best = match;
        from = i;
        n = end - i;
      }
      i = end;
    }
    state.tunedFirst.store(from, std::memory_order_relaxed);
    state.tunedCount.store(n + 1, std::memory_order_release);
    known = n + 1;
  }
  *first = state.tunedFirst.load(std::memory_order_relaxed);
  *count = known - 1;
}

/// 256 * log2(x + 1), in steps of 1/64 of an octave.
int32_t logKey(int64_t x) {
  static const uint8_t kLog[65] = {0,   6,   11,  17,  22,  28,  33,  38,  44,  49,  54,  59,  63,  68,  73,  78,  82,
                                   87,  92,  96,  100, 105, 109, 113, 118, 122, 126, 130, 134, 138, 142, 146, 150, 154,
                                   157, 161, 165, 169, 172, 176, 179, 183, 186, 190, 193, 197, 200, 204, 207, 210, 214,
                                   217, 220, 223, 227, 230, 233, 236, 239, 242, 245, 248, 251, 254, 255};
  auto v = static_cast<uint64_t>(x < 0 ? 0 : x) + 1;
  int top = 63 - __builtin_clzll(v);
  uint64_t fraction = top >= 6 ? v >> (top - 6) & 63 : v << (6 - top) & 63;
  return top * 256 + kLog[fraction];
}

uint32_t nearestTuned(const Frame &f, OpState &state) {
  const opw_op_t *op = f.op;
  if (op->tuned_count == 0)
    return kNone;
  uint32_t first, count;
  tunedGroup(op, state, &first, &count);
  int32_t key[4] = {};
  for (int k = 0; k < 4; ++k)
    if (op->tune_keys[k].count) {
      Value v = evaluate(f, op->tune_keys[k]);
      key[k] = v.poison ? 0 : logKey(v.slot.i);
    }
  uint32_t best = kNone;
  int64_t least = INT64_MAX;
  for (uint32_t i = first; i < first + count; ++i) {
    const opw_tuned_t &t = op->tuned[i];
    if (t.combo != f.combo || planOf(op, f.combo, 0, t.tactic) == OPW_NO_PLAN)
      continue;
    int64_t distance = 0;
    for (int k = 0; k < 4; ++k)
      distance += key[k] > t.key[k] ? key[k] - t.key[k] : t.key[k] - key[k];
    if (distance < least) {
      least = distance;
      best = i;
    }
  }
  return best;
}

opw_status_t takesCall(const Frame &f, uint32_t plan, opw_error_t *error, const char *prefix = "") {
  return checkValid(f, f.op->plans[plan]->valid, f.op->plans[plan]->valid_text, prefix, error);
}

/// The plan of the tactic that is asked for.
opw_status_t wishedPlan(const Frame &f, int32_t id, const char *wish, Selection *out, opw_error_t *error) {
  out->tactic = tacticById(f.op, id);
  if (out->tactic != kNone)
    out->planIndex = planOf(f.op, f.combo, 0, out->tactic);
  if (out->planIndex == OPW_NO_PLAN)
    return failOp(error, OPW_E_UNSUPPORTED, f.op,
                  "%s asks for tactic %d, which does not run these element types on a CPU", wish, id);
  if (takesCall(f, out->planIndex, nullptr) == OPW_OK)
    return OPW_OK;
  Text prefix;
  prefix.add("%s asks for tactic %d, which does not take this call: ", wish, id);
  return takesCall(f, out->planIndex, error, prefix.str());
}

/// The plan of the tuned table, else the first that takes the call. Where none does, the first one's reason is told. A
/// condition that cannot be evaluated is no reason to take another plan.
opw_status_t bestPlan(const Frame &f, OpState &state, Selection *out, opw_error_t *error) {
  const opw_op_t *op = f.op;
  out->tunedEntry = nearestTuned(f, state);
  if (out->tunedEntry != kNone) {
    out->tactic = op->tuned[out->tunedEntry].tactic;
    out->planIndex = planOf(op, f.combo, 0, out->tactic);
    if (takesCall(f, out->planIndex, nullptr) == OPW_OK)
      return OPW_OK;
    out->tunedEntry = kNone;
  }
  uint32_t refused = kNone;
  for (uint32_t t = 0; t < op->tactic_count; ++t) {
    uint32_t plan = planOf(op, f.combo, 0, t);
    if (plan == OPW_NO_PLAN)
      continue;
    out->tactic = t;
    out->planIndex = plan;
    opw_status_t s = takesCall(f, plan, nullptr);
    if (s != OPW_E_ARGUMENT)
      return s == OPW_OK ? s : takesCall(f, plan, error);
    refused = refused == kNone ? plan : refused;
  }
  return refused != kNone ? takesCall(f, refused, error)
                          : failOp(error, OPW_E_DEVICE, op,
                                   "the plugin has no CPU code for these element types; build it with a cpu target");
}

} // namespace

opw_status_t checkDevice(const Frame &f, opw_error_t *error) {
  if (f.call->device_type == OPW_DEVICE_CPU)
    return OPW_OK;
  if (f.call->device_type == OPW_DEVICE_CUDA)
    return failOp(error, OPW_E_UNSUPPORTED, f.op, "this runtime has no CUDA; pass tensors in CPU memory");
  return failOp(error, OPW_E_DEVICE, f.op, "found device type %d, expected 1 (CPU)", f.call->device_type);
}

opw_status_t selectPlan(const Frame &f, OpState &state, Selection *out, opw_error_t *error) {
  const opw_op_t *op = f.op;
  if (opw_status_t s = checkDevice(f, error))
    return s;
  *out = {nullptr, OPW_NO_PLAN, kNone, kNone, state.forced.load(std::memory_order_relaxed)};
  const char *wish = nullptr;
  int32_t id = f.call->tactic;
  if (id != 0)
    wish = "the call";
  else if ((id = out->forced) != 0)
    wish = "force";
  else if ((id = wishedTactic(op, state)) != 0)
    wish = "OPW_TACTIC";
  opw_status_t s = wish ? wishedPlan(f, id, wish, out, error) : bestPlan(f, state, out, error);
  if (s == OPW_OK)
    out->plan = op->plans[out->planIndex];
  return s;
}

opw_status_t selectImage(const opw_op_t *op, const opw_kernel_t &kernel, const opw_cpu_image_t **image,
                         opw_error_t *error) {
  uint32_t machine = cpuLevel();
  const opw_cpu_image_t *best = nullptr;
  for (uint32_t i = 0; i < kernel.cpu_count; ++i)
    if (levelRuns(kernel.cpu[i]->level, machine) && (!best || kernel.cpu[i]->level > best->level))
      best = kernel.cpu[i];
  *image = best;
  if (best)
    return OPW_OK;
  const char *name = kernel.name ? kernel.name : "?";
  if (kernel.cpu_count == 0)
    return failOp(error, OPW_E_DEVICE, op, "kernel %s has no CPU code; build the plugin with a cpu target", name);
  Text levels;
  for (uint32_t i = 0; i < kernel.cpu_count; ++i)
    levels.add("%s%s", i ? ", " : "", cpuLevelName(kernel.cpu[i]->level));
  return failOp(error, OPW_E_DEVICE, op,
                "this CPU has the level %s, kernel %s needs one of: %s; run on a CPU with AVX2 and FMA",
                cpuLevelName(machine), name, levels.str());
}

} // namespace opw::runtime
