#include "frontend/ttir/parse.h"

#include "frontend/ttir/module_reader.h"
#include "ir/verify.h"

namespace opw::ttir {

Result<ir::Module> parse(std::string_view text, const std::string &fileName) {
  ir::Module module;
  TokenReader reader(text, fileName);
  ModuleReader moduleReader(reader, module);
  try {
    moduleReader.readText();
  } catch (SyntaxError &error) {
    moduleReader.addContext(error.diagnostic);
    return std::move(error.diagnostic);
  }
  Status verified = ir::verify(module);
  if (!verified)
    return std::move(verified.diagnostics());
  return module;
}

} // namespace opw::ttir
