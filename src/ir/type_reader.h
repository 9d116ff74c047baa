// Reads types as MLIR spells them; used by the parser of the printed form and by the TTIR front end.
#pragma once

#include "ir/type.h"
#include "support/reader.h"

namespace opw::ir {

/// Any type: f32, tensor<64x32xf32>, !tt.ptr<f16>, !tt.tensordesc<8x16xf32>, tensor<64x!tt.ptr<f32>>, ...
Type readType(TokenReader &reader);

/// `<f32>` or `<tensor<8x16xf32>>`: what follows !tt.ptr.
Type readPointerBody(TokenReader &reader);

/// `<8x16xf32>` or `<tensor<8x16xf32>>`: what follows !tt.tensordesc.
Type readDescriptorBody(TokenReader &reader);

/// True when a type starts at the current token.
bool atType(const TokenReader &reader);

} // namespace opw::ir
