// The parser of the printed IR on arbitrary bytes, and the verifier on whatever the parser accepts.
#include "ir/parser.h"
#include "ir/verify.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  opw::Result<opw::ir::Module> module = opw::ir::parse(text, "fuzz.ir");
  if (!module)
    return 0;
  if (!opw::ir::verify(*module))
    return 0;
  std::string printed = opw::ir::print(*module, opw::ir::PrintLocations::Yes);
  opw::Result<opw::ir::Module> again = opw::ir::parse(printed, "fuzz.ir");
  if (!again || opw::ir::print(*again, opw::ir::PrintLocations::Yes) != printed) {
    std::fprintf(stderr, "fuzz_ir: the printed form does not read back to itself\n%s\n", printed.c_str());
    std::abort();
  }
  return 0;
}
