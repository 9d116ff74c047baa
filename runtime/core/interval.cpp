#include "core/interval.h"

#include "core/arithmetic.h"
#include "core/instructions.h"

namespace opw::runtime {
namespace {

constexpr int64_t kLow = INT64_MIN, kHigh = INT64_MAX; // no bound
constexpr double kInfinity = __builtin_inf();

bool isBound(int64_t x) { return x != kLow && x != kHigh; }
int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
int64_t negate(int64_t x) { return x == kLow ? kHigh : x == kHigh ? kLow : -x; }

struct Hull {
  int64_t lo = kHigh, hi = kLow;
  void add(int64_t x) {
    lo = least(lo, x);
    hi = most(hi, x);
  }
  Interval done() const { return integers(lo, hi); }
};

Interval truth(bool canBeFalse, bool canBeTrue) { return integers(canBeFalse ? 0 : 1, canBeTrue ? 1 : 0); }
bool canBeZero(const Interval &a) { return a.lo.i <= 0 && a.hi.i >= 0; }
bool isZero(const Interval &a) { return a.lo.i == 0 && a.hi.i == 0; }

/// a // b or cdiv(a, b) of bounds, b not 0: where a bound is missing, what the quotient comes close to.
int64_t divideBounds(uint8_t op, int64_t a, int64_t b) {
  bool negative = (a < 0) != (b < 0);
  if (!isBound(b))
    return a == 0 ? 0 : op == OPW_X_FDIV ? (negative ? -1 : 0) : (negative ? 0 : 1);
  if (!isBound(a))
    return negative ? kLow : kHigh;
  if (b == -1)
    return -a;
  int64_t q = floorDivide(a, b);
  return op == OPW_X_FDIV ? q : q + (a % b != 0);
}

/// Of divisors of one sign the quotient is monotone in both operands.
Interval divide(uint8_t op, const Interval &a, const Interval &b) {
  Hull hull;
  const int64_t ends[] = {a.lo.i, a.hi.i};
  const int64_t parts[2][2] = {{b.lo.i, least(b.hi.i, -1)}, {most(b.lo.i, 1), b.hi.i}};
  for (const auto &part : parts)
    if (part[0] <= part[1])
      for (int64_t divisor : part)
        for (int64_t x : ends)
          hull.add(divideBounds(op, x, divisor));
  return hull.done();
}

Interval modulo(const Interval &a, const Interval &b) {
  if (b.lo.i == b.hi.i && isBound(b.lo.i) && b.lo.i != 0 && b.lo.i != -1 && isBound(a.lo.i) && isBound(a.hi.i) &&
      floorDivide(a.lo.i, b.lo.i) == floorDivide(a.hi.i, b.lo.i))
    return integers(floorModulo(a.lo.i, b.lo.i), floorModulo(a.hi.i, b.lo.i));
  Hull hull;
  if (b.hi.i > 0) {
    if (a.lo.i >= 0 && a.hi.i < most(b.lo.i, 1))
      hull.add(a.lo.i); // less than every divisor: itself
    else
      hull.add(0);
    int64_t top = b.hi.i == kHigh ? kHigh : b.hi.i - 1;
    hull.add(a.lo.i >= 0 ? least(top, a.hi.i) : top);
  }
  if (b.lo.i < 0) {
    hull.add(0);
    hull.add(b.lo.i == kLow ? kLow : b.lo.i + 1);
  }
  return hull.done();
}

Interval compare(uint8_t op, const Interval &a, const Interval &b) {
  bool apart = a.hi.i < b.lo.i || b.hi.i < a.lo.i, points = a.lo.i == a.hi.i && b.lo.i == b.hi.i;
  switch (op) {
  case OPW_X_EQ:
    return truth(!points || apart, !apart);
  case OPW_X_NE:
    return truth(!apart, !points || apart);
  case OPW_X_LT:
    return truth(a.hi.i >= b.lo.i, a.lo.i < b.hi.i);
  default: // LE
    return truth(a.hi.i > b.lo.i, a.lo.i <= b.hi.i);
  }
}

Interval integerOf(uint8_t op, const Interval &a, const Interval &b) {
  switch (op) {
  case OPW_X_ADD:
    return Hull{addBounds(a.lo.i, b.lo.i), addBounds(a.hi.i, b.hi.i)}.done();
  case OPW_X_SUB:
    return Hull{addBounds(a.lo.i, negate(b.hi.i)), addBounds(a.hi.i, negate(b.lo.i))}.done();
  case OPW_X_MUL: {
    Hull hull;
    hull.add(multiplyBounds(a.lo.i, b.lo.i));
    hull.add(multiplyBounds(a.lo.i, b.hi.i));
    hull.add(multiplyBounds(a.hi.i, b.lo.i));
    hull.add(multiplyBounds(a.hi.i, b.hi.i));
    return hull.done();
  }
  case OPW_X_FDIV:
  case OPW_X_CDIV:
    return divide(op, a, b);
  case OPW_X_MOD:
    return modulo(a, b);
  case OPW_X_MIN:
    return integers(least(a.lo.i, b.lo.i), least(a.hi.i, b.hi.i));
  case OPW_X_MAX:
    return integers(most(a.lo.i, b.lo.i), most(a.hi.i, b.hi.i));
  case OPW_X_AND:
    return truth(canBeZero(a) || canBeZero(b), !isZero(a) && !isZero(b));
  case OPW_X_OR:
    return truth(canBeZero(a) && canBeZero(b), !isZero(a) || !isZero(b));
  default:
    return compare(op, a, b);
  }
}

bool isFinite(const Interval &a) { return a.lo.f > -kInfinity && a.hi.f < kInfinity; }

/// The least and the greatest of values at corners; anything where one of them is NaN.
Interval aroundOf(const double (&corners)[4], bool nan) {
  Interval r = floats(corners[0], corners[0]);
  for (double c : corners) {
    if (c != c)
      return anyFloat();
    r.lo.f = smaller(r.lo.f, c);
    r.hi.f = larger(r.hi.f, c);
  }
  r.nan = nan;
  return r;
}

/// Rounding is monotone, so corners computed as the program computes them are bounds.
Interval floatOf(uint8_t op, const Interval &a, const Interval &b) {
  const double al = a.lo.f, ah = a.hi.f, bl = b.lo.f, bh = b.hi.f;
  bool nan = a.nan || b.nan, finite = isFinite(a) && isFinite(b);
  switch (op) {
  case OPW_X_FADD:
    return aroundOf({al + bl, ah + bh, al + bl, ah + bh}, nan || !finite); // infinity - infinity
  case OPW_X_FSUB:
    return aroundOf({al - bh, ah - bl, al - bh, ah - bl}, nan || !finite);
  case OPW_X_FMUL:
    return aroundOf({al * bl, al * bh, ah * bl, ah * bh}, nan || !finite); // infinity * 0
  case OPW_X_FDIVF:
    if (bl <= 0 && bh >= 0)
      return anyFloat();
    return aroundOf({al / bl, al / bh, ah / bl, ah / bh}, nan || !finite);
  case OPW_X_FMIN:
    return aroundOf({smaller(al, bl), smaller(ah, bh), smaller(al, bl), smaller(ah, bh)}, nan);
  case OPW_X_FMAX:
    return aroundOf({larger(al, bl), larger(ah, bh), larger(al, bl), larger(ah, bh)}, nan);
  case OPW_X_FLT:
    return truth(nan || ah >= bl, al < bh);
  default: // FEQ
    return truth(nan || al != ah || bl != bh || al != bl, al <= bh && bl <= ah);
  }
}

/// F -> I, monotone; NaN and what is outside of int64 have no value.
Interval roundedOf(uint8_t op, const Interval &a) {
  if (a.lo.f >= 0x1p63 || a.hi.f < -0x1p63)
    return noValue();
  int64_t lo = kLow, hi = kHigh;
  if (a.lo.f >= -0x1p63)
    toInteger(op, a.lo.f, &lo);
  if (a.hi.f < 0x1p63)
    toInteger(op, a.hi.f, &hi);
  return integers(lo, hi);
}

} // namespace

int64_t addBounds(int64_t x, int64_t y) {
  if (!isBound(x))
    return x;
  int64_t r;
  if (!isBound(y))
    return y;
  return __builtin_add_overflow(x, y, &r) ? (x < 0 ? kLow : kHigh) : r;
}

int64_t multiplyBounds(int64_t x, int64_t y) {
  int64_t r;
  if (x == 0 || y == 0)
    return 0; // of no bound too: every value is finite
  if (!isBound(x) || !isBound(y) || __builtin_mul_overflow(x, y, &r))
    return (x < 0) == (y < 0) ? kHigh : kLow;
  return r;
}

Interval hullOf(const Interval &a, const Interval &b, bool isFloat) {
  if (a.none || b.none)
    return a.none ? b : a;
  if (!isFloat)
    return integers(least(a.lo.i, b.lo.i), most(a.hi.i, b.hi.i));
  Interval r = floats(smaller(a.lo.f, b.lo.f), larger(a.hi.f, b.hi.f));
  r.nan = a.nan || b.nan;
  return r;
}

Interval pointOf(const Value &v) {
  if (v.poison)
    return (v.poison & 0xff) == kUnknown ? (v.isFloat ? anyFloat() : anyInteger()) : noValue();
  if (!v.isFloat)
    return integers(v.slot.i, v.slot.i);
  return v.slot.f == v.slot.f ? floats(v.slot.f, v.slot.f) : anyFloat();
}

Interval intervalOf(uint8_t op, const Interval &a, const Interval &b) {
  return isBinaryInt(op) ? integerOf(op, a, b) : floatOf(op, a, b);
}

Interval intervalOf(uint8_t op, const Interval &a) {
  switch (op) {
  case OPW_X_NOT:
    return truth(!isZero(a), canBeZero(a));
  case OPW_X_NEG:
    return Hull{negate(a.hi.i), negate(a.lo.i)}.done();
  case OPW_X_ABS: {
    int64_t least = a.lo.i > 0 ? a.lo.i : a.hi.i < 0 ? negate(a.hi.i) : 0;
    return Hull{least, most(negate(a.lo.i), a.hi.i)}.done();
  }
  case OPW_X_NPOW2: {
    constexpr int64_t kTop = int64_t{1} << 62;
    if (a.lo.i > kTop)
      return noValue();
    return integers(nextPowerOfTwo(a.lo.i), a.hi.i > kTop ? kHigh : nextPowerOfTwo(a.hi.i));
  }
  case OPW_X_FNEG: {
    Interval r = floats(-a.hi.f, -a.lo.f);
    r.nan = a.nan;
    return r;
  }
  case OPW_X_FSQRT: {
    if (a.hi.f < 0)
      return anyFloat(); // NaN
    Interval r = floats(a.lo.f > 0 ? __builtin_sqrt(a.lo.f) : -0.0, __builtin_sqrt(a.hi.f));
    r.nan = a.nan || a.lo.f < 0;
    return r;
  }
  case OPW_X_I2F:
    return floats(a.lo.i == kLow ? -0x1p63 : static_cast<double>(a.lo.i),
                  a.hi.i == kHigh ? 0x1p63 : static_cast<double>(a.hi.i));
  default: // FLOOR, CEIL, ROUND
    return roundedOf(op, a);
  }
}

} // namespace opw::runtime
