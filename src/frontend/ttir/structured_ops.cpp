// Reads the ops whose pretty form is their own: constants, control flow, and a few of tt.
#include "frontend/ttir/module_reader.h"
#include "ir/number_reader.h"
#include "ir/type_reader.h"
#include "support/text.h"

#include <algorithm>

namespace opw::ttir {

using ir::Attribute;
using ir::OpKind;

ir::OpId ModuleReader::readStructured(Draft &draft, ir::BlockId block) {
  switch (draft.kind) {
  case OpKind::Constant:
    readConstant(draft);
    break;
  case OpKind::DotScaled:
    readDotScaled(draft);
    break;
  case OpKind::ElementwiseInlineAsm:
    readInlineAsm(draft);
    break;
  case OpKind::Print:
    readPrint(draft);
    break;
  case OpKind::Br:
  case OpKind::CondBr:
    readBranch(draft);
    break;
  case OpKind::For:
    return readFor(draft, block);
  case OpKind::If:
    return readIf(draft, block);
  case OpKind::While:
    return readWhile(draft, block);
  default:
    return ir::kNone;
  }
  return create(draft, block);
}

/// true, 5 : i32, 1.0 : f32, dense<5> : tensor<8xi32>, dense<true> : tensor<8xi1>
Attribute ModuleReader::readConstantValue(ir::Type &type) {
  bool dense = reader.acceptWord("dense");
  if (dense)
    reader.expect('<', "after 'dense'");
  Token where = reader.current();
  bool isBool = reader.atWord("true") || reader.atWord("false");
  bool value = reader.atWord("true");
  ir::Number number;
  if (dense && (reader.at('[') || reader.at(Token::Kind::String)))
    reader.fail(where, "found a list of numbers, expected one number for all elements",
                "Triton makes tiles of different constants from tl.arange and tl.where");
  if (isBool)
    reader.advance();
  else
    number = ir::readNumber(reader);
  if (dense)
    reader.expect('>', "after the value of a constant");
  type = ir::Type::scalar(ir::Elem::I1);
  if (!isBool || dense) {
    reader.expect(':', "before the type of a constant");
    type = ir::readType(reader);
  }
  bool fits = type.kind == ir::TypeKind::Value && !type.isPointer() && (!isBool || type.elem == ir::Elem::I1) &&
              type.isTile() == dense;
  if (!fits)
    reader.fail(where, "found a constant of type " + type.str() + ", expected " +
                           (dense ? "a tile of numbers" : "a scalar number"));
  return isBool ? Attribute::integerOf(value ? 1 : 0, ir::Elem::I1) : ir::numberAttribute(reader, number, type.elem);
}

void ModuleReader::readConstant(Draft &draft) {
  if (reader.at('{'))
    addDictionary(draft.attributes);
  ir::Type type;
  draft.attributes.set("value", readConstantValue(type));
  draft.resultTypes.push_back(type);
}

/// %a scale %sa, %b scale %sb, %c lhs = e4m3 rhs = e5m2 {..} : A, SA * B, SB -> C, each scale optional
void ModuleReader::readDotScaled(Draft &draft) {
  std::vector<ir::ValueId> tiles, scales;
  for (std::string_view side : {"lhsScale", "rhsScale"}) {
    tiles.push_back(readUse());
    if (reader.acceptWord("scale")) {
      scales.push_back(readUse());
      draft.attributes.set(std::string(side), Attribute::unit());
    }
    reader.expect(',', "between operands");
  }
  tiles.push_back(readUse());
  for (std::string_view side : {"lhs", "rhs"}) {
    reader.expectWord(side, "after operands");
    reader.expect('=', "after the name of an attribute");
    readKeyword(draft, side);
  }
  if (reader.at('{'))
    addDictionary(draft.attributes);
  reader.expect(':', "before types");
  std::vector<ir::Type> types = readTypes();
  reader.expect('*', "between the types of the factors");
  std::vector<ir::Type> right = readTypes();
  size_t leftCount = draft.attributes.has("lhsScale") ? 2 : 1;
  size_t rightCount = draft.attributes.has("rhsScale") ? 2 : 1;
  if (types.size() != leftCount || right.size() != rightCount)
    reader.fail(draft.where, "expected a type for each factor and each scale");
  reader.expect(Token::Kind::Arrow, "'->' before the type of the result");
  draft.resultTypes.push_back(ir::readType(reader));
  draft.operands = {tiles[0], tiles[1]};
  draft.operandTypes = {types[0], right[0]};
  checkWrittenTypes(draft, Typed::Each);
  draft.operands.push_back(tiles[2]);
  draft.operands.insert(draft.operands.end(), scales.begin(), scales.end());
}

/// "text" {..} %a, %b : T, T -> R, R
void ModuleReader::readInlineAsm(Draft &draft) {
  draft.attributes.set("asm_string", Attribute::string(reader.takeString("the text of the assembly")));
  if (reader.at('{'))
    addDictionary(draft.attributes);
  draft.operands = readUses();
  if (!draft.operands.empty()) {
    reader.expect(':', "before types");
    draft.operandTypes = readTypes();
  }
  checkWrittenTypes(draft, Typed::Each);
  reader.expect(Token::Kind::Arrow, "'->' before the types of results");
  draft.resultTypes = readTypes();
}

/// "prefix" {..} : %a, %b : T, T
void ModuleReader::readPrint(Draft &draft) {
  draft.attributes.set("prefix", Attribute::string(reader.takeString("the prefix")));
  if (reader.at('{'))
    addDictionary(draft.attributes);
  if (!reader.accept(':'))
    return;
  draft.operands = readUses();
  reader.expect(':', "before types");
  draft.operandTypes = readTypes();
  checkWrittenTypes(draft, Typed::Each);
}

/// ^bb1 or ^bb1(%a, %b : T, T)
ir::Successor ModuleReader::readSuccessor() {
  Token where = reader.current();
  ir::Successor successor{readBlockUse(), {}};
  if (!reader.accept('('))
    return successor;
  successor.arguments = readUses();
  reader.expect(':', "before the types of a block's arguments");
  std::vector<ir::Type> types = readTypes();
  bool fits = types.size() == successor.arguments.size();
  for (size_t i = 0; fits && i < types.size(); ++i)
    fits = types[i] == fn->type(successor.arguments[i]);
  if (!fits)
    reader.fail(where, "the types written for the block's arguments are not those of the values");
  reader.expect(')', "after the arguments of a block");
  return successor;
}

void ModuleReader::readBranch(Draft &draft) {
  if (draft.kind == OpKind::CondBr) {
    draft.operands.push_back(readUse());
    if (reader.acceptWord("weights")) {
      reader.expect('(', "after 'weights'");
      reader.takeBalanced(')');
    }
    reader.expect(',', "after the condition");
    draft.successors.push_back(readSuccessor());
    reader.expect(',', "between the blocks of a branch");
  }
  draft.successors.push_back(readSuccessor());
  if (reader.at('{'))
    addDictionary(draft.attributes);
}

/// (%a = %x, %b = %y)
ModuleReader::Carried ModuleReader::readCarried() {
  Carried carried;
  reader.expect('(', "before carried values");
  if (reader.accept(')'))
    return carried;
  do {
    carried.names.push_back(reader.current());
    reader.take(Token::Kind::Value, "the name of a carried value");
    reader.expect('=', "after the name of a carried value");
    carried.values.push_back(readUse());
  } while (reader.accept(','));
  reader.expect(')', "after carried values");
  return carried;
}

void ModuleReader::checkCarried(const Carried &carried, const std::vector<ir::Type> &types) {
  if (types.size() != carried.values.size())
    reader.failExpected(counted(carried.values.size(), "type") + " for the carried values (there are " +
                        std::to_string(types.size()) + ")");
  for (size_t i = 0; i < types.size(); ++i) {
    if (fn->type(carried.values[i]) != types[i])
      reader.fail(carried.names[i], "carried value %" + excerpt(carried.names[i].text) + " starts as " +
                                        fn->type(carried.values[i]).str() + ", its type says " + types[i].str());
  }
}

ir::BlockId ModuleReader::carriedBlock(ir::OpId owner, const Carried &carried, const std::vector<ir::Type> &types) {
  ir::BlockId block = fn->addBlock(owner);
  for (size_t i = 0; i < types.size(); ++i)
    define(carried.names[i], fn->addArgument(block, types[i]), 1);
  return block;
}

ir::Region ModuleReader::readBody(ir::OpId owner, ir::BlockId entry) {
  Token where = reader.current();
  ir::Region region = readRegion(owner, entry);
  if (region.blocks.empty())
    region.blocks.push_back(fn->addBlock(owner));
  ir::BlockId last = region.blocks.back();
  bool ends = !fn->block(last).ops.empty() && ir::has(fn->op(fn->block(last).ops.back()).kind, ir::kTerminator);
  if (!ends)
    fn->append(last, fn->addOp(OpKind::Yield, {}, {}, locations.place(reader.rangeOf(where))));
  return region;
}

/// %i = %lo to %hi step %s iter_args(%a = %x) -> (T) : i32 { ... } {..}
ir::OpId ModuleReader::readFor(Draft &draft, ir::BlockId block) {
  if (reader.acceptWord("unsigned"))
    draft.attributes.set("unsignedCmp", Attribute::unit());
  Token variable = reader.current();
  reader.take(Token::Kind::Value, "the name of the loop variable");
  reader.expect('=', "after the loop variable");
  draft.operands.push_back(readUse());
  reader.expectWord("to", "after the lower bound");
  draft.operands.push_back(readUse());
  reader.expectWord("step", "after the upper bound");
  draft.operands.push_back(readUse());
  Carried carried;
  if (reader.acceptWord("iter_args")) {
    carried = readCarried();
    reader.expect(Token::Kind::Arrow, "'->' after carried values");
    draft.resultTypes = reader.at('(') ? readTypesInBrackets() : readTypes();
    checkCarried(carried, draft.resultTypes);
  }
  ir::Type type = fn->type(draft.operands[0]);
  if (reader.accept(':')) {
    Token where = reader.current();
    ir::Type written = ir::readType(reader);
    if (written != type)
      reader.fail(where, "the bounds have type " + type.str() + ", the text says " + written.str());
  }
  draft.operands.insert(draft.operands.end(), carried.values.begin(), carried.values.end());
  std::vector<ir::Type> types = draft.resultTypes;
  ir::OpId id = create(draft, block);
  size_t mark = enterScope();
  carried.names.insert(carried.names.begin(), variable);
  types.insert(types.begin(), type);
  ir::Region body = readBody(id, carriedBlock(id, carried, types));
  leaveScope(mark);
  fn->op(id).regions.push_back(std::move(body));
  if (reader.at('{')) {
    ir::Attributes attributes = std::move(fn->op(id).attributes);
    addDictionary(attributes);
    fn->op(id).attributes = std::move(attributes);
  }
  return id;
}

/// %c -> (T) { ... } else { ... } {..}
ir::OpId ModuleReader::readIf(Draft &draft, ir::BlockId block) {
  draft.operands.push_back(readUse());
  if (reader.accept(Token::Kind::Arrow))
    draft.resultTypes = reader.at('(') ? readTypesInBrackets() : readTypes();
  ir::OpId id = create(draft, block);
  std::vector<ir::Region> regions;
  size_t mark = enterScope();
  regions.push_back(readBody(id, ir::kNone));
  leaveScope(mark);
  regions.emplace_back();
  if (reader.acceptWord("else")) {
    regions.back() = readBody(id, ir::kNone);
    leaveScope(mark);
  }
  ir::Attributes attributes;
  if (reader.at('{'))
    addDictionary(attributes);
  fn->op(id).attributes = std::move(attributes);
  fn->op(id).regions = std::move(regions);
  return id;
}

/// (%a = %x) : (T) -> (R) { ... } do { ^bb0(%b: R): ... } attributes {..}
ir::OpId ModuleReader::readWhile(Draft &draft, ir::BlockId block) {
  Carried carried;
  if (reader.at('('))
    carried = readCarried();
  reader.expect(':', "before the types of scf.while");
  std::vector<ir::Type> types = readTypesInBrackets();
  checkCarried(carried, types);
  reader.expect(Token::Kind::Arrow, "'->' before the types of results");
  draft.resultTypes = reader.at('(') ? readTypesInBrackets() : readTypes();
  draft.operands = carried.values;
  ir::OpId id = create(draft, block);
  std::vector<ir::Region> regions;
  size_t mark = enterScope();
  regions.push_back(readRegion(id, carriedBlock(id, carried, types)));
  leaveScope(mark);
  reader.expectWord("do", "between the regions of scf.while");
  regions.push_back(readBody(id, ir::kNone));
  leaveScope(mark);
  if (reader.acceptWord("attributes")) {
    ir::Attributes attributes;
    addDictionary(attributes);
    fn->op(id).attributes = std::move(attributes);
  }
  fn->op(id).regions = std::move(regions);
  return id;
}

} // namespace opw::ttir
