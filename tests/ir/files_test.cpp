// Over the files of this folder: every text reads, what it prints reads back to the same text, and imports of ttir/
// that have a file in import/ print exactly that. OPW_UPDATE=1 in the environment rewrites the files of import/.
#include "frontend/ttir/parse.h"
#include "ir/parser.h"
#include "ir/verify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace {

using opw::ir::PrintLocations;
namespace fs = std::filesystem;

const fs::path kFolder = fs::path(OPW_TEST_DATA) / "ir";

std::string readFile(const fs::path &path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<fs::path> filesIn(const char *folder, const char *extension) {
  std::vector<fs::path> files;
  for (const auto &entry : fs::directory_iterator(kFolder / folder)) {
    if (entry.path().extension() == extension)
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// print -> parse -> print is the identity, with and without locations, and keeps the module valid.
void expectRoundTrip(const opw::ir::Module &module) {
  for (PrintLocations locations : {PrintLocations::No, PrintLocations::Yes}) {
    std::string printed = opw::ir::print(module, locations);
    opw::Result<opw::ir::Module> again = opw::ir::parse(printed, "again.ir");
    ASSERT_TRUE(again) << opw::render(again.diagnostics()) << printed;
    EXPECT_EQ(opw::ir::print(*again, locations), printed);
    opw::Status verified = opw::ir::verify(*again);
    EXPECT_TRUE(verified) << opw::render(verified.diagnostics());
  }
}

TEST(Files, EveryTtirTextReadsAndPrintsBack) {
  std::vector<fs::path> files = filesIn("ttir", ".ttir");
  ASSERT_GE(files.size(), 20u);
  for (const fs::path &file : files) {
    SCOPED_TRACE(file.filename());
    opw::Result<opw::ir::Module> module = opw::ttir::parse(readFile(file), file.filename());
    ASSERT_TRUE(module) << opw::render(module.diagnostics());
    ASSERT_NE(module->entry(), nullptr);
    expectRoundTrip(*module);
  }
}

TEST(Files, EveryPlanTextReadsAndPrintsBack) {
  std::vector<fs::path> files = filesIn("plan", ".ir");
  ASSERT_GE(files.size(), 3u);
  for (const fs::path &file : files) {
    SCOPED_TRACE(file.filename());
    opw::Result<opw::ir::Module> module = opw::ir::parse(readFile(file), file.filename());
    ASSERT_TRUE(module) << opw::render(module.diagnostics());
    opw::Status verified = opw::ir::verify(*module);
    EXPECT_TRUE(verified) << opw::render(verified.diagnostics());
    expectRoundTrip(*module);
  }
}

TEST(Files, ImportsAreAsExpected) {
  std::vector<fs::path> goldens = filesIn("import", ".ir");
  ASSERT_GE(goldens.size(), 4u);
  for (const fs::path &golden : goldens) {
    SCOPED_TRACE(golden.filename());
    fs::path source = kFolder / "ttir" / golden.stem().concat(".ttir");
    opw::Result<opw::ir::Module> module = opw::ttir::parse(readFile(source), source.filename());
    ASSERT_TRUE(module) << opw::render(module.diagnostics());
    bool hasLocations = source.stem().extension() == ".loc" || source.stem() == "old_forms";
    std::string printed = opw::ir::print(*module, hasLocations ? PrintLocations::Yes : PrintLocations::No);
    if (std::getenv("OPW_UPDATE") != nullptr)
      std::ofstream(golden, std::ios::binary) << printed;
    EXPECT_EQ(printed, readFile(golden)) << "OPW_UPDATE=1 rewrites it";
  }
}

/// A prefix of a valid text never crashes and, cut inside the module, is refused with a line.
TEST(Files, TruncatedTextsAreRefused) {
  std::string text = readFile(kFolder / "ttir" / "branches.loc.ttir");
  size_t module = text.find("module {");
  size_t end = text.rfind("} loc(#loc)");
  for (size_t length = 0; length < text.size(); length += length < module ? 97 : 7) {
    opw::Result<opw::ir::Module> result = opw::ttir::parse(std::string_view(text).substr(0, length), "cut.ttir");
    if (length > module && length < end) {
      ASSERT_FALSE(result) << length;
      EXPECT_NE(result.diagnostics()[0].where.line, 0u);
    }
  }
}

} // namespace
