// What each op demands of its operands, results, attributes and regions: one rule per op, in one table. The TTIR parser
// asks as soon as an op is read, so that the message has its place in the text; the verifier asks again after every
// pass.
#pragma once

#include "ir/module.h"

#include <string>

namespace opw::ir {

/// Empty when the op follows its rule; else what was found and what was expected. Ids must be valid, regions complete.
std::string checkOp(const Function &function, const Op &op);

/// How many regions an op of this kind has.
unsigned regionCount(OpKind kind);

/// False for an op that never has operands, such as a barrier.
bool takesOperands(OpKind kind);

/// The type behind one level of pointer, of the same shape: tensor<8x!tt.ptr<f32>> gives tensor<8xf32>.
Type pointeeOf(Type type);

/// i1 in the shape of a tile or scalar.
Type maskOf(const Type &type);

} // namespace opw::ir
