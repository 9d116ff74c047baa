#include "package/link.h"

#include "package/files.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

namespace opw::package {
namespace {

std::vector<std::string> split(const std::string &text, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);)
    if (!part.empty())
      parts.push_back(part);
  return parts;
}

std::string variable(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

/// The file that a shell would run for `command`, or nothing.
std::string findOnPath(const std::string &command) {
  if (command.find('/') != command.npos)
    return access(command.c_str(), X_OK) == 0 ? command : "";
  for (const std::string &folder : split(variable("PATH"), ':')) {
    std::string path = folder + "/" + command;
    if (access(path.c_str(), X_OK) == 0)
      return path;
  }
  return "";
}

/// Runs a command in a directory and collects what it writes; the exit status, or -1.
int runIn(const std::string &directory, const std::vector<std::string> &command, std::string &output) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return -1;
  std::vector<char *> arguments;
  for (const std::string &a : command)
    arguments.push_back(const_cast<char *>(a.c_str()));
  arguments.push_back(nullptr);
  pid_t child = fork();
  if (child == 0) { // only async-signal-safe calls until exec
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    if (chdir(directory.c_str()) == 0)
      execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(ends[1]);
  char buffer[4096];
  for (ssize_t n; child > 0 && ((n = read(ends[0], buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR));)
    if (n > 0 && output.size() < (1u << 16))
      output.append(buffer, static_cast<size_t>(n));
  close(ends[0]);
  int status = -1;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

} // namespace

Result<std::vector<std::string>> findLinker() {
  std::string chosen = variable("CC");
  std::vector<std::string> command = split(chosen, ' ');
  if (!command.empty()) {
    std::string path = findOnPath(command[0]);
    if (!path.empty()) {
      command[0] = path;
      return command;
    }
  }
  for (const char *name : {"cc", "gcc", "clang"}) {
    std::string path = findOnPath(name);
    if (!path.empty())
      return std::vector<std::string>{path};
  }
  Diagnostic d;
  d.op = kNoLinker;
  d.message = "found no linker: tried " + (chosen.empty() ? "" : "CC='" + chosen + "', ") + "cc, gcc and clang on PATH";
  d.hint = "install one (Debian, Ubuntu: apt-get install gcc), or set CC to a C compiler";
  return d;
}

const std::vector<std::string> &linkOptions() {
  static const std::vector<std::string> options{"-shared",
                                                "-nostartfiles",
                                                "-nodefaultlibs",
                                                "-Wl,-Bsymbolic",
                                                "-Wl,--no-undefined",
                                                "-Wl,-z,now",
                                                "-Wl,-z,relro",
                                                "-Wl,-z,nodelete",
                                                "-Wl,-z,noexecstack",
                                                "-Wl,-z,text",
                                                "-Wl,--gc-sections",
                                                "-Wl,--hash-style=gnu",
                                                "-Wl,--strip-debug",
                                                "-Wl,--version-script=exports.map",
                                                "-Wl,--build-id=sha1"};
  return options;
}

std::string versionScript(const std::vector<std::string> &exports) {
  std::string map = "{\n  global:\n";
  for (const std::string &name : exports)
    map += "    " + name + ";\n";
  return map + "  local:\n    *;\n};\n";
}

Status link(const LinkRequest &request) {
  Result<std::vector<std::string>> linker = findLinker();
  if (!linker)
    return linker.diagnostics();
  std::string script = request.directory + "/exports.map";
  if (Status written = writeFile(script, versionScript(request.exports)); !written)
    return written;

  std::vector<std::string> command = *linker;
  command.insert(command.end(), linkOptions().begin(), linkOptions().end());
  command.push_back("-Wl,-soname," + request.soname);
  command.push_back("-o");
  command.push_back(request.output);
  command.insert(command.end(), request.objects.begin(), request.objects.end());
  command.insert(command.end(), {request.archive, "-lc", "-lgcc"});

  std::string output;
  int status = runIn(request.directory, command, output);
  if (status == 0)
    return ok();
  Diagnostic d;
  if (output.find("No space left on device") != output.npos) {
    d = fileError("cannot write", request.directory + "/" + request.output, ENOSPC);
    return d;
  }
  d.message = "the linker " + command[0] + " failed with status " + std::to_string(status) + ": " +
              output.substr(0, output.find_last_not_of('\n') + 1);
  d.hint = "an undefined symbol is a bug in Opwright; else check that the C compiler links a shared library";
  return d;
}

} // namespace opw::package
