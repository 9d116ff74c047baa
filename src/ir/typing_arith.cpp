// Rules of arith, math and the elementwise ops of tt.
#include "ir/typing_rules.h"

namespace opw::ir {

namespace {

constexpr std::string_view kIntPredicates[] = {"eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge"};
constexpr std::string_view kFloatPredicates[] = {"false", "oeq", "ogt", "oge", "olt", "ole", "one", "ord",
                                                 "ueq",   "ugt", "uge", "ult", "ule", "une", "uno", "true"};

void requireIntegers(const Type &type) {
  if (!type.isIntegerLike())
    OpView::fail("found " + type.str() + ", expected integers");
}

void requireFloats(const Type &type) {
  if (!type.isFloatLike())
    OpView::fail("found " + type.str() + ", expected floats");
}

void allSame(const OpView &view) {
  for (size_t i = 1; i < view.operandCount(); ++i)
    view.operandIs(i, view.in(0));
  view.resultIs(view.in(0));
}

void sameIntegers(const OpView &view) {
  requireIntegers(view.in(0));
  allSame(view);
}

void sameFloats(const OpView &view) {
  requireFloats(view.in(0));
  allSame(view);
}

void constant(const OpView &view) {
  const Type &type = view.out();
  const Attribute *value = view.op.attributes.find("value");
  bool isNumber = type.kind == TypeKind::Value && !type.isPointer();
  OpView::require(isNumber, "expected a scalar or a tile of numbers as the result of a constant");
  Attribute::Kind expected = isFloat(type.elem) ? Attribute::Kind::Float : Attribute::Kind::Int;
  OpView::require(value != nullptr && value->kind == expected, "expected a value of the kind of the result");
  OpView::same(value->type, Type::scalar(type.elem), "the value");
}

void compare(const OpView &view) {
  if (view.op.kind == OpKind::CmpI) {
    requireIntegers(view.in(0));
    view.keyword("predicate", kIntPredicates);
  } else {
    requireFloats(view.in(0));
    view.keyword("predicate", kFloatPredicates);
  }
  view.operandIs(1, view.in(0));
  view.resultIs(maskOf(view.in(0)));
}

/// Conversions: which kinds of element go in and out, and which side is wider.
void convert(const OpView &view) {
  const Type &from = view.in(0);
  const Type &to = view.out();
  view.sameShape(from, to);
  OpKind kind = view.op.kind;
  bool fromInteger = kind == OpKind::ExtSI || kind == OpKind::ExtUI || kind == OpKind::TruncI ||
                     kind == OpKind::SIToFP || kind == OpKind::UIToFP || kind == OpKind::IndexCast;
  bool toInteger = kind == OpKind::ExtSI || kind == OpKind::ExtUI || kind == OpKind::TruncI || kind == OpKind::FPToSI ||
                   kind == OpKind::FPToUI || kind == OpKind::IndexCast;
  fromInteger ? requireIntegers(from) : requireFloats(from);
  toInteger ? requireIntegers(to) : requireFloats(to);
  bool widens = kind == OpKind::ExtSI || kind == OpKind::ExtUI || kind == OpKind::ExtF;
  bool narrows = kind == OpKind::TruncI || kind == OpKind::TruncF;
  bool wrongWay =
      (widens && from.elementBits() >= to.elementBits()) || (narrows && from.elementBits() <= to.elementBits());
  if (wrongWay)
    OpView::fail("cannot convert " + from.str() + " to " + to.str() + ", expected a " +
                 (widens ? "wider" : "narrower") + " result");
}

void bitcast(const OpView &view) {
  const Type &from = view.in(0);
  const Type &to = view.out();
  view.sameShape(from, to);
  bool pointers = from.isPointer() || to.isPointer();
  if (view.op.kind == OpKind::ArithBitcast)
    OpView::require(!pointers, "found pointers, expected numbers");
  if (from.elementBits() != to.elementBits())
    OpView::fail("cannot reinterpret " + from.str() + " as " + to.str() + ", expected the same width");
}

void select(const OpView &view) {
  const Type &condition = view.in(0);
  bool scalarCondition = condition == Type::scalar(Elem::I1);
  if (!scalarCondition) {
    view.sameShape(condition, view.in(1));
    view.operandIs(0, maskOf(view.in(1)));
  }
  view.operandIs(2, view.in(1));
  view.resultIs(view.in(1));
}

void pointerInteger(const OpView &view) {
  bool toInteger = view.op.kind == OpKind::PtrToInt;
  const Type &pointer = toInteger ? view.in(0) : view.out();
  const Type &integer = toInteger ? view.out() : view.in(0);
  OpView::require(pointer.isPointer() && pointer.kind == TypeKind::Value, "expected pointers on one side");
  OpView::same(integer, pointer.withElem(Elem::I64), "the integer side");
}

void floatToFloat(const OpView &view) {
  requireFloats(view.in(0));
  requireFloats(view.out());
  view.sameShape(view.in(0), view.out());
  if (view.op.attributes.has("rounding"))
    view.keyword("rounding", {"rtne", "rtz"});
}

void clamp(const OpView &view) {
  sameFloats(view);
  view.keyword("propagateNan", {"none", "all"});
}

void addPointer(const OpView &view) {
  if (!view.in(0).isPointer() || view.in(0).kind != TypeKind::Value)
    OpView::fail("found " + view.in(0).str() + ", expected pointers");
  requireIntegers(view.in(1));
  view.sameShape(view.in(0), view.in(1));
  view.resultIs(view.in(0));
}

/// Calls by symbol and assembly: operands and results are scalars or tiles of one shape.
void opaque(const OpView &view) {
  const Type *shape = nullptr;
  auto check = [&](const Type &type) {
    OpView::require(type.kind == TypeKind::Value, "expected scalars or tiles");
    if (type.isTile() && shape != nullptr)
      view.sameShape(*shape, type);
    if (type.isTile())
      shape = &type;
  };
  for (size_t i = 0; i < view.operandCount(); ++i)
    check(view.in(i));
  for (size_t i = 0; i < view.op.results.size(); ++i)
    check(view.out(i));
  if (view.op.kind == OpKind::ExternElementwise) {
    const Attribute *symbol = view.op.attributes.find("symbol");
    OpView::require(symbol != nullptr && symbol->kind == Attribute::Kind::String,
                    "expected a string attribute 'symbol'");
  }
}

} // namespace

bool ruleOfArith(OpKind kind, Rule &rule) {
  switch (kind) {
  case OpKind::Constant:
    rule = {0, 0, 1, 0, constant};
    return true;
  case OpKind::AddI:
  case OpKind::SubI:
  case OpKind::MulI:
  case OpKind::DivSI:
  case OpKind::DivUI:
  case OpKind::CeilDivSI:
  case OpKind::FloorDivSI:
  case OpKind::RemSI:
  case OpKind::RemUI:
  case OpKind::AndI:
  case OpKind::OrI:
  case OpKind::XOrI:
  case OpKind::ShlI:
  case OpKind::ShrSI:
  case OpKind::ShrUI:
  case OpKind::MinSI:
  case OpKind::MinUI:
  case OpKind::MaxSI:
  case OpKind::MaxUI:
  case OpKind::MulhiUI:
    rule = {2, 2, 1, 0, sameIntegers};
    return true;
  case OpKind::AbsI:
    rule = {1, 1, 1, 0, sameIntegers};
    return true;
  case OpKind::AddF:
  case OpKind::SubF:
  case OpKind::MulF:
  case OpKind::DivF:
  case OpKind::RemF:
  case OpKind::MinNumF:
  case OpKind::MaxNumF:
  case OpKind::MinimumF:
  case OpKind::MaximumF:
  case OpKind::PreciseDivF:
  case OpKind::ApproxDivF:
    rule = {2, 2, 1, 0, sameFloats};
    return true;
  case OpKind::NegF:
  case OpKind::Floor:
  case OpKind::Ceil:
  case OpKind::Exp:
  case OpKind::Exp2:
  case OpKind::Log:
  case OpKind::Log2:
  case OpKind::Sin:
  case OpKind::Cos:
  case OpKind::Tanh:
  case OpKind::Erf:
  case OpKind::Sqrt:
  case OpKind::Rsqrt:
  case OpKind::AbsF:
  case OpKind::PreciseSqrt:
    rule = {1, 1, 1, 0, sameFloats};
    return true;
  case OpKind::Fma:
    rule = {3, 3, 1, 0, sameFloats};
    return true;
  case OpKind::CmpI:
  case OpKind::CmpF:
    rule = {2, 2, 1, 0, compare};
    return true;
  case OpKind::ExtSI:
  case OpKind::ExtUI:
  case OpKind::TruncI:
  case OpKind::IndexCast:
  case OpKind::ExtF:
  case OpKind::TruncF:
  case OpKind::SIToFP:
  case OpKind::UIToFP:
  case OpKind::FPToSI:
  case OpKind::FPToUI:
    rule = {1, 1, 1, 0, convert};
    return true;
  case OpKind::ArithBitcast:
  case OpKind::Bitcast:
    rule = {1, 1, 1, 0, bitcast};
    return true;
  case OpKind::Select:
    rule = {3, 3, 1, 0, select};
    return true;
  case OpKind::PtrToInt:
  case OpKind::IntToPtr:
    rule = {1, 1, 1, 0, pointerInteger};
    return true;
  case OpKind::FpToFp:
    rule = {1, 1, 1, 0, floatToFloat};
    return true;
  case OpKind::ClampF:
    rule = {3, 3, 1, 0, clamp};
    return true;
  case OpKind::AddPtr:
    rule = {2, 2, 1, 0, addPointer};
    return true;
  case OpKind::ExternElementwise:
    rule = {0, kAny, 1, 0, opaque};
    return true;
  case OpKind::ElementwiseInlineAsm:
    rule = {0, kAny, kAny, 0, opaque};
    return true;
  default:
    return false;
  }
}

} // namespace opw::ir
