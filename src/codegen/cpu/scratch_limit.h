// The limit of the buffers of a kernel: every thread has its own, so what is too large for one is refused with the
// lines that it comes from, not found out by the host that runs out of memory. Internal to codegen/cpu.
#pragma once

#include "ir/module.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace opw::cpu {

/// Throws a Refusal when the total is more than 1 GiB. `buffers`: the size and the op of each.
void limitScratch(const ir::Module &source, const ir::Function &plan, uint64_t total,
                  std::vector<std::pair<uint64_t, ir::OpId>> buffers);

} // namespace opw::cpu
