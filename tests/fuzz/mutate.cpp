// The plain driver: takes each input of a corpus, mutates it from a seed, and calls the target. The same seed gives the
// same inputs. A crash, an input of more than 5 s or one that takes too much memory leaves the input in
// crash-<seed>-<number>.txt; `fuzz_x --count 0 FILE` runs files as they are, `--from N` starts at input N.
#include "structure.h"

#include <sys/resource.h>
#include <sys/time.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/// A target may have it: whether its first stage takes the text.
extern "C" __attribute__((weak)) bool opwFuzzIsValid(const char *data, size_t size);

/// A target may have it: its inputs are rows of choices (choices.h), up to so many bytes, and need no corpus.
extern "C" __attribute__((weak)) size_t opwFuzzBytes();

// What the sanitizers find ends as SIGABRT, so that the input is kept.
#define OPW_VISIBLE __attribute__((visibility("default")))
extern "C" OPW_VISIBLE const char *__asan_default_options() {
  return "abort_on_error=1:hard_rss_limit_mb=3072:max_allocation_size_mb=2048";
}
extern "C" OPW_VISIBLE const char *__ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }

namespace {

using opw::fuzz::Random;

constexpr time_t kSecondsPerInput = 5; ///< of processor time
constexpr rlim_t kMemory = rlim_t{4} << 30;

std::string currentInput;
std::string crashFile;

void saveAndDie(int signal) {
  if (std::FILE *out = std::fopen(crashFile.c_str(), "wb")) {
    std::fwrite(currentInput.data(), 1, currentInput.size(), out);
    std::fclose(out);
    std::fprintf(stderr, "%s, input saved as %s\n",
                 signal == SIGPROF ? "an input takes more than 5 s" : strsignal(signal), crashFile.c_str());
  }
  std::_Exit(1);
}

struct Span {
  size_t begin, end;
};

bool isWordPart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '%';
}

/// The token around a position: a run of word characters, or one other character.
Span tokenAt(const std::string &text, size_t at) {
  size_t begin = at, end = at + 1;
  if (isWordPart(text[at])) {
    while (begin > 0 && isWordPart(text[begin - 1]))
      --begin;
    while (end < text.size() && isWordPart(text[end]))
      ++end;
  }
  return {begin, end};
}

Span lineAt(const std::string &text, size_t at) {
  size_t begin = text.rfind('\n', at);
  size_t end = text.find('\n', at);
  return {begin == std::string::npos ? 0 : begin, end == std::string::npos ? text.size() : end};
}

void mutateOnce(std::string &text, const std::vector<std::string> &corpus, Random &random) {
  if (text.empty())
    return;
  size_t at = random.below(text.size());
  Span token = tokenAt(text, at);
  switch (random.below(10)) {
  case 0:
    text.resize(at);
    break; // truncation at any byte
  case 1:
    text[at] = static_cast<char>(random.next());
    break;
  case 2:
    text[at] = static_cast<char>(text[at] ^ (1 << random.below(8)));
    break;
  case 3:
    text.erase(token.begin, token.end - token.begin);
    break;
  case 4:
    text.insert(token.end, text.substr(token.begin, token.end - token.begin));
    break;
  case 5: { // one token in place of another
    Span other = tokenAt(text, random.below(text.size()));
    std::string word = text.substr(other.begin, other.end - other.begin);
    text.replace(token.begin, token.end - token.begin, word);
    break;
  }
  case 6: { // a token of another input
    const std::string &source = corpus[random.below(corpus.size())];
    if (source.empty())
      break;
    Span other = tokenAt(source, random.below(source.size()));
    text.replace(token.begin, token.end - token.begin, source.substr(other.begin, other.end - other.begin));
    break;
  }
  case 7: {
    Span line = lineAt(text, at);
    text.erase(line.begin, line.end - line.begin);
    break;
  }
  case 8: {
    Span line = lineAt(text, at);
    text.insert(line.begin, text.substr(line.begin, line.end - line.begin));
    break;
  }
  default: {
    static const char *const kNumbers[] = {"0",  "1", "3", "64", "1048576", "4294967296", "99999999999999999999",
                                           "-1", "0x"};
    text.replace(token.begin, token.end - token.begin, kNumbers[random.below(std::size(kNumbers))]);
  }
  }
}

