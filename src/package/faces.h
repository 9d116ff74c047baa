// What the faces of a request add to a library: functions of the runtime that hosts look up by name, and stubs.
#pragma once

#include "package/elf_write.h"
#include "package/request.h"

#include <string>
#include <vector>

namespace opw::package {

struct EntryPoints {
  std::vector<std::string> functions; ///< of the runtime archive, exported
  std::vector<Stub> stubs;            ///< one per op and face whose host gives a function no pointer of its own

  /// Every name that the library exports, in order.
  std::vector<std::string> exports() const;
};

/// Throws Refused: a face that is not known, or ops whose names a host cannot tell apart.
EntryPoints entryPoints(const Request &request);

} // namespace opw::package
