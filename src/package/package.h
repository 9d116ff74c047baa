// Objects and a request -> one plugin library.
#pragma once

#include "package/request.h"
#include "support/diagnostic.h"

#include <string>
#include <utility>
#include <vector>

namespace opw::package {

struct PackageOptions {
  std::string workspace; ///< the result is W/output/<library>; the work is done in a fresh directory of W
  std::string archive;   ///< libopwright_runtime.a
  std::string producer;  ///< one line: who made it
  std::string sources{}; ///< if set: a folder for the plugin's sources (emit_sources.h)
};

struct Packaged {
  std::string library; ///< path of the result
  std::string glibc;   ///< the newest symbol version that it needs
  uint64_t bytes = 0;
  std::vector<std::pair<std::string, double>> stages; ///< name, milliseconds
};

/// tables -> object -> link -> verify -> rename. On failure the library of an earlier build stays as it was. The same
/// input gives the same bytes in every workspace.
Result<Packaged> packagePlugin(const Request &request, const std::vector<KernelObject> &objects,
                               const PackageOptions &options);

} // namespace opw::package
