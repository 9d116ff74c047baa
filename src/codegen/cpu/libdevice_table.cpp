// Every function of libdevice that there is code for.
#include "codegen/cpu/libdevice.h"

namespace opw::cpu::libdevice {

namespace {

constexpr Place kHere = Place::Here, kFunction = Place::Function, kDouble = Place::Double, kExact = Place::Exact;
constexpr Toward kNearest = Toward::Nearest, kZero = Toward::Zero, kDown = Toward::Down, kUp = Toward::Up;

const Function kFunctions[] = {
    // integers
    {"clz", "i:i", kHere, clz},
    {"clzll", "i:l", kHere, clz},
    {"popc", "i:i", kHere, popc},
    {"popcll", "i:l", kHere, popc},
    {"ffs", "i:i", kHere, ffs},
    {"ffsll", "i:l", kHere, ffs},
    {"brev", "i:i", kHere, brev},
    {"brevll", "l:l", kHere, brev},
    {"byte_perm", "i:iii", kHere, bytePerm},
    {"mulhi", "i:ii", kHere, mulHigh},
    {"umulhi", "i:ii", kHere, umulHigh},
    {"mul64hi", "l:ll", kHere, mulHigh},
    {"umul64hi", "l:ll", kHere, umulHigh},
    {"mul24", "i:ii", kHere, mul24},
    {"umul24", "i:ii", kHere, umul24},
    {"sad", "i:iii", kHere, sad},
    {"usad", "i:iii", kHere, usad},
    {"abs", "i:i", kHere, absInt},
    {"llabs", "l:l", kHere, absInt},
    {"hadd", "i:ii", kHere, hadd},
    {"uhadd", "i:ii", kHere, uhadd},
    {"rhadd", "i:ii", kHere, rhadd},
    {"urhadd", "i:ii", kHere, urhadd},
    {"min", "i:ii", kHere, minSigned},
    {"umin", "i:ii", kHere, minUnsigned},
    {"llmin", "l:ll", kHere, minSigned},
    {"ullmin", "l:ll", kHere, minUnsigned},
    {"max", "i:ii", kHere, maxSigned},
    {"umax", "i:ii", kHere, maxUnsigned},
    {"llmax", "l:ll", kHere, maxSigned},
    {"ullmax", "l:ll", kHere, maxUnsigned},

    // bits of floats
    {"int_as_float", "f:i", kHere, asFloat},
    {"uint_as_float", "f:i", kHere, asFloat},
    {"float_as_int", "i:f", kHere, bitsAs},
    {"float_as_uint", "i:f", kHere, bitsAs},
    {"longlong_as_double", "d:l", kHere, asFloat},
    {"double_as_longlong", "l:d", kHere, bitsAs},
    {"hiloint2double", "d:ii", kHere, hiLoToDouble},
    {"double2loint", "i:d", kHere, lowWord},
    {"double2hiint", "i:d", kHere, highWord},
    {"isnanf", "i:f", kHere, isNan},
    {"isnand", "i:d", kHere, isNan},
    {"isinff", "i:f", kHere, isInf},
    {"isinfd", "i:d", kHere, isInf},
    {"finitef", "i:f", kHere, isFinite},
    {"isfinited", "i:d", kHere, isFinite},
    {"signbitf", "i:f", kHere, signBit},
    {"signbitd", "i:d", kHere, signBit},
    {"copysign", "r:rr", kHere, copySign},
    {"nextafter", "r:rr", kHere, nextAfter},
    {"ilogb", "i:r", kHere, ilogb},
    {"logb", "r:r", kHere, logb},
    {"ldexp", "r:ri", kFunction, ldexp},
    {"scalbn", "r:ri", kFunction, ldexp},

    // whole numbers, bounds, remainders
    {"fabs", "r:r", kHere, fabs},
    {"floor", "r:r", kHere, floor},
    {"ceil", "r:r", kHere, ceil},
    {"trunc", "r:r", kHere, trunc},
    {"rint", "r:r", kHere, rint},
    {"nearbyint", "r:r", kHere, rint},
    {"round", "r:r", kHere, round},
    {"llrint", "l:r", kHere, toInt<kNearest, 64, true>},
    {"llround", "l:r", kHere, llround},
    {"saturatef", "f:f", kHere, saturate},
    {"fmin", "r:rr", kHere, fmin},
    {"fmax", "r:rr", kHere, fmax},
    {"fdim", "r:rr", kHere, fdim},
    {"fmod", "r:rr", Place::Remainder, nullptr},
    {"remainder", "r:rr", Place::Remainder, nearestRemainder},

    // arithmetic, rounded as the name says
    {"fma", "r:rrr", kHere, fma<kNearest>},
    {"fmaf_rn", "f:fff", kHere, fma<kNearest>},
    {"fmaf_rz", "f:fff", kFunction, fma<kZero>},
    {"fmaf_rd", "f:fff", kFunction, fma<kDown>},
    {"fmaf_ru", "f:fff", kFunction, fma<kUp>},
    {"fma_rn", "d:ddd", kHere, fma<kNearest>},
    {"fma_rz", "d:ddd", kFunction, fma<kZero>},
    {"fma_rd", "d:ddd", kFunction, fma<kDown>},
    {"fma_ru", "d:ddd", kFunction, fma<kUp>},
#define OPW_ROUNDED(narrow, wide, make, f, d, place)                                                                   \
  {narrow "_rn", f, kHere, make<kNearest>}, {narrow "_rz", f, place, make<kZero>},                                     \
      {narrow "_rd", f, place, make<kDown>}, {narrow "_ru", f, place, make<kUp>},                                      \
      {wide "_rn", d, kHere, make<kNearest>}, {wide "_rz", d, place, make<kZero>},                                     \
      {wide "_rd", d, place, make<kDown>}, {                                                                           \
    wide "_ru", d, place, make<kUp>                                                                                    \
  }
    OPW_ROUNDED("fadd", "dadd", add, "f:ff", "d:dd", kFunction),
    OPW_ROUNDED("fsub", "dsub", sub, "f:ff", "d:dd", kFunction),
    OPW_ROUNDED("fmul", "dmul", mul, "f:ff", "d:dd", kFunction),
    OPW_ROUNDED("fdiv", "ddiv", div, "f:ff", "d:dd", kFunction),
    OPW_ROUNDED("frcp", "drcp", reciprocal, "f:f", "d:d", kFunction),
    OPW_ROUNDED("fsqrt", "dsqrt", sqrt, "f:f", "d:d", kFunction),
#undef OPW_ROUNDED
    {"rcp64h", "d:d", kHere, reciprocalHigh},
    {"fast_fdividef", "f:ff", kHere, div<kNearest>},
    {"sqrt", "r:r", kHere, sqrt<kNearest>},

    // conversions
    {"double2float_rn", "f:d", kHere, narrow<kNearest>},
    {"double2float_rz", "f:d", kHere, narrow<kZero>},
    {"double2float_rd", "f:d", kHere, narrow<kDown>},
    {"double2float_ru", "f:d", kHere, narrow<kUp>},
#define OPW_ROUNDED(name, types, make, ...)                                                                            \
  {name "_rn", types, kHere, make<kNearest, __VA_ARGS__>}, {name "_rz", types, kHere, make<kZero, __VA_ARGS__>},       \
      {name "_rd", types, kHere, make<kDown, __VA_ARGS__>}, {                                                          \
    name "_ru", types, kHere, make<kUp, __VA_ARGS__>                                                                   \
  }
    OPW_ROUNDED("float2int", "i:f", toInt, 32, true),
    OPW_ROUNDED("float2uint", "i:f", toInt, 32, false),
    OPW_ROUNDED("float2ll", "l:f", toInt, 64, true),
    OPW_ROUNDED("float2ull", "l:f", toInt, 64, false),
    OPW_ROUNDED("double2int", "i:d", toInt, 32, true),
    OPW_ROUNDED("double2uint", "i:d", toInt, 32, false),
    OPW_ROUNDED("double2ll", "l:d", toInt, 64, true),
    OPW_ROUNDED("double2ull", "l:d", toInt, 64, false),
    OPW_ROUNDED("int2float", "f:i", fromInt, 32, true),
    OPW_ROUNDED("uint2float", "f:i", fromInt, 32, false),
    OPW_ROUNDED("ll2float", "f:l", fromInt, 64, true),
    OPW_ROUNDED("ull2float", "f:l", fromInt, 64, false),
    {"int2double_rn", "d:i", kHere, fromInt<kNearest, 32, true>},
    {"uint2double_rn", "d:i", kHere, fromInt<kNearest, 32, false>},
    OPW_ROUNDED("ll2double", "d:l", fromInt, 64, true),
    OPW_ROUNDED("ull2double", "d:l", fromInt, 64, false),
#undef OPW_ROUNDED

    // roots and norms
    {"rsqrt", "r:r", kHere, rsqrt},
    {"frsqrt_rn", "f:f", kDouble, rsqrt},
    {"cbrt", "r:r", kDouble, cbrt},
    {"rcbrt", "r:r", kDouble, rcbrt},
    {"hypot", "r:rr", kDouble, norm},
    {"rhypot", "r:rr", kDouble, rnorm},
    {"norm3d", "r:rrr", kDouble, norm},
    {"rnorm3d", "r:rrr", kDouble, rnorm},
    {"norm4d", "r:rrrr", kDouble, norm},
    {"rnorm4d", "r:rrrr", kDouble, rnorm},

    // exponentials, logarithms, powers
    {"exp", "r:r", kHere, exp},
    {"exp2", "r:r", kHere, exp2},
    {"exp10", "r:r", kDouble, exp10},
    {"expm1", "r:r", kDouble, expm1},
    {"log", "r:r", kHere, log},
    {"log2", "r:r", kHere, log2},
    {"log10", "r:r", kDouble, log10},
    {"log1p", "r:r", kDouble, log1p},
    {"pow", "r:rr", kDouble, pow},
    {"powi", "r:ri", kDouble, powi},
    {"fast_expf", "f:f", kHere, exp},
    {"fast_exp10f", "f:f", kDouble, exp10},
    {"fast_logf", "f:f", kHere, log},
    {"fast_log2f", "f:f", kHere, log2},
    {"fast_log10f", "f:f", kDouble, log10},
    {"fast_powf", "f:ff", kDouble, pow},

    // trigonometric and hyperbolic functions
    {"sin", "r:r", kFunction, sin},
    {"cos", "r:r", kFunction, cos},
    {"tan", "r:r", kDouble, tan},
    {"fast_sinf", "f:f", kFunction, sin},
    {"fast_cosf", "f:f", kFunction, cos},
    {"fast_tanf", "f:f", kDouble, tan},
    {"sinpi", "r:r", kDouble, sinPi},
    {"cospi", "r:r", kDouble, cosPi},
    {"asin", "r:r", kDouble, asin},
    {"acos", "r:r", kDouble, acos},
    {"atan", "r:r", kDouble, atan},
    {"atan2", "r:rr", kDouble, atan2},
    {"sinh", "r:r", kDouble, sinh},
    {"cosh", "r:r", kDouble, cosh},
    {"tanh", "r:r", kFunction, tanh},
    {"asinh", "r:r", kDouble, asinh},
    {"acosh", "r:r", kDouble, acosh},
    {"atanh", "r:r", kDouble, atanh},

    // special functions
    {"erf", "r:r", kFunction, erf},
    {"erfc", "r:r", kDouble, erfc},
    {"erfcx", "r:r", kDouble, erfcx},
    {"normcdf", "r:r", kDouble, normcdf},
    {"erfinv", "r:r", kDouble, erfinv},
    {"erfcinv", "r:r", kDouble, erfcinv},
    {"normcdfinv", "r:r", kDouble, normcdfinv},
    {"tgamma", "r:r", kExact, tgamma},
    {"lgamma", "r:r", kExact, lgamma},
    {"j0", "r:r", kExact, j0},
    {"j1", "r:r", kExact, j1},
    {"jn", "r:ir", kExact, jn},
    {"y0", "r:r", kExact, y0},
    {"y1", "r:r", kExact, y1},
    {"yn", "r:ir", kExact, yn},
    {"cyl_bessel_i0", "r:r", kExact, i0},
    {"cyl_bessel_i1", "r:r", kExact, i1},
};

} // namespace

llvm::ArrayRef<Function> functions() { return kFunctions; }

} // namespace opw::cpu::libdevice
