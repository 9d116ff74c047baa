// Reads what a shared object says about itself, without loading it. Takes any bytes; damage is an error, never a crash.
#pragma once

#include "support/diagnostic.h"

#include <string>
#include <string_view>
#include <vector>

namespace opw::package {

struct SharedObject {
  std::vector<std::string> needed;
  std::string soname;
  struct Symbol {
    std::string name;
    std::string version; ///< "GLIBC_2.2.5", empty = none
    bool unique = false; ///< STB_GNU_UNIQUE
  };
  std::vector<Symbol> exported, undefined;
  bool textRelocations = false;
  bool executableStack = true; ///< until a PT_GNU_STACK says otherwise
  bool nodelete = false, bindNow = false;
};

/// Checks the whole frame first: header, segments and section table inside the file. A file that was cut is refused
/// here; dlopen would end the process.
Result<SharedObject> readSharedObject(std::string_view bytes, const std::string &path);

} // namespace opw::package
