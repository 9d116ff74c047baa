// Tile IR as the planner wants it: one function without calls, with structured control alone, whose values are scalars
// and tiles. What Triton prints in other forms is rewritten:
//
//  * tt.call: the callee's body, at the call; recursion is refused.
//  * cf.br, cf.cond_br: scf.if; code after an early return moves into its other side.
//  * block pointers, descriptors: base, sizes, strides and offsets; a load or store is one of a tile of pointers with a
//    mask. A kernel argument that is a descriptor becomes its base pointer; after its sizes and strides, which follow
//    it, comes an i1 that says that NaN is read outside.
//  * tt.dot_scaled: operands and scales as f32 tiles, then tt.dot.
//  * x ^ xor of a pair: tile.flip, as sorting does it.
//  * tt.cat: join, transpose, reshape. ub.poison: zeros. Volatile tt.load: tt.atomic_load without order.
//
// Dead code is taken out.
#pragma once

#include "ir/module.h"
#include "support/diagnostic.h"

namespace opw::passes {

Result<ir::Module> normalize(const ir::Module &module);

} // namespace opw::passes
