#include "support/diagnostic.h"

namespace opw {

std::string Diagnostic::str() const {
  std::string out;
  if (!where.file.empty()) {
    out += where.file;
    if (where.line != 0) {
      out += ":" + std::to_string(where.line);
      if (where.column != 0)
        out += ":" + std::to_string(where.column);
    }
    out += ": ";
  }
  out += severity == Severity::Error ? "error: " : severity == Severity::Warning ? "warning: " : "remark: ";
  out += message;
  if (!op.empty())
    out += " [" + op + "]";
  if (!kernel.empty())
    out += " in kernel '" + kernel + "'";
  if (!hint.empty())
    out += "\n  hint: " + hint;
  return out;
}

std::string render(const Diagnostics &diagnostics) {
  std::string out;
  for (const Diagnostic &diagnostic : diagnostics)
    out += diagnostic.str() + "\n";
  return out;
}

} // namespace opw