/// Bytes and tokens of any kind, or lines and names. Where a target has stages behind the parser, most inputs are of
/// the second kind, and most steps that make the text invalid are taken back, so that those stages get something to do.
void mutate(std::string &text, const std::vector<std::string> &corpus, Random &random) {
  if (random.oneIn(4) == (opwFuzzIsValid != nullptr)) {
    for (size_t steps = 1 + random.below(4); steps > 0; --steps)
      mutateOnce(text, corpus, random);
    return;
  }
  for (size_t steps = 1 + random.below(8); steps > 0; --steps) {
    std::string before = text;
    opw::fuzz::mutateStructure(text, random);
    bool isInvalid = opwFuzzIsValid != nullptr && !random.oneIn(16) && !opwFuzzIsValid(text.data(), text.size());
    if (isInvalid)
      text = std::move(before);
  }
}

bool addFile(const std::filesystem::path &path, std::vector<std::string> &corpus) {
  std::ifstream in(path, std::ios::binary);
  if (!in)
    return false;
  corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  return true;
}

std::string randomBytes(Random &random) {
  std::string bytes(1 + random.below(opwFuzzBytes()), 0);
  for (char &byte : bytes)
    byte = static_cast<char>(random.next());
  return bytes;
}

/// The handlers run on a stack of their own: an endless recursion has used up the other one.
void install() {
  static std::vector<char> stack(1 << 16);
  stack_t alternative{};
  alternative.ss_sp = stack.data();
  alternative.ss_size = stack.size();
  sigaltstack(&alternative, nullptr);
  struct sigaction action{};
  action.sa_handler = saveAndDie;
  action.sa_flags = SA_ONSTACK;
  for (int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGBUS, SIGPROF})
    sigaction(signal, &action, nullptr);
#ifndef __SANITIZE_ADDRESS__
  rlimit limit{kMemory, kMemory};
  setrlimit(RLIMIT_DATA, &limit);
#endif
}

void runOne() {
  itimerval limit{{0, 0}, {kSecondsPerInput, 0}};
  setitimer(ITIMER_PROF, &limit, nullptr);
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(currentInput.data()), currentInput.size());
}

} // namespace

int main(int argc, char **argv) {
  uint64_t seed = 1, count = 1000, from = 0;
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    bool isSeed = argument == "--seed", isCount = argument == "--count", isFrom = argument == "--from";
    if ((isSeed || isCount || isFrom) && i + 1 < argc) {
      (isSeed ? seed : isCount ? count : from) = std::strtoull(argv[++i], nullptr, 10);
    } else if (std::filesystem::is_directory(argument)) {
      for (const auto &entry : std::filesystem::recursive_directory_iterator(argument)) {
        if (entry.is_regular_file() && (entry.path().extension() == ".ttir" || entry.path().extension() == ".ir"))
          files.push_back(entry.path());
      }
    } else {
      files.emplace_back(argument);
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> corpus;
  for (const std::filesystem::path &file : files) {
    if (!addFile(file, corpus)) {
      std::fprintf(stderr, "cannot read %s\n", file.c_str());
      return 2;
    }
  }
  if (corpus.empty() && !opwFuzzBytes) {
    std::fprintf(stderr, "usage: %s [--seed S] [--count N] files or folders\n", argv[0]);
    return 2;
  }
  install();

  auto start = std::chrono::steady_clock::now();
  crashFile = "crash-corpus.txt";
  for (size_t i = 0; from == 0 && i < corpus.size(); ++i) {
    currentInput = corpus[i];
    runOne();
  }
  for (uint64_t i = from; i < count; ++i) {
    Random random{seed * 0x9e3779b97f4a7c15ull + i};
    if (opwFuzzBytes) {
      currentInput = randomBytes(random);
    } else {
      currentInput = corpus[random.below(corpus.size())];
      mutate(currentInput, corpus, random);
    }
    crashFile = "crash-" + std::to_string(seed) + "-" + std::to_string(i) + ".txt";
    runOne();
  }
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("%llu inputs from %zu files, seed %llu, %.1f s\n", static_cast<unsigned long long>(count), corpus.size(),
              static_cast<unsigned long long>(seed), seconds.count());
  return 0;
}
