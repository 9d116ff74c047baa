#include "frontend/ttir/formats.h"

namespace opw::ttir {

using ir::OpKind;

namespace {

constexpr Format kUnary{"$ flags dict : t", Typed::All, Results::First};
constexpr Format kBinary{"$ , $ flags dict : t", Typed::All, Results::First};
constexpr Format kTernary{"$ , $ , $ flags dict : t", Typed::All, Results::First};
constexpr Format kCompare{"=predicate , $ , $ flags dict : t", Typed::All, Results::Mask};
constexpr Format kCast{"$ flags dict : t to r", Typed::Each, Results::Text};
constexpr Format kMove{"$ dict : t -> r", Typed::Each, Results::Text};
constexpr Format kPass{"$* dict :t*", Typed::Each, Results::None};

} // namespace

Format formatOf(OpKind kind) {
  switch (kind) {
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
  case OpKind::MulhiUI:
    return kBinary;
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
  case OpKind::AbsI:
  case OpKind::PreciseSqrt:
    return kUnary;
  case OpKind::Fma:
    return kTernary;
  case OpKind::ClampF:
    return {"$ , $ , $ ?=propagateNan dict : t", Typed::All, Results::First};
  case OpKind::CmpI:
  case OpKind::CmpF:
    return kCompare;
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
  case OpKind::ArithBitcast:
    return kCast;
  case OpKind::Select:
    return {"$ , $ , $ flags dict : t*", Typed::Select, Results::Last};

  case OpKind::PtrToInt:
  case OpKind::IntToPtr:
  case OpKind::Bitcast:
  case OpKind::Splat:
  case OpKind::ExpandDims:
  case OpKind::Broadcast:
  case OpKind::Trans:
    return kMove;
  case OpKind::FpToFp:
    return {"$ dict ?=rounding dict : t -> r", Typed::Each, Results::Text};
  case OpKind::AddPtr:
    return {"$ , $ dict : t , t", Typed::Each, Results::First};
  case OpKind::ExternElementwise:
    return {"$* dict : fn", Typed::Each, Results::Text};
  case OpKind::GetProgramId:
  case OpKind::GetNumPrograms:
    return {"=axis dict : r", Typed::Each, Results::Text};
  case OpKind::MakeRange:
  case OpKind::Poison:
    return {"dict : r", Typed::Each, Results::Text};
  case OpKind::Unsplat:
    return {"$ dict : t", Typed::Each, Results::Element};
  case OpKind::Reshape:
    return {"$ ?allow_reorder ?efficient_layout dict : t -> r", Typed::Each, Results::Text};
  case OpKind::Join:
  case OpKind::Cat:
    return {"$ , $ dict : t -> r", Typed::All, Results::Text};
  case OpKind::Split:
    return {"$ dict : t -> r", Typed::Each, Results::Twice};
  case OpKind::Gather:
    return {"$ [$*] dict : fn", Typed::Each, Results::Text};
  case OpKind::Histogram:
    return {"$ ?$ dict : t -> r", Typed::Each, Results::Text};
  case OpKind::Dot:
    return {"$ , $ , $ ?=inputPrecision dict : t * t -> r", Typed::Each, Results::Text};

  case OpKind::Load:
    return {"$ ?$ ?$ hints dict : t", Typed::Each, Results::Pointee};
  case OpKind::Store:
    return {"$ , $ ?$ hints dict : t", Typed::Each, Results::None};
  case OpKind::AtomicRmw:
    return {"=atomic_rmw_op , =sem , =scope , $ , $ ?$ dict : fn", Typed::Each, Results::Text};
  case OpKind::AtomicCas:
    return {"=sem , =scope , $ , $ , $ dict : fn", Typed::Each, Results::Text};
  case OpKind::AtomicPoll:
    return {"=sem , =scope , $ , $ timeout$ dict : t , t -> r", Typed::Each, Results::Text};
  case OpKind::AtomicLoad:
    return {"=sem , =scope , $ ?$ dict : fn", Typed::Each, Results::Text};
  case OpKind::AtomicStore:
    return {"=sem , =scope , $ , $ ?$ dict : t", Typed::Each, Results::None};
  case OpKind::MakeTensorPtr:
    return {"$ , [$*] , [$*] , [$*] dict : <block>", Typed::Each, Results::Text};
  case OpKind::Advance:
    return {"$ , [$*] dict : <ptr>", Typed::Each, Results::First};
  case OpKind::MakeTensorDescriptor:
    return {"$ , [$*] , [$*] dict : <ptr> , <desc>", Typed::Each, Results::Text};
  case OpKind::DescriptorLoad:
    return {"$ [$*] hints dict : t -> r", Typed::Each, Results::Text};
  case OpKind::DescriptorStore:
    return {"$ [$*] , $ dict : t , t", Typed::Each, Results::None};
  case OpKind::DescriptorReduce:
    return {"=kind , $ [$*] , $ dict : t , t", Typed::Each, Results::None};
  case OpKind::DescriptorGather:
    return {"$ [$*] dict : fn", Typed::Each, Results::Text};
  case OpKind::DescriptorScatter:
    return {"$ [$*] , $ dict : t , t , t , t", Typed::Each, Results::None};

  case OpKind::ReduceReturn:
  case OpKind::ScanReturn:
  case OpKind::MapElementwiseReturn:
  case OpKind::Return:
  case OpKind::Yield:
    return kPass;
  case OpKind::Condition:
    return {"( $ ) $* dict :t*", Typed::Rest, Results::None};
  case OpKind::Call:
    return {"@callee ( $* ) dict : fn", Typed::Each, Results::Text};
  case OpKind::Assert:
    return {"$ , 'message dict : t", Typed::Each, Results::None};
  case OpKind::Assume:
    return {"$ dict : t", Typed::Each, Results::None};
  case OpKind::Barrier:
    return {"|addrSpace dict", Typed::Each, Results::None};
  case OpKind::GpuBarrier:
  case OpKind::GridDependencyWait:
  case OpKind::GridDependencyLaunchDependents:
    return {"dict", Typed::Each, Results::None};
  default:
    return {};
  }
}

const Enumeration *enumerationOf(OpKind kind, std::string_view attribute) {
  static constexpr Enumeration kIntPredicate = {"predicate", "predicate", 0, "eq ne slt sle sgt sge ult ule ugt uge"};
  static constexpr Enumeration kFloatPredicate = {"predicate", "predicate", 0,
                                                  "false oeq ogt oge olt ole one ord ueq ugt uge ult ule une uno true"};
  static constexpr Enumeration kAxis = {"axis", "axis", 0, "x y z"};
  static constexpr Enumeration kOthers[] = {
      {"sem", "sem", 1, "relaxed acquire release acq_rel"},
      {"scope", "scope", 1, "gpu cta sys"},
      {"atomic_rmw_op", "atomic_rmw_op", 1, "and or xor add fadd max min umax umin exch"},
      {"kind", "kind", 1, "add min max inc dec and or xor"},
      {"rounding", "rounding", 0, "rtz rtne"},
      {"inputPrecision", "inputPrecision", 0, "tf32 tf32x3 ieee bf16x3 bf16x6"},
      {"cache", "cacheModifier", 1, "none ca cg wb cs wt cv"},
      {"evict", "evictionPolicy", 1, "evict_normal evict_first evict_last"},
      {"a_elem_type", "lhs", 0, "e4m3 e5m2 e2m3 e3m2 e2m1 bf16 fp16"},
      {"b_elem_type", "rhs", 0, "e4m3 e5m2 e2m3 e3m2 e2m1 bf16 fp16"},
      {"propagateNan", "propagateNan", 0, "none"},
  };
  if (attribute == "predicate")
    return kind == OpKind::CmpI ? &kIntPredicate : kind == OpKind::CmpF ? &kFloatPredicate : nullptr;
  if (attribute == "axis")
    return kind == OpKind::GetProgramId || kind == OpKind::GetNumPrograms ? &kAxis : nullptr;
  for (const Enumeration &candidate : kOthers) {
    if (candidate.name == attribute)
      return &candidate;
  }
  return nullptr;
}

} // namespace opw::ttir
