// Checks the tables of an op, once before its first use. Linear in the size of the tables; reads nothing outside them
// as long as counts and pointers are honest.
#pragma once

#include "core/error.h"

namespace opw::runtime {

/// OPW_OK, OPW_E_ABI (struct_size, minor) or OPW_E_CORRUPT with the place and the reason.
opw_status_t validateOp(const opw_op_t *op, const opw_tables_t &tables, opw_error_t *error);

/// What a program may refer to.
struct ProgramScope {
  uint32_t tensors; // tensors 0..tensors-1
  uint32_t vars;    // vars 0..vars-1
  bool sizes;       // data-dependent sizes
};

opw_status_t validateProgram(const opw_op_t *op, const opw_program_t &program, const ProgramScope &scope,
                             const char *what, opw_error_t *error);

} // namespace opw::runtime
