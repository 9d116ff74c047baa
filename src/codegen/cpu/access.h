// What a load or store of a plan touches.
#pragma once

#include "codegen/cpu/emitter.h"

namespace opw::cpu {

struct Emitter::Access {
  enum class Kind { One, Contiguous, Reversed, Flipped, Scattered } kind;
  ir::ValueId pointer, offset;
  llvm::Value *base;   ///< null: the pointer differs between lanes
  llvm::Type *element; ///< in memory: i1 is a byte
  unsigned bytes;
  bool boolean;
  ir::ValueId mask = ir::kNone;
  bool uniformMask = true;
  ir::OpId buffer = ir::kNone; ///< what the base points into, where known
  bool argument = false;       ///< the base comes from an argument
};

} // namespace opw::cpu
