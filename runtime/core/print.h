// What kernels print, as Triton prints it on a GPU, one line for each element:
//   pid (x, y, z) idx (i, j)prefix(operand k) value
#pragma once

#include "opwright/plugin.h"

namespace opw::runtime {

// Writes the line into text, NUL ended, cut at `size`. bits as opw_cpu_launch_t.print has them.
void formatPrint(char *text, size_t size, const opw_cpu_site_t &site, const uint32_t grid[3], int64_t program,
                 const int64_t *index, uint64_t bits);

// Writes "(x, y, z)", the ids of a program, NUL ended.
void formatProgram(char *text, size_t size, const uint32_t grid[3], int64_t program);

} // namespace opw::runtime
