// opwright-opt: reads TTIR or the printed IR, runs stages on it, prints the IR. For people who work on the compiler,
// and for golden tests.
#include "frontend/ttir/parse.h"
#include "ir/parser.h"
#include "ir/verify.h"
#include "ir/walk.h"
#include "passes/lower_to_plan.h"
#include "passes/normalize.h"

#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>

namespace {

constexpr const char *kUsage =
    "usage: opwright-opt [options] [file]\n"
    "Reads TTIR (a module with tt.func) or the printed IR (func) from the file or from standard input, and prints the "
    "IR.\n"
    "The stages are import, normalize and plan; a text of plan ops is past them all.\n"
    "  --start-from=STAGE  the first stage to run (import); a later one takes the printed IR that the one before it "
    "leaves\n"
    "  --stop-after=STAGE  the last stage to run (the first one)\n"
    "  --lanes=N           elements of the target's widest f32 vector, for plan (16)\n"
    "  --args-disjoint     memory behind different pointer arguments does not overlap, for plan\n"
    "  --verify            print nothing when the module is valid\n"
    "  --locations         print source locations too\n"
    "  --help              this text\n";

enum Stage : size_t { kImport, kNormalize, kPlan, kStageCount };
constexpr const char *kStages[kStageCount] = {"import", "normalize", "plan"};

struct Options {
  std::string file = "-";
  size_t startFrom = kImport;
  std::optional<size_t> stopAfter; ///< nothing: startFrom
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

/// Nothing but import takes a plan: its ops are refused by name and place.
opw::Status checkTile(const opw::ir::Module &module) {
  opw::Status status = opw::ok();
  for (const opw::ir::Function &function : module.functions)
    opw::ir::walk(function, [&](opw::ir::OpId id) {
      const opw::ir::Op &op = function.op(id);
      if (status && opw::ir::has(op.kind, opw::ir::kPlan))
        status = opw::Diagnostic{.where = opw::ir::sourceOf(module, op.location),
                                 .message = "found an operation of a plan, expected tile IR",
                                 .kernel = function.name,
                                 .op = std::string(opw::ir::name(op.kind)),
                                 .hint = "a plan is past every stage: print it without --start-from and --stop-after"};
    });
  return status;
}

/// Reads the text and runs the stages from the first to the last one asked for.
opw::Result<opw::ir::Module> produce(const std::string &text, const std::string &name, const Options &options) {
  bool fromTtir = isTtir(text);
  if (fromTtir && options.startFrom != kImport)
    return opw::Diagnostic{.where = {.file = name},
                           .message = std::string("found TTIR, expected the printed IR that ") +
                                      kStages[options.startFrom - 1] + " leaves",
                           .hint = "leave out --start-from"};
  opw::Result<opw::ir::Module> module = fromTtir ? opw::ttir::parse(text, name) : opw::ir::parse(text, name);
  size_t last = options.stopAfter.value_or(options.startFrom);
  if (!module || last == kImport)
    return module;
  if (opw::Status verified = opw::ir::verify(*module); !verified)
    return std::move(verified.diagnostics());
  if (opw::Status tile = checkTile(*module); !tile)
    return std::move(tile.diagnostics());
  if (options.startFrom <= kNormalize)
    module = opw::passes::normalize(*module);
  if (!module || last == kNormalize)
    return module;
  return opw::passes::lowerToPlan(*module, options.plan);
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

std::optional<size_t> stageOf(const std::string &name) {
  for (size_t stage = 0; stage < kStageCount; ++stage)
    if (name == kStages[stage])
      return stage;
  return std::nullopt;
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
    options.stopAfter = stageOf(valueOf("--stop-after="));
    return options.stopAfter.has_value();
  } else if (argument.rfind("--start-from=", 0) == 0) {
    std::optional<size_t> stage = stageOf(valueOf("--start-from="));
    options.startFrom = stage.value_or(kImport);
    return stage.has_value();
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
  if (options.stopAfter && *options.stopAfter < options.startFrom)
    return fail(std::string("--stop-after=") + kStages[*options.stopAfter] +
                " comes before --start-from=" + kStages[options.startFrom]);
  return run(options);
}
