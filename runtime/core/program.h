// Evaluates programs: postfix over 64-bit slots, with poison in place of traps.
#pragma once

#include "core/error.h"
#include "core/frame.h"

namespace opw::runtime {

/// Evaluates a validated program over a frame whose vars are set (vars: as far as the program reads them).
Value evaluate(const Frame &frame, const opw_program_t &program);

/// Evaluates all vars of the op, in order.
void evaluateVars(Frame &frame);

/// The integer result of a program; `what` names it in the error text. An unknown result is -1 with OPW_OK where
/// sizes may be unknown: in infer, and before phase 0 has run; `unknown`, which may be null, says so.
opw_status_t evaluateSize(const Frame &frame, const opw_program_t &program, const char *what, int64_t *value,
                          opw_error_t *error, bool *unknown = nullptr);

/// Writes "grid x: instruction 3 (CDIV) divides by zero" and returns OPW_E_OVERFLOW.
opw_status_t failPoison(const Frame &frame, const opw_program_t &program, Poison poison, const char *what,
                        opw_error_t *error);

/// a // b and a % b of Python for b != 0 and not (INT64_MIN, -1).
constexpr int64_t floorDivide(int64_t a, int64_t b) { return a / b - ((a % b != 0) && ((a < 0) != (b < 0))); }
constexpr int64_t floorModulo(int64_t a, int64_t b) { return a - floorDivide(a, b) * b; }

/// The least power of two >= max(a, 1), for a <= 2^62.
constexpr int64_t nextPowerOfTwo(int64_t a) {
  return a <= 1 ? 1 : int64_t{1} << (64 - __builtin_clzll(static_cast<uint64_t>(a - 1)));
}

/// FLOOR, CEIL or ROUND, without libm.
PoisonCode toInteger(uint8_t op, double x, int64_t *result);

} // namespace opw::runtime
