// A plugin as sources: its tables in C, its kernels in assembly, and a CMake project that links them as link.h does.
#pragma once

#include "opwright/plugin.h"
#include "package/faces.h"
#include "package/request.h"
#include "support/diagnostic.h"

#include <string>
#include <vector>

namespace opw::package {

/// Writes CMakeLists.txt, plugin_tables.c, exports.map and kernels/*.s into a folder, which is made if needed. Every
/// object must have its assembly. The same plugin gives the same bytes in every folder.
Status emitSources(const std::string &folder, const opw_tables_t &tables, const Request &request,
                   const std::vector<KernelObject> &objects, const EntryPoints &points);

} // namespace opw::package
