// A kernel of the level aarch64 as a process of its own: linked with runner.c by Debian's cross compiler, run by
// qemu-user. Memory travels there and back with every call.
#pragma once

#include "protocol.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

extern "C" char **environ;

namespace opw::test {

struct Region {
  void *address;
  size_t bytes;
};

class Emulated {
public:
  /// The emulator is asked for by this variable; tests of a level then run that level alone.
  static bool wanted() { return std::getenv("OPW_EMULATOR") != nullptr; }

  /// Null where the tools fail, which they say on standard error.
  static std::unique_ptr<Emulated> start(const std::string &object) {
    std::filesystem::path folder = workplace();
    static unsigned count = 0;
    std::string name = (folder / ("kernel" + std::to_string(++count))).string();
    std::ofstream(name + ".o", std::ios::binary) << object;
    bool linked =
        run({"aarch64-linux-gnu-gcc", "-static", "-pthread", "-o", name, (folder / "runner.o").string(), name + ".o"});
    std::filesystem::remove(name + ".o");
    if (!linked)
      return nullptr;
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
      return nullptr;
    std::unique_ptr<Emulated> emulated(new Emulated);
    emulated->file = name;
    emulated->to = in[1], emulated->from = out[0];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    emulated->child = spawn({"qemu-aarch64", name}, &actions);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]), close(out[1]);
    signal(SIGPIPE, SIG_IGN);
    return emulated->child > 0 ? std::move(emulated) : nullptr;
  }

  ~Emulated() {
    close(to), close(from);
    if (child > 0)
      waitpid(child, nullptr, 0);
    std::filesystem::remove(file);
  }
  Emulated(const Emulated &) = delete;

  /// False where the process died. The regions have what the kernel wrote.
  bool call(emulated_call_t call, const std::vector<emulated_slot_t> &slots, const std::vector<Region> &regions,
            emulated_answer_t &answer) {
    call.slots = uint32_t(slots.size()), call.regions = uint32_t(regions.size());
    std::vector<emulated_region_t> places;
    for (const Region &region : regions)
      places.push_back({reinterpret_cast<uint64_t>(region.address), region.bytes});
    bool sent = put(&call, sizeof call) && put(slots.data(), slots.size() * sizeof slots[0]) &&
                put(places.data(), places.size() * sizeof places[0]);
    for (const Region &region : regions)
      sent = sent && put(region.address, region.bytes);
    bool received = sent && get(&answer, sizeof answer);
    for (const Region &region : regions)
      received = received && get(region.address, region.bytes);
    return received;
  }

private:
  Emulated() = default;
  std::string file;
  int to = -1, from = -1;
  pid_t child = -1;

  static pid_t spawn(std::vector<std::string> words, posix_spawn_file_actions_t *actions) {
    std::vector<char *> arguments;
    for (std::string &word : words)
      arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t child = -1;
    if (int error = posix_spawnp(&child, arguments[0], actions, nullptr, arguments.data(), environ)) {
      std::fprintf(stderr, "cannot start %s: %s\n", arguments[0], std::strerror(error));
      return -1;
    }
    return child;
  }
  static bool run(std::vector<std::string> words) {
    pid_t child = spawn(std::move(words), nullptr);
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

  /// A folder with runner.o that goes away with the process.
  static std::filesystem::path workplace() {
    struct Folder {
      std::filesystem::path path;
      Folder() {
        std::string text = (std::filesystem::temp_directory_path() / "opwright-emulator-XXXXXX").string();
        if (mkdtemp(text.data()))
          path = text;
        std::filesystem::path tests = OPW_TEST_DATA;
        run({"aarch64-linux-gnu-gcc", "-O1", "-c", "-I", (tests / "../include").string(), "-o",
             (path / "runner.o").string(), (tests / "emulator/runner.c").string()});
      }
      ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
      }
    };
    static Folder folder;
    return folder.path;
  }

  bool put(const void *bytes, size_t count) {
    for (size_t done = 0; done < count;) {
      ssize_t n = write(to, static_cast<const char *>(bytes) + done, count - done);
      if (n <= 0)
        return false;
      done += size_t(n);
    }
    return true;
  }
  bool get(void *bytes, size_t count) {
    for (size_t done = 0; done < count;) {
      ssize_t n = read(from, static_cast<char *>(bytes) + done, count - done);
      if (n <= 0)
        return false;
      done += size_t(n);
    }
    return true;
  }
};

} // namespace opw::test
