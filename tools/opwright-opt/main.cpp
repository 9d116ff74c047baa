// opwright-opt: reads TTIR or the printed IR, prints the IR. For people who work on the compiler, and for golden tests.
#include "frontend/ttir/parse.h"
#include "ir/parser.h"
#include "ir/verify.h"

#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr const char *kUsage =
    "usage: opwright-opt [options] [file]\n"
    "Reads TTIR (a module with tt.func) or the printed IR (func) from the file or from standard input, and prints the IR.\n"
    "  --verify      print nothing when the module is valid\n"
    "  --locations   print source locations too\n"
    "  --help        this text\n";

struct Options {
  std::string file = "-";
  bool verifyOnly = false;
  bool locations = false;
};

int fail(const std::string &message) {
  std::cerr << "opwright-opt: error: " << message << "\n";
  return 2;
}

bool readAll(const std::string &file, std::string &text) {
  std::ostringstream out;
  if (file == "-") {
    out << std::cin.rdbuf();
  } else {
    std::ifstream in(file, std::ios::binary);
    if (!in)
      return false;
    out << in.rdbuf();
  }
  text = out.str();
  return true;
}

/// The printed IR has functions named `func`, TTIR has `tt.func`.
bool isTtir(const std::string &text) { return text.find("tt.func") != std::string::npos; }

int run(const Options &options) {
  std::string text;
  if (!readAll(options.file, text))
    return fail("cannot read " + options.file);
  const std::string name = options.file == "-" ? "<stdin>" : options.file;
  opw::Result<opw::ir::Module> module = isTtir(text) ? opw::ttir::parse(text, name) : opw::ir::parse(text, name);
  if (!module) {
    std::cerr << opw::render(module.diagnostics());
    return 1;
  }
  if (opw::Status verified = opw::ir::verify(*module); !verified) {
    std::cerr << opw::render(verified.diagnostics());
    return 1;
  }
  if (!options.verifyOnly)
    std::cout << opw::ir::print(*module, options.locations ? opw::ir::PrintLocations::Yes : opw::ir::PrintLocations::No);
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--help") {
      std::cout << kUsage;
      return 0;
    }
    if (argument == "--verify")
      options.verifyOnly = true;
    else if (argument == "--locations")
      options.locations = true;
    else if (argument != "-" && argument[0] == '-')
      return fail("unknown option " + argument + "; see --help");
    else
      options.file = argument;
  }
  return run(options);
}
