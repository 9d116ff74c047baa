// Tells debuggers of code that was linked into this process, through the interface that gdb and lldb watch
// (https://sourceware.org/gdb/current/onlinedocs/gdb.html/JIT-Interface.html).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace opw::cpu {

/// An object that debuggers know of, as long as this lives. Thread-safe.
class GdbObject {
public:
  /// `addressOf` gives where a section was loaded, 0 for one that was not. Null where the object has no debug info.
  static std::unique_ptr<GdbObject> announce(std::string_view object,
                                             const std::function<uint64_t(std::string_view)> &addressOf);
  ~GdbObject();
  GdbObject(const GdbObject &) = delete;
  GdbObject &operator=(const GdbObject &) = delete;

private:
  struct Entry;
  explicit GdbObject(std::unique_ptr<Entry> entry);
  std::unique_ptr<Entry> entry;
};

} // namespace opw::cpu
