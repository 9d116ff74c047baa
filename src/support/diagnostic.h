// User-facing diagnostics and the result type that carries them.
//
// Three kinds of errors exist and are never mixed: what the user wrote or asked for is a Diagnostic (this file), a
// broken invariant of ours is OPW_CHECK (check.h), a failure at run time is a status code of plugin.h.
#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace opw {

/// A place in a text: `line` and `column` count from 1; 0 means unknown.
struct SourceRange {
  std::string file;
  uint32_t line = 0;
  uint32_t column = 0;
};

enum class Severity : uint8_t { Error, Warning, Remark };

/// One message: lower-case, no final period; what was found, what was expected. `hint` says what to do.
struct Diagnostic {
  Severity severity = Severity::Error;
  SourceRange where{};
  std::string message{};
  std::string kernel{}; ///< kernel name, empty where none is known yet
  std::string op{};     ///< TTIR name of the operation, empty where none is concerned
  std::string hint{};
  uint64_t required = 0, limit = 0; ///< bytes, where a kernel needs more memory than there is; else 0

  /// "file:line:col: error: message [op] in kernel 'k'\n  hint: ..." without a final newline.
  std::string str() const;
};

using Diagnostics = std::vector<Diagnostic>;

/// All diagnostics, one after the other, each ended by a newline.
std::string render(const Diagnostics &diagnostics);

/// A value, or the diagnostics that say why there is none.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : state(std::move(value)) {}
  Result(Diagnostic diagnostic) : state(Diagnostics{std::move(diagnostic)}) {}
  Result(Diagnostics diagnostics) : state(std::move(diagnostics)) {}

  explicit operator bool() const { return std::holds_alternative<T>(state); }
  T &operator*() { return std::get<T>(state); }
  const T &operator*() const { return std::get<T>(state); }
  T *operator->() { return &std::get<T>(state); }
  const T *operator->() const { return &std::get<T>(state); }
  Diagnostics &diagnostics() { return std::get<Diagnostics>(state); }
  const Diagnostics &diagnostics() const { return std::get<Diagnostics>(state); }

private:
  std::variant<T, Diagnostics> state;
};

struct Unit {};
using Status = Result<Unit>;
inline Status ok() { return Status(Unit{}); }

} // namespace opw
