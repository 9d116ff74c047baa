// Runs one CPU kernel over a grid: argument block, scratch of each worker, chunks, failure.
#pragma once

#include "opwright/plugin.h"

namespace opw::runtime {

struct CpuKernel {
  opw_cpu_entry_t entry;
  uint64_t scratchBytes; // per worker
  int64_t grain;         // programs per chunk, >= 1
  bool ordered;          // programs start one by one in ascending order; they may wait for each other
};

// Runs every program of the grid and returns when all are done. A size of 0 in the grid runs nothing.
// slots holds one 8-byte value per kernel argument. host may be null: the runtime's own pool is used.
// Returns OPW_E_ASSERT when a program failed, OPW_E_MEMORY when scratch could not be had. Allocates
// only when a thread needs more scratch than ever before. Any number of threads may launch at once.
opw_status_t launchCpu(const CpuKernel &kernel, const uint32_t grid[3], const uint64_t *slots, uint32_t slotCount,
                       const opw_host_t *host, opw_error_t *error);

} // namespace opw::runtime
