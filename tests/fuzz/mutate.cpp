// The plain driver: takes each input of a corpus, mutates it from a seed, and calls the target. The same seed gives the
// same inputs. A crash leaves the input in crash-<seed>-<number>.txt; `fuzz_x FILE --count 0` runs files as they are.
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

namespace {

std::string currentInput;
std::string crashFile;

void saveAndDie(int signal) {
  if (std::FILE *out = std::fopen(crashFile.c_str(), "wb")) {
    std::fwrite(currentInput.data(), 1, currentInput.size(), out);
    std::fclose(out);
    std::fprintf(stderr, "signal %d, input saved as %s\n", signal, crashFile.c_str());
  }
  std::_Exit(1);
}

/// splitmix64: the same numbers on every system.
struct Random {
  uint64_t state;
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  size_t below(size_t limit) { return limit == 0 ? 0 : static_cast<size_t>(next() % limit); }
};

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

bool addFile(const std::filesystem::path &path, std::vector<std::string> &corpus) {
  std::ifstream in(path, std::ios::binary);
  if (!in)
    return false;
  corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  return true;
}

void runOne() { LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t *>(currentInput.data()), currentInput.size()); }

} // namespace

int main(int argc, char **argv) {
  uint64_t seed = 1, count = 1000;
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    bool isSeed = argument == "--seed", isCount = argument == "--count";
    if ((isSeed || isCount) && i + 1 < argc) {
      (isSeed ? seed : count) = std::strtoull(argv[++i], nullptr, 10);
    } else if (std::filesystem::is_directory(argument)) {
      for (const auto &entry : std::filesystem::recursive_directory_iterator(argument)) {
        if (entry.is_regular_file())
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
  if (corpus.empty()) {
    std::fprintf(stderr, "usage: %s [--seed S] [--count N] files or folders\n", argv[0]);
    return 2;
  }
  for (int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGBUS})
    std::signal(signal, saveAndDie);

  auto start = std::chrono::steady_clock::now();
  crashFile = "crash-corpus.txt";
  for (const std::string &input : corpus) {
    currentInput = input;
    runOne();
  }
  for (uint64_t i = 0; i < count; ++i) {
    Random random{seed * 0x9e3779b97f4a7c15ull + i};
    currentInput = corpus[random.below(corpus.size())];
    for (size_t steps = 1 + random.below(4); steps > 0; --steps)
      mutateOnce(currentInput, corpus, random);
    crashFile = "crash-" + std::to_string(seed) + "-" + std::to_string(i) + ".txt";
    runOne();
  }
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("%llu inputs from %zu files, seed %llu, %.1f s\n", static_cast<unsigned long long>(count), corpus.size(),
              static_cast<unsigned long long>(seed), seconds.count());
  return 0;
}
