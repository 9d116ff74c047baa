// Names of a request that stand for numbers of plugin.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace opw::package {

/// "f32" -> OPW_F32.
std::optional<uint8_t> dtypeByName(std::string_view name);
/// 'b', 'i', 'u', 'f'.
char dtypeKind(uint8_t dtype);
unsigned dtypeBytes(uint8_t dtype);
/// DLDataTypeCode of DLPack 1.
uint8_t dlpackCode(uint8_t dtype);
std::string dtypeName(uint8_t dtype);
/// "f16, bf16, ...", for messages.
std::string dtypeNames();

/// "float" -> OPW_ATTR_FLOAT.
std::optional<uint32_t> attrKindByName(std::string_view name);

/// "x86-64-v3" -> OPW_LEVEL_X86_64_V3.
std::optional<uint32_t> levelByName(std::string_view name);

/// Letters, digits and '_', no digit first.
bool isIdentifier(std::string_view name);

} // namespace opw::package
