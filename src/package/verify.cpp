#include "package/verify.h"

#include "opwright/plugin.h"
#include "opwright/seal.hpp"
#include "package/elf_read.h"
#include "package/files.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <set>
#include <sys/wait.h>
#include <unistd.h>

namespace opw::package {
namespace {

/// Functions of libc that a plugin may need; anything else came in by mistake.
const std::set<std::string, std::less<>> kAllowed{"__register_atfork",
                                                  "__tls_get_addr",
                                                  "calloc",
                                                  "clock_gettime",
                                                  "close",
                                                  "dladdr",
                                                  "dlopen",
                                                  "dlsym",
                                                  "fprintf",
                                                  "free",
                                                  "getenv",
                                                  "getpid",
                                                  "malloc",
                                                  "memchr",
                                                  "memcmp",
                                                  "memcpy",
                                                  "memmove",
                                                  "memset",
                                                  "mmap",
                                                  "munmap",
                                                  "open",
                                                  "posix_memalign",
                                                  "prctl",
                                                  "pthread_attr_destroy",
                                                  "pthread_attr_init",
                                                  "pthread_attr_setdetachstate",
                                                  "pthread_attr_setstacksize",
                                                  "pthread_create",
                                                  "pthread_join",
                                                  "pthread_getspecific",
                                                  "pthread_key_create",
                                                  "pthread_setspecific",
                                                  "pthread_sigmask",
                                                  "read",
                                                  "sched_yield",
                                                  "sigfillset",
                                                  "snprintf",
                                                  "stderr",
                                                  "strchr",
                                                  "strcmp",
                                                  "strcpy",
                                                  "strcspn",
                                                  "strlen",
                                                  "strncmp",
                                                  "strrchr",
                                                  "strstr",
                                                  "strtol",
                                                  "strtoull",
                                                  "syscall",
                                                  "vsnprintf",
                                                  "write",
                                                  "__errno_location",
                                                  "__stack_chk_fail",
                                                  "__memcpy_chk",
                                                  "__memset_chk",
                                                  "__snprintf_chk",
                                                  "__vsnprintf_chk",
                                                  "__cxa_finalize",
                                                  "_ITM_deregisterTMCloneTable",
                                                  "_ITM_registerTMCloneTable",
                                                  "__gmon_start__"};

constexpr std::array<int, 2> kNewestGlibc{2, 28};

Diagnostic wrong(const std::string &what) {
  Diagnostic d;
  d.message = "the linked plugin is not sound: " + what;
  d.hint = "this is a bug in Opwright, or the linker of this system changes what it links";
  return d;
}

std::array<int, 2> versionOf(const std::string &name) {
  std::array<int, 2> v{0, 0};
  if (std::sscanf(name.c_str(), "GLIBC_%d.%d", &v[0], &v[1]) < 1)
    v = {0, 0};
  return v;
}

Result<Verified> verifySymbols(const SharedObject &object, const std::vector<std::string> &exports) {
  for (const std::string &library : object.needed)
    if (library != "libc.so.6")
      return wrong("it needs " + library + ", expected libc.so.6 alone");
  std::set<std::string> expected(exports.begin(), exports.end()), found;
  for (const SharedObject::Symbol &symbol : object.exported) {
    found.insert(symbol.name);
    if (symbol.unique || symbol.name.starts_with("_Z"))
      return wrong("it exports " + symbol.name);
  }
  for (const std::string &name : expected)
    if (!found.contains(name))
      return wrong("it does not export " + name);
  for (const std::string &name : found)
    if (!expected.contains(name))
      return wrong("it exports " + name);
  Verified verified;
  std::array<int, 2> highest{0, 0};
  for (const SharedObject::Symbol &symbol : object.undefined) {
    if (!kAllowed.contains(symbol.name))
      return wrong("it leaves " + symbol.name + " undefined");
    if (versionOf(symbol.version) > highest) {
      highest = versionOf(symbol.version);
      verified.highestVersion = symbol.version;
    }
  }
  if (highest > kNewestGlibc)
    return wrong("it needs " + verified.highestVersion + ", expected at most GLIBC_2.28");
  if (object.textRelocations)
    return wrong("it has relocations in its code");
  if (object.executableStack)
    return wrong("it asks for an executable stack");
  if (!object.nodelete)
    return wrong("it may be unmapped");
  return verified;
}

/// In the child: loads the library and lets the runtime inside check every op. Writes a reason on failure.
void loadAndCheck(const char *path, int fd) {
  std::array<char, 512> text{};
  auto say = [&](const char *what) {
    ssize_t ignored = write(fd, what, std::strlen(what));
    (void)ignored;
  };
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return say(dlerror());
  auto query = reinterpret_cast<opw_library_fn>(dlsym(handle, "opw_library"));
  const opw_library_t *library = query ? query(OPW_ABI_MAJOR) : nullptr;
  if (!library)
    return say("opw_library gives nothing");
  for (uint32_t i = 0; i < library->tables->op_count; ++i) {
    opw_error_t error{sizeof error, OPW_OK, text.data(), text.size()};
    if (library->api->check(library->tables->ops[i], &error) != OPW_OK)
      return say(text.data());
  }
  _exit(0);
}

Status verifyByLoading(const std::string &path) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return fileError("cannot make a pipe for", path, errno);
  pid_t child = fork();
  if (child == 0) {
    alarm(60);
    loadAndCheck(path.c_str(), ends[1]);
    _exit(1);
  }
  close(ends[1]);
  std::string text;
  char buffer[512];
  for (ssize_t n; child > 0 && ((n = read(ends[0], buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR));)
    if (n > 0)
      text.append(buffer, static_cast<size_t>(n));
  close(ends[0]);
  int status = -1;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  if (child < 0)
    return fileError("cannot start a process to load", path, errno);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return ok();
  return wrong(!text.empty() ? text : "loading it ended the process with status " + std::to_string(status));
}

} // namespace

Result<Verified> verifyPlugin(const std::string &path, const std::vector<std::string> &exports) {
  Result<std::string> bytes = readFile(path);
  if (!bytes)
    return bytes.diagnostics();
  Result<SharedObject> object = readSharedObject(*bytes, path);
  if (!object)
    return object.diagnostics();
  Result<Verified> verified = verifySymbols(*object, exports);
  if (!verified)
    return verified;
  if (std::string refusal = opwright::checkFile(path).refusal; !refusal.empty())
    return wrong(refusal);
  if (Status loaded = verifyByLoading(path); !loaded)
    return loaded.diagnostics();
  return verified;
}

} // namespace opw::package
