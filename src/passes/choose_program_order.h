// Which order of programs reads least: the compiler knows what of a program's loads the next program repeats.
#pragma once

#include "ir/module.h"
#include "ir/program_order.h"

namespace opw::passes {

/// Ids that do not reach a load's address leave it the same from program to program, so the axis with the least traffic
/// (loads and stores) varies fastest. Where two axes have loads of their own, as the rows and columns of a matrix
/// product, the second is taken in bands: a program's neighbours on both axes then run soon after it. x stays first
/// unless another axis reads clearly less, and a kernel whose programs wait for each other keeps x, y, z.
ir::ProgramOrder chooseProgramOrder(const ir::Function &tile);

} // namespace opw::passes
