#include "ir/parser.h"

#include "ir/number_reader.h"
#include "ir/region_reader.h"
#include "ir/type_reader.h"
#include "ir/typing.h"

namespace opw::ir {

namespace {

class Parser : public RegionReader {
public:
  Parser(TokenReader &reader, Module &module, const std::string &fileName)
      : RegionReader(reader), module(module), fileName(fileName) {}

  void readModule() {
    if (reader.acceptWord("module"))
      module.attributes = readDictionary();
    while (!reader.at(Token::Kind::End)) {
      if (reader.atWord("loc"))
        readLocationLine();
      else
        readFunction();
    }
    placeLocations();
  }

private:
  // --- functions

  void readFunction() {
    Token where = reader.current();
    reader.expectWord("func", "at the top of the text");
    Function function;
    function.isPublic = reader.acceptWord("public");
    function.name = readSymbol();
    startFunction(function);
    BlockId entry = function.addBlock();
    reader.expect('(', "after the name of a function");
    if (!reader.accept(')')) {
      do
        readArgument(function, entry);
      while (reader.accept(','));
      reader.expect(')', "after the arguments of a function");
    }
    if (reader.accept(Token::Kind::Arrow)) {
      reader.expect('(', "before the result types of a function");
      function.resultTypes = readTypes();
      reader.expect(')', "after the result types of a function");
    }
    if (reader.acceptWord("attributes"))
      function.attributes = readDictionary();
    function.location = readLocation(where);
    if (reader.at('{'))
      function.body = readRegion(kNone, entry);
    else if (!function.block(entry).arguments.empty())
      reader.failExpected("'{' to begin the body of a function with arguments");
    module.functions.push_back(std::move(function));
  }

  void readArgument(Function &function, BlockId entry) {
    Token name = reader.current();
    reader.take(Token::Kind::Value, "the name of an argument");
    reader.expect(':', "after the name of an argument");
    define(name, function.addArgument(entry, readType(reader)), 1);
    function.argumentAttributes.push_back(reader.at('{') ? readDictionary() : Attributes());
  }

  std::vector<Type> readTypes() {
    std::vector<Type> types;
    if (!atType(reader))
      return types;
    do
      types.push_back(readType(reader));
    while (reader.accept(','));
    return types;
  }

  // --- ops

  void readOp(BlockId block) override {
    std::vector<ResultName> names = readResultNames();
    Token where = reader.current();
    OpKind kind;
    if (!reader.at(Token::Kind::Word) || !findOp(where.text, kind))
      reader.failExpected("the name of an op");
    reader.advance();
    Number constant;
    bool hasConstant = kind == OpKind::Constant && atNumber(reader);
    if (hasConstant)
      constant = readNumber(reader);
    std::vector<ValueId> operands;
    std::vector<Successor> successors;
    readOperands(kind, operands, successors);
    Attributes attributes;
    if (reader.at('{') && !atRegion())
      attributes = readDictionary();
    std::vector<Type> types;
    if (reader.accept(':'))
      types = readTypes();
    if (hasConstant) {
      if (types.size() != 1)
        reader.fail(where, "expected one result type for a constant");
      attributes.set("value", numberAttribute(reader, constant, types[0].elem));
    }
    LocId location = readLocation(where);
    OpId id = fn->addOp(kind, std::move(operands), types, location);
    fn->op(id).attributes = std::move(attributes);
    fn->op(id).successors = std::move(successors);
    fn->append(block, id);
    readRegions(id);
    bindResults(names, id);
  }

  void readOperands(OpKind kind, std::vector<ValueId> &operands, std::vector<Successor> &successors) {
    // What follows an op without operands is the next op, and behind any but a branch a block is the next one of the
    // region.
    bool branches = kind == OpKind::Br || kind == OpKind::CondBr;
    auto atBlock = [&] { return branches && reader.at(Token::Kind::Block); };
    bool atUse = reader.at(Token::Kind::Value) && takesOperands(kind);
    if (!atUse && !atBlock())
      return;
    do {
      if (!atBlock()) {
        operands.push_back(readUse());
        continue;
      }
      Successor successor{readBlockUse(), {}};
      if (reader.accept('(')) {
        successor.arguments = readUses();
        reader.expect(')', "after the arguments of a block");
      }
      successors.push_back(std::move(successor));
    } while (reader.accept(','));
  }

  /// At '{': a region begins with a block, a result, an op, or is empty; attribute names are never names of ops.
  bool atRegion() {
    Token next = reader.peek();
    OpKind ignored;
    bool isOp = next.kind == Token::Kind::Word && findOp(next.text, ignored);
    return isOp || next.kind == Token::Kind::Block || next.kind == Token::Kind::Value || next.is('}');
  }

  void readRegions(OpId id) {
    unsigned expected = regionCount(fn->op(id).kind);
    std::vector<Region> regions;
    while (reader.at('{')) {
      size_t mark = enterScope();
      regions.push_back(readRegion(id));
      leaveScope(mark);
    }
    if (regions.size() < expected)
      regions.resize(expected);
    fn->op(id).regions = std::move(regions);
  }

  // --- attributes

  std::string readSymbol() {
    std::string_view text = reader.take(Token::Kind::Symbol, "a symbol");
    return text[0] == '"' ? unquote(text) : std::string(text);
  }

  std::string readName() {
    if (reader.at(Token::Kind::String))
      return reader.takeString("a name");
    return std::string(reader.take(Token::Kind::Word, "the name of an attribute"));
  }

  Attributes readDictionary() {
    Attributes attributes;
    reader.expect('{', "to begin attributes");
    if (reader.accept('}'))
      return attributes;
    do {
      std::string name = readName();
      attributes.set(std::move(name), reader.accept('=') ? readAttribute() : Attribute::unit());
    } while (reader.accept(','));
    reader.expect('}', "after attributes");
    return attributes;
  }

