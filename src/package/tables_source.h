// The tables of a plugin as C: what the ELF writer puts into an object, as a text that people read and any compiler
// takes.
#pragma once

#include "opwright/plugin.h"
#include "package/request.h"
#include "support/diagnostic.h"

#include <string>
#include <vector>

namespace opw::package {

/// One C file that defines `opw_tables`. `tables` are those that fillTables makes of `request`, which gives the
/// comments; `objects` name the entries. What is not written as C yet (CUDA images, baked tensors, descriptors) is
/// refused.
Result<std::string> tablesSource(const opw_tables_t &tables, const Request &request,
                                 const std::vector<KernelObject> &objects);

} // namespace opw::package
