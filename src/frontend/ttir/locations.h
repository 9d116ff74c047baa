// Locations of TTIR: loc("file.py":12:5), loc("name"(...)), loc(callsite(... at ...)), loc(fused[...]), loc(unknown),
// and aliases
// (#loc12) that the text may define after their use. They are read into nodes and resolved when the whole text is
// known.
#pragma once

#include "ir/module.h"
#include "support/reader.h"

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace opw::ttir {

class Locations {
public:
  using NodeId = uint32_t;

  /// A place in the text itself, for what has no location.
  NodeId place(const SourceRange &where);
  /// Reads loc(...) from the word `loc` on.
  NodeId read(TokenReader &reader);
  /// Reads the right side of an alias definition `#name = loc(...)`.
  void define(const std::string &alias, TokenReader &reader);

  /// Replaces the node ids that ops and functions hold by ids of module.locations.
  void resolve(ir::Module &module);

private:
  struct Node {
    enum class Kind : uint8_t { Unknown, File, Name, CallSite, Alias, Either } kind = Kind::Unknown;
    std::string text; ///< file, name or alias
    uint32_t line = 0;
    uint32_t column = 0;
    NodeId first = ir::kNone;  ///< child of a name, callee of a call, the better of two
    NodeId second = ir::kNone; ///< caller, the other of two
  };

  NodeId add(Node node);
  NodeId readBody(TokenReader &reader);
  NodeId readFused(TokenReader &reader);
  ir::LocId idOf(NodeId id, ir::Module &module, unsigned depth);
  ir::LocId idOfCall(const Node &node, ir::Module &module, unsigned depth);

  std::vector<Node> nodes;
  std::vector<ir::LocId> resolved;
  std::vector<bool> visited;
  std::unordered_map<std::string, NodeId> aliases;
};

} // namespace opw::ttir
