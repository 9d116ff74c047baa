// Files of the workspace: read whole, written whole or not at all, with errors that say what and where.
#pragma once

#include "support/diagnostic.h"

#include <string>
#include <string_view>

namespace opw::package {

/// A diagnostic about a file of the system: "<what> <path>: <reason of errno>".
Diagnostic fileError(std::string_view what, const std::string &path, int error);

Result<std::string> readFile(const std::string &path);

/// Writes beside `path`, flushes, and renames over it.
Status writeFile(const std::string &path, std::string_view bytes);

Status makeDirectory(const std::string &path);
bool exists(const std::string &path);

/// A fresh directory inside `parent`, removed with all that is in it when this ends.
class TemporaryDirectory {
public:
  TemporaryDirectory() = default;
  TemporaryDirectory(TemporaryDirectory &&other) noexcept : name(std::exchange(other.name, {})) {}
  TemporaryDirectory &operator=(TemporaryDirectory &&) = delete;
  ~TemporaryDirectory();

  static Result<TemporaryDirectory> make(const std::string &parent);
  const std::string &path() const { return name; }

private:
  std::string name;
};

/// Renames, replacing the target.
Status renameFile(const std::string &from, const std::string &to);

} // namespace opw::package
