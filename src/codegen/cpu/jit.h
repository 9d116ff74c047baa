// Loads an emitted object into this process.
#pragma once

#include "support/diagnostic.h"

#include <memory>
#include <string>
#include <string_view>

namespace opw::cpu {

/// The code lives as long as the object. Loading is thread-safe.
class JitModule {
public:
  static Result<std::unique_ptr<JitModule>> load(std::string_view object);
  ~JitModule();
  JitModule(const JitModule &) = delete;
  JitModule &operator=(const JitModule &) = delete;

  struct Symbol {
    void *address = nullptr;
    size_t size = 0; ///< bytes of code
  };
  /// A global symbol; its address is null where there is none.
  Symbol lookup(const std::string &name) const;

private:
  struct State;
  explicit JitModule(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

} // namespace opw::cpu
