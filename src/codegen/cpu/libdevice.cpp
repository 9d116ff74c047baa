// Calls of libdevice functions: which one, in which type, in place or as a function of the module.
#include "codegen/cpu/libdevice.h"
#include "support/check.h"

namespace opw::cpu {

using namespace ir;
using libdevice::Place;
using libdevice::Symbol;

namespace {

constexpr std::string_view kPrefix = "__nv_";

llvm::Type *typeOfCode(llvm::LLVMContext &context, char code) {
  switch (code) {
  case 'f':
    return llvm::Type::getFloatTy(context);
  case 'd':
    return llvm::Type::getDoubleTy(context);
  case 'i':
    return llvm::Type::getInt32Ty(context);
  default:
    return llvm::Type::getInt64Ty(context);
  }
}

llvm::Type *withLanes(llvm::Type *type, unsigned lanes) {
  return lanes ? llvm::FixedVectorType::get(type, lanes) : type;
}

/// The float type that the function computes in.
char leading(const std::string &types) {
  size_t at = types.find_first_of("fd");
  return at == std::string::npos ? 'd' : types[at];
}

llvm::Value *make(llvm::IRBuilder<> &b, const Level &level, const Symbol &symbol, unsigned lanes,
                  llvm::ArrayRef<llvm::Value *> in) {
  char code = leading(symbol.types);
  bool isExact = symbol.function->place == Place::Exact;
  bool raised = (isExact || symbol.function->place == Place::Double) && code == 'f';
  llvm::Type *type = withLanes(raised ? b.getDoubleTy() : typeOfCode(b.getContext(), code), lanes);
  MathBuilder m(b, level, type, raised && !isExact ? 24 : 53);
  llvm::SmallVector<llvm::Value *, 4> arguments(in);
  for (llvm::Value *&argument : arguments)
    if (raised && argument->getType()->isFPOrFPVectorTy())
      argument = b.CreateFPExt(argument, type);
  llvm::Value *result = symbol.function->make(m, arguments);
  llvm::Type *wanted = withLanes(typeOfCode(b.getContext(), symbol.types[0]), lanes);
  return raised && result->getType() != wanted ? b.CreateFPTrunc(result, wanted) : result;
}

} // namespace

Symbol libdevice::find(std::string_view text) {
  if (!text.starts_with(kPrefix))
    return {};
  text.remove_prefix(kPrefix.size());
  for (const Function &function : functions()) {
    std::string_view name = function.name;
    if (!text.starts_with(name))
      continue;
    std::string types = function.types;
    bool both = types.find('r') != std::string::npos,
         narrow = both && text.size() == name.size() + 1 && text.back() == 'f';
    if (!narrow && text != name)
      continue;
    for (char &code : types)
      if (code == 'r')
        code = narrow ? 'f' : 'd';
    return {&function, types};
  }
  return {};
}

llvm::Function *Emitter::libdeviceFunction(const Symbol &symbol, unsigned lanes) {
  bool narrow = leading(symbol.types) == 'f';
  std::string name = std::string("opw.") + symbol.function->name + (narrow ? ".f32x" : ".f64x") + std::to_string(lanes);
  llvm::Function *&function = kernels[name];
  if (function)
    return function;
  llvm::SmallVector<llvm::Type *, 4> parameters;
  for (char code : symbol.types.substr(2))
    parameters.push_back(withLanes(typeOfCode(context, code), lanes));
  auto *type = llvm::FunctionType::get(withLanes(typeOfCode(context, symbol.types[0]), lanes), parameters, false);
  function = llvm::Function::Create(type, llvm::GlobalValue::InternalLinkage, name, target);
  llvm::Function *result = function; // `function` may move when what is emitted needs functions itself
  beginEntry(result);
  result->addFnAttr(llvm::Attribute::NoInline);
  result->addFnAttr(llvm::Attribute::WillReturn);
  result->setDoesNotAccessMemory();
  llvm::IRBuilder<> plain(context); // without fast-math flags: every fusion is written out
  plain.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", result));
  llvm::SmallVector<llvm::Value *, 4> in;
  for (llvm::Argument &argument : result->args())
    in.push_back(&argument);
  plain.CreateRet(make(plain, level, symbol, lanes, in));
  return result;
}

llvm::Value *Emitter::callLibdevice(const Symbol &symbol, llvm::ArrayRef<llvm::Value *> in) {
  OPW_CHECK(symbol.function, "a function of libdevice that the table lacks");
  auto *vector = llvm::dyn_cast<llvm::FixedVectorType>(in[0]->getType());
  unsigned lanes = vector ? vector->getNumElements() : 0;
  llvm::FastMathFlags saved = b.getFastMathFlags();
  b.clearFastMathFlags();
  llvm::Value *result;
  switch (symbol.function->place) {
  case Place::Here:
    result = make(b, level, symbol, lanes, in);
    break;
  case Place::Remainder: {
    MathBuilder m(b, level, in[0]->getType());
    result = symbol.function->make
                 ? symbol.function->make(m, {in[0], in[1], remainder(m.abs(in[0]), m.abs(m.add(in[1], in[1])))})
                 : remainder(in[0], in[1]);
    break;
  }
  default:
    result = b.CreateCall(libdeviceFunction(symbol, lanes), in);
  }
  b.setFastMathFlags(saved);
  return result;
}

llvm::Value *Emitter::external(const Op &op, llvm::ArrayRef<llvm::Value *> in) {
  std::string text(op.attributes.textOr("symbol", ""));
  Symbol symbol = libdevice::find(text);
  if (!symbol.function)
    refuse("the external function '" + text + "' is not known, expected one of Triton's libdevice (__nv_...)",
           "write it in Triton, or with a function of docs/math.md");
  auto nameOf = [](char code) -> std::string {
    return code == 'f' ? "f32" : code == 'd' ? "f64" : code == 'i' ? "i32" : "i64";
  };
  std::string expected, found;
  for (char code : symbol.types.substr(2))
    expected += (expected.empty() ? "" : ", ") + nameOf(code);
  for (ValueId v : op.operands)
    found += (found.empty() ? "" : ", ") + fn.type(v).str();
  const Type &type = fn.type(op.results[0]);
  if (expected != found || type.str() != nameOf(symbol.types[0]))
    refuse("'" + text + "' is used as (" + found + ") -> " + type.str() + ", expected (" + expected + ") -> " +
               nameOf(symbol.types[0]),
           "convert the arguments");
  return callLibdevice(symbol, in);
}

} // namespace opw::cpu
