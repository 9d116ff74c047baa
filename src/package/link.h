// The system's linker driver: found, run, its words kept.
#pragma once

#include "support/diagnostic.h"

#include <string>
#include <vector>

namespace opw::package {

/// Diagnostic::op of the refusal that says that no linker is there: a missing tool, not a bad request.
inline constexpr const char *kNoLinker = "no-linker";

struct LinkRequest {
  std::string directory;            ///< the linker runs here; names below are relative to it
  std::vector<std::string> objects; ///< in this order
  std::string archive;              ///< libopwright_runtime.a, absolute
  std::vector<std::string> exports;
  std::string output, soname;
};

/// $CC (a command with arguments), else cc, gcc, clang: the first that is on PATH.
Result<std::vector<std::string>> findLinker();

/// The options of every link, but for names of files; the version script is exports.map.
const std::vector<std::string> &linkOptions();

/// The version script that hides all but `exports`.
std::string versionScript(const std::vector<std::string> &exports);

Status link(const LinkRequest &request);

} // namespace opw::package
