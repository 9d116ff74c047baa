#include "frontend/ttir/locations.h"

namespace opw::ttir {

namespace {

/// Longer chains of calls and aliases are cut: they are for messages only.
constexpr unsigned kMaxChain = 100;

} // namespace

Locations::NodeId Locations::add(Node node) {
  nodes.push_back(std::move(node));
  return static_cast<NodeId>(nodes.size() - 1);
}

Locations::NodeId Locations::place(const SourceRange &where) {
  Node node;
  node.kind = Node::Kind::File;
  node.text = where.file;
  node.line = where.line;
  node.column = where.column;
  return add(std::move(node));
}

Locations::NodeId Locations::read(TokenReader &reader) {
  reader.expectWord("loc", "to begin a location");
  reader.expect('(', "after 'loc'");
  NodeId id = readBody(reader);
  reader.expect(')', "after a location");
  return id;
}

void Locations::define(const std::string &alias, TokenReader &reader) { aliases[alias] = read(reader); }

Locations::NodeId Locations::readBody(TokenReader &reader) {
  TokenReader::Nested nested(reader);
  Node node;
  if (reader.acceptWord("unknown"))
    return add(std::move(node));
  if (reader.at(Token::Kind::Hash)) {
    node.kind = Node::Kind::Alias;
    node.text = reader.take(Token::Kind::Hash, "an alias");
    return add(std::move(node));
  }
  if (reader.acceptWord("callsite")) {
    node.kind = Node::Kind::CallSite;
    reader.expect('(', "after 'callsite'");
    node.first = readBody(reader);
    reader.expectWord("at", "between the callee and the caller of a location");
    node.second = readBody(reader);
    reader.expect(')', "after a call site");
    return add(std::move(node));
  }
  if (reader.acceptWord("fused"))
    return readFused(reader);
  if (!reader.at(Token::Kind::String))
    reader.failExpected("a location",
                        "locations are \"file\":line:column, \"name\"(..), callsite(.. at ..), fused[..], unknown");
  node.text = reader.takeString("a file or a name");
  if (reader.accept(':')) {
    node.kind = Node::Kind::File;
    node.line = static_cast<uint32_t>(reader.takeInteger("a line"));
    reader.expect(':', "after a line");
    node.column = static_cast<uint32_t>(reader.takeInteger("a column"));
    bool isRange = reader.acceptWord("to");
    while (isRange && (reader.accept(':') || reader.accept(Token::Kind::Integer)))
      ;
    return add(std::move(node));
  }
  node.kind = Node::Kind::Name;
  if (reader.accept('(')) {
    node.first = readBody(reader);
    reader.expect(')', "after a named location");
  }
  return add(std::move(node));
}

/// Several locations became one: the first that is known says enough.
Locations::NodeId Locations::readFused(TokenReader &reader) {
  if (reader.accept('<'))
    reader.takeBalanced('>');
  reader.expect('[', "after 'fused'");
  NodeId fused = readBody(reader);
  while (reader.accept(',')) {
    Node node;
    node.kind = Node::Kind::Either;
    node.first = fused;
    node.second = readBody(reader);
    fused = add(std::move(node));
  }
  reader.expect(']', "after fused locations");
  return fused;
}

ir::LocId Locations::idOf(NodeId id, ir::Module &module, unsigned depth) {
  if (id == ir::kNone || depth > kMaxChain)
    return ir::kNone;
  if (visited[id])
    return resolved[id]; // also ends a circle of aliases
  visited[id] = true;
  const Node &node = nodes[id];
  ir::Location location;
  switch (node.kind) {
  case Node::Kind::Unknown:
    return ir::kNone;
  case Node::Kind::Alias: {
    auto found = aliases.find(node.text);
    resolved[id] = found == aliases.end() ? ir::kNone : idOf(found->second, module, depth + 1);
    return resolved[id];
  }
  case Node::Kind::Either: {
    ir::LocId first = idOf(node.first, module, depth + 1);
    return resolved[id] = first != ir::kNone ? first : idOf(node.second, module, depth + 1);
  }
  case Node::Kind::File:
    location.file = node.text;
    location.line = node.line;
    location.column = node.column;
    break;
  case Node::Kind::Name: {
    ir::LocId child = idOf(node.first, module, depth + 1);
    if (child != ir::kNone)
      location = module.locations[child];
    location.name = node.text;
    break;
  }
  case Node::Kind::CallSite:
    return resolved[id] = idOfCall(node, module, depth);
  }
  module.locations.push_back(std::move(location));
  return resolved[id] = static_cast<ir::LocId>(module.locations.size() - 1);
}

/// The callee's chain of calls, copied, with the caller behind it.
ir::LocId Locations::idOfCall(const Node &node, ir::Module &module, unsigned depth) {
  ir::LocId caller = idOf(node.second, module, depth + 1);
  std::vector<ir::Location> chain;
  ir::LocId callee = idOf(node.first, module, depth + 1);
  for (ir::LocId at = callee; at != ir::kNone && chain.size() < kMaxChain; at = module.locations[at].callSite)
    chain.push_back(module.locations[at]);
  if (chain.empty())
    return caller; // the position inside the callee is not known
  for (size_t i = chain.size(); i-- > 0;) {
    chain[i].callSite = caller;
    module.locations.push_back(std::move(chain[i]));
    caller = static_cast<ir::LocId>(module.locations.size() - 1);
  }
  return caller;
}

void Locations::resolve(ir::Module &module) {
  resolved.assign(nodes.size(), ir::kNone);
  visited.assign(nodes.size(), false);
  for (ir::Function &function : module.functions) {
    function.location = idOf(function.location, module, 0);
    for (ir::Op &op : function.ops)
      op.location = idOf(op.location, module, 0);
  }
}

} // namespace opw::ttir
