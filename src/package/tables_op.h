// One op of a request -> opw_op_t. Inside src/package only.
#pragma once

#include "opwright/plugin.h"
#include "package/arena.h"
#include "package/expression.h"
#include "package/request.h"

#include <map>

namespace opw::package {

/// Thrown inside the filling of tables and turned into a Result at its edge.
struct Refused {
  Diagnostics diagnostics;
};
[[noreturn]] void refuse(const std::string &op, std::string message, std::string hint = {});

template <typename T> T take(Result<T> result) {
  if (!result)
    throw Refused{result.diagnostics()};
  return std::move(*result);
}

/// Fills one op. `kernels` gives the index of a kernel by its id.
opw_op_t *fillOp(Arena &arena, const Request &request, const OpRequest &op,
                 const std::map<std::string, uint32_t> &kernels);

} // namespace opw::package
