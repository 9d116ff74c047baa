// opwright/attributes.hpp - values of an op's attributes, for plugin.hpp.
#ifndef OPWRIGHT_ATTRIBUTES_HPP
#define OPWRIGHT_ATTRIBUTES_HPP

#include <opwright/tensor.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace opwright {

/// The value of an attribute. Enums and dtypes are given by name too; an integer passes for a float.
class Value {
public:
  Value(bool v) : held(v) {}
  template <class T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>, int> = 0> Value(T v)
      : held(static_cast<int64_t>(v)) {
    if (std::is_unsigned_v<T> && static_cast<uint64_t>(v) > INT64_MAX)
      throw Error(OPW_E_ARGUMENT, "found the attribute value " + std::to_string(v) + ", expected one below 2^63");
  }
  Value(double v) : held(v) {}
  Value(DType v) : held(v) {}
  Value(const char *v) : held(std::string(v)) {}
  Value(std::string v) : held(std::move(v)) {}
  Value(std::string_view v) : held(std::string(v)) {}
  Value(const ConstView &v) : held(v) {}
  template <class T> Value(std::initializer_list<T> list) { take(list); }
  template <class T> Value(const std::vector<T> &list) { take(list); }

  /// As `declared` wants it; points into this value, which must stay where it is. Throws where this is something else.
  opw_attr_value_t as(const opw_attr_t &declared, const std::string &op);

private:
  using Strings = std::vector<std::string>;
  using Bools = std::vector<uint8_t>;
  template <class List> void take(const List &list) {
    using T = std::decay_t<decltype(*list.begin())>;
    if constexpr (std::is_same_v<typename List::value_type, bool>)
      held = Bools(list.begin(), list.end());
    else if constexpr (std::is_integral_v<T>)
      held = std::vector<int64_t>(list.begin(), list.end());
    else if constexpr (std::is_floating_point_v<T>)
      held = std::vector<double>(list.begin(), list.end());
    else
      held = Strings(list.begin(), list.end());
  }
  opw_attr_value_t raw();

  std::variant<int64_t, double, bool, std::string, DType, std::vector<int64_t>, std::vector<double>, Bools, Strings,
               ConstView>
      held{int64_t{0}};
  std::vector<const char *> pointers; // of Strings
  opw_tensor_t tensor{};              // of a ConstView
};

struct Attr {
  std::string_view name;
  Value value;
};

/// By what it holds.
inline opw_attr_value_t Value::raw() {
  opw_attr_value_t v{};
  std::visit(
      [&](const auto &x) {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, double>) {
          v.kind = OPW_ATTR_FLOAT;
          v.u.f = x;
        } else if constexpr (std::is_same_v<T, ConstView>) {
          v.kind = OPW_ATTR_TENSOR;
          tensor = x.tensor();
          v.u.tensor = &tensor;
        } else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
          v.kind = std::is_enum_v<T> ? OPW_ATTR_DTYPE : std::is_same_v<T, bool> ? OPW_ATTR_BOOL : OPW_ATTR_INT;
          v.u.i = static_cast<int64_t>(x);
        } else {
          v.count = static_cast<uint32_t>(x.size());
          if constexpr (std::is_same_v<T, Strings>) {
            v.kind = OPW_ATTR_STRINGS;
            pointers.clear();
            for (const std::string &text : x)
              pointers.push_back(text.c_str());
            v.u.strings = pointers.data();
          } else {
            v.kind = std::is_same_v<T, std::string>            ? OPW_ATTR_STRING
                     : std::is_same_v<T, std::vector<int64_t>> ? OPW_ATTR_INTS
                     : std::is_same_v<T, std::vector<double>>  ? OPW_ATTR_FLOATS
                                                               : OPW_ATTR_BOOLS;
            v.u.bytes = x.data();
          }
        }
      },
      held);
  return v;
}

inline opw_attr_value_t Value::as(const opw_attr_t &declared, const std::string &op) {
  static constexpr const char *kKinds[] = {
      "nothing",  "an integer",         "a float",          "a bool",          "a text",
      "bytes",    "a list of integers", "a list of floats", "a list of bools", "a list of texts",
      "a tensor", "a choice",           "an element type"};
  static_assert(std::size(kKinds) == OPW_ATTR_KINDS);
  if (const auto *integer = std::get_if<int64_t>(&held); integer && declared.kind == OPW_ATTR_FLOAT)
    held = static_cast<double>(*integer);
  if (const auto *integers = std::get_if<std::vector<int64_t>>(&held); integers && declared.kind == OPW_ATTR_FLOATS)
    held = std::vector<double>(integers->begin(), integers->end());
  if (const auto *integers = std::get_if<std::vector<int64_t>>(&held); integers && declared.kind == OPW_ATTR_BYTES)
    if (std::all_of(integers->begin(), integers->end(), [](int64_t byte) { return byte >= 0 && byte < 256; }))
      held = std::string(integers->begin(), integers->end());
  opw_attr_value_t v = raw();
  const std::string found = op + ": attribute " + declared.name + ": found ";
  if (v.kind == OPW_ATTR_STRING && declared.kind == OPW_ATTR_BYTES)
    v.kind = declared.kind;
  // a choice and an element type are given by name, and travel by number
  if (v.kind == OPW_ATTR_STRING && (declared.kind == OPW_ATTR_ENUM || declared.kind == OPW_ATTR_DTYPE)) {
    const bool isChoice = declared.kind == OPW_ATTR_ENUM;
    std::vector<std::string_view> names(declared.choices, declared.choices + declared.choice_count);
    for (size_t i = 1; !isChoice && i < std::size(detail::kDTypes); ++i) // 0 is no type
      names.emplace_back(detail::kDTypes[i].name);
    const std::string text(v.u.s, v.count), quote(isChoice, '\'');
    const auto at = std::find(names.begin(), names.end(), text);
    if (at == names.end()) {
      std::string all;
      for (std::string_view name : names)
        all += (all.empty() ? "" : ", ") + quote + std::string(name) + quote;
      throw Error(OPW_E_ARGUMENT,
                  found + "'" + text + "', expected " + (isChoice ? "one of " : "an element type: ") + all);
    }
    v = {declared.kind, 0, {}};
    v.u.i = at - names.begin() + !isChoice;
  }
  if (v.kind != declared.kind)
    throw Error(OPW_E_ARGUMENT, found + kKinds[v.kind] + ", expected " +
                                    (declared.kind < OPW_ATTR_KINDS ? kKinds[declared.kind] : "another kind"));
  return v;
}

} // namespace opwright
#endif