  Attribute readNumberAttribute() {
    Number number = readNumber(reader);
    if (reader.accept(':')) {
      Type type = readType(reader);
      if (!type.isScalar() || type.isPointer())
        reader.fail(number.token, "found a number of type " + type.str() + ", expected a scalar type");
      return numberAttribute(reader, number, type.elem);
    }
    if (number.token.kind == Token::Kind::Float)
      reader.fail(number.token, "a float needs a type, as in 1.5 : f32");
    return numberAttribute(reader, number, Elem::I64);
  }

  Attribute readAttribute() {
    TokenReader::Nested nested(reader);
    if (atNumber(reader))
      return readNumberAttribute();
    if (atType(reader))
      return Attribute::typeOf(readType(reader));
    switch (reader.current().kind) {
    case Token::Kind::String:
      return Attribute::string(reader.takeString("a string"));
    case Token::Kind::Symbol:
      return Attribute::symbol(readSymbol());
    case Token::Kind::Word:
      return readWord();
    case Token::Kind::Hash: {
      std::string name(reader.take(Token::Kind::Hash, "a name"));
      reader.expect('<', "after the name of an attribute");
      return readList(std::move(name), '>');
    }
    default:
      break;
    }
    if (reader.accept('['))
      return readList({}, ']');
    if (reader.accept('{'))
      return readList({}, '}');
    reader.failExpected("an attribute");
  }

  Attribute readWord() {
    if (reader.acceptWord("true"))
      return Attribute::boolean(true);
    if (reader.acceptWord("false"))
      return Attribute::boolean(false);
    if (reader.acceptWord("unit"))
      return Attribute::unit();
    if (reader.acceptWord("keyword"))
      return Attribute::keyword(reader.takeString("the text of a keyword"));
    return Attribute::keyword(std::string(reader.take(Token::Kind::Word, "a word")));
  }

  /// Behind the opening bracket. In braces an item has a name first; in other brackets a word followed by '=' is a
  /// name.
  Attribute readList(std::string name, char close) {
    Attribute list;
    list.kind = Attribute::Kind::List;
    list.text = std::move(name);
    bool numbers = close == ']';
    if (!reader.accept(close)) {
      do {
        bool isName = reader.at(Token::Kind::Word) || reader.at(Token::Kind::String);
        isName = isName && (close == '}' || reader.peek().is('='));
        std::string key = isName ? readName() : std::string();
        bool hasValue = !isName || reader.accept('=');
        Attribute value = hasValue ? readAttribute() : Attribute::unit();
        numbers = numbers && value.kind == Attribute::Kind::Int && value.type == Type::scalar(Elem::I64);
        list.items.emplace_back(std::move(key), std::move(value));
      } while (reader.accept(','));
      reader.expect(close, "after a list");
    }
    if (!numbers)
      return list;
    std::vector<int64_t> values;
    for (const auto &[key, value] : list.items)
      values.push_back(value.integer);
    return Attribute::ints(std::move(values));
  }

  // --- locations

  /// loc(3) where it stands, else the place of the op in this text.
  LocId readLocation(const Token &where) {
    if (!reader.acceptWord("loc")) {
      placed.push_back({.file = fileName, .line = where.line, .column = where.column, .callSite = kNone, .name = {}});
      return kPlaced | static_cast<LocId>(placed.size() - 1);
    }
    reader.expect('(', "after 'loc'");
    LocId id = readLocationId();
    reader.expect(')', "after a location");
    return id;
  }

  LocId readLocationId() {
    Token where = reader.current();
    int64_t id = reader.takeInteger("the number of a location");
    if (id < 0 || id >= kPlaced)
      reader.fail(where, "location " + std::to_string(id) + " is out of range");
    return static_cast<LocId>(id);
  }

  void readLocationLine() {
    reader.expectWord("loc", "");
    Token where = reader.current();
    if (readLocationId() != module.locations.size())
      reader.fail(where, "expected location " + std::to_string(module.locations.size()) + ", the table is in order");
    reader.expect('=', "after the number of a location");
    Location location;
    location.file = reader.takeString("a file name");
    reader.expect(':', "after a file name");
    location.line = static_cast<uint32_t>(reader.takeInteger("a line"));
    reader.expect(':', "after a line");
    location.column = static_cast<uint32_t>(reader.takeInteger("a column"));
    if (reader.at(Token::Kind::String))
      location.name = reader.takeString("a name");
    if (reader.acceptWord("at"))
      location.callSite = readLocationId();
    module.locations.push_back(std::move(location));
  }

  /// A text without a table gets one: the places of its ops. In a text with a table, what has no location has none.
  void placeLocations() {
    auto base = static_cast<LocId>(module.locations.size());
    if (base == 0)
      module.locations = std::move(placed);
    auto place = [&](LocId &id) {
      if (id == kNone)
        return;
      if ((id & kPlaced) != 0)
        id = base == 0 ? id & ~kPlaced : kNone;
      else if (id >= base)
        id = kNone;
    };
    for (Function &function : module.functions) {
      place(function.location);
      for (Op &op : function.ops)
        place(op.location);
    }
  }

  static constexpr LocId kPlaced = 1u << 31;

  Module &module;
  const std::string &fileName;
  std::vector<Location> placed;
};

} // namespace

Result<Module> parse(std::string_view text, const std::string &fileName) {
  Module module;
  try {
    TokenReader reader(text, fileName);
    Parser(reader, module, fileName).readModule();
  } catch (SyntaxError &error) {
    return std::move(error.diagnostic);
  }
  return module;
}

} // namespace opw::ir
