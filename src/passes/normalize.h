// Tile IR as the planner wants it: one function without calls, with structured control alone, whose values are scalars
// and tiles. What Triton prints in other forms is rewritten:
//
//   tt.call                 the callee's body, at the call (recursion is refused)
//   cf.br, cf.cond_br       scf.if; code after an early return moves into its other side
//   block pointers          base, sizes, strides and offsets; a load or store becomes one of a tile of pointers with a
//   mask descriptors             the same; a kernel argument that is one becomes its base pointer, sizes and strides
//   follow it tt.cat                  join, transpose, reshape tt.dot_scaled           operands and scales as f32
//   tiles, then tt.dot ub.poison               zeros volatile tt.load        tt.atomic_load without order
#pragma once

#include "ir/module.h"
#include "support/diagnostic.h"

namespace opw::passes {

Result<ir::Module> normalize(const ir::Module &module);

} // namespace opw::passes
