// What the instructions of programs compute, shared by the two evaluators.
#pragma once

#include "core/frame.h"
#include "opwright/plugin.h"

namespace opw::runtime {

/// a // b and a % b of Python for b != 0 and not (INT64_MIN, -1).
constexpr int64_t floorDivide(int64_t a, int64_t b) { return a / b - ((a % b != 0) && ((a < 0) != (b < 0))); }
constexpr int64_t floorModulo(int64_t a, int64_t b) { return a - floorDivide(a, b) * b; }

/// The least power of two >= max(a, 1), for a <= 2^62.
constexpr int64_t nextPowerOfTwo(int64_t a) {
  return a <= 1 ? 1 : int64_t{1} << (64 - __builtin_clzll(static_cast<uint64_t>(a - 1)));
}

/// II -> I.
[[gnu::always_inline]] inline PoisonCode binary(uint8_t op, int64_t a, int64_t b, int64_t *r) {
  switch (op) {
  case OPW_X_ADD:
    return __builtin_add_overflow(a, b, r) ? kOverflow : kFine;
  case OPW_X_SUB:
    return __builtin_sub_overflow(a, b, r) ? kOverflow : kFine;
  case OPW_X_MUL:
    return __builtin_mul_overflow(a, b, r) ? kOverflow : kFine;
  case OPW_X_FDIV:
  case OPW_X_CDIV:
  case OPW_X_MOD: {
    if (b == 0)
      return kDivideByZero;
    if (b == -1) {
      if (op != OPW_X_MOD)
        return __builtin_sub_overflow(int64_t{0}, a, r) ? kOverflow : kFine;
      *r = 0;
      return kFine;
    }
    if (b > 0 && (b & (b - 1)) == 0) { // block sizes; a shift is floored
      int shift = __builtin_ctzll(static_cast<uint64_t>(b));
      int64_t rest = a & (b - 1);
      *r = op == OPW_X_MOD ? rest : op == OPW_X_FDIV ? a >> shift : (a >> shift) + (rest != 0);
      return kFine;
    }
    if ((static_cast<uint64_t>(a) | static_cast<uint64_t>(b)) >> 32 == 0) { // a narrow division costs half
      uint32_t q = static_cast<uint32_t>(a) / static_cast<uint32_t>(b);
      uint32_t m = static_cast<uint32_t>(a) % static_cast<uint32_t>(b);
      *r = op == OPW_X_MOD ? m : op == OPW_X_FDIV ? q : int64_t{q} + (m != 0);
      return kFine;
    }
    int64_t q = floorDivide(a, b);
    *r = op == OPW_X_MOD ? a - q * b : op == OPW_X_FDIV ? q : q + (a % b != 0);
    return kFine;
  }
  case OPW_X_MIN:
    *r = a < b ? a : b;
    return kFine;
  case OPW_X_MAX:
    *r = a > b ? a : b;
    return kFine;
  case OPW_X_EQ:
    *r = a == b;
    return kFine;
  case OPW_X_NE:
    *r = a != b;
    return kFine;
  case OPW_X_LT:
    *r = a < b;
    return kFine;
  case OPW_X_LE:
    *r = a <= b;
    return kFine;
  case OPW_X_AND:
    *r = a && b;
    return kFine;
  case OPW_X_OR:
    *r = a || b;
    return kFine;
  default:
    return kOutOfRange;
  }
}

/// I -> I.
[[gnu::always_inline]] inline PoisonCode unary(uint8_t op, int64_t a, int64_t *r) {
  switch (op) {
  case OPW_X_NOT:
    *r = !a;
    return kFine;
  case OPW_X_NEG:
    return __builtin_sub_overflow(int64_t{0}, a, r) ? kOverflow : kFine;
  case OPW_X_ABS:
    *r = a;
    return a < 0 && __builtin_sub_overflow(int64_t{0}, a, r) ? kOverflow : kFine;
  case OPW_X_NPOW2:
    if (a > int64_t{1} << 62)
      return kOverflow;
    *r = nextPowerOfTwo(a);
    return kFine;
  default:
    return kOutOfRange;
  }
}

/// NaN where one is.
inline double smaller(double a, double b) { return a != a || b != b ? a + b : a < b ? a : b; }
inline double larger(double a, double b) { return a != a || b != b ? a + b : a > b ? a : b; }

/// FF -> F or I.
inline PoisonCode floatBinary(uint8_t op, Slot a, Slot b, Slot *r) {
  switch (op) {
  case OPW_X_FADD:
    r->f = a.f + b.f;
    return kFine;
  case OPW_X_FSUB:
    r->f = a.f - b.f;
    return kFine;
  case OPW_X_FMUL:
    r->f = a.f * b.f;
    return kFine;
  case OPW_X_FDIVF:
    r->f = a.f / b.f;
    return kFine;
  case OPW_X_FMIN:
    r->f = smaller(a.f, b.f);
    return kFine;
  case OPW_X_FMAX:
    r->f = larger(a.f, b.f);
    return kFine;
  case OPW_X_FLT:
    r->i = a.f < b.f;
    return kFine;
  case OPW_X_FEQ:
    r->i = a.f == b.f;
    return kFine;
  default:
    return kOutOfRange;
  }
}

/// FLOOR, CEIL or ROUND, without libm.
inline PoisonCode toInteger(uint8_t op, double x, int64_t *r) {
  if (x != x)
    return kNotANumber;
  if (!(x >= -0x1p63 && x < 0x1p63))
    return kOverflow;
  auto t = static_cast<int64_t>(x); // towards zero
  double rest = x - static_cast<double>(t);
  if (op == OPW_X_FLOOR)
    t -= rest < 0;
  else if (op == OPW_X_CEIL)
    t += rest > 0;
  else if (rest > 0.5 || (rest == 0.5 && (t & 1)))
    ++t;
  else if (rest < -0.5 || (rest == -0.5 && (t & 1)))
    --t;
  *r = t;
  return kFine;
}

/// F -> F or I, and I2F.
inline PoisonCode floatUnary(uint8_t op, Slot a, Slot *r) {
  switch (op) {
  case OPW_X_FNEG:
    r->f = -a.f;
    return kFine;
  case OPW_X_FSQRT:
    r->f = __builtin_sqrt(a.f);
    return kFine;
  case OPW_X_I2F:
    r->f = static_cast<double>(a.i);
    return kFine;
  default:
    return toInteger(op, a.f, &r->i);
  }
}

} // namespace opw::runtime
