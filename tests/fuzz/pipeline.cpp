#include "pipeline.h"

#include "frontend/ttir/parse.h"
#include "ir/verify.h"
#include "passes/lower_to_plan.h"
#include "passes/normalize.h"

#include <cstdio>
#include <cstdlib>

extern "C" bool opwFuzzIsValid(const char *data, size_t size);
extern "C" bool opwFuzzIsValid(const char *data, size_t size) {
  return bool(opw::ttir::parse({data, size}, "fuzz.ttir"));
}

namespace opw::fuzz {

namespace {

/// How far the inputs get: mutations that no stage accepts would test the parser alone.
struct Reached {
  unsigned long long given = 0, parsed = 0, normalized = 0, planned = 0;
  ~Reached() {
    std::printf("%llu texts, %llu valid, %llu normalized, %llu planned\n", given, parsed, normalized, planned);
  }
} reached;

void requireValid(const char *what, const ir::Module &module) {
  if (Status valid = ir::verify(module); !valid)
    fail(what, render(valid.diagnostics()));
}

} // namespace

void fail(const char *what, const std::string &detail) {
  std::fprintf(stderr, "fuzz: %s\n%s\n", what, detail.c_str());
  std::abort();
}

void requireMessage(const Diagnostics &diagnostics) {
  if (diagnostics.empty() || diagnostics[0].message.empty())
    fail("refused without a message", "");
  for (std::string_view ours : {"internal error", "the compiler failed"})
    if (diagnostics[0].message.find(ours) != std::string::npos)
      fail("an invariant is broken", render(diagnostics));
}

std::optional<ir::Module> planOf(std::string_view text) {
  ++reached.given;
  Result<ir::Module> tile = ttir::parse(text, "fuzz.ttir");
  if (!tile) {
    requireMessage(tile.diagnostics());
    return std::nullopt;
  }
  ++reached.parsed;
  Result<ir::Module> normal = passes::normalize(*tile);
  if (!normal) {
    requireMessage(normal.diagnostics());
    return std::nullopt;
  }
  ++reached.normalized;
  requireValid("the normalized module is not valid", *normal);
  // Both answers on overlapping arguments are tried, one for each text.
  bool disjoint = text.size() % 2 == 0;
  Result<ir::Module> plan = passes::lowerToPlan(*normal, {.argsDisjoint = disjoint, .vectorLanes = 8});
  if (!plan) {
    requireMessage(plan.diagnostics());
    return std::nullopt;
  }
  ++reached.planned;
  requireValid("the plan is not valid", *plan);
  return std::move(*plan);
}

} // namespace opw::fuzz
