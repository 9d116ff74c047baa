// opwright-opt: reads TTIR or the printed IR, prints the IR. For people who work on the compiler, and for golden tests.
#include "frontend/ttir/parse.h"
#include "ir/parser.h"
#include "ir/verify.h"
#include "passes/lower_to_plan.h"
#include "passes/normalize.h"

#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

namespace {

constexpr const char *kUsage =
    "usage: opwright-opt [options] [file]\n"
    "Reads TTIR (a module with tt.func) or the printed IR (func) from the file or from standard input, and prints the "
    "IR.\n"
    "  --stop-after=STAGE  import (the default), normalize or plan; a text of plan ops is past them all\n"
    "  --lanes=N           elements of the target's widest f32 vector, for plan (16)\n"
    "  --args-disjoint     memory behind different pointer arguments does not overlap, for plan\n"
    "  --verify            print nothing when the module is valid\n"
    "  --locations         print source locations too\n"
    "  --help              this text\n";

struct Options {
  std::string file = "-";
  std::string stopAfter = "import";
  opw::passes::PlanOptions plan;
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

/// Reads the text and runs the stages up to the one asked for.
opw::Result<opw::ir::Module> produce(const std::string &text, const std::string &name, const Options &options) {
  opw::Result<opw::ir::Module> module = isTtir(text) ? opw::ttir::parse(text, name) : opw::ir::parse(text, name);
  if (!module || options.stopAfter == "import")
    return module;
  if (opw::Status verified = opw::ir::verify(*module); !verified)
    return std::move(verified.diagnostics());
  opw::Result<opw::ir::Module> normal = opw::passes::normalize(*module);
  if (!normal || options.stopAfter == "normalize")
    return normal;
  return opw::passes::lowerToPlan(*normal, options.plan);
}

int run(const Options &options) {
  std::string text;
  if (!readAll(options.file, text))
    return fail("cannot read " + options.file);
  opw::Result<opw::ir::Module> module = produce(text, options.file == "-" ? "<stdin>" : options.file, options);
  if (!module) {
    std::cerr << opw::render(module.diagnostics());
    return 1;
  }
  if (!options.verifyOnly)
    std::cout << opw::ir::print(*module,
                                options.locations ? opw::ir::PrintLocations::Yes : opw::ir::PrintLocations::No);
  if (opw::Status verified = opw::ir::verify(*module); !verified) {
    std::cerr << opw::render(verified.diagnostics());
    return 1;
  }
  return 0;
}

/// False when there is no such option.
bool readOption(const std::string &argument, Options &options) {
  auto valueOf = [&](const std::string &name) { return argument.substr(name.size()); };
  if (argument == "--verify") {
    options.verifyOnly = true;
  } else if (argument == "--locations") {
    options.locations = true;
  } else if (argument == "--args-disjoint") {
    options.plan.argsDisjoint = true;
  } else if (argument.rfind("--stop-after=", 0) == 0) {
    options.stopAfter = valueOf("--stop-after=");
    return options.stopAfter == "import" || options.stopAfter == "normalize" || options.stopAfter == "plan";
  } else if (argument.rfind("--lanes=", 0) == 0) {
    std::string digits = valueOf("--lanes=");
    bool valid = !digits.empty() && digits.size() < 4 && digits.find_first_not_of("0123456789") == std::string::npos;
    options.plan.vectorLanes = valid ? static_cast<unsigned>(std::stoul(digits)) : 0;
    return options.plan.vectorLanes > 0;
  } else if (argument != "-" && argument[0] == '-') {
    return false;
  } else {
    options.file = argument;
  }
  return true;
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
    if (!readOption(argument, options))
      return fail("unknown option " + argument + "; see --help");
  }
  return run(options);
}
