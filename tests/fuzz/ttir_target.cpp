// The TTIR parser on arbitrary bytes: it answers with a module or with diagnostics that have a line; what it accepts
// prints and reads back to the same text.
#include "frontend/ttir/parse.h"
#include "ir/parser.h"
#include "ir/verify.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

[[noreturn]] void fail(const char *what, const std::string &detail) {
  std::fprintf(stderr, "fuzz_ttir: %s\n%s\n", what, detail.c_str());
  std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  opw::Result<opw::ir::Module> module = opw::ttir::parse(text, "fuzz.ttir");
  if (!module) {
    if (module.diagnostics().empty() || module.diagnostics()[0].message.empty())
      fail("refused without a message", "");
    return 0;
  }
  std::string printed = opw::ir::print(*module);
  opw::Result<opw::ir::Module> again = opw::ir::parse(printed, "fuzz.ir");
  if (!again)
    fail("the printed form does not read back", opw::render(again.diagnostics()) + printed);
  if (opw::ir::print(*again) != printed)
    fail("the printed form changes when it is read back", printed);
  if (opw::Status verified = opw::ir::verify(*again); !verified)
    fail("the printed form is not valid", opw::render(verified.diagnostics()) + printed);
  return 0;
}
