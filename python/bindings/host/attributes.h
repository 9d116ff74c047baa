// Python values as attributes of an operator.
#pragma once

#include "arrays.h"

namespace opw::host {

/// The value as the attribute's kind; lists lie in the arena, what must stay alive goes to `kept`. False with an error.
bool readAttribute(const opw_attr_t &attr, PyObject *op, PyObject *value, opw_attr_value_t &out, Arena &arena,
                   Kept &kept);

} // namespace opw::host
