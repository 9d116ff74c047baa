// The writable memory of a plugin: one block per op, claimed on first use, atomics only. Nothing here waits.
#pragma once

#include "opwright/plugin.h"

#include <atomic>

#pragma GCC visibility push(hidden)
extern "C" const opw_tables_t opw_tables; // by the packager, or by hand
#pragma GCC visibility pop

namespace opw::runtime {

enum Validity : uint32_t { kNotChecked, kValid, kCorrupt };

struct OpState {
  std::atomic<const opw_op_t *> op;
  std::atomic<uint32_t> validity;
  std::atomic<int32_t> forced;      // force(): a tactic, 0 = none
  std::atomic<int32_t> wished;      // OPW_TACTIC: 0 = not looked up, -1 = none, else a tactic
  std::atomic<uint32_t> tunedFirst; // group of this machine in the tuned table
  std::atomic<uint32_t> tunedCount; // count + 1; 0 = not looked up
};
static_assert(sizeof(OpState) <= 1024, "OPW_STATE_BYTES gives 1024 bytes per op");

/// The block of an op; null when it is none of this library's, or when the state memory is too small.
OpState *opState(const opw_op_t *op);

/// Reads OPW_TACTIC and OPW_CPU_LEVEL once; later calls do nothing.
void readEnvironment();

/// The tactic that OPW_TACTIC="ns::op=2;*=1" wishes for an op, or 0.
int32_t wishedTactic(const opw_op_t *op, OpState &state);

} // namespace opw::runtime
