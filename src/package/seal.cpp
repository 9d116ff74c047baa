#include "package/seal.h"

#include "opwright/seal.hpp"
#include "package/files.h"

#include <cerrno>
#include <cstdio>

namespace opw::package {

Status sealLibrary(const std::string &path, const uint8_t (&hash)[32]) {
  Result<std::string> bytes = readFile(path);
  if (!bytes)
    return bytes.diagnostics();
  const opwright::Seal seal = opwright::makeSeal(bytes->data(), bytes->size(), hash);
  std::FILE *file = std::fopen(path.c_str(), "abe");
  if (!file)
    return fileError("cannot write", path, errno);
  bool written = std::fwrite(&seal, sizeof seal, 1, file) == 1;
  int error = errno;
  if (std::fclose(file) != 0 && written) { // a full disk may show only here
    written = false;
    error = errno;
  }
  return written ? ok() : fileError("cannot write", path, error);
}

} // namespace opw::package
