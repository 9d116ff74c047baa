// The functions of Triton's libdevice (`__nv_...`), as code for scalars and vectors. The table is libdevice_table.cpp;
// the functions behind it are in one file per family. All are pure and call nothing outside the object.
#pragma once

#include "codegen/cpu/math_builder.h"

#include <string_view>

namespace opw::cpu::libdevice {

using Args = llvm::ArrayRef<llvm::Value *>;
/// Emits at the builder of `m`, whose type is that of the first float among result and arguments (f64 where there is
/// none).
using Make = llvm::Value *(*)(MathBuilder &m, Args in);

enum class Place : uint8_t {
  Here,     ///< a few instructions where they are needed
  Function, ///< an internal function of the module, once for each vector type
  Double,   ///< such a function; what is asked for in f32 is computed in f64
  Exact,    ///< as Double, with all places of f64: the f32 may be near a zero
  Remainder ///< on top of the remainder of arith.cpp
};

struct Function {
  const char *name;  ///< without "__nv_"; with r among the types the f64 one, f32 has an f at the end
  const char *types; ///< result, colon, arguments: f32, f64, i32, i64 as f d i l; r is f or d
  Place place;
  Make make;
};

struct Symbol {
  const Function *function = nullptr; ///< null: not known
  std::string types;                  ///< without r
};

Symbol find(std::string_view symbol);
/// A few instructions, where the others are a call.
inline bool isShort(std::string_view symbol) {
  Symbol found = find(symbol);
  return found.function && found.function->place == Place::Here;
}
/// The whole table, for tests and documents.
llvm::ArrayRef<Function> functions();

using llvm::Value;

// libdevice_integer.cpp
Value *clz(MathBuilder &, Args), *popc(MathBuilder &, Args), *brev(MathBuilder &, Args), *ffs(MathBuilder &, Args);
Value *bytePerm(MathBuilder &, Args), *mulHigh(MathBuilder &, Args), *umulHigh(MathBuilder &, Args);
Value *mul24(MathBuilder &, Args), *umul24(MathBuilder &, Args), *sad(MathBuilder &, Args), *usad(MathBuilder &, Args);
Value *absInt(MathBuilder &, Args), *hadd(MathBuilder &, Args), *uhadd(MathBuilder &, Args);
Value *rhadd(MathBuilder &, Args), *urhadd(MathBuilder &, Args);
Value *minSigned(MathBuilder &, Args), *maxSigned(MathBuilder &, Args), *minUnsigned(MathBuilder &, Args),
    *maxUnsigned(MathBuilder &, Args);
Value *bitsAs(MathBuilder &, Args), *asFloat(MathBuilder &, Args), *hiLoToDouble(MathBuilder &, Args);
Value *lowWord(MathBuilder &, Args), *highWord(MathBuilder &, Args);
Value *isNan(MathBuilder &, Args), *isInf(MathBuilder &, Args), *isFinite(MathBuilder &, Args),
    *signBit(MathBuilder &, Args);
Value *ilogb(MathBuilder &, Args), *logb(MathBuilder &, Args), *ldexp(MathBuilder &, Args);
Value *nextAfter(MathBuilder &, Args);

// libdevice_round.cpp
Value *fabs(MathBuilder &, Args), *floor(MathBuilder &, Args), *ceil(MathBuilder &, Args), *trunc(MathBuilder &, Args);
Value *rint(MathBuilder &, Args), *round(MathBuilder &, Args), *llround(MathBuilder &, Args);
Value *copySign(MathBuilder &, Args), *saturate(MathBuilder &, Args), *fdim(MathBuilder &, Args);
Value *fmin(MathBuilder &, Args), *fmax(MathBuilder &, Args);
Value *nearestRemainder(MathBuilder &m, Args in); ///< of x, y and fmod(|x|, 2y)
enum class Toward { Nearest, Zero, Down, Up };
template <Toward> Value *fma(MathBuilder &, Args);
template <Toward> Value *add(MathBuilder &, Args);
template <Toward> Value *sub(MathBuilder &, Args);
template <Toward> Value *mul(MathBuilder &, Args);
template <Toward> Value *div(MathBuilder &, Args);
template <Toward> Value *reciprocal(MathBuilder &, Args);
template <Toward> Value *sqrt(MathBuilder &, Args);
template <Toward> Value *narrow(MathBuilder &, Args); ///< f64 to f32
template <Toward, unsigned bits, bool sign> Value *toInt(MathBuilder &, Args);
template <Toward, unsigned bits, bool sign> Value *fromInt(MathBuilder &, Args); ///< to the type of m
Value *reciprocalHigh(MathBuilder &, Args);

// libdevice_root.cpp
Value *rsqrt(MathBuilder &, Args), *cbrt(MathBuilder &, Args), *rcbrt(MathBuilder &, Args);
Value *norm(MathBuilder &, Args), *rnorm(MathBuilder &, Args);

// libdevice_exp.cpp
Value *exp(MathBuilder &, Args), *exp2(MathBuilder &, Args), *exp10(MathBuilder &, Args), *expm1(MathBuilder &, Args);
Value *log(MathBuilder &, Args), *log2(MathBuilder &, Args), *log10(MathBuilder &, Args), *log1p(MathBuilder &, Args);
Value *pow(MathBuilder &, Args), *powi(MathBuilder &, Args);
Value *sinh(MathBuilder &, Args), *cosh(MathBuilder &, Args), *tanh(MathBuilder &, Args);
Value *asinh(MathBuilder &, Args), *acosh(MathBuilder &, Args), *atanh(MathBuilder &, Args);

// libdevice_trig.cpp
Value *sin(MathBuilder &, Args), *cos(MathBuilder &, Args), *tan(MathBuilder &, Args);
Value *sinPi(MathBuilder &, Args), *cosPi(MathBuilder &, Args);
Value *asin(MathBuilder &, Args), *acos(MathBuilder &, Args), *atan(MathBuilder &, Args), *atan2(MathBuilder &, Args);

/// Sine or cosine of quadrant * pi/2 + r.
Value *turned(MathBuilder &m, Pair r, Value *quadrant, bool cosine);

// libdevice_erf.cpp
Value *erf(MathBuilder &, Args), *erfc(MathBuilder &, Args), *erfcx(MathBuilder &, Args), *normcdf(MathBuilder &, Args);
Value *erfinv(MathBuilder &, Args), *erfcinv(MathBuilder &, Args), *normcdfinv(MathBuilder &, Args);

// libdevice_gamma.cpp
Value *tgamma(MathBuilder &, Args), *lgamma(MathBuilder &, Args);

// libdevice_bessel.cpp
Value *j0(MathBuilder &, Args), *j1(MathBuilder &, Args), *y0(MathBuilder &, Args), *y1(MathBuilder &, Args);
Value *jn(MathBuilder &, Args), *yn(MathBuilder &, Args), *i0(MathBuilder &, Args), *i1(MathBuilder &, Args);

} // namespace opw::cpu::libdevice
