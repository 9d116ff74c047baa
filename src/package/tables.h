// Request and compiled kernels -> the tables of plugin.h in an arena.
#pragma once

#include "opwright/plugin.h"
#include "package/arena.h"
#include "package/request.h"
#include "support/diagnostic.h"

namespace opw::package {

/// Names, faces and targets of the whole request: what can be refused before anything is compiled.
Status checkRequest(const Request &request);

/// "ns::name".
std::string fullName(const Request &request, const OpRequest &op);

/// Compiles every program of the request; what is wrong in it shows here, before any kernel is compiled.
Status checkOps(const Request &request);

/// Fills the arena. `constants` are the elements of the request's; `producer` is one line about who made it. The
/// tables' hash is left zero.
Result<opw_tables_t *> fillTables(Arena &arena, const Request &request, const std::vector<KernelObject> &objects,
                                  const std::vector<std::string> &constants, const std::string &producer);

} // namespace opw::package
