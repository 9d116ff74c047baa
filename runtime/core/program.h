// Evaluates programs: postfix over 64-bit slots, with poison in place of traps.
#pragma once

#include "core/error.h"
#include "core/frame.h"

namespace opw::runtime {

/// Evaluates a validated program over a frame whose vars are set (vars: as far as the program reads them).
Value evaluate(const Frame &frame, const opw_program_t &program);

/// The same where no value in it is poison; false where one is, also on the side of a SELECT that is not taken.
bool evaluateFine(const Frame &frame, const opw_program_t &program, Slot *result);

/// The value of an instruction below 32, which reads the call; `popped` is the index of DIM_AT, ATTR_AT and FATTR_AT.
Value leaf(const Frame &frame, const opw_insn_t &insn, int64_t popped);

/// An element of a list attribute or of bytes; poison where there is none. Negative indices count from the end.
Value listItem(const opw_attr_value_t &list, int64_t index);

/// Evaluates all vars of the op, in order.
void evaluateVars(Frame &frame);

/// The integer result of a program; `what` names it in the error text. An unknown result is -1 with OPW_OK where
/// sizes may be unknown: in infer, and before phase 0 has run; `unknown`, which may be null, says so.
opw_status_t evaluateSize(const Frame &frame, const opw_program_t &program, const char *what, int64_t *value,
                          opw_error_t *error, bool *unknown = nullptr);

/// Writes "grid x: instruction 3 (CDIV) divides by zero" and returns OPW_E_OVERFLOW.
opw_status_t failPoison(const Frame &frame, const opw_program_t &program, Poison poison, const char *what,
                        opw_error_t *error);

} // namespace opw::runtime
