#include "ir/ops.h"

#include <unordered_map>

namespace opw::ir {

namespace {

struct OpInfo {
  std::string_view name;
  uint32_t traits;
};

constexpr OpInfo kOps[] = {
#define OPW_OP(id, text, traits) {text, traits},
#include "ir/ops.def"
#undef OPW_OP
};

std::unordered_map<std::string_view, OpKind> indexByName() {
  std::unordered_map<std::string_view, OpKind> index;
  for (size_t i = 0; i < std::size(kOps); ++i)
    index.emplace(kOps[i].name, static_cast<OpKind>(i));
  return index;
}

} // namespace

std::string_view name(OpKind kind) { return kOps[static_cast<size_t>(kind)].name; }
uint32_t traits(OpKind kind) { return kOps[static_cast<size_t>(kind)].traits; }

bool findOp(std::string_view text, OpKind &kind) {
  static const std::unordered_map<std::string_view, OpKind> index = indexByName();
  auto found = index.find(text);
  if (found == index.end())
    return false;
  kind = found->second;
  return true;
}

} // namespace opw::ir
