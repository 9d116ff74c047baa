#include "ir/region_reader.h"

#include "ir/type_reader.h"
#include "support/text.h"

#include <algorithm>

namespace opw::ir {

namespace {

bool isNumber(std::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// More results than any op has; keeps "%a:4000000000" cheap.
constexpr int64_t kMaxResults = 4096;

} // namespace

void RegionReader::startFunction(Function &function) {
  fn = &function;
  bindings.clear();
  defined.clear();
  regions.clear();
}

ValueId RegionReader::readUse() {
  Token name = reader.current();
  reader.take(Token::Kind::Value, "a value");
  auto found = bindings.find(name.text);
  if (found == bindings.end())
    reader.fail(name, "value %" + excerpt(name.text) + " is not defined here");
  uint32_t index = 0;
  bool hasIndex = reader.at(Token::Kind::Hash) && !reader.current().text.empty() && isNumber(reader.current().text);
  if (hasIndex) {
    Token number = reader.current();
    for (char c : number.text.substr(0, 6))
      index = index * 10 + static_cast<uint32_t>(c - '0');
    reader.advance();
  }
  if (index >= found->second.count)
    reader.fail(name, "%" + excerpt(name.text) + " has " + counted(found->second.count, "result") + ", found number " +
                          std::to_string(index));
  if (!hasIndex && found->second.count > 1)
    reader.fail(name, "%" + excerpt(name.text) + " stands for " + counted(found->second.count, "result") +
                          ", expected one of them, as in %" + excerpt(name.text) + "#0");
  return found->second.first + index;
}

std::vector<ValueId> RegionReader::readUses() {
  std::vector<ValueId> uses;
  if (!reader.at(Token::Kind::Value))
    return uses;
  do
    uses.push_back(readUse());
  while (reader.accept(','));
  return uses;
}

std::vector<RegionReader::ResultName> RegionReader::readResultNames() {
  std::vector<ResultName> names;
  if (!reader.at(Token::Kind::Value))
    return names;
  do {
    ResultName name{reader.current(), 1};
    reader.take(Token::Kind::Value, "the name of a result");
    if (reader.accept(':')) {
      Token where = reader.current();
      int64_t count = reader.takeInteger("the number of results");
      if (count < 1 || count > kMaxResults)
        reader.fail(where, "found " + std::to_string(count) + " results, expected 1 to " + std::to_string(kMaxResults));
      name.count = static_cast<uint32_t>(count);
    }
    names.push_back(name);
  } while (reader.accept(','));
  reader.expect('=', "after the names of results");
  return names;
}

void RegionReader::bindResults(const std::vector<ResultName> &names, OpId op) {
  const std::vector<ValueId> &results = fn->op(op).results;
  uint64_t count = 0;
  for (const ResultName &name : names)
    count += name.count;
  if (names.empty())
    return;
  if (count != results.size())
    reader.fail(names[0].token, "found names for " + counted(count, "result") + ", the op " +
                                    std::string(name(fn->op(op).kind)) + " has " + std::to_string(results.size()));
  size_t next = 0;
  for (const ResultName &name : names) {
    define(name.token, results[next], name.count);
    next += name.count;
  }
}

void RegionReader::define(const Token &name, ValueId first, uint32_t count) {
  if (!bindings.emplace(name.text, Binding{first, count}).second)
    reader.fail(name, "value %" + excerpt(name.text) + " is defined twice");
  defined.push_back(name.text);
  if (!isNumber(name.text))
    fn->values[first].name = name.text;
}

void RegionReader::leaveScope(size_t mark) {
  for (size_t i = mark; i < defined.size(); ++i)
    bindings.erase(defined[i]);
  defined.resize(mark);
}

RegionReader::Label &RegionReader::labelAt(const Token &name, OpId owner) {
  Labels &labels = regions.back().second;
  auto found = labels.find(name.text);
  if (found == labels.end())
    found = labels.emplace(name.text, Label{fn->addBlock(owner), name, false}).first;
  return found->second;
}

BlockId RegionReader::readBlockUse() {
  Token name = reader.current();
  reader.take(Token::Kind::Block, "a block");
  return labelAt(name, regions.back().first).block;
}

BlockId RegionReader::readBlockHeader(OpId owner) {
  Token name = reader.current();
  reader.take(Token::Kind::Block, "a block");
  Label &label = labelAt(name, owner);
  if (label.defined)
    reader.fail(name, "block ^" + excerpt(name.text) + " is defined twice");
  label.defined = true;
  BlockId block = label.block;
  if (reader.accept('(') && !reader.accept(')')) {
    do {
      Token argument = reader.current();
      reader.take(Token::Kind::Value, "the name of a block argument");
      reader.expect(':', "after the name of a block argument");
      define(argument, fn->addArgument(block, readType(reader)), 1);
      readArgumentSuffix();
    } while (reader.accept(','));
    reader.expect(')', "after block arguments");
  }
  reader.expect(':', "after a block");
  return block;
}

Region RegionReader::readRegion(OpId owner, BlockId entry) {
  TokenReader::Nested nested(reader);
  reader.expect('{', "to begin a region");
  regions.emplace_back(owner, Labels());
  Region region;
  BlockId current = entry;
  if (entry != kNone)
    region.blocks.push_back(entry);
  while (!reader.accept('}')) {
    if (reader.at(Token::Kind::Block)) {
      current = readBlockHeader(owner);
      region.blocks.push_back(current);
      continue;
    }
    if (current == kNone) {
      current = fn->addBlock(owner);
      region.blocks.push_back(current);
    }
    readOp(current);
  }
  for (const auto &[text, label] : regions.back().second) {
    if (!label.defined)
      reader.fail(label.token, "block ^" + excerpt(text) + " is not defined in its region");
  }
  regions.pop_back();
  return region;
}

} // namespace opw::ir
