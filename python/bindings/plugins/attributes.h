// Python values as attributes of an operator.
#pragma once

#include "arrays.h"

namespace opw::plugins {

/// The value as the kind of attribute `index` of the operator, which is called `name`; lists lie in the arena, what
/// must stay alive goes to `kept`. False with an error.
bool readAttribute(const opw_tables_t &tables, const opw_op_t &op, uint32_t index, PyObject *name, PyObject *value,
                   opw_attr_value_t &out, Arena &arena, Kept &kept);

} // namespace opw::plugins
