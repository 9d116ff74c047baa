// The instruction set of programs, as one table: what each instruction pops, pushes and names.
#pragma once

#include "opwright/plugin.h"

namespace opw::runtime {

enum class Operand : uint8_t {
  None,
  Immediate,     // imm is the value
  PoolI,         // imm is an index into pool_i
  PoolF,         // imm is an index into pool_f
  Tensor,        // b is a tensor
  TensorAxis,    // b is a tensor, imm an axis
  Variadic,      // b is a variadic tensor
  VariadicAxis,  // b is a variadic tensor, imm an axis
  IntAttr,       // b is an attribute: int, bool, enum, dtype
  IntListAttr,   // b is an attribute: ints, bools
  ListAttr,      // b is a list attribute
  FloatAttr,     // b is an attribute: float
  FloatListAttr, // b is an attribute: floats
  HostValue,     // b is a HOST input, imm an element
  Var,           // b is a var
  Size,          // b is a data-dependent size
};

struct InsnInfo {
  const char *name; // null: no such instruction
  const char *pops; // "II": two integers; "IXX": an integer and two of one kind
  char pushes;      // 'I', 'F', 'X' (the kind of what X popped), '?' (by the operand)
  Operand operand;
};

constexpr uint32_t kInsnCount = 80;

/// The entry of an opcode; name is null when there is no such instruction.
const InsnInfo &insnInfo(uint8_t op);

/// I I -> I: the right operand may be imm, with b = 1.
constexpr bool isBinaryInt(uint8_t op) { return op >= OPW_X_ADD && op <= OPW_X_OR; }

} // namespace opw::runtime
