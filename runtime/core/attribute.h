// Values of attributes that a host gives by name: choices and element types.
#pragma once

#include "core/error.h"

namespace opw::runtime {

/// The number of a choice, or -1 when no choice has this name.
int64_t choiceOf(const opw_attr_t &attr, const char *name, size_t length);

/// What a refusal expects of a choice: "one of 'near', 'far'".
Text expectedChoice(const opw_attr_t &attr);

/// The number of a choice by its name; OPW_E_ARGUMENT with the known ones.
opw_status_t readChoice(const opw_op_t *op, const opw_attr_t &attr, const char *name, size_t length, int64_t *choice,
                        opw_error_t *error);

/// An element type by its name, ours or NumPy's; OPW_E_ARGUMENT with the known ones.
opw_status_t readDtype(const opw_op_t *op, const opw_attr_t &attr, const char *name, size_t length, int64_t *dtype,
                       opw_error_t *error);

} // namespace opw::runtime
