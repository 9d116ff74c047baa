// Arithmetic on intervals: from all values that the operands of an instruction may have to all that its result may
// have.
#pragma once

#include "core/frame.h"

namespace opw::runtime {

/// The values lo <= v <= hi, integers or floats as the program says. The least and the greatest int64 stand for "no
/// bound", and stay that through every operation. What has no value (overflow, division by zero) is in no interval.
struct Interval {
  Slot lo, hi;
  bool none; ///< there is no value at all; lo and hi mean nothing
  bool nan;  ///< of floats: NaN is a value too
};

/// Without values where lo > hi. The least int64 as `hi`, which would read as "no bound", becomes the next one.
constexpr Interval integers(int64_t lo, int64_t hi) {
  return {{.i = lo == INT64_MAX ? INT64_MAX - 1 : lo}, {.i = hi == INT64_MIN ? INT64_MIN + 1 : hi}, lo > hi, false};
}
constexpr Interval noValue() { return {{.i = 0}, {.i = 0}, true, false}; }
constexpr Interval anyInteger() { return integers(INT64_MIN, INT64_MAX); }
constexpr Interval floats(double lo, double hi) { return {{.f = lo}, {.f = hi}, false, false}; }
constexpr Interval anyFloat() { return {{.f = -__builtin_inf()}, {.f = __builtin_inf()}, false, true}; }

/// Both, and what lies between.
Interval hullOf(const Interval &a, const Interval &b, bool isFloat);

/// A value that an evaluation gave: a point, or nothing where it was poison.
Interval pointOf(const Value &value);

/// x + y and x * y of bounds, which may be "no bound"; a bound beyond int64 becomes none.
int64_t addBounds(int64_t x, int64_t y);
int64_t multiplyBounds(int64_t x, int64_t y);

/// The result of an instruction of the groups II -> I and I -> I, FF -> F or I, F -> F or I, I2F. None of the operands
/// is without values.
Interval intervalOf(uint8_t op, const Interval &a, const Interval &b);
Interval intervalOf(uint8_t op, const Interval &a);

} // namespace opw::runtime
