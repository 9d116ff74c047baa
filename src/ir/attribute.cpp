#include "ir/attribute.h"

#include <algorithm>

namespace opw::ir {

const Attribute *Attributes::find(std::string_view name) const {
  for (const auto &[key, value] : list) {
    if (key == name)
      return &value;
  }
  return nullptr;
}

void Attributes::set(std::string name, Attribute value) {
  for (auto &[key, existing] : list) {
    if (key == name) {
      existing = std::move(value);
      return;
    }
  }
  list.emplace_back(std::move(name), std::move(value));
}

void Attributes::erase(std::string_view name) {
  std::erase_if(list, [&](const auto &entry) { return entry.first == name; });
}

int64_t Attributes::intOr(std::string_view name, int64_t fallback) const {
  const Attribute *found = find(name);
  bool isNumber = found != nullptr && (found->kind == Attribute::Kind::Int || found->kind == Attribute::Kind::Bool);
  return isNumber ? found->integer : fallback;
}

std::string_view Attributes::textOr(std::string_view name, std::string_view fallback) const {
  const Attribute *found = find(name);
  if (found == nullptr)
    return fallback;
  switch (found->kind) {
  case Attribute::Kind::String:
  case Attribute::Kind::Keyword:
  case Attribute::Kind::Symbol:
    return found->text;
  default:
    return fallback;
  }
}

} // namespace opw::ir
