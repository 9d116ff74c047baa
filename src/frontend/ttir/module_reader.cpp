#include "frontend/ttir/module_reader.h"

#include "ir/type_reader.h"
#include "support/text.h"

namespace opw::ttir {

void ModuleReader::readText() {
  while (reader.at(Token::Kind::Hash))
    readAlias();
  bool wrapped = reader.atWord("module") || reader.atWord("builtin.module");
  if (wrapped)
    readModule();
  else
    readFunctions();
  while (reader.at(Token::Kind::Hash))
    readAlias();
  if (!reader.at(Token::Kind::End))
    reader.failExpected("the end of the text");
  if (module.functions.empty())
    reader.fail(reader.current(), "the module has no function", "pass the text of a module that Triton made");
  locations.resolve(module);
}

void ModuleReader::addContext(Diagnostic &diagnostic) const {
  if (diagnostic.op.empty())
    diagnostic.op = currentOp;
  diagnostic.kernel = currentFunction;
}

void ModuleReader::readModule() {
  Token where = reader.current();
  reader.advance();
  if (reader.at(Token::Kind::Symbol))
    reader.advance();
  if (reader.acceptWord("attributes"))
    module.attributes = readDictionary();
  reader.expect('{', "to begin the module");
  readFunctions();
  reader.expect('}', "after the last function of the module");
  readLocation(where);
}

void ModuleReader::readFunctions() {
  while (!reader.at('}') && !reader.at(Token::Kind::End)) {
    if (reader.at(Token::Kind::Hash))
      readAlias();
    else
      readFunction();
  }
}

/// #loc12 = loc(...), or #name = attribute.
void ModuleReader::readAlias() {
  std::string name(reader.take(Token::Kind::Hash, "an alias"));
  reader.expect('=', "after the name of an alias");
  if (reader.atWord("loc"))
    locations.define(name, reader);
  else
    attributeAliases[name] = readAttribute();
}

std::string ModuleReader::readSymbol() {
  std::string_view text = reader.take(Token::Kind::Symbol, "a symbol");
  return text[0] == '"' ? unquote(text) : std::string(text);
}

ir::LocId ModuleReader::readLocation(const Token &where) {
  return reader.atWord("loc") ? locations.read(reader) : locations.place(reader.rangeOf(where));
}

void ModuleReader::readFunction() {
  Token where = reader.current();
  if (!reader.acceptWord("tt.func"))
    reader.failExpected("tt.func", "pass the module as the Triton front end makes it, in its usual (not generic) form");
  ir::Function function;
  if (reader.acceptWord("private") || reader.acceptWord("nested"))
    function.isPublic = false;
  else
    reader.acceptWord("public");
  function.name = readSymbol();
  currentFunction = function.name;
  startFunction(function);
  ir::BlockId entry = function.addBlock();
  readArguments(function, entry);
  if (reader.accept(Token::Kind::Arrow))
    function.resultTypes = readResultTypes();
  if (reader.acceptWord("attributes"))
    function.attributes = readDictionary();
  if (reader.at('{'))
    function.body = readRegion(ir::kNone, entry);
  function.location = readLocation(where);
  module.functions.push_back(std::move(function));
  currentFunction.clear();
}

void ModuleReader::readArguments(ir::Function &function, ir::BlockId entry) {
  reader.expect('(', "before the arguments of a function");
  if (reader.accept(')'))
    return;
  do {
    Token name = reader.current();
    if (!reader.accept(Token::Kind::Value))
      reader.failExpected("the name of an argument");
    reader.expect(':', "after the name of an argument");
    define(name, function.addArgument(entry, ir::readType(reader)), 1);
    function.argumentAttributes.push_back(reader.at('{') ? readDictionary() : ir::Attributes());
    readArgumentSuffix();
  } while (reader.accept(','));
  reader.expect(')', "after the arguments of a function");
}

/// T or (T {attributes}, ...).
std::vector<ir::Type> ModuleReader::readResultTypes() {
  std::vector<ir::Type> types;
  if (!reader.accept('(')) {
    types.push_back(ir::readType(reader));
    return types;
  }
  if (reader.accept(')'))
    return types;
  do {
    types.push_back(ir::readType(reader));
    if (reader.at('{'))
      readDictionary();
  } while (reader.accept(','));
  reader.expect(')', "after the result types of a function");
  return types;
}

} // namespace opw::ttir
