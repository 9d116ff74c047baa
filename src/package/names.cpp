#include "package/names.h"

#include "opwright/plugin.h"

#include <array>

namespace opw::package {
namespace {

struct Dtype {
  std::string_view name;
  uint8_t dtype;
  char kind;
  uint8_t bytes;
  uint8_t dlpack; ///< DLDataTypeCode
};
constexpr std::array kDtypes{
    Dtype{"bool", OPW_BOOL, 'b', 1, 6},
    Dtype{"i8", OPW_I8, 'i', 1, 0},
    Dtype{"i16", OPW_I16, 'i', 2, 0},
    Dtype{"i32", OPW_I32, 'i', 4, 0},
    Dtype{"i64", OPW_I64, 'i', 8, 0},
    Dtype{"u8", OPW_U8, 'u', 1, 1},
    Dtype{"u16", OPW_U16, 'u', 2, 1},
    Dtype{"u32", OPW_U32, 'u', 4, 1},
    Dtype{"u64", OPW_U64, 'u', 8, 1},
    Dtype{"f16", OPW_F16, 'f', 2, 2},
    Dtype{"bf16", OPW_BF16, 'f', 2, 4},
    Dtype{"f32", OPW_F32, 'f', 4, 2},
    Dtype{"f64", OPW_F64, 'f', 8, 2},
    Dtype{"f8e4m3fn", OPW_F8E4M3FN, 'f', 1, 10},
    Dtype{"f8e5m2", OPW_F8E5M2, 'f', 1, 12},
    Dtype{"f8e4m3fnuz", OPW_F8E4M3FNUZ, 'f', 1, 11},
    Dtype{"f8e5m2fnuz", OPW_F8E5M2FNUZ, 'f', 1, 13},
    Dtype{"f8e4m3b11fnuz", OPW_F8E4M3B11FNUZ, 'f', 1, 9},
    Dtype{"f8e8m0", OPW_F8E8M0, 'f', 1, 14},
};

const Dtype *find(uint8_t dtype) {
  for (const Dtype &d : kDtypes)
    if (d.dtype == dtype)
      return &d;
  return nullptr;
}

template <typename Value, size_t N>
std::optional<Value> lookUp(const std::array<std::pair<std::string_view, Value>, N> &table, std::string_view name) {
  for (const auto &[key, value] : table)
    if (key == name)
      return value;
  return std::nullopt;
}

} // namespace

std::optional<uint8_t> dtypeByName(std::string_view name) {
  for (const Dtype &d : kDtypes)
    if (d.name == name)
      return d.dtype;
  return std::nullopt;
}

char dtypeKind(uint8_t dtype) { return find(dtype) ? find(dtype)->kind : '\0'; }
unsigned dtypeBytes(uint8_t dtype) { return find(dtype) ? find(dtype)->bytes : 0; }
uint8_t dlpackCode(uint8_t dtype) {
  const Dtype *d = find(dtype);
  return d ? d->dlpack : 0;
}

std::string dtypeName(uint8_t dtype) { return find(dtype) ? std::string(find(dtype)->name) : "unknown"; }

std::string dtypeNames() {
  std::string out;
  for (const Dtype &d : kDtypes)
    out += (out.empty() ? "" : ", ") + std::string(d.name);
  return out;
}

std::optional<uint32_t> attrKindByName(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, uint32_t>, 11> kKinds{{{"int", OPW_ATTR_INT},
                                                                                 {"float", OPW_ATTR_FLOAT},
                                                                                 {"bool", OPW_ATTR_BOOL},
                                                                                 {"string", OPW_ATTR_STRING},
                                                                                 {"bytes", OPW_ATTR_BYTES},
                                                                                 {"ints", OPW_ATTR_INTS},
                                                                                 {"floats", OPW_ATTR_FLOATS},
                                                                                 {"bools", OPW_ATTR_BOOLS},
                                                                                 {"strings", OPW_ATTR_STRINGS},
                                                                                 {"enum", OPW_ATTR_ENUM},
                                                                                 {"dtype", OPW_ATTR_DTYPE}}};
  return lookUp(kKinds, name);
}

std::optional<uint32_t> levelByName(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, uint32_t>, 2> kLevels{
      {{"x86-64-v3", OPW_LEVEL_X86_64_V3}, {"x86-64-v4", OPW_LEVEL_X86_64_V4}}};
  return lookUp(kLevels, name);
}

bool isIdentifier(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9'))
    return false;
  for (char c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
      return false;
  return true;
}

} // namespace opw::package
