// Operation kinds and their traits: one table, ops.def.
#pragma once

#include <cstdint>
#include <string_view>

namespace opw::ir {

enum class OpKind : uint16_t {
#define OPW_OP(id, text, traits) id,
#include "ir/ops.def"
#undef OPW_OP
};

/// Trait bits of an op.
enum Trait : uint32_t {
  kNoTraits = 0,
  kPure = 1u << 0,        ///< no effect, result depends on operands and attributes alone
  kElementwise = 1u << 1, ///< element i of the result depends on element i of each operand
  kCommutative = 1u << 2,
  kTerminator = 1u << 3,
  kReads = 1u << 4,     ///< reads memory
  kWrites = 1u << 5,    ///< writes memory
  kOrdered = 1u << 6,   ///< atomic, barrier, print, assert: keeps its place among effects
  kShape = 1u << 7,     ///< moves elements without computing: splat, broadcast, trans, ...
  kRegions = 1u << 8,   ///< has regions
  kPlan = 1u << 9,      ///< belongs to plan IR only
  kSameType = 1u << 10, ///< all operands and the result have one type
};

/// Name as printed: "arith.addf".
std::string_view name(OpKind kind);
uint32_t traits(OpKind kind);
inline bool has(OpKind kind, Trait trait) { return (traits(kind) & trait) != 0; }
/// The op of that name; returns false when there is none.
bool findOp(std::string_view text, OpKind &kind);

} // namespace opw::ir
