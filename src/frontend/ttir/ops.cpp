// Reads ops in their pretty form, following their row in formats.cpp.
#include "frontend/ttir/module_reader.h"
#include "ir/type_reader.h"
#include "ir/typing.h"
#include "support/text.h"

#include <algorithm>

namespace opw::ttir {

using ir::Attribute;
using ir::OpKind;

namespace {

/// Ops of our own are made by passes, never by Triton.
bool isOfTriton(OpKind kind) { return !ir::has(kind, ir::kPlan) && kind != OpKind::Flip; }

/// Names of all ops that TTIR may contain, for hints.
std::vector<std::string_view> knownNames() {
  constexpr OpKind kKinds[] = {
#define OPW_OP(id, text, traits) OpKind::id,
#include "ir/ops.def"
#undef OPW_OP
  };
  std::vector<std::string_view> names;
  for (OpKind kind : kKinds) {
    if (isOfTriton(kind))
      names.push_back(ir::name(kind));
  }
  return names;
}

/// Hints that say nothing are left out.
bool isUsualHint(std::string_view word) { return word == "none" || word == "evict_normal"; }

/// The next piece of a row; removes it from the row.
std::string_view takePiece(std::string_view &row) {
  size_t end = std::min(row.find(' '), row.size());
  std::string_view piece = row.substr(0, end);
  row.remove_prefix(std::min(end + 1, row.size()));
  return piece;
}

} // namespace

OpKind ModuleReader::readKind(Draft &draft) {
  bool generic = reader.at(Token::Kind::String);
  if (!generic && !reader.at(Token::Kind::Word))
    reader.failExpected("an operation");
  std::string text = generic ? unquote(draft.where.text) : std::string(draft.where.text);
  OpKind kind;
  if (!ir::findOp(text, kind) || !isOfTriton(kind)) {
    std::string_view near = nearest(text, knownNames());
    currentOp = {};
    reader.fail(
        draft.where, "unknown operation '" + excerpt(text, 80) + "'",
        (near.empty() ? "" : "is '" + std::string(near) + "' meant? ") +
            std::string(
                "supported are operations of the dialects tt, arith, math, scf and cf, and ttg.barrier, gpu.barrier, "
                "llvm.intr.assume, ub.poison"));
  }
  reader.advance();
  currentOp = ir::name(kind);
  return kind;
}

void ModuleReader::readOp(ir::BlockId block) {
  std::string_view outer = currentOp;
  Draft draft;
  draft.names = readResultNames();
  draft.where = reader.current();
  bool generic = reader.at(Token::Kind::String);
  draft.kind = readKind(draft);
  ir::OpId id = ir::kNone;
  if (generic)
    id = readGeneric(draft, block);
  else if (id = readStructured(draft, block); id == ir::kNone)
    id = readPretty(draft, block);
  currentOp = ir::name(draft.kind);
  finish(draft, id);
  currentOp = outer;
}

void ModuleReader::readArgumentSuffix() {
  if (reader.atWord("loc"))
    locations.read(reader);
}

ir::OpId ModuleReader::create(Draft &draft, ir::BlockId block) {
  normaliseAttributes(draft);
  ir::OpId id = fn->addOp(draft.kind, std::move(draft.operands), draft.resultTypes);
  fn->op(id).attributes = std::move(draft.attributes);
  fn->op(id).successors = std::move(draft.successors);
  fn->append(block, id);
  return id;
}

void ModuleReader::finish(Draft &draft, ir::OpId id) {
  fn->op(id).location = readLocation(draft.where);
  std::string broken = ir::checkOp(*fn, fn->op(id));
  if (!broken.empty())
    reader.fail(draft.where, std::move(broken));
  bindResults(draft.names, id);
}

ir::OpId ModuleReader::readPretty(Draft &draft, ir::BlockId block) {
  Format format = formatOf(draft.kind);
  if (format.text.empty())
    reader.fail(draft.where, "found " + std::string(ir::name(draft.kind)) +
                                 " without quotes, expected its generic form \"" + std::string(ir::name(draft.kind)) +
                                 "\"(...)");
  for (std::string_view row = format.text; !row.empty();)
    readPiece(takePiece(row), draft);
  // The text has the stored tile last, behind the indices; the IR has it second.
  bool storesTile = draft.kind == OpKind::DescriptorStore || draft.kind == OpKind::DescriptorReduce;
  if (storesTile)
    std::rotate(draft.operands.begin() + 1, draft.operands.end() - 1, draft.operands.end());
  checkWrittenTypes(draft, format.typed);
  finishResults(draft, format.results);
  return create(draft, block);
}

void ModuleReader::readPiece(std::string_view piece, Draft &draft) {
  char first = piece[0];
  std::string_view rest = piece.substr(1);
  if (piece == "dict") {
    if (reader.at('{'))
      addDictionary(draft.attributes);
  } else if (piece == "flags") {
    readFlags();
  } else if (piece == "hints") {
    readHints(draft);
  } else if (piece.find('$') != std::string_view::npos) {
    readOperandPiece(piece, draft);
  } else if (piece == "fn") {
    readFunctionType(draft);
  } else if (piece == "t" || piece == "t*" || piece == ":t*" || piece == "r" || piece.front() == '<') {
    readTypePiece(piece, draft);
  } else if (first == '=') {
    readKeyword(draft, rest);
  } else if (piece.substr(0, 2) == "?=") {
    if (reader.accept(',')) {
      reader.expectWord(piece.substr(2), "after ','");
      reader.expect('=', "after the name of an attribute");
      readKeyword(draft, piece.substr(2));
    }
  } else if (first == '?') {
    if (reader.acceptWord(rest))
      draft.attributes.set(std::string(rest), Attribute::unit());
  } else if (first == '\'') {
    draft.attributes.set(std::string(rest), Attribute::string(reader.takeString("a string")));
  } else if (first == '@') {
    draft.attributes.set(std::string(rest), Attribute::symbol(readSymbol()));
  } else if (first == '|') {
    std::string words(reader.take(Token::Kind::Word, "a word"));
    while (reader.accept('|'))
      words += "_" + std::string(reader.take(Token::Kind::Word, "a word"));
    draft.attributes.set(std::string(rest), Attribute::keyword(std::move(words)));
  } else if (piece == "->") {
    reader.expect(Token::Kind::Arrow, "'->' before the type of the result");
  } else if (piece.size() == 1 && !(first >= 'a' && first <= 'z')) {
    reader.expect(first, "here");
  } else {
    reader.expectWord(piece, "here");
  }
}

void ModuleReader::readOperandPiece(std::string_view piece, Draft &draft) {
  auto addUses = [&] {
    for (ir::ValueId use : readUses())
      draft.operands.push_back(use);
  };
  if (piece == "$") {
    draft.operands.push_back(readUse());
  } else if (piece == "?$") {
    if (reader.accept(','))
      draft.operands.push_back(readUse());
  } else if (piece == "$*") {
    addUses();
  } else if (piece == "[$*]") {
    reader.expect('[', "before operands");
    addUses();
    reader.expect(']', "after operands");
  } else if (piece == "timeout$") {
    if (reader.acceptWord("timeout"))
      draft.operands.push_back(readUse());
  }
}

void ModuleReader::readTypePiece(std::string_view piece, Draft &draft) {
  if (piece == "t") {
    draft.operandTypes.push_back(ir::readType(reader));
  } else if (piece == "r") {
    draft.resultTypes.push_back(ir::readType(reader));
  } else if (piece == "<ptr>") {
    draft.operandTypes.push_back(ir::readPointerBody(reader));
  } else if (piece == "<block>") {
    draft.resultTypes.push_back(ir::readPointerBody(reader));
  } else if (piece == "<desc>") {
    draft.resultTypes.push_back(ir::readDescriptorBody(reader));
  } else if (piece == "t*" || reader.accept(':')) {
    draft.operandTypes = readTypes();
  }
}

/// Promises to the optimiser that change no result that is defined here; a rounding other than the usual one would.
void ModuleReader::readFlags() {
  while (reader.at(Token::Kind::Word) && !reader.atWord("to") && !reader.atWord("loc")) {
    bool hasList = reader.atWord("overflow") || reader.atWord("fastmath");
    bool known = hasList || reader.atWord("nneg") || reader.atWord("exact") || reader.atWord("to_nearest_even");
    if (!known)
      reader.failExpected("':'");
    reader.advance();
    if (hasList) {
      reader.expect('<', "after a flag");
      reader.takeBalanced('>');
    }
  }
}

void ModuleReader::readHints(Draft &draft) {
  for (;;) {
    bool named = reader.atWord("cacheModifier") || reader.atWord("evictionPolicy");
    if (named) {
      std::string_view name = reader.current().text;
      reader.advance();
      reader.expect('=', "after the name of an attribute");
      readKeyword(draft, name);
    } else if (reader.acceptWord("ignore_cta")) {
      draft.attributes.set("ignore_cta", Attribute::unit());
    } else {
      return;
    }
  }
}

void ModuleReader::readKeyword(Draft &draft, std::string_view name) {
  draft.attributes.set(std::string(name), Attribute::keyword(std::string(reader.take(Token::Kind::Word, "a word"))));
}

std::vector<ir::Type> ModuleReader::readTypes() {
  std::vector<ir::Type> types;
  do
    types.push_back(ir::readType(reader));
  while (reader.accept(','));
  return types;
}

std::vector<ir::Type> ModuleReader::readTypesInBrackets() {
  reader.expect('(', "before types");
  if (reader.accept(')'))
    return {};
  std::vector<ir::Type> types = readTypes();
  reader.expect(')', "after types");
  return types;
}

void ModuleReader::readFunctionType(Draft &draft) {
  draft.operandTypes = readTypesInBrackets();
  if (draft.operandTypes.size() != draft.operands.size())
    reader.fail(draft.where, "found " + counted(draft.operands.size(), "operand") + " and " +
                                 counted(draft.operandTypes.size(), "operand type"));
  reader.expect(Token::Kind::Arrow, "'->' after the types of operands");
  if (reader.at('('))
    draft.resultTypes = readTypesInBrackets();
  else
    draft.resultTypes.push_back(ir::readType(reader));
}

void ModuleReader::checkWrittenTypes(const Draft &draft, Typed typed) {
  auto check = [&](size_t operand, const ir::Type &written) {
    const ir::Type &type = fn->type(draft.operands[operand]);
    if (type != written)
      reader.fail(draft.where, "operand " + std::to_string(operand + 1) + " has type " + type.str() +
                                   ", the text says " + written.str());
  };
  const std::vector<ir::Type> &types = draft.operandTypes;
  size_t shift = typed == Typed::Rest ? 1 : 0;
  switch (typed) {
  case Typed::All:
    for (size_t i = 0; i < draft.operands.size(); ++i)
      check(i, types[0]);
    return;
  case Typed::Select:
    if (types.size() == 2)
      check(0, types[0]);
    for (size_t i = 1; i < draft.operands.size(); ++i)
      check(i, types.back());
    return;
  default:
    if (types.size() + shift > draft.operands.size())
      reader.fail(draft.where, "found " + counted(draft.operands.size(), "operand") + " and " +
                                   counted(types.size() + shift, "operand type"));
    for (size_t i = 0; i < types.size(); ++i)
      check(i + shift, types[i]);
  }
  // scf.yield and its like name the type of everything that they pass.
  bool passes = ir::has(draft.kind, ir::kTerminator);
  if (passes && types.size() + shift != draft.operands.size())
    reader.fail(draft.where, "found " + counted(draft.operands.size(), "operand") + " and " +
                                 counted(types.size() + shift, "operand type"));
}

void ModuleReader::finishResults(Draft &draft, Results rule) {
  std::vector<ir::Type> &results = draft.resultTypes;
  const std::vector<ir::Type> &types = draft.operandTypes;
  switch (rule) {
  case Results::None:
  case Results::Text:
    break;
  case Results::Twice:
    results.push_back(results[0]);
    break;
  case Results::First:
    results.push_back(types.front());
    break;
  case Results::Last:
    results.push_back(types.back());
    break;
  case Results::Mask:
    results.push_back(ir::maskOf(types.front()));
    break;
  case Results::Element:
    results.push_back(types.front().element());
    break;
  case Results::Pointee: {
    ir::Type type = types.front();
    bool isBlock = type.kind == ir::TypeKind::BlockPointer;
    bool isPointer = type.kind == ir::TypeKind::Value && type.isPointer();
    if (!isBlock && !isPointer)
      reader.fail(draft.where, "found " + type.str() + ", expected pointers");
    if (isBlock)
      type.kind = ir::TypeKind::Value;
    results.push_back(isBlock ? type : ir::pointeeOf(type));
    break;
  }
  }
}

/// One form for what versions of Triton and the generic form write differently.
void ModuleReader::normaliseAttributes(Draft &draft) {
  ir::Attributes normal;
  for (const auto &[name, value] : draft.attributes) {
    const Enumeration *enumeration = enumerationOf(draft.kind, name);
    bool isFlag = name == "fastmath" || name == "overflowFlags"; // as readFlags
    bool isDefault = name == "isVolatile" && value.kind == Attribute::Kind::Bool && value.integer == 0;
    if (isFlag || isDefault || name == "operandSegmentSizes" || name == "resultSegmentSizes") {
      continue;
    } else if (name == "cachePolicy" && value.kind == Attribute::Kind::List) {
      for (const auto &[key, word] : value.items) {
        if (!isUsualHint(word.text))
          normal.set(key == "cache_modifier" ? "cacheModifier" : "evictionPolicy", word);
      }
    } else if (enumeration != nullptr && value.kind == Attribute::Kind::Int) {
      std::string_view words = enumeration->words;
      for (int64_t i = enumeration->first; i < value.integer && !words.empty(); ++i)
        takePiece(words);
      std::string_view word = value.integer < enumeration->first ? std::string_view() : takePiece(words);
      bool all = name == "propagateNan" && value.integer == 0xFFFF;
      bool isHint = enumeration->irName == "cacheModifier" || enumeration->irName == "evictionPolicy";
      if (!isHint || !isUsualHint(word))
        normal.set(std::string(enumeration->irName), Attribute::keyword(std::string(all ? "all" : word)));
    } else {
      normal.set(name, value);
    }
  }
  draft.attributes = std::move(normal);
}

} // namespace opw::ttir
