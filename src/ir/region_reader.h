// What both parsers share: names of values and blocks, results, regions. How one op is written differs and is a virtual
// function.
#pragma once

#include "ir/module.h"
#include "support/reader.h"

#include <string_view>
#include <unordered_map>
#include <vector>

namespace opw::ir {

class RegionReader {
public:
  explicit RegionReader(TokenReader &reader) : reader(reader) {}
  virtual ~RegionReader() = default;

protected:
  /// One name on the left of an op, standing for `count` results: %a, %b:2.
  struct ResultName {
    Token token;
    uint32_t count;
  };

  /// Reads one op and appends it to the block.
  virtual void readOp(BlockId block) = 0;
  /// Reads what may follow the type of a block argument.
  virtual void readArgumentSuffix() {}

  /// Starts a function: nothing of the one before is visible.
  void startFunction(Function &function);

  /// %name or %name#2, which must be defined.
  ValueId readUse();
  /// %a, %b, ... with zero or more entries.
  std::vector<ValueId> readUses();
  /// "%a, %b:2 =" when it stands here.
  std::vector<ResultName> readResultNames();
  void bindResults(const std::vector<ResultName> &names, OpId op);
  /// Defines a name for `count` consecutive values, of which the first may take it as its hint.
  void define(const Token &name, ValueId first, uint32_t count);
  /// ^name of the region being read, whether or not the block came already.
  BlockId readBlockUse();

  /// Reads a region, braces included. `entry` is its first block when that exists before the text (kNone: the text
  /// makes it); names stay visible to the caller until it calls leaveScope.
  Region readRegion(OpId owner, BlockId entry = kNone);

  size_t enterScope() const { return defined.size(); }
  void leaveScope(size_t mark);

  TokenReader &reader;
  Function *fn = nullptr;

private:
  struct Binding {
    ValueId first;
    uint32_t count;
  };
  struct Label {
    BlockId block;
    Token token; ///< where it was first named
    bool defined;
  };
  using Labels = std::unordered_map<std::string_view, Label>;

  Label &labelAt(const Token &name, OpId owner);
  BlockId readBlockHeader(OpId owner);

  std::unordered_map<std::string_view, Binding> bindings;
  std::vector<std::string_view> defined; ///< in order, so that a scope can be left
  std::vector<std::pair<OpId, Labels>> regions;
};

} // namespace opw::ir
