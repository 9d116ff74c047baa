#include "frontend/ttir/module_reader.h"
#include "ir/number_reader.h"
#include "ir/type_reader.h"
#include "support/text.h"

namespace opw::ttir {

using ir::Attribute;
using ir::Elem;

namespace {

/// Shapes of dense attributes are those of hints: one number per dimension.
constexpr uint64_t kMaxDense = 1024;

} // namespace

std::string ModuleReader::readAttributeName() {
  if (reader.at(Token::Kind::String))
    return reader.takeString("the name of an attribute");
  return std::string(reader.take(Token::Kind::Word, "the name of an attribute"));
}

void ModuleReader::addDictionary(ir::Attributes &attributes) {
  reader.expect('{', "to begin attributes");
  if (reader.accept('}'))
    return;
  do {
    Token where = reader.current();
    std::string name = readAttributeName();
    if (attributes.has(name))
      reader.fail(where, "attribute '" + excerpt(name) + "' is given twice");
    // The value of a constant in generic form is as in its pretty form; elsewhere a dense attribute is a short list.
    ir::Type ignored;
    bool isConstant = name == "value" && currentOp == ir::name(ir::OpKind::Constant);
    bool hasValue = reader.accept('=');
    attributes.set(std::move(name), !hasValue    ? Attribute::unit()
                                    : isConstant ? readConstantValue(ignored)
                                                 : readAttribute());
  } while (reader.accept(','));
  reader.expect('}', "after attributes");
}

ir::Attributes ModuleReader::readDictionary() {
  ir::Attributes attributes;
  addDictionary(attributes);
  return attributes;
}

Attribute ModuleReader::readAttribute() {
  TokenReader::Nested nested(reader);
  if (ir::atNumber(reader))
    return readNumberAttribute();
  if (ir::atType(reader))
    return Attribute::typeOf(ir::readType(reader));
  switch (reader.current().kind) {
  case Token::Kind::String:
    return Attribute::string(reader.takeString("a string"));
  case Token::Kind::Symbol:
    return Attribute::symbol(readSymbol());
  case Token::Kind::Word:
    return readWordAttribute();
  case Token::Kind::Hash:
    return readHash();
  default:
    break;
  }
  Attribute list;
  list.kind = Attribute::Kind::List;
  if (reader.at('{')) {
    for (const auto &[name, value] : readDictionary())
      list.items.emplace_back(name, value);
    return list;
  }
  if (!reader.accept('['))
    reader.failExpected("an attribute");
  if (reader.accept(']'))
    return list;
  do
    list.items.emplace_back(std::string(), readAttribute());
  while (reader.accept(','));
  reader.expect(']', "after a list");
  return list;
}

/// 16 : i32, 1.0 : f32; without a type i64 and f64.
Attribute ModuleReader::readNumberAttribute() {
  ir::Number number = ir::readNumber(reader);
  bool isFloat = number.token.kind == Token::Kind::Float;
  if (!reader.accept(':') || reader.acceptWord("index"))
    return ir::numberAttribute(reader, number, isFloat ? Elem::F64 : Elem::I64);
  Token where = reader.current();
  ir::Type type = ir::readType(reader);
  if (!type.isScalar() || type.isPointer())
    reader.fail(where, "found a number of type " + type.str() + ", expected a scalar type");
  return ir::numberAttribute(reader, number, type.elem);
}

Attribute ModuleReader::readWordAttribute() {
  if (reader.acceptWord("true"))
    return Attribute::boolean(true);
  if (reader.acceptWord("false"))
    return Attribute::boolean(false);
  if (reader.acceptWord("unit"))
    return Attribute::unit();
  if (reader.acceptWord("array"))
    return readArray();
  if (reader.acceptWord("dense"))
    return readDense();
  reader.failExpected("an attribute",
                      "supported are numbers, strings, true, false, unit, symbols, types, array<..>, dense<..>, "
                      "lists, dictionaries and #dialect.name<..>");
}

/// array<i32: 1, 0>, array<i32>, behind the word.
Attribute ModuleReader::readArray() {
  reader.expect('<', "after 'array'");
  Token where = reader.current();
  ir::Type type = ir::readType(reader);
  if (!type.isScalar() || !type.isIntegerLike())
    reader.fail(where, "found an array of " + type.str() + ", expected integers");
  std::vector<int64_t> values;
  if (reader.accept(':') && !reader.at('>')) {
    do {
      bool isWord = reader.atWord("true") || reader.atWord("false");
      if (isWord) {
        values.push_back(reader.atWord("true") ? 1 : 0);
        reader.advance();
      } else {
        values.push_back(ir::numberAttribute(reader, ir::readNumber(reader), type.elem).integer);
      }
    } while (reader.accept(','));
  }
  reader.expect('>', "after an array");
  return Attribute::ints(std::move(values));
}

/// dense<16> : tensor<2xi32>, dense<[16, 1]> : tensor<2xi32>, behind the word; one dimension of integers, as hints
/// have.
Attribute ModuleReader::readDense() {
  reader.expect('<', "after 'dense'");
  std::vector<int64_t> values;
  bool isList = reader.accept('[');
  if (!reader.at('>') && !reader.at(']')) {
    do
      values.push_back(reader.takeInteger("an integer"));
    while (isList && reader.accept(','));
  }
  if (isList)
    reader.expect(']', "after a list of integers");
  reader.expect('>', "after 'dense'");
  reader.expect(':', "before the type of a dense attribute");
  Token where = reader.current();
  bool isShaped = reader.acceptWord("tensor") || reader.acceptWord("vector");
  if (!isShaped)
    reader.failExpected("a tensor type");
  reader.expect('<', "before a shape");
  uint64_t size = 1, extent = 0;
  while (size <= kMaxDense && reader.takeDimension(extent))
    size = extent > kMaxDense ? extent : size * extent;
  if (size > kMaxDense)
    reader.fail(where, "a dense attribute of more than " + std::to_string(kMaxDense) + " numbers");
  ir::readType(reader);
  reader.expect('>', "after a tensor type");
  if (!isList && !values.empty())
    values.assign(size, values[0]);
  if (values.size() != size)
    reader.fail(where, "found " + counted(values.size(), "number") + " for " + counted(size, "element"));
  return Attribute::ints(std::move(values));
}

/// An alias, or #dialect.name<..>: cache policies are read, others kept as their text.
Attribute ModuleReader::readHash() {
  Token where = reader.current();
  std::string name(reader.take(Token::Kind::Hash, "an attribute"));
  auto alias = attributeAliases.find(name);
  if (alias != attributeAliases.end())
    return alias->second;
  if (name.find('.') == std::string::npos)
    reader.fail(where, "alias #" + excerpt(name) + " is not defined");
  Attribute list;
  list.kind = Attribute::Kind::List;
  list.text = name;
  if (!reader.accept('<'))
    return list;
  if (name != "tt.cache_policy") {
    list.items.emplace_back(std::string(), Attribute::string(std::string(reader.takeBalanced('>'))));
    return list;
  }
  do {
    std::string key = readAttributeName();
    reader.expect('=', "after a name");
    list.items.emplace_back(std::move(key), Attribute::keyword(std::string(reader.take(Token::Kind::Word, "a word"))));
  } while (reader.accept(','));
  reader.expect('>', "after a cache policy");
  return list;
}

} // namespace opw::ttir
