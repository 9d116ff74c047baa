#include "package/files.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace opw::package {
namespace {

std::string hintFor(int error) {
  switch (error) {
  case ENOSPC:
  case EDQUOT:
    return "free some disk space, or use a workspace on another disk";
  case EACCES:
  case EPERM:
  case EROFS:
    return "use a workspace that may be written";
  case ENOTDIR:
  case EEXIST:
    return "a file is in the way: remove it, or use another workspace";
  default:
    return {};
  }
}

/// Closes a file descriptor at the end.
struct File {
  int fd;
  ~File() {
    if (fd >= 0)
      close(fd);
  }
  int release() { return std::exchange(fd, -1); }
};

} // namespace

Diagnostic fileError(std::string_view what, const std::string &path, int error) {
  Diagnostic d;
  d.message = std::string(what) + " '" + path + "': " + std::strerror(error);
  d.hint = hintFor(error);
  return d;
}

Result<std::string> readFile(const std::string &path) {
  File file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0)
    return fileError("cannot read", path, errno);
  std::string out;
  char buffer[1 << 16];
  for (;;) {
    ssize_t n = read(file.fd, buffer, sizeof buffer);
    if (n == 0)
      return out;
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fileError("cannot read", path, errno);
    out.append(buffer, static_cast<size_t>(n));
  }
}

Status writeFile(const std::string &path, std::string_view bytes) {
  std::string temporary = path + ".XXXXXX";
  File file{mkostemp(temporary.data(), O_CLOEXEC)};
  if (file.fd < 0)
    return fileError("cannot write", path, errno);
  auto give = [&](int error) {
    unlink(temporary.c_str());
    return fileError("cannot write", path, error);
  };
  for (std::string_view rest = bytes; !rest.empty();) {
    ssize_t n = write(file.fd, rest.data(), rest.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return give(errno);
    rest.remove_prefix(static_cast<size_t>(n));
  }
  if (fchmod(file.fd, 0644) != 0 || close(file.release()) != 0) // a full disk may show only at close
    return give(errno);
  if (rename(temporary.c_str(), path.c_str()) != 0)
    return give(errno);
  return ok();
}

Status makeDirectory(const std::string &path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error || !std::filesystem::is_directory(path, error))
    return fileError("cannot make the directory", path, error ? error.value() : ENOTDIR);
  return ok();
}

bool exists(const std::string &path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  if (!name.empty())
    std::filesystem::remove_all(name, ignored);
}

Result<TemporaryDirectory> TemporaryDirectory::make(const std::string &parent) {
  std::string path = parent + "/.build-XXXXXX";
  if (!mkdtemp(path.data()))
    return fileError("cannot make a directory in", parent, errno);
  TemporaryDirectory directory;
  directory.name = path;
  return directory;
}

Status renameFile(const std::string &from, const std::string &to) {
  if (rename(from.c_str(), to.c_str()) != 0)
    return fileError("cannot put the result at", to, errno);
  return ok();
}

} // namespace opw::package
