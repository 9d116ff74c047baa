// Attributes: constant data on operations, looked up by name.
#pragma once

#include "ir/type.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace opw::ir {

struct Attribute {
  enum class Kind : uint8_t {
    Unit,    ///< present without a value
    Bool,    ///< `integer` is 0 or 1
    Int,     ///< `integer`, of type `type`
    Float,   ///< `bits` of the value in the format of `type.elem`
    String,  ///< `text` in quotes
    Keyword, ///< bare word in `text`: enumerators such as `slt`, `tf32`, `evict_last`
    Symbol,  ///< @text
    Type,    ///< `type`
    Ints,    ///< `integers`: array<i32: ...>, dense<[...]>, [1, 0]
    List,    ///< `items`, named or not: [..] or {..} or #tt.name<..> (its name in `text`)
  };
  Kind kind = Kind::Unit;
  Type type{};
  int64_t integer = 0;
  uint64_t bits = 0;
  std::string text{};
  std::vector<int64_t> integers{};
  std::vector<std::pair<std::string, Attribute>> items{};

  static Attribute unit() { return {}; }
  static Attribute boolean(bool value) {
    return {.kind = Kind::Bool, .type = Type::scalar(Elem::I1), .integer = value};
  }
  static Attribute integerOf(int64_t value, Elem elem = Elem::I64) {
    return {.kind = Kind::Int, .type = Type::scalar(elem), .integer = value};
  }
  static Attribute floatBits(uint64_t bits, Elem elem) {
    return {.kind = Kind::Float, .type = Type::scalar(elem), .bits = bits};
  }
  static Attribute string(std::string value) { return {.kind = Kind::String, .text = std::move(value)}; }
  static Attribute keyword(std::string value) { return {.kind = Kind::Keyword, .text = std::move(value)}; }
  static Attribute symbol(std::string value) { return {.kind = Kind::Symbol, .text = std::move(value)}; }
  static Attribute typeOf(Type value) { return {.kind = Kind::Type, .type = value}; }
  static Attribute ints(std::vector<int64_t> values) { return {.kind = Kind::Ints, .integers = std::move(values)}; }

  bool operator==(const Attribute &) const = default;
};

/// A few named attributes in insertion order; look-up is a linear search.
class Attributes {
public:
  const Attribute *find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  void set(std::string name, Attribute value);
  void erase(std::string_view name);
  int64_t intOr(std::string_view name, int64_t fallback) const;
  /// Text of a String, Keyword or Symbol attribute, or the fallback.
  std::string_view textOr(std::string_view name, std::string_view fallback) const;
  bool empty() const { return list.empty(); }
  auto begin() const { return list.begin(); }
  auto end() const { return list.end(); }
  bool operator==(const Attributes &) const = default;

private:
  std::vector<std::pair<std::string, Attribute>> list;
};

} // namespace opw::ir
