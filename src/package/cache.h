// Compiled kernels of earlier builds, in the workspace. An entry carries the hash of its content: one that is damaged,
// or that another version wrote, is as good as absent and is written again.
#pragma once

#include "package/request.h"
#include "support/diagnostic.h"

#include <optional>
#include <string>
#include <string_view>

namespace opw::package {

/// Names what a kernel's code depends on: TTIR, level, options and compiler version.
std::string cacheKey(std::string_view ttir, std::string_view level, std::string_view options,
                     std::string_view compiler);

/// The entry of `key` in `directory`, or nothing. `kernel` of the result is empty.
std::optional<KernelObject> readCache(const std::string &directory, const std::string &key);

Status writeCache(const std::string &directory, const std::string &key, const KernelObject &object);

} // namespace opw::package
