// The IR: modules of functions in SSA form. One core serves two op sets (ops.def): tile ops, whose values are whole
// tiles (what TTIR says), and plan ops, whose values are single elements inside explicit loops (what will be emitted).
//
// Everything of a function lives in vectors indexed by dense ids, so an analysis is a vector beside them. Ids stay
// valid until the function dies; an erased op keeps its id and is merely absent from its block.
#pragma once

#include "ir/attribute.h"
#include "ir/ops.h"
#include "ir/type.h"
#include "support/diagnostic.h"

#include <cstdint>
#include <string>
#include <vector>

namespace opw::ir {

using ValueId = uint32_t;
using OpId = uint32_t;
using BlockId = uint32_t;
using LocId = uint32_t;
inline constexpr uint32_t kNone = ~0u;

/// A source position; `callSite` chains to the place where the function at this position was inlined.
struct Location {
  std::string file;
  uint32_t line = 0;
  uint32_t column = 0;
  LocId callSite = kNone;
  std::string name; ///< name of a Python variable or function, where TTIR tells it
};

struct Value {
  Type type;
  OpId op = kNone;       ///< the op that defines it, or kNone for a block argument
  BlockId block = kNone; ///< the block whose argument it is
  uint32_t index = 0;    ///< number among the results, or among the block's arguments
  std::string name;      ///< hint for printing, may be empty
};

struct Successor {
  BlockId block;
  std::vector<ValueId> arguments;
};

/// A list of blocks; structured ops have one block per region.
struct Region {
  std::vector<BlockId> blocks;
};

struct Op {
  OpKind kind;
  std::vector<ValueId> operands;
  std::vector<ValueId> results;
  Attributes attributes;
  std::vector<Region> regions;
  std::vector<Successor> successors; ///< of cf.br and cf.cond_br
  LocId location = kNone;
  BlockId parent = kNone; ///< the block that lists it
};

struct Block {
  std::vector<ValueId> arguments;
  std::vector<OpId> ops;
  OpId owner = kNone; ///< the op whose region holds this block; kNone in a function's body
};

struct Function {
  std::string name;
  bool isPublic = true;
  std::vector<Type> resultTypes;
  Attributes attributes;
  std::vector<Attributes> argumentAttributes; ///< one per argument (tt.divisibility ...)
  Region body;                                ///< empty for a declaration; arguments are those of its first block
  LocId location = kNone;

  std::vector<Op> ops;
  std::vector<Block> blocks;
  std::vector<Value> values;

  Op &op(OpId id) { return ops[id]; }
  const Op &op(OpId id) const { return ops[id]; }
  Block &block(BlockId id) { return blocks[id]; }
  const Block &block(BlockId id) const { return blocks[id]; }
  /// By value: `values` grows while ops are made.
  Type type(ValueId id) const { return values[id].type; }
  const std::vector<ValueId> &arguments() const { return blocks[body.blocks.front()].arguments; }

  BlockId addBlock(OpId owner = kNone);
  ValueId addArgument(BlockId block, Type type, std::string name = {});
  /// Makes an op with results of the given types; it is in no block until append or insert.
  OpId addOp(OpKind kind, std::vector<ValueId> operands, const std::vector<Type> &resultTypes, LocId location = kNone);
  /// One more result for an op that was made before its result types were known.
  ValueId addResult(OpId op, Type type);
  void append(BlockId block, OpId op);
};

struct Module {
  std::vector<Function> functions;
  std::vector<Location> locations; ///< indexed by LocId
  Attributes attributes;

  const Function *find(std::string_view name) const;
  /// The single public function, or null when there is none or more than one.
  const Function *entry() const;
};

/// Where the user wrote what an op came from: the innermost position of a chain of calls that is known; an empty range
/// where none is.
SourceRange sourceOf(const Module &module, LocId id);

enum class PrintLocations : bool { No, Yes };

/// The text that parser.h reads: printing what was read gives the same text. Names of values are hints, made unique.
std::string print(const Module &module, PrintLocations locations = PrintLocations::No);
std::string print(const Module &module, const Function &function);

} // namespace opw::ir
