// Private to this folder: the recursive-descent reader of TTIR. Its parts are module_reader.cpp (module, functions,
// aliases), attributes.cpp, ops.cpp (ops by their row in formats.cpp), generic_form.cpp, structured_ops.cpp (ops with a
// form of their own).
#pragma once

#include "frontend/ttir/formats.h"
#include "frontend/ttir/locations.h"
#include "ir/module.h"
#include "ir/region_reader.h"

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace opw::ttir {

class ModuleReader : public ir::RegionReader {
public:
  ModuleReader(TokenReader &reader, ir::Module &module) : RegionReader(reader), module(module) {}

  void readText();
  /// Fills in which op and which function a mistake is in.
  void addContext(Diagnostic &diagnostic) const;

private:
  /// An op while it is read: what its text says so far.
  struct Draft {
    ir::OpKind kind;
    Token where;
    std::vector<ResultName> names;
    std::vector<ir::ValueId> operands;
    std::vector<ir::Type> operandTypes; ///< as written
    std::vector<ir::Type> resultTypes;
    ir::Attributes attributes;
    std::vector<ir::Successor> successors;
  };

  // module_reader.cpp
  void readModule();
  void readFunctions();
  void readAlias();
  void readFunction();
  void readArguments(ir::Function &function, ir::BlockId entry);
  std::vector<ir::Type> readResultTypes();
  std::string readSymbol();
  ir::LocId readLocation(const Token &where);

  // attributes.cpp
  ir::Attributes readDictionary();
  void addDictionary(ir::Attributes &attributes);
  ir::Attribute readAttribute();
  ir::Attribute readNumberAttribute();
  ir::Attribute readWordAttribute();
  ir::Attribute readArray();
  ir::Attribute readDense();
  ir::Attribute readHash();
  std::string readAttributeName();

  // ops.cpp: each reads one op, appends it and returns it
  void readOp(ir::BlockId block) override;
  void readArgumentSuffix() override;
  ir::OpId readPretty(Draft &draft, ir::BlockId block);
  void readPiece(std::string_view piece, Draft &draft);
  void readOperandPiece(std::string_view piece, Draft &draft);
  void readTypePiece(std::string_view piece, Draft &draft);
  void readFlags();
  void readHints(Draft &draft);
  void readKeyword(Draft &draft, std::string_view name);
  void readFunctionType(Draft &draft);
  std::vector<ir::Type> readTypes();
  std::vector<ir::Type> readTypesInBrackets();
  void finishResults(Draft &draft, Results rule);
  void checkWrittenTypes(const Draft &draft, Typed typed);
  void normaliseAttributes(Draft &draft);
  ir::OpKind readKind(Draft &draft);
  /// Makes the op of the draft and appends it; its regions and names come later.
  ir::OpId create(Draft &draft, ir::BlockId block);
  /// The end of every op: location, type rule, names.
  void finish(Draft &draft, ir::OpId id);

  // generic_form.cpp
  ir::OpId readGeneric(Draft &draft, ir::BlockId block);
  void distributeSegments(Draft &draft);

  // structured_ops.cpp: kNone when the op has a row in formats.cpp
  ir::OpId readStructured(Draft &draft, ir::BlockId block);
  void readConstant(Draft &draft);
  ir::Attribute readConstantValue(ir::Type &type);
  void readDotScaled(Draft &draft);
  void readInlineAsm(Draft &draft);
  void readPrint(Draft &draft);
  void readBranch(Draft &draft);
  ir::Successor readSuccessor();
  ir::OpId readFor(Draft &draft, ir::BlockId block);
  ir::OpId readIf(Draft &draft, ir::BlockId block);
  ir::OpId readWhile(Draft &draft, ir::BlockId block);
  struct Carried {
    std::vector<Token> names;
    std::vector<ir::ValueId> values;
  };
  Carried readCarried();
  /// The types written for carried values must be those of the values.
  void checkCarried(const Carried &carried, const std::vector<ir::Type> &types);
  ir::BlockId carriedBlock(ir::OpId owner, const Carried &carried, const std::vector<ir::Type> &types);
  /// A region whose scf.yield may be left out where it passes nothing.
  ir::Region readBody(ir::OpId owner, ir::BlockId entry);

  ir::Module &module;
  Locations locations;
  std::unordered_map<std::string, ir::Attribute> attributeAliases;
  std::string_view currentOp;
  std::string currentFunction;
};

} // namespace opw::ttir
