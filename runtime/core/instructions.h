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
  IntListAttr,   // b is an attribute: ints, bools, bytes
  ListAttr,      // b is a list attribute or bytes
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

// The groups of the instruction set, for instructions that there are: all but SELECT are in one. Evaluators ask these,
// which cost a comparison; a test holds them against the table.

/// No operands but an index, where popsIndex: -> I or F.
constexpr bool isLeaf(uint8_t op) { return op < OPW_X_ADD; }
constexpr bool popsIndex(uint8_t op) { return op == OPW_X_DIM_AT || op == OPW_X_ATTR_AT || op == OPW_X_FATTR_AT; }
/// I I -> I: the right operand may be imm, with b = 1.
constexpr bool isBinaryInt(uint8_t op) { return op >= OPW_X_ADD && op <= OPW_X_OR; }
/// I -> I.
constexpr bool isUnaryInt(uint8_t op) { return op >= OPW_X_NOT && op <= OPW_X_NPOW2; }
/// F -> F or I, and I2F.
constexpr bool isFloatUnary(uint8_t op) { return op == OPW_X_FNEG || op == OPW_X_FSQRT || op >= OPW_X_I2F; }
/// F F -> F or I.
constexpr bool isFloatBinary(uint8_t op) { return op >= OPW_X_FADD && !isFloatUnary(op); }

} // namespace opw::runtime
