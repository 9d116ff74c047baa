// Exact diagnostics of bad texts. A file of cases has one for each section:
//   === what is wrong
//   the text
//   --- the diagnostics as they are shown to the user
// OPW_UPDATE=1 in the environment rewrites what is expected.
#include "frontend/ttir/parse.h"
#include "ir/parser.h"
#include "ir/verify.h"
#include "passes/lower_to_plan.h"
#include "passes/normalize.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace {

struct Case {
  std::string title, text, expected;
};

std::string pathOf(const char *file) { return std::string(OPW_TEST_DATA) + "/errors/" + file; }

std::vector<Case> readCases(const char *file) {
  std::ifstream in(pathOf(file));
  std::vector<Case> cases;
  bool inExpected = false;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("=== ", 0) == 0) {
      cases.push_back({line.substr(4), "", ""});
      inExpected = false;
    } else if (line == "---") {
      inExpected = true;
    } else if (!cases.empty()) {
      (inExpected ? cases.back().expected : cases.back().text) += line + "\n";
    }
  }
  return cases;
}

void check(const char *file, std::string (*diagnose)(const std::string &)) {
  std::vector<Case> cases = readCases(file);
  ASSERT_FALSE(cases.empty());
  std::ostringstream updated;
  for (const Case &one : cases) {
    SCOPED_TRACE(one.title);
    std::string found = diagnose(one.text);
    EXPECT_FALSE(found.empty()) << "accepted";
    if (std::getenv("OPW_UPDATE") == nullptr) {
      EXPECT_EQ(found, one.expected);
    }
    updated << "=== " << one.title << "\n" << one.text << "---\n" << found;
  }
  if (std::getenv("OPW_UPDATE") != nullptr)
    std::ofstream(pathOf(file)) << updated.str();
}

TEST(TextErrors, Ttir) {
  check("ttir.txt", [](const std::string &text) {
    opw::Result<opw::ir::Module> module = opw::ttir::parse(text, "kernel.ttir");
    return module ? std::string() : opw::render(module.diagnostics());
  });
}

TEST(TextErrors, Compile) {
  check("compile.txt", [](const std::string &text) {
    opw::Result<opw::ir::Module> module = opw::ttir::parse(text, "kernel.ttir");
    if (module)
      module = opw::passes::normalize(*module);
    if (module)
      module = opw::passes::lowerToPlan(*module, {});
    return module ? std::string() : opw::render(module.diagnostics());
  });
}

TEST(TextErrors, PrintedIr) {
  check("ir.txt", [](const std::string &text) {
    opw::Result<opw::ir::Module> module = opw::ir::parse(text, "plan.ir");
    if (!module)
      return opw::render(module.diagnostics());
    opw::Status verified = opw::ir::verify(*module);
    return verified ? std::string() : opw::render(verified.diagnostics());
  });
}

} // namespace
