// Looks at a linked plugin before anybody else does.
#pragma once

#include "support/diagnostic.h"

#include <string>
#include <vector>

namespace opw::package {

struct Verified {
  std::string highestVersion; ///< the newest GLIBC_* that the library needs
};

/// What it exports, needs and leaves undefined; then loads it in a child process and checks every op.
Result<Verified> verifyPlugin(const std::string &path, const std::vector<std::string> &exports);

} // namespace opw::package
